//! `kind = "thehive"`.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::parse;
use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::thehive::TheHiveSettings;
use crate::model::SystemName;

/// What a close may say of the impact (`ticketing.md` 4).
const IMPACTS: &[(&str, &str)] =
    &[("NotApplicable", "NotApplicable"), ("WithImpact", "WithImpact"), ("NoImpact", "NoImpact")];

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let times = (Duration::from_mins(1), Duration::from_mins(3));
    let system = ticket_system(section, name, times);
    let organisation = section.get("organisation", header).map(Spanned::into_inner);
    let alert_type = section.get("alert_type", label).map(Spanned::into_inner);
    let source = section.get("source", label).map(Spanned::into_inner);
    let case_template = section.get("case_template", parse::text).map(Spanned::into_inner);
    let mut status = |key, default: &str| {
        section.get(key, parse::text).map_or_else(|| default.to_owned(), Spanned::into_inner)
    };
    let new_status = status("new_status", "New");
    let in_progress_status = status("in_progress_status", "InProgress");
    let closed_status = status("closed_status", "Indeterminate");
    let impact = section.get("impact_status", |value| parse::word(value, IMPACTS)).map(Spanned::into_inner);
    let close_fields = section.get("close_fields", fields).map(Spanned::into_inner);
    let own = || "lockstep".to_owned();
    Some(SystemSettings::TheHive(TheHiveSettings {
        system: system?,
        organisation,
        alert_type: alert_type.unwrap_or_else(own),
        source: source.unwrap_or_else(own),
        case_template,
        new_status,
        in_progress_status,
        closed_status,
        impact_status: impact.unwrap_or("NotApplicable").to_owned(),
        close_fields: close_fields.unwrap_or_default(),
    }))
}

/// A part of an alert's unique name, in which `;` separates the parts (`ticketing.md` 4: at most 32 characters).
fn label(value: &DeValue<'_>) -> Result<String, String> {
    let label = parse::name(value)?;
    if label.len() <= 32 { Ok(label) } else { Err(format!("'{label}' has more than 32 characters")) }
}

/// A text that fits into a header.
fn header(value: &DeValue<'_>) -> Result<String, String> {
    let text = parse::text(value)?;
    let fits = text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if fits { Ok(text) } else { Err(format!("'{text}' may hold only plain ASCII characters")) }
}

/// Names of custom fields with their values.
fn fields(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
    let table = value.as_table().ok_or("must be a table, such as { \"business-unit\" = \"SOC\" }")?;
    let entry = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &toml::de::DeString<'_> = name.get_ref();
        parse::text(value.get_ref()).map(|text| (name.to_string(), text)).map_err(|e| format!("{name}: {e}"))
    };
    table.iter().map(entry).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::Config;

    const EXAMPLE: &str = include_str!("../../config/examples/thehive.toml");

    /// The example with these lines in its system's table.
    fn settings(lines: &str) -> Result<TheHiveSettings, String> {
        let text = EXAMPLE.replace("organisation = \"soc\"\n", &format!("{lines}\n"));
        let config = Config::parse(std::path::Path::new("x.toml"), &text).map_err(|e| e.to_string())?;
        match config.systems.into_iter().last().map(|system| system.settings) {
            Some(SystemSettings::TheHive(settings)) => Ok(settings),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn defaults_are_filled_in_and_close_fields_are_read() {
        let read = settings("close_fields = { \"business-unit\" = \"SOC\" }").unwrap();
        assert_eq!((read.alert_type.as_str(), read.source.as_str()), ("lockstep", "lockstep"));
        assert_eq!(read.in_progress_status, "InProgress");
        assert_eq!(read.close_fields["business-unit"], "SOC");
        assert!(read.organisation.is_none());
    }

    #[test]
    fn the_example_is_a_complete_bridge() {
        let config = Config::parse(std::path::Path::new("thehive.toml"), EXAMPLE).unwrap();
        assert_eq!(config.warnings, []);
        assert_eq!((config.systems.len(), config.bridges.len()), (3, 1));
    }

    #[test]
    fn labels_that_would_break_an_alerts_name_are_refused() {
        for lines in
            ["source = \"a;b\"", &format!("alert_type = \"{}\"", "x".repeat(33)), "impact_status = \"Some\""]
        {
            assert!(settings(lines).is_err(), "{lines}");
        }
    }
}
