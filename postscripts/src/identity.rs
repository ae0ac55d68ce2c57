//! The identity that the site signs for this host, as `enrol` keeps it and `setupdockerhost` takes it.
//!
//! Files come in, and an identity that is one goes out: the key belongs to the certificate, whose authority one of the site's
//! roots signed. While the site changes its authority it has two roots, and each vouches for the other. Nothing is written here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{IdentityFiles, SignedIdentity};

use crate::owner::load_state_text;
use crate::tls::{CertificateInfo, KeyPem, certificates_in};

/// The identity of a host.
#[derive(Debug)]
pub(crate) struct HostIdentity {
    pub(crate) key: KeyPem,
    /// The host's certificate, then that of its authority, PEM.
    pub(crate) certificate: String,
    /// What the certificate says.
    pub(crate) info: CertificateInfo,
    /// The certificates of the site's roots, PEM.
    pub(crate) root: String,
    /// The certificates of the authorities of clients, PEM.
    pub(crate) clients: String,
    /// The keys by which the site signs trees, armoured; none where it has none.
    pub(crate) trees: String,
}

/// Returns the directory of the identity, below a root directory.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join(IdentityFiles::DIRECTORY.trim_start_matches('/'))
}

impl HostIdentity {
    /// Loads the identity; `None` where the host has none yet.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not belong together.
    pub(crate) fn load(root: &Path) -> Result<Option<Self>> {
        let directory = directory(root);
        let loading = || format!("loading the identity in {}", directory.display());
        let text = |name: &str| load_state_text(&directory.join(name));
        let Some(certificate) = text(IdentityFiles::CERTIFICATE).with_context(loading)? else {
            return Ok(None);
        };
        let required = |name: &str| text(name)?.with_context(|| format!("there is no {name}"));
        let load = || -> Result<Self> {
            let key = KeyPem::new(required(IdentityFiles::KEY)?);
            let root = required(IdentityFiles::ROOT)?;
            let signed = SignedIdentity {
                certificate,
                clients: required(IdentityFiles::CLIENTS)?,
                roots: String::new(),
                trees: String::new(),
                ssh: None,
            };
            let trees = text(IdentityFiles::TREES)?.unwrap_or_default();
            let identity = Self::check(key, root, signed)?;
            Ok(Self { trees, ..identity })
        };
        load().with_context(loading).map(Some)
    }

    /// Takes what was signed, if it is what was asked for.
    ///
    /// # Errors
    /// When the certificate is for another key, no root that is trusted signed its authority or that of clients, or none of
    /// those vouches for the roots that come with it. Keys of trees that the certificate does not name are left out: an answer
    /// that is asked for again may be older than they are.
    pub(crate) fn check(key: KeyPem, trusted: String, signed: SignedIdentity) -> Result<Self> {
        let chain = certificates_in(&signed.certificate);
        let [own, above, cross @ ..] = &chain[..] else {
            bail!(
                "there are {} certificates and not the host's and its authority's",
                chain.len()
            );
        };
        if cross.len() > 1 {
            bail!(
                "there are {} certificates above the host's",
                cross.len() + 1
            );
        }
        let (info, above) = (CertificateInfo::parse(own)?, CertificateInfo::parse(above)?);
        if !key.belongs_to(&info)? {
            bail!("the certificate is for another key");
        }
        if !info.is_signed_by(&above)? {
            bail!("the authority beside the certificate did not sign it");
        }
        let root = if signed.roots.is_empty() {
            trusted
        } else {
            vouched_roots(&trusted, &signed.roots)?
        };
        let anchors = parsed(&root)?;
        if anchors.is_empty() {
            bail!("there is no certificate of the site's root");
        }
        if !is_signed_by_one(&above, &anchors)? {
            bail!("the site's root did not sign the authority of hosts");
        }
        let clients = certificates_in(&signed.clients);
        if clients.is_empty() {
            bail!("there is no certificate of the authority of clients");
        }
        // dockerd lets in the clients of each of them
        for authority in &clients {
            if !is_signed_by_one(&CertificateInfo::parse(authority)?, &anchors)? {
                bail!("the site's root did not sign the authority of clients");
            }
        }
        let trees = Some(signed.trees).filter(|keys| info.names_trees(keys));
        Ok(Self {
            key,
            certificate: signed.certificate,
            trees: trees.unwrap_or_default(),
            info,
            root,
            clients: clients.concat(),
        })
    }
}

fn parsed(text: &str) -> Result<Vec<CertificateInfo>> {
    let certificates = certificates_in(text).into_iter();
    certificates
        .map(|pem| CertificateInfo::parse(&pem))
        .collect()
}

fn is_signed_by_one(
    certificate: &CertificateInfo,
    authorities: &[CertificateInfo],
) -> Result<bool> {
    for authority in authorities {
        if certificate.is_signed_by(authority)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns those of the roots that the site names which are trusted, or which one that is trusted vouches for: it signed a
/// certificate over the same name and key.
///
/// # Errors
/// When there is none.
fn vouched_roots(trusted: &str, named: &str) -> Result<String> {
    let trusted = parsed(trusted)?;
    let named_ones = parsed(named)?;
    let mut roots = String::new();
    for (pem, root) in certificates_in(named).iter().zip(&named_ones) {
        if !root.is_self_signed() || !root.is_signed_by(root)? {
            continue;
        }
        let mut is_vouched = trusted.contains(root);
        for word in named_ones.iter().filter(|word| word.has_holder_of(root)) {
            is_vouched |= is_signed_by_one(word, &trusted)?;
        }
        if is_vouched {
            roots.push_str(pem);
        }
    }
    if roots.is_empty() {
        bail!(
            "the site has other roots, and none that this host trusts vouches for one: let the host enrol again, by \
             slipway-trust arm"
        );
    }
    Ok(roots)
}

/// Says whether the site says what a host has: the same roots, the one that signs first, and the same keys of trees, unless
/// there are none.
pub(crate) fn is_said(said: &str, roots: &str, trees: &str) -> bool {
    let keys = said.find("-----BEGIN PGP ").map(|at| &said[at..]);
    certificates_in(said) == certificates_in(roots) && keys.is_none_or(|keys| keys == trees)
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::tls::{Authority, LocalAuthority};

    #[test]
    fn a_root_counts_when_one_that_is_trusted_vouches_for_it() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let authority = |name: &str| LocalAuthority::create(name, now).unwrap().0;
        let (one, two, three) = (authority("one"), authority("two"), authority("three"));
        let pem = |authority: &LocalAuthority| authority.certificate().to_owned();
        // each `by`'s word for `of`
        let word = |by: &LocalAuthority, of: &LocalAuthority| by.cross(of).unwrap();
        let (own, both) = (pem(&one), pem(&one) + &pem(&two));
        for (what, named, expected) in [
            ("the same", own.clone(), Some(own.clone())),
            (
                "a second",
                both.clone() + &word(&one, &two),
                Some(both.clone()),
            ),
            (
                "the second alone",
                pem(&two) + &word(&one, &two),
                Some(pem(&two)),
            ),
            ("nobody vouches", pem(&two), None),
            (
                "nobody vouches for the second",
                both.clone(),
                Some(own.clone()),
            ),
            ("another vouches", pem(&two) + &word(&three, &two), None),
            (
                "it vouches for another",
                pem(&two) + &word(&one, &three),
                None,
            ),
            (
                "one that is vouched for vouches",
                pem(&three) + &word(&one, &two) + &word(&two, &three),
                None,
            ),
            ("no root", word(&one, &two), None),
        ] {
            let roots = vouched_roots(&own, &named).map_err(|error| error.to_string());
            let refused = "the site has other roots, and none that this host trusts vouches for one: let the host enrol \
                           again, by slipway-trust arm";
            assert_eq!(roots, expected.ok_or_else(|| refused.to_owned()), "{what}");
        }
        let turned = pem(&two) + &own;
        let keys = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
        let with_keys = both.clone() + keys;
        for (said, roots, trees, expected) in [
            (both.as_str(), both.clone() + "\n", "", true),
            (&both, turned, "", false),
            (&both, both.clone(), keys, true),
            (&with_keys, both.clone(), keys, true),
            (&with_keys, both.clone(), "", false),
        ] {
            assert_eq!(
                is_said(said, &roots, trees),
                expected,
                "{said} {roots} {trees}"
            );
        }
    }
}
