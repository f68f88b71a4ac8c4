//! What an operator changes, and what becomes of it in the store.

use super::memory_systems::{DEFENDER, SENTINEL, World, incident, second};
use super::{Operator, OperatorError, preview};
use crate::model::{
    Action, Field, Intent, IntentId, IntentState, Mapping, MappingId, MemberState, Native, Patch, RecordRef,
};
use crate::reconcile::Policy;
use crate::reconcile::testing::rules;
use crate::store::{Change, Store};

/// A pair with a dead letter for Sentinel and an intent for Defender, and another incident of Defender's.
async fn world() -> World {
    let mut world = World::pair(rules()).await;
    world.system("defender").shows(incident("defender/incident/2", 2, "active"));
    world.round().await;
    let id = mapping(&world, DEFENDER).id;
    let native = [(Field::Status, Native::text(Some("Closed")))].into();
    let patch = Patch { native, ..Patch::default() };
    let dead = IntentState::Dead { reason: "refused".to_owned(), patch };
    let intents = [intent(id, 7, SENTINEL, dead), intent(id, 8, DEFENDER, IntentState::Planned)];
    world.store.commit(intents.map(|intent| Change::PutIntent(Box::new(intent))).into()).await.unwrap();
    world
}

fn intent(mapping: MappingId, number: u32, target: &str, state: IntentState) -> Intent {
    Intent {
        id: IntentId { mapping, number },
        target: target.parse().unwrap(),
        action: Action::Update { closing: true },
        state,
        planned: second(1),
        due: second(1),
        attempts: 8,
        unreachable: 3,
        misses: 0,
        missed: None,
        overtaken: false,
        causes: Vec::new(),
    }
}

fn record(text: &str) -> RecordRef {
    text.parse().unwrap()
}

fn mapping(world: &World, of: &str) -> Mapping {
    let bridge = world.bridges.keys().next().unwrap();
    let id = world.store.find(bridge, &record(of)).unwrap().unwrap();
    world.store.mapping(id).unwrap().unwrap()
}

/// Makes what an operator asks for durable.
async fn done(
    world: &World,
    change: impl FnOnce(&Operator<'_>) -> Result<Vec<Change>, OperatorError>,
) -> Result<(), String> {
    let policies: Vec<&Policy> = world.bridges.values().map(|rules| &rules.policy).collect();
    let operator = Operator { store: &*world.store, bridges: &policies, now: second(2000) };
    let changes = change(&operator).map_err(|error| error.to_string())?;
    world.store.commit(changes).await.unwrap();
    Ok(())
}

fn told(world: &World, of: MappingId, part: &str) -> bool {
    format!("{:?}", world.store.audit(of).unwrap()).contains(part)
}

#[tokio::test]
async fn a_record_that_is_linked_leaves_its_mapping_and_is_read_for_the_other() {
    let world = world().await;
    let joining = record(SENTINEL);
    let left = mapping(&world, SENTINEL).id;
    done(&world, |operator| operator.link(&record("defender/incident/2"), &joining)).await.unwrap();
    let joined = mapping(&world, SENTINEL);
    assert_eq!(joined.id, mapping(&world, "defender/incident/2").id);
    assert_eq!(joined.member(&joining).unwrap().state, MemberState::Awaited);
    let left = world.store.mapping(left).unwrap().unwrap();
    assert_eq!(left.member(&joining).unwrap().state, MemberState::Detached);
    let intents = world.store.intents(joined.id).unwrap();
    let fetch = intents.iter().find(|intent| intent.action == Action::Fetch).unwrap();
    assert_eq!((&fetch.target, fetch.due), (&joining, second(2000)));
    assert!(told(&world, joined.id, "an operator linked it to defender/incident/2"));
    let again = done(&world, |operator| operator.link(&record("defender/incident/2"), &joining)).await;
    assert!(again.unwrap_err().contains("already"));
}

#[tokio::test]
async fn a_record_that_no_mapping_has_can_be_linked_and_one_of_a_strange_system_cannot() {
    let world = world().await;
    let (known, unknown) = (record("defender/incident/2"), record("sentinel/incident/new"));
    done(&world, |operator| operator.link(&known, &unknown)).await.unwrap();
    assert_eq!(mapping(&world, "sentinel/incident/new").id, mapping(&world, "defender/incident/2").id);
    let strange = record("elsewhere/incident/1");
    let refused = done(&world, |operator| operator.link(&record(DEFENDER), &strange)).await.unwrap_err();
    assert!(refused.contains("no system `elsewhere`"), "{refused}");
    let nowhere = done(&world, |operator| operator.link(&record("defender/incident/99"), &unknown)).await;
    assert!(nowhere.unwrap_err().contains("no bridge knows defender/incident/99"));
}

#[tokio::test]
async fn two_incidents_of_one_system_are_not_linked_but_alerts_may_be_many() {
    let world = world().await;
    for joining in ["defender/incident/2", "sentinel/incident/new"] {
        let refused = done(&world, |operator| operator.link(&record(DEFENDER), &record(joining))).await;
        let refused = refused.unwrap_err();
        assert!(refused.contains("already") && refused.contains("unlink"), "{joining}: {refused}");
    }
    for alert in ["defender/alert/a", "defender/alert/b"] {
        done(&world, |operator| operator.link(&record(DEFENDER), &record(alert))).await.unwrap();
    }
    done(&world, |operator| operator.unlink(&record(SENTINEL)).map(|(_, changes)| changes)).await.unwrap();
    let right = record("sentinel/incident/new");
    done(&world, |operator| operator.link(&record(DEFENDER), &right)).await.unwrap();
}

#[tokio::test]
async fn a_plan_names_the_linked_record_that_has_to_be_read_first() {
    let world = world().await;
    let (known, unknown) = (record("defender/incident/2"), record("sentinel/incident/new"));
    assert_eq!(preview(world.parts()).await.unwrap().unread, []);
    done(&world, |operator| operator.link(&known, &unknown)).await.unwrap();
    let plan = preview(world.parts()).await.unwrap();
    let unread: Vec<&RecordRef> = plan.unread.iter().map(|unread| &unread.target).collect();
    assert_eq!(unread, [&unknown]);
}

#[tokio::test]
async fn what_was_to_be_written_to_a_record_falls_when_it_is_taken_out() {
    let world = world().await;
    done(&world, |operator| operator.unlink(&record(SENTINEL)).map(|(_, changes)| changes)).await.unwrap();
    let mapping = mapping(&world, DEFENDER);
    assert_eq!(mapping.member(&record(SENTINEL)).unwrap().state, MemberState::Detached);
    let targets: Vec<String> =
        world.store.intents(mapping.id).unwrap().iter().map(|intent| intent.target.to_string()).collect();
    assert_eq!(targets, [DEFENDER]);
    assert!(told(&world, mapping.id, "an operator unlinked it"));
}

#[tokio::test]
async fn a_dead_letter_that_is_tried_again_begins_anew() {
    let world = world().await;
    let mapping = mapping(&world, DEFENDER).id;
    let id = IntentId { mapping, number: 7 };
    done(&world, |operator| operator.retry(id).map(|(_, changes)| changes)).await.unwrap();
    let again = world.store.intents(mapping).unwrap().remove(0);
    assert_eq!((again.state, again.due), (IntentState::Planned, second(2000)));
    assert_eq!((again.attempts, again.unreachable), (0, 0));
    assert!(told(&world, mapping, "an operator asked for another try"));
    for number in [8, 99] {
        let id = IntentId { mapping, number };
        let refused =
            done(&world, |operator| operator.retry(id).map(|(_, changes)| changes)).await.unwrap_err();
        assert!(refused.contains("there is no dead letter"), "{refused}");
    }
}

#[tokio::test]
async fn a_dead_letter_that_is_discarded_leaves_its_fields_to_differ() {
    let world = world().await;
    let id = IntentId { mapping: mapping(&world, DEFENDER).id, number: 7 };
    done(&world, |operator| operator.discard(id).map(|(_, changes)| changes)).await.unwrap();
    let mapping = mapping(&world, DEFENDER);
    assert!(mapping.member(&record(SENTINEL)).unwrap().exempt.contains(&Field::Status));
    assert_eq!(world.store.intents(mapping.id).unwrap().len(), 1);
    assert!(told(&world, mapping.id, "an operator discarded it"));
}

#[test]
fn what_is_told_of_each_change_is_what_the_history_keeps() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let world = runtime.block_on(world());
    let policies: Vec<&Policy> = world.bridges.values().map(|rules| &rules.policy).collect();
    let operator = Operator { store: &*world.store, bridges: &policies, now: second(2000) };
    let id = IntentId { mapping: mapping(&world, DEFENDER).id, number: 7 };
    for (reason, changes) in [operator.retry(id).unwrap(), operator.discard(id).unwrap()] {
        assert!(format!("{changes:?}").contains(reason) && reason.starts_with("an operator"), "{reason}");
    }
}
