//! What a notification of TheHive hints at (`ticketing.md` 4, push). It is never believed beyond the id.

use serde_json::Value;

use super::wire::is_id;
use crate::model::{RecordId, RecordKind};

/// The case that a webhook's body (version 1) is about: itself, or the root of the comment, task or observable, or the
/// case that an alert was imported into. Total on any JSON.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let kind = body["objectType"].as_str().unwrap_or_default();
    let id = if kind.eq_ignore_ascii_case("case") {
        &body["objectId"]
    } else if kind.eq_ignore_ascii_case("alert") {
        &body["object"]["caseId"]
    } else {
        &body["rootId"]
    };
    let id = id.as_str().filter(|id| is_id(id)).and_then(|id| RecordId::new(id).ok());
    id.map(|id| (RecordKind::Ticket, id)).into_iter().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    #[test]
    fn the_case_is_named_by_whatever_happened_to_it() {
        let hint = |body: Value| records(&body).first().map(|(_, id)| id.to_string());
        let case = json!({"operation": "update", "objectType": "Case", "objectId": "~12", "rootId": "~12"});
        assert_eq!(hint(case).as_deref(), Some("~12"));
        assert_eq!(hint(json!({"objectType": "case", "objectId": "~12"})).as_deref(), Some("~12"));
        let comment = json!({"objectType": "Comment", "objectId": "~77", "rootId": "~12"});
        assert_eq!(hint(comment).as_deref(), Some("~12"));
        let alert =
            json!({"objectType": "Alert", "objectId": "~5", "rootId": "~5", "object": {"caseId": "~9"}});
        assert_eq!(hint(alert).as_deref(), Some("~9"));
        assert_eq!(hint(json!({"objectType": "Case", "objectId": "../x"})), None);
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_body_is_taken(body in any_json()) {
            let _ = records(&body);
        }
    }
}
