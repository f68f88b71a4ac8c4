//! What befalls records and systems: outages, merges, deletions, copies, operators.

use jiff::{SignedDuration, Timestamp};

use crate::model::{RecordId, RecordKind};
use crate::reconcile::TicketGone;

use super::plan::{Spot, What};
use super::remote::{Actor, initial};
use super::world::{World, id};

impl World {
    /// Something befalls the world.
    pub(super) fn disaster(&mut self, what: &What) {
        match what {
            What::Outage(system, minutes) => {
                let (at, until) = self.away(*system, *minutes, "cannot be reached");
                self.away_until[at] = until;
            }
            What::Denied(system, minutes) => {
                let (at, until) = self.away(*system, *minutes, "refuses the credential");
                self.denied_until[at] = until;
            }
            What::Stranger(system, minutes) => {
                let (at, until) = self.away(*system, *minutes, "answers as to a stranger");
                self.stranger_until[at] = until;
                self.estranged[at] += 1;
            }
            What::Hide(spot, minutes) => {
                if let Some((_, at, id)) = self.record_at(*spot) {
                    let until = self.clock.now() + SignedDuration::from_mins(i64::from(*minutes));
                    self.say(|| format!("{id} is out of sight for {minutes} min"));
                    self.hidden_once.insert((at, id.clone()));
                    self.hidden_until.insert((at, id), until);
                }
            }
            What::Block(spot, minutes) => {
                if let Some((_, at, id)) = self.record_at(*spot) {
                    let until = self.clock.now() + SignedDuration::from_mins(i64::from(*minutes));
                    self.say(|| format!("{id} cannot be closed for {minutes} min"));
                    self.blocked_until.insert((at, id), until);
                }
            }
            What::Merge(from, to) => self.merge(*from, *to),
            What::MergeTicket(spot) => self.merge_ticket(*spot),
            What::Delete(spot) => self.delete(*spot),
            What::Copy(spot) => self.copy(*spot),
            _ => {}
        }
    }

    fn away(&mut self, system: u8, minutes: u16, how: &str) -> (usize, Timestamp) {
        let at = usize::from(system) % self.remotes.len();
        let until = self.clock.now() + SignedDuration::from_mins(i64::from(minutes));
        let name = self.remotes[at].name.clone();
        self.say(|| format!("{name} {how} for {minutes} min"));
        (at, until)
    }

    /// Whether nothing goes wrong from now on, or everything may again.
    pub(super) fn set_calm(&mut self, calm: bool) {
        self.calm = calm;
        let now = self.clock.now();
        self.away_until.fill(now);
        self.denied_until.fill(now);
        self.stranger_until.fill(now);
        self.hidden_until.clear();
        self.blocked_until.clear();
    }

    fn is_open(&self, system: usize, id: &RecordId) -> bool {
        let remote = &self.remotes[system];
        let current = remote.current(id);
        current.is_some_and(|v| !remote.words.is_closed(&v.native) && v.merged_into.is_none())
    }

    /// The service merges an open incident into another open one.
    fn merge(&mut self, from: u8, to: u8) {
        let count = self.cases.len();
        let (from, to) = (usize::from(from) % count, usize::from(to) % count);
        let Some(at) = (0..self.remotes.len()).find(|at| self.remotes[*at].habits.has_alerts) else { return };
        // Beside native sync, Microsoft closes the twin itself.
        if from == to || self.scene.policy.native_sync.is_some() {
            return;
        }
        let records = [from, to].map(|case| self.cases[case].records[at].clone());
        let [Some(source), Some(target)] = records else { return };
        let apart = [from, to].iter().any(|case| self.cases[*case].detached.contains(&at));
        if apart || !self.is_open(at, &source) || !self.is_open(at, &target) {
            return;
        }
        self.say(|| format!("the service merges {source} into {target}"));
        self.remotes[at].merge(self.clock.now(), &source, &target);
        self.cases[from].merged_into = Some(to);
    }

    /// A ticket of a case: its system and id.
    fn ticket_at(&self, spot: Spot) -> Option<(usize, usize, RecordId)> {
        let (case, system, id) = self.record_at(spot)?;
        let here = &self.cases[case];
        let ours = !here.detached.contains(&system) && !here.left.contains(&system);
        let ticket = self.remotes[system].habits.main == RecordKind::Ticket;
        (ticket && ours && self.remotes[system].current(&id).is_some_and(|v| v.merged_into.is_none()))
            .then_some((case, system, id))
    }

    /// A person merges a ticket into a new one of somebody else.
    fn merge_ticket(&mut self, spot: Spot) {
        let Some((case, system, source)) = self.ticket_at(spot) else { return };
        let target = id(format!("X{}", self.remotes[system].records.len()));
        let native = initial(&self.remotes[system], "somebody else's ticket");
        let now = self.clock.now();
        self.remotes[system].create(now, Actor::Person, &target, native);
        self.remotes[system].merge(now, &source, &target);
        self.say(|| format!("a person merges ticket {source} into {target}"));
        if self.scene.policy.tickets.gone == TicketGone::Follow {
            self.cases[case].records[system] = Some(target.clone());
            self.cases[case].former.insert((system, source));
            self.cases[case].changed_hands.insert(system);
            self.joined(system, &target);
        } else {
            self.strangers.insert((system, target));
            self.cases[case].left.insert(system);
        }
    }

    fn delete(&mut self, spot: Spot) {
        let Some((case, system, ticket)) = self.ticket_at(spot) else { return };
        self.say(|| format!("a person deletes ticket {ticket}"));
        self.remotes[system].delete(self.clock.now(), &ticket);
        self.cases[case].left.insert(system);
    }

    fn copy(&mut self, spot: Spot) {
        let Some((_, system, original)) = self.ticket_at(spot) else { return };
        let remote = &mut self.remotes[system];
        let (Some(current), Some(key)) =
            (remote.current(&original).cloned(), remote.keys.get(&original).cloned())
        else {
            return;
        };
        let copy = id(format!("C{}", remote.records.len()));
        remote.create(self.clock.now(), Actor::Person, &copy, current.native);
        remote.keys.insert(copy.clone(), key);
        self.say(|| format!("a person copies ticket {original} to {copy}, key and all"));
        self.strangers.insert((system, copy));
    }

    /// An operator took a record out.
    pub(super) fn detach(&mut self, case: usize, system: usize) {
        self.cases[case].detached.insert(system);
        self.cases[case].changed_hands.insert(system);
        let seq = self.next_seq();
        if let Some(id) = self.cases[case].records[system].clone() {
            self.apart.insert((system, id), seq);
        }
    }

    /// An operator put it back.
    pub(super) fn attach(&mut self, case: usize, system: usize) {
        self.cases[case].detached.remove(&system);
        if let Some(id) = self.cases[case].records[system].clone() {
            self.apart.remove(&(system, id.clone()));
            self.joined(system, &id);
        }
    }
}
