//! Which fields a write may set, and to what (`ticketing.md` 2.3).

use serde_json::{Map, Value};

use super::super::wire::Reply;
use super::issue::{Issue, VERDICT_FIELD};
use super::settings::Deployment;
use super::{Jira, field_refusal, text, wrong};

const PRIORITIES: [&str; 5] = ["Highest", "High", "Medium", "Low", "Lowest"];

impl Jira {
    pub(super) fn is_locked(&self, field: &str) -> bool {
        self.settings.locked_fields.iter().any(|locked| locked == field)
    }

    /// Sets fields, or says what is wrong with each.
    pub(super) fn set_fields(
        &mut self,
        issue: &mut Issue,
        fields: &Map<String, Value>,
        is_new: bool,
    ) -> Result<(), Reply> {
        let mut errors = Map::new();
        for (name, value) in fields {
            let done = if self.is_locked(name) {
                Err(not_on_screen(name))
            } else {
                self.set_field(issue, name, value, is_new)
            };
            if let Err(why) = done {
                errors.insert(name.clone(), why.into());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(field_refusal(&errors)) }
    }

    fn set_field(
        &mut self,
        issue: &mut Issue,
        name: &str,
        value: &Value,
        is_new: bool,
    ) -> Result<(), String> {
        match name {
            "summary" => issue.summary = summary(value)?,
            "description" => {
                text::check(value, self.settings.deployment)?;
                issue.description = value.clone();
            }
            "priority" => {
                let name = value["name"].as_str().filter(|name| PRIORITIES.contains(name));
                name.ok_or("The priority selected is invalid.")?.clone_into(&mut issue.priority);
            }
            "assignee" => issue.assignee = self.assignee(value)?,
            "labels" => {
                issue.labels.clear();
                for label in value.as_array().ok_or("data was not an array")? {
                    issue.labels.insert(label_text(label)?);
                }
            }
            VERDICT_FIELD => {
                issue.custom.insert(name.to_owned(), value.clone());
            }
            _ if name.starts_with("customfield_") && (is_new || issue.custom.contains_key(name)) => {
                issue.custom.insert(name.to_owned(), value.clone());
            }
            _ => return Err(not_on_screen(name)),
        }
        Ok(())
    }

    fn assignee(&self, value: &Value) -> Result<Option<String>, String> {
        let member = match self.settings.deployment {
            Deployment::Cloud => "accountId",
            Deployment::DataCenter => "name",
        };
        match (&value[member], value) {
            (Value::String(account), _) => {
                self.mail_of(account).map(Some).ok_or_else(|| format!("User '{account}' does not exist."))
            }
            (Value::Null, Value::Null) => Ok(None),
            (Value::Null, Value::Object(members)) if members.contains_key(member) => Ok(None),
            _ => Err("expected Object".to_owned()),
        }
    }
}

/// The refusal of a field that is on no screen.
pub(super) fn not_on_screen(name: &str) -> String {
    format!("Field '{name}' cannot be set. It is not on the appropriate screen, or unknown.")
}

/// A summary as it is kept, or why it cannot be one.
pub(super) fn summary(value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::trim).ok_or("Operation value must be a string")?;
    if text.is_empty() {
        return Err("You must specify a summary of the issue.".to_owned());
    }
    if text.contains(['\n', '\r']) {
        return Err("The summary is invalid because it contains newline characters.".to_owned());
    }
    if text.chars().count() > 255 {
        return Err("Summary must be less than 255 characters.".to_owned());
    }
    Ok(text.to_owned())
}

fn label_text(label: &Value) -> Result<String, String> {
    let text = label.as_str().ok_or("string expected at index 0")?;
    if text.contains(char::is_whitespace) {
        return Err(format!("The label '{text}' contains spaces which is invalid."));
    }
    if text.is_empty() || text.chars().count() > 255 {
        return Err(format!("The label '{text}' is empty or too long."));
    }
    Ok(text.to_owned())
}

/// Adds or takes off one label.
pub(super) fn label_operation(issue: &mut Issue, operation: &Value) -> Result<(), Reply> {
    let of =
        |name: &str| operation.get(name).map(label_text).transpose().map_err(|why| wrong("labels", &why));
    if let Some(label) = of("add")? {
        issue.labels.insert(label);
    } else if let Some(label) = of("remove")? {
        issue.labels.remove(&label);
    } else {
        return Err(wrong("labels", "Unknown operation"));
    }
    Ok(())
}
