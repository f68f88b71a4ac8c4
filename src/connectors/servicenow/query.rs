//! Encoded queries. They know no quoting, so nothing but plain texts may go into one (`ticketing.md` 1.2, F1).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::connectors::text::shown;

/// One list request.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    /// The encoded query.
    pub(super) encoded: &'a str,
    /// The fields wanted, separated by commas.
    pub(super) fields: &'a str,
    /// Rows at most, as text.
    pub(super) limit: &'a str,
}

impl<'a> Query<'a> {
    /// What a request for one record asks for.
    pub(super) fn shape(&self) -> [(&'static str, &'a str); 3] {
        [
            ("sysparm_fields", self.fields),
            ("sysparm_display_value", "false"),
            ("sysparm_exclude_reference_link", "true"),
        ]
    }

    /// All parameters.
    pub(super) fn pairs(&self) -> Vec<(&'static str, &'a str)> {
        let mut pairs = vec![("sysparm_query", self.encoded), ("sysparm_limit", self.limit)];
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.extend(self.shape());
        pairs
    }
}

/// Whether a text is a `sys_id`: 32 hexadecimal digits.
pub(super) fn is_sys_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A text that can stand as a value of an encoded query: it cannot end the condition, begin another one, or be taken
/// for a script. The error says why not.
pub(super) fn value(text: &str) -> Result<&str, String> {
    let plain = |c: char| c.is_alphanumeric() || "@._+-'%!#$&~()/ ".contains(c);
    if text.trim().is_empty() {
        return Err("a blank text cannot be looked for: it would match every record without one".to_owned());
    }
    if text.trim() != text || !text.chars().all(plain) {
        return Err(format!("`{}` holds characters that a ServiceNow query cannot carry", shown(text)));
    }
    Ok(text)
}

/// A time as a literal of a query, in UTC and whole seconds, rounded down.
pub(super) fn literal(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time as the Table API states it: UTC, without a zone.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim());
    civil
        .and_then(|at| at.to_zoned(TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| format!("`{}` is no time of the form `2026-11-23 09:01:07`", shown(text)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::testing::cases;

    #[test]
    fn times_are_utc_in_whole_seconds() {
        let at: Timestamp = "2026-11-23T08:58:00.9Z".parse().unwrap();
        assert_eq!(literal(at), "2026-11-23 08:58:00");
        assert_eq!(time("2026-11-23 08:58:00").unwrap(), "2026-11-23T08:58:00Z".parse().unwrap());
        for bad in ["", "23.11.2026 08:58:00", "2026-11-23T08:58:00Z", "2026-13-23 08:58:00"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_could_change_a_query_is_refused() {
        for bad in ["", " ", "a^ORb", "a\nb", "javascript:gs.getUserID()", "a,b", "a\"", " a"] {
            assert!(value(bad).is_err(), "{bad}");
        }
        for good in ["ana@example.org", "o'neil+x@example.org", "SOC Tier 1", "Ünal"] {
            assert_eq!(value(good), Ok(good));
        }
        assert!(is_sys_id("0123456789abcdef0123456789abcdef") && !is_sys_id("INC0010042"));
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_text_is_a_plain_value_or_refused(text in any::<String>()) {
            if let Ok(value) = value(&text) {
                prop_assert!(!value.contains(['^', ':', '\n', '"']) && !value.is_empty());
            }
            let _ = time(&text);
        }
    }
}
