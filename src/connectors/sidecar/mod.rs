//! Ticketing software that has no connector of its own: an adapter beside lockstep carries tickets between the
//! software and lockstep's mailbox. To this connector the mailbox is the remote system; nothing here touches a network.

mod ticket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use url::Url;

use super::text::{cut, cut_keeping_last_line, shown};
use super::{Audience, Connector, Declined, Depth, Opening, Page, PageToken, Probe, Written};
use crate::http::secret::SecretRef;
use crate::http::{CallError, CallSite};
use crate::model::{
    CommentKey, Comments, Facts, Field, Lifecycle, Native, Patch, RecordId, RecordKind, RecordRef, Snapshot,
    SystemName,
};

pub use ticket::{Mailbox, MailboxError, Ticket, TicketComment, TicketState, TicketWrite};

/// Longest title that the mailbox takes, in characters; the table says the same.
pub const MAX_TITLE: usize = 1_000;
/// Longest comment, note or description, in UTF-16 units.
pub const MAX_TEXT: usize = 30_000;
/// Tickets per page of a list.
const PAGE: usize = 500;

/// Settings of one sidecar.
#[derive(Debug, Clone)]
pub struct SidecarSettings {
    /// The system's configured name.
    pub name: SystemName,
    /// Where the adapter speaks to lockstep.
    pub listen: SidecarListen,
    /// What the adapter must present as bearer token; on a loopback address or a socket it may be left out.
    pub token: Option<SecretRef>,
    /// Where changes are sent to, for adapters that would rather not ask for them.
    pub webhook: Option<SidecarWebhook>,
    /// Who may read the comments that lockstep writes.
    pub comments: Audience,
    /// How long a closed ticket stays in the mailbox.
    pub keep: Duration,
    /// The mailbox, once the store is open.
    pub mailbox: Option<Arc<dyn Mailbox>>,
}

/// Where the adapter speaks to lockstep: never beyond this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SidecarListen {
    /// A loopback address.
    Tcp(SocketAddr),
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// Where changes are sent to (<https://www.standardwebhooks.com>).
#[derive(Debug, Clone)]
pub struct SidecarWebhook {
    /// The adapter's address.
    pub url: Url,
    /// `whsec_` and the base64 of 24 to 64 bytes.
    pub secret: SecretRef,
}

/// The connector to one mailbox.
#[derive(Debug)]
pub struct Sidecar {
    name: SystemName,
    comments: Audience,
    mailbox: Option<Arc<dyn Mailbox>>,
}

impl Sidecar {
    /// Makes the connector.
    pub fn new(settings: &SidecarSettings) -> Self {
        let SidecarSettings { name, comments, mailbox, .. } = settings;
        Self { name: name.clone(), comments: *comments, mailbox: mailbox.clone() }
    }

    fn mailbox(&self, operation: &'static str) -> Result<&dyn Mailbox, CallError> {
        self.mailbox.as_deref().ok_or_else(|| {
            let reason = "the mailbox is open in the running worker only".to_owned();
            self.failed(operation, &MailboxError::Unusable(reason))
        })
    }

    /// What a refusal of the mailbox lets the engine conclude.
    fn failed(&self, operation: &'static str, error: &MailboxError) -> CallError {
        let system = Arc::from(self.name.as_str());
        let site = Box::new(CallSite::new(system, operation));
        let (message, code) = (error.to_string(), String::new());
        match error {
            MailboxError::Absent(_) => CallError::Gone { site, status: 404, code, message },
            MailboxError::Stale { .. } => CallError::Conflict { site, status: 409, code, message },
            MailboxError::Full(_) => CallError::Throttled { site, retry_after: None, message },
            MailboxError::Invalid(_) => CallError::Refused { site, status: 400, code, message },
            // A store that fails ends the worker; what the commit did shows after the next start.
            MailboxError::Unusable(_) => {
                CallError::Unknown { site, status: None, message, retry_after: None }
            }
        }
    }

    fn snapshot(&self, ticket: Ticket, comments: Comments) -> Result<Snapshot, MailboxError> {
        let id = RecordId::new(&ticket.key).map_err(|error| MailboxError::Invalid(error.to_string()))?;
        let record = RecordRef::ticket(&self.name, id);
        Ok(Snapshot {
            planned_as: Some(record.clone()),
            record,
            // A comment moves the record, and leaves the revision of its fields.
            revision: format!("{}.{}", ticket.revision, ticket.comments),
            modified: ticket.modified,
            modified_by: ticket.modified_by,
            fresh: true,
            hidden: crate::model::Natives::new(),
            native: ticket.state.natives(),
            closing_comment: ticket.closing_note,
            comments,
            lifecycle: if ticket.gone { Lifecycle::Gone } else { Lifecycle::Present },
            links: Vec::new(),
            parent: None,
            facts: Facts { created: Some(ticket.created), url: ticket.url, ..Facts::default() },
            raw: serde_json::Value::Null,
        })
    }

    /// The record as a list, a read without comments or a write shows it.
    fn counted(&self, ticket: Ticket) -> Result<Snapshot, MailboxError> {
        let count = ticket.comments;
        self.snapshot(ticket, Comments::Counted(count))
    }

    /// What a write brought.
    fn written(
        &self,
        operation: &'static str,
        result: Result<Ticket, MailboxError>,
        declined: Vec<Declined>,
    ) -> Result<Written, CallError> {
        match result.and_then(|ticket| self.counted(ticket)) {
            Ok(snapshot) => Ok(Written { snapshot: Some(snapshot), request_id: None, declined }),
            Err(error) => Err(self.failed(operation, &error)),
        }
    }

    async fn page(&self, since: Timestamp, token: Option<&PageToken>) -> Result<Page, MailboxError> {
        let unusable = || MailboxError::Invalid("a page token of the mailbox is no time".to_owned());
        let after: Option<Timestamp> = token.map(|t| t.0.parse().map_err(|_| unusable())).transpose()?;
        let mailbox = self.mailbox.as_deref();
        let mailbox = mailbox.ok_or_else(|| MailboxError::Unusable("the mailbox is not open".to_owned()))?;
        let (tickets, now) = mailbox.changed(after.unwrap_or(since), after.is_some(), PAGE).await?;
        let last = tickets.last().map(|ticket| ticket.modified);
        let next = last.filter(|_| tickets.len() == PAGE).map(|at| PageToken(at.to_string()));
        let listed = |snapshot| Snapshot { fresh: false, ..snapshot };
        let snapshots = tickets.into_iter().map(|ticket| self.counted(ticket).map(listed));
        Ok(Page {
            snapshots: snapshots.collect::<Result<_, _>>()?,
            next,
            server_time: Some(now),
            ..Page::default()
        })
    }

    /// The state that a ticket is opened with, and what it cannot take.
    fn opening(opening: &Opening) -> Result<(TicketState, Vec<Declined>), MailboxError> {
        let (native, declined) = TicketState::takes(&opening.patch.native);
        let title = match native.get(&Field::Title) {
            Some(Native::Text(title)) if !title.trim().is_empty() => title.clone(),
            _ => "Security incident".to_owned(),
        };
        let mut state = TicketState::new(title);
        for (field, value) in native.iter().filter(|(field, _)| **field != Field::Status) {
            state.set(*field, value).map_err(MailboxError::Invalid)?;
        }
        Ok((state, declined))
    }
}

#[async_trait]
impl Connector for Sidecar {
    fn system(&self) -> &SystemName {
        &self.name
    }

    fn collections(&self) -> &[RecordKind] {
        &[RecordKind::Ticket]
    }

    /// A write is durable and visible when it returns.
    fn settle_time(&self) -> Duration {
        Duration::from_millis(1)
    }

    /// The mailbox shows every change at once; the second covers nothing but rounding.
    fn overlap(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn list(
        &self,
        _: RecordKind,
        since: Timestamp,
        page: Option<&PageToken>,
    ) -> Result<Page, CallError> {
        self.page(since, page).await.map_err(|error| self.failed("tickets.list", &error))
    }

    async fn read(&self, record: &RecordRef, depth: Depth) -> Result<Snapshot, CallError> {
        let operation = "tickets.get";
        let (mailbox, key) = (self.mailbox(operation)?, record.id.as_str());
        let read = match depth {
            Depth::Comments => mailbox
                .with_comments(key)
                .await
                .and_then(|(ticket, comments)| self.snapshot(ticket, Comments::Listed(comments))),
            Depth::Record | Depth::Links => mailbox.ticket(key).await.and_then(|t| self.counted(t)),
        };
        read.map_err(|error| self.failed(operation, &error))
    }

    async fn update(&self, current: &Snapshot, patch: &Patch) -> Result<Written, CallError> {
        let operation = "tickets.update";
        let mailbox = self.mailbox(operation)?;
        let fields = current.revision.split('.').next().unwrap_or_default();
        let Ok(revision) = fields.parse() else {
            let reason =
                format!("revision `{}` of {} is no number", shown(&current.revision), current.record);
            return Err(self.failed(operation, &MailboxError::Invalid(reason)));
        };
        let closing_note = patch.closing_comment.as_deref().map(|note| cut(note, MAX_TEXT).into_owned());
        let (fields, declined) = TicketState::takes(&patch.native);
        let write = TicketWrite { fields, closing_note };
        let result = mailbox.update(current.record.id.as_str(), revision, write).await;
        self.written(operation, result, declined)
    }

    async fn create(&self, planned: &RecordRef, opening: &Opening) -> Result<Written, CallError> {
        let operation = "tickets.create";
        let mailbox = self.mailbox(operation)?;
        let (state, declined) = Self::opening(opening).map_err(|error| self.failed(operation, &error))?;
        let description = cut(&opening.description, MAX_TEXT).into_owned();
        self.written(operation, mailbox.open(planned.id.as_str(), state, description).await, declined)
    }

    fn chooses_comment_ids(&self) -> bool {
        true
    }

    async fn comment(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Result<Written, CallError> {
        let operation = "comments.create";
        let comment = TicketComment {
            id: key.as_str().to_owned(),
            text: cut_keeping_last_line(text, MAX_TEXT).into_owned(),
            internal: self.comments == Audience::Internal,
        };
        let mailbox = self.mailbox(operation)?;
        match mailbox.comment(current.record.id.as_str(), comment).await {
            Ok(_) => {}
            Err(error) => return Err(self.failed(operation, &error)),
        }
        let snapshot = self.read(&current.record, Depth::Comments).await?;
        Ok(Written::new(Some(snapshot), None))
    }

    async fn probe(&self) -> Vec<Probe> {
        let result = match &self.mailbox {
            Some(mailbox) => mailbox.changed(Timestamp::MAX, false, 1).await.map(|_| "readable".to_owned()),
            None => Ok("part of lockstep's own store; whether an adapter empties it shows in GET /v1/status"
                .to_owned()),
        };
        vec![Probe { what: "mailbox".to_owned(), result: result.map_err(|error| error.to_string()) }]
    }
}
