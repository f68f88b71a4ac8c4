//! `kind = "request-tracker"`.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::parse;
use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::request_tracker::{Lifecycles, RequestTrackerSettings};
use crate::model::SystemName;

/// The settle time: reads show writes at once, so it only has to outlast a request that is still under way.
const SETTLE: Duration = Duration::from_mins(1);
/// The overlap: transactions get their numbers before they are committed (`ticketing.md` 3).
const OVERLAP: Duration = Duration::from_mins(2);

const LIFECYCLES: &[(&str, Lifecycles)] = &[("default", Lifecycles::Default), ("rtir", Lifecycles::Rtir)];

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let system = ticket_system(section, name, (SETTLE, OVERLAP));
    let queue = section.require("queue", query_name);
    let key_field = section.get("key_field", query_name).map(Spanned::into_inner);
    let verdict_field = section.get("verdict_field", parse::text).map(Spanned::into_inner);
    let closing_field = section.get("closing_field", parse::text).map(Spanned::into_inner);
    let severity = section.get("severity", parse::boolean).map(Spanned::into_inner);
    let lifecycle = section.get("lifecycle", |value| parse::word(value, LIFECYCLES)).map(Spanned::into_inner);
    Some(SystemSettings::RequestTracker(RequestTrackerSettings {
        system: system?,
        queue: queue?.into_inner(),
        key_field: key_field.unwrap_or_else(|| RequestTrackerSettings::DEFAULT_KEY_FIELD.to_owned()),
        verdict_field,
        closing_field,
        severity: severity.unwrap_or(true),
        lifecycle: lifecycle.unwrap_or_default(),
    }))
}

/// A name that stands in queries of lockstep's.
fn query_name(value: &DeValue<'_>) -> Result<String, String> {
    let name = parse::text(value)?;
    match name.chars().find(|c| c.is_control() || "{}'\"\\".contains(*c)) {
        None => Ok(name),
        Some(bad) => {
            Err(format!("'{}' may not hold {bad:?}, since it is part of searches", name.escape_debug()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_example_loads() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples/request-tracker.toml");
        let config = Config::load(Path::new(path)).unwrap();
        let system = config.systems.iter().find(|s| s.name.as_str() == "tickets").unwrap();
        let SystemSettings::RequestTracker(settings) = &system.settings else { panic!("{system:?}") };
        assert_eq!((settings.queue.as_str(), settings.key_field.as_str()), ("SOC", "Lockstep Key"));
        assert_eq!(settings.table(), "request-tracker");
    }

    #[test]
    fn names_that_would_break_out_of_a_query_are_refused() {
        let name = |text: &str| query_name(&DeValue::String(text.into()));
        assert_eq!(name("Incident Reports").unwrap(), "Incident Reports");
        for odd in ["a'b", "a}b", "a\nb", " "] {
            assert!(name(odd).is_err(), "{odd}");
        }
    }
}
