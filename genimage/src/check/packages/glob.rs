//! Wildcards as package managers take them in names: `*`, `?` and `[…]` (fnmatch(3)).

/// Whether a name is a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether a name fits a pattern. An unclosed bracket is a plain character.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        if let Some(length) = one(&pattern[p..], name[n]) {
            p += length;
            n += 1;
            continue;
        }
        // Back to the last star, which takes one byte more: never more than length times length steps.
        let Some((at, taken)) = star else {
            return false;
        };
        star = Some((at, taken + 1));
        (p, n) = (at + 1, taken + 1);
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern match this byte of the name, if its beginning does.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => match rest.iter().skip(1).position(|end| *end == b']') {
            Some(end) => set(&rest[..=end], byte).then_some(end + 3),
            None => (byte == b'[').then_some(1),
        },
        [same, ..] => (*same == byte).then_some(1),
        [] => None,
    }
}

/// Whether a byte is in a set such as `a-z_` or `!0-9`.
fn set(set: &[u8], byte: u8) -> bool {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        set = match set {
            [from, b'-', to, rest @ ..] => {
                found |= (*from..=*to).contains(&byte);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == byte;
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
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("lib[a-c]x", "libbx", true),
            ("lib[!a-c]x", "libbx", false),
            ("lib[!a-c]x", "libdx", true),
            ("a[b", "a[b", true),
            ("[]]", "]", true),
            ("a*b*c", "a-b-b-c", true),
            ("", "", true),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in "[a-c*?\\[\\]!-]{0,12}", name in "[a-c\\[\\]-]{0,12}") {
            let _ = matches(&pattern, &name);
        }

        #[test]
        fn a_name_without_wildcards_matches_itself_alone(name in "[a-c.+-]{0,6}", other in "[a-c.+-]{0,6}") {
            prop_assert_eq!(matches(&name, &other), name == other);
        }
    }
}
