//! Brings one container to its declaration: made, kept, changed in place, or replaced with a way back.

mod host_networks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::declaration::Declaration;
use crate::difference::{FieldDifference, compare};
use crate::engine::{Call, EngineApi, EngineRefusal};
use crate::fanout::{HostWork, Task};
use crate::images::{HostImages, Pull};
use crate::labels;
use crate::locks;
use crate::registries::Registries;
use crate::report::Outcome;

/// How long a container may take to end when it is stopped, at most.
const MAX_STOP: u64 = 3_600;

/// How containers are brought to their declarations.
#[derive(Debug)]
pub(crate) struct Converge {
    pub(crate) pull: Pull,
    pub(crate) registries: Arc<Registries>,
    /// Whether only to say what would be done.
    pub(crate) dry_run: bool,
    /// Whether to show every difference.
    pub(crate) diff: bool,
    /// Whether a container may be replaced.
    pub(crate) replace: bool,
    /// How long a replacement must run.
    pub(crate) settle: Duration,
}

/// What is known of a host, once for all its containers.
#[derive(Debug)]
pub(crate) struct HostState {
    /// The names of the containers that were made by `mkdocker`.
    pub(crate) ours: BTreeSet<String>,
    networks: Mutex<BTreeMap<String, Value>>,
    pub(crate) images: HostImages,
}

impl HostWork for Converge {
    type Item = Declaration;
    type Known = HostState;
    type Done = Outcome;

    fn prepare(&self, engine: &mut EngineApi) -> Result<HostState> {
        let filter = json!({ "label": [labels::NODE] }).to_string();
        let call = Call::get("/containers/json")
            .query("all", "1")
            .query("filters", &filter);
        let listed = engine.ask(&call)?.succeeded();
        let listed = listed.context("listing the host's containers")?;
        let names = list(&listed)
            .iter()
            .flat_map(|container| list(&container["Names"]));
        let names = names.filter_map(Value::as_str);
        let networks = engine.ask(&Call::get("/networks"))?.succeeded();
        let networks = networks.context("listing the host's networks")?;
        let networks = list(&networks).iter().filter_map(|network| {
            let name = network["Name"].as_str()?;
            Some((name.to_owned(), network.clone()))
        });
        Ok(HostState {
            ours: names
                .map(|name| name.trim_start_matches('/').to_owned())
                .collect(),
            networks: Mutex::new(networks.collect()),
            images: HostImages::new(self.pull, &self.registries),
        })
    }

    fn perform(
        &self,
        engine: &mut EngineApi,
        known: &HostState,
        task: &Task<Declaration>,
        say: &dyn Fn(String),
    ) -> Result<Outcome> {
        let mut one = ContainerOnHost {
            engine,
            known,
            how: self,
            declaration: &task.item,
            host: &task.host.name,
            say,
        };
        one.check_networks()?;
        // What is seen under the lock stays so until it is acted on.
        let lock = (!self.dry_run).then(|| locks::of(&task.node));
        let _lock = lock.transpose()?;
        if !self.dry_run && one.left_over() {
            one.recover()?;
        }
        match one.inspect(&task.node)? {
            None => one.create(),
            Some(container) => one.converge(&container),
        }
    }
}

/// One container on one host.
pub(crate) struct ContainerOnHost<'a> {
    pub(crate) engine: &'a mut EngineApi,
    pub(crate) known: &'a HostState,
    pub(crate) how: &'a Converge,
    pub(crate) declaration: &'a Declaration,
    host: &'a str,
    pub(crate) say: &'a dyn Fn(String),
}

impl<'a> ContainerOnHost<'a> {
    pub(crate) fn node(&self) -> &'a str {
        &self.declaration.node
    }

    pub(crate) fn inspect(&mut self, name: &str) -> Result<Option<Value>> {
        let answer = self.engine.inspect(name)?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(answer.succeeded()?))
    }

    /// Makes the container where there is none.
    fn create(&mut self) -> Result<Outcome> {
        let (images, image) = (&self.known.images, &self.declaration.image);
        if self.how.dry_run {
            let pulled = match images.look(self.engine, image)? {
                Some(_) => "",
                None => ", after a pull of its image",
            };
            let line = format!("would be made on {}{pulled}", self.host);
            return Ok(self.outcome(&line, "would be created", &[], None));
        }
        let image = images.ensure(self.engine, image, self.say)?;
        let body = self.declaration.body(self.engine.api(), &image);
        let id = self.make(self.node(), body)?;
        Ok(self.outcome("success", "created", &[], Some(&id)))
    }

    /// Makes a container under a name; one that cannot be made whole is not left behind.
    pub(crate) fn make(&mut self, name: &str, body: Value) -> Result<String> {
        let call = Call::post("/containers/create")
            .query("name", name)
            .body(body);
        let made = self.engine.ask(&call)?.succeeded()?;
        let id = made["Id"].as_str().unwrap_or_default().to_owned();
        for (network, settings) in self.declaration.connected_later(self.engine.api()) {
            if let Err(error) = connect(self.engine, network, name, settings) {
                self.remove(name)?;
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Compares one that is there, and does what the differences take.
    fn converge(&mut self, container: &Value) -> Result<Outcome> {
        let (node, host) = (self.node().to_owned(), self.host);
        let labels = &container["Config"]["Labels"];
        ensure!(
            labels::is_of(labels, &node),
            "there is a container {node} on {host} that mkdocker did not make, and it is left alone: rmdocker -f \
             {node} removes it"
        );
        let then = labels::declaration(labels);
        let then = then.context("reading the declaration that the container was made of")?;
        let image = if self.how.dry_run {
            self.known
                .images
                .look(self.engine, &self.declaration.image)?
        } else {
            self.known
                .images
                .find(self.engine, &self.declaration.image, self.say)?
        };
        let now = &self.declaration.request;
        let differences = compare(
            &then,
            now,
            container,
            image.map(|image| image.id).as_deref(),
        );
        let replaced = differences.iter().any(|difference| !difference.in_place);
        let id = container["Id"].as_str();
        if differences.is_empty() {
            return Ok(self.outcome("unchanged", "unchanged", &[], id));
        }
        if self.how.diff || self.how.dry_run {
            differences
                .iter()
                .for_each(|difference| (self.say)(difference.to_string()));
        }
        if self.how.dry_run {
            let status = if replaced {
                "would be replaced"
            } else {
                "would be changed in place"
            };
            return Ok(self.outcome(status, status, &differences, id));
        }
        if replaced && !self.how.replace {
            let fields: Vec<_> = differences.iter().map(FieldDifference::field).collect();
            bail!(
                "it differs from its definition in {}: mkdocker {node} --replace makes it again, --dry-run shows both",
                fields.join(", ")
            );
        }
        if replaced {
            let id = self.replace(container)?;
            Ok(self.outcome("success", "replaced", &differences, Some(&id)))
        } else {
            self.update(container, &differences)?;
            Ok(self.outcome("success", "changed in place", &differences, id))
        }
    }

    /// Changes what can be changed while the container goes on.
    fn update(&mut self, container: &Value, differences: &[FieldDifference]) -> Result<()> {
        let mut changes = Map::new();
        for difference in differences {
            let keys: Vec<_> = difference.keys.iter().map(String::as_str).collect();
            if let ["HostConfig", key, ..] = keys[..] {
                let declared = &self.declaration.request["HostConfig"];
                changes.insert(key.to_owned(), declared[key].clone());
            } else if let ["NetworkingConfig", "EndpointsConfig", network] = keys[..] {
                let settings =
                    &self.declaration.request["NetworkingConfig"]["EndpointsConfig"][network];
                connect(self.engine, network, self.node(), settings)?;
            }
        }
        if let Some(memory) = changes.get("Memory").and_then(Value::as_i64) {
            // Engines set swap to twice the memory when they make a container, and refuse one without the other.
            let declared = self.declaration.request["HostConfig"].get("MemorySwap");
            let unlimited = container["HostConfig"]["MemorySwap"] == -1;
            let swap = if unlimited {
                json!(-1)
            } else {
                json!(memory * 2)
            };
            let swap = declared.cloned().unwrap_or(swap);
            changes.insert("MemorySwap".to_owned(), swap);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let call = Call::post(format!("/containers/{}/update", self.node()));
        self.engine
            .ask(&call.body(Value::Object(changes)))?
            .succeeded()
            .context("changing it in place")?;
        Ok(())
    }

    pub(crate) fn start(&mut self, name: &str) -> Result<()> {
        let call = Call::post(format!("/containers/{name}/start"));
        self.engine.ask(&call)?.succeeded()?;
        Ok(())
    }

    pub(crate) fn stop(&mut self, name: &str, container: &Value) -> Result<()> {
        let timeout = container["Config"]["StopTimeout"].as_u64().unwrap_or(10);
        let call = Call::post(format!("/containers/{name}/stop"));
        let call = call.with_more_time(Duration::from_secs(timeout.min(MAX_STOP)));
        self.engine.ask(&call)?.succeeded()?;
        Ok(())
    }

    pub(crate) fn rename(&mut self, name: &str, to: &str) -> Result<()> {
        let call = Call::post(format!("/containers/{name}/rename")).query("name", to);
        let renamed = self.engine.ask(&call)?.succeeded();
        renamed.with_context(|| format!("renaming {name} to {to}"))?;
        Ok(())
    }

    /// Removes a container, running or not; volumes stay, those without a name too.
    pub(crate) fn remove(&mut self, name: &str) -> Result<()> {
        let call = Call::delete(format!("/containers/{name}")).query("force", "1");
        match self.engine.ask(&call)?.succeeded() {
            Ok(_) | Err(EngineRefusal { status: 404, .. }) => Ok(()),
            Err(refusal) => Err(refusal).with_context(|| format!("removing {name}")),
        }
    }

    fn outcome(
        &self,
        line: &str,
        status: &str,
        differences: &[FieldDifference],
        id: Option<&str>,
    ) -> Outcome {
        let differences: Vec<_> = differences.iter().map(FieldDifference::document).collect();
        Outcome {
            line: line.to_owned(),
            document: Map::from_iter([
                ("status".to_owned(), json!(status)),
                ("host".to_owned(), json!(self.host)),
                ("id".to_owned(), json!(id)),
                (
                    "image".to_owned(),
                    json!(self.declaration.image.to_string()),
                ),
                ("differences".to_owned(), json!(differences)),
            ]),
        }
    }
}

/// Puts a container on a further network.
fn connect(engine: &mut EngineApi, network: &str, container: &str, settings: &Value) -> Result<()> {
    let body = json!({ "Container": container, "EndpointConfig": settings });
    let call = Call::post(format!("/networks/{network}/connect")).body(body);
    let connected = engine.ask(&call)?.succeeded();
    connected.with_context(|| format!("connecting it to the network {network}"))?;
    Ok(())
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
