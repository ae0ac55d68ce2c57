//! Profiles of AutoYaST: SLE 12 and 15, Leap 15.
//!
//! A profile is well-formed XML whose one element `profile` declares the two name spaces; sections and
//! what is in them are checked against the element names and types of YaST's own schemas (those of SLE
//! 12 SP5 and SLE 15 together). A module that is not known may know more than the table. Reference:
//! AutoYaST guide; RELAX NG of YaST's modules.

use std::sync::LazyLock;

use super::Findings;
use super::findings::FindingsBuilder;
use super::schema::{Language, Schema, Strictness};
use super::xml::{self, RootElement};

static AUTOYAST: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(&[include_str!("schema/autoyast.tsv")]));

/// The name spaces that a profile declares.
const NAMESPACE: &str = "http://www.suse.com/1.0/yast2ns";
const CONFIG_NAMESPACE: &str = "http://www.suse.com/1.0/configns";

/// Checks a whole file.
pub(super) fn check(name: &str, text: &str) -> Findings {
    let mut findings = FindingsBuilder::of(name);
    if let Some(root) = xml::parse(text, &mut findings) {
        match root.name {
            "profile" => {
                namespaces(&root, &mut findings);
                AUTOYAST.check(&root.value, Language::Xml, Strictness::Newer, &mut findings);
            }
            other => {
                let message =
                    format!("the outermost element is '{other}': AutoYaST reads 'profile'");
                findings.problem(root.line, message);
            }
        }
    }
    findings.finish()
}

fn namespaces(root: &RootElement<'_>, findings: &mut FindingsBuilder<'_>) {
    for (name, expected, found) in [
        ("xmlns", NAMESPACE, &root.namespace),
        ("xmlns:config", CONFIG_NAMESPACE, &root.config_namespace),
    ] {
        let message = match found {
            Some(value) if value == expected => continue,
            Some(value) => format!("'profile' has {name}=\"{value}\": write \"{expected}\""),
            None => format!("'profile' has no {name}=\"{expected}\": write it"),
        };
        findings.problem(root.line, message);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Vec<String> {
        let findings = check("autoinst.xml", text);
        let notes = findings.notes.iter().map(|note| format!("note: {note}"));
        findings
            .problems
            .iter()
            .map(ToString::to_string)
            .chain(notes)
            .collect()
    }

    const GOOD: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE profile>\n\
        <profile xmlns=\"http://www.suse.com/1.0/yast2ns\" xmlns:config=\"http://www.suse.com/1.0/configns\">\n\
        <general><mode><confirm config:type=\"boolean\">false</confirm></mode></general>\n\
        <report><errors><timeout t=\"integer\">0</timeout></errors></report>\n\
        <software><packages config:type=\"list\"><package>a&amp;b</package><package>&#99;</package></packages></software>\n\
        <scripts><post-scripts config:type=\"list\"><script><source><![CDATA[a < b && c]]></source></script></post-scripts></scripts>\n\
        <squid><anything/></squid>\n\
        </profile>\n";

    #[test]
    fn what_autoyast_takes_is_not_reported() {
        assert_eq!(message(GOOD), [""; 0]);
        assert_eq!(message(&format!("\u{feff}{GOOD}")), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line_and_what_to_do() {
        for (from, to, expected) in [
            (
                "</mode>",
                "</mod>",
                "autoinst.xml:4: this is not XML: expected '</mode>', found '</mod>'",
            ),
            (
                "</profile>",
                "",
                "autoinst.xml:9: this is not XML: it ends inside an element: close it",
            ),
            (
                "&amp;",
                "&nbsp;",
                "autoinst.xml:6: this is not XML: the entity '&nbsp;' is unknown: write '&amp;' for '&'",
            ),
            (
                "</profile>",
                "</profile><a/>",
                "autoinst.xml:9: this is not XML: this is neither an element nor text of one",
            ),
            (
                "yast2ns",
                "yast3ns",
                "autoinst.xml:3: 'profile' has xmlns=\"http://www.suse.com/1.0/yast3ns\": write \"http://www.suse.com/1.0/yast2ns\"",
            ),
            (
                " xmlns:config=\"http://www.suse.com/1.0/configns\"",
                "",
                "autoinst.xml:4: this is not XML: the prefix 'config:' is not declared: write xmlns:config=\"…\" in 'profile'",
            ),
            (
                "\"boolean\"",
                "\"bolean\"",
                "autoinst.xml:4: there is no type 'bolean': did you mean 'boolean'?",
            ),
            (
                " config:type=\"boolean\"",
                "",
                "autoinst.xml:4: 'general.mode.confirm' takes true or false, and this is a text: write config:type=\"boolean\"",
            ),
            (
                ">false<",
                ">no<",
                "autoinst.xml:4: 'confirm' is not a boolean: write true or false, not 'no'",
            ),
            (
                ">0<",
                ">x<",
                "autoinst.xml:5: 'timeout' is not an integer: write a whole number, not 'x'",
            ),
            (
                "<report>",
                "<report>x",
                "autoinst.xml:5: 'report' has both text and elements: remove one of them",
            ),
            (
                "packages config:type=\"list\"",
                "packages",
                "autoinst.xml:6: duplicate element 'package', first in line 6: join them",
            ),
            (
                "<general>",
                "<general><mod/>",
                "autoinst.xml:4: 'general' has no key 'mod': did you mean 'mode'?",
            ),
            (
                "<squid>",
                "<squids/><squid>",
                "autoinst.xml:8: 'the file' has no key 'squids': did you mean 'squid'?",
            ),
            (
                "<squid>",
                "<unheard/><squid>",
                "note: autoinst.xml:8: 'the file' is not known to have a key 'unheard': it is not checked",
            ),
        ] {
            let found = message(&GOOD.replacen(from, to, 1));
            assert_eq!(
                found.first().map(String::as_str),
                Some(expected),
                "{found:?}"
            );
        }
        let unused = "<profile xmlns=\"http://www.suse.com/1.0/yast2ns\"/>";
        for (text, expected) in [
            (
                unused,
                "autoinst.xml:1: 'profile' has no xmlns:config=\"http://www.suse.com/1.0/configns\": write it",
            ),
            ("", "autoinst.xml:1: this is not XML: there is no element"),
            (
                "<a/>",
                "autoinst.xml:1: the outermost element is 'a': AutoYaST reads 'profile'",
            ),
        ] {
            assert_eq!(message(text), [expected]);
        }
    }

    #[test]
    fn what_is_nested_too_deep_or_grows_without_end_is_refused() {
        let entities: String = (1..=12)
            .map(|at| {
                format!(
                    "<!ENTITY e{at} \"{}\">",
                    format!("&e{};", at - 1).repeat(10)
                )
            })
            .collect();
        for (text, expected) in [
            (
                format!("<profile>{}", "<a>".repeat(100_000)),
                "autoinst.xml:1: this is not XML: it ends inside an element: close it",
            ),
            (
                format!(
                    "<profile>{}{}</profile>",
                    "<a>".repeat(99),
                    "</a>".repeat(99)
                ),
                "autoinst.xml:1: elements are nested more than 64 levels deep",
            ),
            (
                format!(
                    "<!DOCTYPE profile [<!ENTITY e0 \"x\">{entities}]>\n<profile>&e12;</profile>"
                ),
                "autoinst.xml:1: this is not XML: a possible entity reference loop is detected",
            ),
        ] {
            assert_eq!(message(&text), [expected]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|profile|general|a|\n| config:type=|t=|\"|list|é|&|;|amp|#|<!--|-->|<!\\[CDATA\\[|\\]\\]>){0,40}") {
            let _ = message(&text);
        }
    }
}
