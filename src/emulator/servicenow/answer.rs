//! The way of one request: who asks, how often, for what.

use serde_json::{Map, Value, json};

use super::save::Save;
use super::settings::{Front, LostRole};
use super::{Late, SYSTEM, ServiceNow, table_path};
use crate::emulator::clock::{earlier, later};
use crate::emulator::desk::{Surroundings, service_user};
use crate::emulator::faults::{FaultKind, Plan, http_date};
use crate::emulator::versions::Versions;
use crate::emulator::wire::{Body, Refusal, Reply, Request};

/// ServiceNow's shape of errors (`ticketing.md` 1.8).
pub(super) fn error(status: u16, message: &str, detail: &str) -> Reply {
    Reply::json(status, json!({"error": {"message": message, "detail": detail}, "status": "failure"}))
}

/// The body of a query that was cut off after it began to answer: the rows so far, and the error behind them.
pub(super) fn cut_off(rows: &[Value]) -> Value {
    let words = "Transaction cancelled: maximum execution time exceeded";
    let detail = format!("{words} Check logs for error trace or enable glide.rest.debug property");
    json!({"result": rows, "error": {"message": words, "detail": detail}, "status": "failure"})
}

/// A page for people, where a program asked.
fn web_page(status: u16, title: &str) -> Reply {
    let page = format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    );
    let body = Body::Raw("text/html;charset=UTF-8", page);
    Reply { status, headers: Vec::new(), body }
}

/// What answers in the place of the instance.
fn in_front(front: Front) -> Reply {
    const RESTS: &str = "Instance Hibernating page";
    match front {
        Front::SignOn => {
            Reply::empty(302).with("location", "https://login.example.org/saml?RelayState=nav_to.do")
        }
        Front::LogInPage => web_page(200, "Log in | ServiceNow"),
        Front::Hibernating => web_page(200, RESTS),
        Front::HibernatingNotFound => web_page(404, RESTS),
    }
}

/// A refusal in that shape: its code is the message, its message the detail.
pub(super) fn refusal(refusal: &Refusal) -> Reply {
    error(refusal.status, &refusal.code, &refusal.message)
}

/// The 404 that a deleted record and a hidden one share.
pub(super) fn not_found() -> Refusal {
    Refusal::new(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
}

impl ServiceNow {
    pub(super) fn reply(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        around: &mut Surroundings<'_>,
    ) -> Reply {
        let now = around.now;
        if let Some(front) = self.settings.front {
            return in_front(front).with("date", http_date(now));
        }
        let reply = self.admitted(request, path, plan, around).unwrap_or_else(|refused| refused);
        let is_known = if reply.status == 401 { "false" } else { "true" };
        reply.with("date", http_date(now)).with("x-is-logged-in", is_known)
    }

    fn admitted(
        &mut self,
        request: &Request,
        path: &[&str],
        plan: &Plan,
        around: &mut Surroundings<'_>,
    ) -> Result<Reply, Reply> {
        if path == ["oauth_token.do"] {
            return Ok(self.tokens.issue(request, &self.settings, around.now));
        }
        if plan.is(&FaultKind::ExpireToken) {
            self.tokens.expire(request);
        }
        if self.settings.anonymous || !self.tokens.admits(request, around.now) {
            return Err(error(401, "User Not Authenticated", "Required to provide Auth information"));
        }
        self.count_call(around)?;
        let (table, id) = table_path(path).ok_or_else(|| {
            error(400, "Requested URI does not represent any resource", &format!("/{}", path.join("/")))
        })?;
        if matches!(table, "incident" | "sn_si_incident") {
            self.role(request.method == "GET", table)?;
        }
        let is_stale = plan.is(&FaultKind::StaleRead);
        match (request.method.as_str(), id) {
            ("GET", None) => Ok(self.list(table, request, is_stale, around.base_url)),
            ("GET", Some(id)) => self.get(table, id, request, is_stale).map_err(|r| refusal(&r)),
            ("POST", None) | ("PATCH" | "PUT", Some(_)) => self.write(request, table, id, around),
            _ => Err(error(405, "Method not allowed", &request.method)),
        }
    }

    /// What is refused to a user who lost the role, before anything is looked at.
    fn role(&self, reads: bool, table: &str) -> Result<(), Reply> {
        match self.settings.lost_role {
            None => Ok(()),
            Some(LostRole::NoTable) => Err(error(400, &format!("Invalid table {table}"), "")),
            Some(LostRole::Refused) => Err(error(
                403,
                "User Not Authorized",
                "Failed API level ACL Validation: insufficient rights to query records",
            )),
            Some(_) if !reads => {
                let detail = "ACL Exception Update Failed due to security constraints";
                Err(error(403, "Operation Failed", detail))
            }
            Some(_) => Ok(()),
        }
    }

    /// The rate rule (`ticketing.md` 1.8): counted per hour of the clock.
    fn count_call(&mut self, around: &Surroundings<'_>) -> Result<(), Reply> {
        let Some(most) = self.settings.rate_per_hour else { return Ok(()) };
        let second = around.now.as_second();
        let begin = earlier(around.now, f64::from(u32::try_from(second.rem_euclid(3600)).unwrap_or(0)));
        self.calls.retain(|at| *at >= begin);
        self.calls.push_back(around.now);
        if self.calls.len() <= most as usize {
            return Ok(());
        }
        let left = 3600 - second.rem_euclid(3600);
        let detail = format!("Rate limit of {most} requests per hour for Table API exceeded");
        let reply = error(429, "Rate limit exceeded", &detail)
            .with("retry-after", left.to_string())
            .with("x-ratelimit-limit", most.to_string())
            .with("x-ratelimit-reset", (second + left).to_string())
            .with("x-ratelimit-rule", super::record::sys_id("rate rule"));
        Err(reply)
    }

    fn write(
        &mut self,
        request: &Request,
        table: &str,
        id: Option<&str>,
        around: &mut Surroundings<'_>,
    ) -> Result<Reply, Reply> {
        let body: Map<String, Value> = match request.json() {
            Some(Value::Object(body)) => body,
            _ => return Err(error(400, "Exception while reading request", "The payload is not valid JSON")),
        };
        if !matches!(table, "incident" | "sn_si_incident") {
            return Err(error(
                403,
                "Operation Failed",
                "ACL Exception Insert Failed due to security constraints",
            ));
        }
        if self.settings.late_writes > 0 {
            self.settings.late_writes -= 1;
            let due = later(around.now, self.settings.late_seconds);
            self.late.push(Late { due, table: table.to_owned(), id: id.map(str::to_owned), body });
            return Err(error(504, "Transaction cancelled", "maximum execution time exceeded"));
        }
        let (actor, save) = (service_user(), Save::by_api(&body));
        let written = match id {
            Some(id) => {
                self.visible(table, id).map_err(|r| refusal(&r))?;
                self.update(id, save, &actor, around).map(|()| id.to_owned())
            }
            None => self.insert(table, save, &actor, around),
        };
        let id = written.map_err(|r| refusal(&r))?;
        let mut reply = self.get(table, &id, request, false).map_err(|r| refusal(&r))?;
        if request.method == "POST" {
            reply.status = 201;
            let address = format!("{}/{}/api/now/table/{table}/{id}", around.base_url, SYSTEM.as_str());
            reply = reply.with("location", address);
        }
        Ok(reply)
    }

    /// Whether the service user sees a record.
    fn visible(&self, table: &str, id: &str) -> Result<(), Refusal> {
        let record = self.find(id).map(Versions::current);
        if record.is_some_and(|record| record.table == table && !record.hidden) {
            Ok(())
        } else {
            Err(not_found())
        }
    }
}
