//! Native values to ours and back: one table per kind of system, from `config/translations/*.toml`, and their laws.

use crate::model::{Field, Native, RecordKind, Value};

/// What a native value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// In our vocabulary.
    Known(Value),
    /// The table does not know the value; it is left alone and reported.
    Unknown(String),
}

/// The table of one kind of system.
#[derive(Debug, Clone)]
pub struct Translation {}

impl Translation {
    /// What a native value of a field means. Total: values the table lacks are `Unknown`.
    pub fn read(&self, _kind: RecordKind, _field: Field, _native: &Native) -> Reading {
        unimplemented!()
    }

    /// The preferred native value for ours; `None` where records of this kind do not carry the field.
    pub fn write(&self, _kind: RecordKind, _value: &Value) -> Option<Native> {
        unimplemented!()
    }

    /// Whether a record that states `current` needs no write to say `agreed`.
    pub fn satisfies(&self, _kind: RecordKind, _current: &Native, _agreed: &Value) -> bool {
        unimplemented!()
    }

    /// Whether the system states a verdict only while an incident is closed (Sentinel, `sentinel.md` 1.5).
    pub fn verdict_only_when_closed(&self) -> bool {
        unimplemented!()
    }
}
