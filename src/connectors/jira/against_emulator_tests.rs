//! The connector against the emulated Jira, over real HTTP: what goes wrong between the two, one test each.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::tests::{patch, settings, text};
use super::{Deployment, Jira, JiraSettings};
use crate::connectors::testing::http;
use crate::connectors::{Connector, Depth, Opening, Page, Written};
use crate::emulator::{
    Api, Clock, Emulator, EmulatorOptions, Entry, Fault, FaultKind, RetryAfter, System, What,
};
use crate::http::CallError;
use crate::model::{Comment, CommentKey, Comments, Field, Native, RecordId, RecordKind, RecordRef, Snapshot};

pub(super) const BY: &str = "ana@example.org";

/// An emulator on a clock that stands still, and a connector to it.
pub(super) struct Pair {
    pub(super) emulator: Emulator,
    pub(super) jira: Jira,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(&json!({}), |_| {})
    }

    pub(super) fn with(emulated: &Value, adjust: impl FnOnce(&mut JiraSettings)) -> Self {
        let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
        let emulator = Emulator::start(EmulatorOptions { clock, ..EmulatorOptions::default() }).unwrap();
        emulator.set_ticketing(System::Jira, emulated).unwrap();
        let mut settings = settings(&emulator.ticket_url(System::Jira));
        adjust(&mut settings);
        let jira = Jira::new(&settings, &http(), None).unwrap();
        Self { emulator, jira }
    }

    /// The same connector without its memory, as after a restart.
    pub(super) fn restarted(&self) -> Jira {
        Jira::new(&self.jira.settings, &http(), None).unwrap()
    }

    pub(super) fn data_center(emulated: &Value) -> Self {
        let mut all = json!({"deployment": "data-center"});
        all.as_object_mut().unwrap().extend(emulated.as_object().unwrap().clone());
        Self::with(&all, |settings| settings.deployment = Deployment::DataCenter)
    }

    pub(super) async fn create(&self, key: &RecordRef) -> Snapshot {
        self.jira.create(key, &opening()).await.unwrap().snapshot.unwrap()
    }

    /// A ticket that lockstep opened, and that every search shows.
    pub(super) async fn ticket(&self) -> Snapshot {
        let ticket = self.create(&key(1)).await;
        self.emulator.advance(1.0);
        ticket
    }

    pub(super) fn edit(&self, ticket: &Snapshot, edit: &Value) {
        self.emulator.advance(1.0);
        self.emulator.human_ticket(System::Jira, ticket.record.id.as_str(), BY, edit).unwrap();
        self.emulator.advance(1.0);
    }

    async fn say(&self, ticket: &Snapshot, n: u8) -> Result<Written, CallError> {
        self.jira.comment(ticket, &CommentKey::from_id(&format!("{n:02x}")), "word").await
    }

    pub(super) async fn read(&self, ticket: &Snapshot) -> Snapshot {
        self.jira.read(&ticket.record, Depth::Comments).await.unwrap()
    }

    /// All pages since a time.
    pub(super) async fn list(&self, since: &str) -> (Vec<Snapshot>, usize) {
        let (mut all, mut pages, mut next) = (Vec::new(), 0, None);
        loop {
            let page: Page =
                self.jira.list(RecordKind::Ticket, since.parse().unwrap(), next.as_ref()).await.unwrap();
            assert_eq!(page.malformed, []);
            assert!(page.server_time.is_some());
            all.extend(page.snapshots);
            pages += 1;
            next = page.next;
            if next.is_none() {
                return (all, pages);
            }
        }
    }

    pub(super) fn shown(&self, ticket: &Snapshot) -> Value {
        self.emulator.ticket(System::Jira, ticket.record.id.as_str()).unwrap()["common"].clone()
    }

    /// What lockstep did to tickets.
    pub(super) fn writes(&self) -> Vec<Entry> {
        self.emulator.ledger().into_iter().filter(|e| e.actor == "lockstep" && e.is_effective()).collect()
    }

    pub(super) fn fault(&self, operation: &str, kind: FaultKind) {
        self.emulator.add_fault(Fault::new(kind).on(Api::Jira, operation));
    }
}

pub(super) fn key(n: u8) -> RecordRef {
    let system = crate::model::SystemName::new("tickets").unwrap();
    RecordRef::ticket(&system, RecordId::new(format!("lockstep-{}", format!("{n:02x}").repeat(16))).unwrap())
}

pub(super) fn opening() -> Opening {
    let fields = [
        (Field::Title, text("[XDR 42] Phishing")),
        (Field::Severity, text("High")),
        (Field::Owner, text("Ana@example.org")),
        (Field::Tags, Native::Set(["vip".to_owned()].into())),
    ];
    Opening {
        patch: patch(&fields, None),
        description: "h1. {html}x{html}\n\nsecond".to_owned(),
        origin: None,
    }
}

pub(super) fn comments(snapshot: &Snapshot) -> Vec<Comment> {
    let Comments::Listed(list) = &snapshot.comments else { panic!("{:?}", snapshot.comments) };
    list.clone()
}

#[tokio::test]
async fn a_ticket_is_opened_with_its_key_and_found_by_it() {
    for pair in [Pair::new(), Pair::data_center(&json!({}))] {
        let created = pair.create(&key(1)).await;
        assert_eq!(created.planned_as, Some(key(1)));
        let expected = [
            (Field::Status, text("new")),
            (Field::Severity, text("High")),
            (Field::Owner, text("ana@example.org")),
            (Field::Tags, Native::Set(["vip".to_owned()].into())),
            (Field::Title, text("[XDR 42] Phishing")),
        ];
        assert_eq!(created.native, expected.into());
        assert!(created.facts.created.is_some());
        assert!(created.facts.url.as_deref().unwrap().ends_with("/browse/SOC-1"), "{:?}", created.facts);
        // At once only by memory, and for everyone once the index has it.
        assert_eq!(pair.jira.find(&key(1), Depth::Record).await.unwrap().unwrap().record, created.record);
        let other = pair.restarted();
        assert!(other.find(&key(1), Depth::Record).await.unwrap().is_none());
        pair.emulator.advance(1.0);
        assert_eq!(other.find(&key(1), Depth::Record).await.unwrap().unwrap().record, created.record);
        assert!(other.find(&key(2), Depth::Record).await.unwrap().is_none());
        assert_eq!(pair.writes().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_ticket_that_is_found() {
    let pair = Pair::new();
    pair.fault("create-ticket", FaultKind::DropAfter);
    let error = pair.jira.create(&key(1), &opening()).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    pair.emulator.advance(1.0);
    let found = pair.jira.find(&key(1), Depth::Comments).await.unwrap().unwrap();
    assert_eq!(found.planned_as, Some(key(1)));
    assert_eq!(comments(&found), []);
    // The look-up itself fails: an error, and never "there is none".
    pair.emulator.add_fault(
        Fault::new(FaultKind::ErrorBefore { status: 500 })
            .on(Api::Jira, "find-ticket")
            .when(crate::emulator::When::Always),
    );
    assert!(pair.jira.find(&key(1), Depth::Record).await.is_err());
}

#[tokio::test]
async fn of_two_tickets_with_one_key_the_oldest_is_it_and_both_are_listed() {
    let pair = Pair::new();
    let first = pair.ticket().await;
    // Cloning an issue copies its labels.
    let id = key(1).id;
    let seed = json!({"title": "CLONE - Phishing", "key": id.as_str()});
    pair.emulator.open_ticket(System::Jira, BY, &seed).unwrap();
    pair.emulator.advance(1.0);
    assert_eq!(pair.restarted().find(&key(1), Depth::Record).await.unwrap().unwrap().record, first.record);
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed.iter().filter(|s| s.planned_as == Some(key(1))).count(), 2);
}

#[tokio::test]
async fn a_query_that_is_not_honoured_is_an_error_and_no_hit() {
    let pair = Pair::with(&json!({"ignore_jql": true}), |_| {});
    pair.emulator.open_ticket(System::Jira, BY, &json!({"title": "foreign"})).unwrap();
    pair.emulator.advance(1.0);
    let error = pair.jira.find(&key(1), Depth::Record).await.unwrap_err().to_string();
    assert!(error.contains("it was not honoured"), "{error}");
    let probes = pair.jira.probe().await;
    let by_key = probes.iter().find(|p| p.what == "find by key").unwrap();
    assert!(by_key.result.as_ref().unwrap_err().contains("not honoured"), "{by_key:?}");
}

#[tokio::test]
async fn odd_keys_never_get_into_a_query() {
    let pair = Pair::new();
    for odd in ["lockstep-", "x", "lockstep-\" OR project = \"SOC"] {
        let planned = RecordRef::ticket(pair.jira.system(), RecordId::new(odd).unwrap());
        assert!(pair.jira.find(&planned, Depth::Record).await.is_err());
        assert!(pair.jira.create(&planned, &opening()).await.is_err());
        assert!(pair.jira.read(&planned, Depth::Record).await.is_err());
    }
    assert!(pair.emulator.calls().is_empty());
}

#[tokio::test]
async fn a_lost_key_is_told_and_stops_creations_until_it_can_be_kept() {
    let pair = Pair::with(&json!({"strip_labels": true}), |_| {});
    let created = pair.create(&key(1)).await;
    // The property still tells.
    assert_eq!(created.planned_as, Some(key(1)));
    pair.emulator.set_ticketing(System::Jira, &json!({"locked_fields": ["labels"]})).unwrap();
    let error = pair.jira.create(&key(2), &opening()).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("lost the label that is its key"), "{error}");
    assert_eq!(pair.emulator.tickets(System::Jira).len(), 1);
    let mended = json!({"locked_fields": [], "strip_labels": false});
    pair.emulator.set_ticketing(System::Jira, &mended).unwrap();
    pair.create(&key(2)).await;
    pair.emulator.advance(1.0);
    assert_eq!(pair.restarted().find(&key(1), Depth::Record).await.unwrap().unwrap().record, created.record);
}

#[tokio::test]
async fn a_create_screen_without_labels_is_a_denial_and_one_without_priority_is_told() {
    let pair = Pair::with(&json!({"locked_fields": ["labels"]}), |_| {});
    let error = pair.jira.create(&key(1), &opening()).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    pair.emulator.set_ticketing(System::Jira, &json!({"locked_fields": ["priority", "assignee"]})).unwrap();
    let mut opening = opening();
    let tags = Native::Set(["two words".to_owned(), "vip".to_owned()].into());
    opening.patch.native.insert(Field::Tags, tags);
    let written = pair.jira.create(&key(1), &opening).await.unwrap();
    let declined: BTreeSet<Field> = written.declined.iter().map(|d| d.field).collect();
    assert_eq!(declined, [Field::Severity, Field::Owner, Field::Tags].into());
    assert_eq!(pair.emulator.tickets(System::Jira).len(), 1);
}

#[tokio::test]
async fn lists_bring_everything_once_in_order_whatever_ties() {
    for pair in [Pair::new(), Pair::data_center(&json!({}))] {
        pair.emulator.set_ticketing(System::Jira, &json!({"page_cap": 3})).unwrap();
        // Five at one instant, then four more.
        for n in 0..9 {
            if n > 4 {
                pair.emulator.advance(1.0);
            }
            pair.emulator.open_ticket(System::Jira, BY, &json!({"title": format!("t{n}")})).unwrap();
        }
        pair.emulator.advance(1.0);
        let (listed, pages) = pair.list("2026-11-01T00:00:00Z").await;
        let ids: BTreeSet<_> = listed.iter().map(|s| s.record.id.clone()).collect();
        assert_eq!((ids.len(), pages >= 3), (9, true));
        assert!(listed.is_sorted_by_key(|s| s.modified));
        // At or after, to the millisecond and whatever the zone of the account.
        let (latest, pages) = pair.list(&listed.last().unwrap().modified.to_string()).await;
        assert_eq!((latest.len(), pages), (1, 1));
        let (none, _) = pair.list("2026-11-02T09:00:00Z").await;
        assert_eq!(none, []);
    }
}

#[tokio::test]
async fn an_idle_poll_is_one_call() {
    let pair = Pair::new();
    pair.list("2026-11-02T08:00:00Z").await;
    pair.emulator.reset_calls();
    pair.list("2026-11-02T08:00:00Z").await;
    assert_eq!(pair.emulator.calls(), [("jira/list-tickets".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_search_that_lags_shows_it_later_and_a_read_at_once() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    let id = ticket.record.id.as_str();
    pair.emulator.set_ticketing(System::Jira, &json!({"index_lag_of": {id: 60.0}})).unwrap();
    pair.edit(&ticket, &json!({"severity": "low"}));
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert!(listed.is_empty() || listed[0].native[&Field::Severity] == text("High"));
    assert_eq!(pair.read(&ticket).await.native[&Field::Severity], text("Low"));
    pair.emulator.advance(60.0);
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed[0].native[&Field::Severity], text("Low"));
}

#[tokio::test]
async fn a_close_takes_one_write_with_verdict_and_note() {
    for pair in [Pair::new(), Pair::data_center(&json!({}))] {
        let ticket = pair.ticket().await;
        let fields = [(Field::Status, text("done")), (Field::Verdict, text("True Positive"))];
        let close = patch(&fields, Some("Closed in sentinel by ana [lockstep x.y]"));
        let written = pair.jira.update(&ticket, &close).await.unwrap();
        assert_eq!(written.declined, []);
        let closed = written.snapshot.unwrap();
        assert_eq!(closed.native[&Field::Verdict], text("True Positive"));
        // Nobody's word: it must not travel on as what somebody said when closing, now or after a reopening.
        assert_eq!(closed.closing_comment, None);
        assert_eq!(pair.writes().len(), 2);
        let shown = pair.shown(&ticket);
        let note = shown["closing_note"].as_str().unwrap();
        assert_eq!(note, "Closing note (lockstep): Closed in sentinel by ana (lockstep x.y]");
        assert_eq!((&shown["status"], &shown["verdict"]), (&json!("closed"), &json!("true-positive")));
        // The note is no comment that somebody would have to be told of.
        assert_eq!(comments(&pair.read(&ticket).await), []);

        // Reopened, the resolution stays, and says nothing.
        let reopen = patch(&[(Field::Status, text("indeterminate"))], None);
        let open = pair.jira.update(&closed, &reopen).await.unwrap().snapshot.unwrap();
        assert_eq!((open.native.get(&Field::Verdict), open.closing_comment), (None, None));
        assert_eq!(pair.shown(&ticket)["status"], "active");
        assert_eq!(
            pair.emulator.ticket(System::Jira, ticket.record.id.as_str()).unwrap()["fields"]["resolution"]["name"],
            "True Positive"
        );
    }
}

#[tokio::test]
async fn several_steps_are_taken_where_the_workflow_wants_them() {
    let pair = Pair::with(&json!({"workflow": "steps"}), |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done")), (Field::Verdict, text("False Positive"))], None);
    let closed = pair.jira.update(&ticket, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.native[&Field::Verdict], text("False Positive"));
    let reopen = patch(&[(Field::Status, text("new"))], None);
    let open = pair.jira.update(&closed, &reopen).await.unwrap().snapshot.unwrap();
    assert_eq!(open.native[&Field::Status], text("new"));
}

#[tokio::test]
async fn a_step_that_is_refused_behind_another_leaves_the_outcome_open() {
    let emulated = json!({"workflow": "steps", "required_on_close": ["customfield_10051"]});
    let pair = Pair::with(&emulated, |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done"))], None);
    let error = pair.jira.update(&ticket, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("customfield_10051 is required"), "{error}");
    assert_eq!(pair.shown(&ticket)["status"], "active");
    // From where it is now, nothing was carried out before the refusal.
    let error = pair.jira.update(&pair.read(&ticket).await, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
    // Fields go before a close, and are a step, too.
    let fields = [(Field::Status, text("done")), (Field::Title, text("New title"))];
    let error = pair.jira.update(&pair.read(&ticket).await, &patch(&fields, None)).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert_eq!(pair.read(&ticket).await.native[&Field::Title], text("New title"));
}

#[tokio::test]
async fn a_note_without_a_screen_is_said_before_the_close_and_once() {
    let conflict = FaultKind::ErrorBefore { status: 409 };
    for kind in [FaultKind::DropBefore, FaultKind::DropAfter, conflict] {
        let pair = Pair::with(&json!({"closing_screen": false, "post_resolution": "Done"}), |_| {});
        let ticket = pair.ticket().await;
        let close = patch(&[(Field::Status, text("done"))], Some("because"));
        // The note was said, and the transition is lost.
        pair.fault("update-ticket", kind.clone());
        let error = pair.jira.update(&ticket, &close).await.unwrap_err();
        assert!(matches!(error, CallError::Unknown { .. }), "{kind:?}: {error}");
        let closed = pair.jira.update(&pair.read(&ticket).await, &close).await.unwrap().snapshot.unwrap();
        assert_eq!(closed.native[&Field::Status], text("done"));
        assert_eq!(pair.shown(&ticket)["comments"].as_array().unwrap().len(), 1, "{kind:?}");
    }
    // A transition that is refused for now, and tried once more, brings no second note.
    let pair = Pair::with(&json!({"closing_screen": false, "post_resolution": "Done"}), |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done"))], Some("because"));
    pair.fault("update-ticket", FaultKind::ErrorBefore { status: 400 });
    let error = pair.jira.update(&ticket, &close).await.unwrap_err();
    assert!(error.to_string().contains("does not let it through now"), "{error}");
    pair.jira.update(&pair.read(&ticket).await, &close).await.unwrap();
    assert_eq!(pair.shown(&ticket)["comments"].as_array().unwrap().len(), 1);
    // A note that is not taken is not left behind by the close.
    let pair = Pair::with(&json!({"closing_screen": false, "post_resolution": "Done"}), |_| {});
    let ticket = pair.ticket().await;
    pair.fault("comment-ticket", FaultKind::ErrorBefore { status: 409 });
    let close = patch(&[(Field::Status, text("done"))], Some("because"));
    let error = pair.jira.update(&ticket, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Conflict { .. }), "{error}");
    assert_eq!(pair.shown(&ticket)["status"], "new");
}

#[tokio::test]
async fn a_verdict_that_the_screen_does_not_take_is_declined_and_the_close_is_made() {
    let pair = Pair::with(&json!({"resolutions": ["Duplicate", "Done"]}), |settings| {
        settings.default_resolution = Some("Done".to_owned());
    });
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done")), (Field::Verdict, text("True Positive"))], None);
    let written = pair.jira.update(&ticket, &close).await.unwrap();
    assert_eq!(written.declined[0].field, Field::Verdict);
    assert_eq!(written.snapshot.unwrap().native[&Field::Verdict], text("Done"));

    // Without a screen nothing can go along; the note is a comment of its own.
    let pair = Pair::with(&json!({"closing_screen": false, "post_resolution": "Done"}), |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done")), (Field::Verdict, text("Done"))], Some("because"));
    let written = pair.jira.update(&ticket, &close).await.unwrap();
    // What the workflow set by itself is what was wanted.
    assert_eq!(written.declined, []);
    assert_eq!(pair.shown(&ticket)["comments"][0]["text"], "Closing note (lockstep): because");
    assert_eq!(comments(&pair.read(&ticket).await), []);
}

#[tokio::test]
async fn the_verdict_can_live_in_a_field_of_its_own() {
    let pair = Pair::with(&json!({}), |settings| {
        settings.verdict_field = Some("customfield_10050".to_owned());
    });
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done")), (Field::Verdict, text("Benign Positive"))], None);
    let written = pair.jira.update(&ticket, &close).await.unwrap();
    assert_eq!(written.declined, []);
    let closed = written.snapshot.unwrap();
    assert_eq!(closed.native[&Field::Verdict], text("Benign Positive"));
    let again = patch(&[(Field::Verdict, text("False Positive"))], None);
    let written = pair.jira.update(&closed, &again).await.unwrap();
    assert_eq!(written.snapshot.unwrap().native[&Field::Verdict], text("False Positive"));
}

#[tokio::test]
async fn a_close_that_cannot_be_made_is_refused_in_jiras_words() {
    let pair = Pair::with(&json!({"required_on_close": ["customfield_10051"]}), |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done"))], None);
    let error = pair.jira.update(&ticket, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("customfield_10051 is required"), "{error}");

    let pair = Pair::with(&json!({"required_on_close": ["customfield_10051"]}), |settings| {
        settings.close_fields.insert("customfield_10051".to_owned(), "root cause".into());
    });
    let ticket = pair.ticket().await;
    pair.jira.update(&ticket, &close).await.unwrap();
    assert_eq!(pair.shown(&ticket)["status"], "closed");

    let pair = Pair::with(&json!({"may_transition": false}), |_| {});
    let ticket = pair.ticket().await;
    let error = pair.jira.update(&ticket, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("lacks TRANSITION_ISSUES"), "{error}");
}

#[tokio::test]
async fn automation_that_moves_on_or_back_shows_in_the_answer() {
    for (automation, status) in [("close", "done"), ("back", "indeterminate")] {
        let pair = Pair::with(&json!({"automation": automation}), |_| {});
        let mut ticket = pair.ticket().await;
        let close = patch(&[(Field::Status, text("done"))], Some("noise"));
        // Tried again, the note is not said again.
        for _ in 0..2 {
            ticket = pair.jira.update(&ticket, &close).await.unwrap().snapshot.unwrap();
            assert_eq!(ticket.native[&Field::Status], text(status));
        }
        assert_eq!(pair.shown(&ticket)["comments"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn somebody_else_was_first() {
    let pair = Pair::with(&json!({"workflow": "steps"}), |_| {});
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"status": "closed", "verdict": "false-positive"}));
    let close = patch(&[(Field::Status, text("done")), (Field::Verdict, text("True Positive"))], None);
    // The snapshot is of before; what was to be done cannot be done any more.
    let written = pair.jira.update(&ticket, &close).await;
    let native = written.unwrap().snapshot.unwrap().native;
    assert_eq!((&native[&Field::Status], &native[&Field::Verdict]), (&text("done"), &text("False Positive")));
    pair.emulator.set_ticketing(System::Jira, &json!({"conflicts": 1})).unwrap();
    let edit = patch(&[(Field::Severity, text("Low"))], None);
    assert!(matches!(pair.jira.update(&ticket, &edit).await, Err(CallError::Conflict { .. })));
}

#[tokio::test]
async fn fields_are_written_and_what_cannot_be_is_told() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"tags": ["vip", "by-hand"]}));
    let fields = [
        (Field::Title, text("New title")),
        (Field::Severity, text("Lowest")),
        (Field::Owner, Native::Empty),
        (Field::Tags, Native::Set(["vip".to_owned(), "a b".to_owned(), "new".to_owned()].into())),
    ];
    let current = pair.read(&ticket).await;
    let written = pair.jira.update(&current, &patch(&fields, None)).await.unwrap();
    let declined: Vec<Field> = written.declined.iter().map(|d| d.field).collect();
    assert_eq!(declined, [Field::Tags]);
    let native = written.snapshot.unwrap().native;
    assert_eq!(native[&Field::Tags], Native::Set(["vip".to_owned(), "new".to_owned()].into()));
    assert_eq!((&native[&Field::Owner], &native[&Field::Title]), (&Native::Empty, &text("New title")));
    let labels = &pair.emulator.ticket(System::Jira, ticket.record.id.as_str()).unwrap()["fields"]["labels"];
    assert!(labels.as_array().unwrap().contains(&json!("lockstep")), "{labels}");

    // Nobody with that address, and a field that is on no screen.
    pair.emulator.set_ticketing(System::Jira, &json!({"locked_fields": ["priority"]})).unwrap();
    let fields = [
        (Field::Owner, text("nobody@elsewhere.test")),
        (Field::Severity, text("High")),
        (Field::Title, text("Third")),
    ];
    let written = pair.jira.update(&current, &patch(&fields, None)).await.unwrap();
    let declined: BTreeSet<Field> = written.declined.iter().map(|d| d.field).collect();
    assert_eq!(declined, [Field::Owner, Field::Severity].into());
    assert_eq!(written.snapshot.unwrap().native[&Field::Title], text("Third"));
}

#[tokio::test]
async fn an_owner_whose_address_is_hidden_says_nothing() {
    let pair = Pair::with(&json!({"hide_emails": true}), |_| {});
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"owner": "ana@example.org"}));
    assert_eq!(pair.read(&ticket).await.native.get(&Field::Owner), None);
    let edit = patch(&[(Field::Owner, text("ben@example.org"))], None);
    let written = pair.jira.update(&ticket, &edit).await.unwrap();
    assert!(written.declined[0].reason.contains("show its e-mail"));
}

/// A person and the same person's account for administration: the first that the search finds is not meant by being first.
#[tokio::test]
async fn an_owner_with_two_accounts_is_left_out_and_told() {
    let shared = json!({"shared_emails": ["ana@example.org"]});
    for pair in [Pair::with(&shared, |_| {}), Pair::data_center(&shared)] {
        let opened = pair.jira.create(&key(1), &opening()).await.unwrap();
        assert_eq!(opened.declined.iter().map(|d| d.field).collect::<Vec<_>>(), [Field::Owner]);
        pair.emulator.advance(1.0);
        let current = pair.read(&opened.snapshot.unwrap()).await;
        assert_eq!(current.native[&Field::Owner], Native::Empty);
        let fields = [(Field::Owner, text("ana@example.org")), (Field::Title, text("Second"))];
        let written = pair.jira.update(&current, &patch(&fields, None)).await.unwrap();
        let read = written.snapshot.unwrap();
        assert_eq!(
            (&read.native[&Field::Owner], &read.native[&Field::Title]),
            (&Native::Empty, &text("Second"))
        );
        let [declined] = &written.declined[..] else { panic!("{:?}", written.declined) };
        assert_eq!(declined.field, Field::Owner);
        assert!(
            declined.reason.contains("2 active accounts") && !declined.reason.contains("ana"),
            "{}",
            declined.reason
        );
        // Nothing is remembered of it: with one account left, that is the one.
        pair.emulator.set_ticketing(System::Jira, &json!({"shared_emails": []})).unwrap();
        let written = pair.jira.update(&read, &patch(&fields[..1], None)).await.unwrap();
        assert_eq!(written.snapshot.unwrap().native[&Field::Owner], text("ana@example.org"));
    }
}

/// The words of a person's comments, in the form of the deployment.
async fn said(pair: &Pair, comment: &Value) -> String {
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"comment": comment}));
    let read = pair.read(&ticket).await;
    comments(&read).pop().unwrap().text
}

#[tokio::test]
async fn a_comment_that_is_an_image_says_so() {
    let image = json!({"type": "media", "attrs": {"id": "2c3b", "type": "file", "collection": "", "alt": "screenshot.png"}});
    let body = json!({"type": "doc", "version": 1, "content": [{"type": "mediaSingle", "content": [image]}]});
    assert_eq!(said(&Pair::new(), &body).await, "[image screenshot.png]");
    let markup = json!("!screenshot.png|thumbnail!");
    assert_eq!(said(&Pair::data_center(&json!({})), &markup).await, "[image screenshot.png]");
}

#[tokio::test]
async fn comments_come_back_as_they_were_written() {
    for pair in [Pair::new(), Pair::data_center(&json!({}))] {
        let ticket = pair.ticket().await;
        let copy = "{code}*x*{code} [~ana]\nh1. line two\n# three\n\n— ana in sentinel [lockstep 0a.0b]";
        pair.jira.comment(&ticket, &CommentKey::from_id("0a"), copy).await.unwrap();
        pair.edit(&ticket, &json!({"comment": "seen\nby a person"}));
        // One that only looks like a closing note of ours is somebody's comment.
        pair.edit(&ticket, &json!({"comment": "Closing note (lockstep): hide me"}));
        let read = comments(&pair.read(&ticket).await);
        assert_eq!(read[0].text, copy);
        assert_eq!(read[1].text.split_whitespace().collect::<Vec<_>>(), ["seen", "by", "a", "person"]);
        assert_eq!((read[1].author.as_deref(), read.len()), (Some(BY), 3));
        let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
        assert_eq!(comments(&listed[0]), read);
    }
}

#[tokio::test]
async fn many_comments_are_counted_in_lists_and_read_page_by_page() {
    let pair = Pair::with(&json!({"comments_inline": 2, "page_cap": 2, "per_issue_limit": false}), |_| {});
    let ticket = pair.ticket().await;
    for n in 0..7 {
        pair.edit(&ticket, &json!({"comment": format!("c{n}")}));
    }
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed[0].comments, Comments::Counted(7));
    let texts: Vec<String> = comments(&pair.read(&ticket).await).into_iter().map(|c| c.text).collect();
    assert_eq!(texts, ["c0", "c1", "c2", "c3", "c4", "c5", "c6"]);
}

#[tokio::test]
async fn comments_are_kept_from_customers_or_stop() {
    let desk = |ignore: bool| {
        Pair::with(&json!({"service_desk": true, "ignore_internal": ignore}), |s| s.service_desk = true)
    };
    let pair = desk(false);
    let ticket = pair.ticket().await;
    let one = CommentKey::from_id("0a");
    pair.jira.comment(&ticket, &one, "secret").await.unwrap();
    assert_eq!(pair.shown(&ticket)["comments"][0]["internal"], true);

    let pair = desk(true);
    let ticket = pair.ticket().await;
    pair.jira.comment(&ticket, &one, "secret").await.unwrap();
    let error = pair.jira.comment(&ticket, &one, "more").await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");

    // Forgotten in the configuration: the check says so.
    let pair = Pair::with(&json!({"service_desk": true}), |_| {});
    let probes = pair.jira.probe().await;
    let project = probes.iter().find(|p| p.what == "project").unwrap();
    assert!(project.result.as_ref().unwrap_err().contains("service_desk = true"));
}

#[tokio::test]
async fn a_moved_ticket_keeps_its_id_and_is_found_and_watched() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"project": "OPS"}));
    let moved = pair.restarted().find(&key(1), Depth::Record).await.unwrap().unwrap();
    assert_eq!(moved.record, ticket.record);
    assert!(moved.facts.url.unwrap().ends_with("/browse/OPS-1"));
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn who_takes_the_labels_off_is_still_heard() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"labels": [], "status": "active"}));
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(
        (&listed[0].record, &listed[0].native[&Field::Status]),
        (&ticket.record, &text("indeterminate"))
    );
    assert_eq!(listed[0].planned_as, Some(key(1)));
}

#[tokio::test]
async fn archived_ones_leave_the_search_and_deleted_ones_are_gone() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    pair.edit(&ticket, &json!({"archived": true}));
    assert_eq!(pair.list("2026-11-01T00:00:00Z").await.0, []);
    // By its id it is there, so nothing is opened in its place (F21).
    pair.read(&ticket).await;
    pair.edit(&ticket, &json!({"delete": true}));
    let gone = pair.jira.read(&ticket.record, Depth::Record).await;
    assert!(matches!(gone, Err(CallError::Gone { .. })), "{gone:?}");
    assert!(pair.jira.find(&key(1), Depth::Record).await.unwrap().is_none());
}

#[tokio::test]
async fn too_many_writes_to_one_issue_are_held_back() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    let mut throttled = None;
    for n in 0..25 {
        let comment = pair.jira.comment(&ticket, &CommentKey::from_id("0a"), &format!("c{n}")).await;
        throttled = comment.err();
        if throttled.is_some() {
            break;
        }
    }
    let error = throttled.unwrap();
    assert!(matches!(error, CallError::Throttled { .. }), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn data_center_nodes_that_lag_lose_no_page() {
    let pair = Pair::data_center(&json!({"page_cap": 2, "node_lag": 3.0}));
    for n in 0..5 {
        pair.emulator.open_ticket(System::Jira, BY, &json!({"title": format!("t{n}")})).unwrap();
    }
    pair.emulator.advance(10.0);
    let (listed, _) = pair.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed.iter().map(|s| &s.record).collect::<BTreeSet<_>>().len(), 5);
}

#[tokio::test]
async fn oauth_and_personal_tokens_open_the_door() {
    use crate::http::Login;
    use crate::http::secret::SecretRef;
    let secret = || SecretRef::Inline("emulator-secret".to_owned().into());
    let pair = Pair::data_center(&json!({}));
    let mut settings = pair.jira.settings.clone();
    settings.system.login = Login::Token { token: secret() };
    let jira = Jira::new(&settings, &http(), None).unwrap();
    jira.list(RecordKind::Ticket, jiff::Timestamp::UNIX_EPOCH, None).await.unwrap();

    let pair = Pair::new();
    let mut settings = pair.jira.settings.clone();
    settings.token_url = format!("{}/oauth/token", pair.emulator.ticket_url(System::Jira)).parse().unwrap();
    settings.system.login =
        Login::OauthClientCredentials { client_id: "lockstep".to_owned(), secret: secret(), scope: None };
    let jira = Jira::new(&settings, &http(), None).unwrap();
    jira.list(RecordKind::Ticket, jiff::Timestamp::UNIX_EPOCH, None).await.unwrap();
}

#[tokio::test]
async fn a_sound_set_up_passes_every_probe_and_writes_nothing() {
    for pair in [Pair::new(), Pair::data_center(&json!({}))] {
        for probe in pair.jira.probe().await {
            assert!(probe.result.is_ok(), "{probe:?}");
        }
        assert!(pair.emulator.ledger().is_empty());
    }
    let pair = Pair::with(&json!({"may_transition": false, "locked_fields": ["labels"]}), |_| {});
    let failed: Vec<String> = pair
        .jira
        .probe()
        .await
        .into_iter()
        .filter_map(|p| p.result.err().map(|e| p.what + ": " + &e))
        .collect();
    assert!(failed[0].contains("TRANSITION_ISSUES"), "{failed:?}");
    assert!(failed[1].contains("no field Labels"), "{failed:?}");
}

#[tokio::test]
async fn every_write_is_in_the_ledger_once() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    let edit = patch(&[(Field::Severity, text("Low"))], None);
    pair.jira.update(&ticket, &edit).await.unwrap();
    pair.jira.comment(&ticket, &CommentKey::from_id("0a"), "x").await.unwrap();
    let whats: Vec<What> = pair.writes().into_iter().map(|e| e.what).collect();
    assert!(matches!(whats[..], [What::Created, What::Changed { .. }, What::Commented { .. }]), "{whats:?}");
}

#[tokio::test]
async fn a_limit_on_one_issue_holds_up_no_other() {
    let pair = Pair::new();
    let (busy, other) = (pair.create(&key(1)).await, pair.create(&key(2)).await);
    let mut n = 0;
    let error = loop {
        n += 1;
        match pair.say(&busy, n).await {
            Ok(_) => assert!(n < 130, "no limit"),
            Err(error) => break error,
        }
        pair.emulator.advance(0.2);
    };
    assert!(matches!(error, CallError::Throttled { .. }), "{error}");
    assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(20)), "{error}");
    pair.say(&other, 200).await.unwrap();
    pair.jira.read(&busy.record, Depth::Record).await.unwrap();
    pair.emulator.reset_calls();
    // Its own next write does not leave; it would make the wait longer. A patch of fields goes by another class.
    let retitled = patch(&[(Field::Title, text("Other"))], None);
    let error = pair.jira.update(&busy, &retitled).await.unwrap_err();
    assert!(error.only_delayed().is_some(), "{error}");
    assert!(!pair.emulator.calls().contains_key("jira/update-ticket"), "{:?}", pair.emulator.calls());
}

#[tokio::test]
async fn points_that_are_used_up_hold_everything_up_and_a_burst_its_class() {
    for (reason, lists) in [
        (json!("jira-quota-tenant-based"), false),
        (json!("jira-quota-global-based"), false),
        (json!("jira-burst-based"), true),
        (json!(null), true),
    ] {
        let pair = Pair::with(&json!({"rate_limit_reason": reason}), |_| {});
        let ticket = pair.ticket().await;
        pair.list("2026-11-01T00:00:00Z").await;
        pair.fault("get-ticket", FaultKind::Throttle { retry_after: RetryAfter::Seconds(300) });
        let error = pair.jira.read(&ticket.record, Depth::Record).await.unwrap_err();
        assert!(matches!(error, CallError::Throttled { .. }), "{error}");
        let listed = pair.jira.list(RecordKind::Ticket, "2026-11-01T00:00:00Z".parse().unwrap(), None).await;
        assert_eq!(listed.is_ok(), lists, "{reason}: {listed:?}");
        let error = pair.jira.read(&ticket.record, Depth::Record).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "the class pauses in any case: {error}");
    }
}
