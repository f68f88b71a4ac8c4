//! What one history is like: drawn from its seed, with some dangers switched off entirely so that others meet.

use jiff::SignedDuration;
use rand::Rng;
use rand::rngs::StdRng;

use crate::reconcile::Conflicts;

/// How the two sides belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairing {
    /// Linked, and nobody but lockstep carries changes.
    Linked,
    /// Linked, and Microsoft's own sync carries changes too.
    NativeSync,
    /// The Sentinel side is created by lockstep.
    Created,
    /// The Sentinel side is there, and must not be created a second time.
    Adopted,
    /// The other side is a ticket system in which lockstep opens a ticket for each incident.
    Tickets,
}

/// What one history is like. Probabilities are per opportunity.
#[derive(Debug, Clone)]
pub struct Profile {
    /// How the sides belong together.
    pub pairing: Pairing,
    /// Whether each edit waits until the one before has arrived; then counts are exact.
    pub sequential: bool,
    /// Incidents.
    pub incidents: usize,
    /// Human edits in all.
    pub edits: usize,
    /// Who wins conflicts.
    pub conflicts: Conflicts,
    /// A request is lost before it was executed (outcome unknown).
    pub lost_before: f64,
    /// An answer is lost after the request was executed.
    pub lost_after: f64,
    /// A request is refused as too many.
    pub throttled: f64,
    /// A read gives the version before.
    pub stale: f64,
    /// The worker is killed at a commit or a call.
    pub crash: f64,
    /// A side goes away for a while.
    pub outage: f64,
    /// Somebody edits between our read and our write.
    pub race: f64,
    /// Incidents are merged into others.
    pub merges: f64,
    /// Somebody copies a ticket, key and all.
    pub clones: f64,
    /// How long lists lag.
    pub lag: SignedDuration,
    /// Clocks of the two sides against true time.
    pub skew: [SignedDuration; 2],
}

impl Profile {
    /// The profile of a seed.
    pub fn draw(rng: &mut StdRng) -> Self {
        let pairing = match rng.random_range(0..14) {
            0..6 => Pairing::Linked,
            6..8 => Pairing::NativeSync,
            8 => Pairing::Created,
            9 => Pairing::Adopted,
            _ => Pairing::Tickets,
        };
        let mut danger = |most: f64| if rng.random_bool(0.4) { 0.0 } else { rng.random_range(0.0..most) };
        let (lost_before, lost_after, throttled) = (danger(0.3), danger(0.3), danger(0.3));
        let (stale, crash, outage, race) = (danger(0.4), danger(0.1), danger(0.05), danger(0.2));
        let skew = || SignedDuration::from_secs(0);
        let mut skews = [skew(), skew()];
        for skew in &mut skews {
            *skew = SignedDuration::from_secs(rng.random_range(-3600..3600));
        }
        let sequential = rng.random_bool(0.5);
        Self {
            pairing,
            sequential,
            incidents: rng.random_range(1..=3),
            edits: rng.random_range(1..=if sequential { 6 } else { 14 }),
            conflicts: [Conflicts::CloseWins, Conflicts::Order, Conflicts::Latest][rng.random_range(0..3)],
            lost_before,
            lost_after,
            throttled,
            stale,
            crash,
            outage,
            race: if sequential { 0.0 } else { race },
            merges: if pairing == Pairing::Linked && rng.random_bool(0.3) { 0.03 } else { 0.0 },
            clones: if pairing == Pairing::Tickets && rng.random_bool(0.3) { 0.02 } else { 0.0 },
            lag: SignedDuration::from_secs(if rng.random_bool(0.5) { 0 } else { rng.random_range(1..60) }),
            skew: skews,
        }
    }
}
