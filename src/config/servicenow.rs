//! `kind = "servicenow"`.

use std::time::Duration;

use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::servicenow::ServiceNowSettings;
use crate::model::SystemName;

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let times = (Duration::from_secs(90), Duration::from_secs(180));
    let system = ticket_system(section, name, times)?;
    Some(SystemSettings::ServiceNow(ServiceNowSettings { system }))
}
