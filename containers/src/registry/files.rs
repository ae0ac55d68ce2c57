//! What a registry is made of on disk: its configuration, its unit, and the directory of its images.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use definitions::Catalog;
use definitions::write_atomic;
use nix::unistd::{Gid, Uid, User};
use serde_json::json;

use super::{Args, RegistryInstance, engine};

/// The files of the site's authority that the unit hands to the registry, which cannot read them itself.
const CREDENTIALS: [&str; 3] = ["root.crt", "server.crt", "server.key"];

/// The files, as they should be.
#[derive(Debug)]
pub(super) struct RegistryFiles {
    pub(super) config: (PathBuf, String),
    unit: (PathBuf, String),
    storage: PathBuf,
    pub(super) engine: PathBuf,
    pub(super) owner: (Uid, Gid),
}

impl RegistryFiles {
    /// Plans them.
    ///
    /// # Errors
    /// When something that they need is not there.
    pub(super) fn plan(
        args: &Args,
        catalog: &Catalog,
        instance: &RegistryInstance,
    ) -> Result<Self> {
        let trust = catalog.path().join("trust");
        for file in CREDENTIALS {
            let path = trust.join(file);
            ensure!(
                path.is_file(),
                "{} is not there: the site has no authority yet: slipway-trust init",
                path.display()
            );
        }
        let user = User::from_name(&args.user).context("looking for the registry's user")?;
        let user = user.with_context(|| {
            format!("there is no user {0}: useradd --system --shell /usr/sbin/nologin {0}, or name another with --user", args.user)
        })?;
        let at = |path: String| args.root.join(path.trim_start_matches('/'));
        let config = config_path(&args.root, instance.name);
        let engine = engine(args)?;
        let certificate =
            fs::read_to_string(trust.join("server.crt")).context("reading server.crt")?;
        let unit = unit(&UnitParts {
            engine: &engine,
            config: &config,
            user: &args.user,
            trust: &trust,
            instance,
        });
        Ok(Self {
            unit: (
                at(format!(
                    "/etc/systemd/system/slipway-{}.service",
                    instance.name
                )),
                unit,
            ),
            config: (config, configuration(instance, &certificate)),
            storage: instance.storage.clone(),
            engine,
            owner: (user.uid, user.gid),
        })
    }

    /// Lists those that are not as they should be.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn due(&self) -> Result<Vec<&Path>> {
        let mut due = Vec::new();
        for (path, text) in [&self.config, &self.unit] {
            let found = match fs::read_to_string(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                found => Some(found.with_context(|| format!("reading {}", path.display()))?),
            };
            if found.as_ref() != Some(text) {
                due.push(path.as_path());
            }
        }
        if !self.storage.is_dir() {
            due.push(self.storage.as_path());
        }
        Ok(due)
    }

    /// Says whether anything was ever pushed: distribution's own collection fails where nothing was.
    pub(super) fn has_images(&self) -> bool {
        self.storage
            .join("docker/registry/v2/repositories")
            .exists()
    }

    /// Writes them. The images' directory is the registry's alone: what is below the install directory is served to all.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(super) fn apply(&self) -> Result<()> {
        let making = || format!("making {}", self.storage.display());
        if let Some(above) = self.storage.parent() {
            fs::create_dir_all(above).with_context(making)?;
        }
        match fs::DirBuilder::new().mode(0o750).create(&self.storage) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(making);
            }
            _ => {}
        }
        fs::set_permissions(&self.storage, fs::Permissions::from_mode(0o750))
            .with_context(making)?;
        std::os::unix::fs::lchown(
            &self.storage,
            Some(self.owner.0.as_raw()),
            Some(self.owner.1.as_raw()),
        )
        .with_context(making)?;
        for (path, text) in [&self.config, &self.unit] {
            let writing = || format!("writing {}", path.display());
            if let Some(above) = path.parent() {
                fs::create_dir_all(above).with_context(writing)?;
            }
            write_atomic(path, text.as_bytes(), 0o644).with_context(writing)?;
        }
        Ok(())
    }
}

/// Where the configuration of a registry is.
fn config_path(root: &Path, name: &str) -> PathBuf {
    root.join(format!("etc/slipway/registry/{name}.yml"))
}

/// The port of a registry that was set up before.
///
/// # Errors
/// When its configuration cannot be read, or does not say.
pub(super) fn port(root: &Path, name: &str) -> Result<Option<u16>> {
    let path = config_path(root, name);
    let reading = || format!("reading the port in {}", path.display());
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(reading)?,
    };
    let port = configured_port(&text).context("it names no port: pass --port");
    port.with_context(reading).map(Some)
}

/// Reads the port off a configuration as [`configuration`] renders it.
fn configured_port(text: &str) -> Option<u16> {
    let mut lines = text.lines().map(str::trim);
    let address = lines.find_map(|line| line.strip_prefix("addr:"))?;
    let (_, port) = address.trim_matches([' ', '"', '\'']).rsplit_once(':')?;
    port.parse().ok()
}

/// Where systemd puts what the unit is handed.
fn credential(instance: &RegistryInstance, name: &str) -> String {
    format!("/run/credentials/slipway-{}.service/{name}", instance.name)
}

/// Renders the configuration. Its last comment is of the certificate, so that a renewed one is a change.
fn configuration(instance: &RegistryInstance, certificate: &str) -> String {
    let quoted = |text: &str| json!(text).to_string();
    let proxy = instance.upstream.as_ref();
    let proxy = proxy.map_or_else(String::new, |url| {
        format!("proxy:\n  remoteurl: {}\n", quoted(url))
    });
    // The end of a certificate is that of its signature, which no other has.
    let body = certificate.split("-----END").next().unwrap_or_default();
    let signature = body.trim_end().lines().last().unwrap_or_default();
    format!(
        "# Made by setupregistry, which overwrites it.\nversion: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\n  cache:\n    blobdescriptor: inmemory\n  delete:\n    enabled: true\nhttp:\n  addr: {}\n  tls:\n    \
         certificate: {}\n    key: {}\n    clientcas:\n      - {}\n    minimumtls: tls1.2\n{proxy}# server.crt ends with {signature}\n",
        quoted(&instance.storage.display().to_string()),
        quoted(&format!(":{}", instance.port)),
        quoted(&credential(instance, "server.crt")),
        quoted(&credential(instance, "server.key")),
        quoted(&credential(instance, "root.crt")),
    )
}

struct UnitParts<'a> {
    engine: &'a Path,
    config: &'a Path,
    user: &'a str,
    trust: &'a Path,
    instance: &'a RegistryInstance,
}

/// Renders the unit: the registry reads its configuration and writes its images, and does nothing else.
fn unit(parts: &UnitParts<'_>) -> String {
    let (engine, config) = (parts.engine.display(), parts.config.display());
    let (trust, storage) = (parts.trust.display(), parts.instance.storage.display());
    let what = match parts.instance.upstream {
        Some(_) => "Mirror of an image registry",
        None => "Image registry of the site",
    };
    let credentials: String = CREDENTIALS
        .iter()
        .map(|file| format!("LoadCredential={file}:{trust}/{file}\n"))
        .collect();
    format!(
        "# Made by setupregistry, which overwrites it.\n[Unit]\nDescription={what}\nDocumentation=man:setupregistry(8)\n\
         Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nExecStart={engine} serve {config}\n\
         Restart=on-failure\nRestartSec=2\nUser={user}\n{credentials}ReadWritePaths={storage}\n\
         InaccessiblePaths=-{trust}\n{HARDENING}\n[Install]\nWantedBy=multi-user.target\n",
        user = parts.user,
    )
}

const HARDENING: &str = "\
LimitNOFILE=8192
TasksMax=1024
CapabilityBoundingSet=
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0027
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_off_the_configuration() {
        let instance = RegistryInstance {
            name: "registry",
            port: 5055,
            upstream: None,
            address: "10.0.0.1".to_owned(),
            storage: "/install/registry".into(),
        };
        assert_eq!(configured_port(&configuration(&instance, "")), Some(5055));
        assert_eq!(
            configured_port("http:\n  addr: '0.0.0.0:5066'\n"),
            Some(5066)
        );
        for unclear in [
            "",
            "http:\n",
            "http:\n  addr: \":x\"\n",
            "http:\n  addr: unix\n",
        ] {
            assert_eq!(configured_port(unclear), None, "{unclear}");
        }
    }
}
