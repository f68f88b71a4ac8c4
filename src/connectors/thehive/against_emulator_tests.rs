//! The connector against the emulator, over real HTTP.

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::connectors::Audience;
use crate::connectors::testing::http;
use crate::emulator::{Clock, Emulator, EmulatorOptions, Entry, Fault, FaultKind, System, What, When};
use crate::http::secret::SecretRef;
use crate::model::{Field, Lifecycle, Native, RecordId};

const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";
const OTHER: &str = "lockstep-ffffffffffffffffffffffffffffffff";
const ANA: &str = "ana@example.org";

struct Rig {
    emulator: Emulator,
    hive: TheHive,
}

fn settings(url: &str) -> TheHiveSettings {
    TheHiveSettings {
        system: TicketSystem {
            name: SystemName::new("hive").unwrap(),
            url: Url::parse(url).unwrap(),
            login: Login::Token {
                token: SecretRef::Inline(SecretString::from("emulator-secret".to_owned())),
            },
            settle: Duration::from_secs(1),
            overlap: Duration::from_mins(3),
            budget_factor: 1.0,
            comments: Audience::Internal,
            hook: None,
        },
        organisation: Some("soc".to_owned()),
        alert_type: "lockstep".to_owned(),
        source: "lockstep".to_owned(),
        case_template: None,
        new_status: "New".to_owned(),
        in_progress_status: "InProgress".to_owned(),
        closed_status: "Indeterminate".to_owned(),
        impact_status: "NotApplicable".to_owned(),
        close_fields: BTreeMap::new(),
    }
}

/// On a clock that stands still.
fn rig() -> Rig {
    rig_with(|_| ())
}

fn rig_with(change: impl FnOnce(&mut TheHiveSettings)) -> Rig {
    let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
    let emulator = Emulator::start(EmulatorOptions { clock, ..EmulatorOptions::default() }).unwrap();
    let mut settings = settings(&emulator.ticket_url(System::TheHive));
    change(&mut settings);
    let hive = TheHive::new(&settings, &http(), None).unwrap();
    Rig { emulator, hive }
}

fn planned(key: &str) -> RecordRef {
    RecordRef::ticket(&SystemName::new("hive").unwrap(), RecordId::new(key).unwrap())
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)], note: Option<&str>) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: note.map(str::to_owned) }
}

fn opening(title: &str) -> Opening {
    let fields = [(Field::Title, text(title)), (Field::Severity, text("3"))];
    Opening { patch: patch(&fields, None), description: "Seen on [host](http://x)".to_owned(), origin: None }
}

impl Rig {
    async fn open(&self) -> Snapshot {
        let written = self.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
        assert_eq!(written.declined, []);
        self.emulator.advance(1.0);
        written.snapshot.unwrap()
    }

    fn person(&self, case: &Snapshot, edit: &Value) {
        self.emulator.human_ticket(System::TheHive, case.record.id.as_str(), ANA, edit).unwrap();
        self.emulator.advance(1.0);
    }

    fn set(&self, settings: &Value) {
        self.emulator.set_ticketing(System::TheHive, settings).unwrap();
    }

    fn native(&self, case: &Snapshot) -> Value {
        self.emulator.ticket(System::TheHive, case.record.id.as_str()).unwrap()
    }

    fn ours(&self) -> Vec<Entry> {
        self.emulator.ledger().into_iter().filter(|e| e.actor == "lockstep").collect()
    }

    /// Every page of one poll.
    async fn poll(&self, since: &str) -> (Vec<Snapshot>, usize) {
        let (mut all, mut pages, mut next) = (Vec::new(), 0, None);
        loop {
            let since = since.parse().unwrap();
            let page = self.hive.list(RecordKind::Ticket, since, next.as_ref()).await.unwrap();
            assert_eq!(page.malformed, []);
            all.extend(page.snapshots);
            pages += 1;
            next = page.next;
            if next.is_none() {
                return (all, pages);
            }
        }
    }
}

const BEFORE: &str = "2026-11-02T08:00:00Z";

#[tokio::test]
async fn a_ticket_is_opened_once_with_its_key_in_it() {
    let rig = rig();
    assert!(rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().is_none());
    let case = rig.open().await;
    assert_eq!(case.planned_as, Some(planned(KEY)));
    assert_eq!(case.native[&Field::Owner], Native::Empty, "who opened it is nobody's word");
    assert_eq!(case.native[&Field::Severity], text("3"));
    assert_eq!(case.native[&Field::Tags], Native::Set([].into()));
    assert!(!case.native.contains_key(&Field::Verdict));
    let native = rig.native(&case);
    assert_eq!(native["description"], "Seen on \\[host\\](http://x)");
    let found = rig.hive.find(&planned(KEY), Depth::Comments).await.unwrap().unwrap();
    assert_eq!((&found.record, &found.comments), (&case.record, &Comments::Listed(Vec::new())));
    let again = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
    assert_eq!(again.snapshot.unwrap().record, case.record);
    assert_eq!(rig.emulator.tickets(System::TheHive).len(), 1);
    assert!(rig.hive.find(&planned(OTHER), Depth::Record).await.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_lost_at_either_half_of_opening_makes_no_second_case() {
    for operation in ["create-alert", "create-ticket"] {
        for kind in [FaultKind::DropAfter, FaultKind::DropBefore, FaultKind::ErrorAfter { status: 502 }] {
            let rig = rig();
            rig.emulator.add_fault(Fault::new(kind.clone()).on(crate::emulator::Api::TheHive, operation));
            let lost = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap_err();
            assert!(matches!(lost, CallError::Unknown { .. }), "{lost}");
            rig.emulator.advance(1.0);
            let found = rig.hive.find(&planned(KEY), Depth::Record).await.unwrap();
            if found.is_none() {
                rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
            }
            rig.emulator.advance(1.0);
            assert_eq!(rig.emulator.tickets(System::TheHive).len(), 1, "{operation} {kind:?}");
            assert!(rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn an_opening_that_fails_half_way_leaves_the_outcome_open() {
    let rig = rig();
    let refusal = Fault::new(FaultKind::ErrorBefore { status: 403 });
    let refusal = refusal.on(crate::emulator::Api::TheHive, "create-ticket").when(When::Next(2));
    rig.emulator.add_fault(refusal);
    let error = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "the alert was made: {error}");
    rig.emulator.advance(1.0);
    let error = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "nothing was made this time: {error}");
    // Promoted, and then not to be read.
    let unread = Fault::new(FaultKind::ErrorBefore { status: 404 });
    rig.emulator.add_fault(unread.on(crate::emulator::Api::TheHive, "get-ticket"));
    let error = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "the case was made: {error}");
    rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
    assert_eq!(rig.emulator.tickets(System::TheHive).len(), 1);
}

#[tokio::test]
async fn a_promotion_that_the_index_does_not_show_is_not_made_again() {
    let rig = rig();
    rig.set(&json!({"index_lag": 1000.0}));
    let first = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
    assert!(rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().is_none(), "the index lags");
    let second = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
    assert_eq!(second.snapshot.unwrap().record, first.snapshot.unwrap().record);
    assert_eq!(rig.emulator.tickets(System::TheHive).len(), 1);
}

#[tokio::test]
async fn two_alerts_of_one_name_make_no_second_case() {
    let rig = rig();
    let case = rig.open().await;
    rig.set(&json!({"duplicate_alerts": true}));
    let again = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap();
    assert_eq!(again.snapshot.unwrap().record, case.record);
    rig.emulator.advance(1.0);
    let found = rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().unwrap();
    assert_eq!((found.record, rig.emulator.tickets(System::TheHive).len()), (case.record, 1));
}

#[tokio::test]
async fn comments_that_name_no_case_are_told_and_not_passed_over() {
    let rig = rig();
    let case = rig.open().await;
    rig.set(&json!({"comment_links": false}));
    rig.person(&case, &json!({"comment": "whose?"}));
    let first = rig.hive.list(RecordKind::Ticket, BEFORE.parse().unwrap(), None).await.unwrap();
    let page = rig.hive.list(RecordKind::Ticket, BEFORE.parse().unwrap(), first.next.as_ref()).await.unwrap();
    assert!(page.malformed[0].reason.contains("does not name its case"), "{page:?}");
    let probes = rig.hive.probe().await;
    let told = probes.iter().find(|probe| probe.what == "list comments").unwrap();
    assert!(told.result.as_ref().unwrap_err().contains("extraData.links"), "{told:?}");
}

#[tokio::test]
async fn a_look_up_is_never_believed_blindly() {
    let rig = rig();
    rig.open().await;
    rig.set(&json!({"ignores_filters": true}));
    let error = rig.hive.find(&planned(OTHER), Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Malformed { .. }), "{error}");
    let probes = rig.hive.probe().await;
    let key = probes.iter().find(|probe| probe.what == "look-up by key").unwrap();
    assert!(key.result.as_ref().unwrap_err().contains("asked for the alert"), "{key:?}");
    for odd in ["", "lockstep-", "lockstep-a\" or 1", "x", "lockstep-A"] {
        let Ok(id) = RecordId::new(odd) else { continue };
        let record = RecordRef::ticket(&SystemName::new("hive").unwrap(), id);
        assert!(
            matches!(rig.hive.find(&record, Depth::Record).await, Err(CallError::NotSent { .. })),
            "{odd}"
        );
    }
}

#[tokio::test]
async fn a_close_carries_verdict_and_note_in_one_write() {
    let rig = rig();
    let case = rig.open().await;
    let before = rig.ours().len();
    let fields = [(Field::Status, text("Closed")), (Field::Verdict, text("TruePositive"))];
    let written = rig.hive.update(&case, &patch(&fields, Some("Re-imaged *twice*"))).await.unwrap();
    let closed = written.snapshot.unwrap();
    assert_eq!(closed.native[&Field::Verdict], text("TruePositive"));
    let native = rig.native(&case);
    assert_eq!(native["summary"], "Re-imaged \\*twice\\*");
    assert_eq!(native["common"]["closing_note"], "Re-imaged *twice*");
    assert_eq!(native["impactStatus"], "NotApplicable");
    assert_eq!(rig.ours().len(), before + 1);
    rig.emulator.advance(1.0);
    let open = patch(&[(Field::Status, text("InProgress"))], None);
    let reopened = rig.hive.update(&closed, &open).await.unwrap().snapshot.unwrap();
    assert!(!reopened.native.contains_key(&Field::Verdict));
    assert!(rig.native(&case)["closedDate"].is_i64(), "the date of the first closing stays (F12)");
    let note = rig.hive.update(&reopened, &patch(&fields, Some("another"))).await.unwrap();
    assert_eq!(note.snapshot.unwrap().closing_comment.as_deref(), Some("Re-imaged *twice*"), "F13");
}

#[tokio::test]
async fn mandatory_fields_and_reopening_say_what_to_mend() {
    let lacking = rig();
    let case = lacking.open().await;
    lacking.set(&json!({"mandatory_fields": ["business-unit"], "may_reopen": false}));
    let close = patch(&[(Field::Status, text("Closed"))], None);
    let error = lacking.hive.update(&case, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Blocked { .. }), "{error}");
    assert!(
        error.to_string().contains("business-unit") && error.to_string().contains("close_fields"),
        "{error}"
    );
    let rig = rig_with(|s| drop(s.close_fields.insert("business-unit".to_owned(), "SOC".to_owned())));
    let case = rig.open().await;
    rig.set(&json!({"mandatory_fields": ["business-unit"], "may_reopen": false}));
    let closed = rig.hive.update(&case, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(closed.native[&Field::Verdict], text("Indeterminate"));
    let error = rig.hive.update(&closed, &patch(&[(Field::Status, text("New"))], None)).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("manageCase/reopen"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_declined_and_the_rest_is_written() {
    let rig = rig();
    let case = rig.open().await;
    let fields = [(Field::Owner, text("eve@elsewhere.example")), (Field::Severity, text("1"))];
    let written = rig.hive.update(&case, &patch(&fields, None)).await.unwrap();
    assert_eq!(written.declined.len(), 1);
    assert_eq!(written.declined[0].field, Field::Owner);
    let now = written.snapshot.unwrap();
    assert_eq!((&now.native[&Field::Severity], &now.native[&Field::Owner]), (&text("1"), &Native::Empty));
    let only = patch(&[(Field::Owner, text("eve@elsewhere.example"))], None);
    assert_eq!(rig.hive.update(&case, &only).await.unwrap().declined.len(), 1);
    let ana = patch(&[(Field::Owner, text(ANA))], None);
    let owned = rig.hive.update(&now, &ana).await.unwrap().snapshot.unwrap();
    assert_eq!(owned.native[&Field::Owner], text(ANA));
    rig.set(&json!({"can_unassign": false}));
    let nobody = patch(&[(Field::Owner, Native::Empty)], None);
    assert_eq!(rig.hive.update(&owned, &nobody).await.unwrap().declined.len(), 1);
    let opened = Opening { patch: only, description: String::new(), origin: None };
    let written = rig.hive.create(&planned(OTHER), &opened).await.unwrap();
    assert_eq!(written.declined.len(), 1);
}

#[tokio::test]
async fn tags_change_one_by_one_and_ours_stay() {
    let rig = rig();
    let case = rig.open().await;
    rig.person(&case, &json!({"tags": ["vip", "mail"]}));
    let now = rig.hive.read(&case.record, Depth::Record).await.unwrap();
    rig.person(&case, &json!({"tags": ["vip", "mail", "late"]}));
    let wanted = Native::Set(["mail".to_owned(), "new".to_owned()].into());
    let written = rig.hive.update(&now, &patch(&[(Field::Tags, wanted)], None)).await.unwrap();
    let all = ["mail", "late", "new"].map(str::to_owned);
    assert_eq!(written.snapshot.unwrap().native[&Field::Tags], Native::Set(all.into()));
    assert!(rig.native(&case)["tags"].as_array().unwrap().contains(&json!(KEY)));
}

#[tokio::test]
async fn a_case_that_loses_its_key_stops_further_openings() {
    let rig = rig();
    rig.set(&json!({"drops_key": true}));
    let case = rig.open().await;
    assert_eq!(case.planned_as, Some(planned(KEY)), "it is linked by its id all the same");
    let error = rig.hive.create(&planned(OTHER), &opening("Next")).await.unwrap_err();
    assert!(
        matches!(error, CallError::Denied { .. }) && error.to_string().contains("lost the tag"),
        "{error}"
    );
    rig.set(&json!({"drops_key": false}));
    rig.person(&case, &json!({"key": KEY}));
    rig.hive.create(&planned(OTHER), &opening("Next")).await.unwrap();
}

#[tokio::test]
async fn comments_go_and_come_in_either_kind_of_hive() {
    for moves in [false, true] {
        let rig = rig();
        rig.set(&json!({"comment_moves_case": moves}));
        let case = rig.open().await;
        let ours = "see <b>it</b> [x](y) \n\n— ana in defender [lockstep 0123456789ab.cdef]";
        let key = CommentKey::from_id("k");
        rig.hive.comment(&case, &key, ours).await.unwrap();
        rig.emulator.advance(1.0);
        let (first, pages) = rig.poll(BEFORE).await;
        assert_eq!((first.len(), pages), (1, 2), "the first poll lists both halves: {first:#?}");
        rig.person(&case, &json!({"comment": "\\\\server\\[share]"}));
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (rows, pages) = rig.poll(BEFORE).await;
            assert_eq!(pages, 1);
            for row in rows {
                let Comments::Recent(comments) = row.comments else { panic!("{row:?}") };
                seen.extend(comments.into_iter().map(|c| (c.author.unwrap(), c.text)));
            }
        }
        assert_eq!(seen, [(ANA.to_owned(), "\\\\server\\[share]".to_owned())], "told once");
        let read = rig.hive.read(&case.record, Depth::Comments).await.unwrap();
        let Comments::Listed(all) = read.comments else { panic!() };
        assert_eq!(all.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), [ours, "\\\\server\\[share]"]);
        let shown = rig.native(&case)["comments"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(shown, ours);
    }
}

#[tokio::test]
async fn a_comment_that_its_index_shows_late_is_told_late_and_not_lost() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    // The case has been in the index for long.
    rig.emulator.advance(60.0);
    rig.set(&json!({"index_lag": 60.0}));
    rig.person(&case, &json!({"comment": "late"}));
    for _ in 0..2 {
        assert!(
            rig.poll("2026-11-02T08:15:31Z").await.0.iter().all(|s| s.comments == Comments::Recent(vec![]))
        );
    }
    rig.emulator.advance(60.0);
    let (mut rows, _) = rig.poll("2026-11-02T08:15:31Z").await;
    rows.extend(rig.poll("2026-11-02T08:15:31Z").await.0);
    let told = |s: &Snapshot| matches!(&s.comments, Comments::Recent(c) if c.len() == 1);
    assert_eq!(rows.iter().filter(|s| told(s)).count(), 1, "{rows:#?}");
}

#[tokio::test]
async fn what_a_cycle_has_seen_is_the_earlier_of_both_halves() {
    let rig = rig();
    rig.open().await;
    rig.poll(BEFORE).await;
    let listed_at = rig.emulator.now();
    rig.emulator.advance(600.0);
    let since = BEFORE.parse().unwrap();
    let page = rig.hive.list(RecordKind::Ticket, since, None).await.unwrap();
    let claimed = page.server_time.unwrap();
    assert!(claimed <= listed_at, "{claimed} is later than the other half's {listed_at}");
    let page = rig.hive.list(RecordKind::Ticket, since, None).await.unwrap();
    assert!(page.server_time.unwrap() > listed_at);
}

#[tokio::test]
async fn ties_and_full_pages_are_drained() {
    let rig = rig();
    for n in 0..350 {
        rig.emulator.open_ticket(System::TheHive, ANA, &json!({"title": format!("c{n}")})).unwrap();
        if n >= 250 {
            rig.emulator.advance(0.002);
        }
    }
    rig.emulator.advance(1.0);
    let (rows, pages) = rig.poll(BEFORE).await;
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|row| row.record.id.clone()).collect();
    assert_eq!(ids.len(), 350);
    assert!(pages < 12, "{pages}");
}

#[tokio::test]
async fn a_merge_is_followed_and_a_copied_key_is_not() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    let clone = json!({"title": "Cloned", "key": KEY});
    let clone = rig.emulator.open_ticket(System::TheHive, ANA, &clone).unwrap();
    rig.emulator.advance(1.0);
    let (rows, _) = rig.poll(BEFORE).await;
    assert!(rows.iter().all(|row| row.lifecycle == Lifecycle::Present));
    assert_eq!(rows.iter().filter(|row| row.planned_as == Some(planned(KEY))).count(), 2, "both are told");
    let found = rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().unwrap();
    assert_eq!(found.record, case.record, "the alert's own case");
    rig.person(&case, &json!({"merge_into": clone}));
    let gone = rig.hive.read(&case.record, Depth::Record).await.unwrap();
    let Lifecycle::Redirected { to: Some(to) } = gone.lifecycle else { panic!("{gone:?}") };
    let (mut rows, _) = rig.poll(BEFORE).await;
    rows.extend(rig.poll(BEFORE).await.0);
    let told = rows.iter().find(|row| row.record == case.record).unwrap();
    assert_eq!(told.lifecycle, Lifecycle::Redirected { to: Some(to.clone()) });
    assert_eq!(rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().unwrap().record, to);
}

#[tokio::test]
async fn a_copy_that_is_met_before_its_original_was_not_merged() {
    let rig = rig();
    let case = rig.open().await;
    let clone = json!({"title": "Cloned", "key": KEY});
    rig.emulator.open_ticket(System::TheHive, ANA, &clone).unwrap();
    rig.emulator.advance(1.0);
    let hive = TheHive::new(&settings(&rig.emulator.ticket_url(System::TheHive)), &http(), None).unwrap();
    let restarted = Rig { emulator: rig.emulator, hive };
    restarted.poll("2026-11-02T08:15:31.4Z").await;
    restarted.person(&case, &json!({"severity": "low"}));
    for _ in 0..2 {
        let (rows, _) = restarted.poll(BEFORE).await;
        assert!(rows.iter().all(|row| row.lifecycle == Lifecycle::Present), "{rows:#?}");
    }
}

#[tokio::test]
async fn a_deleted_case_is_not_found() {
    let rig = rig();
    let case = rig.open().await;
    rig.person(&case, &json!({"delete": true}));
    let error = rig.hive.read(&case.record, Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn an_idle_poll_is_one_call() {
    let rig = rig();
    rig.open().await;
    rig.poll(BEFORE).await;
    rig.emulator.reset_calls();
    for _ in 0..6 {
        rig.poll("2026-11-02T09:00:00Z").await;
    }
    let calls = rig.emulator.calls();
    assert_eq!(calls.into_iter().collect::<Vec<_>>(), [("thehive/list-tickets".to_owned(), 6)]);
}

#[tokio::test]
async fn a_sound_system_passes_its_probes_and_others_say_what_to_mend() {
    let sound = rig();
    sound.open().await;
    for probe in sound.hive.probe().await {
        assert!(probe.result.is_ok(), "{probe:?}");
    }
    let elsewhere = rig_with(|s| s.organisation = Some("other".to_owned()));
    let probes = elsewhere.hive.probe().await;
    assert!(probes.last().unwrap().result.as_ref().unwrap_err().contains("organisation"), "{probes:?}");
    let renamed = rig_with(|s| s.in_progress_status = "Triage".to_owned());
    let probes = renamed.hive.probe().await;
    let told = probes.last().unwrap().result.as_ref().unwrap_err();
    assert!(told.contains("in_progress_status to one of: InProgress"), "{told}");
    assert!(!renamed.emulator.ledger().iter().any(|e| e.what != What::Ineffective), "nothing was written");
}

const REST: [&str; 5] = ["get-ticket", "list-tickets", "find-ticket", "update-ticket", "comment-ticket"];

impl Rig {
    fn fail(&self, kind: FaultKind, operation: &str) {
        self.emulator.add_fault(Fault::new(kind).on(crate::emulator::Api::TheHive, operation));
    }

    /// What each operation comes to.
    async fn all(&self, case: &Snapshot) -> Vec<(&'static str, Option<CallError>)> {
        let (hive, change) = (&self.hive, patch(&[(Field::Title, text("u"))], None));
        let mut list = hive.list(RecordKind::Ticket, BEFORE.parse().unwrap(), None).await;
        if list.is_ok() {
            // Cases and comments take turns.
            list = hive.list(RecordKind::Ticket, BEFORE.parse().unwrap(), None).await;
        }
        vec![
            ("list", list.err()),
            ("read", hive.read(&case.record, Depth::Record).await.err()),
            ("find", hive.find(&planned(OTHER), Depth::Record).await.err()),
            ("update", hive.update(case, &change).await.err()),
            ("comment", hive.comment(case, &CommentKey::from_id("k"), "c").await.err()),
        ]
    }
}

fn is_denied(error: &CallError) -> bool {
    matches!(error, CallError::Denied { .. })
}

#[tokio::test]
async fn a_gateways_page_says_nothing_of_a_case() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    for status in [404, 400, 410] {
        for operation in REST {
            rig.fail(FaultKind::Html { status }, operation);
        }
        for (operation, error) in rig.all(&case).await {
            let error = error.expect(operation);
            assert!(
                !matches!(error, CallError::Gone { .. } | CallError::Refused { .. }),
                "{operation}: {error}"
            );
        }
        rig.emulator.clear_faults();
    }
    rig.fail(FaultKind::Html { status: 404 }, "find-ticket");
    assert!(rig.hive.find(&planned(KEY), Depth::Record).await.is_err());
    assert!(rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().is_some());
}

#[tokio::test]
async fn who_is_not_known_any_more_is_denied_everywhere_and_heals_by_itself() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    rig.set(&json!({"anonymous": true}));
    for (operation, error) in rig.all(&case).await {
        let error = error.expect(operation);
        assert!(is_denied(&error) && error.to_string().contains("API key"), "{operation}: {error}");
    }
    rig.set(&json!({"anonymous": false}));
    assert_eq!(rig.all(&case).await.into_iter().filter_map(|(_, error)| error).count(), 0);
    rig.set(&json!({"lacks": ["manageCase/update", "manageComment"]}));
    let close = patch(&[(Field::Status, text("Closed"))], None);
    assert!(is_denied(&rig.hive.update(&case, &close).await.unwrap_err()));
    assert!(is_denied(&rig.hive.comment(&case, &CommentKey::from_id("k"), "c").await.unwrap_err()));
    rig.set(&json!({"lacks": []}));
    assert!(rig.hive.update(&case, &close).await.is_ok());
}

#[tokio::test]
async fn another_organisation_is_no_empty_one() {
    let rig = rig_with(|settings| settings.organisation = None);
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    rig.set(&json!({"acts_in": "other"}));
    rig.person(&case, &json!({"status": "closed"}));
    for (operation, error) in rig.all(&case).await {
        let error = error.unwrap_or_else(|| panic!("{operation} was believed"));
        let is_write = ["update", "comment"].contains(&operation);
        assert!(is_denied(&error) || is_write, "{operation}: {error}");
        assert!(is_write || error.to_string().contains("organisation"), "{operation}: {error}");
    }
    // The same after a restart, which has forgotten where the account was.
    let mut settings = settings(&rig.emulator.ticket_url(System::TheHive));
    settings.organisation = None;
    let restarted = TheHive::new(&settings, &http(), None).unwrap();
    let error = restarted.read(&case.record, Depth::Record).await.unwrap_err();
    assert!(is_denied(&error) && error.to_string().contains("organisation"), "{error}");
    rig.set(&json!({"acts_in": "soc"}));
    let (rows, _) = rig.poll(BEFORE).await;
    let (more, _) = rig.poll(BEFORE).await;
    let mut rows = rows.iter().chain(&more);
    assert!(rows.any(|row| row.native[&Field::Status] == text("Closed")), "nothing was passed over");
}

#[tokio::test]
async fn an_index_that_shows_nothing_is_no_empty_organisation() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    rig.set(&json!({"index_empty": true}));
    for (operation, error) in rig.all(&case).await {
        let by_index = ["list", "find"].contains(&operation);
        assert_eq!(error.is_some(), by_index, "{operation}: {error:?}");
    }
    rig.set(&json!({"index_empty": false}));
    assert_eq!(rig.all(&case).await.into_iter().filter_map(|(_, error)| error).count(), 0);
}

#[tokio::test]
async fn a_witness_that_is_deleted_is_replaced() {
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    rig.person(&case, &json!({"delete": true}));
    for _ in 0..4 {
        rig.poll(BEFORE).await;
    }
    assert!(matches!(rig.hive.read(&case.record, Depth::Record).await, Err(CallError::Gone { .. })));
    rig.hive.create(&planned(OTHER), &opening("Next")).await.unwrap();
    rig.emulator.advance(1.0);
    for _ in 0..2 {
        rig.poll(BEFORE).await;
    }
    rig.emulator.reset_calls();
    for _ in 0..4 {
        rig.poll("2026-11-02T09:00:00Z").await;
    }
    assert_eq!(rig.emulator.calls().values().sum::<u64>(), 4);
}

#[tokio::test]
async fn an_answer_that_is_none_loses_nothing() {
    use crate::emulator::Malformed::{DuplicateIds, EmptyBody, ErrorBody, OtherRecord, Truncated};
    let rig = rig();
    let case = rig.open().await;
    rig.poll(BEFORE).await;
    for how in [ErrorBody, EmptyBody, Truncated, DuplicateIds, OtherRecord] {
        let now = rig.hive.read(&case.record, Depth::Record).await.unwrap();
        for operation in REST {
            rig.fail(FaultKind::Malformed { how }, operation);
        }
        for (operation, error) in rig.all(&now).await {
            // A change is answered with nothing, so there is nothing to spoil; a row more than there is shows in a list.
            let spoilt = match how {
                DuplicateIds => operation == "list",
                OtherRecord => operation == "read",
                _ => operation != "update",
            };
            let Some(error) = error else {
                assert!(!spoilt, "{operation} {how:?} was believed");
                continue;
            };
            assert!(
                !matches!(error, CallError::Gone { .. } | CallError::Refused { .. }),
                "{operation}: {error}"
            );
            assert!(
                operation != "comment" || matches!(error, CallError::Unknown { .. }),
                "{operation}: {error}"
            );
        }
        rig.emulator.clear_faults();
    }
}

#[tokio::test]
async fn a_refused_field_does_not_take_the_close_with_it() {
    for names_refused in [true, false] {
        let rig = rig();
        let case = rig.open().await;
        rig.set(&json!({"refuses": ["title"], "names_refused": names_refused}));
        let fields = [
            (Field::Status, text("Closed")),
            (Field::Verdict, text("TruePositive")),
            (Field::Title, text("New title")),
            (Field::Severity, text("1")),
        ];
        let written = rig.hive.update(&case, &patch(&fields, Some("done"))).await.unwrap();
        let closed = written.snapshot.unwrap();
        assert_eq!(closed.native[&Field::Verdict], text("TruePositive"), "{names_refused}");
        assert_eq!(
            (&closed.native[&Field::Title], closed.closing_comment.as_deref()),
            (&text("Phishing"), Some("done"))
        );
        // Named, it is left and the rest is written with the close; else the rest is still lacking, and written next.
        let declined: Vec<Field> = written.declined.iter().map(|one| one.field).collect();
        let expected = if names_refused { (vec![Field::Title], "1") } else { (vec![], "3") };
        assert_eq!((declined, &closed.native[&Field::Severity]), (expected.0, &text(expected.1)));
        let rest = patch(&[(Field::Title, text("New title"))], None);
        let rest = rig.hive.update(&closed, &rest).await;
        assert_eq!(rest.is_ok(), names_refused, "{rest:?}");
    }
}

#[tokio::test]
async fn a_blank_title_is_left_as_it_is() {
    let rig = rig();
    let case = rig.open().await;
    let fields = [(Field::Status, text("Closed")), (Field::Title, text("  "))];
    let written = rig.hive.update(&case, &patch(&fields, None)).await.unwrap();
    assert_eq!(written.declined[0].field, Field::Title);
    let closed = written.snapshot.unwrap();
    assert_eq!(
        (&closed.native[&Field::Status], &closed.native[&Field::Title]),
        (&text("Closed"), &text("Phishing"))
    );
    rig.hive.create(&planned(OTHER), &opening(" ")).await.unwrap();
}

#[tokio::test]
async fn a_case_that_was_not_made_of_our_alert_never_gets_our_key() {
    let rig = rig();
    rig.emulator.open_ticket(System::TheHive, ANA, &json!({"title": "somebody's"})).unwrap();
    rig.fail(FaultKind::Malformed { how: crate::emulator::Malformed::OtherRecord }, "create-ticket");
    let error = rig.hive.create(&planned(KEY), &opening("Phishing")).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    rig.emulator.advance(1.0);
    let found = rig.hive.find(&planned(KEY), Depth::Record).await.unwrap().unwrap();
    assert_eq!(
        (found.native[&Field::Title].clone(), rig.emulator.tickets(System::TheHive).len()),
        (text("Phishing"), 2)
    );
}
