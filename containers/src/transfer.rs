//! Images on their way: to a registry, out of a container, from a file or from another host.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use definitions::ImageReference;
use serde_json::json;

use crate::cluster::EngineHost;
use crate::engine::{Call, EngineApi, EngineRefusal};
use crate::images::failure;
use crate::registries::Registries;

/// How much longer than other answers a registry or a disk may keep silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// How many bytes a second an archive is sent with at least.
const MIN_RATE: u64 = 500_000;
/// How many pieces of an archive wait between two hosts.
const MAX_WAITING: usize = 8;

/// An archive of images, as `docker save` writes it, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) enum Archive {
    /// A file of this machine.
    File(PathBuf),
    /// An image that a docker host has, which is never written here.
    Image {
        image: ImageReference,
        from: EngineHost,
    },
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Image { image, from } => write!(f, "{image} of {}", from.name),
        }
    }
}

impl Archive {
    /// Says about how long it is.
    ///
    /// # Errors
    /// When the host that it comes from does not have it.
    fn size(&self) -> Result<u64> {
        match self {
            Self::File(path) => Ok(std::fs::metadata(path).map_or(0, |found| found.len())),
            Self::Image { image, from } => {
                let mut engine = EngineApi::connect(&from.endpoint)
                    .with_context(|| format!("asking {}", from.name))?;
                let found = engine
                    .ask(&Call::get(format!("/images/{image}/json")))?
                    .succeeded();
                let found = found.with_context(|| format!("asking {} for the image", from.name))?;
                Ok(found["Size"].as_u64().unwrap_or_default())
            }
        }
    }

    /// Opens it.
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        match self {
            Self::File(path) => {
                let file =
                    File::open(path).with_context(|| format!("reading {}", path.display()))?;
                Ok(Box::new(file))
            }
            Self::Image { image, from } => Ok(Box::new(ImageReader::open(image, from))),
        }
    }
}

/// The archive of an image, as another host sends it.
struct ImageReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    read: usize,
}

impl ImageReader {
    fn open(image: &ImageReference, from: &EngineHost) -> Self {
        let (sender, pieces) = sync_channel(MAX_WAITING);
        let (endpoint, name) = (from.endpoint.clone(), from.name.clone());
        let call = Call::get(format!("/images/{image}/get")).with_more_time(IDLE_TIMEOUT);
        thread::spawn(move || {
            let sent = EngineApi::connect(&endpoint).and_then(|mut engine| {
                engine.bytes(&call, &mut |piece| {
                    let gone = |_| anyhow!("nobody reads it any more");
                    sender.send(Ok(piece.to_vec())).map_err(gone)
                })
            });
            if let Err(error) = sent {
                // Whoever has gone needs no reason.
                let _ = sender.send(Err(io::Error::other(format!(
                    "reading it from {name}: {error:#}"
                ))));
            }
        });
        Self {
            pieces,
            piece: Vec::new(),
            read: 0,
        }
    }
}

impl Read for ImageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            let Ok(piece) = self.pieces.recv() else {
                return Ok(0);
            };
            (self.piece, self.read) = (piece?, 0);
        }
        let length = buffer.len().min(self.piece.len() - self.read);
        buffer[..length].copy_from_slice(&self.piece[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Sends an archive to a host; the engine tells what was in it, which is returned: names, or identities without one.
///
/// # Errors
/// When it cannot be read, or the engine does not take it.
pub(crate) fn load(
    engine: &mut EngineApi,
    archive: &Archive,
    say: &dyn Fn(String),
) -> Result<Vec<String>> {
    let loading = || format!("loading {archive}");
    // The engine answers when it has all of it.
    let sending = Duration::from_secs(archive.size().with_context(loading)? / MIN_RATE);
    let opened = archive.clone();
    let call = Call::post("/images/load")
        .query("quiet", "1")
        .upload(move || opened.open())
        .with_more_time(IDLE_TIMEOUT + sending);
    let mut names = Vec::new();
    let loaded = engine.stream(&call, &mut |event| {
        if let Some(reason) = failure(&event) {
            bail!(reason);
        }
        if let Some(text) = event["stream"].as_str() {
            let text = text.trim();
            let name = ["Loaded image: ", "Loaded image ID: "]
                .iter()
                .find_map(|before| text.strip_prefix(before));
            names.extend(name.map(str::to_owned));
            say(text.to_owned());
        }
        Ok(())
    });
    loaded.with_context(loading)?;
    Ok(names)
}

/// Has an engine send an image to its registry; returns the digest by which it is known there.
///
/// # Errors
/// When either refuses it.
pub(crate) fn push(
    engine: &mut EngineApi,
    image: &ImageReference,
    registries: &Registries,
    say: &dyn Fn(String),
) -> Result<Option<String>> {
    let Some(tag) = image.tag().filter(|_| image.digest().is_none()) else {
        bail!("an image is pushed under a tag, and {image} has a digest")
    };
    let call = Call::post(format!("/images/{}/push", image.repository()))
        .query("tag", tag)
        .registry_auth(registries.auth(image))
        .with_more_time(IDLE_TIMEOUT);
    say(format!("Push image {image} start"));
    let mut digest = None;
    let pushed = engine.stream(&call, &mut |event| {
        if let Some(reason) = failure(&event) {
            bail!(reason);
        }
        if let Some(told) = event["aux"]["Digest"].as_str() {
            digest = Some(format!("{}@{told}", image.repository()));
        }
        Ok(())
    });
    pushed.with_context(|| format!("pushing the image {image}"))?;
    say(format!("Push image {image} done"));
    Ok(digest)
}

/// Makes an image of a container, which is paused meanwhile; pushed too where registries are given. Returns the
/// identity of the image, and the digest by which a registry knows it.
///
/// # Errors
/// When the engine does not make it, or either does not take it.
pub(crate) fn commit(
    engine: &mut EngineApi,
    container: &str,
    image: &ImageReference,
    registries: Option<&Registries>,
    say: &dyn Fn(String),
) -> Result<(String, Option<String>)> {
    let Some(tag) = image.tag().filter(|_| image.digest().is_none()) else {
        bail!("a container becomes an image with a tag, and {image} has a digest")
    };
    let making = || format!("making {image} of {container}");
    let found = engine.inspect(container)?.succeeded();
    let found = found.with_context(making)?;
    let id = found["Id"].as_str().context("the engine names no ID")?;
    let call = Call::post("/commit")
        .query("container", id)
        .query("repo", image.repository())
        .query("tag", tag)
        .body(json!({}))
        .with_more_time(IDLE_TIMEOUT);
    let made: Result<_, EngineRefusal> = engine.ask(&call)?.succeeded();
    let made = made.with_context(making)?;
    let id = made["Id"].as_str().unwrap_or_default().to_owned();
    let digest = match registries {
        Some(registries) => push(engine, image, registries, say)?,
        None => None,
    };
    Ok((id, digest))
}
