//! `lockstep mappings link` and `unlink`: an operator knows better which records belong together.
//!
//! Both work on the store itself, so the worker must be stopped: it would not see the change.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use jiff::Timestamp;

use super::output::print;
use crate::config::Config;
use crate::model::{
    Action, AuditEntry, AuditKind, BridgeName, Intent, IntentState, Mapping, Member, MemberState, RecordRef,
};
use crate::store::{Change, SledStore, Store};

/// Puts a record into the mapping of another. It is read, and measured against what is agreed there, at the next start.
pub(super) async fn link(config: &Config, record: &RecordRef, joining: &RecordRef) -> anyhow::Result<()> {
    let store = SledStore::open_existing(&config.store.path)?;
    let mut mapping = mapping_of(config, &store, record)?;
    let policy = config.bridges.iter().find(|policy| policy.bridge == mapping.bridge);
    if !policy.is_some_and(|policy| policy.has(&joining.system)) {
        bail!("bridge {} has no system `{}`", mapping.bridge, joining.system);
    }
    if mapping.member(joining).is_some_and(Member::is_live) {
        bail!("{joining} belongs to mapping {} already", mapping.id);
    }
    let mut changes = Vec::new();
    if let Some(other) = store.find(&mapping.bridge, joining)?.filter(|id| *id != mapping.id) {
        let mut left = store.mapping(other)?.ok_or_else(|| anyhow!("mapping {other} is not in the store"))?;
        changes.extend(take_out(&store, &mut left, joining, &format!("an operator linked it to {record}"))?);
    }
    mapping.members.retain(|member| member.record != *joining);
    mapping.members.push(Member::new(joining.clone(), MemberState::Awaited));
    let how = format!("an operator linked it to {record}");
    changes.push(audit(&mapping, joining, AuditKind::Linked { how }));
    let fetch = fetch(&mut mapping, joining);
    changes.extend([Change::PutMapping(Box::new(mapping)), Change::PutIntent(Box::new(fetch))]);
    store.commit(changes).await?;
    print(&format!("{joining} is linked to {record}"))?;
    Ok(())
}

/// Takes a record out of its mapping, for good: links that name it do not bring it back.
pub(super) async fn unlink(config: &Config, record: &RecordRef) -> anyhow::Result<()> {
    let store = SledStore::open_existing(&config.store.path)?;
    let mut mapping = mapping_of(config, &store, record)?;
    let changes = take_out(&store, &mut mapping, record, "an operator unlinked it")?;
    store.commit(changes).await?;
    print(&format!("{record} is out of mapping {}; `lockstep mappings link` brings it back", mapping.id))?;
    Ok(())
}

fn take_out(
    store: &Arc<SledStore>,
    mapping: &mut Mapping,
    record: &RecordRef,
    reason: &str,
) -> anyhow::Result<Vec<Change>> {
    let intents = store.intents(mapping.id)?.into_iter().filter(|intent| intent.target == *record);
    let mut changes: Vec<Change> = intents.map(|intent| Change::RemoveIntent(intent.id)).collect();
    if let Some(member) = mapping.member_mut(record) {
        member.state = MemberState::Detached;
    }
    changes.push(audit(mapping, record, AuditKind::Left { reason: reason.to_owned() }));
    changes.push(Change::PutMapping(Box::new(mapping.clone())));
    Ok(changes)
}

fn mapping_of(config: &Config, store: &Arc<SledStore>, record: &RecordRef) -> anyhow::Result<Mapping> {
    let bridges: Vec<&BridgeName> = config.bridges.iter().map(|policy| &policy.bridge).collect();
    for bridge in bridges {
        if let Some(id) = store.find(bridge, record)? {
            return store.mapping(id)?.ok_or_else(|| anyhow!("mapping {id} is not in the store"));
        }
    }
    bail!("no bridge knows {record}; see `lockstep mappings list`")
}

fn fetch(mapping: &mut Mapping, target: &RecordRef) -> Intent {
    let (id, now) = (mapping.take_intent_id(), Timestamp::now());
    Intent {
        id,
        target: target.clone(),
        action: Action::Fetch,
        state: IntentState::Planned,
        planned: now,
        due: now,
        attempts: 0,
        unreachable: 0,
        misses: 0,
        causes: Vec::new(),
    }
}

fn audit(mapping: &Mapping, record: &RecordRef, kind: AuditKind) -> Change {
    let entry = AuditEntry { at: Timestamp::now(), mapping: mapping.id, record: record.clone(), kind };
    Change::Audit(Box::new(entry))
}
