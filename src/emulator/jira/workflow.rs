//! Statuses, transitions and their screens (`ticketing.md` 2.4).

use serde_json::{Map, Value, json};

use super::fields::not_on_screen;
use super::issue::{Issue, VERDICT_FIELD, number_of};
use super::settings::{Automation, Blocked, Settings, Workflow};

/// A status.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
}

pub(super) const TODO: usize = 0;
pub(super) const IN_PROGRESS: usize = 1;
pub(super) const IN_REVIEW: usize = 2;
pub(super) const DONE: usize = 3;
pub(super) const CLOSED: usize = 4;

/// The statuses of the project.
pub(super) const STATUSES: [Status; 5] = [
    Status { id: "10000", name: "To Do", category: "new" },
    Status { id: "3", name: "In Progress", category: "indeterminate" },
    Status { id: "10001", name: "In Review", category: "indeterminate" },
    Status { id: "10002", name: "Done", category: "done" },
    Status { id: "6", name: "Closed", category: "done" },
];

impl Status {
    pub(super) fn json(&self, base: &str) -> Value {
        let (id, name, color) = match self.category {
            "new" => (2, "To Do", "blue-gray"),
            "done" => (3, "Done", "green"),
            _ => (4, "In Progress", "yellow"),
        };
        json!({
            "self": format!("{base}/status/{}", self.id), "description": "", "iconUrl": format!("{base}/icon"),
            "name": self.name, "id": self.id,
            "statusCategory": {"self": format!("{base}/statuscategory/{id}"), "id": id, "key": self.category,
                               "colorName": color, "name": name},
        })
    }
}

/// The status with a name or of one of the common words.
pub(super) fn named(word: &str) -> Option<usize> {
    match word {
        "new" => Some(TODO),
        "active" => Some(IN_PROGRESS),
        "closed" => Some(DONE),
        name => STATUSES.iter().position(|status| status.name == name),
    }
}

/// A transition. Names say little: `Close` leads to review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) to: usize,
}

const BACKLOG: Transition = Transition { id: "11", name: "Backlog", to: TODO };
const START: Transition = Transition { id: "21", name: "Start progress", to: IN_PROGRESS };
const REVIEW: Transition = Transition { id: "31", name: "Close", to: IN_REVIEW };
const RESOLVE: Transition = Transition { id: "41", name: "Finish", to: DONE };
const REOPEN: Transition = Transition { id: "61", name: "Resume", to: IN_PROGRESS };

/// What leads on from where an issue is.
pub(super) fn offered(issue: &Issue, settings: &Settings) -> Vec<Transition> {
    if !settings.may_transition || issue.archived {
        return Vec::new();
    }

    match (settings.workflow, issue.status) {
        (Workflow::Open, at) => {
            [BACKLOG, START, REVIEW, RESOLVE].into_iter().filter(|t| t.to != at).collect()
        }
        (Workflow::Steps, TODO) => vec![START],
        (Workflow::Steps, IN_PROGRESS) => vec![BACKLOG, REVIEW, RESOLVE],
        (Workflow::Steps, IN_REVIEW) => vec![START, RESOLVE],
        (Workflow::Steps, _) => vec![REOPEN],
    }
}

impl Transition {
    /// Whether a condition keeps it from being taken now.
    pub(super) fn is_available(&self, settings: &Settings) -> bool {
        settings.blocked != Blocked::NotOffered || !self.closes()
    }

    /// Whether it leads to a status of the category done.
    pub(super) fn closes(&self) -> bool {
        STATUSES[self.to].category == "done"
    }

    fn has_screen(&self, settings: &Settings) -> bool {
        self.to == DONE && settings.closing_screen
    }

    pub(super) fn json(&self, with_fields: bool, settings: &Settings, base: &str) -> Value {
        let mut json = json!({
            "id": self.id, "name": self.name, "to": STATUSES[self.to].json(base),
            "hasScreen": self.has_screen(settings), "isGlobal": settings.workflow == Workflow::Open,
            "isInitial": false, "isAvailable": self.is_available(settings), "isConditional": false, "looped": false,
        });
        if with_fields {
            let mut fields = self.fields(settings);
            fields.retain(|name, _| !settings.hidden_fields.contains(name));
            json["fields"] = Value::Object(fields);
        }
        json
    }

    fn fields(&self, settings: &Settings) -> Map<String, Value> {
        if !self.has_screen(settings) {
            return Map::new();
        }
        let field = |name: &str, kind: &str, required: bool| {
            json!({"required": required, "schema": {"type": kind}, "name": name, "key": name,
                   "hasDefaultValue": false, "operations": ["set"]})
        };
        let mut resolution = field("resolution", "resolution", true);
        let values = settings.resolutions.iter().map(|name| json!({"name": name, "id": number_of(name)}));
        resolution["allowedValues"] = values.collect();
        let mut verdict = field(VERDICT_FIELD, "option", false);
        let options = ["True Positive", "Benign Positive", "False Positive", "Undetermined", "Done"];
        verdict["allowedValues"] =
            options.map(|value| json!({"value": value, "id": number_of(value)})).into_iter().collect();
        let mut fields =
            Map::from_iter([("resolution".to_owned(), resolution), (VERDICT_FIELD.to_owned(), verdict)]);
        for name in &settings.required_on_close {
            fields.insert(name.clone(), field(name, "string", true));
        }
        fields.retain(|name, _| !settings.off_closing_screen.contains(name));
        fields
    }

    /// Carries the transition out; the errors by field where it cannot be.
    pub(super) fn perform(
        &self,
        issue: &mut Issue,
        given: &Map<String, Value>,
        settings: &Settings,
    ) -> Result<(), Map<String, Value>> {
        let screen = self.fields(settings);
        let mut errors = Map::new();
        for name in given.keys().filter(|name| !screen.contains_key(*name)) {
            errors.insert(name.clone(), not_on_screen(name).into());
        }
        for (name, _) in
            screen.iter().filter(|(name, field)| field["required"] == true && missing(given, name))
        {
            errors.insert(name.clone(), format!("{name} is required.").into());
        }
        let resolution = given.get("resolution").and_then(|r| r["name"].as_str());
        if let Some(name) = resolution.filter(|name| !settings.resolutions.iter().any(|known| known == name))
        {
            errors.insert("resolution".to_owned(), format!("Resolution name '{name}' is not valid").into());
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let was_done = issue.is_done();
        issue.status = self.to;
        if let Some(name) = resolution {
            issue.resolution = Some(name.to_owned());
        } else if issue.is_done() && !self.has_screen(settings) {
            issue.resolution = settings.post_resolution.clone().or(issue.resolution.take());
        }
        if was_done && !issue.is_done() && settings.reopen_clears_resolution {
            issue.resolution = None;
        }
        let custom = given.iter().filter(|(name, _)| name.starts_with("customfield_"));
        issue.custom.extend(custom.map(|(name, value)| (name.clone(), value.clone())));
        Ok(())
    }
}

fn missing(given: &Map<String, Value>, name: &str) -> bool {
    given.get(name).is_none_or(Value::is_null)
}

/// What an automation does after a transition. Returns whether it did something.
pub(super) fn automate(issue: &mut Issue, settings: &Settings) -> bool {
    if issue.status != DONE {
        return false;
    }
    match settings.automation {
        Automation::Off => return false,
        Automation::Close => issue.status = CLOSED,
        Automation::Back => issue.status = IN_REVIEW,
    }
    true
}
