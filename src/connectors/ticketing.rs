//! What all ticket systems' settings have in common.

use std::time::Duration;

use url::Url;

use crate::http::Login;
use crate::http::secret::SecretRef;
use crate::model::SystemName;

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
