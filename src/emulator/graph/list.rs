//! Lists of incidents and alerts: options, filters, pages (`graph-security.md` 2.2, 3.3).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::super::clock::earlier;
use super::super::faults::FaultKind;
use super::super::odata::{Filter, FilterError, Operand, Shape, order, order_by};
use super::super::versions::Versions;
use super::super::wire::{Refusal, Reply, Request};
use super::super::world::World;
use super::record::{Alert, Incident};
use super::values;
use super::{Context, error, with_detail};

/// Rows of a page, and the most that `$top` may ask of incidents.
const PAGE: usize = 50;
/// `$top` of alerts is cut to this without a word.
const MAX_ALERTS: usize = 1000;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Incidents,
    Alerts,
}

impl List {
    fn path(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::Alerts => "alerts_v2",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Self::Incidents => "microsoft.graph.security.incident",
            Self::Alerts => "microsoft.graph.security.alert",
        }
    }

    fn shape(self, name: &str) -> Option<Shape> {
        match name {
            "createdDateTime" | "lastUpdateDateTime" => Some(Shape::Time),
            "status" if self == Self::Incidents => Some(Shape::Enum(values::INCIDENT_STATUS)),
            "status" => Some(Shape::Enum(values::ALERT_STATUS)),
            "severity" => Some(Shape::Enum(values::SEVERITY)),
            "classification" => Some(Shape::Enum(values::CLASSIFICATION)),
            "determination" => Some(Shape::Enum(values::DETERMINATION)),
            "serviceSource" if self == Self::Alerts => Some(Shape::Enum(values::SERVICE_SOURCE)),
            "assignedTo" => Some(Shape::Text),
            _ => None,
        }
    }

    fn may_sort(self, name: &str) -> bool {
        name == "id" || (name == "displayName" && self == Self::Incidents) || self.shape(name).is_some()
    }
}

/// The options of a list call, checked.
pub(super) struct Options {
    top: Option<usize>,
    skip: usize,
    count: bool,
    filter: Option<Filter>,
    order: Vec<(String, bool)>,
    select: Option<Vec<String>>,
    expand: bool,
}

impl Options {
    pub(super) fn read(request: &Request, list: List) -> Result<Self, Refusal> {
        let mut options = Self {
            top: None,
            skip: 0,
            count: false,
            filter: None,
            order: vec![("createdDateTime".to_owned(), true)],
            select: None,
            expand: false,
        };
        for (name, value) in &request.query {
            match name.as_str() {
                "$top" => options.top = Some(number(name, value)?),
                "$skip" => options.skip = number(name, value)?,
                "$count" => options.count = value == "true",
                "$filter" => options.filter = Some(filter(value, list)?),
                "$orderby" => options.order = sort(value, list)?,
                "$select" => options.select = Some(value.split(',').map(|n| n.trim().to_owned()).collect()),
                "$expand" if list == List::Incidents && value == "alerts" => options.expand = true,
                _ if name.starts_with('$') => {
                    return Err(Refusal::bad_request(format!(
                        "The query specified in the URI is not valid. Query option '{name}={value}' is not allowed."
                    )));
                }
                _ => {}
            }
        }
        Ok(options)
    }

    fn sort<T>(&self, rows: &mut [&T], property: impl Fn(&T, &str) -> Operand) {
        rows.sort_by(|a, b| {
            self.order
                .iter()
                .map(|(name, descending)| {
                    let ordering = order(&property(a, name), &property(b, name));
                    if *descending { ordering.reverse() } else { ordering }
                })
                .find(|ordering| *ordering != Ordering::Equal)
                .unwrap_or(Ordering::Equal)
        });
    }
}

fn number(name: &str, value: &str) -> Result<usize, Refusal> {
    value
        .parse()
        .map_err(|_| Refusal::bad_request(format!("Invalid value '{value}' for {name} query option found.")))
}

fn filter(text: &str, list: List) -> Result<Filter, Refusal> {
    Filter::parse(text, &|name| list.shape(name)).map_err(|error| {
        let reason = match error {
            FilterError::Property(name) => {
                format!("Could not find a property named '{name}' on type '{}'.", list.type_name())
            }
            FilterError::Syntax(text) => text,
        };
        Refusal::bad_request(format!("Invalid filter clause: {reason}"))
    })
}

fn sort(text: &str, list: List) -> Result<Vec<(String, bool)>, Refusal> {
    let order = order_by(text).map_err(Refusal::bad_request)?;
    match order.iter().find(|(name, _)| !list.may_sort(name)) {
        None => Ok(order),
        Some((name, _)) => Err(Refusal::bad_request(format!(
            "Invalid orderby clause: Could not find a property named '{name}' on type '{}'.",
            list.type_name()
        ))),
    }
}

/// Keeps only the chosen members, and the id.
pub(super) fn select(record: Value, names: Option<&[String]>) -> Value {
    let (Some(names), Value::Object(members)) = (names, record.clone()) else { return record };
    members.into_iter().filter(|(name, _)| name == "id" || names.contains(name)).collect::<Map<_, _>>().into()
}

impl World {
    /// A list call.
    pub(super) fn graph_list(&self, context: &Context<'_>, list: List) -> Reply {
        let options = match Options::read(context.request, list) {
            Ok(options) => options,
            Err(refusal) => return error(context, &refusal),
        };
        if let (List::Incidents, Some(top)) = (list, options.top)
            && top > PAGE
        {
            let message = format!(
                "The query specified in the URI is not valid. The limit of '{PAGE}' for Top query has been \
                 exceeded. The value from the incoming request is '{top}'."
            );
            return with_detail(error(context, &Refusal::new(400, "", message)));
        }
        match list {
            List::Incidents => self.list_incidents(context, &options),
            List::Alerts => self.list_alerts(context, &options),
        }
    }

    fn list_incidents(&self, context: &Context<'_>, options: &Options) -> Reply {
        let rows = self.seen(context, self.defender.incidents.values());
        let rows = chosen(rows, options, Incident::property);
        let (page, total) = self.page(&rows, options);
        let limit = self.settings.expand_alerts_limit.filter(|_| options.expand);
        if limit.is_some_and(|limit| page.iter().map(|incident| incident.alerts.len()).sum::<usize>() > limit)
        {
            return error(context, &Refusal::new(500, "InternalServerError", "An error has occurred."));
        }
        let values = page
            .iter()
            .map(|incident| {
                let mut value = select(self.incident_json(context, incident), options.select.as_deref());
                if options.expand {
                    value["alerts"] = self.alerts_of(context, incident);
                }
                value
            })
            .collect();
        let suffix = if options.expand { "incidents(alerts())" } else { "incidents" };
        self.envelope(context, List::Incidents, options, (values, total), suffix)
    }

    fn list_alerts(&self, context: &Context<'_>, options: &Options) -> Reply {
        let rows = self.seen(context, self.defender.alerts.values());
        let rows = chosen(rows, options, Alert::property);
        let (page, total) = self.page(&rows, options);
        let values = page
            .iter()
            .map(|alert| {
                select(alert.json(&self.options.tenant_id, context.all_members), options.select.as_deref())
            })
            .collect();
        self.envelope(context, List::Alerts, options, (values, total), "alerts_v2")
    }

    /// The records as the list index shows them.
    fn seen<'a, T: 'a>(
        &self,
        context: &Context<'_>,
        records: impl Iterator<Item = &'a Versions<T>>,
    ) -> Vec<&'a T> {
        let at = earlier(self.instant, self.settings.graph_list_lag);
        if context.plan.is(&FaultKind::StaleRead) {
            return records.map(Versions::previous).collect();
        }
        records.filter_map(|versions| versions.as_of(at)).collect()
    }

    fn page<'a, T>(&self, rows: &'a [&'a T], options: &Options) -> (&'a [&'a T], usize) {
        let reach = rows.len().min(self.settings.skip_ceiling);
        let begin = options.skip.min(reach);
        let end = (begin + options.top.unwrap_or(PAGE).min(MAX_ALERTS)).min(reach);
        (&rows[begin..end], rows.len())
    }

    fn envelope(
        &self,
        context: &Context<'_>,
        list: List,
        options: &Options,
        (values, total): (Vec<Value>, usize),
        suffix: &str,
    ) -> Reply {
        let mut body = json!({
            "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#security/{suffix}"),
        });
        if options.count {
            body["@odata.count"] = json!(total);
        }
        let next = options.skip + values.len();
        let reach = total.min(self.settings.skip_ceiling);
        // A caller that names its own page size gets no link (graph-security.md 2.2).
        if options.top.is_none() && next < reach && !values.is_empty() {
            body["@odata.nextLink"] = json!(self.next_link(context, list, next));
        }
        body["value"] = Value::Array(values);
        Reply::json(200, body)
    }

    fn next_link(&self, context: &Context<'_>, list: List, skip: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in context.request.query.iter().filter(|(name, _)| name != "$skip") {
            query.append_pair(name, value);
        }
        query.append_pair("$skip", &skip.to_string());
        let base = if context.plan.is(&FaultKind::ForeignNextLink) {
            "https://graph.example.net".to_owned()
        } else {
            format!("{}/graph", self.base_url)
        };
        // Spaces as %20: `+` is for forms.
        let query = query.finish().replace('+', "%20").replace("%24", "$");
        format!("{base}/v1.0/security/{}?{query}", list.path())
    }
}

/// Filters and sorts.
fn chosen<'a, T>(
    mut rows: Vec<&'a T>,
    options: &Options,
    property: impl Fn(&T, &str) -> Operand + Copy,
) -> Vec<&'a T> {
    if let Some(filter) = &options.filter {
        rows.retain(|row| filter.passes(&|name| property(row, name)));
    }
    options.sort(&mut rows, property);
    rows
}

/// Whether the caller wants an incident's alerts with it, and what it selects.
pub(super) fn single_options(request: &Request, list: List) -> Result<(bool, Option<Vec<String>>), Refusal> {
    Options::read(request, list).map(|options| (options.expand, options.select))
}
