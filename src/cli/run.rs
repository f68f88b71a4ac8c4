//! `lockstep run`.

use clap::Args;

use super::{ConfigArg, Exit, Global};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
}

#[allow(clippy::unused_async)]
pub(super) async fn run(args: RunArgs, _global: &Global) -> anyhow::Result<Exit> {
    args.config.load()?;
    anyhow::bail!("not built yet")
}
