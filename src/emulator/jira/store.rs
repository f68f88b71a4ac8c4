//! What the emulated Jira keeps, and the one way in which an issue changes.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use super::super::clock::earlier;
use super::super::desk::Surroundings;
use super::super::ledger::{Actor, System, What, changes, outcome};
use super::super::versions::Versions;
use super::super::wire::Reply;
use super::issue::{Comment, Issue, account, to_millis};
use super::settings::{RateLimitReason, Settings};
use super::{no_issue, refusal};

/// Writes to one issue: so many within so many seconds (`ticketing.md` 2.7).
const LIMITS: [(usize, f64); 2] = [(20, 2.0), (100, 30.0)];

/// The system.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Jira {
    pub(super) settings: Settings,
    pub(super) issues: BTreeMap<u64, Kept>,
    pub(super) numbers: BTreeMap<String, u64>,
    pub(super) last_comment: u64,
    pub(super) tokens: Vec<String>,
    /// Searches so far: nodes take turns.
    pub(super) searches: u64,
    /// E-mails by account id or name.
    pub(super) users: HashMap<String, String>,
    writes: HashMap<u64, VecDeque<Timestamp>>,
}

/// An issue with its past.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) versions: Versions<Issue>,
    pub(super) deleted: Option<Timestamp>,
    /// The keys it had before it was moved; they still lead to it.
    pub(super) former: Vec<String>,
}

impl Jira {
    /// An issue by id or key that was not deleted.
    pub(super) fn find(&self, id_or_key: &str) -> Option<&Kept> {
        let by_id = id_or_key.parse().ok().and_then(|id: u64| self.issues.get(&id));
        let is_it = |kept: &&Kept| {
            kept.versions.current().key() == id_or_key || kept.former.iter().any(|key| key == id_or_key)
        };
        by_id.or_else(|| self.issues.values().find(is_it)).filter(|kept| kept.deleted.is_none())
    }

    pub(super) fn id_of(&self, id_or_key: &str) -> Result<u64, Reply> {
        self.find(id_or_key).map(|kept| kept.versions.current().id).ok_or_else(no_issue)
    }

    /// The next id of an issue and its number within its project.
    pub(super) fn next_id(&mut self, project: &str) -> (u64, u64) {
        let number = self.numbers.entry(project.to_owned()).or_default();
        *number += 1;
        (self.issues.keys().next_back().map_or(10_000, |last| last + 1), *number)
    }

    pub(super) fn add(&mut self, issue: Issue, actor: &Actor, around: &mut Surroundings<'_>) {
        around.note(System::Jira, &issue.id.to_string(), actor, What::Created);
        let versions = Versions::new(around.now, issue);
        self.issues.insert(versions.current().id, Kept { versions, deleted: None, former: Vec::new() });
    }

    /// Changes an issue. `updated` moves even where nothing changes, and a refusal leaves everything as it was.
    pub(super) fn change(
        &mut self,
        id: u64,
        actor: &Actor,
        around: &mut Surroundings<'_>,
        act: impl FnOnce(&mut Issue) -> Result<(), Reply>,
    ) -> Result<(), Reply> {
        let kept = self.issues.get_mut(&id).ok_or_else(no_issue)?;
        let before = kept.versions.current().plain();
        let mut next = kept.versions.current().clone();
        act(&mut next)?;
        next.updated = to_millis(around.now).max(next.updated);
        let changed = changes(&before, &next.plain(), &[]);
        kept.versions.push(around.now, next);
        around.note(System::Jira, &id.to_string(), actor, outcome(changed));
        Ok(())
    }

    /// Adds a comment; returns it.
    pub(super) fn remark(
        &mut self,
        id: u64,
        actor: &Actor,
        around: &mut Surroundings<'_>,
        (body, internal, properties): (Value, bool, Vec<Value>),
    ) -> Result<Comment, Reply> {
        let comment = self.new_comment(actor, around.now, (body, internal, properties));
        let kept = self.issues.get_mut(&id).ok_or_else(no_issue)?;
        let mut next = kept.versions.current().clone();
        next.comments.push(comment.clone());
        next.updated = to_millis(around.now).max(next.updated);
        kept.versions.push(around.now, next);
        let what = What::Commented {
            comment: Some(comment.id.to_string()),
            text: super::text::plain(&comment.body),
        };
        around.note(System::Jira, &id.to_string(), actor, what);
        Ok(comment)
    }

    pub(super) fn new_comment(
        &mut self,
        actor: &Actor,
        now: Timestamp,
        (body, internal, properties): (Value, bool, Vec<Value>),
    ) -> Comment {
        self.last_comment += 1;
        let (id, author) = (10_100 + self.last_comment, actor.as_str().to_owned());
        Comment { id, author, created: to_millis(now), body, internal, properties }
    }

    /// Collisions and limits, before a write to an issue.
    pub(super) fn may_write(&mut self, id: u64, now: Timestamp) -> Result<(), Reply> {
        if self.settings.conflicts > 0 {
            self.settings.conflicts -= 1;
            return Err(refusal(409, "The issue is being updated by another request."));
        }
        if !self.settings.per_issue_limit {
            return Ok(());
        }
        let writes = self.writes.entry(id).or_default();
        while writes.front().is_some_and(|at| *at < earlier(now, 30.0)) {
            writes.pop_front();
        }
        for (most, seconds) in LIMITS {
            if writes.iter().filter(|at| **at >= earlier(now, seconds)).count() >= most {
                let reset =
                    super::super::clock::later(now, seconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let reply = refusal(429, "Too many writes to this issue.")
                    .with("retry-after", format!("{seconds:.0}"))
                    .with("x-ratelimit-reset", reset);
                return Err(self.rate_limited(reply, Some(RateLimitReason::JiraPerIssueOnWrite)));
            }
        }
        writes.push_back(now);
        Ok(())
    }

    /// The e-mail behind an account id or name.
    pub(super) fn mail_of(&self, account: &str) -> Option<String> {
        self.users.get(account).cloned()
    }

    /// Whether an address is somebody's. Whoever is asked for exists from then on.
    pub(super) fn knows(&mut self, mail: &str) -> bool {
        let exists = mail.strip_suffix("@example.org").is_some_and(|name| !name.is_empty());
        if exists {
            self.users.insert(account(mail), mail.to_owned());
            self.users.insert(mail.split('@').next().unwrap_or_default().to_owned(), mail.to_owned());
        }
        exists
    }
}
