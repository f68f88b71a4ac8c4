//! The Request Tracker connector and its emulator against a real Request Tracker.
//!
//! `scripts/real-rt cargo test --test real -- --ignored --test-threads=1` installs, sets up and starts one, and tells
//! the tests by `LOCKSTEP_REAL_RT_*` where it is. Without it they say that they checked nothing.

#![allow(clippy::unwrap_used)]

mod conformance;
mod connector;

use std::env;
use std::io::{Write as _, stderr};
use std::time::Duration;

/// Where the real Request Tracker is, and who may talk to it.
struct Real {
    url: String,
    /// The service user's token.
    lockstep: String,
    /// A person's token, who may also delete tickets.
    ana: String,
    /// The token of a user in another time zone, five hours west.
    traveller: String,
    /// The token of a user who may not set custom fields.
    blind: String,
    /// The token of a user who may open tickets, and not see them.
    unseeing: String,
    /// A program that stops the server and starts it again.
    restart: String,
}

impl Real {
    /// None, with a loud line, where there is no real Request Tracker.
    fn find() -> Option<Self> {
        let of = |name: &str| env::var(format!("LOCKSTEP_REAL_RT_{name}")).ok();
        let found = || {
            Some(Self {
                url: of("URL")?,
                lockstep: of("TOKEN")?,
                ana: of("ANA")?,
                traveller: of("TRAVELLER")?,
                blind: of("BLIND")?,
                unseeing: of("UNSEEING")?,
                restart: of("RESTART")?,
            })
        };
        let found = found();
        if found.is_none() {
            // Not `eprintln`, which is shown of failed tests only.
            let _ = writeln!(
                stderr(),
                "SKIPPED: LOCKSTEP_REAL_RT_* is not set; nothing was checked. Run this by scripts/real-rt"
            );
        }
        found
    }
}

/// A client without lockstep's own rules.
fn client() -> reqwest::Client {
    // A second call finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(Duration::from_mins(1)).build().unwrap()
}
