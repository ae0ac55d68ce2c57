//! The names in templates: which template asks for which other, and for which fields of the context.
//!
//! Tera takes a name that does not exist for false where it is only asked for, and tells no more of a
//! template's fields than their first part. Both are looked up here before anything is rendered.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::syntax::{Kind, Piece, pieces};
use super::{BUILT_IN, Source};
use crate::context::Fields;
use crate::problem::{Place, Problem};

/// Returns the wanted templates and all that they extend or include.
pub(super) fn reached(
    all: &BTreeMap<String, Source>,
    wanted: &[&str],
) -> Result<HashMap<String, Source>, Vec<Problem>> {
    let mut found = HashMap::new();
    let mut problems = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for name in wanted {
        match resolve(name, all) {
            Some(source) => open.push(source.name.clone()),
            None => problems.push(Problem::new(missing(name, all))),
        }
    }
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let source = &all[&name];
        for (line, asked) in Scan::of(&source.text).templates {
            match resolve(&asked, all) {
                Some(other) => open.push(other.name.clone()),
                None => problems.push(at(source, line, missing(&asked, all))),
            }
        }
        found.insert(name, source.clone());
    }
    problems.sort();
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// Finds the names that are no field of the context.
pub(super) fn unknown(sources: &HashMap<String, Source>) -> Vec<Problem> {
    let fields = Fields::of_context();
    let scans: Vec<_> = sources
        .values()
        .map(|source| (source, Scan::of(&source.text)))
        .collect();
    // What one template sets, those that it includes may ask for.
    let set: HashSet<&str> = scans
        .iter()
        .flat_map(|(_, scan)| scan.set.iter().map(String::as_str))
        .collect();
    let mut problems: Vec<_> = scans
        .iter()
        .flat_map(|(source, scan)| scan.fields.iter().map(move |used| (source, used)))
        .filter(|(_, (_, path))| !set.contains(head(path)))
        .filter(|(_, (_, path))| !fields.has(path))
        .map(|(source, (line, path))| at(source, *line, no_field(path, fields)))
        .collect();
    problems.sort();
    problems.dedup();
    problems
}

/// Lists the fields that a template and all behind it ask for.
pub(super) fn used(sources: &HashMap<String, Source>, name: &str) -> BTreeSet<String> {
    let all = sources
        .iter()
        .map(|(name, source)| (name.clone(), source.clone()))
        .collect();
    let Ok(reached) = reached(&all, &[name]) else {
        return BTreeSet::new();
    };
    let scans: Vec<_> = reached.values().map(|s| Scan::of(&s.text)).collect();
    let set: HashSet<&str> = scans
        .iter()
        .flat_map(|scan| scan.set.iter().map(String::as_str))
        .collect();
    scans
        .iter()
        .flat_map(|scan| &scan.fields)
        .filter(|(_, path)| !set.contains(head(path)))
        .map(|(_, path)| path.clone())
        .collect()
}

fn resolve<'a>(name: &str, all: &'a BTreeMap<String, Source>) -> Option<&'a Source> {
    all.get(name)
        .or_else(|| all.get(&format!("{BUILT_IN}{name}")))
}

fn no_field(path: &str, fields: &Fields) -> String {
    let paths = fields.paths();
    match nearest(path, paths.iter().map(String::as_str)) {
        Some(near) => format!("'{path}' is no field: did you mean '{near}'?"),
        None => format!("'{path}' is no field: docs/templates.md lists them"),
    }
}

fn missing(name: &str, all: &BTreeMap<String, Source>) -> String {
    let known = all.keys().flat_map(|known| {
        [
            known.as_str(),
            known.strip_prefix(BUILT_IN).unwrap_or(known),
        ]
    });
    match nearest(name, known) {
        Some(near) => format!("there is no template '{name}': did you mean '{near}'?"),
        None => format!("there is no template '{name}'"),
    }
}

/// Returns the known name that is most like one, if any is much like it.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

fn at(source: &Source, line: usize, message: String) -> Problem {
    let file = source.file.clone();
    Problem::at(Place { file, line }, message)
}

fn head(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// What a template names, each with its line.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Templates that it extends or includes.
    pub(super) templates: Vec<(usize, String)>,
    /// Fields that it asks for.
    pub(super) fields: Vec<(usize, String)>,
    /// Names that it sets itself.
    pub(super) set: BTreeSet<String>,
    /// The names of loops around: each stands for a field, if it is known for which.
    loops: Vec<Vec<(String, Option<String>)>>,
}

impl Scan {
    /// Reads a template.
    pub(super) fn of(template: &str) -> Self {
        let mut scan = Self::default();
        for piece in pieces(template) {
            match piece.kind {
                Kind::Value => scan.expression(&tokens(&piece)),
                Kind::Statement => scan.statement(&tokens(&piece)),
                Kind::Text | Kind::Comment => {}
            }
        }
        scan
    }

    fn statement(&mut self, tokens: &[Token]) {
        let Some((first, rest)) = tokens.split_first() else {
            return;
        };
        match first.name.as_str() {
            "extends" | "include" => {
                let quoted = rest.first().filter(|token| token.sign == '"');
                self.templates
                    .extend(quoted.map(|token| (token.line, token.name.clone())));
            }
            "set" | "set_global" => {
                self.set
                    .extend(rest.first().map(|token| token.name.clone()));
                self.expression(rest.get(1..).unwrap_or_default());
            }
            "for" => self.begin_loop(rest),
            "endfor" => drop(self.loops.pop()),
            "if" | "elif" => self.expression(rest),
            "filter" => self.expression(rest.get(1..).unwrap_or_default()),
            _ => {} // blocks and what ends
        }
    }

    fn begin_loop(&mut self, tokens: &[Token]) {
        let at = tokens.iter().position(|token| token.name == "in");
        let (names, over) = tokens.split_at(at.unwrap_or(tokens.len()));
        let over = over.get(1..).unwrap_or_default();
        self.expression(over);
        let element = match over {
            [one] if one.sign == 'a' => self.meaning(&one.name).map(|path| format!("{path}[]")),
            _ => None,
        };
        let names = names.iter().filter(|token| token.sign == 'a');
        let bound = names.map(|token| (token.name.clone(), element.clone()));
        self.loops.push(bound.collect());
    }

    fn expression(&mut self, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| &tokens[at]);
            let behind = tokens.get(at + 1).map(|token| token.sign);
            let called = behind == Some('(') || behind == Some('=');
            let applied = before.is_some_and(|before| {
                before.sign == '|'
                    || before.name == "is"
                    || before.name == "not" && is_test(tokens, at)
                    || before.sign == '.' && is_field(tokens, at)
            });
            if token.sign == 'a' && !called && !applied && !is_word(&token.name) {
                let path = self.meaning(&token.name);
                self.fields.extend(path.map(|path| (token.line, path)));
            }
        }
    }

    /// Resolves the names of loops: `repository.uri` means `extras[].uri`.
    fn meaning(&self, path: &str) -> Option<String> {
        let head = head(path);
        let bound = self
            .loops
            .iter()
            .rev()
            .flatten()
            .find(|(name, _)| name == head);
        match bound {
            Some((_, Some(whole))) => Some(format!("{whole}{}", &path[head.len()..])),
            Some((_, None)) => None,
            None => Some(path.to_owned()),
        }
    }
}

/// Tells `x is not defined` from `not x`.
fn is_test(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(2)
        .is_some_and(|before| tokens[before].name == "is")
}

/// Tells `list[i].name`, whose name is a field of what stands before it, from `[...list]`.
fn is_field(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(2)
        .is_some_and(|before| [']', ')'].contains(&tokens[before].sign))
}

fn is_word(name: &str) -> bool {
    let words = [
        "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "None", "True",
        "False",
    ];
    words.contains(&name) || head(name) == "loop"
}

/// A token of an expression: `sign` is `a` for a name, `"` for a string, else the character itself.
#[derive(Debug)]
struct Token {
    sign: char,
    name: String,
    line: usize,
}

fn tokens(piece: &Piece<'_>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = piece.inner();
    let mut line = piece.line;
    while let Some(first) = rest.chars().next() {
        let (sign, length) = match first {
            '"' | '\'' | '`' => ('"', string_length(rest, first)),
            '=' if rest.starts_with("==") => ('≡', 2),
            _ if first.is_alphabetic() || first == '_' => ('a', path_length(rest)),
            _ => (first, first.len_utf8()),
        };
        let (text, behind) = rest.split_at(length);
        let name = match sign {
            '"' => text.trim_matches(first).to_owned(),
            'a' => indexed(text),
            _ => String::new(),
        };
        if !first.is_whitespace() {
            tokens.push(Token { sign, name, line });
        }
        line += text.matches('\n').count();
        rest = behind;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_tera_reads_them() {
        let cases: [(&str, &[&str]); 14] = [
            ("<@ node.mac @>", &["node.mac"]),
            ("<@ node.mac | sh @>", &["node.mac"]),
            ("<@ a | join(sep=b.c) @>", &["a", "b.c"]),
            ("<% if a.b and not c.d is defined %>", &["a.b", "c.d"]),
            ("<% if a is not defined %>", &["a"]),
            ("<% if a == \"b.c\" %>", &["a"]),
            (
                "<% for x in as %><@ x.y @><% endfor %><@ x @>",
                &["as", "as[].y", "x"],
            ),
            ("<% for x in as | sort %><@ x.y @><% endfor %>", &["as"]),
            ("<@ as[0].b @>", &["as[].b"]),
            ("<@ range(end=a.b) @>", &["a.b"]),
            ("<@ as[b].c @>", &["as", "b"]),
            ("<% set x = [...a.b, c] %>", &["a.b", "c"]),
            ("<# a.b #>a.b", &[]),
            ("<% block a %><@ super() @><% endblock a %>", &[]),
        ];
        for (template, expected) in cases {
            let seen: Vec<_> = Scan::of(template)
                .fields
                .into_iter()
                .map(|(_, p)| p)
                .collect();
            assert_eq!(seen, expected, "{template}");
        }
    }
}
