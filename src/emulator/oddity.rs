//! Answers of Microsoft's services that claim success and are none. Unlike a [`Fault`](super::Fault) they last, and have the
//! forms that these services have.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{Body, Reply};

/// How the answers of Graph or Sentinel are odd. Writes are carried out, but for a log-in page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oddity {
    /// They are not.
    #[default]
    None,
    /// 200 with an `error` beside what was asked for; a list lacks the second half of its rows.
    ErrorBesideValue,
    /// 200 with `responses`, as to a batch, in which the only one was throttled.
    ThrottledBatch,
    /// The next-page link of a list is what was asked.
    LinkRepeats,
    /// The next-page link of a list leads to another collection.
    LinkElsewhere,
    /// 302 to a page of log-in; nothing is carried out.
    LogInPage,
    /// All ids are those of another tenant (Graph) or workspace (Sentinel).
    Elsewhere,
}

/// What a request asked for, and what it is called elsewhere.
pub(super) struct Asked<'a> {
    /// The whole address.
    pub(super) address: String,
    /// The member of a list that links to the next page.
    pub(super) link: &'static str,
    /// Own tenant or workspace as ids spell it.
    pub(super) own: &'a str,
    /// Another one.
    pub(super) other: String,
}

impl Oddity {
    /// The answer instead of carrying the request out.
    pub(super) fn turned_away(self) -> Option<Reply> {
        let page = "https://login.microsoftonline.com/common/oauth2/authorize?client_id=proxy";
        (self == Self::LogInPage).then(|| Reply::empty(302).with("location", page))
    }

    /// The answer, if it is one of success, made odd.
    pub(super) fn made_odd(self, mut reply: Reply, asked: &Asked<'_>) -> Reply {
        let Body::Json(body) = &mut reply.body else { return reply };
        if reply.status >= 300 {
            return reply;
        }
        match self {
            Self::None | Self::LogInPage => {}
            Self::ErrorBesideValue => {
                if let Some(rows) = body["value"].as_array_mut() {
                    rows.truncate(rows.len() / 2);
                }
                let message = "The query was interrupted before it was complete.";
                body["error"] = json!({ "code": "InternalServerError", "message": message });
            }
            Self::ThrottledBatch => {
                let error = json!({ "code": "TooManyRequests", "message": "Please retry again later." });
                let headers = json!({ "Retry-After": "7" });
                let inner =
                    json!({ "id": "1", "status": 429, "headers": headers, "body": { "error": error } });
                *body = json!({ "responses": [inner] });
            }
            Self::LinkRepeats => link(body, asked, &asked.address),
            Self::LinkElsewhere => {
                let (path, query) = asked.address.split_once('?').unwrap_or((&asked.address, ""));
                link(body, asked, &format!("{path}-elsewhere?{query}&$skipToken=2"));
            }
            Self::Elsewhere => {
                let text = body.to_string().replace(asked.own, &asked.other);
                *body = serde_json::from_str(&text).unwrap_or_default();
            }
        }
        reply
    }
}

fn link(body: &mut Value, asked: &Asked<'_>, to: &str) {
    if body["value"].is_array() {
        body[asked.link] = json!(to);
    }
}
