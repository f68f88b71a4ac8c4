//! Where the adapter connects: a loopback address or a Unix domain socket.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::api::{self, ApiState};
use crate::connectors::sidecar::SidecarListen;
use crate::model::SystemName;

/// Who may connect to the socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// An address that is taken.
#[derive(Debug)]
pub enum Listener {
    /// A loopback address.
    Tcp(TcpListener, SocketAddr),
    /// A socket, and its path.
    Unix(UnixListener, PathBuf),
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sidecar {system} cannot listen on {address}: {source}; is another lockstep running? change listen"
)]
pub struct ListenError {
    system: String,
    address: String,
    source: io::Error,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(_, address) => write!(f, "http://{address}"),
            Self::Unix(_, path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listener {
    /// Takes the address. A socket that a killed process left behind is replaced; one that somebody answers is not.
    pub async fn bind(system: &SystemName, listen: &SidecarListen) -> Result<Self, ListenError> {
        let bound = match listen {
            SidecarListen::Tcp(address) => tcp(*address).await,
            SidecarListen::Unix(path) => unix(path).await,
        };
        bound.map_err(|source| ListenError {
            system: system.to_string(),
            address: match listen {
                SidecarListen::Tcp(address) => address.to_string(),
                SidecarListen::Unix(path) => path.display().to_string(),
            },
            source,
        })
    }

    /// Whether it is an address, which browsers of this machine could reach.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(..))
    }

    /// Serves until `stop`; requests under way are answered first.
    pub(super) async fn serve(self, state: ApiState, stop: CancellationToken) -> io::Result<()> {
        let router = api::router(state);
        match self {
            Self::Tcp(listener, _) => {
                axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
            }
            Self::Unix(listener, path) => {
                let served =
                    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
                // Whoever comes next would replace it, too.
                let _ = fs::remove_file(path);
                served
            }
        }
    }
}

async fn tcp(address: SocketAddr) -> io::Result<Listener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Listener::Tcp(listener, address))
}

async fn unix(path: &Path) -> io::Result<Listener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && UnixStream::connect(path).await.is_err() {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(Listener::Unix(listener, path.to_owned()))
}
