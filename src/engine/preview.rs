//! What the worker would do now: the same watch, routing and decisions, on a store in memory, and no delivery.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::model::{Action, BridgeName, Field, Intent, IntentState, Mapping, MappingId, Native, RecordRef};
use crate::reconcile::{Observed, decide};
use crate::store::StoreError;

use super::dispatch::Dispatcher;
use super::poll;
use super::shell::{Parts, Shell};

/// One write that would be made.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PlannedWrite {
    /// The bridge.
    pub bridge: BridgeName,
    /// The mapping.
    pub mapping: MappingId,
    /// The record.
    pub target: RecordRef,
    /// `update`, `create` or `comment`.
    pub action: String,
    /// The changed fields: name, present native value, new one.
    pub fields: Vec<(Field, Option<Native>, Native)>,
    /// The text of a comment.
    pub text: Option<String>,
    /// Why.
    pub causes: Vec<String>,
}

/// A record that is read before anything is decided of it, such as one that an operator linked or whose comments a list
/// does not bring. A plan reads none, so what follows is unknown.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Unread {
    /// The bridge.
    pub bridge: BridgeName,
    /// The mapping.
    pub mapping: MappingId,
    /// The record.
    pub target: RecordRef,
}

/// What would be done.
#[derive(Debug, Default, serde::Serialize)]
pub struct Preview {
    /// Every write, by mapping.
    pub writes: Vec<PlannedWrite>,
    /// Records that have to be read before it is known what follows from them, by mapping.
    pub unread: Vec<Unread>,
    /// Systems that could not be listed, and why: what they hold is not in the plan.
    pub unreached: Vec<String>,
    /// How many mappings were looked at.
    pub mappings: usize,
}

/// Looks at every system once. The store of `parts` must be one in memory: the mappings that begin are put there.
///
/// Guarantees: no remote write; only the lists that a poll makes.
pub async fn preview(parts: Parts) -> Result<Preview, StoreError> {
    let shell = Arc::new(Shell::new(parts, CancellationToken::new()));
    let mut preview = Preview::default();
    for (system, watched) in shell.parts.systems.clone() {
        for (kind, mut watch) in super::watches(&shell, &system, &watched)? {
            if let Err(unlisted) = poll::cycle(&shell, &watched, kind, &mut watch).await? {
                preview.unreached.push(unlisted.failure.message);
            }
        }
    }
    Dispatcher::new(Arc::clone(&shell)).observe_all().await?;
    let mut after = None;
    loop {
        let mappings = shell.store().mappings(after, 500)?;
        let Some(last) = mappings.last() else { return Ok(preview) };
        after = Some(last.id);
        for mapping in mappings {
            preview.mappings += 1;
            let intents = shell.store().intents(mapping.id)?;
            preview.writes.extend(planned(&shell, &mapping, &intents));
            preview.unread.extend(unread(&mapping, &intents));
        }
    }
}

fn unread(mapping: &Mapping, intents: &[Intent]) -> impl Iterator<Item = Unread> {
    let (bridge, mapping) = (mapping.bridge.clone(), mapping.id);
    let fetches = intents.iter().filter(|intent| intent.action == Action::Fetch);
    fetches.map(move |fetch| Unread { bridge: bridge.clone(), mapping, target: fetch.target.clone() })
}

fn planned(shell: &Shell, mapping: &Mapping, intents: &[Intent]) -> Vec<PlannedWrite> {
    let Some(rules) = shell.parts.bridges.get(&mapping.bridge) else { return Vec::new() };
    let of = |target: &RecordRef, action: &str, causes: &[String]| PlannedWrite {
        bridge: mapping.bridge.clone(),
        mapping: mapping.id,
        target: target.clone(),
        action: action.to_owned(),
        fields: Vec::new(),
        text: None,
        causes: causes.to_vec(),
    };
    let dead = |target: &RecordRef| {
        intents.iter().any(|i| i.target == *target && matches!(i.state, IntentState::Dead { .. }))
    };
    let mut writes = Vec::new();
    for wish in decide(mapping, Observed::default(), rules).wishes {
        if wish.patch.is_empty() || dead(&wish.target) || wish.action == Action::Converge {
            continue;
        }
        let now = |field| mapping.member(&wish.target).and_then(|m| m.native(field)).cloned();
        let fields = wish.patch.native.iter().map(|(f, new)| (*f, now(*f), new.clone())).collect();
        writes.push(PlannedWrite { fields, ..of(&wish.target, wish.action.as_str(), &wish.causes) });
    }
    for intent in intents {
        if let Action::Comment { text, .. } = &intent.action {
            writes.push(PlannedWrite {
                text: Some(text.clone()),
                ..of(&intent.target, "comment", &intent.causes)
            });
        }
    }
    writes
}
