//! What the engine reports, as events: the history of a mapping is written once, and logged and counted from there.

use std::time::Duration;

use jiff::Timestamp;

use super::{Event, Telemetry};
use crate::connectors::Malformed;
use crate::engine::{Hinted, PollFailure, Report};
use crate::model::{
    AuditEntry, AuditKind, Field, Mapping, MappingId, MemberState, RecordKind, RecordRef, SystemName,
};
use crate::store::Counts;

impl Report for Telemetry {
    fn polled(
        &self,
        system: &SystemName,
        kind: RecordKind,
        news: usize,
        took: Duration,
        cursor: Option<Timestamp>,
    ) {
        if let Some(since) = self.health().trouble_since(system, kind) {
            self.emit(&Event::Recovered { system, kind, since });
        }
        self.emit(&Event::Polled { system, kind, records: news, elapsed: took });
        if let Some(cursor) = cursor {
            self.set_cursor(system, kind, cursor);
        }
    }

    fn poll_failed(&self, system: &SystemName, kind: RecordKind, failure: &PollFailure, consecutive: u32) {
        self.emit(&Event::PollFailed { system, kind, failure, consecutive });
    }

    fn malformed(&self, system: &SystemName, malformed: &Malformed) {
        self.emit(&Event::Malformed { system, id: malformed.id.as_deref(), reason: &malformed.reason });
    }

    fn hinted(&self, system: &SystemName, outcome: Hinted) {
        self.emit(&Event::HintFollowed { system, outcome: outcome.as_str() });
    }

    fn history(&self, entry: &AuditEntry, mapping: &Mapping) {
        self.emit(&event(entry, mapping));
    }

    fn depths(&self, counts: Counts) {
        self.set_depths(counts);
    }

    fn budget(&self, system: &SystemName, left: &[(&'static str, u32)]) {
        for (class, left) in left {
            self.set_budget(system, class, *left);
        }
    }

    fn defect(&self, mapping: MappingId, what: &str) {
        self.emit(&Event::Defect { mapping, what });
    }
}

fn event<'a>(entry: &'a AuditEntry, in_mapping: &'a Mapping) -> Event<'a> {
    let (mapping, record) = (entry.mapping, &entry.record);
    match &entry.kind {
        AuditKind::Linked { how } => Event::Linked { mapping, record, how },
        AuditKind::Left { reason } => {
            Event::Left { mapping, record, state: standing(in_mapping, record), reason }
        }
        AuditKind::Edit { field, old, new, by, .. } => {
            Event::Edited { mapping, record, field: *field, old, new, by: by.as_deref() }
        }
        AuditKind::Commented { by, .. } => Event::Commented { mapping, record, by: by.as_deref() },
        AuditKind::Agreed { field, value } => Event::Agreed { mapping, field: *field, value },
        AuditKind::NotCarried { what_of, value, reason } => {
            Event::NotCarried { mapping, record, what_of, value, reason }
        }
        AuditKind::Wrote { intent, action, fields, request_id, .. } => Event::Wrote {
            mapping,
            record,
            action,
            intent: *intent,
            request_id: request_id.as_deref(),
            propagation: propagation(entry, in_mapping, fields),
        },
        AuditKind::Settled { intent, reason } => {
            Event::NothingToWrite { mapping, record, intent: *intent, reason }
        }
        AuditKind::Failed { intent, error, .. } => {
            Event::IntentFailed { record, intent: *intent, error, next_try: None }
        }
        AuditKind::Dead { intent, reason } => Event::DeadLetter { record, intent: *intent, reason },
        AuditKind::NotConverged { fields } => Event::NativeLate { mapping, record, fields },
    }
}

/// Where a record stands that has left: one of few words, since metrics are labelled with it.
fn standing(mapping: &Mapping, record: &RecordRef) -> &'static str {
    match mapping.member(record).map(|member| &member.state) {
        Some(MemberState::Redirected) => "redirected",
        Some(MemberState::Gone) => "gone",
        Some(MemberState::Superseded) => "superseded",
        Some(MemberState::Detached) => "detached",
        Some(MemberState::Awaited | MemberState::Planned | MemberState::Linked) | None => "other",
    }
}

/// Whose edit a write carried, and how long ago it was: the oldest one, where it carried several.
fn propagation<'a>(
    entry: &AuditEntry,
    mapping: &'a Mapping,
    fields: &[(Field, String)],
) -> Option<(&'a SystemName, Duration)> {
    let written = fields.iter().filter_map(|(field, _)| mapping.agreed.get(field));
    let foreign = written.filter(|agreed| agreed.from != entry.record.system);
    let oldest = foreign.min_by_key(|agreed| agreed.at)?;
    let after = Duration::try_from(entry.at.duration_since(oldest.at)).unwrap_or_default();
    Some((&oldest.from, after))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::server::sample::{SampleStore, defender};
    use crate::telemetry::Metrics;

    #[test]
    fn a_record_that_leaves_is_counted_by_where_it_stands() {
        let telemetry = Telemetry::new(Metrics::local().unwrap());
        let mut sample = SampleStore::new();
        let (at, kind) = (sample.audit[0].at, AuditKind::Left { reason: "it is not there any more".into() });
        let entry = AuditEntry { at, mapping: sample.mapping.id, record: defender(), kind };
        let states = [MemberState::Gone, MemberState::Gone, MemberState::Redirected, MemberState::Superseded];
        for state in states {
            sample.mapping.member_mut(&defender()).unwrap().state = state;
            telemetry.history(&entry, &sample.mapping);
        }
        let text = telemetry.metrics().text().unwrap();
        for (reason, count) in [("gone", 2), ("redirected", 1), ("superseded", 1)] {
            let line =
                format!(r#"lockstep_records_left_total{{reason="{reason}",system="defender"}} {count}"#);
            assert!(text.contains(&line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn the_history_of_a_mapping_is_counted() {
        let telemetry = Telemetry::new(Metrics::local().unwrap());
        let sample = SampleStore::new();
        for entry in &sample.audit {
            telemetry.history(entry, &sample.mapping);
        }
        let text = telemetry.metrics().text().unwrap();
        for line in [
            r#"lockstep_edits_total{field="status",system="sentinel"} 1"#,
            r#"lockstep_propagation_seconds_sum{from="sentinel",to="defender"} 3"#,
            r#"lockstep_intents_dead_total{system="defender"} 1"#,
            r#"lockstep_not_carried_total{field="severity",system="defender"} 1"#,
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
        assert_eq!(telemetry.recent().lines().len(), 6);
    }
}
