//! Owners: e-mail addresses in the other systems, user names in a change of a ticket.

use serde_json::{Value, json};

use super::{PER_PAGE, RequestTracker};
use crate::connectors::Declined;
use crate::connectors::people::{only, several};
use crate::http::CallError;
use crate::model::{Field, Native};

/// The name of the user that stands for nobody.
pub(super) const NOBODY: &str = "Nobody";

impl RequestTracker {
    /// The user name under which an owner goes into a write, or why none can. A change of a ticket takes names only,
    /// and says "That user does not exist" to an e-mail address (seen on 5.0.3). One call, or two.
    pub(super) async fn owner_name(&self, owner: &Native) -> Result<Result<String, Declined>, CallError> {
        let Native::Text(account) = owner else { return Ok(Ok(NOBODY.to_owned())) };
        for field in ["EmailAddress", "Name"] {
            match self.user(field, account).await? {
                Ok(name) => return Ok(Ok(name)),
                Err(0) => {}
                Err(count) => {
                    let reason = several(count, "this e-mail address in Request Tracker");
                    return Ok(Err(Declined { field: Field::Owner, reason }));
                }
            }
        }
        let reason = format!(
            "Request Tracker has no user with this e-mail address or name; create one who may own tickets in queue {}",
            self.settings.queue
        );
        Ok(Err(Declined { field: Field::Owner, reason }))
    }

    /// The only user with this value, or how many have it. Disabled users are not listed.
    async fn user(&self, field: &str, value: &str) -> Result<Result<String, usize>, CallError> {
        let operation = "users.find";
        let wanted = json!([{"field": field, "operator": "=", "value": value}]).to_string();
        let query = [("query", wanted.as_str()), ("fields", "Name,EmailAddress"), ("per_page", PER_PAGE)];
        let answer = self.ask(operation, &["users"], &query).await?;
        let rows = self.items(operation, &answer)?;
        let same = |row: &&Value| row[field].as_str().is_some_and(|own| own.eq_ignore_ascii_case(value));
        Ok(only(rows.iter().filter(same).filter_map(|row| row["Name"].as_str())))
    }
}
