//! What webhook bodies are read with, and the hook of services that have none of their own.

use serde_json::Value;

use super::{Hook, HookProof};
use crate::http::secret::SecretRef;
use crate::model::{RecordId, RecordKind};

/// The header in which senders that cannot sign give the secret itself.
pub(super) const SECRET_HEADER: &str = "x-lockstep-hook-secret";
/// The header in which they may give an id of the delivery.
pub(super) const DELIVERY_HEADER: &str = "x-lockstep-delivery";
/// Longest id that a hint may name.
const MAX_ID: usize = 128;
/// Most ids of one list.
const MAX_IDS: usize = 100;

/// The hook of a service that has none of its own, so that the sender is something the operator sets up.
pub(super) fn shared_hook(
    secret: Option<&SecretRef>,
    records: fn(&Value) -> Vec<(RecordKind, RecordId)>,
) -> Option<Hook> {
    Some(Hook {
        proof: HookProof::Shared(SECRET_HEADER),
        secret: secret?.clone(),
        records,
        delivery_id: Some(DELIVERY_HEADER),
    })
}

/// The id or ids that a property gives: a text, a number, or a list of those. The last segment counts, where it is an ARM
/// id. What no id can look like is left out, since it would become part of an address.
pub(super) fn ids(value: &Value) -> impl Iterator<Item = RecordId> {
    let values = match value {
        Value::Array(list) => list.as_slice(),
        single => std::slice::from_ref(single),
    };
    values.iter().take(MAX_IDS).filter_map(|value| match value {
        Value::String(text) => id(text),
        Value::Number(number) => id(&number.to_string()),
        _ => None,
    })
}

fn id(text: &str) -> Option<RecordId> {
    let text = text.trim();
    let text = if text.starts_with("/subscriptions/") { text.rsplit('/').next()? } else { text };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (text.len() <= MAX_ID && text.chars().all(plain)).then(|| RecordId::new(text).ok())?
}
