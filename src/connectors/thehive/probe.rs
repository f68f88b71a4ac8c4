//! Whether address, account and organisation are fit for lockstep. Writes nothing.

use serde_json::{Value, json};

use super::TheHive;
use super::query::first;
use crate::connectors::Probe;
use crate::connectors::text::shown;
use crate::connectors::ticketing::IMPOSSIBLE_KEY;
use crate::http::{Call, CallError};

/// What the account may do, and what for. Permissions are named so since version 5.
const NEEDED: [(&str, &str); 3] = [
    ("manageAlert/create", "to open tickets"),
    ("manageCase/create", "to open tickets"),
    ("manageCase/update", "to write to them"),
];

impl TheHive {
    pub(super) async fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![self.endpoint.probe_token().await];
        if probes[0].result.is_err() {
            return probes;
        }
        probes.push(self.probe_account().await);
        if probes[1].result.is_err() {
            return probes;
        }
        probes.push(self.probe_list("list cases", "listCase").await);
        probes.push(self.probe_list("list comments", "listComment").await);
        probes.push(probe("look-up by key", self.probe_key().await));
        probes.push(self.probe_statuses().await);
        probes
    }

    async fn probe_account(&self) -> Probe {
        let operation = "account.get";
        let answer = match self.url(operation, &["user", "current"]) {
            Ok(url) => self.send(Call::get(operation, "read", url)).await,
            Err(error) => Err(error),
        };
        let result = answer.map_err(|e| match e {
            CallError::NotFound { .. } => format!("{e}. Is `url` the root of TheHive 5?"),
            e => format!("{e}. Does the account belong to the organisation?"),
        });
        probe("account", result.and_then(|answer| self.judge_account(&answer.body)))
    }

    fn judge_account(&self, body: &Value) -> Result<String, String> {
        let login = body["login"].as_str().unwrap_or_default();
        if login.is_empty() {
            return Err("the answer names no login; is `url` the root of TheHive 5?".to_owned());
        }
        self.memory.set_account(login);
        let Some(permissions) = body["permissions"].as_array() else {
            return Ok(format!("{}; its permissions are not told", shown(login)));
        };
        let has = |name: &str| {
            let all = name.split('/').next().unwrap_or(name);
            permissions.iter().filter_map(Value::as_str).any(|own| own == name || own == all)
        };
        let lacking: Vec<String> =
            NEEDED.iter().filter(|(name, _)| !has(name)).map(|(n, why)| format!("{n} ({why})")).collect();
        if !lacking.is_empty() {
            return Err(format!("{} lacks {}; add them to its profile", shown(login), lacking.join(", ")));
        }
        let reopen =
            if has("manageCase/reopen") { "" } else { "; without manageCase/reopen it reopens nothing" };
        Ok(format!("{}{reopen}", shown(login)))
    }

    async fn probe_list(&self, what: &str, name: &str) -> Probe {
        let mut page = first(1);
        if name == "listComment" {
            page["extraData"] = json!(["links"]);
        }
        let rows = self.query("tickets.list", &[json!({"_name": name}), page]).await;
        let result = rows.map_err(|e| e.to_string()).and_then(|(rows, _)| {
            let nameless = |row: &Value| name == "listComment" && !row["extraData"]["links"].is_object();
            if rows.first().is_some_and(nameless) {
                return Err("comments do not name their case (extraData.links); comments of people are not \
                            carried until a later version of TheHive tells them"
                    .to_owned());
            }
            Ok("answered".to_owned())
        });
        probe(what, result)
    }

    /// An impossible key must find nothing: a filter that is ignored would show all there is (`ticketing.md` 0).
    async fn probe_key(&self) -> Result<String, String> {
        match self.case_of_key(IMPOSSIBLE_KEY).await {
            Ok(None) => Ok("an impossible key finds nothing".to_owned()),
            Ok(Some(found)) => Err(format!("an impossible key found {}; remove that case", found.record)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The statuses that are written must exist, in their stages.
    async fn probe_statuses(&self) -> Probe {
        let rows = self.query("statuses.list", &[json!({"_name": "listCaseStatus"}), first(200)]).await;
        let result = rows.map_err(|e| e.to_string()).and_then(|(rows, _)| {
            let settings = &self.settings;
            for (key, value, stage) in [
                ("new_status", &settings.new_status, "New"),
                ("in_progress_status", &settings.in_progress_status, "InProgress"),
                ("closed_status", &settings.closed_status, "Closed"),
            ] {
                let known = rows.iter().any(|row| row["value"] == value.as_str() && row["stage"] == stage);
                let hidden = rows.iter().any(|row| row["value"] == value.as_str() && row["hidden"] == true);
                if !known || hidden {
                    let fit = rows.iter().filter(|row| row["stage"] == stage && row["hidden"] != true);
                    let fit: Vec<_> = fit.filter_map(|row| row["value"].as_str()).map(shown).collect();
                    return Err(format!(
                        "there is no status `{value}` of stage {stage}; set {key} to one of: {}",
                        fit.join(", ")
                    ));
                }
            }
            Ok("the statuses that lockstep writes exist".to_owned())
        });
        probe("case statuses", result)
    }
}

fn probe(what: &str, result: Result<String, String>) -> Probe {
    Probe { what: what.to_owned(), result }
}
