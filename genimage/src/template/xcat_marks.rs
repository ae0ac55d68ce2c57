//! Marks of xCAT's templates, which mean nothing here: a site's template with one would be written as it is, and an
//! installer would take it for a comment.
//!
//! Reference: `xCAT::Template`, whose marks are `#WORD#` and `#WORD:arguments#`; docs/templates.md has what replaces
//! them.

use std::collections::HashMap;

use super::syntax::{SegmentKind, segments};
use super::{BUILT_IN, TemplateSource};
use crate::problem::{FileLine, Problem};

/// The words of marks, those that begin so, and those that take arguments.
const WORDS: [&str; 9] = [
    "HOSTNAME",
    "SHORTNAME",
    "COLONHTTPPORT",
    "KICKSTARTNET",
    "YAST2NET",
    "KICKSTARTBOOTLOADER",
    "MIRRORSPEC",
    "WRITEREPO",
    "UBUNTU_SUBIQUITY_APT_CONFIG",
];
const BEGINNINGS: [&str; 5] = [
    "INCLUDE_",
    "INSTALL_SOURCES",
    "XCAT_",
    "XCA_",
    "UNCOMMENTOENABLE",
];
const FUNCTIONS: [&str; 10] = [
    "INCLUDE",
    "INCLUDE_NOP",
    "XCATVAR",
    "TABLE",
    "TABLEBLANKOKAY",
    "ENV",
    "COMMAND",
    "CRYPT",
    "CRYPTORLOCKED",
    "GETNODEDOMAIN",
];

/// Finds the marks in templates of the site's own.
pub(super) fn problems(sources: &HashMap<String, TemplateSource>) -> Vec<Problem> {
    let own = sources
        .values()
        .filter(|source| !source.name.starts_with(BUILT_IN));
    let mut problems: Vec<_> = own.flat_map(of_template).collect();
    problems.sort();
    problems
}

fn of_template(source: &TemplateSource) -> Vec<Problem> {
    let texts = segments(&source.text);
    let texts = texts
        .into_iter()
        .filter(|segment| segment.kind == SegmentKind::Text);
    let lines = texts.flat_map(|segment| (segment.line..).zip(segment.text.lines()));
    let found = lines.filter_map(|(line, text)| Some((line, mark_in(text)?)));
    found
        .map(|(line, mark)| {
            let file = source.file.clone();
            let message = format!(
                "'{mark}' is a mark of xCAT's templates, which are not read: docs/templates.md has what replaces it"
            );
            Problem::at(FileLine { file, line }, message)
        })
        .collect()
}

/// Returns the first mark in a line.
fn mark_in(line: &str) -> Option<&str> {
    let ends: Vec<usize> = line.match_indices('#').map(|(at, _)| at).collect();
    ends.windows(2).find_map(|pair| {
        let inner = &line[pair[0] + 1..pair[1]];
        is_mark(inner).then(|| &line[pair[0]..=pair[1]])
    })
}

fn is_mark(inner: &str) -> bool {
    let word = |text: &str| {
        let letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        !text.is_empty() && text.chars().all(letters)
    };
    match inner.split_once(':') {
        Some((name, _)) => FUNCTIONS.contains(&name),
        None => {
            let begins = BEGINNINGS.iter().any(|begin| inner.starts_with(begin));
            word(inner) && (begins || WORDS.contains(&inner))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_xcat_is_found_and_a_comment_is_none() {
        for (line, expected) in [
            ("#INCLUDE:#ENV:XCATROOT#/x.tmpl#", Some("#INCLUDE:#")),
            (
                "url --url http://#XCATVAR:XCATMASTER#/x",
                Some("#XCATVAR:XCATMASTER#"),
            ),
            (
                "rootpw --iscrypted #CRYPT:passwd:key=system:password#",
                Some("#CRYPT:passwd:key=system:password#"),
            ),
            (
                "#INCLUDE_DEFAULT_PKGLIST#",
                Some("#INCLUDE_DEFAULT_PKGLIST#"),
            ),
            ("#XCAT_PARTITION_START#", Some("#XCAT_PARTITION_START#")),
            ("# see #HOSTNAME# here", Some("#HOSTNAME#")),
            ("#PORT: eth0 is on switch #3", None),
            ("### COMMAND: ###", None),
            ("# ENV: a # b", None),
            ("#HOSTNAME", None),
            ("${#INCLUDE} #", None),
            ("#notes#", None),
        ] {
            assert_eq!(mark_in(line), expected, "{line}");
        }
    }
}
