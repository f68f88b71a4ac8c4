//! The emulator's own HTTP interface. Requests here pass by every fault. See the room's documentation.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::desk::Desk;
use super::faults::Fault;
use super::graph::{AlertEdit, AlertSeed, DefenderEdit, IncidentSeed};
use super::ledger::{Actor, Kind, System, What};
use super::options::NativeSync;
use super::sentinel::{SentinelEdit, SentinelSeed};
use super::settings::merged;
use super::wire::{Refusal, Reply, Request};
use super::world::World;

/// An edit and who makes it.
#[derive(Deserialize)]
struct By<T> {
    #[serde(default = "somebody")]
    by: String,
    edit: T,
}

fn somebody() -> String {
    "analyst@example.org".to_owned()
}

#[derive(Deserialize)]
struct Merge {
    #[serde(default = "somebody")]
    by: String,
    source: u64,
    target: u64,
}

#[derive(Deserialize)]
struct Advance {
    seconds: f64,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Linked {
    defender: IncidentSeed,
}

impl World {
    /// Answers a request below `/control`.
    pub(super) fn control(&mut self, request: &Request) -> Reply {
        self.catch_up();
        let path: Vec<&str> = request.path.iter().skip(1).map(String::as_str).collect();
        let answer = match request.method.as_str() {
            "GET" => self.control_get(request, &path),
            "POST" => self.control_post(request, &path),
            _ => self.control_other(request, &path),
        };
        answer.unwrap_or_else(|refusal| refusal.reply())
    }

    fn control_get(&mut self, request: &Request, path: &[&str]) -> Result<Reply, Refusal> {
        let value = match path {
            ["state"] => self.whole_state(),
            ["state", "defender", id] => self.defender_state(number(id)?).ok_or_else(|| unknown(id))?,
            ["state", "alert", id] => {
                let tenant = &self.options.tenant_id;
                self.defender.alert(id).map(|alert| alert.json(tenant, true)).ok_or_else(|| unknown(id))?
            }
            ["state", "sentinel", id] => self.sentinel_state(id).ok_or_else(|| unknown(id))?,
            ["state", system] => {
                let system = ticketing(system)?;
                let tickets = |desk: &dyn Desk| desk.ids().iter().filter_map(|id| desk.ticket(id)).collect();
                self.desks.get(&system).map_or(Value::Null, |desk| tickets(&**desk))
            }
            ["state", system, id] => {
                let desk = self.desks.get(&ticketing(system)?);
                desk.and_then(|desk| desk.ticket(id)).ok_or_else(|| unknown(id))?
            }
            ["ledger"] => {
                let after = request.option("after").map_or(Ok(0), number)?;
                self.ledger
                    .entries()
                    .iter()
                    .filter(|entry| entry.seq > after)
                    .map(|entry| json!(entry))
                    .collect()
            }
            ["calls"] => json!({ "counts": self.ledger.counts(), "calls": self.ledger.calls() }),
            ["faults"] => json!(self.faults.list()),
            ["settings"] => json!(self.settings),
            ["native-sync"] => json!(self.native),
            ["clock"] => json!({ "now": self.instant, "waiting": self.agenda.len() }),
            _ => return Err(no_endpoint(request)),
        };
        Ok(Reply::json(200, value))
    }

    fn control_post(&mut self, request: &Request, path: &[&str]) -> Result<Reply, Refusal> {
        let done = match path {
            ["defender", "incidents"] => json!({ "id": self.create_defender(&body(request)?).to_string() }),
            ["sentinel", "incidents"] => {
                let seed: SentinelSeed = body(request)?;
                json!({ "id": self.create_sentinel(&seed, &Actor::Service) })
            }
            ["linked"] => {
                let seed: Linked = body(request)?;
                let (defender, sentinel) = self.create_linked(&seed.defender);
                json!({ "defender": defender.to_string(), "sentinel": sentinel })
            }
            ["defender", "incidents", id, "alerts"] => {
                let seed: AlertSeed = body(request)?;
                json!({ "id": self.join_alert(number(id)?, &seed)? })
            }
            [system, "tickets"] => {
                let by: By<Value> = body(request)?;
                let (system, actor) = (ticketing(system)?, Actor::Human(by.by));
                json!({ "id": self.at_desk(system, |desk, around| desk.open(&by.edit, &actor, around))? })
            }
            [.., "edit"] | ["defender", "merge"] => self.control_edit(request, path)?,
            ["faults"] => {
                let fault: Fault = body(request)?;
                self.faults.add(fault);
                json!({})
            }
            ["clock", "advance"] => {
                let advance: Advance = body(request)?;
                self.time.advance(advance.seconds);
                self.catch_up();
                json!({ "now": self.instant })
            }
            ["tokens", "revoke"] => {
                self.tokens.revoke(self.instant);
                json!({})
            }
            _ => return Err(no_endpoint(request)),
        };
        Ok(Reply::json(200, done))
    }

    /// What a person does in a portal.
    fn control_edit(&mut self, request: &Request, path: &[&str]) -> Result<Value, Refusal> {
        match path {
            ["defender", "incidents", id, "edit"] => {
                let by: By<DefenderEdit> = body(request)?;
                self.edit_defender(number(id)?, &by.edit, &Actor::Human(by.by))?;
            }
            ["defender", "alerts", id, "edit"] => {
                let by: By<AlertEdit> = body(request)?;
                self.edit_alert(id, &by.edit, &Actor::Human(by.by))?;
            }
            ["sentinel", "incidents", id, "edit"] => {
                let by: By<SentinelEdit> = body(request)?;
                self.edit_sentinel(id, &by.edit, &Actor::Human(by.by))?;
            }
            [system, "tickets", id, "edit"] => {
                let by: By<Value> = body(request)?;
                let (system, actor) = (ticketing(system)?, Actor::Human(by.by));
                self.at_desk(system, |desk, around| desk.edit(id, &by.edit, &actor, around))?;
            }
            ["defender", "merge"] => {
                let merge: Merge = body(request)?;
                self.merge_defender(merge.source, merge.target, &Actor::Human(merge.by))?;
            }
            _ => return Err(no_endpoint(request)),
        }
        Ok(json!({}))
    }

    fn control_other(&mut self, request: &Request, path: &[&str]) -> Result<Reply, Refusal> {
        match (request.method.as_str(), path) {
            ("DELETE", ["calls"]) => self.ledger.reset_calls(),
            ("DELETE", ["faults"]) => self.faults.clear(),
            ("DELETE", ["defender", "incidents", id]) => self.forget_defender(number(id)?),
            ("DELETE", ["sentinel", "incidents", name]) => self.forget_sentinel(name),
            ("PATCH", [system, "settings"]) => {
                let (system, members) = (ticketing(system)?, body::<Value>(request)?);
                self.at_desk(system, |desk, _| desk.set(&members)).map_err(Refusal::bad_request)?;
            }
            ("PATCH", ["settings"]) => {
                let members: Value = body(request)?;
                self.settings = merged(&self.settings, &members).map_err(Refusal::bad_request)?;
                self.quota.reset();
            }
            ("PUT", ["native-sync"]) => self.native = body::<NativeSync>(request)?,
            _ => return Err(no_endpoint(request)),
        }
        Ok(Reply::json(200, json!({})))
    }

    /// An incident and its alerts are past their retention and gone.
    pub(super) fn forget_defender(&mut self, id: u64) {
        if let Some(versions) = self.defender.incidents.remove(&id) {
            for alert in &versions.current().alerts {
                self.defender.alerts.remove(alert);
            }
            let record = (System::Defender, Kind::Incident, &*id.to_string());
            self.ledger.record(self.instant, record, &Actor::Service, What::Deleted);
        }
    }

    /// An incident is gone.
    pub(super) fn forget_sentinel(&mut self, name: &str) {
        if self.sentinel.incidents.remove(&name.to_lowercase()).is_some() {
            let record = (System::Sentinel, Kind::Incident, name);
            self.ledger.record(self.instant, record, &Actor::Service, What::Deleted);
        }
    }

    /// A Defender incident and its Sentinel twin, in agreement.
    pub(super) fn create_linked(&mut self, seed: &IncidentSeed) -> (u64, String) {
        let id = self.create_defender(seed);
        (id, self.create_twin(id))
    }

    /// An incident as Graph shows it, with its alerts.
    pub(super) fn defender_state(&self, id: u64) -> Option<Value> {
        let incident = self.defender.incident(id)?;
        let tenant = &self.options.tenant_id;
        let mut value = incident.json(tenant, true);
        let alerts = incident.alerts.iter().filter_map(|id| self.defender.alert(id));
        value["alerts"] = alerts.map(|alert| alert.json(tenant, true)).collect();
        Some(value)
    }

    /// An incident as Azure Resource Manager shows it, with its comments and alerts.
    pub(super) fn sentinel_state(&self, name: &str) -> Option<Value> {
        let incident = self.sentinel.incident(name)?;
        Some(incident.whole(&self.own_place(), &self.options.tenant_id))
    }

    fn whole_state(&self) -> Value {
        let defender: Value =
            self.defender.incidents.keys().filter_map(|id| self.defender_state(*id)).collect();
        let sentinel: Value =
            self.sentinel.incidents.keys().filter_map(|name| self.sentinel_state(name)).collect();
        json!({ "now": self.instant, "defender": defender, "sentinel": sentinel })
    }
}

/// The body as JSON, whatever its content type; an empty body is an empty object.
fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    let bytes: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}")))
}

fn ticketing(word: &str) -> Result<System, Refusal> {
    super::desk::named(word).ok_or_else(|| unknown(word))
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is no number")))
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(404, "NotFound", format!("there is no record `{id}`"))
}

fn no_endpoint(request: &Request) -> Refusal {
    let text = format!("there is no `{} /{}`", request.method, request.path.join("/"));
    Refusal::new(404, "NotFound", text)
}
