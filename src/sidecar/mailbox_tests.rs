//! The mailbox between engine and adapter: edits, repetitions, messages, restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::held::Report;
use super::mailbox::StoreMailbox;
use super::message::{CommentView, Message, MessageKind};
use crate::connectors::sidecar::{Mailbox, MailboxError, Ticket, TicketComment, TicketState, TicketWrite};
use crate::model::{Field, Native, Status, SystemName};
use crate::store::{MemoryStore, Store};

const KEY: &str = "lockstep-0123456789abcdef0123456789abcdef";

fn word(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn write(field: Field, value: &str) -> TicketWrite {
    TicketWrite { fields: BTreeMap::from([(field, word(value))]), closing_note: None }
}

fn says(field: Field, value: &str) -> Report {
    Report { fields: BTreeMap::from([(field, word(value))]), ..Report::default() }
}

fn system() -> SystemName {
    SystemName::new("tickets").unwrap()
}

/// A mailbox with one ticket whose opening was carried out, over a store that can be opened again.
async fn opened() -> (StoreMailbox, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    let mailbox = again(&store);
    mailbox.open(KEY, TicketState::new("Phishing".to_owned()), "about it".to_owned()).await.unwrap();
    carry_out(&mailbox).await;
    (mailbox, store)
}

fn again(store: &Arc<MemoryStore>) -> StoreMailbox {
    StoreMailbox::open(&system(), Arc::clone(store) as Arc<dyn Store>).unwrap()
}

/// Acknowledges everything, and returns it.
async fn carry_out(mailbox: &StoreMailbox) -> Vec<Message> {
    let messages = mailbox.pending(0, 100).await.unwrap();
    let ids = messages.iter().map(|message| message.id.clone()).collect();
    mailbox.acknowledge(ids).await.unwrap();
    messages
}

fn kinds(messages: &[Message]) -> Vec<MessageKind> {
    messages.iter().map(|message| message.kind).collect()
}

async fn set(mailbox: &StoreMailbox, field: Field, value: &str) -> Ticket {
    let revision = mailbox.ticket(KEY).await.unwrap().revision;
    mailbox.update(KEY, revision, write(field, value)).await.unwrap()
}

async fn status(mailbox: &StoreMailbox) -> Status {
    mailbox.ticket(KEY).await.unwrap().state.status
}

#[tokio::test]
async fn each_write_of_the_engine_is_told_once_and_none_where_nothing_changes() {
    let (mailbox, _) = opened().await;
    assert_eq!(
        mailbox.open(KEY, TicketState::new("Other".into()), String::new()).await.unwrap().state.title,
        "Phishing"
    );
    set(&mailbox, Field::Status, "active").await;
    set(&mailbox, Field::Status, "active").await;
    let note = TicketWrite { closing_note: Some("done".into()), ..write(Field::Status, "closed") };
    let closed = mailbox.update(KEY, 2, note).await.unwrap();
    assert_eq!((closed.revision, closed.closing_note.as_deref()), (3, Some("done")));
    let reopened = set(&mailbox, Field::Status, "new").await;
    assert_eq!(reopened.closing_note, None, "the note goes with the close");
    let comment = TicketComment { id: "c1".into(), text: "hello".into(), internal: true };
    mailbox.comment(KEY, comment.clone()).await.unwrap();
    assert_eq!(mailbox.comment(KEY, comment).await.unwrap().comments, 1);
    let told = carry_out(&mailbox).await;
    assert_eq!(
        kinds(&told),
        [MessageKind::Updated, MessageKind::Closed, MessageKind::Reopened, MessageKind::Commented]
    );
    assert_eq!(told[1].data.changed, [Field::Status]);
    assert_eq!(told[3].data.comment.as_ref().unwrap().text, "hello");
    assert_eq!(mailbox.pending(0, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_write_on_an_older_revision_is_a_conflict() {
    let (mailbox, _) = opened().await;
    mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    let error = mailbox.update(KEY, 1, write(Field::Status, "closed")).await.unwrap_err();
    assert_eq!(error, MailboxError::Stale { key: KEY.into(), expected: 1, present: 2 });
    assert_eq!(status(&mailbox).await, Status::Active);
}

#[tokio::test]
async fn what_the_adapter_repeats_does_not_undo_what_it_has_not_carried_out() {
    let (mailbox, _) = opened().await;
    mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    set(&mailbox, Field::Status, "closed").await;
    let view = mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    assert_eq!(view.state.status, Status::Closed, "the same again is no reopening");
    carry_out(&mailbox).await;
    let view = mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    assert_eq!(view.state.status, Status::Active, "after the close was carried out it is one");
}

#[tokio::test]
async fn an_acknowledgement_that_comes_late_does_not_hide_what_was_said_since() {
    let (mailbox, _) = opened().await;
    set(&mailbox, Field::Status, "closed").await;
    let told = mailbox.pending(0, 9).await.unwrap();
    let revision = Some(told[0].data.ticket.revision);
    // Carried out, and a person reopened at once.
    mailbox.report(KEY, Report { revision, ..says(Field::Status, "active") }).await.unwrap();
    mailbox.acknowledge(vec![told[0].id.clone()]).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Active);
    mailbox.report(KEY, says(Field::Status, "closed")).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Closed, "and closed again");
}

#[tokio::test]
async fn what_the_adapter_shows_halfway_through_its_messages_is_no_edit() {
    let (mailbox, _) = opened().await;
    set(&mailbox, Field::Status, "closed").await;
    set(&mailbox, Field::Status, "active").await;
    set(&mailbox, Field::Severity, "high").await;
    // It closed the ticket, and died before it reopened it.
    mailbox.report(KEY, says(Field::Status, "closed")).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Active);
    carry_out(&mailbox).await;
    mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    mailbox.report(KEY, says(Field::Status, "closed")).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Closed, "this one is a person's");
}

#[tokio::test]
async fn an_edit_against_messages_under_way_is_told_behind_them_so_that_it_stands() {
    let (mailbox, _) = opened().await;
    set(&mailbox, Field::Owner, "ana@example.org").await;
    mailbox.report(KEY, says(Field::Owner, "ben@example.org")).await.unwrap();
    let told = mailbox.pending(0, 9).await.unwrap();
    assert_eq!(told[1].data.ticket.state.owner.as_deref(), Some("ben@example.org"), "{told:#?}");
    mailbox.acknowledge(vec![told[0].id.clone()]).await.unwrap();
    // The software shows what was carried out last.
    mailbox.report(KEY, says(Field::Owner, "ana@example.org")).await.unwrap();
    assert_eq!(mailbox.ticket(KEY).await.unwrap().state.owner.as_deref(), Some("ben@example.org"));
    carry_out(&mailbox).await;
    mailbox.report(KEY, says(Field::Owner, "ana@example.org")).await.unwrap();
    assert_eq!(
        mailbox.ticket(KEY).await.unwrap().state.owner.as_deref(),
        Some("ana@example.org"),
        "a new edit"
    );
}

#[tokio::test]
async fn a_report_on_the_present_revision_says_that_its_messages_were_carried_out() {
    let (mailbox, _) = opened().await;
    set(&mailbox, Field::Status, "closed").await;
    let comment = TicketComment { id: "c1".into(), text: "hello".into(), internal: true };
    mailbox.comment(KEY, comment).await.unwrap();
    let report = Report { revision: Some(2), ..says(Field::Status, "active") };
    mailbox.report(KEY, report).await.unwrap();
    assert_eq!(kinds(&mailbox.pending(0, 9).await.unwrap()), [MessageKind::Commented]);
    assert_eq!(status(&mailbox).await, Status::Active);
}

#[tokio::test]
async fn a_report_on_a_stated_revision_is_believed_whole_or_refused() {
    let (mailbox, _) = opened().await;
    set(&mailbox, Field::Status, "active").await;
    let stale = Report { revision: Some(1), ..says(Field::Status, "closed") };
    assert!(matches!(mailbox.report(KEY, stale).await, Err(MailboxError::Stale { present: 2, .. })));
    let same = Report { revision: Some(1), ..says(Field::Status, "active") };
    mailbox.report(KEY, same).await.expect("it says what is so anyway");
    let based = Report { revision: Some(2), by: Some("ana".into()), ..says(Field::Status, "closed") };
    mailbox.report(KEY, based).await.unwrap();
    let ticket = mailbox.ticket(KEY).await.unwrap();
    assert_eq!((ticket.state.status, ticket.modified_by.as_deref()), (Status::Closed, Some("ana")));
}

#[tokio::test]
async fn an_event_that_is_reported_again_changes_nothing() {
    let (mailbox, store) = opened().await;
    let event = Report { event_id: Some("e1".into()), ..says(Field::Status, "closed") };
    mailbox.report(KEY, event.clone()).await.unwrap();
    set(&mailbox, Field::Status, "active").await;
    carry_out(&mailbox).await;
    mailbox.report(KEY, event.clone()).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Active);
    let mailbox = again(&store);
    mailbox.report(KEY, event).await.unwrap();
    assert_eq!(status(&mailbox).await, Status::Active, "also after a restart");
}

#[tokio::test]
async fn what_the_software_cannot_take_is_left_to_differ_and_comes_back_as_no_edit() {
    let (mailbox, _) = opened().await;
    mailbox
        .report(KEY, Report { fields: BTreeMap::from([(Field::Owner, Native::Empty)]), ..Report::default() })
        .await
        .unwrap();
    set(&mailbox, Field::Owner, "ana@example.org").await;
    let nobody = Report { fields: BTreeMap::from([(Field::Owner, Native::Empty)]), ..Report::default() };
    let declined = BTreeMap::from([(Field::Owner, "no such account".to_owned())]);
    mailbox.report(KEY, Report { declined, ..nobody.clone() }).await.unwrap();
    carry_out(&mailbox).await;
    let view = mailbox.report(KEY, nobody).await.unwrap();
    assert_eq!(view.state.owner.as_deref(), Some("ana@example.org"));
    assert_eq!(view.declined[&Field::Owner], "no such account");
    let view = mailbox.report(KEY, says(Field::Owner, "ben@example.org")).await.unwrap();
    assert_eq!((view.state.owner.as_deref(), view.declined.len()), (Some("ben@example.org"), 0));
}

#[tokio::test]
async fn comments_of_the_adapter_are_taken_once() {
    let (mailbox, store) = opened().await;
    let comment =
        CommentView { id: "7".into(), author: Some("ana".into()), text: "seen".into(), internal: false };
    assert!(mailbox.add_comment(KEY, comment.clone()).await.unwrap());
    assert!(!mailbox.add_comment(KEY, comment.clone()).await.unwrap());
    let other = CommentView { text: "else".into(), ..comment.clone() };
    assert!(matches!(mailbox.add_comment(KEY, other).await, Err(MailboxError::Invalid(_))));
    let mailbox = again(&store);
    assert!(!mailbox.add_comment(KEY, comment).await.unwrap());
    let (ticket, comments) = mailbox.with_comments(KEY).await.unwrap();
    assert_eq!((ticket.comments, comments.len(), comments[0].author.as_deref()), (1, 1, Some("ana")));
    assert_eq!(mailbox.pending(0, 9).await.unwrap(), [], "the adapter is not told what it said");
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let (mailbox, store) = opened().await;
    set(&mailbox, Field::Status, "closed").await;
    let (ticket, told) = (mailbox.ticket(KEY).await.unwrap(), mailbox.pending(0, 9).await.unwrap());
    store.crash();
    let mailbox = again(&store);
    assert_eq!(mailbox.ticket(KEY).await.unwrap(), ticket);
    assert_eq!(mailbox.pending(0, 9).await.unwrap(), told, "the same message under the same name");
    carry_out(&mailbox).await;
    let mailbox = again(&store);
    set(&mailbox, Field::Status, "active").await;
    let next = mailbox.pending(0, 9).await.unwrap();
    assert_eq!(next[0].sequence, told[0].sequence + 1, "numbers go on");
}

#[tokio::test]
async fn a_store_that_fails_leaves_the_mailbox_as_it_was() {
    let (mailbox, store) = opened().await;
    store.fail("disk full");
    let error = mailbox.update(KEY, 1, write(Field::Status, "closed")).await.unwrap_err();
    assert!(matches!(error, MailboxError::Unusable(_)), "{error}");
    assert_eq!(status(&mailbox).await, Status::New);
}

#[tokio::test]
async fn lists_show_each_change_once_in_order() {
    let (mailbox, _) = opened().await;
    for n in 0..5 {
        mailbox.open(&format!("lockstep-{n}"), TicketState::new("t".into()), String::new()).await.unwrap();
    }
    mailbox.report(KEY, says(Field::Status, "active")).await.unwrap();
    let (first, now) = mailbox.changed(jiff::Timestamp::MIN, false, 3).await.unwrap();
    let (rest, _) = mailbox.changed(first[2].modified, true, 9).await.unwrap();
    let keys: Vec<&str> = first.iter().chain(&rest).map(|ticket| ticket.key.as_str()).collect();
    assert_eq!(keys, ["lockstep-0", "lockstep-1", "lockstep-2", "lockstep-3", "lockstep-4", KEY]);
    assert!(rest.iter().all(|ticket| ticket.modified <= now));
    let (again, _) = mailbox.changed(rest[2].modified, false, 9).await.unwrap();
    assert_eq!(again.len(), 1, "at the time itself counts");
}

#[tokio::test]
async fn gone_and_closed_tickets_leave_once_everything_is_told() {
    let (mailbox, store) = opened().await;
    mailbox.open("lockstep-other", TicketState::new("t".into()), String::new()).await.unwrap();
    carry_out(&mailbox).await;
    mailbox.remove(KEY).await.unwrap();
    mailbox.remove(KEY).await.unwrap();
    assert!(mailbox.ticket(KEY).await.unwrap().gone);
    let write = |word: &str| write(Field::Status, word);
    let gone = mailbox.ticket(KEY).await.unwrap().revision;
    assert!(matches!(mailbox.update(KEY, gone, write("closed")).await, Err(MailboxError::Absent(_))));
    let revision = mailbox.ticket("lockstep-other").await.unwrap().revision;
    mailbox.update("lockstep-other", revision, write("closed")).await.unwrap();
    assert_eq!(mailbox.prune(Duration::from_hours(1)).await, Ok(0), "not yet");
    assert_eq!(mailbox.prune(Duration::ZERO).await, Ok(1), "the close is not carried out yet");
    carry_out(&mailbox).await;
    assert_eq!(mailbox.prune(Duration::ZERO).await, Ok(1));
    for drawer in ["sidecar/tickets/tickets", "sidecar/tickets/descriptions", "sidecar/tickets/messages"] {
        assert_eq!(store.documents(drawer, None, 9).unwrap(), [], "{drawer}");
    }
}

/// An adapter whose software was away for a moment may have said that a ticket is gone.
#[tokio::test]
async fn a_ticket_that_is_reported_again_was_not_gone() {
    let (mailbox, _) = opened().await;
    carry_out(&mailbox).await;
    mailbox.remove(KEY).await.unwrap();
    let before = mailbox.ticket(KEY).await.unwrap();
    mailbox.report(KEY, says(Field::Status, "closed")).await.unwrap();
    let now = mailbox.ticket(KEY).await.unwrap();
    assert!(before.gone && !now.gone && now.modified > before.modified && now.revision > before.revision);
    assert_eq!(now.state.status, Status::Closed);
    mailbox.remove(KEY).await.unwrap();
    let comment = CommentView { id: "1".into(), author: None, text: "still here".into(), internal: true };
    assert_eq!(mailbox.add_comment(KEY, comment.clone()).await, Ok(true));
    assert!(!mailbox.ticket(KEY).await.unwrap().gone);
    // A repetition says nothing new.
    mailbox.remove(KEY).await.unwrap();
    assert_eq!(mailbox.add_comment(KEY, comment).await, Ok(false));
    assert!(mailbox.ticket(KEY).await.unwrap().gone);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_messages_ends_with_the_first_or_with_the_time() {
    let (mailbox, _) = opened().await;
    assert_eq!(mailbox.await_pending(0, 9, Duration::from_secs(30)).await.unwrap(), []);
    let waiting = tokio::spawn({
        let mailbox = mailbox.clone();
        async move { mailbox.await_pending(0, 9, Duration::from_secs(30)).await }
    });
    tokio::task::yield_now().await;
    set(&mailbox, Field::Status, "active").await;
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
}

/// What may happen between engine, adapter and people.
#[derive(Debug, Clone)]
enum Step {
    Engine(Field, &'static str),
    Person(Field, &'static str),
    Report,
    /// Carries out so many of the waiting messages, and acknowledges so many of these.
    Work(usize, usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        prop_oneof![Just("new"), Just("active"), Just("closed")].prop_map(|v| (Field::Status, v)),
        prop_oneof![Just("a@x"), Just("b@x"), Just("c@x")].prop_map(|v| (Field::Owner, v)),
    ];
    prop_oneof![
        3 => value.clone().prop_map(|(field, v)| Step::Engine(field, v)),
        2 => value.prop_map(|(field, v)| Step::Person(field, v)),
        3 => Just(Step::Report),
        3 => (0..4_usize, 0..4_usize).prop_map(|(carried, said)| Step::Work(carried, said.min(carried))),
        1 => Just(Step::Restart),
    ]
}

/// The simplest adapter: it reports all it sees, carries out whatever comes, and remembers nothing.
struct Simple {
    shows: BTreeMap<Field, Native>,
}

impl Simple {
    async fn report(&self, mailbox: &StoreMailbox) -> u64 {
        let report = Report { fields: self.shows.clone(), ..Report::default() };
        mailbox.report(KEY, report).await.unwrap().revision
    }

    async fn work(&mut self, mailbox: &StoreMailbox, carried: usize, said: usize) {
        let messages = mailbox.pending(0, carried).await.unwrap();
        for message in &messages {
            let wanted = message.data.ticket.state.natives();
            let changed = message.data.changed.iter().filter(|f| matches!(f, Field::Status | Field::Owner));
            self.shows.extend(changed.map(|field| (*field, wanted[field].clone())));
        }
        let ids = messages.into_iter().take(said).map(|message| message.id).collect();
        mailbox.acknowledge(ids).await.unwrap();
    }
}

async fn play(steps: &[Step], with_people: bool) -> (Simple, StoreMailbox, BTreeMap<Field, Native>) {
    let (mut mailbox, store) = opened().await;
    let mut natives = mailbox.ticket(KEY).await.unwrap().state.natives();
    natives.retain(|field, _| matches!(field, Field::Status | Field::Owner));
    let (mut adapter, mut wanted) = (Simple { shows: natives.clone() }, natives);
    for step in steps {
        match step {
            Step::Engine(field, value) => {
                set(&mailbox, *field, value).await;
                wanted.insert(*field, word(value));
            }
            Step::Person(field, value) if with_people => {
                adapter.shows.insert(*field, word(value));
            }
            Step::Person(..) => {}
            Step::Report => {
                let before = mailbox.ticket(KEY).await.unwrap().revision;
                let after = adapter.report(&mailbox).await;
                assert!(with_people || before == after, "nobody edited anything");
            }
            Step::Work(carried, said) => adapter.work(&mailbox, *carried, *said).await,
            Step::Restart => mailbox = again(&store),
        }
    }
    (adapter, mailbox, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_a_forgetful_adapter_repeats_is_never_an_edit(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut adapter, mailbox, wanted) = play(&steps, false).await;
            adapter.work(&mailbox, 100, 100).await;
            adapter.report(&mailbox).await;
            assert_eq!(adapter.shows, wanted, "the software shows what lockstep wrote last");
        });
    }

    #[test]
    fn software_and_mailbox_come_to_agree_whatever_people_do(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut adapter, mailbox, _) = play(&steps, true).await;
            for _ in 0..3 {
                adapter.report(&mailbox).await;
                adapter.work(&mailbox, 100, 100).await;
            }
            let mut natives = mailbox.ticket(KEY).await.unwrap().state.natives();
            natives.retain(|field, _| matches!(field, Field::Status | Field::Owner));
            assert_eq!(mailbox.pending(0, 9).await.unwrap(), []);
            assert_eq!(adapter.shows, natives);
        });
    }
}
