//! A ticket system as the emulator sees it. Each lives in a folder of its own; what they share is here: faults,
//! outages, the clock, the ledger and the control interface.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::faults::Plan;
use super::ledger::{Actor, Api, Kind, Ledger, System, What};
use super::options::CLIENT_SECRET;
use super::wire::{Body, Refusal, Reply, Request};

/// The service user of every ticket system, and the id of its OAuth client. Password, token and client secret are all
/// [`CLIENT_SECRET`].
pub(super) const USER: &str = "lockstep";

/// The service user, as the one who writes.
pub(super) fn service_user() -> Actor {
    Actor::App(USER.to_owned())
}

/// Whether a request bears the service user's password.
pub(super) fn has_password(request: &Request) -> bool {
    let pair = STANDARD.encode(format!("{USER}:{CLIENT_SECRET}"));
    request.header("authorization").and_then(|header| header.strip_prefix("Basic ")) == Some(pair.as_str())
}

/// Whether a tag or label is one of lockstep's own, which the common words leave out.
pub(super) fn is_own_tag(tag: &str) -> bool {
    tag.strip_prefix(USER).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
}

/// What a ticket system is told and lent for the time of one request or edit.
pub(super) struct Surroundings<'a> {
    /// The time of the request.
    pub(super) now: Timestamp,
    /// Where effective writes go.
    pub(super) ledger: &'a mut Ledger,
    /// The emulator's root, such as `http://127.0.0.1:40123`; the system's own is below its name.
    pub(super) base_url: &'a str,
}

impl Surroundings<'_> {
    /// Notes what a write did to a ticket.
    pub(super) fn note(&mut self, system: System, id: &str, actor: &Actor, what: What) {
        self.ledger.record(self.now, (system, Kind::Ticket, id), actor, what);
    }
}

/// One ticket system.
pub(super) trait Desk: Send {
    /// The name of a request's operation, for faults and counts, such as `update-ticket`. `path` is what follows the
    /// system's prefix, decoded; some systems tell operations apart by query or body only.
    fn operation(&self, request: &Request, path: &[&str]) -> &'static str;

    /// Carries a request out. Drops, delays, throttling, errors before and after, and spoilt answers are dealt with
    /// outside; `plan` is for faults that the system must know of, such as a stale read.
    fn answer(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        around: &mut Surroundings<'_>,
    ) -> Reply;

    /// An error of this status in the form of the system, for outages and faults (429 without `Retry-After`, which is
    /// added).
    fn failure(&self, status: u16) -> Reply;

    /// The body with which the system reports an error although its status says success.
    fn error_body(&self) -> Value {
        match self.failure(500).body {
            Body::Json(value) => value,
            Body::Empty | Body::Raw(..) => json!({ "error": "the request failed" }),
        }
    }

    /// A ticket that people or other programs open; returns its id. `seed` is in the system's own words.
    fn open(&mut self, seed: &Value, actor: &Actor, around: &mut Surroundings<'_>)
    -> Result<String, Refusal>;

    /// What a person does to a ticket. `edit` is in the system's own words; each system's folder says which.
    fn edit(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal>;

    /// A ticket as its system shows it in full, comments included (under `comments`, oldest first, each with `text`
    /// and `author`).
    fn ticket(&self, id: &str) -> Option<Value>;

    /// The ids of all tickets, oldest first, deleted ones left out.
    fn ids(&self) -> Vec<String>;

    /// Changes the system's lasting imperfections; members are the system's own. An unknown one is an error.
    fn set(&mut self, settings: &Value) -> Result<(), String>;

    /// What happens by itself as time goes by (auto-close, indexing). Called before each request and edit.
    fn catch_up(&mut self, _around: &mut Surroundings<'_>) {}
}

/// The ticket systems there are.
pub(super) type Desks = BTreeMap<System, Box<dyn Desk>>;

/// All of them, empty.
pub(super) fn all() -> Desks {
    BTreeMap::from([
        (System::ServiceNow, Box::new(super::servicenow::ServiceNow::default()) as Box<dyn Desk>),
        (System::Jira, Box::new(super::jira::Jira::default())),
        (System::RequestTracker, Box::new(super::request_tracker::RequestTracker::default())),
        (System::TheHive, Box::new(super::thehive::TheHive::default())),
    ])
}

/// The API in front of a ticket system.
pub(super) fn api(system: System) -> Api {
    match system {
        System::ServiceNow => Api::ServiceNow,
        System::Jira => Api::Jira,
        System::RequestTracker => Api::RequestTracker,
        System::TheHive => Api::TheHive,
        System::Defender => Api::Graph,
        System::Sentinel => Api::Sentinel,
    }
}

/// The ticket system of a path's first segment.
pub(super) fn named(word: &str) -> Option<System> {
    System::TICKETING.into_iter().find(|system| system.as_str() == word)
}
