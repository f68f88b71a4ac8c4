//! `lockstep plan`.

use clap::Args;

use super::output::FormatArg;
use super::{ConfigArg, Exit, Global};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

#[allow(clippy::unused_async)]
pub(super) async fn run(args: PlanArgs, _global: &Global) -> anyhow::Result<Exit> {
    args.config.load()?;
    anyhow::bail!("not built yet ({:?})", args.format)
}
