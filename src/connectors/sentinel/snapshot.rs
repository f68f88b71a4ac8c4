//! From ARM's JSON to snapshots.

use serde::Deserialize;
use serde_json::Value;

use super::wire::{Resource, WireAdditional, WireAlert, WireComment, WireIncident, WireLabel, WireOwner};
use super::write::UNTITLED;
use crate::connectors::html;
use crate::connectors::stated::{
    Stated, account, is_foreign_tag, optional_time, record_id, required, required_time, tags, unreadable,
};
use crate::connectors::text::shown;
use crate::model::{
    Comment, CommentKey, Comments, Facts, Field, Lifecycle, Native, Natives, RecordRef, Snapshot, SystemName,
};

/// The status in which an incident states a verdict.
pub(super) const CLOSED: &str = "Closed";

/// The names under which incidents of the Defender XDR connector came over the years (`sentinel.md` 1.2).
const XDR_PROVIDERS: [&str; 3] = ["microsoft xdr", "microsoft 365 defender", "microsoft defender xdr"];

/// Products of alert-only connectors whose alerts are in Graph too (`sentinel.md` 4), by a part of the name.
const DEFENDER_PRODUCTS: [&str; 7] = [
    "defender",
    "cloud app security",
    "advanced threat protection",
    "identity protection",
    "insider risk",
    "app governance",
    "data loss prevention",
];

/// The label of an incident that lockstep made begins so, and goes on with the incident that it was made for.
pub(super) const ORIGIN_TAG: &str = "lockstep:for ";

/// Whether a label says that the incident was merged away; spelt both ways (`sentinel.md` 1.7).
pub(super) fn is_redirect_label(label: &str) -> bool {
    label.trim().eq_ignore_ascii_case("redirected")
}

/// Reads an incident. `peer` is the Defender system of the same tenant. The error says what is missing.
pub(super) fn incident(
    system: &SystemName,
    peer: Option<&SystemName>,
    json: &Value,
    fresh: bool,
) -> Result<Snapshot, String> {
    let wire: Resource<WireIncident> = Resource::deserialize(json).map_err(|e| unreadable("incident", &e))?;
    let properties = &wire.properties;
    let name = wire.name.id().map(str::to_ascii_lowercase);
    let id = record_id("name", name.as_deref())?;
    let status = required("status", &properties.status)?;
    let modified = required_time("lastModifiedTimeUtc", &properties.last_modified_time_utc)?;
    let revision = wire.etag.text().or_else(|| properties.last_modified_time_utc.text());
    let closed = status == CLOSED;
    let nothing = WireAdditional::default();
    let additional = properties.additional_data.value().unwrap_or(&nothing);
    let note = properties.classification_comment.text().filter(|_| closed);
    Ok(Snapshot {
        record: RecordRef::incident(system, id),
        revision: revision.unwrap_or_default().to_owned(),
        modified,
        modified_by: None,
        fresh,
        hidden: Natives::new(),
        native: natives(properties, status),
        closing_comment: note.map(str::to_owned),
        comments: Comments::Counted(additional.comments_count.value().copied().unwrap_or(0)),
        lifecycle: lifecycle(properties, closed),
        links: twin(properties, additional, peer).or_else(|| origin(properties, peer)).into_iter().collect(),
        parent: None,
        planned_as: None,
        facts: Facts {
            created: optional_time(&properties.created_time_utc),
            url: additional
                .provider_incident_url
                .text()
                .or_else(|| properties.incident_url.text())
                .map(str::to_owned),
            products: texts(&additional.alert_product_names).map(str::to_owned).collect(),
            more_links: peer.is_some() && is_standalone(json),
            ..Facts::default()
        },
        raw: json.clone(),
    })
}

/// Unlike Graph, ARM leaves out what is empty, so an absent owner or list of labels is an empty one.
fn natives(properties: &WireIncident, status: &str) -> Natives {
    let mut native = Natives::from([(Field::Status, Native::Text(status.to_owned()))]);
    if let Some(severity) = properties.severity.text() {
        native.insert(Field::Severity, Native::Text(severity.to_owned()));
    }
    if let Some(title) = properties.title.text().filter(|title| *title != UNTITLED) {
        native.insert(Field::Title, Native::Text(title.to_owned()));
    }
    if let Some(owner) = owner(&properties.owner) {
        native.insert(Field::Owner, owner);
    }
    if labels_are_readable(&properties.labels) {
        let people = labels(properties).filter(|l| is_foreign_tag(l) && !is_redirect_label(l));
        native.insert(Field::Tags, tags(people));
    }
    let (class, reason) = (&properties.classification, &properties.classification_reason);
    if status == CLOSED && !class.is_unreadable() && !reason.is_unreadable() {
        native.insert(Field::Verdict, verdict(class.text(), reason.text()));
    }
    native
}

fn verdict(class: Option<&str>, reason: Option<&str>) -> Native {
    match (class, reason) {
        (None, _) => Native::Empty,
        (Some(class), None) => Native::Text(class.to_owned()),
        (Some(class), Some(reason)) => Native::Text(format!("{class}/{reason}")),
    }
}

/// An owner set in Defender may lack an object id: compared by UPN, then e-mail (`sentinel.md` 1.6). A group is no account,
/// and neither is somebody of whom only a display name or an object id is told: that owner is not stated, which must not
/// look like nobody.
pub(super) fn owner(stated: &Stated<WireOwner>) -> Option<Native> {
    let owner = match stated {
        Stated::Absent | Stated::Null => return Some(Native::Empty),
        Stated::Unreadable => return None,
        Stated::Value(owner) => owner,
    };
    if owner.owner_type.text().is_some_and(|kind| kind.eq_ignore_ascii_case("group")) {
        return None;
    }
    let told = [&owner.user_principal_name, &owner.email, &owner.assigned_to];
    let somebody = told.iter().any(|told| told.text().is_some() || told.is_unreadable());
    match owner.user_principal_name.text().or(owner.email.text()) {
        Some(name) => Some(account(Some(name))),
        None if somebody || owner.object_id.id().is_some() => None,
        None => Some(Native::Empty),
    }
}

/// Whether all labels can be read; without those that cannot, people would seem to have taken them off.
fn labels_are_readable(labels: &Stated<Vec<Stated<WireLabel>>>) -> bool {
    match labels {
        Stated::Absent | Stated::Null => true,
        labels => labels.readable().is_some_and(|list| {
            list.iter().filter_map(Stated::value).all(|label| label.label_name.is_stated())
        }),
    }
}

fn labels(properties: &WireIncident) -> impl Iterator<Item = &str> {
    properties.labels.value().into_iter().flatten().filter_map(|label| label.value()?.label_name.text())
}

fn texts(list: &Stated<Vec<Stated<String>>>) -> impl Iterator<Item = &str> {
    list.value().into_iter().flatten().filter_map(Stated::text)
}

/// A merge closes the source and labels it; where it went only Graph tells (`sentinel.md` 3.5).
fn lifecycle(properties: &WireIncident, closed: bool) -> Lifecycle {
    if closed && labels(properties).any(is_redirect_label) {
        Lifecycle::Redirected { to: None }
    } else {
        Lifecycle::Present
    }
}

/// The Defender incident that this one mirrors. The provider's name alone does not tell: in an onboarded workspace
/// it is the same for incidents that have no twin (`sentinel.md` section 0, fact 2).
fn twin(
    properties: &WireIncident,
    additional: &WireAdditional,
    peer: Option<&SystemName>,
) -> Option<RecordRef> {
    let theirs = mirrored(properties, additional)?;
    Some(RecordRef::incident(peer?, record_id("providerIncidentId", Some(theirs)).ok()?))
}

/// The Defender incident for which lockstep made this one.
fn origin(properties: &WireIncident, peer: Option<&SystemName>) -> Option<RecordRef> {
    let noted = labels(properties).find_map(|label| label.strip_prefix(ORIGIN_TAG))?;
    noted.parse().ok().filter(|record: &RecordRef| peer == Some(&record.system))
}

/// The id of the Defender incident that this one mirrors.
fn mirrored<'a>(properties: &'a WireIncident, additional: &WireAdditional) -> Option<&'a str> {
    let provider = properties.provider_name.text()?.trim().to_ascii_lowercase();
    let theirs = properties.provider_incident_id.id()?;
    let own_number = properties.incident_number.id();
    let is_another = additional.provider_incident_url.text().is_some()
        || own_number.is_some_and(|number| number != theirs);
    (XDR_PROVIDERS.contains(&provider.as_str()) && is_another).then_some(theirs)
}

/// Whether an incident mirrors a Defender incident.
pub(super) fn is_mirror(json: &Value) -> bool {
    let wire: Resource<WireIncident> = Resource::deserialize(json).unwrap_or_default();
    let nothing = WireAdditional::default();
    mirrored(&wire.properties, wire.properties.additional_data.value().unwrap_or(&nothing)).is_some()
}

/// Whether an incident was made in Sentinel from alerts, so that its alerts are what ties it to Defender.
pub(super) fn is_standalone(json: &Value) -> bool {
    let wire: Resource<WireIncident> = Resource::deserialize(json).unwrap_or_default();
    let alerts = wire.properties.additional_data.value().and_then(|a| a.alerts_count.value().copied());
    let provider = wire.properties.provider_name.text().unwrap_or_default();
    provider.trim().eq_ignore_ascii_case("azure sentinel") && alerts.unwrap_or(0) > 0
}

/// The Graph alert behind an alert of an incident, if it is one of a Defender product (`sentinel.md` 2.4).
pub(super) fn alert_link(json: &Value, peer: &SystemName) -> Option<RecordRef> {
    let wire: Resource<WireAlert> = Resource::deserialize(json).ok()?;
    let product = wire.properties.product_name.text()?.to_ascii_lowercase();
    // Defender for Cloud's alerts are written through an API of their own (`sentinel.md` 4 and 5).
    let known = DEFENDER_PRODUCTS.iter().any(|part| product.contains(part));
    if !known || product.contains("defender for cloud") && !product.contains("cloud apps") {
        return None;
    }
    let id = record_id("providerAlertId", wire.properties.provider_alert_id.id()).ok()?;
    Some(RecordRef::alert(peer, id))
}

/// Reads one comment of a list. Text and time are always stated (`sentinel.md` 2.1): a comment that lost them must not
/// pass for an empty new one.
pub(super) fn comment(json: &Value) -> Result<Comment, String> {
    let wire: Resource<WireComment> = Resource::deserialize(json).map_err(|e| unreadable("comment", &e))?;
    let name = wire.name.id().ok_or("a comment without a name")?;
    let properties = &wire.properties;
    let text =
        properties.message.value().ok_or_else(|| format!("comment {}: message is missing", shown(name)))?;
    let created = required_time("createdTimeUtc", &properties.created_time_utc)
        .map_err(|e| format!("comment {}: {e}", shown(name)))?;
    let author = properties.author.value();
    let author = author.and_then(|a| a.name.text().or(a.user_principal_name.text()).or(a.email.text()));
    Ok(Comment {
        key: CommentKey::from_id(name),
        author: author.map(str::to_owned),
        created: Some(created),
        // Typed in the portal or written by a playbook it may be HTML; nothing says so (`sentinel.md` 2.1).
        text: html::words_of(text),
    })
}
