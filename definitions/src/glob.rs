//! Wildcards in names: `*`, `?`, `[a-z]`, `[!a-z]` and `\`. Reference: fnmatch(3) without flags.
//!
//! Package managers, network backends and keyring directories all take such patterns, and all of them take
//! an unclosed bracket for itself, which `glob::Pattern` refuses. Two texts come in, an answer goes out, in
//! at most length times length steps. Pure.

/// Whether a name has a wildcard.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether a pattern matches the whole of a name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // What follows the last star, and the part of the name that it has to match.
    let mut retry: Option<(&str, &str)> = None;
    while let Some(c) = name.chars().next() {
        if let Some(rest) = pattern.strip_prefix('*') {
            retry = Some((rest, name));
            pattern = rest;
            continue;
        }
        if let Some(rest) = after_one(pattern, c) {
            pattern = rest;
            name = &name[c.len_utf8()..];
            continue;
        }
        // The star takes one character more.
        let Some((rest, from)) = retry else {
            return false;
        };
        let mut from = from.chars();
        from.next();
        retry = Some((rest, from.as_str()));
        (pattern, name) = (rest, from.as_str());
    }
    pattern.chars().all(|c| c == '*')
}

/// Returns what follows the first element of a pattern, if that matches the character.
fn after_one(pattern: &str, c: char) -> Option<&str> {
    let mut chars = pattern.chars();
    let first = chars.next()?;
    let rest = chars.as_str();
    let literal = |own: char, rest| (own == c).then_some(rest);
    match first {
        '?' => Some(rest),
        '[' => match class(rest) {
            Some((members, rest)) => in_class(members, c).then_some(rest),
            None => literal('[', rest),
        },
        '\\' => match chars.next() {
            Some(escaped) => literal(escaped, chars.as_str()),
            None => literal('\\', rest),
        },
        own => literal(own, rest),
    }
}

/// Splits a class from what follows it; a `]` that comes first is a member.
fn class(text: &str) -> Option<(&str, &str)> {
    let negated = text.starts_with(['!', '^']);
    let first = text.char_indices().nth(usize::from(negated) + 1)?.0;
    let end = first + text[first..].find(']')?;
    Some((&text[..end], &text[end + 1..]))
}

fn in_class(class: &str, c: char) -> bool {
    let members = class.strip_prefix(['!', '^']);
    let negated = members.is_some();
    let members: Vec<char> = members.unwrap_or(class).chars().collect();
    let (mut members, mut found) = (members.as_slice(), false);
    loop {
        members = match members {
            [from, '-', to, rest @ ..] => {
                found |= (*from..=*to).contains(&c);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == c;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_as_fnmatch_does() {
        for (pattern, name, expected) in [
            ("kernel*", "kernel", true),
            ("kernel*", "kernel-core", true),
            ("*-server", "openssh-server", true),
            ("*-server", "openssh-servers", false),
            ("iwl*-firmware", "iwl100-firmware", true),
            ("iwl*-firmware", "iwl100-firmware-x", false),
            ("e*0", "enp3s0", true),
            ("eth0", "eth01", false),
            ("eth?", "eth", false),
            ("a?c", "abc", true),
            ("a?c", "a\u{fc}c", true),
            ("a?c", "ac", false),
            ("lib[a-c]x", "libbx", true),
            ("lib[!a-c]x", "libbx", false),
            ("lib[^a-c]x", "libdx", true),
            ("a[", "a[", true),
            ("a[b", "a[b", true),
            ("a[b", "ab", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a\\", "a\\", true),
            ("a*b*c", "a-b-b-c", true),
            ("*a*b", "xaybzab", true),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in "[a-c\u{fc}*?\\[\\]!\\\\-]{0,12}", name in "[a-c\u{fc}\\[\\]-]{0,12}") {
            let _ = matches(&pattern, &name);
        }

        #[test]
        fn a_name_without_wildcards_matches_itself_alone(name in "[a-c.+-]{0,6}", other in "[a-c.+-]{0,6}") {
            prop_assert_eq!(matches(&name, &other), name == other);
        }

        #[test]
        fn an_escaped_name_matches_itself(name in "[ -~\u{fc}]{0,9}") {
            let escaped: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&escaped, &name));
        }
    }
}
