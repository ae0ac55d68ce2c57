//! Other people's checkers, over everything that is rendered.

use std::io::Write;
use std::process::{Command, Stdio};

use genimage::installer::Installer;

use crate::Case;
use crate::needs::Need;
use crate::releases::{Extent, PROFILES, RELEASES, Release, Rendered, render};

/// A case for each validator.
pub(crate) fn cases() -> Vec<Case> {
    vec![Case::new(
        "debconf_takes_every_preseed_file",
        &[Need::Tool("debconf-set-selections")],
        || {
            each(Installer::Preseed, |what, file| {
                if file.name == "preseed.cfg" {
                    fed(what, &["debconf-set-selections", "--checkonly"], &file.text);
                }
            });
        },
    )]
}

/// Renders each release of an installer, each profile, with much and with little, and looks at each file.
fn each(installer: Installer, mut look: impl FnMut(&str, &Rendered)) {
    let releases = RELEASES.iter().filter(|one| one.installer == installer);
    for release in releases {
        for profile in PROFILES {
            for extent in [Extent::Full, Extent::Minimal] {
                look_at(release, profile, extent, &mut look);
            }
        }
    }
}

fn look_at(
    release: &Release,
    profile: &str,
    extent: Extent,
    look: &mut impl FnMut(&str, &Rendered),
) {
    let context = release.context(profile, extent);
    for file in render(release, profile, &context) {
        look(
            &format!("{} {profile} {extent:?} {}", release.osvers, file.name),
            &file,
        );
    }
}

/// Feeds a file to a validator, which must take it and say nothing.
fn fed(what: &str, command: &[&str], text: &str) {
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.is_empty(),
        "{what}: {said}\n{text}"
    );
}
