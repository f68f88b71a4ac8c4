//! Deterministic simulation of the real worker under a virtual clock: one seed is one history.
//!
//! ```text
//! plan        what happens, and which calls fail how: data, drawn from the seed
//! scene       the bridge it is played on: one of ours, or of a configuration
//! history, operators, rest
//!             plays a plan: the real worker (engine::Stepped), step by step, until everything rests
//! world, cases, people, native, mishap
//!             the incidents, the services' people, Microsoft's own sync, and what goes wrong
//! remote, alerts, showing, habits, vocabulary
//!             one service: its records, what it shows of them, how it behaves, its words
//! log, doubt  what really changed, and what the worker cannot know
//! connector, writing, store
//!             what the worker meets instead of HTTP and disk
//! judge       whether everybody got what is promised
//! campaign    many of them, on several threads
//! shrink      the smallest part of a plan that still breaks something
//! ```
//!
//! The worker is the one that runs in production: its lists, routing, lanes, decisions, deliveries and commits. Only the
//! connectors and the disk are models.

mod alerts;
mod campaign;
mod cases;
mod connector;
mod doubt;
mod habits;
mod history;
mod judge;
mod log;
mod mishap;
mod native;
mod operators;
mod people;
mod plan;
mod remote;
mod rest;
mod scene;
mod showing;
mod shrink;
mod store;
mod vocabulary;
mod world;
mod writing;

pub use campaign::{Campaign, Tally};
pub use history::{Outcome, play};
pub use judge::Violation;
pub use plan::{Act, Plan};
pub use scene::{Scene, Scenes};
pub use shrink::shrink;

/// The time driver that some of the worker's waits want to see, though nothing ever waits here. Held while histories
/// are played on a thread.
pub fn driver() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod planted_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
