//! What an image is: an OCI layout and an archive for `docker load` at once, with the list of what is in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{outcome, same};
use serde_json::Value;

use super::engine::succeeded;
use super::{NAMES, build, image, made, tag};

/// Unpacks a tar.
pub(super) fn unpacked(tar: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    let unpack = outcome(Command::new("tar").arg("-C").arg(into).arg("-xf").arg(tar))?;
    succeeded(unpack).map(drop)
}

pub(super) fn read(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

fn sha256(command: &mut Command) -> Result<String> {
    let sum = succeeded(outcome(command)?)?;
    let sum = sum.split_whitespace().next().context("no sum")?;
    Ok(format!("sha256:{sum}"))
}

/// Expects a descriptor to be true of its blob, and returns the blob's path.
pub(super) fn blob(layout: &Path, descriptor: &Value) -> Result<std::path::PathBuf> {
    let digest = descriptor["digest"].as_str().context("no digest")?;
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    same(
        &sha256(Command::new("sha256sum").arg(&path))?.as_str(),
        &digest,
    )?;
    same(
        &Some(fs::metadata(&path)?.len()),
        &descriptor["size"].as_u64(),
    )?;
    Ok(path)
}

pub(super) fn layout() -> Result<()> {
    for (name, size, components) in [
        (
            "slipway",
            // Of unoptimised programs, which are larger.
            200 << 20,
            &["dnsmasq-base", "openssh-client", "libc6", "tera", "rustls"][..],
        ),
        ("slipwayd", 25 << 20, &["libc6", "rustls"][..]),
    ] {
        let tar = image(name)?;
        ensure!(fs::metadata(&tar)?.len() < size, "{name} is over its size");
        let dir = tempfile::tempdir()?;
        unpacked(&tar, dir.path())?;
        let layout = dir.path();
        same(
            &read(&layout.join("oci-layout"))?["imageLayoutVersion"],
            &"1.0.0".into(),
        )?;
        let index = read(&layout.join("index.json"))?;
        // podman takes the image's name from here.
        let named = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
        same(named, &tag(name).into())?;
        let manifest = read(&blob(layout, &index["manifests"][0])?)?;
        let config = read(&blob(layout, &manifest["config"])?)?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        let mut paths = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            let path = blob(layout, layer)?;
            let script = "gzip -dc \"$0\" | sha256sum";
            let id = sha256(Command::new("sh").args(["-c", script]).arg(&path))?;
            same(&config["rootfs"]["diff_ids"][at], &id.into())?;
            paths.push(format!(
                "blobs/{}",
                path.strip_prefix(layout.join("blobs"))?.display()
            ));
        }
        // Every blob is one that the layout names.
        let blobs = layout.join("blobs/sha256").read_dir()?.count();
        same(&blobs, &(layers.len() + 2))?;
        let archive = read(&layout.join("manifest.json"))?;
        same(&archive[0]["RepoTags"][0], &tag(name).into())?;
        same(&archive[0]["Layers"], &paths.into())?;
        let labels = &config["config"]["Labels"];
        same(
            &labels["org.opencontainers.image.version"],
            &env!("CARGO_PKG_VERSION").into(),
        )?;
        same(
            &labels["org.opencontainers.image.licenses"],
            &"Apache-2.0".into(),
        )?;
        same(&config["created"], &"2023-11-14T22:13:20Z".into())?;
        let bill = read(&made()?.join(format!("{name}-image.cdx.json")))?;
        let listed = bill["components"].as_array().context("no components")?;
        let listed: BTreeSet<_> = listed
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        for component in components {
            ensure!(listed.contains(component), "{name} lists no {component}");
        }
    }
    Ok(())
}

pub(super) fn reproducible() -> Result<()> {
    let made = made()?;
    let again = tempfile::tempdir()?;
    // Another place, another time, other modes.
    let root = again.path().join("elsewhere");
    let copy = outcome(
        Command::new("cp")
            .arg("-r")
            .arg(made.join("root"))
            .arg(&root),
    )?;
    succeeded(copy)?;
    build(&root, &again.path().join("out"), NAMES)?;
    for name in NAMES {
        for ending in ["tar", "cdx.json"] {
            let file = format!("{name}-image.{ending}");
            ensure!(
                fs::read(made.join(&file))? == fs::read(again.path().join("out").join(&file))?,
                "two {file} differ"
            );
        }
    }
    Ok(())
}
