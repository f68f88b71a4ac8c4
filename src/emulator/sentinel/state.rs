//! What happens to Sentinel's records: incidents, comments, etags, times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::clock::{next_step, seven, to_steps};
use super::super::ledger::{Actor, Change, Kind, System, What, changes, outcome};
use super::super::versions::Versions;
use super::super::wire::Refusal;
use super::super::world::World;
use super::edit::SentinelEdit;
use super::record::{Alert, Comment, Incident, Owner, Place, object_id};

/// Characters a comment may have, and comments an incident may have (`sentinel.md` 2.1).
const COMMENT_LIMIT: usize = 30_000;
const COMMENTS_LIMIT: usize = 100;

/// A Sentinel incident to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SentinelSeed {
    /// The title.
    pub title: String,
    /// `High`, `Medium`, `Low` or `Informational`.
    pub severity: String,
    /// `New`, `Active` or `Closed`.
    pub status: String,
    /// The owner's user principal name.
    pub owner: Option<String>,
    /// The labels.
    pub labels: Vec<String>,
    /// The Defender incident it is the twin of; its alerts are taken over, and the provider is `Microsoft XDR`.
    pub provider_incident_id: Option<u64>,
    /// Ids of Defender alerts that a standalone connector brought here (`sentinel.md` 4).
    pub defender_alerts: Vec<String>,
}

impl Default for SentinelSeed {
    fn default() -> Self {
        Self {
            title: "Suspicious sign-in".to_owned(),
            severity: "Medium".to_owned(),
            status: "New".to_owned(),
            owner: None,
            labels: Vec::new(),
            provider_incident_id: None,
            defender_alerts: Vec::new(),
        }
    }
}

impl SentinelSeed {
    /// A new incident of this title and severity.
    pub fn new(title: &str, severity: &str) -> Self {
        Self { title: title.to_owned(), severity: severity.to_owned(), ..Self::default() }
    }
}

/// All of Sentinel.
#[derive(Debug)]
pub(in super::super) struct Sentinel {
    /// By name in lower case.
    pub(in super::super) incidents: BTreeMap<String, Versions<Incident>>,
    next_number: u32,
    writes: u32,
}

impl Default for Sentinel {
    fn default() -> Self {
        Self { incidents: BTreeMap::new(), next_number: 4182, writes: 0 }
    }
}

impl Sentinel {
    /// By name in any case.
    pub(in super::super) fn incident(&self, name: &str) -> Option<&Incident> {
        self.incidents.get(&name.to_lowercase()).map(Versions::current)
    }

    /// Name of the twin of a Defender incident.
    pub(in super::super) fn twin(&self, defender: u64) -> Option<String> {
        let mut all = self.incidents.values().map(Versions::current);
        all.find(|incident| incident.defender == Some(defender)).map(|incident| incident.name.clone())
    }

    /// A value like `"a400d2c1-0000-0d00-0000-68f1c2aa0000"`, never the same twice.
    fn next_etag(&mut self, at: Timestamp) -> String {
        self.writes += 1;
        let scattered = self.writes.wrapping_mul(0x9E37_79B1);
        format!("{scattered:08x}-0000-0d00-0000-{:08x}0000", at.as_second() & 0xFFFF_FFFF)
    }
}

pub(super) fn no_incident(name: &str) -> Refusal {
    Refusal::new(404, "NotFound", format!("Incident {name} does not exist"))
}

impl Incident {
    /// Adds a comment, or gives the one of the same id another text.
    fn put_comment(&mut self, comment: Comment) -> Result<What, Refusal> {
        let Comment { id, text, .. } = comment.clone();
        let is_full = self.comments.len() >= COMMENTS_LIMIT;
        match self.comments.iter_mut().find(|known| known.id.eq_ignore_ascii_case(&id)) {
            Some(known) if known.text == text => Ok(What::Ineffective),
            Some(known) => {
                known.text.clone_from(&text);
                (known.modified, known.etag) = (comment.modified, comment.etag);
                Ok(What::CommentEdited { comment: id, text })
            }
            None if is_full => {
                let text = format!("The incident has reached the limit of {COMMENTS_LIMIT} comments.");
                Err(Refusal::bad_request(text))
            }
            None => {
                self.comments.push(comment);
                Ok(What::Commented { comment: Some(id), text })
            }
        }
    }
}

impl World {
    /// A new incident that is in no list yet.
    pub(in super::super) fn blank_sentinel(&mut self, name: &str) -> Incident {
        let number = self.sentinel.next_number;
        let now = to_steps(self.instant);
        let provider = if self.settings.onboarded { "Microsoft XDR" } else { "Azure Sentinel" };
        Incident {
            name: name.to_owned(),
            number,
            etag: String::new(),
            title: String::new(),
            description: None,
            severity: String::new(),
            status: String::new(),
            classification: None,
            reason: None,
            closing_comment: None,
            owner: Owner::default(),
            labels: Vec::new(),
            first_activity: None,
            last_activity: None,
            created: now,
            modified: now,
            provider: provider.to_owned(),
            defender: None,
            alerts: Vec::new(),
            comments: Vec::new(),
        }
    }

    /// Puts a new incident in place.
    pub(in super::super) fn insert_sentinel(&mut self, mut incident: Incident, actor: &Actor) {
        self.sentinel.next_number += 1;
        incident.etag = format!("\"{}\"", self.sentinel.next_etag(self.instant));
        let name = incident.name.clone();
        self.sentinel.incidents.insert(name.to_lowercase(), Versions::new(self.instant, incident));
        self.note_sentinel(&name, actor, What::Created);
    }

    /// A new incident from a seed.
    pub(in super::super) fn create_sentinel(&mut self, seed: &SentinelSeed, actor: &Actor) -> String {
        let name =
            Uuid::new_v5(&Uuid::NAMESPACE_URL, self.sentinel.next_number.to_string().as_bytes()).to_string();
        let mut incident = self.blank_sentinel(&name);
        incident.title.clone_from(&seed.title);
        incident.severity.clone_from(&seed.severity);
        incident.status.clone_from(&seed.status);
        if seed.status == "Closed" {
            incident.classification = Some("Undetermined".to_owned());
        }
        incident.owner = Owner::user(seed.owner.as_deref());
        incident.labels.clone_from(&seed.labels);
        incident.first_activity = Some(seven(self.instant));
        incident.last_activity = Some(seven(self.instant));
        let mut alerts = seed.defender_alerts.clone();
        if let Some(id) = seed.provider_incident_id {
            "Microsoft XDR".clone_into(&mut incident.provider);
            incident.defender = Some(id);
            alerts.extend(self.defender.incident(id).map(|twin| twin.alerts.clone()).unwrap_or_default());
        } else {
            incident.description = Some("Made by an analytics rule.".to_owned());
        }
        incident.alerts = alerts.iter().filter_map(|id| self.copied_alert(id)).collect();
        self.insert_sentinel(incident, actor);
        name
    }

    /// A Defender alert as Sentinel holds it: an id of its own, joined by the provider's id.
    pub(in super::super) fn copied_alert(&self, id: &str) -> Option<Alert> {
        let alert = self.defender.alert(id)?;
        let mut severity = alert.severity.clone();
        if let Some(first) = severity.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        Some(Alert {
            id: object_id(&alert.id),
            provider_id: alert.provider_id.clone(),
            title: alert.title.clone(),
            product: alert.product().to_owned(),
            severity,
            at: alert.created,
            facts: alert.facts.clone(),
        })
    }

    /// A person's edit in the portal.
    pub(in super::super) fn edit_sentinel(
        &mut self,
        name: &str,
        edit: &SentinelEdit,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let current = self.sentinel.incident(name).ok_or_else(|| no_incident(name))?;
        let only_comment = *edit == SentinelEdit { comment: edit.comment.clone(), ..SentinelEdit::default() };
        let next = edit.applied(current)?;
        if !only_comment || edit.comment.is_none() {
            self.save_sentinel(next, actor);
        }
        if let Some(text) = &edit.comment {
            let id = format!("{}-{}", name, self.sentinel.writes);
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string();
            let author = self.client_info(actor);
            self.put_comment(name, &id, text, (author, actor))?;
        }
        Ok(())
    }

    /// Adds a comment or changes its text. True if it is new.
    pub(in super::super) fn put_comment(
        &mut self,
        name: &str,
        id: &str,
        text: &str,
        (author, actor): (Value, &Actor),
    ) -> Result<bool, Refusal> {
        let mut next = self.sentinel.incident(name).cloned().ok_or_else(|| no_incident(name))?;
        if text.chars().count() > COMMENT_LIMIT {
            return Err(Refusal::bad_request(format!(
                "'Message' must not exceed {COMMENT_LIMIT} characters."
            )));
        }
        let now = to_steps(self.instant);
        let etag = self.sentinel.next_etag(now);
        let comment =
            Comment { id: id.to_owned(), text: text.to_owned(), created: now, modified: now, etag, author };
        let what = next.put_comment(comment)?;
        let is_new = matches!(what, What::Commented { .. });
        let name = next.name.clone();
        self.store_sentinel(next);
        self.note_sentinel(&name, actor, what);
        if is_new {
            self.native_comment_to_defender(&name, text, actor);
        }
        Ok(is_new)
    }

    /// Deletes a comment. False if there is none of this id.
    pub(super) fn delete_comment(&mut self, name: &str, id: &str, actor: &Actor) -> Result<bool, Refusal> {
        let mut next = self.sentinel.incident(name).cloned().ok_or_else(|| no_incident(name))?;
        let before = next.comments.len();
        next.comments.retain(|comment| !comment.id.eq_ignore_ascii_case(id));
        if next.comments.len() == before {
            return Ok(false);
        }
        let name = next.name.clone();
        self.store_sentinel(next);
        self.note_sentinel(&name, actor, What::CommentDeleted { comment: id.to_owned() });
        Ok(true)
    }

    /// Puts a new version in place, notes what it changed and lets native sync know.
    pub(in super::super) fn save_sentinel(&mut self, next: Incident, actor: &Actor) -> Vec<Change> {
        let name = next.name.clone();
        let before = self.sentinel.incident(&name).map(Incident::editable).unwrap_or_default();
        let changes = changes(&before, &next.editable(), &[]);
        self.store_sentinel(next);
        self.note_sentinel(&name, actor, outcome(changes.clone()));
        self.native_to_defender(&name, &changes, actor);
        changes
    }

    /// Every write, comments included, moves the etag and the time, each time strictly forward.
    pub(super) fn store_sentinel(&mut self, mut next: Incident) {
        next.etag = format!("\"{}\"", self.sentinel.next_etag(self.instant));
        next.modified = to_steps(self.instant).max(next_step(next.modified));
        let at = self.instant;
        if let Some(versions) = self.sentinel.incidents.get_mut(&next.name.to_lowercase()) {
            versions.push(at, next);
        }
    }

    /// A user by object id, among those who own something already.
    pub(super) fn user(&self, id: &str) -> Option<Owner> {
        let owners = self.sentinel.incidents.values().map(|versions| &versions.current().owner);
        let known = owners.into_iter().find(|owner| owner.object_id.as_deref() == Some(id)).cloned();
        let mut others =
            self.defender.incidents.values().filter_map(|versions| versions.current().owner.clone());
        known.or_else(|| others.find(|upn| object_id(upn) == id).map(|upn| Owner::user(Some(&upn))))
    }

    /// Where the configured workspace's resources live.
    pub(in super::super) fn own_place(&self) -> Place {
        Place::of(&self.options.subscription_id, &self.options.resource_group, &self.options.workspace, false)
    }

    pub(super) fn note_sentinel(&mut self, name: &str, actor: &Actor, what: What) {
        self.ledger.record(self.instant, (System::Sentinel, Kind::Incident, name), actor, what);
    }

    /// A writer as comments name it.
    pub(in super::super) fn client_info(&self, actor: &Actor) -> Value {
        let name = self.author(actor);
        match actor {
            Actor::Human(upn) => json!({
                "objectId": object_id(upn), "email": upn, "userPrincipalName": upn,
                "name": upn.split('@').next().unwrap_or(upn),
            }),
            _ => {
                json!({ "objectId": object_id(actor.as_str()), "email": null, "userPrincipalName": null, "name": name })
            }
        }
    }
}
