//! The small world that is explored: what a record can say, who edits it, and which services the two sides resemble.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use lockstep::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, Patch, RecordRef, Snapshot,
};

use super::faults::Planted;

/// The fields that people edit here. One closes, the other takes any number of values.
pub(crate) const FIELDS: [Field; 2] = [Field::Status, Field::Owner];
/// The status `closed`.
pub(crate) const CLOSED: u8 = 1;

/// Which service a side resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// No write guard; comments come with the record and are looked up by their mark.
    Defender,
    /// A revision guards writes; ids of records and comments are of our choice; comments are counted.
    Sentinel,
    /// No write guard; ids are the system's own, a key finds them; what a write brought is read afterwards, and of
    /// comments only a read of them tells.
    Ticket,
}

/// Something that a person does once, at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    /// On which side.
    pub(crate) side: usize,
    /// What.
    pub(crate) what: What,
}

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// Sets a field (by its place in [`FIELDS`]) to a value.
    Set(usize, u8),
    /// Writes a comment.
    Comment,
}

/// One exploration: who does what, between which services, and how much may go wrong.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The two sides.
    pub(crate) flavours: [Flavour; 2],
    /// What people do, each once, in any order and at any time.
    pub(crate) menu: Vec<Item>,
    /// Whether lockstep makes the record of the second side.
    pub(crate) created: bool,
    /// How many requests, answers and reads go wrong.
    pub(crate) faults: u8,
    /// How often the worker is killed.
    pub(crate) crashes: u8,
    /// Whether reads may lag for up to twice `settle`, which is what two read-backs are for.
    pub(crate) slow: bool,
    /// A fault planted into the protocol, to see whether it is found.
    pub(crate) planted: Option<Planted>,
}

/// What a record says at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    /// Its fields, in the order of [`FIELDS`].
    pub(crate) values: [u8; 2],
    /// Comments: bit n for the one that item n of the menu wrote, bit 8 + n for its copy.
    pub(crate) notes: u16,
}

impl Version {
    /// Whether it is closed.
    pub(crate) fn is_closed(self) -> bool {
        self.values[0] == CLOSED
    }
}

/// A record with its history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    /// Its versions, oldest first; none if it does not exist.
    pub(crate) versions: Vec<Version>,
    /// Reads show this version or a later one; -1 while a read may not find the record at all.
    pub(crate) settled: i8,
    /// Where reads lag for twice `settle`: what they show after the next.
    pub(crate) settling: i8,
    /// The last version that a list brought; -1 for none.
    pub(crate) cursor: i8,
}

impl Record {
    /// The place of the newest version; -1 if there is none.
    pub(crate) fn newest(&self) -> i8 {
        i8::try_from(self.versions.len()).expect("few versions") - 1
    }

    /// The record now.
    pub(crate) fn now(&self) -> Option<Version> {
        self.versions.last().copied()
    }

    /// `settle` has passed.
    pub(crate) fn settle(&mut self, slow: bool) {
        self.settled = if slow { self.settling } else { self.newest() };
        if slow {
            self.settling = self.newest();
        }
    }

    /// A version by its place.
    pub(crate) fn at(&self, place: i8) -> Version {
        self.versions[usize::try_from(place).expect("a version that exists")]
    }
}

/// A version as a list or a read shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    /// Of which side.
    pub(crate) side: usize,
    /// Its place in the history, which is its revision and its time.
    pub(crate) place: i8,
    /// What it says.
    pub(crate) version: Version,
    /// Whether it was read by id.
    pub(crate) fresh: bool,
    /// Whether it was read with its comments.
    pub(crate) deep: bool,
}

/// The native word of a value.
pub(crate) fn native(side: usize, field: usize, value: u8) -> Native {
    if field == 0 {
        let words = [["active", "resolved"], ["New", "Closed"]];
        return Native::Text(words[side][usize::from(value)].to_owned());
    }
    Native::text((value > 0).then(|| format!("p{value}")).as_deref())
}

/// The value of a native word, or of one of ours.
pub(crate) fn value(field: usize, word: &str) -> Option<u8> {
    match (field, word) {
        (0, "active" | "New" | "new") => Some(0),
        (0, "resolved" | "Closed" | "closed") => Some(CLOSED),
        (1, "(none)" | "") => Some(0),
        (1, word) => word.strip_prefix('p')?.parse().ok(),
        _ => None,
    }
}

/// The fields of a patch.
pub(crate) fn fields(patch: &Patch) -> [Option<u8>; 2] {
    FIELDS.map(|field| {
        let native = patch.native.get(&field)?;
        value(FIELDS.iter().position(|f| *f == field)?, &native.to_string())
    })
}

/// The comment that an item of the menu writes.
pub(crate) fn note(item: usize) -> Comment {
    Comment {
        key: CommentKey::from_id(&format!("c{item}")),
        author: Some("alice".to_owned()),
        created: Some(moment(100)),
        text: format!("note {item}"),
    }
}

/// A moment of the services' clocks.
pub(crate) fn moment(place: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1000 + place)
}

/// What a read or a list of a version brings; `comments` are all it has.
pub(crate) fn snapshot(seen: Seen, record: RecordRef, flavour: Flavour, comments: Vec<Comment>) -> Snapshot {
    let fields = FIELDS.iter().enumerate();
    let native: Natives =
        fields.map(|(at, field)| (*field, native(seen.side, at, seen.version.values[at]))).collect();
    let comments = match flavour {
        Flavour::Sentinel if !seen.deep => {
            Comments::Counted(u32::try_from(comments.len()).expect("few comments"))
        }
        Flavour::Ticket if !seen.deep => Comments::Untold,
        _ => Comments::Listed(comments),
    };
    Snapshot {
        record,
        revision: seen.place.to_string(),
        modified: moment(i64::from(seen.place)),
        modified_by: None,
        fresh: seen.fresh,
        hidden: Natives::new(),
        native,
        closing_comment: None,
        comments,
        lifecycle: Lifecycle::Present,
        links: Vec::new(),
        parent: None,
        planned_as: None,
        facts: Facts { created: Some(moment(0)), ..Facts::default() },
        raw: serde_json::Value::Null,
    }
}

/// What a side is called in a trace.
pub(crate) fn side_name(side: usize) -> &'static str {
    ["defender", "the other side"][side]
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = side_name(self.side);
        match self.what {
            What::Set(field, to) => {
                write!(f, "a person sets {} to {} in {side}", FIELDS[field], native(self.side, field, to))
            }
            What::Comment => write!(f, "a person comments in {side}"),
        }
    }
}
