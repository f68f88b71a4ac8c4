//! How an emulator is set up.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::faults::Settings;

/// The tenant of [`EmulatorOptions::default`].
pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
/// The application of [`EmulatorOptions::default`].
pub const CLIENT_ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";
/// Its secret.
pub const CLIENT_SECRET: &str = "emulator-secret";

/// How an emulator is set up.
#[derive(Debug, Clone)]
pub struct EmulatorOptions {
    /// Where to listen; loopback and a free port by default.
    pub listen: SocketAddr,
    /// The emulator's time.
    pub clock: Clock,
    /// Seed of the faults that are drawn.
    pub seed: u64,
    /// The only tenant there is.
    pub tenant_id: String,
    /// The programs that may ask for tokens.
    pub apps: Vec<App>,
    /// Subscription of the Sentinel workspace, for the ids of records made by seeds and by native sync.
    pub subscription_id: String,
    /// Its resource group.
    pub resource_group: String,
    /// Its name.
    pub workspace: String,
    /// Seconds a token is good for.
    pub token_lifetime: u32,
    /// Microsoft's own connector between the two products.
    pub native_sync: NativeSync,
    /// Lasting imperfections.
    pub settings: Settings,
}

impl Default for EmulatorOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::Real,
            seed: 1,
            tenant_id: TENANT.to_owned(),
            apps: vec![App::default()],
            subscription_id: "22222222-3333-4444-8555-666666666666".to_owned(),
            resource_group: "rg-soc".to_owned(),
            workspace: "law-soc".to_owned(),
            token_lifetime: 3599,
            native_sync: NativeSync::default(),
            settings: Settings::default(),
        }
    }
}

/// A program registered in the tenant.
#[derive(Debug, Clone)]
pub struct App {
    /// Its application (client) id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
    /// Its display name.
    pub name: String,
    /// The Graph roles it was granted.
    pub graph_roles: Vec<String>,
    /// Its role on the Sentinel workspace.
    pub sentinel_role: SentinelRole,
}

impl Default for App {
    fn default() -> Self {
        Self {
            client_id: CLIENT_ID.to_owned(),
            secret: CLIENT_SECRET.to_owned(),
            name: "lockstep".to_owned(),
            graph_roles: vec![
                "SecurityIncident.ReadWrite.All".to_owned(),
                "SecurityAlert.ReadWrite.All".to_owned(),
            ],
            sentinel_role: SentinelRole::Responder,
        }
    }
}

/// Roles on a Sentinel workspace, weakest first (`sentinel.md` 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SentinelRole {
    /// None: everything is 403.
    None,
    /// May read.
    Reader,
    /// May write, but not delete.
    Responder,
    /// May delete.
    Contributor,
}

/// Microsoft's own connector, which ties Defender and Sentinel incidents (`sentinel.md` 3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NativeSync {
    /// Whether it is on. While off, linked pairs drift freely.
    pub enabled: bool,
    /// Seconds from a Defender incident's creation to its Sentinel twin.
    pub create_delay: f64,
    /// Seconds from a change to its copy on the other side, either way.
    pub delay: f64,
    /// Whether changes within one delay are carried together, last state only, as in onboarded workspaces.
    pub batch: bool,
}

impl Default for NativeSync {
    fn default() -> Self {
        Self { enabled: false, create_delay: 60.0, delay: 5.0, batch: false }
    }
}

impl NativeSync {
    /// On, with these delays in seconds.
    pub fn on(create_delay: f64, delay: f64) -> Self {
        Self { enabled: true, create_delay, delay, batch: false }
    }
}
