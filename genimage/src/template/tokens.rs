//! What stands between marks, in tokens: as much of tera's expressions as it takes to find names.

use super::syntax::Segment;

/// A token of an expression: `sign` is `a` for a name, `"` for a string, else the character itself.
#[derive(Debug)]
pub(super) struct ExprToken {
    /// What it is.
    pub(super) sign: char,
    /// A name or what a string holds.
    pub(super) name: String,
    /// Its line.
    pub(super) line: usize,
}

/// Cuts a piece into tokens.
pub(super) fn tokens(segment: &Segment<'_>) -> Vec<ExprToken> {
    let mut tokens = Vec::new();
    let mut rest = segment.inner();
    let mut line = segment.line;
    while let Some(first) = rest.chars().next() {
        let (sign, length) = match first {
            '"' | '\'' | '`' => ('"', string_length(rest, first)),
            '=' if rest.starts_with("==") => ('≡', 2),
            _ if first.is_alphabetic() || first == '_' => ('a', path_length(rest)),
            _ => (first, first.len_utf8()),
        };
        let (text, rest_after) = rest.split_at(length);
        let name = match sign {
            '"' => text.trim_matches(first).to_owned(),
            'a' => indexed(text),
            _ => String::new(),
        };
        if !first.is_whitespace() {
            tokens.push(ExprToken { sign, name, line });
        }
        line += text.matches('\n').count();
        rest = rest_after;
    }
    tokens
}

fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A name with its fields and numbers: `extras[0].uri`. A `[` that holds more than a number is an
/// expression of its own, and a `]` without one ends a list.
fn path_length(rest: &str) -> usize {
    let part = |character: char| character.is_alphanumeric() || "_.".contains(character);
    let mut end = 0;
    loop {
        end += rest[end..]
            .find(|character| !part(character))
            .unwrap_or(rest.len() - end);
        let number = rest[end..].strip_prefix('[').map_or(0, |inside| {
            inside
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or_default()
        });
        if number == 0 || !rest[end + 1 + number..].starts_with(']') {
            return rest[..end].trim_end_matches('.').len();
        }
        end += number + 2;
    }
}

/// Writes a number between brackets as `[]`: all elements have the same fields.
fn indexed(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for character in path.chars() {
        inside = match character {
            '[' => true,
            ']' => false,
            _ => inside,
        };
        if !inside || character == '[' {
            out.push(character);
        }
    }
    out
}
