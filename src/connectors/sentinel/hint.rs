//! What a webhook names. Sentinel has no webhooks; an automation rule runs a Logic App, which posts what it was given
//! (`sentinel.md` 7.3): `object.name` is the incident's name. `{"incident": "<name or ARM id>"}` does as well.

use serde_json::Value;

use crate::connectors::hinting::ids;
use crate::model::{RecordId, RecordKind};

/// The records that a body names; total on any JSON. Names go in lower case, as everywhere here.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let object = &body["object"];
    let named = if object["name"].is_string() { &object["name"] } else { &object["id"] };
    let all = ids(named).chain(ids(&body["incident"])).chain(ids(&body["incidents"]));
    let mut found: Vec<RecordId> =
        all.filter_map(|id| RecordId::new(id.as_str().to_ascii_lowercase()).ok()).collect();
    found.dedup();
    found.into_iter().map(|name| (RecordKind::Incident, name)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    const NAME: &str = "b6c4a0a4-0f5c-4d6e-9e57-1f5a4b1f0c11";

    fn named(body: &Value) -> Vec<String> {
        records(body).iter().map(|(kind, id)| format!("{}/{id}", kind.as_str())).collect()
    }

    #[test]
    fn the_body_of_a_logic_app_names_its_incident() {
        let arm = format!(
            "/subscriptions/s/resourceGroups/g/providers/x/workspaces/w/providers/y/Incidents/{NAME}"
        );
        let expected = [format!("incident/{NAME}")];
        for body in [
            json!({"object": {"id": arm, "name": NAME.to_uppercase(), "properties": {"status": "New"}}}),
            json!({"object": {"id": arm}}),
            json!({"incident": NAME}),
            json!({"incident": arm}),
            json!({"incidents": [arm]}),
        ] {
            assert_eq!(named(&body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_name_names_nothing() {
        for bad in ["../x", "a b", "", "/subscriptions/", "a\nb", "https://x/y"] {
            assert!(named(&json!({ "incident": bad, "object": {"name": bad} })).is_empty(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_body_is_read(body in any_json()) {
            let _ = records(&body);
            let _ = records(&json!({ "object": { "name": body, "id": body }, "incidents": body }));
        }
    }
}
