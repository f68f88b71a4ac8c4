//! What goes with a transition: the configured fields and the verdict of a close.
//!
//! The metadata of a transition say what its screen shows, and that is not all: a validator may demand what they leave out,
//! and a field of the screen may be taken away by the field configuration. So a refusal that names fields is heeded: what it
//! demands and we have is sent, what it does not take is left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::JiraSettings;
use super::refusal::Complaint;
use super::snapshot::DONE;
use super::transition::Goal;
use super::wire::{WireField, WireTransition};
use crate::connectors::Declined;
use crate::connectors::text::shown;
use crate::model::Field;

const RESOLUTION: &str = "resolution";
/// The proof that a field is not taken, whatever its value (`ticketing.md` 2.3). In other languages it takes one try more.
const NOT_TAKEN: &str = "cannot be set";

/// The fields of a transition.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    /// What is sent.
    pub(super) fields: Map<String, Value>,
    /// What can be sent if it is asked for, the best first. Nothing is sent twice.
    stock: BTreeMap<&'a str, Vec<Value>>,
    /// The field that says the verdict of the close, and how.
    verdict: Option<(&'a str, Value)>,
    /// Why it cannot be said.
    reason: String,
}

impl<'a> Filling<'a> {
    pub(super) fn new(settings: &'a JiraSettings, step: &WireTransition, goal: &Goal<'_>) -> Self {
        let closes = step.to.status_category.key == DONE;
        let mut filling = Self {
            fields: Map::new(),
            stock: BTreeMap::new(),
            verdict: None,
            reason: format!("the screen of the transition `{}` has no resolution", shown(&step.name)),
        };
        for (name, value) in &settings.close_fields {
            if step.fields.get(name).is_some_and(|field| closes || field.required) {
                filling.fields.insert(name.clone(), value.clone());
            } else {
                filling.stock.insert(name, vec![value.clone()]);
            }
        }
        if closes {
            if let Some(name) = &settings.verdict_field {
                filling.verdict_in(name, step.fields.get(name), goal);
            }
            filling.resolution(settings, step, goal);
        }
        filling
    }

    /// The verdict in a field of its own.
    fn verdict_in(&mut self, name: &'a str, field: Option<&WireField>, goal: &Goal<'_>) {
        let Some(verdict) = goal.verdict else { return };
        let value = json!({"value": verdict});
        match field {
            Some(field) if field.allows(verdict) => drop(self.fields.insert(name.to_owned(), value.clone())),
            Some(_) => self.reason = format!("the field {name} has no option `{}`", shown(verdict)),
            // It is sent by an edit as well.
            None => {
                self.stock.insert(name, vec![value]);
                return;
            }
        }
        self.verdict = Some((name, value));
    }

    /// The resolution: the verdict if it is said so, else what is configured, else the first that is allowed.
    fn resolution(&mut self, settings: &JiraSettings, step: &WireTransition, goal: &Goal<'_>) {
        if self.fields.contains_key(RESOLUTION) || self.stock.contains_key(RESOLUTION) {
            return;
        }
        let field = step.fields.get(RESOLUTION);
        let named = |word: &str| json!({"name": word});
        let takes = |word: &&str| field.is_none_or(|field| field.allows(word));
        let wanted = goal.verdict.filter(|_| settings.verdict_field.is_none());
        if let Some(word) = wanted {
            self.verdict = Some((RESOLUTION, named(word)));
            if !takes(&word) {
                self.reason = format!(
                    "the transition `{}` takes no resolution `{}`; add it to the site and to its screen, or give the \
                     system a translation of its own",
                    shown(&step.name),
                    shown(word)
                );
            }
        }
        let known = wanted.into_iter().chain(settings.default_resolution.as_deref()).filter(takes);
        let first = field.and_then(|field| field.words().next());
        let mut words: Vec<&str> = Vec::new();
        for word in known.chain(first) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let mut values: Vec<Value> = words.into_iter().map(named).collect();
        // A screen that shows no resolution may take one all the same.
        if !values.is_empty() && (field.is_some() || step.has_screen && wanted.is_some()) {
            self.fields.insert(RESOLUTION.to_owned(), values.remove(0));
        }
        self.stock.insert(RESOLUTION, values);
    }

    /// Does what a refusal asks for. `false` if nothing of it can be done, and the refusal is the last word.
    pub(super) fn heed(&mut self, complaint: &Complaint<'_>) -> bool {
        let mut changed = false;
        for (name, why) in &complaint.fields {
            let refused = self.fields.remove(*name);
            if let Some(refused) = &refused {
                if self.verdict.as_ref().is_some_and(|(field, value)| field == name && value == refused) {
                    self.reason = format!("{name}: {}", shown(why));
                }
                if why.contains(NOT_TAKEN) {
                    self.stock.remove(*name);
                }
            }
            let next = self.stock.get_mut(*name).filter(|values| !values.is_empty());
            let next = next.map(|values| values.remove(0));
            changed |= refused.is_some() || next.is_some();
            self.fields.extend(next.map(|value| ((*name).to_owned(), value)));
        }
        changed
    }

    /// The verdict, if it did not go with what was sent.
    pub(super) fn declined(self) -> Option<Declined> {
        let (name, value) = self.verdict?;
        let said = self.fields.get(name) == Some(&value);
        (!said).then_some(Declined { field: Field::Verdict, reason: self.reason })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::connectors::jira::tests::settings;

    fn step(fields: &Value) -> WireTransition {
        let json = json!({"id": "41", "name": "Finish", "hasScreen": true, "fields": fields,
            "to": {"id": "3", "name": "Done", "statusCategory": {"key": "done"}}});
        WireTransition::deserialize(json).unwrap()
    }

    const GOAL: Goal<'static> = Goal { category: "done", verdict: Some("True Positive"), note: None };

    fn refuse(filling: &mut Filling<'_>, name: &str, why: &str) -> bool {
        filling.heed(&Complaint { general: Vec::new(), fields: [(name, why)].into() })
    }

    #[test]
    fn what_metadata_leave_out_is_tried_and_only_a_refusal_proves() {
        let mut settings = settings("https://x.example");
        settings.default_resolution = Some("Done".to_owned());
        let mut filling = Filling::new(&settings, &step(&json!({})), &GOAL);
        assert_eq!(filling.fields["resolution"], json!({"name": "True Positive"}));
        assert!(refuse(&mut filling, "resolution", "Resolution name 'True Positive' is not valid"));
        assert_eq!(filling.fields["resolution"], json!({"name": "Done"}));
        assert!(refuse(
            &mut filling,
            "resolution",
            "Field 'resolution' cannot be set. It is not on the screen"
        ));
        assert!(filling.fields.is_empty());
        assert!(
            !refuse(&mut filling, "resolution", "resolution is required."),
            "there is nothing left to send"
        );
        assert!(filling.declined().unwrap().reason.contains("is not valid"));
    }

    #[test]
    fn what_a_validator_demands_is_sent_if_we_have_it() {
        let mut settings = settings("https://x.example");
        settings.close_fields.insert("customfield_1".to_owned(), json!("cause"));
        let mut bare = step(&json!({}));
        bare.has_screen = false;
        let mut filling = Filling::new(&settings, &bare, &GOAL);
        assert!(filling.fields.is_empty());
        assert!(refuse(&mut filling, "resolution", "resolution is required."));
        assert!(refuse(&mut filling, "customfield_1", "Cause is required."));
        assert_eq!(filling.fields.len(), 2);
        assert!(!refuse(&mut filling, "customfield_2", "Other is required."));
        assert_eq!(filling.declined(), None);
    }

    #[test]
    fn a_resolution_that_the_screen_does_not_list_makes_room_for_another() {
        let settings = settings("https://x.example");
        let listed = json!({"resolution": {"required": true, "allowedValues": [{"name": "Done"}]}});
        let filling = Filling::new(&settings, &step(&listed), &GOAL);
        assert_eq!(filling.fields["resolution"], json!({"name": "Done"}));
        assert!(filling.declined().unwrap().reason.contains("takes no resolution `True Positive`"));
    }
}
