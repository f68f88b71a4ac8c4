//! The systems whose answers are spoilt.

use std::path::Path;

use lockstep::config::Config;
use lockstep::emulator::{Api, Emulator, System};
use lockstep::stage::{self, Pace};
use serde_json::Value;

use crate::desks::{self, Desk};

/// Quick polls, and a settle time that outlasts the emulators' index.
const PACE: Pace = Pace { poll_ms: 150, settle_ms: 250 };
/// Longer than an emulator's index lags behind, and much shorter than a fault lasts: else the overlap would bring again what
/// a cursor has passed unseen.
const OVERLAP: &str = "overlap = \"400ms\"";

/// A system whose answers are spoilt, and the ticket system of its bridge (itself, where it is one).
pub(crate) struct Target {
    /// For people.
    pub(crate) name: &'static str,
    /// Its API, for faults and counts.
    pub(crate) api: Api,
    /// Where people work on its records.
    pub(crate) side: System,
    /// Its name in the configuration.
    pub(crate) system: &'static str,
    /// The ticket system.
    pub(crate) desk: &'static Desk,
    /// How the emulator is told to answer every call as it does to a stranger: path and member of the settings.
    pub(crate) anonymous: Option<(&'static str, &'static str)>,
    /// Lists that say how many rows there are, so that missing ones can be noticed.
    pub(crate) counted: &'static [&'static str],
}

const JIRA_DATA_CENTER: Desk = Desk {
    settings: "kind = \"jira\"\nurl = \"URL\"\nproject = \"SOC\"\nissue_type = \"Task\"\n\
               deployment = \"data-center\"\n\
               credential = { kind = \"basic\", username = \"lockstep\", password = \"emulator-secret\" }",
    imperfections: "{\"deployment\": \"data-center\"}",
    ..desks::JIRA
};

impl Target {
    /// The token endpoint, by which Defender and Sentinel are reached.
    pub(crate) fn login() -> Self {
        Self { name: "Entra", api: Api::Login, anonymous: None, ..Self::defender() }
    }

    pub(crate) fn defender() -> Self {
        Self {
            name: "Defender",
            api: Api::Graph,
            side: System::Defender,
            system: "defender",
            desk: &desks::SERVICENOW,
            anonymous: Some(("settings", "graph_anonymous")),
            counted: &[],
        }
    }

    pub(crate) fn sentinel() -> Self {
        Self {
            name: "Sentinel",
            api: Api::Sentinel,
            side: System::Sentinel,
            system: "sentinel",
            desk: &desks::SERVICENOW,
            anonymous: Some(("settings", "sentinel_anonymous")),
            counted: &[],
        }
    }

    pub(crate) fn servicenow() -> Self {
        let counted = &["list-tickets", "find-ticket", "list-comments", "list-choices", "list-people"];
        Self::ticketing("ServiceNow", &desks::SERVICENOW, "servicenow/settings", counted)
    }

    pub(crate) fn jira_cloud() -> Self {
        Self::ticketing("Jira Cloud", &desks::JIRA, "jira/settings", &["list-comments"])
    }

    pub(crate) fn jira_data_center() -> Self {
        let counted = &["list-tickets", "find-ticket", "list-comments"];
        Self::ticketing("Jira Data Center", &JIRA_DATA_CENTER, "jira/settings", counted)
    }

    pub(crate) fn request_tracker() -> Self {
        let counted = &["list-tickets", "find-ticket", "list-comments", "get-comment", "find-user"];
        Self::ticketing("Request Tracker", &desks::REQUEST_TRACKER, "request-tracker/settings", counted)
    }

    pub(crate) fn thehive() -> Self {
        Self::ticketing("TheHive", &desks::THEHIVE, "thehive/settings", &[])
    }

    fn ticketing(
        name: &'static str,
        desk: &'static Desk,
        settings: &'static str,
        counted: &'static [&'static str],
    ) -> Self {
        let anonymous = Some((settings, "anonymous"));
        Self { name, api: desk.api, side: desk.system, system: "tickets", desk, anonymous, counted }
    }

    /// The configuration of a bridge of three systems on these emulators, and the emulators set up for it.
    pub(crate) fn configure(&self, emulator: &Emulator) -> Config {
        let imperfections: Value = serde_json::from_str(self.desk.imperfections).unwrap();
        emulator.set_ticketing(self.desk.system, &imperfections).unwrap();
        let settings = self.desk.settings.replace("URL", &emulator.ticket_url(self.desk.system));
        let tickets = format!("{}\n{settings}", PACE.keys());
        let (nowhere, listen) = (Path::new("unused"), ([127, 0, 0, 1], 0).into());
        let bridge = "create_in = [\"tickets\"]";
        let text = stage::configuration(emulator, nowhere, listen, PACE, bridge, Some(&tickets));
        let text = text.replace("overlap = \"10s\"", OVERLAP);
        Config::parse(Path::new("lockstep.toml"), &text).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
    }
}
