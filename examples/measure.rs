//! What a large store costs: start-up time, memory and disk, measured on the real worker.
//!
//! ```text
//! cargo build --release && cargo run --release --example measure -- 100000
//! ```
//!
//! Makes a store with so many mappings of two linked records each (100,000 unless told), starts the worker on an
//! empty store and on this one, against emulators without incidents, and prints one line for each. The worker is the
//! binary of the same build, or the one that `LOCKSTEP_BIN` names. Memory is read from /proc, so this wants Linux.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use lockstep::emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, EmulatorOptions, TENANT};
use lockstep::model::{
    Agreed, AuditEntry, AuditKind, Base, BridgeName, Field, Mapping, MappingId, Member, MemberState, Native,
    Natives, RecordRef, Severity, Status, Value,
};
use lockstep::store::{Change, SledStore, Store};

/// Mappings that are committed together.
const GROUP: u64 = 2_000;

/// How long the worker may take until it is ready.
const PATIENCE: Duration = Duration::from_mins(10);

/// How long it idles before its memory is read.
const IDLE: Duration = Duration::from_secs(3);

fn main() -> anyhow::Result<()> {
    let mappings: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse().with_context(|| format!("`{text}` is no number of mappings"))?,
        None => 100_000,
    };
    let worker = worker_binary()?;
    let emulator = Emulator::start(EmulatorOptions::default())?;
    let dir = tempfile::tempdir()?;
    println!("worker {}", worker.display());
    println!("{:>9}  {:>7}  {:>9}  {:>10}  {:>9}", "mappings", "start", "to ready", "idle VmRSS", "on disk");
    for count in [0, mappings] {
        let place = dir.path().join(count.to_string());
        fill(&place.join("data"), count)?;
        for start in ["first", "second"] {
            let (ready, rss) = run_once(&worker, &place, &emulator)?;
            let disk = size(&place.join("data"))?;
            println!(
                "{count:>9}  {start:>7}  {:>7.2} s  {:>6.1} MiB  {:>5.1} MiB",
                ready.as_secs_f64(),
                mebibytes(rss),
                mebibytes(disk)
            );
        }
    }
    Ok(())
}

/// `LOCKSTEP_BIN`, else the binary that was built like this example.
fn worker_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("LOCKSTEP_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let built = own.parent().and_then(Path::parent).context("this example lies nowhere")?.join("lockstep");
    if !built.is_file() {
        bail!("there is no {}; build it first, or name the worker in LOCKSTEP_BIN", built.display());
    }
    Ok(built)
}

/// A closed store with so many mappings, as if each had been linked and edited once.
fn fill(data: &Path, count: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let store = SledStore::open(data)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for first in (0..count).step_by(usize::try_from(GROUP)?) {
        let changes = (first..count.min(first + GROUP)).map(changes).collect::<anyhow::Result<Vec<_>>>()?;
        runtime.block_on(try_join_all(changes.into_iter().map(|changes| store.commit(changes))))?;
    }
    drop(store);
    eprintln!("{count} mappings made in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// One mapping of a Defender incident and its Sentinel twin, and how it came about.
fn changes(number: u64) -> anyhow::Result<Vec<Change>> {
    let bridge = BridgeName::new("corp")?;
    let defender: RecordRef = format!("defender/incident/{number}").parse().map_err(anyhow::Error::msg)?;
    let sentinel = format!("sentinel/incident/00000000-0000-4000-8000-{number:012x}");
    let sentinel: RecordRef = sentinel.parse().map_err(anyhow::Error::msg)?;
    let id = MappingId::derive(&bridge, &defender);
    let mut mapping = Mapping::new(id, bridge);
    mapping.members = vec![member(&defender, "active", "medium"), member(&sentinel, "New", "Medium")];
    let agreed = |value: Value| {
        (value.field(), Agreed { value, from: defender.system.clone(), at: time(), closed: false })
    };
    mapping.agreed = [
        Value::Status(Status::New),
        Value::Severity(Severity::Medium),
        Value::Owner(Some("ana@example.org".to_owned())),
        Value::Tags(["vip".to_owned()].into()),
        Value::Title(TITLE.to_owned()),
    ]
    .into_iter()
    .map(agreed)
    .collect();
    let linked = |record: &RecordRef| {
        let kind = AuditKind::Linked { how: "another record names it as the same incident".to_owned() };
        Change::Audit(Box::new(AuditEntry { at: time(), mapping: id, record: record.clone(), kind }))
    };
    Ok(vec![linked(&defender), linked(&sentinel), Change::PutMapping(Box::new(mapping))])
}

const TITLE: &str = "Suspicious sign-in followed by a mailbox rule that hides mail";

fn time() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn member(record: &RecordRef, status: &str, severity: &str) -> Member {
    let text = |text: &str| Native::Text(text.to_owned());
    let native = Natives::from([
        (Field::Status, text(status)),
        (Field::Severity, text(severity)),
        (Field::Verdict, Native::Empty),
        (Field::Owner, text("ana@example.org")),
        (Field::Tags, Native::Set(["vip".to_owned()].into())),
        (Field::Title, text(TITLE)),
    ]);
    let base = Base {
        revision: "2026-11-02T08:15:30.4933333Z".to_owned(),
        modified: time(),
        native,
        comments: std::collections::BTreeSet::new(),
        hidden: std::collections::BTreeMap::new(),
        comment_count: 0,
        linked_at: time(),
        created: None,
        url: Some(format!("https://security.microsoft.com/incident2/{}/overview", record.id)),
    };
    Member { base: Some(base), ..Member::new(record.clone(), MemberState::Linked) }
}

/// Starts the worker, waits until it is ready and idle, stops it. Returns the time to ready and its memory in bytes.
fn run_once(worker: &Path, place: &Path, emulator: &Emulator) -> anyhow::Result<(Duration, u64)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = place.join("lockstep.toml");
    fs::write(&config, configuration(&place.join("data"), port, emulator))?;
    let log = fs::File::create(place.join("worker.log"))?;
    let begun = Instant::now();
    let mut command = Command::new(worker);
    command.args(["--log-level", "warn", "run", "--config"]).arg(&config).stderr(log);
    let mut process = Process(command.stdout(Stdio::null()).spawn()?);
    while !is_ready(port) {
        if let Some(status) = process.0.try_wait()? {
            bail!("the worker ended ({status}): {}", fs::read_to_string(place.join("worker.log"))?);
        }
        if begun.elapsed() > PATIENCE {
            bail!("the worker was not ready in time: {}", fs::read_to_string(place.join("worker.log"))?);
        }
        pause(Duration::from_millis(5));
    }
    let ready = begun.elapsed();
    pause(IDLE);
    let rss = resident(process.0.id())?;
    process.stop()?;
    Ok((ready, rss))
}

/// Nothing here runs on a runtime.
#[allow(clippy::disallowed_methods)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

fn configuration(data: &Path, port: u16, emulator: &Emulator) -> String {
    let EmulatorOptions { subscription_id, resource_group, workspace, .. } = EmulatorOptions::default();
    let (login, graph, arm) = (emulator.login_url(), emulator.graph_url(), emulator.arm_url());
    let credential =
        format!("{{ kind = \"client-secret\", client_id = \"{CLIENT_ID}\", secret = \"{CLIENT_SECRET}\" }}");
    let common = format!("tenant_id = \"{TENANT}\"\ncredential = {credential}\nauthority_url = \"{login}\"");
    format!(
        r#"
[store]
path = "{data}"
[server]
listen = "127.0.0.1:{port}"
[[systems]]
name = "defender"
kind = "defender"
{common}
graph_url = "{graph}"
[[systems]]
name = "sentinel"
kind = "sentinel"
{common}
subscription_id = "{subscription_id}"
resource_group = "{resource_group}"
workspace = "{workspace}"
arm_url = "{arm}"
[[bridges]]
name = "corp"
systems = ["defender", "sentinel"]
since = "2020-01-01T00:00:00Z"
"#,
        data = data.display()
    )
}

fn is_ready(port: u16) -> bool {
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("{path}: no VmRSS"))?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// Bytes of all files below a directory.
fn size(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

#[allow(clippy::cast_precision_loss)] // sizes are far below 2^52
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// A worker that does not outlive a failed measurement.
struct Process(Child);

impl Process {
    fn stop(&mut self) -> anyhow::Result<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        let status = self.0.wait()?;
        if !status.success() {
            bail!("the worker ended with {status} when it was stopped");
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
