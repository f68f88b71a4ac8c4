//! Who is meant: lockstep's own account, and the accounts behind e-mail addresses.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::wire::WireUser;
use super::{Deployment, Jira};
use crate::connectors::people::{Known, only, several};
use crate::connectors::stated::Stated;
use crate::http::{Call, CallError};

/// Users per page of a search.
const PAGE_SIZE: usize = 50;
/// Pages of a search; the service looks no further than at a thousand users.
const MAX_PAGES: usize = 20;

/// Accounts that were asked for.
#[derive(Debug, Default)]
pub(super) struct Users {
    me: OnceCell<String>,
    /// By e-mail in lower case.
    known: Known<String>,
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
        if let Some(account) = self.users.known.get(&mail) {
            return Ok(Ok(self.user(&account)));
        }
        let found = only(self.assignable(&mail, at).await?);
        Ok(match found {
            Ok(account) => {
                let user = self.user(&account);
                self.users.known.keep(mail, &account);
                Ok(user)
            }
            Err(0) => Err(
                "no user with this e-mail can be assigned here; the account must exist, be active, have the \
                           permission Assignable User, and show its e-mail to lockstep's account"
                    .to_owned(),
            ),
            Err(count) => Err(several(count, "this e-mail and can be assigned here")),
        })
    }

    /// The active accounts with this e-mail that may be assigned. The search also finds names and parts of addresses.
    async fn assignable(&self, mail: &str, at: (&str, &str)) -> Result<Vec<String>, CallError> {
        let operation = "users.find";
        let searched = match self.settings.deployment {
            Deployment::Cloud => "query",
            Deployment::DataCenter => "username",
        };
        let mut accounts = Vec::new();
        for page in 0..MAX_PAGES {
            let (start, most) = ((page * PAGE_SIZE).to_string(), PAGE_SIZE.to_string());
            let query = [at, (searched, mail), ("startAt", &start), ("maxResults", &most)];
            let url = self.url(operation, &["user", "assignable", "search"], &query)?;
            let answer = self.endpoint.send(Call::get(operation, "jira-get", url)).await?;
            let rows: Vec<Stated<WireUser>> = Vec::deserialize(&answer.body).map_err(|_| {
                self.endpoint.malformed(operation, &answer, "the users are no list".to_owned())
            })?;
            let meant = rows.iter().filter_map(Stated::value).filter(|user| {
                user.email_address.text().is_some_and(|own| own.trim().to_lowercase() == mail)
                    && user.active.value() != Some(&false)
            });
            accounts.extend(meant.filter_map(WireUser::account).map(str::to_owned));
            if rows.len() < PAGE_SIZE {
                break;
            }
        }
        Ok(accounts)
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
