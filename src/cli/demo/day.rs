//! The script: what people do, what goes wrong meanwhile, and how long it took to arrive.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::super::output::{BOLD, DIM, print, styled};
use super::records::{Act, Comes, Deed, Side, TICKETS, Trio, act};
use super::tell;
use crate::emulator::{Api, Fault, FaultKind, IncidentSeed, Outage, RetryAfter, Settings, When};
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
        heading("Morning: a ticket for each incident, and closes from every side")?;
        let (one, two, three) = (self.incident()?, self.incident()?, self.incident()?);
        self.does(Side::Defender, &one, Act::Close, "closes it as a true positive, malware")?;
        self.does(Side::Ticket, &two, Act::Close, "closes the ticket as a false positive")?;
        self.does(Side::Defender, &three, Act::Severity, "raises its severity")?;
        self.does(Side::Ticket, &three, Act::Comment("Host isolated"), "writes a work note")?;
        self.does(Side::Sentinel, &three, Act::Comment("Seen on a second host"), "comments on it")?;
        self.does(Side::Sentinel, &three, Act::Close, "closes it as a benign positive")?;
        self.does(Side::Ticket, &two, Act::Reopen, "reopens the ticket")
    }

    fn lost_answers(&mut self) -> anyhow::Result<()> {
        heading("Mid-morning: writes are applied, but their answers are lost")?;
        let tickets = Api::ServiceNow;
        self.stage.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(tickets, "create-ticket"));
        let opened = self.incident()?;
        for (api, operation) in
            [(Api::Graph, "update-incident"), (Api::Sentinel, "put-incident"), (tickets, "update-ticket")]
        {
            self.stage.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(api, operation));
        }
        self.does(Side::Ticket, &opened, Act::Close, "closes the ticket")?;
        let another = self.incident()?;
        self.does(Side::Sentinel, &another, Act::Close, "closes it")?;
        for (api, operation) in
            [(Api::Graph, "comment-incident"), (Api::Sentinel, "put-comment"), (tickets, "comment-ticket")]
        {
            self.stage.emulator.add_fault(Fault::new(FaultKind::DropAfter).on(api, operation));
        }
        let third = self.incident()?;
        self.does(Side::Defender, &third, Act::Comment("Who owns this host?"), "comments on it")?;
        self.does(Side::Ticket, &third, Act::Comment("It is a kiosk"), "writes a work note")
    }

    fn throttling(&mut self) -> anyhow::Result<()> {
        heading("Noon: all three services throttle, one without saying for how long")?;
        let trios = [self.incident()?, self.incident()?, self.incident()?];
        let throttle = |retry_after| FaultKind::Throttle { retry_after };
        let next = |kind, api| Fault::new(kind).on_api(api).when(When::Next(3));
        self.stage.emulator.add_fault(next(throttle(RetryAfter::Absent), Api::Sentinel));
        self.stage.emulator.add_fault(next(throttle(RetryAfter::Decimal(1.5)), Api::Graph));
        self.stage.emulator.add_fault(next(throttle(RetryAfter::Seconds(1)), Api::ServiceNow));
        for (trio, side) in trios.iter().zip(Side::ALL) {
            self.does(side, trio, Act::Close, "closes it")?;
        }
        Ok(())
    }

    fn killed_worker(&mut self) -> anyhow::Result<()> {
        heading("Afternoon: the worker is killed (SIGKILL) in the middle of its work, six times")?;
        for n in 0..6 {
            let trio = self.incident()?;
            let side = Side::ALL[n % 3];
            let started = self.begin(side, &trio, Act::Close, Comes::Once)?;
            pause(Duration::from_millis(self.rng.random_range(50..450)));
            self.stage.kill()?;
            self.stage.start(None)?;
            self.arrival(side, &trio, started, "close, across a kill and a restart")?;
        }
        Ok(())
    }

    fn conflict(&mut self) -> anyhow::Result<()> {
        heading("While the worker is down, two people edit the same incident")?;
        let trio = self.incident()?;
        self.stage.kill()?;
        self.begin(Side::Sentinel, &trio, Act::Reopen, Comes::AtMostOnce)?;
        let started = self.begin(Side::Ticket, &trio, Act::Close, Comes::Once)?;
        self.stage.start(None)?;
        self.arrival(Side::Ticket, &trio, started, "the close stands on all sides, whichever was seen first")
    }

    fn outage(&mut self) -> anyhow::Result<()> {
        heading("Sentinel and the ticket system are down, and people go on closing")?;
        let trios = (0..6).map(|_| self.incident()).collect::<Result<Vec<_>, _>>()?;
        let settings = self.stage.emulator.settings();
        self.stage.emulator.set_settings(Settings {
            sentinel_outage: Outage::Drop,
            ticketing_outage: BTreeMap::from([(TICKETS, Outage::Refuse)]),
            ..settings.clone()
        });
        let mut started = Vec::new();
        for (n, trio) in trios.iter().enumerate() {
            started.push(self.begin(Side::ALL[n % 3], trio, Act::Close, Comes::Once)?);
        }
        pause(Duration::from_secs(3));
        self.stage.emulator.set_settings(settings);
        for (n, trio) in trios.iter().enumerate() {
            self.arrival(Side::ALL[n % 3], trio, started[n], "close, after the outage")?;
        }
        Ok(())
    }

    fn rush_hour(&mut self) -> anyhow::Result<()> {
        heading("Evening: forty closes at once, while one request in twenty fails")?;
        let trios = (0..40).map(|_| self.incident()).collect::<Result<Vec<_>, _>>()?;
        for kind in [FaultKind::DropAfter, FaultKind::DropBefore, FaultKind::ErrorAfter { status: 503 }] {
            self.stage.emulator.add_fault(Fault::new(kind).when(When::Probability(0.017)));
        }
        let started = Instant::now();
        for (n, trio) in trios.iter().enumerate() {
            self.begin(Side::ALL[n % 3], trio, Act::Close, Comes::Once)?;
        }
        let arrived =
            self.wait("all forty closes", |day| trios.iter().all(|t| t.are_all_closed(day.stage)))?;
        self.stage.emulator.clear_faults();
        let seconds = started.elapsed().as_secs_f64();
        tell(arrived, &format!("forty closes arrived on both other sides within {seconds:.1} s"))
    }

    /// A new incident with its twin; the worker has seen both, and has opened its ticket.
    fn incident(&mut self) -> anyhow::Result<Trio> {
        let title = TITLES.choose(&mut self.rng).copied().unwrap_or(TITLES[0]);
        let before = self.stage.emulator.tickets(TICKETS).len();
        let (defender, sentinel) = self.stage.emulator.add_linked(&IncidentSeed::new(title, "medium", 2));
        self.wait("a ticket is opened", |day| day.stage.emulator.tickets(TICKETS).len() > before)?;
        let mapped = format!("/api/v1/records/sentinel/incident/{sentinel}/explain");
        self.wait("the three are linked", |day| {
            let told = day.stage.get(&mapped).unwrap_or_default();
            let both =
                told.contains(&format!("defender/incident/{defender}")) && told.contains("tickets/ticket/");
            both && !told.contains("\"awaited\"") && !told.contains("\"planned\"") && day.stage.is_idle()
        })?;
        let ticket = self.stage.emulator.tickets(TICKETS).last().cloned().unwrap_or_default();
        Ok(Trio { defender, sentinel, ticket })
    }

    /// Somebody does something, and it arrives on both other sides.
    fn does(&mut self, side: Side, trio: &Trio, what: Act, told: &str) -> anyhow::Result<()> {
        let others = || Side::ALL.into_iter().filter(move |other| *other != side);
        let before: Vec<usize> = others().map(|other| trio.writes(self.stage, other).len()).collect();
        let started = self.begin(side, trio, what, Comes::Once)?;
        let arrived = self.wait(told, |day| {
            others().zip(&before).all(|(other, n)| trio.writes(day.stage, other).len() > *n)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        let person = person(side);
        tell(
            arrived,
            &format!("{} {side}: {person} {told}; on both other sides after {seconds:.1} s", trio.defender),
        )
    }

    fn begin(&mut self, side: Side, trio: &Trio, what: Act, comes: Comes) -> anyhow::Result<Instant> {
        act(self.stage, side, trio, person(side), what)?;
        self.deeds.push(Deed { side, trio: trio.clone(), act: what, comes });
        Ok(Instant::now())
    }

    fn arrival(&mut self, side: Side, trio: &Trio, started: Instant, what: &str) -> anyhow::Result<()> {
        let arrived = self.wait("a close", |day| trio.are_all_closed(day.stage))?;
        let seconds = started.elapsed().as_secs_f64();
        tell(arrived, &format!("{} {side}: {what}, {seconds:.1} s", trio.defender))
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

/// Who works on a side.
fn person(side: Side) -> &'static str {
    match side {
        Side::Defender => PEOPLE[0],
        Side::Sentinel => PEOPLE[1],
        Side::Ticket => PEOPLE[2],
    }
}

fn heading(text: &str) -> anyhow::Result<()> {
    print(&format!("\n{}", styled(BOLD, text)))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the day is played on a thread of its own")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
