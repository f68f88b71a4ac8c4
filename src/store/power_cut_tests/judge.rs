//! Cuts the power at many points of what was recorded, and opens what is left each time.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Mutex;
use std::{fmt, panic, thread};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::*;
use super::disk::{self, Disk, Image, Operation, Survival};
use super::recording::Event;
use super::workload::{Digest, digest_of};

/// What became of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It opened, and is what it was after so many commits: no fewer than acknowledged, no more than begun.
    Whole(usize),
    /// It opened, and acknowledged commits are missing.
    Lost { acknowledged: usize, there: usize },
    /// It opened, and is what it never was.
    Wrong,
    /// It did not open, and said why.
    Refused(String),
    /// Opening or reading it panicked.
    Panicked,
}

/// A cut, and what followed.
#[derive(Debug)]
pub(super) struct Finding {
    /// So many events had happened.
    after: usize,
    survival: Survival,
    pub(super) verdict: Verdict,
    /// What the disk held.
    pub(super) image: Image,
}

/// What was found at all cuts.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) cuts: usize,
    pub(super) faults: Vec<Finding>,
}

impl Findings {
    /// How many verdicts are like this.
    pub(super) fn count(&self, is: fn(&Verdict) -> bool) -> usize {
        self.faults.iter().filter(|fault| is(&fault.verdict)).count()
    }

    /// Counts a cut, and keeps it if something is wrong.
    pub(super) fn note(&mut self, finding: Finding) {
        self.cuts += 1;
        if !matches!(finding.verdict, Verdict::Whole(_)) {
            self.faults.push(finding);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.faults.extend(other.faults);
    }

    /// Fails if there is a fault; leaves the first ones in the directory for temporary files, to be opened again.
    pub(super) fn assert_none(&self) {
        for (number, fault) in self.faults.iter().enumerate().take(5) {
            let dir =
                std::env::temp_dir().join(format!("lockstep-power-cut-{}-{number}", std::process::id()));
            std::fs::create_dir(&dir).unwrap();
            disk::write_image(&fault.image, &dir);
            let Finding { after, survival, verdict, .. } = fault;
            eprintln!("after event {after}, {survival:?} surviving: {verdict:?}; kept in {}", dir.display());
        }
        assert!(self.faults.is_empty(), "{self}");
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts: {} refused, {} lost acknowledged commits, {} opened wrong, {} panicked",
            self.cuts,
            self.count(|verdict| matches!(verdict, Verdict::Refused(_))),
            self.count(|verdict| matches!(verdict, Verdict::Lost { .. })),
            self.count(|verdict| matches!(verdict, Verdict::Wrong)),
            self.count(|verdict| matches!(verdict, Verdict::Panicked)),
        )
    }
}

/// What a process did to a disk, and what the store must be like.
pub(super) struct Case<'a> {
    /// What the disk held before.
    pub(super) base: &'a Image,
    pub(super) events: &'a [Event],
    /// Digests of the store after each number of commits.
    pub(super) digests: &'a [Digest],
    /// How many commits the disk held before.
    pub(super) from: usize,
    pub(super) seed: u64,
    /// Where images are put.
    pub(super) dir: &'a Path,
}

impl Case<'_> {
    /// Cuts the power this often, evenly over the events.
    pub(super) fn cut(&self, cuts: usize) -> Findings {
        let changes = |event: &Event| !matches!(event, Event::Disk(Operation::Open { .. }));
        let places: Vec<usize> =
            (1..=self.events.len()).filter(|after| changes(&self.events[after - 1])).collect();
        let wanted: Vec<(usize, usize)> =
            (0..cuts).map(|draw| (places[draw * places.len() / cuts], draw)).collect();
        let threads = thread::available_parallelism().map_or(2, usize::from);
        let findings = Mutex::new(Findings::default());
        thread::scope(|scope| {
            for part in wanted.chunks(cuts.div_ceil(threads)) {
                let findings = &findings;
                scope.spawn(move || self.cut_all(part, findings));
            }
        });
        findings.into_inner().unwrap()
    }

    fn cut_all(&self, cuts: &[(usize, usize)], findings: &Mutex<Findings>) {
        let mut course = Course { disk: Disk::holding(self.base), allowed: self.from..=self.from };
        let mut done = 0;
        for &(after, draw) in cuts {
            self.events[done..after].iter().for_each(|event| course.happen(event));
            done = after;
            let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(draw as u64));
            let finding = self.finding(&course, after, &mut random);
            findings.lock().unwrap().note(finding);
        }
    }

    /// Cuts the power once, anywhere.
    pub(super) fn cut_once(&self, random: &mut StdRng) -> Finding {
        let mut course = Course { disk: Disk::holding(self.base), allowed: self.from..=self.from };
        let after = random.random_range(0..=self.events.len());
        self.events[..after].iter().for_each(|event| course.happen(event));
        self.finding(&course, after, random)
    }

    fn finding(&self, course: &Course, after: usize, random: &mut StdRng) -> Finding {
        let survival = Survival::ALL[random.random_range(0..Survival::ALL.len())];
        let image = course.disk.cut(survival, random);
        let verdict = self.judge(&image, &course.allowed);
        Finding { after, survival, verdict, image }
    }

    /// Opens the store of an image, which may hold this many commits.
    fn judge(&self, image: &Image, allowed: &RangeInclusive<usize>) -> Verdict {
        let dir = tempfile::tempdir_in(self.dir).unwrap();
        disk::write_image(image, dir.path());
        let digest = panic::catch_unwind(|| digest_of(&*SledStore::open(dir.path().join("data"))?));
        let digest = match digest {
            Ok(Ok(digest)) => digest,
            Ok(Err(error)) => return Verdict::Refused(error.0),
            Err(_) => return Verdict::Panicked,
        };
        let is = |number: &usize| self.digests[*number] == digest;
        let acknowledged = *allowed.start();
        match allowed.clone().find(is) {
            Some(number) => Verdict::Whole(number),
            None => match (0..acknowledged).rev().find(is) {
                Some(there) => Verdict::Lost { acknowledged, there },
                None => Verdict::Wrong,
            },
        }
    }
}

/// How things stand after some events.
struct Course {
    disk: Disk,
    /// From the commits that were acknowledged to those that were begun.
    allowed: RangeInclusive<usize>,
}

impl Course {
    fn happen(&mut self, event: &Event) {
        match event {
            Event::Disk(operation) => self.disk.apply(operation),
            Event::Begun(number) => self.allowed = *self.allowed.start()..=*number,
            Event::Acknowledged(number) => self.allowed = *number..=*self.allowed.end(),
        }
    }
}

/// The inodes that had this name, at any time.
fn inodes_of(events: &[Event], name: &str) -> BTreeSet<u64> {
    let inode = |event: &Event| match event {
        Event::Disk(Operation::Create { path, inode } | Operation::Open { path, inode }) if path == name => {
            Some(*inode)
        }
        _ => None,
    };
    events.iter().filter_map(inode).collect()
}

/// As if syncs of this file or directory were left out.
pub(super) fn without_syncs_of(events: &[Event], name: &str) -> Vec<Event> {
    let left_out =
        |event: &&Event| matches!(event, Event::Disk(Operation::Sync { path, .. }) if path == name);
    events.iter().filter(|event| !left_out(event)).cloned().collect()
}

/// As if commits were acknowledged before the data was synced.
pub(super) fn acknowledged_early(events: &[Event]) -> Vec<Event> {
    let mut early: Vec<Event> = Vec::new();
    for event in events {
        let begun = early.iter().rposition(|event| matches!(event, Event::Begun(_)));
        match (event, begun) {
            (Event::Acknowledged(_), Some(begun)) => early.insert(begun + 1, event.clone()),
            _ => early.push(event.clone()),
        }
    }
    early
}

/// As if the witness were written before the data.
pub(super) fn witness_first(events: &[Event]) -> Vec<Event> {
    let witnesses = inodes_of(events, "data/acknowledged");
    let mut early: Vec<Event> = Vec::new();
    for event in events {
        let begun = early.iter().rposition(|event| matches!(event, Event::Begun(_)));
        match (event, begun) {
            (Event::Disk(Operation::Write { inode, .. }), Some(begun)) if witnesses.contains(inode) => {
                early.insert(begun + 1, event.clone());
            }
            _ => early.push(event.clone()),
        }
    }
    early
}
