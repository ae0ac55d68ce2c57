//! slipwayd of the management node, as this host knows it: where it is, and a connection to it over TLS with the site's root
//! as the only authority.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use definitions::IdentityFiles;
use serde::{Deserialize, Serialize};

use crate::identity::directory;
use crate::owner::load_state_text;
use crate::timed_stream::{TimeLimits, TimedStream};
use crate::tls_client::{CheckedTime, ClientIdentity, TlsClient, TlsStream};

/// Where slipwayd is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerAddress {
    pub(crate) server: SocketAddr,
    /// The address that its certificate is for.
    pub(crate) name: IpAddr,
}

impl ServerAddress {
    /// Reads what was kept beside the identity, below a root directory.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let path = directory(root).join(IdentityFiles::SERVER);
        let text =
            load_state_text(&path)?.with_context(|| format!("there is no {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Connects; `root` is the certificate of the site's root, PEM.
    ///
    /// # Errors
    /// When slipwayd is not there, or it is another server.
    pub(crate) fn connect(
        &self,
        root: &str,
        identity: Option<ClientIdentity<'_>>,
        limits: TimeLimits,
    ) -> Result<TlsStream> {
        self.connect_at(CheckedTime::NOW, root, identity, limits)
    }

    /// Connects; slipwayd's certificate is to be valid at a time.
    ///
    /// # Errors
    /// When slipwayd is not there, or it is another server.
    pub(crate) fn connect_at(
        &self,
        time: CheckedTime,
        root: &str,
        identity: Option<ClientIdentity<'_>>,
        limits: TimeLimits,
    ) -> Result<TlsStream> {
        let name = self.name.to_string();
        let client = TlsClient {
            authorities: root,
            name: &name,
            identity,
            time,
        };
        let connected = TimedStream::connect(&self.server, limits).map_err(anyhow::Error::from);
        connected
            .and_then(|stream| client.connect(stream))
            .with_context(|| format!("connecting to slipwayd on {}", self.server))
    }
}
