//! A remote service that answers by script, without a network.
//!
//! A script is what a corpus file holds: answers in order, parted by lines of `%%`. An answer is a body of status 200, or
//! begins with a head as in HTTP, up to an empty line:
//!
//! ```text
//! HTTP 429
//! Retry-After: 7
//!
//! {"error":{"code":"TooManyRequests","message":"slow down"}}
//! %%
//! {"value":[]}
//! ```
//!
//! Words behind the status (`HTTP 200 GET /api/v1/case`) keep an answer for requests whose method and address hold them,
//! so that one file can be a small service. The others come in order. Whoever asks further gets the last one again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::http::{ClientOptions, Http};

/// Requests that one operation may need at most, whatever it is answered. It is far above what any does; without an end
/// the loop would be endless.
const MOST_REQUESTS: usize = 300;

/// Stands in the answers of an echoing script for what was written last.
const SENT: &str = "\"$SENT\"";

/// A script, and how far it was played.
#[derive(Clone)]
pub(super) struct Script(Arc<Played>);

struct Played {
    answers: Vec<Answer>,
    /// Where in the body of a write the value stands that answers give back for [`SENT`].
    echoed: Option<&'static str>,
    sent: Mutex<String>,
    /// Where every request has to go: it carries the credential.
    home: Url,
    /// Answers of the series that were given.
    next: AtomicUsize,
    requests: AtomicUsize,
}

struct Answer {
    /// The requests that it is kept for.
    only: Option<String>,
    /// How often it was given.
    given: AtomicUsize,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Script {
    pub(super) fn new(input: &[u8], home: &Url) -> Self {
        Self::echoing(input, home, None)
    }

    /// A script whose service gives back what is written to it: the value at this pointer.
    pub(super) fn echoing(input: &[u8], home: &Url, echoed: Option<&'static str>) -> Self {
        let answers = parted(input).map(Answer::parse).collect();
        let (next, requests) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let sent = Mutex::new("null".to_owned());
        Self(Arc::new(Played { answers, echoed, sent, home: home.clone(), next, requests }))
    }

    /// A client whose requests the script answers.
    pub(super) fn http(&self) -> Http {
        static SHARED: OnceLock<Http> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            Http::new(&ClientOptions::default()).expect("a client of default options can always be made")
        });
        let played = Arc::clone(&self.0);
        shared.scripted(Arc::new(move |request| played.answer(request)))
    }

    /// Answers of the series that were given so far.
    pub(super) fn position(&self) -> usize {
        self.0.next.load(Ordering::Relaxed)
    }

    /// Goes on with the answer at a position.
    pub(super) fn go_to(&self, position: usize) {
        self.0.next.store(position, Ordering::Relaxed);
        self.0.requests.store(0, Ordering::Relaxed);
    }

    /// Requests since the beginning, or since the last [`Script::go_to`].
    pub(super) fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }
}

impl Played {
    fn answer(&self, request: &reqwest::Request) -> reqwest::Response {
        let url = request.url();
        assert_eq!(url.origin(), self.home.origin(), "a request leaves for {url}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url} carries a credential");
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        assert!(count < MOST_REQUESTS, "an operation makes more than {MOST_REQUESTS} requests, now to {url}");
        let answer = self.kept_for(&format!("{} {url}", request.method())).unwrap_or_else(|| self.in_turn());
        let Some(echoed) = self.echoed else { return answer.response(answer.body.clone()) };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let body = request.body().and_then(|body| serde_json::from_slice::<Value>(body.as_bytes()?).ok());
        if let Some(value) = body.as_ref().and_then(|body| body.pointer(echoed)) {
            *sent = value.to_string();
        }
        answer.response(String::from_utf8_lossy(&answer.body).replace(SENT, &sent).into_bytes())
    }

    /// The first answer that is kept for such requests and was not given yet, else the last one.
    fn kept_for(&self, request: &str) -> Option<&Answer> {
        let fits = |answer: &&Answer| answer.only.as_deref().is_some_and(|only| request.contains(only));
        let is_new = |answer: &&Answer| answer.given.load(Ordering::Relaxed) == 0;
        let fitting = || self.answers.iter().filter(fits);
        fitting().find(is_new).or_else(|| fitting().next_back())
    }

    fn in_turn(&self) -> &Answer {
        static NOTHING: LazyLock<Answer> = LazyLock::new(|| Answer::parse(b"HTTP 404\n\n"));
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let series = || self.answers.iter().filter(|answer| answer.only.is_none());
        series().nth(at).or_else(|| series().next_back()).unwrap_or(&NOTHING)
    }
}

impl Answer {
    fn parse(text: &[u8]) -> Self {
        let given = AtomicUsize::new(0);
        let rest = text.strip_prefix(b"HTTP ").and_then(|rest| rest.split_at_checked(3));
        let head_of = rest.and_then(|(status, rest)| Some((StatusCode::from_bytes(status).ok()?, rest)));
        let Some((status, rest)) = head_of else {
            let (only, headers) = (None, Vec::new());
            return Self { only, given, status: StatusCode::OK, headers, body: text.to_vec() };
        };
        // Informational answers never reach a client as its answer.
        let status = if status.is_informational() { StatusCode::OK } else { status };
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii();
        let only = (!line.is_empty()).then(|| String::from_utf8_lossy(line).into_owned());
        let (headers, body) = head(rest);
        Self { only, given, status, headers, body: body.to_vec() }
    }

    fn response(&self, body: Vec<u8>) -> reqwest::Response {
        self.given.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response.into()
    }
}

/// The parts of an input, at least one.
pub(super) fn parted(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    const LINE: &[u8] = b"\n%%\n";
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(LINE.len()).position(|window| window == LINE);
        rest = end.map(|end| &text[end + LINE.len()..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// The headers that follow a first line, and the body behind the empty line. What is no header is passed over, as HTTP
/// libraries do not let it through either.
pub(super) fn head(text: &[u8]) -> (Vec<(HeaderName, HeaderValue)>, &[u8]) {
    let end = text.windows(2).position(|window| window == b"\n\n");
    let (head, body) = end.map_or((text, &b""[..]), |end| (&text[..end], &text[end + 2..]));
    let header = |line: &[u8]| {
        let colon = line.iter().position(|b| *b == b':')?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii()).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    (head.split(|b| *b == b'\n').filter_map(header).collect(), body)
}
