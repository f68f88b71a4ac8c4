//! How a simulated service takes the worker's writes.

use jiff::SignedDuration;

use crate::connectors::{Declined, Depth, Opening, Written};
use crate::http::CallError;
use crate::model::{CommentKey, Field, Native, Natives, Patch, RecordId, RecordKind, RecordRef, Snapshot};

use super::connector::{Call, SimConnector, lock};
use super::doubt::LateWrite;
use super::plan::Fault;
use super::remote::{Actor, Refusal, count, initial};
use super::world::{World, id, plain};

impl SimConnector {
    /// Begins a write: what comes of it without being executed, or how it is executed.
    fn begin_write(
        &self,
        world: &mut World,
        record: &RecordId,
        operation: &'static str,
        what: &str,
    ) -> Call<Option<Fault>> {
        world.calls.writes += 1;
        let Some(begun) = self.begin(world, operation) else {
            world.doubt_write((self.at, record.clone()));
            return None;
        };
        let fault = match begun {
            // A write reads nothing.
            Ok(fault) => fault.filter(|fault| *fault != Fault::Stale),
            Err(error) => {
                world.say(|| format!("lockstep's write to {record} ({what}) is not executed: {error}"));
                if matches!(error, CallError::NotFound { .. }) {
                    world.doubt_write((self.at, record.clone())); // the worker cannot know that
                }
                return Some(Err(error));
            }
        };
        world.say(|| match fault {
            Some(fault) => format!("lockstep writes {what} to {record}, and: {fault:?}"),
            None => format!("lockstep writes {what} to {record}"),
        });
        if fault.is_some() {
            world.doubt_write((self.at, record.clone()));
        }
        if matches!(fault, Some(Fault::LostBefore | Fault::Broken)) {
            return Some(Err(self.unknown(operation)));
        }
        // It was carried out, and the answer says nothing.
        Some(Ok(fault.map(|fault| if fault == Fault::Nonsense { Fault::LostAfter } else { fault })))
    }

    pub(super) fn updated(&self, current: &Snapshot, patch: &Patch) -> Call<Written> {
        let mut world = lock(&self.world);
        let id = &current.record.id;
        let place = (self.at, id.clone());
        world.send(&place, patch);
        let fault = match self.begin_write(&mut world, id, "update", &plain(&patch.native))? {
            Ok(fault) => fault,
            Err(error) => {
                if !matches!(error, CallError::Unknown { .. } | CallError::NotFound { .. }) {
                    world.doubts.told(&place);
                }
                return Some(Err(error));
            }
        };
        let closes = world.remotes[self.at].words.is_closed(&patch.native);
        if closes && world.is_blocked(self.at, id) {
            world.say(|| "    it is blocked");
            world.doubts.told(&place);
            world.faults += 1;
            let (site, code) = (Box::new(self.site("update")), String::new());
            let message = "simulated: an open dependency".to_owned();
            return Some(Err(CallError::Blocked { site, status: 409, code, message }));
        }
        let now = world.clock.now();
        let guard = count(&current.revision);
        let shown = world.doubts.shown(&place, now);
        let (patch, declined) = self.taken(&world, patch);
        if fault == Some(Fault::Late) {
            let at = now + SignedDuration::from_secs(world.random(1, 20));
            let sent = world.next_seq();
            world.doubts.late(LateWrite { at, place, sent, shown, patch, guard });
            return Some(Err(self.unknown("update")));
        }
        let half = self.half_way(&world, id, &patch).filter(|_| fault == Some(Fault::HalfWay));
        let done = match (&half, fault) {
            (_, Some(Fault::Swallowed)) => Ok(()),
            (Some(half), _) => world.write_as_worker(self.at, id, half, guard, shown, false),
            _ => world.write_as_worker(self.at, id, &patch, guard, shown, fault.is_none()),
        };
        if let Err(refusal) = done {
            let answered = Self::answer(&mut world, Err(self.refused(refusal, "update")));
            if answered.is_some() {
                world.doubts.told(&place);
            }
            return answered;
        }
        if half.is_some() || fault == Some(Fault::LostAfter) {
            return Some(Err(self.unknown("update")));
        }
        let snapshot = world.remotes[self.at].read(now, id, Depth::Record, false);
        let written = Written { snapshot, request_id: None, declined };
        let answered = Self::answer(&mut world, Ok(written));
        if answered.is_some() && fault.is_none() {
            world.doubts.told(&place);
        }
        answered
    }

    /// What of a patch the service takes: some do not know every owner.
    fn taken(&self, world: &World, patch: &Patch) -> (Patch, Vec<Declined>) {
        let mut patch = patch.clone();
        let stranger = |owner: &Native| matches!(owner, Native::Text(name) if name.starts_with("bob"));
        let declines = world.scene.lacks_owners == Some(self.at)
            && patch.native.get(&Field::Owner).is_some_and(stranger);
        if !declines {
            return (patch, Vec::new());
        }
        patch.native.remove(&Field::Owner);
        (patch, vec![Declined { field: Field::Owner, reason: "there is no such user".to_owned() }])
    }

    /// The first step of a close that takes several.
    fn half_way(&self, world: &World, id: &RecordId, patch: &Patch) -> Option<Patch> {
        let (remote, words) = (&world.remotes[self.at], &world.remotes[self.at].words);
        let status = remote.current(id)?.native.get(&Field::Status)?;
        let from_new = words.meaning(Field::Status, status).as_deref() == Some("new");
        let goes = words.in_steps && from_new && words.is_closed(&patch.native);
        let native = Natives::from([(Field::Status, words.status("active"))]);
        goes.then_some(Patch { native, closing_comment: None })
    }

    pub(super) fn created(&self, planned: &RecordRef, opening: &Opening) -> Call<Written> {
        let mut world = lock(&self.world);
        let fault =
            match self.begin_write(&mut world, &planned.id, "create", &plain(&opening.patch.native))? {
                Ok(fault) => fault,
                Err(error) => return Some(Err(error)),
            };
        if matches!(fault, Some(Fault::Swallowed | Fault::Late | Fault::HalfWay)) {
            return Some(Err(self.unknown("create")));
        }
        let (patch, declined) = self.taken(&world, &opening.patch);
        if !world.remotes[self.at].takes_new(&patch) {
            return Self::answer(&mut world, Err(self.refused(Refusal::Invalid, "create")));
        }
        let id = self.open(&mut world, planned, &patch, opening.origin.as_ref(), fault.is_none());
        if fault == Some(Fault::LostAfter) {
            return Some(Err(self.unknown("create")));
        }
        let now = world.clock.now();
        let snapshot = world.remotes[self.at].read(now, &id, Depth::Record, false);
        Self::answer(&mut world, Ok(Written { snapshot, request_id: None, declined }))
    }

    /// Opens a record. Where names are unique, a second one is the first.
    fn open(
        &self,
        world: &mut World,
        planned: &RecordRef,
        patch: &Patch,
        origin: Option<&RecordRef>,
        told: bool,
    ) -> RecordId {
        let remote = &mut world.remotes[self.at];
        let is_ticket = planned.kind == RecordKind::Ticket;
        let known = if is_ticket {
            remote.keys.iter().find(|(_, key)| *key == planned).map(|(id, _)| id.clone())
        } else {
            remote.records.contains_key(&planned.id).then(|| planned.id.clone())
        };
        if let Some(known) = known.filter(|_| remote.habits.unique_names) {
            return known;
        }
        let own = if is_ticket { id(format!("T{}", remote.records.len() + 1)) } else { planned.id.clone() };
        let mut native = initial(remote, "untitled");
        native.extend(patch.native.clone());
        let now = world.clock.now();
        world.remotes[self.at].create(now, Actor::Worker, &own, native);
        if is_ticket {
            world.remotes[self.at].keys.insert(own.clone(), planned.clone());
        } else if let Some(origin) = origin {
            world.remotes[self.at].twins.insert(own.clone(), origin.clone());
        }
        if let Some((case, system)) = world.names.get(planned).copied() {
            let before = world.cases[case].records[system].replace(own.clone());
            world.cases[case].former.extend(before.map(|id| (system, id)));
        }
        world.joined(self.at, &own);
        world.write_beside_fields((self.at, own.clone()), Some(planned.clone()), told);
        if is_ticket {
            world.act_at_opening(&(self.at, own.clone()));
        }
        own
    }

    pub(super) fn commented(&self, current: &Snapshot, key: &CommentKey, text: &str) -> Call<Written> {
        let mut world = lock(&self.world);
        let id = &current.record.id;
        let fault = match self.begin_write(&mut world, id, "comment", "a comment")? {
            Ok(fault) => fault,
            Err(error) => return Some(Err(error)),
        };
        if matches!(fault, Some(Fault::Swallowed | Fault::Late | Fault::HalfWay)) {
            return Some(Err(self.unknown("comment")));
        }
        let (now, habits) = (world.clock.now(), world.remotes[self.at].habits);
        let chosen = habits.chosen_comment_ids.then(|| key.clone());
        let added = match world.remotes[self.at].comment(now, Actor::Worker, id, chosen, text) {
            Ok(added) => added,
            Err(refusal) => return Self::answer(&mut world, Err(self.refused(refusal, "comment"))),
        };
        if added {
            world.write_beside_fields((self.at, id.clone()), None, fault.is_none());
        }
        if fault == Some(Fault::LostAfter) {
            return Some(Err(self.unknown("comment")));
        }
        let read = |depth| world.remotes[self.at].read(now, id, depth, false);
        let snapshot = match (habits.answers_comments, added) {
            (true, _) => read(Depth::Record),
            // One that was there already is told by all that are there.
            (false, false) => read(Depth::Comments),
            (false, true) => None,
        };
        Self::answer(&mut world, Ok(Written::new(snapshot, None)))
    }
}
