//! What the answers of Graph mean (`graph-security.md` 1.7, 2.2, 2.9, 5.3).

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::connectors::microsoft::answers::{
    check_count, check_link, last_segment, refusal, rows, same, sound_body, whole_text,
};
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::http::{Answer, CallError};

/// The segment at which Graph's own path of a collection begins.
const ROOT: &str = "security";

/// What an operation brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// A page of a collection.
    List,
    /// One record, the one in the address.
    Record,
    /// All comments of the record in the address.
    Comments,
}

fn brings(operation: &str) -> Brings {
    match operation {
        "incidents.list" | "alerts.list" => Brings::List,
        "comments.create" => Brings::Comments,
        _ => Brings::Record,
    }
}

/// Examines them.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    /// The tenant, where it is configured by its GUID. A domain cannot be compared.
    tenant: Option<Uuid>,
}

impl Answers {
    pub(super) fn of(tenant_id: &str) -> Self {
        Self { tenant: Uuid::parse_str(tenant_id).ok() }
    }

    /// Records state the tenant that they belong to (2.1).
    fn of_our_tenant(&self, record: &Value) -> Result<(), Unsound> {
        let theirs = record["tenantId"].as_str().and_then(|text| Uuid::parse_str(text).ok());
        match (self.tenant, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(Unsound::Denied(format!(
                "the answer is about tenant {theirs}, and `tenant_id` is {ours}; check `tenant_id` and the credential"
            ))),
            _ => Ok(()),
        }
    }

    fn list(&self, asked: &Asked<'_>, body: &Value) -> Result<(), Unsound> {
        let (rows, link) = (rows(body, "value")?, &body["@odata.nextLink"]);
        check_link(asked.url, link, ROOT)?;
        // The walk does not follow links, and cannot go on after a page without rows.
        if rows.is_empty() && !link.is_null() {
            return Err(Unsound::Malformed("the list has no rows, and a link to more".to_owned()));
        }
        let number = |name| option(asked.url, name).and_then(|text| text.parse::<usize>().ok());
        let whole =
            link.is_null() && number("$skip").is_none() && number("$top").is_none_or(|top| rows.len() < top);
        check_count(&body["@odata.count"], rows.len(), whole)?;
        rows.iter().try_for_each(|row| self.of_our_tenant(row))
    }

    fn record(&self, asked: &Asked<'_>, body: &Value) -> Result<(), Unsound> {
        let id = match &body["id"] {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return Err(Unsound::Malformed("the answer is no record: it has no `id`".to_owned())),
        };
        self.of_our_tenant(body)?;
        same("record", &last_segment(asked.url), &id)
    }
}

/// The list says in its context whose comments they are (2.9).
fn comments(asked: &Asked<'_>, body: &Value) -> Result<(), Unsound> {
    rows(body, "value")?;
    let owner = asked.url.path_segments().and_then(|mut all| all.nth_back(1)).unwrap_or_default();
    let context = body["@odata.context"].as_str().unwrap_or_default();
    let stated = context.split_once("('").and_then(|(_, rest)| rest.split_once("')"));
    stated.map_or(Ok(()), |(stated, _)| same("record's comments", owner, stated))
}

fn option(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        // A service that is asked for no more than to do it may say no more than that it did.
        if answer.status == 204 && answer.body.is_null() && brings(asked.operation) != Brings::List {
            return Ok(());
        }
        let body = sound_body(answer)?;
        match brings(asked.operation) {
            Brings::List => self.list(asked, body),
            Brings::Record => self.record(asked, body),
            Brings::Comments => comments(asked, body),
        }
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let of_record = brings(asked.operation) != Brings::List;
        if matches!(error, CallError::NotFound { .. }) && of_record && is_not_there(asked, error) {
            return Meaning::Gone;
        }
        refusal(error)
    }
}

/// Graph says `ResourceNotFound` of a record that it does not have (3.3). Of other codes the words must name it: a proxy
/// in front of Graph says `NotFound`, too, and `UnknownError` of anything (5.2).
fn is_not_there(asked: &Asked<'_>, error: &CallError) -> bool {
    match error.code() {
        "ResourceNotFound" => true,
        "NotFound" | "ItemNotFound" | "itemNotFound" | "Request_ResourceNotFound" => {
            let mut segments = asked.url.path_segments().into_iter().flatten().rev();
            let id = segments.find(|segment| *segment != "comments").unwrap_or_default().to_ascii_lowercase();
            let text = whole_text(error).to_ascii_lowercase();
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(|word| word == id)
        }
        _ => false,
    }
}
