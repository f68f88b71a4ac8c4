//! Comments: the transactions of type `Comment` (internal) and `Correspond` (public) of a ticket.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;

use super::snapshot::number;
use super::{PER_PAGE, RequestTracker};
use crate::connectors::html;
use crate::connectors::rich_text::PlainText;
use crate::connectors::stated::time;
use crate::http::{Answer, CallError};
use crate::model::{Comment, CommentKey, RecordRef};

/// Pages of one ticket's history.
const MAX_PAGES: u32 = 100;
/// Comments remembered. They never change, so one that was read needs no second call.
const MEMORY: usize = 2_000;

/// What stands for a text that is larger than an answer may be.
const TOO_LARGE: &str = "(a comment too large to be copied; see the ticket)";

/// Comments that were read, by transaction.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<u64, Comment>>);

impl Known {
    fn get(&self, id: u64) -> Option<Comment> {
        self.0.lock().ok()?.get(&id).cloned()
    }

    fn put(&self, id: u64, comment: &Comment) {
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= MEMORY {
                known.clear();
            }
            known.insert(id, comment.clone());
        }
    }
}

/// Whether a transaction is a comment.
pub(super) fn is_comment(transaction: &Value) -> bool {
    matches!(transaction["Type"].as_str(), Some("Comment" | "Correspond"))
}

impl RequestTracker {
    /// All comments of a ticket, oldest first. One that cannot be read fails the list: a look-up must not overlook a
    /// copy. One call for each hundred transactions, and one for each comment that was not read before.
    pub(super) async fn comments(&self, record: &RecordRef) -> Result<Vec<Comment>, CallError> {
        let operation = "comments.list";
        let ticket = self.number(operation, record)?.to_string();
        self.sees_comments(operation)?;
        let (mut all, mut last) = (Vec::new(), 0);
        for page in 1..=MAX_PAGES {
            let page = page.to_string();
            let query = [("fields", "Type,Creator,Created"), ("orderby", "id"), ("per_page", PER_PAGE)];
            let query: Vec<_> = query.into_iter().chain([("page", page.as_str())]).collect();
            let answer = self.ask(operation, &["ticket", &ticket, "history"], &query).await?;
            let rows = self.items(operation, &answer)?;
            let bad = |what: &str| self.endpoint.malformed(operation, &answer, format!("{record}: {what}"));
            let ids = || rows.iter().filter_map(|row| number(&row["id"]));
            let Some((first, end)) = ids().min().zip(ids().max()) else {
                // What this user may not see is left out of a page, so a short page need not be the last. A history
                // begins with the ticket's opening, so an empty one is out of sight.
                return if last > 0 {
                    Ok(all)
                } else {
                    Err(bad("its history is empty; may the user see it?"))
                };
            };
            if first <= last {
                return Err(bad("a page of its history does not follow the one before"));
            }
            last = end;
            for row in rows.iter().filter(|row| is_comment(row)) {
                all.push(self.comment_of(row, &answer).await?);
            }
        }
        let what = format!("{record}: its history has more than {MAX_PAGES} pages");
        Err(self.endpoint.invalid(operation, what))
    }

    /// The comment of a transaction. One call, unless it was read before.
    pub(super) async fn comment_of(&self, row: &Value, answer: &Answer) -> Result<Comment, CallError> {
        let operation = "comments.get";
        let bad = |what: &str| self.endpoint.malformed(operation, answer, format!("a comment {what}"));
        let id = number(&row["id"]).ok_or_else(|| bad("without a number"))?;
        if let Some(known) = self.known.get(id) {
            return Ok(known);
        }
        let created = row["Created"].as_str().and_then(|text| time(text).ok());
        let comment = Comment {
            key: CommentKey::from_id(&id.to_string()),
            author: row["Creator"]["id"].as_str().map(str::to_owned),
            created: Some(created.ok_or_else(|| bad("without its time"))?),
            text: self.text_of(operation, id).await?,
        };
        if row["Type"] == "Comment" {
            self.sight.saw_comment(id);
        }
        self.known.put(id, &comment);
        Ok(comment)
    }

    async fn text_of(&self, operation: &'static str, id: u64) -> Result<String, CallError> {
        let query = [("fields", "ContentType,Filename,Content"), ("per_page", PER_PAGE)];
        let answer = self.ask(operation, &["transaction", &id.to_string(), "attachments"], &query).await;
        let answer = match answer {
            Err(error) if error.is_too_large() => return Ok(TOO_LARGE.to_owned()),
            answer => answer?,
        };
        let parts = self.items(operation, &answer)?;
        // Each has at least one, also without words; those of one that this user may not see are left out.
        if parts.is_empty() {
            let what = format!(
                "the text of transaction {id} is out of sight; grant ShowTicket and ShowTicketComments"
            );
            return Err(self.endpoint.to_mend(operation, what));
        }
        // What a part is decides whether it is text, so a part that does not say it may be what somebody said.
        if !parts.iter().any(|part| part["ContentType"].is_string()) {
            let what = format!("the parts of transaction {id} do not say what they are");
            return Err(self.endpoint.malformed(operation, &answer, what));
        }
        Ok(body(parts))
    }
}

/// Kinds of parts that are read, or hold others.
const READ: [&str; 3] = ["multipart/", "text/plain", "text/html"];

/// The text among the parts of a message: the plain one, else the one in HTML. Files are named below it.
fn body(parts: &[Value]) -> String {
    let of = |part: &Value, name: &str| part[name].as_str().unwrap_or_default().trim().to_ascii_lowercase();
    let is_file = |part: &&Value| !of(part, "Filename").is_empty();
    let of_type = |wanted: &str| {
        let part = parts.iter().find(|part| !is_file(part) && of(part, "ContentType").starts_with(wanted));
        part.and_then(|part| part["Content"].as_str())
    };
    let plain = of_type("text/plain").map(str::to_owned);
    let text = plain.or_else(|| of_type("text/html").map(html::text_of)).unwrap_or_default();
    let mut files = PlainText::default();
    for part in parts {
        let (kind, name) = (of(part, "ContentType"), part["Filename"].as_str().unwrap_or_default().trim());
        let is_image = kind.starts_with("image/");
        if is_file(&part) {
            // An image in the text is named there already.
            if !text.contains(&format!("[image {name}]")) {
                files.gap(1);
                files.named(if is_image { "image" } else { "attachment" }, Some(name));
            }
        } else if !kind.is_empty() && !READ.iter().any(|read| kind.starts_with(read)) {
            files.gap(1);
            files.unsupported(&kind);
        }
    }
    let files = files.finish();
    match (text.trim().is_empty(), files.is_empty()) {
        (_, true) => text,
        (true, false) => files,
        (false, false) => format!("{}\n\n{files}", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_of_a_message_is_its_plain_part() {
        let part = |kind: &str, file: &str, text: &str| json!({"ContentType": kind, "Filename": file, "Content": text});
        let parts = [
            part("multipart/mixed", "", ""),
            part("text/plain", "notes.txt", "file"),
            part("text/html", "", "<p>rich</p>"),
            part("text/plain; charset=utf-8", "", "plain"),
        ];
        assert_eq!(body(&parts), "plain\n\n[attachment notes.txt]");
        assert_eq!(body(&parts[..3]), "rich\n\n[attachment notes.txt]");
        assert_eq!(body(&parts[..2]), "[attachment notes.txt]");
        assert_eq!(body(&parts[3..]), "plain");
    }

    #[test]
    fn files_and_what_is_no_text_are_named() {
        let part = |kind: &str, file: &str, text: &str| json!({"ContentType": kind, "Filename": file, "Content": text});
        let parts = [
            part("text/html", "", "<p>see <img src=\"cid:1\" alt=\"a.png\"></p>"),
            part("image/png", "a.png", ""),
            part("image/png", "b.png", ""),
            part("application/pdf", "c.pdf", ""),
            part("message/rfc822", "", "mail"),
        ];
        let named = "[image b.png]\n[attachment c.pdf]\n[unsupported: message/rfc822]";
        assert_eq!(body(&parts), format!("see [image a.png]\n\n{named}"));
    }
}
