use super::*;
use crate::check::yaml;

const TABLE: &str = "\tmap\t\t\nversion\tinteger\trequired\t1\nkeyboard\tmap\tclosed\t\nkeyboard/layout\tstring\trequired\t\n\
    users\tlist\t\t\nusers/[]\tmap|string\t\t\nusers/[]/name\tstring\t\t\nusers/[]/groups\tlist\t\t\nusers/[]/groups/[]\tstring\t\t\n\
    kernel\tmap\tone=flavor|package\t\nkernel/flavor\tstring\t\t\nkernel/package\tstring\t\t\nold\tany\tdeprecated\t\n\
    updates\tstring\t\tall|security\nreporting\tmap\t\t\nreporting/*\tmap\t\t\nreporting/*/type\tstring\trequired\t\nfree\tmap\t\t\n";

fn messages(text: &str, strictness: Strictness) -> Vec<String> {
    let mut findings = FindingsBuilder::of("f");
    let shapes = Schema::parse(&[TABLE]);
    let value = yaml::parse(text).unwrap().unwrap();
    shapes.check(&value, Language::Yaml, strictness, &mut findings);
    let findings = findings.finish();
    let notes = findings.notes.iter().map(|note| format!("note: {note}"));
    findings
        .problems
        .iter()
        .map(ToString::to_string)
        .chain(notes)
        .collect()
}

#[test]
fn what_fits_is_not_reported() {
    let text = "version: 1\nkeyboard: {layout: us}\nusers: [root, {name: a, groups: [b]}]\nkernel: {flavor: x}\n\
                updates: all\nreporting: {mine: {type: print}}\nfree: {anything: [1]}\n";
    assert_eq!(messages(text, Strictness::Exact), [""; 0]);
}

#[test]
fn what_does_not_fit_is_reported_with_its_line_and_what_to_do() {
    for (text, expected) in [
        (
            "keyboard: {layou: us, layout: us}",
            "f:2: 'keyboard' has no key 'layou': did you mean 'layout'?",
        ),
        (
            "keyboard: {x: us, layout: us}",
            "f:2: 'keyboard' has no key 'x': remove it",
        ),
        ("keyboard: {}", "f:2: 'keyboard' needs a key 'layout'"),
        (
            "keyboard:\n  layout: 1",
            "f:3: 'keyboard.layout' takes a text, and this is a whole number: write it in quotation marks",
        ),
        (
            "keyboard:",
            "f:2: 'keyboard' takes a map, and this is nothing: write it after the colon, or remove the key",
        ),
        (
            "users: root",
            "f:2: 'users' takes a list, and this is a text: write each item on a line of its own, after '- '",
        ),
        (
            "users: [{groups: [[]]}]",
            "f:2: 'users[].groups[]' takes a text, and this is a list",
        ),
        (
            "users: [1.5]",
            "f:2: 'users[]' takes a map or a text, and this is a number: write it in quotation marks",
        ),
        (
            "kernel: {}",
            "f:2: 'kernel' needs a key 'flavor' or 'package'",
        ),
        (
            "updates: al",
            "f:2: 'updates' does not take 'al': did you mean 'all'?",
        ),
        (
            "updates: x",
            "f:2: 'updates' does not take 'x': write 'all' or 'security'",
        ),
        (
            "reporting: {mine: {}}",
            "f:2: 'reporting.mine' needs a key 'type'",
        ),
        (
            "keybord: {}",
            "f:2: 'the file' has no key 'keybord': did you mean 'keyboard'?",
        ),
        ("old: 1", "note: f:2: 'old' is deprecated"),
        (
            "other: 1",
            "note: f:2: 'the file' is not known to have a key 'other': it is not checked",
        ),
    ] {
        assert_eq!(
            messages(&format!("version: 1\n{text}\n"), Strictness::Exact),
            [expected]
        );
    }
    assert_eq!(
        messages("{}\n", Strictness::Exact),
        ["f:1: 'the file' needs a key 'version'"]
    );
    assert_eq!(
        messages("version: 2\n", Strictness::Exact),
        ["f:1: 'version' does not take '2': write '1'"]
    );
}

#[test]
fn a_newer_program_may_know_more() {
    let text = "version: 1\nkeyboard: {x: us, layout: us}\n";
    let expected = "note: f:2: 'keyboard' is not known to have a key 'x': it is not checked";
    assert_eq!(messages(text, Strictness::Newer), [expected]);
}

#[test]
fn what_an_alias_means_is_not_checked() {
    let text = "version: 1\nfree: &a {layout: 1}\nkeyboard: *a\nkernel: {<<: *a}\n";
    assert_eq!(messages(text, Strictness::Exact), [""; 0]);
}
