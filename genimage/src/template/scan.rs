//! Which names are in a template, each with its line: other templates, fields, what it sets itself.
//!
//! Statements are recognised by their first word, names from filters, tests, functions and arguments by
//! the tokens around them; the name of a loop means an element of what it iterates over.

use std::collections::BTreeSet;

use super::syntax::{SegmentKind, segments};
use super::tokens::{ExprToken, TokenKind, tokens};

/// What a template names, each with its line.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Templates that it extends or includes.
    pub(super) templates: Vec<(usize, String)>,
    /// Fields that it asks for.
    pub(super) fields: Vec<(usize, String)>,
    /// Names that it sets itself.
    pub(super) set: BTreeSet<String>,
    /// The names of loops around: each means a field, if it is known which.
    loops: Vec<Vec<(String, Option<String>)>>,
}

impl Scan {
    /// Reads a template.
    pub(super) fn of(template: &str) -> Self {
        let mut scan = Self::default();
        for segment in segments(template) {
            match segment.kind {
                SegmentKind::Value => scan.expression(&tokens(&segment)),
                SegmentKind::Statement => scan.statement(&tokens(&segment)),
                SegmentKind::Text | SegmentKind::Comment => {}
            }
        }
        scan
    }

    fn statement(&mut self, tokens: &[ExprToken]) {
        let Some((first, rest)) = tokens.split_first() else {
            return;
        };
        match first.name.as_str() {
            "extends" | "include" => {
                let quoted = rest.first().filter(|token| token.kind == TokenKind::Text);
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

    fn begin_loop(&mut self, tokens: &[ExprToken]) {
        let at = tokens.iter().position(|token| token.name == "in");
        let (names, over) = tokens.split_at(at.unwrap_or(tokens.len()));
        let over = over.get(1..).unwrap_or_default();
        self.expression(over);
        let element = match over {
            [one] if one.kind == TokenKind::Name => {
                self.resolve(&one.name).map(|path| format!("{path}[]"))
            }
            _ => None,
        };
        let names = names.iter().filter(|token| token.kind == TokenKind::Name);
        let bound = names.map(|token| (token.name.clone(), element.clone()));
        self.loops.push(bound.collect());
    }

    fn expression(&mut self, tokens: &[ExprToken]) {
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| &tokens[at]);
            let next = tokens.get(at + 1);
            let called = next.is_some_and(|next| next.is('(') || next.is('='));
            let applied = before.is_some_and(|before| {
                before.is('|')
                    || before.name == "is"
                    || before.name == "not" && is_test(tokens, at)
                    || before.is('.') && is_field(tokens, at)
            });
            if token.kind == TokenKind::Name && !called && !applied && !is_word(&token.name) {
                let path = self.resolve(&token.name);
                self.fields.extend(path.map(|path| (token.line, path)));
            }
        }
    }

    /// Resolves the names of loops: `repository.uri` means `extras[].uri`.
    fn resolve(&self, path: &str) -> Option<String> {
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
fn is_test(tokens: &[ExprToken], at: usize) -> bool {
    at.checked_sub(2)
        .is_some_and(|before| tokens[before].name == "is")
}

/// Tells `list[i].name`, whose name is a field of what comes before it, from `[...list]`.
fn is_field(tokens: &[ExprToken], at: usize) -> bool {
    at.checked_sub(2)
        .is_some_and(|before| tokens[before].is(']') || tokens[before].is(')'))
}

fn is_word(name: &str) -> bool {
    let words = [
        "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "None", "True",
        "False",
    ];
    words.contains(&name) || head(name) == "loop"
}

fn head(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn nothing_that_stands_in_a_template_brings_it_down(
            text in "(<%|%>|<@|@>|<#|#>|for|in|if|set|include|endfor|a|b|\\.|\\[|\\]|1|\\||is|not|=|\\(|'|\"|\\\\|é| |\n){0,24}"
        ) {
            Scan::of(&text);
        }
    }
}
