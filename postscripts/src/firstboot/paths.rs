//! Every path of a node's first boot, in one place; all of them under a root directory, so that a test can
//! have a node of its own.

use std::path::{Path, PathBuf};

use definitions::Runlist;

/// The name under which the list may bring a new `firstboot`.
pub(super) const OWN_NAME: &str = "firstboot";

/// The files of one node.
#[derive(Debug, Clone)]
pub(super) struct NodePaths {
    root: PathBuf,
}

impl NodePaths {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns a path of the node as it lies under the root.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    pub(super) fn list(&self) -> PathBuf {
        self.at(Runlist::ON_NODE)
    }

    pub(super) fn status(&self) -> PathBuf {
        self.at("/var/lib/slipway/status.json")
    }

    /// Returns where a status that cannot be read is kept.
    pub(super) fn damaged(&self) -> PathBuf {
        self.at("/var/lib/slipway/status.json.damaged")
    }

    /// Returns the mark that every postbootscript has ended: the unit's condition.
    pub(super) fn done(&self) -> PathBuf {
        self.at(DONE)
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.at("/var/lib/slipway/firstboot.lock")
    }

    /// Returns the directory in which scripts run.
    pub(super) fn programs(&self) -> PathBuf {
        self.at(Runlist::PROGRAMS)
    }

    /// Returns where a program of the list lies; `firstboot` itself lies elsewhere.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        match name {
            OWN_NAME => self.at(Runlist::FIRSTBOOT),
            name => self.programs().join(name),
        }
    }

    /// Returns a script's log. A `/` in its name becomes a `-`.
    pub(super) fn log(&self, program: &str) -> PathBuf {
        let name = program.replace('/', "-");
        self.at("/var/log/slipway").join(format!("{name}.log"))
    }

    pub(super) fn unit(&self) -> PathBuf {
        self.at("/etc/systemd/system").join(UNIT)
    }

    /// Returns the link that has systemd start the unit.
    pub(super) fn unit_link(&self) -> PathBuf {
        self.at("/etc/systemd/system/multi-user.target.wants")
            .join(UNIT)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

/// The unit's name.
pub(super) const UNIT: &str = "slipway-firstboot.service";
/// The mark that every postbootscript has ended.
pub(super) const DONE: &str = "/var/lib/slipway/firstboot.done";
