//! What people do in the web interface, in the words that all ticket systems share.

use serde_json::{Value, json};

use super::super::desk::Surroundings;
use super::super::ledger::Actor;
use super::super::wire::Refusal;
use super::RequestTracker;
use super::actions::Change;
use super::ticket::{DELETED, Line, NOBODY, Ticket, second};

/// The words of seeds and edits.
const WORDS: [&str; 17] = [
    "title",
    "status",
    "verdict",
    "severity",
    "owner",
    "tags",
    "comment",
    "notes",
    "key",
    "delete",
    "state",
    "priority",
    "reply",
    "html",
    "merge_into",
    "queue",
    "depends_on",
];
const STATUSES: [(&str, &str); 3] = [("new", "new"), ("active", "open"), ("closed", "resolved")];
const SEVERITIES: [(&str, i64); 4] = [("high", 75), ("medium", 50), ("low", 25), ("informational", i64::MIN)];

fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::bad_request(message))
}

impl RequestTracker {
    /// A ticket that somebody opens.
    pub(super) fn open_by_hand(
        &mut self,
        seed: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<String, Refusal> {
        check_words(seed)?;
        let blank = self.blank(actor, around);
        let mut change = Change::new(&blank);
        self.apply(&mut change, seed, actor, around)?;
        let id = self.insert(change.next, "opened by hand".to_owned(), actor, around);
        self.speak(id, seed, actor, around);
        Ok(id.to_string())
    }

    /// What a person does to a ticket.
    pub(super) fn edit_by_hand(
        &mut self,
        id: &str,
        edit: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        check_words(edit)?;
        let found = id.parse().ok().and_then(|id| self.survivor(id)).map(|v| v.current().clone());
        let Some(current) = found else { return Err(Refusal::new(404, "NotFound", "no such ticket")) };
        let mut change = Change::new(&current);
        self.apply(&mut change, edit, actor, around)?;
        for other in edit["depends_on"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            self.depend(&mut change, other, actor, around);
        }
        if !change.lines.is_empty() {
            self.carry_out(change, actor, around);
        }
        self.speak(current.id, edit, actor, around);
        match &edit["merge_into"] {
            Value::Null => Ok(()),
            into => self.merge(current.id, into, actor, around),
        }
    }

    fn apply(
        &self,
        change: &mut Change,
        edit: &Value,
        actor: &Actor,
        around: &Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let status = match edit["status"].as_str() {
            None => edit["state"].clone(),
            Some(word) => match STATUSES.iter().find(|(own, _)| *own == word) {
                Some((_, native)) => json!(native),
                None => return refuse(format!("no status `{word}`")),
            },
        };
        let delete = edit["delete"] == true;
        self.change_status(change, if delete { &Value::Null } else { &status }, actor, around);
        if delete {
            let before = change.next.status.clone();
            change.lines.push(("Status", "Status".to_owned(), before, DELETED.to_owned()));
            DELETED.clone_into(&mut change.next.status);
        }
        Self::change_subject(change, &edit["title"]);
        let priority = match edit["severity"].as_str() {
            None => edit["priority"].clone(),
            Some(word) => match SEVERITIES.iter().find(|(own, _)| *own == word) {
                Some((_, from)) => json!((*from).max(0)),
                None => return refuse(format!("no severity `{word}`")),
            },
        };
        Self::change_priority(change, &priority);
        if let Some(owner) = edit.get("owner") {
            let word = owner.as_str().unwrap_or(NOBODY);
            let Some(name) = self.user_name(word) else { return refuse(format!("no user `{word}`")) };
            self.change_owner(change, &name.into(), actor);
        }
        let named = [("verdict", "Verdict"), ("notes", "Closing Note"), ("key", "Lockstep Key")];
        let fields =
            named.iter().filter_map(|(word, field)| Some(((*field).to_owned(), edit.get(*word)?.clone())));
        self.change_fields(change, &Value::Object(fields.collect()));
        if let Some(queue) = edit["queue"].as_str() {
            let before = std::mem::replace(&mut change.next.queue, queue.to_owned());
            change.lines.push(("Set", "Queue".to_owned(), before, queue.to_owned()));
        }
        Ok(())
    }

    fn speak(&mut self, ticket: u64, edit: &Value, actor: &Actor, around: &mut Surroundings<'_>) {
        for (word, reply, kind) in
            [("comment", false, "text/plain"), ("html", false, "text/html"), ("reply", true, "text/plain")]
        {
            if let Some(text) = edit[word].as_str() {
                self.say(ticket, reply, (kind, text), actor, around);
            }
        }
    }

    /// One ticket becomes another's.
    pub(super) fn merge(
        &mut self,
        source: u64,
        into: &Value,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Refusal> {
        let into = into.as_u64().or_else(|| into.as_str()?.parse().ok());
        let target = into.and_then(|into| self.survivor(into)).map(|v| v.current().clone());
        // One that was merged into the source leads back to it.
        let Some(mut target) = target else { return refuse("New ticket doesn't exist") };
        if target.id == source {
            return refuse("Can't merge a ticket into itself");
        }
        let Some(mut merged) = self.tickets.get(&source).map(|v| v.current().clone()) else {
            return refuse("no such ticket");
        };
        let uri = format!("fsck.com-rt://emulator/ticket/{}", target.id);
        for ticket in [source, target.id] {
            self.add(ticket, actor, around.now, &Line("AddLink", "MergedInto", "", &uri));
        }
        merged.merged_into = Some(target.id);
        "resolved".clone_into(&mut merged.status);
        self.save(merged, actor, around);
        target.updated = second(around.now);
        if let Some(versions) = self.tickets.get_mut(&target.id) {
            versions.push(around.now, target);
        }
        Ok(())
    }

    /// A ticket in full, with what it means in common words.
    pub(super) fn shown(&self, id: u64) -> Option<Value> {
        let ticket = self.tickets.get(&id)?.current();
        let own = self.transactions.iter().filter(|t| t.ticket == id);
        let comments: Vec<Value> = own
            .filter(|t| matches!(t.kind, "Comment" | "Correspond"))
            .map(|t| {
                let text = t.content.as_ref().map(|(_, text)| text.as_str()).unwrap_or_default();
                json!({"id": t.id.to_string(), "author": t.creator, "text": text, "internal": t.kind == "Comment"})
            })
            .collect();
        let fields = self.settings.fields.iter().enumerate();
        let fields: serde_json::Map<String, Value> =
            fields.map(|(at, name)| (name.clone(), ticket.field(at).into())).collect();
        Some(json!({
            "id": id, "Queue": ticket.queue, "Subject": ticket.subject, "Status": ticket.status,
            "Priority": ticket.priority, "Owner": ticket.owner, "CustomFields": fields, "MergedInto": ticket.merged_into,
            "Created": ticket.created, "LastUpdated": ticket.updated, "comments": comments,
            "common": self.common(ticket, &comments),
        }))
    }

    fn common(&self, ticket: &Ticket, comments: &[Value]) -> Value {
        let closed = self.settings.inactive.contains(&ticket.status) || ticket.status == DELETED;
        let is_new = self.settings.statuses.first() == Some(&ticket.status);
        let status = if closed {
            "closed"
        } else if is_new {
            "new"
        } else {
            "active"
        };
        let severity = SEVERITIES.iter().find(|(_, from)| ticket.priority >= *from).map(|(word, _)| *word);
        let address = self.address(&ticket.owner);
        json!({
            "status": status, "verdict": ticket.field(1), "severity": severity, "title": ticket.subject,
            "owner": Some(address).filter(|own| !own.is_empty()), "tags": [], "key": ticket.field(0),
            "closing_note": ticket.field(2), "comments": comments,
        })
    }
}

fn check_words(edit: &Value) -> Result<(), Refusal> {
    let Some(members) = edit.as_object() else { return refuse("an edit is an object") };
    match members.keys().find(|name| !WORDS.contains(&name.as_str())) {
        Some(odd) => refuse(format!("no word `{odd}`")),
        None => Ok(()),
    }
}
