//! Alerts follow their incident. Where it is no member, or the bridge says so, all of them closed stand for a close.

use std::collections::BTreeSet;

use crate::model::{Field, Native, RecordKind, Status, SystemName, Value};

use super::decide::Work;
use super::merge::Contender;

impl Work<'_> {
    /// Alerts follow their incident, and an analyst's word on a single one stands until the incident's next; only all
    /// of them closed can mean something (see `roll_up_alerts`).
    pub(super) fn alert_changed(&mut self, at: usize, field: Field, new: &Native) {
        let counts = self.alerts_count(&self.mapping.members[at].record.system);
        if counts && self.closes(at, field, new) {
            return self.alert_closed(at);
        }
        // The verdict goes with the close (`contend_for_alerts`).
        if !(field == Field::Verdict && self.is_alert_closed(at)) {
            let reason = "alerts follow their incident, not the other way round";
            self.leave_alone(at, field, new.to_string(), reason);
        }
    }

    /// Whether a system's alerts stand for an incident: its own is no member, or the bridge says so.
    fn alerts_count(&self, system: &SystemName) -> bool {
        !self.mapping.has_main_record(system) || self.policy().closing.when_all_alerts_closed
    }

    /// Where alerts stand for their incident, all of them closed is a close.
    pub(super) fn roll_up_alerts(&mut self) {
        let closed = std::mem::take(&mut self.closed_alerts);
        let systems: BTreeSet<SystemName> = closed.into_iter().map(|record| record.system).collect();
        for system in systems.into_iter().filter(|system| self.alerts_count(system)).collect::<Vec<_>>() {
            let alerts: Vec<usize> = (0..self.mapping.members.len())
                .filter(|at| {
                    let member = &self.mapping.members[*at];
                    member.record.kind == RecordKind::Alert
                        && member.record.system == system
                        && member.is_live()
                })
                .collect();
            if !self.mapping.is_closed() && alerts.iter().all(|at| self.says_closed(*at)) {
                self.contend_for_alerts(&alerts);
            }
        }
    }

    fn contend_for_alerts(&mut self, alerts: &[usize]) {
        let Some(first) = alerts.first().copied() else { return };
        let verdicts: BTreeSet<Option<&Native>> =
            alerts.iter().map(|at| self.mapping.members[*at].native(Field::Verdict)).collect();
        let shared = if verdicts.len() == 1 { verdicts.into_iter().next().flatten().cloned() } else { None };
        let verdict = shared.and_then(|native| self.read(first, Field::Verdict, &native));
        let modified = self.mapping.members[first].base.as_ref().map(|b| b.modified).unwrap_or_default();
        let values = [Some(Value::Status(Status::Closed)), verdict.filter(|v| !v.is_empty())];
        for value in values.into_iter().flatten() {
            self.contenders.push(Contender {
                member: first,
                value,
                old: None,
                saw_agreed: true,
                modified,
                by: Some("all alerts closed".to_owned()),
                closing_comment: None,
                closed: true,
                verdict: None,
            });
        }
    }

    pub(super) fn alert_closed(&mut self, at: usize) {
        self.closed_alerts.insert(self.mapping.members[at].record.clone());
    }

    /// Whether an alert was closed in what was just read.
    pub(super) fn is_alert_closed(&self, at: usize) -> bool {
        self.closed_alerts.contains(&self.mapping.members[at].record)
    }

    fn says_closed(&self, at: usize) -> bool {
        let native = self.mapping.members[at].native(Field::Status);
        native.and_then(|n| self.read(at, Field::Status, n)).is_some_and(|v| v.is_closed())
    }
}
