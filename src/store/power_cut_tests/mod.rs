//! Power cuts: what a process wrote and synced is recorded, and the store is opened from what a cut could have left at
//! every point of it. Nothing that was acknowledged may be missing, and nothing that is not whole may be opened.
//!
//! ```text
//! recorder.c   preloaded into a process: each write and sync of its files, in order
//! recording    runs the process, reads the log
//! workload     what the process commits, and how the store must look after each commit
//! disk         what a disk may hold after a cut
//! judge        cuts, opens, compares
//! ```

mod disk;
mod judge;
mod recording;
mod workload;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::testing::*;
use super::*;
use disk::{Disk, Image, Survival};
use judge::{Case, Findings, Verdict};
use recording::{Event, Recording};
use workload::{commit_of, digests};

const ROOT: &str = "LOCKSTEP_POWER_CUT_ROOT";
const FROM: &str = "LOCKSTEP_POWER_CUT_FROM";
const UNTIL: &str = "LOCKSTEP_POWER_CUT_UNTIL";
const SEED: &str = "LOCKSTEP_POWER_CUT_SEED";
const FLUSH_EVERY_MS: &str = "LOCKSTEP_POWER_CUT_FLUSH_EVERY_MS";

/// Commits of one history; some megabytes of log for a few hundred kilobytes of content.
const COMMITS: u64 = 400;

/// Commits between two openings.
const SESSION: u64 = 80;

/// How often the power is cut, unless `LOCKSTEP_CUTS` says otherwise.
const CUTS: usize = 2_000;

/// How many cuts one history is good for; more of them begin another one.
const CUTS_OF_HISTORY: usize = 2_000;

fn cuts() -> usize {
    std::env::var("LOCKSTEP_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS)
}

/// How often sled's own thread writes, if a recorded process is to make it differ.
pub(super) fn flush_every_ms() -> Option<u64> {
    std::env::var(FLUSH_EVERY_MS).ok()?.parse().ok()
}

/// The recorded process; as a test of its own it has nothing to do.
#[test]
fn child_commits_while_it_is_recorded() {
    let Ok(root) = std::env::var(ROOT) else { return };
    let root = Path::new(&root);
    let number = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (mut next, until, seed) = (number(FROM), number(UNTIL), number(SEED));
    let mut marks = File::create(root.join(recording::MARKS)).unwrap();
    let mut mark = |word, number| marks.write_all(format!("{word} {number}\n").as_bytes()).unwrap();
    while next < until {
        let store = SledStore::open(root.join("data")).unwrap();
        let end = (next / SESSION * SESSION + SESSION).min(until);
        while next < end {
            // Alone, in groups, and sometimes so many at once that a transaction does not fit into one segment.
            let group = if next % 100 < 4 { 48 } else { 1 + next % 4 };
            let last = (next + group).min(end);
            mark("begun", last);
            let results = wait(join_all((next..last).map(|n| store.commit(commit_of(seed, n)))));
            assert!(results.into_iter().all(|result| result.is_ok()));
            mark("acknowledged", last);
            next = last;
        }
    }
}

/// What all tests here need.
struct Setup {
    dir: TempDir,
    recorder: PathBuf,
    seed: u64,
}

impl Setup {
    /// Nothing where writes cannot be recorded; says so.
    fn new() -> Option<Self> {
        // Images are written by the thousand, and what becomes of them does not matter.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        match recording::compile(dir.path()) {
            Ok(recorder) => Some(Self { dir, recorder, seed: seed() }),
            Err(why) => {
                eprintln!("SKIPPED: no power was cut: {why}");
                None
            }
        }
    }

    /// Records these commits on top of what a disk holds.
    fn record(&self, base: &Image, commits: std::ops::Range<u64>, flush_every_ms: Option<u64>) -> Recording {
        let root = tempfile::tempdir_in(self.dir.path()).unwrap();
        disk::write_image(base, root.path());
        let mut environment = vec![
            (ROOT, root.path().to_str().unwrap().to_owned()),
            (FROM, commits.start.to_string()),
            (UNTIL, commits.end.to_string()),
            (SEED, self.seed.to_string()),
        ];
        environment.extend(flush_every_ms.map(|ms| (FLUSH_EVERY_MS, ms.to_string())));
        let test = "store::power_cut_tests::child_commits_while_it_is_recorded";
        let recording = recording::record(&self.recorder, root.path(), test, &environment);
        let mut disk = Disk::holding(base);
        for event in &recording.events {
            if let Event::Disk(operation) = event {
                disk.apply(operation);
            }
        }
        let replayed = disk.cut(Survival::Everything, &mut StdRng::seed_from_u64(0));
        assert!(replayed == recording.end, "something escaped the recorder");
        recording
    }

    fn case<'a>(&'a self, events: &'a [Event], digests: &'a [Vec<u8>]) -> Case<'a> {
        static EMPTY: Image = Image::new();
        Case { base: &EMPTY, events, digests, from: 0, seed: self.seed, dir: self.dir.path() }
    }
}

/// The numbers of commits at which a recorded process opens the store.
fn openings() -> Vec<u64> {
    (0..COMMITS).step_by(usize::try_from(SESSION).unwrap()).collect()
}

#[test]
fn every_power_cut_leaves_a_whole_store() {
    let Some(mut setup) = Setup::new() else { return };
    let mut findings = Findings::default();
    while findings.cuts < cuts() {
        let digests = digests(setup.seed, COMMITS, &openings());
        // As it runs, and with sled's own thread at work all the time.
        for flush_every_ms in [None, Some(1)] {
            let recording = setup.record(&Image::new(), 0..COMMITS, flush_every_ms);
            let cuts = cuts().min(CUTS_OF_HISTORY) / 2;
            findings.add(setup.case(&recording.events, &digests).cut(cuts));
        }
        setup.seed += 1;
    }
    eprintln!("{findings}");
    findings.assert_none();
}

#[test]
fn faults_that_are_planted_are_found() {
    let Some(setup) = Setup::new() else { return };
    let digests = digests(setup.seed, COMMITS, &openings());
    let Recording { events, .. } = setup.record(&Image::new(), 0..COMMITS, None);
    let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(_));
    let lost = |verdict: &Verdict| matches!(verdict, Verdict::Lost { .. });
    let planted: [(&str, Vec<Event>, fn(&Verdict) -> bool); 5] = [
        ("the data file is not synced", judge::without_syncs_of(&events, "data/db"), lost),
        ("`conf` is not synced", judge::without_syncs_of(&events, "data/conf"), refused),
        ("the directory is not synced", judge::without_syncs_of(&events, "data"), lost),
        ("commits are acknowledged before the sync", judge::acknowledged_early(&events), lost),
        ("the witness is written before the data", judge::witness_first(&events), refused),
    ];
    for (fault, events, is) in planted {
        let findings = setup.case(&events, &digests).cut(150);
        eprintln!("{fault}: {findings}");
        assert!(findings.count(is) > 0, "{fault}: {findings}");
    }
}
