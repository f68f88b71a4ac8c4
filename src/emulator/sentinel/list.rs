//! Lists of incidents and comments: options, filters, pages (`sentinel.md` 1.3).

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::clock::earlier;
use super::super::faults::{FaultKind, Plan};
use super::super::odata::{Filter, FilterError, Shape, order, order_by};
use super::super::versions::Versions;
use super::super::wire::{Refusal, Reply, Request};
use super::super::world::World;
use super::record::{CLASSIFICATION, Incident, Place, SEVERITY, STATUS};

/// Rows of a page when the caller names no number, and the most it may name.
const PAGE: usize = 50;
const MAX_TOP: usize = 1000;

fn shape(path: &str) -> Option<Shape> {
    match path.strip_prefix("properties/")? {
        "createdTimeUtc" | "lastModifiedTimeUtc" => Some(Shape::Time),
        "incidentNumber" => Some(Shape::Number),
        "status" => Some(Shape::Enum(STATUS)),
        "severity" => Some(Shape::Enum(SEVERITY)),
        "classification" => Some(Shape::Enum(CLASSIFICATION)),
        "title" | "owner/assignedTo" => Some(Shape::Text),
        "labels" => Some(Shape::Names("labelName")),
        _ => None,
    }
}

fn read_filter(text: &str) -> Result<Filter, Refusal> {
    Filter::parse(text, &shape).map_err(|error| match error {
        FilterError::Property(name) => {
            Refusal::bad_request(format!("Invalid filter: property '{name}' is not supported."))
        }
        FilterError::Syntax(text) => Refusal::bad_request(format!("Invalid filter: {text}")),
    })
}

fn sort(rows: &mut [&Incident], text: &str) -> Result<(), Refusal> {
    let orders = order_by(text).map_err(Refusal::bad_request)?;
    if let Some((name, _)) = orders.iter().find(|(name, _)| shape(name).is_none()) {
        return Err(Refusal::bad_request(format!("Invalid orderby: property '{name}' is not supported.")));
    }
    rows.sort_by(|a, b| {
        let by = |(path, descending): &(String, bool)| {
            let name = path.trim_start_matches("properties/");
            let ordering = order(&a.property(name), &b.property(name));
            if *descending { ordering.reverse() } else { ordering }
        };
        orders.iter().map(by).find(|ordering| *ordering != Ordering::Equal).unwrap_or(Ordering::Equal)
    });
    Ok(())
}

/// Page size and offset. The skip token is opaque to callers.
fn window(request: &Request) -> Result<(usize, usize), Refusal> {
    let top = match request.option("$top") {
        None => PAGE,
        Some(text) => match text.parse::<usize>() {
            Ok(top) if (1..=MAX_TOP).contains(&top) => top,
            _ => {
                return Err(Refusal::bad_request(format!(
                    "Invalid value '{text}' for $top: it must be between 1 and {MAX_TOP}."
                )));
            }
        },
    };
    let skip = match request.option("$skipToken") {
        None => 0,
        Some(token) => decode(token).ok_or_else(|| Refusal::bad_request("Invalid $skipToken."))?,
    };
    Ok((top, skip))
}

fn encode(skip: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("rows~{skip}"))
}

fn decode(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("rows~")?.parse().ok()
}

impl World {
    pub(super) fn list_sentinel(
        &self,
        request: &Request,
        place: &Place,
        plan: &Plan,
    ) -> Result<Reply, Refusal> {
        if let Some((name, _)) = request.query.iter().find(|(name, _)| {
            name.starts_with('$') && !["$filter", "$orderby", "$top", "$skipToken"].contains(&name.as_str())
        }) {
            return Err(Refusal::bad_request(format!("Query option '{name}' is not supported.")));
        }
        let at = earlier(self.instant, self.settings.sentinel_list_lag);
        let stale = plan.is(&FaultKind::StaleRead);
        let mut rows: Vec<&Incident> = self
            .sentinel
            .incidents
            .values()
            .filter_map(
                |versions: &Versions<Incident>| {
                    if stale { Some(versions.previous()) } else { versions.as_of(at) }
                },
            )
            .collect();
        if let Some(text) = request.option("$filter") {
            let filter = read_filter(text)?;
            rows.retain(|row| filter.passes(&|path| row.property(path.trim_start_matches("properties/"))));
        }
        sort(&mut rows, request.option("$orderby").unwrap_or("properties/createdTimeUtc desc"))?;
        let (top, skip) = window(request)?;
        let page: Vec<Value> = rows
            .iter()
            .skip(skip)
            .take(top)
            .map(|incident| incident.json(place, &self.options.tenant_id))
            .collect();
        let link = format!("{}/providers/Microsoft.SecurityInsights/incidents", place.prefix);
        Ok(self.arm_page(request, plan, &link, (page, skip, rows.len())))
    }

    pub(super) fn list_comments(&self, request: &Request, id: &str, place: &Place) -> Result<Reply, Refusal> {
        let incident = self.known(id)?;
        let (top, skip) = window(request)?;
        let page: Vec<Value> = incident
            .comments
            .iter()
            .skip(skip)
            .take(top)
            .map(|comment| incident.comment_json(comment, place))
            .collect();
        let link = format!(
            "{}/providers/Microsoft.SecurityInsights/incidents/{}/comments",
            place.prefix, incident.name
        );
        Ok(self.arm_page(request, &Plan::default(), &link, (page, skip, incident.comments.len())))
    }

    /// The next link is not escaped, as the service sends it: callers must do it.
    fn arm_page(
        &self,
        request: &Request,
        plan: &Plan,
        path: &str,
        (page, skip, total): (Vec<Value>, usize, usize),
    ) -> Reply {
        let next = skip + page.len();
        let mut body = json!({ "value": page });
        if next < total && next > skip {
            let base = if plan.is(&FaultKind::ForeignNextLink) {
                "https://arm.example.net".to_owned()
            } else {
                format!("{}/arm", self.base_url)
            };
            let options = request.query.iter().filter(|(name, _)| name != "$skipToken");
            let options: Vec<String> = options.map(|(name, value)| format!("{name}={value}")).collect();
            body["nextLink"] =
                json!(format!("{base}{path}?{}&$skipToken={}", options.join("&"), encode(next)));
        }
        Reply::json(200, body)
    }
}
