//! `lockstep store`.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;

use super::output::{GOOD, print, styled};
use super::{ConfigArg, Exit, Global};
use crate::store::{SledStore, import};

/// The commands of `store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Write everything as JSON Lines
    Export {
        #[command(flatten)]
        config: ConfigArg,
        /// Where to [default: stdout]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read JSON Lines into an empty store
    Import {
        #[command(flatten)]
        config: ConfigArg,
        /// Where from [default: stdin]
        #[arg(value_name = "FILE")]
        input: Option<PathBuf>,
    },
    /// Check that everything can be read and fits together
    Verify {
        #[command(flatten)]
        config: ConfigArg,
    },
}

pub(super) async fn run(command: StoreCommand, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    // Files and the store block, and nothing else runs in this process.
    tokio::task::spawn_blocking(move || match command {
        StoreCommand::Export { config, output } => export(&config, output),
        StoreCommand::Import { config, input } => import_into(&config, input),
        StoreCommand::Verify { config } => verify(&config),
    })
    .await?
}

fn export(config: &ConfigArg, output: Option<PathBuf>) -> anyhow::Result<Exit> {
    let store = SledStore::open_existing(config.load()?.store.path)?;
    if let Some(path) = output {
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = io::BufWriter::new(file);
        store.export(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    } else {
        let mut stdout = io::stdout().lock();
        store.export(&mut stdout)?;
        stdout.flush()?;
    }
    Ok(Exit::Done)
}

fn import_into(config: &ConfigArg, input: Option<PathBuf>) -> anyhow::Result<Exit> {
    let path = config.load()?.store.path;
    let counts = match input {
        Some(file) => {
            let opened = File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
            import(&path, &mut BufReader::new(opened))?
        }
        None => import(&path, &mut io::stdin().lock())?,
    };
    let (mappings, outbox) = (counts.mappings, counts.outbox);
    print(&format!("imported {mappings} mappings and {outbox} intents into {}", path.display()))?;
    Ok(Exit::Done)
}

fn verify(config: &ConfigArg) -> anyhow::Result<Exit> {
    let path = config.load()?.store.path;
    let report = SledStore::open_existing(&path)?.verify()?;
    for problem in &report.problems {
        print(&styled(super::output::BAD, problem))?;
    }
    if report.problems.is_empty() {
        let mappings = report.mappings;
        print(&format!(
            "{}: {} holds {mappings} mappings; everything fits",
            styled(GOOD, "fine"),
            path.display()
        ))?;
        return Ok(Exit::Done);
    }
    Ok(Exit::Findings)
}
