//! Comments: an append-only set; what is new on one record is copied to the others, once.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    Action, AuditKind, Base, Comment, CommentKey, Comments, MemberState, RecordKind, RecordRef, Snapshot,
};

use super::decide::Work;
use super::marker::{Mark, copy_name, quotations};

/// Comments from before a record was opened that are carried over, per record.
const MAX_BACKFILL: usize = 50;

/// Copies that a comment may quote. A system that alters what we write makes a new comment of each copy, which quotes one
/// more each time it comes round.
const MAX_QUOTATIONS: usize = 12;

/// A comment to be copied.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyWish {
    /// Where to.
    pub target: RecordRef,
    /// The comment action, with the copy's name and text.
    pub action: Action,
    /// Where it comes from, for the history.
    pub cause: String,
}

impl Work<'_> {
    /// Takes the comments in: what is new and not ours is copied to the other records.
    /// `joined` says whether the record joins right now, `moved` whether it changed since it was acknowledged.
    pub(super) fn take_comments(&mut self, at: usize, snapshot: &Snapshot, (joined, moved): (bool, bool)) {
        let opened = self.opening(at).is_some();
        let joined = joined && !opened;
        match &snapshot.comments {
            Comments::Untold => {
                self.mapping.members[at].unread |= (moved || opened) && !joined && self.comments_travel(at);
            }
            Comments::Recent(comments) => {
                self.new_comments(at, snapshot, comments, joined);
            }
            Comments::Counted(count) => self.count_comments(at, *count, joined, snapshot.fresh),
            Comments::Listed(comments) => {
                self.list_comments(at, snapshot, comments, joined);
                self.mapping.members[at].unread = false;
            }
        }
    }

    /// A comment is never unsaid: what a version that comes late brings of them counts all the same. A read in between may
    /// have acknowledged its record without them.
    pub(super) fn take_late_comments(&mut self, at: usize, snapshot: &Snapshot) {
        if planted!(LateCommentsDropped) {
            return;
        }
        if let (MemberState::Linked, Comments::Recent(comments)) =
            (&self.mapping.members[at].state, &snapshot.comments)
        {
            self.new_comments(at, snapshot, comments, false);
        }
    }

    fn count_comments(&mut self, at: usize, count: u32, joined: bool, fresh: bool) {
        let travel = self.comments_travel(at);
        let member = &mut self.mapping.members[at];
        let Some(base) = &mut member.base else { return };
        if joined || !travel || count <= base.comment_count {
            base.comment_count = count;
            member.unread &= !fresh || !member.backfill.is_empty();
        } else {
            member.unread = true;
        }
    }

    /// Whether comments of this record go anywhere.
    fn comments_travel(&self, at: usize) -> bool {
        let member = &self.mapping.members[at];
        let leaves = self.policy().comments.leaves(&member.record.system);
        leaves
            && member.record.kind != RecordKind::Alert
            && !self.follows_natively(at)
            && !self.targets(at).is_empty()
    }

    /// Up to when a comment on a record that joins is taken to have been there before, where it was not told.
    pub(super) fn linked_at(&self, at: usize, snapshot: &Snapshot) -> Timestamp {
        // Whatever is in a record that we created came after it.
        if self.opening(at).is_some() {
            return Timestamp::UNIX_EPOCH;
        }
        // A list tells what was said up to then, so more of the same time is news: some times are whole seconds.
        let told = match &snapshot.comments {
            Comments::Listed(_) => true,
            Comments::Recent(_) => !snapshot.fresh,
            Comments::Counted(_) | Comments::Untold => false,
        };
        snapshot.modified - if told { SignedDuration::from_nanos(1) } else { SignedDuration::ZERO }
    }

    /// Comments of a natively synced follower arrive on the writer by themselves, and are taken from there.
    fn follows_natively(&self, at: usize) -> bool {
        let policy = self.policy();
        let is_follower =
            policy.native_sync.as_ref().is_some_and(|n| n.follower == self.mapping.members[at].record.system);
        is_follower && super::needs::native_twin(&self.mapping, policy, at).is_some()
    }

    /// The records that receive copies of comments on this one.
    fn targets(&self, at: usize) -> Vec<RecordRef> {
        let policy = self.policy();
        let twin = super::needs::native_twin(&self.mapping, policy, at);
        let receives = |other: usize| {
            let member = &self.mapping.members[other];
            other != at
                && Some(other) != twin
                && (member.state == MemberState::Linked
                    || member.is_missed() && !planted!(GoneForgetsComments))
                && member.record.kind != RecordKind::Alert
                && policy.comments.reaches(&member.record.system)
                && !self.follows_natively(other)
        };
        (0..self.mapping.members.len())
            .filter(|other| receives(*other))
            .map(|other| self.mapping.members[other].record.clone())
            .collect()
    }

    /// All comments of a record.
    fn list_comments(&mut self, at: usize, snapshot: &Snapshot, comments: &[Comment], joined: bool) {
        let owed = std::mem::take(&mut self.mapping.members[at].backfill);
        let earlier = self.new_comments(at, snapshot, comments, joined);
        self.carry_earlier(at, snapshot, &earlier, &owed);
        if let Some(base) = &mut self.mapping.members[at].base {
            base.comment_count = u32::try_from(comments.len()).unwrap_or(u32::MAX);
        }
    }

    /// Copies what is new. Returns what was known, or there before the record was linked.
    fn new_comments<'c>(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        comments: &'c [Comment],
        joined: bool,
    ) -> Vec<&'c Comment> {
        let travel = self.comments_travel(at);
        let mut earlier = Vec::new();
        for comment in comments {
            let Some(base) = &mut self.mapping.members[at].base else { return earlier };
            let linked_at = base.linked_at;
            let known = !base.comments.insert(comment.key.clone());
            let older = joined || comment.created.is_some_and(|created| created <= linked_at);
            if known || older {
                earlier.push(comment);
            } else {
                self.new_comment(at, snapshot, comment, travel);
            }
        }
        earlier
    }

    /// A record that we opened wants the comments that the others had before (at most [`MAX_BACKFILL`] of each, the
    /// latest). They are read again for that, since their texts are not kept.
    pub(super) fn owe_earlier_comments(&mut self, to: usize) {
        let target = self.mapping.members[to].record.clone();
        for at in 0..self.mapping.members.len() {
            let has_some = |b: &Base| b.comment_count > 0 || !b.comments.is_empty();
            let base = self.mapping.members[at].base.as_ref();
            if base.is_some_and(has_some) && self.comments_travel(at) && self.targets(at).contains(&target) {
                let member = &mut self.mapping.members[at];
                member.backfill.insert(target.clone());
                member.unread = true;
            }
        }
    }

    fn carry_earlier(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        earlier: &[&Comment],
        owed: &BTreeSet<RecordRef>,
    ) {
        if owed.is_empty() {
            return;
        }
        let marker = &self.rules.marker;
        let people: Vec<&&Comment> = earlier
            .iter()
            .filter(|c| !matches!(marker.read(&c.text), Mark::Ours(_)) && !c.text.trim().is_empty())
            .collect();
        let too_many = people.len().saturating_sub(MAX_BACKFILL);
        for comment in &people[..too_many] {
            let reason =
                format!("only the latest {MAX_BACKFILL} comments from before the ticket are carried over");
            self.comment_not_carried(at, comment, &reason);
        }
        let targets: Vec<RecordRef> = self.targets(at).into_iter().filter(|t| owed.contains(t)).collect();
        for comment in &people[too_many..] {
            self.copy(snapshot, comment, &targets);
        }
    }

    fn new_comment(&mut self, at: usize, snapshot: &Snapshot, comment: &Comment, travel: bool) {
        if let Mark::Ours(_) = self.rules.marker.read(&comment.text)
            && !planted!(OwnMarkIgnored)
        {
            return;
        }
        // A mark that does not fit the whole text proves nothing: somebody quotes a copy of ours in an answer.
        let key = comment.key.as_str().to_owned();
        self.note(&snapshot.record, AuditKind::Commented { by: comment.author.clone(), key });
        if self.rules.marker.read(&comment.text) == Mark::Unproven && planted!(QuotationDropped) {
            return;
        }
        if quotations(&comment.text) > MAX_QUOTATIONS {
            let reason = format!(
                "it quotes more than {MAX_QUOTATIONS} copies; a system that alters our copies would send it round for ever"
            );
            return self.comment_not_carried(at, comment, &reason);
        }
        if !travel {
            return self.comment_not_carried(
                at,
                comment,
                "there is no record that comments of this one go to",
            );
        }
        let targets = self.targets(at);
        self.copy(snapshot, comment, &targets);
    }

    fn copy(&mut self, snapshot: &Snapshot, comment: &Comment, targets: &[RecordRef]) {
        let origin = snapshot.record.clone();
        let name: CommentKey = copy_name(&origin, &comment.key);
        for target in targets.iter().cloned() {
            let text = self.rules.marker.copy_text(&name, &origin, comment);
            let cause = format!("comment by {} on {origin}", comment.author.as_deref().unwrap_or("someone"));
            self.copies.push(CopyWish { target, action: Action::Comment { key: name.clone(), text }, cause });
        }
    }

    fn comment_not_carried(&mut self, at: usize, comment: &Comment, reason: &str) {
        let record = self.mapping.members[at].record.clone();
        let value = comment.key.as_str().to_owned();
        let reason = reason.to_owned();
        self.note(&record, AuditKind::NotCarried { what_of: "comment".to_owned(), value, reason });
    }
}
