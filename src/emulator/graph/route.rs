//! Which operation a request is, and the roles it needs.

/// What an operation of the API is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Route<'a> {
    ListIncidents,
    GetIncident(&'a str),
    UpdateIncident(&'a str),
    CommentIncident(&'a str),
    IncidentAlerts(&'a str),
    MergeIncidents,
    ListAlerts,
    GetAlert(&'a str),
    UpdateAlert(&'a str),
    CommentAlert(&'a str),
    MoveAlerts,
    Unknown,
}

impl Route<'_> {
    /// The name under which faults and call counts know it.
    pub(in super::super) fn operation(self) -> &'static str {
        match self {
            Self::ListIncidents => "list-incidents",
            Self::GetIncident(_) => "get-incident",
            Self::UpdateIncident(_) => "update-incident",
            Self::CommentIncident(_) => "comment-incident",
            Self::IncidentAlerts(_) => "list-incident-alerts",
            Self::MergeIncidents => "merge-incidents",
            Self::ListAlerts => "list-alerts",
            Self::GetAlert(_) => "get-alert",
            Self::UpdateAlert(_) => "update-alert",
            Self::CommentAlert(_) => "comment-alert",
            Self::MoveAlerts => "move-alerts",
            Self::Unknown => "unknown",
        }
    }

    /// The roles of which one is needed. Any of the four reads alerts (`graph-security.md` 1.7, measured).
    pub(super) fn roles(self) -> &'static [&'static str] {
        match self {
            Self::ListIncidents | Self::GetIncident(_) => {
                &["SecurityIncident.Read.All", "SecurityIncident.ReadWrite.All"]
            }
            Self::UpdateIncident(_) | Self::CommentIncident(_) | Self::MergeIncidents => {
                &["SecurityIncident.ReadWrite.All"]
            }
            Self::UpdateAlert(_) | Self::CommentAlert(_) | Self::MoveAlerts => {
                &["SecurityAlert.ReadWrite.All"]
            }
            Self::IncidentAlerts(_) | Self::ListAlerts | Self::GetAlert(_) => &[
                "SecurityAlert.Read.All",
                "SecurityAlert.ReadWrite.All",
                "SecurityIncident.Read.All",
                "SecurityIncident.ReadWrite.All",
            ],
            Self::Unknown => &[],
        }
    }
}

/// Reads the path below `/graph`.
pub(in super::super) fn route<'a>(method: &str, path: &[&'a str]) -> Route<'a> {
    let ["v1.0", "security", path @ ..] = path else { return Route::Unknown };
    match (method, path) {
        ("GET", ["incidents"]) => Route::ListIncidents,
        ("POST", ["incidents", "mergeIncidents" | "microsoft.graph.security.mergeIncidents"]) => {
            Route::MergeIncidents
        }
        ("GET", ["incidents", id]) => Route::GetIncident(id),
        ("PATCH", ["incidents", id]) => Route::UpdateIncident(id),
        ("POST", ["incidents", id, "comments"]) => Route::CommentIncident(id),
        ("GET", ["incidents", id, "alerts"]) => Route::IncidentAlerts(id),
        ("GET", ["alerts_v2"]) => Route::ListAlerts,
        ("POST", ["alerts_v2", "moveAlerts" | "microsoft.graph.security.moveAlerts"]) => Route::MoveAlerts,
        ("GET", ["alerts_v2", id]) => Route::GetAlert(id),
        ("PATCH", ["alerts_v2", id]) => Route::UpdateAlert(id),
        ("POST", ["alerts_v2", id, "comments"]) => Route::CommentAlert(id),
        _ => Route::Unknown,
    }
}
