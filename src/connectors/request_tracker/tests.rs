//! The connector against a server that answers by script: what is asked, and what odd answers come to.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::against_emulator_tests::settings;
use super::*;
use crate::connectors::testing::{Server, any_json, cases, http, spoilt};
use crate::model::{Field, Lifecycle, Native, RecordId};

const KEY: &str = "lockstep-00000000000000000000000000000001";

fn name() -> SystemName {
    SystemName::new("tickets").unwrap()
}

fn record(id: &str) -> RecordRef {
    RecordRef::ticket(&name(), RecordId::new(id).unwrap())
}

fn connector(server: &Server) -> RequestTracker {
    RequestTracker::new(&settings(server.url.as_str()), &http(), None).unwrap()
}

fn ticket() -> Value {
    json!({
        "id": 7, "Subject": "Phishing", "Status": "open", "Priority": "60", "EffectiveId": {"id": "7", "type": "ticket"},
        "Owner": {"id": "ana", "type": "user", "Name": "ana", "EmailAddress": "Ana@Example.org"},
        "LastUpdatedBy": {"id": "ana", "type": "user"},
        "Created": "2026-11-24T08:07:29Z", "LastUpdated": "2026-11-24T08:08:30Z",
        "CustomFields": [
            {"id": "3", "name": "Verdict", "values": [null]}, {"id": "2", "name": "Lockstep Key", "values": [KEY]},
            {"id": "4", "name": "Closing Note", "values": []}],
    })
}

fn read(json: &Value) -> Result<Snapshot, String> {
    let (system, settings) = (name(), settings("https://rt.example.org/rt/"));
    snapshot::ticket(&snapshot::View { system: &system, settings: &settings }, json, "51", true)
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn row(id: u64, ticket: u64) -> Value {
    json!({"id": id.to_string(), "ObjectId": ticket.to_string(), "Type": "Status", "Field": "Status",
        "OldValue": "new", "NewValue": "open", "Created": "2026-11-24T08:08:30Z", "Creator": {"id": "ana"}})
}

fn items(rows: &[Value]) -> Value {
    json!({"items": rows, "count": rows.len(), "page": 1, "per_page": 100, "total": null, "pages": null})
}

/// The opening of the ticket that the check of the time zone met, which the feed is asked for each time.
fn witness() -> Value {
    let mut row = row(40, 7);
    (row["Type"], row["Created"]) = (json!("Create"), json!("2026-11-24T07:07:29Z"));
    row
}

/// What the check of the time zone gets.
fn utc(server: &Server) {
    server.then(200, items(&[json!({"id": "7", "Created": "2026-11-24T08:07:29Z"})]));
    server.then(200, items(&[json!({"id": "7"})]));
}

#[test]
fn a_ticket_states_what_it_holds() {
    let read = read(&ticket()).unwrap();
    let expected = [
        (Field::Status, text("open")),
        (Field::Severity, text("50")),
        (Field::Verdict, Native::Empty),
        (Field::Owner, text("ana@example.org")),
        (Field::Title, text("Phishing")),
    ];
    assert_eq!(read.native, expected.into());
    assert_eq!((read.record, read.planned_as), (record("7"), Some(record(KEY))));
    assert_eq!(read.facts.url.as_deref(), Some("https://rt.example.org/rt/Ticket/Display.html?id=7"));
    assert_eq!((read.closing_comment, read.modified_by.as_deref()), (None, Some("ana")));
}

#[test]
fn priorities_are_steps_and_are_written_as_the_service_names_them() {
    for (priority, step) in
        [(-5, "0"), (0, "0"), (24, "0"), (25, "25"), (74, "50"), (75, "75"), (100, "75"), (999, "75")]
    {
        assert_eq!(write::step(priority), step, "{priority}");
    }
}

#[test]
fn what_is_not_stated_is_not_empty() {
    let mut json = ticket();
    json["CustomFields"] = json!([]);
    json["Priority"] = json!("urgent");
    json.as_object_mut().unwrap().remove("Owner");
    json["Subject"] = Value::Null;
    let read = read(&json).unwrap();
    assert_eq!(read.native.keys().copied().collect::<Vec<_>>(), [Field::Status]);
    assert_eq!(read.planned_as, None);
    json["Owner"] = json!({"id": "Nobody"});
    json["Status"] = json!("deleted");
    let read = self::read(&json).unwrap();
    assert_eq!((&read.native[&Field::Owner], read.lifecycle), (&Native::Empty, Lifecycle::Gone));
}

#[tokio::test]
async fn a_list_asks_for_the_queue_since_a_time_and_goes_on_behind_the_last_number() {
    let server = Server::start([]).await;
    utc(&server);
    server.then(200, items(&[witness(), row(51, 7), row(52, 8)]));
    server.then(200, items(&[ticket()]));
    let (connector, since) = (connector(&server), "2026-11-24T08:00:00.9Z".parse().unwrap());
    let page = connector.list(RecordKind::Ticket, since, None).await.unwrap();
    let seen = server.seen();
    assert_eq!(
        seen[1].query,
        "query=id = 7 AND Created >= '2026-11-24 08:07:29' AND Created <= '2026-11-24 08:07:29'&per_page=100"
    );
    assert_eq!(
        (seen[2].path.as_str(), seen[2].query.split("&fields").next().unwrap()),
        (
            "/root/REST/2.0/transactions",
            "query=ObjectType = 'RT::Ticket' AND TicketQueue = 'SOC' AND (Created >= '2026-11-24 08:00:00' \
             OR (ObjectId = 7 AND Type = 'Create'))&orderby=id&order=ASC&per_page=100"
        )
    );
    assert!(seen[3].query.starts_with("query=id = 7 OR id = 8&fields=Subject,"), "{}", seen[3].query);
    assert_eq!(seen[3].headers["authorization"], "token emulator-secret");
    assert_eq!(page.snapshots.len(), 1, "8 is none of this user's tickets");
    assert_eq!(page.snapshots[0].revision, "51");
    server.then(200, items(&[]));
    let last = connector.list(RecordKind::Ticket, since, page.next.as_ref()).await.unwrap();
    assert!(server.last().query.contains(" AND id > 52&"), "{}", server.last().query);
    assert_eq!(last.next, None);
    let foreign = PageToken("nonsense".to_owned());
    assert!(connector.list(RecordKind::Ticket, since, Some(&foreign)).await.is_err());
}

#[tokio::test]
async fn a_service_that_ignores_what_was_asked_is_not_believed() {
    let server = Server::start([]).await;
    let connector = connector(&server);
    // A search by key that brings a ticket of somebody else.
    let mut foreign = ticket();
    (foreign["id"], foreign["CustomFields"][1]["values"]) = (json!(8), json!(["lockstep-2"]));
    server.then(200, items(&[ticket(), foreign]));
    let error = connector.find(&record(KEY), Depth::Record).await.unwrap_err();
    assert!(
        matches!(error, CallError::Malformed { .. }) && error.to_string().contains("without the key"),
        "{error}"
    );
    // A time that counted as 1970, rows that fall, a list that is none, and tickets that were not asked for.
    let since = "2026-11-25T08:00:00Z".parse().unwrap();
    utc(&server);
    server.then(200, items(&[witness(), row(51, 7)]));
    let error = connector.list(RecordKind::Ticket, since, None).await.unwrap_err();
    assert!(error.to_string().contains("ignored that only changes since"), "{error}");
    let token = PageToken(json!({"after": 60}).to_string());
    server.then(200, items(&[row(51, 7)]));
    let error = connector.list(RecordKind::Ticket, since, Some(&token)).await.unwrap_err();
    assert!(error.to_string().contains("rising order"), "{error}");
    server.then(200, json!({"message": "hello"}));
    assert!(connector.list(RecordKind::Ticket, since, None).await.is_err());
    server.then(200, items(&[witness(), row(51, 8)]));
    server.then(200, items(&[ticket(), json!({"id": {}})]));
    let page =
        connector.list(RecordKind::Ticket, "2026-11-24T08:00:00Z".parse().unwrap(), None).await.unwrap();
    assert_eq!((page.snapshots.len(), page.malformed.len()), (0, 2));
}

#[tokio::test]
async fn a_write_whose_effect_cannot_be_read_leaves_that_to_the_next_read() {
    let server =
        Server::start([(200, json!(["Ticket 7: done"])), (404, json!({"message": "Not Found"}))]).await;
    let current = read(&ticket()).unwrap();
    let patch = Patch { native: [(Field::Severity, text("75"))].into(), closing_comment: None };
    let written = connector(&server).update(&current, &patch).await.unwrap();
    assert!(written.snapshot.is_none() && written.declined.is_empty());
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].body.clone()), ("PUT", json!({"Priority": 100})));
    assert_eq!(seen[0].headers["if-match"], "\"51\"");
}

fn any_ticket() -> impl Strategy<Value = Value> {
    prop_oneof![3 => spoilt(ticket()), 1 => any_json()]
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn tickets_of_any_shape(json in any_ticket()) {
        match read(&json) {
            Ok(read) => {
                prop_assert!(matches!(&read.native[&Field::Status], Native::Text(text) if !text.trim().is_empty()));
                prop_assert!(read.planned_as.is_none_or(|key| key.id.as_str().starts_with("lockstep-")));
            }
            Err(reason) => prop_assert!(!reason.is_empty() && reason.len() < 1_000, "{}", reason),
        }
        let _ = crate::connectors::html::text_of(&json.to_string());
    }
}
