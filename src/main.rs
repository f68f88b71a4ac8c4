//! The program: arguments, dispatch, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use lockstep::cli::{self, Cli};

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.global.set_colours();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return cli::conclude(Err(anyhow::anyhow!(error).context("the runtime cannot be started")));
        }
    };
    let outcome = runtime.block_on(cli::dispatch(cli));
    // Blocking work that nobody waits for any more must not hold up the exit.
    runtime.shutdown_background();
    cli::conclude(outcome)
}
