//! How a call can fail, sorted by what the caller may conclude about the remote state.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

use super::token::TokenError;

/// The answer behind an error, for the connector, which knows the forms of its service. Never shown or logged: it may hold
/// cookies and incident data.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The body, where it was JSON of at most 64 KiB.
    pub body: Option<Value>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Evidence {
    /// The text of a header; the first, where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence").field("is_json", &self.body.is_some()).finish_non_exhaustive()
    }
}

/// Which call it was, for texts and logs, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallSite {
    /// Name of the system as configured.
    pub system: Arc<str>,
    /// Operation as the connector named it.
    pub operation: &'static str,
    /// The service's id of the last attempt, when it answered.
    pub request_id: Option<String>,
    /// Our id of the last attempt; absent when none was made.
    pub client_request_id: Option<String>,
    /// What the service answered, when it refused.
    pub evidence: Option<Box<Evidence>>,
}

impl CallSite {
    /// A call that was not answered.
    pub fn new(system: impl Into<Arc<str>>, operation: &'static str) -> Self {
        Self { system: system.into(), operation, request_id: None, client_request_id: None, evidence: None }
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.operation, self.system)?;
        match (&self.request_id, &self.client_request_id) {
            (Some(theirs), Some(ours)) => write!(f, " [request-id {theirs}, client-request-id {ours}]"),
            (Some(theirs), None) => write!(f, " [request-id {theirs}]"),
            (None, Some(ours)) => write!(f, " [client-request-id {ours}]"),
            (None, None) => Ok(()),
        }
    }
}

/// Why a request never left, or certainly did not arrive.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotSentCause {
    /// DNS, TCP or TLS did not come about.
    #[error("{0}; check address, network, proxy and certificates")]
    Connect(String),
    /// The connector asked for something that is no valid request (a header value with a line break, say).
    #[error("{0}; this is a defect in lockstep or its configuration")]
    Invalid(String),
    /// No token could be had.
    #[error("no access token: {0}")]
    Token(#[from] TokenError),
    /// The budget of this class is used up, or the service asked for a pause.
    #[error("the budget of class {0} is used up; it refills by itself (budget_factor raises it)")]
    Budget(&'static str),
    /// The system failed repeatedly and is left alone for a while. Its last failure, in words.
    #[error("the system failed repeatedly and is given a rest (last: {0}); lockstep tries again by itself")]
    Breaker(Arc<str>),
}

/// How a call failed. Each text says what happened, to which operation, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The request was certainly not executed. Try again later.
    #[error("{site}: not sent: {cause}{}", after(*retry_after))]
    NotSent {
        /// Which call.
        site: Box<CallSite>,
        /// Why.
        cause: NotSentCause,
        /// Earliest sensible next try.
        retry_after: Option<Duration>,
    },
    /// 429: not executed. Earlier tries restart the service's wait (graph-security.md 5.1, sentinel.md 8.1).
    #[error("{site}: throttled by the service (429){}: {message}", after(*retry_after))]
    Throttled {
        /// Which call.
        site: Box<CallSite>,
        /// What the service asked for, else the door's own pause.
        retry_after: Option<Duration>,
        /// The service's words.
        message: String,
    },
    /// 409, 412 or 423: the record moved or is locked. Read it and decide again.
    #[error("{site}: conflict ({}): {message}; the record will be read again", answer(*status, code))]
    Conflict {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// 404 or 410 that does not speak of the record: of a gateway, a scope, a table, or to a caller who may not see it.
    /// Nothing follows from it but that the service cannot be asked now.
    #[error(
        "{site}: not found ({}): {message}; this does not say that a record is gone: check address, names, permissions \
         and what stands in front of the service",
        answer(*status, code)
    )]
    NotFound {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// The service says of the record that was asked for, in the form that it uses for that, that it is not there. Only a
    /// connector concludes this.
    #[error("{site}: the record is not there ({}): {message}", answer(*status, code))]
    Gone {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// 401 with a renewed token, or 403: permissions must change first.
    #[error(
        "{site}: denied ({}): {message}; check the credential, its permissions and admin consent",
        answer(*status, code)
    )]
    Denied {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// Not executed, for a reason that can pass: an open dependency, a parent that is not closed, an approval. Only a
    /// connector concludes this.
    #[error("{site}: blocked for now ({}): {message}; it is tried again", answer(*status, code))]
    Blocked {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// Any other refusal: this request will not succeed as it is.
    #[error("{site}: refused ({}): {message}; the same request will not succeed later", answer(*status, code))]
    Refused {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// The service's code, may be empty.
        code: String,
        /// The service's words.
        message: String,
    },
    /// Sent, but what became of it is not known. A write must be read back before anything else.
    #[error("{site}: outcome unknown{}: {message}{}; read the record before writing again", status_of(*status), after(*retry_after))]
    Unknown {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status, when there was an answer.
        status: Option<u16>,
        /// What happened.
        message: String,
        /// What the service asked for.
        retry_after: Option<Duration>,
    },
    /// A read's 2xx whose body is of no use: not JSON, too large or truncated.
    #[error(
        "{site}: unusable answer ({status}): {message}; check the address and whether a proxy answers in its place"
    )]
    Malformed {
        /// Which call.
        site: Box<CallSite>,
        /// HTTP status.
        status: u16,
        /// What is wrong.
        message: String,
        /// Whether it was larger than the client takes, so that asking for less may help.
        too_large: bool,
    },
}

fn after(wait: Option<Duration>) -> String {
    wait.map_or_else(String::new, |d| format!(" (next try in {:.1} s)", d.as_secs_f64()))
}

/// What the service answered: its status, and its code where it gave one.
fn answer(status: u16, code: &str) -> String {
    format!("{status} {code}").trim_end().to_owned()
}

fn status_of(status: Option<u16>) -> String {
    status.map_or_else(String::new, |s| format!(" ({s})"))
}

impl CallError {
    /// Which call failed.
    pub fn site(&self) -> &CallSite {
        match self {
            Self::NotSent { site, .. }
            | Self::Throttled { site, .. }
            | Self::Conflict { site, .. }
            | Self::NotFound { site, .. }
            | Self::Gone { site, .. }
            | Self::Blocked { site, .. }
            | Self::Denied { site, .. }
            | Self::Refused { site, .. }
            | Self::Unknown { site, .. }
            | Self::Malformed { site, .. } => site,
        }
    }

    /// The service's id and ours, of the last attempt.
    pub fn request_ids(&self) -> (Option<&str>, Option<&str>) {
        let site = self.site();
        (site.request_id.as_deref(), site.client_request_id.as_deref())
    }

    /// How long to wait before the next try, when the service or the door said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotSent { retry_after, .. }
            | Self::Throttled { retry_after, .. }
            | Self::Unknown { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// How long to wait, where nothing stands in the way of the call but a limit: lockstep's own budget, or a pause that
    /// the service asked for.
    pub fn only_delayed(&self) -> Option<Duration> {
        match self {
            Self::NotSent { cause: NotSentCause::Budget(_), retry_after, .. }
            | Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// HTTP status, when there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::NotSent { .. } => None,
            Self::Throttled { .. } => Some(429),
            Self::Unknown { status, .. } => *status,
            Self::Conflict { status, .. }
            | Self::NotFound { status, .. }
            | Self::Gone { status, .. }
            | Self::Blocked { status, .. }
            | Self::Denied { status, .. }
            | Self::Refused { status, .. }
            | Self::Malformed { status, .. } => Some(*status),
        }
    }

    /// The service's error code; empty when it gave none.
    pub fn code(&self) -> &str {
        match self {
            Self::Conflict { code, .. }
            | Self::NotFound { code, .. }
            | Self::Gone { code, .. }
            | Self::Blocked { code, .. }
            | Self::Denied { code, .. }
            | Self::Refused { code, .. } => code,
            _ => "",
        }
    }

    /// What the service answered, when it refused.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.site().evidence.as_deref()
    }

    /// The service's words; empty where it did not answer.
    pub fn words(&self) -> &str {
        match self {
            Self::NotSent { .. } => "",
            Self::Throttled { message, .. }
            | Self::Conflict { message, .. }
            | Self::NotFound { message, .. }
            | Self::Gone { message, .. }
            | Self::Blocked { message, .. }
            | Self::Denied { message, .. }
            | Self::Refused { message, .. }
            | Self::Unknown { message, .. }
            | Self::Malformed { message, .. } => message,
        }
    }

    /// Whether the caller is not let in: the service said so, or the token service did. A person must mend the credential or
    /// its permissions.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Denied { .. } => true,
            Self::NotSent { cause: NotSentCause::Token(error), .. } => error.is_permanent(),
            _ => false,
        }
    }

    /// Whether lockstep held the request back by itself: that says nothing new of the system.
    pub fn is_held_back(&self) -> bool {
        matches!(self, Self::NotSent { cause: NotSentCause::Budget(_) | NotSentCause::Breaker(_), .. })
    }

    /// Whether a read failed only because its answer was larger than the client takes.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Malformed { too_large: true, .. })
    }

    /// Stable name for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not-sent",
            Self::Throttled { .. } => "throttled",
            Self::Conflict { .. } => "conflict",
            Self::NotFound { .. } => "not-found",
            Self::Gone { .. } => "gone",
            Self::Blocked { .. } => "blocked",
            Self::Denied { .. } => "denied",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
            Self::Malformed { .. } => "malformed",
        }
    }
}
