//! How a value is written so that it cannot leave its place: one filter for each language.
//!
//! None changes what the value means to its reader; what a place cannot hold at all is an error.
//!
//! | filter | writes | for |
//! |---|---|---|
//! | `sh` | one quoted word of the shell | scripts, kickstart's options |
//! | `preseed` | the rest of a line | preseed values |
//! | `line` | one line unchanged | comments, groups in `%packages` |
//! | `entry` | a line that no sign before it gives a meaning | packages in `%packages` |
//! | `json` | a JSON value, which is YAML too | autoinstall, Agama |
//! | `xml` | character data, or an attribute | AutoYaST |
//! | `cdata` | the content of `<![CDATA[…]]>` | scripts in AutoYaST |
//! | `ipxe` | one word of a boot script | kernel arguments |
//! | `words` | its words with one space between them | a command line, set on many lines |
//! | `grouped` | groups of four characters, as gpg prints a fingerprint | keys that Agama asks about |
//! | `preseed_script` | a script as one word of the shell, on lines that preseed joins | `early_command` |
//!
//! References: POSIX.1-2024 XCU 2.2.2; debconf-set-selections(1); RFC 8259; YAML 1.2.2 §5.1 and §7.3.1;
//! XML 1.0 §2.2 and §2.7; iPXE `core/exec.c`.

use tera::{Error, Kwargs, State, Tera, TeraResult, Value};

use crate::cmdline;

/// Makes the filters known.
pub(super) fn register(tera: &mut Tera) {
    tera.register_filter("sh", |text: &str, _: Kwargs, _: &State| sh(text));
    tera.register_filter("preseed", |text: &str, _: Kwargs, _: &State| preseed(text));
    tera.register_filter("line", |text: &str, _: Kwargs, _: &State| line(text));
    tera.register_filter("entry", |text: &str, _: Kwargs, _: &State| entry(text));
    tera.register_filter("json", |value: &Value, _: Kwargs, _: &State| json(value));
    tera.register_filter("xml", |text: &str, _: Kwargs, _: &State| xml(text));
    tera.register_filter("cdata", |text: &str, _: Kwargs, _: &State| cdata(text));
    tera.register_filter("ipxe", |text: &str, _: Kwargs, _: &State| ipxe(text));
    tera.register_filter("words", |text: &str, _: Kwargs, _: &State| words(text));
    tera.register_filter("grouped", |text: &str, _: Kwargs, _: &State| grouped(text));
    tera.register_filter("preseed_script", |text: &str, _: Kwargs, _: &State| {
        preseed_script(text)
    });
}

/// Puts a space after every fourth character but the last.
fn grouped(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let groups: Vec<String> = characters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join(" ")
}

/// Refuses what ends a line or steers a terminal.
fn line(text: &str) -> TeraResult<String> {
    one_line(text).map(str::to_owned)
}

fn one_line(text: &str) -> TeraResult<&str> {
    match text.chars().find(|character| character.is_control()) {
        Some(found) => Err(refusal(
            text,
            &format!("the character {found:?} is not allowed in it"),
        )),
        None => Ok(text),
    }
}

fn entry(text: &str) -> TeraResult<String> {
    match text.chars().next() {
        Some(first) if "%#@-".contains(first) || first.is_whitespace() => Err(refusal(
            text,
            &format!("{first:?} at its beginning has a meaning of its own"),
        )),
        _ => line(text),
    }
}

fn sh(text: &str) -> TeraResult<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:,=+@~-".contains(&byte);
    // A leading '~' would be a home directory, a leading '-' is for the command to judge.
    if !text.is_empty() && text.bytes().all(plain) && !text.contains('~') {
        return Ok(text.to_owned());
    }
    Ok(format!("'{}'", line(text)?.replace('\'', r"'\''")))
}

fn preseed(text: &str) -> TeraResult<String> {
    if text.ends_with('\\') {
        return Err(refusal(
            text,
            "a '\\' at its end would join it with the next line",
        ));
    }
    line(text)
}

/// JSON by our own hand keeps what YAML does not print out of it.
fn json(value: &Value) -> TeraResult<String> {
    let mut text =
        serde_json::to_string(value).map_err(|error| Error::message(error.to_string()))?;
    let unprintable = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    if text.contains(unprintable) {
        text = text
            .chars()
            .map(|c| {
                if unprintable(c) {
                    format!("\\u{:04x}", u32::from(c))
                } else {
                    c.to_string()
                }
            })
            .collect();
    }
    Ok(text)
}

fn xml(text: &str) -> TeraResult<String> {
    let mut out = String::with_capacity(text.len());
    for character in xml_text(text)?.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(character),
        }
    }
    Ok(out)
}

fn cdata(text: &str) -> TeraResult<String> {
    Ok(xml_text(text)?.replace("]]>", "]]]]><![CDATA[>"))
}

fn xml_text(text: &str) -> TeraResult<&str> {
    let unfit = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    match text.chars().find(|character| unfit(*character)) {
        Some(found) => Err(refusal(text, &format!("XML has no character {found:?}"))),
        None => Ok(text),
    }
}

/// A boot script splits words at spaces and passes double quotes on unchanged, so that a value with single spaces
/// in quotes reaches the kernel whole.
fn ipxe(text: &str) -> TeraResult<String> {
    let odd = |c: char| c.is_control() || (c.is_whitespace() && c != ' ') || "'\\".contains(c);
    if let Some(found) = text.chars().find(|character| odd(*character)) {
        return Err(refusal(
            text,
            &format!("the character {found:?} is not allowed in a word of a boot script"),
        ));
    }
    if cmdline::words(text).is_ok_and(|words| words.len() > 1) || text.contains("  ") {
        return Err(refusal(
            text,
            "a word of a boot script has spaces only in double quotes, one at a time",
        ));
    }
    cmdline::words(text).map_err(Error::message)?;
    let syntax = |word: &str| word.starts_with('#') || ["&&", "||", ";"].contains(&word);
    if text.contains("${") || text.split(' ').any(syntax) {
        return Err(refusal(
            text,
            "a boot script would take it for its own syntax",
        ));
    }
    Ok(text.to_owned())
}

/// Splits words as the kernel does, so that spaces within quotes stay; in what has a quote without its end, quotes
/// mean nothing.
fn words(text: &str) -> TeraResult<String> {
    let words = cmdline::words(text);
    Ok(words
        .unwrap_or_else(|_| text.split_whitespace().collect())
        .join(" "))
}

/// Writes a script as `'…'` for `printf %b`: a line each, ended so that preseed joins them. It strips
/// spaces at their beginning and drops lines that begin with `#`, which changes no script without
/// texts of several lines.
fn preseed_script(text: &str) -> TeraResult<String> {
    // Ten thousand nodes have this done for them: no line is copied but into the whole.
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    out.push_str("'\\\n");
    for one in text.lines().map(str::trim) {
        if one.is_empty() || one.starts_with('#') {
            continue;
        }
        let mut rest = one_line(one)?;
        while let Some(at) = rest.find(['\\', '\'']) {
            out.push_str(&rest[..at]);
            out.push_str(if rest[at..].starts_with('\'') {
                r"'\''"
            } else {
                r"\\"
            });
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
        out.push_str("\\n\\\n");
    }
    out.push('\'');
    Ok(out)
}

fn refusal(text: &str, why: &str) -> Error {
    Error::message(format!("{text:?} does not fit here: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Filter = fn(&str) -> TeraResult<String>;

    #[test]
    fn values_stay_in_their_place() {
        let cases: [(Filter, &str, &str); 17] = [
            (sh, "host01.example.com", "host01.example.com"),
            (sh, "", "''"),
            (sh, "~root", "'~root'"),
            (sh, "it's $HOME `id`", r"'it'\''s $HOME `id`'"),
            (preseed, "a $b `c` # d", "a $b `c` # d"),
            (
                xml,
                "<a & \"b\" 'c'>",
                "&lt;a &amp; &quot;b&quot; &apos;c&apos;&gt;",
            ),
            (cdata, "a]]>b", "a]]]]><![CDATA[>b"),
            (cdata, "a]]]]>b", "a]]]]]]><![CDATA[>b"),
            (ipxe, "console=ttyS0,115200", "console=ttyS0,115200"),
            (ipxe, "osi=\"!Windows 2015\"", "osi=\"!Windows 2015\""),
            (words, " a  b=\"c d\"\n e ", "a b=\"c d\" e"),
            (words, " a  b=\"c\n d ", "a b=\"c d"),
            (
                ipxe,
                "ds=nocloud-net;s=http://10.0.0.1/",
                "ds=nocloud-net;s=http://10.0.0.1/",
            ),
            (
                preseed_script,
                "# why\n\n  echo 'a\\n'\n",
                "'\\\necho '\\''a\\\\n'\\''\\n\\\n'",
            ),
            (
                |text| json(&Value::from(text)),
                "a\"b\\\n\u{85}",
                r#""a\"b\\\n\u0085""#,
            ),
            (|text| json(&Value::from(vec![text])), "a'", r#"["a'"]"#),
            (line, "@^minimal-environment", "@^minimal-environment"),
        ];
        for (filter, text, expected) in cases {
            assert_eq!(filter(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_a_place_cannot_hold_is_refused() {
        let cases: [(Filter, &str, &str); 12] = [
            (
                entry,
                "%end",
                r#""%end" does not fit here: '%' at its beginning has a meaning of its own"#,
            ),
            (
                sh,
                "a\nb",
                r#""a\nb" does not fit here: the character '\n' is not allowed in it"#,
            ),
            (
                line,
                "a\rb",
                r#""a\rb" does not fit here: the character '\r' is not allowed in it"#,
            ),
            (
                preseed,
                "a\\",
                r#""a\\" does not fit here: a '\' at its end would join it with the next line"#,
            ),
            (
                xml,
                "a\0b",
                r#""a\0b" does not fit here: XML has no character '\0'"#,
            ),
            (
                cdata,
                "\u{1b}",
                r#""\u{1b}" does not fit here: XML has no character '\u{1b}'"#,
            ),
            (
                ipxe,
                "a b",
                r#""a b" does not fit here: a word of a boot script has spaces only in double quotes, one at a time"#,
            ),
            (
                ipxe,
                "a=\"b  c\"",
                r#""a=\"b  c\"" does not fit here: a word of a boot script has spaces only in double quotes, one at a time"#,
            ),
            (
                ipxe,
                "a=\"b || c\"",
                r#""a=\"b || c\"" does not fit here: a boot script would take it for its own syntax"#,
            ),
            (
                ipxe,
                "${net0/mac}",
                r#""${net0/mac}" does not fit here: a boot script would take it for its own syntax"#,
            ),
            (
                ipxe,
                "||",
                r#""||" does not fit here: a boot script would take it for its own syntax"#,
            ),
            (
                preseed_script,
                "a\tb\u{7}",
                r#""a\tb\u{7}" does not fit here: the character '\t' is not allowed in it"#,
            ),
        ];
        for (filter, text, expected) in cases {
            assert_eq!(filter(text).unwrap_err().to_string(), expected);
        }
    }
}
