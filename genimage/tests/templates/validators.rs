//! Other people's checkers, over everything that is rendered: with much known of a node and with little.

use std::fs;
use std::path::Path;
use std::process::Command;

use genimage::installer::InstallerKind;

use crate::Case;
use crate::needs::{Need, corpus, python, workspace};
use crate::releases::{Extent, PROFILES, RELEASES, Release, render};

/// A case for each validator, or for each version of it.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new(
        "debconf_takes_every_preseed_file",
        &[Need::Tool("debconf-set-selections")],
        || {
            each(InstallerKind::Preseed, "preseed.cfg", |what, file, _| {
                // A database of its own: the machine's is locked while anything is installed.
                let place = file.with_file_name("debconf.conf");
                let database = |name: &str| {
                    let path = file.with_file_name(name);
                    format!("Name: {name}\nDriver: File\nFilename: {}\n", path.display())
                };
                let (answers, templates) = (database("answers"), database("templates"));
                let head = "Config: answers\nTemplates: templates";
                fs::write(&place, format!("{head}\n\n{answers}\n{templates}")).unwrap();
                silent(
                    what,
                    Command::new("debconf-set-selections")
                        .arg("--checkonly")
                        .arg(file)
                        .env("DEBCONF_SYSTEMRC", place),
                );
            });
        },
    )];
    cases.push(Case::new(
        "subiquity_takes_every_autoinstall_file_and_cloud_init_what_is_in_it",
        &[
            Need::Python("python3"),
            Need::Corpus,
            Need::Tool("cloud-init"),
        ],
        || {
            each(InstallerKind::Autoinstall, "user-data", |what, file, _| {
                let inner = file.with_file_name("inner");
                silent(what, autoinstall(file).arg(&inner));
                cloud_init(what, file);
                cloud_init(&format!("{what}, user-data"), &inner);
            });
            let first = RELEASES
                .iter()
                .find(|one| one.installer == InstallerKind::Autoinstall);
            of(first.unwrap(), "vendor-data", cloud_init); // it says the same of every release
        },
    ));
    cases.push(Case::new(
        "subiquity_refuses_what_is_known_to_be_wrong",
        &[Need::Python("python3"), Need::Corpus],
        || {
            let wrong = corpus().unwrap().join("examples/autoinstall/invalid.yaml");
            let output = autoinstall(&wrong).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(!output.stdout.is_empty(), "{output:?}");
        },
    ));
    cases.push(Case::new(
        "xmllint_takes_every_autoyast_file",
        &[Need::Tool("xmllint")],
        || {
            each(InstallerKind::Autoyast, "autoinst.xml", |what, file, _| {
                silent(
                    what,
                    Command::new("xmllint")
                        .args(["--noout", "--nonet"])
                        .arg(file),
                );
            });
        },
    ));
    cases.push(Case::new(
        "python_reads_every_agama_file",
        &[Need::Tool("python3")],
        || {
            each(InstallerKind::Agama, "agama.json", |what, file, _| {
                let mut command = Command::new("python3");
                silent(
                    what,
                    command.args(["-m", "json.tool"]).arg(file).arg("/dev/null"),
                );
            });
        },
    ));
    let kickstarts = RELEASES
        .iter()
        .filter(|one| one.installer == InstallerKind::Kickstart);
    cases.extend(kickstarts.map(|release| {
        let syntax = kickstart_syntax(release);
        let name = format!("pykickstart_takes_{}_as_{syntax}", release.osvers);
        Case::new(name, &[Need::Python("ksvalidator")], move || {
            of(release, "ks.cfg", |what, file| {
                let mut command = Command::new(python("ksvalidator"));
                silent(what, command.args(["--version", &syntax]).arg(file));
            });
        })
    }));
    cases
}

/// Holds a file against subiquity's schema.
fn autoinstall(file: &Path) -> Command {
    let mut command = Command::new(python("python3"));
    command
        .arg(workspace("genimage/tests/templates/autoinstall.py"))
        .arg(corpus().unwrap().join("autoinstall-schema.json"))
        .arg(file);
    command
}

/// Holds a file against cloud-init's schema.
fn cloud_init(what: &str, file: &Path) {
    let mut command = Command::new("cloud-init");
    let output = command
        .args(["schema", "--config-file"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = format!("Valid cloud-config: {}\n", file.display());
    assert!(
        output.status.success() && said.ends_with(&expected) && !said.contains("deprecat"),
        "{what}: {output:?}"
    );
}

/// Returns pykickstart's word for a release: `RHEL9`, `F43`.
fn kickstart_syntax(release: &Release) -> String {
    let version = release.osvers.trim_start_matches(char::is_alphabetic);
    let major = version.split('.').next().unwrap();
    let family = if release.directory == "fedora" {
        "F"
    } else {
        "RHEL"
    };
    format!("{family}{major}")
}

/// Renders each release of an installer, each profile, with much and with little, and looks at one file.
fn each(installer: InstallerKind, name: &str, mut look: impl FnMut(&str, &Path, &Release)) {
    let releases = RELEASES.iter().filter(|one| one.installer == installer);
    for release in releases {
        of(release, name, |what, file| look(what, file, release));
    }
}

/// Renders a release, each profile, with much and with little, and looks at one file.
pub(crate) fn of(release: &Release, name: &str, mut look: impl FnMut(&str, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    for profile in PROFILES {
        for extent in [Extent::Full, Extent::Minimal] {
            let context = release.context(profile, extent);
            let files = render(release, profile, &context);
            let file = files.iter().find(|file| file.name == name).unwrap();
            let path = directory.path().join(name);
            fs::write(&path, &file.text).unwrap();
            look(
                &format!("{} {profile} {extent:?} {name}", release.osvers),
                &path,
            );
        }
    }
}

/// Runs a validator, which must take the file and say nothing, not even a warning.
pub(crate) fn silent(what: &str, command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // ksvalidator tells the name of what it reads, always.
    let lines = said
        .lines()
        .filter(|line| !line.starts_with("Checking kickstart file"));
    let said: String = lines.filter(|line| !line.is_empty()).collect();
    assert!(
        output.status.success() && said.is_empty(),
        "{what}: {} and said: {said}",
        output.status
    );
}
