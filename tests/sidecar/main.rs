//! Exactly once through the sidecar's mailbox: the real binary, killed at will, between the emulators of Defender and
//! Sentinel and an adapter that repeats itself, dies and stays away.

#![allow(clippy::unwrap_used)]

mod client;
mod closes;
mod crashes;
mod rig;
#[path = "../support/mod.rs"]
mod support;
