//! What a user can do about a rejection: the one option that settles it.

use super::finding::ReleaseFinding;
use super::reason::{ConflictSubject, RejectionReason};

/// Returns the option that would settle it, if one would.
pub(super) fn advice(reason: &RejectionReason, evidence: &[ReleaseFinding]) -> Option<String> {
    Some(match reason {
        RejectionReason::OtherSystem { .. } => return None,
        RejectionReason::Unknown => format!("{}, or add a rule to media.d", by_name(evidence)),
        RejectionReason::Conflict { about, left, right } => match about {
            ConflictSubject::Architecture => {
                let arches = left.arches.iter().chain(&right.arches);
                format!("say which with {}", options("-a", arches.map(|arch| arch.name())))
            }
            _ => match releases(left, right) {
                Some(releases) => format!("say which with {releases}"),
                None => by_name(evidence),
            },
        },
        RejectionReason::Derivative { .. } | RejectionReason::Unconfirmed { .. } => by_name(evidence),
        RejectionReason::NotAnInstallMedium {
            packages: false, ..
        } => return None,
        RejectionReason::NotAnInstallMedium { product, .. } => {
            format!("to import its packages all the same, name it with -n {product}")
        }
        RejectionReason::Unnameable { .. } => "name it with -n".to_owned(),
        RejectionReason::VersionUnknown { family, .. } => format!("say which with -n {family}VERSION"),
        RejectionReason::ArchUnknown { .. } => {
            let seen: Vec<&str> = named_arches(evidence).collect();
            if seen.is_empty() {
                "give it with -a, as in -a x86_64".to_owned()
            } else {
                format!("say which with {}", options("-a", seen.into_iter()))
            }
        }
        RejectionReason::OtherArch { .. } => {
            "to import it all the same, give both its name and the nearest architecture with -n and -a"
                .to_owned()
        }
        RejectionReason::WrongArch { found, .. } => format!(
            "take it as it is with {}",
            options("-a", found.iter().map(|arch| arch.name()))
        ),
    })
}

/// With `-n`, and `-a` where nothing else says the architecture.
fn by_name(evidence: &[ReleaseFinding]) -> String {
    let options = match named_arches(evidence).next() {
        Some(_) => "-n",
        None => "-n (and -a)",
    };
    format!("to import it all the same, name it with {options}")
}

fn named_arches(evidence: &[ReleaseFinding]) -> impl Iterator<Item = &'static str> {
    evidence
        .iter()
        .flat_map(|finding| &finding.arches)
        .map(|arch| arch.name())
}

/// The releases that both sides of a conflict name.
fn releases(left: &ReleaseFinding, right: &ReleaseFinding) -> Option<String> {
    let release = |finding: &ReleaseFinding| {
        let family = finding.family.as_ref()?;
        Some(format!("{family}{}", finding.version.as_ref()?))
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
