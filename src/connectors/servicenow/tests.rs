//! Requests and readings against a scripted server.

use proptest::prelude::*;
use serde_json::json;

use super::codes::Codes;
use super::*;
use crate::connectors::Audience;
use crate::connectors::testing::{Server, any_patch, cases, http, spoilt};
use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::{Field, Native, RecordId};

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "00000000000000000000000000000001";
const KEY: &str = "lockstep-00000000000000000000000000000001";

fn settings(url: &Url) -> ServiceNowSettings {
    let system = TicketSystem {
        name: SystemName::new("tickets").unwrap(),
        url: url.clone(),
        login: Login::Basic { username: "u".to_owned(), password: SecretRef::Inline("p".into()) },
        settle: ServiceNowSettings::DEFAULT_SETTLE,
        overlap: ServiceNowSettings::DEFAULT_OVERLAP,
        budget_factor: 1.0,
        comments: Audience::Internal,
        hook: None,
    };
    ServiceNowSettings {
        system,
        table: Table::Incident,
        key_field: None,
        caller: None,
        assignment_group: None,
        create_fields: BTreeMap::new(),
        close_fields: BTreeMap::new(),
    }
}

fn row() -> Value {
    json!({
        "sys_id": ID, "number": "INC0010042", "state": "2", "impact": "2", "urgency": "3",
        "short_description": "Suspicious PowerShell", "assigned_to": "62826bf03710200044e0bfc8bcbe5df1",
        "assigned_to.email": "Ana@Example.org", "assigned_to.user_name": "ana", "close_code": "", "close_notes": "",
        "sys_created_on": "2026-11-23 08:00:00", "sys_updated_on": "2026-11-23 09:01:07",
        "sys_updated_by": "ana", "sys_mod_count": "4", "correlation_id": KEY,
    })
}

/// A ticket of somebody else's.
fn witness() -> Value {
    let mut row = with("sys_updated_on", json!("2026-01-05 09:00:00"));
    row["sys_id"] = json!(OTHER);
    row["correlation_id"] = json!("");
    row
}

fn read(row: &Value) -> Result<Snapshot, String> {
    let settings = settings(&Url::parse("https://x.example/base").unwrap());
    Reader { settings: &settings, codes: &Codes::default() }.ticket(row, false)
}

fn with(field: &str, value: Value) -> Value {
    let mut changed = row();
    changed[field] = value;
    changed
}

fn record(id: &str) -> RecordRef {
    RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new(id).unwrap())
}

fn connector(server: &Server) -> ServiceNow {
    ServiceNow::new(&settings(&server.url), &http(), None).unwrap()
}

#[test]
fn a_row_becomes_a_snapshot() {
    let read = read(&row()).unwrap();
    let text = |text: &str| Native::Text(text.to_owned());
    let native = [
        (Field::Status, text("2")),
        (Field::Severity, text("2/3")),
        (Field::Owner, text("ana@example.org")),
        (Field::Title, text("Suspicious PowerShell")),
    ];
    assert_eq!(read.native, native.into());
    assert_eq!(read.planned_as, Some(record(KEY)));
    assert_eq!(read.revision, "4 2026-11-23 09:01:07");
    assert_eq!(read.modified, "2026-11-23T09:01:07Z".parse().unwrap());
    assert_eq!(
        read.facts.url.as_deref(),
        Some(format!("https://x.example/base/incident.do?sys_id={ID}").as_str())
    );
    assert_eq!(read.comments, Comments::Recent(vec![]));
}

#[test]
fn a_verdict_is_stated_while_closed_only() {
    let mut closed = with("state", json!("7"));
    assert_eq!(read(&closed).unwrap().native[&Field::Verdict], Native::Empty);
    closed["close_code"] = json!("Known error");
    assert_eq!(read(&closed).unwrap().native[&Field::Verdict], Native::Text("Known error".to_owned()));
    closed["state"] = json!("2");
    let open = read(&closed).unwrap();
    assert!(!open.native.contains_key(&Field::Verdict));
    assert_eq!(open.hidden, [(Field::Verdict, Native::Text("Known error".to_owned()))].into(), "left over");
    closed["close_code"] = json!("");
    assert_eq!(read(&closed).unwrap().hidden, [(Field::Verdict, Native::Empty)].into());
    closed["state"] = json!("6");
    assert!(read(&closed).unwrap().hidden.is_empty());
}

#[test]
fn somebody_whose_name_may_not_be_read_is_not_nobody() {
    let mut hidden = row();
    hidden.as_object_mut().unwrap().retain(|name, _| !name.starts_with("assigned_to."));
    assert!(!read(&hidden).unwrap().native.contains_key(&Field::Owner));
    hidden["assigned_to"] = json!({"link": "https://x", "value": "62826bf03710200044e0bfc8bcbe5df1"});
    hidden["assigned_to.user_name"] = json!("ANA");
    assert_eq!(read(&hidden).unwrap().native[&Field::Owner], Native::Text("ana".to_owned()));
    assert_eq!(read(&with("assigned_to", json!(""))).unwrap().native[&Field::Owner], Native::Empty);
}

#[test]
fn odd_values_cost_a_ticket_only_where_it_cannot_do_without() {
    for field in row().as_object().unwrap().keys() {
        for odd in [json!(null), json!(7), json!([]), json!({}), json!(" ")] {
            let failed = read(&with(field, odd.clone())).is_err();
            assert_eq!(
                failed,
                ["sys_id", "state", "sys_updated_on"].contains(&field.as_str()),
                "{field} {odd}"
            );
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_row_is_read_or_refused(row in spoilt(row())) {
        let _ = read(&row);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn any_patch_is_sent_or_refused(patch in any_patch()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answers = (0..4).map(|_| (200, json!({"result": []})));
            let server = Server::start(answers).await;
            let _ = connector(&server).update(&read(&row()).unwrap(), &patch).await;
            for seen in server.seen() {
                assert!(!seen.query.contains('\n'));
            }
        });
    }
}

#[tokio::test]
async fn a_list_asks_for_utc_in_order_and_for_keys_of_ours() {
    let rows = |rows: &[Value]| (200, json!({ "result": rows }));
    let server =
        Server::start([rows(&[witness()]), rows(&[witness(), row()]), rows(&[]), rows(&[row()])]).await;
    let connector = connector(&server);
    let since = "2026-11-23T08:58:00.7Z".parse().unwrap();
    let page = connector.list(RecordKind::Ticket, since, None).await.unwrap();
    assert_eq!(page.snapshots.len(), 1, "the witness is no news");
    let seen = server.seen();
    assert!(seen[0].query.starts_with("sysparm_query=ORDERBYsys_id&sysparm_limit=1&"), "{}", seen[0].query);
    assert_eq!(seen[1].path, "/root/api/now/table/incident");
    let query = format!(
        "sysparm_query=correlation_idSTARTSWITHlockstep-^sys_updated_on>=2026-11-23 08:58:00^NQsys_id={OTHER}\
         ^ORDERBYsys_updated_on^ORDERBYsys_id&sysparm_limit=100&sysparm_fields=sys_id,"
    );
    assert!(seen[1].query.starts_with(&query), "{}", seen[1].query);
    assert!(seen[1].query.ends_with("&sysparm_display_value=false&sysparm_exclude_reference_link=true"));
    assert_eq!(seen[2].path, "/root/api/now/table/sys_journal_field");
    assert!(
        seen[2].query.contains(&format!("element_id={ID}^elementINcomments,work_notes^sys_created_on>=2026"))
    );
    // Without a word on pages, a page with rows may have another one behind it.
    let last = connector.list(RecordKind::Ticket, since, page.next.as_ref()).await.unwrap();
    assert_eq!(last.next, None);
    assert_eq!(last.snapshots, [], "the witness came before");
    let query = format!(
        "correlation_idSTARTSWITHlockstep-^sys_updated_on>2026-11-23 09:01:07\
         ^NQcorrelation_idSTARTSWITHlockstep-^sys_updated_on=2026-11-23 09:01:07^sys_id>{ID}^NQsys_id={ID}"
    );
    assert!(server.last().query.contains(&query), "{}", server.last().query);
}

#[tokio::test]
async fn a_malformed_row_holds_up_no_other() {
    let mut other = row();
    other["sys_id"] = json!("ffffffffffffffffffffffffffffffff");
    other["sys_updated_on"] = json!("yesterday");
    let rows = |rows: &[Value]| (200, json!({ "result": rows }));
    let server = Server::start([rows(&[witness()]), rows(&[row(), other]), rows(&[])]).await;
    let page = connector(&server).list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, None).await.unwrap();
    assert_eq!((page.snapshots.len(), page.malformed.len()), (1, 1));
    assert!(page.malformed[0].reason.contains("`yesterday` is no time"));
}

#[tokio::test]
async fn rows_out_of_order_are_an_error_and_no_loop() {
    let server = Server::start((0..5).map(|_| (200, json!({"result": [row()]})))).await;
    // The journal answers with the ticket's row, too: a query that was not understood.
    let error = connector(&server).list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, None).await.err().unwrap();
    assert!(error.to_string().contains("entries of other records"), "{error}");
    let answer = |rows: &[Value]| json!({"result": rows});
    let mut before = with("sys_updated_on", json!("2026-11-23 09:00:00"));
    before["sys_id"] = json!("ffffffffffffffffffffffffffffffff");
    let server = Server::start([
        (200, answer(&[row()])),
        (200, answer(&[row()])),
        (200, answer(&[])),
        (200, answer(&[before])),
        (200, answer(&[])),
    ])
    .await;
    let connector = connector(&server);
    let page = connector.list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, None).await.unwrap();
    let error =
        connector.list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, page.next.as_ref()).await.err().unwrap();
    assert!(error.to_string().contains("do not come in the order"), "{error}");
}

#[tokio::test]
async fn refusals_by_rules_are_told_from_missing_permissions() {
    let body = |detail: &str| json!({"error": {"message": "Operation Failed", "detail": detail}, "status": "failure"});
    for (detail, is_rule) in [
        ("Data Policy Exception: The following fields are mandatory: Resolution code", true),
        ("Operation against file 'incident' was aborted by Business Rule 'x'", true),
        ("ACL Exception Update Failed due to security constraints", false),
    ] {
        let server = Server::start([(403, body(detail))]).await;
        let patch =
            Patch { native: [(Field::Status, Native::text(Some("6")))].into(), closing_comment: None };
        let error = connector(&server).update(&read(&row()).unwrap(), &patch).await.err().unwrap();
        assert_eq!(matches!(error, CallError::Refused { .. }), is_rule, "{error}");
        assert!(error.to_string().contains(detail), "{error}");
    }
}

#[tokio::test]
async fn a_step_that_fails_behind_another_leaves_the_outcome_open() {
    let rule = json!({"error": {"message": "Operation Failed", "detail": "aborted by Business Rule"}});
    let undone = json!({"result": with("state", json!("10"))});
    let patch = Patch { native: [(Field::Status, Native::text(Some("3")))].into(), closing_comment: None };
    let current = read(&with("state", json!("10"))).unwrap();
    // Behind a first step, and behind a jump that was answered and undone.
    for begun in [vec![(403, rule.clone()), (200, json!({"result": row()}))], vec![(200, undone)]] {
        for status in [403, 404, 409, 429, 502] {
            let server = Server::start(begun.iter().cloned().chain([(status, rule.clone())])).await;
            let settings = ServiceNowSettings { table: Table::SecurityIncident, ..settings(&server.url) };
            let connector = ServiceNow::new(&settings, &http(), None).unwrap();
            let error = connector.update(&current, &patch).await.err().unwrap();
            assert!(matches!(error, CallError::Unknown { .. }), "{status}: {error}");
            assert_eq!(server.seen().len(), begun.len() + 1);
        }
    }
    let server = Server::start([(403, rule.clone()), (403, rule)]).await;
    let settings = ServiceNowSettings { table: Table::SecurityIncident, ..settings(&server.url) };
    let error = ServiceNow::new(&settings, &http(), None).unwrap().update(&current, &patch).await.err();
    assert!(matches!(error, Some(CallError::Refused { .. })), "nothing was carried out: {error:?}");
}

#[tokio::test]
async fn only_what_changes_is_sent() {
    let server = Server::start([(200, json!({"result": with("impact", json!("1"))}))]).await;
    let patch = Patch {
        native: [(Field::Severity, Native::text(Some("1/3")))].into(),
        closing_comment: Some("n".into()),
    };
    connector(&server).update(&read(&row()).unwrap(), &patch).await.unwrap();
    let seen = server.last();
    assert_eq!((seen.method.as_str(), seen.path), ("PATCH", format!("/root/api/now/table/incident/{ID}")));
    assert_eq!(seen.body, json!({"impact": "1", "urgency": "3"}));
}

#[tokio::test]
async fn foreign_ids_are_never_sent() {
    let server = Server::start([]).await;
    let connector = connector(&server);
    for bad in ["INC0010042", "../sys_user", KEY] {
        assert!(connector.read(&record(bad), Depth::Record).await.is_err());
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_look_up_that_brings_foreign_rows_was_not_understood() {
    let mut foreign = witness();
    foreign["sys_id"] = json!("ffffffffffffffffffffffffffffffff");
    let rows = |rows: &[Value]| (200, json!({ "result": rows }));
    let server = Server::start([rows(&[witness()]), rows(&[witness(), foreign])]).await;
    let error = connector(&server).find(&record(KEY), Depth::Record).await.err().unwrap();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("ffffffffffffffffffffffffffffffff"), "{error}");
}

#[tokio::test]
async fn an_answer_without_the_witness_says_nothing() {
    let rows = |rows: &[Value]| (200, json!({ "result": rows }));
    // The table does not show any ticket: a role was lost.
    let server = Server::start([rows(&[witness()]), rows(&[]), rows(&[])]).await;
    let error = connector(&server).find(&record(KEY), Depth::Record).await.err().unwrap();
    assert!(
        matches!(&error, CallError::Denied { .. }) && error.to_string().contains("no ticket of"),
        "{error}"
    );
    // It shows one and takes it back.
    let server = Server::start([rows(&[witness()]), rows(&[]), rows(&[witness()]), rows(&[])]).await;
    let error = connector(&server).list(RecordKind::Ticket, Timestamp::UNIX_EPOCH, None).await.err().unwrap();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    // The witness is gone, and there is another one.
    let server = Server::start([rows(&[witness()]), rows(&[]), rows(&[row()]), rows(&[row()])]).await;
    assert!(connector(&server).find(&record(KEY), Depth::Record).await.unwrap().is_some());
    let server = Server::start([rows(&[witness()]), rows(&[witness()])]).await;
    assert_eq!(connector(&server).find(&record(KEY), Depth::Record).await.unwrap(), None);
}

#[tokio::test]
async fn a_part_that_fails_behind_another_leaves_the_outcome_open() {
    let rule = (403, json!({"error": {"message": "Operation Failed", "detail": "aborted by Business Rule"}}));
    let native = [(Field::Status, "6"), (Field::Severity, "1/1"), (Field::Title, "T2")];
    let native = native.map(|(field, value)| (field, Native::text(Some(value)))).into();
    let patch = Patch { native, closing_comment: Some("n".to_owned()) };
    let closed = with("state", json!("6"));
    for status in [401, 404, 429, 502] {
        let failed = (status, json!({"error": {"message": "x", "detail": "y"}}));
        let server = Server::start([rule.clone(), (200, json!({ "result": closed })), failed]).await;
        let error = connector(&server).update(&read(&row()).unwrap(), &patch).await.err().unwrap();
        assert!(matches!(error, CallError::Unknown { .. }), "{status}: {error}");
        let seen: Vec<Value> = server.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(seen[1], json!({"state": "6", "close_notes": "n"}), "the close goes first");
        assert_eq!((seen[2].clone(), seen.len()), (json!({"impact": "1", "urgency": "1"}), 3));
    }
    // The close itself is refused: that is the outcome, and nothing else was sent.
    let server = Server::start([rule.clone(), rule]).await;
    let error = connector(&server).update(&read(&row()).unwrap(), &patch).await.err().unwrap();
    assert!(matches!(error, CallError::Refused { .. }) && server.seen().len() == 2, "{error}");
}
