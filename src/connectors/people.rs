//! Accounts by address or name: asked for once in a while, and never guessed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an account is known for. People change addresses rarely, but a second account with one comes unannounced.
const LIFETIME: Duration = Duration::from_mins(30);
/// Accounts kept.
const MOST: usize = 1_000;

/// Accounts that were found, by what they were asked for as.
#[derive(Debug)]
pub(super) struct Known<K>(Mutex<HashMap<K, (Instant, String)>>);

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Known<K> {
    /// The account, if it was found lately.
    pub(super) fn get(&self, asked: &K) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(asked).filter(|(since, _)| since.elapsed() < LIFETIME).map(|(_, account)| account.clone())
    }

    /// Remembers an account.
    pub(super) fn keep(&self, asked: K, account: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(asked, (Instant::now(), account.to_owned()));
    }
}

/// The one account among those that bear what was asked for, or how many there are: of several none is taken, since
/// nothing says which is meant.
pub(super) fn only(accounts: impl IntoIterator<Item = impl Into<String>>) -> Result<String, usize> {
    let mut accounts: Vec<String> = accounts.into_iter().map(Into::into).collect();
    accounts.sort_unstable();
    accounts.dedup();
    match accounts.len() {
        1 => accounts.pop().ok_or(0),
        count => Err(count),
    }
}

/// Why none of several accounts is taken. It names how many there are, and nobody.
pub(super) fn several(count: usize, what: &str) -> String {
    format!("{count} active accounts have {what}; it is not known which is meant, so none is taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_accounts_none_is_taken() {
        assert_eq!(only(["a"]), Ok("a".to_owned()));
        assert_eq!(only(["a", "a"]), Ok("a".to_owned()));
        assert_eq!(only(["a", "b", "a"]), Err(2));
        assert_eq!(only([""; 0]), Err(0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_is_known_for_a_while() {
        let known = Known::default();
        known.keep("ana", "1");
        assert_eq!(known.get(&"ana"), Some("1".to_owned()));
        tokio::time::advance(LIFETIME).await;
        assert_eq!(known.get(&"ana"), None);
    }
}
