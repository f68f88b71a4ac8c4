//! What a webhook names. Graph pushes neither incidents nor alerts (`graph-security.md` 4), so the bodies are ours: a
//! Logic App or a script posts `{"incident": "4711"}` or `{"alert": "da63..."}`, or lists under `incidents`, `alerts`.

use serde_json::Value;

use crate::connectors::hinting::ids;
use crate::model::{RecordId, RecordKind};

/// The records that a body names; total on any JSON.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let incidents = ids(&body["incident"]).chain(ids(&body["incidents"]));
    let incidents = incidents.filter(|id| id.as_str().bytes().all(|b| b.is_ascii_digit()));
    let alerts = ids(&body["alert"]).chain(ids(&body["alerts"]));
    let incidents = incidents.map(|id| (RecordKind::Incident, id));
    incidents.chain(alerts.map(|id| (RecordKind::Alert, id))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    fn named(body: &Value) -> Vec<String> {
        records(body).iter().map(|(kind, id)| format!("{}/{id}", kind.as_str())).collect()
    }

    #[test]
    fn incidents_and_alerts_are_named_singly_or_in_lists() {
        assert_eq!(named(&json!({"incident": "4711"})), ["incident/4711"]);
        assert_eq!(named(&json!({"incident": 4711, "alert": "da1_-2"})), ["incident/4711", "alert/da1_-2"]);
        assert_eq!(
            named(&json!({"incidents": ["1", 2], "alerts": ["a"]})),
            ["incident/1", "incident/2", "alert/a"]
        );
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        for bad in
            [json!("../1"), json!("1 or 1"), json!("47a"), json!({}), json!(null), json!(-1), json!("")]
        {
            assert!(named(&json!({ "incident": bad })).is_empty(), "{bad}");
        }
        assert!(named(&json!({"alert": "a/../b"})).is_empty());
        assert!(named(&json!([1])).is_empty());
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_body_is_read(body in any_json()) {
            let _ = records(&body);
            let _ = records(&json!({ "incident": body, "alerts": [body] }));
        }
    }
}
