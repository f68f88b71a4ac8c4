//! Alerts that go to another incident: merges and moves (`graph-security.md` 2.8).

use super::super::ledger::Actor;
use super::super::wire::Refusal;
use super::super::world::World;
use super::seed::IncidentSeed;
use super::state::no_incident;

impl World {
    /// Empties one incident into another (`graph-security.md` 2.8): alerts and tags move, comments stay.
    pub(in super::super) fn merge_defender(
        &mut self,
        source: u64,
        target: u64,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let mut from = self.defender.incident(source).cloned().ok_or_else(|| no_incident(source))?;
        let mut into = self.defender.incident(target).cloned().ok_or_else(|| no_incident(target))?;
        if source == target || from.status == "redirected" {
            return Err(Refusal::bad_request(format!("Incident {source} cannot be merged into {target}.")));
        }
        for id in std::mem::take(&mut from.alerts) {
            if let Some(mut alert) = self.defender.alert(&id).cloned() {
                alert.incident = target;
                self.save_alert_if_changed(alert);
            }
            into.alerts.push(id);
        }
        for tag in std::mem::take(&mut from.tags) {
            if !into.tags.contains(&tag) {
                into.tags.push(tag);
            }
        }
        "redirected".clone_into(&mut from.status);
        from.redirect = Some(target);
        self.save_incident(into, actor);
        self.save_incident(from, actor);
        self.native_merge(source, target);
        Ok(())
    }

    /// Moves alerts to another incident, or to a new one.
    pub(in super::super) fn move_alerts(
        &mut self,
        ids: &[String],
        target: Option<u64>,
    ) -> Result<u64, Refusal> {
        let target = match target {
            Some(id) if self.defender.incident(id).is_none() => return Err(no_incident(id)),
            Some(id) => id,
            None => self.create_defender(&IncidentSeed { alerts: Vec::new(), ..IncidentSeed::default() }),
        };
        for id in ids {
            let Some(mut alert) = self.defender.alert(id).cloned() else {
                return Err(Refusal::new(
                    404,
                    "ResourceNotFound",
                    format!("Alert with id {id} was not found."),
                ));
            };
            let old = std::mem::replace(&mut alert.incident, target);
            self.save_alert_if_changed(alert);
            for (incident, joins) in [(old, false), (target, true)] {
                if let Some(mut next) = self.defender.incident(incident).cloned() {
                    next.alerts.retain(|other| other != id);
                    if joins {
                        next.alerts.push(id.clone());
                    }
                    self.store_incident(next, &Actor::Service);
                }
            }
        }
        Ok(target)
    }
}
