//! From claims to a verdict: the most precise of what agrees, and an error that shows both sides of
//! what does not. Pure, and the order of the claims does not matter.

use definitions::{Arch, Distro};

use super::claim::{Claim, Version, Weight};
use super::confirm::confirm;
use super::evidence::{Evidence, ROOT};
use super::hear::{Heard, hear};
use super::installer;
use super::refusal::{Reason, Refusal, Subject};
use super::rules::{Family, Rules};
use super::verdict::{Verdict, Wanted};

/// Says what a medium is.
///
/// With `-n` the medium may be anything that holds something to install, except another operating
/// system: the name is taken, and the evidence still tells the architecture. With `-a` an architecture
/// that the medium leaves open is settled; one that it contradicts is refused.
///
/// # Errors
/// Every [`Refusal`] names what was seen.
pub fn identify(evidence: &Evidence, rules: &Rules, wanted: &Wanted) -> Result<Verdict, Refusal> {
    let heard = hear(evidence, rules);
    decide(evidence, &heard, rules, wanted).map_err(|reason| Refusal {
        reason,
        evidence: heard.claims,
    })
}

fn decide(
    evidence: &Evidence,
    heard: &Heard,
    rules: &Rules,
    wanted: &Wanted,
) -> Result<Verdict, Reason> {
    reject_other_systems(heard, wanted)?;
    let mut claims: Vec<&Claim> = heard.claims.iter().collect();
    claims.retain(|claim| !claim.is_empty());
    claims.sort();
    let family = match &wanted.name {
        Some(_) => family_of(&claims, rules).ok().flatten(),
        None => family_of(&claims, rules)?,
    };
    let distro = match (&wanted.name, family) {
        (Some(name), _) => name.clone(),
        (None, Some(family)) => release_of(&claims, family, heard)?,
        (None, None) => return Err(Reason::Unknown),
    };
    let arch = arch_of(&claims, family, wanted)?;
    reject_empty_media(evidence, &claims, &distro, wanted)?;
    let best = best_words(&claims, family);
    Ok(Verdict {
        product: best.product,
        codename: best.codename,
        variant: best.variant,
        installer: installer::of(evidence, &distro),
        disc: claims.iter().find_map(|claim| claim.disc),
        distro,
        arch,
        evidence: heard.claims.clone(),
    })
}

fn reject_other_systems(heard: &Heard, wanted: &Wanted) -> Result<(), Reason> {
    match &heard.other {
        Some((rule, true, claim)) if wanted.name.is_none() => Err(Reason::Derivative {
            product: claim.says.clone(),
            rule: Some(rule.clone()),
        }),
        Some((system, false, _)) => Err(Reason::OtherSystem {
            system: system.clone(),
        }),
        _ => Ok(()),
    }
}

/// Finds the one family that the firm claims speak for; hints count only where there is none.
fn family_of<'r>(claims: &[&Claim], rules: &'r Rules) -> Result<Option<&'r Family>, Reason> {
    let foreign = claims.iter().find(|claim| claim.weight == Weight::Foreign);
    let of = |weight| {
        claims
            .iter()
            .filter(move |claim| claim.weight == weight && claim.family.is_some())
    };
    if let Some(foreign) = foreign {
        return Err(match of(Weight::Firm).next() {
            _ if is_debian_made(&foreign.source) => Reason::Derivative {
                product: foreign.says.clone(),
                rule: None,
            },
            Some(firm) => conflict(Subject::Distribution, firm, foreign),
            None => Reason::Unknown,
        });
    }
    let weight = match of(Weight::Firm).next() {
        Some(_) => Weight::Firm,
        None => Weight::Hint,
    };
    let Some(first) = of(weight).next() else {
        return Ok(None);
    };
    if let Some(second) = of(weight).find(|claim| claim.family != first.family) {
        return Err(conflict(Subject::Distribution, first, second));
    }
    let named = |family: &&Family| Some(&family.name) == first.family.as_ref();
    let family = rules.families.iter().find(named);
    let others = |claim: &&&Claim| {
        let carries = |name| family.is_some_and(|family| family.carries.contains(name));
        claim.source == "the package"
            && claim.family != first.family
            && !claim.family.as_ref().is_some_and(carries)
    };
    match of(Weight::Hint).find(others) {
        Some(package) => Err(conflict(Subject::Distribution, first, package)),
        None => Ok(family),
    }
}

/// Only Debian and what is built from it have these files.
fn is_debian_made(source: &str) -> bool {
    source.contains(".disk/") || source.contains("diskdefines") || source.contains("dists/")
}

/// Claims that count for a family: its own, and those of a format that names none.
pub(super) fn heeded<'a>(
    claims: &'a [&Claim],
    family: &'a Family,
) -> impl Iterator<Item = &'a Claim> {
    claims.iter().copied().filter(|claim| {
        claim
            .family
            .as_ref()
            .is_none_or(|name| *name == family.name)
    })
}

fn release_of(claims: &[&Claim], family: &Family, heard: &Heard) -> Result<Distro, Reason> {
    let versions = |weight| {
        heeded(claims, family)
            .filter(move |claim| claim.weight == weight)
            .filter_map(|claim| Some((claim, claim.version.as_ref()?)))
            .collect::<Vec<_>>()
    };
    let firm = most_precise(&versions(Weight::Firm))?;
    let hint = most_precise(&versions(Weight::Hint)).ok().flatten();
    let known = match (firm, hint) {
        // its own packages and suites may know less than the medium, but nothing else
        (Some((claim, firm)), Some((other, hint)))
            if firm.is_numbered() && hint.is_numbered() && !firm.agrees(hint) =>
        {
            return Err(conflict(Subject::Version, claim, other));
        }
        (Some((_, firm)), Some((_, hint))) if hint.refines(firm) && firm.agrees(hint) => Some(hint),
        (Some((_, version)), _) | (None, Some((_, version))) => Some(version),
        (None, None) => by_codename(claims, family),
    };
    let Some(version) = known else {
        return Err(Reason::VersionUnknown {
            product: family.product.clone(),
            family: family.name.clone(),
        });
    };
    confirm(claims, family, version)?;
    let marked = heard
        .mark
        .as_ref()
        .filter(|mark| !version.has_part(mark))
        .map(|mark| version.marked(mark));
    let version = marked.as_ref().unwrap_or(version);
    Distro::new(&family.name, version.as_str()).map_err(|reason| Reason::Unnameable { reason })
}

/// The version that belongs to a codename, for a label that holds only that.
fn by_codename<'a>(claims: &[&Claim], family: &'a Family) -> Option<&'a Version> {
    let codename = heeded(claims, family).find_map(|claim| claim.codename.as_ref())?;
    let (version, _) = family.codenames.iter().find(|(_, name)| name == codename)?;
    Some(version)
}

/// Takes the version that knows most, if all the others agree with it.
fn most_precise<'a>(
    versions: &[(&'a Claim, &'a Version)],
) -> Result<Option<(&'a Claim, &'a Version)>, Reason> {
    let best = versions.iter().copied().reduce(
        |best, next| {
            if next.1.refines(best.1) { next } else { best }
        },
    );
    let Some((claim, known)) = best else {
        return Ok(None);
    };
    match versions.iter().find(|(_, version)| !version.agrees(known)) {
        Some((other, _)) => Err(conflict(Subject::Version, claim, other)),
        None => Ok(best),
    }
}

/// Settles the architecture: what all firm claims allow, else what the hints do, else `-a`.
fn arch_of(
    claims: &[&Claim],
    family: Option<&Family>,
    wanted: &Wanted,
) -> Result<Option<Arch>, Reason> {
    let counts = |claim: &&&Claim| match family {
        Some(family) => claim
            .family
            .as_ref()
            .is_none_or(|name| *name == family.name),
        None => true,
    };
    let of = |weight| {
        claims
            .iter()
            .filter(move |claim| claim.weight == weight && !claim.arches.is_empty())
            .filter(counts)
    };
    let told = wanted.name.is_some() && wanted.arch.is_some();
    let other = claims.iter().filter(counts);
    if let Some(word) = other.filter_map(|claim| claim.other_arch.clone()).next()
        && !told
    {
        return Err(Reason::OtherArch { word });
    }
    let Some(first) = of(Weight::Firm).min_by_key(|claim| claim.arches.len()) else {
        let mut hinted: Vec<Arch> = of(Weight::Hint)
            .flat_map(|claim| claim.arches.clone())
            .collect();
        hinted.sort();
        hinted.dedup();
        let only = (hinted.len() == 1).then(|| hinted[0]);
        return Ok(wanted.arch.or(only));
    };
    let mut allowed = first.arches.clone();
    for claim in of(Weight::Firm) {
        allowed.retain(|arch| claim.arches.contains(arch));
        if allowed.is_empty() && wanted.arch.is_none() {
            return Err(conflict(Subject::Architecture, first, claim));
        }
    }
    match wanted.arch {
        // -a decides between claims that contradict each other, if one of them names it
        Some(arch) if allowed.is_empty() => {
            let named: Vec<Arch> = of(Weight::Firm)
                .flat_map(|claim| claim.arches.clone())
                .collect();
            if named.contains(&arch) {
                Ok(Some(arch))
            } else {
                Err(wrong_arch(arch, named))
            }
        }
        Some(arch) if allowed.contains(&arch) => Ok(Some(arch)),
        Some(arch) => Err(wrong_arch(arch, allowed)),
        // a disc for several architectures names its first one first
        None => Ok(allowed.first().copied()),
    }
}

fn wrong_arch(wanted: Arch, mut found: Vec<Arch>) -> Reason {
    found.sort();
    found.dedup();
    Reason::WrongArch { wanted, found }
}

/// The words of a verdict that decide nothing.
struct Words {
    product: String,
    codename: Option<String>,
    variant: Option<String>,
}

fn best_words(claims: &[&Claim], family: Option<&Family>) -> Words {
    let mut heard: Vec<&Claim> = match family {
        Some(family) => heeded(claims, family).collect(),
        None => claims.to_vec(),
    };
    heard.sort_by_key(|claim| (claim.weight != Weight::Firm, source_rank(&claim.source)));
    let codename = heard.iter().find_map(|claim| claim.codename.clone());
    let variant = heard.iter().find_map(|claim| claim.variant.clone());
    let product = match family {
        Some(family) => family.product.clone(),
        None => heard
            .first()
            .map_or_else(String::new, |claim| claim.says.clone()),
    };
    Words {
        product,
        codename,
        variant,
    }
}

/// Files say more than labels.
fn source_rank(source: &str) -> u8 {
    match source {
        _ if source.contains(".disk/") => 0,
        _ if source.contains("treeinfo") => 1,
        "volume id" | "application id" => 3,
        _ => 2,
    }
}

/// A disc whose names are known and hold nothing that could be installed or booted is no install medium,
/// whatever it calls itself. A label alone is taken for a release where there is an installer or the index
/// of a repository; a file that speaks of the release makes packages enough, and `-n` anything at all.
fn reject_empty_media(
    evidence: &Evidence,
    claims: &[&Claim],
    distro: &Distro,
    wanted: &Wanted,
) -> Result<(), Reason> {
    let names = &evidence.names;
    let files = names.iter().filter(|name| *name != ROOT).count();
    let packages = installer::holds_packages(names);
    let label = |claim: &&Claim| matches!(&*claim.source, "volume id" | "application id");
    let enough = names.is_empty()
        || wanted.name.is_some() && files > 0
        || packages && !claims.iter().all(label)
        || installer::of(evidence, distro).is_some()
        || installer::holds_index(names)
        || installer::holds_boot(names);
    if enough {
        return Ok(());
    }
    Err(Reason::NotAnInstallMedium {
        product: distro.to_string(),
        files,
        packages,
    })
}

fn conflict(about: Subject, left: &Claim, right: &Claim) -> Reason {
    Reason::Conflict {
        about,
        left: Box::new(left.clone()),
        right: Box::new(right.clone()),
    }
}
