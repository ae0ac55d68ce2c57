//! Any text as a file of each installer: never a panic, and every problem
//! is a line of the text.

#![no_main]

use genimage::check::installer_file;
use genimage::installer::InstallerKind;
use libfuzzer_sys::fuzz_target;

/// Releases whose rules differ.
const RELEASES: &[(InstallerKind, &str, &str)] = &[
    (InstallerKind::Preseed, "debian12.9.0", "preseed.cfg"),
    (InstallerKind::Kickstart, "centos7.9", "ks.cfg"),
    (InstallerKind::Kickstart, "fedora43", "ks.cfg"),
    (InstallerKind::Autoinstall, "ubuntu24.04.3", "user-data"),
    (InstallerKind::Autoinstall, "ubuntu24.04.3", "autoinstall.yaml"),
    (InstallerKind::Autoyast, "sle15.7", "autoinst.xml"),
    (InstallerKind::Agama, "sle16.0", "agama.json"),
];

fuzz_target!(|data: (u8, &str)| {
    let (which, text) = data;
    let (installer, distro, name) = RELEASES[usize::from(which) % RELEASES.len()];
    let distro = distro.parse().expect("a release");
    let findings = installer_file(installer, &distro, name, text);
    let lines = text.split(['\n', '\r']).count();
    for finding in findings.problems.iter().chain(&findings.notes) {
        let line = finding.place.as_ref().map_or(0, |place| place.line);
        assert!(line <= lines && !finding.message.is_empty(), "{finding}");
    }
});
