//! `lockstep store`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{ConfigArg, Exit, Global};

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

#[allow(clippy::unused_async)]
pub(super) async fn run(command: StoreCommand, _global: &Global) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet ({command:?})")
}
