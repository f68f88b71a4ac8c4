//! The verdict, counted in the emulators' ledger: per deed of a person exactly the writes that it must cause.

use std::collections::BTreeMap;

use super::super::output::{BAD, BOLD, GOOD, styled};
use super::records::{Act, Comes, Deed, Side, TICKETS, Trio};
use crate::emulator::{Entry, What};
use crate::stage::Stage;

/// What the ledger says of the day.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    edits: usize,
    closes: usize,
    opened: usize,
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
    let mut by_trio: BTreeMap<&Trio, Vec<&Deed>> = BTreeMap::new();
    for deed in deeds {
        by_trio.entry(&deed.trio).or_default().push(deed);
    }
    for (trio, deeds) in &by_trio {
        judge_trio(stage, trio, deeds, &mut verdict);
    }
    verdict.opened = by_trio.len();
    let tickets = stage.emulator.tickets(TICKETS).len();
    verdict.doubled += tickets.saturating_sub(verdict.opened);
    verdict.lost += verdict.opened.saturating_sub(tickets);
    verdict.effective =
        Side::ALL.iter().flat_map(|side| by_trio.keys().map(|trio| trio.writes(stage, *side).len())).sum();
    verdict.dead_letters = stage.gauge("lockstep_dead_letters").map_or(1, |dead| usize::from(dead > 0.0));
    verdict
}

fn judge_trio(stage: &Stage, trio: &Trio, deeds: &[&Deed], verdict: &mut Verdict) {
    let is_comment = |entry: &&Entry| matches!(entry.what, What::Commented { .. });
    for side in Side::ALL {
        let writes = trio.writes(stage, side);
        let elsewhere = || deeds.iter().filter(|d| d.side != side);
        let comments = writes.iter().filter(is_comment).count();
        // Apart, so that a comment too many cannot make up for an edit that was lost.
        for (comment, written) in [(true, comments), (false, writes.len() - comments)] {
            let of_kind = |comes: Comes| {
                elsewhere().filter(|d| d.act.is_comment() == comment && d.comes == comes).count()
            };
            let must = of_kind(Comes::Once);
            // What was carried before it was beaten had to be carried.
            let expected = must + written.saturating_sub(must).min(of_kind(Comes::AtMostOnce));
            verdict.expected += expected;
            verdict.lost += expected.saturating_sub(written);
            let more = written.saturating_sub(expected);
            if elsewhere().next().is_none() { verdict.bounced += more } else { verdict.doubled += more }
        }
    }
    let [defender, sentinel, ticket] = trio.closed(stage);
    verdict.disagreeing += usize::from(defender.is_none() || defender != sentinel || defender != ticket);
}

/// The verdict for people.
pub(super) fn render(verdict: &Verdict) -> String {
    let count = |n: usize, what: &str| {
        let style = if n == 0 { GOOD } else { BAD };
        format!("  {}  {what}", styled(style, format!("{n:>5}")))
    };
    let Verdict { edits, closes, opened, expected, effective, calls, .. } = verdict;
    let lines = [
        format!("\n{}", styled(BOLD, "The verdict, from the emulators' ledger")),
        format!("  {edits:>5}  edits by people, {closes} of them closes"),
        format!("  {opened:>5}  incidents, and a ticket opened for each"),
        format!("  {expected:>5}  effective writes that they must cause on the other sides"),
        format!("  {effective:>5}  effective writes by lockstep, in {calls} calls in all"),
        count(verdict.lost, "lost"),
        count(verdict.doubled, "doubled"),
        count(verdict.bounced, "bounced back"),
        count(verdict.disagreeing, "incidents whose records disagree at the end"),
        count(verdict.dead_letters, "given up"),
    ];
    let word = if verdict.is_fine() { styled(GOOD, "exactly once") } else { styled(BAD, "NOT exactly once") };
    format!("{}\n\n  {word}\n", lines.join("\n"))
}
