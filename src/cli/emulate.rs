//! `lockstep emulate`.

use std::net::SocketAddr;

use clap::Args;

use super::{Exit, Global};

/// Arguments of `emulate`.
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// Where the emulators listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub(super) listen: SocketAddr,
}

#[allow(clippy::unused_async)]
pub(super) async fn run(args: EmulateArgs, _global: &Global) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet ({args:?})")
}
