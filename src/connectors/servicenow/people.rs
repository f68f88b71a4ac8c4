//! Users and groups by name: looked up once, and kept for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ServiceNow;
use super::query::{self, Query, is_sys_id};
use super::snapshot::filled;
use crate::http::CallError;

/// How long a name is known for; people change names rarely.
const LIFETIME: Duration = Duration::from_mins(30);
/// Names kept.
const MOST: usize = 1_000;

const LIST: &str = "people.list";

/// A table and a name in it, in lower case.
type Name = (&'static str, String);

/// `sys_id`s by name, and since when they are known.
#[derive(Debug, Default)]
pub(super) struct People(Mutex<HashMap<Name, (Instant, String)>>);

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
        let query = Query { encoded: &encoded, fields: &fields, limit: "5" };
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
    let mut ids: Vec<&str> = rows.iter().filter(bears).filter_map(|row| filled(row, "sys_id")).collect();
    ids.sort_unstable();
    ids.dedup();
    let (table, by) = (directory.table, directory.fields.join(" or "));
    match ids[..] {
        [id] => Ok(id.to_owned()),
        [] => {
            Err(format!("{table} has nobody active with {by} `{name}` (or lockstep's user may not read it)"))
        }
        _ => Err(format!("{table} has several with {by} `{name}`; it is not known which is meant")),
    }
}

impl People {
    fn get(&self, known: &Name) -> Option<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(known).filter(|(since, _)| since.elapsed() < LIFETIME).map(|(_, id)| id.clone())
    }

    fn keep(&self, known: Name, id: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(known, (Instant::now(), id.to_owned()));
    }
}
