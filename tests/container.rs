//! The management node in a container: the images, and what comes of them on a machine with Docker and nothing else.

mod architectures;
mod archive;
mod compose;
mod engine;
mod faults;
mod machine;
mod plain;
mod root_image;
mod settings;
mod story;
mod takeover;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{MadeOnce, Need, outcome, static_programs, trial, workspace};
use libtest_mimic::Trial;

use crate::dist;

/// The images that every test of them has.
const NAMES: &[&str] = &["slipway", "slipwayd"];
const BUILD: Need = Need::Tools(&[
    "make",
    "mmdebstrap",
    "dpkg-query",
    "jq",
    "python3",
    "strip",
    "tar",
]);

pub(crate) fn trials() -> Vec<Trial> {
    let build = &[BUILD, Need::Root];
    let engine = &[BUILD, Need::Root, Need::Tools(engine::TOOLS), Need::MEDIA];
    let faults = &[
        BUILD,
        Need::Root,
        Need::Tools(engine::TOOLS),
        Need::Tools(architectures::tools()),
        Need::MEDIA,
        Need::DebianRoot,
    ];
    let machine = &[
        BUILD,
        Need::Machines,
        Need::RootImage,
        Need::Tools(engine::TOOLS),
        Need::Tools(&["mkfs.ext4", "mksquashfs"]),
    ];
    vec![
        trial(
            "container::an_image_is_a_layout_and_an_archive_and_says_what_is_in_it",
            build,
            archive::layout,
        ),
        trial(
            "container::the_same_input_makes_the_same_images",
            build,
            archive::reproducible,
        ),
        trial(
            "container::an_image_of_another_architecture_has_programs_of_it_alone",
            &[BUILD, Need::Root, Need::Tools(architectures::tools())],
            architectures::foreign,
        ),
        trial(
            "container::compose_and_quadlet_say_the_same",
            &[],
            settings::agree,
        ),
        trial(
            "container::podman_makes_units_of_the_quadlet_files",
            &[Need::Root, Need::Podman],
            settings::generated,
        ),
        trial(
            "container::compose_brings_up_a_management_node_that_keeps_what_it_has",
            engine,
            story::story,
        ),
        trial(
            "container::a_machine_behind_the_bridge_boots_enrols_and_is_a_docker_host",
            machine,
            machine::story,
        ),
        trial(
            "container::a_volume_that_cannot_be_used_is_named_and_that_of_a_plain_installation_can",
            faults,
            faults::story,
        ),
    ]
}

/// Makes the images of this test run's binaries, without what helps to debug them, and of the programs for hosts; returns
/// their directory.
fn made() -> Result<PathBuf> {
    static MADE: MadeOnce = MadeOnce::new("images");
    MADE.get(|dir| {
        static_programs()?;
        let root = dist::stripped(&dir.join("root"))?;
        let shipped = root.join("usr/share/slipway/postscripts");
        fs::remove_dir_all(&shipped)?;
        let mut copy = Command::new("cp");
        copy.arg("--archive")
            .arg(workspace().join("target/postscripts"));
        let ended = outcome(copy.arg(&shipped))?;
        ensure!(ended.code == Some(0), "copying programs: {ended:?}");
        build(&root, dir, NAMES)
    })
}

fn build(root: &Path, out: &Path, names: &[&str]) -> Result<()> {
    let ended = outcome(building(root, out).args(names)).context("building the images")?;
    ensure!(ended.code == Some(0), "building the images: {ended:?}");
    Ok(())
}

/// What builds images.
fn building(root: &Path, out: &Path) -> Command {
    let mut command = Command::new(workspace().join("packaging/image/build"));
    command
        .args([root, out])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env("REVISION", "0000000000000000000000000000000000000000")
        .env("COMPRESSION", "1");
    command
}

/// Returns an image.
fn image(name: &str) -> Result<PathBuf> {
    Ok(made()?.join(format!("{name}-image.tar")))
}

/// The tag of an image.
fn tag(name: &str) -> String {
    format!("{name}:{}", env!("CARGO_PKG_VERSION"))
}
