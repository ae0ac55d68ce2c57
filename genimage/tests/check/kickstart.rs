//! Kickstart files, as pykickstart judges them for each release.

use std::collections::BTreeSet;

use genimage::check::{Findings, installer_file};
use genimage::installer::InstallerKind;
use libtest_mimic::Trial;

use crate::needs::{Need, workspace};
use crate::trial;
use crate::verdicts::verdicts;

/// The releases that are tried, as we name them and as pykickstart does.
const RELEASES: &[(&str, &str)] = &[
    ("centos7.9", "RHEL7"),
    ("rocky8.10", "RHEL8"),
    ("rocky9.4", "RHEL9"),
    ("rocky10.0", "RHEL10"),
    ("fedora40", "F40"),
    ("fedora43", "F43"),
];

/// Commands of which pykickstart knows more than our table: values that exclude each other, names that
/// must have been said before. What it refuses there may be right here; never the other way round.
const DEEPER: &[&str] = &[
    "%certificate",
    "btrfs",
    "clearpart",
    "dmraid",
    "driverdisk",
    "firewall",
    "iscsi",
    "logvol",
    "mount",
    "multipath",
    "network",
    "nvdimm",
    "ostreesetup",
    "raid",
    "realm",
    "repo",
    "snapshot",
    "sshpw",
    "timesource",
    "volgroup",
    "zfcp",
];

/// What it knows more of commands that are otherwise told apart to the last option.
const DEEPER_WORDS: &[&str] = &["--resize can only be used", "HW-OPAL"];

/// Whole files: what is right for all releases, and what is wrong for all.
const GOOD: &[&str] = &[
    "text\nlang en_US.UTF-8 # a comment\nrootpw --iscrypted \"$6$a#b\"\nreboot\n",
    "%packages\n@core --nodefaults\n-iwl*\n@^minimal\nbash # a\n%end\n",
    "%pre --interpreter=/bin/bash\n%no-section '\n%end\n%post --nochroot\n%end\n",
    "%include /tmp/part\n%addon com_redhat_kdump --disable\nanything '\n%end\n",
    "part / --siz 1 --fstype xfs\n",
];
const BAD: &[&str] = &[
    "lang 'en_US\n",
    "lang en_US \\\n",
    "nothing\n",
    "%end\n",
    "%nothing\n%end\n",
    "%packages\nbash\n",
    "%post\n%pre\n%end\n",
    "%include\n",
    "%post\n%include\n%end\n",
    "%packages --nothing\n%end\n",
    "autopart\npart / --size=1\n",
    "part / --size=1\nautopart\n",
    "part / --fs=1\n",
];

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[Need::Python("ksvalidator")];
    let files = trial("pykickstart_says_the_same_of_whole_files", needs, || {
        for (distro, release) in RELEASES {
            assert_eq!(theirs(release, GOOD), vec!["ok"; GOOD.len()], "{release}");
            let bad = theirs(release, BAD);
            for (file, verdict) in BAD.iter().zip(&bad) {
                assert_ne!(verdict, "ok", "{release}: {file:?}");
                assert!(!ours(distro, file).is_ok(), "{release}: {file:?}");
            }
            for file in GOOD {
                assert_eq!(
                    ours(distro, file),
                    Findings::default(),
                    "{release}: {file:?}"
                );
            }
        }
    });
    let each = RELEASES.iter().map(|(distro, release)| {
        let name = format!("pykickstart_says_the_same_of_every_option_of_{release}");
        trial(name, needs, || every_option(distro, release))
    });
    [files].into_iter().chain(each).collect()
}

/// Every command of the table with every option of it, said in several ways.
fn every_option(distro: &str, release: &str) {
    let lines = lines();
    assert!(lines.len() > 2000, "{} lines", lines.len());
    let files: Vec<_> = lines.iter().map(String::as_str).collect();
    let (mut taken, mut refused) = (0, BTreeSet::new());
    for (line, theirs) in lines.iter().zip(theirs(release, &files)) {
        let findings = ours(distro, line);
        match (findings.is_ok(), theirs == "ok") {
            (true, true) => taken += 1,
            (false, false) => {}
            (false, true) => {
                let problem = &findings.problems[0];
                refused.insert(format!("{line}taken, but we say: {problem}"));
            }
            (true, false) => {
                let command = line.split_whitespace().next().unwrap();
                let deeper = DEEPER_WORDS.iter().any(|words| theirs.contains(words));
                if !deeper && !DEEPER.contains(&command) {
                    refused.insert(format!("{line}{theirs}"));
                }
            }
        }
    }
    assert_eq!(refused, BTreeSet::new(), "{release}");
    assert!(taken > 300, "{release} takes {taken} lines");
}

fn lines() -> Vec<String> {
    let table = std::fs::read_to_string(workspace("genimage/src/check/kickstart/table.tsv"));
    let mut lines = BTreeSet::new();
    for row in table.unwrap().lines() {
        let fields: Vec<_> = row.split('\t').collect();
        let (name, option) = (fields[0], fields[1]);
        let end = if name.starts_with('%') { "\n%end" } else { "" };
        let mut add = |words: String| lines.insert(format!("{name}{words}{end}\n"));
        for words in ["", " x", " /x raid.1 raid.2"] {
            if option.is_empty() {
                add(words.to_owned());
                continue;
            }
            add(format!("{words} {option}"));
            for value in ["x", "1", "on", "http://x"] {
                add(format!("{words} {option}={value}"));
            }
            add(format!(" {option} 1{words}"));
        }
    }
    lines.into_iter().collect()
}

fn ours(distro: &str, text: &str) -> Findings {
    installer_file(
        InstallerKind::Kickstart,
        &distro.parse().unwrap(),
        "ks.cfg",
        text,
    )
}

/// What pykickstart says of each file: `ok`, or what is wrong.
fn theirs(release: &str, files: &[&str]) -> Vec<String> {
    verdicts("kickstart-verdicts.py", release, files)
}
