//! What an answer of Graph or Azure Resource Manager means, as far as both say it alike (`graph-security.md` 5.3,
//! `sentinel.md` 8.3). Pure, and total on any JSON.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use crate::connectors::sound::{Meaning, Unsound};
use crate::connectors::text::shown;
use crate::http::{Answer, CallError};

const CREDENTIAL: &str = "renew the credential, and check `tenant_id` and `client_id`";
const ROLE: &str = "a role is missing or has lapsed: assign it again";
const CONSENT: &str = "an application permission is missing: grant it, with admin consent";
const DIRECTORY: &str = "the identity and the resource are in different directories: check `tenant_id`";
const SUBSCRIPTION: &str = "the subscription is deleted, moved to another directory, or hidden from this identity: check `subscription_id`, \
     `tenant_id` and the role";
const READ_ONLY: &str =
    "the scope takes no writes at present: enable the subscription or remove the lock or policy";
const API_VERSION: &str = "the service does not know this api-version (any more): set `api_version`";

/// Codes that speak of the caller or of what an operator must mend, whatever the status: a 404 of a subscription, a 409 of
/// a locked scope, a 200 with an error in it. The longer of two beginnings stands first.
const DENIALS: [(&str, &str); 20] = [
    ("InvalidAuthenticationTokenTenant", DIRECTORY),
    ("InvalidAuthenticationToken", CREDENTIAL),
    ("ExpiredAuthenticationToken", CREDENTIAL),
    ("AuthenticationFailed", CREDENTIAL),
    ("Unauthorized", CREDENTIAL),
    ("Authorization_IdentityNotFound", DIRECTORY),
    ("Authorization_RequestDenied", CONSENT),
    ("Forbidden", CONSENT),
    ("AccessDenied", ROLE),
    ("AuthorizationFailed", ROLE),
    ("LinkedAuthorizationFailed", ROLE),
    ("SubscriptionNotFound", SUBSCRIPTION),
    ("InvalidSubscriptionId", SUBSCRIPTION),
    ("ReadOnlyDisabledSubscription", READ_ONLY),
    ("ScopeLocked", READ_ONLY),
    ("RequestDisallowedByPolicy", READ_ONLY),
    ("MissingSubscriptionRegistration", READ_ONLY),
    ("NoRegisteredProviderFound", API_VERSION),
    ("InvalidApiVersionParameter", API_VERSION),
    ("InvalidResourceType", API_VERSION),
];

/// Words by which Graph says that the tenant has no Defender, with a code that it shares with bad tokens (1.7).
const UNPROVISIONED: [&str; 2] = ["not provisioned", "Account mode is inactive"];
const LICENCE: &str =
    "the tenant has no active Defender: this is no matter of the credential but of its licences";

/// What a redirect to a place of log-in has in its address.
const LOG_IN: [&str; 6] = ["login", "signin", "sign-in", "oauth2", "saml", "adfs"];

/// What to mend where an error speaks of the caller.
fn remedy(code: &str, message: &str) -> Option<&'static str> {
    if UNPROVISIONED.iter().any(|words| message.contains(words)) {
        return Some(LICENCE);
    }
    let begins = |name: &str| code.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    DENIALS.iter().find(|(name, _)| begins(name)).map(|(_, remedy)| *remedy)
}

/// An error as both services put it into a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connectors) struct Stated<'a> {
    /// The code; may be empty.
    pub(in crate::connectors) code: &'a str,
    /// The message; may be empty.
    pub(in crate::connectors) message: &'a str,
}

impl<'a> Stated<'a> {
    /// The error that a body states, if it does: `{"error": {"code", "message"}}`, or the two alone.
    pub(in crate::connectors) fn of(body: &'a Value) -> Option<Self> {
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        match body.get("error").or_else(|| body.get("odata.error")) {
            Some(Value::Null) => None,
            Some(error @ Value::Object(_)) => {
                Some(Self { code: text(&error["code"]), message: text(&error["message"]) })
            }
            // No member of a record is called so, whatever is in it.
            Some(error) => Some(Self { code: text(error), message: text(&body["error_description"]) }),
            None if body["code"].is_string() && body["message"].is_string() => {
                Some(Self { code: text(&body["code"]), message: text(&body["message"]) })
            }
            None => None,
        }
    }

    fn unsound(&self) -> Unsound {
        let words = format!("{} {}", shown(self.code), shown(self.message));
        match remedy(self.code, self.message) {
            Some(remedy) => Unsound::Denied(format!("{}; {remedy}", words.trim())),
            None => Unsound::Failed(format!("an error with the status of success: {}", words.trim())),
        }
    }
}

/// The body of an answer of success, which is an object without an error in it. A 204 says that there is none.
pub(in crate::connectors) fn sound_body(answer: &Answer) -> Result<&Value, Unsound> {
    let body = &answer.body;
    if let Some(error) = Stated::of(body) {
        return Err(error.unsound());
    }
    // What belongs to a batch was answered to no batch: somebody in front of the service gave up on it.
    if let Some(inner) = body["responses"].as_array() {
        let statuses: Vec<_> = inner.iter().filter_map(|one| one["status"].as_u64()).collect();
        return Err(Unsound::Failed(format!(
            "the answer is that to a batch, with the statuses {statuses:?}"
        )));
    }
    if body.is_object() {
        return Ok(body);
    }
    let what = if body.is_null() { "the answer is empty" } else { "the answer is no JSON object" };
    Err(Unsound::Malformed(what.to_owned()))
}

/// The rows of a list.
pub(in crate::connectors) fn rows<'a>(body: &'a Value, member: &str) -> Result<&'a [Value], Unsound> {
    let lacks = || Unsound::Malformed(format!("the list has no `{member}` array; is the address right?"));
    body[member].as_array().map(Vec::as_slice).ok_or_else(lacks)
}

/// Whether a count fits the rows. `whole` where nothing follows and nothing was before.
pub(in crate::connectors) fn check_count(count: &Value, rows: usize, whole: bool) -> Result<(), Unsound> {
    let Some(count) = count.as_u64() else {
        return match count {
            Value::Null => Ok(()),
            other => Err(Unsound::Malformed(format!("the count is {}", shown(&other.to_string())))),
        };
    };
    let rows = rows as u64;
    if rows > count || whole && rows < count {
        return Err(Unsound::Malformed(format!("the list counts {count} rows and holds {rows}")));
    }
    Ok(())
}

/// The link to the next page, which leads to another page of the same collection. `root` is the segment at which the
/// collection's own path begins; what stands before it may differ, where something stands in front of the service.
pub(in crate::connectors) fn check_link(asked: &Url, link: &Value, root: &str) -> Result<(), Unsound> {
    let malformed = |what: String| Err(Unsound::Malformed(what));
    let link = match link {
        Value::Null => return Ok(()),
        Value::String(link) if link.is_empty() => return Ok(()),
        Value::String(link) => link,
        other => return malformed(format!("the next link is no text: {}", shown(&other.to_string()))),
    };
    let (here, there) = (Address::of(asked.as_str(), root), Address::of(link, root));
    if here == there {
        return malformed(format!("the next link repeats what was asked: {}", shown(link)));
    }
    if here.path != there.path {
        return malformed(format!("the next link leads to another collection: {}", shown(link)));
    }
    Ok(())
}

/// What tells one page from another.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    /// From the root on, decoded, in lower case.
    path: String,
    /// Names and values, decoded.
    query: BTreeSet<String>,
}

impl Address {
    fn of(text: &str, root: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let path = decode(path).to_ascii_lowercase();
        let begins = path.find(&format!("/{root}/")).unwrap_or_default();
        let path = path[begins..].trim_end_matches('/').to_owned();
        Self { path, query: query.split('&').filter(|pair| !pair.is_empty()).map(decode).collect() }
    }
}

/// The id that an address names with its last segment, decoded, in lower case.
pub(in crate::connectors) fn last_segment(url: &Url) -> String {
    let last = url.path_segments().and_then(|mut all| all.next_back()).unwrap_or_default();
    percent_decode_str(last).decode_utf8_lossy().to_ascii_lowercase()
}

/// Whether an answer is about what was asked for.
pub(in crate::connectors) fn same(what: &str, asked: &str, answered: &str) -> Result<(), Unsound> {
    if asked.eq_ignore_ascii_case(answered) {
        return Ok(());
    }
    Err(Unsound::Malformed(format!("the answer is about another {what}: `{}`", shown(answered))))
}

/// What a refusal means where it does not speak of a record.
pub(in crate::connectors) fn refusal(error: &CallError) -> Meaning {
    let words = shown(error.words());
    if error.status().is_some_and(|status| (300..400).contains(&status)) {
        let to = error.evidence().and_then(|evidence| evidence.header("location")).unwrap_or_default();
        let lower = to.to_ascii_lowercase();
        return if LOG_IN.iter().any(|part| lower.contains(part)) {
            Meaning::Denied(format!("redirected to a log-in page at {}; {CREDENTIAL}", shown(to)))
        } else {
            Meaning::Failed(format!("{words}; the service redirects nobody: see what stands in front of it"))
        };
    }
    match remedy(error.code(), error.words()) {
        Some(remedy) => Meaning::Denied(format!("{words}; {remedy}")),
        None => Meaning::AsStated,
    }
}

/// The whole text of a refusal: message and target, of the error and of its details. The error's own words are cut.
pub(in crate::connectors) fn whole_text(error: &CallError) -> String {
    let Some(body) = error.evidence().and_then(|evidence| evidence.body.as_ref()) else {
        return error.words().to_owned();
    };
    let stated = &body["error"];
    let details = stated["details"].as_array().into_iter().flatten();
    let parts = std::iter::once(stated).chain(details);
    let texts = parts.flat_map(|part| [&part["message"], &part["target"]]).filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(" ")
}
