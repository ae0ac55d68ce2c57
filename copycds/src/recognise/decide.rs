//! From findings to an identity: the most precise of what agrees, and an error that shows both sides of
//! what does not. Pure, and the order of the findings does not matter.

use definitions::{Arch, Distro};

use super::confirm::confirm;
use super::evidence::{Evidence, ROOT};
use super::finding::{ReleaseFinding, Version, Weight};
use super::identity::{MediumIdentity, RequestedRelease};
use super::installer;
use super::match_rules::{ReleaseFindings, match_rules};
use super::reason::{ConflictSubject, RejectionReason};
use super::rejection::Rejection;
use super::release_files::ReleaseFile;
use super::rules::{FamilyRules, RecognitionRules};
use super::source::FindingSource;

/// Says what a medium is.
///
/// With `-n` the medium may be anything that holds something to install, except another operating
/// system: the name is taken, and the evidence still gives the architecture. With `-a` an architecture
/// that the medium leaves open is settled; one that it contradicts is refused.
///
/// # Errors
/// Every [`Rejection`] names what was seen.
pub fn identify(
    evidence: &Evidence,
    rules: &RecognitionRules,
    requested: &RequestedRelease,
) -> Result<MediumIdentity, Rejection> {
    let found = match_rules(evidence, rules);
    decide(evidence, &found, rules, requested).map_err(|reason| Rejection {
        reason,
        evidence: found.all,
        trees: evidence.trees_in_directories(),
    })
}

fn decide(
    evidence: &Evidence,
    found: &ReleaseFindings,
    rules: &RecognitionRules,
    requested: &RequestedRelease,
) -> Result<MediumIdentity, RejectionReason> {
    reject_other_systems(found, requested)?;
    let mut findings: Vec<&ReleaseFinding> = found.all.iter().collect();
    findings.retain(|finding| !finding.is_empty());
    findings.sort();
    let family = match &requested.name {
        Some(_) => family_of(&findings, rules).ok().flatten(),
        None => family_of(&findings, rules)?,
    };
    let distro = match (&requested.name, family) {
        (Some(name), _) => name.clone(),
        (None, Some(family)) => release_of(&findings, family, found)?,
        (None, None) => return Err(RejectionReason::Unknown),
    };
    let arch = arch_of(&findings, found.packages.as_ref(), family, requested)?;
    reject_empty_media(evidence, &findings, &distro, requested)?;
    let best = best_words(&findings, family);
    Ok(MediumIdentity {
        product: best.product,
        codename: best.codename,
        variant: best.variant,
        installer: installer::of(evidence, &distro),
        disc: findings.iter().find_map(|finding| finding.disc),
        distro,
        arch,
        evidence: found.all.clone(),
    })
}

fn reject_other_systems(
    found: &ReleaseFindings,
    requested: &RequestedRelease,
) -> Result<(), RejectionReason> {
    match &found.other {
        Some(other) if !other.derivative => Err(RejectionReason::OtherSystem {
            system: other.name.clone(),
        }),
        Some(other) if requested.name.is_none() => Err(RejectionReason::Derivative {
            product: other.finding.says.clone(),
            rule: Some(other.name.clone()),
        }),
        _ => Ok(()),
    }
}

/// Finds the one family that the firm findings name; hints count only where there is none.
fn family_of<'r>(
    findings: &[&ReleaseFinding],
    rules: &'r RecognitionRules,
) -> Result<Option<&'r FamilyRules>, RejectionReason> {
    let foreign = findings
        .iter()
        .find(|finding| finding.weight == Weight::Foreign);
    let of = |weight| {
        findings
            .iter()
            .filter(move |finding| finding.weight == weight && finding.family.is_some())
    };
    if let Some(foreign) = foreign {
        return Err(match of(Weight::Firm).next() {
            _ if foreign.source.file().is_some_and(ReleaseFile::is_of_debian) => {
                RejectionReason::Derivative {
                    product: foreign.says.clone(),
                    rule: None,
                }
            }
            Some(firm) => conflict(ConflictSubject::Distribution, firm, foreign),
            None => RejectionReason::Unknown,
        });
    }
    let weight = match of(Weight::Firm).next() {
        Some(_) => Weight::Firm,
        None => Weight::Hint,
    };
    let Some(first) = of(weight).next() else {
        return Ok(None);
    };
    if let Some(second) = of(weight).find(|finding| finding.family != first.family) {
        return Err(conflict(ConflictSubject::Distribution, first, second));
    }
    let named = |family: &&FamilyRules| Some(&family.name) == first.family.as_ref();
    let family = rules.families.iter().find(named);
    let others = |finding: &&&ReleaseFinding| {
        let carries = |name| family.is_some_and(|family| family.carries.contains(name));
        finding.source == FindingSource::Package
            && finding.family != first.family
            && !finding.family.as_ref().is_some_and(carries)
    };
    match of(Weight::Hint).find(others) {
        Some(package) => Err(conflict(ConflictSubject::Distribution, first, package)),
        None => Ok(family),
    }
}

fn release_of(
    findings: &[&ReleaseFinding],
    family: &FamilyRules,
    found: &ReleaseFindings,
) -> Result<Distro, RejectionReason> {
    let versions = |weight| {
        family
            .relevant(findings)
            .filter(move |finding| finding.weight == weight)
            .filter_map(|finding| Some((finding, finding.version.as_ref()?)))
            .collect::<Vec<_>>()
    };
    let firm = most_precise(&versions(Weight::Firm))?;
    let hint = most_precise(&versions(Weight::Hint)).ok().flatten();
    let known = match (firm, hint) {
        // its own packages and suites may know less than the medium, but nothing else
        (Some((finding, firm)), Some((other, hint)))
            if firm.is_numbered() && hint.is_numbered() && !firm.agrees(hint) =>
        {
            return Err(conflict(ConflictSubject::Version, finding, other));
        }
        (Some((_, firm)), Some((_, hint))) if hint.refines(firm) && firm.agrees(hint) => Some(hint),
        (Some((_, version)), _) | (None, Some((_, version))) => Some(version),
        (None, None) => by_codename(findings, family),
    };
    let Some(version) = known else {
        return Err(RejectionReason::VersionUnknown {
            product: family.product.clone(),
            family: family.name.clone(),
        });
    };
    confirm(findings, family, version)?;
    let marked = found
        .mark
        .as_ref()
        .filter(|mark| !version.has_part(mark))
        .map(|mark| version.marked(mark));
    let version = marked.as_ref().unwrap_or(version);
    Distro::new(&family.name, version.as_str())
        .map_err(|reason| RejectionReason::Unnameable { reason })
}

/// The version that belongs to a codename, for a label that holds only that.
fn by_codename<'a>(findings: &[&ReleaseFinding], family: &'a FamilyRules) -> Option<&'a Version> {
    let codename = family
        .relevant(findings)
        .find_map(|finding| finding.codename.as_ref())?;
    let (version, _) = family.codenames.iter().find(|(_, name)| name == codename)?;
    Some(version)
}

/// Takes the version that knows most, if all the others agree with it.
fn most_precise<'a>(
    versions: &[(&'a ReleaseFinding, &'a Version)],
) -> Result<Option<(&'a ReleaseFinding, &'a Version)>, RejectionReason> {
    let best = versions.iter().copied().reduce(
        |best, next| {
            if next.1.refines(best.1) { next } else { best }
        },
    );
    let Some((finding, known)) = best else {
        return Ok(None);
    };
    match versions.iter().find(|(_, version)| !version.agrees(known)) {
        Some((other, _)) => Err(conflict(ConflictSubject::Version, finding, other)),
        None => Ok(best),
    }
}

/// Settles the architecture: what all firm findings allow and the packages are for, else what the hints do, else
/// `-a`.
fn arch_of(
    findings: &[&ReleaseFinding],
    packages: Option<&ReleaseFinding>,
    family: Option<&FamilyRules>,
    requested: &RequestedRelease,
) -> Result<Option<Arch>, RejectionReason> {
    let counts = |finding: &&&ReleaseFinding| match family {
        Some(family) => finding
            .family
            .as_ref()
            .is_none_or(|name| *name == family.name),
        None => true,
    };
    let of = |weight| {
        findings
            .iter()
            .filter(move |finding| finding.weight == weight && !finding.arches.is_empty())
            .filter(counts)
    };
    let overridden = requested.name.is_some() && requested.arch.is_some();
    let other = findings.iter().copied().filter(|finding| counts(&finding));
    if let Some(word) = other
        .chain(packages)
        .filter_map(|finding| finding.other_arch.clone())
        .next()
        && !overridden
    {
        return Err(RejectionReason::OtherArch { word });
    }
    let Some(first) = of(Weight::Firm).min_by_key(|finding| finding.arches.len()) else {
        let mut hinted: Vec<Arch> = of(Weight::Hint)
            .flat_map(|finding| finding.arches.clone())
            .collect();
        hinted.sort();
        hinted.dedup();
        let fits = |arch: &Arch| packages.is_none_or(|packages| packages.arches.contains(arch));
        let only = (hinted.len() == 1).then(|| hinted[0]).filter(fits);
        return Ok(requested.arch.or(only));
    };
    let firm = || of(Weight::Firm).copied().chain(packages);
    let mut allowed = first.arches.clone();
    for finding in firm() {
        allowed.retain(|arch| finding.arches.contains(arch));
        if allowed.is_empty() && requested.arch.is_none() {
            return Err(conflict(ConflictSubject::Architecture, first, finding));
        }
    }
    let boots = |finding: &&&ReleaseFinding| {
        let named = |arch: &Arch| allowed.iter().any(|other| boots_alike(*arch, *other));
        finding.source == FindingSource::Name && finding.arches.iter().any(named)
    };
    let mut loaders = of(Weight::Hint).filter(|finding| finding.source == FindingSource::Name);
    if requested.arch.is_none()
        && !of(Weight::Hint).any(|finding| boots(&finding))
        && let Some(loader) = loaders.next()
    {
        return Err(conflict(ConflictSubject::Architecture, first, loader));
    }
    match requested.arch {
        // -a decides between findings that contradict each other, if one of them names it
        Some(arch) if allowed.is_empty() => {
            let named: Vec<Arch> = firm().flat_map(|finding| finding.arches.clone()).collect();
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

/// Whether the firmware of one machine starts the loaders of the other: media for 32-bit x86 have loaders for 64-bit
/// firmware, and those of POWER are in directories of either name.
fn boots_alike(one: Arch, other: Arch) -> bool {
    let is_of = |pair: [Arch; 2]| pair.contains(&one) && pair.contains(&other);
    one == other || is_of([Arch::X86, Arch::X86_64]) || is_of([Arch::Ppc64, Arch::Ppc64le])
}

fn wrong_arch(requested: Arch, mut found: Vec<Arch>) -> RejectionReason {
    found.sort();
    found.dedup();
    RejectionReason::WrongArch { requested, found }
}

/// The words of an identity that decide nothing.
struct ProductDescription {
    product: String,
    codename: Option<String>,
    variant: Option<String>,
}

fn best_words(findings: &[&ReleaseFinding], family: Option<&FamilyRules>) -> ProductDescription {
    let mut found: Vec<&ReleaseFinding> = match family {
        Some(family) => family.relevant(findings).collect(),
        None => findings.to_vec(),
    };
    found.sort_by_key(|finding| (finding.weight != Weight::Firm, source_rank(&finding.source)));
    let codename = found.iter().find_map(|finding| finding.codename.clone());
    let variant = found.iter().find_map(|finding| finding.variant.clone());
    let product = match family {
        Some(family) => family.product.clone(),
        None => found
            .first()
            .map_or_else(String::new, |finding| finding.says.clone()),
    };
    ProductDescription {
        product,
        codename,
        variant,
    }
}

/// Files say more than labels.
fn source_rank(source: &FindingSource) -> u8 {
    match source.file() {
        Some(ReleaseFile::DiskInfo) => 0,
        Some(ReleaseFile::Treeinfo) => 1,
        _ if source.is_label() => 3,
        _ => 2,
    }
}

/// A disc whose names are known and hold nothing that could be installed or booted is no install medium,
/// whatever it calls itself. A label or names of packages alone are taken for a release where the installer of the
/// family is in its place, or packages are in a repository; with a file that describes the release, packages are
/// enough, and `-n` anything at all.
fn reject_empty_media(
    evidence: &Evidence,
    findings: &[&ReleaseFinding],
    distro: &Distro,
    requested: &RequestedRelease,
) -> Result<(), RejectionReason> {
    let names = &evidence.names;
    let files = names.iter().filter(|name| *name != ROOT).count();
    let packages = installer::holds_packages(names);
    let is_described = findings
        .iter()
        .any(|finding| finding.source.file().is_some());
    // one tree of several, or a copy of one in a directory, is not what the medium is
    let holds_trees = !is_described && !evidence.trees_in_directories().is_empty();
    let enough = names.is_empty()
        || requested.name.is_some() && files > 0
        || installer::is_in_place(names, distro)
        || packages && installer::holds_index(names) && !holds_trees
        || is_described && (packages || installer::of(evidence, distro).is_some());
    if enough {
        return Ok(());
    }
    Err(RejectionReason::NotAnInstallMedium {
        product: distro.to_string(),
        files,
        packages,
    })
}

fn conflict(
    about: ConflictSubject,
    left: &ReleaseFinding,
    right: &ReleaseFinding,
) -> RejectionReason {
    RejectionReason::Conflict {
        about,
        left: Box::new(left.clone()),
        right: Box::new(right.clone()),
    }
}
