//! Whether a version and a codename belong together: what Debian's words say is accepted where the table
//! knows the pair, or where the medium's own archive is of that distribution and that codename.

use super::finding::{ReleaseFinding, Version, Weight};
use super::reason::RejectionReason;
use super::release_files::ReleaseFile;
use super::rules::FamilyRules;

/// Refuses a version whose codename is another's or that nothing confirms. A family without codenames
/// needs no confirmation.
pub(super) fn confirm(
    findings: &[&ReleaseFinding],
    family: &FamilyRules,
    version: &Version,
) -> Result<(), RejectionReason> {
    if family.codenames.is_empty() {
        return Ok(());
    }
    let firm = || {
        family
            .relevant(findings)
            .filter(|finding| finding.weight == Weight::Firm)
    };
    let codenames = || firm().filter_map(|finding| Some((finding, finding.codename.as_deref()?)));
    let known = family
        .codenames
        .iter()
        .find(|(known, _)| version.is_numbered() && known.agrees(version));
    for (finding, codename) in codenames() {
        let contradicted = match known {
            Some((_, name)) => name != codename,
            None => version.is_numbered() && is_known_codename(family, codename),
        };
        if contradicted {
            return Err(RejectionReason::Derivative {
                product: finding.says.clone(),
                rule: None,
            });
        }
    }
    let mut names: Vec<&str> = codenames().map(|(_, codename)| codename).collect();
    names.dedup();
    let archive = firm().any(|finding| {
        finding.source.file() == Some(ReleaseFile::AptRelease) && finding.codename.is_some()
    });
    let confirmed = match (known, &names[..]) {
        (Some(_), _) => true,
        (None, [name]) => archive || (!version.is_numbered() && is_known_codename(family, name)),
        (None, []) => !version.is_numbered(),
        (None, _) => false,
    };
    if confirmed {
        return Ok(());
    }
    Err(RejectionReason::Unconfirmed {
        product: family.product.clone(),
        version: version.clone(),
        codename: names.first().map(|name| (*name).to_owned()),
    })
}

fn is_known_codename(family: &FamilyRules, codename: &str) -> bool {
    family.codenames.iter().any(|(_, name)| name == codename)
}
