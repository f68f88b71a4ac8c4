//! `kind = "thehive"`.

use std::time::Duration;

use super::reader::Section;
use super::ticketing::ticket_system;
use crate::connectors::SystemSettings;
use crate::connectors::thehive::TheHiveSettings;
use crate::model::SystemName;

pub(super) fn read(section: &mut Section<'_>, name: &SystemName) -> Option<SystemSettings> {
    let times = (Duration::from_secs(60), Duration::from_secs(180));
    let system = ticket_system(section, name, times)?;
    Some(SystemSettings::TheHive(TheHiveSettings { system }))
}
