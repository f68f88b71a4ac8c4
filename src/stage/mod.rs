//! A stage to try lockstep on: emulators, a configuration that points to them, and the worker as a process of its
//! own, so that it can be killed. The demo plays on it, and so do the tests of the real binary.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, Entry, Kind, System, TENANT};

/// Emulators, a folder with a configuration, and, while started, a worker.
pub struct Stage {
    /// The emulators.
    pub emulator: Emulator,
    folder: PathBuf,
    program: PathBuf,
    listen: SocketAddr,
    worker: Option<Child>,
}

/// How quick the worker is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Pause between polls, in milliseconds.
    pub poll_ms: u64,
    /// After how many milliseconds a read is certain to show a write.
    pub settle_ms: u64,
}

/// Lines of a `[[systems]]` table for the emulated ServiceNow.
pub fn servicenow(emulator: &Emulator, pace: Pace) -> String {
    format!(
        "{}\nkind = \"servicenow\"\nurl = \"{}\"\n\
         credential = {{ kind = \"basic\", username = \"{SERVICE_USER}\", password = \"{CLIENT_SECRET}\" }}",
        pace.keys(),
        emulator.ticket_url(System::ServiceNow)
    )
}

/// The user under which lockstep works in every emulated ticket system; the password or token is [`CLIENT_SECRET`].
pub const SERVICE_USER: &str = "lockstep";

impl Pace {
    /// The keys of a system's table that set it.
    pub fn keys(self) -> String {
        let Self { poll_ms, settle_ms } = self;
        format!("poll = \"{poll_ms}ms\"\nsettle = \"{settle_ms}ms\"\noverlap = \"10s\"")
    }
}

/// A configuration for these emulators. `bridge` holds further lines of the bridge, `tickets` the table of a third
/// system called `tickets`, below its name.
pub fn configuration(
    emulator: &Emulator,
    data: &Path,
    listen: SocketAddr,
    pace: Pace,
    bridge: &str,
    tickets: Option<&str>,
) -> String {
    let (login, graph, arm) = (emulator.login_url(), emulator.graph_url(), emulator.arm_url());
    let keys = pace.keys();
    let shared = format!(
        "tenant_id = \"{TENANT}\"\n{keys}\n\
         budget_factor = 1000.0                          # the emulators' limits are off\n\
         authority_url = \"{login}\"\n\
         credential = {{ kind = \"client-secret\", client_id = \"{CLIENT_ID}\", secret = \"{CLIENT_SECRET}\" }}"
    );
    let (table, name) = match tickets {
        Some(tickets) => (format!("\n[[systems]]\nname = \"tickets\"\n{tickets}\n"), ", \"tickets\""),
        None => (String::new(), ""),
    };
    format!(
        r#"[store]
path = "{}"

[server]
listen = "{listen}"

[http]
timeout = "5s"

[[systems]]
name = "defender"
kind = "defender"
graph_url = "{graph}"
{shared}

[[systems]]
name = "sentinel"
kind = "sentinel"
subscription_id = "22222222-3333-4444-8555-666666666666"
resource_group = "rg-soc"
workspace = "law-soc"
arm_url = "{arm}"
{shared}
{table}
[[bridges]]
name = "corp"
systems = ["defender", "sentinel"{name}]
since = "2020-01-01T00:00:00Z"
{bridge}
"#,
        data.display()
    )
}

impl Stage {
    /// Sets the stage in a folder: writes `lockstep.toml` there. `program` is the lockstep binary.
    pub fn new(
        emulator: Emulator,
        folder: &Path,
        program: &Path,
        pace: Pace,
        bridge: &str,
        tickets: Option<&str>,
    ) -> io::Result<Self> {
        let listen = free_address()?;
        let stage =
            Self { emulator, folder: folder.to_owned(), program: program.to_owned(), listen, worker: None };
        let text = configuration(&stage.emulator, &folder.join("data"), listen, pace, bridge, tickets);
        fs::write(stage.config(), text)?;
        Ok(stage)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("lockstep.toml")
    }

    /// The worker's server, such as `http://127.0.0.1:40123`.
    pub fn server_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The worker's log of all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("worker.log")
    }

    /// A lockstep command with this stage's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("LOCKSTEP_CONFIG", self.config()).env_remove("RUST_LOG");
        command
    }

    /// Starts the worker, if none runs. In debug builds it can be told to die at a crash point.
    pub fn start(&mut self, crash_at: Option<&str>) -> io::Result<()> {
        if self.worker.is_some() {
            return Ok(());
        }
        let log = File::options().create(true).append(true).open(self.log_path())?;
        let mut command = self.command(&["--log-level", "lockstep=debug,info", "run"]);
        if let Some(point) = crash_at {
            command.env("LOCKSTEP_CRASH_AT", point);
        }
        self.worker = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    /// SIGKILL, at whatever the worker is doing.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut worker) = self.worker.take() {
            worker.kill()?;
            worker.wait()?;
        }
        Ok(())
    }

    /// SIGTERM. Waits for the end, and says how it ended.
    pub fn stop(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(mut worker) = self.worker.take() else { return Ok(None) };
        Command::new("kill").arg(worker.id().to_string()).status()?;
        worker.wait().map(Some)
    }

    /// Whether the worker ended by itself.
    pub fn has_died(&mut self) -> io::Result<bool> {
        Ok(self.worker.is_none() || self.ended()?.is_some())
    }

    /// How the worker ended, if it did so by itself since it was started.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.worker.as_mut().map(Child::try_wait).transpose()?.flatten();
        if ended.is_some() {
            self.worker = None;
        }
        Ok(ended)
    }

    /// Sends the worker a signal, such as `HUP`.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        if let Some(worker) = &self.worker {
            Command::new("kill").arg(format!("-{name}")).arg(worker.id().to_string()).status()?;
        }
        Ok(())
    }

    /// A page of the worker's server, if it answers.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.listen).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }

    /// A metric without labels, if the worker answers.
    pub fn gauge(&self, name: &str) -> Option<f64> {
        self.get("/metrics")?.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Whether the worker says that nothing is left to do, and native sync has nothing under way either. Good enough
    /// to wait by, not to judge by.
    pub fn is_idle(&self) -> bool {
        let Some(metrics) = self.get("/metrics") else { return false };
        let gauge = |name: &str| {
            metrics
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
                .unwrap_or(-1.0)
        };
        let (outbox, dead) = (gauge("lockstep_outbox_depth"), gauge("lockstep_dead_letters"));
        // What was taken for gone is looked for once an hour or less.
        let looks = || {
            let mappings = self.get("/api/v1/mappings?limit=1000").unwrap_or_default();
            u32::try_from(mappings.matches("\"gone\"").count()).unwrap_or_default()
        };
        let at_rest = gauge("lockstep_inbox_depth") == 0.0
            && outbox >= 0.0
            && (outbox <= dead || outbox <= dead + f64::from(looks()));
        at_rest && gauge("lockstep_ready") > 0.0 && self.emulator.pending() == 0
    }

    /// How often anything was listed since the emulator's calls were last reset.
    pub fn list_calls(&self) -> u64 {
        let calls = self.emulator.calls();
        let polls = ["graph/list-incidents", "graph/list-alerts", "sentinel/list-incidents"];
        let is_poll = |operation: &str| polls.contains(&operation) || operation.ends_with("/list-tickets");
        calls.iter().filter(|(operation, _)| is_poll(operation)).map(|(_, count)| count).sum()
    }

    /// What lockstep did to a ticket, in order; writes that changed nothing are not among it. `as_user` is the name
    /// under which lockstep works there.
    pub fn ticket_writes(&self, system: System, id: &str, as_user: &str) -> Vec<Entry> {
        let ours = |e: &Entry| e.system == system && e.id == id && e.actor == as_user && e.is_effective();
        self.emulator.ledger().into_iter().filter(ours).collect()
    }

    /// What lockstep did to an incident, in order; writes that changed nothing are not among it.
    pub fn writes(&self, system: System, id: &str) -> Vec<Entry> {
        let ours = |e: &Entry| e.actor == CLIENT_ID && e.is_effective() && e.kind == Kind::Incident;
        self.emulator.ledger().into_iter().filter(|e| ours(e) && e.system == system && e.id == id).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A worker that cannot be killed is gone already.
        let _ = self.kill();
    }
}

/// A free port of this machine. Taken and released, so another process could snatch it; then the worker says so.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
