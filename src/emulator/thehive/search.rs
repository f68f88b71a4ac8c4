//! Answers to queries: from the index, or from the database where an object is named.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::clock::earlier;
use super::super::versions::Versions;
use super::super::wire::{Refusal, Reply};
use super::record::{self, Alert, Case, STATUSES};
use super::{TheHive, query};

impl TheHive {
    pub(super) fn answer_query(&self, body: &Value, stale: bool, now: Timestamp) -> Result<Reply, Refusal> {
        let steps = body["query"].as_array().ok_or_else(|| Refusal::bad_request("query is required"))?;
        let Some((start, rest)) = steps.split_first() else {
            return Err(Refusal::bad_request("query is empty"));
        };
        let mut rows = self.rows(start, rest, stale, now)?;
        let mut links = false;
        for step in rest {
            match step["_name"].as_str().unwrap_or_default() {
                "filter" => {
                    let mut kept = Vec::new();
                    for row in rows {
                        if query::passes(step, &row)? || self.settings.ignores_filters {
                            kept.push(row);
                        }
                    }
                    rows = kept;
                }
                "sort" => query::sort(&mut rows, step)?,
                "page" => {
                    let (page, extra) = query::page(rows, step, self.settings.page_cap)?;
                    links = extra.iter().any(|name| name == "links") && self.settings.comment_links;
                    rows = page;
                }
                "comments" => {}
                other => return Err(Refusal::bad_request(format!("unknown step {other}"))),
            }
        }
        let excluded: Vec<&str> =
            body["excludeFields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for row in &mut rows {
            if let Some(row) = row.as_object_mut() {
                row.retain(|name, _| !excluded.contains(&name.as_str()));
                if !links && row.get("_type").is_some_and(|kind| kind == "Comment") {
                    row.insert("extraData".to_owned(), json!({}));
                }
            }
        }
        Ok(Reply::json(200, Value::Array(rows)))
    }

    /// What the first step names. Lists come from the index, objects by name from the database.
    fn rows(
        &self,
        start: &Value,
        rest: &[Value],
        stale: bool,
        now: Timestamp,
    ) -> Result<Vec<Value>, Refusal> {
        let seen = earlier(now, self.settings.index_lag);
        let wants_comments = rest.iter().any(|step| step["_name"] == "comments");
        let name = start["idOrName"].as_str().unwrap_or_default();
        Ok(match start["_name"].as_str().unwrap_or_default() {
            "listCase" | "listAlert" | "listComment" if self.settings.index_empty => Vec::new(),
            "listCase" => indexed(&self.cases, stale, seen).map(Case::json).collect(),
            "listAlert" => indexed(&self.alerts, stale, seen).map(Alert::json).collect(),
            "listComment" => {
                let shown = self.comments.iter().filter(|c| c.created <= seen);
                shown.map(|c| c.json(true)).collect()
            }
            "listCaseStatus" => (STATUSES.iter())
                .map(|(value, stage)| json!({"_type": "CaseStatus", "value": value, "stage": stage, "hidden": false}))
                .collect(),
            "getCase" => {
                let case = self.case(name)?;
                if !wants_comments {
                    return Ok(vec![case.json()]);
                }
                let mut shown: Vec<Value> =
                    self.comments.iter().filter(|c| c.case == case.id).map(|c| c.json(true)).collect();
                if stale {
                    shown.pop();
                }
                shown
            }
            "getAlert" => {
                let is_it = |alert: &&Alert| {
                    record::id(alert.id) == name
                        || format!("{};{};{}", alert.kind, alert.source, alert.reference) == name
                };
                let found = self.alerts.values().map(Versions::current).find(is_it);
                let missing = || Refusal::new(404, "NotFoundError", format!("Alert {name} not found"));
                vec![found.ok_or_else(missing)?.json()]
            }
            other => return Err(Refusal::bad_request(format!("unknown query {other}"))),
        })
    }
}

/// What the index shows.
fn indexed<T>(all: &BTreeMap<u64, Versions<T>>, stale: bool, seen: Timestamp) -> impl Iterator<Item = &T> {
    all.values().filter_map(move |v| if stale { Some(v.previous()) } else { v.as_of(seen) })
}

/// What a query is for, by its steps: all go to one path.
pub(super) fn query_operation(body: &Value) -> &'static str {
    let steps = body["query"].as_array().map(Vec::as_slice).unwrap_or_default();
    let start = steps.first().map_or("", |step| step["_name"].as_str().unwrap_or_default());
    let is_tag = |filter: &Value| filter["_eq"]["_field"] == "tags";
    let either = |step: &Value| step["_or"].as_array().is_some_and(|all| all.iter().any(is_tag));
    let by_tag = steps.iter().any(|step| is_tag(step) || either(step));
    match start {
        "listAlert" | "getAlert" => "find-ticket",
        "listCase" if by_tag => "find-ticket",
        "listCase" | "listComment" => "list-tickets",
        "getCase" => "list-comments",
        _ => "query",
    }
}
