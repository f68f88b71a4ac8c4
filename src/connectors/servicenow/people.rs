//! Users and groups by name: looked up once, and kept for a while.

use serde_json::Value;

use super::ServiceNow;
use super::query::{self, Query, is_sys_id};
use super::snapshot::filled;
use crate::connectors::people::{self, Known, several};
use crate::http::CallError;

const LIST: &str = "people.list";

/// `sys_id`s by table and name, in lower case.
pub(super) type People = Known<(&'static str, String)>;

/// A table of people, and the fields that name them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    table: &'static str,
    fields: &'static [&'static str],
}

/// Users that can be assigned to.
pub(super) const USERS: Directory = Directory { table: "sys_user", fields: &["email", "user_name"] };
/// Groups.
pub(super) const GROUPS: Directory = Directory { table: "sys_user_group", fields: &["name"] };

impl ServiceNow {
    /// The `sys_id` of whoever bears a name; the inner error says why nobody does, for people.
    pub(super) async fn look_up(
        &self,
        directory: Directory,
        name: &str,
    ) -> Result<Result<String, String>, CallError> {
        if is_sys_id(name) {
            return Ok(Ok(name.to_owned()));
        }
        let name = match query::value(name) {
            Ok(name) => name.to_lowercase(),
            Err(reason) => return Ok(Err(reason)),
        };
        let known = (directory.table, name.clone());
        if let Some(id) = self.people.get(&known) {
            return Ok(Ok(id));
        }
        let alternatives: Vec<String> =
            directory.fields.iter().map(|field| format!("{field}={name}")).collect();
        let encoded = format!("{}^active=true", alternatives.join("^OR"));
        let fields = [&["sys_id", "active"], directory.fields].concat().join(",");
        let query = Query { encoded: &encoded, fields: &fields, limit: "50" };
        let (rows, _) = self.rows(LIST, directory.table, &query).await?;
        let found = only(&rows, directory, &name);
        if let Ok(id) = &found {
            self.people.keep(known, id);
        }
        Ok(found)
    }
}

/// The one row that bears the name: a row that does not was brought by a dropped condition, and says nothing.
fn only(rows: &[Value], directory: Directory, name: &str) -> Result<String, String> {
    let bears = |row: &&Value| {
        let fields = directory.fields.iter();
        filled(row, "active") != Some("false")
            && fields.filter_map(|field| filled(row, field)).any(|own| own.to_lowercase() == name)
    };
    let found = people::only(rows.iter().filter(bears).filter_map(|row| filled(row, "sys_id")));
    let (table, by) = (directory.table, directory.fields.join(" or "));
    found.map_err(|count| match count {
        0 => format!("{table} has nobody active with this {by} (or lockstep's user may not read it)"),
        count => several(count, &format!("this {by} in {table}")),
    })
}
