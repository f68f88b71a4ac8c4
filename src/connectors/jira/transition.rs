//! Status changes. Transitions are chosen by the category of their target, never by their name (`ticketing.md` 2.4,
//! F15), and sent with what their screens demand.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::snapshot::{DONE, note_text};
use super::update::Progress;
use super::wire::{WireTransition, WireTransitions};
use super::{Jira, JiraSettings};
use crate::connectors::Declined;
use crate::connectors::text::shown;
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{Field, RecordRef, Snapshot};

const MOVE: &str = "tickets.transition";
const OFFERS: &str = "transitions.list";
/// Transitions of one change of status at most; one round more reads where the issue is.
const MAX_HOPS: usize = 4;

/// Where an issue is to go.
#[derive(Debug)]
pub(super) struct Goal<'a> {
    /// The status category.
    pub(super) category: &'a str,
    /// The verdict of a close.
    pub(super) verdict: Option<&'a str>,
    /// The note of a close.
    pub(super) note: Option<&'a str>,
}

/// Where an issue is.
struct Place {
    status: String,
    name: String,
    category: String,
}

impl Place {
    fn of(raw: &Value) -> Self {
        let text =
            |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            status: text("/fields/status/id"),
            name: text("/fields/status/name"),
            category: text("/fields/status/statusCategory/key"),
        }
    }
}

impl Jira {
    /// Moves an issue towards a status of the category, and returns it as it is then. Each hop reads anew what can be
    /// done from where the issue is. Automation may move it on, or back: what the last read shows is what counts.
    pub(super) async fn move_to(
        &self,
        current: &Snapshot,
        goal: &Goal<'_>,
        progress: &mut Progress,
    ) -> Result<Snapshot, CallError> {
        let record = &current.record;
        let mut here = current.clone();
        let (mut seen, mut refused_once, mut fresh) = (BTreeSet::new(), false, false);
        for _ in 0..=MAX_HOPS {
            let place = Place::of(&here.raw);
            if place.category == goal.category {
                return Ok(here);
            }
            let offers = self.offers(record).await?;
            let Some(step) = choose(&self.settings, &offers, goal, &seen) else {
                return Err(self.endpoint.refused(MOVE, None, no_way(record, &place, goal, &offers)));
            };
            let leads_there = step.to.status_category.key == goal.category;
            // A detour from where the issue was a while ago could undo what somebody did since.
            if leads_there || fresh {
                match self.hop(record, step, goal, progress).await {
                    Ok(()) if leads_there => return self.get(record).await,
                    Ok(()) => drop(seen.insert(place.status)),
                    // Perhaps it cannot be done any more, since somebody else was first: once more from where it is.
                    Err(CallError::Refused { .. }) if !refused_once => refused_once = true,
                    Err(error) => return Err(error),
                }
            }
            here = self.get(record).await?;
            fresh = true;
        }
        let what =
            format!("{record}: {MAX_HOPS} transitions did not lead to a status of `{}`", goal.category);
        Err(self.endpoint.refused(MOVE, None, what))
    }

    /// What this account can do to the issue now.
    async fn offers(&self, record: &RecordRef) -> Result<Vec<WireTransition>, CallError> {
        let path = ["issue", self.id(OFFERS, record)?, "transitions"];
        let url = self.url(OFFERS, &path, &[("expand", "transitions.fields")])?;
        let answer = self.endpoint.send(Call::get(OFFERS, "jira-get", url)).await?;
        let read = WireTransitions::deserialize(&answer.body).unwrap_or_default();
        let listed = read.transitions.value().cloned();
        listed.ok_or_else(|| {
            self.endpoint.malformed(OFFERS, &answer, format!("{record}: the transitions cannot be read"))
        })
    }

    /// One POST, and one for the note before it where the transition has no screen to take it along: a note that fails
    /// then stops the close, and both are tried again. After the close nothing would be left to try, and the note lost.
    async fn hop(
        &self,
        record: &RecordRef,
        step: &WireTransition,
        goal: &Goal<'_>,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let closes = step.to.status_category.key == DONE;
        let (fields, declined) = fill(&self.settings, step, goal);
        let note = goal.note.filter(|_| closes && !progress.noted);
        let note = note.map(|note| self.comment_body(&note_text(note), &json!({"note": true})));
        let mut body = json!({"transition": {"id": step.id}});
        if !fields.is_empty() {
            body["fields"] = Value::Object(fields);
        }
        match note {
            Some(note) if step.has_screen => body["update"] = json!({"comment": [{"add": note}]}),
            Some(note) => {
                progress.took(self.post(record, "comment", note).await?);
                progress.noted = true;
            }
            None => {}
        }
        progress.took(self.post(record, "transitions", body).await?);
        progress.written.declined.extend(declined);
        Ok(())
    }

    /// One POST below an issue.
    async fn post(&self, record: &RecordRef, below: &str, body: Value) -> Result<Answer, CallError> {
        let id = self.id(MOVE, record)?;
        let url = self.url(MOVE, &["issue", id, below], &[])?;
        self.endpoint.send(Call::write(MOVE, "jira-post", Method::POST, url, body).of_record(id)).await
    }
}

/// The transition to take: one that leads where the issue is to go and whose demands can be met; else one that leads
/// to a status where it was not yet; else the first that leads there all the same, so that Jira says what it lacks.
fn choose<'o>(
    settings: &JiraSettings,
    offers: &'o [WireTransition],
    goal: &Goal<'_>,
    seen: &BTreeSet<String>,
) -> Option<&'o WireTransition> {
    let available = || offers.iter().filter(|offer| offer.is_available != Some(false));
    let wish = settings.statuses.get(goal.category);
    let direct =
        available().filter(|offer| offer.to.status_category.key == goal.category).min_by_key(|offer| {
            let wished = wish.is_some_and(|name| name.eq_ignore_ascii_case(&offer.to.name));
            (lacking(settings, offer, goal).len(), Reverse(wished), number(&offer.id))
        });
    if let Some(direct) = direct.filter(|offer| lacking(settings, offer, goal).is_empty()) {
        return Some(direct);
    }
    // Closed-like statuses come last on the way: who reopens does not want to close in passing.
    let rank = |offer: &WireTransition| match offer.to.status_category.key.as_str() {
        "indeterminate" => 0,
        "new" => 1,
        _ => 2,
    };
    let detour = available()
        .filter(|offer| offer.to.status_category.key != goal.category && !seen.contains(&offer.to.id))
        .filter(|offer| rank(offer) < 2 && lacking(settings, offer, goal).is_empty())
        .min_by_key(|offer| (rank(offer), number(&offer.id)));
    // Only where nothing leads there directly: a detour would not bring what a direct one lacks.
    if direct.is_some() { direct } else { detour }
}

/// Ids in the order of their numbers.
fn number(id: &str) -> (u64, &str) {
    (id.parse().unwrap_or(u64::MAX), id)
}

/// The fields that a transition demands and lockstep has no value for.
fn lacking<'o>(settings: &JiraSettings, step: &'o WireTransition, goal: &Goal<'_>) -> Vec<&'o str> {
    let (fields, _) = fill(settings, step, goal);
    let required = step.fields.iter().filter(|(_, field)| field.required && !field.has_default_value);
    let covered = |name: &str| {
        // Those that every issue has a value for need not be sent again.
        fields.contains_key(name)
            || matches!(name, "summary" | "issuetype" | "project" | "priority" | "comment")
    };
    required.map(|(name, _)| name.as_str()).filter(|name| !covered(name)).collect()
}

/// What goes with a transition: the configured fields that its screen has, and the verdict of a close.
fn fill(
    settings: &JiraSettings,
    step: &WireTransition,
    goal: &Goal<'_>,
) -> (Map<String, Value>, Vec<Declined>) {
    let closes = step.to.status_category.key == DONE;
    let given = settings
        .close_fields
        .iter()
        .filter(|(name, _)| step.fields.get(*name).is_some_and(|field| closes || field.required));
    let mut fields: Map<String, Value> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut declined = Vec::new();
    if !closes {
        return (fields, declined);
    }
    let mut refuse = |reason: String| declined.push(Declined { field: Field::Verdict, reason });
    if let (Some(name), Some(verdict)) = (&settings.verdict_field, goal.verdict)
        && let Some(field) = step.fields.get(name)
    {
        if field.allows(verdict) {
            fields.insert(name.clone(), json!({"value": verdict}));
        } else {
            refuse(format!("the field {name} has no option `{verdict}`"));
        }
    }
    let wanted = goal.verdict.filter(|_| settings.verdict_field.is_none());
    match step.fields.get("resolution") {
        Some(field) if !fields.contains_key("resolution") => {
            let fitting = wanted.filter(|word| field.allows(word));
            if let (None, Some(word)) = (fitting, wanted) {
                refuse(format!(
                    "the transition `{}` takes no resolution `{}`; add it to the site and to its screen, or give the \
                     system a translation of its own",
                    shown(&step.name),
                    shown(word)
                ));
            }
            let fallback = settings.default_resolution.as_deref().filter(|word| field.allows(word));
            let resolution = fitting.or(fallback).or_else(|| field.words().next());
            fields.extend(resolution.map(|name| ("resolution".to_owned(), json!({"name": name}))));
        }
        Some(_) => {}
        None => {
            if wanted.is_some() {
                refuse(format!("the screen of the transition `{}` has no resolution", shown(&step.name)));
            }
        }
    }
    (fields, declined)
}

/// Why there is no way, and what to do about it.
fn no_way(record: &RecordRef, place: &Place, goal: &Goal<'_>, offers: &[WireTransition]) -> String {
    let names: Vec<String> = offers.iter().map(|o| format!("`{}`", shown(&o.name))).collect();
    let offered = if names.is_empty() {
        "Jira offers no transition; lockstep's account needs the permission Transition Issues".to_owned()
    } else {
        format!("the workflow offers {}", names.join(", "))
    };
    format!(
        "{record} cannot get from status `{}` to one of category `{}`: {offered}. Add a transition to the workflow, or \
         take away the condition that keeps it from lockstep's account",
        shown(&place.name),
        goal.category
    )
}
