//! Sidecar: not built yet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::endpoint::{Endpoint, Parts};
use super::{ConnectError, Connector, Depth, Opening, Page, PageToken, Probe, TicketSystem, Written};
use crate::http::{Budgets, CallError, CallObserver, Http, RequestIds, Scheme};
use crate::model::{CommentKey, Patch, RecordKind, RecordRef, Snapshot, SystemName};

/// Settings of one Sidecar.
#[derive(Debug, Clone)]
pub struct SidecarSettings {
    /// What all ticket systems have.
    pub system: TicketSystem,
}

/// The connector to one Sidecar.
#[derive(Debug)]
pub struct Sidecar {
    endpoint: Endpoint,
    settings: SidecarSettings,
}

impl Sidecar {
    /// Makes the connector. Sends nothing yet.
    pub fn new(
        settings: &SidecarSettings,
        http: &Http,
        observer: Option<Arc<dyn CallObserver>>,
    ) -> Result<Self, ConnectError> {
        let system = &settings.system;
        let tokens = system.login.tokens(Scheme::Bearer, &system.url, http);
        let parts = Parts {
            system: &system.name,
            base: &system.url,
            example: "https://tickets.example.org",
            budgets: Budgets::unlimited(),
            ids: RequestIds::GRAPH,
        };
        let endpoint = Endpoint::new(parts, tokens, http, observer)?;
        Ok(Self { endpoint, settings: settings.clone() })
    }

    fn absent(&self, operation: &'static str) -> CallError {
        self.endpoint.invalid(operation, "not built yet".to_owned())
    }
}

#[async_trait]
impl Connector for Sidecar {
    fn system(&self) -> &SystemName {
        &self.endpoint.system
    }

    fn collections(&self) -> &[RecordKind] {
        &[RecordKind::Ticket]
    }

    fn settle_time(&self) -> Duration {
        self.settings.system.settle
    }

    fn overlap(&self) -> Duration {
        self.settings.system.overlap
    }

    async fn list(&self, _: RecordKind, _: Timestamp, _: Option<&PageToken>) -> Result<Page, CallError> {
        Err(self.absent("tickets.list"))
    }

    async fn read(&self, _: &RecordRef, _: Depth) -> Result<Snapshot, CallError> {
        Err(self.absent("tickets.get"))
    }

    async fn update(&self, _: &Snapshot, _: &Patch) -> Result<Written, CallError> {
        Err(self.absent("tickets.update"))
    }

    async fn create(&self, _: &RecordRef, _: &Opening) -> Result<Written, CallError> {
        Err(self.absent("tickets.create"))
    }

    async fn comment(&self, _: &Snapshot, _: &CommentKey, _: &str) -> Result<Written, CallError> {
        Err(self.absent("comments.create"))
    }

    async fn probe(&self) -> Vec<Probe> {
        Vec::new()
    }

    fn budget_left(&self) -> Vec<(&'static str, u32)> {
        self.endpoint.budget_left()
    }
}
