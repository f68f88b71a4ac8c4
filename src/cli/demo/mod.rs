//! `lockstep demo`: a scripted SOC day with faults against built-in emulators, judged from their ledger.

mod day;
mod records;
mod verdict;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::output::{BAD, BOLD, DIM, GOOD, print, styled};
use super::{Exit, Global};
use crate::emulator::{Emulator, EmulatorOptions};
use crate::stage::{Pace, Stage, servicenow};

/// How quick the demo's worker is: a day in a minute.
const PACE: Pace = Pace { poll_ms: 200, settle_ms: 500 };

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keep emulators and worker running at the end
    #[arg(long)]
    pub(super) keep: bool,
    /// The seed of faults and people; the same seed plays the same day
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

pub(super) async fn run(args: DemoArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    // The day waits and watches; it is no work for the runtime.
    tokio::task::spawn_blocking(move || play(&args)).await?
}

fn play(args: &DemoArgs) -> anyhow::Result<Exit> {
    let seed = args.seed.unwrap_or(1);
    let folder = Folder::new(seed)?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    let emulator = Emulator::start(EmulatorOptions { seed, ..EmulatorOptions::default() })
        .context("the emulators cannot listen on loopback")?;
    let settings = servicenow(&emulator, PACE);
    let create = "create_in = [\"tickets\"]";
    let mut stage = Stage::new(emulator, &folder.path, &program, PACE, create, Some(&settings))?;
    print(&introduction(&stage, seed))?;
    let deeds = day::play(&mut stage, seed)?;
    let verdict = verdict::judge(&stage, &deeds);
    print(&verdict::render(&verdict))?;
    if !verdict.is_fine() {
        print(&styled(DIM, format!("The worker's log is kept in {}", folder.keep().display())))?;
        return Ok(Exit::Failed);
    }
    if args.keep {
        stay(&stage)?;
    }
    Ok(Exit::Done)
}

fn introduction(stage: &Stage, seed: u64) -> String {
    format!(
        "{}\nDefender, Sentinel and ServiceNow are emulated at {}; a worker bridges them; people and faults are scripted (seed {seed}).\n\
         Nothing the worker says of itself counts: the emulators keep a ledger of what really changed.\n",
        styled(BOLD, "A day in a SOC, in a minute."),
        stage.emulator.url()
    )
}

/// Everything stays up until Ctrl-C ends this process and the worker with it.
fn stay(stage: &Stage) -> anyhow::Result<()> {
    let (page, control, config) = (stage.server_url(), stage.emulator.url(), stage.config());
    print(&format!(
        "Still running until Ctrl-C:\n  status page  {page}/\n  ledger       {control}/control/ledger\n  \
         explain      lockstep explain defender/4711 --config {}",
        config.display()
    ))?;
    loop {
        std::thread::park();
    }
}

/// The demo's folder; removed at the end unless something went wrong.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(seed: u64) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("lockstep-demo-{seed}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    fn keep(self) -> PathBuf {
        let path = self.path.clone();
        std::mem::forget(self);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A left-over folder in the temporary directory does no harm.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A line of the day as it happens.
fn tell(good: bool, text: &str) -> anyhow::Result<()> {
    let mark = if good { styled(GOOD, "✓") } else { styled(BAD, "✗") };
    print(&format!("  {mark} {text}"))?;
    Ok(())
}
