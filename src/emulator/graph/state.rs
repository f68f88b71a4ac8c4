//! What happens to Defender's records: edits, comments, fan-out, automatic resolution, merges.

use std::collections::BTreeMap;

use super::super::clock::{later, to_steps, to_tick};
use super::super::ledger::{Actor, Change, Kind, System, What, changes, outcome};
use super::super::native_sync::Job;
use super::super::versions::Versions;
use super::super::wire::Refusal;
use super::super::world::World;
use super::edit::{AlertEdit, DefenderEdit, cut};
use super::record::{Alert, Comment, Incident};
use super::seed::{AlertSeed, IncidentSeed};

/// Who writes when the service itself does (`graph-security.md` 2.7).
const SERVICE: &str = "Microsoft 365 Defender-IncidentCreation";
/// Who resolves the sources of a merge.
const CORRELATION: &str = "Microsoft Defender XDR - alert correlation";

/// Incident properties that move with every write and are no change of their own.
const INCIDENT_BOOKKEEPING: &[&str] = &["lastUpdateDateTime", "lastModifiedBy", "comments"];
/// The same of an alert.
const ALERT_BOOKKEEPING: &[&str] = &["lastUpdateDateTime", "resolvedDateTime", "comments"];

/// All of Defender.
#[derive(Debug)]
pub(in super::super) struct Defender {
    pub(in super::super) incidents: BTreeMap<u64, Versions<Incident>>,
    pub(in super::super) alerts: BTreeMap<String, Versions<Alert>>,
    next_incident: u64,
    next_alert: u64,
}

impl Default for Defender {
    fn default() -> Self {
        Self { incidents: BTreeMap::new(), alerts: BTreeMap::new(), next_incident: 4711, next_alert: 1 }
    }
}

impl Defender {
    pub(in super::super) fn incident(&self, id: u64) -> Option<&Incident> {
        self.incidents.get(&id).map(Versions::current)
    }

    pub(in super::super) fn alert(&self, id: &str) -> Option<&Alert> {
        self.alerts.get(id).map(Versions::current)
    }
}

pub(super) fn no_incident(id: u64) -> Refusal {
    Refusal::new(404, "ResourceNotFound", format!("Incident with id {id} was not found."))
}

impl World {
    /// A new incident, made by the service.
    pub(in super::super) fn create_defender(&mut self, seed: &IncidentSeed) -> u64 {
        let now = self.instant;
        let id = self.defender.next_incident;
        self.defender.next_incident += 1;
        let incident = Incident {
            id,
            status: seed.status.clone(),
            redirect: None,
            title: seed.display_name.clone(),
            created: to_tick(now),
            updated: to_tick(now),
            owner: seed.assigned_to.clone(),
            classification: seed.classification.clone(),
            determination: seed.determination.clone(),
            severity: seed.severity.clone(),
            tags: seed.custom_tags.clone(),
            system_tags: Vec::new(),
            description: seed.description.clone(),
            resolving_comment: None,
            summary: None,
            modified_by: SERVICE.to_owned(),
            comments: Vec::new(),
            alerts: Vec::new(),
        };
        let mut incident = incident;
        for alert in &seed.alerts {
            incident.alerts.push(self.create_alert(id, alert));
        }
        self.defender.incidents.insert(id, Versions::new(now, incident));
        self.note_defender(id, &Actor::Service, What::Created);
        if self.native.enabled {
            let due = later(now, self.native.create_delay);
            self.agenda.add(due, Job::CreateTwin { incident: id });
        }
        id
    }

    fn create_alert(&mut self, incident: u64, seed: &AlertSeed) -> String {
        let number = self.defender.next_alert;
        self.defender.next_alert += 1;
        let made_up = format!("da{}_-{}", 638_000_000_000_000_000 + number * 7919, 100_000_000 + number);
        let own = seed.provider_alert_id.as_ref();
        let (id, provider_id) =
            own.map_or((made_up.clone(), made_up), |own| (format!("da{own}"), own.clone()));
        let now = to_tick(self.instant);
        let alert = Alert {
            id: id.clone(),
            provider_id,
            incident,
            status: seed.status.clone(),
            severity: seed.severity.clone(),
            classification: None,
            determination: None,
            source: seed.service_source.clone(),
            detection: seed.detection_source.clone(),
            title: seed.title.clone(),
            facts: seed.facts.clone(),
            owner: None,
            created: now,
            updated: now,
            resolved: (seed.status == "resolved").then_some(now),
            comments: Vec::new(),
        };
        self.defender.alerts.insert(id.clone(), Versions::new(self.instant, alert));
        self.ledger.record(
            self.instant,
            (System::Defender, Kind::Alert, &id),
            &Actor::Service,
            What::Created,
        );
        id
    }

    /// A new alert joins an incident: severity follows the highest, and the incident's update time moves.
    pub(in super::super) fn join_alert(
        &mut self,
        incident: u64,
        seed: &AlertSeed,
    ) -> Result<String, Refusal> {
        let mut next = self.defender.incident(incident).cloned().ok_or_else(|| no_incident(incident))?;
        let id = self.create_alert(incident, seed);
        next.alerts.push(id.clone());
        let rank =
            |severity: &str| ["informational", "low", "medium", "high"].iter().position(|s| *s == severity);
        if rank(&seed.severity) > rank(&next.severity) {
            next.severity.clone_from(&seed.severity);
        }
        self.save_incident(next, &Actor::Service);
        Ok(id)
    }

    /// One edit with everything that follows from it. The answer says nothing about whether something changed.
    pub(in super::super) fn edit_defender(
        &mut self,
        id: u64,
        edit: &DefenderEdit,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let current = self.defender.incident(id).ok_or_else(|| no_incident(id))?;
        let next = edit.applied(current, self.settings.accept_illegal_pairs)?;
        if *edit != (DefenderEdit { comment: edit.comment.clone(), ..DefenderEdit::default() })
            || edit.comment.is_none()
        {
            let changes = self.save_incident(next, actor);
            self.fan_out(id, &changes);
        }
        if let Some(text) = &edit.comment {
            let author = self.author(actor);
            self.comment_defender(id, text, &author, actor)?;
        }
        Ok(())
    }

    /// Appends a comment; it moves the update time (`graph-security.md` 2.7, assumed).
    pub(in super::super) fn comment_defender(
        &mut self,
        id: u64,
        text: &str,
        author: &str,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let mut next = self.defender.incident(id).cloned().ok_or_else(|| no_incident(id))?;
        let text = cut(text);
        next.comments.push(Comment {
            text: text.clone(),
            author: author.to_owned(),
            created: to_steps(self.instant),
        });
        self.store_incident(next, actor);
        self.note_defender(id, actor, What::Commented { comment: None, text: text.clone() });
        self.native_comment_to_sentinel(id, &text, author, actor);
        Ok(())
    }

    /// One edit of an alert; the last resolved alert resolves its incident.
    pub(in super::super) fn edit_alert(
        &mut self,
        id: &str,
        edit: &AlertEdit,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let missing = || Refusal::new(404, "ResourceNotFound", format!("Alert with id {id} was not found."));
        let current = self.defender.alert(id).ok_or_else(missing)?;
        let incident = current.incident;
        if edit.comment.is_none()
            || *edit != (AlertEdit { comment: edit.comment.clone(), ..AlertEdit::default() })
        {
            let next = edit.applied(current, self.settings.accept_illegal_pairs)?;
            let changes = self.save_alert(next, actor);
            if changes.iter().any(|change| change.field == "status" && change.new == "resolved") {
                self.auto_resolve(incident, id);
            }
        }
        if let Some(text) = &edit.comment {
            let author = self.author(actor);
            let mut next = self.defender.alert(id).cloned().ok_or_else(missing)?;
            let text = cut(text);
            let created = to_steps(self.instant);
            next.comments.push(Comment { text: text.clone(), author, created });
            next.updated = to_tick(self.instant);
            self.store_alert(next);
            let what = What::Commented { comment: None, text };
            self.ledger.record(self.instant, (System::Defender, Kind::Alert, id), actor, what);
        }
        Ok(())
    }

    /// Resolves an incident whose alerts are all resolved (`graph-security.md` 2.6).
    fn auto_resolve(&mut self, incident: u64, last: &str) {
        let Some(current) = self.defender.incident(incident) else { return };
        let is_open = !matches!(current.status.as_str(), "resolved" | "redirected");
        let all_resolved = current
            .alerts
            .iter()
            .all(|id| self.defender.alert(id).is_some_and(|alert| alert.status == "resolved"));
        if !is_open || !all_resolved {
            return;
        }
        let mut next = current.clone();
        "resolved".clone_into(&mut next.status);
        next.resolving_comment = Some(format!(
            "Incident automatically resolved as all alerts in the incident were resolved. Last resolved alert ID: {last}"
        ));
        self.save_incident(next, &Actor::Service);
    }

    /// What an incident's change does to its alerts: now, or after the set delay.
    pub(in super::super) fn fan_out(&mut self, id: u64, changes: &[Change]) {
        let mut edit = AlertEdit::default();
        for change in changes {
            let text = change.new.as_str().map(str::to_owned);
            match change.field.as_str() {
                "status" if change.new == "resolved" => edit.status = text,
                "assignedTo" => edit.assigned_to = Some(text),
                "classification" => edit.classification = text,
                "determination" => edit.determination = text,
                _ => {}
            }
        }
        if edit == AlertEdit::default() {
            return;
        }
        if self.settings.fan_out_delay > 0.0 {
            let due = later(self.instant, self.settings.fan_out_delay);
            self.agenda.add(due, Job::FanOut { incident: id, edit });
        } else {
            self.apply_fan_out(id, &edit);
        }
    }

    pub(in super::super) fn apply_fan_out(&mut self, id: u64, edit: &AlertEdit) {
        let alerts = self.defender.incident(id).map(|incident| incident.alerts.clone()).unwrap_or_default();
        for alert in alerts {
            let Some(mut next) = self.defender.alert(&alert).cloned() else { continue };
            if let Some(status) = &edit.status {
                next.status.clone_from(status);
            }
            if let Some(owner) = &edit.assigned_to {
                next.owner.clone_from(owner);
            }
            next.classification = edit.classification.clone().or(next.classification);
            next.determination = edit.determination.clone().or(next.determination);
            self.save_alert_if_changed(next);
        }
    }

    /// Puts a new version in place, notes what it changed and lets native sync know.
    pub(in super::super) fn save_incident(&mut self, next: Incident, actor: &Actor) -> Vec<Change> {
        let (id, tenant) = (next.id, self.options.tenant_id.clone());
        let before =
            self.defender.incident(id).map(|incident| incident.json(&tenant, true)).unwrap_or_default();
        let changes = changes(&before, &next.json(&tenant, true), INCIDENT_BOOKKEEPING);
        self.store_incident(next, actor);
        self.note_defender(id, actor, outcome(changes.clone()));
        self.native_to_sentinel(id, &changes, actor);
        changes
    }

    pub(super) fn store_incident(&mut self, mut next: Incident, actor: &Actor) {
        next.updated = to_tick(self.instant).max(next.updated);
        next.modified_by = match actor {
            Actor::App(id) => format!("API-App:{id}"),
            Actor::Human(upn) => upn.clone(),
            Actor::NativeSync => "Microsoft Sentinel".to_owned(),
            Actor::Service if next.status == "redirected" => CORRELATION.to_owned(),
            Actor::Service => SERVICE.to_owned(),
        };
        let at = self.instant;
        if let Some(versions) = self.defender.incidents.get_mut(&next.id) {
            versions.push(at, next);
        }
    }

    fn save_alert(&mut self, mut next: Alert, actor: &Actor) -> Vec<Change> {
        let (id, tenant) = (next.id.clone(), self.options.tenant_id.clone());
        let before = self.defender.alert(&id).map(|alert| alert.json(&tenant, true)).unwrap_or_default();
        let was_resolved = self.defender.alert(&id).is_some_and(|alert| alert.status == "resolved");
        next.updated = to_tick(self.instant).max(next.updated);
        match next.status.as_str() {
            "resolved" if !was_resolved => next.resolved = Some(next.updated),
            "resolved" => {}
            _ => next.resolved = None,
        }
        let changes = changes(&before, &next.json(&tenant, true), ALERT_BOOKKEEPING);
        self.store_alert(next);
        let what = outcome(changes.clone());
        self.ledger.record(self.instant, (System::Defender, Kind::Alert, &id), actor, what);
        changes
    }

    pub(super) fn save_alert_if_changed(&mut self, next: Alert) {
        let is_same =
            self.defender.alert(&next.id).is_some_and(|alert| alert.json("", true) == next.json("", true));
        if !is_same {
            self.save_alert(next, &Actor::Service);
        }
    }

    fn store_alert(&mut self, next: Alert) {
        let at = self.instant;
        if let Some(versions) = self.defender.alerts.get_mut(&next.id) {
            versions.push(at, next);
        }
    }

    fn note_defender(&mut self, id: u64, actor: &Actor, what: What) {
        self.ledger.record(self.instant, (System::Defender, Kind::Incident, &id.to_string()), actor, what);
    }

    /// The name under which a writer's comments appear.
    pub(in super::super) fn author(&self, actor: &Actor) -> String {
        match actor {
            Actor::App(id) => self
                .options
                .apps
                .iter()
                .find(|app| app.client_id == *id)
                .map_or_else(|| id.clone(), |app| app.name.clone()),
            Actor::Human(upn) => upn.clone(),
            Actor::NativeSync | Actor::Service => SERVICE.to_owned(),
        }
    }
}
