//! The six backends with one set of verbs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::model::{Addressing, DesiredBridge};
use super::netplan::Renderer;
use super::sources::Sources;
use super::{ifcfg, ifupdown, netplan, networkd, networkmanager, wicked};
use crate::files::FileChange;

/// What configures the NIC at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Backend {
    Netplan {
        renderer: Renderer,
    },
    Networkd {
        file: PathBuf,
    },
    NetworkManager {
        uuid: String,
        /// Whether the profile serves other NICs too.
        shared: bool,
    },
    Ifupdown,
    Ifcfg {
        file: PathBuf,
    },
    Wicked,
}

impl Backend {
    /// Its name, as a user knows it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Netplan {
                renderer: Renderer::Networkd,
            } => "netplan (systemd-networkd)",
            Self::Netplan {
                renderer: Renderer::NetworkManager,
            } => "netplan (NetworkManager)",
            Self::Networkd { .. } => "systemd-networkd",
            Self::NetworkManager { .. } => "NetworkManager",
            Self::Ifupdown => "ifupdown",
            Self::Ifcfg { .. } => "ifcfg",
            Self::Wicked => "wicked",
        }
    }

    /// Whether NetworkManager may bring the bridge up: it reads `ifcfg` files too.
    pub(super) fn may_be_networkmanagers(&self) -> bool {
        matches!(
            self,
            Self::NetworkManager { .. }
                | Self::Ifcfg { .. }
                | Self::Netplan {
                    renderer: Renderer::NetworkManager
                }
        )
    }

    /// Reads every file it may have to look at.
    pub(super) fn load(&self, root: &Path) -> Result<Sources> {
        match self {
            Self::Netplan { .. } => {
                let mut sources = Sources::load(root, &netplan::DIRS, netplan::wanted)?;
                networkd::load(&mut sources, root)?;
                Ok(sources)
            }
            Self::Networkd { .. } => {
                let mut sources = Sources::default();
                networkd::load(&mut sources, root)?;
                Ok(sources)
            }
            Self::NetworkManager { .. } => {
                Sources::load(root, &networkmanager::DIRS, networkmanager::wanted)
            }
            Self::Ifupdown => ifupdown::load(root),
            Self::Ifcfg { .. } => Sources::load(root, &[ifcfg::DIR], ifcfg::wanted),
            Self::Wicked => Sources::load(root, &[wicked::DIR], wicked::wanted),
        }
    }

    /// The files as they shall be; none when they are so already.
    pub(super) fn rewrite(
        &self,
        sources: &Sources,
        desired: &DesiredBridge,
    ) -> Result<Vec<FileChange>> {
        match self {
            Self::Netplan { .. } => netplan::rewrite(sources, desired),
            Self::Networkd { file } => networkd::rewrite(sources, file, desired),
            Self::NetworkManager { uuid, .. } => networkmanager::rewrite(sources, uuid, desired),
            Self::Ifupdown => {
                desired.identity.refuse_secret(desired)?;
                ifupdown::rewrite(sources, desired)
            }
            Self::Ifcfg { .. } => {
                desired.identity.refuse_secret(desired)?;
                ifcfg::rewrite(sources, desired)
            }
            Self::Wicked => {
                desired.identity.refuse_secret(desired)?;
                wicked::rewrite(sources, desired)
            }
        }
    }

    /// How the files address the NIC.
    pub(super) fn read_nic(
        &self,
        sources: &Sources,
        desired: &DesiredBridge,
    ) -> Result<Addressing> {
        match self {
            Self::Netplan { .. } => {
                let definition = netplan::definition(sources, desired)?;
                let definition = definition
                    .with_context(|| format!("no netplan file covers {}", desired.nic))?;
                netplan::read_nic(sources, &definition)
            }
            Self::Networkd { file } => networkd::read(sources, file),
            Self::NetworkManager { uuid, .. } => networkmanager::read(sources, uuid),
            Self::Ifupdown => ifupdown::read(sources, &desired.nic),
            Self::Ifcfg { file } => ifcfg::read(sources, file, &desired.nic),
            Self::Wicked => wicked::read(sources, &desired.nic),
        }
    }

    /// How the files address the bridge.
    pub(super) fn read_bridge(
        &self,
        sources: &Sources,
        desired: &DesiredBridge,
    ) -> Result<Addressing> {
        match self {
            Self::Netplan { .. } => netplan::read(sources, "bridges", &desired.bridge),
            Self::Networkd { .. } => networkd::read_bridge(sources, desired),
            Self::NetworkManager { .. } => {
                let uuid = networkmanager::by_name(sources, &desired.bridge)
                    .and_then(|file| networkmanager::uuid(sources, &file));
                let uuid =
                    uuid.with_context(|| format!("no profile brings {} up", desired.bridge))?;
                networkmanager::read(sources, &uuid)
            }
            Self::Ifupdown => ifupdown::read(sources, &desired.bridge),
            Self::Ifcfg { .. } => {
                ifcfg::read(sources, &ifcfg::path(&desired.bridge), &desired.bridge)
            }
            Self::Wicked => wicked::read(sources, &desired.bridge),
        }
    }
}
