//! Who vouches for a bundle: a signature by a key that is known here, the digest that somebody was told, or nobody.
//!
//! A manifest, its signature and what is asked for come in; who vouches goes out, or why the bundle is refused.

use anyhow::{Result, bail};

use crate::vouch::{self, SignatureVerdict, VerifyingKey};

/// By what a bundle is believed.
#[derive(Debug, Default)]
pub(crate) struct ImportTrust {
    /// The key that must have signed it, if one is named.
    pub(crate) named: Option<VerifyingKey>,
    /// The site's own key.
    pub(crate) site: Option<VerifyingKey>,
    /// The SHA-256 that the whole file has, which is compared when it is read.
    pub(crate) sha256: Option<String>,
    /// Whether it is taken in though nobody vouches for it.
    pub(crate) accept_unsigned: bool,
}

/// Who vouches for a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// The owner of this key signed it.
    Signature(String),
    /// It has the digest that somebody was told.
    Digest,
    /// Nobody, which was accepted.
    Nobody,
}

impl ImportTrust {
    /// Finds who vouches for a bundle, by what is signed of it and its signature.
    ///
    /// # Errors
    /// When its signature is bad, or nobody vouches for it and that is not accepted.
    pub(super) fn voucher(&self, signed: &[u8], signature: Option<&[u8]>) -> Result<Voucher> {
        let keys = self.named.as_ref().or(self.site.as_ref());
        let verdict = signature.map(|signature| vouch::check(signed, signature, keys));
        let known = match verdict.transpose()? {
            Some(SignatureVerdict::Good(name)) => return Ok(Voucher::Signature(name)),
            Some(SignatureVerdict::Bad(name)) => bail!(
                "its signature is bad: it is not what {name} signed; have it exported again, and take in nothing of it"
            ),
            Some(SignatureVerdict::Unknown(key)) => {
                format!("it is signed by {key}, which is no key that is known here")
            }
            None => "it is not signed".to_owned(),
        };
        match self {
            Self { named: Some(_), .. } => {
                bail!("{known}: the key that --key names must have signed it")
            }
            Self {
                sha256: Some(_), ..
            } => Ok(Voucher::Digest),
            Self {
                accept_unsigned: true,
                ..
            } => Ok(Voucher::Nobody),
            _ => bail!(
                "{known}, so that nobody vouches for what nodes would run: give the key of the site that it is from (--key \
                 FILE, of slipway-trust export trees there) or the digest that imgexport printed (--sha256), or take it in \
                 all the same (--accept-unsigned)"
            ),
        }
    }
}
