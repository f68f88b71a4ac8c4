//! `lockstep simulate`: try to break exactly-once, on our bridges or on those of a configuration.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::output::{BAD, BOLD, DIM, FormatArg, GOOD, clean, styled};
use super::{Exit, Global};
use crate::config::Config;
use crate::simulate::{Campaign, Plan, Scenes, Tally, driver, play, shrink};

/// Broken seeds that are listed.
const LISTED: usize = 20;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// How many histories to play; one is told in full
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    histories: u64,
    /// The first seed; the others follow [default: drawn by chance]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Play the bridges of this configuration: its systems, translations and policies. Nothing is sent anywhere
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: Option<u64>,
    #[command(flatten)]
    format: FormatArg,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    seed: u64,
    histories: u64,
    milliseconds: u64,
    threads: u64,
    edits: u64,
    writes: u64,
    calls: u64,
    failed_calls: u64,
    kills: u64,
    violations: usize,
    /// The first seeds that broke something.
    broken_seeds: Vec<u64>,
    /// The first of them, without what is not needed to break it; or the one history that was asked for.
    story: Option<Story>,
}

/// One history, told.
#[derive(Debug, Serialize)]
struct Story {
    seed: u64,
    world: String,
    timeline: Vec<String>,
    violations: Vec<String>,
    replay: String,
}

pub(super) async fn run(args: SimulateArgs, global: &Global) -> anyhow::Result<Exit> {
    let _logs = global.quiet_logs()?;
    let scenes = match &args.config {
        Some(file) => {
            let config = Config::load(file)?;
            let table = |name: &_| {
                let system = config.systems.iter().find(|system| system.name == *name);
                system.map_or_else(String::new, |system| system.settings.table().to_owned())
            };
            Scenes::configured(&config.bridges, table)
        }
        None => Scenes::ours()?,
    };
    let format = args.format;
    let report = tokio::task::spawn_blocking(move || simulate(&args, &scenes)).await??;
    format.print(&report, render)?;
    Ok(if report.violations == 0 { Exit::Done } else { Exit::Findings })
}

fn simulate(args: &SimulateArgs, scenes: &Scenes) -> anyhow::Result<Report> {
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let threads = args.threads.unwrap_or(cores).min(args.histories);
    let campaign = Campaign { seed, histories: args.histories, threads };
    let began = Instant::now();
    let bar = progress(args.histories);
    let tally = campaign.run(scenes, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let told = tally.broken.first().copied().or((args.histories == 1).then_some(seed));
    let story = told.map(|told| story(told, scenes, args)).transpose()?;
    Ok(report(&tally, campaign, milliseconds, story))
}

/// A bar on stderr; where stderr is no terminal, none.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = "{bar:40} {human_pos} of {human_len} histories, {per_sec}, {eta} to go";
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One history as a timeline. One that breaks something is told without what is not needed for that.
fn story(seed: u64, scenes: &Scenes, args: &SimulateArgs) -> anyhow::Result<Story> {
    let driver = driver()?;
    let _entered = driver.enter();
    let mut plan = Plan::draw(seed, scenes);
    if !play(&plan, false).violations.is_empty() {
        plan = shrink(&plan);
    }
    let outcome = play(&plan, true);
    let config = args.config.as_ref().map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    Ok(Story {
        seed,
        world: plan.scene.to_string(),
        timeline: outcome.timeline,
        violations: outcome.violations.into_iter().map(|violation| violation.0).collect(),
        replay: format!("lockstep simulate --seed {seed} --histories 1{config}"),
    })
}

fn report(tally: &Tally, campaign: Campaign, milliseconds: u64, story: Option<Story>) -> Report {
    Report {
        seed: campaign.seed,
        histories: tally.histories,
        milliseconds,
        threads: campaign.threads,
        edits: tally.edits,
        writes: tally.writes,
        calls: tally.calls,
        failed_calls: tally.faults,
        kills: tally.kills,
        violations: tally.broken.len(),
        broken_seeds: tally.broken.iter().take(LISTED).copied().collect(),
        story,
    }
}

impl Report {
    /// Histories a second.
    fn rate(&self) -> u128 {
        u128::from(self.histories) * 1000 / u128::from(self.milliseconds.max(1))
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn render(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(story) = &report.story {
        lines.push(styled(BOLD, format!("seed {}", story.seed)));
        lines.push(styled(DIM, &story.world));
        lines.extend(story.timeline.iter().map(|line| clean(line).into_owned()));
        lines.extend(story.violations.iter().map(|violation| styled(BAD, clean(violation))));
        lines.push(format!("replay: {}", story.replay));
        lines.push(String::new());
    }
    lines.push(format!(
        "{} from seed {} in {} s on {}: {} a second",
        counted(report.histories, "history", "histories"),
        report.seed,
        report.milliseconds / 1000,
        counted(report.threads, "thread", "threads"),
        report.rate()
    ));
    lines.push(format!(
        "{} edits by people, {} effective writes, {} calls of which {} went wrong, {} kills",
        report.edits, report.writes, report.calls, report.failed_calls, report.kills
    ));
    if report.writes == 0 && report.histories > 1 {
        let why =
            "lockstep wrote nothing: these bridges leave all to Microsoft's own sync, or let nothing out";
        lines.push(styled(BOLD, why));
    }
    lines.push(match report.violations {
        0 => styled(GOOD, "no violation"),
        1 => styled(BAD, "1 history broke the promise"),
        many => {
            styled(BAD, format!("{many} histories broke the promise: seeds {:?} ...", report.broken_seeds))
        }
    });
    lines.join("\n")
}
