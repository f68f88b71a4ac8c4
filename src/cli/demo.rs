//! `lockstep demo`.

use clap::Args;

use super::{Exit, Global};

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

#[allow(clippy::unused_async)]
pub(super) async fn run(args: DemoArgs, _global: &Global) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet ({args:?})")
}
