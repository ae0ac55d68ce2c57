//! Every path of a docker host, in one place; all of them under a root directory, so that a test can
//! have a host of its own.

use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::files::FileJournal;

/// The files of one docker host.
#[derive(Debug, Clone)]
pub(super) struct HostPaths {
    root: PathBuf,
}

impl HostPaths {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns a path of the host as it lies under the root.
    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns where the authority of this host keeps its key: no directory that dockerd reads.
    pub(super) fn authority_dir(&self) -> PathBuf {
        self.at("/etc/slipway/authority")
    }

    pub(super) fn authority_certificate(&self) -> PathBuf {
        self.authority_dir().join("ca.pem")
    }

    pub(super) fn authority_key(&self) -> PathBuf {
        self.authority_dir().join("ca-key.pem")
    }

    /// Returns what the administrator fetches: in the form that `DOCKER_CERT_PATH` takes.
    pub(super) fn client_dir(&self) -> PathBuf {
        self.at("/etc/slipway/client")
    }

    /// Returns the directory of dockerd's own key and certificate.
    pub(super) fn server_dir(&self) -> PathBuf {
        self.at("/etc/docker/tls")
    }

    /// Returns the authorities whose clients dockerd trusts.
    pub(super) fn server_authorities(&self) -> PathBuf {
        self.server_dir().join("ca.pem")
    }

    pub(super) fn server_certificate(&self) -> PathBuf {
        self.server_dir().join("cert.pem")
    }

    pub(super) fn server_key(&self) -> PathBuf {
        self.server_dir().join("key.pem")
    }

    /// Returns what dockerd trusts registries by; no option of dockerd names another directory.
    pub(super) fn registries(&self) -> PathBuf {
        self.at("/etc/docker/certs.d")
    }

    /// Returns dockerd's configuration, unless its command line names another.
    pub(super) fn daemon_json(&self) -> PathBuf {
        self.at("/etc/docker/daemon.json")
    }

    /// Returns the directory of the drop-in that takes `-H` out of dockerd's command line.
    pub(super) fn drop_ins(&self) -> PathBuf {
        self.at("/etc/systemd/system/docker.service.d")
    }

    /// Returns the directory of the drop-in that has systemd listen for trusted clients.
    pub(super) fn socket_drop_ins(&self) -> PathBuf {
        self.at("/etc/systemd/system/docker.socket.d")
    }

    /// Whether this is the host itself and no directory of a test.
    pub(super) fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns the journal that exists from the first change until the check: from it the next run undoes
    /// an interrupted one. It keeps no copies, because there are keys among the files.
    pub(super) fn journal(&self, fault: &Fault) -> FileJournal {
        FileJournal::new(Path::new("/"), self.state()).with_fault(fault.clone())
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// Returns the directory of the lock and of the journal.
    pub(super) fn state(&self) -> PathBuf {
        self.at("/var/lib/slipway/setupdockerhost")
    }
}
