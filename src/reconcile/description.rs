//! The description of a ticket, from the bridge's template. Pure.
//!
//! Everything that comes from a system may have been written by an attacker. It enters as values and never as
//! template; control characters are taken out, single-line values stay on their line, and long ones are cut, visibly.
//! What comes out is plain text: escaping it for a ticket system is its connector's business, who knows its markup.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::plain::{block, flat, link, list, more};
use crate::model::{AlertBrief, Brief};

/// The template of bridges that give none.
pub const DEFAULT: &str = "\
lockstep opened this ticket for the incident below, and keeps its state in agreement (bridge {{ bridge }}).

Title: {{ title }}
{%- if severity %}
Severity: {{ severity }}
{%- endif %}
{%- if status %}
Status: {{ status }}
{%- endif %}
{%- for link in links %}
{{ link.system }}: {{ link.url }}
{%- endfor %}
{%- for brief in briefs %}

{{ brief.system }} incident {{ brief.number }}
{%- if brief.title != title %}
Title: {{ brief.title }}
{%- endif %}
{%- if brief.created %}
Created: {{ brief.created }}
{%- endif %}
{%- for label, values in [
    (\"Products\", brief.products), (\"Tactics\", brief.tactics), (\"Techniques\", brief.techniques),
    (\"Users\", brief.users), (\"Devices\", brief.devices), (\"Mailboxes\", brief.mailboxes)] if values %}
{{ label }}: {{ values | join(\", \") }}
{%- endfor %}
{%- if brief.alerts %}
Alerts:
{%- for alert in brief.alerts %}
* {{ alert.title }} ({{ alert.severity }}{% if alert.product %}, {{ alert.product }}{% endif %})
{%- if alert.url %} {{ alert.url }}{% endif %}
{%- endfor %}
{%- if brief.more_alerts %}
* and {{ brief.more_alerts }} more
{%- endif %}
{%- endif %}
{%- if brief.incomplete %}
Its alerts could not be read; the link above shows them.
{%- endif %}
{%- if brief.description %}

{{ brief.description }}
{%- endif %}
{%- endfor %}
{%- for system in unread %}

The details of {{ system }} could not be read when this ticket was opened.
{%- endfor %}

Key: {{ key }}
";

/// Longest description, in characters.
const MAX_TEXT: usize = 20_000;
/// Steps that a template may take; one that loops over everything several times takes a tenth of it.
const FUEL: u64 = 500_000;
/// Alerts that a template sees of one incident.
const MAX_ALERTS: usize = 25;
/// Names under which a template finds its values.
const KNOWN: &str = "it may use title, severity, status, bridge, key, systems, links (system, url), briefs \
     (system, number, title, severity, url, created, description, products, tactics, techniques, users, devices, \
     mailboxes, alerts (title, severity, product, url), more_alerts, incomplete) and unread";

/// What a description tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The agreed title.
    pub title: String,
    /// The agreed severity, in our vocabulary; empty where nobody stated one.
    pub severity: String,
    /// The agreed status, in our vocabulary.
    pub status: String,
    /// The bridge.
    pub bridge: String,
    /// The key inside the ticket.
    pub key: String,
    /// The systems of the bridge, in its order.
    pub systems: Vec<String>,
    /// The links that the records' systems give.
    pub links: Vec<Link>,
    /// What the systems tell of the incident.
    pub briefs: Vec<Brief>,
    /// Systems whose details could not be read.
    pub unread: Vec<String>,
}

/// A link for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The system that it leads into.
    pub system: String,
    /// Where.
    pub url: String,
}

/// Renders the description, plain text of at most 20,000 characters. A template that fails after all is replaced by the
/// default one: the ticket matters more.
pub fn render(template: &str, story: &Story) -> String {
    let story = tidy(story);
    let text = rendered(template, &story).or_else(|error| {
        tracing::warn!(
            bridge = story.bridge,
            error,
            "the template of ticket descriptions fails; the default one is used instead"
        );
        rendered(DEFAULT, &story)
    });
    cut(&harmless_start(&block(&text.unwrap_or_else(|_| story.title.clone()), usize::MAX)))
}

/// Renders the template with a story that tells everything and one that tells little, so that a mistyped variable is
/// found now and not with the first ticket.
///
/// # Errors
/// What is wrong with it, and what it may use.
pub fn check(template: &str) -> Result<(), String> {
    for story in [sample(), Story::default()] {
        let text = rendered(template, &tidy(&story)).map_err(|error| format!("{error}; {KNOWN}"))?;
        if story == sample() && text.trim().is_empty() {
            return Err(format!("the template says nothing; {KNOWN}"));
        }
    }
    Ok(())
}

fn rendered(template: &str, story: &Story) -> Result<String, String> {
    // No loader: there is nothing to include. Values are inserted, and never rendered themselves.
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.render_str(template, Serde(story)).map_err(|error| {
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
        format!("the template fails{line} ({}{detail})", error.kind())
    })
}

/// Everything in the form in which it may be shown.
fn tidy(story: &Story) -> Story {
    let links = story.links.iter().filter_map(|l| Some(Link { system: flat(&l.system), url: link(&l.url)? }));
    Story {
        title: flat(&story.title),
        severity: flat(&story.severity),
        status: flat(&story.status),
        bridge: flat(&story.bridge),
        key: flat(&story.key),
        systems: list(&story.systems),
        links: links.collect(),
        briefs: story.briefs.iter().map(tidy_brief).collect(),
        unread: list(&story.unread),
    }
}

fn tidy_brief(brief: &Brief) -> Brief {
    Brief {
        system: flat(&brief.system),
        number: flat(&brief.number),
        title: flat(&brief.title),
        severity: flat(&brief.severity),
        url: brief.url.as_deref().and_then(link),
        created: brief.created.as_deref().map(flat),
        description: brief.description.as_deref().map(|text| block(text, 4_000)).filter(|t| !t.is_empty()),
        products: list(&brief.products),
        tactics: list(&brief.tactics),
        techniques: list(&brief.techniques),
        users: list(&brief.users),
        devices: list(&brief.devices),
        mailboxes: list(&brief.mailboxes),
        alerts: brief.alerts.iter().take(MAX_ALERTS).map(tidy_alert).collect(),
        more_alerts: brief.more_alerts + more(&brief.alerts, MAX_ALERTS),
        incomplete: brief.incomplete,
    }
}

fn tidy_alert(alert: &AlertBrief) -> AlertBrief {
    AlertBrief {
        title: flat(&alert.title),
        severity: flat(&alert.severity),
        product: alert.product.as_deref().map(flat).filter(|product| !product.is_empty()),
        url: alert.url.as_deref().and_then(link),
    }
}

/// Ticket systems export to spreadsheets, where a cell that begins so is a formula.
fn harmless_start(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}

fn cut(text: &str) -> String {
    const NOTE: &str = "\n[cut here by lockstep]";
    if text.chars().count() <= MAX_TEXT {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_TEXT - NOTE.len()).collect();
    format!("{kept}{NOTE}")
}

/// A story that tells everything.
fn sample() -> Story {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let url = || Some("https://security.example/incident2/4711".to_owned());
    let alert = AlertBrief {
        title: "Suspicious process".to_owned(),
        severity: "high".to_owned(),
        product: Some("Microsoft Defender for Endpoint".to_owned()),
        url: url(),
    };
    let brief = Brief {
        system: "defender".to_owned(),
        number: "4711".to_owned(),
        title: "Multi-stage incident".to_owned(),
        severity: "high".to_owned(),
        url: url(),
        created: Some("2026-11-02T08:15:30Z".to_owned()),
        description: Some("Suspicious activity on one endpoint.".to_owned()),
        products: texts(&["Microsoft Defender for Endpoint"]),
        tactics: texts(&["Execution"]),
        techniques: texts(&["T1059.001"]),
        users: texts(&["mallory@example.org"]),
        devices: texts(&["ws-0042.example.org"]),
        mailboxes: texts(&["mallory@example.org"]),
        alerts: vec![alert],
        more_alerts: 3,
        incomplete: true,
    };
    Story {
        title: "Multi-stage incident".to_owned(),
        severity: "high".to_owned(),
        status: "active".to_owned(),
        bridge: "corp".to_owned(),
        key: "lockstep-0123456789abcdef0123456789abcdef".to_owned(),
        systems: texts(&["defender", "sentinel", "tickets"]),
        links: vec![Link { system: "defender".to_owned(), url: url().unwrap_or_default() }],
        briefs: vec![brief],
        unread: texts(&["sentinel"]),
    }
}

#[cfg(test)]
#[path = "description_tests.rs"]
mod tests;
