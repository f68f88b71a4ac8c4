//! What must hold, and what has to be remembered to tell.

use super::checker::Broken;
use super::messages::{Told, Work, Write};
use super::protocol::State;
use super::world::{FIELDS, Flavour, Item, Scenario, Version, What, side_name};

/// A request leaves only after its intent is on the disk as sending.
pub(crate) const DURABLE: &str =
    "an intent is on the disk before its request leaves, with exactly what it says";
/// Nothing is sent blindly again.
pub(crate) const READ_BETWEEN: &str = "after an open outcome nothing is sent again before the record was read, nor while the first request may arrive";
/// At most once.
pub(crate) const ONCE: &str =
    "an edit is written to the other side at most once; no second copy, no second record";
/// Never without a cause.
pub(crate) const CAUSED: &str = "nothing is written that no person set on the other side";
/// Guarded records are never written over unseen.
pub(crate) const UNSEEN: &str = "where writes are guarded, no edit is written over unseen";
/// A step's changes are all it did.
pub(crate) const COMPLETE: &str = "what a step did is what it commits";
/// At rest both sides agree.
pub(crate) const AGREE: &str = "at rest both sides agree";
/// At rest no edit is forgotten.
pub(crate) const ACCOUNTED: &str = "at rest each edit was written, overtaken, or has its recorded reason";

/// All of them, but what the explorer proves itself.
pub(crate) const ALL: [&str; 8] = [DURABLE, READ_BETWEEN, ONCE, CAUSED, UNSEEN, COMPLETE, AGREE, ACCOUNTED];

const MADE: u8 = 1;
const SEEN: u8 = 2;
const CARRIED: u8 = 4;
const REASONED: u8 = 8;
/// Written over in a window that the documents state.
const OVERWRITTEN: u8 = 16;
/// Set back to what it was before, while the outcome of a write of ours that had changed it was open.
const SET_BACK: u8 = 32;
/// Written over by a late write of ours: once seen, it may be restored, where it won the conflict.
const UNDONE: u8 = 64;

/// How often the windows that the documents state were entered.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Windows {
    /// An edit between our read and our write, where the service has no guard.
    pub(crate) unguarded: usize,
    /// A value set back while the outcome of our write was open: it looks as if the write had not happened.
    pub(crate) set_back: usize,
}

/// What the properties remember; nothing that happens depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    flags: Vec<u8>,
    order: Vec<usize>,
    /// Requests of open outcome whose record was not read since: one bit for each side and work.
    open: u16,
}

fn broken(property: &'static str, how: impl Into<String>) -> Broken {
    Broken { property, how: how.into() }
}

/// The changes of a step were not all that it did.
pub(crate) fn incomplete() -> Broken {
    broken(COMPLETE, "the changes of a step do not lead to the lane that it left")
}

/// A ticket was opened twice.
pub(crate) fn second_record() -> Broken {
    broken(ONCE, "a second record was made")
}

/// A comment was copied twice.
pub(crate) fn second_copy(item: usize) -> Broken {
    broken(ONCE, format!("comment {item} was copied twice"))
}

fn bit(side: usize, work: Work) -> u16 {
    let at = match work {
        Work::Fetch => return 0,
        Work::Update => 0,
        Work::Create => 1,
        Work::Comment(item) => 2 + item,
    };
    1 << (8 * side + at)
}

/// Whether a request may leave now.
pub(crate) fn may_leave(state: &State, write: &Write, promised: bool) -> Result<(), Broken> {
    let work = write.body.work();
    if !promised {
        return Err(broken(DURABLE, format!("{write} leaves, and the disk does not know of it")));
    }
    if state.ghost.open & bit(write.side, work) != 0 {
        return Err(broken(READ_BETWEEN, format!("{write} leaves again, and nobody looked")));
    }
    if state.transit.iter().any(|other| other.side == write.side && other.body.work() == work) {
        return Err(broken(READ_BETWEEN, format!("{write} leaves while an earlier one is still under way")));
    }
    Ok(())
}

impl Ghost {
    /// Nothing happened yet.
    pub(crate) fn new(items: usize) -> Self {
        Self { flags: vec![0; items], order: Vec::new(), open: 0 }
    }

    /// Whether a person did this already.
    pub(crate) fn made(&self, item: usize) -> bool {
        self.flags[item] & MADE != 0
    }

    /// A person does something. `open` says whether the worker has a write of that field there whose outcome it does
    /// not know: then it cannot tell whether the person saw that write, and may repeat it. `base` is what it last
    /// acknowledged there: who sets that again leaves no trace.
    pub(crate) fn person(
        &mut self,
        menu: &[Item],
        item: usize,
        open: impl Fn(usize) -> bool,
        base: impl Fn(usize) -> Option<u8>,
    ) {
        self.flags[item] |= MADE;
        self.order.push(item);
        let What::Set(field, value) = menu[item].what else { return };
        if !open(field) {
            return;
        }
        for (at, other) in menu.iter().enumerate() {
            if other.side != menu[item].side && matches!(other.what, What::Set(f, _) if f == field) {
                self.flags[at] &= !CARRIED;
            }
        }
        if base(field) == Some(value) {
            self.flags[item] |= SET_BACK;
        }
    }

    /// A record was read for this work.
    pub(crate) fn read(&mut self, side: usize, work: Work) {
        self.open &= !bit(side, work);
    }

    /// A request's outcome is open.
    pub(crate) fn open(&mut self, side: usize, work: Work) {
        self.open |= bit(side, work);
    }

    /// The history tells of edits.
    pub(crate) fn told(&mut self, menu: &[Item], told: &[Told]) {
        for told in told {
            let (flag, sides, what) = match *told {
                Told::Edit(side, field, value) => (SEEN, vec![side], What::Set(field, value)),
                // Of a field that a record is spared, the reason is told there.
                Told::NotCarried(side, field, value) => {
                    (REASONED, vec![side, 1 - side], What::Set(field, value))
                }
            };
            let made = |item: &Item| {
                let same = menu.iter().enumerate().filter(|(at, other)| *other == item && self.made(*at));
                same.map(|(at, _)| at).next_back()
            };
            if let Some(at) = sides.into_iter().find_map(|side| made(&Item { side, what })) {
                self.flags[at] |= flag;
            }
        }
    }

    /// The worker changed a record.
    pub(crate) fn wrote(
        &mut self,
        menu: &[Item],
        side: usize,
        (before, after): (Version, Version),
        guarded: bool,
        windows: &mut Windows,
    ) -> Result<(), Broken> {
        for field in (0..FIELDS.len()).filter(|field| before.values[*field] != after.values[*field]) {
            self.carry(menu, side, field, after.values[field])?;
            let Some(at) = self.standing(menu, side, field, before.values[field]) else { continue };
            self.flags[at] |= UNDONE;
            match self.flags[at] {
                flags if flags & SEEN != 0 => {}
                flags if flags & SET_BACK != 0 => {
                    windows.set_back += 1;
                    self.flags[at] |= OVERWRITTEN;
                }
                _ if guarded => return Err(broken(UNSEEN, format!("unseen: {}", menu[at]))),
                _ => {
                    windows.unguarded += 1;
                    self.flags[at] |= OVERWRITTEN;
                }
            }
        }
        Ok(())
    }

    /// The edit whose value a field still has.
    fn standing(&self, menu: &[Item], side: usize, field: usize, value: u8) -> Option<usize> {
        let of_field =
            |at: &&usize| menu[**at].side == side && matches!(menu[**at].what, What::Set(f, _) if f == field);
        let last = *self.order.iter().rev().find(of_field)?;
        (menu[last].what == What::Set(field, value)).then_some(last)
    }

    /// A value is written to a side: whose edit is that? One of the other side that was not written yet, or one of this
    /// side that a late write of ours undid.
    fn carry(&mut self, menu: &[Item], side: usize, field: usize, value: u8) -> Result<(), Broken> {
        let of = |side: usize| {
            let wanted = Item { side, what: What::Set(field, value) };
            (0..menu.len()).filter(move |at| menu[*at] == wanted)
        };
        let mut causes = of(1 - side).filter(|at| self.made(*at));
        let is_caused = causes.clone().next().is_some();
        if let Some(cause) = causes.find(|at| self.flags[*at] & CARRIED == 0) {
            self.flags[cause] |= CARRIED;
            return Ok(());
        }
        if let Some(cause) = of(side).find(|at| self.flags[*at] & (UNDONE | SEEN) == UNDONE | SEEN) {
            self.flags[cause] &= !UNDONE;
            return Ok(());
        }
        let name = format!("{} of {}", FIELDS[field], side_name(side));
        if is_caused {
            return Err(broken(ONCE, format!("{name} is set once more for the same edit")));
        }
        Err(broken(CAUSED, format!("{name} is set, and nobody asked for it")))
    }

    /// Whether the history, the other record or a later edit accounts for an item.
    fn is_accounted(&self, menu: &[Item], item: usize, other: Version) -> bool {
        let What::Set(field, value) = menu[item].what else { return true };
        let later = self.order.iter().skip_while(|at| **at != item).skip(1);
        let overtaken = later.into_iter().any(|at| {
            let same_field = matches!(menu[*at].what, What::Set(f, _) if f == field);
            same_field && (menu[*at].side == menu[item].side || self.flags[*at] & SEEN != 0)
        });
        self.flags[item] & (CARRIED | REASONED | OVERWRITTEN) != 0
            || other.values[field] == value
            || overtaken
    }
}

/// What must hold when nothing is left to do.
pub(crate) fn settled(state: &State, scenario: &Scenario) -> Result<(), Broken> {
    let Some(first) = state.records[0].now() else { return Ok(()) };
    let Some(second) = state.records[1].now() else {
        // An incident that was closed before its record was made gets none.
        return if first.is_closed() { Ok(()) } else { Err(broken(AGREE, "the other side has no record")) };
    };
    for (field, name) in FIELDS.iter().enumerate() {
        // A closed ticket is written to for its status alone; the history says so.
        let spared = field > 0 && scenario.flavours[1] == Flavour::Ticket && second.is_closed();
        if first.values[field] != second.values[field] && !spared {
            return Err(broken(AGREE, format!("{name} differs: {first:?}, {second:?}")));
        }
    }
    for (at, item) in scenario.menu.iter().enumerate().filter(|(at, _)| state.ghost.made(*at)) {
        let other = [second, first][item.side];
        let copied = other.notes & (1 << (8 + at)) != 0;
        let accounted = if item.what == What::Comment {
            copied
        } else {
            state.ghost.is_accounted(&scenario.menu, at, other)
        };
        if !accounted {
            return Err(broken(ACCOUNTED, format!("forgotten: {item}")));
        }
    }
    Ok(())
}
