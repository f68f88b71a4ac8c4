//! The delivery protocol, explored to its end: two sides, a few edits, and every crash and loss at every step.
//!
//! The steps are the real ones (`Lane::step`); the services, the disk and the time around them are small enough that
//! every state within the bounds is visited. `LOCKSTEP_MODEL_FAULTS` and `LOCKSTEP_MODEL_CRASHES` widen the bounds.

#![allow(clippy::unwrap_used)]

mod acts;
mod bridge;
mod checker;
mod faults;
mod lanes;
mod messages;
mod properties;
mod protocol;
mod services;
mod worker;
mod world;

use std::time::Instant;

use checker::{Explored, RESTS, explore};
use faults::Planted;
use properties::{AGREE, DURABLE, ONCE, READ_BETWEEN, UNSEEN, Windows};
use protocol::Protocol;
use world::{CLOSED, Flavour, Item, Scenario, What};

fn number(name: &str, default: u8) -> u8 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const fn status(side: usize, to: u8) -> Item {
    Item { side, what: What::Set(0, to) }
}

const fn owner(side: usize, to: u8) -> Item {
    Item { side, what: What::Set(1, to) }
}

const fn comments(side: usize) -> Item {
    Item { side, what: What::Comment }
}

/// Two edits with one fault and one crash make as many states as one edit with two faults.
fn scenario(other: Flavour, created: bool, menu: &[Item]) -> Scenario {
    let faults = if menu.len() > 1 { 1 } else { 2 };
    Scenario {
        flavours: [Flavour::Defender, other],
        menu: menu.to_vec(),
        created,
        faults: number("LOCKSTEP_MODEL_FAULTS", faults),
        crashes: number("LOCKSTEP_MODEL_CRASHES", 1),
        slow: false,
        planted: None,
    }
}

fn linked(menu: &[Item]) -> Scenario {
    scenario(Flavour::Sentinel, false, menu)
}

/// Explores a scenario, and prints what was proven. Gives back how often the stated windows were entered.
fn prove(name: &str, scenario: &Scenario) -> Windows {
    let begun = Instant::now();
    let mut model = Protocol::new(scenario.clone());
    let explored = explore(&mut model).unwrap_or_else(|counterexample| panic!("{name}: {counterexample:?}"));
    let ((lanes, steps), seconds) = (model.lanes.counts(), begun.elapsed().as_secs_f64());
    let (Explored { states, transitions, depth, at_rest, always_rests }, windows) = (explored, model.windows);
    let edits: Vec<String> = scenario.menu.iter().map(ToString::to_string).collect();
    println!("{name}: {} faults, {} crashes; {}", scenario.faults, scenario.crashes, edits.join("; "));
    println!(
        "  {states} states, {transitions} transitions, depth {depth}, {at_rest} at rest; {seconds:.1} s"
    );
    println!("  {lanes} lanes, {steps} different steps of the real engine");
    for property in properties::ALL.iter().chain([&RESTS]) {
        println!("  proven within these bounds: {property}");
    }
    let ways = if always_rests { "every way leads" } else { "some way always leads" };
    println!("  without further faults {ways} to rest");
    println!("  stated windows: {} unguarded, {} set back", windows.unguarded, windows.set_back);
    windows
}

#[test]
fn a_close() {
    prove("a close", &linked(&[status(0, CLOSED)]));
}

#[test]
fn two_people_close() {
    prove("two closes", &linked(&[status(0, CLOSED), status(1, CLOSED)]));
}

#[test]
fn two_people_set_one_field() {
    prove("a conflict", &linked(&[owner(0, 1), owner(1, 2)]));
}

#[test]
fn a_close_and_a_reopening() {
    let windows = prove("a close and a reopening", &linked(&[status(0, CLOSED), status(1, 0)]));
    assert!(windows.set_back > 0, "the window is part of what is explored");
}

#[test]
fn two_people_set_two_fields() {
    prove("two fields", &linked(&[status(1, CLOSED), owner(0, 1)]));
}

#[test]
fn comments_on_both_sides() {
    prove("comments", &linked(&[comments(0), comments(1)]));
}

#[test]
fn a_comment_and_reads_that_lag_longer_than_they_should() {
    let slow = Scenario { slow: true, ..linked(&[comments(1)]) };
    prove("a comment, and reads that lag for up to twice `settle`", &slow);
}

#[test]
fn an_incident_is_created() {
    prove("an incident is created", &scenario(Flavour::Sentinel, true, &[owner(0, 1)]));
}

#[test]
fn a_ticket_is_opened_for_an_incident_that_closes() {
    prove("a ticket and a close", &scenario(Flavour::Ticket, true, &[status(0, CLOSED)]));
}

#[test]
fn a_ticket_is_opened_for_an_incident_with_a_comment() {
    prove("a ticket and a comment", &scenario(Flavour::Ticket, true, &[comments(0)]));
}

#[test]
fn two_people_set_one_field_and_no_service_guards_it() {
    let windows = prove("no guard", &scenario(Flavour::Ticket, false, &[owner(0, 1), owner(1, 2)]));
    assert!(windows.unguarded > 0, "the window is part of what is explored");
}

/// Explores with a planted fault, which must break this property; prints one of the shortest ways there.
fn finds(planted: Planted, property: &str, scenario: Scenario) {
    let scenario = Scenario { planted: Some(planted), ..scenario };
    let found = explore(&mut Protocol::new(scenario)).err();
    let found = found.unwrap_or_else(|| panic!("{planted:?} was not found"));
    println!("{planted:?} is found; {found:?}");
    assert_eq!(found.broken.property, property, "{planted:?}");
}

#[test]
fn planted_faults_of_the_store_are_found() {
    let close = || linked(&[status(0, CLOSED)]);
    finds(Planted::SendBeforeCommit, DURABLE, close());
    finds(Planted::AckBeforeSync, READ_BETWEEN, close());
    finds(Planted::TornCommit, AGREE, close());
    finds(Planted::InboxRemovedFirst, AGREE, close());
    finds(Planted::CursorFirst, AGREE, close());
}

#[test]
fn planted_faults_of_delivery_are_found() {
    let (close, comment) = (|| linked(&[status(0, CLOSED)]), || linked(&[comments(1)]));
    let ticket = || scenario(Flavour::Ticket, true, &[comments(0)]);
    finds(Planted::ResendWithoutRead, READ_BETWEEN, close());
    finds(Planted::OneReadBack, ONCE, Scenario { slow: true, ..comment() });
    finds(Planted::NoSettle, READ_BETWEEN, comment());
    finds(Planted::ForgetWhenSent, AGREE, close());
    finds(Planted::CreateWithoutLookUp, ONCE, ticket());
}

#[test]
fn planted_faults_of_merging_are_found() {
    finds(Planted::BaseNotUpdated, ONCE, linked(&[status(0, CLOSED), status(1, 0)]));
    finds(Planted::NoGuard, UNSEEN, linked(&[owner(0, 1), owner(1, 2)]));
}
