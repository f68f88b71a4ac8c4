//! Permissions, asked for behind a refusal: Jira does not say of one that it is for the lack of a permission, but that a field
//! is on no screen, that there is no transition, or something in the language of the account (`ticketing.md` 2.3, 2.4).

use super::Jira;
use crate::http::{Call, CallError};

const ASKED: &str = "permissions.get";

impl Jira {
    /// The error of a write that was refused: a denial where lockstep's account lacks the permission for it. `at` is an
    /// issue, `("issueId", id)`, or the project, `("projectKey", key)`. One call.
    pub(super) async fn unless_lacking(
        &self,
        permission: &str,
        at: (&str, &str),
        refused: CallError,
    ) -> CallError {
        if !self.lacks(permission, at).await {
            return refused;
        }
        let what = format!(
            "lockstep's account lacks {permission} in {}; grant it in the project's permission scheme ({})",
            self.settings.project,
            refused.words()
        );
        self.endpoint.to_mend(refused.site().operation, what)
    }

    /// Whether Jira says so; that it cannot be asked proves nothing.
    async fn lacks(&self, permission: &str, at: (&str, &str)) -> bool {
        let Ok(url) = self.url(ASKED, &["mypermissions"], &[at, ("permissions", permission)]) else {
            return false;
        };
        let answer = self.endpoint.send(Call::get(ASKED, "jira-get", url)).await;
        answer.is_ok_and(|answer| answer.body["permissions"][permission]["havePermission"] == false)
    }
}
