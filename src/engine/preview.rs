//! What the worker would do now: the same watch, routing and decisions, on a store in memory, and no delivery.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::model::{BridgeName, IntentState, Mapping, Native, RecordRef};
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
    pub mapping: crate::model::MappingId,
    /// The record.
    pub target: RecordRef,
    /// `update`, `create` or `comment`.
    pub action: String,
    /// The changed fields: name, present native value, new one.
    pub fields: Vec<(crate::model::Field, Option<Native>, Native)>,
    /// The text of a comment.
    pub text: Option<String>,
    /// Why.
    pub causes: Vec<String>,
}

/// What would be done.
#[derive(Debug, Default, serde::Serialize)]
pub struct Preview {
    /// Every write, by mapping.
    pub writes: Vec<PlannedWrite>,
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
            if let Err(error) = poll::cycle(&shell, &watched, kind, &mut watch).await? {
                preview.unreached.push(error.to_string());
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
            preview.writes.extend(planned(&shell, &mapping)?);
        }
    }
}

fn planned(shell: &Shell, mapping: &Mapping) -> Result<Vec<PlannedWrite>, StoreError> {
    let Some(rules) = shell.parts.bridges.get(&mapping.bridge) else { return Ok(Vec::new()) };
    let of = |target: &RecordRef, action: &str, causes: &[String]| PlannedWrite {
        bridge: mapping.bridge.clone(),
        mapping: mapping.id,
        target: target.clone(),
        action: action.to_owned(),
        fields: Vec::new(),
        text: None,
        causes: causes.to_vec(),
    };
    let intents = shell.store().intents(mapping.id)?;
    let dead = |target: &RecordRef| {
        intents.iter().any(|i| i.target == *target && matches!(i.state, IntentState::Dead { .. }))
    };
    let mut writes = Vec::new();
    for wish in decide(mapping, Observed::default(), rules).wishes {
        if wish.patch.is_empty() || dead(&wish.target) || wish.action == crate::model::Action::Converge {
            continue;
        }
        let now = |field| mapping.member(&wish.target).and_then(|m| m.native(field)).cloned();
        let fields = wish.patch.native.iter().map(|(f, new)| (*f, now(*f), new.clone())).collect();
        writes.push(PlannedWrite { fields, ..of(&wish.target, wish.action.as_str(), &wish.causes) });
    }
    for intent in &intents {
        if let crate::model::Action::Comment { text, .. } = &intent.action {
            writes.push(PlannedWrite {
                text: Some(text.clone()),
                ..of(&intent.target, "comment", &intent.causes)
            });
        }
    }
    Ok(writes)
}
