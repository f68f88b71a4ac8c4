//! A tiny server that answers by script and keeps what it saw, and tokens that count.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use url::Url;

use super::{Budgets, ClientOptions, Door, Http, RetryPolicy, Token, TokenError, TokenSource};

/// One request as the server saw it.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// One scripted answer.
#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) delay: Duration,
}

pub(super) fn json(status: u16, body: &str) -> Scripted {
    let headers = vec![("content-type", "application/json".to_owned())];
    Scripted { status, headers, body: body.to_owned(), delay: Duration::ZERO }
}

impl Scripted {
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn slow(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Scripted>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// The last answer of the script repeats.
pub(super) struct Server {
    pub(super) url: Url,
    script: Script,
}

impl Server {
    pub(super) async fn start(answers: impl IntoIterator<Item = Scripted>) -> Self {
        let script =
            Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Script::default() };
        let app = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, script }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }
}

async fn answer(
    State(script): State<Script>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    script.seen.lock().unwrap().push(Seen { method, uri, headers, body });
    let scripted = {
        let mut answers = script.answers.lock().unwrap();
        let next = answers.front().unwrap().clone();
        if answers.len() > 1 {
            answers.pop_front();
        }
        next
    };
    tokio::time::sleep(scripted.delay).await;
    let mut response = (StatusCode::from_u16(scripted.status).unwrap(), scripted.body).into_response();
    response.headers_mut().remove("content-type");
    for (name, value) in scripted.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Tokens `token-0`, `token-1`, ... each until it is invalidated.
#[derive(Default)]
pub(super) struct Tokens(AtomicU64);

#[async_trait]
impl TokenSource for Tokens {
    async fn token(&self) -> Result<Token, TokenError> {
        let serial = self.0.load(Ordering::SeqCst);
        Ok(Token::bearer(SecretString::from(format!("token-{serial}")), serial))
    }

    fn invalidate(&self, used: &Token) {
        let _ = self.0.compare_exchange(used.serial(), used.serial() + 1, Ordering::SeqCst, Ordering::SeqCst);
    }
}

pub(super) fn http() -> Http {
    http_within(Duration::from_secs(10))
}

/// A client with this time-out per request.
pub(super) fn http_within(timeout: Duration) -> Http {
    let options = ClientOptions {
        timeout,
        connect_timeout: Duration::from_millis(300),
        max_body: 1024,
        ..ClientOptions::default()
    };
    Http::new(&options).unwrap()
}

/// A door with short waits.
pub(super) fn door() -> Door {
    door_with(Arc::new(Tokens::default()), Budgets::unlimited())
}

pub(super) fn door_with(tokens: Arc<dyn TokenSource>, budgets: Budgets) -> Door {
    door_over(http(), tokens, budgets)
}

pub(super) fn door_over(http: Http, tokens: Arc<dyn TokenSource>, budgets: Budgets) -> Door {
    let retry = RetryPolicy {
        initial: Duration::from_millis(5),
        max: Duration::from_millis(10),
        short_wait: Duration::from_millis(200),
        budget_wait: Duration::from_millis(50),
        list_wait: Duration::from_millis(400),
        ..RetryPolicy::default()
    };
    Door::new("sys", http, tokens, budgets, retry)
}

/// A raw server that reads one request per connection, sends `reply` and hangs up. Returns its address and
/// the count of requests.
pub(super) async fn raw_server(reply: &'static [u8]) -> (Url, Arc<AtomicU64>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let _ = stream.write_all(reply).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, count)
}
