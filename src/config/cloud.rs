//! The hosts of Microsoft's clouds (`graph-security.md` 1.1, `sentinel.md` 9).

use url::Url;

/// Which of Microsoft's clouds a system lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cloud {
    /// The worldwide one; GCC uses its hosts, too.
    #[default]
    Public,
    /// US Government L4 (GCC High).
    UsGov,
    /// US Government L5 (`DoD`).
    Dod,
    /// China, run by 21Vianet: lacks both services.
    China,
}

impl Cloud {
    /// The words of the configuration.
    pub(super) const WORDS: &'static [(&'static str, Self)] =
        &[("public", Self::Public), ("usgov", Self::UsGov), ("dod", Self::Dod), ("china", Self::China)];

    /// Where tokens come from.
    pub(super) fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGov | Self::Dod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// Microsoft Graph.
    pub(super) fn graph(self) -> &'static str {
        match self {
            Self::Public => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::Dod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    /// Azure Resource Manager.
    pub(super) fn arm(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::UsGov | Self::Dod => "https://management.usgovcloudapi.net",
            Self::China => "https://management.chinacloudapi.cn",
        }
    }

    /// Why Defender cannot be reached in this cloud, if so.
    pub(super) fn refuses_defender(self) -> Option<&'static str> {
        (self == Self::China).then_some(
            "Microsoft Graph in Azure China has no security API, so Defender incidents cannot be read there",
        )
    }

    /// Why Sentinel cannot be reached in this cloud, if so.
    pub(super) fn refuses_sentinel(self) -> Option<&'static str> {
        (self == Self::China).then_some("Microsoft Sentinel in Azure China was retired on 2026-08-18")
    }
}

/// One of the constant addresses above. They are covered by a test, so the fallback is never taken.
pub(super) fn known(address: &'static str) -> Option<Url> {
    Url::parse(address).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_parses() {
        for (_, cloud) in Cloud::WORDS {
            for address in [cloud.authority(), cloud.graph(), cloud.arm()] {
                assert!(known(address).is_some(), "{address}");
            }
        }
    }
}
