//! What each release and profile is given, as a file that a reviewer reads.

use std::fs;

use crate::Case;
use crate::needs::workspace;
use crate::releases::{Extent, PROFILES, RELEASES, Release, render};

/// Releases that differ from another one's files in their names only; validators look at them.
const ALIKE: [&str; 5] = ["fedora38", "fedora39", "fedora40", "fedora41", "fedora42"];

/// One case for each release and profile.
pub(crate) fn cases() -> Vec<Case> {
    let all = RELEASES
        .iter()
        .filter(|release| !ALIKE.contains(&release.osvers))
        .flat_map(|release| PROFILES.map(|profile| (release, profile)));
    all.map(|(release, profile)| {
        Case::new(format!("{}_{profile}", release.osvers), &[], move || {
            hold(release, profile);
        })
    })
    .collect()
}

fn hold(release: &Release, profile: &str) {
    let context = release.context(profile, Extent::Full);
    let directory = workspace("genimage/tests/golden")
        .join(release.osvers)
        .join(profile);
    for file in render(release, profile, &context) {
        let path = directory.join(file.name);
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&path, &file.text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            file.text == expected,
            "{} is not what is rendered: read the difference after UPDATE=1 cargo test -p genimage --test templates golden",
            path.display()
        );
    }
}
