//! The grammar: text in, terms out. What a name means is decided later, when it is known what exists.

use super::selection::TextPattern;
use super::{Factor, Selection, Term};
use crate::{Error, ObjectKind};

/// The longest range, and how deep parentheses nest.
const MAX_LENGTH: usize = 64 * 1024;
const MAX_DEPTH: usize = 32;

/// Parses a whole range.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, Error> {
    if text.len() > MAX_LENGTH {
        let begin: String = text.chars().take(60).collect();
        return Err(wrong(&begin, "it is longer than 64 KiB"));
    }
    list(text, text, 0)
}

/// Parses what a file lists.
pub(super) fn file(text: &str) -> Result<Vec<Term>, Error> {
    let lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(str::split_whitespace);
    let lists: Result<Vec<_>, _> = words.map(terms).collect();
    Ok(lists?.into_iter().flatten().collect())
}

/// Makes an error that names the range.
fn wrong(range: &str, message: impl Into<String>) -> Error {
    Error::Noderange {
        range: range.to_owned(),
        message: message.into(),
    }
}

/// Parses a list of terms; `range` is the whole text, for errors.
fn list(range: &str, text: &str, depth: usize) -> Result<Vec<Term>, Error> {
    if depth > MAX_DEPTH {
        return Err(wrong(range, "it nests parentheses more than 32 deep"));
    }
    let parts = split(range, text, ',')?;
    let parts = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(|part| term(range, part, depth)).collect()
}

/// Parses one term: `-a@b`.
fn term(range: &str, text: &str, depth: usize) -> Result<Term, Error> {
    let (excluded, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let factors = split(range, rest, '@')?;
    let factors: Result<_, _> = factors
        .into_iter()
        .map(|part| factor(range, part.trim(), depth))
        .collect();
    Ok(Term {
        excluded,
        factors: factors?,
    })
}

/// Parses one side of `@`.
fn factor(range: &str, text: &str, depth: usize) -> Result<Factor, Error> {
    if text.is_empty() {
        return Err(wrong(range, "it lacks a name beside '-' or '@'"));
    }
    if let Some(pattern) = text.strip_prefix('/') {
        let pattern = TextPattern::parse_whole(pattern).map_err(|error| wrong(range, error))?;
        return Ok(Factor::Pattern(pattern));
    }
    if let Some(path) = text.strip_prefix('^') {
        return Ok(Factor::File(path.to_owned()));
    }
    if let Some(inner) = text.strip_prefix('(') {
        let inner = inner.strip_suffix(')');
        let inner =
            inner.ok_or_else(|| wrong(range, format!("it has text after ')' in '{text}'")))?;
        return Ok(Factor::List(list(range, inner, depth + 1)?));
    }
    if Selection::is_one(text) {
        let selection: Selection = text.parse()?;
        selection.check(ObjectKind::Node)?;
        return Ok(Factor::Selection(selection));
    }
    match text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-+:[],".contains(c))) {
        None => Ok(Factor::Word(text.to_owned())),
        Some(at) => {
            let odd = text[at..].chars().next().unwrap_or_default();
            Err(wrong(
                range,
                format!(
                    "it has '{}' in '{text}', which no name has",
                    odd.escape_debug()
                ),
            ))
        }
    }
}

/// Splits a text at a character outside of all brackets.
///
/// Regular expressions may hold brackets of every kind, escaped ones and classes such as `[^(]`.
fn split<'t>(range: &str, text: &'t str, at: char) -> Result<Vec<&'t str>, Error> {
    let mut parts = Vec::new();
    let mut open = Vec::new();
    let mut begin = 0;
    let mut characters = text.char_indices();
    while let Some((index, c)) = characters.next() {
        match (c, open.last()) {
            ('\\', _) => drop(characters.next()),
            (']', Some('[')) => drop(open.pop()),
            (_, Some('[')) => {}
            ('(' | '[' | '{', _) => open.push(c),
            (')', Some('(')) | ('}', Some('{')) => drop(open.pop()),
            (')' | ']' | '}', _) => {
                return Err(wrong(range, format!("it has a '{c}' that nothing opens")));
            }
            (c, None) if c == at => {
                parts.push(&text[begin..index]);
                begin = index + c.len_utf8();
            }
            _ => {}
        }
    }
    if let Some(open) = open.last() {
        return Err(wrong(
            range,
            format!("it has a '{open}' that nothing closes"),
        ));
    }
    parts.push(&text[begin..]);
    Ok(parts)
}
