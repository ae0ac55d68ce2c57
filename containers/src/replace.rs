//! Replaces a container, with a way back.
//!
//! The new one is made beside the old one, with the same address; the old one is stopped, the new one started and watched
//! for a while, and only when it settles are both renamed and the old one removed. Whatever fails before that removes the
//! new one and starts the old one again. The names of both are such as no node has (`web1..new`, `web1..old`), so that
//! whatever is left by a run that was killed is known, and the next run goes on from there.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::converge::{ContainerOnHost, list};
use crate::labels;

/// How often a new container is looked at until it settles.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long a container with a health check may take until it is healthy.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(180);

/// Names the containers that are beside a node's while it is replaced: the new one and the old one.
pub(crate) fn beside(node: &str) -> [String; 2] {
    ["new", "old"].map(|which| format!("{node}..{which}"))
}

impl ContainerOnHost<'_> {
    /// Makes a new one beside the old one, and has it take its place once it has settled.
    pub(crate) fn replace(&mut self, old: &Value) -> Result<String> {
        let node = self.node().to_owned();
        ensure!(
            old["State"]["Paused"] != true,
            "it is paused, and can only be stopped when it runs: rpower {node} unpause"
        );
        let image = self
            .known
            .images
            .ensure(self.engine, &self.declaration.image, self.say)?;
        let runs = old["State"]["Running"] == true;
        let [new, last] = beside(&node);
        let mut body = self.declaration.body(self.engine.api(), &image);
        body["Labels"][labels::REPLACES] = json!(runs.to_string());
        keep_nameless_volumes(&mut body, old);
        let id = self.make(&new, body).context("making the new one")?;
        if runs {
            self.stop(&node, old).context("stopping the old one")?;
            if let Err(error) = self.start_and_watch(&new) {
                let back = self.remove(&new).and_then(|()| self.start(&node));
                return Err(match back {
                    Ok(()) => error.context("the old one runs again, for the new one did not settle"),
                    Err(back) => error.context(format!(
                        "the new one did not settle, and the old one cannot be started ({back:#}): mkdocker {node} tries again"
                    )),
                });
            }
        }
        self.rename(&node, &last)?;
        self.rename(&new, &node)?;
        self.remove(&last).context("removing the old one")?;
        Ok(id)
    }

    /// Starts a container and watches it: with an init process or a restart policy a start that succeeded is no proof.
    fn start_and_watch(&mut self, name: &str) -> Result<()> {
        self.start(name)?;
        let (begun, mut restarts) = (Instant::now(), None);
        loop {
            let found = self.inspect(name)?.context("it is gone")?;
            let state = &found["State"];
            let counted = found["RestartCount"].as_u64();
            if state["Running"] != true
                || counted != *restarts.get_or_insert(counted)
                || counted > Some(0)
            {
                let code = state["ExitCode"].as_i64().unwrap_or_default();
                bail!(
                    "it ended with code {code} after {:.1} s",
                    begun.elapsed().as_secs_f32()
                );
            }
            let settled = begun.elapsed() >= self.how.settle;
            match state["Health"]["Status"].as_str() {
                Some("unhealthy") => bail!("its health check fails"),
                Some("starting") if begun.elapsed() >= HEALTH_TIMEOUT => {
                    bail!("it is not healthy after {} s", HEALTH_TIMEOUT.as_secs())
                }
                Some("starting") => {}
                _ if settled => return Ok(()),
                _ => {}
            }
            sleep(LOOK_INTERVAL);
        }
    }

    /// Says whether an interrupted replacement of this container left something.
    pub(crate) fn left_over(&self) -> bool {
        beside(self.node())
            .iter()
            .any(|name| self.known.ours.contains(name))
    }

    /// Ends what an interrupted replacement left: the old one is back, or the new one is in its place.
    pub(crate) fn recover(&mut self) -> Result<()> {
        let node = self.node().to_owned();
        let [new, last] = beside(&node);
        let current = self.inspect(&node)?;
        let found = [self.inspect(&new)?, self.inspect(&last)?];
        match (current, found) {
            (Some(_), [_, Some(_)]) => {
                (self.say)("removes the old one that an interrupted replacement left".to_owned());
                self.remove(&last)?;
            }
            (None, [Some(_), Some(_)]) => {
                (self.say)("ends a replacement that was interrupted".to_owned());
                self.rename(&new, &node)?;
                self.remove(&last)?;
            }
            (None, [None, Some(_)]) => {
                (self.say)("puts back the old one that an interrupted replacement left".to_owned());
                self.rename(&last, &node)?;
            }
            (current, [Some(unsettled), None]) => {
                (self.say)("takes back a replacement that was interrupted".to_owned());
                self.remove(&new)?;
                let ran = unsettled["Config"]["Labels"][labels::REPLACES] == "true";
                if current.is_some_and(|current| ran && current["State"]["Running"] != true) {
                    self.start(&node)?;
                }
            }
            (_, [None, None]) => {}
        }
        Ok(())
    }
}

/// Hands on what the old one keeps in volumes that have no name: what the image declares and nobody mounted.
fn keep_nameless_volumes(body: &mut Value, old: &Value) {
    if !body["HostConfig"]["Mounts"].is_null() {
        return;
    }
    let is_nameless = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let mounts: Vec<_> = list(&old["Mounts"])
        .iter()
        .filter(|mount| mount["Type"] == "volume" && mount["Name"].as_str().is_some_and(is_nameless))
        .map(|mount| json!({ "Type": "volume", "Source": mount["Name"], "Target": mount["Destination"] }))
        .collect();
    if !mounts.is_empty() {
        body["HostConfig"]["Mounts"] = json!(mounts);
    }
}
