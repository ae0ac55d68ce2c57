//! A management node from compose.yaml.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use e2e::{Outcome, workspace};

use super::engine::{Engine, eventually, succeeded};

/// The volumes that are kept, and copied where a management node moves.
pub(super) const VOLUMES: [&str; 7] = [
    "config", "record", "install", "state", "dnsmasq", "leases", "home",
];

/// A directory with compose.yaml and .env, and the engine that it is for.
pub(super) struct ComposeSite<'a> {
    pub(super) engine: &'a Engine,
    pub(super) directory: PathBuf,
}

impl<'a> ComposeSite<'a> {
    /// Makes one as the page tells: compose.yaml as it is, .env from the example; the project has a name, and these
    /// variables other values.
    pub(super) fn new(
        engine: &'a Engine,
        project: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let directory = engine.path(project);
        fs::create_dir_all(directory.join("media"))?;
        let source = workspace().join("packaging/image");
        fs::copy(source.join("compose.yaml"), directory.join("compose.yaml"))?;
        let example = fs::read_to_string(source.join("env.example"))?;
        let own = [("COMPOSE_PROJECT_NAME", project)];
        let mut named = example;
        for (name, value) in own.iter().chain(variables) {
            let line = named
                .lines()
                .find(|line| line.starts_with(&format!("{name}=")));
            let line = line.with_context(|| format!("the example has no {name}"))?;
            named = named.replace(&format!("{line}\n"), &format!("{name}={value}\n"));
        }
        fs::write(directory.join(".env"), named)?;
        Ok(Self { engine, directory })
    }

    /// Makes another management node that has the networks and the volumes of this one but those in memory, as two machines
    /// have with the storage that they share.
    pub(super) fn standby(&self, project: &str) -> Result<Self> {
        let standby = Self::new(self.engine, project, &[])?;
        let path = standby.directory.join("compose.yaml");
        let text = fs::read_to_string(&path)?;
        let (services, _) = text.split_once("\nnetworks:\n").context("no networks")?;
        let name = self.directory.file_name().unwrap_or_default().display();
        let shared = |kind: &str| format!("  {kind}: {{ external: true, name: {name}_{kind} }}\n");
        let networks: String = ["mgtnet", "svcnet"].map(shared).concat();
        let volumes: String = VOLUMES.map(shared).concat();
        let in_memory = "{ driver_opts: { type: tmpfs, device: tmpfs, o: \"mode=2750,gid=980\" } }";
        let text = format!(
            "{services}\nnetworks:\n{networks}volumes:\n{volumes}  run: {in_memory}\n  dnsmasq-run: {in_memory}\n"
        );
        fs::write(path, text)?;
        Ok(standby)
    }

    pub(super) fn compose(&self, arguments: &[&str]) -> Result<String> {
        let ended = self.engine.compose(&self.directory, arguments)?;
        succeeded(ended).with_context(|| format!("compose {arguments:?}"))
    }

    /// Runs a command of the management node.
    pub(super) fn manage(&self, arguments: &[&str]) -> Result<Outcome> {
        let run = ["run", "--rm", "-T", "manage"];
        let outcome = self
            .engine
            .compose(&self.directory, &[&run[..], arguments].concat())?;
        Ok(outcome)
    }

    /// The same, which must succeed; returns what it prints.
    pub(super) fn managed(&self, arguments: &[&str]) -> Result<String> {
        succeeded(self.manage(arguments)?).with_context(|| format!("{arguments:?}"))
    }

    /// Names the container of a service.
    pub(super) fn container(&self, service: &str) -> Result<String> {
        let id = self.compose(&["ps", "--quiet", service])?;
        Ok(id.trim().to_owned())
    }

    /// Waits until all services are healthy.
    pub(super) fn is_healthy(&self) -> Result<()> {
        for service in ["signer", "slipwayd", "dnsmasq"] {
            eventually(&format!("{service} is healthy"), || {
                let id = self.container(service)?;
                let format = "{{.State.Health.Status}}";
                let health = self.engine.docker(&["inspect", "--format", format, &id])?;
                Ok(health.stdout == "healthy\n")
            })
            .with_context(|| self.compose(&["logs"]).unwrap_or_default())?;
        }
        Ok(())
    }
}
