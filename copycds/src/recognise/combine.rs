//! From claims to a verdict: the most precise of what agrees, and an error that shows both sides of
//! what does not. Pure, and the order of the claims does not matter.

use definitions::{Arch, Distro};

use super::claim::{Claim, Version, Weight};
use super::evidence::Evidence;
use super::hear::{Heard, hear};
use super::installer;
use super::refusal::Refusal;
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
    reject_other_systems(&heard, wanted)?;
    let mut claims: Vec<&Claim> = heard.claims.iter().collect();
    claims.sort();
    let family = match &wanted.name {
        Some(_) => family_of(&claims, rules).ok().flatten(),
        None => family_of(&claims, rules)?,
    };
    let arch = arch_of(&claims, family, wanted)?;
    let distro = match (&wanted.name, family) {
        (Some(name), _) => name.clone(),
        (None, Some(family)) => release_of(&claims, family, &heard)?,
        (None, None) => {
            return Err(Refusal::Unknown {
                evidence: heard.claims,
            });
        }
    };
    let best = best_words(&claims, family);
    let verdict = Verdict {
        product: best.product,
        codename: best.codename,
        variant: best.variant,
        installer: installer::of(evidence, &distro),
        disc: claims.iter().find_map(|claim| claim.disc),
        distro,
        arch,
        evidence: heard.claims.clone(),
    };
    reject_empty_media(evidence, &heard, verdict)
}

fn reject_other_systems(heard: &Heard, wanted: &Wanted) -> Result<(), Refusal> {
    match &heard.other {
        Some((name, true, claim)) if wanted.name.is_none() => Err(Refusal::Derivative {
            product: name.clone(),
            evidence: vec![claim.clone()],
        }),
        Some((name, false, claim)) => Err(Refusal::OtherSystem {
            system: name.clone(),
            evidence: vec![claim.clone()],
        }),
        _ => Ok(()),
    }
}

/// Finds the one family that the firm claims speak for; hints count only where there is none.
fn family_of<'r>(claims: &[&Claim], rules: &'r Rules) -> Result<Option<&'r Family>, Refusal> {
    let foreign = claims.iter().find(|claim| claim.weight == Weight::Foreign);
    let of = |weight| {
        claims
            .iter()
            .filter(move |claim| claim.weight == weight && claim.family.is_some())
    };
    if let Some(foreign) = foreign {
        let evidence = owned(claims);
        let product = foreign.says.clone();
        return Err(match of(Weight::Firm).next() {
            _ if is_debian_made(&foreign.source) => Refusal::Derivative { product, evidence },
            Some(firm) => conflict("the distribution", firm, foreign),
            None => Refusal::Unknown { evidence },
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
        return Err(conflict("the distribution", first, second));
    }
    let named = |family: &&Family| Some(&family.name) == first.family.as_ref();
    Ok(rules.families.iter().find(named))
}

/// Only Debian and what is built from it have these files.
fn is_debian_made(source: &str) -> bool {
    source.contains(".disk/") || source.contains("dists/")
}

/// Claims that count for a family: its own, and those of a format that names none.
fn heeded<'a>(claims: &'a [&Claim], family: &'a Family) -> impl Iterator<Item = &'a Claim> {
    claims.iter().copied().filter(|claim| {
        claim
            .family
            .as_ref()
            .is_none_or(|name| *name == family.name)
    })
}

fn release_of(claims: &[&Claim], family: &Family, heard: &Heard) -> Result<Distro, Refusal> {
    let versions = |weight| {
        heeded(claims, family)
            .filter(move |claim| claim.weight == weight)
            .filter_map(|claim| Some((claim, claim.version.as_ref()?)))
            .collect::<Vec<_>>()
    };
    let firm = most_precise(&versions(Weight::Firm))?;
    let hint = most_precise(&versions(Weight::Hint)).ok().flatten();
    let known = match (firm, hint) {
        (Some((_, firm)), Some((_, hint))) if firm.agrees(hint) && hint.refines(firm) => Some(hint),
        (Some((_, version)), _) | (None, Some((_, version))) => Some(version),
        (None, None) => by_codename(claims, family),
    };
    let Some(version) = known else {
        return Err(Refusal::VersionUnknown {
            family: family.product.clone(),
            evidence: heard.claims.clone(),
        });
    };
    reject_wrong_codename(claims, family, version)?;
    Distro::new(&family.name, version.as_str()).map_err(|reason| Refusal::Unnameable {
        reason,
        evidence: heard.claims.clone(),
    })
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
) -> Result<Option<(&'a Claim, &'a Version)>, Refusal> {
    let best = versions.iter().copied().reduce(
        |best, next| {
            if next.1.refines(best.1) { next } else { best }
        },
    );
    let Some((claim, known)) = best else {
        return Ok(None);
    };
    match versions.iter().find(|(_, version)| !version.agrees(known)) {
        Some((other, _)) => Err(conflict("the version", claim, other)),
        None => Ok(best),
    }
}

/// A line that pairs a version with another release's codename is a derivative's.
fn reject_wrong_codename(
    claims: &[&Claim],
    family: &Family,
    version: &Version,
) -> Result<(), Refusal> {
    for claim in heeded(claims, family).filter(|claim| claim.weight == Weight::Firm) {
        let Some(codename) = &claim.codename else {
            continue;
        };
        let of_version = |(known, _): &&(Version, String)| known.agrees(version);
        let of_name = |(_, name): &&(Version, String)| name == codename;
        let contradicted = match family.codenames.iter().find(of_version) {
            Some((_, name)) => name != codename,
            None => {
                version.as_str().starts_with(|c: char| c.is_ascii_digit())
                    && family.codenames.iter().any(|known| of_name(&known))
            }
        };
        if contradicted {
            return Err(Refusal::Derivative {
                product: claim.says.clone(),
                evidence: owned(claims),
            });
        }
    }
    Ok(())
}

/// Settles the architecture: what all firm claims allow, else what the hints do, else `-a`.
fn arch_of(
    claims: &[&Claim],
    family: Option<&Family>,
    wanted: &Wanted,
) -> Result<Option<Arch>, Refusal> {
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
            return Err(conflict("the architecture", first, claim));
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

fn wrong_arch(wanted: Arch, mut found: Vec<Arch>) -> Refusal {
    found.sort();
    found.dedup();
    Refusal::WrongArch { wanted, found }
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

/// A disc that calls itself a release in a file of its own, holds other files besides, and among them
/// nothing that could be installed or booted, is no install medium.
fn reject_empty_media(
    evidence: &Evidence,
    heard: &Heard,
    verdict: Verdict,
) -> Result<Verdict, Refusal> {
    let part_of_file = |name: &String| {
        evidence.files.keys().any(|path| {
            path.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let beside = evidence.names.iter().any(|name| !part_of_file(name));
    if evidence.files.is_empty() || !beside || installer::holds_content(&evidence.names) {
        return Ok(verdict);
    }
    Err(Refusal::NotAnInstallMedium {
        product: verdict.distro.to_string(),
        files: evidence.names.len(),
        evidence: heard.claims.clone(),
    })
}

fn conflict(about: &'static str, left: &Claim, right: &Claim) -> Refusal {
    Refusal::Conflict {
        about,
        left: Box::new(left.clone()),
        right: Box::new(right.clone()),
    }
}

fn owned(claims: &[&Claim]) -> Vec<Claim> {
    claims.iter().map(|claim| (*claim).clone()).collect()
}
