//! From a raw response to an [`Answer`] or a [`CallError`]: what each status means for the remote state.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::call::{Answer, Call, Effect};
use super::client::{BodyError, Http};
use super::decode::{self, RemoteError, shorten};
use super::error::{CallError, CallSite, Evidence};
use super::pause::Scope;
use super::retry::{parse_http_date, parse_retry_after};

/// Where services put their id of a request, in order of preference.
const RESPONSE_IDS: [&str; 4] = ["request-id", "x-ms-request-id", "x-request-id", "x-arequestid"];

/// Largest body of a refusal that is kept as evidence, in bytes.
const MAX_EVIDENCE: usize = 64 * 1024;

/// A failed attempt, and whether a read may try again.
pub(crate) struct Failed {
    pub(crate) error: CallError,
    pub(crate) retryable: bool,
}

impl Failed {
    pub(crate) fn last(error: CallError) -> Self {
        Self { error, retryable: false }
    }

    pub(crate) fn again(error: CallError) -> Self {
        Self { error, retryable: true }
    }
}

/// A response with its body read, as far as that went.
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Result<Bytes, BodyError>,
    pub(crate) site: CallSite,
    /// The door's own pause after a 429, when the service did not say how long.
    pause: Option<Duration>,
}

impl Reply {
    /// Reads the whole response.
    pub(crate) async fn read(http: &Http, response: reqwest::Response, mut site: CallSite) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        site.request_id = RESPONSE_IDS.iter().find_map(|name| text(&headers, name)).map(shorten);
        let body = http.read_body(response).await;
        Self { status, headers, body, site, pause: None }
    }

    /// Whether the system itself is in trouble, as opposed to this request.
    pub(crate) fn is_system_failure(&self) -> bool {
        self.status >= 500 || matches!(self.body, Err(BodyError::Broken(_)))
    }

    pub(crate) fn with_pause(mut self, wait: Duration) -> Self {
        self.pause = Some(wait);
        self
    }

    /// What the service asked for.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let asked = text(&self.headers, "retry-after").and_then(|v| parse_retry_after(v, self.date()));
        asked.or_else(|| self.until_reset())
    }

    /// What a 429 speaks of. Jira says it (`ticketing.md` 2.7): the points of the whole site, or the writes of one issue.
    /// Everything else is taken for the limit of the class.
    pub(crate) fn throttled(&self, call: &Call) -> Scope {
        let class = || Scope::Class(call.class.to_owned());
        match text(&self.headers, "ratelimit-reason").map(str::trim) {
            Some("jira-quota-global-based" | "jira-quota-tenant-based") => Scope::System,
            Some("jira-per-issue-on-write") => call.record.clone().map_or_else(class, Scope::Record),
            _ => class(),
        }
    }

    /// Jira names the moment at which its limit is over, and its gateway not always how long that is
    /// (`ticketing.md` 2.7). At most one hour.
    fn until_reset(&self) -> Option<Duration> {
        let reset: jiff::Timestamp = text(&self.headers, "x-ratelimit-reset")?.parse().ok()?;
        let wait = Duration::try_from(reset.duration_since(self.date()?)).ok()?;
        Some(wait.min(Duration::from_hours(1)))
    }

    /// Target of a redirect.
    pub(crate) fn location(&self) -> Option<&str> {
        if matches!(self.status, 301 | 302 | 303 | 307 | 308) {
            text(&self.headers, "location")
        } else {
            None
        }
    }

    fn date(&self) -> Option<jiff::Timestamp> {
        parse_http_date(text(&self.headers, "date")?)
    }

    fn content_type(&self) -> Option<&str> {
        text(&self.headers, "content-type")
    }

    /// The verdict.
    pub(crate) fn judge(self, effect: Effect) -> Result<Answer, Failed> {
        match self.status {
            200..=299 | 304 => self.success(effect),
            _ => Err(self.failure()),
        }
    }

    fn success(self, effect: Effect) -> Result<Answer, Failed> {
        let parsed = match &self.body {
            Ok(body) => parse(self.content_type(), body),
            Err(error) => Err(error.to_string()),
        };
        match parsed {
            Ok(body) => Ok(Answer {
                status: self.status,
                body,
                date: self.date(),
                etag: text(&self.headers, "etag").map(str::to_owned),
                link: joined(&self.headers, "link"),
                total_count: text(&self.headers, "x-total-count").and_then(|n| n.trim().parse().ok()),
                headers: self.headers,
                client_request_id: self.site.client_request_id.unwrap_or_default(),
                request_id: self.site.request_id,
            }),
            Err(message) => Err(self.unusable(effect, message)),
        }
    }

    /// A 2xx that cannot be read: a read got nothing, a write may have been executed.
    fn unusable(self, effect: Effect, message: String) -> Failed {
        let (status, site) = (self.status, Box::new(self.site));
        let too_large = matches!(self.body, Err(BodyError::TooLarge(_)));
        let error = match effect {
            Effect::Read => CallError::Malformed { site, status, message, too_large },
            Effect::Write => CallError::Unknown { site, status: Some(status), message, retry_after: None },
        };
        Failed { error, retryable: matches!(self.body, Err(BodyError::Broken(_))) }
    }

    fn failure(self) -> Failed {
        let status = self.status;
        let retry_after = self.retry_after().or(self.pause);
        let location = self.location().map(shorten);
        let RemoteError { code, mut message } = match &self.body {
            Ok(body) => decode::remote_error(self.content_type(), body),
            Err(error) => RemoteError { code: String::new(), message: error.to_string() },
        };
        if message.is_empty() {
            "no explanation given".clone_into(&mut message);
        }
        let mut site = Box::new(self.site);
        let body = self.body.ok().filter(|body| body.len() <= MAX_EVIDENCE);
        let body = body.and_then(|body| serde_json::from_slice(&body).ok());
        site.evidence = Some(Box::new(Evidence { body, headers: self.headers }));
        match status {
            // A renewal was tried before; sending it again would be refused again.
            401 | 403 => Failed::last(CallError::Denied { site, status, code, message }),
            404 | 410 => Failed::last(CallError::NotFound { site, status, code, message }),
            409 | 412 | 423 => Failed::last(CallError::Conflict { site, status, code, message }),
            429 => Failed::again(CallError::Throttled { site, retry_after, message }),
            // 408 comes from whatever gave up waiting, and says nothing about the service behind it.
            408 | 500.. => {
                let message = if code.is_empty() { message } else { format!("{code}: {message}") };
                Failed::again(CallError::Unknown { site, status: Some(status), message, retry_after })
            }
            _ => {
                let message =
                    location.map_or(message, |to| format!("redirected to {to}, which is not followed"));
                Failed::last(CallError::Refused { site, status, code, message })
            }
        }
    }
}

fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if decode::is_html(content_type, body) {
        return Err(decode::remote_error(content_type, body).message);
    }
    serde_json::from_slice(body).map_err(|e| format!("the answer is not JSON: {e}"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A header that may come in several lines.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}
