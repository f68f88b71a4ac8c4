//! Searches over an index that lags behind (`ticketing.md` 2.2).

use serde_json::{Value, json};

use super::super::clock::earlier;
use super::super::desk::Surroundings;
use super::super::wire::{Reply, Request};
use super::issue::Issue;
use super::jql::{self, Clause, Query};
use super::settings::PageEnd;
use super::stranger::no_such_project;
use super::write::{PROJECTS, words};
use super::{Jira, Outcome, base, refusal};

/// What a search asks for, from the body or from the options.
struct Ask {
    query: Query,
    fields: Vec<String>,
    properties: Vec<String>,
    most: usize,
    start: usize,
    token: Option<String>,
    reconcile: Vec<u64>,
}

const CLOUD: [&str; 8] = [
    "jql",
    "fields",
    "properties",
    "maxResults",
    "nextPageToken",
    "expand",
    "fieldsByKeys",
    "reconcileIssues",
];
const DATA_CENTER: [&str; 6] = ["jql", "fields", "startAt", "maxResults", "validateQuery", "expand"];

impl Jira {
    pub(super) fn search_cloud(&mut self, request: &Request, around: &Surroundings<'_>) -> Outcome {
        let ask = self.ask(request, &CLOUD)?;
        if is_unbounded(&ask.query.clause) {
            return Err(refusal(
                400,
                "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.",
            ));
        }
        let rows = self.rows(&ask, around, 0.0);
        let after: Option<Vec<i64>> = ask.token.as_deref().map(rank_of).transpose()?;
        let rest: Vec<&Issue> = rows
            .iter()
            .filter(|row| after.as_ref().is_none_or(|after| ask.query.rank(row) > *after))
            .collect();
        let page: Vec<&&Issue> = rest.iter().take(ask.most).collect();
        let shown: Vec<Value> = page.iter().map(|issue| self.row(issue, &ask, around)).collect();
        let is_last = rest.len() <= ask.most;
        let mut answer = json!({"issues": shown, "isLast": is_last});
        let more = match self.settings.page_end {
            PageEnd::Stated => !is_last,
            PageEnd::Both => true,
            PageEnd::Unclear | PageEnd::Silent => false,
        };
        match self.settings.page_end {
            PageEnd::Unclear => answer["isLast"] = false.into(),
            PageEnd::Silent => drop(answer.as_object_mut().and_then(|members| members.remove("isLast"))),
            PageEnd::Stated | PageEnd::Both => {}
        }
        if let (true, Some(last)) = (more, page.last()) {
            let rank: Vec<String> = ask.query.rank(last).iter().map(ToString::to_string).collect();
            answer["nextPageToken"] = rank.join("_").into();
        }
        Ok(Reply::json(200, answer))
    }

    pub(super) fn search_data_center(&mut self, request: &Request, around: &Surroundings<'_>) -> Outcome {
        let ask = self.ask(request, &DATA_CENTER)?;
        self.searches += 1;
        let lag = if self.searches.is_multiple_of(2) { self.settings.node_lag } else { 0.0 };
        let rows = self.rows(&ask, around, lag);
        let page = rows.iter().skip(ask.start).take(ask.most);
        let page: Vec<Value> = page.map(|issue| self.row(issue, &ask, around)).collect();
        Ok(Reply::json(
            200,
            json!({
                "expand": "schema,names", "startAt": ask.start, "maxResults": ask.most, "total": rows.len(), "issues": page,
            }),
        ))
    }

    fn row(&self, issue: &Issue, ask: &Ask, around: &Surroundings<'_>) -> Value {
        if ask.fields.is_empty() && self.settings.deployment == super::Deployment::Cloud {
            return json!({"id": issue.id.to_string()});
        }
        issue.json(&ask.fields, &ask.properties, &self.settings, &base(around, &self.settings))
    }

    /// The matching issues as the index knows them, sorted.
    fn rows(&self, ask: &Ask, around: &Surroundings<'_>, more_lag: f64) -> Vec<Issue> {
        let mut rows: Vec<Issue> = self
            .issues
            .iter()
            .filter_map(|(id, kept)| {
                let own = self.settings.index_lag_of.get(&id.to_string());
                let fresh = ask.reconcile.contains(id);
                let lag = if fresh { 0.0 } else { own.unwrap_or(&self.settings.index_lag) + more_lag };
                let at = earlier(around.now, lag);
                let there = kept.deleted.is_none_or(|deleted| deleted > at);
                kept.versions.as_of(at).filter(|issue| there && !issue.archived).cloned()
            })
            .filter(|issue| self.settings.ignore_jql || ask.query.clause.matches(issue))
            .collect();
        rows.sort_by_key(|issue| ask.query.rank(issue));
        rows
    }

    /// A project that the query of a search names.
    pub(super) fn project_asked_for(&self, request: &Request) -> Result<Option<String>, Reply> {
        let known: &[&str] = match self.settings.deployment {
            super::Deployment::Cloud => &CLOUD,
            super::Deployment::DataCenter => &DATA_CENTER,
        };
        let ask = self.ask(request, known)?;
        Ok(project_in(&ask.query.clause, &|_| true).map(str::to_owned))
    }

    fn ask(&self, request: &Request, known: &[&str]) -> Result<Ask, Reply> {
        let body = if request.method == "POST" {
            request.json().ok_or_else(|| {
                refusal(400, "Invalid request payload. Refer to the REST API documentation and try again.")
            })?
        } else {
            from_options(request)
        };
        let strange = body.as_object().and_then(|b| b.keys().find(|name| !known.contains(&name.as_str())));
        if let Some(name) = strange {
            return Err(refusal(400, &format!("Unrecognized field \"{name}\"")));
        }
        let text = body["jql"].as_str().unwrap_or_default();
        let query = jql::parse(text, self.settings.zone_hours).map_err(|why| refusal(400, &why))?;
        if let Some(project) = project_in(&query.clause, &|key| !PROJECTS.contains(&key)) {
            return Err(no_such_project(project));
        }
        let list = |name: &str| -> Vec<String> {
            body[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let size = |name: &str| body[name].as_u64().and_then(|n| usize::try_from(n).ok());
        let properties = list("properties");
        if properties.len() > 5 {
            return Err(refusal(400, "The number of properties must not be more than 5."));
        }
        let ids = body["reconcileIssues"].as_array().into_iter().flatten();
        Ok(Ask {
            query,
            fields: list("fields"),
            properties,
            most: size("maxResults").unwrap_or(50).clamp(1, self.settings.page_cap.max(1)),
            start: size("startAt").unwrap_or(0),
            token: body["nextPageToken"].as_str().map(str::to_owned),
            reconcile: ids.filter_map(Value::as_u64).take(50).collect(),
        })
    }
}

/// A search by GET as the body of one by POST.
fn from_options(request: &Request) -> Value {
    let mut body = json!({});
    for (name, value) in &request.query {
        body[name] = match name.as_str() {
            "fields" | "properties" => json!(words(request, name)),
            "maxResults" | "startAt" => json!(value.parse::<u64>().unwrap_or(0)),
            _ => json!(value),
        };
    }
    body
}

/// Whether a query holds no issue back.
fn is_unbounded(clause: &Clause) -> bool {
    match clause {
        Clause::All(all) => all.iter().all(is_unbounded),
        Clause::Any(any) => any.iter().any(is_unbounded),
        Clause::Project(_) | Clause::Label(_) | Clause::UpdatedFrom(_) => false,
    }
}

/// A project that the query names, of those that are meant.
fn project_in<'q>(clause: &'q Clause, meant: &impl Fn(&str) -> bool) -> Option<&'q str> {
    match clause {
        Clause::All(clauses) | Clause::Any(clauses) => {
            clauses.iter().find_map(|clause| project_in(clause, meant))
        }
        Clause::Project(key) if meant(key) => Some(key),
        Clause::Project(_) | Clause::Label(_) | Clause::UpdatedFrom(_) => None,
    }
}

/// Where a page token goes on.
fn rank_of(token: &str) -> Result<Vec<i64>, Reply> {
    let parts: Result<Vec<i64>, _> = token.split('_').map(str::parse).collect();
    parts.map_err(|_| refusal(400, "The nextPageToken is invalid."))
}
