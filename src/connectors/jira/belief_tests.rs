//! The connector against the emulated Jira: what an answer may be believed to say of absence, of success and of refusals.

use serde_json::{Value, json};

use super::against_emulator_tests::{Pair, comments, key, opening};
use super::tests::{patch, text};
use super::{Deployment, Jira, Scope};
use crate::connectors::{Connector, Depth, Written};
use crate::emulator::{Api, Fault, FaultKind, Malformed, System, When};
use crate::http::{CallError, CallSite};
use crate::model::{CommentKey, Field, Patch, RecordKind, Snapshot};

/// What each operation of the connector says now, by name. None may succeed.
async fn all(jira: &Jira, ticket: &Snapshot) -> Vec<(&'static str, CallError)> {
    let list = jira.list(RecordKind::Ticket, jiff::Timestamp::UNIX_EPOCH, None).await;
    let edit = patch(&[(Field::Severity, text("Low"))], None);
    let said = [
        ("list", list.map(drop)),
        ("read", jira.read(&ticket.record, Depth::Comments).await.map(drop)),
        ("find", jira.find(&key(1), Depth::Record).await.map(drop)),
        ("find none", jira.find(&key(9), Depth::Record).await.map(drop)),
        ("create", jira.create(&key(2), &opening()).await.map(drop)),
        ("edit", unseen(jira.update(ticket, &edit).await)),
        ("close", unseen(jira.update(ticket, &close()).await)),
        ("comment", jira.comment(ticket, &CommentKey::from_id("0a"), "x [lockstep a.b]").await.map(drop)),
    ];
    said.into_iter()
        .map(|(name, result)| {
            let Err(error) = result else { panic!("{name} was believed") };
            (name, error)
        })
        .collect()
}

/// A write whose effect was not read is one of unknown outcome, whatever was answered.
fn unseen(written: Result<Written, CallError>) -> Result<(), CallError> {
    let site = Box::new(CallSite::new("tickets", "test"));
    let open = CallError::Unknown { site, status: None, message: "not read".to_owned(), retry_after: None };
    written.and_then(|written| if written.snapshot.is_some() { Ok(()) } else { Err(open) })
}

fn close() -> Patch {
    patch(&[(Field::Status, text("done")), (Field::Verdict, text("True Positive"))], None)
}

fn set(pair: &Pair, settings: &Value) {
    pair.emulator.set_ticketing(System::Jira, settings).unwrap();
}

/// Pairs of either deployment and either scope.
fn pairs() -> Vec<Pair> {
    let of = |deployment: Deployment, scope: Scope| {
        let named = if deployment == Deployment::Cloud { "cloud" } else { "data-center" };
        Pair::with(&json!({"deployment": named}), |settings| {
            (settings.deployment, settings.scope) = (deployment, scope);
        })
    };
    [Deployment::Cloud, Deployment::DataCenter]
        .into_iter()
        .flat_map(|deployment| [Scope::Project, Scope::Labelled].map(|scope| of(deployment, scope)))
        .collect()
}

#[tokio::test]
async fn to_a_stranger_nothing_is_gone_and_nothing_is_absent() {
    for pair in pairs() {
        let ticket = pair.ticket().await;
        set(&pair, &json!({"anonymous": true}));
        for jira in [&pair.restarted(), &pair.jira] {
            for (name, error) in all(jira, &ticket).await {
                assert!(matches!(error, CallError::Denied { .. }), "{name}: {error}");
                assert!(error.to_string().contains("Renew the credential"), "{name}: {error}");
            }
        }
        set(&pair, &json!({"anonymous": false}));
        assert_eq!(pair.read(&ticket).await.record, ticket.record);
        assert!(pair.jira.find(&key(9), Depth::Record).await.unwrap().is_none());
        assert_eq!(pair.writes().len(), 1);
    }
}

/// No header tells: the queries do, since each names the project.
#[tokio::test]
async fn an_account_that_lost_the_project_finds_nothing_absent() {
    for pair in pairs() {
        let ticket = pair.ticket().await;
        set(&pair, &json!({"project_lost": true}));
        for (name, error) in all(&pair.restarted(), &ticket).await {
            if ["list", "find", "find none", "create"].contains(&name) {
                assert!(matches!(error, CallError::Denied { .. }), "{name}: {error}");
                assert!(error.to_string().contains("the project SOC is there"), "{name}: {error}");
            }
            assert!(!matches!(error, CallError::Refused { .. }), "{name}: {error}");
            // Only Data Center says which it is. In Cloud the lists have to be asked, and they are denied.
            let is_cloud = pair.jira.settings.deployment == Deployment::Cloud;
            assert!(is_cloud || matches!(error, CallError::Denied { .. }), "{name}: {error}");
        }
        set(&pair, &json!({"project_lost": false}));
        assert_eq!(
            pair.restarted().find(&key(1), Depth::Record).await.unwrap().unwrap().record,
            ticket.record
        );
        assert_eq!(pair.writes().len(), 1);
    }
}

/// A gateway's pages, whatever their status: 404 proves no absence, 400 and 405 no refusal.
#[tokio::test]
async fn a_page_of_something_in_front_is_no_word_of_jira() {
    for status in [400, 404, 405, 410, 302] {
        for pair in [Pair::new(), Pair::data_center(&json!({}))] {
            let ticket = pair.ticket().await;
            let page = Fault::new(FaultKind::Html { status }).on_api(Api::Jira).when(When::Always);
            pair.emulator.add_fault(page);
            for jira in [&pair.restarted(), &pair.jira] {
                for (name, error) in all(jira, &ticket).await {
                    let is_final = matches!(error, CallError::Gone { .. } | CallError::Refused { .. });
                    assert!(!is_final, "{name}, {status}: {error}");
                }
            }
            pair.emulator.clear_faults();
            assert_eq!(pair.read(&ticket).await.record, ticket.record);
            assert_eq!(pair.writes().len(), 1);
        }
    }
}

#[tokio::test]
async fn success_that_reports_an_error_is_none() {
    for how in [Malformed::ErrorBody, Malformed::EmptyBody, Malformed::NotAnObject, Malformed::Truncated] {
        for pair in [Pair::new(), Pair::data_center(&json!({}))] {
            let ticket = pair.ticket().await;
            let spoilt = Fault::new(FaultKind::Malformed { how }).on_api(Api::Jira).when(When::Always);
            pair.emulator.add_fault(spoilt);
            for jira in [&pair.restarted(), &pair.jira] {
                for (name, error) in all(jira, &ticket).await {
                    let open = matches!(error, CallError::Unknown { .. } | CallError::Malformed { .. });
                    assert!(open, "{how:?} {name}: {error}");
                }
            }
        }
    }
}

/// The answer to a write that was carried out is spoilt: its outcome is open, and the look-up finds what it made.
#[tokio::test]
async fn what_was_made_behind_an_error_is_found() {
    let pair = Pair::new();
    pair.fault("create-ticket", FaultKind::Malformed { how: Malformed::ErrorBody });
    let error = pair.jira.create(&key(1), &opening()).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { status: Some(201), .. }), "{error}");
    pair.emulator.advance(1.0);
    assert!(pair.jira.find(&key(1), Depth::Record).await.unwrap().is_some());
    let ticket = pair.jira.find(&key(1), Depth::Record).await.unwrap().unwrap();
    pair.fault("comment-ticket", FaultKind::Malformed { how: Malformed::ErrorBody });
    let error = pair.jira.comment(&ticket, &CommentKey::from_id("0a"), "x [lockstep a.b]").await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert_eq!(comments(&pair.read(&ticket).await).len(), 1);
}

#[tokio::test]
async fn an_answer_about_another_issue_is_not_taken_for_this_one() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    let other = || FaultKind::Malformed { how: Malformed::OtherRecord };
    pair.fault("get-ticket", other());
    let read = pair.jira.read(&ticket.record, Depth::Record).await;
    assert!(matches!(read, Err(CallError::Malformed { .. })), "{read:?}");
    // The search speaks of an issue that is there and bears no key.
    let seed = json!({"title": "somebody's"});
    pair.emulator.open_ticket(System::Jira, "ana@example.org", &seed).unwrap();
    pair.emulator.advance(1.0);
    pair.fault("find-ticket", other());
    let found = pair.restarted().find(&key(1), Depth::Record).await;
    assert!(matches!(found, Err(CallError::Malformed { .. })), "{found:?}");
}

#[tokio::test]
async fn a_page_that_contradicts_itself_ends_nothing() {
    for end in ["unclear", "silent", "both"] {
        let pair = Pair::with(&json!({"page_end": end}), |_| {});
        let seed = json!({"title": "t", "key": key(1).id.as_str()});
        pair.emulator.open_ticket(System::Jira, "ana@example.org", &seed).unwrap();
        pair.emulator.advance(1.0);
        let page = pair.jira.list(RecordKind::Ticket, jiff::Timestamp::UNIX_EPOCH, None).await;
        assert!(matches!(page, Err(CallError::Malformed { .. })), "{end}: {page:?}");
        let found = pair.jira.find(&key(1), Depth::Record).await;
        assert!(matches!(found, Err(CallError::Malformed { .. })), "{end}: {found:?}");
        if end != "both" {
            let absent = pair.jira.find(&key(2), Depth::Record).await;
            assert!(matches!(absent, Err(CallError::Malformed { .. })), "{end}: {absent:?}");
        }
    }
    // Cut off: fewer rows than the numbers say.
    let pair = Pair::data_center(&json!({}));
    pair.ticket().await;
    for operation in ["list-tickets", "find-ticket"] {
        pair.fault(operation, FaultKind::Malformed { how: Malformed::HalfList });
    }
    let page = pair.jira.list(RecordKind::Ticket, jiff::Timestamp::UNIX_EPOCH, None).await;
    assert!(matches!(page, Err(CallError::Malformed { .. })), "{page:?}");
    let found = pair.restarted().find(&key(1), Depth::Record).await;
    assert!(matches!(found, Err(CallError::Malformed { .. })), "{found:?}");
}

async fn update(pair: &Pair, ticket: &Snapshot, patch: &Patch) -> Written {
    pair.jira.update(ticket, patch).await.unwrap()
}

#[tokio::test]
async fn a_resolution_from_before_a_close_is_known_to_be_from_before() {
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    let closed = update(&pair, &ticket, &close()).await.snapshot.unwrap();
    let reopen = patch(&[(Field::Status, text("indeterminate"))], None);
    let open = update(&pair, &closed, &reopen).await.snapshot.unwrap();
    assert_eq!(
        (open.native.get(&Field::Verdict), &open.hidden[&Field::Verdict]),
        (None, &text("True Positive"))
    );
    pair.emulator.advance(1.0);
    assert_eq!(pair.list("2026-11-01T00:00:00Z").await.0[0].hidden, open.hidden);
    // The transition shows no resolution, and none is set by it.
    set(&pair, &json!({"closing_screen": false}));
    let again = patch(&[(Field::Status, text("done")), (Field::Verdict, text("False Positive"))], None);
    let written = update(&pair, &open, &again).await;
    assert_eq!(written.declined[0].field, Field::Verdict);
    let closed = written.snapshot.unwrap();
    assert_eq!((&closed.native[&Field::Verdict], closed.hidden.is_empty()), (&text("True Positive"), true));
}

#[tokio::test]
async fn a_resolution_that_the_metadata_leave_out_is_sent_all_the_same() {
    let pair = Pair::with(&json!({"hidden_fields": ["resolution", "customfield_10050"]}), |_| {});
    let ticket = pair.ticket().await;
    let written = update(&pair, &ticket, &close()).await;
    assert_eq!(written.declined, []);
    assert_eq!(written.snapshot.unwrap().native[&Field::Verdict], text("True Positive"));

    // Nothing was to be said, and the validator wants something: what is configured goes.
    let pair = Pair::with(&json!({"hidden_fields": ["resolution"]}), |settings| {
        settings.default_resolution = Some("Done".to_owned());
    });
    let ticket = pair.ticket().await;
    let silent = patch(&[(Field::Status, text("done"))], None);
    let closed = update(&pair, &ticket, &silent).await.snapshot.unwrap();
    assert_eq!(closed.native[&Field::Verdict], text("Done"));

    // A word that the site does not know makes room for one that it does.
    let fewer = json!({"hidden_fields": ["resolution"], "resolutions": ["Done"]});
    let pair = Pair::with(&fewer, |settings| settings.default_resolution = Some("Done".to_owned()));
    let ticket = pair.ticket().await;
    let written = update(&pair, &ticket, &close()).await;
    assert!(written.declined[0].reason.contains("is not valid"), "{:?}", written.declined);
    assert_eq!(written.snapshot.unwrap().native[&Field::Verdict], text("Done"));
}

#[tokio::test]
async fn a_resolution_that_the_screen_lacks_is_refused_and_the_close_is_made() {
    let pair = Pair::with(&json!({"off_closing_screen": ["resolution"]}), |_| {});
    let ticket = pair.ticket().await;
    let written = update(&pair, &ticket, &close()).await;
    assert_eq!(written.declined[0].field, Field::Verdict);
    assert!(written.declined[0].reason.contains("cannot be set"), "{:?}", written.declined);
    assert_eq!(pair.shown(&ticket)["status"], "closed");
}

#[tokio::test]
async fn what_a_hidden_validator_wants_of_the_configured_fields_is_sent() {
    let wants = json!({"required_on_close": ["customfield_10051"], "hidden_fields": ["customfield_10051"]});
    let pair = Pair::with(&wants, |settings| {
        settings.close_fields.insert("customfield_10051".to_owned(), "root cause".into());
    });
    let ticket = pair.ticket().await;
    let written = update(&pair, &ticket, &close()).await;
    assert_eq!(written.declined, []);
    assert_eq!(pair.shown(&ticket)["status"], "closed");
}

#[tokio::test]
async fn a_close_that_is_blocked_can_pass_later() {
    for blocked in ["not-offered", "refused"] {
        for workflow in ["open", "steps"] {
            let pair = Pair::with(&json!({"blocked": blocked, "workflow": workflow}), |_| {});
            let mut ticket = pair.ticket().await;
            pair.edit(&ticket, &json!({"status_name": "In Review"}));
            ticket = pair.read(&ticket).await;
            let error = pair.jira.update(&ticket, &close()).await.unwrap_err();
            let waits = matches!(error, CallError::Blocked { .. });
            assert!(waits, "{blocked} {workflow}: {error}");
            // It was not moved about meanwhile.
            assert_eq!(pair.read(&ticket).await.raw["fields"]["status"]["name"], "In Review");
            set(&pair, &json!({"blocked": "off"}));
            let closed = update(&pair, &pair.read(&ticket).await, &close()).await.snapshot.unwrap();
            assert_eq!(closed.native[&Field::Verdict], text("True Positive"));
        }
    }
}

#[tokio::test]
async fn fields_that_are_refused_without_a_name_do_not_hold_up_the_close() {
    let pair = Pair::with(&json!({"refuse_edits": true}), |_| {});
    let ticket = pair.ticket().await;
    let mut both = close();
    both.native.insert(Field::Title, text("New title"));
    let written = update(&pair, &ticket, &both).await;
    assert_eq!(pair.shown(&ticket)["status"], "closed");
    // What is lacking shows, and nothing is made up: a later write may bring it.
    assert_eq!(written.declined, []);
    assert_ne!(written.snapshot.unwrap().native[&Field::Title], text("New title"));
    // By itself it is refused, in Jira's words.
    let title = patch(&[(Field::Title, text("New title"))], None);
    let error = pair.jira.update(&pair.read(&ticket).await, &title).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_permission_that_was_lost_is_no_field_that_an_issue_cannot_take() {
    let pair = Pair::with(&json!({"may_edit": false}), |_| {});
    let ticket = pair.ticket().await;
    let fields = [(Field::Title, text("New title")), (Field::Severity, text("Low"))];
    let error = pair.jira.update(&ticket, &patch(&fields, None)).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("EDIT_ISSUES"), "{error}");
    // The close needs another permission.
    let mut both = close();
    both.native.insert(Field::Title, text("New title"));
    let written = update(&pair, &ticket, &both).await;
    assert_eq!((written.declined, &pair.shown(&ticket)["status"]), (Vec::new(), &json!("closed")));
}

/// A refusal that names nothing, in whatever language: the permission tells whether somebody has to grant one.
#[tokio::test]
async fn what_is_refused_for_the_lack_of_a_permission_waits_for_it() {
    let lacking = json!({"may_comment": false, "may_create": false, "may_transition": false});
    let pair = Pair::new();
    let ticket = pair.ticket().await;
    set(&pair, &lacking);
    let comment = pair.jira.comment(&ticket, &CommentKey::from_id("0a"), "x [lockstep a.b]").await.map(drop);
    let create = pair.jira.create(&key(2), &opening()).await.map(drop);
    let close = pair.jira.update(&ticket, &close()).await.map(drop);
    for (result, permission) in
        [(comment, "ADD_COMMENTS"), (create, "CREATE_ISSUES"), (close, "TRANSITION_ISSUES")]
    {
        let error = result.unwrap_err();
        assert!(matches!(error, CallError::Denied { .. }), "{error}");
        assert!(error.to_string().contains(permission), "{error}");
    }
}

#[tokio::test]
async fn a_note_that_is_refused_does_not_hold_up_the_close() {
    let pair = Pair::with(&json!({"closing_screen": false, "may_comment": false}), |_| {});
    let ticket = pair.ticket().await;
    let close = patch(&[(Field::Status, text("done"))], Some("because"));
    let written = update(&pair, &ticket, &close).await;
    assert_eq!(written.declined, []);
    assert_eq!(
        (&pair.shown(&ticket)["status"], &pair.shown(&ticket)["comments"]),
        (&json!("closed"), &json!([]))
    );
}

#[tokio::test]
async fn a_new_issue_waits_for_what_somebody_must_mend() {
    let pair = Pair::with(&json!({"required_on_create": ["customfield_10099"]}), |_| {});
    let error = pair.jira.create(&key(1), &opening()).await.unwrap_err();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("customfield_10099 is required"), "{error}");
    // A description that the screen lacks is left out.
    set(&pair, &json!({"required_on_create": [], "locked_fields": ["description"]}));
    pair.jira.create(&key(1), &opening()).await.unwrap();
    assert_eq!(pair.emulator.tickets(System::Jira).len(), 1);
}
