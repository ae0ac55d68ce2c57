//! What Ubuntu's live installer is given: `user-data`, `vendor-data` and `meta-data`, or a bare
//! `autoinstall.yaml`.
//!
//! The part for subiquity is checked against the rules of its schema, everything else against those of
//! cloud-init, of which a newer release than the table's may know more. Reference: autoinstall reference
//! manual of Ubuntu; cloud-init's module reference and NoCloud data source.

use std::sync::LazyLock;

use super::Findings;
use super::findings::FindingsBuilder;
use super::schema::{Language, Schema, Strictness};
use super::value::{SpannedValue, ValueKind};
use super::yaml;

static AUTOINSTALL: LazyLock<Schema> = LazyLock::new(|| {
    Schema::parse(&[
        include_str!("schema/autoinstall.tsv"),
        include_str!("schema/autoinstall-more.tsv"),
    ])
});

static CLOUD_CONFIG: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(&[include_str!("schema/cloud-config.tsv")]));

/// What tells cloud-init that a file is for it.
const HEADER: &str = "#cloud-config";

/// Checks a whole file, which its name tells the kind of.
pub(super) fn check(name: &str, text: &str) -> Findings {
    let mut findings = FindingsBuilder::of(name);
    let file = name.rsplit('/').next().unwrap_or(name);
    let is_headed = text
        .lines()
        .next()
        .is_some_and(|line| line.trim_end() == HEADER);
    if matches!(file, "user-data" | "vendor-data") && !is_headed && !text.trim().is_empty() {
        let message =
            format!("the first line is not '{HEADER}': without it cloud-init ignores the file");
        findings.problem(1, message);
        return findings.finish();
    }
    match yaml::parse(text) {
        Err(broken) => findings.problem(broken.line, format!("this is not YAML: {}", broken.why)),
        Ok(None) => empty(file, &mut findings),
        Ok(Some(value)) if !matches!(value.kind, ValueKind::Map(_)) => {
            let message = format!(
                "the file contains {} where keys are expected",
                value.kind.name()
            );
            findings.problem(value.line, message);
        }
        Ok(Some(value)) => match file {
            "meta-data" => {}
            _ if is_headed => cloud_config(file, &value, &mut findings),
            _ => {
                let inner = value.entry("autoinstall").map(|entry| &entry.value);
                autoinstall(inner.unwrap_or(&value), &mut findings);
            }
        },
    }
    findings.finish()
}

fn empty(file: &str, findings: &mut FindingsBuilder<'_>) {
    if !matches!(file, "meta-data" | "vendor-data") {
        findings.problem(0, super::EMPTY);
    }
}

fn cloud_config(file: &str, value: &SpannedValue<'_>, findings: &mut FindingsBuilder<'_>) {
    for entry in value.entries() {
        match entry.key.as_ref() {
            "autoinstall" => autoinstall(&entry.value, findings),
            _ => CLOUD_CONFIG.check_entry(entry, Strictness::Newer, findings),
        }
    }
    if file == "user-data" && value.entry("autoinstall").is_none() {
        findings.problem(
            0,
            "there is no key 'autoinstall', so that the installer would ask",
        );
    }
}

fn autoinstall(value: &SpannedValue<'_>, findings: &mut FindingsBuilder<'_>) {
    AUTOINSTALL.check(value, Language::Yaml, Strictness::Exact, findings);
    let storage = value.entry("storage");
    if let Some(inner) = storage.and_then(|storage| storage.value.entry("storage")) {
        let message = "'storage' has 'storage' in it, which the installer passes over: leave that line out, and indent \
                       those below it less";
        findings.problem(inner.line, message);
    }
    if let Some(data) = value.entry("user-data") {
        for entry in data.value.entries() {
            CLOUD_CONFIG.check_entry(entry, Strictness::Newer, findings);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(name: &str, text: &str) -> Vec<String> {
        let findings = check(name, text);
        let notes = findings.notes.iter().map(|note| format!("note: {note}"));
        findings
            .problems
            .iter()
            .map(ToString::to_string)
            .chain(notes)
            .collect()
    }

    const GOOD: &str = "#cloud-config\nautoinstall:\n  version: 1\n  keyboard: {layout: us}\n  storage: {layout: {name: direct}}\n\
        \x20 late-commands:\n    - touch /target/a\n    - [touch, /target/b]\n  user-data:\n    users: [{name: a, lock_passwd: true}]\n";

    #[test]
    fn what_the_installer_takes_is_not_reported() {
        for (name, text) in [
            ("host01/user-data", GOOD),
            (
                "autoinstall.yaml",
                "version: 1\nidentity: {username: a, hostname: b, password: c}\n",
            ),
            ("autoinstall.yaml", "autoinstall:\n  version: 1\n"),
            ("host01/vendor-data", "#cloud-config\n{}\n"),
            ("host01/vendor-data", ""),
            ("host01/meta-data", "instance-id: host01\n"),
            ("host01/meta-data", ""),
        ] {
            assert_eq!(message(name, text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line_and_what_to_do() {
        for (from, to, expected) in [
            (
                "#cloud-config",
                "#cloud",
                "user-data:1: the first line is not '#cloud-config': without it cloud-init ignores the file",
            ),
            (
                "version: 1",
                "version: 2",
                "user-data:3: 'version' does not take '2': write '1'",
            ),
            (
                "{layout: us}",
                "{layou: us, layout: us}",
                "user-data:4: 'keyboard' has no key 'layou': did you mean 'layout'?",
            ),
            (
                "storage",
                "storag",
                "user-data:5: 'the file' has no key 'storag': did you mean 'storage'?",
            ),
            (
                "{layout: {name: direct}}",
                "{storage: {layout: {name: direct}}}",
                "user-data:5: 'storage' has 'storage' in it, which the installer passes over: leave that line out, and \
                 indent those below it less",
            ),
            (
                "- touch /target/a",
                "- 1",
                "user-data:7: 'late-commands[]' takes a list or a text, and this is a whole number: write it in quotation marks",
            ),
            (
                "lock_passwd",
                "lock_paswd",
                "user-data:10: 'users[]' has no key 'lock_paswd': did you mean 'lock_passwd'?",
            ),
            (
                "{name: direct}",
                "{name: direct, name: lvm}",
                "user-data:5: this is not YAML: duplicate key 'name', first in line 5",
            ),
            (
                "autoinstall",
                "autoinstal",
                "user-data: there is no key 'autoinstall', so that the installer would ask",
            ),
        ] {
            let found = message("user-data", &GOOD.replacen(from, to, 1));
            assert!(found.contains(&expected.to_owned()), "{found:?}");
        }
        let text = "#cloud-config\n- a\n";
        assert_eq!(
            message("user-data", text),
            ["user-data:2: the file contains a list where keys are expected"]
        );
        let text = "#cloud-config\n# nothing\n";
        assert_eq!(
            message("user-data", text),
            ["user-data: the file is empty, so that the installer would ask"]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(version|autoinstall|users|name|: |\n|  |- |1|x|\\{|\\}|\\[|\\]|'|#){0,30}") {
            let _ = message("user-data", &format!("#cloud-config\n{text}"));
            let _ = message("autoinstall.yaml", &text);
        }
    }
}
