//! What Jira's answers mean, whatever their status (`ticketing.md` 2.1, 2.2, 2.7).
//!
//! | what it is | how Jira says it |
//! | --- | --- |
//! | a stranger | `X-Seraph-LoginReason` or `X-AUSERNAME`, beside any status; 200 and no issues, 404 for each of them |
//! | the account lost the project | 400: the project has no such value (which is why every query names it); 404; 403 in Data Center |
//! | an issue is gone | 404 in Jira's form, of an address that names the issue |
//! | failed | 2xx with `errorMessages` or `errors`; any refusal that is not in Jira's form |
//!
//! Its texts come in the language of the account, so that nothing is told by them.

use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use super::refusal::Complaint;
use super::{Deployment, comment, create, list, transition, update};
use crate::connectors::sound::{Asked, Meaning, Sound, Unsound};
use crate::connectors::text::shown;
use crate::http::{Answer, CallError};

/// The read of an issue by its id.
pub(super) const READ: &str = "tickets.get";

/// The look-up of those who can be assigned.
const USERS: &str = "users.find";

/// Examines them.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) deployment: Deployment,
    /// The key of the project.
    pub(super) project: String,
}

impl Sound for Answers {
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound> {
        if let Some(who) = stranger(&answer.headers) {
            return Err(Unsound::Denied(who));
        }
        let body = &answer.body;
        if let Some(complaint) = Complaint::of(body).filter(|complaint| !complaint.is_empty()) {
            return Err(Unsound::Failed(format!("a success that says: {}", complaint.words())));
        }
        let shape = match asked.operation {
            READ => is_issue(body, asked.url),
            list::LIST | list::FIND => {
                self.warnings(body)?;
                self.is_page(body)
            }
            comment::LIST => is_page_of_comments(body, asked.url),
            comment::CREATE => has_id(body),
            create::CREATE => has_id(body),
            transition::OFFERS => body["transitions"]
                .is_array()
                .then_some(())
                .ok_or("there is no list of transitions".to_owned()),
            // The note of a close is a comment that goes by the name of the close.
            transition::MOVE if asked.url.path().ends_with("/comment") => has_id(body),
            transition::MOVE | update::UPDATE => body
                .is_null()
                .then_some(())
                .ok_or("a change is answered with nothing, and not with this".to_owned()),
            USERS => body.is_array().then_some(()).ok_or("the users are no list".to_owned()),
            _ => body.is_object().then_some(()).ok_or("there is nothing in it".to_owned()),
        };
        shape.map_err(Unsound::Malformed)
    }

    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning {
        let Some(evidence) = error.evidence() else { return log_in_page(error) };
        if let Some(who) = stranger(&evidence.headers) {
            return Meaning::Denied(who);
        }
        let complaint = Complaint::behind(error).filter(|complaint| !complaint.is_empty());
        match (error, complaint) {
            (CallError::NotFound { status: 404, .. }, Some(complaint))
                if names_issue(asked.url) && complaint.fields.is_empty() =>
            {
                Meaning::Gone
            }
            // A user is looked for among those who can be assigned in the project, or to an issue.
            (CallError::NotFound { status: 404, .. }, Some(complaint)) if asked.operation == USERS => {
                Meaning::Denied(self.lost(&complaint.words()))
            }
            (CallError::Denied { status: 401, message, .. }, _) => {
                Meaning::Denied(format!("{message}. {RENEW}"))
            }
            (CallError::Refused { status: 300..400, .. }, _)
                if evidence.header("location").is_some_and(is_log_in) =>
            {
                Meaning::Denied(format!("sent to log in. {RENEW}"))
            }
            (CallError::Refused { .. }, Some(complaint)) => self.refused(asked.operation, &complaint),
            // Something that stands in front of Jira: what it refuses says nothing of the request's fate.
            (CallError::Refused { message, .. }, None) => {
                Meaning::Failed(format!("refused, and not in Jira's form: {message}"))
            }
            _ => Meaning::AsStated,
        }
    }
}

impl Answers {
    /// A refusal in Jira's form that may be about the caller.
    fn refused(&self, operation: &str, complaint: &Complaint<'_>) -> Meaning {
        let says = complaint.words();
        let names_project = || complaint.general.iter().any(|text| names(text, &self.project));
        match operation {
            // The query is always the same: what is wrong with it is the project that it names.
            list::FIND => Meaning::Denied(self.lost(&says)),
            list::LIST if names_project() => Meaning::Denied(self.lost(&says)),
            create::CREATE
                if ["project", "issuetype"].iter().any(|name| complaint.fields.contains_key(name)) =>
            {
                Meaning::Denied(self.lost(&says))
            }
            _ => Meaning::AsStated,
        }
    }

    /// What a query was not honoured in.
    fn warnings(&self, body: &Value) -> Result<(), Unsound> {
        let warnings = body["warningMessages"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let all: Vec<&str> = warnings.collect();
        match all.first() {
            None => Ok(()),
            Some(first) if all.iter().any(|text| names(text, &self.project)) => {
                Err(Unsound::Denied(self.lost(&shown(first))))
            }
            Some(first) => Err(Unsound::Malformed(format!("the search warns: {}", shown(first)))),
        }
    }

    fn lost(&self, says: &str) -> String {
        format!(
            "{says}. See that the project {} is there and not archived, and that lockstep's account has its permissions in it",
            self.project
        )
    }

    /// Whether a page of a search says where it ends, and holds what it says.
    fn is_page(&self, body: &Value) -> Result<(), String> {
        let rows =
            body["issues"].as_array().ok_or("the search has no list of issues; is the address right?")?;
        match self.deployment {
            Deployment::Cloud => page_end(body).map(drop),
            Deployment::DataCenter => counts(body, rows.len()),
        }
    }
}

const RENEW: &str =
    "Renew the credential of lockstep's account: its token or password has expired, was revoked or is wrong";

/// What the headers say of a caller whom Jira does not know. Data Center may name several reasons; `OK` is the last word.
fn stranger(headers: &HeaderMap) -> Option<String> {
    let said =
        |name: &str| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).map(str::trim);
    let mut reasons = said("x-seraph-loginreason");
    let is_in = said("x-seraph-loginreason").any(|reason| reason.eq_ignore_ascii_case("ok"));
    let bad = reasons.find(|reason| {
        let reason = reason.to_ascii_uppercase();
        reason.ends_with("_FAILED") || reason.ends_with("_DENIED")
    });
    if let Some(reason) = bad.filter(|_| !is_in) {
        let captcha = if reason.eq_ignore_ascii_case("AUTHENTICATION_DENIED") {
            " After too many failed log-ins, log in once as this account in a browser, and solve what it asks"
        } else {
            ""
        };
        return Some(format!("Jira answers as to a stranger ({}). {RENEW}.{captcha}", shown(reason)));
    }
    let is_anonymous = said("x-ausername").any(|name| name == "anonymous");
    is_anonymous.then(|| format!("Jira answers as to a stranger (anonymous). {RENEW}"))
}

/// A page to log in, where a redirect led a read. Only its title tells.
fn log_in_page(error: &CallError) -> Meaning {
    let CallError::Malformed { message, .. } = error else { return Meaning::AsStated };
    let title = message.to_ascii_lowercase();
    if title.contains("web page") && ["log in", "login", "sign in"].iter().any(|word| title.contains(word)) {
        return Meaning::Denied(format!("{message}. {RENEW}"));
    }
    Meaning::AsStated
}

/// Whether a redirect leads to a place to log in.
fn is_log_in(to: &str) -> bool {
    let to = to.to_ascii_lowercase();
    ["login", "log-in", "signin", "sign-in", "/sso", "saml", "oauth", "authorize"]
        .iter()
        .any(|word| to.contains(word))
}

/// Whether a text names a project, as a word of its own.
fn names(text: &str, project: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == project)
}

/// The id of the issue that an address names.
fn issue_in(url: &Url) -> Option<&str> {
    let mut segments = url.path_segments()?.skip_while(|segment| *segment != "issue").skip(1);
    segments.next().filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

fn names_issue(url: &Url) -> bool {
    issue_in(url).is_some()
}

/// The issue that was asked for, and no other.
fn is_issue(body: &Value, url: &Url) -> Result<(), String> {
    let asked = issue_in(url).unwrap_or_default();
    let id = body["id"].as_str().map(str::to_owned).or_else(|| body["id"].as_u64().map(|id| id.to_string()));
    let id = id.ok_or("there is no issue in it")?;
    if id != asked {
        return Err(format!("the answer is about the issue {}, and {asked} was asked for", shown(&id)));
    }
    Ok(())
}

/// Something that was made has an id.
fn has_id(body: &Value) -> Result<(), String> {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let has = body["id"].as_str().is_some_and(is_number) || body["id"].is_u64();
    has.then_some(()).ok_or_else(|| "it does not say the id of what was made".to_owned())
}

/// Where a search of Cloud goes on; `None` is the end. It must say the one or the other.
pub(super) fn page_end(body: &Value) -> Result<Option<&str>, String> {
    let token = match &body["nextPageToken"] {
        Value::Null => None,
        Value::String(token) if !token.is_empty() => Some(token.as_str()),
        other => return Err(format!("nextPageToken is of no use: {}", shown(&other.to_string()))),
    };
    match (&body["isLast"], token) {
        (Value::Bool(true), None) => Ok(None),
        (Value::Bool(false) | Value::Null, Some(token)) => Ok(Some(token)),
        (Value::Bool(true), Some(_)) => Err("the page says that it is the last, and how to go on".to_owned()),
        (Value::Bool(false), None) => Err("the page says that more follow, and not how to go on".to_owned()),
        (Value::Null, None) => Err("the page says neither that it is the last nor how to go on".to_owned()),
        (other, _) => Err(format!("isLast is of no use: {}", shown(&other.to_string()))),
    }
}

/// Whether a page by numbers holds as many rows as it says.
fn counts(body: &Value, rows: usize) -> Result<(), String> {
    let number = |name: &str| body[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let (Some(start), Some(most), Some(total)) = (number("startAt"), number("maxResults"), number("total"))
    else {
        return Err("the page does not say which of how many rows it holds".to_owned());
    };
    let rest = total.saturating_sub(start);
    if rows == most.min(rest) && (rows > 0 || rest == 0) {
        return Ok(());
    }
    Err(format!("the page holds {rows} rows and says: {most} at most from {start} of {total}"))
}

fn is_page_of_comments(body: &Value, url: &Url) -> Result<(), String> {
    let rows = body["comments"].as_array().ok_or("there is no list of comments")?;
    let asked = url.query_pairs().find(|(name, _)| name == "startAt").and_then(|(_, n)| n.parse().ok());
    if body["startAt"].as_u64() != asked {
        return Err("this is another page of comments".to_owned());
    }
    counts(body, rows.len())
}
