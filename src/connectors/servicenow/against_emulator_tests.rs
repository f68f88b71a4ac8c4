//! The connector against the emulated instance, over real HTTP: set-up, look-ups, creation, lists.

use serde_json::{Value, json};

use super::*;
use crate::connectors::testing::http;
use crate::emulator::{Api, Clock, Emulator, EmulatorOptions, Fault, FaultKind, System, When};
use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::{Field, Native, RecordId};

pub(super) const ANA: &str = "ana@example.org";

pub(super) struct Rig {
    pub(super) emulator: Emulator,
    pub(super) connector: ServiceNow,
}

fn secret() -> SecretRef {
    SecretRef::Inline("emulator-secret".into())
}

fn settings(emulator: &Emulator) -> ServiceNowSettings {
    let system = TicketSystem {
        name: SystemName::new("tickets").unwrap(),
        url: Url::parse(&emulator.ticket_url(System::ServiceNow)).unwrap(),
        login: Login::Basic { username: "lockstep".to_owned(), password: secret() },
        settle: ServiceNowSettings::DEFAULT_SETTLE,
        overlap: ServiceNowSettings::DEFAULT_OVERLAP,
        budget_factor: 1.0,
        comments: super::super::Audience::Internal,
        hook: None,
    };
    ServiceNowSettings {
        system,
        table: Table::Incident,
        key_field: None,
        caller: None,
        assignment_group: None,
        create_fields: BTreeMap::new(),
        close_fields: BTreeMap::new(),
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut ServiceNowSettings)) -> Self {
        let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
        let emulator = Emulator::start(EmulatorOptions { clock, ..EmulatorOptions::default() }).unwrap();
        let mut settings = settings(&emulator);
        change(&mut settings);
        let connector = ServiceNow::new(&settings, &http(), None).unwrap();
        Self { emulator, connector }
    }

    pub(super) fn set(&self, settings: &Value) {
        self.emulator.set_ticketing(System::ServiceNow, settings).unwrap();
    }

    pub(super) fn human(&self, id: &str, edit: &Value) {
        self.emulator.human_ticket(System::ServiceNow, id, ANA, edit).unwrap();
    }

    pub(super) fn opened(&self, edit: &Value) -> String {
        self.emulator.open_ticket(System::ServiceNow, ANA, edit).unwrap()
    }

    pub(super) fn shown(&self, id: &str) -> Value {
        self.emulator.ticket(System::ServiceNow, id).unwrap()
    }

    pub(super) fn fault(&self, operation: &str, kind: FaultKind) {
        self.emulator.add_fault(Fault::new(kind).on(Api::ServiceNow, operation));
    }

    /// Effective writes of lockstep.
    pub(super) fn writes(&self) -> usize {
        self.emulator.ledger().iter().filter(|e| e.actor == "lockstep" && e.is_effective()).count()
    }

    pub(super) fn tickets(&self) -> usize {
        self.emulator.tickets(System::ServiceNow).len()
    }

    pub(super) async fn create(&self, n: u32) -> Result<Snapshot, CallError> {
        Ok(self.connector.create(&planned(n), &opening()).await?.snapshot.unwrap())
    }

    pub(super) async fn update(
        &self,
        id: &RecordRef,
        fields: &[(Field, &str)],
        note: Option<&str>,
    ) -> Result<Written, CallError> {
        let current = self.connector.read(id, Depth::Record).await?;
        let native = fields.iter().map(|(field, text)| (*field, Native::text(Some(text)))).collect();
        let patch = Patch { native, closing_comment: note.map(str::to_owned) };
        self.connector.update(&current, &patch).await
    }

    pub(super) async fn list(&self, since: &str) -> Vec<Snapshot> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let page = self
                .connector
                .list(RecordKind::Ticket, since.parse().unwrap(), token.as_ref())
                .await
                .unwrap();
            assert_eq!(page.malformed, []);
            assert_eq!(page.server_time.unwrap().as_second(), self.emulator.now().as_second());
            all.extend(page.snapshots);
            token = page.next;
            if token.is_none() {
                return all;
            }
        }
    }
}

fn key(n: u32) -> String {
    format!("lockstep-{n:032x}")
}

pub(super) fn planned(n: u32) -> RecordRef {
    RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new(key(n)).unwrap())
}

fn record(id: &str) -> RecordRef {
    RecordRef::ticket(&SystemName::new("tickets").unwrap(), RecordId::new(id).unwrap())
}

pub(super) fn opening() -> Opening {
    let native = [
        (Field::Title, Native::text(Some("Suspicious PowerShell"))),
        (Field::Severity, Native::text(Some("2/3"))),
        (Field::Owner, Native::text(Some(ANA))),
    ];
    let patch = Patch { native: native.into(), closing_comment: None };
    Opening { patch, description: "What happened:\n[code]<img src=x>[/code] & more".to_owned(), origin: None }
}

pub(super) fn text(snapshot: &Snapshot, field: Field) -> String {
    snapshot.native[&field].to_string()
}

#[tokio::test]
async fn a_ticket_is_created_once_and_found_by_its_key() {
    let rig = Rig::with(|s| {
        s.caller = Some("soc@example.org".to_owned());
        s.assignment_group = Some("SOC".to_owned());
        s.create_fields = BTreeMap::from([("category".to_owned(), "security".to_owned())]);
    });
    assert_eq!(rig.connector.find(&planned(1), Depth::Record).await.unwrap(), None);
    let made = rig.create(1).await.unwrap();
    assert_eq!(made.planned_as, Some(planned(1)));
    assert_eq!(text(&made, Field::Severity), "2/3");
    assert_eq!(text(&made, Field::Owner), ANA);
    assert_eq!(text(&made, Field::Status), "1");
    assert!(
        made.facts.created.is_some() && made.facts.url.as_deref().unwrap().contains("incident.do?sys_id=")
    );
    let found = rig.connector.find(&planned(1), Depth::Comments).await.unwrap().unwrap();
    assert_eq!((found.record.clone(), found.native.clone()), (made.record.clone(), made.native));
    assert_eq!(found.comments, Comments::Listed(vec![]));
    let shown = rig.shown(made.record.id.as_str());
    assert_eq!(shown["common"]["severity"], "low");
    assert_eq!(shown["category"], "security");
    assert!(!shown["caller_id"].as_str().unwrap().is_empty() && shown["assignment_group"] != "");
    assert!(!shown["description"].as_str().unwrap().contains("[code]"));
    assert_eq!((rig.writes(), rig.tickets()), (1, 1));
}

#[tokio::test]
async fn a_lost_answer_is_found_and_never_created_again() {
    let rig = Rig::new();
    rig.fault("create-ticket", FaultKind::DropAfter);
    assert!(matches!(rig.create(1).await, Err(CallError::Unknown { .. })));
    let found = rig.connector.find(&planned(1), Depth::Record).await.unwrap().unwrap();
    assert_eq!(found.planned_as, Some(planned(1)));
    assert_eq!(rig.tickets(), 1);
}

#[tokio::test]
async fn a_request_that_is_cut_off_arrives_within_the_settle_time() {
    let rig = Rig::new();
    rig.set(&json!({"late_writes": 1}));
    assert!(matches!(rig.create(1).await, Err(CallError::Unknown { .. })));
    assert_eq!(rig.connector.find(&planned(1), Depth::Record).await.unwrap(), None, "not yet");
    rig.emulator.advance(rig.connector.settle_time().as_secs_f64());
    assert!(rig.connector.find(&planned(1), Depth::Record).await.unwrap().is_some());
}

#[tokio::test]
async fn a_unique_index_leads_to_the_ticket_that_is_there() {
    let rig = Rig::with(|s| s.key_field = Some("u_lockstep_key".to_owned()));
    rig.set(&json!({"custom_fields": ["u_lockstep_key"], "unique_field": "u_lockstep_key"}));
    let first = rig.create(1).await.unwrap();
    let second = rig.create(1).await.unwrap();
    assert_eq!(first.record, second.record);
    assert_eq!(rig.tickets(), 1);
}

#[tokio::test]
async fn of_two_tickets_with_a_key_the_oldest_is_it_and_both_are_listed() {
    let rig = Rig::new();
    let first = rig.create(1).await.unwrap();
    rig.emulator.advance(5.0);
    rig.opened(&json!({"title": "copy", "key": key(1)}));
    assert_eq!(rig.connector.find(&planned(1), Depth::Record).await.unwrap().unwrap().record, first.record);
    let listed = rig.list("2026-11-01T00:00:00Z").await;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|read| read.planned_as == Some(planned(1)) && read.facts.created.is_some()));
}

/// F1 and the dropped condition: a key field that does not exist would match every ticket.
#[tokio::test]
async fn a_look_up_whose_condition_is_dropped_is_an_error_and_creates_nothing() {
    for strict in [false, true] {
        let rig = Rig::with(|s| s.key_field = Some("u_mistyped".to_owned()));
        rig.set(&json!({"strict_queries": strict}));
        rig.opened(&json!({"title": "printer"}));
        let error = rig.create(1).await.err().unwrap();
        assert!(matches!(error, CallError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("u_mistyped"), "{error}");
        if !strict {
            let error = rig.connector.find(&planned(1), Depth::Record).await.err().unwrap().to_string();
            assert!(error.contains("u_mistyped"), "{error}");
            let listed =
                rig.connector.list(RecordKind::Ticket, "2026-11-01T00:00:00Z".parse().unwrap(), None).await;
            assert!(listed.is_err());
        }
        assert_eq!(rig.tickets(), 1);
    }
    let rig = Rig::new();
    for bad in ["x", "lockstep-", "lockstep-0123456789^NQactive=true"] {
        assert!(rig.connector.find(&record(bad), Depth::Record).await.is_err(), "{bad}");
    }
    assert_eq!(rig.emulator.calls().get("servicenow/find-ticket"), None, "nothing was asked");
}

#[tokio::test]
async fn a_hidden_ticket_with_the_key_stops_the_creation() {
    let rig = Rig::new();
    rig.opened(&json!({"title": "x", "key": key(1), "hidden": true}));
    let error = rig.connector.find(&planned(1), Depth::Record).await.err().unwrap().to_string();
    assert!(error.contains("may not read"), "{error}");
}

#[tokio::test]
async fn a_key_that_does_not_arrive_stops_further_creations_until_it_does() {
    let rig = Rig::new();
    rig.set(&json!({"readonly_fields": ["correlation_id"]}));
    let made = rig.create(1).await.unwrap();
    assert_eq!(made.planned_as, None);
    let error = rig.create(2).await.err().unwrap();
    assert!(
        matches!(error, CallError::Denied { .. }) && error.to_string().contains("correlation_id"),
        "{error}"
    );
    assert_eq!(rig.tickets(), 1);
    rig.set(&json!({"readonly_fields": []}));
    assert_eq!(rig.create(2).await.unwrap().planned_as, Some(planned(2)));
    let first = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(first.planned_as, Some(planned(1)), "mended");
}

#[tokio::test]
async fn lists_lose_nothing_over_ties_and_short_pages() {
    for page_cap in [Value::Null, json!(7)] {
        let rig = Rig::new();
        rig.set(&json!({"page_cap": page_cap}));
        for n in 0..260 {
            rig.opened(&json!({"title": "t", "key": key(n)}));
            rig.opened(&json!({"title": "foreign"}));
            if n % 50 == 0 {
                rig.emulator.advance(1.0);
            }
        }
        let listed = rig.list("2026-11-01T00:00:00Z").await;
        let mut ids: Vec<_> = listed.iter().map(|read| read.record.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), listed.len()), (260, 260));
    }
}

/// What is counted and not shown may be what somebody closed just now.
#[tokio::test]
async fn a_list_that_hides_a_ticket_of_ours_is_none() {
    let rig = Rig::new();
    for n in 0..3 {
        rig.opened(&json!({"title": "t", "key": key(n), "hidden": n == 1}));
    }
    let since = "2026-11-01T00:00:00Z".parse().unwrap();
    let error = rig.connector.list(RecordKind::Ticket, since, None).await.err().unwrap();
    assert!(matches!(error, CallError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("1 of the rows of incident"), "{error}");
    let hidden = rig.emulator.tickets(System::ServiceNow)[1].clone();
    rig.human(&hidden, &json!({"hidden": false}));
    assert_eq!(rig.list("2026-11-01T00:00:00Z").await.len(), 3);
}

#[tokio::test]
async fn an_idle_poll_is_one_call_and_one_with_news_is_two() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.emulator.reset_calls();
    rig.emulator.advance(600.0);
    assert_eq!(rig.list("2026-11-02T08:20:00Z").await, []);
    assert_eq!(rig.emulator.call_log().len(), 1);
    rig.human(made.record.id.as_str(), &json!({"comment": "looking"}));
    let listed = rig.list("2026-11-02T08:20:00Z").await;
    let Comments::Recent(news) = &listed[0].comments else { panic!("{:?}", listed[0].comments) };
    assert_eq!((news.len(), news[0].text.as_str(), news[0].author.as_deref()), (1, "looking", Some(ANA)));
    assert_eq!(rig.emulator.calls()["servicenow/list-tickets"], 2);
    assert_eq!(rig.emulator.calls()["servicenow/list-comments"], 1);
}

#[tokio::test]
async fn a_row_that_shows_late_is_within_the_overlap() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.set(&json!({"commit_lag": 60}));
    rig.emulator.advance(600.0);
    let before = rig.emulator.now();
    rig.human(made.record.id.as_str(), &json!({"severity": "high", "comment": "late"}));
    let since = before - jiff::SignedDuration::try_from(rig.connector.overlap()).unwrap();
    let listed = rig.list(&since.to_string()).await;
    assert_eq!(text(&listed[0], Field::Severity), "1/1");
    assert!(matches!(&listed[0].comments, Comments::Recent(news) if news.len() == 1));
}

#[tokio::test]
async fn a_deleted_ticket_is_not_found() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.human(made.record.id.as_str(), &json!({"delete": true}));
    assert!(matches!(rig.connector.read(&made.record, Depth::Record).await, Err(CallError::Gone { .. })));
    assert_eq!(rig.connector.find(&planned(1), Depth::Record).await.unwrap(), None);
}

#[tokio::test]
async fn oauth_tokens_are_had_and_renewed() {
    let password = Login::OauthPassword {
        client_id: "lockstep".to_owned(),
        secret: secret(),
        username: "lockstep".to_owned(),
        password: secret(),
    };
    let client =
        Login::OauthClientCredentials { client_id: "lockstep".to_owned(), secret: secret(), scope: None };
    for login in [password, client] {
        let rig = Rig::with(|s| s.system.login = login);
        rig.set(&json!({"client_credentials": true}));
        rig.create(1).await.unwrap();
        rig.emulator.add_fault(Fault::new(FaultKind::ExpireToken).on(Api::ServiceNow, "find-ticket"));
        assert!(rig.connector.find(&planned(1), Depth::Record).await.unwrap().is_some());
        assert_eq!(rig.emulator.calls()["servicenow/token"], 2);
    }
}

#[tokio::test]
async fn the_probes_say_what_to_mend() {
    let failing = |probes: Vec<Probe>| -> Vec<String> {
        probes.into_iter().filter_map(|p| p.result.err().map(|e| format!("{}: {e}", p.what))).collect()
    };
    let rig = Rig::with(|s| s.caller = Some("soc@example.org".to_owned()));
    rig.create(1).await.unwrap();
    rig.human(rig.emulator.tickets(System::ServiceNow)[0].as_str(), &json!({"comment": "c"}));
    let probes = rig.connector.probe().await;
    assert!(probes.len() >= 7 && failing(probes.clone()).is_empty(), "{probes:?}");
    rig.set(&json!({"hidden_tables": ["sys_journal_field", "incident"], "codes": "older"}));
    let told = failing(rig.connector.probe().await).join("\n");
    assert!(told.contains("read access to sys_journal_field"), "{told}");
    assert!(told.contains("sn_incident_write"), "{told}");
    let rig = Rig::with(|s| {
        s.caller = Some("stranger@example.org".to_owned());
        s.key_field = Some("u_mistyped".to_owned());
    });
    rig.opened(&json!({"title": "x"}));
    let told = failing(rig.connector.probe().await).join("\n");
    assert!(told.contains("caller: sys_user has nobody") && told.contains("u_mistyped"), "{told}");
    let rig = Rig::with(|s| {
        s.system.login =
            Login::Basic { username: "lockstep".to_owned(), password: SecretRef::Inline("wrong".into()) };
    });
    let told = failing(rig.connector.probe().await).join("\n");
    assert!(told.contains("Required to provide Auth information"), "{told}");
}

#[tokio::test]
async fn a_stale_read_never_hides_a_ticket_that_was_found() {
    let rig = Rig::new();
    let made = rig.create(1).await.unwrap();
    rig.update(&made.record, &[(Field::Severity, "1/1")], None).await.unwrap();
    rig.emulator.add_fault(Fault::new(FaultKind::StaleRead).on_api(Api::ServiceNow).when(When::Always));
    let stale = rig.connector.read(&made.record, Depth::Record).await.unwrap();
    assert_eq!(text(&stale, Field::Severity), "2/3");
    assert!(
        stale.modified <= made.modified
            && rig.connector.find(&planned(1), Depth::Record).await.unwrap().is_some()
    );
}

#[tokio::test]
async fn a_rate_rule_stops_all_calls_for_as_long_as_it_says() {
    let rig = Rig::new();
    rig.set(&json!({"rate_per_hour": 0}));
    let first = rig.connector.find(&planned(1), Depth::Record).await.err().unwrap();
    assert!(matches!(first, CallError::Throttled { .. }), "{first}");
    assert!(first.retry_after().unwrap() > Duration::from_mins(30), "{first}");
    let second = rig.connector.find(&planned(1), Depth::Record).await.err().unwrap();
    assert!(matches!(second, CallError::NotSent { .. }), "{second}");
    assert_eq!(rig.emulator.call_log().len(), 1);
}
