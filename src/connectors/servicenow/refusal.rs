//! What ServiceNow says when a data policy or a business rule refuses a write (`ticketing.md` 1.4). A 403 stands for
//! missing permissions as well, and only its text tells which it is, and which field it is about.

use crate::http::CallError;
use crate::model::Field;

/// What stands in the way of a close for as long as somebody has not done it: tasks, approvals, reviews, locks.
const PASSING: [&str; 13] = [
    "response task",
    "open task",
    "active task",
    "child",
    "parent",
    "approval",
    "approved",
    "playbook",
    "assessment",
    "incident review",
    "is locked",
    "until",
    "before closing",
];

/// Tells a refusal by a rule, which is not mended by trying again, from one that can pass, and from a missing permission,
/// which waits for a grant.
pub(super) fn by_rule(error: CallError) -> CallError {
    match error {
        CallError::Denied { site, status: status @ 403, code, message } if can_pass(&message) => {
            CallError::Blocked { site, status, code, message }
        }
        CallError::Denied { site, status: status @ 403, code, message } if is_rule(&message) => {
            CallError::Refused { site, status, code, message }
        }
        error => error,
    }
}

fn has(message: &str, any: &[&str]) -> bool {
    let text = message.to_ascii_lowercase();
    any.iter().any(|word| text.contains(word))
}

fn is_rule(message: &str) -> bool {
    let rule =
        ["data policy", "mandatory", "business rule", "aborted", "unique key", "invalid", "operation failed"];
    let permission = ["acl", "security constraint", "not authorized", "insufficient rights"];
    has(message, &rule) && !has(message, &permission)
}

fn can_pass(message: &str) -> bool {
    is_rule(message) && !has(message, &["data policy", "mandatory", "unique key"]) && has(message, &PASSING)
}

/// The field of ours that a column belongs to.
pub(super) fn field_of(column: &str) -> Option<Field> {
    match column {
        "state" => Some(Field::Status),
        "impact" | "urgency" => Some(Field::Severity),
        "short_description" => Some(Field::Title),
        "assigned_to" => Some(Field::Owner),
        "close_code" => Some(Field::Verdict),
        _ => None,
    }
}

/// Whether a refusal is about what was to be written to a column, as far as its text tells. One that must not be empty is
/// refused where it was to be emptied.
pub(super) fn refuses(message: &str, column: &str, value: &str) -> bool {
    let (about, demanded) = parts(message);
    names(&about, column) || value.is_empty() && names(&demanded, column)
}

/// Whether a refusal asks for a column that was not sent.
pub(super) fn demands(message: &str, column: &str) -> bool {
    names(&parts(message).1, column)
}

/// What a refusal is about, and the fields that it asks for, both in lower case.
fn parts(message: &str) -> (String, String) {
    let text = message.to_lowercase();
    match text.split_once("mandatory:") {
        Some((about, demanded)) => (about.to_owned(), demanded.to_owned()),
        None => (text, String::new()),
    }
}

/// Whether a text in lower case names a column, by its name or by the label that people see.
fn names(text: &str, column: &str) -> bool {
    let own = column.trim_start_matches("u_").replace('_', " ");
    let labels: &[&str] = match column {
        "impact" | "urgency" => &["priority"],
        "close_code" => &["resolution code"],
        "close_notes" => &["resolution notes"],
        _ => &[],
    };
    [column, &own].iter().chain(labels).any(|name| has_word(text, name))
}

/// Whether a text has a word, or some words in a row, that are no part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::http::CallSite;

    const POLICY: &str = "Operation Failed: Data Policy Exception: The following fields are mandatory: Resolution code, \
                          Resolution notes, u_root_cause";
    const READ_ONLY: &str =
        "Operation Failed: Data Policy Exception: The following fields are read only: Assigned to";
    const RULE: &str =
        "Operation Failed: Operation against file 'incident' was aborted by Business Rule 'x^0123'";

    #[test]
    fn a_refusal_tells_which_fields_it_is_about() {
        assert!(refuses(READ_ONLY, "assigned_to", "62826bf0") && !refuses(READ_ONLY, "impact", "1"));
        assert!(!refuses(POLICY, "close_code", "x"), "it is asked for, not refused");
        assert!(refuses("mandatory: Assigned to", "assigned_to", ""), "it was to be emptied");
        for column in ["close_code", "close_notes", "u_root_cause"] {
            assert!(demands(POLICY, column), "{column}");
        }
        assert!(!demands(POLICY, "category") && !demands(READ_ONLY, "assigned_to"));
        assert!(refuses("impact and urgency: priority is set by the group", "urgency", "1"));
        assert!(!refuses("the impactful rule", "impact", "1") && !refuses(RULE, "assigned_to", "x"));
    }

    #[test]
    fn rules_blocks_and_permissions_are_told_apart() {
        let kind = |detail: &str| {
            let site = Box::new(CallSite::new("tickets", "tickets.update"));
            let error =
                CallError::Denied { site, status: 403, code: String::new(), message: detail.to_owned() };
            match by_rule(error) {
                CallError::Refused { .. } => "refused",
                CallError::Blocked { .. } => "blocked",
                CallError::Denied { .. } => "denied",
                _ => "other",
            }
        };
        for (detail, expected) in [
            (POLICY, "refused"),
            (READ_ONLY, "refused"),
            (RULE, "refused"),
            ("Operation Failed: Close all response tasks first", "blocked"),
            ("aborted by Business Rule 'x': the approval is pending", "blocked"),
            ("Data Policy Exception: The following fields are mandatory: Parent", "refused"),
            ("Operation Failed: ACL Exception Update Failed due to security constraints", "denied"),
            ("User Not Authorized: Insufficient rights", "denied"),
        ] {
            assert_eq!(kind(detail), expected, "{detail}");
        }
    }
}
