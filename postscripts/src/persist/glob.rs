//! Shell patterns as the network backends use them for device and file names: `*`, `?`, `[a-z]`,
//! `[!a]`. Reference: fnmatch(3), without its flags.

/// Whether the whole of `name` fits `pattern`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name)
}

fn fits(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|taken| fits(rest, &name[taken..])),
        ['?', rest @ ..] => !name.is_empty() && fits(rest, &name[1..]),
        ['[', rest @ ..] => match (rest.iter().skip(1).position(|c| *c == ']'), name) {
            (Some(end), [first, tail @ ..]) => {
                in_class(&rest[..=end], *first) && fits(&rest[end + 2..], tail)
            }
            _ => name.first() == Some(&'[') && fits(rest, &name[1..]),
        },
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            name.first() == Some(literal) && fits(rest, &name[1..])
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, members) = match class {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut inside = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            inside |= (members[at]..=members[at + 2]).contains(&c);
            at += 3;
        } else {
            inside |= members[at] == c;
            at += 1;
        }
    }
    inside != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let cases = [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("en*", "enp3s0", true),
            ("e*0", "enp3s0", true),
            ("eth?", "eth", false),
            ("eth[0-3]", "eth2", true),
            ("eth[!0-3]", "eth2", false),
            ("*", "", true),
            ("a[", "a[", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
