//! Writes: alerts, promotion, changes of cases, comments, merges (`ticketing.md` 4).

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::desk::{USER, is_own_tag};
use super::super::ledger::{What, changes, outcome};
use super::super::versions::Versions;
use super::super::wire::Refusal;
use super::record::{Alert, BOOKKEEPING, Case, Comment, number, stage};
use super::{Act, TheHive};

const MAX_TITLE: usize = 512;
const MAX_LABEL: usize = 32;
const MAX_REFERENCE: usize = 128;

impl TheHive {
    pub(super) fn create_alert(&mut self, body: &Value, act: &mut Act<'_, '_>) -> Result<Alert, Refusal> {
        known_members(
            body,
            &[
                "type",
                "source",
                "sourceRef",
                "title",
                "description",
                "severity",
                "tags",
                "externalLink",
                "tlp",
                "pap",
                "flag",
                "assignee",
            ],
        )?;
        let (kind, source) = (required(body, "type", MAX_LABEL)?, required(body, "source", MAX_LABEL)?);
        let reference = required(body, "sourceRef", MAX_REFERENCE)?;
        let same =
            |alert: &Alert| (&alert.kind, &alert.source, &alert.reference) == (&kind, &source, &reference);
        if !self.settings.duplicate_alerts && self.alerts.values().any(|alert| same(alert.current())) {
            let organisation = &self.settings.organisation;
            let text =
                format!("Alert {kind}:{source}:{reference} already exists in organisation {organisation}");
            return Err(Refusal::new(400, "CreateError", text));
        }
        let alert = Alert {
            id: self.take_id(),
            title: required(body, "title", MAX_TITLE)?,
            description: required(body, "description", usize::MAX)?,
            severity: severity(body)?.unwrap_or(2),
            tags: texts(&body["tags"]),
            case: None,
            created: act.now(),
            created_by: act.by(),
            kind,
            source,
            reference,
        };
        self.alerts.insert(alert.id, Versions::new(act.now(), alert.clone()));
        Ok(alert)
    }

    pub(super) fn promote(&mut self, id: &str, body: &Value, act: &mut Act<'_, '_>) -> Result<Case, Refusal> {
        let missing = || Refusal::new(404, "NotFoundError", format!("Alert {id} not found"));
        let alert = number(id).and_then(|n| self.alerts.get(&n)).ok_or_else(missing)?.current().clone();
        if alert.case.is_some() && !self.settings.promotes_twice {
            return Err(Refusal::bad_request("Alert is already imported"));
        }
        known_members(
            body,
            &[
                "title",
                "description",
                "severity",
                "tags",
                "assignee",
                "caseTemplate",
                "status",
                "summary",
                "customFields",
                "flag",
                "tlp",
                "pap",
            ],
        )?;
        let assignee = match body["assignee"].as_str() {
            Some(login) => self.login(login)?,
            // Whoever opens a case has it.
            None => act.by(),
        };
        let mut tags = if body["tags"].is_array() { texts(&body["tags"]) } else { alert.tags.clone() };
        if self.settings.drops_key {
            tags.retain(|tag| !is_own_tag(tag));
        }
        let case = Case { assignee: Some(assignee), tags, ..self.blank(&alert.title, act) };
        let case = Case { description: alert.description.clone(), severity: alert.severity, ..case };
        self.cases.insert(case.id, Versions::new(act.now(), case.clone()));
        self.point(alert.id, Some(case.id), act);
        act.note(case.id, What::Created);
        Ok(case)
    }

    /// A new case with nothing in it.
    pub(super) fn blank(&mut self, title: &str, act: &Act<'_, '_>) -> Case {
        self.last_number += 1;
        Case {
            id: self.take_id(),
            number: self.last_number,
            title: title.to_owned(),
            description: String::new(),
            severity: 2,
            status: "New".to_owned(),
            summary: None,
            impact: None,
            assignee: None,
            tags: Vec::new(),
            fields: BTreeMap::new(),
            created: act.now(),
            created_by: act.by(),
            updated: None,
            closed: None,
            ended: None,
        }
    }

    fn point(&mut self, alert: u64, case: Option<u64>, act: &Act<'_, '_>) {
        if let Some(versions) = self.alerts.get_mut(&alert) {
            let next = Alert { case, ..versions.current().clone() };
            versions.push(act.now(), next);
        }
    }

    pub(super) fn patch(&mut self, id: &str, body: &Value, act: &mut Act<'_, '_>) -> Result<(), Refusal> {
        let before = self.case(id)?.clone();
        let mut next = before.clone();
        if let Some(name) = self.settings.refuses.iter().find(|name| body.get(*name).is_some()) {
            let about = if self.settings.names_refused { name } else { "the request" };
            return Err(bad(&format!("{about} is not accepted")));
        }
        for (name, value) in body.as_object().into_iter().flatten() {
            self.set_member(&mut next, name, value)?;
        }
        if self.settings.drops_key {
            next.tags.retain(|tag| !is_own_tag(tag));
        }
        self.save(&before, next, act)
    }

    fn set_member(&self, case: &mut Case, name: &str, value: &Value) -> Result<(), Refusal> {
        let text = || value.as_str().map(str::to_owned).ok_or_else(|| bad(&format!("{name} must be a text")));
        match name {
            "title"
                if value.as_str().is_some_and(|t| t.chars().count() <= MAX_TITLE && !t.trim().is_empty()) =>
            {
                case.title = text()?;
            }
            "description" => case.description = text()?,
            "severity" => case.severity = number_of_severity(value)?,
            "status" => {
                let status = text()?;
                stage(&status).ok_or_else(|| bad(&format!("CaseStatus {status} not found")))?;
                case.status = status;
            }
            "summary" => case.summary = Some(text()?),
            "impactStatus" if ["NotApplicable", "WithImpact", "NoImpact"].iter().any(|one| value == one) => {
                case.impact = Some(text()?);
            }
            "assignee" if value.is_null() => {
                if self.settings.can_unassign {
                    case.assignee = None;
                }
            }
            "assignee" => case.assignee = Some(self.login(&text()?)?),
            "tags" => case.tags = texts(value),
            "addTags" => {
                for tag in texts(value) {
                    if !case.tags.contains(&tag) {
                        case.tags.push(tag);
                    }
                }
            }
            "removeTags" => {
                let gone = texts(value);
                case.tags.retain(|tag| !gone.contains(tag));
            }
            // The list replaces the whole list: the harder reading of what is not published.
            "customFields" => {
                let list = value.as_array().ok_or_else(|| bad("customFields must be a list"))?;
                let entry =
                    |field: &Value| Some((field["name"].as_str()?.to_owned(), field["value"].clone()));
                case.fields = list.iter().filter_map(entry).collect();
            }
            _ => return Err(bad(&format!("{name} cannot be set to {value}"))),
        }
        Ok(())
    }

    fn login(&self, login: &str) -> Result<String, Refusal> {
        let known = login == USER || login.ends_with(&format!("@{}", self.settings.accounts_at));
        if known {
            return Ok(login.to_owned());
        }
        Err(Refusal::new(404, "NotFoundError", format!("User {login} not found")))
    }

    /// Stores a change, unless there is none, and keeps the rules of closing and reopening.
    pub(super) fn save(
        &mut self,
        before: &Case,
        mut next: Case,
        act: &mut Act<'_, '_>,
    ) -> Result<(), Refusal> {
        if before.is_closed() && !next.is_closed() && act.by() == USER && !self.settings.may_reopen {
            return Err(Refusal::new(403, "AuthorizationError", "Operation not permitted: reopen case"));
        }
        if !before.is_closed() && next.is_closed() {
            let empty = |name: &&String| next.fields.get(*name).is_none_or(Value::is_null);
            let lacking: Vec<&str> =
                self.settings.mandatory_fields.iter().filter(empty).map(String::as_str).collect();
            if !lacking.is_empty() {
                let text = format!("Custom field(s) {} are mandatory to close the case", lacking.join(", "));
                return Err(bad(&text));
            }
            next.closed = next.closed.or(Some(act.now()));
            next.ended = Some(act.now());
        }
        let done = outcome(changes(&before.json(), &next.json(), BOOKKEEPING));
        if done != What::Ineffective {
            next.updated = Some((act.now(), act.by()));
            if let Some(versions) = self.cases.get_mut(&before.id) {
                versions.push(act.now(), next);
            }
        }
        act.note(before.id, done);
        Ok(())
    }

    pub(super) fn comment(
        &mut self,
        id: &str,
        text: &str,
        act: &mut Act<'_, '_>,
    ) -> Result<Comment, Refusal> {
        let case = self.case(id)?.clone();
        let (author, created) = (act.by(), act.now());
        let comment = Comment { id: self.take_id(), case: case.id, author, text: text.to_owned(), created };
        self.comments.push(comment.clone());
        if self.settings.comment_moves_case
            && let Some(versions) = self.cases.get_mut(&case.id)
        {
            versions.push(created, Case { updated: Some((created, act.by())), ..case.clone() });
        }
        let shown = super::edit::shown(text);
        act.note(case.id, What::Commented { comment: Some(super::record::id(comment.id)), text: shown });
        Ok(comment)
    }

    pub(super) fn delete(&mut self, id: u64, act: &mut Act<'_, '_>) {
        if self.cases.remove(&id).is_some() {
            let of = |v: &Versions<Alert>| v.current().case == Some(id);
            let alerts: Vec<u64> = self.alerts.iter().filter(|(_, v)| of(v)).map(|(id, _)| *id).collect();
            for alert in alerts {
                self.point(alert, None, act);
            }
            self.comments.retain(|comment| comment.case != id);
            act.note(id, What::Deleted);
        }
    }

    /// Two cases become a new one; the old ones are gone, their alerts and comments go along.
    pub(super) fn merge(&mut self, first: u64, second: &str, act: &mut Act<'_, '_>) -> Result<(), Refusal> {
        let (a, b) = (self.case(&super::record::id(first))?.clone(), self.case(second)?.clone());
        if a.id == b.id {
            return Err(bad("a case cannot be merged with itself"));
        }
        let mut tags = a.tags.clone();
        tags.extend(b.tags.iter().filter(|tag| !a.tags.contains(tag)).cloned());
        let title = format!("{} / {}", a.title, b.title);
        let merged = Case {
            severity: a.severity.max(b.severity),
            assignee: a.assignee.clone(),
            description: format!("{}\n\n{}", a.description, b.description),
            fields: b.fields.iter().chain(&a.fields).map(|(k, v)| (k.clone(), v.clone())).collect(),
            tags,
            ..self.blank(&title, act)
        };
        let old = [a.id, b.id];
        let of = |v: &Versions<Alert>| v.current().case.is_some_and(|case| old.contains(&case));
        let alerts: Vec<u64> = self.alerts.iter().filter(|(_, v)| of(v)).map(|(id, _)| *id).collect();
        for alert in alerts {
            self.point(alert, Some(merged.id), act);
        }
        for comment in self.comments.iter_mut().filter(|comment| old.contains(&comment.case)) {
            comment.case = merged.id;
        }
        self.cases.insert(merged.id, Versions::new(act.now(), merged.clone()));
        act.note(merged.id, What::Created);
        for id in old {
            self.delete(id, act);
        }
        Ok(())
    }
}

fn required(body: &Value, name: &str, most: usize) -> Result<String, Refusal> {
    match body[name].as_str().filter(|text| !text.trim().is_empty()) {
        Some(text) if text.chars().count() <= most => Ok(text.to_owned()),
        Some(_) => Err(bad(&format!("{name} is longer than {most} characters"))),
        None => Err(bad(&format!("{name} is required"))),
    }
}

fn known_members(body: &Value, known: &[&str]) -> Result<(), Refusal> {
    match body.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(bad(&format!("{name} is unknown"))),
        None => Ok(()),
    }
}

fn severity(body: &Value) -> Result<Option<i64>, Refusal> {
    body.get("severity").map(number_of_severity).transpose()
}

fn number_of_severity(value: &Value) -> Result<i64, Refusal> {
    value.as_i64().filter(|n| (1..=4).contains(n)).ok_or_else(|| bad("severity must be 1 to 4"))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn bad(message: &str) -> Refusal {
    Refusal::bad_request(message)
}
