//! What an answer may be believed to say. Every answer passes through its connector's [`Sound`] before anything is read from
//! it, so that no caller can forget to ask. Each connector has one, in its `sound.rs`: the one place that knows how its service
//! says "gone", "denied" and "failed", whatever the status.

use std::fmt::Debug;

use url::Url;

use crate::http::{Answer, Call, CallError, Effect};

/// The call whose answer is examined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The operation, such as `tickets.get`.
    pub(super) operation: &'static str,
    /// Whether it may have changed something.
    pub(super) effect: Effect,
    /// The address that was asked. Its last segment names the record, where the operation is about one.
    pub(super) url: &'a Url,
}

impl<'a> Asked<'a> {
    pub(super) fn of(call: &'a Call) -> Self {
        Self { operation: call.operation, effect: call.effect, url: &call.url }
    }
}

/// Why an answer of success is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsound {
    /// It is about the caller: anonymous, a log-in page, another tenant.
    Denied(String),
    /// The service failed after it had begun to answer, as with a 5xx.
    Failed(String),
    /// It contradicts itself, lacks what it must hold, or is about another record.
    Malformed(String),
}

/// What an answer with an error status says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// What its status says; for a 404 that is no more than that something was not found.
    AsStated,
    /// The record that was asked for is not there.
    Gone,
    /// It is about the caller, whatever its status.
    Denied(String),
    /// The write was not executed, for a reason that can pass.
    Blocked(String),
    /// The service failed, whatever its status.
    Failed(String),
}

/// What a service's answers mean. Pure.
pub(super) trait Sound: Debug + Send + Sync {
    /// Whether an answer of success is one.
    fn success(&self, asked: &Asked<'_>, answer: &Answer) -> Result<(), Unsound>;

    /// What an answer with an error status is about.
    fn refusal(&self, asked: &Asked<'_>, error: &CallError) -> Meaning;
}
