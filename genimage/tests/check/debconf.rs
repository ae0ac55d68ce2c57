//! Lines of preseed files, as debconf reads them.

use std::fs;
use std::process::Command;

use genimage::check::installer_file;
use genimage::installer::InstallerKind;
use libtest_mimic::Trial;

use crate::needs::Need;
use crate::trial;

/// What debconf finds no fault with.
const GOOD: &[&str] = &[
    "d-i passwd/make-user boolean false\n",
    "  d-i\tpartman-auto/method\tstring regular\n\n# a comment\n",
    "d-i partman-auto/disk string\n",
    "d-i pkgsel/include string openssh-server \\\n gawk\n",
    "our-own our-own/what text x\n",
    "d-i pkgsel/include string a\r\n",
];

/// What it refuses, or skips with a warning.
const BAD: &[&str] = &[
    "d-i\n",
    "d-i passwd/make-user\n",
    "d-i passwd/make-user bolean false\n",
    "d-i passwd/make-user error x\n",
    "openssh-server\n",
    "d-i pkgsel/include \\\n",
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "debconf_says_the_same_of_every_line",
        &[Need::Tool("debconf-set-selections")],
        || {
            let lines = GOOD.iter().map(|line| (line, true));
            for (line, good) in lines.chain(BAD.iter().map(|line| (line, false))) {
                assert_eq!(debconf(line), good, "debconf: {line:?}");
                let distro = "debian12.9.0".parse().unwrap();
                let findings = installer_file(InstallerKind::Preseed, &distro, "preseed.cfg", line);
                let ours = findings.is_ok();
                assert_eq!(ours, good, "{line:?}: {findings:?}");
            }
        },
    )]
}

/// Whether debconf takes a file without a word.
fn debconf(text: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("preseed.cfg");
    fs::write(&file, text).unwrap();
    // A database of its own: the machine's is locked while anything is installed.
    let database = |name: &str| {
        let path = directory.path().join(name);
        format!("Name: {name}\nDriver: File\nFilename: {}\n", path.display())
    };
    let (answers, templates) = (database("answers"), database("templates"));
    let settings = format!("Config: answers\nTemplates: templates\n\n{answers}\n{templates}");
    let place = directory.path().join("debconf.conf");
    fs::write(&place, settings).unwrap();
    let output = Command::new("debconf-set-selections")
        .arg("--checkonly")
        .arg(&file)
        .env("DEBCONF_SYSTEMRC", place)
        .output()
        .unwrap();
    output.status.success() && output.stderr.is_empty()
}
