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
    /// The states in which it answers every call otherwise than it should.
    pub(crate) states: &'static [State],
    /// Lists that say how many rows there are, so that missing ones can be noticed.
    pub(crate) counted: &'static [&'static str],
}

/// A state of a whole system, switched by a setting of its emulator.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) name: &'static str,
    /// Where the setting is, below `/control`.
    pub(crate) path: &'static str,
    /// The setting in this state, and without it.
    pub(crate) on: &'static str,
    pub(crate) off: &'static str,
    /// Whether the polls must fail.
    pub(crate) stops_polls: bool,
    /// Whether only a worker that starts in it meets it.
    pub(crate) only_at_the_start: bool,
    /// Whether it looks like a system without tickets, which is what a worker that starts in it expects.
    pub(crate) looks_new: bool,
}

const fn state(path: &'static str, name: &'static str, on: &'static str, off: &'static str) -> State {
    State { name, path, on, off, stops_polls: true, only_at_the_start: false, looks_new: false }
}

impl State {
    /// One that lets the lists pass.
    const fn beside_polls(self) -> Self {
        Self { stops_polls: false, ..self }
    }

    /// One that looks like a system without tickets.
    const fn like_new(self) -> Self {
        Self { looks_new: true, ..self }
    }

    /// One that is not met as long as what was given before lasts.
    const fn at_the_start(self) -> Self {
        Self { only_at_the_start: true, ..self }
    }
}

const ALL: &str = "settings";
const ENTRA_STATES: &[State] = &[
    state(ALL, "secret expired", r#"{"login_refusal": "secret-expired"}"#, r#"{"login_refusal": "none"}"#)
        .at_the_start(),
    state(ALL, "application removed", r#"{"login_refusal": "app-removed"}"#, r#"{"login_refusal": "none"}"#)
        .at_the_start(),
    state(ALL, "tenant gone", r#"{"login_refusal": "tenant-gone"}"#, r#"{"login_refusal": "none"}"#)
        .at_the_start(),
];
const DEFENDER_STATES: &[State] = &[
    state(ALL, "anonymous", r#"{"graph_anonymous": true}"#, r#"{"graph_anonymous": false}"#),
    state(ALL, "role lost", r#"{"graph_role_lost": true}"#, r#"{"graph_role_lost": false}"#),
    state(ALL, "unprovisioned", r#"{"graph_unprovisioned": true}"#, r#"{"graph_unprovisioned": false}"#),
    state(ALL, "error beside value", r#"{"graph_odd": "error-beside-value"}"#, r#"{"graph_odd": "none"}"#),
    state(ALL, "throttled batch", r#"{"graph_odd": "throttled-batch"}"#, r#"{"graph_odd": "none"}"#),
    state(ALL, "link elsewhere", r#"{"graph_odd": "link-elsewhere"}"#, r#"{"graph_odd": "none"}"#),
    state(ALL, "log-in page", r#"{"graph_odd": "log-in-page"}"#, r#"{"graph_odd": "none"}"#),
    state(ALL, "another tenant", r#"{"graph_odd": "elsewhere"}"#, r#"{"graph_odd": "none"}"#),
];
const SENTINEL_STATES: &[State] = &[
    state(ALL, "anonymous", r#"{"sentinel_anonymous": true}"#, r#"{"sentinel_anonymous": false}"#),
    state(ALL, "role lost", r#"{"sentinel_role_lost": true}"#, r#"{"sentinel_role_lost": false}"#),
    state(
        ALL,
        "directory moved",
        r#"{"sentinel_directory_moved": true}"#,
        r#"{"sentinel_directory_moved": false}"#,
    ),
    state(
        ALL,
        "no subscription",
        r#"{"sentinel_missing": "subscription"}"#,
        r#"{"sentinel_missing": "nothing"}"#,
    ),
    state(
        ALL,
        "no resource group",
        r#"{"sentinel_missing": "resource-group"}"#,
        r#"{"sentinel_missing": "nothing"}"#,
    ),
    state(ALL, "no workspace", r#"{"sentinel_missing": "workspace"}"#, r#"{"sentinel_missing": "nothing"}"#),
    state(
        ALL,
        "error beside value",
        r#"{"sentinel_odd": "error-beside-value"}"#,
        r#"{"sentinel_odd": "none"}"#,
    ),
    state(ALL, "throttled batch", r#"{"sentinel_odd": "throttled-batch"}"#, r#"{"sentinel_odd": "none"}"#),
    state(ALL, "log-in page", r#"{"sentinel_odd": "log-in-page"}"#, r#"{"sentinel_odd": "none"}"#),
    state(ALL, "another workspace", r#"{"sentinel_odd": "elsewhere"}"#, r#"{"sentinel_odd": "none"}"#),
];
const NOW: &str = "servicenow/settings";
const SERVICENOW_STATES: &[State] = &[
    state(NOW, "anonymous", r#"{"anonymous": true}"#, r#"{"anonymous": false}"#),
    state(NOW, "role lost: hidden", r#"{"lost_role": "hidden"}"#, r#"{"lost_role": null}"#),
    state(NOW, "role lost: filtered", r#"{"lost_role": "filtered"}"#, r#"{"lost_role": null}"#),
    state(NOW, "role lost: bare", r#"{"lost_role": "bare"}"#, r#"{"lost_role": null}"#),
    state(NOW, "role lost: refused", r#"{"lost_role": "refused"}"#, r#"{"lost_role": null}"#),
    state(NOW, "role lost: no table", r#"{"lost_role": "no-table"}"#, r#"{"lost_role": null}"#),
    state(NOW, "sign-on", r#"{"front": "sign-on"}"#, r#"{"front": null}"#),
    state(NOW, "log-in page", r#"{"front": "log-in-page"}"#, r#"{"front": null}"#),
    state(NOW, "hibernating", r#"{"front": "hibernating"}"#, r#"{"front": null}"#),
    state(NOW, "hibernating, 404", r#"{"front": "hibernating-not-found"}"#, r#"{"front": null}"#),
    state(NOW, "lists cut off", r#"{"cut_lists": 0}"#, r#"{"cut_lists": null}"#),
    state(
        NOW,
        "lists cut off, uncounted",
        r#"{"cut_lists": 0, "page_headers": false}"#,
        r#"{"cut_lists": null, "page_headers": true}"#,
    ),
];
const ATLASSIAN: &str = "jira/settings";
const JIRA_STATES: &[State] = &[
    state(ATLASSIAN, "anonymous", r#"{"anonymous": true}"#, r#"{"anonymous": false}"#),
    state(ATLASSIAN, "project lost", r#"{"project_lost": true}"#, r#"{"project_lost": false}"#),
    state(ATLASSIAN, "may not transition", r#"{"may_transition": false}"#, r#"{"may_transition": true}"#)
        .beside_polls(),
    state(ATLASSIAN, "may not edit", r#"{"may_edit": false}"#, r#"{"may_edit": true}"#).beside_polls(),
    state(ATLASSIAN, "may not comment", r#"{"may_comment": false}"#, r#"{"may_comment": true}"#)
        .beside_polls(),
    state(ATLASSIAN, "last page unclear", r#"{"page_end": "unclear"}"#, r#"{"page_end": "stated"}"#),
    state(ATLASSIAN, "last page silent", r#"{"page_end": "silent"}"#, r#"{"page_end": "stated"}"#),
    state(ATLASSIAN, "last page, and more", r#"{"page_end": "both"}"#, r#"{"page_end": "stated"}"#),
];
/// Searches of Data Center say how many rows there are, and have no other end: the last three are Cloud's.
const JIRA_DATA_CENTER_STATES: &[State] = JIRA_STATES.split_at(JIRA_STATES.len() - 3).0;
const RT: &str = "request-tracker/settings";
const REQUEST_TRACKER_STATES: &[State] = &[
    state(RT, "anonymous", r#"{"anonymous": true}"#, r#"{"anonymous": false}"#),
    state(RT, "tickets unseen", r#"{"lacks": ["ShowTicket"]}"#, r#"{"lacks": []}"#).like_new(),
    state(RT, "queue unseen", r#"{"lacks": ["ShowTicket", "SeeQueue"]}"#, r#"{"lacks": []}"#),
    state(RT, "may not modify", r#"{"lacks": ["ModifyTicket"]}"#, r#"{"lacks": []}"#).beside_polls(),
    state(RT, "may not comment", r#"{"lacks": ["CommentOnTicket"]}"#, r#"{"lacks": []}"#).beside_polls(),
];
const HIVE: &str = "thehive/settings";
const THEHIVE_STATES: &[State] = &[
    state(HIVE, "anonymous", r#"{"anonymous": true}"#, r#"{"anonymous": false}"#),
    state(HIVE, "other organisation", r#"{"organisation": "other"}"#, r#"{"organisation": "soc"}"#),
    state(HIVE, "empty index", r#"{"index_empty": true}"#, r#"{"index_empty": false}"#).like_new(),
];

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
        Self { name: "Entra", api: Api::Login, states: ENTRA_STATES, ..Self::defender() }
    }

    pub(crate) fn defender() -> Self {
        Self {
            name: "Defender",
            api: Api::Graph,
            side: System::Defender,
            system: "defender",
            desk: &desks::SERVICENOW,
            states: DEFENDER_STATES,
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
            states: SENTINEL_STATES,
            counted: &[],
        }
    }

    pub(crate) fn servicenow() -> Self {
        // Of people and choices, access rules hide rows that are counted all the same, and may.
        let counted = &["list-tickets", "find-ticket", "list-comments"];
        Self::ticketing("ServiceNow", &desks::SERVICENOW, SERVICENOW_STATES, counted)
    }

    pub(crate) fn jira_cloud() -> Self {
        Self::ticketing("Jira Cloud", &desks::JIRA, JIRA_STATES, &["list-comments"])
    }

    pub(crate) fn jira_data_center() -> Self {
        let counted = &["list-tickets", "find-ticket", "list-comments"];
        Self::ticketing("Jira Data Center", &JIRA_DATA_CENTER, JIRA_DATA_CENTER_STATES, counted)
    }

    pub(crate) fn request_tracker() -> Self {
        let counted = &["list-tickets", "find-ticket", "list-comments", "get-comment", "find-user"];
        Self::ticketing("Request Tracker", &desks::REQUEST_TRACKER, REQUEST_TRACKER_STATES, counted)
    }

    pub(crate) fn thehive() -> Self {
        Self::ticketing("TheHive", &desks::THEHIVE, THEHIVE_STATES, &[])
    }

    fn ticketing(
        name: &'static str,
        desk: &'static Desk,
        states: &'static [State],
        counted: &'static [&'static str],
    ) -> Self {
        Self { name, api: desk.api, side: desk.system, system: "tickets", desk, states, counted }
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
