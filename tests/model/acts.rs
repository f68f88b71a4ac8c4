//! What can happen, and how a trace tells it.

use std::fmt;

use super::messages::{Body, Due, Write};
use super::world::{FIELDS, Item, native, side_name};

/// What happened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// A person did this.
    Person(Item),
    /// A list brought a version of a side into the inbox.
    Listed(usize, i8),
    /// A list brought again what it had brought before.
    ListedAgain(usize, i8),
    /// The second side was listed, and there was nothing new.
    ListedNothing,
    /// The cursor moved; the inbox entry did not get there.
    CursorMoved(usize),
    /// The inbox was decided over; not stored yet.
    Decide,
    /// The inbox entry was removed before the decision was stored.
    DecideLate,
    /// The target of an intent was read: side, version (of the newest), for what.
    Read(Due, i8, i8),
    /// The record was looked for and not found.
    NotFound(Due),
    /// The read was throttled.
    ReadThrottled(Due),
    /// The step is on the disk.
    Commit,
    /// The request leaves.
    Send(Write),
    /// The service executes it; where that led.
    Land(Write, Option<i8>),
    /// It is lost before it arrives.
    Lose(Write),
    /// The worker waits no longer; it may still arrive.
    TimeOut(Write),
    /// The service refuses it, as too many.
    Throttle(Write),
    /// The answer arrives, and states this version.
    Answer(Option<i8>),
    /// The answer is lost.
    LoseAnswer(Write),
    /// A request that nobody waits for any more arrives.
    Arrive(Write),
    /// A back-off is over.
    BackedOff,
    /// `settle` is over.
    Settled,
    /// The worker is killed.
    Kill,
    /// The worker is killed, half way through a commit.
    KillInCommit,
    /// The worker starts.
    Start,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = side_name(self.side);
        let fields = |said: [Option<u8>; 2]| {
            let said = said.into_iter().enumerate();
            let words = said.filter_map(|(field, value)| {
                value.map(|v| format!("{}={}", FIELDS[field], native(self.side, field, v)))
            });
            words.collect::<Vec<_>>().join(", ")
        };
        match self.body {
            Body::Fields(said) => write!(f, "`set {}` to {side}", fields(said)),
            Body::Create(said) => write!(f, "`create [{}]` to {side}", fields(said)),
            Body::Comment(item) => write!(f, "`add the copy of comment {item}` to {side}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(item) => write!(f, "{item}"),
            Self::Listed(side, place) => {
                write!(f, "the list of {} brings version {place} into the inbox", side_name(*side))
            }
            Self::ListedAgain(side, place) => {
                write!(f, "the list of {} brings version {place} once more", side_name(*side))
            }
            Self::ListedNothing => write!(f, "the other side is listed, and there is nothing"),
            Self::CursorMoved(side) => {
                write!(
                    f,
                    "the cursor of {} moves, and the worker is killed before the inbox grows",
                    side_name(*side)
                )
            }
            Self::Decide => write!(f, "the inbox is decided over (not stored yet)"),
            Self::DecideLate => write!(f, "the inbox is emptied, then decided over (not stored yet)"),
            Self::Read(due, place, newest) => {
                let side = side_name(due.side);
                write!(f, "{side} is read for {:?}: version {place} of {newest} (not stored yet)", due.work)
            }
            Self::NotFound(due) => {
                write!(
                    f,
                    "{} is looked up for {:?}: not there (not stored yet)",
                    side_name(due.side),
                    due.work
                )
            }
            Self::ReadThrottled(due) => write!(f, "the read of {} is throttled", side_name(due.side)),
            Self::Commit => write!(f, "the step is committed"),
            Self::Send(write) => write!(f, "the request {write} leaves"),
            Self::Land(write, Some(place)) => write!(f, "{write} is executed, and gives version {place}"),
            Self::Land(write, None) => write!(f, "{write} is refused: the record moved"),
            Self::Lose(write) => write!(f, "the request {write} is lost"),
            Self::TimeOut(write) => {
                write!(f, "the worker waits no longer for {write}, which is still under way")
            }
            Self::Throttle(write) => write!(f, "{write} is refused as too many"),
            Self::Answer(Some(place)) => {
                write!(f, "the answer arrives and states version {place} (not stored yet)")
            }
            Self::Answer(None) => write!(f, "the answer arrives (not stored yet)"),
            Self::LoseAnswer(write) => write!(f, "the answer to {write} is lost"),
            Self::Arrive(write) => write!(f, "{write} arrives after all, and is executed"),
            Self::BackedOff => write!(f, "a back-off is over"),
            Self::Settled => write!(f, "`settle` is over"),
            Self::Kill => write!(f, "the worker is killed"),
            Self::KillInCommit => write!(f, "the worker is killed half way through the commit"),
            Self::Start => write!(f, "the worker starts (not stored yet)"),
        }
    }
}
