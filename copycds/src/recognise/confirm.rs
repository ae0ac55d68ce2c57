//! Whether a version and a codename belong together: what Debian's words say is believed where the table
//! knows the pair, or where the medium's own archive is of that distribution and that codename.

use super::claim::{Claim, Version, Weight};
use super::combine::heeded;
use super::refusal::Reason;
use super::rules::Family;

/// Refuses a version whose codename is another's or that nothing confirms. A family without codenames
/// needs no confirmation.
pub(super) fn confirm(claims: &[&Claim], family: &Family, version: &Version) -> Result<(), Reason> {
    if family.codenames.is_empty() {
        return Ok(());
    }
    let firm = || heeded(claims, family).filter(|claim| claim.weight == Weight::Firm);
    let codenames = || firm().filter_map(|claim| Some((claim, claim.codename.as_deref()?)));
    let known = family
        .codenames
        .iter()
        .find(|(known, _)| version.is_numbered() && known.agrees(version));
    for (claim, codename) in codenames() {
        let contradicted = match known {
            Some((_, name)) => name != codename,
            None => version.is_numbered() && knows(family, codename),
        };
        if contradicted {
            return Err(Reason::Derivative {
                product: claim.says.clone(),
                rule: None,
            });
        }
    }
    let mut names: Vec<&str> = codenames().map(|(_, codename)| codename).collect();
    names.dedup();
    let archive = firm().any(|claim| claim.source.contains("dists/") && claim.codename.is_some());
    let confirmed = match (known, &names[..]) {
        (Some(_), _) => true,
        (None, [name]) => archive || (!version.is_numbered() && knows(family, name)),
        (None, []) => !version.is_numbered(),
        (None, _) => false,
    };
    if confirmed {
        return Ok(());
    }
    Err(Reason::Unconfirmed {
        product: family.product.clone(),
        version: version.clone(),
        codename: names.first().map(|name| (*name).to_owned()),
    })
}

fn knows(family: &Family, codename: &str) -> bool {
    family.codenames.iter().any(|(_, name)| name == codename)
}
