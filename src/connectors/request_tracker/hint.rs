//! Which ticket a scrip's message is about.

use serde_json::Value;

use crate::connectors::stated::IdText;
use crate::model::{RecordId, RecordKind};

/// The ticket that a body names: `{"ticket": 7}`, also as text. Anything else names none.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let id: Option<IdText> = serde_json::from_value(body["ticket"].clone()).ok();
    let number: Option<u64> = id.and_then(|id| id.0.trim().parse().ok());
    let id = number.and_then(|number| RecordId::new(number.to_string()).ok());
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
    fn a_message_names_a_ticket_by_its_number() {
        let seven = vec![(RecordKind::Ticket, RecordId::new("7").unwrap())];
        assert_eq!(records(&json!({"ticket": 7, "type": "Status"})), seven);
        assert_eq!(records(&json!({"ticket": " 7 "})), seven);
        for odd in [json!({"ticket": "7/../8"}), json!({"ticket": -7}), json!({"ticket": null}), json!([7])] {
            assert!(records(&odd).is_empty(), "{odd}");
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn messages_of_any_shape(json in any_json(), ticket in any_json()) {
            for body in [json, json!({"ticket": ticket})] {
                prop_assert!(records(&body).iter().all(|(_, id)| id.as_str().parse::<u64>().is_ok()));
            }
        }
    }
}
