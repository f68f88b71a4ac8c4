//! The connector against the emulator, over real HTTP.

use serde_json::Value;
use url::Url;

use super::tests::{name, settings_at};
use super::*;
use crate::connectors::testing::http;
use crate::emulator::{
    Api, Clock, Emulator, EmulatorOptions, Fault, FaultKind, IncidentSeed, LoginRefusal, Malformed, Oddity,
    Settings, TENANT, When,
};
use crate::http::secret::SecretRef;
use crate::model::{Field, Native, RecordId};

struct Rig {
    emulator: Emulator,
    defender: Defender,
    id: u64,
}

/// One incident with an alert, on a clock that stands still.
fn rig() -> Rig {
    let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
    let emulator = Emulator::start(EmulatorOptions { clock, ..EmulatorOptions::default() }).unwrap();
    let secret = SecretRef::Inline(crate::emulator::CLIENT_SECRET.to_owned().into());
    let settings = DefenderSettings {
        tenant_id: TENANT.to_owned(),
        credential: Credential::ClientSecret { client_id: crate::emulator::CLIENT_ID.to_owned(), secret },
        authority_url: Url::parse(&emulator.login_url()).unwrap(),
        scope: "https://graph.microsoft.com/.default".to_owned(),
        budget_factor: 100.0,
        ..settings_at(&Url::parse(&emulator.graph_url()).unwrap())
    };
    let defender = Defender::new(&settings, &http(), None).unwrap();
    let id = emulator.add_incident(&IncidentSeed::new("Phishing", "high", 1));
    Rig { emulator, defender, id }
}

fn text(text: &str) -> Native {
    Native::Text(text.to_owned())
}

/// A close with a new owner and title.
fn close() -> Patch {
    let fields = [
        (Field::Status, text("resolved")),
        (Field::Verdict, text("truePositive/phishing")),
        (Field::Owner, text("ana@example.org")),
        (Field::Title, text("Another")),
    ];
    Patch { native: fields.into(), closing_comment: Some("done".to_owned()) }
}

impl Rig {
    fn record(&self) -> RecordRef {
        RecordRef::incident(&name(), RecordId::new(self.id.to_string()).unwrap())
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.emulator.settings();
        change(&mut settings);
        self.emulator.set_settings(settings);
    }

    async fn list(&self) -> Result<Page, CallError> {
        self.defender.list(RecordKind::Incident, "2026-11-01T00:00:00Z".parse().unwrap(), None).await
    }

    async fn read(&self) -> Result<Snapshot, CallError> {
        self.defender.read(&self.record(), Depth::Comments).await
    }

    fn state(&self, name: &str) -> Value {
        self.emulator.defender_incident(self.id).unwrap()[name].clone()
    }

    fn patches(&self) -> u64 {
        self.emulator.calls().get("graph/update-incident").copied().unwrap_or(0)
    }
}

#[tokio::test]
async fn a_record_is_gone_by_graphs_own_word_and_no_page_of_a_gateway() {
    let rig = rig();
    rig.emulator.add_fault(Fault::new(FaultKind::Html { status: 404 }).on_api(Api::Graph).when(When::Always));
    let page = rig.read().await.unwrap_err();
    assert!(matches!(page, CallError::NotFound { .. }), "{page}");
    assert!(matches!(rig.list().await, Err(CallError::NotFound { .. })));
    rig.emulator.clear_faults();
    let current = rig.read().await.unwrap();
    rig.emulator.add_fault(Fault::new(FaultKind::Html { status: 404 }).on_api(Api::Graph));
    let written = rig.defender.update(&current, &close()).await.unwrap_err();
    assert!(matches!(written, CallError::NotFound { .. }), "{written}");
    rig.emulator.forget_defender(rig.id);
    let gone = rig.read().await.unwrap_err();
    assert!(matches!(gone, CallError::Gone { .. }), "{gone}");
}

/// A way of not being served, and the setting that switches it on.
type Mode = (&'static str, fn(&mut Settings));

#[tokio::test]
async fn whoever_is_not_served_is_denied_on_every_operation_and_served_again_without_a_word() {
    let rig = rig();
    let current = rig.read().await.unwrap();
    let modes: [Mode; 5] = [
        ("anonymous", |settings| settings.graph_anonymous = true),
        ("role lost", |settings| settings.graph_role_lost = true),
        ("unprovisioned", |settings| settings.graph_unprovisioned = true),
        ("log-in page", |settings| settings.graph_odd = Oddity::LogInPage),
        ("another tenant", |settings| settings.graph_odd = Oddity::Elsewhere),
    ];
    for (mode, change) in modes {
        rig.set(change);
        let denied = |result: Option<CallError>, what: &str| {
            let error = result.unwrap_or_else(|| panic!("{mode}: {what} was answered"));
            assert!(matches!(error, CallError::Denied { .. }), "{mode}: {what}: {error}");
            error.to_string()
        };
        let said = denied(rig.list().await.err(), "list");
        let mend = match mode {
            "unprovisioned" => "licences",
            "role lost" => "admin consent",
            "another tenant" => "check `tenant_id`",
            _ => "renew the credential",
        };
        assert!(said.contains(mend), "{mode}: {said}");
        denied(rig.read().await.err(), "read");
        denied(rig.defender.brief(&rig.record()).await.err(), "brief");
        if mode != "another tenant" {
            denied(rig.defender.update(&current, &close()).await.err(), "update");
            denied(rig.defender.comment(&current, &CommentKey::from_id("k"), "text").await.err(), "comment");
            assert_eq!(rig.state("status"), "active", "{mode}");
        }
        rig.set(|settings| *settings = Settings::default());
        assert!(rig.read().await.is_ok() && rig.list().await.is_ok(), "{mode}");
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_reason_is_said() {
    for (refusal, code) in [
        (LoginRefusal::SecretExpired, "7000222"),
        (LoginRefusal::AppRemoved, "700016"),
        (LoginRefusal::TenantGone, "90002"),
    ] {
        let rig = rig();
        rig.read().await.unwrap();
        rig.set(|settings| settings.login_refusal = refusal);
        rig.emulator.revoke_tokens();
        let error = rig.read().await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }) && error.to_string().contains(code), "{error}");
    }
}

#[tokio::test]
async fn a_success_that_is_none_concludes_nothing_and_moves_no_cursor() {
    let rig = rig();
    let current = rig.read().await.unwrap();
    for odd in [Oddity::ErrorBesideValue, Oddity::ThrottledBatch] {
        rig.set(|settings| settings.graph_odd = odd);
        for error in [rig.list().await.unwrap_err(), rig.read().await.unwrap_err()] {
            assert!(matches!(error, CallError::Unknown { .. }), "{odd:?}: {error}");
        }
        let written = rig.defender.update(&current, &close()).await.unwrap_err();
        assert!(matches!(written, CallError::Unknown { .. }), "{odd:?}: {written}");
    }
    for odd in [Oddity::LinkRepeats, Oddity::LinkElsewhere] {
        rig.set(|settings| settings.graph_odd = odd);
        let error = rig.list().await.unwrap_err();
        assert!(matches!(error, CallError::Malformed { .. }), "{odd:?}: {error}");
    }
    rig.set(|settings| settings.graph_odd = Oddity::None);
    for how in [Malformed::ErrorBody, Malformed::EmptyBody, Malformed::OtherRecord, Malformed::NotAnObject] {
        let fault = || Fault::new(FaultKind::Malformed { how }).on_api(Api::Graph);
        rig.emulator.add_fault(fault());
        let read = rig.read().await.unwrap_err();
        assert!(matches!(read, CallError::Unknown { .. } | CallError::Malformed { .. }), "{how:?}: {read}");
        rig.emulator.add_fault(fault());
        let written = rig.defender.update(&current, &close()).await.unwrap_err();
        assert!(matches!(written, CallError::Unknown { .. }), "{how:?}: {written}");
    }
}

#[tokio::test]
async fn a_field_that_the_service_names_is_left_out_and_told_and_the_close_arrives() {
    let rig = rig();
    rig.set(|settings| {
        settings.graph_refuses = vec!["displayName".to_owned()];
        settings.graph_names_refused = true;
    });
    let current = rig.read().await.unwrap();
    let written = rig.defender.update(&current, &close()).await.unwrap();
    let declined: Vec<_> = written.declined.iter().map(|declined| declined.field).collect();
    assert_eq!(declined, [Field::Title]);
    assert!(written.declined[0].reason.contains("displayName"), "{:?}", written.declined);
    assert_eq!(rig.patches(), 2);
    assert_eq!((rig.state("status"), rig.state("assignedTo")), ("resolved".into(), "ana@example.org".into()));
    assert_eq!(rig.state("displayName"), "Phishing");
    let alone = Patch { native: [(Field::Title, text("Another"))].into(), closing_comment: None };
    let nothing = rig.defender.update(&rig.read().await.unwrap(), &alone).await.unwrap();
    assert_eq!((nothing.declined.len(), nothing.snapshot.is_some()), (1, true));
}

#[tokio::test]
async fn a_refusal_that_names_nothing_lets_the_close_go_first_and_alone() {
    let rig = rig();
    rig.set(|settings| settings.graph_refuses = vec!["displayName".to_owned()]);
    let current = rig.read().await.unwrap();
    let written = rig.defender.update(&current, &close()).await.unwrap();
    assert!(written.declined.is_empty(), "nobody knows which it was: {:?}", written.declined);
    let native = written.snapshot.unwrap().native;
    assert_eq!(native[&Field::Verdict], text("truePositive/phishing"));
    assert_eq!((rig.state("status"), rig.state("resolvingComment")), ("resolved".into(), "done".into()));
    assert_eq!((rig.state("displayName"), rig.state("assignedTo")), ("Phishing".into(), Value::Null));
    assert_eq!(rig.patches(), 2);
    // What still lacks is a write of its own, and its refusal is final.
    let rest = Patch { native: [(Field::Title, text("Another"))].into(), closing_comment: None };
    let refused = rig.defender.update(&rig.read().await.unwrap(), &rest).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "{refused}");
    rig.set(|settings| settings.graph_refuses = vec!["status".to_owned()]);
    let refused = rig.defender.update(&current, &close()).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused { .. }), "a close is never left out: {refused}");
    assert_eq!(rig.patches(), 7);
}
