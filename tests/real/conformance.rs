//! One sequence of calls, sent to the real Request Tracker and to the emulator: the answers must be the same, member
//! by member, but for numbers and times.

use lockstep::emulator::{Emulator, EmulatorOptions, System};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Real, client};

/// One side of the comparison.
struct Side {
    name: &'static str,
    root: String,
    token: String,
    client: Client,
    /// The numbers of the tickets, in the order in which they were opened.
    tickets: Vec<String>,
    /// The revision last read.
    etag: String,
    /// The key of the first ticket, another one in each run.
    key: String,
}

/// An answer without what differs by nature.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    has_etag: bool,
    location: Option<String>,
    body: Value,
}

impl Side {
    fn new(name: &'static str, url: &str, token: &str) -> Self {
        let root = format!("{}/REST/2.0", url.trim_end_matches('/'));
        Self {
            name,
            root,
            token: token.to_owned(),
            client: client(),
            tickets: Vec::new(),
            etag: String::new(),
            key: String::new(),
        }
    }

    /// `{0}` stands for the first ticket, `{etag}` for the revision last read, `{key}` for the key.
    fn filled(&self, text: &str) -> String {
        let numbered = self.tickets.iter().enumerate();
        let filled = numbered.fold(text.to_owned(), |text, (n, id)| text.replace(&format!("{{{n}}}"), id));
        filled.replace("{etag}", &self.etag).replace("{key}", &self.key)
    }

    async fn send(&mut self, step: &Step) -> Seen {
        let mut url = Url::parse(&format!("{}{}", self.root, self.filled(step.path))).unwrap();
        for (name, value) in step.query {
            url.query_pairs_mut().append_pair(name, &self.filled(value));
        }
        let method: Method = step.method.parse().unwrap();
        let mut request = self.client.request(method, url);
        if step.anonymous {
            request = request.header("authorization", "token 1-2-3");
        } else {
            request = request.header("authorization", format!("token {}", self.token));
        }
        if let Some(condition) = step.condition {
            request = request.header("if-match", self.filled(condition));
        }
        if !step.body.is_null() {
            let body: Value = serde_json::from_str(&self.filled(&step.body.to_string())).unwrap();
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (etag, location) = (header("etag"), header("location"));
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        if let Some(etag) = &etag {
            self.etag.clone_from(etag);
        }
        if step.method == "POST" && step.path == "/ticket" && status == 201 {
            self.tickets.push(body["id"].as_str().unwrap().to_owned());
        }
        let location = location.map(|text| plain(&text, &self.root));
        let seen = Seen { status, has_etag: etag.is_some(), location, body: normal("", &body, &self.root) };
        assert!(seen.status != 500 || step.may_fail, "{}: {step:?} answered 500", self.name);
        seen
    }
}

/// Members that the emulator does not have in full, or that say nothing to a program.
const LEFT_OUT: [&str; 1] = ["_hyperlinks"];
/// Members whose numbers count.
const COUNTED: [&str; 7] = ["Priority", "count", "page", "per_page", "total", "pages", "Subject"];

/// The text without root and numbers; times are told by their form only.
fn plain(text: &str, root: &str) -> String {
    let mut out = String::new();
    for c in text.replace(root, "ROOT").chars() {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if c != '#' || !out.ends_with('#') {
            out.push(c);
        }
    }
    let out = out.replace("fsck.com-rt://rt.test/", "RT/").replace("fsck.com-rt://emulator/", "RT/");
    out.split(" at /usr/share").next().unwrap_or_default().trim().to_owned()
}

fn normal(name: &str, json: &Value, root: &str) -> Value {
    match json {
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), normal(name, value, root)))
            .collect(),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|value| normal(name, value, root)).collect();
            // Fields and sentences come in any order; rows have one.
            if name != "items" {
                list.sort_by_key(Value::to_string);
            }
            list.into()
        }
        Value::Number(number) if COUNTED.contains(&name) => number.as_f64().into(),
        Value::Number(_) => "(number)".into(),
        Value::String(text) if !COUNTED.contains(&name) => plain(text, root).into(),
        other => other.clone(),
    }
}

/// Where two answers differ, and by what.
fn apart(at: &str, real: &Value, emulated: &Value) -> Vec<String> {
    match (real, emulated) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names
                .into_iter()
                .flat_map(|name| apart(&format!("{at}/{name}"), &real[name], &emulated[name]))
                .collect()
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            pairs.flat_map(|(n, (one, other))| apart(&format!("{at}/{n}"), one, other)).collect()
        }
        _ if real == emulated => Vec::new(),
        _ => vec![format!("    {at}: real {real}, emulator {emulated}")],
    }
}

/// One call.
#[derive(Debug, Default)]
struct Step {
    method: &'static str,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Value,
    condition: Option<&'static str>,
    anonymous: bool,
    /// Whether the status 500 is what the service answers.
    may_fail: bool,
}

fn get(path: &'static str, query: &'static [(&'static str, &'static str)]) -> Step {
    Step { method: "GET", path, query, ..Step::default() }
}

fn send(method: &'static str, path: &'static str, body: Value) -> Step {
    Step { method, path, body, ..Step::default() }
}

const OWNER: (&str, &str) = ("fields[Owner]", "Name,EmailAddress");
const ROW: (&str, &str) =
    ("fields", "Subject,Status,Priority,Owner,Created,LastUpdated,LastUpdatedBy,CustomFields");
const FEED: (&str, &str) = ("fields", "Type,Field,OldValue,NewValue,Created,ObjectId,Creator");
const HISTORY: (&str, &str) = ("fields", "Type,Field,OldValue,NewValue,Created,Creator");
const WITNESS: &str = "ObjectType = 'RT::Ticket' AND TicketQueue = 'SOC' AND (Created >= '2901-01-01 00:00:00' OR \
    (ObjectId = {0} AND Type = 'Create'))";
const MERGED: &str =
    "ObjectType = 'RT::Ticket' AND ObjectId = {1} AND Type = 'AddLink' AND Field = 'MergedInto'";
const RISING: (&str, &str) = ("orderby", "id");

/// What the connector does, and what it must not be surprised by.
#[allow(clippy::too_many_lines)]
fn steps() -> Vec<Step> {
    let text = |text: &str| json!({"Content": text, "ContentType": "text/plain"});
    let ticket = |subject: &str, fields: Value| json!({"Queue": "SOC", "Subject": subject, "Content": "<b>&", "ContentType": "text/plain", "CustomFields": fields});
    vec![
        get("/rt", &[]),
        Step { anonymous: true, ..get("/rt", &[]) },
        get("/queue/Nope", &[]),
        get("/nothing", &[]),
        get("/tickets", &[("query", "CF.{Lockstep Key} = '{key}'"), ROW, OWNER]),
        send("POST", "/ticket", ticket("first", json!({"Lockstep Key": "{key}", "Nope": "x"}))),
        get("/tickets", &[("query", "CF.{Lockstep Key} = '{key}'"), ROW, OWNER, RISING]),
        get("/tickets", &[("query", "CF.{Nope} = 'x'")]),
        get("/tickets", &[("query", "Nope = 'x'")]),
        get("/tickets", &[("query", "Queue = 'Nope'")]),
        get("/ticket/{0}", &[("fields", "Owner"), OWNER]),
        get("/ticket/{0}", &[]),
        get("/ticket/999999", &[]),
        send("POST", "/ticket", json!({"Subject": "x"})),
        send("POST", "/ticket", json!({"Queue": "Helpdesk", "Subject": "x"})),
        send(
            "POST",
            "/ticket",
            json!({"Queue": "SOC", "Subject": "second", "Owner": "nobody-knows@rt.nowhere", "Content": "x",
            "ContentType": "text/plain"}),
        ),
        get("/ticket/{1}", &[]),
        // Changes, with the condition and without.
        get("/ticket/{0}", &[]),
        Step { condition: Some("{etag}"), ..send("PUT", "/ticket/{0}", json!({"Subject": "changed"})) },
        Step { condition: Some("\"1\""), ..send("PUT", "/ticket/{0}", json!({"Subject": "stale"})) },
        Step { condition: Some("*"), ..send("PUT", "/ticket/{0}", json!({"Priority": 100})) },
        send(
            "PUT",
            "/ticket/{0}",
            json!({"Status": "bogus", "Subject": "again", "Priority": 50, "Owner": "ana@rt.test",
            "CustomFields": {"Verdict": "true-positive", "Nope": "x"}}),
        ),
        send("PUT", "/ticket/{0}", json!({"Status": "new", "Nope": "x", "CustomFields": {"Nope": "x"}})),
        send("PUT", "/ticket/{0}", json!({"Owner": "ana"})),
        send("PUT", "/ticket/{0}", json!({"Owner": "lockstep"})),
        send("PUT", "/ticket/{0}", json!({"Owner": ""})),
        send("PUT", "/ticket/{0}", json!({"CustomFields": {"Verdict": "false-positive"}})),
        send("PUT", "/ticket/{0}", json!({"CustomFields": {"Verdict": ""}})),
        send("PUT", "/ticket/{0}", json!({"Subject": "a\nb"})),
        send("PUT", "/ticket/{0}", json!({"Queue": "Helpdesk"})),
        send("PUT", "/ticket/{0}", json!({"Status": "deleted"})),
        get("/ticket/{0}", &[("fields", "Owner"), OWNER]),
        // Comments and replies, closing and reopening.
        send("PUT", "/ticket/{0}", json!({"Status": "resolved"})),
        send("POST", "/ticket/{0}/comment", text("inner\n\n  [lockstep abc.def]")),
        get("/ticket/{0}", &[]),
        send("POST", "/ticket/{0}/correspond", text("outer")),
        get("/ticket/{0}", &[]),
        send("POST", "/ticket/{0}/comment", json!({"Content": "x"})),
        Step { condition: Some("{etag}"), ..send("POST", "/ticket/{0}/comment", text("conditional")) },
        send("POST", "/ticket/999999/comment", text("x")),
        send("PUT", "/ticket/999999", json!({"Subject": "x"})),
        get("/ticket/{0}/history", &[("fields", "Type,Creator,Created"), RISING, ("per_page", "100")]),
        get("/ticket/{0}/history", &[("fields", "Type"), ("per_page", "100"), ("page", "2")]),
        get("/ticket/999999/history", &[]),
        Step { may_fail: true, ..get("/transaction/999999/attachments", &[]) },
        Step { may_fail: true, ..send("DELETE", "/ticket/{0}", Value::Null) },
        get(
            "/users",
            &[
                ("query", "[{\"field\":\"EmailAddress\",\"operator\":\"=\",\"value\":\"ana@rt.test\"}]"),
                ("fields", "Name,EmailAddress"),
            ],
        ),
        get(
            "/users",
            &[
                ("query", "[{\"field\":\"EmailAddress\",\"operator\":\"=\",\"value\":\"ana@rt.nowhere\"}]"),
                ("fields", "Name,EmailAddress"),
            ],
        ),
        // The feed of the two, times that are read and times that are not.
        get(
            "/transactions",
            &[
                (
                    "query",
                    "ObjectType = 'RT::Ticket' AND TicketQueue = 'SOC' AND Created >= '2001-01-01 00:00:00' \
            AND (ObjectId = {0} OR ObjectId = {1})",
                ),
                RISING,
                ("per_page", "100"),
                FEED,
            ],
        ),
        get("/tickets", &[("query", "id = {0} AND Created >= '2001-01-01 00:00:00'")]),
        get("/tickets", &[("query", "id = {0} AND Created >= '2901-01-01 00:00:00'")]),
        get("/tickets", &[("query", "id = {0} AND Created >= '2901-01-01T00:00:00Z'")]),
        get("/tickets", &[("query", "id = {0} AND Created >= '2901-01-01T00:00:00'")]),
        get("/tickets", &[("query", "id = {0} AND Created >= '9795507777'")]),
        get("/tickets", &[("query", "id = {0} AND Created >= 'garbage'")]),
        get("/tickets", &[("query", "id = {0} AND Created < 'garbage'")]),
        // A reply opens a new ticket, by a transaction of the system's own in the same second; a comment does not.
        send("POST", "/ticket", ticket("third", json!({}))),
        send("POST", "/ticket/{2}/comment", text("inner")),
        get("/ticket/{2}", &[]),
        send("POST", "/ticket/{2}/correspond", text("outer")),
        get("/ticket/{2}", &[]),
        get("/ticket/{2}/history", &[HISTORY, RISING, ("per_page", "100")]),
        // A ticket is closed only after what it depends on; what is asked for beside that is done.
        send("POST", "/ticket", ticket("fourth", json!({}))),
        send("PUT", "/ticket/{2}", json!({"DependsOn": "{3}"})),
        send("PUT", "/ticket/{2}", json!({"Status": "resolved", "Subject": "kept"})),
        get("/ticket/{2}", &[]),
        send("PUT", "/ticket/{2}", json!({"Status": "rejected"})),
        send("PUT", "/ticket/{3}", json!({"Status": "resolved"})),
        send("PUT", "/ticket/{2}", json!({"Status": "resolved"})),
        get("/ticket/{2}/history", &[HISTORY, RISING, ("per_page", "100")]),
        get("/ticket/{3}/history", &[HISTORY, RISING, ("per_page", "100")]),
        // What was seen before is asked for beside what is looked for.
        get("/transactions", &[("query", WITNESS), RISING, ("per_page", "100"), FEED]),
        get("/tickets", &[("query", "CF.{Lockstep Key} = 'lockstep-none' OR id = {0}"), ROW, OWNER, RISING]),
        get("/tickets", &[("query", "CF.{Nope} = 'lockstep-none' OR id = {0}"), ROW, OWNER, RISING]),
        Step { may_fail: true, ..get("/transaction/999999", &[]) },
        // A merge: reads and writes of the one lead to the other.
        send("PUT", "/ticket/{1}", json!({"MergeInto": "{0}"})),
        send("PUT", "/ticket/{0}", json!({"MergeInto": "{1}"})),
        send("PUT", "/ticket/{0}", json!({"MergeInto": "999999"})),
        get("/ticket/{1}", &[]),
        get("/transactions", &[("query", MERGED), ("fields", "ObjectId"), ("per_page", "100")]),
        get("/tickets", &[("query", "id = {1}")]),
        send("PUT", "/ticket/{1}", json!({"Subject": "through the merged one"})),
        get("/ticket/{0}/history", &[("fields", "Type,Field,NewValue,Creator"), RISING, ("per_page", "100")]),
    ]
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn the_emulator_answers_as_the_real_thing_does() {
    let Some(real) = Real::find() else { return };
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let settings = json!({"mail_records": false, "domains": ["rt.test"]});
    emulator.set_ticketing(System::RequestTracker, &settings).unwrap();
    let mut real = Side::new("real", &real.url, &real.lockstep);
    let mut emulated = Side::new("emulator", &emulator.ticket_url(System::RequestTracker), "emulator-secret");
    real.key = format!("lockstep-{}", Uuid::new_v4().simple());
    emulated.key.clone_from(&real.key);
    let mut differences = Vec::new();
    for step in steps() {
        let (truth, imitation) = (real.send(&step).await, emulated.send(&step).await);
        if truth != imitation {
            differences.push(format!("{} {} {:?} {}", step.method, step.path, step.query, step.body));
            differences.extend(apart(
                "",
                &json!([truth.status, truth.has_etag, truth.location, truth.body]),
                &json!([imitation.status, imitation.has_etag, imitation.location, imitation.body]),
            ));
        }
    }
    assert!(differences.is_empty(), "the answers differ:\n{}", differences.join("\n"));
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn both_read_times_in_the_callers_zone() {
    let Some(real) = Real::find() else { return };
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let zone = json!({"zone_minutes": -300});
    emulator.set_ticketing(System::RequestTracker, &zone).unwrap();
    for mut side in [
        Side::new("real", &real.url, &real.traveller),
        Side::new("emulator", &emulator.ticket_url(System::RequestTracker), "emulator-secret"),
    ] {
        side.send(&send("POST", "/ticket", json!({"Queue": "SOC", "Subject": "zone"}))).await;
        let now = jiff::Timestamp::now();
        for (hours, count) in [(-1, 0.0), (-6, 1.0)] {
            let at = now.checked_add(jiff::SignedDuration::from_hours(hours)).unwrap();
            let query = format!("id = {{0}} AND Created >= '{}'", at.strftime("%Y-%m-%d %H:%M:%S"));
            let query: &'static [(&str, &str)] = vec![("query", &*query.leak())].leak();
            let seen = side.send(&get("/tickets", query)).await;
            assert_eq!(seen.body["count"], count, "{}: {hours} hours", side.name);
        }
    }
}

const BY_KEY: (&str, &str) = ("query", "CF.{Lockstep Key} = '{key}' OR id = {0}");

/// What a user is answered who may open tickets, and not see them.
fn blindly() -> Vec<Step> {
    let text = |text: &str| json!({"Content": text, "ContentType": "text/plain"});
    vec![
        get("/ticket/{0}", &[]),
        get("/ticket/999999", &[]),
        get("/ticket/{0}/history", &[HISTORY, RISING, ("per_page", "100")]),
        get("/tickets", &[BY_KEY, ROW, OWNER, RISING]),
        get("/tickets", &[("query", "Queue = 'SOC'"), ROW, OWNER, RISING]),
        get("/transactions", &[("query", WITNESS), RISING, ("per_page", "100"), FEED]),
        send("PUT", "/ticket/{0}", json!({"Subject": "x"})),
        send("POST", "/ticket/{0}/comment", text("inner")),
        send("POST", "/ticket", json!({"Queue": "SOC", "Subject": "out of sight"})),
        get("/ticket/{1}", &[]),
    ]
}

#[tokio::test]
#[ignore = "needs a real Request Tracker: scripts/real-rt"]
async fn both_answer_empty_lists_to_who_may_not_see_tickets() {
    let Some(found) = Real::find() else { return };
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let mut real = Side::new("real", &found.url, &found.lockstep);
    let mut emulated = Side::new("emulator", &emulator.ticket_url(System::RequestTracker), "emulator-secret");
    real.key = format!("lockstep-{}", Uuid::new_v4().simple());
    emulated.key.clone_from(&real.key);
    let ticket = json!({"Queue": "SOC", "Subject": "seen", "CustomFields": {"Lockstep Key": "{key}"}});
    for side in [&mut real, &mut emulated] {
        side.send(&send("POST", "/ticket", ticket.clone())).await;
    }
    real.token.clone_from(&found.unseeing);
    emulator.set_ticketing(System::RequestTracker, &json!({"lacks": ["ShowTicket"]})).unwrap();
    for step in blindly() {
        let (truth, imitation) = (real.send(&step).await, emulated.send(&step).await);
        assert_eq!(truth, imitation, "{} {} {:?}", step.method, step.path, step.query);
    }
}
