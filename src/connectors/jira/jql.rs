//! The queries that lockstep sends. No remote text gets into one.
//!
//! Each names the project, though not each is about it: Jira refuses a query that names a project which the caller does not
//! see, and answers any other with no issues. So an answer is the word of somebody who sees the project.

use jiff::Timestamp;

use super::{MARK, Scope};
use crate::connectors::ticketing::is_key;

/// What changed at or after `since`, oldest change first. Epoch milliseconds mean the same in every time zone; a text
/// would be read in the zone of the account (`ticketing.md` 2.2, F7). No upper bound.
pub(super) fn changed(project: &str, scope: Scope, since: Timestamp) -> String {
    let since = since.as_millisecond();
    let either = format!("(project = {} OR labels = \"{MARK}\")", quoted(project));
    let which = match scope {
        Scope::Project => either,
        Scope::Labelled => format!("labels = \"{MARK}\" AND {either}"),
    };
    format!("{which} AND updated >= {since} ORDER BY updated ASC, key ASC")
}

/// The issues with a key, wherever they were moved to. `None` for what is no key of ours (F1).
pub(super) fn with_key(project: &str, key: &str) -> Option<String> {
    let either = format!("(project = {} OR labels = \"{key}\")", quoted(project));
    is_key(key).then(|| format!("labels = \"{key}\" AND {either} ORDER BY created ASC, key ASC"))
}

/// A text in quotes, of which it holds none.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_epoch_milliseconds() {
        let since = "2026-11-23T09:12:57.123Z".parse().unwrap();
        assert_eq!(
            changed("SOC", Scope::Project, since),
            "(project = \"SOC\" OR labels = \"lockstep\") AND updated >= 1795425177123 ORDER BY updated ASC, key ASC"
        );
        assert!(changed("S\"C", Scope::Project, since).contains("\"S\\\"C\""));
        assert!(changed("SOC", Scope::Labelled, since).starts_with(
            "labels = \"lockstep\" AND (project = \"SOC\" OR labels = \"lockstep\") AND updated"
        ));
    }

    #[test]
    fn only_keys_get_into_a_query() {
        let key = format!("lockstep-{}", "0a".repeat(16));
        assert_eq!(
            with_key("SOC", &key).unwrap(),
            format!(
                "labels = \"{key}\" AND (project = \"SOC\" OR labels = \"{key}\") ORDER BY created ASC, key ASC"
            )
        );
        for odd in [
            "",
            " ",
            "lockstep-",
            "lockstep",
            "10042",
            "lockstep-x\" OR project = \"SOC",
            &key.to_uppercase(),
        ] {
            assert_eq!(with_key("SOC", odd), None, "{odd}");
        }
    }
}
