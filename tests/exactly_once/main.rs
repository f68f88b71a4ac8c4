//! Exactly once, judged by the emulators' ledger: the real binary over real HTTP, killed, cut off and lied to.

#![allow(clippy::unwrap_used)]

mod adoption;
mod belief;
mod closes;
mod cost;
mod crashes;
mod faults;
mod hints;
mod native;
mod operators;
mod owners;
mod rig;
#[path = "../support/mod.rs"]
mod support;
