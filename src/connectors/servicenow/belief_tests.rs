//! The connector against an instance that does not say what it seems to say, over real HTTP: answers about the caller or
//! the way there, failures behind a status of success, lists that are not whole. Nothing is concluded, and it heals.

use serde_json::json;

use super::against_emulator_tests::{Rig, opening, planned, text};
use super::*;
use crate::emulator::{Api, Fault, FaultKind, Malformed, System, When};
use crate::model::{CommentKey, Field, Native};

const SINCE: &str = "2026-11-01T00:00:00Z";

impl Rig {
    async fn listed(&self) -> Result<Page, CallError> {
        self.connector.list(RecordKind::Ticket, SINCE.parse().unwrap(), None).await
    }

    fn always(&self, operation: &str, kind: FaultKind) {
        self.emulator.add_fault(Fault::new(kind).on(Api::ServiceNow, operation).when(When::Always));
    }

    /// What each operation is answered, by the kind of its error; `ok` for success, `none` for "there is none".
    async fn all(&self, of: &Snapshot) -> [(&'static str, &'static str); 6] {
        let kind = |error: &CallError| error.kind();
        let read = self.connector.read(&of.record, Depth::Record).await;
        let found = self.connector.find(&planned(7), Depth::Record).await;
        let close =
            [(Field::Status, Native::text(Some("6"))), (Field::Verdict, Native::text(Some("Known error")))];
        let patch = Patch { native: close.into(), closing_comment: Some("n".to_owned()) };
        let updated = self.connector.update(of, &patch).await;
        let commented = self.connector.comment(of, &CommentKey::from_id("aa"), "c").await;
        let created = self.connector.create(&planned(7), &opening()).await;
        [
            ("list", self.listed().await.as_ref().map_or_else(kind, |_| "ok")),
            ("read", read.as_ref().map_or_else(kind, |_| "ok")),
            ("find", found.as_ref().map_or_else(kind, |found| if found.is_some() { "ok" } else { "none" })),
            ("update", updated.as_ref().map_or_else(kind, |_| "ok")),
            ("comment", commented.as_ref().map_or_else(kind, |_| "ok")),
            ("create", created.as_ref().map_or_else(kind, |_| "ok")),
        ]
    }
}

#[tokio::test]
async fn a_list_that_was_cut_off_is_an_error_and_no_list() {
    for page_headers in [true, false] {
        for rows in [0, 1] {
            let rig = Rig::new();
            let made = rig.create(1).await.unwrap();
            rig.create(2).await.unwrap();
            let close = json!({"status": "closed", "verdict": "false-positive", "comment": "looked at"});
            rig.human(made.record.id.as_str(), &close);
            rig.set(&json!({"cut_lists": rows, "page_headers": page_headers}));
            let error = rig.listed().await.err().unwrap();
            assert!(matches!(error, CallError::Unknown { status: Some(200), .. }), "{error}");
            assert!(error.to_string().contains("maximum execution time exceeded"), "{error}");
            assert!(
                rig.connector.find(&planned(3), Depth::Record).await.is_err(),
                "it is not known to be absent"
            );
            rig.set(&json!({"cut_lists": null}));
            let listed = rig.list(SINCE).await;
            assert_eq!(listed.len(), 2);
            let closed = listed.iter().find(|read| read.record == made.record).unwrap();
            assert_eq!(text(closed, Field::Status), "6");
            assert!(matches!(&closed.comments, Comments::Recent(news) if news.len() == 1));
        }
    }
}

#[tokio::test]
async fn a_page_of_a_gateway_says_nothing_of_a_ticket() {
    for page in ["hibernating", "hibernating-not-found", "404"] {
        let rig = Rig::new();
        let made = rig.create(1).await.unwrap();
        if page == "404" {
            rig.emulator.add_fault(
                Fault::new(FaultKind::Html { status: 404 }).on_api(Api::ServiceNow).when(When::Always),
            );
        } else {
            rig.set(&json!({"front": page}));
        }
        for (operation, answered) in rig.all(&made).await {
            assert!(
                ["not-found", "malformed", "unknown"].contains(&answered),
                "{page} {operation} {answered}"
            );
        }
        assert_eq!((rig.writes(), rig.tickets()), (1, 1));
        rig.emulator.clear_faults();
        rig.set(&json!({"front": null}));
        assert_eq!(rig.list(SINCE).await.len(), 1, "it heals");
    }
}

#[tokio::test]
async fn a_caller_who_is_not_known_any_more_is_denied_everything() {
    for settings in [json!({"anonymous": true}), json!({"front": "sign-on"})] {
        let rig = Rig::new();
        let made = rig.create(1).await.unwrap();
        rig.set(&settings);
        for (operation, answered) in rig.all(&made).await {
            assert_eq!(answered, "denied", "{settings} {operation}");
        }
        let error = rig.listed().await.err().unwrap().to_string();
        assert!(error.contains("renew its password or OAuth client"), "{error}");
        assert_eq!((rig.writes(), rig.tickets()), (1, 1));
        rig.set(&json!({"anonymous": false, "front": null}));
        assert_eq!(rig.list(SINCE).await.len(), 1, "it heals");
    }
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"front": "log-in-page"}));
    for (operation, answered) in rig.all(&made).await {
        // A write that is answered with a page may have been carried out. The update asks for the close codes first.
        let expected = if ["comment", "create"].contains(&operation) { "unknown" } else { "denied" };
        assert_eq!(answered, expected, "{operation}");
    }
}

#[tokio::test]
async fn a_role_that_was_lost_is_no_empty_table() {
    for lost in ["hidden", "filtered", "bare", "refused", "no-table"] {
        let rig = Rig::new();
        let made = rig.create(1).await.unwrap();
        rig.set(&json!({"lost_role": lost}));
        for (operation, answered) in rig.all(&made).await {
            // A record that was taken away looks deleted; the list, which is denied, keeps anybody from believing it.
            let expected =
                if operation == "read" && ["hidden", "filtered"].contains(&lost) { "gone" } else { "denied" };
            assert_eq!(answered, expected, "{lost} {operation}");
        }
        assert_eq!((rig.writes(), rig.tickets()), (1, 1), "{lost}");
        rig.set(&json!({"lost_role": null}));
        assert_eq!(rig.connector.find(&planned(7), Depth::Record).await.unwrap(), None, "it heals");
        assert_eq!(rig.list(SINCE).await.len(), 1);
        rig.connector.read(&made.record, Depth::Comments).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_begins_without_a_role_believes_no_empty_table() {
    let rig = Rig::new();
    rig.set(&json!({"lost_role": "filtered"}));
    for _ in 0..2 {
        let error = rig.connector.find(&planned(1), Depth::Record).await.err().unwrap();
        assert!(matches!(error, CallError::Denied { .. }), "{error}");
        assert!(rig.listed().await.is_err() && rig.create(1).await.is_err());
    }
    assert_eq!(rig.tickets(), 0);
}

#[tokio::test]
async fn answers_of_success_that_are_none_move_nothing() {
    for how in [Malformed::ErrorBody, Malformed::EmptyBody, Malformed::NotAnObject, Malformed::HalfList] {
        let rig = Rig::new();
        let made = rig.create(1).await.unwrap();
        rig.create(2).await.unwrap();
        for operation in ["list-tickets", "find-ticket"] {
            rig.always(operation, FaultKind::Malformed { how });
        }
        assert!(rig.listed().await.is_err(), "{how:?}");
        assert!(rig.connector.find(&planned(2), Depth::Record).await.is_err(), "{how:?}");
        rig.emulator.clear_faults();
        rig.always("get-ticket", FaultKind::Malformed { how });
        let read = rig.connector.read(&made.record, Depth::Record).await;
        assert_eq!(read.is_ok(), how == Malformed::HalfList, "{how:?}");
        rig.emulator.clear_faults();
        assert_eq!(rig.list(SINCE).await.len(), 2);
    }
}

#[tokio::test]
async fn an_answer_about_another_ticket_is_none() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    let other = || FaultKind::Malformed { how: Malformed::OtherRecord };
    rig.fault("get-ticket", other());
    let error = rig.connector.read(&made.record, Depth::Record).await.err().unwrap();
    assert!(matches!(error, CallError::Malformed { .. }), "{error}");
    rig.fault("update-ticket", other());
    let error = rig.update(&made.record, &[(Field::Severity, "1/1")], None).await.err().unwrap();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    rig.fault("comment-ticket", other());
    let error = rig.connector.comment(&made, &CommentKey::from_id("aa"), "c").await.err().unwrap();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn close_codes_are_not_made_up_over_an_outage() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.human(made.record.id.as_str(), &json!({"status": "closed", "verdict": "false-positive"}));
    rig.always("list-choices", FaultKind::Html { status: 404 });
    assert!(rig.connector.read(&made.record, Depth::Record).await.is_err(), "a label is not made up");
    rig.emulator.clear_faults();
    // Who reads tickets and no codes gets values for labels.
    rig.set(&json!({"hidden_tables": ["sys_choice"]}));
    let read = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(text(&read, Field::Verdict), "Known error");
}

#[tokio::test]
async fn a_witness_that_was_deleted_gives_way_to_another() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.human(made.record.id.as_str(), &json!({"delete": true}));
    rig.emulator.reset_calls();
    assert_eq!(rig.list(SINCE).await, []);
    assert_eq!(rig.emulator.call_log().len(), 3, "the list, another witness, the list");
    assert_eq!(rig.list(SINCE).await, []);
    assert_eq!(rig.emulator.call_log().len(), 4, "one again");
    assert_eq!(rig.emulator.tickets(System::ServiceNow).len(), 0);
}
