//! The whole worker, step by step, on systems that answer from memory.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use super::memory_systems::{DEFENDER, SENTINEL, World, defender, incident, note, second, sentinel, site};
use super::shell::Listed;
use super::watch::Watch;
use super::{Operator, Stepped, poll, preview, work};
use crate::connectors::{Brief, Malformed, Page, PageToken};
use crate::http::{CallError, NotSentCause};
use crate::model::{
    BridgeName, Comments, Field, IntentState, Lifecycle, Mapping, MappingId, MemberState, Native, Patch,
    RecordKind, RecordRef, Snapshot, SystemName,
};
use crate::reconcile::testing::{rules, ticket_rules};
use crate::reconcile::{Late, NativeSync, derived_record};
use crate::store::{Change, Counts, Store};

#[tokio::test]
async fn an_edit_is_read_written_settled_and_told_and_its_echo_is_nothing() {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(defender(5, "resolved"));
    assert_eq!(world.round().await, 1, "the turn that takes the news in delivers them");
    let expected = [format!("read {SENTINEL} Record"), format!("update {SENTINEL}")];
    assert_eq!(world.system("sentinel").take_calls(), expected);
    assert_eq!(
        world.system("sentinel").record(SENTINEL).native[&Field::Status],
        Native::text(Some("Closed"))
    );
    assert_eq!(world.store.counts(), Counts { mappings: 1, outbox: 0, dead: 0, inbox: 0 });
    assert_eq!(*world.ear.depths.lock().unwrap(), world.store.counts());
    assert!(world.told("the answer shows it"));
    let told = world.ear.history.lock().unwrap().len();
    let echo = world.system("sentinel").record(SENTINEL);
    world.system("sentinel").shows(echo);
    world.round().await;
    assert_eq!(world.ear.history.lock().unwrap().len(), told, "its echo is no news");
    assert_eq!(world.worker().await.next_wake(), None);
}

#[tokio::test]
async fn what_the_read_shows_is_decided_before_anything_is_written() {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(defender(5, "inProgress"));
    let there = sentinel(6, "Active");
    world.system("sentinel").state.lock().unwrap().records.insert(there.record.clone(), there);
    world.round().await;
    assert_eq!(world.system("sentinel").take_calls(), [format!("read {SENTINEL} Record")]);
    assert_eq!(world.store.counts().outbox, 0);
    assert!(world.told("Settled"), "it says so already");
}

#[tokio::test]
async fn a_failed_write_is_told_with_its_request_and_waits_as_its_failure_wants() {
    let name = SystemName::new("sentinel").unwrap();
    let (code, message) = (String::new(), String::new());
    let throttled = CallError::Throttled {
        site: Box::new(site(&name)),
        retry_after: Some(Duration::from_secs(77)),
        message: message.clone(),
    };
    let unknown = CallError::Unknown {
        site: Box::new(site(&name)),
        status: None,
        message: message.clone(),
        retry_after: None,
    };
    let denied = CallError::Denied { site: Box::new(site(&name)), status: 403, code, message };
    for (error, wait) in [(throttled, 77), (unknown, 42), (denied, 60)] {
        let mut world = World::pair(rules()).await;
        world.system("defender").shows(defender(5, "resolved"));
        world.system("sentinel").state.lock().unwrap().fails_update = Some(error.clone());
        world.round().await;
        assert_eq!(world.worker().await.next_wake(), Some(second(1000 + wait)), "{error}");
        assert!(world.told("request-7"), "{error}");
        assert_eq!(world.store.counts().outbox, 1);
    }
}

#[tokio::test]
async fn a_request_that_can_never_be_valid_is_a_dead_letter_at_once() {
    let mut world = World::pair(rules()).await;
    let name = SystemName::new("sentinel").unwrap();
    let invalid = NotSentCause::Invalid("a header".to_owned());
    let error = CallError::NotSent { site: Box::new(site(&name)), cause: invalid, retry_after: None };
    world.system("sentinel").state.lock().unwrap().fails_update = Some(error);
    world.system("defender").shows(defender(5, "resolved"));
    world.round().await;
    assert_eq!(world.store.counts().dead, 1);
}

#[tokio::test]
async fn what_was_being_sent_at_the_end_is_read_back_after_the_next_start() {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(defender(5, "resolved"));
    world.poll().await;
    world.worker().await.route().await.unwrap();
    let mapping = world.mapping();
    // As if it had been killed between the promise and the answer.
    let shell = world.shell();
    let inbox = world.store.inbox(None, 10).unwrap();
    work::take_in(&shell, mapping.id, inbox).await.unwrap();
    let mut intent = world.store.intents(mapping.id).unwrap().remove(0);
    intent.state = IntentState::Sending { patch: Patch::default() };
    world.store.commit(vec![Change::PutIntent(Box::new(intent))]).await.unwrap();
    world.worker = Some(Stepped::start(world.parts()).await.unwrap());
    let intents = world.store.intents(mapping.id).unwrap();
    assert!(matches!(intents[0].state, IntentState::Unknown { .. }), "{intents:?}");
    assert_eq!(world.worker().await.next_wake(), Some(second(1042)), "after the settle time");
    assert!(!world.worker().await.work().await.unwrap(), "not before");
    world.wait(42);
    assert!(world.worker().await.work().await.unwrap());
}

#[tokio::test]
async fn a_comment_is_copied_and_looked_up_where_ids_are_not_of_our_choice() {
    for chooses in [false, true] {
        let mut world = World::choosing(rules(), chooses);
        world.meet().await;
        world.system("sentinel").take_calls();
        world
            .system("defender")
            .shows(Snapshot { comments: Comments::Listed(vec![note(4)]), ..defender(5, "active") });
        world.round().await;
        let depth = if chooses { "Record" } else { "Comments" };
        let calls = world.system("sentinel").take_calls();
        assert_eq!(calls, [format!("read {SENTINEL} {depth}"), format!("comment {SENTINEL} isolated host7")]);
    }
}

#[tokio::test]
async fn a_ticket_is_looked_up_opened_and_described() {
    let mut world = World::new(ticket_rules());
    let brief = Brief {
        system: "defender".to_owned(),
        title: "Multi-stage incident".to_owned(),
        devices: vec!["ws-0042".to_owned()],
        ..Brief::default()
    };
    world.system("defender").state.lock().unwrap().brief = Some(Ok(brief));
    let failing = CallError::NotSent {
        site: Box::new(site(&SystemName::new("sentinel").unwrap())),
        cause: NotSentCause::Breaker("no route".into()),
        retry_after: None,
    };
    world.system("sentinel").state.lock().unwrap().brief = Some(Err(failing));
    let mut first = defender(1, "active");
    first.facts.url = Some("https://security.example/1".to_owned());
    world.system("defender").shows(first);
    world.system("sentinel").shows(sentinel(1, "New"));
    world.round().await;
    assert_eq!(world.system("tickets").take_calls(), ["find", "create"]);
    let opening = world.system("tickets").state.lock().unwrap().opened[0].clone();
    assert_eq!(opening.patch.native[&Field::Title], Native::text(Some("Odd sign-in")));
    assert_eq!(opening.origin, DEFENDER.parse().ok());
    for part in [
        "Title: Odd sign-in",
        "Status: new",
        "(bridge corp)",
        "defender: https://security.example/1",
        "Title: Multi-stage incident",
        "Devices: ws-0042",
        "The details of sentinel could not be read",
        "Key: lockstep-",
    ] {
        assert!(opening.description.contains(part), "no `{part}` in:\n{}", opening.description);
    }
    let members: Vec<String> = world.mapping().members.iter().map(|m| m.record.to_string()).collect();
    assert_eq!(members, [DEFENDER, "tickets/ticket/42", SENTINEL]);
    assert_eq!(world.mapping().members[1].state, MemberState::Linked);
}

#[tokio::test]
async fn a_ticket_waits_for_details_that_only_a_limit_delays_and_promises_nothing_meanwhile() {
    let name = SystemName::new("defender").unwrap();
    let (retry_after, message) = (Some(Duration::from_secs(7)), String::new());
    let cause = NotSentCause::Budget("graph");
    for delay in [
        CallError::NotSent { site: Box::new(site(&name)), cause, retry_after },
        CallError::Throttled { site: Box::new(site(&name)), retry_after, message },
    ] {
        let mut world = World::new(ticket_rules());
        world.system("defender").state.lock().unwrap().brief = Some(Err(delay.clone()));
        world.system("defender").shows(defender(1, "active"));
        // However often: a limit is no reason to go without.
        for turn in 1..=20 {
            world.round().await;
            assert_eq!(world.system("tickets").take_calls(), ["find"], "{delay}");
            assert_eq!(world.worker().await.next_wake(), Some(second(1000 + 7 * turn)), "{delay}");
            let intents = world.store.intents(world.mapping().id).unwrap();
            assert_eq!(
                intents.iter().map(|i| &i.state).collect::<Vec<_>>(),
                [&IntentState::Planned],
                "{delay}"
            );
            world.wait(7);
        }
        let told = Brief { title: "Multi-stage incident".to_owned(), ..Brief::default() };
        world.system("defender").state.lock().unwrap().brief = Some(Ok(told));
        world.round().await;
        assert_eq!(world.system("tickets").take_calls(), ["find", "create"], "{delay}");
        let opening = world.system("tickets").state.lock().unwrap().opened[0].clone();
        assert!(opening.description.contains("Title: Multi-stage incident"), "{}", opening.description);
        assert!(!opening.description.contains("could not be read"), "{}", opening.description);
    }
}

#[tokio::test]
async fn a_description_tells_of_live_incidents_only() {
    let mut world = World::new(ticket_rules());
    world.system("defender").shows(defender(1, "active"));
    world.system("sentinel").shows(sentinel(1, "New"));
    world.round().await;
    let mut known = sentinel(4, "New");
    known.facts.url = Some("https://portal.example/of-sentinel".to_owned());
    world.system("sentinel").shows(known);
    world.round().await;
    let gone = Snapshot { lifecycle: Lifecycle::Gone, ..sentinel(5, "New") };
    world.system("sentinel").state.lock().unwrap().brief =
        Some(Ok(Brief { title: "Of Sentinel".to_owned(), ..Brief::default() }));
    world.system("sentinel").shows(gone);
    world.round().await;
    let shell = world.shell();
    let mapping = world.mapping();
    let lane = shell.load(mapping.id).unwrap().unwrap();
    let ticket: RecordRef = "tickets/ticket/lockstep-1".parse().unwrap();
    let told = super::opening::details(&shell, &lane, &ticket).await.unwrap();
    let opening = super::opening::opening(&shell, &lane, &ticket, &Patch::default(), told);
    assert!(!opening.description.contains("Of Sentinel"), "{}", opening.description);
    assert!(!opening.description.contains("of-sentinel"), "{}", opening.description);
    let incident: RecordRef = "sentinel/incident/new".parse().unwrap();
    let told = super::opening::details(&shell, &lane, &incident).await.unwrap();
    let opening = super::opening::opening(&shell, &lane, &incident, &Patch::default(), told);
    assert_eq!(opening.description, "", "an incident gets none");
}

#[tokio::test]
async fn a_ticket_found_under_its_key_is_taken_by_its_own_id_and_none_is_opened() {
    let mut world = World::new(ticket_rules());
    world.system("defender").shows(defender(1, "active"));
    world.poll().await;
    world.worker().await.route().await.unwrap();
    let key = world.mapping().members[1].record.clone();
    let ticket: RecordRef = "tickets/ticket/7".parse().unwrap();
    {
        let mut state = world.system("tickets").state.lock().unwrap();
        state.keyed.insert(key, ticket.clone());
        state.records.insert(ticket.clone(), incident("tickets/ticket/7", 1, "new"));
    }
    while world.worker().await.work().await.unwrap() {}
    assert_eq!(world.system("tickets").take_calls(), ["find"]);
    assert_eq!(world.mapping().members[1].record, ticket);
}

#[tokio::test]
async fn a_look_up_of_a_ticket_that_finds_no_place_to_look_opens_none() {
    let mut world = World::new(ticket_rules());
    let missing = world.system("tickets").missing();
    world.system("tickets").fails_next(missing);
    world.system("defender").shows(defender(1, "active"));
    world.round().await;
    assert_eq!(world.system("tickets").take_calls(), ["find"]);
    assert_eq!(world.worker().await.next_wake(), Some(second(1060)), "as if it were not permitted");
}

#[tokio::test]
async fn an_incident_found_under_its_derived_id_is_known_by_it() {
    let mut rules = rules();
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let mut world = World::new(rules);
    world.system("defender").shows(defender(1, "active"));
    world.poll().await;
    world.worker().await.route().await.unwrap();
    let planned = world.mapping().members[1].record.clone();
    {
        // Services compare ids without regard to case, and may spell them otherwise.
        let spelt = planned.to_string().to_uppercase().replace("SENTINEL/INCIDENT", "sentinel/incident");
        let mut state = world.system("sentinel").state.lock().unwrap();
        state.records.insert(planned.clone(), incident(&spelt, 1, "New"));
    }
    while world.worker().await.work().await.unwrap() {}
    assert_eq!(world.system("sentinel").take_calls(), ["find"]);
    let members: Vec<RecordRef> = world.mapping().members.into_iter().map(|m| m.record).collect();
    assert_eq!(members, [DEFENDER.parse().unwrap(), planned]);
}

#[tokio::test]
async fn an_incident_is_created_after_a_list_that_began_after_the_plan() {
    let mut rules = rules();
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let mut world = World::new(rules);
    world.system("defender").shows(defender(1, "active"));
    world.poll().await;
    world.wait(1);
    let worker = world.worker().await;
    worker.route().await.unwrap();
    while worker.work().await.unwrap() {}
    assert_eq!(world.system("sentinel").take_calls(), ["find"], "the list is older than the plan");
    world.wait(10);
    world.round().await;
    assert_eq!(world.system("sentinel").take_calls(), ["find", "create"]);
}

#[tokio::test]
async fn a_merge_that_a_known_mapping_meets_leaves_the_target_its_own() {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(incident("defender/incident/9", 2, "active"));
    world.round().await;
    let to = "defender/incident/9".parse().ok();
    world
        .system("defender")
        .shows(Snapshot { lifecycle: Lifecycle::Redirected { to }, ..defender(5, "redirected") });
    world.round().await;
    let mappings = world.store.mappings(None, 10).unwrap();
    let members: BTreeSet<usize> = mappings.iter().map(|mapping| mapping.members.len()).collect();
    assert_eq!((mappings.len(), members), (2, [1, 2].into()));
    assert_eq!(
        world.system("sentinel").record(SENTINEL).native[&Field::Status],
        Native::text(Some("Closed"))
    );
}

#[tokio::test]
async fn an_inbox_of_any_length_is_routed_at_once() {
    let mut world = World::new(rules());
    let many = (0..600).map(|n| incident(&format!("defender/incident/{n}"), 1, "active"));
    let pushed = many.map(|seen| Change::PushInbox(Box::new(seen))).collect();
    world.store.commit(pushed).await.unwrap();
    world.worker().await.route().await.unwrap();
    assert_eq!(world.store.counts(), Counts { mappings: 600, outbox: 0, dead: 0, inbox: 0 });
}

#[tokio::test]
async fn a_record_that_an_operator_took_out_is_not_taken_up_again() {
    let mut world = World::pair(rules()).await;
    let record: RecordRef = DEFENDER.parse().unwrap();
    let policies: Vec<_> = world.bridges.values().map(|rules| rules.policy.clone()).collect();
    let policies: Vec<_> = policies.iter().collect();
    let operator = Operator { store: &*world.store, bridges: &policies, now: second(1000) };
    let (_, changes) = operator.unlink(&record).unwrap();
    world.store.commit(changes).await.unwrap();
    world.worker = None;
    world.system("defender").shows(defender(5, "resolved"));
    world.round().await;
    let mapping = world.mapping();
    assert_eq!((mapping.members.len(), &mapping.members[0].state), (2, &MemberState::Detached));
    assert!(!mapping.is_closed());
    assert_eq!(world.store.counts().inbox, 0);
}

#[tokio::test]
async fn an_entry_that_two_bridges_read_leaves_the_inbox_when_both_took_it() {
    let mut world = World::new(rules());
    let mut second_bridge = rules();
    second_bridge.policy.bridge = BridgeName::new("lab").unwrap();
    world.bridges.insert(second_bridge.policy.bridge.clone(), second_bridge);
    world.system("defender").shows(defender(1, "active"));
    world.round().await;
    assert_eq!((world.store.counts().mappings, world.store.counts().inbox), (2, 0));
    world.system("defender").shows(defender(5, "resolved"));
    world.poll().await;
    let worker = world.worker().await;
    worker.route().await.unwrap();
    worker.work().await.unwrap();
    assert_eq!(world.store.counts().inbox, 1, "the other bridge has not taken it");
    world.worker().await.work().await.unwrap();
    assert_eq!(world.store.counts().inbox, 0);
    assert!(world.store.mappings(None, 9).unwrap().iter().all(Mapping::is_closed));
}

#[tokio::test]
async fn entries_of_a_mapping_that_is_not_there_are_forgotten_but_for_those_that_others_want() {
    let world = World::new(rules());
    let shell = world.shell();
    let pushed = [1, 2].map(|n| Change::PushInbox(Box::new(defender(n, "active"))));
    world.store.commit(pushed.into()).await.unwrap();
    let inbox = world.store.inbox(None, 10).unwrap();
    let listed = Listed::new();
    let wake = work::work(&shell, MappingId(99), inbox, &[2], &listed).await.unwrap();
    assert_eq!(wake, None);
    let left: Vec<u64> = world.store.inbox(None, 10).unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(left, [2]);
    work::take_in(&shell, MappingId(99), Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_mapping_of_a_bridge_that_is_not_configured_any_more_rests() {
    let mut world = World::pair(rules()).await;
    let id = world.mapping().id;
    assert!(world.shell().load(id).unwrap().is_some());
    world.bridges.clear();
    assert_eq!(world.shell().load(id), Ok(None));
    assert_eq!(world.shell().load(MappingId(99)), Ok(None));
}

#[tokio::test]
async fn a_lane_works_on_after_its_news_and_sooner_lanes_go_first() {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(incident("defender/incident/2", 2, "active"));
    let mut other = incident("sentinel/incident/h", 2, "New");
    other.links = vec!["defender/incident/2".parse().unwrap()];
    world.system("sentinel").shows(other);
    world.round().await;
    let mut renamed = defender(5, "active");
    renamed.native.insert(Field::Title, Native::text(Some("Renamed")));
    world.system("defender").shows(renamed);
    world.round().await;
    let calls = world.system("sentinel").take_calls();
    assert_eq!(calls.last().unwrap(), &format!("update {SENTINEL}"));
    assert_eq!(world.worker().await.next_wake(), None);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_told_of() {
    let mut world = World::new(rules());
    let system = world.systems["defender"].clone();
    {
        let mut state = system.state.lock().unwrap();
        let malformed = vec![Malformed { id: None, reason: "no id".to_owned() }];
        let next = Some(PageToken("2".to_owned()));
        state.pages.push_back(Ok(Page {
            snapshots: vec![defender(1, "active")],
            malformed,
            next,
            server_time: Some(second(9)),
        }));
        let more =
            vec![incident("defender/incident/2", 2, "active"), incident("defender/incident/3", 2, "active")];
        state.pages.push_back(Ok(Page { snapshots: more, ..Page::default() }));
    }
    assert_eq!(world.poll().await, 3, "both pages count");
    assert_eq!(*world.ear.malformed.lock().unwrap(), 1);
    assert_eq!(world.store.counts().inbox, 3);
    assert_eq!(world.poll().await, 0);
}

#[tokio::test]
async fn a_preview_tells_every_write_and_makes_none() {
    let world = World::new(ticket_rules());
    let mut noted = defender(5, "resolved");
    noted.comments = Comments::Listed(vec![note(4)]);
    world.system("sentinel").shows(sentinel(1, "New"));
    world.system("defender").shows(defender(1, "active"));
    world.system("defender").shows(noted);
    let plan = preview(world.parts()).await.unwrap();
    assert_eq!((plan.mappings, plan.unreached.len()), (1, 0));
    let writes: Vec<(String, &str)> =
        plan.writes.iter().map(|write| (write.target.system.to_string(), write.action.as_str())).collect();
    assert_eq!(writes, [("tickets".to_owned(), "create")], "{:#?}", plan.writes);
    let title = (Field::Title, None, Native::text(Some("Odd sign-in")));
    assert!(plan.writes[0].fields.contains(&title), "{:?}", plan.writes[0].fields);
    assert!(world.systems.values().all(|system| system.take_calls().is_empty()));
}

#[tokio::test]
async fn a_preview_leaves_out_dead_letters_and_what_native_sync_brings_and_tells_of_comments() {
    let mut rules = rules();
    let mut other = rules.policy.systems[1].clone();
    other.name = SystemName::new("tickets").unwrap();
    other.main = RecordKind::Incident;
    rules.policy.systems.push(other);
    let mut world = World::new(rules);
    world.meet().await;
    let third = incident("tickets/incident/x", 1, "New");
    world
        .store
        .commit(vec![Change::PutMapping(Box::new({
            let mut mapping = world.mapping();
            mapping.members.push(crate::model::Member::new(third.record.clone(), MemberState::Awaited));
            mapping
        }))])
        .await
        .unwrap();
    world.store.commit(vec![Change::PushInbox(Box::new(third))]).await.unwrap();
    world.worker = None;
    world.round().await;
    let id = world.mapping().id;
    let mut closed = defender(5, "resolved");
    closed.comments = Comments::Listed(vec![note(4)]);
    let inbox = vec![(0, closed)];
    work::take_in(&world.shell(), id, inbox).await.unwrap();
    let planned = |plan: &super::Preview| -> Vec<(String, String)> {
        plan.writes.iter().map(|write| (write.target.system.to_string(), write.action.clone())).collect()
    };
    let pair = |system: &str, action: &str| (system.to_owned(), action.to_owned());
    let plan = preview(world.parts()).await.unwrap();
    let expected = [
        pair("sentinel", "update"),
        pair("tickets", "update"),
        pair("sentinel", "comment"),
        pair("tickets", "comment"),
    ];
    assert_eq!(planned(&plan), expected);
    assert!(plan.writes[2].text.as_ref().unwrap().starts_with("isolated host7"));
    let status = (Field::Status, Some(Native::text(Some("New"))), Native::text(Some("Closed")));
    assert!(plan.writes[0].fields.contains(&status), "{:?}", plan.writes[0]);
    // One of them is given up.
    let mut intents = world.store.intents(id).unwrap();
    intents[0].state = IntentState::Dead { reason: "refused".to_owned(), patch: Patch::default() };
    assert_eq!(intents[0].target.system.as_str(), "sentinel");
    world.store.commit(vec![Change::PutIntent(Box::new(intents.remove(0)))]).await.unwrap();
    let plan = preview(world.parts()).await.unwrap();
    assert_eq!(planned(&plan)[0], pair("tickets", "update"));
    // And where the pair is natively synced, its change is left to the sync.
    for rules in world.bridges.values_mut() {
        rules.policy.native_sync = Some(NativeSync {
            writer: SystemName::new("defender").unwrap(),
            follower: SystemName::new("tickets").unwrap(),
            deadline: SignedDuration::from_mins(15),
            late: Late::Report,
        });
    }
    let plan = preview(world.parts()).await.unwrap();
    assert!(!planned(&plan).contains(&pair("tickets", "converge")), "{:?}", planned(&plan));
}

#[tokio::test]
async fn who_routes_is_woken_by_news_only() {
    let world = World::new(rules());
    let (shell, parts) = (world.shell(), world.parts());
    let name = SystemName::new("defender").unwrap();
    let watched = &parts.systems[&name];
    let mut watch = Watch::new(name, RecordKind::Incident, SignedDuration::ZERO, None, second(0));
    let mut news = Vec::new();
    for seen in [None, Some(defender(1, "active")), None] {
        if let Some(seen) = seen {
            world.system("defender").shows(seen);
        }
        poll::list_once(&shell, watched, RecordKind::Incident, &mut watch).await.unwrap().unwrap();
        let rung = std::pin::pin!(shell.inbox_grew.notified());
        news.push(futures_util::poll!(rung).is_ready());
    }
    assert_eq!(news, [false, true, false]);
}

#[tokio::test]
async fn a_second_incident_that_names_the_same_absent_one_joins_the_mapping_of_the_first() {
    let mut rules = rules();
    rules.policy.systems.retain(|system| system.name.as_str() == "sentinel");
    let mut world = World::new(rules);
    world.system("sentinel").shows(sentinel(1, "New"));
    world.round().await;
    let record = "sentinel/incident/h".parse().unwrap();
    world.system("sentinel").shows(Snapshot { record, ..sentinel(2, "New") });
    world.round().await;
    let members: Vec<String> = world.mapping().members.iter().map(|m| m.record.to_string()).collect();
    assert_eq!(members, [SENTINEL, "sentinel/incident/h"], "the first keeps its mapping");
}

#[tokio::test]
async fn a_created_incident_says_for_which_it_stands() {
    let mut rules = rules();
    rules.policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let mut world = World::new(rules);
    world.system("defender").shows(defender(1, "active"));
    for _ in 0..3 {
        world.round().await;
        world.wait(60);
    }
    let origins: Vec<_> =
        world.system("sentinel").state.lock().unwrap().opened.iter().map(|o| o.origin.clone()).collect();
    assert_eq!(origins, [DEFENDER.parse().ok()]);
}

/// A ticket with the key of the mapping that will begin with Defender's incident.
fn early_ticket(world: &World, n: i64) -> (Snapshot, RecordRef) {
    let rules = world.bridges.values().next().unwrap();
    let tickets = SystemName::new("tickets").unwrap();
    let mapping = MappingId::derive(&rules.policy.bridge, &DEFENDER.parse().unwrap());
    let key = derived_record(mapping, &tickets, 0, &rules.policy);
    (Snapshot { planned_as: Some(key.clone()), ..incident("tickets/ticket/7", n, "new") }, key)
}

#[tokio::test]
async fn a_ticket_that_is_listed_before_its_incident_is_known_once_that_is_met() {
    for restarts in [false, true] {
        let mut world = World::new(ticket_rules());
        let (ticket, key) = early_ticket(&world, 1);
        world.system("tickets").state.lock().unwrap().keyed.insert(key, ticket.record.clone());
        world.system("tickets").shows(ticket.clone());
        world.round().await;
        assert_eq!(world.store.counts(), Counts { mappings: 0, outbox: 0, dead: 0, inbox: 0 });
        if restarts {
            world.worker = None;
        }
        world.system("defender").shows(defender(2, "active"));
        world.poll().await;
        world.worker().await.route().await.unwrap();
        let inbox = world.store.inbox(None, 10).unwrap();
        let waiting: Vec<String> = inbox.iter().map(|(_, entry)| entry.record.to_string()).collect();
        assert!(waiting.contains(&"tickets/ticket/7".to_owned()), "restarts {restarts}: {waiting:?}");
        world.round().await;
        assert!(world.mapping().member(&ticket.record).is_some(), "restarts {restarts}");
        assert!(world.system("tickets").state.lock().unwrap().opened.is_empty(), "and none is opened");
    }
}
