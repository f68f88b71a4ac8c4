//! Comments: an append-only set; what is new on one record is copied to the others, once.

use crate::model::{Action, AuditKind, Comment, CommentKey, MemberState, RecordKind, RecordRef, Snapshot};

use super::decide::Work;
use super::marker::{Mark, copy_name};

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
    /// Whether comments of this record go anywhere.
    pub(super) fn comments_travel(&self, at: usize) -> bool {
        let member = &self.mapping.members[at];
        let leaves = self.policy().comments.leaves(&member.record.system);
        leaves
            && member.record.kind != RecordKind::Alert
            && !self.follows_natively(at)
            && !self.targets(at).is_empty()
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
                && member.state == MemberState::Linked
                && member.record.kind != RecordKind::Alert
                && policy.comments.reaches(&member.record.system)
                && !self.follows_natively(other)
        };
        (0..self.mapping.members.len())
            .filter(|other| receives(*other))
            .map(|other| self.mapping.members[other].record.clone())
            .collect()
    }

    pub(super) fn list_comments(
        &mut self,
        at: usize,
        snapshot: &Snapshot,
        comments: &[Comment],
        joined: bool,
    ) {
        let travel = self.comments_travel(at);
        for comment in comments {
            let Some(base) = &mut self.mapping.members[at].base else { return };
            let linked_at = base.linked_at;
            let known = !base.comments.insert(comment.key.clone());
            // What was there when the record was linked is not carried over.
            let older = joined || comment.created.is_some_and(|created| created <= linked_at);
            if !known && !older {
                self.new_comment(at, snapshot, comment, travel);
            }
        }
        if let Some(base) = &mut self.mapping.members[at].base {
            base.comment_count = u32::try_from(comments.len()).unwrap_or(u32::MAX);
        }
    }

    fn new_comment(&mut self, at: usize, snapshot: &Snapshot, comment: &Comment, travel: bool) {
        let mark = self.rules.marker.read(&comment.text);
        if let Mark::Ours(_) = mark {
            return;
        }
        let key = comment.key.as_str().to_owned();
        self.note(&snapshot.record, AuditKind::Commented { by: comment.author.clone(), key });
        if mark == Mark::Unproven {
            let reason = "it carries a lockstep mark that does not fit its text (a quotation, or altered by the service)";
            return self.comment_not_carried(at, comment, reason);
        }
        if !travel {
            return self.comment_not_carried(
                at,
                comment,
                "there is no record that comments of this one go to",
            );
        }
        let origin = snapshot.record.clone();
        let name: CommentKey = copy_name(&origin, &comment.key);
        for target in self.targets(at) {
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
