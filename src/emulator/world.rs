//! Everything the emulator knows, and the way of one request through it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::Time;
use super::desk::{self, Desk, Desks, Surroundings};
use super::faults::{FaultKind, Faults, Plan, RetryAfter};
use super::graph::{self, Defender};
use super::ledger::{Api, Call, Ledger, System};
use super::login::{self, Tokens};
use super::native_sync::Agenda;
use super::options::{EmulatorOptions, NativeSync};
use super::quota::Quota;
use super::sentinel::{self, Sentinel};
use super::serve::Delivery;
use super::settings::{Outage, Settings};
use super::wire::{Refusal, Reply, Request};

/// Everything the emulator knows.
pub(super) struct World {
    pub(super) options: EmulatorOptions,
    pub(super) settings: Settings,
    pub(super) native: NativeSync,
    pub(super) time: Time,
    /// The time of the request or job under way.
    pub(super) instant: Timestamp,
    pub(super) base_url: String,
    pub(super) defender: Defender,
    pub(super) sentinel: Sentinel,
    pub(super) desks: Desks,
    pub(super) ledger: Ledger,
    pub(super) faults: Faults,
    pub(super) quota: Quota,
    pub(super) tokens: Tokens,
    pub(super) agenda: Agenda,
}

/// Where a request goes.
enum Target<'a> {
    Login(Vec<String>),
    Graph(graph::Route<'a>),
    Sentinel(sentinel::Route<'a>),
    /// A ticket system, the operation, and the path below its prefix.
    Desk(System, &'static str, Vec<&'a str>),
    Nowhere,
}

impl Target<'_> {
    fn name(&self) -> (Api, &'static str) {
        match self {
            Self::Login(_) => (Api::Login, "token"),
            Self::Graph(route) => (Api::Graph, route.operation()),
            Self::Sentinel(route) => (Api::Sentinel, route.operation.name()),
            Self::Desk(system, operation, _) => (desk::api(*system), operation),
            Self::Nowhere => (Api::Login, "unknown"),
        }
    }
}

/// The method in capitals, the path in lower case only where it is fixed: routes decide.
fn target<'a>(request: &'a Request, path: &'a [&'a str], desks: &Desks) -> Target<'a> {
    match path {
        [first, rest @ ..] if desk::named(first).is_some() => {
            let Some((system, desk)) = desk::named(first).and_then(|s| Some((s, desks.get(&s)?))) else {
                return Target::Nowhere;
            };
            Target::Desk(system, desk.operation(request, rest), rest.to_vec())
        }
        ["login", rest @ ..] if request.method == "POST" => {
            Target::Login(rest.iter().map(|segment| (*segment).to_owned()).collect())
        }
        ["graph", rest @ ..] => Target::Graph(graph::route(&request.method, rest)),
        ["arm", rest @ ..] => Target::Sentinel(sentinel::route(&request.method, rest)),
        _ => Target::Nowhere,
    }
}

impl World {
    pub(super) fn new(options: EmulatorOptions) -> Self {
        let time = Time::new(options.clock);
        Self {
            settings: options.settings.clone(),
            native: options.native_sync,
            instant: time.now(),
            time,
            base_url: String::new(),
            defender: Defender::default(),
            sentinel: Sentinel::default(),
            desks: desk::all(),
            ledger: Ledger::default(),
            faults: Faults::new(options.seed),
            quota: Quota::default(),
            tokens: Tokens::default(),
            agenda: Agenda::default(),
            options,
        }
    }

    /// What the faults want of a request, before anything is done.
    pub(super) fn plan(&mut self, request: &Request) -> Plan {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let (api, operation) = target(request, &path, &self.desks).name();
        self.faults.plan(api, operation)
    }

    /// Carries a request out and answers it.
    pub(super) fn answer(&mut self, request: &Request, plan: &Plan) -> (Reply, Delivery) {
        self.catch_up();
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let target = target(request, &path, &self.desks);
        let (api, operation) = target.name();
        let (reply, cut) = match self.turned_away(request, (api, operation), plan) {
            Some(early) => early,
            None => self.carried_out(request, &target, plan),
        };
        self.ledger.called(Call {
            at: self.instant,
            api,
            operation: operation.to_owned(),
            method: request.method.clone(),
            path: format!("/{}", path.get(1..).unwrap_or_default().join("/")),
            status: if cut { 0 } else { reply.status },
        });
        (reply, Delivery { wait: std::time::Duration::from_millis(plan.slow_millis), cut })
    }

    /// Outage, quota and the faults that hit before anything is done. The flag says that the connection closes.
    fn turned_away(
        &mut self,
        request: &Request,
        (api, operation): (Api, &str),
        plan: &Plan,
    ) -> Option<(Reply, bool)> {
        match self.settings.outage(api) {
            Outage::Off => {}
            Outage::Refuse => return Some((self.failure(request, api, 503), false)),
            Outage::Drop => return Some((Reply::empty(503), true)),
        }
        if self.settings.quota
            && let Err(seconds) = self.quota.take(api, operation, self.settings.quota_factor, self.instant)
        {
            return Some((self.throttled(request, api, RetryAfter::Seconds(seconds)), false));
        }
        match plan.action {
            Some(FaultKind::Throttle { retry_after }) => {
                Some((self.throttled(request, api, retry_after), false))
            }
            Some(FaultKind::ErrorBefore { status }) => Some((self.failure(request, api, status), false)),
            Some(FaultKind::DropBefore) => Some((Reply::empty(503), true)),
            Some(FaultKind::Html { status }) => Some((Reply::html(status), false)),
            Some(FaultKind::ExpireToken) => {
                self.tokens.expire(request, self.instant);
                None
            }
            _ => None,
        }
    }

    fn carried_out(&mut self, request: &Request, target: &Target<'_>, plan: &Plan) -> (Reply, bool) {
        let (api, _) = target.name();
        let reply = match target {
            Target::Login(path) => {
                let time = (self.instant, self.time.is_real());
                let options = (&self.options, self.settings.login_refusal);
                login::token(&mut self.tokens, options, request, path, time)
            }
            Target::Graph(route) => self.graph(request, *route, plan),
            Target::Sentinel(route) => self.arm(request, route, plan),
            Target::Desk(system, _, path) => {
                self.at_desk(*system, |desk, around| desk.answer(request, path, plan, around))
            }
            Target::Nowhere => {
                let text = "The emulator serves /login, /graph, /arm, /control and the ticket systems.";
                Refusal::new(404, "NotFound", text).reply()
            }
        };
        match plan.action {
            Some(FaultKind::ErrorAfter { status }) => (self.failure(request, api, status), false),
            Some(FaultKind::DropAfter) => (reply, true),
            Some(FaultKind::Malformed { how }) => (how.spoil(reply, || self.error_body(api)), false),
            _ => (reply, false),
        }
    }

    /// An error in the shape of the API it comes from.
    fn failure(&self, request: &Request, api: Api, status: u16) -> Reply {
        let (code, message) = match status {
            429 => ("TooManyRequests", "Please retry again later."),
            500 => ("InternalServerError", "An internal error occurred."),
            502 => ("BadGateway", "The gateway received a bad answer."),
            503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
            504 => ("GatewayTimeout", "The gateway did not receive a response in time."),
            _ => ("UnknownError", ""),
        };
        match api {
            Api::Login => {
                let text = "AADSTS90033: A transient error has occurred. Please try again.";
                let body = json!({
                    "error": "temporarily_unavailable", "error_description": text, "error_codes": [90033],
                });
                Reply::json(status, body)
            }
            // The proxy in front of Graph says this of its 504s (graph-security.md 5.2).
            Api::Graph if status == 504 => self.graph_error(request, &Refusal::new(504, "UnknownError", "")),
            Api::Graph => self.graph_error(request, &Refusal::new(status, code, message)),
            Api::Sentinel => self.arm_headers(request, Refusal::new(status, code, message).reply()),
            Api::ServiceNow | Api::Jira | Api::RequestTracker | Api::TheHive => {
                let desk = api.ticketing().and_then(|system| self.desks.get(&system));
                desk.map_or_else(|| Reply::empty(status), |desk| desk.failure(status))
            }
        }
    }

    /// The body with which an API reports an error although its status says success.
    fn error_body(&self, api: Api) -> Value {
        match api.ticketing().and_then(|system| self.desks.get(&system)) {
            Some(desk) => desk.error_body(),
            None => {
                json!({ "error": { "code": "InternalServerError", "message": "An internal error occurred." } })
            }
        }
    }

    /// Lets a ticket system do something, with its own time gone by before.
    pub(super) fn at_desk<T>(
        &mut self,
        system: System,
        act: impl FnOnce(&mut dyn Desk, &mut Surroundings<'_>) -> T,
    ) -> T {
        let Self { desks, ledger, base_url, instant, .. } = self;
        let mut around = Surroundings { now: *instant, ledger, base_url };
        let desk = desks.entry(system).or_insert_with(|| unreachable!("every ticket system has a desk"));
        desk.catch_up(&mut around);
        act(&mut **desk, &mut around)
    }

    fn throttled(&self, request: &Request, api: Api, retry_after: RetryAfter) -> Reply {
        let reply = self.failure(request, api, 429);
        // Callers wait in real time, so a date must be one of real time.
        match retry_after.header(Timestamp::now()) {
            Some(value) => reply.with("retry-after", value),
            None => reply,
        }
    }
}
