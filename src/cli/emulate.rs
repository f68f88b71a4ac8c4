//! `lockstep emulate`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::output::{BOLD, print, styled};
use super::{Exit, Global, UsageError};
use crate::emulator::{Emulator, EmulatorOptions, IncidentSeed};
use crate::stage::{Pace, configuration, servicenow};

/// Arguments of `emulate`.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// Where the emulators listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub(super) listen: SocketAddr,
}

pub(super) async fn run(args: EmulateArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    if !args.listen.ip().is_loopback() {
        let why =
            "the emulators ask nobody who they are; let them listen on loopback, such as 127.0.0.1:9000";
        return Err(UsageError(why.to_owned()).into());
    }
    let emulator = Emulator::start(EmulatorOptions { listen: args.listen, ..EmulatorOptions::default() })
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    for (title, severity) in [("Mailbox rule hides mail", "medium"), ("Ransomware on one endpoint", "high")] {
        emulator.add_linked(&IncidentSeed::new(title, severity, 2));
    }
    print(&introduction(&emulator))?;
    let stop = CancellationToken::new();
    super::run::stop_on_signals(stop.clone())?;
    stop.cancelled().await;
    Ok(Exit::Done)
}

fn introduction(emulator: &Emulator) -> String {
    let url = emulator.url();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787));
    let pace = Pace { poll_ms: 1000, settle_ms: 2000 };
    let settings = servicenow(emulator, pace);
    let create = "create_in = [\"tickets\"]";
    let config = configuration(emulator, Path::new("data"), listen, pace, create, Some(&settings));
    format!(
        "{}\n\n{config}\n{}\n\n  curl {url}/control/state\n  curl {url}/control/ledger\n  curl {url}/control/defender/incidents/4711/edit -H 'content-type: application/json' \\\n       -d '{{\"by\":\"ana@example.org\",\"edit\":{{\"status\":\"resolved\",\"classification\":\"truePositive\",\"determination\":\"phishing\"}}}}'\n\nCtrl-C ends the emulators.",
        styled(
            BOLD,
            format!(
                "Defender, Sentinel, ServiceNow, Jira, Request Tracker and TheHive are emulated at {url}. A configuration for the first three:"
            )
        ),
        styled(BOLD, "Look, and be the people who edit:"),
    )
}
