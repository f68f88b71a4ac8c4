//! The enumerations of `graph-security.md` 2.4 and 3.2, and which of their members may be sent.

/// Members of `incidentStatus` as read.
pub(super) const INCIDENT_STATUS: &[&str] =
    &["active", "resolved", "inProgress", "redirected", "unknownFutureValue", "awaitingAction"];
/// Members of `alertStatus`.
pub(super) const ALERT_STATUS: &[&str] = &["unknown", "new", "inProgress", "resolved", "unknownFutureValue"];
/// Members of `alertSeverity`.
pub(super) const SEVERITY: &[&str] =
    &["unknown", "informational", "low", "medium", "high", "unknownFutureValue"];
/// Members of `alertClassification`.
pub(super) const CLASSIFICATION: &[&str] =
    &["unknown", "falsePositive", "truePositive", "informationalExpectedActivity", "unknownFutureValue"];
/// Members of `alertDetermination`.
pub(super) const DETERMINATION: &[&str] = &[
    "unknown",
    "apt",
    "malware",
    "securityPersonnel",
    "securityTesting",
    "unwantedSoftware",
    "other",
    "multiStagedAttack",
    "compromisedAccount",
    "phishing",
    "maliciousUserActivity",
    "notMalicious",
    "notEnoughDataToValidate",
    "confirmedActivity",
    "lineOfBusinessApplication",
    "unknownFutureValue",
];

/// Members of `serviceSource`; those after `unknownFutureValue` need `Prefer: include-unknown-enum-members`.
pub(super) const SERVICE_SOURCE: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "unknownFutureValue",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
];
/// Members of `detectionSource` that every caller sees.
const OLD_DETECTION: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "antivirus",
    "smartScreen",
    "customTi",
    "microsoftDefenderForOffice365",
    "automatedInvestigation",
    "microsoftThreatExperts",
    "customDetection",
    "microsoftDefenderForIdentity",
    "cloudAppSecurity",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "manual",
    "microsoftDataLossPrevention",
    "appGovernancePolicy",
    "appGovernanceDetection",
];

/// A service source as a caller sees it.
pub(super) fn shown_source(source: &str, all_members: bool) -> &str {
    let old = SERVICE_SOURCE.iter().take_while(|member| **member != "unknownFutureValue");
    if all_members || old.into_iter().any(|member| *member == source) { source } else { "unknownFutureValue" }
}

/// A detection source as a caller sees it.
pub(super) fn shown_detection(source: &str, all_members: bool) -> &str {
    if all_members || OLD_DETECTION.contains(&source) { source } else { "unknownFutureValue" }
}

/// An incident status as a caller sees it.
pub(super) fn shown_status(status: &str, all_members: bool) -> &str {
    if !all_members && status == "awaitingAction" { "unknownFutureValue" } else { status }
}

/// Whether classification and determination may stand together (`graph-security.md` 2.5).
pub(super) fn is_legal_pair(classification: &str, determination: &str) -> bool {
    let determinations: &[&str] = match classification {
        "truePositive" => &[
            "multiStagedAttack",
            "maliciousUserActivity",
            "compromisedAccount",
            "malware",
            "phishing",
            "unwantedSoftware",
            "other",
        ],
        "informationalExpectedActivity" => {
            &["securityTesting", "lineOfBusinessApplication", "confirmedActivity", "other"]
        }
        "falsePositive" => &["notMalicious", "notEnoughDataToValidate", "other"],
        "unknown" => &["unknown"],
        _ => &[],
    };
    determinations.contains(&determination)
}

/// What stands for a product name in `productName`, by service source.
pub(super) fn product_name(source: &str) -> &'static str {
    match source {
        "microsoftDefenderForEndpoint" => "Microsoft Defender for Endpoint",
        "microsoftDefenderForIdentity" => "Microsoft Defender for Identity",
        "microsoftDefenderForCloudApps" => "Microsoft Defender for Cloud Apps",
        "microsoftDefenderForOffice365" => "Microsoft Defender for Office 365",
        "azureAdIdentityProtection" => "AAD Identity Protection",
        "microsoftDefenderForCloud" => "Microsoft Defender for Cloud",
        "microsoftSentinel" => "Microsoft Sentinel",
        _ => "Microsoft Defender XDR",
    }
}
