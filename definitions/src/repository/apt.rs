//! apt's sources: deb822 stanzas and lines of a `.list`. Pure.
//!
//! Reference: sources.list(5). What is rendered here is read by apt 1.1 and later; a key within `Signed-By`
//! needs 2.3.10.

use std::fmt::Write as _;

/// A repository as apt is configured for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AptSource {
    /// Where it is.
    pub uri: String,
    /// The suite: `bookworm`, or a path that ends in `/`.
    pub suite: String,
    /// The components: `main`; a flat repository has none.
    pub components: Vec<String>,
    /// The architectures that it is limited to, as Debian names them.
    pub architectures: Vec<String>,
    /// The key that signs it; without one, those that apt trusts anyway.
    pub signed_by: Option<AptKey>,
    /// Whether no signature is needed.
    pub trusted: bool,
}

/// The key of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AptKey {
    /// A file on the node.
    File(String),
    /// An armoured key within the stanza.
    Armoured(String),
}

impl AptSource {
    /// Renders a deb822 stanza.
    pub fn render(&self) -> String {
        let mut text = format!("Types: deb\nURIs: {}\nSuites: {}\n", self.uri, self.suite);
        for (name, words) in [
            ("Components", &self.components),
            ("Architectures", &self.architectures),
        ] {
            if !words.is_empty() {
                let _ = writeln!(text, "{name}: {}", words.join(" "));
            }
        }
        match &self.signed_by {
            _ if self.trusted => text.push_str("Trusted: yes\n"),
            Some(AptKey::File(path)) => {
                let _ = writeln!(text, "Signed-By: {path}");
            }
            Some(AptKey::Armoured(key)) => {
                text.push_str("Signed-By:\n");
                // A continuation line begins with a space, and an empty one is a dot.
                for line in key.lines() {
                    let line = if line.is_empty() { "." } else { line };
                    let _ = writeln!(text, " {line}");
                }
            }
            None => {}
        }
        text
    }

    /// Renders the line of a `.list`, which cannot contain a key.
    pub fn render_line(&self) -> String {
        let mut options = Vec::new();
        if !self.architectures.is_empty() {
            options.push(format!("arch={}", self.architectures.join(",")));
        }
        match &self.signed_by {
            _ if self.trusted => options.push("trusted=yes".to_owned()),
            Some(AptKey::File(path)) => options.push(format!("signed-by={path}")),
            Some(AptKey::Armoured(_)) | None => {}
        }
        let mut words = vec!["deb".to_owned()];
        if !options.is_empty() {
            words.push(format!("[{}]", options.join(" ")));
        }
        words.extend([self.uri.clone(), self.suite.clone()]);
        words.extend(self.components.iter().cloned());
        words.join(" ")
    }

    /// Reads the sources of binary packages that a file names, in either form: one for each URI and suite.
    /// Comments, disabled stanzas and what is no source are passed over.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let stanzas = lines.split(|line| line.trim().is_empty());
        let in_stanzas = stanzas.flat_map(parse_stanza);
        let in_lines = lines.iter().filter_map(|line| parse_line(line));
        in_stanzas.chain(in_lines).collect()
    }
}

/// Reads a deb822 stanza; its field names have any case.
fn parse_stanza(lines: &[&str]) -> Vec<AptSource> {
    let mut fields: Vec<(String, Vec<&str>)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            if let Some((_, values)) = fields.last_mut() {
                values.push(&line[1..]);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), vec![value.trim()]));
        }
    }
    let value = |name: &str| {
        let field = fields.iter().find(|(known, _)| known == name);
        field
            .map(|(_, values)| values.as_slice())
            .unwrap_or_default()
    };
    let words = |name: &str| -> Vec<String> {
        let words = value(name).iter().flat_map(|line| line.split_whitespace());
        words.map(str::to_owned).collect()
    };
    let is = |name: &str, word: &str| value(name).iter().any(|line| line.trim() == word);
    if is("enabled", "no") || !words("types").iter().any(|word| word == "deb") {
        return Vec::new();
    }
    let signed_by = match value("signed-by") {
        [] => None,
        ["", lines @ ..] => {
            let line = |line: &&str| match line.trim_end() {
                "." => "\n".to_owned(),
                line => format!("{line}\n"),
            };
            Some(AptKey::Armoured(lines.iter().map(line).collect()))
        }
        [path, ..] => Some(AptKey::File((*path).to_owned())),
    };
    let trusted = is("trusted", "yes");
    let suites = words("suites");
    let source = |uri: String| {
        let (words, signed_by) = (&words, &signed_by);
        suites.iter().map(move |suite| AptSource {
            uri: uri.clone(),
            suite: suite.clone(),
            components: words("components"),
            architectures: words("architectures"),
            signed_by: signed_by.clone(),
            trusted,
        })
    };
    words("uris").into_iter().flat_map(source).collect()
}

/// Reads the line of a `.list`.
fn parse_line(line: &str) -> Option<AptSource> {
    let rest = line.trim_start().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest
        .split_whitespace()
        .take_while(|word| !word.starts_with('#'))
        .map(str::to_owned);
    let mut source = AptSource {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        ..AptSource::default()
    };
    for option in options.split_whitespace() {
        match option.split_once('=') {
            Some(("arch", names)) => {
                source.architectures = names.split(',').map(str::to_owned).collect();
            }
            Some(("trusted", value)) => source.trusted = value == "yes",
            Some(("signed-by", path)) => source.signed_by = Some(AptKey::File(path.to_owned())),
            _ => {}
        }
    }
    Some(source)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_source_is_rendered_in_both_forms() {
        let source = AptSource {
            uri: "https://h/ubuntu".to_owned(),
            suite: "noble".to_owned(),
            components: vec!["main".to_owned(), "universe".to_owned()],
            architectures: vec!["amd64".to_owned(), "arm64".to_owned()],
            signed_by: Some(AptKey::Armoured("-----\n\nabc\n".to_owned())),
            trusted: false,
        };
        let head = "Types: deb\nURIs: https://h/ubuntu\nSuites: noble\nComponents: main universe\n\
                    Architectures: amd64 arm64\n";
        assert_eq!(
            source.render(),
            format!("{head}Signed-By:\n -----\n .\n abc\n")
        );
        let with_file = AptSource {
            signed_by: Some(AptKey::File("/k.asc".to_owned())),
            ..source.clone()
        };
        assert_eq!(with_file.render(), format!("{head}Signed-By: /k.asc\n"));
        assert_eq!(
            with_file.render_line(),
            "deb [arch=amd64,arm64 signed-by=/k.asc] https://h/ubuntu noble main universe"
        );
        let trusted = AptSource {
            trusted: true,
            ..source
        };
        assert_eq!(trusted.render(), format!("{head}Trusted: yes\n"));
    }

    #[test]
    fn every_source_of_a_file_is_read_and_nothing_else() {
        let text = "# deb http://no/1 a b\n#deb http://no/2 a b\ndeb-src http://no/3 a b\ndebug x y\n\
                    \tdeb [ arch=amd64 trusted=yes ] http://h/1 a b # c\n\n\
                    types: deb deb-src\nuris: http://h/2 http://h/3\nsuites: x y/\n\n\
                    Types: deb\nURIs: http://no/4\nSuites: x\nEnabled: no\n\nTypes: deb-src\nURIs: http://no/5\nSuites: x\n";
        let found = AptSource::parse_all(text);
        let pairs: Vec<_> = found
            .iter()
            .map(|source| (source.uri.as_str(), source.suite.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("http://h/2", "x"),
                ("http://h/2", "y/"),
                ("http://h/3", "x"),
                ("http://h/3", "y/"),
                ("http://h/1", "a")
            ]
        );
        assert!(found[4].trusted && found[4].components == ["b"]);
    }

    fn sources() -> impl Strategy<Value = AptSource> {
        let word = || "[a-z][a-z0-9/-]{0,8}";
        let words = || prop::collection::vec(word(), 0..3);
        let key = prop_oneof![
            Just(None),
            "/[a-z/.]{1,9}".prop_map(|path| Some(AptKey::File(path))),
            "(-----[A-Z ]{0,5}-----|[a-zA-Z0-9+/=]{1,9}|)(\n([a-zA-Z0-9+/=]{1,9})?){0,4}\n"
                .prop_map(|key| Some(AptKey::Armoured(key))),
        ];
        (
            "https?://[a-z/]{1,9}",
            word(),
            words(),
            words(),
            key,
            any::<bool>(),
        )
            .prop_map(
                |(uri, suite, components, architectures, signed_by, trusted)| AptSource {
                    uri,
                    suite,
                    components,
                    architectures,
                    signed_by: signed_by.filter(|_| !trusted),
                    trusted,
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_rendered_parses_to_the_same(sources in prop::collection::vec(sources(), 0..4)) {
            let text: Vec<_> = sources.iter().map(AptSource::render).collect();
            prop_assert_eq!(AptSource::parse_all(&text.join("\n")), sources.clone());
            for source in sources {
                let line = AptSource { signed_by: None, ..source };
                prop_assert_eq!(AptSource::parse_all(&line.render_line()), [line]);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "((deb|Types:|URIs:|Suites:|Signed-By:|\\[|\\]|arch=| |[a-z/:.#\u{fc}]|\n){0,20})") {
            let _ = AptSource::parse_all(&text);
        }
    }
}
