//! The alerts of a simulated service's incidents: what the service carries to them, and where they go in a merge.

use jiff::Timestamp;

use crate::model::{Field, Native, Natives, RecordId};

use super::remote::{Actor, Remote};

impl Remote {
    /// What is said of an incident is said of its alerts, by the service itself (`graph-security.md` 2.6).
    pub(super) fn fan_out(&mut self, now: Timestamp, incident: &RecordId, new: &Natives) {
        let closes = self.words.is_closed(new);
        let carried = |field: Field| match field {
            Field::Status => closes,
            other => other != Field::Title,
        };
        for alert in self.alerts_of(incident) {
            let Some(old) = self.current(&alert).cloned() else { continue };
            let said = new.iter().filter(|(f, _)| carried(**f) && old.native.contains_key(f));
            let mut native = old.native.clone();
            native.extend(said.map(|(field, value)| (*field, value.clone())));
            if native != old.native {
                self.push(now, Actor::Service, &alert, &old, |version| version.native = native);
            }
        }
    }

    fn alerts_of(&self, incident: &RecordId) -> Vec<RecordId> {
        self.alerts.iter().filter(|(_, parent)| *parent == incident).map(|(alert, _)| alert.clone()).collect()
    }

    /// Adds an alert to an incident.
    pub(crate) fn raise(&mut self, now: Timestamp, alert: &RecordId, incident: &RecordId) {
        self.alerts.insert(alert.clone(), incident.clone());
        let status = (Field::Status, Native::Text("new".to_owned()));
        let native = Natives::from([status, (Field::Verdict, Native::Empty), (Field::Owner, Native::Empty)]);
        self.create(now, Actor::Service, alert, native);
    }

    /// Merges a record into another one: its alerts go along (`graph-security.md` 2.8).
    pub(crate) fn merge(&mut self, now: Timestamp, source: &RecordId, target: &RecordId) {
        let Some(old) = self.current(source).cloned() else { return };
        let says_so = self.habits.has_alerts;
        self.push(now, Actor::Service, source, &old, |version| {
            if says_so {
                version.native.insert(Field::Status, Native::Text("redirected".to_owned()));
            }
            version.merged_into = Some(target.clone());
        });
        for alert in self.alerts_of(source) {
            self.alerts.insert(alert.clone(), target.clone());
            if let Some(old) = self.current(&alert).cloned() {
                self.push(now, Actor::Service, &alert, &old, |_| {});
            }
        }
    }
}
