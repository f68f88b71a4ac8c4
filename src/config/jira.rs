//! `kind = "jira"`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};
use url::Url;

use super::parse;
use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::jira::{Deployment, JiraSettings, Scope};
use crate::model::SystemName;

const DEPLOYMENTS: &[(&str, Deployment)] =
    &[("cloud", Deployment::Cloud), ("data-center", Deployment::DataCenter)];

const SCOPES: &[(&str, Scope)] = &[("project", Scope::Project), ("labelled", Scope::Labelled)];

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let times = (JiraSettings::DEFAULT_SETTLE, JiraSettings::DEFAULT_OVERLAP);
    let system = ticket_system(section, name, times);
    let deployment = section.get("deployment", |value| parse::word(value, DEPLOYMENTS));
    let project = section.require("project", parse::name);
    let issue_type = section.require("issue_type", parse::text);
    let scope = section.get("scope", |value| parse::word(value, SCOPES));
    let service_desk = section.get("service_desk", parse::boolean);
    let priority = section.get("priority", parse::boolean);
    let verdict_field = section.get("verdict_field", custom_field);
    let default_resolution = section.get("default_resolution", parse::text);
    let statuses = section.child("statuses").map(statuses).unwrap_or_default();
    let create_fields = fields(section, "create_fields");
    let close_fields = fields(section, "close_fields");
    let site_url = section.get("site_url", parse::url);
    let token_url = section.get("token_url", parse::url).map(Spanned::into_inner);
    Some(SystemSettings::Jira(JiraSettings {
        system: system?,
        deployment: deployment.map(Spanned::into_inner).unwrap_or_default(),
        project: project?.into_inner(),
        issue_type: issue_type?.into_inner(),
        scope: scope.map(Spanned::into_inner).unwrap_or_default(),
        service_desk: service_desk.is_some_and(Spanned::into_inner),
        priority: priority.is_none_or(Spanned::into_inner),
        verdict_field: verdict_field.map(Spanned::into_inner),
        default_resolution: default_resolution.map(Spanned::into_inner),
        statuses,
        create_fields,
        close_fields,
        site_url: site_url.map(Spanned::into_inner),
        token_url: token_url.or_else(|| Url::parse(JiraSettings::DEFAULT_TOKEN_URL).ok())?,
    }))
}

/// `customfield_10050`: names differ in each language and site.
fn custom_field(value: &DeValue<'_>) -> Result<String, String> {
    let field = parse::text(value)?;
    let digits = field.strip_prefix("customfield_").unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(field);
    }
    Err(format!("'{field}' is no id of a custom field; write one like \"customfield_10050\""))
}

/// The status to prefer, by category.
fn statuses(mut section: Section<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for category in ["new", "indeterminate", "done"] {
        if let Some(status) = section.get(category, parse::text) {
            found.insert(category.to_owned(), status.into_inner());
        }
    }
    section.finish();
    found
}

/// Fields as the API wants them, carried over as they are.
fn fields(section: &mut Section<'_>, key: &'static str) -> Map<String, Value> {
    let Some(value) = section.take(key) else { return Map::new() };
    let span = value.span();
    if let Ok(Value::Object(fields)) = Value::deserialize(ValueDeserializer::from(value)) {
        return fields;
    }
    let example = "{ components = [{ name = \"SOC\" }] }";
    let message = format!("{key} in {} must be a table of fields, such as {example}", section.title());
    section.problem(span, message);
    Map::new()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../config/examples/jira.toml");

    fn settings(text: &str) -> JiraSettings {
        let config = Config::parse(Path::new("jira.toml"), text).unwrap();
        let system = config.system(&SystemName::new("tickets").unwrap()).unwrap();
        let SystemSettings::Jira(settings) = &system.settings else { panic!("{system:?}") };
        settings.clone()
    }

    #[test]
    fn the_example_loads() {
        let settings = settings(EXAMPLE);
        assert_eq!((settings.project.as_str(), settings.issue_type.as_str()), ("SOC", "Task"));
        assert_eq!((settings.deployment, settings.priority), (Deployment::Cloud, true));
        assert_eq!(settings.system.settle, JiraSettings::DEFAULT_SETTLE);
        assert_eq!(settings.token_url.as_str(), "https://auth.atlassian.com/oauth/token");
    }

    #[test]
    fn every_optional_key_of_the_example_parses() {
        let optional = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.split_whitespace().nth(1) == Some("=") && !rest.starts_with("credential") => {
                rest.to_owned()
            }
            _ => line.to_owned(),
        };
        let settings = settings(&EXAMPLE.lines().map(optional).collect::<Vec<_>>().join("\n"));
        assert_eq!(settings.create_fields["components"], json!([{"name": "SOC"}]));
        assert_eq!(settings.statuses["done"], "Closed");
        assert_eq!(settings.verdict_field.as_deref(), Some("customfield_10050"));
    }

    #[test]
    fn mistakes_are_named() {
        let text = EXAMPLE.replace("issue_type = \"Task\"", "verdict_field = \"Verdict\"\nclose_fields = 7");
        let error = Config::parse(Path::new("jira.toml"), &text).unwrap_err().to_string();
        for words in
            ["lacks 'issue_type'", "'Verdict' is no id of a custom field", "must be a table of fields"]
        {
            assert!(error.contains(words), "{words} in {error}");
        }
    }
}
