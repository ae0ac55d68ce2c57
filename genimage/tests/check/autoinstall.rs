//! What Ubuntu's installer is given, as subiquity's and cloud-init's schemas judge it.

use std::fs;
use std::process::Command;

use genimage::check::{Findings, installer_file};
use genimage::installer::InstallerKind;
use libtest_mimic::Trial;

use crate::needs::{Need, corpus};
use crate::trial;
use crate::verdicts::verdicts;

/// Values of every type, in every place.
const VALUES: &[&str] = &[
    "~",
    "true",
    "1",
    "-1.5",
    "x",
    "'1'",
    "all",
    "[]",
    "[x]",
    "[1]",
    "[[x]]",
    "[[1]]",
    "[{}]",
    "{}",
    "{x: 1}",
    "{install: true}",
    "{install: auto}",
    "{install: x}",
    "{layout: us}",
    "{layout: us, x: 1}",
    "{enabled: ~}",
    "{version: 2}",
    "{version: 3}",
    "{network: {version: 2}}",
    "{id: x}",
    "{package: x}",
    "{flavor: x}",
    "[{name: x}]",
    "[{name: x, x: 1}]",
    "{x: {type: print}}",
    "{x: {}}",
    "{uri: x}",
    "{primary: [{uri: x}]}",
    "{mirror-selection: {primary: [{uri: x}, country-mirror]}}",
    "{mirror-selection: {primary: [x]}}",
    "{disable_components: [universe]}",
    "{disable_components: [main]}",
    "{fallback: abort}",
    "{fallback: x}",
    "{username: a, hostname: b, password: c}",
    "{username: a, hostname: b}",
    "{username: a, hostname: b, password: 1}",
    "{username: a, hostname: b, password: c, groups: [d]}",
    "{username: a, hostname: b, password: c, groups: {append: [d]}}",
];

/// What cloud-init takes, and what it does not.
const CLOUD_GOOD: &[&str] = &[
    "hostname: a\nusers: [root, {name: b, lock_passwd: false, ssh_authorized_keys: [x]}]\n",
    "ntp: {enabled: true, servers: [10.1.0.1]}\nruncmd: [[a, b], c]\n",
    "write_files: [{path: /a, content: b, permissions: '0600'}]\n",
];
const CLOUD_BAD: &[&str] = &[
    "hostname: [a]\n",
    "users: [{name: b, lock_paswd: false}]\n",
    "ntp: {servers: 10.1.0.1}\n",
    "write_files: [{content: b}]\n",
    "write_files: [{path: /a, encoding: rot13}]\n",
    "package_update: maybe\n",
];

pub(crate) fn trials() -> Vec<Trial> {
    let schema = &[Need::Python("python3"), Need::Corpus];
    vec![
        trial(
            "every_example_of_subiquity_is_taken_but_the_invalid_one",
            schema,
            || {
                let examples = corpus().unwrap().join("examples/autoinstall");
                let mut taken = 0;
                for file in fs::read_dir(examples).unwrap() {
                    let path = file.unwrap().path();
                    let text = fs::read_to_string(&path).unwrap();
                    let findings = ours("autoinstall.yaml", &text);
                    let is_good = !path.ends_with("invalid.yaml");
                    assert_eq!(
                        findings.is_ok(),
                        is_good,
                        "{}: {findings:?}",
                        path.display()
                    );
                    taken += usize::from(is_good);
                }
                assert!(taken >= 10, "{taken} examples");
            },
        ),
        trial(
            "subiquitys_schema_says_the_same_of_every_key",
            schema,
            every_key,
        ),
        trial(
            "cloud_init_says_the_same_of_cloud_config",
            &[Need::Tool("cloud-init")],
            || {
                for (text, good) in CLOUD_GOOD
                    .iter()
                    .map(|text| (text, true))
                    .chain(CLOUD_BAD.iter().map(|text| (text, false)))
                {
                    let text = format!("#cloud-config\n{text}");
                    assert_eq!(cloud_init(&text), good, "cloud-init: {text}");
                    assert_eq!(ours("vendor-data", &text).is_ok(), good, "{text}");
                    let inner = text.replace("#cloud-config\n", "").replace('\n', "\n    ");
                    let whole = format!(
                        "#cloud-config\nautoinstall:\n  version: 1\n  user-data:\n    {inner}\n"
                    );
                    assert_eq!(ours("user-data", &whole).is_ok(), good, "{whole}");
                }
            },
        ),
    ]
}

/// Every key of the table with values of every type.
fn every_key() {
    let table = crate::needs::workspace("genimage/src/check/schema/autoinstall.tsv");
    let table = fs::read_to_string(table).unwrap();
    let keys = table.lines().map(|line| line.split('\t').next().unwrap());
    let keys: Vec<_> = keys
        .filter(|key| !key.contains('/') && !key.is_empty())
        .collect();
    let mut documents = vec!["version: 2\n".to_owned(), "locale: x\n".to_owned()];
    for key in keys.iter().filter(|key| **key != "version") {
        documents.extend(
            VALUES
                .iter()
                .map(|value| format!("version: 1\n{key}: {value}\n")),
        );
    }
    let texts: Vec<_> = documents.iter().map(String::as_str).collect();
    let schema = corpus().unwrap().join("autoinstall-schema.json");
    let mut taken = 0;
    for (text, theirs) in texts
        .iter()
        .zip(verdicts("schema-verdicts.py", schema, &texts))
    {
        let findings = ours("autoinstall.yaml", text);
        // The schema knows no `storage`, nor all of `apt`; of `user-data` it says that it is a map; and it
        // has a pattern for tokens, where we take any text.
        let less = ["storage", "apt", "user-data"]
            .iter()
            .any(|key| text.contains(&format!("\n{key}:")));
        let token = text.contains("\nubuntu-");
        match (findings.is_ok(), theirs == "ok") {
            (true, true) => taken += 1,
            (false, false) => {}
            (false, true) => {
                // A key that looks misspelt is no fault to a schema that allows any.
                let mut problems = findings.problems.iter();
                let misspelt = problems.all(|problem| problem.message.contains("did you mean"));
                assert!(less || misspelt, "{text} is taken, but: {findings:?}");
            }
            (true, false) => assert!(token, "{text} is refused: {theirs}"),
        }
    }
    assert!(
        taken > 150 && texts.len() > 1000,
        "{taken} of {} are taken",
        texts.len()
    );
}

fn ours(name: &str, text: &str) -> Findings {
    installer_file(
        InstallerKind::Autoinstall,
        &"ubuntu24.04.3".parse().unwrap(),
        name,
        text,
    )
}

fn cloud_init(text: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config");
    fs::write(&file, text).unwrap();
    let mut command = Command::new("cloud-init");
    let output = command
        .args(["schema", "--config-file"])
        .arg(&file)
        .output()
        .unwrap();
    output.status.success()
}
