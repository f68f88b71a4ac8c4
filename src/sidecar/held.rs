//! One ticket of the mailbox with what the adapter last said of it: what is an edit, what a repetition. Pure.
//!
//! An adapter may report all it sees, again and again, also before it has carried out what lockstep wants, or halfway
//! through. So each field is measured against what the adapter said last and against what it is being told: none of
//! these is news, and none overwrites anything.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::connectors::sidecar::{MailboxError, Ticket, TicketState, TicketWrite};
use crate::model::{Field, Native, Natives, Status};

/// Event ids, and messages under way, remembered per ticket; the oldest go first.
const REMEMBERED: usize = 100;

/// One ticket with what the adapter said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) ticket: Ticket,
    /// What the adapter last said, or was last told and acknowledged, and at which revision.
    said: BTreeMap<Field, (Native, u64)>,
    /// What it is being told, by the sequence number of the message.
    told: BTreeMap<u64, Told>,
    /// What the adapter cannot carry out, and why.
    pub(super) declined: BTreeMap<Field, String>,
    /// The ids of the reports taken in lately.
    events: VecDeque<String>,
}

/// The fields of a message, as long as a report may still show them halfway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    revision: u64,
    fields: Natives,
    /// The adapter has carried it out; but it had said something else before, and may have done so in either order.
    acknowledged: bool,
}

/// What the adapter reports of a ticket. Fields that are not in it are not spoken of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    pub(super) fields: Natives,
    pub(super) closing_note: Option<String>,
    pub(super) number: Option<String>,
    pub(super) url: Option<String>,
    pub(super) by: Option<String>,
    /// The revision whose state the adapter has carried out, if it knows: all that differs from it is an edit.
    pub(super) revision: Option<u64>,
    /// The same id again is the same report.
    pub(super) event_id: Option<String>,
    pub(super) declined: BTreeMap<Field, String>,
}

impl Held {
    /// A ticket that lockstep opens.
    pub(super) fn open(key: &str, state: TicketState, now: Timestamp) -> Self {
        // Until it says something else, the adapter is taken to see what it is to open.
        let said = state.natives().into_iter().map(|(field, native)| (field, (native, 1))).collect();
        let ticket = Ticket {
            key: key.to_owned(),
            revision: 1,
            created: now,
            modified: now,
            modified_by: None,
            state,
            closing_note: None,
            comments: 0,
            number: None,
            url: None,
            gone: false,
        };
        Self { ticket, said, told: BTreeMap::new(), declined: BTreeMap::new(), events: VecDeque::new() }
    }

    /// What lockstep writes. Returns the fields that change, none where the ticket says so already.
    pub(super) fn write(&mut self, write: &TicketWrite, now: Timestamp) -> Result<Vec<Field>, MailboxError> {
        let before = self.ticket.state.natives();
        let mut changed = Vec::new();
        for (field, value) in write.fields.iter().filter(|(field, value)| before.get(*field) != Some(*value))
        {
            self.set(*field, value)?;
            self.declined.remove(field);
            changed.push(*field);
        }
        let was = self.ticket.closing_note.clone();
        self.note_close(write.closing_note.as_deref().filter(|_| was.is_none()));
        if !changed.is_empty() {
            self.changed(now, None);
        }
        Ok(changed)
    }

    /// What the adapter reports. Returns the edited fields that messages under way still change: the edit must be told
    /// behind them, so that it stands in the end.
    ///
    /// Errors: the report is based on a revision that is not the present one, and says something else than it.
    pub(super) fn report(&mut self, report: &Report, now: Timestamp) -> Result<Vec<Field>, MailboxError> {
        if report.event_id.as_ref().is_some_and(|id| self.events.contains(id)) {
            return Ok(Vec::new());
        }
        let present = self.ticket.state.natives();
        let differs = |(field, value): (&Field, &Native)| present.get(field) != Some(value);
        let stale = report.revision.filter(|revision| *revision != self.ticket.revision);
        if let Some(expected) = stale.filter(|_| report.fields.iter().any(differs)) {
            let (key, present) = (self.ticket.key.clone(), self.ticket.revision);
            return Err(MailboxError::Stale { key, expected, present });
        }
        if report.revision == Some(self.ticket.revision) {
            self.told.clear();
        }
        let before = self.ticket.clone();
        // What is seen is there, whatever was said of it before.
        self.ticket.gone = false;
        let mut edited = Vec::new();
        for (field, value) in &report.fields {
            if self.take(*field, value, present.get(field), report)? {
                edited.push(*field);
            }
        }
        self.declined.extend(report.declined.clone());
        self.note_close(report.closing_note.as_deref());
        self.ticket.number = report.number.clone().or(self.ticket.number.take());
        self.ticket.url = report.url.clone().or(self.ticket.url.take());
        if self.ticket != before {
            self.changed(now, report.by.clone());
        }
        let revision = self.ticket.revision;
        for field in &edited {
            self.said.entry(*field).and_modify(|(_, at)| *at = revision);
        }
        self.remember(report.event_id.clone());
        let waiting =
            |field: &Field| self.told.values().any(|t| !t.acknowledged && t.fields.contains_key(field));
        edited.retain(waiting);
        Ok(edited)
    }

    /// What a report says of one field. Returns whether that is an edit.
    fn take(
        &mut self,
        field: Field,
        value: &Native,
        present: Option<&Native>,
        report: &Report,
    ) -> Result<bool, MailboxError> {
        let trusted = report.revision.is_some();
        let repeated = self.said.get(&field).is_some_and(|(said, _)| said == value);
        let declining = report.declined.contains_key(&field);
        let halfway = self.told.values().rev().find(|told| told.fields.get(&field) == Some(value));
        let halfway = halfway.map(|told| told.revision).filter(|_| !trusted);
        if present == Some(value) {
            self.declined.remove(&field);
        } else if repeated && (!trusted || self.declined.contains_key(&field)) {
            return Ok(false);
        } else if let Some(revision) = halfway {
            self.said.insert(field, (value.clone(), revision));
            return Ok(false);
        } else if !declining {
            self.set(field, value)?;
            self.declined.remove(&field);
        }
        self.said.insert(field, (value.clone(), self.ticket.revision));
        Ok(present != Some(value) && !declining)
    }

    /// A message is about to be sent.
    pub(super) fn tell(&mut self, sequence: u64, fields: &[Field]) {
        let natives = self.ticket.state.natives();
        let fields: Natives = natives.into_iter().filter(|(field, _)| fields.contains(field)).collect();
        if !fields.is_empty() {
            let told = Told { revision: self.ticket.revision, fields, acknowledged: false };
            self.told.insert(sequence, told);
        }
        while self.told.len() > REMEMBERED {
            self.told.pop_first();
        }
    }

    /// The adapter has carried out a message.
    pub(super) fn acknowledge(&mut self, sequence: u64) {
        let Some(message) = self.told.get_mut(&sequence) else { return };
        message.acknowledged = true;
        let Told { revision, fields, .. } = message.clone();
        for (field, value) in fields {
            // What it said since may have come before or after that. A later message will tell.
            let differs = |(said, at): &(Native, u64)| *at > revision && *said != value;
            if self.said.get(&field).is_some_and(differs) {
                continue;
            }
            for (_, told) in self.told.range_mut(..=sequence) {
                told.fields.remove(&field);
            }
            if !self.declined.contains_key(&field) {
                self.said.insert(field, (value, revision));
            }
        }
        self.told.retain(|_, told| !told.fields.is_empty());
    }

    /// One comment more.
    pub(super) fn commented(&mut self, now: Timestamp) {
        self.ticket.comments += 1;
        self.ticket.modified = now;
    }

    /// The ticket is not there any more, says the adapter. Returns whether that is news.
    pub(super) fn remove(&mut self, now: Timestamp) -> bool {
        let news = !self.ticket.gone;
        if news {
            self.ticket.gone = true;
            self.changed(now, None);
        }
        news
    }

    /// The ticket is there after all, as something that was said on it shows.
    pub(super) fn take_up(&mut self, now: Timestamp) {
        if self.ticket.gone {
            self.ticket.gone = false;
            self.changed(now, None);
        }
    }

    /// Whether nobody will ask for it any more.
    pub(super) fn is_over(&self) -> bool {
        self.ticket.gone || self.ticket.state.status == Status::Closed
    }

    fn set(&mut self, field: Field, value: &Native) -> Result<(), MailboxError> {
        self.ticket.state.set(field, value).map_err(MailboxError::Invalid)
    }

    /// A note belongs to a close, and goes with a reopening.
    fn note_close(&mut self, note: Option<&str>) {
        if self.ticket.state.status != Status::Closed {
            self.ticket.closing_note = None;
        } else if let Some(note) = note.filter(|note| !note.trim().is_empty()) {
            self.ticket.closing_note = Some(note.to_owned());
        }
    }

    fn changed(&mut self, now: Timestamp, by: Option<String>) {
        self.ticket.revision += 1;
        self.ticket.modified = now;
        self.ticket.modified_by = by;
    }

    fn remember(&mut self, event_id: Option<String>) {
        self.events.extend(event_id);
        while self.events.len() > REMEMBERED {
            self.events.pop_front();
        }
    }
}
