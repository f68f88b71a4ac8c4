//! What lockstep believes: every operation of every connector is given every answer that proves nothing, and nothing may be
//! concluded from it.
//!
//! A cell is an operation and an answer. The real worker follows three systems over real HTTP; the operation is answered like
//! that for longer than `settle`, while people close records on every side, comment, and an incident appears; then the answers
//! are sound again. The verdict comes from the emulators' ledger and from the store: no record left its mapping, every change
//! arrived, once, every incident has one ticket, nothing was given up, and while it lasted the metrics said so.
//!
//! Which operations there are is seen in a rehearsal without faults, so a new call of a connector brings its cells along.
//! `BELIEF=tickets.find/html` runs the cells whose name contains one of these words, separated by commas.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test binary")]

mod answers;
mod cell;
#[allow(dead_code, reason = "shared with the suite of the ticket systems, which uses more of it")]
#[path = "../ticketing/desks.rs"]
mod desks;
mod scene;
mod sidecar;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod targets;
mod worker;

use targets::Target;

/// One table per system.
macro_rules! tables {
    ($($name:ident: $target:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            table::fill(&Target::$target());
        })+
    };
}

tables! {
    entra: login,
    defender: defender,
    sentinel: sentinel,
    servicenow: servicenow,
    jira_cloud: jira_cloud,
    jira_data_center: jira_data_center,
    request_tracker: request_tracker,
    thehive: thehive,
}
