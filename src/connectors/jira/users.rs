//! Who is meant: lockstep's own account, and the accounts behind e-mail addresses.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::wire::WireUser;
use super::{Deployment, Jira};
use crate::connectors::stated::Stated;
use crate::http::{Call, CallError};

/// Accounts that are remembered.
const MAX_KNOWN: usize = 1_000;

/// Accounts that were asked for.
#[derive(Debug, Default)]
pub(super) struct Users {
    me: OnceCell<String>,
    /// By e-mail in lower case.
    known: Mutex<HashMap<String, String>>,
}

impl Users {
    fn known(&self, mail: &str) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(mail).cloned()
    }

    fn learn(&self, mail: String, account: String) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(mail, account);
    }
}

impl Jira {
    /// The account that lockstep works as; asked once.
    pub(super) async fn me(&self) -> Result<&str, CallError> {
        let asked = self.users.me.get_or_try_init(|| async {
            let user = self.myself().await?;
            Ok::<_, CallError>(user.account().unwrap_or_default().to_owned())
        });
        asked.await.map(String::as_str)
    }

    /// What Jira says of the account that lockstep works as.
    pub(super) async fn myself(&self) -> Result<WireUser, CallError> {
        let operation = "users.me";
        let url = self.url(operation, &["myself"], &[])?;
        let answer = self.endpoint.send(Call::get(operation, "jira-get", url)).await?;
        let user = WireUser::deserialize(&answer.body).ok().filter(|user| user.account().is_some());
        let bad = || "it names no account; does the address lead to Jira?".to_owned();
        user.ok_or_else(|| self.endpoint.malformed(operation, &answer, bad()))
    }

    /// The assignee with this e-mail as a field wants it, or why there is none. `at` narrows the search to those who
    /// may be assigned: `("issueKey", key)` or `("project", key)`.
    pub(super) async fn assignee(
        &self,
        mail: &str,
        at: (&str, &str),
    ) -> Result<Result<Value, String>, CallError> {
        let mail = mail.trim().to_lowercase();
        if let Some(account) = self.users.known(&mail) {
            return Ok(Ok(self.user(&account)));
        }
        let operation = "users.find";
        let searched = match self.settings.deployment {
            Deployment::Cloud => "query",
            Deployment::DataCenter => "username",
        };
        let query = [at, (searched, mail.as_str()), ("maxResults", "50")];
        let url = self.url(operation, &["user", "assignable", "search"], &query)?;
        let answer = self.endpoint.send(Call::get(operation, "jira-get", url)).await?;
        let rows: Vec<Stated<WireUser>> = Vec::deserialize(&answer.body)
            .map_err(|_| self.endpoint.malformed(operation, &answer, "the users are no list".to_owned()))?;
        // The search also finds names and parts of addresses.
        let found = rows.iter().filter_map(Stated::value).find(|user| {
            user.email_address.text().is_some_and(|own| own.trim().to_lowercase() == mail)
                && user.active.value() != Some(&false)
        });
        let Some(account) = found.and_then(WireUser::account) else {
            let why = "no user with this e-mail can be assigned here; the account must exist, be active, have the \
                       permission Assignable User, and show its e-mail to lockstep's account";
            return Ok(Err(why.to_owned()));
        };
        self.users.learn(mail, account.to_owned());
        Ok(Ok(self.user(account)))
    }

    /// A user as a field wants it.
    fn user(&self, account: &str) -> Value {
        match self.settings.deployment {
            Deployment::Cloud => json!({"accountId": account}),
            Deployment::DataCenter => json!({"name": account}),
        }
    }

    /// Nobody as a field wants it.
    pub(super) fn nobody(&self) -> Value {
        match self.settings.deployment {
            Deployment::Cloud => Value::Null,
            Deployment::DataCenter => json!({"name": null}),
        }
    }
}
