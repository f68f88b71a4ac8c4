//! Whatever Graph says: no panic, and nothing illegal is made of it.

use proptest::prelude::*;
use serde_json::Value;

use super::paging::{Row, Walk};
use super::tests::{alert, incident, name};
use super::{snapshot, wire, write};
use crate::connectors::stated::Stated;
use crate::connectors::testing::{any_json, any_patch, cases, spoilt};
use crate::connectors::{OWN_TAG, Page};
use crate::model::{Field, Native, Patch, RecordKind};

fn any_row() -> impl Strategy<Value = (RecordKind, Value)> {
    prop_oneof![
        2 => spoilt(incident("4711")).prop_map(|json| (RecordKind::Incident, json)),
        2 => spoilt(alert("da1_1")).prop_map(|json| (RecordKind::Alert, json)),
        1 => any_json().prop_map(|json| (RecordKind::Incident, json)),
        1 => any_json().prop_map(|json| (RecordKind::Ticket, json)),
    ]
}

fn check(kind: RecordKind, json: &Value, patch: &Patch) -> Result<(), TestCaseError> {
    let read = match snapshot::snapshot(&name(), kind, json, true) {
        Ok(read) => read,
        Err(reason) => {
            prop_assert!(!reason.is_empty() && reason.len() < 1_000, "{}", reason);
            return Ok(());
        }
    };
    prop_assert!(!read.revision.is_empty());
    prop_assert!(matches!(&read.native[&Field::Status], Native::Text(text) if !text.trim().is_empty()));
    if let Some(Native::Set(tags)) = read.native.get(&Field::Tags) {
        prop_assert!(tags.iter().all(|tag| !tag.trim().is_empty() && !tag.starts_with(OWN_TAG)));
    }
    let Ok(body) = write::patch_body(&read, patch) else { return Ok(()) };
    prop_assert!(body.as_object().is_some_and(|body| !body.is_empty()));
    prop_assert!(body.get("status").is_none_or(|status| *status != "redirected" && !status.is_null()));
    let own = |json: &Value| -> Vec<String> {
        let tags = json["customTags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        tags.filter(|tag| tag.starts_with(OWN_TAG)).map(str::to_owned).collect()
    };
    let loses_none = own(json).iter().all(|tag| own(&body).contains(tag));
    prop_assert!(body.get("customTags").is_none() || loses_none, "{} becomes {}", json, body);
    Ok(())
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn records_of_any_shape((kind, json) in any_row(), patch in any_patch()) {
        check(kind, &json, &patch)?;
    }

    #[test]
    fn comments_of_any_shape(json in any_json()) {
        let stated: Stated<Vec<Stated<wire::WireComment>>> = serde_json::from_value(json).unwrap_or_default();
        let _ = snapshot::comments(&stated);
    }

    #[test]
    fn pages_of_any_rows(
        since in any::<i32>(),
        pages in prop::collection::vec((prop::collection::vec((any::<Option<u8>>(), any::<Option<i64>>()), 0..4), any::<bool>(), any::<bool>()), 0..40),
    ) {
        let time = |second: i64| jiff::Timestamp::from_second(second % 300_000_000_000).ok();
        let mut walk = Walk::new(time(since.into()).unwrap_or_default());
        for (rows, full, too_large) in pages {
            let row = |(id, at): (Option<u8>, Option<i64>)| Row { id: id.map(|id| id.to_string()), time: at.and_then(time) };
            let rows: Vec<_> = rows.into_iter().map(row).collect();
            let next = if too_large { Some(walk.smaller(50).0) } else { walk.next(&rows, full) };
            let Some(next) = next else { break };
            prop_assert!((1..=50).contains(&next.top(50)) && !next.literal().is_empty());
            let token = serde_json::to_string(&next).unwrap();
            prop_assert_eq!(serde_json::from_str::<Walk>(&token).unwrap(), next.clone());
            walk = next;
        }
    }
}

#[test]
fn an_empty_page_is_the_end() {
    assert!(Page::default().next.is_none() && Walk::new(jiff::Timestamp::MIN).next(&[], true).is_none());
}
