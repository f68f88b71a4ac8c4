//! Users and the queue.

use serde_json::{Value, json};

use super::super::desk::USER;
use super::super::wire::{Reply, Request};
use super::ticket::NOBODY;
use super::{Outcome, QUEUE, RequestTracker, error, render};

impl RequestTracker {
    /// The name of a user by address or name, in any case.
    pub(super) fn user_name(&self, word: &str) -> Option<String> {
        let word = word.to_lowercase();
        match word.split_once('@') {
            Some((name, domain)) => {
                let known = !name.is_empty() && self.settings.domains.iter().any(|own| own == domain);
                known.then(|| self.name_in(name, domain))
            }
            None if word == "nobody" => Some(NOBODY.to_owned()),
            None if word.is_empty() || word.contains(char::is_whitespace) => None,
            None => Some(word),
        }
    }

    fn name_in(&self, name: &str, domain: &str) -> String {
        if self.settings.domains.first().is_some_and(|first| first == domain) {
            name.to_owned()
        } else {
            format!("{name}-{domain}")
        }
    }

    /// The address of a user by name.
    pub(super) fn address(&self, name: &str) -> String {
        if name == NOBODY || name == "RT_System" {
            return String::new();
        }
        let mut further = self.settings.domains.iter().skip(1);
        let found = further.find_map(|domain| Some((name.strip_suffix(domain)?.strip_suffix('-')?, domain)));
        let first = self.settings.domains.first();
        found
            .or(first.map(|first| (name, first)))
            .map_or_else(String::new, |(name, domain)| format!("{name}@{domain}"))
    }

    /// `GET /users?query=[{"field","operator":"=","value"}]`.
    pub(super) fn users(&self, request: &Request, root: &str) -> Outcome {
        let query = request.option("query").and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(wanted) = query.as_ref().and_then(|query| query.get(0)) else {
            return error(400, "JSON object must be a ARRAY");
        };
        let value = wanted["value"].as_str().unwrap_or_default();
        let by_name = wanted["field"] == "Name";
        let found = if by_name == value.contains('@') { None } else { self.user_name(value) };
        let second =
            found.iter().filter(|_| !by_name && self.settings.shared_emails.iter().any(|m| m == value));
        let second: Vec<String> = second.map(|name| format!("admin-{name}")).collect();
        let address = found.as_ref().map(|name| self.address(name)).unwrap_or_default();
        let items: Vec<Value> = second
            .iter()
            .chain(&found)
            .map(|name| {
                let mut row = render::reference(root, "user", name);
                row["Name"] = name.as_str().into();
                row["EmailAddress"] = address.as_str().into();
                row
            })
            .collect();
        Ok(Reply::json(200, render::page(request, items, true)))
    }

    /// `GET /queue/{name}`; one that this user may not see is forbidden, and so is one that does not exist.
    pub(super) fn queue(&self, name: &str, root: &str) -> Outcome {
        if self.lacks("SeeQueue") || name != QUEUE && name != "3" {
            return error(403, "Forbidden");
        }
        let fields = self.settings.fields.iter().enumerate();
        let fields: Vec<Value> = fields
            .map(|(at, name)| {
                let mut field = render::reference(root, "customfield", &(at + 2).to_string());
                field["name"] = name.as_str().into();
                field["ref"] = "customfield".into();
                field
            })
            .collect();
        let body = json!({
            "id": 3, "Name": QUEUE, "Lifecycle": "default", "Disabled": "0", "Description": "",
            "CustomFields": [], "TicketCustomFields": fields, "TicketTransactionCustomFields": [],
            "Creator": render::reference(root, "user", "RT_System"),
            "LastUpdatedBy": render::reference(root, "user", USER),
        });
        Ok(Reply::json(200, body))
    }
}
