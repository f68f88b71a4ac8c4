//! `decide`: from a mapping and what was read of its records, to the mapping as it should be and what is to be done.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{
    Agreed, AuditKind, Field, Lifecycle, Mapping, MappingState, Member, MemberState, Native, Patch,
    RecordKind, RecordRef, Snapshot, Status, SystemName, Value, is_earlier_revision,
};
use crate::translate::Reading;

use super::comments::CopyWish;
use super::marker::MarkerKey;
use super::merge::Contender;
use super::needs::{self, Wish};
use super::policy::{Policy, Reopen, TicketGone};

/// What `decide` goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What the bridge wants.
    pub policy: Policy,
    /// The key of the marks on copied comments.
    pub marker: MarkerKey,
}

/// What was read since the last decision.
#[derive(Debug, Clone, Copy, Default)]
pub struct Observed<'a> {
    /// The records as read, in the order of reading.
    pub snapshots: &'a [Snapshot],
    /// Writes of ours that may have been applied: their values are no edits.
    pub in_flight: &'a [(RecordRef, Patch)],
    /// Linked records that belong to other mappings, and so are not taken into this one.
    pub elsewhere: &'a [RecordRef],
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The mapping, with what was read acknowledged.
    pub mapping: Mapping,
    /// What is to be done to bring every record to the agreed state. The same each time until it is done.
    pub wishes: Vec<Wish>,
    /// Comments to copy. Told once: the acknowledged mapping no longer yields them.
    pub copies: Vec<CopyWish>,
    /// What happened, for the history.
    pub audit: Vec<(RecordRef, AuditKind)>,
    /// Records whose snapshot was older than what is acknowledged; nothing was concluded from it.
    pub stale: Vec<RecordRef>,
    /// Records in which somebody changed a field that a write of ours, whose outcome is open, was to change.
    pub overtaken: Vec<RecordRef>,
}

/// Finds edits against each record's base, merges them field by field, and says what is to be done.
///
/// Guarantees: no clock, no I/O, no randomness; deciding again without news yields the same wishes and nothing else;
/// every edit ends in the agreed state, or in an audit entry that says why not.
pub fn decide(mapping: &Mapping, observed: Observed<'_>, rules: &Rules) -> Decision {
    let mut work = Work::new(mapping.clone(), observed, rules);
    let mut round = BTreeSet::new();
    for snapshot in observed.snapshots {
        // Versions of one record follow each other and do not compete: the earlier one is decided first.
        if !round.insert(&snapshot.record) {
            work.conclude();
            round = BTreeSet::from([&snapshot.record]);
        }
        work.take(snapshot);
    }
    work.conclude();
    work.plan_creations();
    let wishes = needs::wishes(&work.mapping, rules);
    let Work { mapping, copies, audit, stale, overtaken, .. } = work;
    Decision { mapping, wishes, copies, audit, stale, overtaken }
}

/// A decision in the making.
pub(super) struct Work<'a> {
    pub(super) rules: &'a Rules,
    observed: Observed<'a>,
    pub(super) mapping: Mapping,
    pub(super) contenders: Vec<Contender>,
    pub(super) copies: Vec<CopyWish>,
    pub(super) audit: Vec<(RecordRef, AuditKind)>,
    stale: Vec<RecordRef>,
    pub(super) overtaken: Vec<RecordRef>,
    /// Alerts that were closed in what was just read.
    closed_alerts: BTreeSet<RecordRef>,
}

impl<'a> Work<'a> {
    fn new(mapping: Mapping, observed: Observed<'a>, rules: &'a Rules) -> Self {
        Self {
            rules,
            observed,
            mapping,
            contenders: Vec::new(),
            copies: Vec::new(),
            audit: Vec::new(),
            stale: Vec::new(),
            overtaken: Vec::new(),
            closed_alerts: BTreeSet::new(),
        }
    }

    pub(super) fn policy(&self) -> &'a Policy {
        &self.rules.policy
    }

    pub(super) fn note(&mut self, record: &RecordRef, kind: AuditKind) {
        self.audit.push((record.clone(), kind));
    }

    /// Decides over what was taken in so far.
    fn conclude(&mut self) {
        self.roll_up_alerts();
        self.merge();
    }

    /// Takes one snapshot in: who it is about, whether it is news, and what in it was edited.
    fn take(&mut self, snapshot: &Snapshot) {
        let at = self.member_for(snapshot);
        if matches!(self.mapping.members[at].state, MemberState::Detached | MemberState::Superseded) {
            return;
        }
        if self.is_stale(at, snapshot) {
            self.take_late_comments(at, snapshot);
            self.stale.push(snapshot.record.clone());
            return;
        }
        match &snapshot.lifecycle {
            Lifecycle::Present => self.take_present(at, snapshot),
            Lifecycle::Redirected { .. } if planted!(MergeIsAClose) => self.take_present(at, snapshot),
            Lifecycle::Redirected { to } => self.take_redirect(at, snapshot, to.as_ref()),
            Lifecycle::Gone => {
                if self.mapping.members[at].is_live() {
                    let reason = "it is not there any more (deleted, or no longer visible); nothing is concluded from that";
                    self.leave(at, MemberState::Gone, reason.to_owned());
                }
            }
        }
    }

    fn take_present(&mut self, at: usize, snapshot: &Snapshot) {
        if self.is_ambiguous(at, snapshot) {
            self.mapping.members[at].unread = true;
            return;
        }
        self.add_links(snapshot);
        let base = self.mapping.members[at].base.as_ref();
        let joined = base.is_none();
        let moved = base.is_some_and(|b| b.modified != snapshot.modified || b.revision != snapshot.revision);
        let opened = joined && self.opening(at).is_some();
        if joined {
            if !opened && self.is_closed_predecessor(at, snapshot) {
                return self.supersede(at, "it is closed, and the incident went on: another ticket follows");
            }
            let how = self.how_linked(at, snapshot);
            self.note(&snapshot.record, AuditKind::Linked { how });
        }
        self.take_fields(at, snapshot);
        self.take_comments(at, snapshot, moved);
        self.mapping.members[at].state = MemberState::Linked;
        if opened {
            self.owe_earlier_comments(at);
        }
    }

    /// Where a reopening means a new ticket, a closed one that is found again after its mapping was lost says nothing.
    fn is_closed_predecessor(&self, at: usize, snapshot: &Snapshot) -> bool {
        let member = &self.mapping.members[at];
        let status =
            snapshot.native.get(&Field::Status).and_then(|native| self.read(at, Field::Status, native));
        member.state == MemberState::Planned
            && member.record.kind == RecordKind::Ticket
            && self.policy().closing.reopen == Reopen::NewTicket
            && !self.mapping.is_closed()
            && status.is_some_and(|value| value.is_closed())
    }

    pub(super) fn supersede(&mut self, at: usize, reason: &str) {
        self.mapping.members[at].key = None;
        self.leave(at, MemberState::Superseded, reason.to_owned());
    }

    fn member_for(&mut self, snapshot: &Snapshot) -> usize {
        if let Some(at) = self.mapping.members.iter().position(|m| m.record == snapshot.record) {
            return at;
        }
        let planned = snapshot.planned_as.as_ref();
        if let Some(at) =
            self.mapping.members.iter().position(|m| m.key.as_ref().is_some_and(|k| Some(k) == planned))
        {
            return self.met_under_key(at, snapshot);
        }
        self.mapping.members.push(Member::new(snapshot.record.clone(), MemberState::Awaited));
        self.mapping.members.len() - 1
    }

    /// A ticket turned up under a key. If another one has it, the older of the two stands for the incident, and the
    /// other is left alone: somebody copied the key, or two installations ran. Of two of the same second the known one
    /// stands.
    fn met_under_key(&mut self, at: usize, snapshot: &Snapshot) -> usize {
        let member = &mut self.mapping.members[at];
        if member.state == MemberState::Planned {
            member.record = snapshot.record.clone();
            return at;
        }
        let created = |at: Option<Timestamp>| at.unwrap_or(Timestamp::MAX);
        let present = created(member.base.as_ref().and_then(|base| base.created));
        let is_older =
            planted!(YoungerTicketTaken) || member.is_live() && created(snapshot.facts.created) < present;
        let (key, other) = (member.key.clone(), member.record.clone());
        let mut newcomer = Member::new(snapshot.record.clone(), MemberState::Awaited);
        if is_older {
            let reason =
                format!("{} bears the same key and is older; this one is left alone", snapshot.record);
            self.supersede(at, &reason);
            newcomer.key = key;
            self.mapping.members.push(newcomer);
            return self.mapping.members.len() - 1;
        }
        self.mapping.members.push(newcomer);
        let last = self.mapping.members.len() - 1;
        self.supersede(last, &format!("it bears the key of {other}; it is left alone"));
        last
    }

    fn how_linked(&self, at: usize, snapshot: &Snapshot) -> String {
        let member = &self.mapping.members[at];
        if self.opening(at).is_some() {
            return "we created it".to_owned();
        }
        if member.state == MemberState::Planned {
            return "found under the id that we derived for it".to_owned();
        }
        if let Some(parent) = &snapshot.parent {
            return format!("it is an alert of {parent}");
        }
        match snapshot.links.iter().find(|link| self.mapping.member(link).is_some()) {
            Some(link) => format!("it names {link} as the same incident"),
            None if self.mapping.members.len() > 1 => {
                "another record names it as the same incident".to_owned()
            }
            None => "first record of the mapping".to_owned(),
        }
    }

    /// A read or list that lags behind what is acknowledged (times of the same record, so one clock). Where times are
    /// coarse, the count of changes tells, if the system has one.
    fn is_stale(&self, at: usize, snapshot: &Snapshot) -> bool {
        let Some(base) = &self.mapping.members[at].base else { return false };
        let before = snapshot.modified < base.modified
            || snapshot.modified == base.modified && is_earlier_revision(&snapshot.revision, &base.revision);
        before && snapshot.lifecycle != Lifecycle::Gone && !planted!(StaleIsNews)
    }

    /// A list entry with the acknowledged time but other values: before or after the write of that instant?
    fn is_ambiguous(&self, at: usize, snapshot: &Snapshot) -> bool {
        let Some(base) = &self.mapping.members[at].base else { return false };
        !snapshot.fresh && snapshot.modified == base.modified && !self.shows_same(at, snapshot)
    }

    /// Whether every stated field says what is acknowledged, odd words included.
    fn shows_same(&self, at: usize, snapshot: &Snapshot) -> bool {
        let member = &self.mapping.members[at];
        let acknowledged = |field: &Field| member.unknown.get(field).or_else(|| member.native(*field));
        let hidden =
            member.native(Field::Verdict).is_some() && !snapshot.native.contains_key(&Field::Verdict);
        !hidden && snapshot.native.iter().all(|(field, new)| acknowledged(field) == Some(new))
    }

    /// Records that this one names as the same incident become members, unless they belong elsewhere or to a system
    /// that the bridge does not have.
    fn add_links(&mut self, snapshot: &Snapshot) {
        for link in &snapshot.links {
            // An alert may be mapped with its own incident already; here it stands for itself.
            let free = link.kind == RecordKind::Alert || !self.observed.elsewhere.contains(link);
            if self.mapping.member(link).is_none() && free && self.policy().has(&link.system) {
                self.mapping.members.push(Member::new(link.clone(), MemberState::Awaited));
            }
        }
        // Asked for once, when the record is met: the alerts of an incident are dear to list (`sentinel.md` 8.1).
        let met = self.mapping.members.len() == 1 && self.mapping.members[0].base.is_none();
        if snapshot.facts.more_links && !snapshot.fresh && met {
            self.mapping.members[0].unread = true;
        }
    }

    fn leave(&mut self, at: usize, state: MemberState, reason: String) {
        let record = self.mapping.members[at].record.clone();
        let member = &mut self.mapping.members[at];
        member.state = state;
        member.unread = false;
        self.note(&record, AuditKind::Left { reason });
    }

    /// A merge is no analyst's close: the mapping follows the incident, or its other records are closed as merged.
    fn take_redirect(&mut self, at: usize, snapshot: &Snapshot, to: Option<&RecordRef>) {
        if self.mapping.members[at].state == MemberState::Redirected {
            return;
        }
        let target = to.map_or_else(|| "another incident".to_owned(), ToString::to_string);
        self.leave(
            at,
            MemberState::Redirected,
            format!("merged into {target}; this is not taken for a close"),
        );
        if let Some(base) = &mut self.mapping.members[at].base {
            // Versions from before the merge are old from now on.
            base.modified = snapshot.modified;
        }
        let Some(to) = to else { return };
        if self.mapping.member(to).is_some() {
            return;
        }
        if to.kind == RecordKind::Ticket {
            // Merging tickets says nothing of the incident.
            if self.policy().tickets.gone == TicketGone::Follow && !self.observed.elsewhere.contains(to) {
                self.mapping.members.push(Member::new(to.clone(), MemberState::Awaited));
            }
            return;
        }
        if self.observed.elsewhere.contains(to) {
            self.close_as_merged(snapshot, to);
        } else {
            self.mapping.members.push(Member::new(to.clone(), MemberState::Awaited));
        }
    }

    /// The target has records of its own, so the others here are leftovers of the merged incident.
    fn close_as_merged(&mut self, snapshot: &Snapshot, to: &RecordRef) {
        let system = &snapshot.record.system;
        let value = Value::Status(Status::Closed);
        self.mapping.closing = Some(crate::model::Closing {
            system: system.clone(),
            actor: snapshot.modified_by.clone(),
            comment: Some(format!("the incident was merged into {to}")),
        });
        self.mapping
            .agreed
            .insert(Field::Status, Agreed { value, from: system.clone(), at: snapshot.modified });
        self.note(
            &snapshot.record,
            AuditKind::Agreed {
                field: Field::Status,
                value: format!("closed, since it was merged into {to}"),
            },
        );
    }

    /// Whether a system's alerts stand for an incident: its own is no member, or the bridge says so.
    pub(super) fn alerts_count(&self, system: &SystemName) -> bool {
        !self.mapping.has_main_record(system) || self.policy().closing.when_all_alerts_closed
    }

    /// Where alerts stand for their incident, all of them closed is a close.
    fn roll_up_alerts(&mut self) {
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

    /// The value of a native of a member, where the table knows it.
    pub(super) fn read(&self, at: usize, field: Field, native: &Native) -> Option<Value> {
        let record = &self.mapping.members[at].record;
        match self.policy().translation(&record.system)?.read(record.kind, field, native) {
            Reading::Known(value) => Some(value),
            Reading::Unknown(_) => None,
        }
    }

    fn says_closed(&self, at: usize) -> bool {
        let native = self.mapping.members[at].native(Field::Status);
        native.and_then(|n| self.read(at, Field::Status, n)).is_some_and(|v| v.is_closed())
    }

    /// The write of ours that may have reached a record, under its own name or the one it was planned under.
    pub(super) fn in_flight(&self, at: usize) -> impl Iterator<Item = &'a Patch> {
        let member = &self.mapping.members[at];
        let (record, key) = (member.record.clone(), member.key.clone());
        let ours = move |target: &RecordRef| *target == record || Some(target) == key.as_ref();
        self.observed.in_flight.iter().filter(move |(target, _)| ours(target)).map(|(_, patch)| patch)
    }

    /// Where the bridge opens missing records, they are planned under ids derived from the mapping. A plan falls when
    /// a record of the system turns up, unless its creation may be under way.
    fn plan_creations(&mut self) {
        let main = |m: &Member| m.base.is_some() && m.is_live() && m.record.kind != RecordKind::Alert;
        let found: BTreeSet<SystemName> =
            self.mapping.members.iter().filter(|m| main(m)).map(|m| m.record.system.clone()).collect();
        let under_way: Vec<&RecordRef> = self.observed.in_flight.iter().map(|(record, _)| record).collect();
        self.mapping.members.retain(|m| {
            m.state != MemberState::Planned
                || !found.contains(&m.record.system)
                || under_way.contains(&&m.record)
        });
        let ripe = self.mapping.state == MappingState::Live && !found.is_empty();
        // A closed one gets none (`needs`), but its ticket is known by its key all the same: it may be there already.
        if !ripe || planted!(PlannedOnlyWhileOpen) && self.mapping.is_closed() {
            return;
        }
        for system in &self.policy().create_in {
            let main = |m: &Member| m.record.system == *system && m.record.kind != RecordKind::Alert;
            let stands = |m: &Member| main(m) && m.state != MemberState::Superseded;
            if self.mapping.members.iter().any(stands) {
                continue;
            }
            let generation = self.mapping.members.iter().filter(|m| main(m)).count();
            let record = super::route::derived_record(self.mapping.id, system, generation, self.policy());
            let mut member = Member::new(record.clone(), MemberState::Planned);
            member.key = (record.kind == RecordKind::Ticket).then_some(record);
            self.mapping.members.push(member);
        }
    }
}
