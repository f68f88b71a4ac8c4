//! The query API: a list or one object, filters, a sort, a page (`ticketing.md` 4).

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::super::wire::Refusal;

/// Fields that filters and sorts may name.
const FIELDS: [&str; 14] = [
    "_id",
    "_createdAt",
    "_updatedAt",
    "title",
    "severity",
    "status",
    "stage",
    "tags",
    "assignee",
    "type",
    "source",
    "sourceRef",
    "caseId",
    "number",
];

/// Whether a row passes a filter step. Comments are filtered by `_createdAt` although they are shown with `createdAt`.
pub(super) fn passes(filter: &Value, row: &Value) -> Result<bool, Refusal> {
    let filter = filter.as_object().ok_or_else(|| bad("a filter is an object"))?;
    for (operator, operand) in filter.iter().filter(|(name, _)| *name != "_name") {
        let passed = match operator.as_str() {
            "_and" => all(operand)?.iter().try_fold(true, |so, part| Ok(passes(part, row)? && so))?,
            "_or" => all(operand)?.iter().try_fold(false, |so, part| Ok(passes(part, row)? || so))?,
            "_not" => !passes(operand, row)?,
            "_any" => true,
            "_id" => row["_id"] == *operand,
            "_has" => field(row, operand)?.is_some(),
            "_in" => {
                let own = field(row, &operand["_field"])?;
                let values = all(&operand["_values"])?;
                own.is_some_and(|own| values.iter().any(|value| equal(&own, value)))
            }
            "_eq" | "_is" | "_ne" | "_gt" | "_gte" | "_lt" | "_lte" | "_startsWith" => {
                let own = field(row, &operand["_field"])?;
                compares(operator, own.as_ref(), &operand["_value"])
            }
            other => return Err(bad(&format!("unknown operator {other}"))),
        };
        if !passed {
            return Ok(false);
        }
    }
    Ok(true)
}

fn all(value: &Value) -> Result<&Vec<Value>, Refusal> {
    value.as_array().ok_or_else(|| bad("a list is expected"))
}

fn field(row: &Value, name: &Value) -> Result<Option<Value>, Refusal> {
    let name = name.as_str().unwrap_or_default();
    if !FIELDS.contains(&name) {
        return Err(bad(&format!("Attribute {name} is unknown")));
    }
    let value = row.get(name).or_else(|| row.get(name.trim_start_matches('_')));
    Ok(value.filter(|value| !value.is_null()).cloned())
}

/// Equal, or among them where the field has several values.
fn equal(own: &Value, value: &Value) -> bool {
    own == value || own.as_array().is_some_and(|list| list.contains(value))
}

/// An object without the field passes nothing but a negation.
fn compares(operator: &str, own: Option<&Value>, value: &Value) -> bool {
    let Some(own) = own else { return operator == "_ne" };
    let order = order(own, value);
    match operator {
        "_ne" => !equal(own, value),
        "_gt" => order == Ordering::Greater,
        "_gte" => order != Ordering::Less,
        "_lt" => order == Ordering::Less,
        "_lte" => order != Ordering::Greater,
        "_startsWith" => {
            let begins = |text: &Value| {
                text.as_str().is_some_and(|text| text.starts_with(value.as_str().unwrap_or("\0")))
            };
            begins(own) || own.as_array().is_some_and(|list| list.iter().any(begins))
        }
        _ => equal(own, value),
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

/// Sorts; what lacks the field comes first.
pub(super) fn sort(rows: &mut [Value], step: &Value) -> Result<(), Refusal> {
    let mut by = Vec::new();
    for one in all(&step["_fields"])? {
        for (name, direction) in one.as_object().into_iter().flatten() {
            if !FIELDS.contains(&name.as_str()) {
                return Err(bad(&format!("Attribute {name} is unknown")));
            }
            by.push((name.clone(), direction == "desc"));
        }
    }
    let key = |row: &Value, name: &str| field(row, &json!(name)).ok().flatten().unwrap_or(Value::Null);
    rows.sort_by(|a, b| {
        by.iter().fold(Ordering::Equal, |so, (name, descending)| {
            let (a, b) = (key(a, name), key(b, name));
            let one = a.is_null().cmp(&b.is_null()).reverse().then_with(|| order(&a, &b));
            so.then(if *descending { one.reverse() } else { one })
        })
    });
    Ok(())
}

/// The rows of a page, and the extra data asked for. At most `cap` rows are given, whatever was asked for.
pub(super) fn page(rows: Vec<Value>, step: &Value, cap: usize) -> Result<(Vec<Value>, Vec<String>), Refusal> {
    let number = |name: &str| step[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let (Some(from), Some(to)) = (number("from"), number("to")) else {
        return Err(bad("a page has from and to"));
    };
    if to < from {
        return Err(bad("a page ends where it begins, or later"));
    }
    let extra = step["extraData"].as_array().into_iter().flatten();
    let extra = extra.filter_map(Value::as_str).map(str::to_owned).collect();
    Ok((rows.into_iter().skip(from).take((to - from).min(cap)).collect(), extra))
}

fn bad(message: &str) -> Refusal {
    Refusal::bad_request(message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_sorts_read_as_published() {
        let row = json!({"_id": "~1", "_createdAt": 5, "tags": ["a", "b"], "severity": 2});
        let passes = |filter: Value| passes(&filter, &row).unwrap();
        assert!(passes(json!({"_name": "filter", "_gte": {"_field": "_createdAt", "_value": 5}})));
        assert!(!passes(json!({"_gte": {"_field": "_updatedAt", "_value": 0}})), "never updated");
        assert!(passes(json!({"_eq": {"_field": "tags", "_value": "b"}})));
        assert!(passes(json!({"_or": [{"_id": "~2"}, {"_id": "~1"}]})));
        assert!(passes(json!({"_not": {"_has": "_updatedAt"}})));
        assert!(super::passes(&json!({"_eq": {"_field": "nonsense", "_value": 1}}), &row).is_err());
        let mut rows = vec![json!({"_updatedAt": 3}), json!({"_updatedAt": 1}), json!({"_createdAt": 9})];
        sort(&mut rows, &json!({"_fields": [{"_updatedAt": "asc"}]})).unwrap();
        assert_eq!(rows, [json!({"_createdAt": 9}), json!({"_updatedAt": 1}), json!({"_updatedAt": 3})]);
    }
}
