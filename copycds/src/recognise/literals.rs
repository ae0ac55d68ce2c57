//! What a regular expression says of every text that it matches, without being compiled: how the text begins, and what is
//! in it.
//!
//! An expression as rules have it, with their `{version}` and the like, comes in. What this does not know for certain it
//! leaves out, so that no text is ruled out that the expression matches. Case does not count.

use std::iter::Peekable;
use std::str::Chars;

/// Texts in small letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Literals {
    /// Every match begins with one of these; empty where that is not known.
    beginnings: Vec<String>,
    /// Every match has this in it; empty where nothing is known.
    contained: String,
}

/// One sign of an expression, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Literal(char),
    /// `^`
    Start,
    Open,
    Close,
    Alternative,
    /// What is before it may be absent.
    Optional,
    /// `+`
    Repeated,
    /// The `?` that makes a repetition a short one.
    Lazy,
    /// Some text.
    Other,
}

impl Sign {
    fn repeats(&self) -> bool {
        matches!(self, Self::Optional | Self::Repeated)
    }

    /// Whether it says how often something is there.
    fn follows(&self) -> bool {
        self.repeats() || *self == Self::Lazy
    }
}

impl Literals {
    pub(super) fn of(regex: &str) -> Self {
        let Some(signs) = signs(regex).filter(|signs| !has_alternatives(signs)) else {
            return Self::default();
        };
        Self {
            beginnings: beginnings(&signs).unwrap_or_default(),
            contained: contained(&signs),
        }
    }

    /// Whether a text is not ruled out.
    pub(super) fn allow(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let begins = |beginning: &String| {
            let start = text.get(..beginning.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes()))
        };
        let has = |part: &str| {
            let mut parts = text.windows(part.len());
            parts.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        };
        (self.beginnings.is_empty() || self.beginnings.iter().any(begins))
            && (self.contained.is_empty() || has(&self.contained))
    }

    /// Returns the bytes, in small letters, with one of which every match begins; none where that is not known.
    pub(super) fn first_bytes(&self) -> impl Iterator<Item = u8> {
        self.beginnings.iter().map(|text| text.as_bytes()[0])
    }
}

/// Reads an expression; nothing where it has what is not read here.
fn signs(regex: &str) -> Option<Vec<Sign>> {
    let mut signs = Vec::new();
    let mut chars = regex.chars().peekable();
    while let Some(c) = chars.next() {
        let sign = match c {
            '^' => Sign::Start,
            '(' => {
                skip_group_kind(&mut chars)?;
                Sign::Open
            }
            ')' => Sign::Close,
            '|' => Sign::Alternative,
            '+' => Sign::Repeated,
            '?' if signs.last().is_some_and(Sign::repeats) => Sign::Lazy,
            '?' | '*' => Sign::Optional,
            '{' => {
                let counts = chars.peek()?.is_ascii_digit();
                chars.find(|c| *c == '}')?;
                if counts { Sign::Optional } else { Sign::Other }
            }
            '[' => {
                skip_class(&mut chars)?;
                Sign::Other
            }
            '\\' => match chars.next()? {
                'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'b' | 'B' | 'A' | 'z' => Sign::Other,
                c if c.is_ascii_punctuation() => Sign::Literal(c),
                _ => return None,
            },
            '.' | '$' => Sign::Other,
            c if c.is_ascii() => Sign::Literal(c.to_ascii_lowercase()),
            _ => Sign::Other,
        };
        if sign.repeats() && signs.last().is_some_and(Sign::follows) {
            return None; // a repetition of a repetition
        }
        signs.push(sign);
    }
    Some(signs)
}

/// Skips what follows the `(` of a group: its name, or flags that do not change what a sign means.
fn skip_group_kind(chars: &mut Peekable<Chars<'_>>) -> Option<()> {
    if chars.next_if_eq(&'?').is_none() {
        return Some(());
    }
    let mut kind = String::new();
    while !kind.ends_with([':', '>']) {
        kind.push(chars.next()?);
    }
    let is_name = kind.starts_with('<') || kind.starts_with("P<");
    (is_name || [":", "i:", "-i:"].contains(&&*kind)).then_some(())
}

/// Skips the rest of a class; nothing for one in which another one or a `]` is.
fn skip_class(chars: &mut Peekable<Chars<'_>>) -> Option<()> {
    chars.next_if_eq(&'^');
    chars.peek().filter(|c| **c != ']')?;
    loop {
        match chars.next()? {
            ']' => return Some(()),
            '[' => return None,
            '\\' => drop(chars.next()?),
            _ => {}
        }
    }
}

/// Pairs each sign with how many groups it is in.
fn nested(signs: &[Sign]) -> impl Iterator<Item = (usize, Sign)> {
    let mut depth = 0_usize;
    signs.iter().map(move |sign| {
        match sign {
            Sign::Open => depth += 1,
            Sign::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth, *sign)
    })
}

fn has_alternatives(signs: &[Sign]) -> bool {
    nested(signs).any(|outside| outside == (0, Sign::Alternative))
}

/// The literal text with which some signs begin.
fn beginning(signs: &[Sign]) -> String {
    let mut text = String::new();
    for sign in signs {
        match sign {
            Sign::Literal(c) => text.push(*c),
            Sign::Optional => {
                text.pop();
                break;
            }
            _ => break,
        }
    }
    text
}

/// What follows `^`: a text, or the texts of a group.
fn beginnings(signs: &[Sign]) -> Option<Vec<String>> {
    let (Sign::Start, rest) = signs.split_first()? else {
        return None;
    };
    if rest.first() != Some(&Sign::Open) {
        return Some(vec![beginning(rest)]).filter(|all| !all[0].is_empty());
    }
    let end = nested(rest).position(|sign| sign == (0, Sign::Close))?;
    if rest.get(end + 1) == Some(&Sign::Optional) {
        return None;
    }
    let group = &rest[1..end];
    let mut bars: Vec<usize> = nested(group)
        .enumerate()
        .filter(|(_, sign)| *sign == (0, Sign::Alternative))
        .map(|(at, _)| at)
        .collect();
    bars.push(group.len());
    let mut from = 0;
    let mut all = Vec::new();
    for bar in bars {
        all.push(beginning(&group[from..bar]));
        from = bar + 1;
    }
    all.iter().all(|text| !text.is_empty()).then_some(all)
}

/// The longest text outside of groups.
fn contained(signs: &[Sign]) -> String {
    let mut longest = String::new();
    let mut text = String::new();
    for sign in nested(signs).chain([(0, Sign::Other)]) {
        match sign {
            (0, Sign::Literal(c)) => {
                text.push(c);
                continue;
            }
            (0, Sign::Optional) => drop(text.pop()),
            _ => {}
        }
        if text.len() > longest.len() {
            longest.clone_from(&text);
        }
        text.clear();
    }
    longest
}

#[cfg(test)]
mod tests {
    use regex::RegexBuilder;

    use super::*;

    #[test]
    fn every_match_begins_with_one_of_the_texts_and_contains_another() {
        for (regex, beginnings, contained) in [
            ("^RHEL-{version}", &["rhel-"][..], "rhel-"),
            (
                "^Debian GNU/Linux (?<version>[0-9])",
                &["debian gnu/linux "],
                "debian gnu/linux ",
            ),
            ("^Fedora?-WS", &["fedor"], "fedor"),
            ("^OL{2}x", &["o"], "o"),
            ("^tboot\\.b00$", &["tboot.b00"], "tboot.b00"),
            ("^[0-9]", &[], ""),
            ("^(?:SUSE - )?SLE", &[], "sle"),
            ("^(?:SUSE - )*?SLE", &[], "sle"),
            ("^(?:SUSE - )+?SLE", &["suse - "], "sle"),
            ("^SLE??S", &["sl"], "sl"),
            ("^one|^two", &[], ""),
            ("^one(?:a|b)", &["one"], "one"),
            ("^one\\)|two", &[], ""),
            ("SLE", &[], "sle"),
            (
                "^(?:Kali|Pop[!_]OS|MX-)(?:[^a-z]|$)",
                &["kali", "pop", "mx-"],
                "",
            ),
            ("^(?:RHEVH?|Red (?:Hat|Cap) V)x", &["rhev", "red "], "x"),
            ("^(?:a\\)b|c)d", &["a)b", "c"], "d"),
            ("^(?:a[)]b|c)d", &["a", "c"], "d"),
            ("^(?:a|[bc])d", &[], "d"),
            ("^(?:a||b)d", &[], "d"),
            ("ISO ?9660", &[], "9660"),
            ("\\(C\\)", &[], "(c)"),
            ("^(?i:a)b", &["a"], "b"),
            // What is not read here.
            ("(?x)^a b", &[], ""),
            ("^ba+*c", &[], ""),
            ("^ba+??c", &[], ""),
            ("^ba+{0}c", &[], ""),
            ("(?i)a|b", &[], ""),
            ("(?i)^a(?:b|c)", &[], ""),
            ("(?x:a b)c", &[], ""),
            ("^a[[:alpha:])]", &[], ""),
            ("^a[])]b", &[], ""),
            ("^\\x41b", &[], ""),
            ("^\\p{L}b", &[], ""),
        ] {
            let expected = Literals {
                beginnings: beginnings.iter().map(|text| (*text).to_owned()).collect(),
                contained: contained.to_owned(),
            };
            assert_eq!(Literals::of(regex), expected, "{regex}");
        }
    }

    proptest::proptest! {
        /// Expressions are made of the signs that have a meaning, so that most of them match something.
        #[test]
        fn no_text_is_ruled_out_that_the_expression_matches(
            regex in "(\\^?[ab]?|\\^?\\((\\?:|\\?i:|\\?<n>)?[ab|\\\\)]{1,5}\\)[?*+]?)([ab]|\\\\[).|]|[|.?+*]|\\[[^]ab)(|]+\\]|\\([ab|]{1,4}\\)[?+]?|\\{0,1\\}){0,5}",
            texts in proptest::collection::vec("[abAB().|]{0,6}", 16),
        ) {
            let compiled = RegexBuilder::new(&regex).case_insensitive(true).build();
            let Ok(compiled) = compiled else { return Ok(()) };
            let literals = Literals::of(&regex);
            for text in texts {
                proptest::prop_assert!(literals.allow(&text) || !compiled.is_match(&text), "{} {}", regex, text);
            }
        }
    }
}
