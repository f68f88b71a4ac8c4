//! `decide`: from a mapping and what was read of its records, to the mapping as it should be and what is to be done.

use std::collections::BTreeSet;

use crate::model::{
    AuditKind, Comments, Field, Lifecycle, Mapping, MemberState, Native, Patch, RecordRef, Snapshot, Value,
    is_earlier_revision,
};
use crate::translate::Reading;

use super::comments::CopyWish;
use super::marker::MarkerKey;
use super::merge::Contender;
use super::needs::{self, Wish};
use super::policy::Policy;

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
    /// Whether the snapshots are the answer to the write of ours that is in flight.
    pub answered: bool,
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
    pub(super) observed: Observed<'a>,
    pub(super) mapping: Mapping,
    pub(super) contenders: Vec<Contender>,
    pub(super) copies: Vec<CopyWish>,
    pub(super) audit: Vec<(RecordRef, AuditKind)>,
    stale: Vec<RecordRef>,
    pub(super) overtaken: Vec<RecordRef>,
    /// Records that were reopened by themselves, and are closed again: who closes them has seen how the incident was closed.
    pub(super) closed_again: BTreeSet<usize>,
    /// Alerts that were closed in what was just read.
    pub(super) closed_alerts: BTreeSet<RecordRef>,
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
            closed_again: BTreeSet::new(),
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
        let Some(at) = self.member_for(snapshot) else { return };
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
        let returned = self.mapping.members[at].state == MemberState::Gone;
        if returned {
            let how = "it was taken for gone, and is there again".to_owned();
            self.note(&snapshot.record, AuditKind::Linked { how });
        }
        self.take_fields(at, snapshot);
        self.take_comments(at, snapshot, (joined, moved));
        let member = &mut self.mapping.members[at];
        member.state = MemberState::Linked;
        if returned && !matches!(snapshot.comments, Comments::Listed(_)) {
            member.unread = true; // a list may lack what was said meanwhile
        }
        if opened {
            self.owe_earlier_comments(at);
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

    /// The value of a native of a member, where the table knows it.
    pub(super) fn read(&self, at: usize, field: Field, native: &Native) -> Option<Value> {
        let record = &self.mapping.members[at].record;
        match self.policy().translation(&record.system)?.read(record.kind, field, native) {
            Reading::Known(value) => Some(value),
            Reading::Unknown(_) => None,
        }
    }

    /// The write of ours that may have reached a record, under its own name or the one it was planned under.
    pub(super) fn in_flight(&self, at: usize) -> impl Iterator<Item = &'a Patch> {
        let member = &self.mapping.members[at];
        let (record, key) = (member.record.clone(), member.key.clone());
        let ours = move |target: &RecordRef| *target == record || Some(target) == key.as_ref();
        self.observed.in_flight.iter().filter(move |(target, _)| ours(target)).map(|(_, patch)| patch)
    }
}
