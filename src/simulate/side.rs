//! A simulated remote system: records with versions, a list that lags, reads that may be stale, and a write log.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::connectors::Depth;
use crate::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, Patch, RecordId, RecordKind,
    RecordRef, Snapshot, SystemName,
};

/// Which service a side resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// No write guard, comments come with the record, times tick at 1/300 s.
    Defender,
    /// A revision guards writes, comments are counted, a verdict shows only while closed, ids are client-chosen.
    Sentinel,
    /// Sentinel's words, but no write guard; ids are the system's own, a key finds them, and of comments only a read of
    /// them tells.
    Ticket,
}

impl Flavour {
    /// Whether a verdict shows only while the record is closed.
    fn hides_verdict(self) -> bool {
        self != Self::Defender
    }
}

/// Who changed a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A person, or another program.
    Human,
    /// lockstep.
    Worker,
    /// Microsoft's own sync.
    Native,
}

/// One entry of the write log: what really changed.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Whose doing.
    pub actor: Actor,
    /// Which record.
    pub record: RecordId,
    /// The changed fields with their new values; empty for a comment or a creation.
    pub fields: Natives,
    /// The text of an added comment.
    pub comment: Option<String>,
    /// Whether the record was created.
    pub created: bool,
}

/// A record at one revision.
#[derive(Debug, Clone)]
pub struct Version {
    /// When it came about (true time); lists show it after the lag.
    pub at: Timestamp,
    /// The side's own time of it.
    pub modified: Timestamp,
    /// Counts up with every change.
    pub revision: u64,
    /// Who made it.
    pub by: Actor,
    /// All fields.
    pub native: Natives,
    /// The note given at closing.
    pub closing_comment: Option<String>,
    /// The comments.
    pub comments: Vec<Comment>,
    /// The incident into which this one was merged.
    pub merged_into: Option<RecordId>,
}

/// Why a side refuses a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The revision moved.
    Conflict,
    /// The body is illegal.
    Invalid,
    /// No such record.
    NotFound,
}

/// A simulated system.
#[derive(Debug)]
pub struct Side {
    /// Its name.
    pub name: SystemName,
    /// What it resembles.
    pub flavour: Flavour,
    /// Its clock against true time.
    pub skew: SignedDuration,
    /// How long lists lag behind.
    pub lag: SignedDuration,
    /// All versions of all records, oldest first.
    pub records: BTreeMap<RecordId, Vec<Version>>,
    /// Ids of the records on the other side that ours name as the same incident.
    pub twins: BTreeMap<RecordId, RecordRef>,
    /// The alerts among the records, each with the incident it belongs to.
    pub alerts: BTreeMap<RecordId, RecordId>,
    /// The keys inside tickets.
    pub keys: BTreeMap<RecordId, RecordRef>,
    /// What really changed.
    pub log: Vec<Effective>,
    /// List and read calls that were answered.
    pub calls: u64,
}

impl Side {
    /// The record now.
    pub fn current(&self, id: &RecordId) -> Option<&Version> {
        self.records.get(id)?.last()
    }

    fn stamp(&self, now: Timestamp, after: Option<Timestamp>) -> Timestamp {
        let own = now + self.skew;
        if self.flavour != Flavour::Defender {
            let least = after.map_or(own, |t| t + SignedDuration::from_nanos(100));
            return own.max(least);
        }
        // SQL datetime: multiples of 1/300 s, so changes within one tick share a time (`graph-security.md` 2.3).
        let ticks = own.as_microsecond() * 3 / 10_000;
        let own = Timestamp::from_microsecond(ticks * 10_000 / 3).unwrap_or(own);
        after.map_or(own, |t| own.max(t))
    }

    /// Adds a record.
    pub fn create(&mut self, now: Timestamp, by: Actor, id: &RecordId, native: Natives) {
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
        };
        self.records.insert(id.clone(), vec![version]);
        self.log.push(Effective {
            actor: by,
            record: id.clone(),
            fields: Natives::new(),
            comment: None,
            created: true,
        });
    }

    /// Applies a change of fields; a value that is there already changes nothing and is not logged.
    pub fn write(
        &mut self,
        now: Timestamp,
        by: Actor,
        id: &RecordId,
        patch: &Patch,
        guard: Option<u64>,
    ) -> Result<(), Refusal> {
        let old = self.current(id).cloned().ok_or(Refusal::NotFound)?;
        if guard.is_some_and(|revision| revision != old.revision) && self.flavour == Flavour::Sentinel {
            return Err(Refusal::Conflict);
        }
        let mut native = old.native.clone();
        native.extend(patch.native.clone());
        self.check(&native)?;
        if self.flavour.hides_verdict() && !is_closed(&native) {
            native.insert(Field::Verdict, Native::Empty);
        }
        let fields: Natives = native
            .iter()
            .filter(|(f, v)| old.native.get(*f) != Some(*v))
            .map(|(f, v)| (*f, v.clone()))
            .collect();
        if fields.is_empty() {
            return Ok(());
        }
        let closing_comment = patch.closing_comment.clone().or(old.closing_comment.clone());
        self.push(now, by, id, &old, |v| {
            v.native = native;
            v.closing_comment = closing_comment;
        });
        self.fan_out(now, id, &fields);
        self.log.push(Effective { actor: by, record: id.clone(), fields, comment: None, created: false });
        Ok(())
    }

    /// What is said of an incident is said of its alerts, by the service itself (`graph-security.md` 2.6).
    fn fan_out(&mut self, now: Timestamp, incident: &RecordId, fields: &Natives) {
        let carried =
            |field: Field| if field == Field::Status { is_closed(fields) } else { field != Field::Title };
        let said = fields.iter().filter(|(field, _)| carried(**field));
        let said: Natives = said.map(|(field, native)| (*field, native.clone())).collect();
        for alert in self.alerts_of(incident) {
            let Some(old) = self.current(&alert).cloned() else { continue };
            let states = |field: &Field| old.native.contains_key(field);
            let said = said.clone().into_iter().filter(|(field, _)| states(field));
            let native: Natives = old.native.clone().into_iter().chain(said).collect();
            if native != old.native {
                self.push(now, Actor::Native, &alert, &old, |version| version.native = native);
            }
        }
    }

    fn alerts_of(&self, incident: &RecordId) -> Vec<RecordId> {
        self.alerts.iter().filter(|(_, parent)| *parent == incident).map(|(alert, _)| alert.clone()).collect()
    }

    /// Adds an alert to an incident.
    pub fn raise(&mut self, now: Timestamp, alert: &RecordId, incident: &RecordId) {
        self.alerts.insert(alert.clone(), incident.clone());
        let status = (Field::Status, Native::Text("new".to_owned()));
        let native = Natives::from([status, (Field::Verdict, Native::Empty), (Field::Owner, Native::Empty)]);
        self.create(now, Actor::Native, alert, native);
    }

    /// Merges an open incident into another one: its alerts go along (`graph-security.md` 2.8).
    pub fn merge(&mut self, now: Timestamp, source: &RecordId, target: &RecordId) {
        let Some(old) = self.current(source).cloned() else { return };
        self.push(now, Actor::Native, source, &old, |version| {
            version.native.insert(Field::Status, Native::Text("redirected".to_owned()));
            version.merged_into = Some(target.clone());
        });
        for alert in self.alerts_of(source) {
            self.alerts.insert(alert.clone(), target.clone());
            let Some(old) = self.current(&alert).cloned() else { continue };
            self.push(now, Actor::Native, &alert, &old, |_| {});
        }
    }

    /// A close without verdict is refused (`sentinel.md` 1.5).
    fn check(&self, native: &Natives) -> Result<(), Refusal> {
        let verdict = native.get(&Field::Verdict).is_some_and(|v| *v != Native::Empty);
        let legal = !self.flavour.hides_verdict() || !is_closed(native) || verdict;
        if legal { Ok(()) } else { Err(Refusal::Invalid) }
    }

    /// Adds a comment. Where ids are client-chosen, the same id again changes nothing.
    pub fn comment(
        &mut self,
        now: Timestamp,
        by: Actor,
        id: &RecordId,
        key: Option<CommentKey>,
        text: &str,
    ) -> Result<(), Refusal> {
        let old = self.current(id).cloned().ok_or(Refusal::NotFound)?;
        let author = Some(format!("{by:?}"));
        let stamp = self.stamp(now, Some(old.modified));
        let key = key.unwrap_or_else(|| {
            CommentKey::from_content(author.as_deref(), &format!("{stamp} {}", old.revision), text)
        });
        if old.comments.iter().any(|c| c.key == key) {
            return Ok(());
        }
        let comment = Comment { key, author, created: Some(now + self.skew), text: text.to_owned() };
        self.push(now, by, id, &old, |v| v.comments.push(comment));
        let (fields, comment) = (Natives::new(), Some(text.to_owned()));
        self.log.push(Effective { actor: by, record: id.clone(), fields, comment, created: false });
        Ok(())
    }

    fn push(
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

    /// What a list shows: of each record the newest version that the index has caught up with.
    pub fn list(&mut self, now: Timestamp, kind: RecordKind, since: Timestamp) -> Vec<Snapshot> {
        self.calls += 1;
        let visible =
            |versions: &Vec<Version>| versions.iter().rev().find(|v| v.at + self.lag <= now).cloned();
        let shown: Vec<(RecordId, Version)> = self
            .records
            .iter()
            .filter(|(id, _)| self.kind(id) == kind)
            .filter_map(|(id, versions)| Some((id.clone(), visible(versions)?)))
            .filter(|(_, v)| v.modified >= since)
            .collect();
        let mut page: Vec<Snapshot> =
            shown.iter().map(|(id, v)| self.snapshot(id, v, false, Depth::Record)).collect();
        page.sort_by_key(|s| s.modified);
        page
    }

    /// A read by id; `stale` gives the version before, if that was replaced within the last 20 s.
    pub fn read(&mut self, now: Timestamp, id: &RecordId, depth: Depth, stale: bool) -> Option<Snapshot> {
        self.calls += 1;
        let versions = self.records.get(id)?;
        let last = versions.last()?;
        let before = versions.len().checked_sub(2).and_then(|at| versions.get(at));
        let young = now.duration_since(last.at) < SignedDuration::from_secs(20);
        let version = before.filter(|_| stale && young).unwrap_or(last);
        Some(self.snapshot(id, version, true, depth))
    }

    fn created(&self, id: &RecordId) -> Option<Timestamp> {
        Some(self.records.get(id)?.first()?.modified)
    }

    /// The oldest ticket with a key; a lagging index does not show one that is younger than 20 s.
    pub fn find(&mut self, now: Timestamp, key: &RecordRef, depth: Depth, stale: bool) -> Option<Snapshot> {
        self.calls += 1;
        let shown = |id: &RecordId| {
            let opened = self.records.get(id).and_then(|versions| versions.first()).map(|v| v.at);
            opened.is_some_and(|at| !stale || now.duration_since(at) >= SignedDuration::from_secs(20))
        };
        let with_key =
            self.keys.iter().filter(|(id, own)| *own == key && shown(id)).map(|(id, _)| id.clone());
        let oldest = with_key.min_by_key(|id| (self.created(id), id.clone()))?;
        self.read(now, &oldest, depth, false)
    }

    fn kind(&self, id: &RecordId) -> RecordKind {
        match self.flavour {
            Flavour::Ticket => RecordKind::Ticket,
            _ if self.alerts.contains_key(id) => RecordKind::Alert,
            _ => RecordKind::Incident,
        }
    }

    fn snapshot(&self, id: &RecordId, version: &Version, fresh: bool, depth: Depth) -> Snapshot {
        let mut native = version.native.clone();
        if self.flavour.hides_verdict() && !is_closed(&native) {
            native.remove(&Field::Verdict);
        }
        let counted = self.flavour == Flavour::Sentinel && depth == Depth::Record;
        let comments = if counted {
            Comments::Counted(u32::try_from(version.comments.len()).unwrap_or(u32::MAX))
        } else if self.flavour == Flavour::Ticket && depth == Depth::Record {
            Comments::Untold
        } else {
            Comments::Listed(version.comments.clone())
        };
        let to = version.merged_into.clone().map(|to| RecordRef::incident(&self.name, to));
        Snapshot {
            record: RecordRef { system: self.name.clone(), kind: self.kind(id), id: id.clone() },
            revision: version.revision.to_string(),
            modified: version.modified,
            modified_by: Some(format!("{:?}", version.by)),
            fresh,
            native,
            closing_comment: version.closing_comment.clone(),
            comments,
            lifecycle: if to.is_some() { Lifecycle::Redirected { to } } else { Lifecycle::Present },
            links: self.twins.get(id).cloned().into_iter().collect(),
            parent: self.alerts.get(id).map(|parent| RecordRef::incident(&self.name, parent.clone())),
            planned_as: self.keys.get(id).cloned(),
            facts: Facts { created: self.created(id), ..Facts::default() },
            raw: serde_json::Value::Null,
        }
    }
}

/// Whether a record's status says closed, in either flavour.
pub(super) fn is_closed(native: &Natives) -> bool {
    let closed = |text: &String| text == "resolved" || text == "Closed";
    matches!(native.get(&Field::Status), Some(Native::Text(text)) if closed(text))
}

/// Tags as a native value.
pub(super) fn tags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Native {
    Native::Set(tags.into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
}
