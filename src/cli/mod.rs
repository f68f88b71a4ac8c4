//! The command line: what can be typed, and which file does it. One file per command.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 fine, 1 failed, 2 usage or configuration, 3 the check
//! found problems. A reader that goes away early (`lockstep ... | head`) is no failure.

mod check;
mod completions;
mod dead_letters;
mod demo;
mod emulate;
mod explain;
mod healthcheck;
mod link;
mod mappings;
mod output;
mod plan;
mod run;
mod simulate;
mod source;
mod store;
mod worker;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, ConfigErrors};
use crate::telemetry::{self, Guard, LogFormat, LogOptions, TelemetryError};

/// Keeps the Defender XDR incident, the Sentinel incident and the ticket of one security incident in agreement,
/// exactly once.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// What holds for all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// What the log on stderr looks like
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: a level, or a filter such as `lockstep=debug,warn` [default: `RUST_LOG`, else info or warn]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// When to use colours; `NO_COLOR` counts
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// The configuration file.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// The configuration file
    #[arg(
        long = "config",
        short = 'c',
        env = "LOCKSTEP_CONFIG",
        value_name = "FILE",
        default_value = "lockstep.toml"
    )]
    pub file: PathBuf,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the worker until SIGTERM or Ctrl-C
    Run(run::RunArgs),
    /// Check configuration, translations and credentials; with --online also permissions and reach
    Check(check::CheckArgs),
    /// Show what `run` would write now, and write nothing
    Plan(plan::PlanArgs),
    /// Play a scripted SOC day with faults against built-in emulators, and judge it from their ledger
    Demo(demo::DemoArgs),
    /// Try to break exactly-once: play seeded histories of the real worker in simulated systems
    Simulate(simulate::SimulateArgs),
    /// Run the emulators alone
    Emulate(emulate::EmulateArgs),
    /// List, show, link or unlink mappings
    #[command(subcommand)]
    Mappings(mappings::MappingsCommand),
    /// Tell everything about a record: what it says, who edited it, what was written and why
    Explain(explain::ExplainArgs),
    /// List, retry or discard writes that were given up
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Export, import or verify the store
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Ask the running worker whether it makes progress (for a container's health check)
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// How a command ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Done,
    /// It failed, and said so already.
    Failed,
    /// The configuration is faulty, and was said to be.
    Configuration,
    /// The check found problems, and listed them.
    Findings,
}

/// A mistake in how the command was called; exits with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl Global {
    /// Applies `--color` to what this process prints.
    pub fn set_colours(&self) {
        let choice = match self.color {
            Color::Auto => return,
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        choice.write_global();
    }

    /// Sets up logging for a command that prints and ends: only warnings, unless asked for more. No export.
    pub fn quiet_logs(&self) -> anyhow::Result<Guard> {
        Ok(telemetry::init(&self.log_options("warn"), None)?)
    }

    /// Sets up logging, metrics and export for a command that goes on, and logs the configuration's warnings.
    pub fn full_logs(&self, config: &Config) -> anyhow::Result<Guard> {
        let guard = telemetry::init(&self.log_options("info"), config.telemetry.otlp_endpoint.as_ref())?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(guard)
    }

    /// How to log, with a level for when neither the command line nor `RUST_LOG` says.
    pub fn log_options(&self, fallback: &str) -> LogOptions {
        let colour = match self.color {
            Color::Auto => None,
            Color::Always => Some(true),
            Color::Never => Some(false),
        };
        let (format, filter) = (self.log_format, self.log_level.clone());
        LogOptions { format, filter, fallback: fallback.to_owned(), colour }
    }
}

impl ConfigArg {
    /// Reads and checks the file.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(&self.file)
    }
}

/// Runs the command. Must be called within a tokio runtime.
pub async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match cli.command {
        Command::Run(args) => run::run(args, global).await,
        Command::Check(args) => check::run(args, global).await,
        Command::Plan(args) => plan::run(args, global).await,
        Command::Demo(args) => demo::run(args, global).await,
        Command::Simulate(args) => simulate::run(args, global).await,
        Command::Emulate(args) => emulate::run(args, global).await,
        Command::Mappings(command) => mappings::run(command, global).await,
        Command::Explain(args) => explain::run(args, global).await,
        Command::DeadLetters(command) => dead_letters::run(command, global).await,
        Command::Store(command) => store::run(command, global).await,
        Command::Healthcheck(args) => healthcheck::run(args, global).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// Tells people about a failure, and the shell about the outcome.
pub fn conclude(outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&describe(&error));
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Configuration => 2,
            Exit::Findings => 3,
        })
    }
}

/// The failure with its causes. The problems of a configuration keep a line each, so that editors can jump to them.
fn describe(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ConfigErrors>() {
        Some(errors) => {
            let count = errors.problems().len();
            format!(
                "the configuration has {count} {}\n{errors}",
                if count == 1 { "problem" } else { "problems" }
            )
        }
        None => with_causes(error),
    }
}

/// A failure and its causes, each said once: some tell their cause themselves.
fn with_causes(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn is_usage(error: &anyhow::Error) -> bool {
    let bad_filter = matches!(error.downcast_ref(), Some(TelemetryError::Filter { .. }));
    bad_filter || error.is::<ConfigErrors>() || error.is::<UsageError>()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_cause_is_said_once() {
        let told = io::Error::other("address in use");
        let telling = anyhow::Error::from(told).context("cannot listen: address in use; end the other one");
        assert_eq!(with_causes(&telling), "cannot listen: address in use; end the other one");
        assert_eq!(
            with_causes(&telling.context("no server")),
            "no server: cannot listen: address in use; end the other one"
        );
    }

    #[test]
    fn exit_codes_follow_the_kind_of_failure() {
        let broken = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
        assert!(is_broken_pipe(&broken));
        for (outcome, code) in [
            (Err(anyhow::anyhow!("no route")), 1),
            (Err(UsageError("which?".into()).into()), 2),
            (Err(broken), 0),
            (Ok(Exit::Findings), 3),
        ] {
            assert_eq!(format!("{:?}", conclude(outcome)), format!("{:?}", ExitCode::from(code)));
        }
    }
}
