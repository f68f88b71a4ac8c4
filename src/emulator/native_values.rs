//! What native sync carries, and how the values change on the way (`sentinel.md` 3.1).

use std::collections::BTreeSet;

use super::graph;
use super::ledger::Change;
use super::sentinel::{self, Owner};

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carried {
    Status,
    Verdict,
    Severity,
    Owner,
    Title,
    Tags,
}

impl Carried {
    pub(super) const ALL: [Self; 6] =
        [Self::Status, Self::Verdict, Self::Severity, Self::Owner, Self::Title, Self::Tags];

    fn of(property: &str) -> Option<Self> {
        match property {
            "status" => Some(Self::Status),
            "classification"
            | "determination"
            | "classificationReason"
            | "resolvingComment"
            | "classificationComment" => Some(Self::Verdict),
            "severity" => Some(Self::Severity),
            "assignedTo" | "owner" => Some(Self::Owner),
            "displayName" | "title" => Some(Self::Title),
            "customTags" | "labels" => Some(Self::Tags),
            _ => None,
        }
    }

    pub(super) fn all_of(changes: &[Change]) -> BTreeSet<Self> {
        changes.iter().filter_map(|change| Self::of(&change.field)).collect()
    }
}

/// A twin with fields of the Defender incident (`sentinel.md` 3.1).
pub(super) fn as_sentinel(
    from: &graph::Incident,
    mut twin: sentinel::Incident,
    fields: &[Carried],
) -> sentinel::Incident {
    for field in fields {
        match field {
            Carried::Status => {
                let status = match from.status.as_str() {
                    "active" => "New",
                    "resolved" => "Closed",
                    _ => "Active",
                };
                status.clone_into(&mut twin.status);
                carry_verdict(from, &mut twin);
            }
            Carried::Verdict => carry_verdict(from, &mut twin),
            Carried::Severity => twin.severity = capitalised(&from.severity),
            Carried::Owner => twin.owner = Owner::user(from.owner.as_deref()),
            Carried::Title => twin.title.clone_from(&from.title),
            Carried::Tags => twin.labels.clone_from(&from.tags),
        }
    }
    twin
}

/// A closed incident shows the class; the determination is lost. An open one shows nothing.
fn carry_verdict(from: &graph::Incident, twin: &mut sentinel::Incident) {
    if twin.status != "Closed" {
        (twin.classification, twin.reason, twin.closing_comment) = (None, None, None);
        return;
    }
    let (classification, reason) = match from.classification.as_str() {
        "truePositive" => ("TruePositive", Some("SuspiciousActivity")),
        "falsePositive" => ("FalsePositive", Some("InaccurateData")),
        "informationalExpectedActivity" => ("BenignPositive", Some("SuspiciousButExpected")),
        _ => ("Undetermined", None),
    };
    twin.classification = Some(classification.to_owned());
    twin.reason = reason.map(str::to_owned);
    if from.resolving_comment.is_some() {
        twin.closing_comment.clone_from(&from.resolving_comment);
    }
}

/// A Defender incident with fields of its twin. A class that agrees already keeps its determination.
pub(super) fn as_defender(
    twin: &sentinel::Incident,
    mut next: graph::Incident,
    fields: &[Carried],
) -> graph::Incident {
    for field in fields {
        match field {
            Carried::Status => {
                let status = match twin.status.as_str() {
                    "New" => "active",
                    "Closed" => "resolved",
                    _ => "inProgress",
                };
                status.clone_into(&mut next.status);
            }
            Carried::Verdict => {
                // Which determination the service picks is not documented: the vaguest.
                let (classification, determination) = match twin.classification.as_deref() {
                    Some("TruePositive") => ("truePositive", "other"),
                    Some("FalsePositive") => ("falsePositive", "other"),
                    Some("BenignPositive") => ("informationalExpectedActivity", "other"),
                    Some(_) => ("unknown", "unknown"),
                    None => continue,
                };
                if next.classification != classification {
                    classification.clone_into(&mut next.classification);
                    determination.clone_into(&mut next.determination);
                }
                if twin.closing_comment.is_some() {
                    next.resolving_comment.clone_from(&twin.closing_comment);
                }
            }
            Carried::Severity => next.severity = twin.severity.to_lowercase(),
            // What the connector makes of a group is not published; Defender's owner is left as it is.
            Carried::Owner if twin.owner.is_group => {}
            Carried::Owner => next.owner = twin.owner.upn.clone().or_else(|| twin.owner.email.clone()),
            Carried::Title => next.title.clone_from(&twin.title),
            Carried::Tags => next.tags.clone_from(&twin.labels),
        }
    }
    next
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
