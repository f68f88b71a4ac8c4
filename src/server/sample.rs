//! A store with one incident's history, for tests of what people see.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{
    Action, Agreed, AuditEntry, AuditKind, Base, BridgeName, Field, Intent, IntentId, IntentState, Mapping,
    MappingId, Member, MemberState, Native, Patch, RecordKind, RecordRef, Snapshot, Status, SystemName,
    Value,
};
use crate::store::{Change, Counts, Store, StoreError};

/// Read only: a close in Sentinel that was written to Defender, and a comment that was refused.
pub(crate) struct SampleStore {
    pub(crate) mapping: Mapping,
    pub(crate) intents: Vec<Intent>,
    pub(crate) audit: Vec<AuditEntry>,
}

pub(crate) fn bridge() -> BridgeName {
    BridgeName::new("corp").unwrap()
}

pub(crate) fn defender() -> RecordRef {
    "defender/incident/4711".parse().unwrap()
}

pub(crate) fn sentinel() -> RecordRef {
    "sentinel/incident/8a3f3a5e-4c62-4a55-9f2c-0d5b7b0f1c11".parse().unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    "2026-11-24T09:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(second)
}

impl SampleStore {
    pub(crate) fn new() -> Self {
        let mut mapping = Mapping::new(MappingId::derive(&bridge(), &defender()), bridge());
        mapping.members = vec![
            member(defender(), "resolved", Some("https://security.microsoft.com/incidents/4711")),
            member(sentinel(), "Closed", None),
        ];
        let from = SystemName::new("sentinel").unwrap();
        let agreed = Agreed { value: Value::Status(Status::Closed), from, at: at(60), closed: true };
        mapping.agreed = BTreeMap::from([(Field::Status, agreed)]);
        let (first, second) = (mapping.take_intent_id(), mapping.take_intent_id());
        let audit = history(mapping.id, first, second);
        let dead = Intent {
            id: second,
            target: defender(),
            action: Action::Comment { key: crate::model::CommentKey::from_id("c1"), text: "hello".into() },
            state: IntentState::Dead { reason: "refused (400 BadRequest)".into(), patch: Patch::default() },
            planned: at(70),
            due: at(70),
            attempts: 5,
            unreachable: 0,
            misses: 0,
            missed: None,
            overtaken: false,
            causes: vec!["bob@example.org: comment in sentinel".into()],
        };
        Self { mapping, intents: vec![dead], audit }
    }
}

fn member(record: RecordRef, status: &str, url: Option<&str>) -> Member {
    let title = Native::Text("Phishing <b>mail</b> reported".into());
    Member {
        base: Some(Base {
            revision: "r7".into(),
            modified: at(63),
            native: BTreeMap::from([(Field::Status, Native::Text(status.into())), (Field::Title, title)]),
            comments: BTreeSet::new(),
            hidden: crate::model::Natives::new(),
            comment_count: 0,
            linked_at: at(0),
            created: None,
            url: url.map(str::to_owned),
        }),
        ..Member::new(record, MemberState::Linked)
    }
}

fn history(mapping: MappingId, first: IntentId, second: IntentId) -> Vec<AuditEntry> {
    let entry = |second, record, kind| AuditEntry { at: at(second), mapping, record, kind };
    let wrote = AuditKind::Wrote {
        intent: first,
        action: "update".into(),
        fields: vec![(Field::Status, "resolved".into())],
        causes: vec!["alice@example.org: status in sentinel".into()],
        request_id: Some("7d1c3a5e-0000-4000-8000-000000000001".into()),
        confirmed: "the answer states it".into(),
    };
    vec![
        entry(1, defender(), AuditKind::Linked { how: "first seen".into() }),
        entry(
            2,
            sentinel(),
            AuditKind::Linked { how: "its providerIncidentId names defender/incident/4711".into() },
        ),
        entry(
            61,
            sentinel(),
            AuditKind::Edit {
                field: Field::Status,
                old: "New".into(),
                new: "Closed".into(),
                by: Some("alice@example.org".into()),
                revision: "r7".into(),
            },
        ),
        entry(61, sentinel(), AuditKind::Agreed { field: Field::Status, value: "closed".into() }),
        entry(
            62,
            defender(),
            AuditKind::Failed {
                intent: first,
                error: "throttled by the service (429), next try in 1 s".into(),
                request_id: None,
            },
        ),
        entry(63, defender(), wrote),
        entry(
            64,
            defender(),
            AuditKind::NotCarried {
                what_of: "severity".into(),
                value: "high".into(),
                reason: "the field goes from sentinel only".into(),
            },
        ),
        entry(70, defender(), AuditKind::Dead { intent: second, reason: "refused (400 BadRequest)".into() }),
    ]
}

#[async_trait]
impl Store for SampleStore {
    async fn commit(&self, _: Vec<Change>) -> Result<(), StoreError> {
        Err(StoreError("the sample is read only".into()))
    }

    fn mapping(&self, id: MappingId) -> Result<Option<Mapping>, StoreError> {
        Ok((id == self.mapping.id).then(|| self.mapping.clone()))
    }

    fn find(&self, bridge: &BridgeName, record: &RecordRef) -> Result<Option<MappingId>, StoreError> {
        Ok((*bridge == self.mapping.bridge && self.mapping.member(record).is_some())
            .then_some(self.mapping.id))
    }

    fn mappings(&self, after: Option<MappingId>, limit: usize) -> Result<Vec<Mapping>, StoreError> {
        let beyond = after.is_none_or(|after| after < self.mapping.id);
        Ok(std::iter::once(self.mapping.clone()).filter(|_| beyond).take(limit).collect())
    }

    fn intents(&self, mapping: MappingId) -> Result<Vec<Intent>, StoreError> {
        Ok(self.intents.iter().filter(|intent| intent.id.mapping == mapping).cloned().collect())
    }

    fn outbox(&self, after: Option<IntentId>, limit: usize) -> Result<Vec<Intent>, StoreError> {
        let beyond = self.intents.iter().filter(|intent| after.is_none_or(|after| after < intent.id));
        Ok(beyond.take(limit).cloned().collect())
    }

    fn inbox(&self, _: Option<u64>, _: usize) -> Result<Vec<(u64, Snapshot)>, StoreError> {
        Ok(Vec::new())
    }

    fn cursors(&self) -> Result<BTreeMap<(SystemName, RecordKind), Timestamp>, StoreError> {
        Ok(BTreeMap::new())
    }

    fn audit(&self, mapping: MappingId) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(if mapping == self.mapping.id { self.audit.clone() } else { Vec::new() })
    }

    fn document(&self, _: &str, _: &str) -> Result<Option<serde_json::Value>, StoreError> {
        Ok(None)
    }

    fn documents(
        &self,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<(String, serde_json::Value)>, StoreError> {
        Ok(Vec::new())
    }

    fn counts(&self) -> Counts {
        Counts { mappings: 1, outbox: 1, dead: 1, inbox: 0 }
    }

    fn marker_key(&self) -> [u8; 32] {
        [7; 32]
    }
}
