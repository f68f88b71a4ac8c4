//! What passes between the worker and the services, small enough to be compared and counted.

use super::world::Seen;

/// A request that leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    /// For which intent.
    pub(crate) intent: u32,
    /// To which side.
    pub(crate) side: usize,
    /// The version that was read before.
    pub(crate) guard: i8,
    /// What it says.
    pub(crate) body: Body,
}

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    /// Change these fields.
    Fields([Option<u8>; 2]),
    /// Make the record, with these fields.
    Create([Option<u8>; 2]),
    /// Add a copy of the comment of this item.
    Comment(usize),
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Failed {
    /// Not executed.
    Throttled,
    /// The revision moved.
    Conflict,
    /// No such record.
    NotFound,
    /// Nobody knows.
    Unknown,
}

/// What happens to a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    /// A list brought these.
    Observed(Vec<Seen>),
    /// The target of an intent was read; and whether the system was listed since the intent was planned.
    Read(u32, Result<Seen, Failed>, bool),
    /// A write was answered.
    Wrote(u32, Result<Option<Seen>, Failed>),
    /// The worker begins.
    Restarted,
}

/// What the history tells of people's edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    /// This value was seen as an edit of this side.
    Edit(usize, usize, u8),
    /// This value of this side was not carried, and why was said.
    NotCarried(usize, usize, u8),
}

/// The next thing a lane wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// For which intent.
    pub(crate) intent: u32,
    /// Which side is to be read.
    pub(crate) side: usize,
    /// With its comments.
    pub(crate) deep: bool,
    /// What for.
    pub(crate) work: Work,
}

/// What an intent is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Reading only.
    Fetch,
    /// Changing fields.
    Update,
    /// Making the record.
    Create,
    /// The copy of the comment of this item.
    Comment(usize),
}

impl Body {
    /// What the request is for.
    pub(crate) fn work(self) -> Work {
        match self {
            Self::Fields(_) => Work::Update,
            Self::Create(_) => Work::Create,
            Self::Comment(item) => Work::Comment(item),
        }
    }
}
