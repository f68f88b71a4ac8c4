//! `kind = "servicenow"`.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::parse;
use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::servicenow::{ServiceNowSettings, Table};
use crate::model::SystemName;

const TABLES: &[(&str, Table)] =
    &[("incident", Table::Incident), ("sn_si_incident", Table::SecurityIncident)];

/// Fields that lockstep writes itself: they are no further fields.
const OWN: [&str; 11] = [
    "state",
    "impact",
    "urgency",
    "short_description",
    "description",
    "assigned_to",
    "correlation_id",
    "correlation_display",
    "work_notes",
    "comments",
    "close_code",
];

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let times = (ServiceNowSettings::DEFAULT_SETTLE, ServiceNowSettings::DEFAULT_OVERLAP);
    let system = ticket_system(section, name, times);
    let table = section.get("table", |value| parse::word(value, TABLES)).map(Spanned::into_inner);
    let key_field = section.get("key_field", key_field).map(Spanned::into_inner);
    let caller = section.get("caller", parse::text).map(Spanned::into_inner);
    let assignment_group = section.get("assignment_group", parse::text).map(Spanned::into_inner);
    let create_fields = section.get("create_fields", fields).map(Spanned::into_inner);
    let close_fields = section.get("close_fields", fields).map(Spanned::into_inner);
    Some(SystemSettings::ServiceNow(ServiceNowSettings {
        system: system?,
        table: table.unwrap_or_default(),
        key_field,
        caller,
        assignment_group,
        create_fields: create_fields.unwrap_or_default(),
        close_fields: close_fields.unwrap_or_default(),
    }))
}

/// The name of a column: lower case, digits and underscores.
fn is_column(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn key_field(value: &DeValue<'_>) -> Result<String, String> {
    let field = parse::text(value)?;
    if is_column(&field) && (field.starts_with("u_") || field.starts_with("x_")) {
        return Ok(field);
    }
    Err(format!("'{field}' is no field of your own; name one such as \"u_lockstep_key\""))
}

/// Texts by field, such as `{ category = "security" }`.
fn fields(value: &DeValue<'_>) -> Result<BTreeMap<String, String>, String> {
    let example = "write texts by field, such as { category = \"security\" }";
    let DeValue::Table(table) = value else { return Err(format!("must be a table; {example}")) };
    let mut fields = BTreeMap::new();
    for (field, text) in table {
        let field = field.get_ref().as_ref();
        if !is_column(field) {
            return Err(format!("'{field}' is no name of a field; {example}"));
        }
        if OWN.contains(&field) {
            return Err(format!("'{field}' is written by lockstep itself; take it out"));
        }
        let text = text.get_ref().as_str().ok_or_else(|| format!("'{field}' must be a text; {example}"))?;
        fields.insert(field.to_owned(), text.to_owned());
    }
    Ok(fields)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::connectors::SystemSettings;
    use crate::connectors::servicenow::{ServiceNowSettings, Table};

    const EXAMPLE: &str = include_str!("../../config/examples/servicenow.toml");

    fn parse(text: &str) -> Result<ServiceNowSettings, String> {
        let config = Config::parse(Path::new("x.toml"), text).map_err(|errors| errors.to_string())?;
        assert_eq!(config.warnings, []);
        let found = config.systems.into_iter().find_map(|system| match system.settings {
            SystemSettings::ServiceNow(settings) => Some(settings),
            _ => None,
        });
        found.ok_or_else(|| "no such system".to_owned())
    }

    fn with(old: &str, new: &str) -> Result<ServiceNowSettings, String> {
        assert!(EXAMPLE.contains(old), "the example has no {old}");
        parse(&EXAMPLE.replacen(old, new, 1))
    }

    #[test]
    fn the_example_loads() {
        let settings = parse(EXAMPLE).unwrap();
        assert_eq!((settings.table, settings.key_field), (Table::Incident, None));
        assert_eq!(settings.create_fields["category"], "security");
        assert_eq!(settings.system.settle, ServiceNowSettings::DEFAULT_SETTLE);
        let commented = "# key_field = \"u_lockstep_key\"";
        assert_eq!(with(commented, &commented[2..]).unwrap().key_field.as_deref(), Some("u_lockstep_key"));
        let sir = with("table = \"incident\"", "table = \"sn_si_incident\"").unwrap();
        assert_eq!(SystemSettings::ServiceNow(sir).table(), "servicenow-sir");
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (old, new, told) in [
            ("table = \"incident\"", "table = \"incidents\"", "did you mean 'incident'?"),
            ("# key_field = \"u_lockstep_key\"", "key_field = \"number\"", "no field of your own"),
            ("{ category = \"security\", ", "{ state = \"6\", ", "'state' is written by lockstep itself"),
            ("{ category = \"security\", ", "{ \"a^b\" = \"x\", ", "no name of a field"),
            ("{ subcategory = \"other\" }", "\"other\"", "must be a table"),
        ] {
            let error = with(old, new).unwrap_err();
            assert!(error.contains(told), "{new}: {error}");
        }
    }
}
