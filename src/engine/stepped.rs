//! The worker without tasks and without a clock of its own: whoever holds it says what happens next. For simulation.
//!
//! It runs the same code as [`super::Engine`]: the same cycles of pages, routing, queue of lanes, deliveries and
//! commits, one after the other. Its futures wait for nothing but the store and the connectors. Where those answer at
//! once, each step is over at the first poll, and where one of them never answers, the worker was killed there.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::model::{RecordKind, RecordRef, SystemName};
use crate::store::StoreError;

use super::dispatch::Dispatcher;
use super::hint::{self, Hinted};
use super::poll;
use super::shell::{Parts, Shell};
use super::watch::Watch;

/// A worker that does one thing at a time.
pub struct Stepped {
    shell: Arc<Shell>,
    dispatcher: Dispatcher,
    watches: BTreeMap<(SystemName, RecordKind), Watch>,
}

impl Stepped {
    /// Starts on what the store holds: whatever was being sent counts as of unknown outcome.
    pub async fn start(parts: Parts) -> Result<Self, StoreError> {
        let shell = Arc::new(Shell::new(parts, CancellationToken::new()));
        let mut watches = BTreeMap::new();
        for (system, watched) in &shell.parts.systems {
            for (kind, watch) in super::watches(&shell, system, watched)? {
                watches.insert((system.clone(), kind), watch);
            }
        }
        let mut dispatcher = Dispatcher::new(Arc::clone(&shell));
        dispatcher.recover().await?;
        Ok(Self { shell, dispatcher, watches })
    }

    /// Lists a collection once. The inner error is the system's.
    pub async fn poll(
        &mut self,
        system: &SystemName,
        kind: RecordKind,
    ) -> Result<Result<usize, String>, StoreError> {
        let watched = self.shell.parts.systems.get(system).cloned();
        let (Some(watched), Some(watch)) = (watched, self.watches.get_mut(&(system.clone(), kind))) else {
            return Ok(Err(format!("{system} has no such collection")));
        };
        let listed = poll::list_once(&self.shell, &watched, kind, watch).await?;
        Ok(listed.map_err(|unlisted| unlisted.failure.message))
    }

    /// Routes what is in the inbox.
    pub async fn route(&mut self) -> Result<(), StoreError> {
        self.dispatcher.route().await
    }

    /// Gives the most urgent lane its turn. Returns whether there was one.
    pub async fn work(&mut self) -> Result<bool, StoreError> {
        self.dispatcher.work_one().await
    }

    /// Follows a hint: one look.
    pub async fn hint(&self, record: &RecordRef) -> Result<Hinted, StoreError> {
        hint::look_once(&self.shell, record, &Semaphore::new(1)).await
    }

    /// When a lane wants to be woken next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.dispatcher.next_wake()
    }
}
