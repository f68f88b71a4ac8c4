//! Comments: all of an issue's, and one more (`ticketing.md` 2.6).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use super::snapshot::{Remark, comment, without_notes};
use super::wire::{WireComment, WireComments};
use super::{Deployment, Jira, MARK, adf, wiki};
use crate::connectors::text::{MAX_COMMENT, cut_keeping_last_line};
use crate::connectors::{Audience, Written};
use crate::http::{Call, CallError, Method};
use crate::model::{Comment, CommentKey, RecordRef, Snapshot};

/// Comments per page.
const PAGE_SIZE: usize = 100;
/// Pages of one issue's comments, of which it can have 5,000.
const MAX_PAGES: usize = 60;

pub(super) const LIST: &str = "comments.list";
pub(super) const CREATE: &str = "comments.create";

impl Jira {
    /// All comments of an issue, oldest first. One that cannot be read fails the list:
    /// a look-up must not overlook a copy.
    pub(super) async fn comments(&self, record: &RecordRef) -> Result<Vec<Comment>, CallError> {
        let (id, me) = (self.id(LIST, record)?, self.me().await?);
        let (mut all, mut seen, mut start): (Vec<Remark>, BTreeSet<String>, usize) = Default::default();
        for _ in 0..MAX_PAGES {
            let (from, most) = (start.to_string(), PAGE_SIZE.to_string());
            let query = [("startAt", from.as_str()), ("maxResults", &most), ("orderBy", "created")];
            let url = self.url(LIST, &["issue", id, "comment"], &query)?;
            let answer = self.endpoint.send(Call::get(LIST, "jira-get", url)).await?;
            let bad = |what: String| self.endpoint.malformed(LIST, &answer, format!("{record}: {what}"));
            let page = WireComments::deserialize(&answer.body).map_err(|e| bad(e.to_string()))?;
            let rows = page.comments.value().ok_or_else(|| bad("there is no list of comments".to_owned()))?;
            for row in rows {
                let remark = comment(self.settings.deployment, Some(me), row).map_err(&bad)?;
                if seen.insert(row["id"].to_string()) {
                    all.push(remark);
                }
            }
            start += rows.len();
            let total = page
                .total
                .value()
                .copied()
                .ok_or_else(|| bad("it does not say how many there are".to_owned()))?;
            if u32::try_from(start).is_ok_and(|start| start >= total) {
                return Ok(without_notes(all));
            }
        }
        Err(self.endpoint.refused(LIST, None, format!("{record} has more than {start} comments")))
    }

    /// One POST. Its answer says nothing of the issue, whose `updated` it moves.
    pub(super) async fn add_comment(
        &self,
        current: &Snapshot,
        key: &CommentKey,
        text: &str,
    ) -> Result<Written, CallError> {
        let id = self.id(CREATE, &current.record)?;
        if self.keys.leaked.load(Ordering::Relaxed) && self.is_private() {
            let what = "an internal comment was shown to the customer before, so no more are written; see that \
                        lockstep's account is an agent of this service project, and start lockstep again";
            return Err(self.endpoint.to_mend(CREATE, format!("{}: {what}", current.record)));
        }
        let body = self.comment_body(text, &json!({"key": key.as_str()}));
        let url = self.url(CREATE, &["issue", id, "comment"], &[])?;
        let call = Call::write(CREATE, "jira-post", Method::POST, url, body).of_record(id);
        let answer = match self.endpoint.send(call).await {
            Ok(answer) => answer,
            Err(error @ CallError::Refused { .. }) => {
                return Err(self.unless_lacking("ADD_COMMENTS", ("issueId", id), error).await);
            }
            Err(error) => return Err(error),
        };
        let written = WireComment::deserialize(&answer.body).unwrap_or_default();
        if self.is_private() && written.jsd_public.value() == Some(&true) {
            self.keys.leaked.store(true, Ordering::Relaxed);
            tracing::warn!(
                record = %current.record,
                "the customer can see a comment that was to be internal; no further comments are written"
            );
        }
        Ok(Written::new(None, answer.request_id))
    }

    /// A comment as the API wants it, with lockstep's property, and for agents only where that must be said.
    pub(super) fn comment_body(&self, text: &str, mark: &Value) -> Value {
        let mut properties = vec![json!({"key": MARK, "value": mark})];
        if self.is_private() {
            properties.push(json!({"key": "sd.public.comment", "value": {"internal": true}}));
        }
        json!({"body": self.rich(text), "properties": properties})
    }

    /// Whether comments must be kept from the customer.
    fn is_private(&self) -> bool {
        self.settings.service_desk && self.settings.system.comments == Audience::Internal
    }

    /// A text in the form of the deployment. Escapes count, and the last line stays.
    pub(super) fn rich(&self, text: &str) -> Value {
        match self.settings.deployment {
            Deployment::Cloud => adf::from_text(&cut_keeping_last_line(text, MAX_COMMENT)),
            Deployment::DataCenter => {
                let mut limit = MAX_COMMENT;
                let mut markup = wiki::from_text(&cut_keeping_last_line(text, limit));
                while markup.encode_utf16().count() > MAX_COMMENT && limit > 1_000 {
                    limit = limit * 3 / 4;
                    markup = wiki::from_text(&cut_keeping_last_line(text, limit));
                }
                Value::String(markup)
            }
        }
    }
}
