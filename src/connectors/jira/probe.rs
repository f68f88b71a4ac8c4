//! What `lockstep check --online` finds; nothing is written.

use serde_json::Value;
use uuid::Uuid;

use super::{Jira, jql};
use crate::connectors::Probe;
use crate::connectors::text::shown;
use crate::http::{Call, CallError};
use crate::model::{RecordId, RecordRef};

/// What lockstep does in the project, and the permission for it.
const PERMISSIONS: [&str; 6] =
    ["BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "TRANSITION_ISSUES", "ASSIGN_ISSUES", "ADD_COMMENTS"];

impl Jira {
    pub(super) async fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![self.endpoint.probe_token().await];
        if probes[0].result.is_err() {
            return probes;
        }
        probes.push(probe("account", self.account().await));
        if probes[1].result.is_err() {
            return probes;
        }
        probes.push(probe("project", self.project().await));
        probes.push(probe("permissions", self.permissions().await));
        probes.push(probe("list tickets", self.listing().await));
        probes.push(probe("find by key", self.impossible_key().await));
        probes.push(probe("create screen", self.create_screen().await));
        probes
    }

    /// The zone does not matter to lockstep, which asks in epoch milliseconds; people who compare logs want to know.
    async fn account(&self) -> Result<String, String> {
        let user = self.myself().await.map_err(|e| e.to_string())?;
        let zone = user.time_zone.text().unwrap_or("unknown");
        Ok(format!(
            "works as {}; its time zone is {}",
            shown(user.account().unwrap_or_default()),
            shown(zone)
        ))
    }

    async fn project(&self) -> Result<String, String> {
        let project = self.fetch("projects.get", &["project", &self.settings.project], &[]).await?;
        let is_desk = project["projectTypeKey"] == "service_desk";
        if project["archived"] == true {
            return Err(format!("the project {} is archived; restore it", self.settings.project));
        }
        match (is_desk, self.settings.service_desk) {
            (true, false) => Err("this is a service project, where customers see every comment; set \
                                  service_desk = true, and comments = \"public\" if that is wanted"
                .to_owned()),
            (false, true) => {
                Err("service_desk = true, but this is no service project; take the line out".to_owned())
            }
            _ => Ok(format!("{} is there", shown(project["name"].as_str().unwrap_or_default()))),
        }
    }

    async fn permissions(&self) -> Result<String, String> {
        let wanted = PERMISSIONS.join(",");
        let query = [("projectKey", self.settings.project.as_str()), ("permissions", &wanted)];
        let answer = self.fetch("permissions.get", &["mypermissions"], &query).await?;
        let granted = |name: &str| answer["permissions"][name]["havePermission"] == true;
        let missing: Vec<&str> = PERMISSIONS.into_iter().filter(|name| !granted(name)).collect();
        if missing.is_empty() {
            return Ok("all that lockstep needs".to_owned());
        }
        Err(format!(
            "lockstep's account lacks {} in {}; grant it in the project's permission scheme",
            missing.join(", "),
            self.settings.project
        ))
    }

    async fn listing(&self) -> Result<String, String> {
        let now = jiff::Timestamp::now();
        let page = self.changes(now, None).await.map_err(|e| e.to_string())?;
        Ok(format!("answered with {} issues", page.snapshots.len() + page.malformed.len()))
    }

    /// A key that nobody has must find nothing: else a look-up proves nothing, and every issue is somebody's.
    async fn impossible_key(&self) -> Result<String, String> {
        let key = format!("lockstep-{}", Uuid::new_v4().simple());
        debug_assert!(jql::with_key(&self.settings.project, &key).is_some());
        let id = RecordId::new(&key).map_err(|e| e.to_string())?;
        let planned = RecordRef::ticket(&self.endpoint.system, id);
        match self.find_by_key(&planned).await {
            Ok(None) => Ok("a key that nobody has finds nothing".to_owned()),
            Ok(Some(found)) => Err(format!("a key that nobody has found {found}; open no tickets here")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether the issue type is there, takes labels, and demands nothing that lockstep does not know of.
    async fn create_screen(&self) -> Result<String, String> {
        let project = self.settings.project.as_str();
        let operation = "createmeta.get";
        let types = self.fetch(operation, &["issue", "createmeta", project, "issuetypes"], &[]).await?;
        let list = ["issueTypes", "values"].iter().find_map(|name| types[*name].as_array());
        let wanted = &self.settings.issue_type;
        let found = list.into_iter().flatten().find(|kind| kind["name"] == wanted.as_str());
        let Some(id) = found.and_then(|kind| kind["id"].as_str()) else {
            return Err(format!("{project} has no issue type `{wanted}` that lockstep's account may create"));
        };
        let path = ["issue", "createmeta", project, "issuetypes", id];
        let fields = self.fetch(operation, &path, &[("maxResults", "200")]).await?;
        let list = ["fields", "values"].iter().find_map(|name| fields[*name].as_array());
        let rows: Vec<&Value> = list.into_iter().flatten().collect();
        let named = |row: &&Value, name: &str| row["fieldId"] == name || row["key"] == name;
        if !rows.iter().any(|row| named(row, "labels")) {
            return Err(format!(
                "the create screen of `{wanted}` has no field Labels, which holds the key; add it"
            ));
        }
        let own = ["project", "issuetype", "summary", "description", "labels", "reporter", "priority"];
        let lacking: Vec<String> = rows
            .iter()
            .filter(|row| row["required"] == true && row["hasDefaultValue"] != true)
            .filter_map(|row| row["fieldId"].as_str().or_else(|| row["key"].as_str()))
            .filter(|name| !own.contains(name) && !self.settings.create_fields.contains_key(*name))
            .map(shown)
            .collect();
        if lacking.is_empty() {
            return Ok(format!("`{wanted}` takes labels and demands nothing else"));
        }
        Err(format!("a new `{wanted}` demands {}; give a value under create_fields", lacking.join(", ")))
    }

    async fn fetch(
        &self,
        operation: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, String> {
        let url = self.url(operation, path, query).map_err(|e| e.to_string())?;
        let answer = self.endpoint.send(Call::get(operation, "jira-get", url)).await;
        answer.map(|answer| answer.body).map_err(|error| match error {
            CallError::NotFound { .. } => format!("{error}. Check `project` and that the account may see it"),
            error => error.to_string(),
        })
    }
}

fn probe(what: &str, result: Result<String, String>) -> Probe {
    Probe { what: what.to_owned(), result }
}
