//! The images of one host: which it has, and how those that it lacks come there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use definitions::ImageReference;
use serde_json::Value;

use crate::converge::list;
use crate::engine::{Call, EngineApi};
use crate::fanout::lock;
use crate::registries::Registries;

/// How often a pull that takes long says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);
/// How much longer than other answers a registry's silence may last.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(180);

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pull {
    /// Before each run, so that a tag means what the registry says now.
    Always,
    /// Where the host does not have it.
    Missing,
    /// Not at all.
    Never,
}

/// What is known of an image on a host; whoever finds out first keeps others waiting.
type Shared = Arc<Mutex<Option<ImageLookup>>>;

/// What came of looking for an image, and of pulling it: what it is, that it is not there, or what went wrong.
type ImageLookup = Result<Option<HostImage>, String>;

/// An image that a host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostImage {
    /// Its identity on that host.
    pub(crate) id: String,
    /// What all engines call it, where it came from a registry: `app@sha256:…`.
    pub(crate) digest: Option<String>,
}

/// The images of a host, as far as they were asked for.
#[derive(Debug)]
pub(crate) struct HostImages {
    pull: Pull,
    registries: Arc<Registries>,
    known: Mutex<BTreeMap<String, Shared>>,
}

impl HostImages {
    /// Knows nothing yet.
    pub(crate) fn new(pull: Pull, registries: &Arc<Registries>) -> Self {
        Self {
            pull,
            registries: Arc::clone(registries),
            known: Mutex::default(),
        }
    }

    /// Returns an image that the host has; one that is always pulled is pulled now. Looks once a run.
    ///
    /// # Errors
    /// When the engine does not tell, or the pull fails.
    pub(crate) fn find(
        &self,
        engine: &mut EngineApi,
        image: &ImageReference,
        say: &dyn Fn(String),
    ) -> Result<Option<HostImage>> {
        self.once(image, |known| match known {
            Some(found) => found,
            None if self.pull == Pull::Always => self.pulled(engine, image, say),
            None => inspect(engine, image).map_err(text),
        })
    }

    /// Returns an image that the host has, and pulls nothing.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub(crate) fn look(
        &self,
        engine: &mut EngineApi,
        image: &ImageReference,
    ) -> Result<Option<HostImage>> {
        self.once(image, |known| {
            known.unwrap_or_else(|| inspect(engine, image).map_err(text))
        })
    }

    /// Returns an image, which is pulled where the host does not have it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn ensure(
        &self,
        engine: &mut EngineApi,
        image: &ImageReference,
        say: &dyn Fn(String),
    ) -> Result<HostImage> {
        self.find(engine, image, say)?;
        let found = self.once(image, |known| match known {
            Some(Ok(None)) if self.pull != Pull::Never => self.pulled(engine, image, say),
            known => known.unwrap_or(Ok(None)),
        })?;
        found.with_context(|| match self.pull {
            Pull::Never => format!(
                "the host does not have the image {image}, and --pull never keeps it from the registry"
            ),
            _ => format!("looking for the image {image} after it was pulled"),
        })
    }

    /// Finds out something about an image while nobody else of this run does.
    fn once(
        &self,
        image: &ImageReference,
        find: impl FnOnce(Option<ImageLookup>) -> ImageLookup,
    ) -> Result<Option<HostImage>> {
        let shared = self.shared(image);
        let mut known = lock(&shared);
        let found = find(known.take());
        *known = Some(found.clone());
        found.map_err(|text| anyhow!(text))
    }

    fn pulled(
        &self,
        engine: &mut EngineApi,
        image: &ImageReference,
        say: &dyn Fn(String),
    ) -> ImageLookup {
        pull(engine, image, &self.registries, say)
            .map(Some)
            .map_err(text)
    }

    fn shared(&self, image: &ImageReference) -> Shared {
        Arc::clone(lock(&self.known).entry(image.to_string()).or_default())
    }
}

fn text(error: Error) -> String {
    format!("{error:#}")
}

fn inspect(engine: &mut EngineApi, image: &ImageReference) -> Result<Option<HostImage>> {
    let answer = engine.ask(&Call::get(format!("/images/{image}/json")))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let found = answer
        .succeeded()
        .with_context(|| format!("asking for the image {image}"))?;
    let id = found["Id"].as_str();
    let id = id.with_context(|| format!("the engine names no identity of the image {image}"))?;
    let digests = list(&found["RepoDigests"]).iter().filter_map(Value::as_str);
    let ours = digests.filter(|digest| {
        let repository = digest.split('@').next().unwrap_or_default();
        familiar(repository) == familiar(image.repository())
    });
    Ok(Some(HostImage {
        id: id.to_owned(),
        digest: ours.map(str::to_owned).next(),
    }))
}

/// Names a repository as engines do: without what goes without saying.
fn familiar(repository: &str) -> &str {
    let bare = repository.strip_prefix("docker.io/").unwrap_or(repository);
    bare.strip_prefix("library/").unwrap_or(bare)
}

/// Pulls one image: what its tag means in this run, and under the tag then. Returns what the host has now.
///
/// # Errors
/// When the engine or the registry refuses it, or the stream ends within a message.
pub(crate) fn pull(
    engine: &mut EngineApi,
    image: &ImageReference,
    registries: &Registries,
    say: &dyn Fn(String),
) -> Result<HostImage> {
    let pulling = || format!("pulling the image {image}");
    let _turn = registries.turn();
    say(format!("Pull image {image} start"));
    let pinned = registries.pinned(engine, image).with_context(pulling)?;
    transfer(engine, &pinned, image, registries, say).with_context(pulling)?;
    if let (Some(tag), true) = (image.tag(), pinned != *image) {
        let call = Call::post(format!("/images/{pinned}/tag"))
            .query("repo", image.repository())
            .query("tag", tag);
        engine.ask(&call)?.succeeded().with_context(pulling)?;
    }
    let found = inspect(engine, image).with_context(pulling)?;
    let found =
        found.with_context(|| format!("looking for the image {image} after it was pulled"))?;
    say(format!("Pull image {image} done"));
    Ok(found)
}

/// Has an engine fetch one tag or digest: a request that names neither would take every tag of the repository.
fn transfer(
    engine: &mut EngineApi,
    pinned: &ImageReference,
    image: &ImageReference,
    registries: &Registries,
    say: &dyn Fn(String),
) -> Result<()> {
    let reference = pinned.digest().or(pinned.tag());
    let reference = reference.context("it names neither a tag nor a digest")?;
    let call = Call::post("/images/create")
        .query("fromImage", pinned.repository())
        .query("tag", reference)
        .registry_auth(registries.auth(pinned))
        .with_more_time(REGISTRY_TIMEOUT);
    let mut progress = PullProgress::default();
    let mut said = Instant::now();
    engine.stream(&call, &mut |event| {
        if let Some(reason) = failure(&event) {
            bail!(reason);
        }
        progress.note(&event);
        if said.elapsed() >= PROGRESS_INTERVAL {
            said = Instant::now();
            if let Some(text) = progress.text() {
                say(format!("Pull image {image}: {text}"));
            }
        }
        Ok(())
    })
}

/// Finds what went wrong: engines say it within a stream that began with 200, old ones and new ones differently.
pub(crate) fn failure(event: &Value) -> Option<String> {
    let detail = event["errorDetail"]["message"].as_str();
    detail
        .or(event["error"].as_str())
        .map(|text| text.trim().to_owned())
}

/// How far a pull is: bytes by layer.
#[derive(Debug, Default)]
pub(crate) struct PullProgress(BTreeMap<String, (u64, u64)>);

impl PullProgress {
    /// The most layers that an image has.
    const MAX_LAYERS: usize = 1_000;

    /// Takes what a pull says.
    pub(crate) fn note(&mut self, event: &Value) {
        let detail = &event["progressDetail"];
        let (Some(layer), Some(total)) = (event["id"].as_str(), detail["total"].as_u64()) else {
            return;
        };
        if event["status"] != "Downloading" || self.0.len() >= Self::MAX_LAYERS {
            return;
        }
        let current = detail["current"].as_u64().unwrap_or_default();
        self.0.insert(layer.to_owned(), (current, total));
    }

    /// How far the pull is, once a size is known.
    pub(crate) fn text(&self) -> Option<String> {
        // An engine may say any number.
        let sum = |part: fn(&(u64, u64)) -> u64| {
            let parts = self.0.values().map(part);
            parts.fold(0, u64::saturating_add)
        };
        let megabytes = |bytes: u64| format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10);
        let (current, total) = (sum(|(current, _)| *current), sum(|(_, total)| *total));
        (total > 0).then(|| format!("{} of {} MB", megabytes(current), megabytes(total)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_the_sum_of_the_layers_and_a_failure_is_found_in_either_place() {
        let mut progress = PullProgress::default();
        assert_eq!(progress.text(), None);
        for (layer, current, total) in [
            ("a", 1, 2_000_000),
            ("b", 500_000, 500_000),
            ("a", 1_250_000, 2_000_000),
        ] {
            progress.note(&json!({
                "id": layer, "status": "Downloading", "progressDetail": { "current": current, "total": total }
            }));
        }
        progress.note(&json!({ "id": "a", "status": "Extracting", "progressDetail": { "current": 1, "total": 9 } }));
        progress.note(&json!({ "status": "Pulling" }));
        assert_eq!(progress.text().as_deref(), Some("1.7 of 2.5 MB"));
        for layer in ["c", "d"] {
            let most = json!({ "current": u64::MAX, "total": u64::MAX });
            progress.note(&json!({ "id": layer, "status": "Downloading", "progressDetail": most }));
        }
        let most = "18446744073709.5";
        assert_eq!(progress.text(), Some(format!("{most} of {most} MB")));
        for event in [
            json!({ "errorDetail": { "message": "no such host\n" } }),
            json!({ "error": "no such host" }),
        ] {
            assert_eq!(failure(&event).as_deref(), Some("no such host"));
        }
        assert_eq!(failure(&json!({ "status": "Pulling" })), None);
    }
}
