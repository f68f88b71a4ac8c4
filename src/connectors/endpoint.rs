//! What connectors are made of: an address, a door and its tokens.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::Probe;
use super::sound::{Asked, Meaning, Sound, Unsound};
use crate::http::{
    Answer, Budgets, Call, CallError, CallObserver, CallSite, CredentialError, Door, Effect, Http,
    NotSentCause, RequestIds, RetryPolicy, Token, TokenSource,
};
use crate::model::SystemName;

/// All that a query value may not carry as it is; `OData` expressions hold spaces and quotes.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Why no connector can be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The credential is incomplete.
    #[error("system {system}: {source}")]
    Credential {
        /// The system's configured name.
        system: SystemName,
        /// What is wrong with it.
        source: CredentialError,
    },
    /// The address cannot be extended by a path.
    #[error("system {system}: {url} cannot be extended by a path; give a root such as {example}")]
    Address {
        /// The system's configured name.
        system: SystemName,
        /// The address as configured.
        url: String,
        /// One that works.
        example: &'static str,
    },
}

/// What an endpoint is made of.
pub(super) struct Parts<'a> {
    pub(super) system: &'a SystemName,
    pub(super) base: &'a Url,
    pub(super) example: &'static str,
    pub(super) budgets: Budgets,
    pub(super) ids: RequestIds,
    pub(super) sound: Box<dyn Sound>,
}

/// One system's address with its door.
pub(super) struct Endpoint {
    pub(super) system: SystemName,
    base: Url,
    door: Door,
    tokens: Arc<dyn TokenSource>,
    sound: Box<dyn Sound>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("system", &self.system).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(super) fn new(
        parts: Parts<'_>,
        tokens: Result<Arc<dyn TokenSource>, CredentialError>,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let (system, base) = (parts.system.clone(), parts.base.clone());
        if base.cannot_be_a_base() {
            return Err(ConnectError::Address { system, url: base.to_string(), example: parts.example });
        }
        let tokens = tokens.map_err(|source| ConnectError::Credential { system: system.clone(), source })?;
        let mut door = Door::new(
            system.as_str(),
            http.clone(),
            Arc::clone(&tokens),
            parts.budgets,
            RetryPolicy::default(),
        )
        .with_request_ids(parts.ids);
        if let Some(observer) = observer {
            door = door.with_observer(observer);
        }
        Ok(Self { system, base, door, tokens, sound: parts.sound })
    }

    /// The address below the root that these segments name; ids in them are remote or configured text.
    pub(super) fn url(
        &self,
        operation: &'static str,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Url, CallError> {
        let mut url = self.base.clone();
        // Dot segments would climb out of the path, encoded or not.
        if let Some(bad) = segments.iter().find(|s| matches!(**s, "" | "." | "..")) {
            return Err(self.invalid(operation, format!("`{bad}` cannot be part of an address")));
        }
        match url.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(segments);
            }
            Err(()) => return Err(self.invalid(operation, format!("{} cannot be extended", self.base))),
        }
        set_query(&mut url, query.iter().copied());
        Ok(url)
    }

    /// Whether an address that a service gave lies where our token may go.
    pub(super) fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Makes the call, and examines the answer before anybody reads from it.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, CallError> {
        let examined = call.clone();
        let asked = Asked::of(&examined);
        match self.door.send(call).await {
            Ok(answer) => match self.sound.success(&asked, &answer) {
                Ok(()) => Ok(answer),
                Err(unsound) => Err(self.unsound(&asked, &answer, unsound)),
            },
            Err(error) => Err(meant(self.sound.refusal(&asked, &error), error)),
        }
    }

    /// The error behind a status of success. A write may have been carried out all the same.
    fn unsound(&self, asked: &Asked<'_>, answer: &Answer, unsound: Unsound) -> CallError {
        let (site, status) = (Box::new(self.site(asked.operation, Some(answer))), answer.status);
        match unsound {
            Unsound::Denied(message) | Unsound::Malformed(message) if asked.effect == Effect::Write => {
                CallError::Unknown { site, status: Some(status), message, retry_after: None }
            }
            Unsound::Failed(message) => {
                CallError::Unknown { site, status: Some(status), message, retry_after: None }
            }
            Unsound::Denied(message) => CallError::Denied { site, status, code: String::new(), message },
            Unsound::Malformed(message) => CallError::Malformed { site, status, message, too_large: false },
        }
    }

    pub(super) fn budgets(&self) -> &Budgets {
        self.door.budgets()
    }

    /// A request that lockstep must not send.
    pub(super) fn invalid(&self, operation: &'static str, what: String) -> CallError {
        let site = Box::new(self.site(operation, None));
        CallError::NotSent { site, cause: NotSentCause::Invalid(what), retry_after: None }
    }

    /// An answer that does not hold what it must.
    pub(super) fn malformed(&self, operation: &'static str, answer: &Answer, what: String) -> CallError {
        let site = Box::new(self.site(operation, Some(answer)));
        CallError::Malformed { site, status: answer.status, message: what, too_large: false }
    }

    /// A write that will not succeed as it is, as shows before anything is sent or by an answer that claims success.
    pub(super) fn refused(
        &self,
        operation: &'static str,
        answer: Option<&Answer>,
        message: String,
    ) -> CallError {
        let site = Box::new(self.site(operation, answer));
        CallError::Refused { site, status: answer.map_or(0, |a| a.status), code: String::new(), message }
    }

    /// What somebody must mend at the other end, although the service does not say so: tried again, slowly.
    pub(super) fn to_mend(&self, operation: &'static str, message: String) -> CallError {
        let site = Box::new(self.site(operation, None));
        CallError::Denied { site, status: 403, code: "lockstep".to_owned(), message }
    }

    pub(super) fn site(&self, operation: &'static str, answer: Option<&Answer>) -> CallSite {
        CallSite {
            system: Arc::from(self.system.as_str()),
            operation,
            request_id: answer.and_then(|a| a.request_id.clone()),
            client_request_id: answer.map(|a| a.client_request_id.clone()),
            evidence: None,
        }
    }

    /// The `value` array of a list's answer.
    pub(super) fn values<'a>(
        &self,
        operation: &'static str,
        answer: &'a Answer,
    ) -> Result<&'a [Value], CallError> {
        answer.body["value"].as_array().map(Vec::as_slice).ok_or_else(|| {
            self.malformed(
                operation,
                answer,
                "the list has no `value` array; is the address right?".to_owned(),
            )
        })
    }

    /// Whether the credential can be read, and a token be had where one is issued for it. A password or API key is
    /// tried by the probes that follow.
    pub(super) async fn probe_token(&self) -> Probe {
        let said =
            |token: Token| if token.is_lasting() { "can be read" } else { "a token was issued for it" };
        let result = self.tokens.token().await.map(|token| said(token).to_owned());
        Probe { what: "credential".to_owned(), result: result.map_err(|e| e.to_string()) }
    }

    /// Whether a read works; `role` is what a refusal asks for.
    pub(super) async fn probe_read(&self, what: &str, call: Result<Call, CallError>, role: &str) -> Probe {
        let result = match call {
            Ok(call) => self.send(call).await,
            Err(error) => Err(error),
        };
        let result =
            result.map(|answer| format!("answered {}", answer.status)).map_err(|error| match error {
                CallError::Denied { .. } => format!("{error}. Needed: {role}"),
                CallError::NotFound { .. } => format!("{error}. Check the names in the configuration"),
                error => error.to_string(),
            });
        Probe { what: what.to_owned(), result }
    }
}

/// An error answer by what it means.
fn meant(meaning: Meaning, error: CallError) -> CallError {
    let site = Box::new(error.site().clone());
    let (status, code) = (error.status(), error.code().to_owned());
    match (meaning, status) {
        (Meaning::Gone, Some(status)) => {
            CallError::Gone { site, status, code, message: error.words().to_owned() }
        }
        (Meaning::Denied(message), Some(status)) => CallError::Denied { site, status, code, message },
        (Meaning::Blocked(message), Some(status)) => CallError::Blocked { site, status, code, message },
        (Meaning::Failed(message), Some(_)) => {
            CallError::Unknown { site, status, message, retry_after: error.retry_after() }
        }
        // Nothing was answered, so nothing can be meant.
        (Meaning::AsStated, _) | (_, None) => error,
    }
}

/// The error of a write of several requests, one of which was carried out before. Nobody may conclude that nothing
/// was changed: what is there now must be read before anything else.
pub(super) fn after_a_step(error: CallError) -> CallError {
    if matches!(error, CallError::Unknown { .. }) {
        return error;
    }
    CallError::Unknown {
        site: Box::new(error.site().clone()),
        status: error.status(),
        message: format!("an earlier request of this write was carried out, and then: {error}"),
        retry_after: error.retry_after(),
    }
}

/// Sets the query; names go as they are, values encoded (a space as `%20`, which every `OData` parser takes).
pub(super) fn set_query<'a>(url: &mut Url, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut query = String::new();
    for (name, value) in pairs {
        let separator = if query.is_empty() { "" } else { "&" };
        // Writing to a string cannot fail.
        let _ = write!(query, "{separator}{name}={}", utf8_percent_encode(value, QUERY));
    }
    url.set_query(if query.is_empty() { None } else { Some(&query) });
}
