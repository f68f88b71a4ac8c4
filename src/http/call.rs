//! One request of a connector and its answer, and who is told about it.

use std::fmt;
use std::time::Duration;

pub use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

/// Whether a request may change something remotely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Safe to repeat; the door does so itself.
    Read,
    /// Sent at most once. A POST that only queries (Sentinel's list of alerts) may be declared a read.
    Write,
}

/// Who goes first where the calls of a budget class are scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A list of a poll: without it nothing that happens is seen. It waits for its budget, and for a short pause.
    Poll,
    /// What a delivery reads and writes.
    Work,
    /// What only tells people more, such as the details in a ticket's description.
    Detail,
}

/// What a call asks of the budgets of its system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) class: &'a str,
    pub(crate) record: Option<&'a str>,
    pub(crate) priority: Priority,
}

impl<'a> Claim<'a> {
    /// Work of this class.
    pub(crate) fn new(class: &'a str) -> Self {
        Self { class, record: None, priority: Priority::Work }
    }
}

/// One request, as a connector asks for it.
#[derive(Clone)]
pub struct Call {
    /// Name in logs and metrics, such as `incidents.list`.
    pub operation: &'static str,
    /// Budget class that pays for it; a class that the door has no budget for is free.
    pub class: &'static str,
    /// Who goes first.
    pub priority: Priority,
    /// The record that it writes, where the service limits the writes of one record.
    pub record: Option<String>,
    /// HTTP method.
    pub method: Method,
    /// Full address.
    pub url: Url,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub body: Option<Value>,
    /// Read or write.
    pub effect: Effect,
}

impl Call {
    /// A GET.
    pub fn get(operation: &'static str, class: &'static str, url: Url) -> Self {
        Self::new((operation, class), Method::GET, url, None, Effect::Read)
    }

    /// A query that the service wants as POST. Retried like any read.
    pub fn query(operation: &'static str, class: &'static str, url: Url, body: Option<Value>) -> Self {
        Self::new((operation, class), Method::POST, url, body, Effect::Read)
    }

    /// A write, with its JSON body ([`Value::Null`] for none). Never retried.
    pub fn write(
        operation: &'static str,
        class: &'static str,
        method: Method,
        url: Url,
        body: Value,
    ) -> Self {
        let body = if body.is_null() { None } else { Some(body) };
        Self::new((operation, class), method, url, body, Effect::Write)
    }

    fn new(
        (operation, class): (&'static str, &'static str),
        method: Method,
        url: Url,
        body: Option<Value>,
        effect: Effect,
    ) -> Self {
        let (priority, record, headers) = (Priority::Work, None, Vec::new());
        Self { operation, class, priority, record, method, url, headers, body, effect }
    }

    /// With another priority than [`Priority::Work`].
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Names the record that it writes, so that a limit on the writes of one record holds up no other.
    #[must_use]
    pub fn of_record(mut self, record: &str) -> Self {
        self.record = Some(record.to_owned());
        self
    }

    pub(crate) fn claim(&self) -> Claim<'_> {
        Claim { class: self.class, record: self.record.as_deref(), priority: self.priority }
    }

    /// Adds a header, such as `If-Match`.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values and bodies stay out of logs: they may hold keys and incident data.
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field("class", &self.class)
            .field("priority", &self.priority)
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .field("path", &self.url.path())
            .field("headers", &headers)
            .field("has_body", &self.body.is_some())
            .field("effect", &self.effect)
            .field("record", &self.record)
            .finish()
    }
}

/// A usable 2xx answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status, 200 to 299 (or 304 when the call asked conditionally).
    pub status: u16,
    /// JSON body, [`Value::Null`] when empty.
    pub body: Value,
    /// The service's id of the request (`request-id` or `x-ms-request-id`).
    pub request_id: Option<String>,
    /// Our id of the request, as sent.
    pub client_request_id: String,
    /// The server's clock, from the `Date` header (whole seconds).
    pub date: Option<jiff::Timestamp>,
    /// The `ETag` header as sent, quotes included.
    pub etag: Option<String>,
    /// The `Link` headers as sent, joined by commas.
    pub link: Option<String>,
    /// The `X-Total-Count` header.
    pub total_count: Option<u64>,
    /// All headers.
    pub headers: HeaderMap,
}

impl Answer {
    /// The text of a header; the first, where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How a service wants our id of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestIds {
    /// Request header for a fresh GUID per attempt.
    pub header: &'static str,
    /// A further header that asks for the id to be echoed.
    pub echo: Option<(&'static str, &'static str)>,
}

impl RequestIds {
    /// Graph and most others (graph-security.md 5.3).
    pub const GRAPH: Self = Self { header: "client-request-id", echo: None };
    /// Azure Resource Manager (sentinel.md 8.3).
    pub const ARM: Self =
        Self { header: "x-ms-client-request-id", echo: Some(("x-ms-return-client-request-id", "true")) };
}

/// Told about each attempt; telemetry implements it.
pub trait CallObserver: Send + Sync {
    /// `outcome` is the status code, or the kind of error when there was no answer (`not-sent`, `unknown`).
    fn call(&self, system: &str, operation: &'static str, outcome: &str, elapsed: Duration);
}
