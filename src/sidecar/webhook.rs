//! Messages sent to the adapter, signed as <https://www.standardwebhooks.com> says, until it answers 2xx. A ticket's
//! messages arrive in order: one that fails holds up those of its own ticket, and no others.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::mailbox::StoreMailbox;
use super::message::Message;
use super::signing::SigningKey;
use crate::connectors::sidecar::SidecarWebhook;
use crate::http::{Http, Waits, growing, is_html};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// First and longest wait before a message is sent again.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// Messages looked at in one round.
const ROUND: usize = 100;

/// Sends the messages of one mailbox.
pub(super) struct Sender {
    mailbox: StoreMailbox,
    target: SidecarWebhook,
    http: Http,
    /// Tickets whose oldest message failed.
    resting: HashMap<String, Rest>,
}

/// How long a ticket's messages wait.
struct Rest {
    /// When the oldest is sent again.
    until: Instant,
    /// The waits after that.
    waits: Waits,
}

impl Sender {
    pub(super) fn new(mailbox: StoreMailbox, target: SidecarWebhook, http: Http) -> Self {
        Self { mailbox, target, http, resting: HashMap::new() }
    }

    /// Sends until `stop`.
    pub(super) async fn run(mut self, stop: &CancellationToken) {
        let mut latest = self.mailbox.0.latest.subscribe();
        loop {
            latest.borrow_and_update();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.round() => {}
            }
            let next = self.resting.values().map(|rest| rest.until).min();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = latest.changed() => {}
                () = due => {}
            }
        }
    }

    /// Sends each ticket's messages in order, as far as they go.
    async fn round(&mut self) {
        let (mut after, mut held_up) = (0, HashSet::new());
        loop {
            let messages = match self.mailbox.pending(after, ROUND).await {
                Ok(messages) => messages,
                Err(error) => return tracing::error!(%error, "messages for the webhook cannot be read"),
            };
            let Some(last) = messages.last() else { break };
            after = last.sequence;
            for message in messages {
                let key = message.data.ticket.key.clone();
                let rests = self.resting.get(&key).is_some_and(|rest| rest.until > Instant::now());
                if rests || held_up.contains(&key) {
                    held_up.insert(key);
                } else if let Err(reason) = self.deliver(&message).await {
                    self.failed(&message, &reason);
                    held_up.insert(key);
                } else {
                    self.resting.remove(&key);
                }
            }
        }
        // What was acknowledged by other means rests no longer.
        self.resting.retain(|key, _| held_up.contains(key));
    }

    fn failed(&mut self, message: &Message, reason: &str) {
        let key = message.data.ticket.key.clone();
        let mut waits =
            self.resting.remove(&key).map_or_else(|| growing(WAITS.0, WAITS.1), |rest| rest.waits);
        let wait = waits.next(&mut rand::rng());
        tracing::warn!(message = %message.id, ticket = %key, ?wait, reason, "the webhook failed");
        self.resting.insert(key, Rest { until: Instant::now() + wait, waits });
    }

    async fn deliver(&self, message: &Message) -> Result<(), String> {
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let secret = self.target.secret.resolve().map_err(|error| error.to_string())?;
        let now = Timestamp::now().as_second();
        let key = SigningKey::parse(&secret).map_err(|fault| fault.to_string())?;
        let signature = key.sign(&message.id, now, &body)?;
        let url = self.target.url.clone();
        let is_local = url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
        let client = if is_local { self.http.direct() } else { self.http.client() };
        let request = client
            .post(url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .body(body);
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        // A log-in page or a proxy's own page before the adapter is no acknowledgement, whatever its status.
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if is_html(content_type, b"") {
            return Err("a page in HTML answered in place of the adapter; is a log-in before it?".to_owned());
        }
        let acknowledged = self.mailbox.acknowledge(vec![message.id.clone()]).await;
        acknowledged.map(drop).map_err(|error| error.to_string())
    }
}
