//! The synced fields, their values in our vocabulary, and their native forms.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// A synced field of a record. Comments are not a field: they are an append-only set beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// New, active or closed.
    Status,
    /// How bad it is.
    Severity,
    /// Classification and determination.
    Verdict,
    /// Who works on it.
    Owner,
    /// Labels people put on it.
    Tags,
    /// Its name.
    Title,
}

impl Field {
    /// Every field, in the order in which they are decided.
    pub const ALL: [Self; 6] =
        [Self::Status, Self::Severity, Self::Verdict, Self::Owner, Self::Tags, Self::Title];

    /// The word used in configuration, logs and audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Severity => "severity",
            Self::Verdict => "verdict",
            Self::Owner => "owner",
            Self::Tags => "tags",
            Self::Title => "title",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A field's value as a system states it, in canonical form; comparing two of them is how edits are found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Native {
    /// Stated to be empty (no owner, no verdict).
    Empty,
    /// One text; a verdict is `classification/determination`.
    Text(String),
    /// A set of texts (tags).
    Set(BTreeSet<String>),
}

impl Native {
    /// A text, or `Empty` for none or a blank one.
    pub fn text(text: Option<&str>) -> Self {
        match text {
            Some(text) if !text.trim().is_empty() => Self::Text(text.to_owned()),
            _ => Self::Empty,
        }
    }
}

impl fmt::Display for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("(none)"),
            Self::Text(text) => f.write_str(text),
            Self::Set(set) => {
                write!(f, "[{}]", set.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// The fields that a record states, by field. A field that is absent is not stated at all.
pub type Natives = BTreeMap<Field, Native>;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every member.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in tables, configuration and audit.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The member a word names.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// Where the work on an incident stands.
    Status { /// Nobody has begun.
        New = "new", /// In work.
        Active = "active", /// Done.
        Closed = "closed" }
);
words!(
    /// How bad it is, mildest first.
    Severity { /// For information.
        Informational = "informational", /// Low.
        Low = "low", /// Medium.
        Medium = "medium", /// High.
        High = "high" }
);
words!(
    /// Whether it was an attack.
    Classification { /// Nobody has said.
        Undetermined = "undetermined", /// An attack.
        TruePositive = "true-positive", /// Real but harmless (informational, expected activity).
        BenignPositive = "benign-positive", /// No such thing happened.
        FalsePositive = "false-positive" }
);
words!(
    /// What it was. `Unspecified` says nothing, and so agrees with every other within its classification.
    Determination { /// Not said.
        Unspecified = "unspecified", /// None of the others.
        Other = "other", /// An attack in stages.
        MultiStagedAttack = "multi-staged-attack", /// Malicious user activity.
        MaliciousUserActivity = "malicious-user-activity", /// A taken-over account.
        CompromisedAccount = "compromised-account", /// Malware.
        Malware = "malware", /// Phishing.
        Phishing = "phishing", /// Unwanted software.
        UnwantedSoftware = "unwanted-software", /// An exercise or test.
        SecurityTesting = "security-testing", /// A business application.
        LineOfBusinessApplication = "line-of-business-application", /// Activity confirmed by its author.
        ConfirmedActivity = "confirmed-activity", /// Not malicious.
        NotMalicious = "not-malicious", /// Not enough data to tell.
        NotEnoughData = "not-enough-data", /// The detection's logic is wrong.
        IncorrectAlertLogic = "incorrect-alert-logic" }
);

/// Classification with determination; only sensible pairs can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Verdict {
    classification: Classification,
    determination: Determination,
}

impl Verdict {
    /// Nobody has said anything.
    pub const UNDETERMINED: Self =
        Self { classification: Classification::Undetermined, determination: Determination::Unspecified };

    /// A verdict, where the pair is sensible (Defender's pairs, `graph-security.md` 2.5, and Sentinel's reasons).
    pub fn new(classification: Classification, determination: Determination) -> Option<Self> {
        use Classification as C;
        use Determination as D;
        let sensible = match determination {
            D::Unspecified => true,
            D::Other => classification != C::Undetermined,
            D::MultiStagedAttack
            | D::MaliciousUserActivity
            | D::CompromisedAccount
            | D::Malware
            | D::Phishing
            | D::UnwantedSoftware => classification == C::TruePositive,
            D::SecurityTesting | D::LineOfBusinessApplication | D::ConfirmedActivity => {
                classification == C::BenignPositive
            }
            D::NotMalicious | D::NotEnoughData | D::IncorrectAlertLogic => classification == C::FalsePositive,
        };
        sensible.then_some(Self { classification, determination })
    }

    /// Every verdict there is.
    pub fn all() -> impl Iterator<Item = Self> {
        Classification::ALL.iter().flat_map(|c| Determination::ALL.iter().filter_map(|d| Self::new(*c, *d)))
    }

    /// Whether it was an attack.
    pub fn classification(self) -> Classification {
        self.classification
    }

    /// What it was.
    pub fn determination(self) -> Determination {
        self.determination
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.determination == Determination::Unspecified {
            write!(f, "{}", self.classification)
        } else {
            write!(f, "{}/{}", self.classification, self.determination)
        }
    }
}

impl From<Verdict> for String {
    fn from(verdict: Verdict) -> String {
        verdict.to_string()
    }
}

impl TryFrom<String> for Verdict {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (class, det) = text.split_once('/').unwrap_or((&text, "unspecified"));
        Classification::from_word(class)
            .zip(Determination::from_word(det))
            .and_then(|(c, d)| Self::new(c, d))
            .ok_or_else(|| {
                format!("`{text}` is no verdict (such as `true-positive/phishing` or `undetermined`)")
            })
    }
}

/// The value of one field in our vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// See [`Field::Status`].
    Status(Status),
    /// See [`Field::Severity`].
    Severity(Severity),
    /// See [`Field::Verdict`].
    Verdict(Verdict),
    /// An account name (UPN or e-mail, lower case), or nobody.
    Owner(Option<String>),
    /// See [`Field::Tags`].
    Tags(BTreeSet<String>),
    /// See [`Field::Title`].
    Title(String),
}

impl Value {
    /// The field whose value this is.
    pub fn field(&self) -> Field {
        match self {
            Self::Status(_) => Field::Status,
            Self::Severity(_) => Field::Severity,
            Self::Verdict(_) => Field::Verdict,
            Self::Owner(_) => Field::Owner,
            Self::Tags(_) => Field::Tags,
            Self::Title(_) => Field::Title,
        }
    }

    /// Whether it states nothing; when two records are first linked, such a value yields to any other.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Verdict(verdict) => *verdict == Verdict::UNDETERMINED,
            Self::Owner(owner) => owner.is_none(),
            Self::Tags(tags) => tags.is_empty(),
            Self::Title(title) => title.trim().is_empty(),
            Self::Status(_) | Self::Severity(_) => false,
        }
    }

    /// Whether it says that the incident is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Status(Status::Closed))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Severity(severity) => severity.fmt(f),
            Self::Verdict(verdict) => verdict.fmt(f),
            Self::Owner(owner) => f.write_str(owner.as_deref().unwrap_or("(nobody)")),
            Self::Tags(tags) => Native::Set(tags.clone()).fmt(f),
            Self::Title(title) => f.write_str(title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_verdicts_exist() {
        assert!(Verdict::new(Classification::FalsePositive, Determination::Malware).is_none());
        assert!(Verdict::new(Classification::Undetermined, Determination::Other).is_none());
        assert_eq!(Verdict::all().count(), 4 + 3 + 6 + 3 + 3);
    }

    #[test]
    fn verdicts_read_back_from_their_text() {
        for verdict in Verdict::all() {
            assert_eq!(Verdict::try_from(verdict.to_string()), Ok(verdict));
        }
    }
}
