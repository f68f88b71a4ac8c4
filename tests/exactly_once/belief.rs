//! What is not proven is not believed, and what one value is refused for costs no close.

use lockstep::emulator::{
    Api, DefenderEdit, EmulatorOptions, Fault, FaultKind, IncidentSeed, Missing, Oddity, SentinelEdit,
    Settings, System, When,
};

use crate::rig::{Pair, Rig};
use crate::support::pause;

const ANA: &str = "ana@example.org";

/// Longer than any settle time of these tests.
const LONG: std::time::Duration = std::time::Duration::from_secs(2);

fn set(rig: &Rig, change: impl FnOnce(&mut Settings)) {
    let mut settings = rig.emulator.settings();
    change(&mut settings);
    rig.emulator.set_settings(settings);
}

fn dead_letters(rig: &Rig) -> usize {
    let listed: serde_json::Value = serde_json::from_str(&rig.get("/api/v1/dead-letters").unwrap()).unwrap();
    listed.as_array().unwrap().len()
}

/// A close on the other side while one side answers so, and for long enough that any second look has been taken.
fn the_close_arrives_after(begin: impl Fn(&Rig), end: impl Fn(&Rig)) {
    let mut rig = Rig::new();
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    begin(&rig);
    rig.emulator
        .human_defender(one.defender, ANA, &DefenderEdit::resolve("truePositive", "phishing"))
        .unwrap();
    let close = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected"));
    rig.emulator.human_sentinel(&two.sentinel, ANA, &close).unwrap();
    pause(LONG);
    end(&rig);
    rig.until("both closes arrive", |rig| {
        rig.sentinel(&one, "status") == "Closed" && rig.defender(&two, "status") == "resolved"
    });
    rig.quiet();
    let (there, here) = (rig.sentinel_writes(&one), rig.defender_writes(&two));
    assert_eq!((there.len(), here.len()), (1, 1), "{there:#?} {here:#?}");
    assert_eq!((rig.defender_writes(&one), rig.sentinel_writes(&two)), (vec![], vec![]));
}

#[test]
fn a_gateways_404_page_is_an_outage_however_long_it_lasts() {
    for api in [Api::Sentinel, Api::Graph] {
        the_close_arrives_after(
            |rig| {
                let page = Fault::new(FaultKind::Html { status: 404 });
                rig.emulator.add_fault(page.on_api(api).when(When::Always));
            },
            |rig| rig.emulator.clear_faults(),
        );
    }
}

#[test]
fn a_404_about_what_an_incident_lies_in_says_nothing_of_the_incident() {
    for missing in [Missing::Workspace, Missing::ResourceGroup] {
        the_close_arrives_after(
            |rig| set(rig, |settings| settings.sentinel_missing = missing),
            |rig| set(rig, |settings| settings.sentinel_missing = Missing::Nothing),
        );
    }
}

#[test]
fn answers_that_claim_success_conclude_nothing() {
    for odd in [Oddity::ErrorBesideValue, Oddity::ThrottledBatch] {
        the_close_arrives_after(
            |rig| set(rig, |settings| (settings.graph_odd, settings.sentinel_odd) = (odd, odd)),
            |rig| {
                set(rig, |settings| {
                    (settings.graph_odd, settings.sentinel_odd) = (Oddity::None, Oddity::None);
                });
            },
        );
    }
}

/// The title of an incident was made blank by an integration, and that of its twin with it.
#[test]
fn a_close_arrives_where_both_titles_are_blank() {
    let mut rig = Rig::new();
    let (defender, sentinel) = rig.emulator.add_linked(&IncidentSeed::new("   ", "high", 1));
    let pair = Pair { defender, sentinel };
    rig.start();
    rig.quiet();
    rig.emulator.human_defender(defender, ANA, &DefenderEdit::resolve("truePositive", "phishing")).unwrap();
    rig.until("the close arrives", |rig| rig.sentinel(&pair, "status") == "Closed");
    rig.quiet();
    assert_eq!((rig.sentinel_writes(&pair).len(), rig.defender_writes(&pair).len()), (1, 0));
    assert_eq!(
        rig.defender(&pair, "displayName"),
        "   ",
        "what stands for a title here is nobody's edit there"
    );
    assert_eq!(dead_letters(&rig), 0);
    // The history says that the title was not carried.
    let told = rig.get(&format!("/api/v1/records/defender/incident/{defender}/explain")).unwrap();
    assert!(told.contains("title"), "{told}");
}

/// Close, owner and title go in one write, and the service refuses it without saying for which of them.
#[test]
fn a_close_arrives_before_what_is_refused_beside_it() {
    let mut rig = Rig::with(EmulatorOptions::default(), "");
    let (one, two) = (rig.pair(), rig.pair());
    rig.start();
    rig.quiet();
    set(&rig, |settings| {
        settings.graph_refuses = vec!["displayName".to_owned()];
        settings.sentinel_refuses = vec!["title".to_owned()];
        settings.sentinel_names_refused = false;
    });
    let mut both = DefenderEdit::resolve("truePositive", "phishing");
    both.display_name = Some("Renamed".to_owned());
    rig.emulator.human_defender(one.defender, ANA, &both).unwrap();
    let mut both = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected"));
    both.title = Some("Renamed".to_owned());
    rig.emulator.human_sentinel(&two.sentinel, ANA, &both).unwrap();
    rig.until("both closes arrive", |rig| {
        rig.sentinel(&one, "status") == "Closed" && rig.defender(&two, "status") == "resolved"
    });
    rig.quiet();
    for (system, id) in
        [(System::Sentinel, one.sentinel.clone()), (System::Defender, two.defender.to_string())]
    {
        assert_eq!(rig.writes(system, &id).len(), 1, "{id}");
    }
    assert_eq!(dead_letters(&rig), 2, "the titles");
}
