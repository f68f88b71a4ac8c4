//! Webhooks: which issues a body names. Nothing else in it is believed (`ticketing.md` 2.8).

use serde_json::Value;

use crate::model::{RecordId, RecordKind};

/// The issue of an issue event or a comment event.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let id = &body["issue"]["id"];
    let id = id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()));
    let id = id.filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
    id.and_then(|id| RecordId::new(id).ok()).map(|id| (RecordKind::Ticket, id)).into_iter().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    #[test]
    fn the_issue_of_an_event_is_found() {
        let body = json!({"timestamp": 1, "webhookEvent": "jira:issue_updated",
            "issue": {"id": "10042", "key": "SOC-7", "fields": {}}, "changelog": {"id": "1", "items": []}});
        assert_eq!(records(&body), [(RecordKind::Ticket, RecordId::new("10042").unwrap())]);
        let comment =
            json!({"webhookEvent": "comment_created", "comment": {"id": "7"}, "issue": {"id": 10042}});
        assert_eq!(records(&comment).len(), 1);
        assert!(records(&json!({"issue": {"id": "../x"}})).is_empty());
        assert!(records(&json!({"webhookEvent": "jira:version_released"})).is_empty());
    }

    proptest! {
        #![proptest_config(cases(300))]

        #[test]
        fn any_body_is_read(body in any_json()) {
            records(&body);
        }
    }
}
