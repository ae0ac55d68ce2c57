//! Profiles of Agama, the installer of SLE and Leap since 16.
//!
//! JSON is read strictly and checked against the rules of Agama's schema, of which a release newer than the
//! table's may know more. Reference: Agama's profile schema.

use std::sync::LazyLock;

use definitions::Distro;

use super::Findings;
use super::findings::FindingsBuilder;
use super::json;
use super::schema::{Language, Schema, Strictness};

static AGAMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(&[include_str!("schema/agama.tsv")]));

/// Checks a whole file for a release.
pub(super) fn check(distro: &Distro, name: &str, text: &str) -> Findings {
    let mut findings = FindingsBuilder::of(name);
    match json::parse(text) {
        Err(broken) => findings.problem(broken.line, format!("this is not JSON: {}", broken.why)),
        Ok(value) => {
            let strictness = match distro.version() {
                "16" | "16.0" => Strictness::Exact,
                _ => Strictness::Newer,
            };
            AGAMA.check(&value, Language::Json, strictness, &mut findings);
            for (key, first, line) in value.duplicate_keys() {
                findings.problem(
                    line,
                    format!("duplicate key '{key}', first in line {first}: the installer would take one of them alone"),
                );
            }
        }
    }
    findings.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(distro: &str, text: &str) -> Vec<String> {
        let findings = check(&distro.parse().unwrap(), "agama.json", text);
        let notes = findings.notes.iter().map(|note| format!("note: {note}"));
        findings
            .problems
            .iter()
            .map(ToString::to_string)
            .chain(notes)
            .collect()
    }

    const GOOD: &str = "{\n\"product\": {\"id\": \"SLES\"},\n\"root\": {\"password\": \"$6$x\", \"hashedPassword\": true},\n\
        \"storage\": {\"drives\": [{\"search\": \"/dev/sda\", \"partitions\": [{\"filesystem\": {\"path\": \"/\", \"type\": \"xfs\"}}]}]},\n\
        \"scripts\": {\"post\": [{\"name\": \"a\", \"content\": \"x\", \"chroot\": true}]}\n}\n";

    #[test]
    fn what_agama_takes_is_not_reported() {
        assert_eq!(messages("leap16.0", GOOD), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line_and_what_to_do() {
        for (from, to, expected) in [
            (
                "\"root\"",
                "\"rooot\"",
                "agama.json:3: 'the file' has no key 'rooot': did you mean 'root'?",
            ),
            (
                "true}",
                "\"yes\"}",
                "agama.json:3: 'root.hashedPassword' takes true or false, and this is a text",
            ),
            (
                "\"xfs\"",
                "\"xsf\"",
                "agama.json:4: 'storage.drives[].partitions[].filesystem.type' does not take 'xsf': did you mean 'xfs'?",
            ),
            (
                "\"name\": \"a\", ",
                "",
                "agama.json:5: 'scripts.post[]' needs a key 'name'",
            ),
            (
                "\"product\"",
                "\"unheard\": 1, \"product\"",
                "agama.json:2: 'the file' has no key 'unheard': remove it",
            ),
            (
                "}\n}",
                "},\n}",
                "agama.json:6: this is not JSON: trailing comma, in column 1",
            ),
        ] {
            assert_eq!(messages("sle16.0", &GOOD.replacen(from, to, 1)), [expected]);
        }
        let text = GOOD.replacen("\"root\"", "\"scripts\": {},\n\"root\"", 1);
        let expected = "agama.json:6: duplicate key 'scripts', first in line 3: the installer would take one of them alone";
        assert_eq!(messages("sle16.0", &text), [expected]);
        let text = GOOD.replacen("\"product\"", "\"unheard\": 1, \"product\"", 1);
        let expected = "note: agama.json:2: 'the file' is not known to have a key 'unheard': it is not checked";
        assert_eq!(messages("sle16.1", &text), [expected]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\{|\\}|\\[|\\]|,|: |\n|\"root\"|\"storage\"|\"drives\"|1|true){0,30}") {
            let _ = messages("leap16.0", &text);
        }
    }
}
