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
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::testing::*;
use super::*;
use disk::{Disk, Image, Operation, Survival};
use judge::{Case, Findings, Verdict};
use recording::{Event, Recording};
use workload::{Digest, commit_of, digests};

const ROOT: &str = "LOCKSTEP_POWER_CUT_ROOT";
const FROM: &str = "LOCKSTEP_POWER_CUT_FROM";
const UNTIL: &str = "LOCKSTEP_POWER_CUT_UNTIL";
const SEED: &str = "LOCKSTEP_POWER_CUT_SEED";
const FLUSH_EVERY_MS: &str = "LOCKSTEP_POWER_CUT_FLUSH_EVERY_MS";

/// Commits of one history; some megabytes of log for a few hundred kilobytes of content.
const COMMITS: u64 = 240;

/// Commits between two openings.
const SESSION: u64 = 48;

/// How often the power is cut, unless `LOCKSTEP_CUTS` says otherwise.
const CUTS: usize = 1_000;

/// How many cuts one history is good for; more of them begin another one.
const CUTS_OF_HISTORY: usize = 2_000;

/// How often each life of a store is cut in the test with many lives.
const CUTS_OF_LIFE: usize = 50;

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
            // Alone and in groups.
            let group = if next % 60 < 4 { 20 } else { 1 + next % 4 };
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

    fn case<'a>(&'a self, events: &'a [Event], digests: &'a [Digest]) -> Case<'a> {
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
        let digests = digests(setup.seed, 0..COMMITS, &openings());
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
fn a_power_cut_while_a_store_is_made_leaves_none_or_a_whole_one() {
    let Some(setup) = Setup::new() else { return };
    let digests = digests(setup.seed, 0..1, &[]);
    let Recording { events, .. } = setup.record(&Image::new(), 0..1, None);
    let findings = setup.case(&events, &digests).cut(cuts() / 4);
    eprintln!("{findings}");
    findings.assert_none();
}

/// The draws above seldom meet these two, so their order is looked at as such.
#[test]
fn names_are_durable_before_anything_relies_on_them() {
    let Some(setup) = Setup::new() else { return };
    let Recording { events, .. } = setup.record(&Image::new(), 0..COMMITS, None);
    let operations: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Disk(operation) = event { Some(operation) } else { None })
        .collect();
    let database = operations.iter().find_map(|operation| match operation {
        Operation::Create { path, inode } if path == "data/db" => Some(*inode),
        _ => None,
    });
    let synced =
        |operation: &&&Operation| matches!(operation, Operation::Sync { path, .. } if path == "data");
    let mut snapshots = 0;
    for (at, operation) in operations.iter().enumerate() {
        let Operation::Rename { to, .. } = operation else { continue };
        if to == "data/store.json" {
            let made = |operation: &&&Operation| !matches!(operation, Operation::Create { path, .. } if path == "data/db");
            let since = operations[..at].iter().rev().take_while(made);
            assert!(
                since.clone().any(|operation| synced(&operation)),
                "`db` may be lost and its description kept"
            );
        } else if to.starts_with("data/snap.") {
            let mut until = operations[at..].iter().take_while(
                |operation| !matches!(operation, Operation::Write { inode, .. } if Some(*inode) == database),
            );
            assert!(until.any(|operation| synced(&operation)), "{to} may be lost after its log was wiped");
            snapshots += 1;
        }
    }
    assert_eq!(snapshots, COMMITS / SESSION - 1, "each opening but the first takes over a snapshot");
}

/// One store that is cut off again and again, mostly while it is opened after the cut before. Each of its lives is cut
/// at many points; one of them is where the next life begins.
#[test]
fn power_cuts_in_a_row_leave_a_whole_store() {
    let Some(setup) = Setup::new() else { return };
    let mut random = StdRng::seed_from_u64(setup.seed);
    let (mut base, mut from, mut openings) = (Image::new(), 0, Vec::new());
    let mut known = Vec::new();
    let mut findings = Findings::default();
    let lives = (cuts() / CUTS_OF_LIFE).max(1);
    for life in 0..lives {
        let until = from + if life == 0 { SESSION } else { random.random_range(1..12) };
        openings.push(from);
        openings.extend((from + 1..until).filter(|n| n.is_multiple_of(SESSION)));
        known.truncate(usize::try_from(from).unwrap());
        known.extend(digests(setup.seed, from..until, &openings));
        let Recording { events, .. } = setup.record(&base, from..until, Some(1));
        let case = Case { base: &base, from: usize::try_from(from).unwrap(), ..setup.case(&events, &known) };
        findings.add(case.cut(CUTS_OF_LIFE));
        let next = case.cut_once(&mut random);
        let Verdict::Whole(there) = next.verdict else {
            findings.note(next);
            break;
        };
        (base, from) = (next.image, there as u64);
        openings.retain(|n| *n < from);
    }
    eprintln!("{lives} lives, {findings}");
    findings.assert_none();
}

/// What tells that a planted fault was found.
type Sign = fn(&Verdict) -> bool;

#[test]
fn faults_that_are_planted_are_found() {
    let Some(setup) = Setup::new() else { return };
    let digests = digests(setup.seed, 0..COMMITS, &openings());
    let Recording { events, .. } = setup.record(&Image::new(), 0..COMMITS, None);
    let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(_));
    let lost = |verdict: &Verdict| matches!(verdict, Verdict::Lost { .. });
    let planted: [(&str, Vec<Event>, Sign); 5] = [
        ("the data file is not synced", judge::without_syncs_of(&events, "data/db"), refused),
        ("`conf` is not synced", judge::without_syncs_of(&events, "data/conf"), refused),
        ("the directory is not synced", judge::without_syncs_of(&events, "data"), lost),
        ("commits are acknowledged before the sync", judge::acknowledged_early(&events), lost),
        ("the witness is written before the data", judge::witness_first(&events), refused),
    ];
    for (fault, events, is) in planted {
        let findings = setup.case(&events, &digests).cut(40);
        eprintln!("{fault}: {findings}");
        assert!(findings.count(is) > 0, "{fault}: {findings}");
    }
}
