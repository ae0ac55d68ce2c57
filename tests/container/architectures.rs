//! Images of another architecture than this machine's, and of several in one layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{MadeOnce, outcome, same, workspace};
use serde_json::{Value, json};

use super::archive::{blob, read, unpacked};
use super::engine::succeeded;
use super::{building, image, tag};

/// An architecture as the kernel, Docker and ELF headers name it.
struct Architecture {
    machine: &'static str,
    platform: &'static str,
    elf: [u8; 2],
}

const ARCHITECTURES: [Architecture; 2] = [
    Architecture {
        machine: "x86_64",
        platform: "amd64",
        elf: [62, 0],
    },
    Architecture {
        machine: "aarch64",
        platform: "arm64",
        elf: [183, 0],
    },
];

/// This machine's, and the other.
fn both() -> (&'static Architecture, &'static Architecture) {
    let [first, second] = &ARCHITECTURES;
    if first.machine == std::env::consts::ARCH {
        (first, second)
    } else {
        (second, first)
    }
}

/// What makes and runs programs of the other architecture.
pub(super) fn tools() -> &'static [&'static str] {
    if both().1.platform == "arm64" {
        &["aarch64-linux-gnu-gcc", "qemu-aarch64-static"]
    } else {
        &["x86_64-linux-gnu-gcc", "qemu-x86_64-static"]
    }
}

/// Writes stand-ins for the programs of the image `slipwayd`, which say what they are called.
fn programs(compiler: &str, root: &Path) -> Result<()> {
    let bin = root.join("usr/bin");
    fs::create_dir_all(&bin)?;
    let source = root.join("program.c");
    fs::write(
        &source,
        "#include <stdio.h>\nint main(int n, char **words) { puts(words[n - 1]); }\n",
    )?;
    for name in ["nodestat", "slipwayd"] {
        let mut made = Command::new(compiler);
        made.arg("-o").arg(bin.join(name)).arg(&source);
        succeeded(outcome(&mut made)?)?;
    }
    Ok(())
}

/// Makes the image `slipwayd` of the other architecture; returns it and its platform.
pub(super) fn foreign_image() -> Result<(PathBuf, &'static str)> {
    static MADE: MadeOnce = MadeOnce::new("foreign-images");
    let other = both().1;
    let made = MADE.get(|dir| {
        let root = dir.join("root");
        programs(&compiler(other), &root)?;
        succeeded(outcome(building(&root, dir).arg("slipwayd"))?).map(drop)
    })?;
    Ok((made.join("slipwayd-image.tar"), other.platform))
}

fn compiler(of: &Architecture) -> String {
    format!("{}-linux-gnu-gcc", of.machine)
}

pub(super) fn foreign() -> Result<()> {
    let (here, other) = both();
    let (made, _) = foreign_image()?;
    let dir = tempfile::tempdir()?;
    let layout = dir.path().join("layout");
    unpacked(&made, &layout)?;
    let index = read(&layout.join("index.json"))?;
    let platform = json!({ "os": "linux", "architecture": other.platform });
    same(&index["manifests"][0]["platform"], &platform)?;
    let manifest = read(&blob(&layout, &index["manifests"][0])?)?;
    let config = read(&blob(&layout, &manifest["config"])?)?;
    same(&config["architecture"], &other.platform.into())?;

    let tree = dir.path().join("tree");
    for layer in manifest["layers"].as_array().context("no layers")? {
        unpacked(&blob(&layout, layer)?, &tree)?;
    }
    let found = programs_below(&tree)?;
    ensure!(found.len() > 10, "few programs: {found:?}");
    for (path, header) in &found {
        same(&&header[18..20], &&other.elf[..]).with_context(|| path.display().to_string())?;
    }
    // What is linked finds its loader and its libraries in the image.
    let mut run = Command::new(format!("qemu-{}-static", other.machine));
    run.arg("-L").arg(&tree).arg(tree.join("usr/bin/slipwayd"));
    same(
        &succeeded(outcome(run.arg("--version"))?)?.as_str(),
        &"--version\n",
    )?;
    joined(&made, here, other)?;

    let root = dir.path().join("mixed");
    programs(&compiler(other), &root)?;
    fs::copy(std::env::current_exe()?, root.join("usr/bin/slipwayd"))?;
    let mixed = outcome(&mut building(&root, dir.path()))?;
    let refused = format!(
        "image: {} has programs of {}, and slipwayd is of {}\n",
        root.canonicalize()?.display(),
        other.platform,
        here.platform
    );
    same(
        &(mixed.code, mixed.stderr.as_str()),
        &(Some(1), refused.as_str()),
    )
}

/// The files of a tree that the kernel would run or link, with the beginning of each.
fn programs_below(tree: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut directories = vec![tree.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in directory.read_dir()? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                let content = fs::read(entry.path())?;
                if content.starts_with(b"\x7fELF") {
                    found.push((entry.path(), content));
                }
            }
        }
    }
    Ok(found)
}

/// Both images in one layout: a name, and for each architecture its own image.
fn joined(made: &Path, here: &Architecture, other: &Architecture) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("slipwayd.tar");
    let native = image("slipwayd")?;
    let join = |images: [&Path; 2]| {
        let mut join = Command::new(workspace().join("packaging/image/join"));
        outcome(join.arg(&out).args(images))
    };
    let twice = join([made, made])?;
    same(
        &(twice.code, twice.stderr.as_str()),
        &(Some(1), "join: two images are of one architecture\n"),
    )?;
    ensure!(!out.exists(), "it wrote {}", out.display());
    succeeded(join([&native, made])?)?;
    let layout = dir.path().join("layout");
    unpacked(&out, &layout)?;
    let index = read(&layout.join("index.json"))?;
    let name = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
    same(name, &tag("slipwayd").into())?;
    let images = read(&blob(&layout, &index["manifests"][0])?)?;
    let images = images["manifests"].as_array().context("no images")?;
    let mut platforms = Vec::new();
    for image in images {
        let manifest = read(&blob(&layout, image)?)?;
        let config = read(&blob(&layout, &manifest["config"])?)?;
        for layer in manifest["layers"].as_array().context("no layers")? {
            blob(&layout, layer)?;
        }
        same(&image["platform"]["architecture"], &config["architecture"])?;
        platforms.push(config["architecture"].clone());
    }
    let expected = [here.platform, other.platform].map(Value::from);
    same(&platforms, &expected.to_vec())?;
    let archive = layout.join("manifest.json");
    ensure!(
        !archive.exists(),
        "docker would load one image over the other"
    );
    Ok(())
}
