//! What was meant by a misspelt name: one measure for every message that offers a correction.
//!
//! A wrong name and the known ones come in; the nearest go out. Pure.

/// No more names are offered.
const MAX_COUNT: usize = 3;

/// Returns the names that are nearest to one that is not known: at most three, the nearest first.
///
/// A name is near when at most a third of its letters differ, or their case alone. When none is, those that go on where the
/// misspelt one ends (`docker` → `docker-compose`) are.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = letters(wrong);
    let mut near: Vec<(usize, &str)> = Vec::new();
    let mut longer: Vec<&str> = Vec::new();
    let mut best = usize::MAX;
    for name in known {
        if name.eq_ignore_ascii_case(wrong) {
            best = 0;
            near.push((0, name));
            continue;
        }
        let reach = (wrong.len().max(name.len()) / 3).min(best.saturating_add(1));
        if wrong.len().abs_diff(name.len()) <= reach && fewest_edits(wanted, letters(name)) <= reach
        {
            let distance = strsim::osa_distance(wrong, name);
            if distance <= reach {
                best = best.min(distance);
                near.push((distance, name));
            }
        } else if longer.len() < MAX_COUNT
            && let Some(rest) = name.strip_prefix(wrong)
            && rest.starts_with(['-', '.', '_'])
        {
            longer.push(name);
        }
    }
    near.retain(|(distance, _)| *distance <= best.saturating_add(1));
    near.sort_unstable();
    near.dedup();
    near.truncate(MAX_COUNT);
    if near.is_empty() {
        longer.dedup();
        return longer;
    }
    near.into_iter().map(|(_, name)| name).collect()
}

/// Returns the nearest name alone.
pub fn best_match<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(wrong, known).first().copied()
}

/// Returns the question `did you mean 'a', 'b' or 'c'?`, or nothing where no name is near.
pub fn did_you_mean(names: &[&str]) -> Option<String> {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    match quoted.split_last()? {
        (last, []) => Some(format!("did you mean {last}?")),
        (last, others) => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

/// How many letters one set has that the other has not: no fewer edits lead from name to name.
fn fewest_edits(a: u64, b: u64) -> usize {
    let (more, less) = (a & !b, b & !a);
    more.count_ones().max(less.count_ones()) as usize
}

/// The set of letters, so that most names are passed over without being compared.
fn letters(name: &str) -> u64 {
    name.bytes()
        .fold(0, |set, byte| set | 1 << (byte.wrapping_sub(b'+') & 63))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KNOWN: [&str; 6] = [
        "docker-compose",
        "docker.io",
        "nfs-common",
        "openssh-client",
        "openssh-server",
        "openvas-server",
    ];

    #[test]
    fn the_nearest_come_first_and_what_is_far_does_not_come() {
        for (wrong, offered) in [
            ("opensh-server", &["openssh-server"][..]),
            ("docker", &["docker.io"]),
            ("dockre-compose", &["docker-compose"]),
            ("open", &[]),
            ("xyz", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(wrong, KNOWN), offered, "{wrong}");
        }
        assert_eq!(nearest("N1", ["n2", "n1"]), ["n1"]);
        assert_eq!(
            nearest("docker", ["docker-compose-plugin"]),
            ["docker-compose-plugin"]
        );
    }

    #[test]
    fn what_is_offered_is_a_question() {
        assert_eq!(did_you_mean(&[]), None);
        assert_eq!(did_you_mean(&["a"]).unwrap(), "did you mean 'a'?");
        let several = did_you_mean(&["a", "b", "c"]).unwrap();
        assert_eq!(several, "did you mean 'a', 'b' or 'c'?");
    }

    proptest! {
        #[test]
        fn nothing_that_is_nearest_of_all_is_passed_over(
            wrong in "[a-z+.-]{1,9}", known in proptest::collection::vec("[a-z+.-]{1,9}", 1..9)
        ) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let least = known.iter().map(|name| (strsim::osa_distance(&wrong, name), *name)).min().unwrap();
            let reach = wrong.len().max(least.1.len()) / 3;
            if least.0 <= reach {
                let offered = nearest(&wrong, known.iter().copied());
                prop_assert_eq!(strsim::osa_distance(&wrong, offered[0]), least.0);
            }
        }
    }
}
