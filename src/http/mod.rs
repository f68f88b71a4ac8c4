//! What connectors call through: one [`Door`] per system, with its credential, budgets, retries and breaker.
//!
//! The rule that everything here serves: a write leaves at most once. Only a 401 (which the services answer
//! before they execute anything) is followed by one more try, with a renewed token. Everything that leaves
//! room for doubt comes back as [`CallError::Unknown`], and the engine reads before it writes again.

mod assertion;
mod azure_cli;
mod breaker;
mod budget;
mod cache;
mod call;
mod client;
mod credential;
mod decode;
mod door;
mod entra;
mod error;
mod identity;
mod login;
mod pause;
mod queue;
mod reply;
mod retry;
pub mod secret;
mod token;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod door_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod token_tests;

pub use budget::{Budget, Budgets, GRAPH_BUDGETS, SENTINEL_BUDGETS};
pub(crate) use call::Claim;
pub use call::{Answer, Call, CallObserver, Effect, Method, Priority, RequestIds};
pub use client::{ClientOptions, Http, HttpSetupError};
pub use credential::{Credential, CredentialError, token_source};
pub(crate) use decode::is_html;
pub use door::Door;
pub use error::{CallError, CallSite, Evidence, NotSentCause};
pub use login::Login;
pub use pause::Scope;
pub use retry::{RetryPolicy, parse_retry_after};
pub(crate) use retry::{Waits, growing};
pub use token::{Scheme, Token, TokenError, TokenSource};
