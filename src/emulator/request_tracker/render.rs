//! JSON as REST 2.0 writes it: numbers as text but for the ticket's own, times in ISO form, 1970 for never.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::wire::Request;
use super::RequestTracker;
use super::ticket::{Ticket, Transaction};

/// A reference to a record.
pub(super) fn reference(root: &str, kind: &str, id: &str) -> Value {
    json!({"id": id, "type": kind, "_url": format!("{root}/{kind}/{id}")})
}

/// A page of rows. `counted` says whether the service tells how many there are in all.
pub(super) fn page(request: &Request, mut rows: Vec<Value>, counted: bool) -> Value {
    let (size, at) = paging(request);
    let total = rows.len();
    rows = rows.into_iter().skip((at - 1) * size).take(size).collect();
    let mut body = json!({"count": rows.len(), "page": at, "per_page": size, "items": rows});
    (body["total"], body["pages"]) =
        if counted { (total.into(), total.div_ceil(size).into()) } else { (Value::Null, Value::Null) };
    body
}

/// Rows per page (20 unless asked for, at most 100) and the page's number.
pub(super) fn paging(request: &Request) -> (usize, usize) {
    let number = |name: &str| request.option(name)?.parse::<usize>().ok().filter(|n| *n > 0);
    (number("per_page").unwrap_or(20).min(100), number("page").unwrap_or(1))
}

/// The members asked for by `fields`.
pub(super) fn wanted(request: &Request) -> Vec<&str> {
    request.option("fields").map(|text| text.split(',').collect()).unwrap_or_default()
}

fn iso(at: Option<Timestamp>) -> Value {
    at.map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .into()
}

impl RequestTracker {
    /// A ticket read by number.
    pub(super) fn full(&self, ticket: &Ticket, request: &Request, root: &str) -> Value {
        let mut all = self.members(ticket, root);
        if wanted(request).contains(&"Owner") {
            self.expand_owner(&mut all, ticket, request);
        }
        all.insert("id".to_owned(), ticket.id.into());
        for name in ["TimeWorked", "TimeLeft", "TimeEstimated", "InitialPriority", "FinalPriority"] {
            all.insert(name.to_owned(), "0".into());
        }
        for name in ["Requestor", "Cc", "AdminCc"] {
            all.insert(name.to_owned(), json!([]));
        }
        all.insert("Type".to_owned(), "ticket".into());
        all.insert("_hyperlinks".to_owned(), Self::links(ticket, root));
        all.into()
    }

    /// A ticket as a row of a search.
    pub(super) fn row(&self, ticket: &Ticket, request: &Request, root: &str) -> Value {
        let mut all = self.members(ticket, root);
        self.expand_owner(&mut all, ticket, request);
        let wanted = wanted(request);
        let mut row = reference(root, "ticket", &ticket.id.to_string());
        for name in wanted {
            match all.get(name) {
                // Asked for by name the number is one.
                _ if name == "id" => row["id"] = ticket.id.into(),
                Some(value) => row[name] = value.clone(),
                None => {}
            }
        }
        row
    }

    fn members(&self, ticket: &Ticket, root: &str) -> Map<String, Value> {
        let user = |name: &str| reference(root, "user", name);
        let effective = ticket.merged_into.unwrap_or(ticket.id).to_string();
        let fields = self.settings.fields.iter().enumerate().map(|(at, name)| {
            let mut field = reference(root, "customfield", &(at + 2).to_string());
            field["name"] = name.as_str().into();
            field["values"] = ticket.fields.get(at).into_iter().flatten().cloned().collect();
            field
        });
        let members = json!({
            "Subject": ticket.subject, "Status": ticket.status, "Priority": ticket.priority.to_string(),
            "Queue": reference(root, "queue", if ticket.queue == super::QUEUE { "3" } else { "4" }),
            "Owner": user(&ticket.owner), "Creator": user(&ticket.creator), "LastUpdatedBy": user(&ticket.updated_by),
            "Created": iso(Some(ticket.created)), "LastUpdated": iso(Some(ticket.updated)),
            "Started": iso(ticket.started), "Resolved": iso(ticket.resolved), "Starts": iso(None), "Due": iso(None),
            "EffectiveId": reference(root, "ticket", &effective), "CustomFields": fields.collect::<Vec<_>>(),
        });
        if let Value::Object(members) = members { members } else { Map::new() }
    }

    fn expand_owner(&self, all: &mut Map<String, Value>, ticket: &Ticket, request: &Request) {
        let (asked, owner) = (request.option("fields[Owner]").unwrap_or_default(), &mut all["Owner"]);
        for name in asked.split(',') {
            match name {
                "Name" => owner["Name"] = ticket.owner.as_str().into(),
                "EmailAddress" => owner["EmailAddress"] = self.address(&ticket.owner).into(),
                _ => {}
            }
        }
    }

    fn links(ticket: &Ticket, root: &str) -> Value {
        let at = format!("{root}/ticket/{}", ticket.id);
        let moves = ["open", "resolved", "rejected"].into_iter().filter(|to| *to != ticket.status);
        let moves = moves.map(|to| json!({"ref": "lifecycle", "from": ticket.status, "to": to, "_url": at}));
        let own = [
            json!({"ref": "self", "type": "ticket", "id": ticket.id, "_url": at}),
            json!({"ref": "history", "_url": format!("{at}/history")}),
            json!({"ref": "correspond", "_url": format!("{at}/correspond")}),
            json!({"ref": "comment", "_url": format!("{at}/comment")}),
        ];
        own.into_iter().chain(moves).collect()
    }

    /// A transaction as a row of a list.
    pub(super) fn line(transaction: &Transaction, request: &Request, root: &str) -> Value {
        let mut row = reference(root, "transaction", &transaction.id.to_string());
        for name in wanted(request) {
            row[name] = match name {
                "Type" => transaction.kind.into(),
                "Field" => transaction.field.as_str().into(),
                "OldValue" => transaction.old.as_str().into(),
                "NewValue" => transaction.new.as_str().into(),
                "Created" => iso(Some(transaction.created)),
                "ObjectType" => "RT::Ticket".into(),
                "ObjectId" => transaction.ticket.to_string().into(),
                "Creator" => reference(root, "user", &transaction.creator),
                _ => continue,
            };
        }
        row
    }
}
