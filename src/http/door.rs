//! One system's way out: token, budget, breaker, and then at most one request per write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use tokio::time::Instant;
use tracing::{Instrument, Span, field};
use url::Url;
use uuid::Uuid;

use super::breaker::{Breaker, Permit, Rest};
use super::budget::Budgets;
use super::call::{Answer, Call, CallObserver, Effect, Method, RequestIds};
use super::client::{Http, describe};
use super::error::{CallError, CallSite, NotSentCause};
use super::reply::{Failed, Reply};
use super::retry::{RetryPolicy, Waits};
use super::token::{Token, TokenSource};

/// Redirects within one origin that a read follows.
const MAX_HOPS: u32 = 3;

/// What all calls to one system go through.
pub struct Door {
    system: Arc<str>,
    http: Http,
    tokens: Arc<dyn TokenSource>,
    budgets: Budgets,
    retry: RetryPolicy,
    breaker: Breaker,
    ids: RequestIds,
    observer: Option<Arc<dyn CallObserver>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("system", &self.system).finish_non_exhaustive()
    }
}

impl Door {
    /// A door with Graph's request-id header and no observer.
    pub fn new(
        system: &str,
        http: Http,
        tokens: Arc<dyn TokenSource>,
        budgets: Budgets,
        retry: RetryPolicy,
    ) -> Self {
        let (breaker, ids) = (Breaker::new(), RequestIds::GRAPH);
        Self { system: Arc::from(system), http, tokens, budgets, retry, breaker, ids, observer: None }
    }

    /// Another way of naming requests.
    #[must_use]
    pub fn with_request_ids(mut self, ids: RequestIds) -> Self {
        self.ids = ids;
        self
    }

    /// Who is told about calls.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Name of the system, as configured.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// What its calls are paid from.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Makes the call. A read is tried again a few times; a write leaves at most once, or twice when the
    /// first was answered by a 401.
    pub async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let mut waits = self.retry.waits();
        let mut attempt = 1;
        loop {
            let failed = match self.attempt(&call, attempt).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.error.request_ids().1.is_none() {
                self.observe(call.operation, failed.error.kind(), Duration::ZERO);
            }
            let Some(wait) = self.wait_before_retry(&call, &failed, attempt, &mut waits) else {
                return Err(failed.error);
            };
            tracing::debug!(system = %self.system, operation = call.operation, attempt, ?wait, error = %failed.error, "read is tried again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn wait_before_retry(
        &self,
        call: &Call,
        failed: &Failed,
        attempt: u32,
        waits: &mut Waits,
    ) -> Option<Duration> {
        if call.effect == Effect::Write || !failed.retryable || attempt >= self.retry.attempts {
            return None;
        }
        let own = waits.next(&mut rand::rng());
        match failed.error.retry_after() {
            Some(asked) if asked > self.retry.longest_advice(call.priority) => None,
            Some(asked) if matches!(failed.error, CallError::Throttled { .. }) => Some(asked),
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        }
    }

    /// One attempt, with the one renewal that a 401 allows.
    async fn attempt(&self, call: &Call, attempt: u32) -> Result<Answer, Failed> {
        let token = self.token(call).await?;
        let reply = self.follow(call, &token, attempt).await?;
        if reply.status != 401 {
            return reply.judge(call.effect);
        }
        self.tokens.invalidate(&token);
        let renewed = self.token(call).await?;
        if renewed.is_same_password(&token) {
            return reply.judge(call.effect);
        }
        self.follow(call, &renewed, attempt).await?.judge(call.effect)
    }

    async fn token(&self, call: &Call) -> Result<Token, Failed> {
        self.tokens.token().await.map_err(|error| {
            let (permanent, retry_after) = (error.is_permanent(), error.retry_after());
            let error = not_sent(self.site(call), NotSentCause::Token(error), retry_after);
            Failed { error, retryable: !permanent }
        })
    }

    /// Exchanges, and for a GET follows redirects that stay within the origin.
    async fn follow(&self, call: &Call, token: &Token, attempt: u32) -> Result<Reply, Failed> {
        let mut url = call.url.clone();
        for _ in 0..MAX_HOPS {
            let reply = self.exchange(call, &url, token, attempt).await?;
            let next = reply.location().and_then(|to| url.join(to).ok());
            match next.filter(|n| call.method == Method::GET && n.origin() == url.origin()) {
                Some(next) if call.effect == Effect::Read => url = next,
                _ => return Ok(reply),
            }
        }
        self.exchange(call, &url, token, attempt).await
    }

    /// One request, if breaker and budget let it out.
    async fn exchange(&self, call: &Call, url: &Url, token: &Token, attempt: u32) -> Result<Reply, Failed> {
        let refused = |cause, wait| Failed::last(not_sent(self.site(call), cause, Some(wait)));
        let resting = |Rest { wait, last }| refused(NotSentCause::Breaker(last), wait);
        let permit = self.breaker.admit().map_err(resting)?;
        let budget = self.budgets.take(&call.claim(), self.retry.patience(call.priority)).await;
        budget.map_err(|wait| refused(NotSentCause::Budget(call.class), wait))?;
        let mut site = self.site(call);
        let id = Uuid::new_v4().to_string();
        let span = tracing::info_span!(
            "call", system = %self.system, operation = call.operation, method = %call.method, attempt,
            client_request_id = %id, status = field::Empty, request_id = field::Empty, duration_ms = field::Empty,
        );
        let request = self.request(call, url, token, &id);
        site.client_request_id = Some(id);
        let started = Instant::now();
        let result = async {
            match request {
                Ok(request) => self.transmit(call, request, site).await,
                Err(what) => Err(Failed::last(not_sent(site, NotSentCause::Invalid(what), None))),
            }
        }
        .instrument(span.clone())
        .await;
        settle(permit, &result);
        self.report(call, &span, &result, started.elapsed());
        result.map(|reply| self.note_throttling(call, reply))
    }

    async fn transmit(
        &self,
        call: &Call,
        request: reqwest::Request,
        site: CallSite,
    ) -> Result<Reply, Failed> {
        match self.http.execute(self.http.client(), request).await {
            Ok(response) => Ok(Reply::read(&self.http, response, site).await),
            Err(error) => Err(lost(call, &error, site)),
        }
    }

    fn request(&self, call: &Call, url: &Url, token: &Token, id: &str) -> Result<reqwest::Request, String> {
        let mut builder = self.http.client().request(call.method.clone(), url.clone());
        builder = builder.header(ACCEPT, "application/json").header(self.ids.header, id);
        if let Some((name, value)) = self.ids.echo {
            builder = builder.header(name, value);
        }
        if let Some(body) = &call.body {
            builder = builder.json(body);
        }
        let mut request = builder.build().map_err(|e| describe(&e))?;
        for (name, value) in &call.headers {
            let bad = || format!("header {name} cannot be sent");
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            request.headers_mut().insert(header, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        let mut authorization = HeaderValue::from_str(token.authorization().expose_secret())
            .map_err(|_| "the credential holds characters that no header can carry".to_owned())?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        Ok(request)
    }

    fn report(&self, call: &Call, span: &Span, result: &Result<Reply, Failed>, elapsed: Duration) {
        let _entered = span.enter();
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        span.record("duration_ms", millis);
        match result {
            Ok(reply) => {
                span.record("status", reply.status);
                if let Some(id) = &reply.site.request_id {
                    span.record("request_id", id.as_str());
                }
                tracing::debug!(status = reply.status, duration_ms = millis, "answered");
                self.observe(call.operation, &reply.status.to_string(), elapsed);
            }
            Err(failed) => {
                tracing::warn!(error = %failed.error, duration_ms = millis, "no answer");
                self.observe(call.operation, failed.error.kind(), elapsed);
            }
        }
    }

    fn note_throttling(&self, call: &Call, reply: Reply) -> Reply {
        if reply.status == 429 {
            let scope = reply.throttled(call);
            tracing::warn!(system = %self.system, class = call.class, ?scope, "throttled; what it speaks of pauses");
            let wait = self.budgets.pause(scope, reply.retry_after());
            return reply.with_pause(wait);
        }
        self.budgets.served(&call.claim());
        reply
    }

    fn observe(&self, operation: &'static str, outcome: &str, elapsed: Duration) {
        if let Some(observer) = &self.observer {
            observer.call(&self.system, operation, outcome, elapsed);
        }
    }

    fn site(&self, call: &Call) -> CallSite {
        let system = Arc::clone(&self.system);
        CallSite::new(system, call.operation)
    }
}

fn not_sent(site: CallSite, cause: NotSentCause, retry_after: Option<Duration>) -> CallError {
    CallError::NotSent { site: Box::new(site), cause, retry_after }
}

/// No answer. Only what failed before a connection stood is certain not to have been executed.
fn lost(call: &Call, error: &reqwest::Error, site: CallSite) -> Failed {
    let what = describe(error);
    let error = if error.is_builder() {
        not_sent(site, NotSentCause::Invalid(what), None)
    } else if error.is_connect() {
        not_sent(site, NotSentCause::Connect(what), None)
    } else {
        CallError::Unknown { site: Box::new(site), status: None, message: what, retry_after: None }
    };
    Failed { error, retryable: call.effect == Effect::Read }
}

/// Tells the breaker. A request that could not even be built says nothing about the system.
fn settle(permit: Permit<'_>, result: &Result<Reply, Failed>) {
    match result {
        Ok(reply) if reply.is_system_failure() => permit.failure(&format!("it answered {}", reply.status)),
        Ok(_) => permit.success(),
        Err(Failed { error: CallError::NotSent { cause: NotSentCause::Invalid(_), .. }, .. }) => {
            drop(permit);
        }
        Err(Failed { error, .. }) => permit.failure(&happened(error)),
    }
}

/// What kept an answer from coming, without the call that it was.
fn happened(error: &CallError) -> String {
    match error {
        CallError::NotSent { cause, .. } => cause.to_string(),
        CallError::Unknown { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
