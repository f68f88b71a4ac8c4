//! `decide`, the pure three-way merge of a mapping.

mod absorb;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod agreeing_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod alert_tests;
mod alerts;
mod cause;
mod comments;
mod decide;
#[cfg(test)]
mod decide_tests;
pub mod description;
mod joining;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod joining_tests;
mod leaving;
mod marker;
mod merge;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod native_sync_tests;
mod needs;
mod plain;
mod policy;
mod route;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod route_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod ticket_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod verdict_tests;

pub use comments::CopyWish;
pub use decide::{Decision, Observed, Rules, decide};
pub use marker::{Mark, MarkerKey, copy_name};
pub use needs::{Wish, follower_that_lacks, patch_for};
pub use policy::{
    ClosingPolicy, Conflicts, Direction, Filter, Late, NativeSync, Policy, Reopen, SystemPolicy, TicketGone,
    TicketPolicy, is_beginning,
};
pub use route::{Route, derived_record, route};
