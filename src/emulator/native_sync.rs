//! Microsoft's own connector between Defender and Sentinel (`sentinel.md` 3), and what else happens later.
//!
//! Each change of a linked incident is carried to the other side after a delay, as the state is then. A field
//! that was changed on both sides takes the later change. What the connector itself wrote is never carried back,
//! except that a false positive's reason comes back coarser than it went (`sentinel.md` 3.1).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::clock::{later, seven};
use super::graph::{self, AlertEdit};
use super::ledger::{Actor, Change};
use super::sentinel::{self, Owner};
use super::world::World;

/// The label that marks the source of a merge.
const REDIRECTED: &str = "Redirected";

/// Something that happens later.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// An incident's change reaches its alerts.
    FanOut { incident: u64, edit: AlertEdit },
    /// A Defender incident gets its Sentinel twin.
    CreateTwin { incident: u64 },
    /// Fields go from Defender to Sentinel.
    ToSentinel { incident: u64, fields: BTreeSet<Carried> },
    /// Fields go from Sentinel to Defender.
    ToDefender { name: String, fields: BTreeSet<Carried> },
    /// A comment goes from Defender to Sentinel.
    CommentToSentinel { incident: u64, text: String, author: String },
    /// A comment goes from Sentinel to Defender.
    CommentToDefender { name: String, text: String, author: String },
    /// A merge shows in Sentinel.
    Merge { source: u64, target: u64 },
}

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carried {
    Status,
    Verdict,
    Severity,
    Owner,
    Title,
    Tags,
}

impl Carried {
    const ALL: [Self; 6] =
        [Self::Status, Self::Verdict, Self::Severity, Self::Owner, Self::Title, Self::Tags];

    fn of(property: &str) -> Option<Self> {
        match property {
            "status" => Some(Self::Status),
            "classification"
            | "determination"
            | "classificationReason"
            | "resolvingComment"
            | "classificationComment" => Some(Self::Verdict),
            "severity" => Some(Self::Severity),
            "assignedTo" | "owner" => Some(Self::Owner),
            "displayName" | "title" => Some(Self::Title),
            "customTags" | "labels" => Some(Self::Tags),
            _ => None,
        }
    }

    fn all_of(changes: &[Change]) -> BTreeSet<Self> {
        changes.iter().filter_map(|change| Self::of(&change.field)).collect()
    }
}

/// Where a linked field was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Defender,
    Sentinel,
}

/// Jobs in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    jobs: BTreeMap<(Timestamp, u64), Job>,
    serial: u64,
    touched: BTreeMap<(u64, Carried), Side>,
}

impl Agenda {
    pub(super) fn add(&mut self, due: Timestamp, job: Job) {
        self.serial += 1;
        self.jobs.insert((due, self.serial), job);
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Job)> {
        let entry = self.jobs.first_entry().filter(|entry| entry.key().0 <= now)?;
        let due = entry.key().0;
        Some((due, entry.remove()))
    }

    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    fn touch(&mut self, incident: u64, fields: &BTreeSet<Carried>, side: Side) {
        self.touched.extend(fields.iter().map(|field| ((incident, *field), side)));
    }

    /// The fields that the other side has not changed since.
    fn winning(&self, incident: u64, fields: &BTreeSet<Carried>, side: Side) -> Vec<Carried> {
        let wins = |field: &&Carried| self.touched.get(&(incident, **field)).is_none_or(|last| *last == side);
        fields.iter().filter(wins).copied().collect()
    }

    /// Fields of a job that is waiting already.
    fn waiting(&mut self, is_it: impl Fn(&Job) -> bool) -> Option<&mut BTreeSet<Carried>> {
        self.jobs.values_mut().find(|job| is_it(job)).and_then(|job| match job {
            Job::ToSentinel { fields, .. } | Job::ToDefender { fields, .. } => Some(fields),
            _ => None,
        })
    }
}

impl World {
    /// Does what is due, each at its own time, and moves to the present.
    pub(super) fn catch_up(&mut self) {
        let now = self.time.now();
        while let Some((due, job)) = self.agenda.pop_due(now) {
            self.instant = due.max(self.instant);
            self.run(job);
        }
        self.instant = now.max(self.instant);
    }

    fn run(&mut self, job: Job) {
        match job {
            Job::FanOut { incident, edit } => self.apply_fan_out(incident, &edit),
            Job::CreateTwin { incident } => {
                let is_merged = self.defender.incident(incident).is_none_or(|one| one.status == "redirected");
                if !is_merged && self.sentinel.twin(incident).is_none() {
                    self.create_twin(incident);
                }
            }
            Job::ToSentinel { incident, fields } => self.carry_to_sentinel(incident, &fields),
            Job::ToDefender { name, fields } => self.carry_to_defender(&name, &fields),
            Job::CommentToSentinel { incident, text, author } => {
                if let Some(twin) = self.sentinel.twin(incident) {
                    self.copy_comment(&twin, &text, &author);
                }
            }
            Job::CommentToDefender { name, text, author } => {
                if let Some(id) = self.linked_defender(&name) {
                    let _ = self.comment_defender(id, &text, &author, &Actor::NativeSync);
                }
            }
            Job::Merge { source, target } => self.carry_merge(source, target),
        }
    }

    fn linked_defender(&self, name: &str) -> Option<u64> {
        let id = self.sentinel.incident(name)?.defender?;
        self.defender.incident(id).map(|incident| incident.id)
    }

    fn carries(&self, actor: &Actor) -> bool {
        self.native.enabled && *actor != Actor::NativeSync
    }

    /// A Defender incident changed.
    pub(super) fn native_to_sentinel(&mut self, incident: u64, changes: &[Change], actor: &Actor) {
        let fields = Carried::all_of(changes);
        let merged = self.defender.incident(incident).is_some_and(|one| one.status == "redirected");
        if !self.carries(actor) || fields.is_empty() || merged {
            return;
        }
        self.agenda.touch(incident, &fields, Side::Defender);
        let same = |job: &Job| matches!(job, Job::ToSentinel { incident: other, .. } if *other == incident);
        if self.native.batch
            && let Some(waiting) = self.agenda.waiting(same)
        {
            waiting.extend(fields);
            return;
        }
        self.agenda.add(later(self.instant, self.native.delay), Job::ToSentinel { incident, fields });
    }

    /// A Sentinel incident changed.
    pub(super) fn native_to_defender(&mut self, name: &str, changes: &[Change], actor: &Actor) {
        let fields = Carried::all_of(changes);
        let Some(incident) = self.linked_defender(name) else { return };
        if !self.carries(actor) || fields.is_empty() {
            return;
        }
        self.agenda.touch(incident, &fields, Side::Sentinel);
        let same = |job: &Job| matches!(job, Job::ToDefender { name: other, .. } if other == name);
        if self.native.batch
            && let Some(waiting) = self.agenda.waiting(same)
        {
            waiting.extend(fields);
            return;
        }
        let job = Job::ToDefender { name: name.to_owned(), fields };
        self.agenda.add(later(self.instant, self.native.delay), job);
    }

    /// A comment was added in Defender. Without a twin it waits for the twin's creation.
    pub(super) fn native_comment_to_sentinel(
        &mut self,
        incident: u64,
        text: &str,
        author: &str,
        actor: &Actor,
    ) {
        if self.carries(actor) && self.sentinel.twin(incident).is_some() {
            let job = Job::CommentToSentinel { incident, text: text.to_owned(), author: author.to_owned() };
            self.agenda.add(later(self.instant, self.native.delay), job);
        }
    }

    /// A comment was added in Sentinel.
    pub(super) fn native_comment_to_defender(&mut self, name: &str, text: &str, actor: &Actor) {
        if self.carries(actor) && self.linked_defender(name).is_some() {
            let author = self.author(actor);
            let job = Job::CommentToDefender { name: name.to_owned(), text: text.to_owned(), author };
            self.agenda.add(later(self.instant, self.native.delay), job);
        }
    }

    /// Two Defender incidents were merged.
    pub(super) fn native_merge(&mut self, source: u64, target: u64) {
        if self.native.enabled {
            self.agenda.add(later(self.instant, self.native.delay), Job::Merge { source, target });
        }
    }

    /// Makes the twin of an incident, in agreement with it; returns its name.
    pub(super) fn create_twin(&mut self, id: u64) -> String {
        let name = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("twin-{id}").as_bytes()).to_string();
        let Some(incident) = self.defender.incident(id).cloned() else { return name };
        let mut twin = self.blank_sentinel(&name);
        "Microsoft XDR".clone_into(&mut twin.provider);
        twin.defender = Some(id);
        twin.first_activity = Some(seven(incident.created));
        twin.last_activity = Some(seven(incident.created));
        twin.alerts = incident.alerts.iter().filter_map(|id| self.copied_alert(id)).collect();
        let twin = as_sentinel(&incident, twin, &Carried::ALL);
        self.insert_sentinel(twin, &Actor::NativeSync);
        for comment in &incident.comments {
            self.copy_comment(&name, &comment.text, &comment.author);
        }
        name
    }

    fn copy_comment(&mut self, name: &str, text: &str, author: &str) {
        let id = Uuid::new_v4().to_string();
        let author = self.client_info(&Actor::Human(author.to_owned()));
        let _ = self.put_comment(name, &id, text, (author, &Actor::NativeSync));
    }

    fn carry_to_sentinel(&mut self, id: u64, fields: &BTreeSet<Carried>) {
        let fields = self.agenda.winning(id, fields, Side::Defender);
        let (Some(incident), Some(name)) = (self.defender.incident(id), self.sentinel.twin(id)) else {
            return;
        };
        let Some(twin) = self.sentinel.incident(&name) else { return };
        let mut next = as_sentinel(incident, twin.clone(), &fields);
        next.alerts = incident.alerts.iter().filter_map(|id| self.copied_alert(id)).collect();
        if next.editable() != twin.editable() {
            self.save_sentinel(next, &Actor::NativeSync);
        }
    }

    fn carry_to_defender(&mut self, name: &str, fields: &BTreeSet<Carried>) {
        let Some(id) = self.linked_defender(name) else { return };
        let fields = self.agenda.winning(id, fields, Side::Sentinel);
        let (Some(twin), Some(incident)) = (self.sentinel.incident(name), self.defender.incident(id)) else {
            return;
        };
        if incident.status == "redirected" {
            return;
        }
        let coarse =
            twin.reason.as_deref() == Some("IncorrectAlertLogic") && fields.contains(&Carried::Status);
        let tenant = self.options.tenant_id.clone();
        let next = as_defender(twin, incident.clone(), &fields);
        if next.json(&tenant, true) != incident.json(&tenant, true) {
            let changes = self.save_incident(next, &Actor::NativeSync);
            self.fan_out(id, &changes);
        }
        if coarse {
            let fields = BTreeSet::from([Carried::Verdict]);
            self.agenda.touch(id, &fields, Side::Defender);
            self.agenda.add(later(self.instant, self.native.delay), Job::ToSentinel { incident: id, fields });
        }
    }

    /// The source is closed with the label `Redirected`, its alerts and labels go to the target, its comments stay.
    fn carry_merge(&mut self, source: u64, target: u64) {
        let Some(mut from) =
            self.sentinel.twin(source).and_then(|name| self.sentinel.incident(&name).cloned())
        else {
            return;
        };
        let alerts = std::mem::take(&mut from.alerts);
        "Closed".clone_into(&mut from.status);
        from.classification = Some("Undetermined".to_owned());
        (from.reason, from.closing_comment) = (None, None);
        from.labels = vec![REDIRECTED.to_owned()];
        self.save_sentinel(from, &Actor::NativeSync);
        let into = self.sentinel.twin(target).and_then(|name| self.sentinel.incident(&name).cloned());
        if let Some(mut into) = into {
            into.alerts.extend(
                alerts
                    .into_iter()
                    .filter(|alert| into.alerts.iter().all(|own| own.id != alert.id))
                    .collect::<Vec<_>>(),
            );
            self.save_sentinel(into, &Actor::NativeSync);
        }
    }
}

/// A twin with fields of the Defender incident (`sentinel.md` 3.1).
fn as_sentinel(
    from: &graph::Incident,
    mut twin: sentinel::Incident,
    fields: &[Carried],
) -> sentinel::Incident {
    for field in fields {
        match field {
            Carried::Status => {
                let status = match from.status.as_str() {
                    "active" => "New",
                    "resolved" => "Closed",
                    _ => "Active",
                };
                status.clone_into(&mut twin.status);
                carry_verdict(from, &mut twin);
            }
            Carried::Verdict => carry_verdict(from, &mut twin),
            Carried::Severity => twin.severity = capitalised(&from.severity),
            Carried::Owner => twin.owner = Owner::user(from.owner.as_deref()),
            Carried::Title => twin.title.clone_from(&from.title),
            Carried::Tags => twin.labels.clone_from(&from.tags),
        }
    }
    twin
}

/// A closed incident shows the class; the determination is lost. An open one shows nothing.
fn carry_verdict(from: &graph::Incident, twin: &mut sentinel::Incident) {
    if twin.status != "Closed" {
        (twin.classification, twin.reason, twin.closing_comment) = (None, None, None);
        return;
    }
    let (classification, reason) = match from.classification.as_str() {
        "truePositive" => ("TruePositive", Some("SuspiciousActivity")),
        "falsePositive" => ("FalsePositive", Some("InaccurateData")),
        "informationalExpectedActivity" => ("BenignPositive", Some("SuspiciousButExpected")),
        _ => ("Undetermined", None),
    };
    twin.classification = Some(classification.to_owned());
    twin.reason = reason.map(str::to_owned);
    if from.resolving_comment.is_some() {
        twin.closing_comment.clone_from(&from.resolving_comment);
    }
}

/// A Defender incident with fields of its twin. A class that agrees already keeps its determination.
fn as_defender(twin: &sentinel::Incident, mut next: graph::Incident, fields: &[Carried]) -> graph::Incident {
    for field in fields {
        match field {
            Carried::Status => {
                let status = match twin.status.as_str() {
                    "New" => "active",
                    "Closed" => "resolved",
                    _ => "inProgress",
                };
                status.clone_into(&mut next.status);
            }
            Carried::Verdict => {
                // Which determination the service picks is not documented: the vaguest.
                let (classification, determination) = match twin.classification.as_deref() {
                    Some("TruePositive") => ("truePositive", "other"),
                    Some("FalsePositive") => ("falsePositive", "other"),
                    Some("BenignPositive") => ("informationalExpectedActivity", "other"),
                    Some(_) => ("unknown", "unknown"),
                    None => continue,
                };
                if next.classification != classification {
                    classification.clone_into(&mut next.classification);
                    determination.clone_into(&mut next.determination);
                }
                if twin.closing_comment.is_some() {
                    next.resolving_comment.clone_from(&twin.closing_comment);
                }
            }
            Carried::Severity => next.severity = twin.severity.to_lowercase(),
            Carried::Owner => next.owner = twin.owner.upn.clone().or_else(|| twin.owner.email.clone()),
            Carried::Title => next.title.clone_from(&twin.title),
            Carried::Tags => next.tags.clone_from(&twin.labels),
        }
    }
    next
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}
