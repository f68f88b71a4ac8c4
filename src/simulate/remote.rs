//! A simulated service: records with all their versions, and how they change.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    Comment, CommentKey, Field, Native, Natives, Patch, RecordId, RecordKind, RecordRef, SystemName,
};

use super::habits::Habits;
use super::vocabulary::Vocabulary;

/// Within this time a read may bring the version before, and a look-up may miss a record. Shorter than what the
/// worker waits after an unknown outcome.
pub(crate) const STALENESS: SignedDuration = SignedDuration::from_secs(20);

/// What a service keeps of titles, in characters, where it cuts them silently.
pub(crate) const KEPT_OF_TITLES: usize = 30;

/// Who changed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A person, or another program.
    Person,
    /// lockstep.
    Worker,
    /// The service itself: Microsoft's own sync, fan-out to alerts, merges.
    Service,
}

/// A record at one revision.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// When it came about (true time); lists show it after the lag.
    pub(crate) at: Timestamp,
    /// The service's own time of it.
    pub(crate) modified: Timestamp,
    /// Counts up with every change.
    pub(crate) revision: u64,
    /// Who made it.
    pub(crate) by: Actor,
    /// All fields.
    pub(crate) native: Natives,
    /// The note given at closing.
    pub(crate) closing_comment: Option<String>,
    /// The comments.
    pub(crate) comments: Vec<Comment>,
    /// The record into which this one was merged.
    pub(crate) merged_into: Option<RecordId>,
    /// Whether it is deleted.
    pub(crate) deleted: bool,
    /// The verdict that it was closed with before, and has kept, hidden, since it was reopened.
    pub(crate) kept: Option<Native>,
}

/// Why a service refuses a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The revision moved.
    Conflict,
    /// The body is illegal.
    Invalid,
    /// No such record.
    NotFound,
}

/// What a write changed: the fields that differ, before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// As they were.
    pub(crate) old: Natives,
    /// As they are.
    pub(crate) new: Natives,
}

/// A simulated service.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// Its name.
    pub(crate) name: SystemName,
    /// How it behaves.
    pub(crate) habits: Habits,
    /// Its words.
    pub(crate) words: Vocabulary,
    /// Its clock against true time.
    pub(crate) skew: SignedDuration,
    /// How long lists lag behind.
    pub(crate) lag: SignedDuration,
    /// It keeps no more of a title than so many characters, and says nothing of it.
    pub(crate) keeps_of_titles: Option<usize>,
    /// It keeps a verdict over a reopening, and shows it again at a close of ours, whatever that says.
    pub(crate) keeps_verdicts: bool,
    /// The verdict that it sets by itself at each close of ours.
    pub(crate) sets_verdict: Option<Native>,
    /// All versions of all records, oldest first; never empty.
    pub(crate) records: BTreeMap<RecordId, Vec<Version>>,
    /// Records of another system that ours name as the same incident.
    pub(crate) twins: BTreeMap<RecordId, RecordRef>,
    /// The alerts among the records, each with the incident it belongs to.
    pub(crate) alerts: BTreeMap<RecordId, RecordId>,
    /// The keys inside tickets.
    pub(crate) keys: BTreeMap<RecordId, RecordRef>,
}

impl Remote {
    /// The record now; deleted ones are `None`.
    pub(crate) fn current(&self, id: &RecordId) -> Option<&Version> {
        self.records.get(id)?.last().filter(|version| !version.deleted)
    }

    /// When a version came about (true time).
    pub(crate) fn began(&self, id: &RecordId, revision: &str) -> Option<Timestamp> {
        let version = self.records.get(id)?.iter().find(|v| Some(v.revision) == count(revision))?;
        Some(version.at)
    }

    /// The kind of a record.
    pub(crate) fn kind(&self, id: &RecordId) -> RecordKind {
        if self.alerts.contains_key(id) { RecordKind::Alert } else { self.habits.main }
    }

    /// The full name of a record.
    pub(crate) fn record(&self, id: &RecordId) -> RecordRef {
        RecordRef { system: self.name.clone(), kind: self.kind(id), id: id.clone() }
    }

    fn stamp(&self, now: Timestamp, after: Option<Timestamp>) -> Timestamp {
        let own = now + self.skew;
        let Some(ticks) = self.habits.ticks else {
            let least = after.map_or(own, |t| t + SignedDuration::from_nanos(100));
            return own.max(least);
        };
        // Changes within one tick share a time.
        let tick = own.as_microsecond() * ticks / 1_000_000;
        let own = Timestamp::from_microsecond(tick * 1_000_000 / ticks).unwrap_or(own);
        after.map_or(own, |t| own.max(t))
    }

    /// Adds a record.
    pub(crate) fn create(&mut self, now: Timestamp, by: Actor, id: &RecordId, mut native: Natives) {
        self.keep(&mut native);
        let modified = self.stamp(now, None);
        let version = Version {
            at: now,
            modified,
            revision: 1,
            by,
            native,
            closing_comment: None,
            comments: Vec::new(),
            merged_into: None,
            deleted: false,
            kept: None,
        };
        self.records.insert(id.clone(), vec![version]);
    }

    /// Applies a change of fields; what is there already changes nothing.
    pub(crate) fn write(
        &mut self,
        now: Timestamp,
        by: Actor,
        id: &RecordId,
        patch: &Patch,
        guard: Option<u64>,
    ) -> Result<Changed, Refusal> {
        let old = self.current(id).cloned().ok_or(Refusal::NotFound)?;
        if self.habits.guarded && guard.is_some_and(|revision| revision != old.revision) {
            return Err(Refusal::Conflict);
        }
        let mut native = old.native.clone();
        native.extend(patch.native.clone());
        let closed = self.words.is_closed(&native);
        let was_closed = self.words.is_closed(&old.native);
        if closed && !was_closed && by == Actor::Worker {
            let own = old.kept.clone().or_else(|| self.sets_verdict.clone());
            native.extend(own.map(|verdict| (Field::Verdict, verdict)));
        }
        let kept = match (self.keeps_verdicts, closed) {
            (true, false) if was_closed => old.native.get(&Field::Verdict).cloned(),
            (true, false) => old.kept.clone(),
            _ => None,
        };
        let verdict = native.get(&Field::Verdict).is_some_and(|v| *v != Native::Empty);
        if self.habits.wants_verdict && closed && !verdict {
            return Err(Refusal::Invalid);
        }
        if self.words.hides_verdict && !closed {
            native.insert(Field::Verdict, Native::Empty);
        }
        self.keep(&mut native);
        let differs = |(field, new): &(&Field, &Native)| old.native.get(*field) != Some(*new);
        let new: Natives = native.iter().filter(differs).map(|(f, v)| (*f, v.clone())).collect();
        if new.is_empty() {
            return Ok(Changed::default());
        }
        let before = |field: &Field| old.native.get(field).cloned().unwrap_or(Native::Empty);
        let was = new.keys().map(|field| (*field, before(field))).collect();
        let note = patch.closing_comment.clone().or(old.closing_comment.clone());
        self.push(now, by, id, &old, |version| {
            version.native = native;
            version.closing_comment = note;
            version.kept = kept;
        });
        self.fan_out(now, id, &new);
        Ok(Changed { old: was, new })
    }

    /// Whether a record may begin like this.
    pub(crate) fn takes_new(&self, patch: &Patch) -> bool {
        let verdict = patch.native.get(&Field::Verdict).is_some_and(|verdict| *verdict != Native::Empty);
        verdict || !self.habits.wants_verdict || !self.words.is_closed(&patch.native)
    }

    fn keep(&self, native: &mut Natives) {
        if let (Some(max), Some(Native::Text(title))) = (self.keeps_of_titles, native.get_mut(&Field::Title))
        {
            *title = title.chars().take(max).collect();
        }
    }

    /// Deletes a record.
    pub(crate) fn delete(&mut self, now: Timestamp, id: &RecordId) {
        if let Some(old) = self.current(id).cloned() {
            self.push(now, Actor::Person, id, &old, |version| version.deleted = true);
        }
    }

    /// Adds a comment. The same chosen id again changes nothing. Returns whether it was added.
    pub(crate) fn comment(
        &mut self,
        now: Timestamp,
        by: Actor,
        id: &RecordId,
        chosen: Option<CommentKey>,
        text: &str,
    ) -> Result<bool, Refusal> {
        let old = self.current(id).cloned().ok_or(Refusal::NotFound)?;
        let author = Some(format!("{by:?}"));
        let stamp = self.stamp(now, Some(old.modified));
        let key = chosen.unwrap_or_else(|| {
            CommentKey::from_content(author.as_deref(), &format!("{stamp} {}", old.revision), text)
        });
        if old.comments.iter().any(|comment| comment.key == key) {
            return Ok(false);
        }
        let created = Some(self.stamp(now, None));
        let comment = Comment { key, author, created, text: text.to_owned() };
        self.push(now, by, id, &old, |version| version.comments.push(comment));
        Ok(true)
    }

    pub(super) fn push(
        &mut self,
        now: Timestamp,
        by: Actor,
        id: &RecordId,
        old: &Version,
        change: impl FnOnce(&mut Version),
    ) {
        let modified = self.stamp(now, Some(old.modified));
        let mut version = Version { at: now, modified, revision: old.revision + 1, by, ..old.clone() };
        change(&mut version);
        if let Some(versions) = self.records.get_mut(id) {
            versions.push(version);
        }
    }
}

/// The number of changes that a revision stands for.
pub(crate) fn count(revision: &str) -> Option<u64> {
    revision.trim_start_matches('v').parse().ok()
}

/// How a record begins when nobody says otherwise.
pub(crate) fn initial(remote: &Remote, title: &str) -> Natives {
    let words = &remote.words;
    let carried = Field::ALL.into_iter().filter(|field| words.carries(*field));
    let begin = |field| match field {
        Field::Status => words.status("new"),
        Field::Severity => words.native(field, "medium").unwrap_or(Native::Empty),
        Field::Verdict | Field::Owner => Native::Empty,
        Field::Tags => Native::Set(BTreeSet::new()),
        Field::Title => Native::Text(title.to_owned()),
    };
    carried.map(|field| (field, begin(field))).collect()
}
