//! Lists and records as the Table API shows them (`ticketing.md` 1.2).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::answer::{cut_off, error, not_found};
use super::query::Query;
use super::record::{COLUMNS, Record, codes, stamp, sys_id};
use super::settings::LostRole;
use super::{SYSTEM, ServiceNow};
use crate::emulator::wire::{Refusal, Reply, Request};

/// The limit where none is asked for.
const DEFAULT_LIMIT: usize = 10_000;

/// A row of any table: its values, and whether access rules hide it.
struct Row {
    fields: BTreeMap<String, String>,
    hidden: bool,
}

impl Row {
    fn get(&self, field: &str) -> String {
        self.fields.get(field).cloned().unwrap_or_default()
    }
}

impl ServiceNow {
    /// One page of a table. The limit counts rows before those that access rules hide are taken out.
    pub(super) fn list(&mut self, table: &str, request: &Request, is_stale: bool, base_url: &str) -> Reply {
        let text = request.option("sysparm_query").unwrap_or_default();
        let query = {
            let columns = self.columns(table);
            let Some(columns) = columns else { return error(400, "Invalid table", table) };
            Query::parse(text, &|field| columns.iter().any(|column| column == field))
        };
        if table == "sys_user" {
            let mails: Vec<String> =
                query.values().filter(|v| self.settings.has_account(v)).map(str::to_owned).collect();
            for mail in mails {
                self.user(&mail);
            }
        }
        let mut rows = self.rows(table, is_stale);
        rows.retain(|row| query.matches(&|field| row.get(field)));
        if query.is_bad && self.settings.strict_queries {
            rows.clear();
        }
        rows.sort_by(|a, b| query.compare(&|field| a.get(field), &|field| b.get(field)));
        let number = |name: &str| request.option(name).and_then(|text| text.parse::<usize>().ok());
        let cap = self.settings.page_cap.unwrap_or(usize::MAX);
        let limit = number("sysparm_limit").unwrap_or(DEFAULT_LIMIT).min(cap).max(1);
        let (offset, total) = (number("sysparm_offset").unwrap_or(0), rows.len());
        let page = rows.iter().skip(offset).take(limit).filter(|row| !row.hidden);
        let mut result: Vec<Value> = page.map(|row| self.render(row, request)).collect();
        let body = match self.settings.cut_lists {
            Some(rows) if is_ticket_table(table) => {
                result.truncate(rows);
                cut_off(&result)
            }
            _ => json!({ "result": result }),
        };
        let mut reply = Reply::json(200, body);
        let headers = self.settings.page_headers;
        if headers && request.option("sysparm_no_count") != Some("true") {
            reply = reply.with("x-total-count", total.to_string());
        }
        if headers && request.option("sysparm_suppress_pagination_header") != Some("true") {
            let address = format!("{base_url}/{}/api/now/table/{table}", SYSTEM.as_str());
            reply = reply.with("link", links(&address, request, (offset, limit, total)));
        }
        reply
    }

    /// One record.
    pub(super) fn get(
        &self,
        table: &str,
        id: &str,
        request: &Request,
        is_stale: bool,
    ) -> Result<Reply, Refusal> {
        let versions = self.find(id).ok_or_else(not_found)?;
        let record = if is_stale { versions.previous() } else { versions.current() };
        let lost = matches!(self.settings.lost_role, Some(LostRole::Hidden | LostRole::Filtered));
        if record.table != table || record.hidden || lost {
            return Err(not_found());
        }
        Ok(Reply::json(200, json!({ "result": self.render(&self.row(record), request) })))
    }

    /// The columns of a table that there are.
    fn columns(&self, table: &str) -> Option<Vec<String>> {
        let fixed: &[&str] = match table {
            "incident" | "sn_si_incident" => {
                let own = self.settings.custom_fields.iter().cloned();
                return Some(super::record::COLUMNS.iter().map(|c| (*c).to_owned()).chain(own).collect());
            }
            "sys_user" => &["sys_id", "email", "user_name", "name", "active"],
            "sys_user_group" => &["sys_id", "name", "active"],
            "sys_choice" => &["sys_id", "name", "element", "value", "label", "inactive", "language"],
            "sys_journal_field" => {
                &["sys_id", "name", "element", "element_id", "value", "sys_created_on", "sys_created_by"]
            }
            _ => return None,
        };
        Some(fixed.iter().map(|column| (*column).to_owned()).collect())
    }

    fn rows(&self, table: &str, is_stale: bool) -> Vec<Row> {
        let records = || {
            let versions = self.records.iter().map(|(_, versions)| versions);
            versions.map(move |versions| if is_stale { versions.previous() } else { versions.current() })
        };
        let mut rows: Vec<Row> = match table {
            "sys_user" => self.people(),
            "sys_user_group" => ["SOC", "Service Desk"].iter().map(|name| group(name)).collect(),
            "sys_choice" => ["incident", "sn_si_incident"].iter().flat_map(|t| self.choices(t)).collect(),
            "sys_journal_field" => records().flat_map(journal).collect(),
            _ => {
                let own = records().filter(|record| record.table == table).map(|record| self.row(record));
                own.chain([self.with_own_columns(foreign(table))]).collect()
            }
        };
        let follows_role = is_ticket_table(table) || table == "sys_journal_field";
        let lost = self.settings.lost_role.filter(|_| follows_role);
        if lost == Some(LostRole::Filtered) {
            rows.clear();
        }
        let hidden = self.settings.hidden_tables.iter().any(|hidden| hidden == table);
        if hidden || lost == Some(LostRole::Hidden) {
            for row in &mut rows {
                row.hidden = true;
            }
        }
        rows
    }

    /// Users, and the second accounts of those who have two.
    fn people(&self) -> Vec<Row> {
        let shared = self.users.values().filter(|mail| self.settings.shared_emails.contains(mail));
        let second = shared.map(|mail| {
            let mut row = user(&sys_id(&format!("second user {mail}")), mail);
            row.fields.insert("user_name".to_owned(), format!("admin.{mail}"));
            row
        });
        self.users.iter().map(|(id, mail)| user(id, mail)).chain(second).collect()
    }

    fn row(&self, record: &Record) -> Row {
        let mut fields = record.fields.clone();
        if let Some(mail) = self.users.get(record.get("assigned_to")) {
            fields.insert("assigned_to.email".to_owned(), mail.clone());
            fields.insert("assigned_to.user_name".to_owned(), mail.clone());
        }
        self.with_own_columns(Row { fields, hidden: record.hidden })
    }

    /// A column of the customer's own is there on every ticket, empty where nobody has filled it.
    fn with_own_columns(&self, mut row: Row) -> Row {
        for column in &self.settings.custom_fields {
            row.fields.entry(column.clone()).or_default();
        }
        row
    }

    fn choices(&self, table: &str) -> Vec<Row> {
        let codes = codes(table, self.settings.codes).iter();
        codes
            .map(|(value, label, _)| {
                row(&[
                    ("sys_id", &sys_id(&format!("choice {table} {value}"))),
                    ("name", table),
                    ("element", "close_code"),
                    ("value", value),
                    ("label", label),
                    ("inactive", "false"),
                    ("language", "en"),
                ])
            })
            .collect()
    }

    /// The fields that were asked for; what may not be read, or does not exist, is left out.
    fn render(&self, row: &Row, request: &Request) -> Value {
        if self.settings.lost_role == Some(LostRole::Bare) && row.fields.contains_key("state") {
            return json!({});
        }
        let asked = request.option("sysparm_fields").filter(|text| !text.is_empty());
        let names: Vec<String> = match asked {
            Some(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
            None => row.fields.keys().filter(|name| !name.contains('.')).cloned().collect(),
        };
        let exists = |name: &String| row.fields.contains_key(name) || name.starts_with("assigned_to.");
        let readable = |name: &String| !self.settings.hidden_fields.contains(name);
        let fields = names.into_iter().filter(|name| exists(name) && readable(name));
        let shown = fields.map(|name| {
            let value = self.shape(&name, &row.get(&name), request);
            (name, value)
        });
        Value::Object(shown.collect::<Map<_, _>>())
    }

    fn shape(&self, name: &str, value: &str, request: &Request) -> Value {
        let display = || self.display(name, value);
        match request.option("sysparm_display_value") {
            Some("true") => json!(display()),
            Some("all") => json!({"display_value": display(), "value": value}),
            _ => {
                let bare = request.option("sysparm_exclude_reference_link") == Some("true");
                let is_reference = matches!(name, "assigned_to" | "caller_id" | "assignment_group");
                if bare || !is_reference || value.is_empty() {
                    return json!(value);
                }
                json!({"link": format!("https://instance/api/now/table/sys_user/{value}"), "value": value})
            }
        }
    }

    /// What people see: local times, names instead of ids, labels instead of values.
    fn display(&self, name: &str, value: &str) -> String {
        if name.ends_with("_on") || name.ends_with("_at") {
            let at: Option<Timestamp> = format!("{}Z", value.replace(' ', "T")).parse().ok();
            #[allow(clippy::cast_possible_truncation)]
            let offset = SignedDuration::from_secs((self.settings.display_offset_hours * 3600.0) as i64);
            return at.map_or_else(|| value.to_owned(), |at| stamp(at + offset));
        }
        let all = ["incident", "sn_si_incident"].map(|table| codes(table, self.settings.codes));
        match name {
            "close_code" => {
                all.iter().copied().flatten().find(|(v, _, _)| *v == value).map(|(_, label, _)| *label)
            }
            _ => self.users.get(value).map(String::as_str),
        }
        .unwrap_or(value)
        .to_owned()
    }
}

fn row(fields: &[(&str, &str)]) -> Row {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Row { fields, hidden: false }
}

/// A ticket of somebody else's: no table of an instance in use is empty.
fn foreign(table: &str) -> Row {
    let mut fields: BTreeMap<String, String> =
        COLUMNS.iter().map(|column| ((*column).to_owned(), String::new())).collect();
    let created = "2026-01-05 09:00:00";
    for (field, value) in [
        ("sys_id", &*sys_id(&format!("foreign {table}"))),
        ("number", "INC0000001"),
        ("state", if table == "incident" { "2" } else { "16" }),
        ("short_description", "Printer on floor 3"),
        ("impact", "3"),
        ("urgency", "3"),
        ("sys_created_on", created),
        ("sys_updated_on", created),
        ("sys_updated_by", "ana"),
        ("sys_mod_count", "1"),
    ] {
        fields.insert(field.to_owned(), value.to_owned());
    }
    Row { fields, hidden: false }
}

fn is_ticket_table(table: &str) -> bool {
    matches!(table, "incident" | "sn_si_incident")
}

fn user(id: &str, mail: &str) -> Row {
    row(&[("sys_id", id), ("email", mail), ("user_name", mail), ("name", mail), ("active", "true")])
}

fn group(name: &str) -> Row {
    row(&[("sys_id", &sys_id(&format!("group {name}"))), ("name", name), ("active", "true")])
}

fn journal(record: &Record) -> Vec<Row> {
    let entries = record.journal.iter();
    entries
        .map(|entry| Row {
            hidden: record.hidden,
            ..row(&[
                ("sys_id", &entry.sys_id),
                ("name", &record.table),
                ("element", &entry.element),
                ("element_id", record.get("sys_id")),
                ("value", &entry.text),
                ("sys_created_on", &stamp(entry.at)),
                ("sys_created_by", &entry.by),
            ])
        })
        .collect()
}

/// The `Link` header: first, previous, next and last page.
fn links(address: &str, request: &Request, (offset, limit, total): (usize, usize, usize)) -> String {
    let link = |offset: usize, rel: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(request.query.iter().filter(|(name, _)| name != "sysparm_offset"));
        format!("<{address}?{}&sysparm_offset={offset}>;rel=\"{rel}\"", query.finish())
    };
    let mut links = vec![link(0, "first")];
    if offset > 0 {
        links.push(link(offset.saturating_sub(limit), "prev"));
    }
    if offset + limit < total {
        links.push(link(offset + limit, "next"));
    }
    links.push(link(total.saturating_sub(1) / limit * limit, "last"));
    links.join(",")
}
