//! Kill -9 at random moments: nothing that was acknowledged may be lost, nothing may be half there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::testing::*;
use super::*;

const DIR: &str = "LOCKSTEP_KILL_TEST_DIR";
const KILLS: u32 = 20;

/// What commit `n` says. Every seventh is too large for one row.
fn numbered(n: u64) -> Vec<Change> {
    vec![
        put(mapping(n, [n])),
        put_intent(intent(n, 0)),
        push(snapshot(n, if n.is_multiple_of(7) { 10_000 } else { 10 })),
        Change::PutCursor(system("defender"), RecordKind::Incident, time(i64::try_from(n).unwrap())),
        append(audit(n, 0)),
    ]
}

/// The child's part; as a test of its own it has nothing to do.
#[test]
fn child_commits_until_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let say = |text: String| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "\n{text}").unwrap();
        output.flush().unwrap();
    };
    say("opening".into());
    let store = SledStore::open(dir).unwrap();
    wait(async {
        let mut next = store.counts().mappings;
        loop {
            // Alone and in groups by turns.
            let group = if next.is_multiple_of(2) { 1 } else { 4 };
            let results = join_all((next..next + group).map(|n| store.commit(numbered(n)))).await;
            assert!(results.into_iter().all(|result| result.is_ok()));
            next += group;
            say(format!("acknowledged {next}"));
        }
    });
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let mut random = StdRng::seed_from_u64(seed());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let lines = match kill % 4 {
            // While it opens, or a little later.
            0 => 1,
            _ => random.random_range(2..60),
        };
        acknowledged = acknowledged.max(run_and_kill(&path, lines));
        let there = check(&path, acknowledged);
        eprintln!("kill {kill} after {lines} lines: {acknowledged} acknowledged, {there} there");
    }
    assert!(acknowledged > u64::from(KILLS));
}

/// Kills the child once it has said this many lines; the highest number that it had acknowledged.
fn run_and_kill(dir: &Path, lines: usize) -> u64 {
    let mut child = spawn(dir);
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut heard =
        |line: String| line.strip_prefix("acknowledged ").map(|number| number.parse::<u64>().unwrap());
    let is_ours = |line: &String| line == "opening" || line.starts_with("acknowledged ");
    let mut highest = said.by_ref().filter(is_ours).take(lines).filter_map(&mut heard).max().unwrap_or(0);
    child.kill().unwrap();
    // What it said before it died counts too; a line that was cut off was not said.
    let rest = said.filter(is_ours).filter_map(&mut heard).max();
    highest = highest.max(rest.unwrap_or(0));
    child.wait().unwrap();
    highest
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::kill_tests::child_commits_until_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many commits are there; all that were acknowledged must be, and each of them whole.
fn check(dir: &Path, acknowledged: u64) -> u64 {
    let store = SledStore::open(dir).unwrap();
    let Counts { mappings: there, outbox, inbox, .. } = store.counts();
    assert!(there >= acknowledged, "{acknowledged} acknowledged, {there} there");
    assert_eq!((outbox, inbox), (there, there));
    let entries = store.inbox(None, usize::MAX).unwrap();
    for (n, (_, snapshot)) in (0..there).zip(entries) {
        assert_eq!(store.mapping(MappingId(n)), Ok(Some(mapping(n, [n]))));
        assert_eq!(store.find(&bridge(), &record(n)), Ok(Some(MappingId(n))));
        assert_eq!(store.audit(MappingId(n)), Ok(vec![audit(n, 0)]));
        assert_eq!(numbered(n)[2], push(snapshot));
    }
    let cursor = store.cursors().unwrap().into_values().next();
    assert_eq!(cursor, there.checked_sub(1).map(|last| time(i64::try_from(last).unwrap())));
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
    there
}
