//! The sidecar: tickets in software that has no connector. Its adapter runs beside lockstep and speaks a small local
//! API; between the two lies a *mailbox* in lockstep's own store.
//!
//! ```text
//! engine  <-- exactly once -->  mailbox  <-- at least once, by name -->  adapter  <-->  ticketing software
//! ```
//!
//! To the engine the mailbox is the remote system ([`crate::connectors::sidecar`]); each of its writes is one commit.
//! The adapter learns of them as messages that are repeated until it acknowledges them, and reports what people do. Each
//! message and each report has a name, so a repetition changes nothing.
//!
//! ```text
//! held          one ticket: what is an edit, what a repetition. Pure
//! message       what the adapter is told
//! draft         a change in the making
//! mailbox       all tickets of a system, in memory and in the store
//! engine_side, adapter_side   what each of the two does with it
//! wire, api, openapi, listen  the local API
//! webhook       messages sent instead of fetched
//! ```

mod adapter_side;
mod api;
mod draft;
mod engine_side;
mod held;
mod listen;
mod mailbox;
mod message;
mod openapi;
mod signing;
mod webhook;
mod wire;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod api_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod connector_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod mailbox_tests;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::connectors::sidecar::SidecarSettings;
use crate::http::Http;

pub use listen::{ListenError, Listener};
pub use mailbox::StoreMailbox;
pub use openapi::description;
pub use signing::{SecretFault, SigningKey};

/// How often tickets that are over are removed, and the adapter is looked after.
const TEND_EVERY: Duration = Duration::from_mins(10);

/// The local API of one mailbox, listening but not serving yet.
#[derive(Debug)]
pub struct Service {
    settings: SidecarSettings,
    mailbox: StoreMailbox,
    listener: Listener,
}

impl Service {
    /// Takes the address, so that a taken one is found before the worker starts.
    pub async fn bind(settings: &SidecarSettings, mailbox: StoreMailbox) -> Result<Self, ListenError> {
        let listener = Listener::bind(&settings.name, &settings.listen).await?;
        Ok(Self { settings: settings.clone(), mailbox, listener })
    }

    /// Serves, sends webhooks where they are configured, and removes old tickets, until `stop`; what is under way then
    /// is answered first.
    pub async fn run(self, http: Http, stop: CancellationToken) {
        let Self { settings, mailbox, listener } = self;
        let name = settings.name.clone();
        tracing::info!(system = %name, listen = %listener, "the sidecar's mailbox is open");
        let state =
            api::ApiState::new(mailbox.clone(), settings.token.clone(), listener.is_tcp(), stop.clone());
        let webhook = async {
            if let Some(target) = &settings.webhook {
                webhook::Sender::new(mailbox.clone(), target.clone(), http).run(&stop).await;
            }
        };
        let (served, (), ()) =
            tokio::join!(listener.serve(state, stop.clone()), webhook, tend(&mailbox, settings.keep, &stop));
        if let Err(error) = served {
            tracing::error!(system = %name, %error, "the sidecar's API ended; its adapter is cut off until a restart");
        }
    }
}

/// The routes of the local API, as on a loopback address, for what calls them without a connection.
#[cfg(any(test, fuzzing))]
pub(crate) fn local_api(
    mailbox: StoreMailbox,
    token: Option<crate::http::secret::SecretRef>,
) -> axum::Router {
    api::router(api::ApiState::new(mailbox, token, true, CancellationToken::new()))
}

/// Removes old tickets, and says so when the adapter does not do its part.
async fn tend(mailbox: &StoreMailbox, keep: Duration, stop: &CancellationToken) {
    let mut oldest_before = None;
    loop {
        let oldest = mailbox.status().await.oldest;
        if oldest.is_some() && oldest == oldest_before {
            tracing::warn!(
                ?mailbox,
                sequence = oldest,
                "a message has waited for ten minutes; look whether the adapter runs and acknowledges"
            );
        }
        oldest_before = oldest;
        match mailbox.prune(keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old tickets left the mailbox"),
            Err(error) => tracing::warn!(%error, "old tickets could not be removed from the mailbox"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TEND_EVERY) => {}
        }
    }
}
