//! What `lockstep check --online` tries.

use jiff::SignedDuration;

use super::key::CORRELATION;
use super::people::{Directory, GROUPS, USERS};
use super::query::{Query, time};
use super::snapshot::filled;
use super::{ServiceNow, journal};
use crate::connectors::Probe;
use crate::connectors::text::shown;
use crate::http::CallError;
use crate::translate::Translation;

/// How far a time may lie ahead of the service's own clock.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(2);

fn probe(what: &str, result: Result<String, String>) -> Probe {
    Probe { what: what.to_owned(), result }
}

/// An error with what to grant.
fn needing(error: &CallError, grant: &str) -> String {
    match error {
        CallError::Denied { .. } => format!("{error}. Needed: {grant}"),
        error => error.to_string(),
    }
}

impl ServiceNow {
    /// Every finding; without a token, that one only.
    pub(super) async fn probes(&self) -> Vec<Probe> {
        let token = self.endpoint.probe_token().await;
        if token.result.is_err() {
            return vec![token];
        }
        let key = self.prove_key_field().await;
        let key = key.map(|()| format!("{} can be relied on", self.settings.look_up_field()));
        let mut all = vec![
            token,
            probe("list tickets", self.probe_list().await),
            probe(
                "key field",
                key.map_err(|error| needing(&error, "read access to the field, for lockstep's user")),
            ),
            probe("comments", self.probe_journal().await),
            probe("close codes", self.probe_codes().await),
        ];
        all.extend(self.probe_person("caller", USERS, self.settings.caller.as_deref()).await);
        all.extend(
            self.probe_person("assignment group", GROUPS, self.settings.assignment_group.as_deref()).await,
        );
        let result = Ok(format!(
            "not tried, since trying would write; lockstep's user needs the role {} and write access to {CORRELATION}",
            self.role()
        ));
        all.push(probe("write permission", result));
        all
    }

    fn role(&self) -> &'static str {
        match self.settings.table {
            super::Table::Incident => "sn_incident_write (or itil)",
            super::Table::SecurityIncident => "sn_si.analyst",
        }
    }

    /// Whether tickets can be listed, and their times are UTC.
    async fn probe_list(&self) -> Result<String, String> {
        let fields = "sys_id,sys_updated_on";
        let query = Query { encoded: "ORDERBYDESCsys_updated_on", fields, limit: "1" };
        let table = self.settings.table.name();
        let (rows, answer) =
            self.rows("tickets.list", table, &query).await.map_err(|error| needing(&error, self.role()))?;
        let Some(row) = rows.first() else {
            return Err(format!(
                "no ticket of {table} is shown to lockstep's user; it needs {}. If the table is new, open a first ticket \
                 by hand",
                self.role()
            ));
        };
        let newest = filled(row, "sys_updated_on")
            .ok_or("sys_updated_on is not shown; let lockstep's user read it")?;
        let newest = time(newest)?;
        match answer.date {
            Some(now) if newest > now + TOLERANCE => Err(format!(
                "the newest ticket is from {newest}, after the service's own clock ({now}): its times do not come in \
                 UTC; set the time zone of lockstep's user to GMT"
            )),
            _ => Ok("times are UTC".to_owned()),
        }
    }

    async fn probe_journal(&self) -> Result<String, String> {
        let grant = format!("read access to {}, for lockstep's user", journal::TABLE);
        let encoded = format!("name={}^elementINcomments,work_notes", self.settings.table.name());
        let query = Query { encoded: &encoded, fields: "sys_id,value", limit: "1" };
        self.rows("comments.list", journal::TABLE, &query).await.map_err(|error| needing(&error, &grant))?;
        Ok("the journal can be read".to_owned())
    }

    /// Whether the codes that the table writes are there.
    async fn probe_codes(&self) -> Result<String, String> {
        let codes = self.read_codes().await.map_err(|error| needing(&error, "read access to sys_choice"))?;
        let known: Vec<String> = codes.labels().collect();
        if known.is_empty() {
            return Ok("none are shown (let lockstep's user read sys_choice); labels are taken for values"
                .to_owned());
        }
        let table =
            Translation::builtin(self.settings.table.translation()).map_err(|error| error.to_string())?;
        let missing: Vec<String> = crate::model::Verdict::all()
            .filter_map(|verdict| {
                table.write(crate::model::RecordKind::Ticket, &crate::model::Value::Verdict(verdict))
            })
            .map(|native| native.to_string())
            .filter(|label| codes.value(self.settings.table, label).is_err())
            .collect();
        match missing.first() {
            None => Ok(format!("{} codes", known.len())),
            Some(first) => Err(format!(
                "`{first}` is none of this instance's codes ({}); unless `translation` names a table of your own, \
                 closes will be refused",
                known.join(", ")
            )),
        }
    }

    async fn probe_person(&self, what: &str, directory: Directory, name: Option<&str>) -> Option<Probe> {
        let found = self.look_up(directory, name?).await;
        let result = match found {
            Ok(found) => found.map(|id| shown(&id)),
            Err(error) => Err(needing(&error, "read access to sys_user and sys_user_group")),
        };
        Some(probe(what, result))
    }
}
