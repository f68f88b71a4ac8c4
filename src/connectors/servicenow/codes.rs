//! Close codes: the labels people see, and the values that stand for them. Both differ by release and customer
//! (`ticketing.md` 1.4), so they are read from the instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::query::Query;
use super::snapshot::filled;
use super::{ServiceNow, Table};
use crate::connectors::text::shown;
use crate::http::CallError;

/// How long the codes are good for; new ones are rare.
const LIFETIME: Duration = Duration::from_hours(1);

const LIST: &str = "choices.list";

/// The close codes of a table: label by value. Empty where they cannot be read: then a value is its own label, as in
/// the base system.
#[derive(Debug, Default, Clone)]
pub(super) struct Codes(BTreeMap<String, String>);

/// The codes, and since when they are known.
#[derive(Debug, Default)]
pub(super) struct CodeCache(Mutex<Option<(Instant, Arc<Codes>)>>);

impl Codes {
    /// The label of a value.
    pub(super) fn label<'a>(&'a self, value: &'a str) -> &'a str {
        self.0.get(value).map_or(value, String::as_str)
    }

    /// The value of a label, or of another label that says the same. The error names what there is.
    pub(super) fn value(&self, table: Table, label: &str) -> Result<String, String> {
        if self.0.is_empty() {
            return Ok(label.to_owned());
        }
        let with = |wanted: &str| {
            let same = |(_, label): &(&String, &String)| label.trim().eq_ignore_ascii_case(wanted);
            self.0.iter().find(same).map(|(value, _)| value.clone())
        };
        with(label).or_else(|| table.alternatives(label).iter().find_map(|other| with(other))).ok_or_else(|| {
            let known: Vec<String> = self.labels().collect();
            format!(
                "`{label}` is no close code of {}; there are: {}. Name a table of your own in `translation` that uses \
                 them",
                table.name(),
                known.join(", ")
            )
        })
    }

    /// The labels there are.
    pub(super) fn labels(&self) -> impl Iterator<Item = String> {
        self.0.values().map(|label| shown(label))
    }
}

impl ServiceNow {
    /// The codes, where one of the rows has any; without, they are not asked for.
    pub(super) async fn codes_for(&self, rows: &[Value]) -> Result<Arc<Codes>, CallError> {
        if rows.iter().any(|row| filled(row, "close_code").is_some()) {
            return self.codes().await;
        }
        Ok(Arc::default())
    }

    /// The codes of the table. A user who may not read them gets none, which is told by the probes. Better old ones than
    /// none: a label that was known does not become a stranger over an outage, or over a role that was lost.
    pub(super) async fn codes(&self) -> Result<Arc<Codes>, CallError> {
        let mut cache = self.codes.0.lock().await;
        if let Some((since, codes)) = cache.as_ref()
            && since.elapsed() < LIFETIME
        {
            return Ok(Arc::clone(codes));
        }
        let codes = match (self.read_codes().await, cache.as_ref()) {
            (Ok(codes), _) => codes,
            (Err(_), Some((_, codes))) => return Ok(Arc::clone(codes)),
            (Err(error @ CallError::Denied { .. }), None) => {
                // Of a caller who is not known at all nothing is concluded.
                self.prove_reading().await?;
                tracing::warn!(system = %self.endpoint.system, %error, "close codes are taken for their own labels");
                Codes::default()
            }
            (Err(error), None) => return Err(error),
        };
        let codes = Arc::new(codes);
        *cache = Some((Instant::now(), Arc::clone(&codes)));
        Ok(codes)
    }

    pub(super) async fn read_codes(&self) -> Result<Codes, CallError> {
        let table = self.settings.table.name();
        let encoded = format!("name={table}^element=close_code^inactive=false^language=en");
        let query = Query { encoded: &encoded, fields: "name,element,value,label", limit: "200" };
        let (rows, _) = self.rows(LIST, "sys_choice", &query).await?;
        // A dropped condition would bring the choices of other fields.
        let ours = rows
            .iter()
            .filter(|row| filled(row, "name") == Some(table) && filled(row, "element") == Some("close_code"));
        let pairs =
            ours.filter_map(|row| Some((filled(row, "value")?.to_owned(), filled(row, "label")?.to_owned())));
        Ok(Codes(pairs.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(pairs: &[(&str, &str)]) -> Codes {
        Codes(pairs.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned())).collect())
    }

    #[test]
    fn labels_and_values() {
        let recent = codes(&[("102", "Solution provided"), ("103", "Known error")]);
        assert_eq!(recent.label("102"), "Solution provided");
        assert_eq!(recent.label("999"), "999");
        assert_eq!(recent.value(Table::Incident, "Solution provided"), Ok("102".to_owned()));
        let older = codes(&[("Solved (Permanently)", "Solved (Permanently)")]);
        assert_eq!(older.value(Table::Incident, "Solution provided"), Ok("Solved (Permanently)".to_owned()));
        let error = older.value(Table::Incident, "Known error").err();
        assert!(error.is_some_and(|text| text.contains("Solved (Permanently)")));
        assert_eq!(codes(&[]).value(Table::Incident, "x"), Ok("x".to_owned()));
        let hostile = codes(&[("1", "Known\ne\u{1b}[2Jrror")]);
        let error = hostile.value(Table::Incident, "Solution provided").unwrap_err();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}
