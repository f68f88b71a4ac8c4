//! Sentinel behind Azure Resource Manager: routes, access, answers. `sentinel.md` says what each imitates.
//!
//! Members of [`Settings`](super::Settings) by which it becomes worse, all off at first:
//!
//! | setting | what callers meet |
//! | --- | --- |
//! | `sentinel_anonymous` | 401 `InvalidAuthenticationToken` to everything, whatever the token |
//! | `sentinel_role_lost` | 403 `AuthorizationFailed` to everything, as when an eligible role lapses |
//! | `sentinel_directory_moved` | 401 `InvalidAuthenticationTokenTenant` to everything |
//! | `sentinel_missing` | 404 `SubscriptionNotFound`, `ResourceGroupNotFound` or `ResourceNotFound` to everything, which names the [`Missing`](super::Missing) scope and not the incident |
//! | `sentinel_odd` | an [`Oddity`](super::Oddity) in every answer of success: an error beside `value`, an answer to a batch, a next link that repeats itself or leads elsewhere, a page of log-in, another workspace's ids |
//! | `sentinel_refuses` | a PUT that changes one of these properties of an existing incident is refused |
//! | `sentinel_names_refused` | such a refusal names the property; on at first |
//!
//! An incident that is not there is 404 `NotFound`, and the words name it. A PUT without a title, or with a blank one, is
//! refused, also where the incident has such a one from its Defender twin.

mod edit;
mod list;
mod record;
mod state;

pub use edit::SentinelEdit;
pub use state::SentinelSeed;

pub(super) use record::{Incident, Owner, Place};
pub(super) use state::Sentinel;

use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::{FaultKind, Plan};
use super::ledger::{Actor, What};
use super::login::{Access, Audience};
use super::oddity::Asked;
use super::options::SentinelRole;
use super::settings::Missing;
use super::wire::{Refusal, Reply, Request};
use super::world::World;
use state::no_incident;

/// What an operation of the API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    ListIncidents,
    GetIncident(&'a str),
    PutIncident(&'a str),
    DeleteIncident(&'a str),
    ListComments(&'a str),
    GetComment(&'a str, &'a str),
    PutComment(&'a str, &'a str),
    DeleteComment(&'a str, &'a str),
    ListAlerts(&'a str),
    ListEntities(&'a str),
    ListBookmarks(&'a str),
    ListTasks(&'a str),
    ListRelations(&'a str),
    WrongMethod,
    Unknown,
}

/// A request's operation and the workspace it names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) operation: Operation<'a>,
    subscription: &'a str,
    group: &'a str,
    workspace: &'a str,
}

impl Operation<'_> {
    /// The name under which faults and call counts know it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ListIncidents => "list-incidents",
            Self::GetIncident(_) => "get-incident",
            Self::PutIncident(_) => "put-incident",
            Self::DeleteIncident(_) => "delete-incident",
            Self::ListComments(_) => "list-comments",
            Self::GetComment(..) => "get-comment",
            Self::PutComment(..) => "put-comment",
            Self::DeleteComment(..) => "delete-comment",
            Self::ListAlerts(_) => "list-alerts",
            Self::ListEntities(_) => "list-entities",
            Self::ListBookmarks(_) => "list-bookmarks",
            Self::ListTasks(_) => "list-tasks",
            Self::ListRelations(_) => "list-relations",
            Self::WrongMethod | Self::Unknown => "unknown",
        }
    }

    fn needs(self) -> SentinelRole {
        match self {
            Self::PutIncident(_) | Self::PutComment(..) => SentinelRole::Responder,
            Self::DeleteIncident(_) | Self::DeleteComment(..) => SentinelRole::Contributor,
            _ => SentinelRole::Reader,
        }
    }
}

/// Reads the path below `/arm`; fixed segments in any case.
pub(super) fn route<'a>(method: &str, path: &[&'a str]) -> Route<'a> {
    let fixed = [
        (0, "subscriptions"),
        (2, "resourcegroups"),
        (4, "providers"),
        (5, "microsoft.operationalinsights"),
        (6, "workspaces"),
        (8, "providers"),
        (9, "microsoft.securityinsights"),
        (10, "incidents"),
    ];
    let fits = fixed.iter().all(|(at, word)| path.get(*at).is_some_and(|own| own.eq_ignore_ascii_case(word)));
    if !fits {
        return Route { operation: Operation::Unknown, subscription: "", group: "", workspace: "" };
    }
    let sub = path.get(12).map(|sub| sub.to_lowercase());
    let operation = match (method, &path[11..], sub.as_deref()) {
        ("GET", [], _) => Operation::ListIncidents,
        ("GET", [id], _) => Operation::GetIncident(id),
        ("PUT", [id], _) => Operation::PutIncident(id),
        ("DELETE", [id], _) => Operation::DeleteIncident(id),
        ("GET", [id, _], Some("comments")) => Operation::ListComments(id),
        ("GET", [id, _, comment], Some("comments")) => Operation::GetComment(id, comment),
        ("PUT", [id, _, comment], Some("comments")) => Operation::PutComment(id, comment),
        ("DELETE", [id, _, comment], Some("comments")) => Operation::DeleteComment(id, comment),
        ("POST", [id, _], Some("alerts")) => Operation::ListAlerts(id),
        ("POST", [id, _], Some("entities")) => Operation::ListEntities(id),
        ("POST", [id, _], Some("bookmarks")) => Operation::ListBookmarks(id),
        ("GET", [id, _], Some("tasks")) => Operation::ListTasks(id),
        ("GET", [id, _], Some("relations")) => Operation::ListRelations(id),
        _ => Operation::WrongMethod,
    };
    Route { operation, subscription: path[1], group: path[3], workspace: path[7] }
}

impl Route<'_> {
    /// Nothing is below a scope that is missing, and what is said of it names the scope.
    fn exists(&self, missing: Missing) -> Result<(), Refusal> {
        let (code, text) = match missing {
            Missing::Nothing => return Ok(()),
            Missing::Subscription => (
                "SubscriptionNotFound",
                format!("The subscription '{}' could not be found.", self.subscription),
            ),
            Missing::ResourceGroup => {
                ("ResourceGroupNotFound", format!("Resource group '{}' could not be found.", self.group))
            }
            Missing::Workspace => {
                let text = format!(
                    "The Resource 'Microsoft.OperationalInsights/workspaces/{}' under resource group '{}' was not \
                     found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
                    self.workspace, self.group
                );
                ("ResourceNotFound", text)
            }
        };
        Err(Refusal::new(404, code, text))
    }

    fn place(&self, in_list: bool) -> Place {
        Place::of(self.subscription, self.group, self.workspace, in_list)
    }
}

impl World {
    /// Answers a request whose route is known. Faults that need no record were dealt with before.
    pub(super) fn arm(&mut self, request: &Request, route: &Route<'_>, plan: &Plan) -> Reply {
        if let Some(reply) = self.settings.sentinel_odd.turned_away() {
            return self.arm_headers(request, reply);
        }
        let reply = match self.arm_access(request, route) {
            Ok(app) => self.arm_route(request, route, plan, &app),
            Err(refusal) => Err(refusal),
        };
        let reply = reply.unwrap_or_else(|refusal| {
            let reply = refusal.reply();
            if refusal.status != 401 {
                return reply;
            }
            reply.with(
                "www-authenticate",
                "Bearer authorization_uri=\"https://login.windows.net/\", error=\"invalid_token\"",
            )
        });
        let own = format!("workspaces/{}/", route.workspace);
        let asked = Asked {
            address: request.address(&self.base_url),
            link: "nextLink",
            own: &own,
            other: "workspaces/law-elsewhere/".to_owned(),
        };
        let reply = self.settings.sentinel_odd.made_odd(reply, &asked);
        self.arm_headers(request, reply)
    }

    /// The headers of every answer of Azure Resource Manager.
    pub(super) fn arm_headers(&self, request: &Request, reply: Reply) -> Reply {
        let id = Uuid::new_v4().to_string();
        let routing = format!("EMULATOR:{}:{id}", self.instant.strftime("%Y%m%dT%H%M%SZ"));
        let reply = reply
            .with("x-ms-request-id", id.clone())
            .with("x-ms-correlation-request-id", id)
            .with("x-ms-routing-request-id", routing)
            .with("date", super::faults::http_date(self.instant));
        match (request.header("x-ms-return-client-request-id"), request.header("x-ms-client-request-id")) {
            (Some("true"), Some(own)) => reply.with("x-ms-client-request-id", own),
            _ => reply,
        }
    }

    fn arm_access(&self, request: &Request, route: &Route<'_>) -> Result<Actor, Refusal> {
        let refuse = |code: &str, text: &str| Err(Refusal::new(401, code, text));
        if self.settings.sentinel_anonymous {
            return refuse("InvalidAuthenticationToken", "The access token is invalid.");
        }
        if self.settings.sentinel_directory_moved {
            let text = "The access token is from the wrong issuer. It must match the tenant associated with this \
                        subscription.";
            return refuse("InvalidAuthenticationTokenTenant", text);
        }
        let app = match self.tokens.access(request, Audience::Arm, self.instant) {
            Access::App(app) => app,
            Access::Missing => {
                return refuse(
                    "AuthenticationFailed",
                    "Authentication failed. The 'Authorization' header is missing.",
                );
            }
            Access::Expired => {
                return refuse("ExpiredAuthenticationToken", "The access token expiry is in the past.");
            }
            Access::Invalid => return refuse("InvalidAuthenticationToken", "The access token is invalid."),
        };
        match request.option("api-version") {
            None => {
                let text = "The api-version query parameter (?api-version=) is required for all requests.";
                return Err(Refusal::new(400, "MissingApiVersionParameter", text));
            }
            Some(version) if version.len() < 10 || !version.starts_with("20") => {
                let text = format!("The api-version '{version}' is invalid.");
                return Err(Refusal::new(400, "InvalidApiVersionParameter", text));
            }
            Some(_) => {}
        }
        route.exists(self.settings.sentinel_missing)?;
        let role = self.options.apps.iter().find(|own| own.client_id == app).map(|own| own.sentinel_role);
        let role = role.filter(|_| !self.settings.sentinel_role_lost);
        if role.unwrap_or(SentinelRole::None) < route.operation.needs() {
            let text = format!(
                "The client '{app}' does not have authorization to perform action '{}' over scope '{}' or the scope \
                 is invalid.",
                route.operation.name(),
                route.place(false).prefix
            );
            return Err(Refusal::new(403, "AuthorizationFailed", text));
        }
        Ok(Actor::App(app))
    }

    fn arm_route(
        &mut self,
        request: &Request,
        route: &Route<'_>,
        plan: &Plan,
        app: &Actor,
    ) -> Result<Reply, Refusal> {
        let place = route.place(false);
        match route.operation {
            Operation::ListIncidents => self.list_sentinel(request, &route.place(true), plan),
            Operation::GetIncident(id) => self.get_sentinel(id, &place, plan),
            Operation::PutIncident(id) => self.put_incident(request, (id, &place), plan, app),
            Operation::DeleteIncident(id) => self.delete_incident(id, app),
            Operation::ListComments(id) => self.list_comments(request, id, &place),
            Operation::GetComment(id, comment) => self.get_comment(id, comment, &place),
            Operation::PutComment(id, comment) => self.put_comment_call(request, (id, comment), &place, app),
            Operation::DeleteComment(id, comment) => {
                Ok(Reply::empty(if self.delete_comment(id, comment, app)? { 200 } else { 204 }))
            }
            Operation::ListAlerts(id) => {
                let alerts: Value =
                    self.known(id)?.alerts.iter().take(150).map(|alert| alert.json(&place)).collect();
                Ok(Reply::json(200, json!({ "value": alerts })))
            }
            Operation::ListEntities(id) => self.known(id).map(|incident| list_entities(incident, &place)),
            Operation::ListBookmarks(id) | Operation::ListTasks(id) | Operation::ListRelations(id) => {
                self.known(id).map(|_| Reply::json(200, json!({ "value": [] })))
            }
            Operation::WrongMethod => Err(Refusal::new(
                405,
                "UnsupportedApiVersion",
                format!("The HTTP resource does not support the HTTP method '{}'.", request.method),
            )),
            Operation::Unknown => {
                Err(Refusal::new(404, "InvalidResourceType", "The resource type could not be found."))
            }
        }
    }

    fn get_sentinel(&self, id: &str, place: &Place, plan: &Plan) -> Result<Reply, Refusal> {
        let versions = self.sentinel.incidents.get(&id.to_lowercase()).ok_or_else(|| no_incident(id))?;
        let stale = plan.is(&FaultKind::StaleRead);
        let incident = if stale { versions.previous() } else { versions.current() };
        Ok(Reply::json(200, incident.json(place, &self.options.tenant_id)))
    }

    fn get_comment(&self, id: &str, comment: &str, place: &Place) -> Result<Reply, Refusal> {
        let incident = self.known(id)?;
        let comment = find_comment(incident, comment)?;
        Ok(Reply::json(200, incident.comment_json(comment, place)))
    }

    fn known(&self, id: &str) -> Result<&Incident, Refusal> {
        self.sentinel.incident(id).ok_or_else(|| no_incident(id))
    }

    fn put_incident(
        &mut self,
        request: &Request,
        (id, place): (&str, &Place),
        plan: &Plan,
        app: &Actor,
    ) -> Result<Reply, Refusal> {
        let body = request.json().filter(Value::is_object).ok_or_else(|| {
            Refusal::bad_request("The request content was invalid and could not be deserialized.")
        })?;
        let properties = &body["properties"];
        if !properties.is_object() {
            return Err(Refusal::bad_request("'Properties' must have a non-empty value"));
        }
        let tenant = self.options.tenant_id.clone();
        let Some(current) = self.sentinel.incident(id).cloned() else {
            let blank = self.blank_sentinel(id);
            let incident = edit::replaced(&blank, properties, &|id| self.user(id))?;
            self.insert_sentinel(incident, app);
            return Ok(Reply::json(201, self.known(id)?.json(place, &tenant)));
        };
        let etag = body["etag"].as_str().filter(|etag| !etag.is_empty());
        if etag.is_none() && self.settings.require_etag {
            return Err(Refusal::bad_request("Update request should provide ETag"));
        }
        let is_stale = etag.is_some_and(|etag| etag.trim_matches('"') != current.etag.trim_matches('"'));
        if is_stale || plan.is(&FaultKind::StaleEtag) {
            let text = format!("Newer version of resource '{}' exists. Data was not saved", current.name);
            return Err(Refusal::new(409, "Conflict", text));
        }
        let next = edit::replaced(&current, properties, &|id| self.user(id))?;
        self.check_refused_changes(&current, &next)?;
        self.save_sentinel(next, app);
        let answer = self.known(id)?.json(place, &tenant);
        if plan.is(&FaultKind::EtagMovesOn) {
            let again = self.known(id)?.clone();
            self.store_sentinel(again);
        }
        Ok(Reply::json(200, answer))
    }

    /// Properties that this workspace takes from nobody.
    fn check_refused_changes(&self, current: &Incident, next: &Incident) -> Result<(), Refusal> {
        let (before, after) = (current.editable(), next.editable());
        let changed = |name: &&String| before[name.as_str()] != after[name.as_str()];
        match self.settings.sentinel_refuses.iter().find(changed) {
            None => Ok(()),
            Some(name) if self.settings.sentinel_names_refused => {
                Err(Refusal::bad_request(format!("Error converting value of property '{name}'.")))
            }
            Some(_) => Err(Refusal::bad_request("The request content was invalid.")),
        }
    }

    fn delete_incident(&mut self, id: &str, app: &Actor) -> Result<Reply, Refusal> {
        let Some(incident) = self.sentinel.incident(id) else { return Ok(Reply::empty(204)) };
        if incident.defender.is_some() {
            return Err(Refusal::bad_request("Incidents of Microsoft XDR cannot be deleted."));
        }
        let name = incident.name.clone();
        self.sentinel.incidents.remove(&id.to_lowercase());
        self.note_sentinel(&name, app, What::Deleted);
        Ok(Reply::empty(200))
    }

    fn put_comment_call(
        &mut self,
        request: &Request,
        (id, comment): (&str, &str),
        place: &Place,
        app: &Actor,
    ) -> Result<Reply, Refusal> {
        let body = request.json().unwrap_or_default();
        let text = body["properties"]["message"].as_str().filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Refusal::bad_request("'Message' must have a non-empty value"))?;
        let author = self.client_info(app);
        let is_new = self.put_comment(id, comment, text, (author, app))?;
        let incident = self.known(id)?;
        let comment = find_comment(incident, comment)?;
        Ok(Reply::json(if is_new { 201 } else { 200 }, incident.comment_json(comment, place)))
    }
}

fn list_entities(incident: &Incident, place: &Place) -> Reply {
    let mut all = Vec::new();
    for entity in incident.alerts.iter().flat_map(|alert| alert.facts.entities()) {
        if !all.contains(&entity) {
            all.push(entity);
        }
    }
    let mut kinds: Vec<&str> = all.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let count = |kind: &str| all.iter().filter(|(own, _)| *own == kind).count();
    let meta: Value = kinds.iter().map(|kind| json!({ "entityKind": kind, "count": count(kind) })).collect();
    let entities: Value = all.iter().map(|(kind, properties)| place.entity(kind, properties)).collect();
    Reply::json(200, json!({ "entities": entities, "metaData": meta }))
}

fn find_comment<'a>(incident: &'a Incident, id: &str) -> Result<&'a record::Comment, Refusal> {
    let comment = incident.comments.iter().find(|comment| comment.id.eq_ignore_ascii_case(id));
    comment.ok_or_else(|| Refusal::new(404, "NotFound", format!("Incident comment {id} does not exist")))
}
