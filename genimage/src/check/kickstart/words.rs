//! Splits a line into words as anaconda does: quotes, backslashes and comments of a POSIX shell.
//!
//! A `#` that is not quoted begins a comment even inside a word. Reference: Python's shlex, which
//! pykickstart splits lines with.

use std::borrow::Cow;

/// Why a line has no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Unterminated {
    /// A quotation mark without its other one.
    Quote(char),
    /// A backslash before the end of the line.
    Backslash,
}

/// Splits a line. Words without quotes and backslashes are lent.
pub(in crate::check) fn split(line: &str) -> Result<Vec<Cow<'_, str>>, Unterminated> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(is_blank);
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(words);
        }
        let plain = rest.find(|c: char| is_blank(c) || matches!(c, '#' | '"' | '\'' | '\\'));
        let end = plain.unwrap_or(rest.len());
        match rest[end..].chars().next() {
            Some('"' | '\'' | '\\') => {
                let (word, length) = quoted(rest)?;
                words.push(Cow::Owned(word));
                rest = &rest[length..];
            }
            _ => {
                words.push(Cow::Borrowed(&rest[..end]));
                rest = &rest[end..];
            }
        }
    }
}

/// Reads a word that has quotes or backslashes; returns it with its length in the line.
fn quoted(text: &str) -> Result<(String, usize), Unterminated> {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (None, '#') => return Ok((word, at)),
            (None, c) if is_blank(c) => return Ok((word, at)),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => {
                let (_, escaped) = chars.next().ok_or(Unterminated::Backslash)?;
                if quote.is_some() && !matches!(escaped, '\\' | '"') {
                    word.push('\\');
                }
                word.push(escaped);
            }
            (_, c) => word.push(c),
        }
    }
    match quote {
        Some(open) => Err(Unterminated::Quote(open)),
        None => Ok((word, text.len())),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (line, expected) in [
            ("lang en_US.UTF-8 # a", &["lang", "en_US.UTF-8"][..]),
            ("rootpw a#b", &["rootpw", "a"]),
            ("rootpw 'a#b' \"c'd\"", &["rootpw", "a#b", "c'd"]),
            ("a\\ b \"\\x\\\"\" '\\'", &["a b", "\\x\"", "\\"]),
            ("--x='' y\"\"z", &["--x=", "yz"]),
            ("\t\r\n", &[]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        for (line, expected) in [
            ("a 'b", Unterminated::Quote('\'')),
            ("a \"b'", Unterminated::Quote('"')),
            ("a \\", Unterminated::Backslash),
        ] {
            assert_eq!(split(line).unwrap_err(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_split_or_refused(line in "[a-zé #\"'\\\\=\t-]{0,40}") {
            if let Ok(words) = split(&line) {
                prop_assert!(words.iter().map(|word| word.len()).sum::<usize>() <= line.len());
            }
        }
    }
}
