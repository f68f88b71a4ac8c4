//! What people see of mappings: one set of types for the API, the status page and the command line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    AuditEntry, BridgeName, Field, Intent, IntentId, IntentState, Mapping, MappingId, MappingState, Member,
    MemberState, RecordRef, SystemName,
};
use crate::store::{Store, StoreError};

/// A page of mappings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingList {
    /// In order of id.
    pub mappings: Vec<MappingView>,
    /// Where the next page begins (`after`), if there is one.
    pub next: Option<MappingId>,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingView {
    /// Its name.
    pub id: MappingId,
    /// Its bridge.
    pub bridge: BridgeName,
    /// Whether it is in work, or where its records went.
    pub state: MappingState,
    /// The incident's title, where a record states one.
    pub title: Option<String>,
    /// Its records.
    pub members: Vec<MemberView>,
    /// What all records should say, and whose word that is.
    pub agreed: BTreeMap<Field, AgreedView>,
}

/// One record of a mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Which record.
    pub record: RecordRef,
    /// Where it stands.
    pub state: MemberState,
    /// The link for people.
    pub url: Option<String>,
    /// The record's own time of its last change that was seen (UTC).
    pub modified: Option<Timestamp>,
    /// The revision last acknowledged.
    pub revision: Option<String>,
    /// Its native values at that revision.
    pub values: BTreeMap<Field, String>,
    /// Fields in which it is left to differ.
    pub exempt: Vec<Field>,
}

/// A value that all records should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgreedView {
    /// The value in our words.
    pub value: String,
    /// The system in which it was edited.
    pub from: SystemName,
    /// That system's time of the edit (UTC).
    pub at: Timestamp,
}

/// An intent that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentView {
    /// Its name.
    pub id: IntentId,
    /// The record it is about.
    pub record: RecordRef,
    /// `fetch`, `update`, `create`, `comment` or `converge`.
    pub action: String,
    /// `planned`, `sending`, `unknown` or `dead`.
    pub state: String,
    /// Why it was given up.
    pub reason: Option<String>,
    /// The fields that it was to change, once it was sent or given up.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// When it is looked at next (UTC, our clock).
    pub due: Timestamp,
    /// How often the service refused it, or took it without effect.
    pub attempts: u32,
    /// How often in a row the service could not be reached.
    pub unreachable: u32,
    /// The edits it carries.
    pub causes: Vec<String>,
}

/// Everything known about a record: `lockstep explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The record asked about.
    pub record: RecordRef,
    /// The mappings it belongs to: one for each bridge that knows it, most often one.
    pub mappings: Vec<MappingStory>,
}

/// A mapping with its history and what is still to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingStory {
    /// The mapping.
    pub mapping: MappingView,
    /// Its history, oldest first.
    pub audit: Vec<AuditEntry>,
    /// Its intents, oldest first.
    pub intents: Vec<IntentView>,
}

/// Up to `limit` mappings after an id.
pub fn list(store: &dyn Store, after: Option<MappingId>, limit: usize) -> Result<MappingList, StoreError> {
    // One more than asked for tells whether there is another page.
    let mut mappings = store.mappings(after, limit.saturating_add(1))?;
    let more = mappings.len() > limit;
    mappings.truncate(limit);
    let next = mappings.last().filter(|_| more).map(|mapping| mapping.id);
    Ok(MappingList { mappings: mappings.iter().map(MappingView::from).collect(), next })
}

/// A mapping with its history, if it exists.
pub fn story(store: &dyn Store, id: MappingId) -> Result<Option<MappingStory>, StoreError> {
    let Some(mapping) = store.mapping(id)? else { return Ok(None) };
    let intents = store.intents(id)?.iter().map(IntentView::from).collect();
    Ok(Some(MappingStory { mapping: MappingView::from(&mapping), audit: store.audit(id)?, intents }))
}

/// Everything known about a record, if any bridge knows it.
pub fn explain(
    store: &dyn Store,
    bridges: &[BridgeName],
    record: &RecordRef,
) -> Result<Option<Explanation>, StoreError> {
    let mut mappings = Vec::new();
    for bridge in bridges {
        let Some(id) = store.find(bridge, record)? else { continue };
        mappings.extend(story(store, id)?);
    }
    Ok((!mappings.is_empty()).then(|| Explanation { record: record.clone(), mappings }))
}

/// Up to `limit` dead letters.
pub fn dead_letters(store: &dyn Store, limit: usize) -> Result<Vec<IntentView>, StoreError> {
    let (mut dead, mut after) = (Vec::new(), None);
    while dead.len() < limit {
        let page = store.outbox(after, 256)?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        dead.extend(
            page.iter().filter(|i| matches!(i.state, IntentState::Dead { .. })).map(IntentView::from),
        );
    }
    dead.truncate(limit);
    Ok(dead)
}

impl MappingView {
    /// The agreed value of a field, or `-`.
    pub fn agreed(&self, field: Field) -> &str {
        self.agreed.get(&field).map_or("-", |agreed| &agreed.value)
    }
}

impl From<&Mapping> for MappingView {
    fn from(mapping: &Mapping) -> Self {
        let title = mapping.agreed(Field::Title).map(ToString::to_string);
        let stated = || mapping.members.iter().find_map(|member| member.native(Field::Title));
        let agreed = |(field, agreed): (&Field, &crate::model::Agreed)| {
            let value = agreed.value.to_string();
            (*field, AgreedView { value, from: agreed.from.clone(), at: agreed.at })
        };
        Self {
            id: mapping.id,
            bridge: mapping.bridge.clone(),
            state: mapping.state.clone(),
            title: title.or_else(|| stated().map(ToString::to_string)),
            members: mapping.members.iter().map(MemberView::from).collect(),
            agreed: mapping.agreed.iter().map(agreed).collect(),
        }
    }
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        let base = member.base.as_ref();
        let values = base.map(|base| base.native.iter().map(|(field, value)| (*field, value.to_string())));
        let odd = member.unknown.iter().map(|(field, word)| (*field, word.to_string()));
        Self {
            record: member.record.clone(),
            state: member.state.clone(),
            url: base.and_then(|base| base.url.clone()),
            modified: base.map(|base| base.modified),
            revision: base.map(|base| base.revision.clone()),
            // An odd word is what people see there, so it is what they are shown.
            values: values.into_iter().flatten().chain(odd).collect(),
            exempt: member.exempt.iter().copied().collect(),
        }
    }
}

impl From<&Intent> for IntentView {
    fn from(intent: &Intent) -> Self {
        let (reason, patch) = match &intent.state {
            IntentState::Dead { reason, patch } => (Some(reason.clone()), Some(patch)),
            state => (None, state.in_flight()),
        };
        Self {
            id: intent.id,
            record: intent.target.clone(),
            action: intent.action.as_str().to_owned(),
            state: intent.state.as_str().to_owned(),
            reason,
            fields: patch.into_iter().flat_map(|patch| patch.native.keys().copied()).collect(),
            due: intent.due,
            attempts: intent.attempts,
            unreachable: intent.unreachable,
            causes: intent.causes.clone(),
        }
    }
}
