//! What a simulated service shows: lists that lag, reads that may be stale.

use jiff::Timestamp;

use crate::connectors::Depth;
use crate::model::{Comments, Facts, Field, Lifecycle, RecordId, RecordKind, RecordRef, Snapshot};

use super::habits::Telling;
use super::remote::{Remote, STALENESS, Version};

impl Remote {
    /// A page of what a list shows: of each record the newest version that the index has caught up with, oldest change
    /// first, after `after`; and whether there is more.
    pub(crate) fn list(
        &self,
        now: Timestamp,
        kind: RecordKind,
        since: Timestamp,
        after: Option<&(Timestamp, RecordId)>,
        size: usize,
    ) -> (Vec<Snapshot>, bool) {
        let visible = |versions: &'_ Vec<Version>| versions.iter().rposition(|v| v.at + self.lag <= now);
        let mut shown: Vec<(&RecordId, &Version)> = self
            .records
            .iter()
            .filter(|(id, _)| self.kind(id) == kind)
            .filter_map(|(id, versions)| Some((id, &versions[visible(versions)?])))
            .filter(|(id, v)| {
                !v.deleted && v.modified >= since && after.is_none_or(|a| (v.modified, *id) > (a.0, &a.1))
            })
            .collect();
        shown.sort_by_key(|(id, version)| (version.modified, (*id).clone()));
        let more = shown.len() > size;
        let page = shown.into_iter().take(size).map(|(id, version)| {
            let mut snapshot = self.snapshot(id, version, false, Depth::Record);
            if self.habits.comments == Telling::Recent {
                let recent = version.comments.iter().filter(|c| c.created.is_some_and(|at| at >= since));
                snapshot.comments = Comments::Recent(recent.cloned().collect());
            }
            snapshot
        });
        (page.collect(), more)
    }

    /// A read by id; `stale` gives the version before, if that was replaced a moment ago.
    pub(crate) fn read(&self, now: Timestamp, id: &RecordId, depth: Depth, stale: bool) -> Option<Snapshot> {
        let versions = self.records.get(id)?;
        let last = versions.last()?;
        let before = versions.len().checked_sub(2).and_then(|at| versions.get(at));
        let young = now.duration_since(last.at) < STALENESS;
        let version = before.filter(|_| stale && young).unwrap_or(last);
        (!version.deleted).then(|| self.snapshot(id, version, true, depth))
    }

    fn created(&self, id: &RecordId) -> Option<Timestamp> {
        Some(self.records.get(id)?.first()?.modified)
    }

    /// The oldest ticket with a key; a lagging index does not show one that is young.
    pub(crate) fn find(
        &self,
        now: Timestamp,
        key: &RecordRef,
        depth: Depth,
        stale: bool,
    ) -> Option<Snapshot> {
        let shown = |id: &RecordId| {
            let opened = self.records.get(id).and_then(|versions| versions.first()).map(|v| v.at);
            opened.is_some_and(|at| !stale || now.duration_since(at) >= STALENESS)
        };
        let with_key = self.keys.iter().filter(|(_, own)| *own == key).map(|(id, _)| id);
        let there = with_key.filter(|id| shown(id) && self.current(id).is_some());
        let oldest = there.min_by_key(|id| (self.created(id), (*id).clone()))?.clone();
        self.read(now, &oldest, depth, false)
    }

    fn snapshot(&self, id: &RecordId, version: &Version, fresh: bool, depth: Depth) -> Snapshot {
        let mut native = version.native.clone();
        if self.words.hides_verdict && !self.words.is_closed(&native) {
            native.remove(&Field::Verdict);
        }
        let count = || u32::try_from(version.comments.len()).unwrap_or(u32::MAX);
        let comments = match (self.habits.comments, depth) {
            (Telling::Listed, _) | (_, Depth::Comments) => Comments::Listed(version.comments.clone()),
            (Telling::Counted, _) => Comments::Counted(count()),
            (Telling::Recent, _) => Comments::Recent(Vec::new()),
            (Telling::Untold, _) => Comments::Untold,
        };
        let to = version.merged_into.as_ref().map(|to| self.record(to));
        Snapshot {
            record: self.record(id),
            // Where it is no count, it must not look like one.
            revision: format!("{}{}", if self.habits.counts { "" } else { "v" }, version.revision),
            modified: version.modified,
            modified_by: Some(format!("{:?}", version.by)),
            fresh,
            hidden: version.kept.iter().map(|verdict| (Field::Verdict, verdict.clone())).collect(),
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
