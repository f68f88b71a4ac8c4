//! The connector over a real mailbox: what the engine relies on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::held::Report;
use super::mailbox::StoreMailbox;
use super::message::CommentView;
use crate::connectors::sidecar::{Mailbox, Sidecar, SidecarListen, SidecarSettings};
use crate::connectors::{Audience, Connector, Depth, Opening, Written};
use crate::http::CallError;
use crate::model::{
    CommentKey, Comments, Field, Lifecycle, Native, Patch, RecordId, RecordKind, RecordRef, SystemName,
};
use crate::store::MemoryStore;

fn settings() -> SidecarSettings {
    SidecarSettings {
        name: SystemName::new("tickets").unwrap(),
        listen: SidecarListen::Tcp("127.0.0.1:0".parse().unwrap()),
        token: None,
        webhook: None,
        comments: Audience::Internal,
        keep: Duration::from_hours(24),
        mailbox: None,
    }
}

fn connected() -> (Sidecar, StoreMailbox) {
    let settings = settings();
    let mailbox = StoreMailbox::open(&settings.name, Arc::new(MemoryStore::new())).unwrap();
    let shared: Arc<dyn Mailbox> = Arc::new(mailbox.clone());
    (Sidecar::new(&SidecarSettings { mailbox: Some(shared), ..settings }), mailbox)
}

fn planned(n: usize) -> RecordRef {
    RecordRef::ticket(&settings().name, RecordId::new(format!("lockstep-{n:032x}")).unwrap())
}

fn word(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)]) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: None }
}

fn opening() -> Opening {
    let patch = patch(&[(Field::Title, word("Phishing")), (Field::Severity, word("high"))]);
    Opening { patch, description: "<b>not</b> markup".to_owned(), origin: None }
}

#[tokio::test]
async fn a_ticket_is_created_once_and_found_by_its_key() {
    let (connector, mailbox) = connected();
    assert_eq!(connector.find(&planned(1), Depth::Record).await.unwrap(), None);
    let created = connector.create(&planned(1), &opening()).await.unwrap().snapshot.unwrap();
    assert_eq!((&created.record, &created.planned_as), (&planned(1), &Some(planned(1))));
    assert_eq!(created.native[&Field::Severity], word("high"));
    assert_eq!(created.native[&Field::Status], word("new"));
    assert!(created.facts.created.is_some());
    connector.create(&planned(1), &opening()).await.unwrap();
    assert_eq!(
        mailbox.status().await.pending,
        1,
        "the answer to the first was lost, and the second opened nothing"
    );
    assert_eq!(connector.find(&planned(1), Depth::Record).await.unwrap().unwrap().record, planned(1));
}

#[tokio::test]
async fn updates_carry_the_note_and_notice_a_ticket_that_moved() {
    let (connector, mailbox) = connected();
    let created = connector.create(&planned(1), &opening()).await.unwrap().snapshot.unwrap();
    let mut close = patch(&[(Field::Status, word("closed")), (Field::Verdict, word("false-positive"))]);
    close.closing_comment = Some("x".repeat(40_000));
    let closed = connector.update(&created, &close).await.unwrap().snapshot.unwrap();
    assert_eq!(
        (&closed.native[&Field::Status], &closed.native[&Field::Verdict]),
        (&word("closed"), &word("false-positive"))
    );
    assert!(closed.closing_comment.unwrap().ends_with("[cut here by lockstep]"));
    assert!(closed.modified > created.modified && closed.revision != created.revision);
    let error = connector.update(&created, &close).await.unwrap_err();
    assert!(matches!(error, CallError::Conflict { .. }), "{error}");
    let current = connector.read(&planned(1), Depth::Record).await.unwrap();
    let error = connector.update(&current, &patch(&[(Field::Status, word("paused"))])).await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }) && error.to_string().contains("paused"), "{error}");
    assert_eq!(mailbox.status().await.pending, 2);
}

#[tokio::test]
async fn a_value_that_no_ticket_has_takes_no_close_with_it() {
    let (connector, mailbox) = connected();
    let mut opening = opening();
    opening.patch.native.insert(Field::Severity, word("huge"));
    opening.patch.native.insert(Field::Title, word(" "));
    let opened = connector.create(&planned(1), &opening).await.unwrap();
    let fields = |written: &Written| written.declined.iter().map(|d| d.field).collect::<Vec<_>>();
    assert_eq!(fields(&opened), [Field::Severity, Field::Title]);
    let created = opened.snapshot.unwrap();
    assert_eq!(created.native[&Field::Title], word("Security incident"));
    let close = [
        (Field::Status, word("closed")),
        (Field::Title, word("\u{a0}")),
        (Field::Severity, word("huge")),
        (Field::Verdict, word("no-such-verdict")),
    ];
    let written = connector.update(&created, &patch(&close)).await.unwrap();
    assert_eq!(fields(&written), [Field::Severity, Field::Verdict, Field::Title]);
    assert!(written.declined[0].reason.contains("huge"), "{:?}", written.declined);
    let closed = written.snapshot.unwrap();
    assert_eq!(closed.native[&Field::Status], word("closed"));
    assert_eq!(closed.native[&Field::Title], word("Security incident"));
    assert_eq!(mailbox.status().await.pending, 2, "one message for the close");
}

#[tokio::test]
async fn comments_are_counted_in_lists_and_listed_when_asked_for() {
    let (connector, mailbox) = connected();
    let created = connector.create(&planned(1), &opening()).await.unwrap().snapshot.unwrap();
    let key = CommentKey::from_id("0123456789abcdef01234567");
    let text = "isolated\n\n— ana in defender [lockstep 0123.4567]";
    for _ in 0..2 {
        connector.comment(&created, &key, text).await.unwrap();
    }
    for (id, text) in [("A", "first"), ("a", "second")] {
        let comment = CommentView { id: id.into(), author: None, text: text.into(), internal: false };
        mailbox.add_comment(planned(1).id.as_str(), comment).await.unwrap();
    }
    let Comments::Listed(comments) = connector.read(&planned(1), Depth::Comments).await.unwrap().comments
    else {
        panic!()
    };
    assert_eq!(comments.iter().map(|c| c.text.as_str()).collect::<Vec<_>>(), [text, "first", "second"]);
    assert_ne!(comments[1].key, comments[2].key, "ids that differ in case only are different");
    let page = connector.list(RecordKind::Ticket, Timestamp::MIN, None).await.unwrap();
    assert_eq!(page.snapshots[0].comments, Comments::Counted(3));
}

#[tokio::test]
async fn lists_go_on_where_they_ended_and_show_what_is_gone() {
    let (connector, mailbox) = connected();
    for n in 0..501 {
        connector.create(&planned(n), &opening()).await.unwrap();
    }
    let first = connector.list(RecordKind::Ticket, Timestamp::MIN, None).await.unwrap();
    mailbox.remove(planned(0).id.as_str()).await.unwrap();
    let second = connector.list(RecordKind::Ticket, Timestamp::MIN, first.next.as_ref()).await.unwrap();
    assert_eq!((first.snapshots.len(), second.snapshots.len(), second.next), (500, 2, None));
    assert_eq!(second.snapshots[1].lifecycle, Lifecycle::Gone);
    assert!(second.server_time.unwrap() >= second.snapshots[1].modified);
    let since = second.server_time.unwrap();
    assert_eq!(connector.list(RecordKind::Ticket, since, None).await.unwrap().snapshots, []);
    let report = Report { fields: BTreeMap::from([(Field::Status, word("active"))]), ..Report::default() };
    mailbox.report(planned(1).id.as_str(), report).await.unwrap();
    assert_eq!(connector.list(RecordKind::Ticket, since, None).await.unwrap().snapshots.len(), 1);
}

#[tokio::test]
async fn a_mailbox_that_is_not_open_here_is_no_empty_one() {
    let connector = Sidecar::new(&settings());
    let error = connector.find(&planned(1), Depth::Record).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    assert!(connector.list(RecordKind::Ticket, Timestamp::MIN, None).await.is_err());
    assert!(connector.probe().await[0].result.is_ok());
}
