//! Lines that begin with `#`: directives, and comments. Pure.
//!
//! `#WORD#` and `#WORD:argument#` are directives when the word is one of ours or all in capitals; every
//! other line is a comment. What looks like a directive and is not one is an error: xCAT takes it for a
//! comment, and the list lacks what it should have brought.

use std::collections::BTreeMap;

/// What a line that begins with `#` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Directive<'a> {
    /// Nothing.
    Comment,
    /// `#INCLUDE:path#`.
    Include(&'a str),
    /// `#NEW_INSTALL_LIST#`.
    NewList,
    /// `#ENV:NAME=value …#`.
    Environment(Vec<(&'a str, &'a str)>),
}

pub(super) const KNOWN: [&str; 3] = ["INCLUDE", "NEW_INSTALL_LIST", "ENV"];

/// Reads a line that begins with `#`.
pub(super) fn parse(line: &str) -> Result<Directive<'_>, String> {
    let text = line.strip_prefix('#').unwrap_or(line);
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (word, rest) = text.split_at(text.find(|c| !of_word(c)).unwrap_or(text.len()));
    let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(word));
    let capitals = word.len() > 1 && !word.contains(|c: char| c.is_ascii_lowercase());
    let capitals = capitals && word.starts_with(|c: char| c.is_ascii_uppercase());
    let argument = match rest.strip_prefix(':') {
        Some(rest) => rest
            .split_once('#')
            .map(|(argument, rest)| (Some(argument), rest)),
        None => rest.strip_prefix('#').map(|rest| (None, rest)),
    };
    let Some((argument, rest)) = argument else {
        let begun = known.is_some() && (rest.starts_with(':') || rest.is_empty());
        return if begun && capitals {
            Err(format!("'{line}' has no end: write '{line}#'"))
        } else {
            Ok(Directive::Comment)
        };
    };
    if known.is_none() && !capitals {
        return Ok(Directive::Comment);
    }
    if !KNOWN.contains(&word) {
        return Err(format!(
            "'#{word}' is not a directive: there are #INCLUDE:path#, #NEW_INSTALL_LIST# and #ENV:NAME=value#; a \
             comment has a space after its '#'"
        ));
    }
    if let Some(nested) = nested_variable(word, argument, rest) {
        return Err(nested);
    }
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace) && rest.trim().starts_with('#')) {
        return Err(format!(
            "'{}' follows #{word}#: put it on a line of its own",
            rest.trim()
        ));
    }
    match (word, argument.map(str::trim)) {
        ("NEW_INSTALL_LIST", None) => Ok(Directive::NewList),
        ("INCLUDE", Some(path)) if !path.is_empty() => Ok(Directive::Include(path)),
        ("ENV", Some(pairs)) if !pairs.is_empty() => environment(pairs),
        ("NEW_INSTALL_LIST", Some(_)) => {
            Err("#NEW_INSTALL_LIST# takes nothing: write '#NEW_INSTALL_LIST#'".to_owned())
        }
        ("INCLUDE", _) => Err("#INCLUDE# names no file: write '#INCLUDE:path#'".to_owned()),
        _ => Err("#ENV# sets nothing: write '#ENV:NAME=value#'".to_owned()),
    }
}

/// Tells of xCAT's `#INCLUDE:#ENV:NAME#/path#`, which puts a variable of its environment into a path.
fn nested_variable(word: &str, argument: Option<&str>, rest: &str) -> Option<String> {
    let name = match (word, argument.map(str::trim)) {
        ("INCLUDE", Some("")) => rest.strip_prefix("ENV:")?.split('#').next()?,
        _ => return None,
    };
    Some(format!(
        "'#ENV:{name}#' in the path of an #INCLUDE# is xCAT's way to write a variable: write the path itself, or \
         one of $OSVER, $ARCH and $PROFILE"
    ))
}

/// Reads `NAME=value NAME=value`. A value is taken literally, and so may hold nothing that a shell
/// would read as more.
fn environment(pairs: &str) -> Result<Directive<'_>, String> {
    let mut environment = Vec::new();
    for pair in pairs.split_whitespace() {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| is_variable(name))
            .ok_or_else(|| format!("'{pair}' sets no variable: write '#ENV:NAME=value#'"))?;
        let literal = |c: char| c.is_ascii_graphic() && !"'\"\\`$;&|<>()*?!{}[]~".contains(c);
        if !value.chars().all(literal) {
            return Err(format!(
                "the value of {name} contains characters that are not allowed: no quotes, no '$', no spaces"
            ));
        }
        environment.push((name, value));
    }
    Ok(Directive::Environment(environment))
}

fn is_variable(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Puts the values of `$NAME` and `${NAME}` into a path.
pub(super) fn expand(path: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, after) = match after.strip_prefix('{') {
            Some(braced) => braced
                .split_once('}')
                .ok_or_else(|| format!("'{path}' has a '${{' without its '}}'"))?,
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        let value = variables.get(name).ok_or_else(|| {
            let known: Vec<_> = variables.keys().map(|name| format!("${name}")).collect();
            let known = match known.as_slice() {
                [] => "none is defined here".to_owned(),
                known => format!("there are {}", known.join(", ")),
            };
            format!("'${name}' in '{path}' is not a variable: {known}")
        })?;
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_what_asks_for_nothing() {
        for line in [
            "#",
            "# text",
            "#text",
            "####",
            "# INCLUDE:a#",
            "#a#b",
            "#Note: x",
            "#TODO: later",
            "#ENV variables",
            "#1#",
        ] {
            assert_eq!(parse(line), Ok(Directive::Comment), "{line}");
        }
    }

    #[test]
    fn a_directive_is_read_with_its_argument() {
        for (line, expected) in [
            ("#INCLUDE:a/b.pkglist#", Directive::Include("a/b.pkglist")),
            ("#INCLUDE: a # # why", Directive::Include("a")),
            ("#NEW_INSTALL_LIST#", Directive::NewList),
            (
                "#ENV:A=1 B=/x,y#",
                Directive::Environment(vec![("A", "1"), ("B", "/x,y")]),
            ),
            ("#ENV:A=#", Directive::Environment(vec![("A", "")])),
        ] {
            assert_eq!(parse(line).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn what_looks_like_a_directive_and_is_not_one_is_an_error() {
        let unknown = |word: &str| {
            format!(
                "'#{word}' is not a directive: there are #INCLUDE:path#, #NEW_INSTALL_LIST# and \
                 #ENV:NAME=value#; a comment has a space after its '#'"
            )
        };
        for (line, expected) in [
            ("#INCLUDEBAD:a#", unknown("INCLUDEBAD")),
            ("#include:a#", unknown("include")),
            ("#INCLUDE_DEFAULT_PKGLIST#", unknown("INCLUDE_DEFAULT_PKGLIST")),
            ("#INCLUDE:a", "'#INCLUDE:a' has no end: write '#INCLUDE:a#'".to_owned()),
            (
                "#NEW_INSTALL_LIST",
                "'#NEW_INSTALL_LIST' has no end: write '#NEW_INSTALL_LIST#'".to_owned(),
            ),
            (
                "#INCLUDE:a# b",
                "'b' follows #INCLUDE#: put it on a line of its own".to_owned(),
            ),
            (
                "#INCLUDE:#ENV:SHARE#/a.pkglist#",
                "'#ENV:SHARE#' in the path of an #INCLUDE# is xCAT's way to write a variable: write the path itself, \
                 or one of $OSVER, $ARCH and $PROFILE"
                    .to_owned(),
            ),
            ("#INCLUDE#", "#INCLUDE# names no file: write '#INCLUDE:path#'".to_owned()),
            ("#ENV:#", "#ENV# sets nothing: write '#ENV:NAME=value#'".to_owned()),
            (
                "#NEW_INSTALL_LIST:a#",
                "#NEW_INSTALL_LIST# takes nothing: write '#NEW_INSTALL_LIST#'".to_owned(),
            ),
            ("#ENV:1=a#", "'1=a' sets no variable: write '#ENV:NAME=value#'".to_owned()),
            (
                "#ENV:A=$(id)#",
                "the value of A contains characters that are not allowed: no quotes, no '$', no spaces"
                    .to_owned(),
            ),
        ] {
            assert_eq!(parse(line), Err(expected), "{line}");
        }
    }

    #[test]
    fn variables_come_from_the_given_ones_alone() {
        let variables = [("OSVER", "rocky9.4"), ("A_1", "x")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = BTreeMap::from(variables);
        let expand = |path| expand(path, &variables);
        assert_eq!(expand("a/$OSVER/${A_1}b").as_deref(), Ok("a/rocky9.4/xb"));
        assert_eq!(
            expand("$HOME/a").unwrap_err(),
            "'$HOME' in '$HOME/a' is not a variable: there are $A_1, $OSVER"
        );
        assert_eq!(
            expand("${A").unwrap_err(),
            "'${A' has a '${' without its '}'"
        );
        assert_eq!(
            expand("a$/b").unwrap_err(),
            "'$' in 'a$/b' is not a variable: there are $A_1, $OSVER"
        );
    }
}
