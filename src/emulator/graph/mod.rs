//! Graph security: routes, roles, answers. `graph-security.md` says what each imitates.
//!
//! Members of [`Settings`](super::Settings) by which it becomes worse, all off at first:
//!
//! | setting | what callers meet |
//! | --- | --- |
//! | `graph_anonymous` | 401 `InvalidAuthenticationToken` to everything, whatever the token |
//! | `graph_role_lost` | 403 `Forbidden`, "Missing application roles", to everything |
//! | `graph_unprovisioned` | 401 `Unauthorized`, "Account is not provisioned", to everything |
//! | `graph_odd` | an [`Oddity`](super::Oddity) in every answer of success: an error beside results, an answer to a batch, a next link that repeats itself or leads elsewhere, a page of log-in, another tenant's ids |
//! | `graph_refuses` | a PATCH that has one of these properties is refused, `InvalidRequestBody` without a name |
//! | `graph_names_refused` | such a refusal names the property |
//!
//! A record that is not there is 404 `ResourceNotFound`. The fault `error-body` brings Graph's error with a status of
//! success; `html` with status 404 is what a gateway in front of it says.

mod edit;
mod evidence;
mod list;
mod merge;
mod record;
mod route;
mod seed;
mod state;
mod values;

pub use edit::{AlertEdit, DefenderEdit};
pub use evidence::AlertFacts;
pub use seed::{AlertSeed, IncidentSeed};

pub(super) use edit::stated;
pub(super) use record::{Alert, Incident, incident_url};
pub(super) use route::{Route, route};
pub(super) use state::Defender;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::faults::{FaultKind, Plan};
use super::ledger::Actor;
use super::login::{Access, Audience};
use super::oddity::Asked;
use super::wire::{Body, Refusal, Reply, Request};
use super::world::World;
use list::List;

/// One request under way.
struct Context<'a> {
    request: &'a Request,
    plan: &'a Plan,
    now: Timestamp,
    /// `Prefer: include-unknown-enum-members`.
    all_members: bool,
}

/// Graph's error shape (`graph-security.md` 5.3).
fn error(context: &Context<'_>, refusal: &Refusal) -> Reply {
    let body = json!({
        "error": {
            "code": refusal.code,
            "message": refusal.message,
            "innerError": {
                "date": context.now.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
                "request-id": Uuid::new_v4().to_string(),
                "client-request-id": context.request.client_request_id(),
            },
        },
    });
    Reply::json(refusal.status, body)
}

/// With the empty list of details that query errors carry.
fn with_detail(mut reply: Reply) -> Reply {
    if let Body::Json(body) = &mut reply.body {
        body["error"]["details"] = json!([]);
    }
    reply
}

fn empty_payload() -> Refusal {
    Refusal::bad_request("Empty Payload. JSON content expected.")
}

impl World {
    /// Answers a request whose route is known. Faults that need no record were dealt with before.
    pub(super) fn graph(&mut self, request: &Request, route: Route<'_>, plan: &Plan) -> Reply {
        let all_members = request
            .header("prefer")
            .is_some_and(|prefer| prefer.to_lowercase().contains("include-unknown-enum-members"));
        let context = Context { request, plan, now: self.instant, all_members };
        if let Some(reply) = self.settings.graph_odd.turned_away() {
            return self.graph_headers(request, reply);
        }
        let reply = match self.graph_access(request, route) {
            Ok(app) => self.graph_route(&context, route, &app),
            Err(refusal) => error(&context, &refusal),
        };
        let reply = if reply.status == 401 {
            reply.with("www-authenticate", "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"")
        } else {
            reply
        };
        let reply = if all_members && reply.status < 300 {
            reply.with("preference-applied", "include-unknown-enum-members")
        } else {
            reply
        };
        let asked = Asked {
            address: request.address(&self.base_url),
            link: "@odata.nextLink",
            own: &self.options.tenant_id,
            other: "99999999-2222-4333-8444-555555555555".to_owned(),
        };
        let reply = self.settings.graph_odd.made_odd(reply, &asked);
        self.graph_headers(request, reply)
    }

    /// The headers of every answer of Graph.
    pub(super) fn graph_headers(&self, request: &Request, reply: Reply) -> Reply {
        let json = matches!(reply.body, Body::Json(_));
        let reply = reply
            .with("request-id", Uuid::new_v4().to_string())
            .with("client-request-id", request.client_request_id())
            .with("x-ms-ags-diagnostic", "{\"ServerInfo\":{\"DataCenter\":\"Emulator\",\"Ring\":\"5\"}}")
            .with("date", super::faults::http_date(self.instant));
        if !json {
            return reply;
        }
        reply.with("odata-version", "4.0").with(
            "content-type",
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
        )
    }

    /// An error in Graph's shape, for faults.
    pub(super) fn graph_error(&self, request: &Request, refusal: &Refusal) -> Reply {
        let context = Context { request, plan: &Plan::default(), now: self.instant, all_members: false };
        self.graph_headers(request, error(&context, refusal))
    }

    fn graph_access(&self, request: &Request, route: Route<'_>) -> Result<Actor, Refusal> {
        let refuse = |text: &str| Err(Refusal::new(401, "InvalidAuthenticationToken", text));
        if self.settings.graph_anonymous {
            return refuse("Access token validation failure.");
        }
        if self.settings.graph_unprovisioned {
            let text = "Unauthorized request - reason of failure: Account is not provisioned.";
            return Err(Refusal::new(401, "Unauthorized", text));
        }
        let app = match self.tokens.access(request, Audience::Graph, self.instant) {
            Access::App(app) => app,
            Access::Missing => return refuse("Access token is empty."),
            Access::Expired => return refuse("Lifetime validation failed, the token is expired."),
            Access::Invalid => return refuse("Access token validation failure. Invalid audience."),
        };
        let needed = route.roles();
        let roles =
            self.options.apps.iter().find(|own| own.client_id == app).map(|own| own.graph_roles.clone());
        let roles = roles.filter(|_| !self.settings.graph_role_lost).unwrap_or_default();
        if needed.is_empty() || needed.iter().any(|role| roles.iter().any(|own| own == role)) {
            return Ok(Actor::App(app));
        }
        let message = format!(
            "Missing application roles. API required roles: {}, application roles: {}.",
            needed.join(","),
            roles.join(",")
        );
        Err(Refusal::new(403, "Forbidden", message))
    }

    fn graph_route(&mut self, context: &Context<'_>, route: Route<'_>, app: &Actor) -> Reply {
        let answer = match route {
            Route::ListIncidents => Ok(self.graph_list(context, List::Incidents)),
            Route::ListAlerts => Ok(self.graph_list(context, List::Alerts)),
            Route::GetIncident(id) => self.get_incident(context, id),
            Route::IncidentAlerts(id) => self.get_incident_alerts(context, id),
            Route::UpdateIncident(id) => self.patch_incident(context, id, app),
            Route::CommentIncident(id) => self.post_incident_comment(context, id, app),
            Route::MergeIncidents => self.post_merge(context, app),
            Route::GetAlert(id) => self.get_alert(context, id),
            Route::UpdateAlert(id) => self.patch_alert(context, id, app),
            Route::CommentAlert(id) => self.post_alert_comment(context, id, app),
            Route::MoveAlerts => self.post_move(context),
            Route::Unknown => Err(unknown_segment(context.request)),
        };
        answer.unwrap_or_else(|refusal| error(context, &refusal))
    }

    fn incident_json(&self, context: &Context<'_>, incident: &Incident) -> Value {
        incident.json(&self.options.tenant_id, context.all_members)
    }

    fn alert_json(&self, context: &Context<'_>, alert: &Alert) -> Value {
        alert.json(&self.options.tenant_id, context.all_members)
    }

    fn alerts_of(&self, context: &Context<'_>, incident: &Incident) -> Value {
        let alerts = incident.alerts.iter().filter_map(|id| self.defender.alert(id));
        alerts.map(|alert| self.alert_json(context, alert)).collect()
    }

    fn get_incident(&self, context: &Context<'_>, id: &str) -> Result<Reply, Refusal> {
        let id = number(id)?;
        let (expand, select) = list::single_options(context.request, List::Incidents)?;
        let versions =
            self.defender.incidents.get(&id).ok_or_else(|| not_found("Incident", &id.to_string()))?;
        let stale = context.plan.is(&FaultKind::StaleRead);
        let incident = if stale { versions.previous() } else { versions.current() };
        let mut value = list::select(self.incident_json(context, incident), select.as_deref());
        if expand {
            let limit = self.settings.expand_alerts_limit;
            if limit.is_some_and(|limit| incident.alerts.len() > limit) {
                return Err(Refusal::new(500, "InternalServerError", "An error has occurred."));
            }
            value["alerts"] = self.alerts_of(context, incident);
        }
        Ok(entity(value, if expand { "incidents(alerts())" } else { "incidents" }))
    }

    fn get_incident_alerts(&self, context: &Context<'_>, id: &str) -> Result<Reply, Refusal> {
        let id = number(id)?;
        let incident = self.defender.incident(id).ok_or_else(|| not_found("Incident", &id.to_string()))?;
        let context_url =
            format!("https://graph.microsoft.com/v1.0/$metadata#security/incidents('{id}')/alerts");
        Ok(Reply::json(
            200,
            json!({ "@odata.context": context_url, "value": self.alerts_of(context, incident) }),
        ))
    }

    fn patch_incident(&mut self, context: &Context<'_>, id: &str, app: &Actor) -> Result<Reply, Refusal> {
        let id = number(id)?;
        let body = context.request.json().ok_or_else(edit::invalid_body)?;
        self.check_refused(&body)?;
        let edit = DefenderEdit::from_patch(body, self.settings.ignore_read_only)?;
        let before = self.defender.incident(id).map(|incident| self.incident_json(context, incident));
        self.edit_defender(id, &edit, app)?;
        let after = self.defender.incident(id).map(|incident| self.incident_json(context, incident));
        let shown = if context.plan.is(&FaultKind::StalePatchBody) { before } else { after };
        Ok(entity(shown.unwrap_or_default(), "incidents"))
    }

    /// Properties that this tenant takes from nobody.
    fn check_refused(&self, body: &Value) -> Result<(), Refusal> {
        match self.settings.graph_refuses.iter().find(|name| body.get(name.as_str()).is_some()) {
            None => Ok(()),
            Some(name) if self.settings.graph_names_refused => {
                let text = format!("The property '{name}' is read-only and cannot be updated.");
                Err(Refusal::bad_request(text))
            }
            Some(_) => Err(edit::invalid_body()),
        }
    }

    fn post_incident_comment(
        &mut self,
        context: &Context<'_>,
        id: &str,
        app: &Actor,
    ) -> Result<Reply, Refusal> {
        let id = number(id)?;
        let text = comment_text(context.request)?;
        let author = self.author(app);
        self.comment_defender(id, &text, &author, app)?;
        let comments = self.defender.incident(id).map(|incident| record::comments_json(&incident.comments));
        Ok(comment_list("incidents", &id.to_string(), comments))
    }

    fn post_merge(&mut self, context: &Context<'_>, app: &Actor) -> Result<Reply, Refusal> {
        let body = context.request.json().ok_or_else(empty_payload)?;
        let ids: Vec<u64> =
            texts(&body["incidentIds"])?.iter().map(|id| number(id)).collect::<Result<_, _>>()?;
        let mut incidents = Vec::new();
        for id in &ids {
            incidents
                .push(self.defender.incident(*id).ok_or_else(|| not_found("Incident", &id.to_string()))?);
        }
        // Which incident stays is the service's choice: here the oldest.
        let target = ids.iter().min().copied().ok_or_else(edit::invalid_body)?;
        let open = incidents.iter().all(|one| !matches!(one.status.as_str(), "resolved" | "redirected"));
        let like = |a: &Incident, b: &Incident| {
            a.owner == b.owner && a.classification == b.classification && a.determination == b.determination
        };
        if ids.len() < 2 || !open || !incidents.windows(2).all(|pair| like(pair[0], pair[1])) {
            return Err(Refusal::bad_request("The incidents cannot be merged."));
        }
        for id in ids.iter().filter(|id| **id != target) {
            self.merge_defender(*id, target, app)?;
        }
        if let Some(text) = body["incidentComment"].as_str() {
            let author = self.author(app);
            self.comment_defender(target, text, &author, app)?;
        }
        Ok(Reply::json(200, json!({ "targetIncidentId": target.to_string() })))
    }

    fn get_alert(&self, context: &Context<'_>, id: &str) -> Result<Reply, Refusal> {
        let versions = self.defender.alerts.get(id).ok_or_else(|| not_found("Alert", id))?;
        let (_, select) = list::single_options(context.request, List::Alerts)?;
        let stale = context.plan.is(&FaultKind::StaleRead);
        let alert = if stale { versions.previous() } else { versions.current() };
        Ok(entity(list::select(self.alert_json(context, alert), select.as_deref()), "alerts_v2"))
    }

    fn patch_alert(&mut self, context: &Context<'_>, id: &str, app: &Actor) -> Result<Reply, Refusal> {
        let body = context.request.json().ok_or_else(edit::invalid_body)?;
        self.check_refused(&body)?;
        let edit = AlertEdit::from_patch(body, self.settings.ignore_read_only)?;
        let before = self.defender.alert(id).map(|alert| self.alert_json(context, alert));
        self.edit_alert(id, &edit, app)?;
        let after = self.defender.alert(id).map(|alert| self.alert_json(context, alert));
        let shown = if context.plan.is(&FaultKind::StalePatchBody) { before } else { after };
        Ok(entity(shown.unwrap_or_default(), "alerts_v2"))
    }

    fn post_alert_comment(&mut self, context: &Context<'_>, id: &str, app: &Actor) -> Result<Reply, Refusal> {
        let text = comment_text(context.request)?;
        self.edit_alert(id, &AlertEdit { comment: Some(text), ..AlertEdit::default() }, app)?;
        let comments = self.defender.alert(id).map(|alert| record::comments_json(&alert.comments));
        Ok(comment_list("alerts_v2", id, comments))
    }

    fn post_move(&mut self, context: &Context<'_>) -> Result<Reply, Refusal> {
        let body = context.request.json().ok_or_else(empty_payload)?;
        let target = body["incidentId"].as_str().map(number).transpose()?;
        let target = self.move_alerts(&texts(&body["alertIds"])?, target)?;
        Ok(Reply::json(200, json!({ "targetIncidentId": target.to_string() })))
    }
}

fn entity(value: Value, collection: &str) -> Reply {
    let Value::Object(mut members) = value else { return Reply::json(200, value) };
    let context = format!("https://graph.microsoft.com/v1.0/$metadata#security/{collection}/$entity");
    members.insert("@odata.context".to_owned(), context.into());
    Reply::json(200, members.into())
}

fn comment_list(collection: &str, id: &str, comments: Option<Value>) -> Reply {
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#security/{collection}('{id}')/comments");
    Reply::json(200, json!({ "@odata.context": context, "value": comments.unwrap_or_else(|| json!([])) }))
}

/// One comment object; an array, which generated clients send, is refused.
fn comment_text(request: &Request) -> Result<String, Refusal> {
    let body = request.json().ok_or_else(empty_payload)?;
    let members = body.as_object().ok_or_else(empty_payload)?;
    let text = members.get("comment").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    text.map(str::to_owned).ok_or_else(edit::invalid_body)
}

fn texts(value: &Value) -> Result<Vec<String>, Refusal> {
    serde_json::from_value(value.clone()).map_err(|_| edit::invalid_body())
}

fn number(id: &str) -> Result<u64, Refusal> {
    id.parse().map_err(|_| not_found("Incident", id))
}

fn not_found(what: &str, id: &str) -> Refusal {
    Refusal::new(404, "ResourceNotFound", format!("{what} with id {id} was not found."))
}

fn unknown_segment(request: &Request) -> Refusal {
    let segment = request.path.last().map_or("", String::as_str);
    Refusal::bad_request(format!("Resource not found for the segment '{segment}'."))
}
