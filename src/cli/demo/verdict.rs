//! The verdict, counted in the emulators' ledger: per deed of a person exactly the writes that it must cause.

use std::collections::BTreeMap;

use super::super::output::{BAD, BOLD, GOOD, styled};
use super::day::{Act, Deed, Side};
use crate::emulator::{CLIENT_ID, Entry, System, What};
use crate::stage::Stage;

/// What the ledger says of the day.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    edits: usize,
    closes: usize,
    expected: usize,
    effective: usize,
    lost: usize,
    doubled: usize,
    bounced: usize,
    disagreeing: usize,
    calls: u64,
    dead_letters: usize,
}

impl Verdict {
    pub(super) fn is_fine(&self) -> bool {
        self.lost + self.doubled + self.bounced + self.disagreeing + self.dead_letters == 0
    }
}

/// Judges the day.
pub(super) fn judge(stage: &Stage, deeds: &[Deed]) -> Verdict {
    let mut verdict = Verdict {
        edits: deeds.len(),
        closes: deeds.iter().filter(|d| d.act == Act::Close).count(),
        calls: stage.emulator.calls().values().sum(),
        ..Verdict::default()
    };
    let mut by_pair: BTreeMap<u64, Vec<&Deed>> = BTreeMap::new();
    for deed in deeds {
        by_pair.entry(deed.defender).or_default().push(deed);
    }
    for (defender, deeds) in by_pair {
        let sentinel = &deeds[0].sentinel;
        judge_pair(stage, defender, sentinel, &deeds, &mut verdict);
    }
    verdict.effective =
        stage.emulator.ledger().iter().filter(|e| e.actor == CLIENT_ID && e.is_effective()).count();
    verdict.dead_letters = stage.gauge("lockstep_dead_letters").map_or(1, |dead| usize::from(dead > 0.0));
    verdict
}

fn judge_pair(stage: &Stage, defender: u64, sentinel: &str, deeds: &[&Deed], verdict: &mut Verdict) {
    let sides = [
        (Side::Defender, stage.writes(System::Sentinel, sentinel)),
        (Side::Sentinel, stage.writes(System::Defender, &defender.to_string())),
    ];
    let is_comment = |entry: &&Entry| matches!(entry.what, What::Commented { .. });
    for (side, writes) in sides {
        let here = || deeds.iter().filter(|d| d.side == side);
        let comments = writes.iter().filter(is_comment).count();
        // Apart, so that a comment too many cannot make up for an edit that was lost.
        for (comment, written) in [(true, comments), (false, writes.len() - comments)] {
            let expected =
                here().filter(|d| (d.act == Act::Comment) == comment).map(|d| d.writes).sum::<usize>();
            verdict.expected += expected;
            verdict.lost += expected.saturating_sub(written);
            let more = written.saturating_sub(expected);
            if here().next().is_none() { verdict.bounced += more } else { verdict.doubled += more }
        }
    }
    let here = stage.emulator.defender_incident(defender).map(|i| i["status"] == "resolved");
    let there = stage.emulator.sentinel_incident(sentinel).map(|i| i["properties"]["status"] == "Closed");
    verdict.disagreeing += usize::from(here != there || here.is_none());
}

/// The verdict for people.
pub(super) fn render(verdict: &Verdict) -> String {
    let count = |n: usize, what: &str| {
        let style = if n == 0 { GOOD } else { BAD };
        format!("  {}  {what}", styled(style, format!("{n:>5}")))
    };
    let Verdict { edits, closes, expected, effective, calls, .. } = verdict;
    let lines = [
        format!("\n{}", styled(BOLD, "The verdict, from the emulators' ledger")),
        format!("  {edits:>5}  edits by people, {closes} of them closes"),
        format!("  {expected:>5}  effective writes that they must cause on the other side"),
        format!("  {effective:>5}  effective writes by lockstep, in {calls} calls in all"),
        count(verdict.lost, "lost"),
        count(verdict.doubled, "doubled"),
        count(verdict.bounced, "bounced back"),
        count(verdict.disagreeing, "pairs that disagree at the end"),
        count(verdict.dead_letters, "given up"),
    ];
    let word = if verdict.is_fine() { styled(GOOD, "exactly once") } else { styled(BAD, "NOT exactly once") };
    format!("{}\n\n  {word}\n", lines.join("\n"))
}
