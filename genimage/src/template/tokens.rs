//! The text between marks as tokens: as much of tera's expressions as it takes to find names.

use super::syntax::Segment;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name with its fields: `extras[].uri`; keywords are names too.
    Name,
    /// A string.
    Text,
    /// `==`.
    Equal,
    /// Any other character.
    Sign(char),
}

/// A token of an expression.
#[derive(Debug)]
pub(super) struct ExprToken {
    /// What it is.
    pub(super) kind: TokenKind,
    /// A name or the content of a string.
    pub(super) name: String,
    /// Its line.
    pub(super) line: usize,
}

impl ExprToken {
    /// Whether it is this character.
    pub(super) fn is(&self, sign: char) -> bool {
        self.kind == TokenKind::Sign(sign)
    }
}

/// Splits a segment into tokens.
pub(super) fn tokens(segment: &Segment<'_>) -> Vec<ExprToken> {
    let mut tokens = Vec::new();
    let mut rest = segment.inner();
    let mut line = segment.line;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            '"' | '\'' | '`' => (TokenKind::Text, string_length(rest, first)),
            '=' if rest.starts_with("==") => (TokenKind::Equal, 2),
            _ if first.is_alphabetic() || first == '_' => (TokenKind::Name, path_length(rest)),
            _ => (TokenKind::Sign(first), first.len_utf8()),
        };
        let (text, next) = rest.split_at(length);
        let name = match kind {
            TokenKind::Text => text.trim_matches(first).to_owned(),
            TokenKind::Name => indexed(text),
            TokenKind::Equal | TokenKind::Sign(_) => String::new(),
        };
        if !first.is_whitespace() {
            tokens.push(ExprToken { kind, name, line });
        }
        line += text.matches('\n').count();
        rest = next;
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
