//! `[[systems]]`: one configured product instance each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::Section;
use super::{jira, microsoft, parse, request_tracker, servicenow, sidecar, thehive};
use crate::connectors::SystemSettings;
use crate::model::SystemName;
use crate::translate::{Translation, TranslationError};

/// One configured product instance.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name, unique in the configuration.
    pub name: SystemName,
    /// What it is, with the settings of its kind.
    pub settings: SystemSettings,
    /// Pause between two polls. Default 15 s, and 1 s for a sidecar, whose mailbox is at hand.
    pub poll: Duration,
    /// Its table: the one that comes with the program, or one of the operator's own.
    pub translation: Arc<Translation>,
}

/// Reads the settings of one kind. `None` when something is missing or wrong, which is reported.
type Reader = fn(&mut Section<'_>, &SystemName) -> Option<SystemSettings>;

/// Every kind of system with its reader.
const KINDS: &[(&str, Reader)] = &[
    ("defender", microsoft::defender),
    ("sentinel", microsoft::sentinel),
    ("servicenow", servicenow::read),
    ("jira", jira::read),
    ("request-tracker", request_tracker::read),
    ("thehive", thehive::read),
    ("sidecar", sidecar::read),
];

/// A `[[systems]]` table. Its name counts even when the rest is faulty, so that bridges naming it are not blamed.
pub(super) struct Declared {
    pub(super) name: Option<Spanned<String>>,
    pub(super) system: Option<System>,
}

/// Reads all systems and reports names that are taken twice.
pub(super) fn read_all(sections: Vec<Section<'_>>) -> Vec<Declared> {
    let mut all: Vec<Declared> = Vec::new();
    for mut section in sections {
        let name = section.require("name", parse::name);
        if let Some(name) = &name {
            section.entitle(format!("[[systems]] \"{}\"", name.get_ref()));
            if all.iter().any(|other| other.name.as_ref().is_some_and(|n| n.get_ref() == name.get_ref())) {
                let message =
                    format!("two systems are called '{}'; give each a name of its own", name.get_ref());
                section.problem(name.span(), message);
            }
        }
        let system = read(section, name.as_ref().map(|name| name.get_ref().as_str()));
        all.push(Declared { name, system });
    }
    all
}

fn read(mut section: Section<'_>, name: Option<&str>) -> Option<System> {
    let kind = section.require("kind", parse::text)?;
    let Some((_, reader)) = KINDS.iter().find(|(word, _)| word == kind.get_ref()) else {
        let kinds: Vec<(&str, ())> = KINDS.iter().map(|(word, _)| (*word, ())).collect();
        let written = DeValue::String(kind.get_ref().as_str().into());
        let reason = parse::word(&written, &kinds).err().unwrap_or_default();
        section.problem(kind.span(), format!("kind in {}: {reason}", section.title()));
        return None;
    };
    // Without a name the rest is read all the same, so that its problems are found in the same run.
    let called = SystemName::new(name.unwrap_or("unnamed")).ok()?;
    let poll = section.get("poll", parse::duration).map(Spanned::into_inner);
    let settings = reader(&mut section, &called);
    let translation = translation(&mut section, settings.as_ref());
    section.finish();
    name?;
    let default_poll = match &settings {
        Some(SystemSettings::Sidecar(_)) => Duration::from_secs(1),
        _ => Duration::from_secs(15),
    };
    Some(System {
        name: called,
        settings: settings?,
        poll: poll.unwrap_or(default_poll),
        translation: Arc::new(translation?),
    })
}

/// The table of a system: `translation` names a file of the operator's own.
fn translation(section: &mut Section<'_>, settings: Option<&SystemSettings>) -> Option<Translation> {
    let own = section.get("translation", parse::path);
    let (span, table) = match &own {
        Some(path) => (path.span(), from_file(path.get_ref())),
        None => (
            section.span(),
            Translation::builtin(settings?.table()).map_err(|e: TranslationError| e.to_string()),
        ),
    };
    match table {
        Ok(table) => Some(table),
        Err(reason) => {
            section.problem(span, format!("translation of {}: {reason}", section.title()));
            None
        }
    }
}

fn from_file(path: &Path) -> Result<Translation, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read ({error})"))?;
    Translation::parse(&text, &shown.to_string()).map_err(|error| error.to_string())
}
