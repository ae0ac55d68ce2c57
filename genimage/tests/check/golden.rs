//! What templates render: all of it is right.

use std::fs;
use std::path::Path;

use genimage::check::{Findings, installer_file};
use genimage::installer::InstallerKind;
use libtest_mimic::Trial;

use crate::needs::workspace;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("nothing_is_said_of_any_golden_file", &[], || {
        let golden = workspace("genimage/tests/golden");
        let mut checked = 0;
        for release in directories(&golden) {
            let osvers = release.file_name().unwrap().to_str().unwrap().to_owned();
            for profile in directories(&release) {
                for file in fs::read_dir(&profile).unwrap() {
                    let path = file.unwrap().path();
                    checked += usize::from(check(&osvers, &path));
                }
            }
        }
        assert!(checked > 40, "{checked} files");
    })]
}

fn directories(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(path).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// Checks one file; returns whether it is an installer's.
fn check(osvers: &str, path: &Path) -> bool {
    let installer = match path.file_name().unwrap().to_str().unwrap() {
        "preseed.cfg" => InstallerKind::Preseed,
        "ks.cfg" => InstallerKind::Kickstart,
        "user-data" | "meta-data" | "vendor-data" => InstallerKind::Autoinstall,
        "autoinst.xml" => InstallerKind::Autoyast,
        "agama.json" => InstallerKind::Agama,
        _ => return false,
    };
    let text = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let findings = installer_file(installer, &osvers.parse().unwrap(), name, &text);
    assert_eq!(findings, Findings::default(), "{}", path.display());
    true
}
