//! The certificates of an authority and of those above it, in the order in which they go with what it signs.
//!
//! PEM text with certificates in any order comes in. Out go the authority's own, then whoever signed these, and so on up.
//! Certificates of one holder by several issuers (cross certificates, RFC 5280 §3.2) are beside each other, so that who
//! trusts any of the roots finds the way there.

use std::cmp::Reverse;

use anyhow::{Result, bail};

use super::{CertificateInfo, KeyPem, certificates_in, issuer_rules, parsed};

/// A certificate, and its PEM text.
type Described = (CertificateInfo, String);

/// Puts the certificates of an authority, whose key this is, in order. The first is its own: where there are several,
/// one that it signed itself, then the one that lasts longest.
///
/// # Errors
/// When there is none, one may not sign, or one is neither its own nor above it.
pub(super) fn of(certificates: &str, key: &KeyPem) -> Result<Vec<String>> {
    let (mut own, mut rest) = (Vec::new(), Vec::new());
    for text in certificates_in(certificates) {
        let described = CertificateInfo::parse(&text)?;
        let list = if key.belongs_to(&described)? {
            &mut own
        } else {
            &mut rest
        };
        list.push((described, text));
    }
    if own.is_empty() && rest.is_empty() {
        bail!("reading a certificate: it contains no PEM block");
    }
    own.sort_by_cached_key(rank);
    let Some((first, _)) = own.first().cloned() else {
        bail!("the authority's key does not belong to its certificate");
    };
    // by another name it is another authority, which signed nothing of this
    rest.extend(own.extract_if(.., |(other, _)| !other.has_holder_of(&first)));
    let mut chain = Vec::new();
    let mut level = own;
    for below in 0.. {
        if level.is_empty() {
            break;
        }
        for (described, text) in &level {
            issuer_rules::check(&parsed(&described.der)?, below)?;
            chain.push(text.clone());
        }
        let signed =
            |(other, _): &mut Described| level.iter().any(|(one, _)| one.may_be_signed_by(other));
        let mut next: Vec<Described> = rest.extract_if(.., signed).collect();
        next.sort_by_cached_key(rank);
        level = next;
    }
    if !rest.is_empty() {
        bail!(
            "{} more certificate(s) in the file are not above the \
             authority's: remove them, because every one of them is trusted",
            rest.len()
        );
    }
    Ok(chain)
}

/// What decides between certificates of the same step, so that their order in the file does not.
fn rank((described, _): &Described) -> (bool, Reverse<time::OffsetDateTime>, Vec<u8>) {
    let CertificateInfo { not_after, der, .. } = described;
    (
        !described.is_self_signed(),
        Reverse(*not_after),
        der.clone(),
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use time::{Duration, OffsetDateTime};

    use super::super::{LocalAuthority, subject};
    use super::*;

    struct TestAuthority {
        name: &'static str,
        key: KeyPair,
    }

    impl TestAuthority {
        fn new(name: &'static str) -> Self {
            let key = KeyPair::generate().unwrap();
            Self { name, key }
        }

        /// Its certificate by an issuer, which may be itself, for so many days.
        fn by(&self, issuer: &Self, days: i64) -> String {
            let params = |name: &str| {
                let mut params = CertificateParams::default();
                params.distinguished_name = subject(name);
                params.not_after = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
                    + Duration::days(days);
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params
            };
            let signer = Issuer::new(params(issuer.name), &issuer.key);
            let signed = params(self.name).signed_by(&self.key, &signer);
            signed.unwrap().pem()
        }

        fn key(&self) -> KeyPem {
            KeyPem::new(self.key.serialize_pem())
        }
    }

    /// Every order of the texts gives the same.
    fn chain_of(texts: &[&String], key: &KeyPem) -> Result<Vec<String>, String> {
        let mut found: Vec<Result<Vec<String>, String>> = Vec::new();
        for turn in 0..texts.len() {
            for reversed in [false, true] {
                let mut order = texts.to_vec();
                order.rotate_left(turn);
                if reversed {
                    order.reverse();
                }
                let text: String = order.into_iter().map(String::as_str).collect();
                found.push(of(&text, key).map_err(|error| error.to_string()));
            }
        }
        found.dedup();
        assert_eq!(found.len(), 1, "the order in the file decides");
        found.remove(0)
    }

    #[test]
    fn cross_certificates_are_in_one_order_and_go_with_what_is_signed() {
        let [below, old, new] = ["below", "old", "new"].map(TestAuthority::new);
        let (issued, twin) = (below.by(&old, 100), below.by(&new, 200));
        let (old_root, new_root) = (old.by(&old, 100), new.by(&new, 100));
        let (old_by_new, new_by_old) = (old.by(&new, 100), new.by(&old, 100));
        let longer = old.by(&old, 900);
        for (what, key, texts, expected, sent) in [
            (
                "one above, which another root signed too",
                below.key(),
                vec![&issued, &old_root, &old_by_new, &new_root],
                vec![&issued, &old_root, &old_by_new, &new_root],
                vec![&issued, &old_by_new],
            ),
            (
                "the same, without the other root",
                below.key(),
                vec![&issued, &old_root, &old_by_new],
                vec![&issued, &old_root, &old_by_new],
                vec![&issued, &old_by_new],
            ),
            (
                "a root that another one signed too",
                old.key(),
                vec![&old_root, &old_by_new, &new_root],
                vec![&old_root, &old_by_new, &new_root],
                vec![&old_by_new],
            ),
            (
                "only what the other root signed",
                old.key(),
                vec![&old_by_new],
                vec![&old_by_new],
                vec![&old_by_new],
            ),
            (
                "an authority by two roots",
                below.key(),
                vec![&issued, &twin, &old_root],
                vec![&twin, &issued, &old_root],
                vec![&twin, &issued],
            ),
            (
                "two roots that signed each other",
                old.key(),
                vec![&old_root, &old_by_new, &new_root, &new_by_old],
                vec![&old_root, &old_by_new, &new_root, &new_by_old],
                vec![&old_by_new, &new_by_old],
            ),
            (
                "a root that was renewed with its key",
                old.key(),
                vec![&old_root, &longer],
                vec![&longer, &old_root],
                vec![],
            ),
        ] {
            let owned = |texts: Vec<&String>| texts.into_iter().cloned().collect::<Vec<_>>();
            let chain = chain_of(&texts, &key).unwrap();
            assert_eq!(chain, owned(expected), "{what}");
            let authority = LocalAuthority::load(&chain.concat(), &key).unwrap();
            let goes: Vec<_> = authority.intermediates().map(str::to_owned).collect();
            assert_eq!(goes, owned(sent), "{what}");
        }
    }

    #[test]
    fn what_is_neither_its_own_nor_above_it_is_refused() {
        let [below, old, new] = ["below", "old", "new"].map(TestAuthority::new);
        let renamed = TestAuthority {
            name: "renamed",
            key: KeyPair::from_pem(&old.key.serialize_pem()).unwrap(),
        };
        let (issued, old_root, new_root) = (below.by(&old, 9), old.by(&old, 9), new.by(&new, 9));
        let by_another_name = renamed.by(&renamed, 5);
        let refused = |count: usize| {
            format!(
                "{count} more certificate(s) in the file are not above the authority's: remove them, because every one \
                 of them is trusted"
            )
        };
        for (key, texts, count) in [
            (below.key(), vec![&issued, &old_root, &new_root], 1),
            (old.key(), vec![&old_root, &issued], 1),
            (old.key(), vec![&old_root, &by_another_name], 1),
        ] {
            assert_eq!(chain_of(&texts, &key), Err(refused(count)));
        }
        assert_eq!(
            chain_of(&[&new_root], &old.key()),
            Err("the authority's key does not belong to its certificate".to_owned())
        );
    }

    #[test]
    fn a_new_key_that_the_one_before_signed_is_no_root() {
        let [before, now] = ["site", "site"].map(TestAuthority::new);
        let (root, rolled) = (before.by(&before, 9), now.by(&before, 9));
        let chain = chain_of(&[&rolled, &root], &now.key()).unwrap();
        assert_eq!(chain, [rolled.clone(), root]);
        let authority = LocalAuthority::load(&chain.concat(), &now.key()).unwrap();
        assert_eq!(authority.intermediates().collect::<Vec<_>>(), [rolled]);
    }
}
