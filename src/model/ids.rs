//! Identifiers as types of their own; a blank one cannot be built.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An identifier was empty or only white space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {what} must not be blank")]
pub struct BlankId {
    what: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes any text that is not blank; surrounding white space is removed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, BlankId> {
                let text = text.as_ref().trim();
                if text.is_empty() { Err(BlankId { what: $what }) } else { Ok(Self(text.to_owned())) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BlankId;
            fn try_from(text: String) -> Result<Self, BlankId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

text_id!(
    /// The name of one configured system, as the configuration gives it.
    SystemName,
    "system name"
);
text_id!(
    /// The name of a bridge, as the configuration gives it.
    BridgeName,
    "bridge name"
);
text_id!(
    /// The id a system gives to a record; opaque to us.
    RecordId,
    "record id"
);

/// How the keys begin that tickets carry inside them: `lockstep-` and 32 hexadecimal digits.
pub const TICKET_KEY: &str = "lockstep-";

/// What a record is in its system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// A Defender or Sentinel incident.
    Incident,
    /// One alert of an incident.
    Alert,
    /// A ticket of a ticketing system.
    Ticket,
}

impl RecordKind {
    /// The word used in references: `incident`, `alert`, `ticket`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Alert => "alert",
            Self::Ticket => "ticket",
        }
    }
}

/// Names one record: `defender/incident/4711`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordRef {
    /// The system that holds the record.
    pub system: SystemName,
    /// What it is there.
    pub kind: RecordKind,
    /// Its id there.
    pub id: RecordId,
}

impl RecordRef {
    /// An incident of a system.
    pub fn incident(system: &SystemName, id: RecordId) -> Self {
        Self { system: system.clone(), kind: RecordKind::Incident, id }
    }

    /// A ticket of a system.
    pub fn ticket(system: &SystemName, id: RecordId) -> Self {
        Self { system: system.clone(), kind: RecordKind::Ticket, id }
    }

    /// An alert of a system.
    pub fn alert(system: &SystemName, id: RecordId) -> Self {
        Self { system: system.clone(), kind: RecordKind::Alert, id }
    }
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.kind.as_str(), self.id)
    }
}

impl fmt::Debug for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<RecordRef> for String {
    fn from(record: RecordRef) -> String {
        record.to_string()
    }
}

impl TryFrom<String> for RecordRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RecordRef {
    type Err = String;

    /// Takes `system/kind/id`, and `system/id` for an incident.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || {
            format!("`{text}` is no record; write `system/incident/id`, for example `defender/incident/4711`")
        };
        let mut parts = text.splitn(3, '/');
        let (system, second, third) = (parts.next(), parts.next(), parts.next());
        let (kind, id) = match (second, third) {
            (Some("incident"), Some(id)) => (RecordKind::Incident, id),
            (Some("alert"), Some(id)) => (RecordKind::Alert, id),
            (Some("ticket"), Some(id)) => (RecordKind::Ticket, id),
            (Some(id), None) => (RecordKind::Incident, id),
            _ => return Err(usage()),
        };
        let system = SystemName::new(system.unwrap_or_default()).map_err(|_| usage())?;
        let id = RecordId::new(id).map_err(|_| usage())?;
        Ok(Self { system, kind, id })
    }
}

/// Names one mapping. Derived from the record it began with, so that a rebuilt store names it the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MappingId(pub u64);

impl MappingId {
    /// The id of the mapping that `root` begins in `bridge`.
    pub fn derive(bridge: &BridgeName, root: &RecordRef) -> Self {
        let digest = Sha256::digest(format!("{bridge}\n{root}"));
        Self(digest.iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte)))
    }
}

impl fmt::Display for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for MappingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<MappingId> for String {
    fn from(id: MappingId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for MappingId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for MappingId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| format!("`{text}` is no mapping id (16 hexadecimal digits)"))
    }
}

/// Names one intent: its mapping and a number counted within it, `0123456789abcdef-7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IntentId {
    /// The mapping whose intent it is.
    pub mapping: MappingId,
    /// Counted within the mapping, from 0.
    pub number: u32,
}

impl fmt::Display for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.mapping, self.number)
    }
}

impl fmt::Debug for IntentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<IntentId> for String {
    fn from(id: IntentId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for IntentId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for IntentId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("`{text}` is no intent id (mapping id, a dash, a number)");
        let (mapping, number) = text.split_once('-').ok_or_else(usage)?;
        Ok(Self { mapping: mapping.parse()?, number: number.parse().map_err(|_| usage())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_ids_cannot_be_built() {
        assert!(SystemName::new("  ").is_err());
        assert!(serde_json::from_str::<RecordId>("\"\"").is_err());
    }

    #[test]
    fn record_references_read_back() {
        let record: RecordRef = "defender/incident/4711".parse().unwrap();
        assert_eq!(record.to_string(), "defender/incident/4711");
        assert_eq!("defender/4711".parse::<RecordRef>().unwrap(), record);
        assert!("defender".parse::<RecordRef>().is_err());
        assert!("defender/incident/".parse::<RecordRef>().is_err());
    }

    #[test]
    fn mapping_ids_depend_on_bridge_and_root_only() {
        let bridge = BridgeName::new("corp").unwrap();
        let root = "defender/4711".parse().unwrap();
        let id = MappingId::derive(&bridge, &root);
        assert_eq!(id, MappingId::derive(&bridge, &root));
        assert_eq!(id.to_string().parse::<MappingId>().unwrap(), id);
    }
}
