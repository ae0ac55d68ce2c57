//! One assignment for many nodes: `ip=10.1.2.1-10.1.2.100` gives each of a hundred nodes an address of its own.

use std::cmp::Ordering;
use std::net::IpAddr;

use anyhow::{Result, ensure};

use super::assignment::Assignment;

/// The attributes of which no two nodes have the same value.
const SPREAD: [&str; 2] = ["ip", "ip6"];

/// Says what each of several nodes gets: the same, but for ranges of addresses, which are handed out by name.
///
/// # Errors
/// When a range has not as many addresses as there are nodes.
pub(super) fn over(
    names: &mut [String],
    assignments: &[Assignment],
) -> Result<Vec<Vec<Assignment>>> {
    let mut assigned = vec![assignments.to_vec(); names.len()];
    for (at, assignment) in assignments.iter().enumerate() {
        let Some((first, last)) = range(assignment) else {
            continue;
        };
        let count = last
            .checked_sub(first)
            .map_or(0, |span| span.saturating_add(1));
        ensure!(
            count == names.len() as u128,
            "{}={} has {count} addresses, and the nodes are {}",
            assignment.attribute,
            assignment.value,
            names.len()
        );
        names.sort_by(|one, other| by_number(one, other));
        for (assigned, number) in assigned.iter_mut().zip(first..) {
            assigned[at].value = if assignment.value.contains(':') {
                IpAddr::from(number.to_be_bytes()).to_string()
            } else {
                IpAddr::from((number as u32).to_be_bytes()).to_string()
            };
        }
    }
    Ok(assigned)
}

/// Reads `FIRST-LAST`, two addresses of one family.
fn range(assignment: &Assignment) -> Option<(u128, u128)> {
    if !SPREAD.contains(&assignment.attribute.as_str()) {
        return None;
    }
    let (first, last) = assignment.value.split_once('-')?;
    match (first.trim().parse().ok()?, last.trim().parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Some((first.to_bits().into(), last.to_bits().into()))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => Some((first.to_bits(), last.to_bits())),
        _ => None,
    }
}

/// Compares names as people count: `web2` goes before `web10`.
fn by_number(one: &str, other: &str) -> Ordering {
    parts(one).cmp(&parts(other)).then_with(|| one.cmp(other))
}

/// Splits a name into what is between numbers, and the numbers without leading zeros, by length first.
fn parts(name: &str) -> Vec<(&str, usize, &str)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, number) = rest.split_at(digits);
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        let value = number[..end].trim_start_matches('0');
        parts.push((text, value.len(), value));
        rest = &number[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(names: &[&str], assignments: &[&str]) -> Result<Vec<String>> {
        let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let assignments: Result<Vec<Assignment>> =
            assignments.iter().map(|text| text.parse()).collect();
        let assigned = over(&mut names, &assignments?)?;
        let values = |assigned: Vec<Assignment>| {
            let values = assigned.into_iter().map(|assignment| assignment.value);
            values.collect::<Vec<_>>().join(" ")
        };
        let pairs = names.into_iter().zip(assigned);
        Ok(pairs
            .map(|(name, assigned)| format!("{name} {}", values(assigned)))
            .collect())
    }

    #[test]
    fn each_node_gets_the_address_of_its_number() {
        assert_eq!(
            assigned(
                &["web10", "web2", "web1"],
                &[
                    "mgt=docker",
                    "ip=10.1.1.255-10.1.2.1",
                    "ip6=fd00::9-fd00::b"
                ]
            )
            .unwrap(),
            [
                "web1 docker 10.1.1.255 fd00::9",
                "web2 docker 10.1.2.0 fd00::a",
                "web10 docker 10.1.2.1 fd00::b"
            ]
        );
        // What is no range is the same for all, as it was.
        assert_eq!(
            assigned(&["b", "a"], &["ip=10.1.1.1", "usercomment=a-b"]).unwrap(),
            ["b 10.1.1.1 a-b", "a 10.1.1.1 a-b"]
        );
    }

    #[test]
    fn a_range_has_as_many_addresses_as_there_are_nodes() {
        for (range, count) in [
            ("10.1.2.1-10.1.2.3", 3),
            ("10.1.2.3-10.1.2.1", 0),
            ("10.1.2.1-10.1.2.1", 1),
        ] {
            let error = assigned(&["a", "b"], &[&format!("ip={range}")]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("ip={range} has {count} addresses, and the nodes are 2")
            );
        }
    }
}
