//! The connector against the emulator over real HTTP: every lie of the service, and what is made of it.

use serde_json::{Value, json};

use super::*;
use crate::connectors::testing::http;
use crate::emulator::{Api, Emulator, EmulatorOptions, Fault, FaultKind, System, When};
use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::{Field, Lifecycle, Native, RecordId};

const RT: System = System::RequestTracker;
const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";

pub(super) fn settings(url: &str) -> RequestTrackerSettings {
    let token = SecretRef::Inline("emulator-secret".into());
    RequestTrackerSettings {
        system: TicketSystem {
            name: SystemName::new("tickets").unwrap(),
            url: Url::parse(url).unwrap(),
            login: Login::Token { token },
            settle: Duration::from_secs(1),
            overlap: Duration::from_secs(1),
            budget_factor: 1.0,
            comments: crate::connectors::Audience::Internal,
            hook: None,
        },
        queue: "SOC".to_owned(),
        key_field: RequestTrackerSettings::DEFAULT_KEY_FIELD.to_owned(),
        verdict_field: Some("Verdict".to_owned()),
        closing_field: Some("Closing Note".to_owned()),
        severity: true,
        lifecycle: Lifecycles::Default,
    }
}

struct Stage {
    emulator: Emulator,
    connector: RequestTracker,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RequestTrackerSettings)) -> Self {
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        let mut settings = settings(&emulator.ticket_url(RT));
        change(&mut settings);
        let connector = RequestTracker::new(&settings, &http(), None).unwrap();
        Self { emulator, connector }
    }

    fn set(&self, settings: &Value) {
        self.emulator.set_ticketing(RT, settings).unwrap();
    }

    fn fail(&self, kind: FaultKind, operation: &str) {
        self.emulator.add_fault(Fault::new(kind).on(Api::RequestTracker, operation));
    }

    fn open(&self, seed: &Value) -> RecordRef {
        record(&self.emulator.open_ticket(RT, "ana@example.org", seed).unwrap())
    }

    fn edit(&self, record: &RecordRef, edit: &Value) {
        self.emulator.human_ticket(RT, record.id.as_str(), "ana@example.org", edit).unwrap();
    }

    fn common(&self, record: &RecordRef) -> Value {
        self.emulator.ticket(RT, record.id.as_str()).unwrap()["common"].clone()
    }

    async fn read(&self, record: &RecordRef) -> Snapshot {
        self.connector.read(record, Depth::Record).await.unwrap()
    }

    /// Everything changed since a time, page by page.
    async fn list(&self, since: Timestamp) -> Vec<Snapshot> {
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let listed = self.connector.list(RecordKind::Ticket, since, page.as_ref()).await.unwrap();
            assert!(listed.malformed.is_empty(), "{:?}", listed.malformed);
            assert!(listed.server_time.is_some());
            all.extend(listed.snapshots);
            page = listed.next;
            if page.is_none() {
                return all;
            }
        }
    }

    fn writes(&self) -> usize {
        self.emulator
            .ledger()
            .iter()
            .filter(|entry| entry.actor == "lockstep" && entry.is_effective())
            .count()
    }
}

fn record(id: &str) -> RecordRef {
    RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new(id).unwrap())
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)]) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: None }
}

fn opening() -> Opening {
    let fields = [
        (Field::Title, text("Phishing <b>\"x\"</b>\nQueue: evil")),
        (Field::Severity, text("75")),
        (Field::Owner, text("ana@example.org")),
    ];
    Opening { patch: patch(&fields), description: "<script>alert(1)</script>".to_owned(), origin: None }
}

#[tokio::test]
async fn a_ticket_is_opened_with_its_key_inside_and_found_by_it() {
    let stage = Stage::new();
    let planned = record(KEY);
    assert_eq!(stage.connector.find(&planned, Depth::Record).await.unwrap(), None);
    let mut opening = opening();
    opening.patch.native.insert(Field::Title, text("Phishing <b>\"x\"</b>"));
    let written = stage.connector.create(&planned, &opening).await.unwrap();
    let opened = written.snapshot.unwrap();
    assert!(written.declined.is_empty(), "{:?}", written.declined);
    assert_eq!((opened.record.id.as_str(), opened.planned_as.as_ref()), ("1", Some(&planned)));
    assert_eq!(opened.native[&Field::Severity], text("75"));
    assert_eq!(opened.native[&Field::Owner], text("ana@example.org"));
    assert_eq!(opened.native[&Field::Verdict], Native::Empty);
    assert!(opened.facts.url.as_ref().unwrap().ends_with("/request-tracker/Ticket/Display.html?id=1"));
    let found = stage.connector.find(&planned, Depth::Comments).await.unwrap().unwrap();
    assert_eq!((&found.record, &found.revision), (&opened.record, &opened.revision));
    assert_eq!(found.comments, Comments::Listed(Vec::new()));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_one_ticket_that_is_found() {
    let stage = Stage::new();
    stage.fail(FaultKind::DropAfter, "create-ticket");
    let lost = stage.connector.create(&record(KEY), &opening()).await.unwrap_err();
    assert!(matches!(lost, CallError::Unknown { .. }), "{lost}");
    let found = stage.connector.find(&record(KEY), Depth::Record).await.unwrap();
    assert_eq!(found.unwrap().record, record("1"));
    // Two with one key: the oldest is it.
    stage.open(&json!({"title": "copy", "key": KEY}));
    assert_eq!(stage.connector.find(&record(KEY), Depth::Record).await.unwrap().unwrap().record, record("1"));
}

#[tokio::test]
async fn a_renamed_key_field_stops_creations_instead_of_doubling_tickets() {
    let stage = Stage::new();
    stage.open(&json!({"key": KEY}));
    stage.set(&json!({"fields": ["Renamed", "Verdict", "Closing Note"]}));
    let error = stage.connector.find(&record(KEY), Depth::Record).await.unwrap_err();
    assert!(
        matches!(error, CallError::Denied { .. }) && error.to_string().contains("Lockstep Key"),
        "{error}"
    );
}

#[tokio::test]
async fn a_dropped_key_is_seen_and_stops_further_creations_until_it_is_taken() {
    let stage = Stage::new();
    stage.set(&json!({"drop_fields": true}));
    let written = stage.connector.create(&record(KEY), &opening()).await.unwrap();
    let keyless = written.snapshot.unwrap();
    assert_eq!((keyless.record.id.as_str(), &keyless.planned_as), ("1", &None));
    let other = record("lockstep-ffffffffffffffffffffffffffffffff");
    let refused = stage.connector.create(&other, &opening()).await.unwrap_err();
    assert!(
        matches!(refused, CallError::Denied { .. }) && refused.to_string().contains("ticket 1"),
        "{refused}"
    );
    assert_eq!(stage.emulator.tickets(RT).len(), 1);
    stage.set(&json!({"drop_fields": false}));
    let second = stage.connector.create(&other, &opening()).await.unwrap().snapshot.unwrap();
    assert_eq!(second.planned_as, Some(other));
    assert_eq!(stage.common(&record("1"))["key"], KEY, "the first was given its key, too");
}

#[tokio::test]
async fn odd_keys_never_reach_the_service() {
    let stage = Stage::new();
    for odd in ["x", "lockstep-'", "lockstep-a' OR id > 0", "lockstep-a\nb"] {
        for error in [
            stage.connector.find(&record(odd), Depth::Record).await.err(),
            stage.connector.create(&record(odd), &opening()).await.err(),
        ] {
            assert!(matches!(error, Some(CallError::NotSent { .. })), "{odd}: {error:?}");
        }
    }
    assert!(stage.emulator.calls().is_empty());
}

#[tokio::test]
async fn a_close_carries_verdict_and_note_in_one_write_and_is_undone_by_another() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    let close = [(Field::Status, text("resolved")), (Field::Verdict, text("true-positive/phishing"))];
    let close = Patch { closing_comment: Some("done".to_owned()), ..patch(&close) };
    let written = stage.connector.update(&current, &close).await.unwrap();
    let closed = written.snapshot.unwrap();
    assert_eq!(closed.native[&Field::Status], text("resolved"));
    assert_eq!(closed.native[&Field::Verdict], text("true-positive/phishing"));
    assert_eq!(closed.closing_comment.as_deref(), Some("done"));
    assert_eq!(stage.writes(), 1);
    let reopen = patch(&[(Field::Status, text("open"))]);
    let open = stage.connector.update(&closed, &reopen).await.unwrap().snapshot.unwrap();
    assert_eq!(open.native[&Field::Status], text("open"));
    // A note that is there is not overwritten at the next close.
    let again =
        Patch { closing_comment: Some("other".to_owned()), ..patch(&[(Field::Status, text("resolved"))]) };
    stage.connector.update(&open, &again).await.unwrap();
    assert_eq!(stage.common(&ticket)["closing_note"], "done");
}

#[tokio::test]
async fn a_refusal_in_a_sentence_is_an_error_for_the_status_and_told_for_the_rest() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t", "owner": "bob@example.org"}));
    stage.set(&json!({"statuses": ["new", "open"], "reassign": false, "drop_fields": true}));
    let current = stage.read(&ticket).await;
    let wanted = [
        (Field::Title, text("u")),
        (Field::Owner, text("ana@example.org")),
        (Field::Verdict, text("false-positive")),
        (Field::Tags, Native::Set(["x".to_owned()].into())),
    ];
    let written = stage.connector.update(&current, &patch(&wanted)).await.unwrap();
    let after = written.snapshot.unwrap();
    assert_eq!(after.native[&Field::Title], text("u"));
    let declined: Vec<Field> = written.declined.iter().map(|d| d.field).collect();
    assert_eq!(declined, [Field::Tags, Field::Verdict, Field::Owner]);
    assert!(written.declined[2].reason.contains("You can only reassign"), "{:?}", written.declined);
    let close = patch(&[(Field::Status, text("resolved"))]);
    let refused = stage.connector.update(&after, &close).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("'resolved' isn't a valid status"), "{refused}");
    // What was taken beside it must be read back: it is no refusal of the whole.
    let both = patch(&[(Field::Status, text("resolved")), (Field::Title, text("v"))]);
    let partly = stage.connector.update(&after, &both).await.unwrap_err();
    assert!(matches!(partly, CallError::Unknown { .. }), "{partly}");
    assert!(partly.to_string().contains("'resolved' isn't a valid status"), "{partly}");
}

#[tokio::test]
async fn an_unknown_owner_is_declined_and_nobody_is_a_name() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"owner": "ana@example.org"}));
    let current = stage.read(&ticket).await;
    assert_eq!(current.native[&Field::Owner], text("ana@example.org"));
    let unknown = patch(&[(Field::Owner, text("who@elsewhere.net"))]);
    let written = stage.connector.update(&current, &unknown).await.unwrap();
    assert_eq!(written.declined[0].field, Field::Owner);
    assert_eq!(stage.writes(), 0);
    let nobody = patch(&[(Field::Owner, Native::Empty)]);
    let written = stage.connector.update(&current, &nobody).await.unwrap();
    assert_eq!(written.snapshot.unwrap().native[&Field::Owner], Native::Empty);
    let written =
        stage.connector.create(&record(KEY), &Opening { patch: unknown, ..opening() }).await.unwrap();
    assert_eq!(written.declined.iter().map(|d| d.field).collect::<Vec<_>>(), [Field::Owner]);
}

#[tokio::test]
async fn an_owner_with_two_accounts_is_left_out_and_told() {
    let stage = Stage::new();
    stage.set(&json!({"shared_emails": ["ana@example.org"]}));
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    let both = patch(&[(Field::Owner, text("ana@example.org")), (Field::Title, text("u"))]);
    let written = stage.connector.update(&current, &both).await.unwrap();
    let [declined] = &written.declined[..] else { panic!("{:?}", written.declined) };
    assert!(
        declined.reason.contains("2 active accounts") && !declined.reason.contains("ana"),
        "{}",
        declined.reason
    );
    let read = written.snapshot.unwrap();
    assert_eq!((&read.native[&Field::Title], &read.native[&Field::Owner]), (&text("u"), &Native::Empty));
}

#[tokio::test]
async fn a_stale_revision_is_a_conflict() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    stage.edit(&ticket, &json!({"severity": "high"}));
    let change = patch(&[(Field::Title, text("u"))]);
    let error = stage.connector.update(&current, &change).await.unwrap_err();
    assert!(matches!(error, CallError::Conflict { .. }), "{error}");
    assert_eq!(stage.writes(), 0);
    // The condition is no lock: one that passes all the same changes only what it names.
    stage.set(&json!({"lost_races": 1}));
    let after = stage.connector.update(&current, &change).await.unwrap().snapshot.unwrap();
    assert_eq!((&after.native[&Field::Title], &after.native[&Field::Severity]), (&text("u"), &text("75")));
}

#[tokio::test]
async fn comments_come_back_word_for_word_oldest_first() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t", "comment": "first"}));
    let current = stage.read(&ticket).await;
    let own = "copied\n\n  <b>&amp; '\"\\ 😀\n[lockstep abc.def]";
    stage.connector.comment(&current, &CommentKey::from_id("k"), own).await.unwrap();
    stage.edit(&ticket, &json!({"html": "<p>rich &amp; poor</p>", "reply": "to the customer"}));
    let read = stage.connector.read(&ticket, Depth::Comments).await.unwrap();
    let Comments::Listed(comments) = read.comments else { panic!() };
    let texts: Vec<&str> = comments.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(texts, ["first", own, "rich & poor", "to the customer"]);
    assert_eq!(comments[0].author.as_deref(), Some("ana"));
    assert_eq!(stage.common(&ticket)["comments"][1]["internal"], true);
    stage.emulator.reset_calls();
    stage.connector.read(&ticket, Depth::Comments).await.unwrap();
    assert_eq!(stage.emulator.calls().get("request-tracker/get-comment"), None, "comments never change");
}

#[tokio::test]
async fn a_public_comment_on_a_new_or_closed_ticket_is_internal_since_a_reply_would_open_it() {
    let stage = Stage::with(|settings| settings.system.comments = crate::connectors::Audience::Public);
    let ticket = stage.open(&json!({"title": "t"}));
    let new = stage.read(&ticket).await;
    stage.connector.comment(&new, &CommentKey::from_id("n"), "internal").await.unwrap();
    assert_eq!(stage.common(&ticket)["status"], "new", "nobody has begun");
    stage.edit(&ticket, &json!({"status": "active"}));
    let open = stage.read(&ticket).await;
    stage.connector.comment(&open, &CommentKey::from_id("a"), "public").await.unwrap();
    stage.edit(&ticket, &json!({"status": "closed"}));
    let closed = stage.read(&ticket).await;
    stage.connector.comment(&closed, &CommentKey::from_id("b"), "internal").await.unwrap();
    let common = stage.common(&ticket);
    assert_eq!(common["status"], "closed");
    let internal: Vec<&Value> = (0..3).map(|n| &common["comments"][n]["internal"]).collect();
    assert_eq!(internal, [true, false, true]);
}

#[tokio::test]
async fn merged_and_deleted_tickets_show_as_what_they_are() {
    let stage = Stage::new();
    let since = stage.emulator.now();
    let [merged, into, deleted, moved] = [0; 4].map(|_| stage.open(&json!({"title": "t", "key": KEY})));
    stage.edit(&merged, &json!({"merge_into": 2}));
    stage.edit(&deleted, &json!({"delete": true}));
    stage.edit(&moved, &json!({"queue": "Helpdesk"}));
    let redirected = Lifecycle::Redirected { to: Some(into.clone()) };
    assert_eq!(stage.read(&merged).await.lifecycle, redirected);
    assert_eq!(stage.read(&deleted).await.lifecycle, Lifecycle::Gone);
    let listed = stage.list(since).await;
    let of = |record: &RecordRef| &listed.iter().find(|s| s.record == *record).unwrap().lifecycle;
    assert_eq!((of(&merged), of(&deleted), of(&into)), (&redirected, &Lifecycle::Gone, &Lifecycle::Present));
    assert!(matches!(stage.connector.read(&record("99"), Depth::Record).await, Err(CallError::Gone { .. })));
}

#[tokio::test]
async fn a_list_drains_ties_and_short_pages_and_brings_each_comment() {
    let stage = Stage::new();
    let since = stage.emulator.now();
    for n in 0..130 {
        stage.open(&json!({"title": format!("t{n}"), "key": format!("lockstep-{n:032}")}));
    }
    stage.edit(&record("7"), &json!({"comment": "news"}));
    let listed = stage.list(since).await;
    let ids: std::collections::BTreeSet<&str> = listed.iter().map(|s| s.record.id.as_str()).collect();
    assert_eq!(ids.len(), 130);
    let comments: Vec<&str> = listed
        .iter()
        .filter(|s| s.record == record("7"))
        .flat_map(|s| match &s.comments {
            Comments::Recent(comments) => comments.iter().map(|c| c.text.as_str()).collect(),
            _ => Vec::new(),
        })
        .collect();
    assert_eq!(comments, ["news"]);
    assert!(listed.iter().all(|s| s.planned_as.is_some() && s.facts.created.is_some() && !s.fresh));
}

#[tokio::test]
async fn pages_that_come_short_of_what_may_not_be_seen_do_not_end_a_list() {
    let stage = Stage::new();
    let since = stage.emulator.now();
    let first = stage.open(&json!({"title": "t"}));
    // The mail that each comment sends is a transaction, too, and may not be seen.
    for _ in 0..60 {
        stage.edit(&first, &json!({"comment": "told by mail"}));
    }
    stage.open(&json!({"title": "last"}));
    let listed = stage.list(since).await;
    assert!(listed.iter().any(|s| s.native[&Field::Title] == text("last")));
}

#[tokio::test]
async fn an_idle_poll_is_one_call() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    stage.list(stage.emulator.now()).await;
    stage.emulator.advance(60.0);
    stage.emulator.reset_calls();
    assert!(stage.list(stage.emulator.now()).await.is_empty());
    assert_eq!(stage.emulator.calls().values().sum::<u64>(), 1);
    stage.edit(&ticket, &json!({"title": "u"}));
    let listed =
        stage.list(stage.emulator.now().checked_sub(jiff::SignedDuration::from_secs(5)).unwrap()).await;
    let read = stage.read(&ticket).await;
    assert_eq!((listed.len(), &listed[0].revision), (1, &read.revision));
    assert_eq!(listed[0].native, read.native);
}

#[tokio::test]
async fn another_time_zone_is_found_out_before_changes_are_missed() {
    for minutes in [-300, 60] {
        let stage = Stage::new();
        stage.set(&json!({"zone_minutes": minutes}));
        // With nothing there yet, nothing can be missed, and no time is asked for.
        assert!(stage.list(stage.emulator.now()).await.is_empty());
        stage.open(&json!({"title": "t"}));
        let error = stage.connector.list(RecordKind::Ticket, stage.emulator.now(), None).await.unwrap_err();
        assert!(matches!(error, CallError::Denied { .. }) && error.to_string().contains("UTC"), "{error}");
        stage.set(&json!({"zone_minutes": 0}));
        assert_eq!(
            stage
                .list(stage.emulator.now().checked_sub(jiff::SignedDuration::from_secs(5)).unwrap())
                .await
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn a_probe_says_what_is_to_be_mended() {
    let stage = Stage::new();
    stage.open(&json!({"title": "t"}));
    let all_well = stage.connector.probe().await;
    assert!(all_well.iter().all(|probe| probe.result.is_ok()), "{all_well:?}");
    stage.set(&json!({"fields": ["Key", "Verdict"], "zone_minutes": 60}));
    let connector = RequestTracker::new(&stage.connector.settings, &http(), None).unwrap();
    let found: Vec<String> = connector.probe().await.into_iter().filter_map(|p| p.result.err()).collect();
    let found = found.join("\n");
    for words in ["no custom field Lockstep Key and Closing Note", "SeeCustomField", "Timezone to UTC"] {
        assert!(found.contains(words), "{words} is not in {found}");
    }
    let mut wrong = stage.connector.settings.clone();
    wrong.system.login = Login::Token { token: SecretRef::Inline("wrong".into()) };
    let probes = RequestTracker::new(&wrong, &http(), None).unwrap().probe().await;
    assert!(probes[1].result.as_ref().unwrap_err().contains("privileged user"), "{probes:?}");
}

const REST: [&str; 5] = ["get-ticket", "list-tickets", "find-ticket", "update-ticket", "comment-ticket"];

impl Stage {
    fn lacks(&self, rights: &[&str]) {
        self.set(&json!({ "lacks": rights }));
    }

    async fn listed(&self, since: Timestamp) -> Result<Page, CallError> {
        self.connector.list(RecordKind::Ticket, since, None).await
    }

    /// What each operation comes to.
    async fn all(&self, current: &Snapshot) -> Vec<(&'static str, Option<CallError>)> {
        let (connector, change) = (&self.connector, patch(&[(Field::Title, text("u"))]));
        let key = record("lockstep-ffffffffffffffffffffffffffffffff");
        let comment = CommentKey::from_id("k");
        vec![
            ("list", self.listed(self.emulator.now()).await.err()),
            ("read", connector.read(&current.record, Depth::Record).await.err()),
            ("comments", connector.read(&current.record, Depth::Comments).await.err()),
            ("find", connector.find(&key, Depth::Record).await.err()),
            ("update", connector.update(current, &change).await.err()),
            ("comment", connector.comment(current, &comment, "c").await.err()),
        ]
    }
}

fn is_denied(error: &CallError) -> bool {
    matches!(error, CallError::Denied { .. })
}

#[tokio::test]
async fn a_gateways_page_says_nothing_of_a_ticket() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t", "key": KEY}));
    let current = stage.read(&ticket).await;
    for status in [404, 400, 410] {
        for operation in REST {
            let page = Fault::new(FaultKind::Html { status }).on(Api::RequestTracker, operation);
            stage.emulator.add_fault(page.when(When::Always));
        }
        for (operation, error) in stage.all(&current).await {
            let error = error.expect(operation);
            assert!(
                !matches!(error, CallError::Gone { .. } | CallError::Refused { .. }),
                "{operation}: {error}"
            );
        }
        stage.emulator.clear_faults();
    }
    stage.fail(FaultKind::Html { status: 404 }, "find-ticket");
    assert!(stage.connector.find(&record(KEY), Depth::Record).await.is_err());
    assert_eq!(stage.connector.find(&record(KEY), Depth::Record).await.unwrap().unwrap().record, ticket);
    assert!(matches!(stage.connector.read(&record("99"), Depth::Record).await, Err(CallError::Gone { .. })));
}

#[tokio::test]
async fn who_is_not_known_any_more_is_denied_everywhere_and_heals_by_itself() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    stage.listed(stage.emulator.now()).await.unwrap();
    stage.set(&json!({"anonymous": true}));
    for (operation, error) in stage.all(&current).await {
        let error = error.expect(operation);
        assert!(is_denied(&error) && error.to_string().contains("new token"), "{operation}: {error}");
    }
    stage.set(&json!({"anonymous": false}));
    assert_eq!(stage.all(&current).await.into_iter().filter_map(|(_, error)| error).count(), 0);
}

#[tokio::test]
async fn empty_answers_to_who_may_not_see_tickets_prove_nothing() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t", "key": KEY}));
    let since = stage.emulator.now();
    stage.list(since).await;
    let current = stage.read(&ticket).await;
    stage.lacks(&["ShowTicket"]);
    stage.edit(&ticket, &json!({"status": "closed"}));
    for (operation, error) in stage.all(&current).await {
        // A comment is taken all the same, as the service does.
        let Some(error) = error else {
            assert_eq!(operation, "comment");
            continue;
        };
        assert!(is_denied(&error), "{operation}: {error}");
        assert!(error.to_string().contains("ShowTicket"), "{operation}: {error}");
    }
    assert!(is_denied(&stage.connector.find(&record(KEY), Depth::Record).await.unwrap_err()));
    stage.lacks(&[]);
    let listed = stage.list(since).await;
    assert_eq!(listed.last().unwrap().native[&Field::Status], text("resolved"), "nothing was passed over");
    assert!(stage.connector.find(&record(KEY), Depth::Record).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ticket_that_is_opened_out_of_sight_is_opened_once() {
    let stage = Stage::new();
    stage.lacks(&["ShowTicket"]);
    assert!(stage.connector.create(&record(KEY), &opening()).await.unwrap().snapshot.is_none());
    for _ in 0..2 {
        let error = stage.connector.create(&record(KEY), &opening()).await.unwrap_err();
        assert!(is_denied(&error), "{error}");
    }
    assert_eq!(stage.emulator.tickets(RT).len(), 1);
    stage.lacks(&[]);
    assert!(stage.connector.find(&record(KEY), Depth::Record).await.unwrap().is_some());
}

#[tokio::test]
async fn a_queue_out_of_sight_is_no_empty_queue() {
    let stage = Stage::new();
    stage.lacks(&["SeeQueue"]);
    assert!(is_denied(&stage.listed(stage.emulator.now()).await.unwrap_err()));
    assert!(is_denied(&stage.connector.find(&record(KEY), Depth::Record).await.unwrap_err()));
    stage.lacks(&[]);
    assert!(stage.listed(stage.emulator.now()).await.unwrap().snapshots.is_empty());
}

#[tokio::test]
async fn a_witness_that_left_the_queue_is_replaced() {
    for edit in [json!({"delete": true}), json!({"queue": "Helpdesk"}), json!({"merge_into": 1})] {
        let stage = Stage::new();
        let [witness, _] = [0; 2].map(|_| stage.open(&json!({"title": "t", "comment": "seen"})));
        stage.read(&witness).await;
        stage.list(stage.emulator.now()).await;
        stage.edit(&record("2"), &edit);
        stage.emulator.advance(3_600.0);
        for _ in 0..3 {
            stage.list(stage.emulator.now()).await;
        }
        stage.emulator.reset_calls();
        stage.list(stage.emulator.now()).await;
        assert_eq!(stage.emulator.calls().values().sum::<u64>(), 1, "{edit}");
    }
}

#[tokio::test]
async fn comments_out_of_sight_are_not_taken_for_none() {
    let stage = Stage::new();
    let since = stage.emulator.now();
    let ticket = stage.open(&json!({"title": "t", "comment": "first"}));
    stage.list(since).await;
    stage.lacks(&["ShowTicketComments"]);
    stage.edit(&ticket, &json!({"comment": "second"}));
    let later = stage.emulator.now().checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
    let error = stage.listed(later).await.unwrap_err();
    assert!(is_denied(&error) && error.to_string().contains("ShowTicketComments"), "{error}");
    assert!(is_denied(&stage.connector.read(&ticket, Depth::Comments).await.unwrap_err()));
    stage.lacks(&[]);
    let listed = stage.list(since).await;
    let Comments::Recent(comments) = &listed.last().unwrap().comments else { panic!() };
    assert_eq!(comments.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    assert!(stage.connector.read(&ticket, Depth::Comments).await.is_ok());
}

#[tokio::test]
async fn an_answer_that_is_none_loses_nothing() {
    use crate::emulator::Malformed::{EmptyBody, ErrorBody, HalfList, OtherRecord, Truncated};
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    stage.list(stage.emulator.now()).await;
    for how in [ErrorBody, EmptyBody, Truncated, HalfList, OtherRecord] {
        let current = stage.read(&ticket).await;
        for operation in REST {
            let spoilt = Fault::new(FaultKind::Malformed { how }).on(Api::RequestTracker, operation);
            stage.emulator.add_fault(spoilt.when(When::Always));
        }
        for (operation, error) in stage.all(&current).await {
            let is_write = ["update", "comment"].contains(&operation);
            // Not every answer has a list, or a record.
            let spoilt = match how {
                HalfList => ["list", "find"].contains(&operation),
                OtherRecord => ["read", "comments", "find"].contains(&operation),
                _ => true,
            };
            let Some(error) = error else {
                assert!(!spoilt, "{operation} {how:?} was believed");
                continue;
            };
            assert!(
                !matches!(error, CallError::Gone { .. } | CallError::Refused { .. }),
                "{operation}: {error}"
            );
            assert!(!is_write || matches!(error, CallError::Unknown { .. }), "{operation}: {error}");
        }
        stage.emulator.clear_faults();
    }
}

#[tokio::test]
async fn a_close_that_waits_for_another_ticket_is_not_given_up() {
    let stage = Stage::new();
    let [ticket, other] = [0; 2].map(|_| stage.open(&json!({"title": "t"})));
    stage.edit(&ticket, &json!({"depends_on": [2]}));
    let current = stage.read(&ticket).await;
    let close = patch(&[(Field::Status, text("resolved"))]);
    let error = stage.connector.update(&current, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Blocked { .. }), "{error}");
    assert!(error.to_string().contains("unresolved dependencies"), "{error}");
    // What was taken beside it is read back first; then the close waits by itself.
    let both = patch(&[(Field::Status, text("resolved")), (Field::Verdict, text("true-positive"))]);
    let error = stage.connector.update(&current, &both).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    let current = stage.read(&ticket).await;
    assert_eq!(current.native[&Field::Verdict], text("true-positive"));
    assert!(stage.connector.update(&current, &close).await.is_err());
    stage.edit(&other, &json!({"status": "closed"}));
    let closed = stage.connector.update(&current, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.native[&Field::Status], text("resolved"));
}

#[tokio::test]
async fn a_right_that_was_taken_away_is_no_refusal_for_good() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    stage.lacks(&["ModifyTicket", "CommentOnTicket"]);
    for change in [(Field::Status, text("resolved")), (Field::Title, text("u"))] {
        let error = stage.connector.update(&current, &patch(&[change])).await.unwrap_err();
        assert!(is_denied(&error) && error.to_string().contains("ModifyTicket"), "{error}");
    }
    let error = stage.connector.comment(&current, &CommentKey::from_id("k"), "c").await.unwrap_err();
    assert!(is_denied(&error), "{error}");
    stage.lacks(&[]);
    let written = stage.connector.update(&current, &patch(&[(Field::Title, text("u"))])).await.unwrap();
    assert_eq!(written.declined, []);
}

#[tokio::test]
async fn a_close_does_not_wait_for_an_owner_who_cannot_be_looked_up() {
    let stage = Stage::new();
    let ticket = stage.open(&json!({"title": "t"}));
    let current = stage.read(&ticket).await;
    stage.fail(FaultKind::ErrorBefore { status: 403 }, "find-user");
    let both = [(Field::Status, text("resolved")), (Field::Owner, text("ana@example.org"))];
    let written = stage.connector.update(&current, &patch(&both)).await.unwrap();
    let closed = written.snapshot.unwrap();
    assert_eq!(
        (&closed.native[&Field::Status], &closed.native[&Field::Owner]),
        (&text("resolved"), &Native::Empty)
    );
    assert_eq!(written.declined, [], "it is still lacking, and written next");
}

#[tokio::test]
async fn what_a_scrip_does_in_answer_to_us_is_marked_as_nobodys_word() {
    let by_itself =
        |snapshot: &Snapshot| snapshot.facts.before_reaction.clone().into_iter().collect::<Vec<_>>();
    let was_new = (Field::Status, text("new"));
    for listed_first in [true, false] {
        let stage = Stage::new();
        let since = stage.emulator.now();
        stage.set(&json!({"comment_opens": true}));
        let opened = stage.connector.create(&record(KEY), &opening()).await.unwrap().snapshot.unwrap();
        assert!(by_itself(&opened).is_empty());
        stage.connector.comment(&opened, &CommentKey::from_id("k"), "copied").await.unwrap();
        if listed_first {
            let listed = stage.list(since).await;
            assert_eq!(by_itself(listed.last().unwrap()), std::slice::from_ref(&was_new));
        }
        let read = stage.read(&opened.record).await;
        assert_eq!((&read.native[&Field::Status], by_itself(&read)), (&text("open"), vec![was_new.clone()]));
        // Whoever sets it then says something.
        stage.edit(&opened.record, &json!({"state": "stalled"}));
        assert!(by_itself(stage.list(since).await.last().unwrap()).is_empty());
        stage.edit(&opened.record, &json!({"status": "new", "reply": "hers"}));
        let read = stage.read(&opened.record).await;
        assert_eq!((&read.native[&Field::Status], by_itself(&read)), (&text("open"), vec![]));
        assert!(by_itself(stage.list(since).await.last().unwrap()).is_empty());
    }
}

#[tokio::test]
async fn a_reply_that_meets_a_close_undoes_it_in_nobodys_name() {
    let stage = Stage::with(|settings| settings.system.comments = crate::connectors::Audience::Public);
    let since = stage.emulator.now();
    let opened = stage.connector.create(&record(KEY), &opening()).await.unwrap().snapshot.unwrap();
    stage.edit(&opened.record, &json!({"status": "active"}));
    let open = stage.read(&opened.record).await;
    stage.edit(&opened.record, &json!({"status": "closed"}));
    stage.connector.comment(&open, &CommentKey::from_id("k"), "too late").await.unwrap();
    let listed = stage.list(since).await;
    let last = listed.last().unwrap();
    assert_eq!(last.native[&Field::Status], text("open"));
    assert_eq!(last.facts.before_reaction[&Field::Status], text("resolved"), "nobody reopened it");
}
