//! Stand-ins of the remote systems: the token endpoint, Graph security, Sentinel and the ticket systems, over real HTTP
//! on loopback.
//!
//! An emulator must never be kinder than the real service. Limits, refusals, clocks and side effects are those of
//! the published descriptions and of what people reported of real tenants; where nobody knows, the harder reading
//! is taken. One listener serves all prefixes: `/login` (then `/{tenant}/oauth2/v2.0/token`), `/graph` (then
//! `/v1.0/security/...`), `/arm` (then `/subscriptions/...`), and one per ticket system, such as `/jira`.
//!
//! Every effective write is in the [ledger](Emulator::ledger), every request in the [calls](Emulator::calls).
//!
//! ```no_run
//! use lockstep::emulator::{DefenderEdit, Emulator, EmulatorOptions, IncidentSeed};
//!
//! let emulator = Emulator::start(EmulatorOptions::default())?;
//! let id = emulator.add_incident(&IncidentSeed::new("Phishing", "high", 2));
//! emulator.human_defender(id, "ana@example.org", &DefenderEdit::resolve("truePositive", "phishing"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The control interface
//!
//! The same over HTTP, as JSON. It passes by every fault. Errors are `{"error":{"code","message"}}`.
//!
//! | request | body | does |
//! | --- | --- | --- |
//! | `GET /control/state` | | every incident with alerts and comments, and the time |
//! | `GET /control/state/defender/{id}`, `.../sentinel/{name}`, `.../alert/{id}` | | one record |
//! | `GET /control/ledger?after={seq}` | | the [entries](Entry) after that number |
//! | `GET /control/calls`, `DELETE /control/calls` | | `{"counts":{"graph/update-incident":1},"calls":[...]}`, forget them |
//! | `POST /control/defender/incidents` | [`IncidentSeed`] | new incident, `{"id":"4711"}` |
//! | `POST /control/defender/incidents/{id}/alerts` | [`AlertSeed`] | an alert joins it, `{"id"}` |
//! | `POST /control/sentinel/incidents` | [`SentinelSeed`] | new incident, `{"id":"guid"}` |
//! | `POST /control/linked` | `{"defender":`[`IncidentSeed`]`}` | linked pair, `{"defender","sentinel"}` |
//! | `POST /control/defender/incidents/{id}/edit` | `{"by":"upn","edit":`[`DefenderEdit`]`}` | a person's edit |
//! | `POST /control/defender/alerts/{id}/edit` | `{"by","edit":`[`AlertEdit`]`}` | a person's edit |
//! | `POST /control/sentinel/incidents/{name}/edit` | `{"by","edit":`[`SentinelEdit`]`}` | a person's edit |
//! | `DELETE /control/defender/incidents/{id}`, `.../sentinel/incidents/{name}` | | gone: reads answer 404 |
//! | `GET /control/state/{ticket system}`, `.../{id}` | | its tickets, or one |
//! | `POST /control/{ticket system}/tickets` | `{"by","edit"}` | somebody opens a ticket, `{"id"}` |
//! | `POST /control/{ticket system}/tickets/{id}/edit` | `{"by","edit"}` | a person's edit, in the system's own words |
//! | `PATCH /control/{ticket system}/settings` | | its lasting imperfections |
//! | `POST /control/defender/merge` | `{"by","source":1,"target":2}` | merges source into target |
//! | `GET`, `POST`, `DELETE /control/faults` | [`Fault`] | those in force, one more, none |
//! | `GET`, `PATCH /control/settings` | members of [`Settings`] | outages, list lag, quota, strictness |
//! | `GET`, `PUT /control/native-sync` | [`NativeSync`] | Microsoft's own connector |
//! | `GET /control/clock`, `POST /control/clock/advance` | `{"seconds":60}` | the emulator's time |
//! | `POST /control/tokens/revoke` | | every token issued so far is expired |

mod clock;
mod control;
mod desk;
mod faults;
mod graph;
mod jira;
mod ledger;
mod login;
mod malformed;
mod native_sync;
mod native_values;
mod odata;
mod oddity;
mod options;
mod quota;
mod request_tracker;
mod sentinel;
mod serve;
mod servicenow;
mod settings;
mod thehive;
mod versions;
mod wire;
mod world;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod graph_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod login_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod native_sync_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod odata_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sentinel_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;

pub use clock::Clock;
pub use faults::{Fault, FaultKind, RetryAfter, When};
pub use graph::{AlertEdit, AlertFacts, AlertSeed, DefenderEdit, IncidentSeed};
pub use ledger::{Api, Call, Change, Entry, Kind, System, What};
pub use malformed::Malformed;
pub use oddity::Oddity;
pub use options::{App, CLIENT_ID, CLIENT_SECRET, EmulatorOptions, NativeSync, SentinelRole, TENANT};
pub use sentinel::{SentinelEdit, SentinelSeed};
pub use settings::{LoginRefusal, Missing, Outage, Settings};

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use ledger::Actor;
use serve::{Delivery, Server};
use wire::{Refusal, Reply, Request};
use world::World;

/// A person's edit that the product would not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the emulator refuses the edit of {record}: {message}")]
pub struct EditRefused {
    /// Which record.
    pub record: String,
    /// The API's words.
    pub message: String,
}

/// The world behind its lock.
struct Shared(Mutex<World>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world, with everything done that is due.
    fn present(&self) -> MutexGuard<'_, World> {
        let mut world = self.lock();
        world.catch_up();
        world
    }

    async fn answer(&self, request: &Request) -> (Reply, Delivery) {
        if request.path.first().is_some_and(|first| first == "control") {
            return (self.lock().control(request), Delivery::default());
        }
        let plan = self.present().plan(request);
        if plan.latency_millis > 0 {
            tokio::time::sleep(Duration::from_millis(plan.latency_millis)).await;
        }
        self.lock().answer(request, &plan)
    }
}

/// Running stand-ins. They live on a thread of their own and stop when this is dropped.
pub struct Emulator {
    shared: Arc<Shared>,
    server: Server,
}

impl Emulator {
    /// Starts listening; requests can be sent as soon as this returns. Fails if the address cannot be taken.
    pub fn start(options: EmulatorOptions) -> io::Result<Self> {
        let listen = options.listen;
        let shared = Arc::new(Shared(Mutex::new(World::new(options))));
        let server = Server::start(listen, Arc::clone(&shared))?;
        shared.lock().base_url = format!("http://{}", server.addr);
        Ok(Self { shared, server })
    }

    /// Answers a request without a network, for tests whose clock does not pass by itself.
    #[cfg(test)]
    pub(crate) fn answer_in_process(&self, request: &reqwest::Request) -> reqwest::Response {
        serve::in_process(&self.shared, request)
    }

    /// Stops; open connections are closed.
    pub fn stop(mut self) {
        self.server.stop();
    }

    /// The root, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// For `authority_url`.
    pub fn login_url(&self) -> String {
        format!("{}/login", self.url())
    }

    /// For `graph_url`.
    pub fn graph_url(&self) -> String {
        format!("{}/graph", self.url())
    }

    /// For `arm_url`.
    pub fn arm_url(&self) -> String {
        format!("{}/arm", self.url())
    }

    /// Every write so far, ineffective ones included, in order.
    pub fn ledger(&self) -> Vec<Entry> {
        self.shared.present().ledger.entries().to_vec()
    }

    /// Requests per operation, such as `graph/update-incident`, since the last reset.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.present().ledger.counts().clone()
    }

    /// The latest requests one by one, at most 10,000.
    pub fn call_log(&self) -> Vec<Call> {
        self.shared.present().ledger.calls()
    }

    /// Begins counting anew.
    pub fn reset_calls(&self) {
        self.shared.lock().ledger.reset_calls();
    }

    /// A new Defender incident; returns its id.
    pub fn add_incident(&self, seed: &IncidentSeed) -> u64 {
        self.shared.present().create_defender(seed)
    }

    /// A new alert joins a Defender incident; returns its id.
    pub fn add_alert(&self, incident: u64, seed: &AlertSeed) -> Result<String, EditRefused> {
        let joined = self.shared.present().join_alert(incident, seed);
        joined.map_err(|refusal| refused(format!("defender incident {incident}"), &refusal))
    }

    /// A new Sentinel incident; returns its name (a GUID). With `provider_incident_id` it is a Defender
    /// incident's twin.
    pub fn add_sentinel_incident(&self, seed: &SentinelSeed) -> String {
        self.shared.present().create_sentinel(seed, &Actor::Service)
    }

    /// A Defender incident with its Sentinel twin, in agreement; returns both ids.
    pub fn add_linked(&self, seed: &IncidentSeed) -> (u64, String) {
        self.shared.present().create_linked(seed)
    }

    /// A person edits a Defender incident in the portal.
    pub fn human_defender(&self, id: u64, by: &str, edit: &DefenderEdit) -> Result<(), EditRefused> {
        let done = self.shared.present().edit_defender(id, edit, &Actor::Human(by.to_owned()));
        done.map_err(|refusal| refused(format!("defender incident {id}"), &refusal))
    }

    /// A person edits a Defender alert in the portal.
    pub fn human_alert(&self, id: &str, by: &str, edit: &AlertEdit) -> Result<(), EditRefused> {
        let done = self.shared.present().edit_alert(id, edit, &Actor::Human(by.to_owned()));
        done.map_err(|refusal| refused(format!("defender alert {id}"), &refusal))
    }

    /// A person edits a Sentinel incident in the portal.
    pub fn human_sentinel(&self, name: &str, by: &str, edit: &SentinelEdit) -> Result<(), EditRefused> {
        let done = self.shared.present().edit_sentinel(name, edit, &Actor::Human(by.to_owned()));
        done.map_err(|refusal| refused(format!("sentinel incident {name}"), &refusal))
    }

    /// One Defender incident is merged into another.
    pub fn merge(&self, source: u64, target: u64, by: &str) -> Result<(), EditRefused> {
        let done = self.shared.present().merge_defender(source, target, &Actor::Human(by.to_owned()));
        done.map_err(|refusal| refused(format!("defender incident {source}"), &refusal))
    }

    /// A Defender incident and its alerts are past their retention: reads answer 404 from now on.
    pub fn forget_defender(&self, id: u64) {
        self.shared.present().forget_defender(id);
    }

    /// A Sentinel incident was deleted: reads answer 404 from now on.
    pub fn forget_sentinel(&self, name: &str) {
        self.shared.present().forget_sentinel(name);
    }

    /// A Defender incident as Graph shows it, with its alerts under `alerts`.
    pub fn defender_incident(&self, id: u64) -> Option<Value> {
        self.shared.present().defender_state(id)
    }

    /// A Defender alert as Graph shows it.
    pub fn defender_alert(&self, id: &str) -> Option<Value> {
        let world = self.shared.present();
        world.defender.alert(id).map(|alert| alert.json(&world.options.tenant_id, true))
    }

    /// A Sentinel incident as Azure Resource Manager shows it, with `comments` and `alerts` beside `properties`.
    pub fn sentinel_incident(&self, name: &str) -> Option<Value> {
        self.shared.present().sentinel_state(name)
    }

    /// The name of a Defender incident's Sentinel twin.
    pub fn sentinel_twin(&self, defender: u64) -> Option<String> {
        self.shared.present().sentinel.twin(defender)
    }

    /// The root of a ticket system, for its `url`.
    pub fn ticket_url(&self, system: System) -> String {
        format!("{}/{}", self.url(), system.as_str())
    }

    /// A ticket that somebody opens; returns its id. `seed` is in the system's own words (see its folder).
    pub fn open_ticket(&self, system: System, by: &str, seed: &Value) -> Result<String, EditRefused> {
        let actor = Actor::Human(by.to_owned());
        let opened = self.shared.present().at_desk(system, |desk, around| desk.open(seed, &actor, around));
        opened.map_err(|refusal| refused(format!("a ticket of {}", system.as_str()), &refusal))
    }

    /// A person edits a ticket. `edit` is in the system's own words (see its folder).
    pub fn human_ticket(&self, system: System, id: &str, by: &str, edit: &Value) -> Result<(), EditRefused> {
        let actor = Actor::Human(by.to_owned());
        let done = self.shared.present().at_desk(system, |desk, around| desk.edit(id, edit, &actor, around));
        done.map_err(|refusal| refused(format!("{} ticket {id}", system.as_str()), &refusal))
    }

    /// A ticket in full, as its system shows it, with `comments`.
    pub fn ticket(&self, system: System, id: &str) -> Option<Value> {
        self.shared.present().desks.get(&system)?.ticket(id)
    }

    /// The ids of a system's tickets, oldest first.
    pub fn tickets(&self, system: System) -> Vec<String> {
        self.shared.present().desks.get(&system).map(|desk| desk.ids()).unwrap_or_default()
    }

    /// Changes a ticket system's lasting imperfections; the members are its own.
    pub fn set_ticketing(&self, system: System, settings: &Value) -> Result<(), String> {
        self.shared.present().at_desk(system, |desk, _| desk.set(settings))
    }

    /// One more fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.lock().faults.add(fault);
    }

    /// No faults any more. Settings stay.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// The lasting imperfections.
    pub fn settings(&self) -> Settings {
        self.shared.lock().settings.clone()
    }

    /// Changes the lasting imperfections; quota windows begin anew.
    pub fn set_settings(&self, settings: Settings) {
        let mut world = self.shared.present();
        world.settings = settings;
        world.quota.reset();
    }

    /// Changes Microsoft's own connector. Incidents that exist already get no twin by switching it on.
    pub fn set_native_sync(&self, native: NativeSync) {
        self.shared.present().native = native;
    }

    /// Changes that native sync and fan-out have yet to carry out.
    pub fn pending(&self) -> usize {
        self.shared.present().agenda.len()
    }

    /// Every token issued so far is expired.
    pub fn revoke_tokens(&self) {
        let mut world = self.shared.present();
        let now = world.instant;
        world.tokens.revoke(now);
    }

    /// The emulator's time (UTC).
    pub fn now(&self) -> Timestamp {
        self.shared.present().instant
    }

    /// Moves the emulator's time forward; what is due meanwhile happens.
    pub fn advance(&self, seconds: f64) {
        let mut world = self.shared.lock();
        world.time.advance(seconds);
        world.catch_up();
    }
}

fn refused(record: String, refusal: &Refusal) -> EditRefused {
    EditRefused { record, message: format!("{}: {}", refusal.code, refusal.message) }
}
