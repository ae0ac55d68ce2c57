//! What a user can do about a refusal: the one option that settles it.

use super::claim::Claim;
use super::refusal::{Reason, Subject};

/// Returns the option that would settle it, if one would.
pub(super) fn advice(reason: &Reason, evidence: &[Claim]) -> Option<String> {
    Some(match reason {
        Reason::OtherSystem { .. } => return None,
        Reason::Unknown => format!("{}, or add a rule to media.d", by_name(evidence)),
        Reason::Conflict { about, left, right } => match about {
            Subject::Architecture => {
                let arches = left.arches.iter().chain(&right.arches);
                format!("say which with {}", options("-a", arches.map(|arch| arch.name())))
            }
            _ => match releases(left, right) {
                Some(releases) => format!("say which with {releases}"),
                None => by_name(evidence),
            },
        },
        Reason::Derivative { .. } | Reason::Unconfirmed { .. } => by_name(evidence),
        Reason::NotAnInstallMedium {
            packages: false, ..
        } => return None,
        Reason::NotAnInstallMedium { product, .. } => {
            format!("to import its packages all the same, name it with -n {product}")
        }
        Reason::Unnameable { .. } => "name it with -n".to_owned(),
        Reason::VersionUnknown { family, .. } => format!("say which with -n {family}VERSION"),
        Reason::ArchUnknown { .. } => {
            let seen: Vec<&str> = named_arches(evidence).collect();
            if seen.is_empty() {
                "give it with -a, as in -a x86_64".to_owned()
            } else {
                format!("say which with {}", options("-a", seen.into_iter()))
            }
        }
        Reason::OtherArch { .. } => {
            "to import it all the same, give both its name and the nearest architecture with -n and -a"
                .to_owned()
        }
        Reason::WrongArch { found, .. } => format!(
            "take it as it is with {}",
            options("-a", found.iter().map(|arch| arch.name()))
        ),
    })
}

/// With `-n`, and `-a` where nothing else tells the architecture.
fn by_name(evidence: &[Claim]) -> String {
    let options = match named_arches(evidence).next() {
        Some(_) => "-n",
        None => "-n (and -a)",
    };
    format!("to import it all the same, name it with {options}")
}

fn named_arches(evidence: &[Claim]) -> impl Iterator<Item = &'static str> {
    evidence
        .iter()
        .flat_map(|claim| &claim.arches)
        .map(|arch| arch.name())
}

/// The releases that both sides of a conflict name.
fn releases(left: &Claim, right: &Claim) -> Option<String> {
    let release = |claim: &Claim| {
        let family = claim.family.as_ref()?;
        Some(format!("{family}{}", claim.version.as_ref()?))
    };
    let both = [release(left)?, release(right)?];
    Some(options("-n", both.iter().map(String::as_str)))
}

/// `-a aarch64 or -a x86_64`.
fn options<'a>(option: &str, values: impl Iterator<Item = &'a str>) -> String {
    let mut values: Vec<_> = values.map(|value| format!("{option} {value}")).collect();
    values.sort();
    values.dedup();
    values.join(" or ")
}
