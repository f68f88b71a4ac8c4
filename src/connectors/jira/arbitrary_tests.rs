//! Whatever a service sends, a connector reads it or says why not.

use proptest::prelude::*;

use super::tests::{issue, read};
use crate::connectors::testing::{any_json, cases, spoilt};

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_json_is_read_or_refused(json in any_json()) {
        let _ = read(&json);
    }

    #[test]
    fn a_spoilt_issue_is_read_or_refused(json in spoilt(issue())) {
        if let Ok(snapshot) = read(&json) {
            prop_assert!(snapshot.record.id.as_str().bytes().all(|b| b.is_ascii_digit()));
        }
    }
}
