//! `lockstep healthcheck`: asks the running worker, so that an image needs no shell and no curl.

use anyhow::Context;
use clap::Args;

use super::source::Worker;
use super::{ConfigArg, Exit, Global, output};

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
}

pub(super) async fn run(args: HealthcheckArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    let worker = Worker::new(&args.config.load()?)?;
    let (status, body) = worker.get("healthz").await.context("the worker does not answer")?;
    if status == 200 {
        output::print("ok")?;
        return Ok(Exit::Done);
    }
    output::complain(&format!("the worker makes no progress ({status}): {}", output::clean(body.trim())));
    Ok(Exit::Failed)
}
