//! What all ticket systems' settings have in common.

use std::time::Duration;

use url::Url;

use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::{SystemName, TICKET_KEY};

/// A key that no ticket has: a look-up of it must find nothing, else a look-up proves nothing.
pub(super) const IMPOSSIBLE_KEY: &str = "lockstep-00000000000000000000000000000000";

/// Whether a text is a key of ours: the prefix and 32 hexadecimal digits. Anything else must not get into a query: a
/// blank one would match every ticket without (`ticketing.md` F1).
pub(super) fn is_key(text: &str) -> bool {
    text.strip_prefix(TICKET_KEY).is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Whether a page that came in place of an answer asks for a log-in, by the words in which the client tells of it.
pub(super) fn is_log_in_page(message: &str) -> bool {
    let message = message.to_lowercase();
    let asks = ["login", "log in", "sign in", "anmeld"].iter().any(|word| message.contains(word));
    message.contains("web page") && asks
}

/// What all ticket systems' settings have in common.
#[derive(Debug, Clone)]
pub struct TicketSystem {
    /// The system's configured name.
    pub name: SystemName,
    /// Its root.
    pub url: Url,
    /// How lockstep proves who it is.
    pub login: Login,
    /// How long until a read, and a look-up by key, is certain to show an earlier write.
    pub settle: Duration,
    /// How far lists reach back before the cursor, for what became visible late.
    pub overlap: Duration,
    /// Multiplies the published call limits; 1.0 changes nothing.
    pub budget_factor: f64,
    /// Who may read the comments that lockstep writes.
    pub comments: Audience,
    /// What its webhooks prove themselves with; without it none are taken.
    pub hook: Option<SecretRef>,
}

/// Who may read a comment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Audience {
    /// Those who work on the ticket.
    #[default]
    Internal,
    /// The customer, too.
    Public,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_ours_are_keys() {
        assert!(is_key("lockstep-0123456789abcdef0123456789abcdef") && is_key(IMPOSSIBLE_KEY));
        let long = format!("{IMPOSSIBLE_KEY}0");
        let upper = "lockstep-0123456789ABCDEF0123456789ABCDEF";
        for odd in
            ["", " ", "lockstep", "lockstep-", "xdr:1", "lockstep-01234567^NQactive=true", &long, upper]
        {
            assert!(!is_key(odd), "{odd}");
        }
        for odd in ["'", "\"", "\n", " ", "é"] {
            assert!(
                !is_key(&format!("{}{odd}", &IMPOSSIBLE_KEY[..IMPOSSIBLE_KEY.len() - odd.len()])),
                "{odd}"
            );
        }
    }
}
