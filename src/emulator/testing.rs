//! A caller that talks to the world without a network, on a clock that stands still.

use serde_json::{Value, json};

use super::clock::Clock;
use super::options::{CLIENT_ID, CLIENT_SECRET, EmulatorOptions, TENANT};
use super::wire::{Reply, Request};
use super::world::World;

/// A world, and the tokens to talk to it.
pub(super) struct Caller {
    pub(super) world: World,
    pub(super) graph: String,
    pub(super) arm: String,
    /// Headers besides authorization and content type.
    pub(super) headers: Vec<(String, String)>,
    /// Status 0 stands for a closed connection.
    pub(super) cut: bool,
}

/// The service user of the ticket systems, by password.
pub(super) const SERVICE_USER: &str = "Basic bG9ja3N0ZXA6ZW11bGF0b3Itc2VjcmV0";

pub(super) const WORKSPACE: &str = "/arm/subscriptions/sub-1/resourceGroups/rg/providers/\
     Microsoft.OperationalInsights/workspaces/ws/providers/Microsoft.SecurityInsights";

impl Caller {
    pub(super) fn new() -> Self {
        Self::with(EmulatorOptions::default())
    }

    pub(super) fn with(options: EmulatorOptions) -> Self {
        let clock = Clock::Manual("2026-11-02T08:15:30.5Z".parse().unwrap());
        let mut world = World::new(EmulatorOptions { clock, ..options });
        world.base_url = "http://emulator".to_owned();
        let graph = token(&mut world, "https://graph.microsoft.com/.default");
        let arm = token(&mut world, "https://management.azure.com/.default");
        Self { world, graph, arm, headers: Vec::new(), cut: false }
    }

    pub(super) fn advance(&mut self, seconds: f64) {
        self.world.time.advance(seconds);
        self.world.catch_up();
    }

    pub(super) fn send(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        let token = if target.starts_with("/graph") { &self.graph } else { &self.arm };
        self.send_as(&format!("Bearer {token}"), method, target, body)
    }

    /// The same as somebody else; percent-encodes spaces, quotes and carets.
    pub(super) fn send_as(&mut self, authorization: &str, method: &str, target: &str, body: &Value) -> Reply {
        let target = target.replace(' ', "%20").replace('\'', "%27").replace('^', "%5E");
        let mut headers = vec![
            ("authorization".to_owned(), authorization.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        headers.extend(self.headers.clone());
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::new(method, &target, headers, body);
        let plan = self.world.plan(&request);
        let (reply, delivery) = self.world.answer(&request, &plan);
        self.cut = delivery.cut;
        reply
    }

    pub(super) fn get(&mut self, target: &str) -> Reply {
        self.send("GET", target, &Value::Null)
    }

    /// A Graph call below `/security`.
    pub(super) fn security(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        self.send(method, &format!("/graph/v1.0/security/{target}"), body)
    }

    /// A Sentinel call below the workspace, with the API version.
    pub(super) fn sentinel(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        let joint = if target.contains('?') { '&' } else { '?' };
        let target = format!("{WORKSPACE}/{target}{joint}api-version=2025-09-01");
        self.send(method, &target, body)
    }
}

pub(super) fn token_request(form: &[(&str, &str)]) -> Request {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let content_type = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    Request::new("POST", &format!("/login/{TENANT}/oauth2/v2.0/token"), vec![content_type], body.into_bytes())
}

pub(super) fn token(world: &mut World, scope: &str) -> String {
    let request = token_request(&[
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("scope", scope),
    ]);
    let (reply, _) = world.answer(&request, &super::faults::Plan::default());
    reply.value()["access_token"].as_str().unwrap().to_owned()
}

/// The error's status, code and message.
pub(super) fn error(reply: &Reply) -> (u16, String, String) {
    let text = |name: &str| reply.value()["error"][name].as_str().unwrap_or_default().to_owned();
    (reply.status, text("code"), text("message"))
}

pub(super) fn nothing() -> Value {
    json!(null)
}
