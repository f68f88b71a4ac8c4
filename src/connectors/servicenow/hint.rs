//! Webhooks: a business rule that sends `{"sys_id": "..."}`, or several under `records` (`ticketing.md` 1.9).

use serde_json::Value;

use super::query::is_sys_id;
use crate::model::{RecordId, RecordKind};

/// Most ids that one body may name.
const MOST: usize = 100;

/// The tickets that a body names. Whatever is no `sys_id` is passed over.
pub(super) fn records(body: &Value) -> Vec<(RecordKind, RecordId)> {
    let many = body["records"].as_array().into_iter().flatten();
    let ids = [body, &body["record"]].into_iter().chain(many).filter_map(|record| record["sys_id"].as_str());
    let mut found: Vec<(RecordKind, RecordId)> = ids
        .filter(|id| is_sys_id(id))
        .filter_map(|id| Some((RecordKind::Ticket, RecordId::new(id).ok()?)))
        .take(MOST)
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::connectors::testing::{any_json, cases};

    #[test]
    fn the_forms_of_a_hint() {
        let id = "0123456789abcdef0123456789abcdef";
        let record = json!({"sys_id": id});
        for body in [record.clone(), json!({"record": record}), json!({"records": [record, {"sys_id": "x"}]})]
        {
            let found = records(&body);
            assert_eq!(found.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), [id], "{body}");
        }
    }

    proptest! {
        #![proptest_config(cases(500))]

        #[test]
        fn any_json_names_tickets_or_nothing(body in any_json()) {
            prop_assert!(records(&body).iter().all(|(_, id)| is_sys_id(id.as_str())));
        }
    }
}
