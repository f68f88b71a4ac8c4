//! The script: what people do, what goes wrong meanwhile, and how long it took to arrive.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::output::{BOLD, DIM, print, styled};
use super::tell;
use crate::emulator::{
    Api, DefenderEdit, EditRefused, Fault, FaultKind, IncidentSeed, Outage, RetryAfter, SentinelEdit,
    Settings, When,
};
use crate::stage::Stage;

/// How long anything may take to arrive. The slowest is a retry after an outage.
const PATIENCE: Duration = Duration::from_mins(1);

const TITLES: [&str; 8] = [
    "Mailbox rule hides mail",
    "Ransomware on one endpoint",
    "Sign-in from two countries",
    "Credential dump in memory",
    "Phishing mail delivered",
    "Unusual volume of downloads",
    "Web shell on a server",
    "Password spray",
];
const PEOPLE: [&str; 3] = ["ana@example.org", "ben@example.org", "chris@example.org"];

/// Where somebody did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In the Defender portal.
    Defender,
    /// In the Sentinel portal.
    Sentinel,
}

/// What kind of thing somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// A close.
    Close,
    /// Any other edit of fields.
    Edit,
    /// A comment.
    Comment,
}

impl Act {
    fn of(closes: bool, comments: bool) -> Self {
        match (closes, comments) {
            (true, _) => Self::Close,
            (false, true) => Self::Comment,
            (false, false) => Self::Edit,
        }
    }
}

/// What somebody did, and what must come of it on the other side: one effective write, or none if it lost.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) side: Side,
    pub(super) defender: u64,
    pub(super) sentinel: String,
    pub(super) act: Act,
    pub(super) writes: usize,
}

/// One pair of incidents.
#[derive(Clone)]
struct Pair {
    defender: u64,
    sentinel: String,
}

struct Day<'a> {
    stage: &'a mut Stage,
    rng: StdRng,
    deeds: Vec<Deed>,
}

/// Plays the day, and returns what people did.
pub(super) fn play(stage: &mut Stage, seed: u64) -> anyhow::Result<Vec<Deed>> {
    let mut day = Day { stage, rng: StdRng::seed_from_u64(seed), deeds: Vec::new() };
    day.stage.start(None)?;
    day.quiet_morning()?;
    day.lost_answers()?;
    day.throttling()?;
    day.killed_worker()?;
    day.conflict()?;
    day.outage()?;
    day.rush_hour()?;
    day.wait("everything rests", |day| day.stage.is_idle())?;
    Ok(day.deeds)
}

impl Day<'_> {
    fn quiet_morning(&mut self) -> anyhow::Result<()> {
        heading("Morning: closes from either side")?;
        let (one, two, three) = (self.pair()?, self.pair()?, self.pair()?);
        let close = DefenderEdit::resolve("truePositive", "phishing").saying("Mail purged, user informed");
        self.in_defender(&one, "closes it as a true positive, phishing", &close)?;
        let close = SentinelEdit::close("FalsePositive", Some("InaccurateData"));
        self.in_sentinel(&two, "closes it as a false positive", &close)?;
        let owner =
            DefenderEdit { severity: Some("high".to_owned()), ..DefenderEdit::owner(Some(PEOPLE[0])) };
        self.in_defender(&three, "takes it and raises its severity", &owner)?;
        self.in_sentinel(&three, "tags it", &SentinelEdit::labels(&["vip"]))?;
        self.in_defender(&three, "comments on it", &DefenderEdit::comment("Host isolated"))?;
        self.in_sentinel(&two, "reopens it", &SentinelEdit::status("Active"))
    }

    fn lost_answers(&mut self) -> anyhow::Result<()> {
        heading("Mid-morning: writes are applied, but their answers are lost")?;
        for (api, operation) in [(Api::Sentinel, "put-incident"), (Api::Graph, "update-incident")] {
            let pair = self.pair()?;
            self.stage.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(api, operation));
            self.close_somewhere(&pair, api == Api::Sentinel)?;
        }
        for (api, operation) in [(Api::Sentinel, "put-comment"), (Api::Graph, "comment-incident")] {
            let pair = self.pair()?;
            self.stage.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(api, operation));
            if api == Api::Sentinel {
                self.in_defender(&pair, "comments on it", &DefenderEdit::comment("Who owns this host?"))?;
            } else {
                self.in_sentinel(&pair, "comments on it", &SentinelEdit::comment("It is a kiosk"))?;
            }
        }
        Ok(())
    }

    fn throttling(&mut self) -> anyhow::Result<()> {
        heading("Noon: both services throttle, one without saying for how long")?;
        let pairs = [self.pair()?, self.pair()?];
        let throttle = |retry_after| FaultKind::Throttle { retry_after };
        let next = |kind, api| Fault::new(kind).on_api(api).when(When::Next(3));
        self.stage.emulator.add_fault(next(throttle(RetryAfter::Absent), Api::Sentinel));
        self.stage.emulator.add_fault(next(throttle(RetryAfter::Decimal(1.5)), Api::Graph));
        self.close_somewhere(&pairs[0], true)?;
        self.close_somewhere(&pairs[1], false)
    }

    fn killed_worker(&mut self) -> anyhow::Result<()> {
        heading("Afternoon: the worker is killed (SIGKILL) in the middle of its work, five times")?;
        for n in 0..5 {
            let pair = self.pair()?;
            let from_defender = n % 2 == 0;
            let started = self.begin_close(&pair, from_defender)?;
            pause(Duration::from_millis(self.rng.random_range(50..450)));
            self.stage.kill()?;
            self.stage.start(None)?;
            self.arrival(&pair, from_defender, started, "close, across a kill and a restart")?;
        }
        Ok(())
    }

    fn conflict(&mut self) -> anyhow::Result<()> {
        heading("While the worker is down, two people edit the same incident")?;
        let pair = self.pair()?;
        self.stage.kill()?;
        self.edit_sentinel(&pair, PEOPLE[1], &SentinelEdit::status("Active"))?;
        self.deed(Side::Sentinel, &pair, Act::Edit, 0);
        let started = self.begin_close(&pair, true)?;
        self.stage.start(None)?;
        self.arrival(&pair, true, started, "the close beats the other edit, and the history says so")
    }

    fn outage(&mut self) -> anyhow::Result<()> {
        heading("Sentinel is down, and people go on closing on both sides")?;
        let pairs = (0..6).map(|_| self.pair()).collect::<Result<Vec<_>, _>>()?;
        let settings = self.stage.emulator.settings();
        self.stage.emulator.set_settings(Settings { sentinel_outage: Outage::Drop, ..settings.clone() });
        let mut started = Vec::new();
        for (n, pair) in pairs.iter().enumerate() {
            started.push(self.begin_close(pair, n % 2 == 0)?);
        }
        pause(Duration::from_secs(3));
        self.stage.emulator.set_settings(settings);
        for (n, pair) in pairs.iter().enumerate() {
            self.arrival(pair, n % 2 == 0, started[n], "close, after the outage")?;
        }
        Ok(())
    }

    fn rush_hour(&mut self) -> anyhow::Result<()> {
        heading("Evening: forty closes at once, while one request in twenty fails")?;
        let pairs = (0..40).map(|_| self.pair()).collect::<Result<Vec<_>, _>>()?;
        for kind in [FaultKind::DropAfter, FaultKind::DropBefore, FaultKind::ErrorAfter { status: 503 }] {
            self.stage.emulator.add_fault(Fault::new(kind).when(When::Probability(0.017)));
        }
        let mut started = Instant::now();
        for (n, pair) in pairs.iter().enumerate() {
            started = self.begin_close(pair, n % 2 == 0)?;
        }
        let arrived = self.wait("all forty closes", |day| {
            pairs.iter().enumerate().all(|(n, pair)| day.is_closed(pair, n % 2 == 0))
        })?;
        self.stage.emulator.clear_faults();
        let seconds = started.elapsed().as_secs_f64();
        tell(arrived, &format!("forty closes arrived within {seconds:.1} s"))
    }

    /// A pair that the worker has seen.
    fn pair(&mut self) -> anyhow::Result<Pair> {
        let title = TITLES.choose(&mut self.rng).copied().unwrap_or(TITLES[0]);
        let (defender, sentinel) = self.stage.emulator.add_linked(&IncidentSeed::new(title, "medium", 2));
        let mapped = format!("/api/v1/records/sentinel/incident/{sentinel}/explain");
        let linked = |day: &Self| {
            let told = day.stage.get(&mapped).unwrap_or_default();
            told.contains(&format!("defender/incident/{defender}")) && !told.contains("\"awaited\"")
        };
        self.wait("a new pair is mapped", linked)?;
        Ok(Pair { defender, sentinel })
    }

    fn close_somewhere(&mut self, pair: &Pair, in_defender: bool) -> anyhow::Result<()> {
        let started = self.begin_close(pair, in_defender)?;
        self.arrival(pair, in_defender, started, "close")
    }

    fn begin_close(&mut self, pair: &Pair, in_defender: bool) -> anyhow::Result<Instant> {
        let by = PEOPLE.choose(&mut self.rng).copied().unwrap_or(PEOPLE[0]);
        if in_defender {
            self.edit_defender(pair, by, &DefenderEdit::resolve("truePositive", "malware"))?;
        } else {
            let close = SentinelEdit::close("BenignPositive", Some("SuspiciousButExpected"));
            self.edit_sentinel(pair, by, &close)?;
        }
        self.deed(if in_defender { Side::Defender } else { Side::Sentinel }, pair, Act::Close, 1);
        Ok(Instant::now())
    }

    fn arrival(
        &mut self,
        pair: &Pair,
        from_defender: bool,
        started: Instant,
        what: &str,
    ) -> anyhow::Result<()> {
        let arrived = self.wait("a close", |day| day.is_closed(pair, from_defender))?;
        let (from, to) = if from_defender { ("Defender", "Sentinel") } else { ("Sentinel", "Defender") };
        let seconds = started.elapsed().as_secs_f64();
        tell(arrived, &format!("{} {from} → {to}: {what}, {seconds:.1} s", pair.defender))
    }

    fn in_defender(&mut self, pair: &Pair, what: &str, edit: &DefenderEdit) -> anyhow::Result<()> {
        let before = self.stage.writes(crate::emulator::System::Sentinel, &pair.sentinel).len();
        let started = Instant::now();
        self.edit_defender(pair, PEOPLE[0], edit)?;
        let closes = edit.status.as_deref() == Some("resolved");
        self.deed(Side::Defender, pair, Act::of(closes, edit.comment.is_some()), 1);
        let arrived = self.wait(what, |day| {
            day.stage.writes(crate::emulator::System::Sentinel, &pair.sentinel).len() > before
        })?;
        told(arrived, pair, "Defender → Sentinel", PEOPLE[0], what, started)
    }

    fn in_sentinel(&mut self, pair: &Pair, what: &str, edit: &SentinelEdit) -> anyhow::Result<()> {
        let id = pair.defender.to_string();
        let before = self.stage.writes(crate::emulator::System::Defender, &id).len();
        let started = Instant::now();
        self.edit_sentinel(pair, PEOPLE[1], edit)?;
        let closes = edit.status.as_deref() == Some("Closed");
        self.deed(Side::Sentinel, pair, Act::of(closes, edit.comment.is_some()), 1);
        let arrived =
            self.wait(what, |day| day.stage.writes(crate::emulator::System::Defender, &id).len() > before)?;
        told(arrived, pair, "Sentinel → Defender", PEOPLE[1], what, started)
    }

    fn edit_defender(&self, pair: &Pair, by: &str, edit: &DefenderEdit) -> Result<(), EditRefused> {
        self.stage.emulator.human_defender(pair.defender, by, edit)
    }

    fn edit_sentinel(&self, pair: &Pair, by: &str, edit: &SentinelEdit) -> Result<(), EditRefused> {
        self.stage.emulator.human_sentinel(&pair.sentinel, by, edit)
    }

    fn deed(&mut self, side: Side, pair: &Pair, act: Act, writes: usize) {
        let Pair { defender, sentinel } = pair.clone();
        self.deeds.push(Deed { side, defender, sentinel, act, writes });
    }

    fn is_closed(&self, pair: &Pair, from_defender: bool) -> bool {
        let (there, closed) = if from_defender {
            let incident = self.stage.emulator.sentinel_incident(&pair.sentinel);
            (incident.map(|i| i["properties"]["status"].clone()), "Closed")
        } else {
            (self.stage.emulator.defender_incident(pair.defender).map(|i| i["status"].clone()), "resolved")
        };
        there.is_some_and(|status| status == closed)
    }

    /// Waits until it happened; `false` if it did not.
    fn wait(&mut self, what: &str, happened: impl Fn(&Self) -> bool) -> anyhow::Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while !happened(self) {
            if Instant::now() > deadline {
                print(&styled(DIM, format!("  waited {} s in vain for: {what}", PATIENCE.as_secs())))?;
                return Ok(false);
            }
            pause(Duration::from_millis(20));
        }
        Ok(true)
    }
}

fn heading(text: &str) -> anyhow::Result<()> {
    print(&format!("\n{}", styled(BOLD, text)))?;
    Ok(())
}

fn told(arrived: bool, pair: &Pair, way: &str, by: &str, what: &str, at: Instant) -> anyhow::Result<()> {
    let seconds = at.elapsed().as_secs_f64();
    tell(arrived, &format!("{} {way}: {by} {what}, {seconds:.1} s", pair.defender))
}

#[expect(clippy::disallowed_methods, reason = "the day is played on a thread of its own")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
