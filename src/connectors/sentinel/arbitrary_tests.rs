//! Whatever ARM says: no panic, and nothing illegal is made of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{closed, incident, name, peer};
use super::{snapshot, write};
use crate::connectors::testing::{any_json, any_patch, cases, spoilt};
use crate::connectors::{OWN_TAG, Opening};
use crate::model::{Field, Native, Patch};

fn any_incident() -> impl Strategy<Value = Value> {
    prop_oneof![2 => spoilt(incident()), 2 => spoilt(closed()), 1 => any_json()]
}

fn labels(json: &Value) -> Vec<&str> {
    let labels = json["properties"]["labels"].as_array().into_iter().flatten();
    labels.filter_map(|label| label["labelName"].as_str()).collect()
}

fn check(json: &Value, patch: &Patch) -> Result<(), TestCaseError> {
    let _ = snapshot::is_standalone(json);
    let read = match snapshot::incident(&name(), Some(&peer()), json, true) {
        Ok(read) => read,
        Err(reason) => {
            prop_assert!(!reason.is_empty() && reason.len() < 1_000, "{}", reason);
            return Ok(());
        }
    };
    prop_assert!(!read.revision.is_empty());
    prop_assert!(matches!(&read.native[&Field::Status], Native::Text(text) if !text.trim().is_empty()));
    let Ok(body) = write::update_body(&read, patch) else { return Ok(()) };
    let properties = body["properties"].as_object().unwrap();
    prop_assert!(properties.values().all(|value| !value.is_null()), "{}", body);
    prop_assert_eq!(
        properties.contains_key("classification"),
        properties.get("status") == Some(&json!("Closed"))
    );
    let kept = |label: &&str| label.starts_with(OWN_TAG) || snapshot::is_redirect_label(label);
    let written = labels(&body);
    prop_assert!(
        labels(json).into_iter().filter(kept).all(|label| written.contains(&label)),
        "{} becomes {}",
        json,
        body
    );
    Ok(())
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn incidents_of_any_shape(json in any_incident(), patch in any_patch()) {
        check(&json, &patch)?;
        let _ = write::create_body(&Opening { patch, ..Opening::default() });
    }

    #[test]
    fn comments_and_alerts_of_any_shape(json in any_json(), properties in any_json()) {
        let sound = json!({"name": "c", "properties": properties});
        for json in [&json, &sound] {
            if let Err(reason) = snapshot::comment(json) {
                prop_assert!(!reason.is_empty() && reason.len() < 1_000, "{}", reason);
            }
            let _ = snapshot::alert_link(json, &peer());
        }
    }
}
