//! Whole connectors, answered by a script: every road that a service's answers take. The same script is played for each
//! thing that the engine asks a connector, so that a page of a list is read as a record, too.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use url::Url;

use super::script::Script;
use super::{assert_message, block_on, is_harmless};
use crate::config::Config;
use crate::connectors::{Connector, Depth, Opening, Page, SystemSettings, Written, connect};
use crate::http::secret::SecretRef;
use crate::http::{CallError, Credential};
use crate::model::{
    Classification, Comment, CommentKey, Determination, Field, Native, Patch, RecordKind, RecordRef,
    Severity, Snapshot, Status, SystemName, Value, Verdict,
};
use crate::reconcile::description::{self, Story};
use crate::reconcile::{MarkerKey, copy_name};
use crate::translate::Translation;

/// Pages of one list that are asked for.
const MOST_PAGES: usize = 6;

pub(super) fn defender(input: &[u8]) {
    play(input, "defender/incident/4711");
    play(input, "defender/alert/da1_1");
}

pub(super) fn sentinel(input: &[u8]) {
    play(input, "sentinel/incident/b6c4a0a4-0f5c-4d6e-9e57-1f5a4b1f0c11");
}

pub(super) fn servicenow(input: &[u8]) {
    play(input, "servicenow/ticket/0123456789abcdef0123456789abcdef");
}

pub(super) fn jira(input: &[u8]) {
    play(input, "jira/ticket/10042");
}

pub(super) fn request_tracker(input: &[u8]) {
    play(input, "request-tracker/ticket/7");
}

pub(super) fn thehive(input: &[u8]) {
    play(input, "thehive/ticket/~4096");
}

/// The settings of all systems, as an operator would write them.
pub(super) fn settings() -> impl Iterator<Item = &'static SystemSettings> {
    static ALL: LazyLock<Config> = LazyLock::new(|| {
        let text = include_str!("systems.toml");
        let mut config = Config::parse(Path::new("systems.toml"), text).expect("the file is sound");
        for system in &mut config.systems {
            // Tokens have a target of their own; here the script has the answers of the service alone.
            let basic =
                || Credential::Basic { username: "u".to_owned(), password: SecretRef::Inline("p".into()) };
            match &mut system.settings {
                SystemSettings::Defender(settings) => settings.credential = basic(),
                SystemSettings::Sentinel(settings) => {
                    settings.credential = basic();
                    settings.peer = SystemName::new("defender").ok();
                }
                _ => {}
            }
        }
        config
    });
    ALL.systems.iter().map(|system| &system.settings)
}

/// A connector and what answers it.
struct Stage {
    settings: &'static SystemSettings,
    record: RecordRef,
    input: Vec<u8>,
}

fn play(input: &[u8], record: &str) {
    let record: RecordRef = record.parse().expect("a target names a record");
    let name = record.system.as_str();
    let settings = settings().find(|s| s.table() == name).expect("every target has its system");
    let stage = Stage { settings, record, input: input.to_vec() };
    block_on(async {
        stage.lists().await;
        stage.reads().await;
        stage.writes().await;
        stage.creates().await;
    });
}

impl Stage {
    /// A connector that knows nothing yet, at the beginning of the script.
    fn connector(&self) -> (Arc<dyn Connector>, Script) {
        let home = Url::parse("https://remote.example").expect("the address is sound");
        let script = Script::new(&self.input, &home);
        (connect(self.settings, &script.http(), None).expect("the settings are sound"), script)
    }

    async fn lists(&self) {
        let (connector, script) = self.connector();
        let since = Timestamp::from_second(1_790_000_000).expect("a moment of 2026");
        for kind in connector.collections() {
            script.go_to(0);
            let mut token = None;
            for _ in 0..MOST_PAGES {
                script.go_to(script.position());
                match connector.list(*kind, since, token.as_ref()).await {
                    Ok(page) => {
                        self.check_page(&page);
                        token = page.next;
                    }
                    Err(error) => check_error(&error),
                }
                if token.is_none() {
                    break;
                }
            }
        }
    }

    async fn reads(&self) {
        for depth in [Depth::Record, Depth::Comments, Depth::Links] {
            let (connector, _) = self.connector();
            self.check(&connector.read(&self.record, depth).await);
        }
        let (connector, _) = self.connector();
        match connector.find(&self.planned(), Depth::Comments).await {
            Ok(found) => found.iter().for_each(|snapshot| self.check_snapshot(snapshot)),
            Err(error) => check_error(&error),
        }
        let (connector, _) = self.connector();
        match connector.brief(&self.record).await {
            Ok(brief) => {
                let story = Story { briefs: brief.into_iter().collect(), ..Story::default() };
                let text = description::render(description::DEFAULT, &story);
                assert!(text.chars().count() <= 20_000, "a description of {} characters", text.len());
            }
            Err(error) => check_error(&error),
        }
        let (connector, _) = self.connector();
        for probe in connector.probe().await {
            assert_message(probe.result.as_ref().unwrap_or_else(|error| error));
        }
    }

    /// Reads the record, and writes to it what a service with such answers may be written.
    async fn writes(&self) {
        let (connector, script) = self.connector();
        let Ok(current) = connector.read(&self.record, Depth::Comments).await else { return };
        let (read, note) = (script.position(), self.text());
        for patch in self.patches(&note) {
            let (connector, script) = self.connector();
            script.go_to(read);
            self.check_written(connector.update(&current, &patch).await);
        }
        script.go_to(read);
        let (name, copy) = copy(&note);
        self.check_written(connector.comment(&current, &name, &copy).await);
    }

    async fn creates(&self) {
        let (connector, _) = self.connector();
        let patch = self.patches("").pop().unwrap_or_default();
        let origin = "elsewhere/incident/1".parse().ok();
        let opening = Opening { patch, description: self.text(), origin };
        self.check_written(connector.create(&self.planned(), &opening).await);
    }

    /// The input as the text of a person; longer ones are cut by the engine.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.input).chars().take(2_000).collect()
    }

    /// A close with all that belongs to it, and everything else.
    fn patches(&self, note: &str) -> Vec<Patch> {
        let table = Translation::builtin(self.settings.table()).expect("every system has its table");
        let verdict = Verdict::new(Classification::TruePositive, Determination::Phishing);
        let close = [Some(Value::Status(Status::Closed)), verdict.map(Value::Verdict)];
        let tags = ["vip".to_owned(), note.chars().take(30).collect()].into();
        let rest = [
            Value::Severity(Severity::High),
            Value::Owner(Some("ana@example.org".to_owned())),
            Value::Tags(tags),
            Value::Title(format!("Phishing {note}")),
        ];
        let patch = |values: Vec<Value>, closing_comment: Option<String>| {
            let native = |v: &Value| Some((v.field(), table.write(self.record.kind, v)?));
            Patch { native: values.iter().filter_map(native).collect(), closing_comment }
        };
        let note = (!note.is_empty()).then(|| note.to_owned());
        vec![patch(close.into_iter().flatten().collect(), note), patch(rest.into(), None)]
    }

    /// The name under which the record would be made: an id that the client chooses, or a ticket's key.
    fn planned(&self) -> RecordRef {
        let mut planned = self.record.clone();
        if planned.kind == RecordKind::Ticket {
            let key = "defender/ticket/lockstep-00000000000000000000000000000001";
            planned.id = key.parse::<RecordRef>().expect("a key is an id").id;
        }
        planned
    }

    fn check(&self, read: &Result<Snapshot, CallError>) {
        match read {
            Ok(snapshot) => self.check_snapshot(snapshot),
            Err(error) => check_error(error),
        }
    }

    fn check_written(&self, written: Result<Written, CallError>) {
        match written {
            Ok(written) => {
                written.snapshot.iter().for_each(|snapshot| self.check_snapshot(snapshot));
                written.declined.iter().for_each(|declined| assert_message(&declined.reason));
            }
            Err(error) => check_error(&error),
        }
    }

    fn check_page(&self, page: &Page) {
        let rows = page.snapshots.len() + page.malformed.len();
        assert!(rows <= self.input.len() + 1, "{rows} rows of {} bytes", self.input.len());
        page.snapshots.iter().for_each(|snapshot| self.check_snapshot(snapshot));
        for malformed in &page.malformed {
            assert_message(&malformed.reason);
            assert!(malformed.id.as_deref().is_none_or(is_harmless), "{:?}", malformed.id);
        }
    }

    /// What holds of every snapshot, whatever it was made of.
    fn check_snapshot(&self, snapshot: &Snapshot) {
        let record = &snapshot.record;
        assert_eq!(record.system.as_str(), self.settings.table(), "a record of another system");
        for named in snapshot.links.iter().chain(&snapshot.parent).chain(&snapshot.planned_as).chain([record])
        {
            assert_eq!(named.to_string().parse().as_ref(), Ok(named), "a name does not read back");
        }
        assert!(!snapshot.revision.is_empty(), "{record} has no revision");
        let status = snapshot.native.get(&Field::Status);
        assert!(
            status.is_none_or(|status| matches!(status, Native::Text(text) if !text.trim().is_empty())),
            "{record} has the status {status:?}"
        );
        self.check_stored(snapshot);
        let table = Translation::builtin(self.settings.table()).expect("every system has its table");
        for (field, native) in &snapshot.native {
            // Total: a value is known or not.
            let _ = table.read(record.kind, *field, native);
        }
    }

    /// A snapshot goes into the inbox: it reads back, and is not much larger than what it was made of.
    fn check_stored(&self, snapshot: &Snapshot) {
        let stored = serde_json::to_vec(snapshot).expect("a snapshot can be stored");
        let most = 16 * self.input.len() + 4_096;
        assert!(
            stored.len() <= most,
            "{} bytes of {} become {}",
            snapshot.record,
            self.input.len(),
            stored.len()
        );
        let back: Snapshot = serde_json::from_slice(&stored).expect("a stored snapshot can be read");
        let meant = Snapshot { raw: serde_json::Value::Null, ..snapshot.clone() };
        assert_eq!(back, meant, "a snapshot reads back as another one");
    }
}

fn check_error(error: &CallError) {
    assert_message(&error.to_string());
    assert!(error.retry_after().is_none_or(|wait| wait.as_secs() <= 3_600), "{error}");
}

/// A copy of a comment as the engine hands it to a connector.
pub(super) fn copy(text: &str) -> (CommentKey, String) {
    let origin: RecordRef = "elsewhere/incident/1".parse().expect("the name is sound");
    let comment = Comment {
        key: CommentKey::from_id("c1"),
        author: Some("ana".to_owned()),
        created: None,
        text: text.to_owned(),
    };
    let name = copy_name(&origin, &comment.key);
    let text = MarkerKey::from_secret("fuzz").copy_text(&name, &origin, &comment);
    (name, text)
}
