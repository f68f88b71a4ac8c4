//! The connector against the emulator, over real HTTP.

use serde_json::Value;
use url::Url;

use super::tests::{name, settings_at};
use super::write::UNTITLED;
use super::*;
use crate::connectors::testing::http;
use crate::emulator::{
    Api, Clock, Emulator, EmulatorOptions, Fault, FaultKind, IncidentSeed, Malformed, Missing, Oddity,
    Settings, TENANT, When,
};
use crate::http::secret::SecretRef;
use crate::model::{Field, Native, RecordId};

struct Rig {
    emulator: Emulator,
    sentinel: Sentinel,
    id: String,
}

/// One incident that mirrors one in Defender, on a clock that stands still.
fn rig() -> Rig {
    rig_titled("Phishing")
}

fn rig_titled(title: &str) -> Rig {
    let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
    let options = EmulatorOptions { clock, ..EmulatorOptions::default() };
    let emulator = Emulator::start(options.clone()).unwrap();
    let secret = SecretRef::Inline(crate::emulator::CLIENT_SECRET.to_owned().into());
    let settings = SentinelSettings {
        tenant_id: TENANT.to_owned(),
        subscription_id: options.subscription_id,
        resource_group: options.resource_group,
        workspace: options.workspace,
        credential: Credential::ClientSecret { client_id: crate::emulator::CLIENT_ID.to_owned(), secret },
        authority_url: Url::parse(&emulator.login_url()).unwrap(),
        scope: "https://management.azure.com/.default".to_owned(),
        budget_factor: 100.0,
        ..settings_at(&Url::parse(&emulator.arm_url()).unwrap())
    };
    let sentinel = Sentinel::new(&settings, &http(), None).unwrap();
    let (_, id) = emulator.add_linked(&IncidentSeed::new(title, "high", 1));
    Rig { emulator, sentinel, id }
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

fn patch(fields: &[(Field, Native)]) -> Patch {
    Patch { native: fields.iter().cloned().collect(), closing_comment: Some("done".to_owned()) }
}

/// A close with a new owner and title.
fn close() -> Patch {
    patch(&[
        (Field::Status, text("Closed")),
        (Field::Verdict, text("TruePositive/SuspiciousActivity")),
        (Field::Owner, text("ana@example.org")),
        (Field::Title, text("Another")),
    ])
}

impl Rig {
    fn record(&self) -> RecordRef {
        RecordRef::incident(&name(), RecordId::new(self.id.clone()).unwrap())
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.emulator.settings();
        change(&mut settings);
        self.emulator.set_settings(settings);
    }

    async fn list(&self) -> Result<Page, CallError> {
        self.sentinel.list(RecordKind::Incident, "2026-11-01T00:00:00Z".parse().unwrap(), None).await
    }

    async fn read(&self) -> Result<Snapshot, CallError> {
        self.sentinel.read(&self.record(), Depth::Comments).await
    }

    fn state(&self, name: &str) -> Value {
        self.emulator.sentinel_incident(&self.id).unwrap()["properties"][name].clone()
    }

    fn puts(&self) -> u64 {
        self.emulator.calls().get("sentinel/put-incident").copied().unwrap_or(0)
    }
}

#[tokio::test]
async fn an_incident_is_gone_by_words_about_it_and_by_nothing_about_what_it_lies_in() {
    let rig = rig();
    rig.emulator
        .add_fault(Fault::new(FaultKind::Html { status: 404 }).on_api(Api::Sentinel).when(When::Always));
    let page = rig.read().await.unwrap_err();
    assert!(matches!(page, CallError::NotFound { .. }), "{page}");
    assert!(matches!(rig.sentinel.find(&rig.record(), Depth::Record).await, Err(CallError::NotFound { .. })));
    rig.emulator.clear_faults();
    for missing in [Missing::ResourceGroup, Missing::Workspace] {
        rig.set(|settings| settings.sentinel_missing = missing);
        let error = rig.read().await.unwrap_err();
        assert!(matches!(error, CallError::NotFound { .. }), "{missing:?}: {error}");
        let find = rig.sentinel.find(&rig.record(), Depth::Record).await;
        assert!(
            matches!(find, Err(CallError::NotFound { .. })),
            "{missing:?}: it is not known that there is none"
        );
    }
    rig.set(|settings| settings.sentinel_missing = Missing::Nothing);
    rig.emulator.forget_sentinel(&rig.id);
    let gone = rig.read().await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }), "{gone}");
    assert!(rig.sentinel.find(&rig.record(), Depth::Record).await.unwrap().is_none());
}

/// A way of not being served, and the setting that switches it on.
type Mode = (&'static str, fn(&mut Settings));

#[tokio::test]
async fn whoever_is_not_served_is_denied_on_every_operation_and_served_again_without_a_word() {
    let rig = rig();
    let current = rig.read().await.unwrap();
    let modes: [Mode; 5] = [
        ("anonymous", |settings| settings.sentinel_anonymous = true),
        ("role lost", |settings| settings.sentinel_role_lost = true),
        ("directory moved", |settings| settings.sentinel_directory_moved = true),
        ("subscription hidden", |settings| settings.sentinel_missing = Missing::Subscription),
        ("log-in page", |settings| settings.sentinel_odd = Oddity::LogInPage),
    ];
    for (mode, change) in modes {
        rig.set(change);
        let denied = |result: Option<CallError>, what: &str| {
            let error = result.unwrap_or_else(|| panic!("{mode}: {what} was answered"));
            assert!(matches!(error, CallError::Denied { .. }), "{mode}: {what}: {error}");
        };
        denied(rig.list().await.err(), "list");
        denied(rig.read().await.err(), "read");
        denied(rig.sentinel.find(&rig.record(), Depth::Record).await.err(), "find");
        denied(rig.sentinel.brief(&rig.record()).await.err(), "brief");
        denied(rig.sentinel.update(&current, &close()).await.err(), "update");
        denied(rig.sentinel.comment(&current, &CommentKey::from_id("k"), "text").await.err(), "comment");
        assert_eq!(rig.state("status"), "New", "{mode}");
        rig.set(|settings| *settings = Settings::default());
        assert!(rig.read().await.is_ok() && rig.list().await.is_ok(), "{mode}");
    }
}

#[tokio::test]
async fn a_success_that_is_none_concludes_nothing_and_moves_no_cursor() {
    let rig = rig();
    for odd in [Oddity::ErrorBesideValue, Oddity::ThrottledBatch, Oddity::Elsewhere] {
        let current = rig.read().await.unwrap();
        rig.set(|settings| settings.sentinel_odd = odd);
        for error in [rig.list().await.unwrap_err(), rig.read().await.unwrap_err()] {
            assert!(
                matches!(error, CallError::Unknown { .. } | CallError::Malformed { .. }),
                "{odd:?}: {error}"
            );
        }
        let written = rig.sentinel.update(&current, &close()).await.unwrap_err();
        assert!(matches!(written, CallError::Unknown { .. }), "{odd:?}: {written}");
        let comment = rig.sentinel.comment(&current, &CommentKey::from_id("k"), "text").await.unwrap_err();
        assert!(matches!(comment, CallError::Unknown { .. }), "{odd:?}: {comment}");
        rig.set(|settings| settings.sentinel_odd = Oddity::None);
    }
    for odd in [Oddity::LinkRepeats, Oddity::LinkElsewhere] {
        rig.set(|settings| settings.sentinel_odd = odd);
        let error = rig.list().await.unwrap_err();
        assert!(matches!(error, CallError::Malformed { .. }), "{odd:?}: {error}");
    }
    rig.set(|settings| settings.sentinel_odd = Oddity::None);
    for how in [Malformed::ErrorBody, Malformed::EmptyBody, Malformed::OtherRecord, Malformed::NotAnObject] {
        let fault = || Fault::new(FaultKind::Malformed { how }).on_api(Api::Sentinel);
        let current = rig.read().await.unwrap();
        rig.emulator.add_fault(fault());
        let read = rig.read().await.unwrap_err();
        assert!(matches!(read, CallError::Unknown { .. } | CallError::Malformed { .. }), "{how:?}: {read}");
        rig.emulator.add_fault(fault());
        let written = rig.sentinel.update(&current, &close()).await.unwrap_err();
        assert!(matches!(written, CallError::Unknown { .. }), "{how:?}: {written}");
    }
}

#[tokio::test]
async fn a_blank_title_of_a_twin_does_not_hold_up_its_close() {
    let rig = rig_titled(" \t ");
    let current = rig.read().await.unwrap();
    assert!(!current.native.contains_key(&Field::Title), "a blank title says nothing");
    let outcome = patch(&[(Field::Status, text("Closed")), (Field::Verdict, text("Undetermined"))]);
    let written = rig.sentinel.update(&current, &outcome).await.unwrap();
    assert_eq!((rig.state("status"), rig.puts()), ("Closed".into(), 1));
    assert_eq!(rig.state("title"), UNTITLED);
    assert!(
        !written.snapshot.unwrap().native.contains_key(&Field::Title),
        "what stands for it says nothing either"
    );
    // Whoever names it later is heard.
    let named = patch(&[(Field::Title, text("Phishing"))]);
    rig.sentinel.update(&rig.read().await.unwrap(), &named).await.unwrap();
    assert_eq!(rig.read().await.unwrap().native[&Field::Title], text("Phishing"));
}

#[tokio::test]
async fn a_field_that_the_service_names_goes_back_to_what_it_was_and_the_close_arrives() {
    let rig = rig();
    rig.set(|settings| settings.sentinel_refuses = vec!["title".to_owned()]);
    let current = rig.read().await.unwrap();
    let written = rig.sentinel.update(&current, &close()).await.unwrap();
    let declined: Vec<_> = written.declined.iter().map(|declined| declined.field).collect();
    assert_eq!(declined, [Field::Title]);
    assert!(written.declined[0].reason.contains("'title'"), "{:?}", written.declined);
    assert_eq!(
        (rig.state("status"), rig.state("title"), rig.puts()),
        ("Closed".into(), "Phishing".into(), 2)
    );
    assert_eq!(rig.state("owner")["userPrincipalName"], "ana@example.org");
}

#[tokio::test]
async fn a_refusal_that_names_nothing_lets_the_close_go_first_and_alone() {
    let rig = rig();
    rig.set(|settings| {
        settings.sentinel_refuses = vec!["owner".to_owned()];
        settings.sentinel_names_refused = false;
    });
    let current = rig.read().await.unwrap();
    let written = rig.sentinel.update(&current, &close()).await.unwrap();
    assert!(written.declined.is_empty(), "nobody knows which it was: {:?}", written.declined);
    assert_eq!(
        (rig.state("status"), rig.state("title"), rig.puts()),
        ("Closed".into(), "Phishing".into(), 2)
    );
    assert_eq!(rig.state("classificationComment"), "done");
    let rest = patch(&[(Field::Owner, text("ana@example.org"))]);
    let refused = rig.sentinel.update(&rig.read().await.unwrap(), &rest).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "{refused}");
    rig.set(|settings| settings.sentinel_refuses = vec!["status".to_owned()]);
    let reopen = patch(&[(Field::Status, text("Active")), (Field::Title, text("Another"))]);
    let refused = rig.sentinel.update(&rig.read().await.unwrap(), &reopen).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "a status is never left out: {refused}");
}
