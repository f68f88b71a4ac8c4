//! The bridges that histories are played on: ours, or those of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::model::{BridgeName, Field, Native, RecordKind, SystemName};
use crate::reconcile::{
    ClosingPolicy, Conflicts, Direction, Filter, Late, NativeSync, Policy, Reopen, SystemPolicy, TicketGone,
    TicketPolicy,
};
use crate::translate::{Translation, TranslationError};

use super::vocabulary::Vocabulary;

/// Every kind of system with its table.
const KINDS: [&str; 9] = [
    "defender",
    "sentinel",
    "servicenow",
    "servicenow-sir",
    "jira",
    "request-tracker",
    "rtir",
    "thehive",
    "sidecar",
];

/// The bridge of one history, and what its world is like.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The bridge.
    pub policy: Policy,
    /// The kinds of its systems, in its order: the names of their tables.
    pub kinds: Vec<String>,
    /// The words of its systems, in its order.
    pub(crate) words: Vec<Vocabulary>,
    /// How many incidents there are.
    pub cases: usize,
    /// Whether the first incident is closed already when it is met.
    pub begins_closed: bool,
    /// Whether the Sentinel twin of each Defender incident is there from the start.
    pub has_twins: bool,
    /// How long each system's lists lag.
    pub lag: Vec<SignedDuration>,
    /// Each system's clock against true time.
    pub skew: Vec<SignedDuration>,
    /// Records on one page.
    pub page: usize,
    /// Which system silently cuts titles.
    pub cuts_titles: Option<usize>,
    /// Which ticket system does not know all owners.
    pub lacks_owners: Option<usize>,
    /// Which system keeps a verdict, hidden, over a reopening, and shows it again at a close of ours whatever that says.
    pub keeps_verdicts: Option<usize>,
    /// Which system sets a verdict of its own at each close of ours, and which.
    pub sets_verdict: Option<(usize, Native)>,
}

/// What scenes are drawn from.
pub struct Scenes(Pool);

enum Pool {
    /// Every kind of system, in many combinations and with many policies.
    Ours(BTreeMap<&'static str, Table>),
    /// The bridges of a configuration, each with the kinds of its systems.
    Configured(Vec<(Policy, Vec<String>, Vec<Vocabulary>)>),
}

/// A table, and the words in it.
#[derive(Clone)]
struct Table {
    translation: Arc<Translation>,
    words: Vocabulary,
}

fn main_kind(kind: &str) -> RecordKind {
    super::habits::Habits::of(kind).main
}

impl Scenes {
    /// Every kind of system that lockstep knows.
    pub fn ours() -> Result<Self, TranslationError> {
        let table = |kind: &'static str| {
            let translation = Translation::builtin(kind)?;
            let words = Vocabulary::read(translation.text(), main_kind(kind));
            Ok((kind, Table { translation: Arc::new(translation), words }))
        };
        Ok(Self(Pool::Ours(KINDS.into_iter().map(table).collect::<Result<_, TranslationError>>()?)))
    }

    /// The bridges of a configuration. `kind_of` names the table of a system.
    pub fn configured<'p>(
        bridges: impl IntoIterator<Item = &'p Policy>,
        kind_of: impl Fn(&SystemName) -> String,
    ) -> Self {
        let played = bridges.into_iter().map(|policy| {
            // Their incidents begin in the simulated past.
            let policy = Policy { since: Timestamp::UNIX_EPOCH, filter: Filter::default(), ..policy.clone() };
            let kinds: Vec<String> = policy.systems.iter().map(|system| kind_of(&system.name)).collect();
            let words = policy.systems.iter().map(|s| Vocabulary::read(s.translation.text(), s.main));
            (policy.clone(), kinds, words.collect())
        });
        Self(Pool::Configured(played.collect()))
    }

    /// The scene of a history.
    pub fn draw(&self, rng: &mut StdRng) -> Scene {
        let (policy, kinds, words) = match &self.0 {
            Pool::Ours(tables) => ours(rng, tables),
            Pool::Configured(bridges) => {
                let at = rng.random_range(0..bridges.len().max(1));
                bridges.get(at).cloned().unwrap_or_else(|| unreachable!("a configuration has bridges"))
            }
        };
        let count = kinds.len();
        let creates_incidents = policy.create_in.iter().any(|s| policy.main_kind(s) == RecordKind::Incident);
        let quick = rng.random_bool(0.5);
        let lag = |rng: &mut StdRng| if quick { 0 } else { rng.random_range(0..110) };
        let tickets =
            (0..count).filter(|at| main_kind(&kinds[*at]) == RecordKind::Ticket).collect::<Vec<_>>();
        Scene {
            cases: rng.random_range(1..=3),
            begins_closed: rng.random_bool(0.15),
            has_twins: !creates_incidents || rng.random_bool(0.5),
            lag: (0..count).map(|_| SignedDuration::from_secs(lag(rng))).collect(),
            skew: (0..count).map(|_| SignedDuration::from_secs(rng.random_range(-3600..3600))).collect(),
            page: if rng.random_bool(0.5) { 100 } else { rng.random_range(1..3) },
            cuts_titles: rng.random_bool(0.05).then(|| rng.random_range(0..count)),
            lacks_owners: tickets.choose(rng).copied().filter(|_| rng.random_bool(0.2)),
            keeps_verdicts: None,
            sets_verdict: None,
            policy,
            kinds,
            words,
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = &self.policy;
        let names: Vec<&str> = policy.systems.iter().map(|system| system.name.as_str()).collect();
        write!(f, "bridge {} of {}: ", policy.bridge, names.join(", "))?;
        write!(f, "conflicts {:?}, reopen {:?}", policy.conflicts, policy.closing.reopen)?;
        for system in &policy.create_in {
            write!(f, ", created in {system}")?;
        }
        if let Some(pair) = &policy.native_sync {
            write!(f, ", native sync of {} and {}", pair.writer, pair.follower)?;
        }
        for (field, direction) in &policy.fields {
            write!(f, ", {field} {direction:?}")?;
        }
        write!(f, ", merged tickets: {:?}", policy.tickets.gone)?;
        if policy.tickets.open_closed {
            write!(f, ", tickets for closed incidents")?;
        }
        let name = |at: usize| names.get(at).copied().unwrap_or_default();
        if let Some(at) = self.cuts_titles {
            write!(f, "; {} silently cuts titles", name(at))?;
        }
        if let Some(at) = self.lacks_owners {
            write!(f, "; {} does not know every owner", name(at))?;
        }
        if let Some(at) = self.keeps_verdicts {
            write!(f, "; {} keeps verdicts over a reopening", name(at))?;
        }
        if let Some((at, verdict)) = &self.sets_verdict {
            write!(f, "; {} sets {verdict} at each close", name(*at))?;
        }
        write!(f, "; {} incidents", self.cases)
    }
}

fn ours(rng: &mut StdRng, tables: &BTreeMap<&'static str, Table>) -> (Policy, Vec<String>, Vec<Vocabulary>) {
    let ticketing = KINDS[2..].choose(rng).copied().unwrap_or("jira");
    let kinds: Vec<&str> = match rng.random_range(0..12) {
        0..4 => vec!["defender", "sentinel"],
        4..7 => vec!["defender", ticketing],
        7..8 => vec!["sentinel", ticketing],
        8 => vec![ticketing, "sentinel", "defender"],
        _ => vec!["defender", "sentinel", ticketing],
    };
    let name = |kind: &str| SystemName::new(kind).unwrap_or_else(|_| unreachable!("not blank"));
    let system = |kind: &&str| SystemPolicy {
        name: name(kind),
        main: main_kind(kind),
        translation: Arc::clone(&tables[*kind].translation),
    };
    let has = |kind: &str| kinds.contains(&kind);
    let mut create_in: BTreeSet<SystemName> =
        kinds.iter().filter(|kind| main_kind(kind) == RecordKind::Ticket).map(|kind| name(kind)).collect();
    let mut native_sync = None;
    if has("defender") && has("sentinel") {
        match rng.random_range(0..5) {
            0 => {
                native_sync = Some(NativeSync {
                    writer: name("defender"),
                    follower: name("sentinel"),
                    deadline: SignedDuration::from_mins(15),
                    late: Late::Report,
                });
            }
            1 => {
                create_in.insert(name("sentinel"));
            }
            _ => {}
        }
    }
    let policy = Policy {
        bridge: BridgeName::new("sim").unwrap_or_else(|_| unreachable!("not blank")),
        systems: kinds.iter().map(system).collect(),
        native_sync,
        create_in,
        since: Timestamp::UNIX_EPOCH,
        filter: Filter::default(),
        fields: directions(rng, &kinds),
        comments: if rng.random_bool(0.05) { Direction::Off } else { Direction::Both },
        conflicts: [Conflicts::CloseWins, Conflicts::Order, Conflicts::Latest][rng.random_range(0..3)],
        closing: ClosingPolicy {
            reopen: *[
                Reopen::Propagate,
                Reopen::Propagate,
                Reopen::Propagate,
                Reopen::Ignore,
                Reopen::NewTicket,
            ]
            .choose(rng)
            .unwrap_or(&Reopen::Propagate),
            ..ClosingPolicy::default()
        },
        tickets: TicketPolicy {
            open_closed: rng.random_bool(0.2),
            gone: if rng.random_bool(0.5) { TicketGone::Detach } else { TicketGone::Follow },
            ..TicketPolicy::default()
        },
        scope: String::new(),
    };
    let words = kinds.iter().map(|kind| tables[kind].words.clone()).collect();
    (policy, kinds.into_iter().map(str::to_owned).collect(), words)
}

/// Most bridges carry everything both ways.
fn directions(rng: &mut StdRng, kinds: &[&str]) -> BTreeMap<Field, Direction> {
    let mut fields = BTreeMap::new();
    for field in Field::ALL {
        if rng.random_bool(0.04) {
            let from = kinds.choose(rng).and_then(|kind| SystemName::new(kind).ok());
            let one_way = from.filter(|_| rng.random_bool(0.6)).map_or(Direction::Off, Direction::From);
            fields.insert(field, one_way);
        }
    }
    fields
}
