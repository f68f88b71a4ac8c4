//! Which mapping a record belongs to, and which incidents a bridge takes up.

use super::decide_tests::{alert, defender, sentinel, text};
use super::testing::rules;
use super::*;
use crate::model::{Field, Lifecycle, MappingId, RecordRef, Severity, Snapshot, SystemName};

/// Where it goes while nothing is known.
fn routed(policy: &Policy, seen: &Snapshot) -> Route {
    route(policy, seen, |_| Ok::<_, ()>(None)).unwrap()
}

fn reason(policy: &Policy, seen: &Snapshot) -> &'static str {
    match routed(policy, seen) {
        Route::Ignored(reason) => reason,
        Route::New(_) => "",
        Route::Known(id) => panic!("{id}"),
    }
}

#[test]
fn whichever_of_a_linked_pair_is_met_first_the_mapping_has_the_same_name() {
    let policy = rules().policy;
    let mut pair = sentinel(0, "New", None);
    assert_eq!(routed(&policy, &pair), routed(&policy, &defender(0, "active", None)));
    pair.links = vec!["defender/alert/a".parse().unwrap()];
    let own = MappingId::derive(&policy.bridge, &pair.record);
    assert_eq!(routed(&policy, &pair), Route::New(own), "an alert names no mapping");
    pair.links.push("defender/incident/1".parse().unwrap());
    assert_eq!(routed(&policy, &pair), routed(&policy, &defender(0, "active", None)));
}

#[test]
fn a_record_goes_where_it_what_it_names_or_what_was_created_for_it_is_known() {
    let mut policy = rules().policy;
    let seen = sentinel(0, "New", None);
    let known = |name: String| {
        move |record: &RecordRef| Ok::<_, ()>((record.to_string() == name).then_some(MappingId(7)))
    };
    for name in [&seen.record, &seen.links[0]] {
        assert_eq!(route(&policy, &seen, known(name.to_string())), Ok(Route::Known(MappingId(7))));
    }
    policy.create_in.insert(SystemName::new("sentinel").unwrap());
    let seen = defender(0, "active", None);
    let id = MappingId::derive(&policy.bridge, &seen.record);
    let created = derived_record(id, &SystemName::new("sentinel").unwrap(), 0, &policy);
    assert_eq!(route(&policy, &seen, known(created.to_string())), Ok(Route::Known(MappingId(7))));
    let failing = |_: &RecordRef| Err::<Option<MappingId>, _>("no store");
    assert_eq!(route(&policy, &seen, failing), Err("no store"));
}

#[test]
fn an_alert_follows_its_incident_and_begins_no_mapping() {
    let policy = rules().policy;
    let mut seen = alert("a", 0, "new");
    assert_eq!(reason(&policy, &seen), "its incident is not mapped");
    let parent: RecordRef = "defender/incident/1".parse().unwrap();
    seen.parent = Some(parent.clone());
    assert_eq!(reason(&policy, &seen), "its incident is not mapped");
    let known = |record: &RecordRef| Ok::<_, ()>((*record == parent).then_some(MappingId(7)));
    assert_eq!(route(&policy, &seen, known), Ok(Route::Known(MappingId(7))));
}

#[test]
fn a_bridge_takes_up_what_is_there_and_was_changed_since_it_began() {
    let mut policy = rules().policy;
    let seen = defender(0, "active", None);
    policy.since = seen.modified;
    assert_eq!(reason(&policy, &seen), "");
    assert!(reason(&policy, &defender(-1, "active", None)).contains("`since`"));
    assert_eq!(reason(&policy, &defender(1, "active", None)), "");
    for lifecycle in [Lifecycle::Gone, Lifecycle::Redirected { to: None }] {
        assert!(reason(&policy, &Snapshot { lifecycle, ..seen.clone() }).contains("merged away or is gone"));
    }
}

#[test]
fn a_bridge_takes_up_what_is_severe_enough_or_cannot_be_judged() {
    let mut policy = rules().policy;
    policy.filter.severity_at_least = Some(Severity::Medium);
    for (severity, taken) in
        [("informational", false), ("low", false), ("medium", true), ("high", true), ("odd", true)]
    {
        let mut seen = defender(0, "active", None);
        seen.native.insert(Field::Severity, text(severity));
        assert_eq!(reason(&policy, &seen).is_empty(), taken, "{severity}");
    }
    let mut silent = defender(0, "active", None);
    silent.native.remove(&Field::Severity);
    assert_eq!(reason(&policy, &silent), "");
}

#[test]
fn a_bridge_takes_up_incidents_of_its_products_or_of_none_that_is_named() {
    let mut policy = rules().policy;
    let of = |products: &[&str]| {
        let mut seen = defender(0, "active", None);
        seen.facts.products = products.iter().map(|product| (*product).to_owned()).collect();
        seen
    };
    assert_eq!(reason(&policy, &of(&["Microsoft Sentinel"])), "", "a bridge without a filter takes all");
    policy.filter.products.insert("Microsoft Defender for Endpoint".to_owned());
    assert_eq!(reason(&policy, &of(&[])), "");
    assert_eq!(reason(&policy, &of(&["Other", "MICROSOFT DEFENDER FOR ENDPOINT"])), "");
    assert!(reason(&policy, &of(&["Microsoft Sentinel"])).contains("products"));
}
