//! A token source that asks rarely: cached, refreshed early, one request at a time, cooling down after failures.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::time::Instant;

use super::retry::{Waits, growing};
use super::token::{Token, TokenError, TokenSource};

/// A token as the token service gave it.
pub(crate) struct Fresh {
    pub(crate) secret: SecretString,
    /// How long it is valid from now.
    pub(crate) lifetime: Duration,
    /// When the service wants it renewed, from now.
    pub(crate) refresh_in: Option<Duration>,
}

/// One way to get a token; no caching in here.
#[async_trait]
pub(crate) trait Fetch: Send + Sync {
    async fn fetch(&self) -> Result<Fresh, TokenError>;

    /// Changes when the secret was replaced, which ends a cool-down.
    fn revision(&self) -> u64;
}

struct Held {
    token: Token,
    refresh_at: Instant,
    usable_until: Instant,
}

struct Failed {
    error: TokenError,
    until: Instant,
    revision: u64,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<Failed>,
    serial: u64,
}

/// The growing cool-downs after failures.
struct Pace {
    permanent: Waits,
    transient: Waits,
}

/// The cache around one [`Fetch`].
pub(crate) struct Cached {
    fetch: Box<dyn Fetch>,
    state: Mutex<State>,
    /// Held while a request is under way: single flight.
    flight: tokio::sync::Mutex<Pace>,
}

impl Cached {
    pub(crate) fn new(fetch: Box<dyn Fetch>) -> Self {
        let pace = Pace {
            permanent: growing(Duration::from_secs(30), Duration::from_mins(5)),
            transient: growing(Duration::from_secs(1), Duration::from_mins(1)),
        };
        Self { fetch, state: Mutex::default(), flight: tokio::sync::Mutex::new(pace) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is replaced whole, so a panic elsewhere cannot have left it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer without asking anyone, if there is one.
    fn ready(&self) -> Option<Result<Token, TokenError>> {
        let now = Instant::now();
        let state = self.state();
        if let Some(held) = state.held.as_ref().filter(|h| now < h.refresh_at) {
            return Some(Ok(held.token.clone()));
        }
        let failed = state.failed.as_ref().filter(|f| now < f.until)?;
        if failed.revision != self.fetch.revision() {
            return None;
        }
        let old = state.held.as_ref().filter(|h| now < h.usable_until);
        Some(match old {
            Some(held) => Ok(held.token.clone()),
            None => Err(failed.error.clone().with_retry_after(failed.until - now)),
        })
    }

    /// A token that is due for renewal but still good.
    fn usable(&self) -> Option<Token> {
        let now = Instant::now();
        self.state().held.as_ref().filter(|h| now < h.usable_until).map(|h| h.token.clone())
    }

    fn keep(&self, fresh: Fresh) -> Token {
        let now = Instant::now();
        let mut state = self.state();
        state.serial += 1;
        let token = Token::bearer(fresh.secret, state.serial);
        let (refresh, usable) = schedule(fresh.lifetime, fresh.refresh_in);
        state.held =
            Some(Held { token: token.clone(), refresh_at: now + refresh, usable_until: now + usable });
        state.failed = None;
        token
    }

    fn note_failure(&self, error: &TokenError, pace: &mut Pace, revision: u64) -> TokenError {
        let waits = if error.is_permanent() { &mut pace.permanent } else { &mut pace.transient };
        let wait = waits.next(&mut rand::rng()).max(error.retry_after().unwrap_or_default());
        tracing::warn!(%error, permanent = error.is_permanent(), ?wait, "no access token");
        let error = error.clone().with_retry_after(wait);
        self.state().failed = Some(Failed { error: error.clone(), until: Instant::now() + wait, revision });
        error
    }
}

#[async_trait]
impl TokenSource for Cached {
    async fn token(&self) -> Result<Token, TokenError> {
        if let Some(answer) = self.ready() {
            return answer;
        }
        let mut pace = match (self.flight.try_lock(), self.usable()) {
            (Ok(pace), _) => pace,
            // Someone renews it already, and until then the old one does.
            (Err(_), Some(token)) => return Ok(token),
            (Err(_), None) => self.flight.lock().await,
        };
        // Whoever flew before may have brought the answer.
        if let Some(answer) = self.ready() {
            return answer;
        }
        // Taken before the attempt: a secret that is replaced meanwhile counts as new.
        let revision = self.fetch.revision();
        match self.fetch.fetch().await {
            Ok(fresh) => {
                pace.permanent.reset();
                pace.transient.reset();
                Ok(self.keep(fresh))
            }
            Err(error) => {
                let error = self.note_failure(&error, &mut pace, revision);
                self.usable().ok_or(error)
            }
        }
    }

    fn invalidate(&self, used: &Token) {
        let mut state = self.state();
        // Only the token that was refused: another call may have renewed it already.
        if state.held.as_ref().is_some_and(|h| h.token.serial() == used.serial()) {
            state.held = None;
        }
    }
}

/// When to renew and when to stop using a token, both from now (graph-security.md 1.6): at `refresh_in`, at
/// half life of long ones, else 5 minutes before the end, or at four fifths of short ones.
fn schedule(lifetime: Duration, refresh_in: Option<Duration>) -> (Duration, Duration) {
    const LONG: Duration = Duration::from_hours(2);
    let usable = lifetime.saturating_sub((lifetime / 20).min(Duration::from_secs(30)));
    let refresh = match refresh_in {
        Some(wanted) if !wanted.is_zero() => wanted,
        _ if lifetime >= LONG => lifetime / 2,
        _ => lifetime.saturating_sub((lifetime / 5).min(Duration::from_mins(5))),
    };
    (refresh.min(usable), usable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const WORK: Duration = Duration::from_secs(3);

    /// Takes three seconds per request; `broken` decides how it ends.
    #[derive(Default)]
    struct Slow {
        asked: AtomicU64,
        broken: Mutex<Option<TokenError>>,
    }

    #[async_trait]
    impl Fetch for Arc<Slow> {
        async fn fetch(&self) -> Result<Fresh, TokenError> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(WORK).await;
            match self.broken.lock().unwrap().clone() {
                Some(error) => Err(error),
                None => Ok(Fresh { secret: "t".into(), lifetime: Duration::from_hours(1), refresh_in: None }),
            }
        }

        fn revision(&self) -> u64 {
            0
        }
    }

    fn slow() -> (Arc<Slow>, Arc<Cached>) {
        let slow = Arc::new(Slow::default());
        (Arc::clone(&slow), Arc::new(Cached::new(Box::new(slow))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_request_leaves_the_way_free() {
        let (slow, cached) = slow();
        assert!(tokio::time::timeout(WORK / 2, cached.token()).await.is_err());
        assert_eq!(cached.token().await.unwrap().serial(), 1);
        assert_eq!(slow.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_one_waits_for_an_early_renewal() {
        let (slow, cached) = slow();
        cached.token().await.unwrap();
        tokio::time::advance(Duration::from_secs(3400)).await;
        let renewing = tokio::spawn({
            let cached = Arc::clone(&cached);
            async move { cached.token().await.unwrap().serial() }
        });
        tokio::task::yield_now().await;
        let before = Instant::now();
        assert_eq!(cached.token().await.unwrap().serial(), 1);
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(renewing.await.unwrap(), 2);
        assert_eq!(slow.asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn cool_downs_grow_and_keep_the_rate_low() {
        let cases = [(TokenError::permanent("p", "a"), 10..=15), (TokenError::transient("t"), 30..=60)];
        for (error, expected) in cases {
            let (slow, cached) = slow();
            *slow.broken.lock().unwrap() = Some(error);
            let start = Instant::now();
            while start.elapsed() < Duration::from_mins(45) {
                assert!(cached.token().await.unwrap_err().retry_after().is_some());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let asked = slow.asked.load(Ordering::SeqCst);
            assert!(expected.contains(&asked), "{asked}");
        }
    }

    #[test]
    fn renewal_times() {
        let s = Duration::from_secs;
        assert_eq!(schedule(s(3599), None), (s(3299), s(3569)));
        assert_eq!(schedule(s(86_400), None), (s(43_200), s(86_370)));
        assert_eq!(schedule(s(7200), Some(s(100))), (s(100), s(7170)));
        assert_eq!(schedule(s(3600), Some(s(9999))), (s(3570), s(3570)));
        assert_eq!(schedule(s(100), None), (s(80), s(95)));
        assert_eq!(schedule(s(0), None), (s(0), s(0)));
    }
}
