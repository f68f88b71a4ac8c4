//! Access tokens: what a door attaches to a request, and how getting one can fail.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

/// How a token goes into the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer`.
    Bearer,
    /// `Authorization: token ...`, as Request Tracker wants it.
    Token,
    /// `Basic`.
    Basic,
}

/// One credential as sent. `Debug` never shows it.
#[derive(Clone)]
pub struct Token {
    scheme: Scheme,
    secret: SecretString,
    serial: u64,
}

impl Token {
    /// A bearer token, for sources outside this room (tests, other token services).
    pub fn bearer(secret: SecretString, serial: u64) -> Self {
        Self { scheme: Scheme::Bearer, secret, serial }
    }

    /// A secret that does not expire by itself.
    pub(crate) fn lasting(scheme: Scheme, secret: SecretString) -> Self {
        Self { scheme, secret, serial: 0 }
    }

    /// Value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> SecretString {
        let scheme = match self.scheme {
            Scheme::Bearer => "Bearer",
            Scheme::Token => "token",
            Scheme::Basic => "Basic",
        };
        SecretString::from(format!("{scheme} {}", self.secret.expose_secret()))
    }

    /// Number of the acquisition this token came from.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether it is the secret itself, and nothing was issued for it.
    pub(crate) fn is_lasting(&self) -> bool {
        self.serial == 0
    }

    /// Whether asking again with `self` after `other` was refused cannot help and may lock the account: the
    /// same password.
    pub(crate) fn is_same_password(&self, other: &Self) -> bool {
        self.is_lasting()
            && self.scheme == other.scheme
            && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?} #{}, [redacted])", self.scheme, self.serial)
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The credential or its registration must be mended by a person. Asked for again after a cool-down of
    /// at least 30 s, or as soon as the secret's file changes.
    #[error("{message}{}; {advice}", code_of(code))]
    Permanent {
        /// `invalid_client` and the like; empty when there is none.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        advice: &'static str,
        /// Rest of the cool-down.
        retry_after: Option<Duration>,
    },
    /// The token service could not be reached or is busy.
    #[error("{message}; lockstep tries again by itself")]
    Transient {
        /// What happened.
        message: String,
        /// Rest of the pause.
        retry_after: Option<Duration>,
    },
}

fn code_of(code: &str) -> String {
    if code.is_empty() { String::new() } else { format!(" ({code})") }
}

impl TokenError {
    pub(crate) fn permanent(message: impl Into<String>, advice: &'static str) -> Self {
        Self::Permanent { code: String::new(), message: message.into(), advice, retry_after: None }
    }

    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }

    /// Whether a person must act.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent { .. })
    }

    /// When the source will ask the token service again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Permanent { retry_after, .. } | Self::Transient { retry_after, .. } => *retry_after,
        }
    }

    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        match &mut self {
            Self::Permanent { retry_after, .. } | Self::Transient { retry_after, .. } => {
                *retry_after = Some(wait);
            }
        }
        self
    }
}

/// Something that yields tokens. Implementations cache.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A token that is good for the next request.
    async fn token(&self) -> Result<Token, TokenError>;

    /// Drops the cached token if it still is `used`. Called after a 401.
    fn invalidate(&self, used: &Token);
}
