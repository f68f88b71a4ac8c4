//! `lockstep run`.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{ConfigArg, Exit, Global, worker};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
}

pub(super) async fn run(args: RunArgs, global: &Global) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let guard = global.full_logs(&config)?;
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    ignore_hangups()?;
    worker::run(&config, guard.telemetry(), stop).await?;
    tracing::info!("lockstep ended; what was not delivered is in the store");
    Ok(Exit::Done)
}

/// The first SIGTERM or Ctrl-C lets writes in flight finish.
pub(super) fn stop_on_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; writes in flight are finished first");
        stop.cancel();
    });
    Ok(())
}

/// SIGHUP asks many programs to reload, and would end this one without a word.
fn ignore_hangups() -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::warn!("SIGHUP is ignored: reload is not supported yet; restart to apply configuration");
        }
    });
    Ok(())
}
