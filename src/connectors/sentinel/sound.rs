//! What the answers of Azure Resource Manager mean for Sentinel's records (`sentinel.md` 1.1 to 1.4, 2, 8.3).

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::connectors::microsoft::answers::{
    check_count, check_link, last_segment, refusal, rows, same, sound_body, whole_text,
};
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::connectors::text::shown;
use crate::http::{Answer, CallError};

/// The segment at which the path of every resource begins.
const ROOT: &str = "subscriptions";

/// What an operation brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// A page of incidents or comments.
    Page,
    /// All alerts of an incident, whose own addresses are elsewhere.
    Alerts,
    /// All entities of an incident.
    Entities,
    /// One resource, the one in the address.
    Resource,
}

fn brings(operation: &str) -> Brings {
    match operation {
        "incidents.list" | "comments.list" => Brings::Page,
        "incident-alerts.list" => Brings::Alerts,
        "incident-entities.list" => Brings::Entities,
        _ => Brings::Resource,
    }
}

/// Examines them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers;

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        let body = sound_body(answer)?;
        match brings(asked.operation) {
            Brings::Page => page(asked, body),
            Brings::Alerts => {
                let alerts = rows(body, "value")?;
                check_count(&body["count"], alerts.len(), false)?;
                alerts.iter().try_for_each(|alert| of_our_workspace(asked, alert))
            }
            Brings::Entities => rows(body, "entities").map(|_| ()),
            Brings::Resource => resource(asked, body),
        }
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let of_record = asked.operation.starts_with("incidents.") && asked.operation != "incidents.list";
        if matches!(error, CallError::NotFound { .. }) && of_record && is_not_there(asked, error) {
            return Meaning::Gone;
        }
        refusal(error)
    }
}

fn page(asked: &Asked<'_>, body: &Value) -> Result<(), Unsound> {
    let (rows, link) = (rows(body, "value")?, &body["nextLink"]);
    check_link(asked.url, link, ROOT)?;
    let ends = link.as_str().is_none_or(str::is_empty);
    let begins = !asked.url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("$skipToken"));
    check_count(&body["count"], rows.len(), ends && begins)?;
    rows.iter().try_for_each(|row| of_our_workspace(asked, row))
}

fn resource(asked: &Asked<'_>, body: &Value) -> Result<(), Unsound> {
    let Some(name) = body["name"].as_str().filter(|_| body["properties"].is_object()) else {
        let what = "the answer is no resource: it lacks `name` or `properties`";
        return Err(Unsound::Malformed(what.to_owned()));
    };
    of_our_workspace(asked, body)?;
    same("resource", &last_segment(asked.url), name)?;
    // A comment's own name says nothing of the incident that it is on.
    match (incident_of(&path_of(asked)), body["id"].as_str().and_then(incident_of)) {
        (Some(asked), Some(stated)) => same("incident", &asked, &stated),
        _ => Ok(()),
    }
}

/// A resource states in its id in which workspace it is; ids are spelt in any case (1.1).
fn of_our_workspace(asked: &Asked<'_>, resource: &Value) -> Result<(), Unsound> {
    let stated = resource["id"].as_str().and_then(workspace_of);
    match (workspace_of(&path_of(asked)), stated) {
        (Some(ours), Some(theirs)) if ours != theirs => Err(Unsound::Malformed(format!(
            "the answer is about another workspace: `{}` of subscription `{}`",
            shown(&theirs.1),
            shown(&theirs.0)
        ))),
        _ => Ok(()),
    }
}

fn path_of(asked: &Asked<'_>) -> String {
    percent_decode_str(asked.url.path()).decode_utf8_lossy().into_owned()
}

/// The subscription and the name of the workspace that an id is in, in lower case. The resource group says no more, and
/// a workspace can be moved to another.
fn workspace_of(id: &str) -> Option<(String, String)> {
    Some((segment_after(id, ROOT)?, segment_after(id, "workspaces")?))
}

/// The name of the incident that an id is of or below, in lower case.
fn incident_of(id: &str) -> Option<String> {
    segment_after(id, "incidents")
}

fn segment_after(id: &str, kind: &str) -> Option<String> {
    let mut segments = id.split('/').skip_while(|segment| !segment.eq_ignore_ascii_case(kind)).skip(1);
    segments.next().filter(|name| !name.is_empty()).map(str::to_ascii_lowercase)
}

/// Words for what an incident lies in. A text that has one of them speaks of that.
const SCOPES: [&str; 7] =
    ["subscription", "group", "workspace", "workspaces", "provider", "tenant", "parent"];

/// Whether a 404 speaks of this incident. The exact form is not published (8.3), so code and words must fit: a code that
/// names a scope, and words that name one, are about that. A resource that is named by its path is what its end says.
fn is_not_there(asked: &Asked<'_>, error: &CallError) -> bool {
    let known = ["NotFound", "ResourceNotFound", "IncidentNotFound"];
    if !known.iter().any(|code| code.eq_ignore_ascii_case(error.code())) {
        return false;
    }
    let (text, id) = (whole_text(error).to_ascii_lowercase(), last_segment(asked.url));
    let word = |text: &str| text.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    // Messages end in the address of a help page.
    let said = text.split_whitespace().filter(|word| !word.contains("://"));
    let (paths, words): (Vec<&str>, Vec<&str>) = said.partition(|word| word.contains('/'));
    if !paths.is_empty() {
        return paths.iter().all(|path| path.rsplit('/').next().map(word).as_deref() == Some(id.as_str()));
    }
    let words: Vec<String> = words.into_iter().map(word).collect();
    !words.iter().any(|word| SCOPES.contains(&word.as_str()))
        && words.iter().any(|word| *word == id || word == "incident")
}
