//! Runs this test binary with the recorder preloaded, and reads what it recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::disk::{Image, Operation};

/// What happened, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// The disk was changed.
    Disk(Operation),
    /// So many commits were begun.
    Begun(usize),
    /// So many commits were acknowledged.
    Acknowledged(usize),
}

/// What a process did to a directory.
pub(super) struct Recording {
    pub(super) events: Vec<Event>,
    /// What the directory held in the end; what the events must lead to.
    pub(super) end: Image,
}

/// The file beside the store into which the process says what it has begun and what was acknowledged.
pub(super) const MARKS: &str = "marks";

/// A compiled recorder, or why there is none.
pub(super) fn compile(dir: &Path) -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Err(
            "writes are recorded by preloading a library, which is done for Linux with glibc only".into()
        );
    }
    let (source, library) = (dir.join("recorder.c"), dir.join("recorder.so"));
    fs::write(&source, include_str!("recorder.c")).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .output()
        .map_err(|error| format!("the C compiler `{compiler}` cannot be run: {error}"))?;
    assert!(output.status.success(), "the recorder: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

/// Runs a test of this binary that changes files below `root`, and only there.
pub(super) fn record(recorder: &Path, root: &Path, test: &str, environment: &[(&str, String)]) -> Recording {
    let root = root.canonicalize().unwrap();
    let log = root.with_extension("log");
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("LOCKSTEP_RECORD_BELOW", &root)
        .env("LOCKSTEP_RECORD_TO", &log)
        .env("LD_PRELOAD", recorder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}{}",
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr)
    );
    let bytes = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let events = events(Records(&bytes), root.to_str().unwrap());
    Recording { events, end: image_of(&root) }
}

/// All files below a directory but the marks.
pub(super) fn image_of(root: &Path) -> Image {
    let mut image = super::super::testing::files(root);
    image.remove(MARKS);
    image
}

struct Record<'a> {
    kind: u32,
    path: &'a str,
    inode: u64,
    at: u64,
    data: &'a [u8],
}

/// The log as the recorder wrote it: two numbers of 32 bits, three of 64, the path, the data.
struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn short(&mut self) -> u32 {
        u32::from_ne_bytes(self.bytes(4).try_into().unwrap())
    }

    fn long(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes(8).try_into().unwrap())
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (kind, path_bytes) = (self.short(), self.short());
        let (inode, at, data_bytes) = (self.long(), self.long(), self.long());
        let path = std::str::from_utf8(self.bytes(path_bytes as usize)).unwrap();
        let data = self.bytes(usize::try_from(data_bytes).unwrap());
        Some(Record { kind, path, inode, at, data })
    }
}

fn events(records: Records<'_>, root: &str) -> Vec<Event> {
    let relative = |path: &str| path.strip_prefix(root).unwrap().trim_start_matches('/').to_owned();
    let mut marks = None;
    let mut events = Vec::new();
    for Record { kind, path, inode, at, data } in records {
        if kind <= 2 && relative(path) == MARKS {
            marks = Some(inode);
        }
        if marks == Some(inode) {
            events.extend(marks_in(data));
            continue;
        }
        events.push(Event::Disk(match kind {
            1 => Operation::Open { path: relative(path), inode },
            2 => Operation::Create { path: relative(path), inode },
            3 => Operation::Write { inode, at, bytes: data.to_vec() },
            4 => Operation::Resize { inode, length: at },
            5 => Operation::Sync { path: relative(path), inode },
            6 => Operation::Rename { from: relative(path), to: relative(std::str::from_utf8(data).unwrap()) },
            7 | 9 => Operation::Unlink { path: relative(path) },
            8 => Operation::MakeDirectory { path: relative(path) },
            other => panic!("a record of kind {other}"),
        }));
    }
    events
}

fn marks_in(data: &[u8]) -> impl Iterator<Item = Event> {
    std::str::from_utf8(data).unwrap().lines().map(|line| {
        let (word, number) = line.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        if word == "begun" { Event::Begun(number) } else { Event::Acknowledged(number) }
    })
}
