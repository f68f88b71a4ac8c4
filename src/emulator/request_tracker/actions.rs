//! Writes: a sentence for each thing that was done, and for each that was refused.

use serde_json::{Value, json};

use super::super::desk::Surroundings;
use super::super::faults::{FaultKind, Plan};
use super::super::ledger::{Actor, System, What};
use super::super::wire::{Reply, Request};
use super::ticket::{DELETED, Line, NOBODY, Ticket, second, user, user_number};
use super::{Outcome, QUEUE, RequestTracker, error};

/// What a write of fields came to.
pub(super) struct Change {
    pub(super) next: Ticket,
    pub(super) sentences: Vec<String>,
    /// Kind, field, old and new value.
    pub(super) lines: Vec<(&'static str, String, String, String)>,
}

impl Change {
    pub(super) fn new(ticket: &Ticket) -> Self {
        Self { next: ticket.clone(), sentences: Vec::new(), lines: Vec::new() }
    }

    fn say(&mut self, text: &str) {
        let colon = if text.starts_with("depends on") { "" } else { ":" };
        self.sentences.push(format!("Ticket {}{colon} {text}", self.next.id));
    }

    fn line(&mut self, kind: &'static str, field: &str, old: &str, new: &str) {
        self.lines.push((kind, field.to_owned(), old.to_owned(), new.to_owned()));
    }
}

/// The words that come with the service for priorities.
fn word(priority: i64) -> &'static str {
    match priority {
        100.. => "High",
        50.. => "Medium",
        _ => "Low",
    }
}

/// A number as JSON or as text, or one of the words.
fn priority(value: &Value) -> Option<i64> {
    let text = value.as_str().unwrap_or_default();
    let by_word = [("Low", 0), ("Medium", 50), ("High", 100)].into_iter().find(|(word, _)| *word == text);
    value.as_i64().or_else(|| text.parse().ok()).or(by_word.map(|(_, number)| number))
}

impl RequestTracker {
    /// `POST /ticket`.
    pub(super) fn create(
        &mut self,
        request: &Request,
        actor: &Actor,
        around: &mut Surroundings<'_>,
        root: &str,
    ) -> Outcome {
        let Some(body) = request.json().filter(Value::is_object) else {
            return error(400, "JSON parse error: malformed JSON string");
        };
        match body["Queue"].as_str() {
            None => return error(400, "Could not create ticket. Queue not set"),
            Some(QUEUE) => {}
            Some(other) => {
                return error(403, format!("No permission to create tickets in the queue '{other}'"));
            }
        }
        let mut ticket = self.blank(actor, around);
        ticket.subject = body["Subject"].as_str().unwrap_or_default().replace(['\r', '\n'], "");
        ticket.priority = priority(&body["Priority"]).unwrap_or_default();
        // An owner who does not exist is left out without a word.
        ticket.owner =
            body["Owner"].as_str().and_then(|w| self.user_name(w)).unwrap_or_else(|| NOBODY.to_owned());
        for (name, value) in body["CustomFields"].as_object().into_iter().flatten() {
            if let (false, Some(at)) = (self.settings.drop_fields, self.field_at(name)) {
                ticket.set_field(at, value.as_str());
            }
        }
        let content = body["Content"].as_str().unwrap_or_default().to_owned();
        let id = self.insert(ticket, content, actor, around).to_string();
        let location = format!("/REST/2.0/ticket/{id}");
        let body = json!({"id": id, "type": "ticket", "_url": format!("{root}/ticket/{id}")});
        Ok(Reply::json(201, body).with("location", location))
    }

    /// A ticket before anything was said of it.
    pub(super) fn blank(&self, actor: &Actor, around: &Surroundings<'_>) -> Ticket {
        let (now, user) = (second(around.now), user(actor));
        Ticket {
            id: 0,
            queue: QUEUE.to_owned(),
            subject: String::new(),
            status: self.settings.statuses.first().cloned().unwrap_or_default(),
            priority: 0,
            owner: NOBODY.to_owned(),
            creator: user.clone(),
            created: now,
            updated: now,
            updated_by: user,
            started: None,
            resolved: None,
            fields: Vec::new(),
            merged_into: None,
            depends_on: Vec::new(),
        }
    }

    pub(super) fn field_at(&self, name: &str) -> Option<usize> {
        self.settings.fields.iter().position(|own| own.eq_ignore_ascii_case(name))
    }

    /// `PUT /ticket/{id}`. A number that was merged away leads to the ticket merged into.
    pub(super) fn put(
        &mut self,
        request: &Request,
        id: &str,
        plan: &Plan,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Outcome {
        let found = id.parse().ok().and_then(|id| self.survivor(id)).map(|v| v.current().clone());
        let Some(current) = found else {
            return error(404, "Resource does not exist; use POST to create");
        };
        if self.lacks("ShowTicket") {
            return error(403, "Forbidden");
        }
        let Some(body) = request.json().filter(Value::is_object) else {
            return error(400, "JSON parse error: malformed JSON string");
        };
        if self.is_stale(request, current.id) || plan.is(&FaultKind::StaleEtag) {
            return error(412, "Precondition Failed");
        }
        let mut change = Change::new(&current);
        if self.lacks("ModifyTicket") {
            let members = body.as_object().map_or(0, serde_json::Map::len);
            (0..members).for_each(|_| change.say("Permission Denied"));
            return Ok(Reply::json(200, change.sentences.into()));
        }
        self.change_owner(&mut change, &body["Owner"], actor);
        Self::change_priority(&mut change, &body["Priority"]);
        if body["Queue"].as_str().is_some_and(|queue| queue != current.queue) {
            change.say("Permission Denied");
        }
        self.change_status(&mut change, &body["Status"], actor, around);
        Self::change_subject(&mut change, &body["Subject"]);
        if !self.settings.drop_fields {
            self.change_fields(&mut change, &body["CustomFields"]);
        }
        let other = body["DependsOn"].as_u64().or_else(|| body["DependsOn"].as_str()?.parse().ok());
        let other = other.and_then(|other| self.survivor(other)).map(|found| found.current().id);
        if let Some(other) = other {
            change.say(&format!("depends on Ticket {other}."));
            self.depend(&mut change, other, actor, around);
        }
        let merges = !body["MergeInto"].is_null();
        let only_merges = merges && change.lines.is_empty();
        let mut sentences =
            if only_merges { change.sentences } else { self.carry_out(change, actor, around) };
        if merges {
            let outcome = self.merge(current.id, &body["MergeInto"], actor, around);
            sentences
                .push(outcome.map_or_else(|refusal| refusal.message, |()| "Merge Successful".to_owned()));
        }
        Ok(Reply::json(200, sentences.into()))
    }

    /// The header is compared before the write and is no lock.
    fn is_stale(&mut self, request: &Request, ticket: u64) -> bool {
        let Some(header) = request.header("if-match") else { return false };
        let newest = self.newest(ticket).to_string();
        let mut given = header.split(',').map(|etag| etag.trim().trim_matches('"'));
        let stale = !given.any(|etag| etag == "*" || etag == newest);
        if stale && self.settings.lost_races > 0 {
            self.settings.lost_races -= 1;
            return false;
        }
        stale
    }

    /// Stores what changed, with a transaction for each field, and returns the sentences.
    pub(super) fn carry_out(
        &mut self,
        change: Change,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Vec<String> {
        let ticket = change.next.id;
        for (kind, field, old, new) in &change.lines {
            self.add(ticket, actor, around.now, &Line(kind, field, old, new));
        }
        self.save(change.next, actor, around);
        change.sentences
    }

    pub(super) fn change_owner(&self, change: &mut Change, value: &Value, actor: &Actor) {
        let Some(word) = value.as_str() else { return };
        let before = change.next.owner.clone();
        // A change takes names and no addresses.
        let Some(name) = self.user_name(word).filter(|_| !word.contains('@')) else {
            return change.say("That user does not exist");
        };
        if name == before {
            return;
        }
        let may_take = before == NOBODY || before == user(actor) || self.settings.reassign;
        if !may_take && matches!(actor, Actor::App(_)) {
            return change.say("You can only reassign tickets that you own or that are unowned");
        }
        change.say(&format!("Owner changed from {before} to {name}"));
        let (old, new) = (user_number(&before), user_number(&name));
        change.line("Set", "Owner", &old, &new);
        change.line("SetWatcher", "Owner", &old, &new);
        change.next.owner = name;
    }

    pub(super) fn change_priority(change: &mut Change, value: &Value) {
        let before = change.next.priority;
        let Some(next) = priority(value).filter(|next| *next != before) else { return };
        change.say(&format!("Priority changed from '{}' to '{}'", word(before), word(next)));
        change.line("Set", "Priority", &before.to_string(), &next.to_string());
        change.next.priority = next;
    }

    pub(super) fn change_status(
        &self,
        change: &mut Change,
        value: &Value,
        actor: &Actor,
        around: &Surroundings<'_>,
    ) {
        let before = change.next.status.clone();
        let Some(next) = value.as_str().filter(|next| *next != before) else { return };
        if next == DELETED && matches!(actor, Actor::App(_)) {
            return change.say("Permission Denied");
        }
        if next != DELETED && !self.settings.statuses.iter().any(|own| own == next) {
            return change.say(&format!("Status '{next}' isn't a valid status for this ticket."));
        }
        let is_inactive = |status: &str| self.settings.inactive.iter().any(|own| own == status);
        if !is_inactive(&before) && is_inactive(next) && self.has_open_dependencies(&change.next) {
            return change.say("That ticket has unresolved dependencies");
        }
        change.say(&format!("Status changed from '{before}' to '{next}'"));
        change.line("Status", "Status", &before, next);
        let now = second(around.now);
        if self.settings.statuses.first().is_some_and(|first| *first == before) {
            change.next.started = change.next.started.or(Some(now));
        }
        if self.settings.inactive.iter().any(|own| own == next) {
            // Survives a reopening.
            change.next.resolved = Some(now);
        }
        next.clone_into(&mut change.next.status);
    }

    /// From now on a ticket is closed only after another one.
    pub(super) fn depend(
        &mut self,
        change: &mut Change,
        other: u64,
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) {
        let uri = |id: u64| format!("fsck.com-rt://emulator/ticket/{id}");
        change.line("AddLink", "DependsOn", "", &uri(other));
        change.next.depends_on.push(other);
        self.add(other, actor, around.now, &Line("AddLink", "DependedOnBy", "", &uri(change.next.id)));
    }

    fn has_open_dependencies(&self, ticket: &Ticket) -> bool {
        let is_open = |id: &u64| {
            let status = self.survivor(*id).map(|found| found.current().status.clone()).unwrap_or_default();
            !status.is_empty() && status != DELETED && !self.settings.inactive.contains(&status)
        };
        ticket.depends_on.iter().any(is_open)
    }

    pub(super) fn change_subject(change: &mut Change, value: &Value) {
        let before = change.next.subject.clone();
        let Some(next) = value.as_str().map(|text| text.replace(['\r', '\n'], "")) else { return };
        if next == before {
            return;
        }
        change.say(&format!("Subject changed from '{before}' to '{next}'"));
        change.line("Set", "Subject", &before, &next);
        change.next.subject = next;
    }

    /// Unknown names are passed over in silence.
    pub(super) fn change_fields(&self, change: &mut Change, values: &Value) {
        for (name, value) in values.as_object().into_iter().flatten() {
            let Some(at) = self.field_at(name) else { continue };
            let before = change.next.field(at).unwrap_or_default().to_owned();
            let next = value.as_str().unwrap_or_default();
            if before == next {
                continue;
            }
            change.sentences.push(match (before.as_str(), next) {
                ("", _) => format!("{name} {next} added"),
                (_, "") => format!("{name} {before} deleted"),
                _ => format!("{name} {before} changed to {next}"),
            });
            change.line("CustomField", &(at + 2).to_string(), &before, next);
            change.next.set_field(at, Some(next).filter(|text| !text.is_empty()));
        }
    }

    /// `POST /ticket/{id}/comment` and `/correspond`. A reply reopens; neither can be conditional.
    pub(super) fn remark(
        &mut self,
        request: &Request,
        (id, way): (&str, &str),
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> Outcome {
        let found = id.parse().ok().and_then(|id| self.survivor(id)).map(|v| v.current().id);
        let right = if way == "comment" { "CommentOnTicket" } else { "ReplyToTicket" };
        // Nor is a ticket that does not exist told from one that may not be commented on.
        let Some(ticket) = found.filter(|_| !self.lacks(right)) else {
            return error(400, "Permission Denied");
        };
        let Some(body) = request.json().filter(Value::is_object) else {
            return error(400, "JSON parse error: malformed JSON string");
        };
        let kind = body["ContentType"].as_str();
        let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
            return error(400, "ContentType is a required field for application/json");
        };
        if request.header("if-match").is_some_and(|own| own.trim() != "*") {
            return error(412, "Precondition Failed");
        }
        let text = body["Content"].as_str().unwrap_or_default();
        let id = self.say(ticket, way == "correspond", (kind, text), actor, around);
        let said = if way == "correspond" { "Correspondence added" } else { "Comments added" };
        Ok(Reply::json(201, json!([said])).with("location", format!("/REST/2.0/transaction/{id}")))
    }

    /// Adds a comment or a reply, with what follows from it; returns its number.
    pub(super) fn say(
        &mut self,
        ticket: u64,
        reply: bool,
        (kind, text): (&str, &str),
        actor: &Actor,
        around: &mut Surroundings<'_>,
    ) -> u64 {
        let (what, mail) =
            if reply { ("Correspond", "EmailRecord") } else { ("Comment", "CommentEmailRecord") };
        let id = self.add(ticket, actor, around.now, &Line(what, "", "", ""));
        if let Some(own) = self.transactions.last_mut() {
            own.content = Some((kind.to_owned(), text.to_owned()));
        }
        let commented = What::Commented { comment: Some(id.to_string()), text: text.to_owned() };
        around.note(System::RequestTracker, &ticket.to_string(), actor, commented);
        if let Some(versions) = self.tickets.get_mut(&ticket) {
            let mut next = versions.current().clone();
            (next.updated, next.updated_by) = (second(around.now), user(actor));
            versions.push(around.now, next);
        }
        if self.settings.mail_records {
            self.add(ticket, &Actor::Service, around.now, &Line(mail, "", "", ""));
        }
        if reply || self.settings.comment_opens {
            self.open_by_itself(ticket, around);
        }
        id
    }

    /// The scrip that comes with the service: a reply opens a ticket that is not active, and a new one is not.
    fn open_by_itself(&mut self, ticket: u64, around: &mut Surroundings<'_>) {
        let Some(current) = self.tickets.get(&ticket).map(|v| v.current().clone()) else { return };
        let is_new = self.settings.statuses.first() == Some(&current.status);
        if is_new || self.settings.inactive.contains(&current.status) {
            let mut change = Change::new(&current);
            self.change_status(&mut change, &"open".into(), &Actor::Service, around);
            self.carry_out(change, &Actor::Service, around);
        }
    }
}
