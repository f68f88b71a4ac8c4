//! Status changes. Transitions are chosen by the category of their target, never by their name (`ticketing.md` 2.4,
//! F15), and sent with what their screens demand.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::filling::Filling;
use super::refusal::{Complaint, blocked, is_refusal, may_pass};
use super::snapshot::{DONE, note_text};
use super::update::Progress;
use super::wire::{WireTransition, WireTransitions};
use super::{Jira, JiraSettings};
use crate::connectors::text::shown;
use crate::http::{Answer, Call, CallError, Method};
use crate::model::{RecordRef, Snapshot};

pub(super) const MOVE: &str = "tickets.transition";
pub(super) const OFFERS: &str = "transitions.list";
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
        let (mut seen, mut fresh) = (BTreeSet::new(), false);
        let mut refused: Option<(String, CallError)> = None;
        for _ in 0..=MAX_HOPS {
            let place = Place::of(&here.raw);
            if place.category == goal.category {
                return Ok(here);
            }
            // Refused where the issue still is: not because somebody else was first.
            if let Some((_, error)) = refused.take().filter(|(status, _)| *status == place.status) {
                return Err(blocked(&error));
            }
            let offers = self.offers(record).await?;
            let Some(step) = choose(&self.settings, &offers, goal, (&place, &seen)) else {
                return Err(self.no_way(record, no_way(record, &place, goal, &offers)).await);
            };
            let leads_there = step.to.status_category.key == goal.category;
            // A detour from where the issue was a while ago could undo what somebody did since.
            if leads_there || fresh {
                match self.hop(record, step, goal, progress).await {
                    Ok(()) if leads_there => return self.get(record).await,
                    Ok(()) => drop(seen.insert(place.status)),
                    // Perhaps it cannot be done any more, since somebody else was first: see where the issue is.
                    Err(error) if may_pass(&error) => refused = Some((place.status, error)),
                    Err(error) => return Err(error),
                }
            }
            here = self.get(record).await?;
            fresh = true;
        }
        if let Some((_, error)) = refused {
            return Err(blocked(&error));
        }
        let what =
            format!("{record}: {MAX_HOPS} transitions did not lead to a status of `{}`", goal.category);
        Err(self.endpoint.refused(MOVE, None, what))
    }

    /// What this account can do to the issue now.
    async fn offers(&self, record: &RecordRef) -> Result<Vec<WireTransition>, CallError> {
        let path = ["issue", self.id(OFFERS, record)?, "transitions"];
        // With those that a condition keeps from being taken now.
        let query = [("expand", "transitions.fields"), ("includeUnavailableTransitions", "true")];
        let url = self.url(OFFERS, &path, &query)?;
        let answer = self.endpoint.send(Call::get(OFFERS, "jira-get", url)).await?;
        let read = WireTransitions::deserialize(&answer.body).unwrap_or_default();
        let listed = read.transitions.value().cloned();
        listed.ok_or_else(|| {
            self.endpoint.malformed(OFFERS, &answer, format!("{record}: the transitions cannot be read"))
        })
    }

    /// A transition that is not offered: a condition of the workflow hides it (sub-tasks that are open, an approval), there
    /// is none, or the account may not take any. The first passes, and nobody is told which it is.
    async fn no_way(&self, record: &RecordRef, message: String) -> CallError {
        let site = Box::new(self.endpoint.site(MOVE, None));
        let blocked = CallError::Blocked { site, status: 403, code: String::new(), message };
        self.unless_lacking("TRANSITION_ISSUES", ("issueId", record.id.as_str()), blocked).await
    }

    /// One POST, and another where a refusal shows that the screen takes or demands other fields than its metadata say.
    async fn hop(
        &self,
        record: &RecordRef,
        step: &WireTransition,
        goal: &Goal<'_>,
        progress: &mut Progress,
    ) -> Result<(), CallError> {
        let closes = step.to.status_category.key == DONE;
        let mut filling = Filling::new(&self.settings, step, goal);
        let note = goal.note.filter(|_| closes && !progress.noted);
        let mut note = note.map(|note| self.comment_body(&note_text(note), &json!({"note": true})));
        if let Some(note) = note.take_if(|_| !step.has_screen) {
            self.say(record, note, progress).await?;
        }
        loop {
            let mut body = json!({"transition": {"id": step.id}});
            if !filling.fields.is_empty() {
                body["fields"] = Value::Object(filling.fields.clone());
            }
            if let Some(note) = &note {
                body["update"] = json!({"comment": [{"add": note}]});
            }
            let error = match self.post(record, "transitions", body).await {
                Ok(answer) => {
                    progress.took(answer);
                    progress.written.declined.extend(filling.declined());
                    return Ok(());
                }
                Err(error) => error,
            };
            let complaint = Complaint::behind(&error).filter(|_| matches!(error, CallError::Refused { .. }));
            let Some(complaint) = complaint else { return Err(error) };
            let unsaid = note.take_if(|_| complaint.fields.contains_key("comment"));
            if !filling.heed(&complaint) && unsaid.is_none() {
                return Err(error);
            }
            if let Some(note) = unsaid {
                self.say(record, note, progress).await?;
            }
        }
    }

    /// The note of a close as a request of its own, before the close: one that gets no answer then stops the close, and both
    /// are tried again. After the close nothing would be left to try, and the note lost. One that is refused is left out,
    /// since it is worth less than the close.
    async fn say(&self, record: &RecordRef, note: Value, progress: &mut Progress) -> Result<(), CallError> {
        match self.post(record, "comment", note).await {
            Ok(answer) => progress.took(answer),
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%record, %error, "the closing note is left out");
            }
            Err(error) => return Err(error),
        }
        progress.noted = true;
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
    (place, seen): (&Place, &BTreeSet<String>),
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
    if direct.is_none() && is_blocked(offers, goal) {
        return None;
    }
    // Who closes does not go back to the beginning.
    let back = |offer: &WireTransition| {
        goal.category == DONE && place.category == "indeterminate" && rank(offer) == 1
    };
    let detour = available()
        .filter(|offer| !back(offer))
        .filter(|offer| offer.to.status_category.key != goal.category && !seen.contains(&offer.to.id))
        .filter(|offer| rank(offer) < 2 && lacking(settings, offer, goal).is_empty())
        .min_by_key(|offer| (rank(offer), number(&offer.id)));
    // Only where nothing leads there directly: a detour would not bring what a direct one lacks.
    if direct.is_some() { direct } else { detour }
}

/// Whether the issue waits where it is: what leads there is kept from being taken now. A detour would only move the issue
/// about, unless a transition from everywhere is meant for others, and people go another way.
fn is_blocked(offers: &[WireTransition], goal: &Goal<'_>) -> bool {
    let all_global = offers.iter().all(|offer| offer.is_global);
    offers.iter().any(|offer| {
        offer.is_available == Some(false)
            && offer.to.status_category.key == goal.category
            && (!offer.is_global || all_global)
    })
}

/// Ids in the order of their numbers.
fn number(id: &str) -> (u64, &str) {
    (id.parse().unwrap_or(u64::MAX), id)
}

/// The fields that a transition demands and lockstep has no value for.
fn lacking<'o>(settings: &JiraSettings, step: &'o WireTransition, goal: &Goal<'_>) -> Vec<&'o str> {
    let filling = Filling::new(settings, step, goal);
    let required = step.fields.iter().filter(|(_, field)| field.required && !field.has_default_value);
    let covered = |name: &str| {
        // Those that every issue has a value for need not be sent again.
        filling.fields.contains_key(name)
            || matches!(name, "summary" | "issuetype" | "project" | "priority" | "comment")
    };
    required.map(|(name, _)| name.as_str()).filter(|name| !covered(name)).collect()
}

/// Why there is no way, and what to do about it.
fn no_way(record: &RecordRef, place: &Place, goal: &Goal<'_>, offers: &[WireTransition]) -> String {
    let name = |offer: &WireTransition| match offer.is_available {
        Some(false) => format!("`{}` (not available now)", shown(&offer.name)),
        _ => format!("`{}`", shown(&offer.name)),
    };
    let names: Vec<String> = offers.iter().map(name).collect();
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
