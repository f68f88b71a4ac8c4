//! A bridge of Defender and Sentinel on the real binary.

use std::ops::{Deref, DerefMut};

use lockstep::emulator::{Emulator, EmulatorOptions, Entry, IncidentSeed, System};

use crate::support::{self, Base, text};

/// The stage of two systems.
pub(crate) struct Rig(Base);

/// One pair of incidents that describe the same thing.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) defender: u64,
    pub(crate) sentinel: String,
}

impl Deref for Rig {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.0
    }
}

impl DerefMut for Rig {
    fn deref_mut(&mut self) -> &mut Base {
        &mut self.0
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(EmulatorOptions::default(), "")
    }

    /// With these lines added to the bridge.
    pub(crate) fn with(options: EmulatorOptions, bridge: &str) -> Self {
        Self(Base::new(Emulator::start(options).unwrap(), bridge, None))
    }

    /// One pair in agreement.
    pub(crate) fn pair(&self) -> Pair {
        let (defender, sentinel) = self.emulator.add_linked(&IncidentSeed::default());
        Pair { defender, sentinel }
    }

    pub(crate) fn defender_writes(&self, pair: &Pair) -> Vec<Entry> {
        self.writes(System::Defender, &pair.defender.to_string())
    }

    pub(crate) fn sentinel_writes(&self, pair: &Pair) -> Vec<Entry> {
        self.writes(System::Sentinel, &pair.sentinel)
    }

    pub(crate) fn defender(&self, pair: &Pair, field: &str) -> String {
        text(&self.emulator.defender_incident(pair.defender).unwrap()[field])
    }

    pub(crate) fn sentinel(&self, pair: &Pair, field: &str) -> String {
        let incident = self.emulator.sentinel_incident(&pair.sentinel).unwrap();
        if field == "owner" {
            return text(&incident["properties"]["owner"]["userPrincipalName"]);
        }
        text(&incident["properties"][field])
    }

    /// Waits for something that must happen.
    pub(crate) fn until(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        support::until(self, what, || happened(self));
    }

    /// Waits until nothing is left to do.
    pub(crate) fn quiet(&self) {
        support::quiet(self);
    }
}
