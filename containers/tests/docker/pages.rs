//! What the pages say of containers: the tests that they name, and the commands that they show with what these print.

use std::path::Path;
use std::sync::OnceLock;

use crate::Case;
use crate::lab::text;
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[("tests_that_the_pages_name_exist", named_tests)];
pub(crate) const TYPED: &[Case] = &[("the_commands_of_the_readme_print_what_it_shows", typed)];

/// The names of all cases of this run.
pub(crate) static NAMES: OnceLock<Vec<String>> = OnceLock::new();
/// The variable that makes this program `mkdef`, which is a command of another room.
pub(crate) const MKDEF: &str = "CONTAINERS_TEST_MKDEF";

const README: &str = include_str!("../../../README.md");
const PAGE: &str = include_str!("../../../docs/containers.md");

fn named_tests() {
    let table = PAGE
        .split("## What holds, and the test that shows it")
        .nth(1)
        .unwrap();
    let names = NAMES.get().unwrap();
    let mut count = 0;
    for line in table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
    {
        let name = line.rsplit('`').nth(1).unwrap();
        // What a machine lacks is behind the name.
        let exists = names
            .iter()
            .any(|found| found.split(' ').next() == Some(name));
        assert!(exists, "{name}");
        count += 1;
    }
    assert!(count >= 50, "{table}");
}

/// Types the commands of the README's part on containers, and compares what they print; `…` is what differs each time.
fn typed() {
    let part = README.split("## Containers\n").nth(1).unwrap();
    let block = part.split("```\n").nth(1).unwrap();
    let block = block.replace("\\\n    ", "");
    let site = Site::new("");
    let mut shown = block.lines().peekable();
    let mut count = 0;
    while let Some(line) = shown.next() {
        let line = line.strip_prefix("$ ").unwrap();
        let mut expected = Vec::new();
        while let Some(next) = shown.next_if(|next| !next.starts_with("$ ")) {
            expected.push(next);
        }
        let printed = run(&site, line);
        let printed: Vec<_> = printed.lines().collect();
        assert_eq!(printed.len(), expected.len(), "{line}\n{printed:#?}");
        for (printed, expected) in printed.iter().zip(expected) {
            assert!(fits(printed, expected), "{line}\n{printed}\n{expected}");
        }
        count += 1;
    }
    assert!(count >= 8, "{block}");
}

fn run(site: &Site, line: &str) -> String {
    if line.starts_with("mkdef ") || line.starts_with("chdef ") {
        let words: definitions::ProcessArguments = line.parse().unwrap();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.env(MKDEF, "1").env("SLIPWAY_CONFIG", site.path());
        let output = command.args(&words.words()[1..]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        return text(&output.stdout);
    }
    let outcome = site.run(line);
    assert!(Path::new(env!("CARGO_BIN_EXE_mkdocker")).exists());
    outcome.out + &outcome.err
}

/// Compares a line; `…` stands for anything.
fn fits(printed: &str, expected: &str) -> bool {
    let mut rest = printed;
    let parts: Vec<_> = expected.split('…').collect();
    for (at, part) in parts.iter().enumerate() {
        let Some(found) = rest.find(part) else {
            return false;
        };
        if at == 0 && found > 0 {
            return false;
        }
        rest = &rest[found + part.len()..];
    }
    rest.is_empty() || parts.last() == Some(&"")
}
