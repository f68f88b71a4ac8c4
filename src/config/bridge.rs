//! `[[bridges]]`: which systems are kept in agreement, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use toml::Spanned;
use toml::de::DeValue;

use super::parse;
use super::reader::{Section, nearest};
use super::system::{Declared, System};
use crate::connectors::SystemSettings;
use crate::model::{BridgeName, Field, Severity, SystemName, Verdict};
use crate::reconcile::{
    ClosingPolicy, Conflicts, Direction, Filter, Late, NativeSync, Policy, Reopen, SystemPolicy, TicketGone,
    TicketPolicy, description,
};

/// How far back a bridge looks when it does not say.
const DEFAULT_SINCE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long native sync may take when the bridge does not say: Microsoft promises 10 minutes (`sentinel.md` 3.2).
const DEFAULT_DEADLINE: Duration = Duration::from_mins(15);

const CONFLICTS: &[(&str, Conflicts)] =
    &[("close-wins", Conflicts::CloseWins), ("order", Conflicts::Order), ("latest", Conflicts::Latest)];
const LATE: &[(&str, Late)] = &[("report", Late::Report), ("write", Late::Write)];
const REOPEN: &[(&str, Reopen)] =
    &[("propagate", Reopen::Propagate), ("ignore", Reopen::Ignore), ("new-ticket", Reopen::NewTicket)];
const GONE: &[(&str, TicketGone)] = &[("detach", TicketGone::Detach), ("follow", TicketGone::Follow)];

/// Reads all bridges; `None` stands for one with problems, which are reported.
pub(super) fn read_all(sections: Vec<Section<'_>>, systems: &[Declared]) -> Vec<Option<Policy>> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for mut section in sections {
        let name = section.require("name", parse::name);
        if let Some(name) = &name {
            section.entitle(format!("[[bridges]] \"{}\"", name.get_ref()));
            if !names.insert(name.get_ref().clone()) {
                let message =
                    format!("two bridges are called '{}'; give each a name of its own", name.get_ref());
                section.problem(name.span(), message);
            }
        }
        all.push(read(section, name.as_ref().map(|name| name.get_ref().as_str()), systems));
    }
    all
}

fn read(mut section: Section<'_>, name: Option<&str>, declared: &[Declared]) -> Option<Policy> {
    if !section.has("systems") {
        section.missing("'systems'", "list the systems to keep in agreement, in order of precedence");
    }
    let listed = section.texts("systems");
    let members = Members { named: listed.unwrap_or_default(), declared };
    members.check(&section);
    let native_sync = native_sync(&mut section, &members);
    let create_in = create_in(&mut section, &members, native_sync.as_ref());
    let since = section.get("since", parse::timestamp).map(Spanned::into_inner);
    let filter = section.child("filter").map(filter).unwrap_or_default();
    let (fields, comments) = section.child("fields").map(|s| fields(s, &members)).unwrap_or_default();
    let conflicts = section.get("conflicts", |value| parse::word(value, CONFLICTS)).map(Spanned::into_inner);
    let closing = section.child("closing").map(closing).unwrap_or_default();
    let tickets = section.child("tickets").map(tickets).unwrap_or_default();
    let (systems, scope) = (members.policies(), members.scope());
    section.finish();
    Some(Policy {
        bridge: BridgeName::new(name?).ok()?,
        systems,
        native_sync,
        create_in,
        since: since.unwrap_or_else(|| Timestamp::now() - DEFAULT_SINCE),
        filter,
        fields,
        comments,
        conflicts: conflicts.unwrap_or_default(),
        closing,
        tickets,
        scope,
    })
}

/// The systems a bridge names, and what is known of them.
struct Members<'a> {
    named: Vec<Spanned<String>>,
    declared: &'a [Declared],
}

impl Members<'_> {
    fn check(&self, section: &Section<'_>) {
        for (index, name) in self.named.iter().enumerate() {
            if self.declaration(name.get_ref()).is_none() {
                let known: Vec<&str> =
                    self.declared.iter().filter_map(|d| Some(d.name.as_ref()?.get_ref().as_str())).collect();
                let message = unknown_system(section.title(), name.get_ref(), &known, "[[systems]]");
                section.problem(name.span(), message);
            }
            if self.named[..index].iter().any(|other| other.get_ref() == name.get_ref()) {
                section.problem(name.span(), format!("{} names '{}' twice", section.title(), name.get_ref()));
            }
        }
        if self.named.len() == 1 {
            section.problem(
                self.named[0].span(),
                format!("{} names one system only; it takes two to agree", section.title()),
            );
        }
    }

    fn declaration(&self, name: &str) -> Option<&Declared> {
        self.declared.iter().find(|d| d.name.as_ref().is_some_and(|n| n.get_ref() == name))
    }

    /// A system, where its own table is sound.
    fn system(&self, name: &str) -> Option<&System> {
        self.declaration(name)?.system.as_ref()
    }

    /// The named system, if it belongs to the bridge; else a problem.
    fn pick(&self, section: &Section<'_>, key: &str, name: &str, span: Range<usize>) -> Option<SystemName> {
        let names: Vec<&str> = self.named.iter().map(|name| name.get_ref().as_str()).collect();
        if names.contains(&name) {
            return SystemName::new(name).ok();
        }
        let message = unknown_system(section.title(), name, &names, "'systems' of the bridge");
        section.problem(span, format!("{key}: {message}"));
        None
    }

    fn policies(&self) -> Vec<SystemPolicy> {
        let systems = self.named.iter().filter_map(|name| self.system(name.get_ref()));
        let policy = |system: &System| SystemPolicy {
            name: system.name.clone(),
            main: system.settings.main_kind(),
            translation: Arc::clone(&system.translation),
        };
        systems.map(policy).collect()
    }

    /// What tells the keys of this bridge's tickets from those of other installations: its tenants and workspaces.
    fn scope(&self) -> String {
        let of = |system: &System| match &system.settings {
            SystemSettings::Defender(settings) => Some(settings.tenant_id.clone()),
            SystemSettings::Sentinel(s) => {
                Some([&*s.tenant_id, &*s.subscription_id, &*s.resource_group, &*s.workspace].join("/"))
            }
            _ => None,
        };
        let mut scopes: Vec<String> = self
            .named
            .iter()
            .filter_map(|name| of(self.system(name.get_ref())?))
            .map(|s| s.to_lowercase())
            .collect();
        scopes.sort();
        scopes.join(" ")
    }
}

fn unknown_system(title: &str, name: &str, known: &[&str], place: &str) -> String {
    let advice = match nearest(name, known) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.is_empty() => "none is there yet".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    format!("{title} names '{name}', which is not in {place}; {advice}")
}

fn native_sync(section: &mut Section<'_>, members: &Members<'_>) -> Option<NativeSync> {
    let deadline = section.get("native_sync_deadline", parse::duration);
    let late = section.get("native_sync_late", |value| parse::word(value, LATE));
    let names = section.texts("native_sync")?;
    let [first, second] = names.as_slice() else {
        section.problem(
            names.first().map_or(section.span(), Spanned::span),
            format!("native_sync of {} must name two systems, the one to write to first", section.title()),
        );
        return None;
    };
    let writer = members.pick(section, "native_sync", first.get_ref(), first.span());
    let follower = members.pick(section, "native_sync", second.get_ref(), second.span());
    let table = |name: &str| members.system(name).map(|system| system.settings.table());
    let kinds = [table(first.get_ref()), table(second.get_ref())];
    if kinds.iter().all(Option::is_some)
        && !matches!(kinds, [Some("defender"), Some("sentinel")] | [Some("sentinel"), Some("defender")])
    {
        section.problem(
            first.span(),
            format!("native_sync of {} must name a defender and a sentinel system", section.title()),
        );
    }
    let deadline = deadline.map_or(DEFAULT_DEADLINE, Spanned::into_inner);
    Some(NativeSync {
        writer: writer?,
        follower: follower?,
        deadline: SignedDuration::try_from(deadline).unwrap_or(SignedDuration::MAX),
        late: late.map_or(Late::Report, Spanned::into_inner),
    })
}

fn create_in(
    section: &mut Section<'_>,
    members: &Members<'_>,
    native_sync: Option<&NativeSync>,
) -> BTreeSet<SystemName> {
    let mut systems = BTreeSet::new();
    for name in section.texts("create_in").unwrap_or_default() {
        let Some(system) = members.pick(section, "create_in", name.get_ref(), name.span()) else { continue };
        let refused = members.system(name.get_ref()).and_then(|s| s.settings.refuses_creation());
        if let Some(reason) = refused {
            section
                .problem(name.span(), format!("create_in of {} names '{system}': {reason}", section.title()));
        }
        if native_sync.is_some_and(|sync| sync.writer == system || sync.follower == system) {
            section.warning(
                name.span(),
                format!("create_in names '{system}', but native_sync creates incidents there, too: expect two of each"),
            );
        }
        systems.insert(system);
    }
    systems
}

fn filter(mut section: Section<'_>) -> Filter {
    let severities: Vec<(&str, Severity)> = Severity::ALL.iter().map(|s| (s.as_str(), *s)).collect();
    let severity = section.get("severity_at_least", |value| parse::word(value, &severities));
    let products = section.texts("products").unwrap_or_default();
    section.finish();
    Filter {
        severity_at_least: severity.map(Spanned::into_inner),
        products: products.into_iter().map(Spanned::into_inner).collect(),
    }
}

fn fields(mut section: Section<'_>, members: &Members<'_>) -> (BTreeMap<Field, Direction>, Direction) {
    let mut directions = BTreeMap::new();
    for field in Field::ALL {
        if let Some(direction) = direction(&mut section, field.as_str(), members) {
            directions.insert(field, direction);
        }
    }
    let comments = direction(&mut section, "comments", members).unwrap_or_default();
    section.finish();
    (directions, comments)
}

fn direction(section: &mut Section<'_>, key: &'static str, members: &Members<'_>) -> Option<Direction> {
    let value = section.take(key)?;
    let usage = "write \"both\", \"off\" or { from = \"SYSTEM\" }";
    let from = match value.get_ref() {
        DeValue::String(text) if text == "both" => return Some(Direction::Both),
        DeValue::String(text) if text == "off" => return Some(Direction::Off),
        DeValue::Table(table) if table.len() == 1 => table.get("from").cloned(),
        _ => None,
    };
    if let Some(from) = &from
        && let Some(name) = from.get_ref().as_str()
    {
        return members.pick(section, key, name, from.span()).map(Direction::From);
    }
    section.problem(value.span(), format!("{key} in {} is no direction; {usage}", section.title()));
    None
}

fn tickets(mut section: Section<'_>) -> TicketPolicy {
    let defaults = TicketPolicy::default();
    let open_closed = section.get("open_closed", parse::boolean);
    let gone = section.get("when_merged", |value| parse::word(value, GONE));
    let description = section.get("description", |value| {
        let template = parse::text(value)?;
        description::check(&template).map(|()| template)
    });
    section.finish();
    TicketPolicy {
        open_closed: open_closed.map_or(defaults.open_closed, Spanned::into_inner),
        gone: gone.map_or(defaults.gone, Spanned::into_inner),
        description: description.map_or(defaults.description, Spanned::into_inner),
    }
}

fn closing(mut section: Section<'_>) -> ClosingPolicy {
    let defaults = ClosingPolicy::default();
    let comment = section.get("comment", |value| {
        let template = parse::text(value)?;
        check_template(&template).map(|()| template)
    });
    let verdict = section.get("default_verdict", |value| Verdict::try_from(parse::text(value)?));
    let reopen = section.get("reopen", |value| parse::word(value, REOPEN));
    let all_alerts = section.get("when_all_alerts_closed", parse::boolean);
    section.finish();
    ClosingPolicy {
        comment: comment.map_or(defaults.comment, Spanned::into_inner),
        default_verdict: verdict.map_or(defaults.default_verdict, Spanned::into_inner),
        reopen: reopen.map_or(defaults.reopen, Spanned::into_inner),
        when_all_alerts_closed: all_alerts.map_or(defaults.when_all_alerts_closed, Spanned::into_inner),
    }
}

/// Renders the template with a close that tells everything and one that tells little, so that a mistyped variable
/// is found now and not at the first close.
fn check_template(template: &str) -> Result<(), String> {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_fuel(Some(50_000));
    let known = "it may use {{ origin.system }}, {{ origin.actor }} and {{ origin.comment }}";
    for (actor, comment) in [("alice@example.org", "phishing confirmed"), ("", "")] {
        let context = minijinja::context! {
            origin => minijinja::context! { system => "sentinel", actor => actor, comment => comment },
        };
        environment.render_str(template, context).map_err(|error| {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("the template fails ({}{detail}); {known}", error.kind())
        })?;
    }
    Ok(())
}
