//! Detached and clear signatures: whose key made them. Pure.
//!
//! The bytes of `InRelease`, `Release.gpg` or `repomd.xml.asc` come in; the fingerprints or key ids that the
//! signatures name go out. Nothing is verified: that is for the node's package manager, which would refuse a
//! repository that another key signed.
//!
//! Reference: RFC 9580 §5.2.3.12 (issuer key id), §5.2.3.35 (issuer fingerprint), §7 (cleartext signatures).

use definitions::hex;

use super::key::{self, BEGIN_SIGNATURE};

/// Returns whose signatures a file holds: fingerprints where a signature names one, key ids else, in capitals.
///
/// # Errors
/// What holds no signature that can be read.
pub(crate) fn issuers(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = String::from_utf8_lossy(bytes);
    let packets = match text.find(BEGIN_SIGNATURE) {
        Some(at) => key::disarmour(&text[at..], BEGIN_SIGNATURE)?,
        None => bytes.to_vec(),
    };
    let (mut rest, mut found) = (packets.as_slice(), Vec::new());
    while let Some((tag, Some(after))) = key::packet(rest) {
        let whole = &rest[..rest.len() - after.len()];
        if tag == 2 {
            found.extend(key::body(whole).and_then(issuer));
        }
        rest = after;
    }
    if found.is_empty() {
        Err("holds no signature".to_owned())
    } else {
        Ok(found)
    }
}

/// Reads the issuer of one signature's body.
fn issuer(body: &[u8]) -> Option<String> {
    match body.first()? {
        3 => Some(key_id(body.get(7..15)?)),
        version @ (4 | 6) => {
            let wide = *version == 6;
            let (hashed, rest) = area(body.get(4..)?, wide)?;
            let (unhashed, _) = area(rest, wide)?;
            let all = || subpackets(hashed).chain(subpackets(unhashed));
            let of_type = |wanted: u8| all().find(|(kind, _)| *kind == wanted);
            // the fingerprint has its key's version in front
            let fingerprint = of_type(33).and_then(|(_, value)| value.get(1..));
            fingerprint
                .or_else(|| of_type(16).map(|(_, value)| value))
                .map(key_id)
        }
        _ => None,
    }
}

/// Splits an area of subpackets from what follows it; its length has two bytes, or four in version 6.
fn area(bytes: &[u8], wide: bool) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(if wide { 4 } else { 2 })?;
    let length = length
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    rest.split_at_checked(length)
}

/// Lists subpackets, each with its type and its value.
fn subpackets(mut area: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (length, rest) = match *area.first()? {
            one @ 0..192 => (usize::from(one), area.get(1..)?),
            one @ 192..255 => {
                let length = (usize::from(one) - 192) * 256 + usize::from(*area.get(1)?) + 192;
                (length, area.get(2..)?)
            }
            255 => {
                let four = <[u8; 4]>::try_from(area.get(1..5)?).ok()?;
                (
                    usize::try_from(u32::from_be_bytes(four)).ok()?,
                    area.get(5..)?,
                )
            }
        };
        let (one, after) = rest.split_at_checked(length)?;
        area = after;
        let (kind, value) = one.split_first()?;
        // the highest bit says that the subpacket is critical
        Some((kind & 0x7f, value))
    })
}

/// Prints a fingerprint or a key's id as gpg does.
fn key_id(bytes: &[u8]) -> String {
    hex(bytes).to_uppercase()
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    /// A signature in the name of a key, by its fingerprint or its id in hexadecimal; it verifies nothing.
    pub(in crate::repository) fn packet_of(issuer: &str) -> Vec<u8> {
        let id: Vec<u8> = (0..issuer.len() / 2)
            .map(|at| u8::from_str_radix(&issuer[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let subpacket = match id.len() {
            8 => [&[9, 16][..], &id].concat(),
            _ => [&[22, 33, 4][..], &id].concat(),
        };
        let length = u8::try_from(subpacket.len()).unwrap();
        let body = [&[4, 0, 1, 8, 0, 0, 0, length][..], &subpacket, &[0; 4]].concat();
        [&[0xc2, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    /// A clear signature in the name of a key.
    pub(in crate::repository) fn signed_by(issuer: &str) -> String {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: x\n{BEGIN_SIGNATURE}\n\n{}\n\
             -----END PGP SIGNATURE-----\n",
            STANDARD.encode(packet_of(issuer))
        )
    }

    #[test]
    fn a_signature_names_its_key() {
        let fingerprint = "7E9133288ED2DAC35AAB03F975B575F9CE6876AD";
        for issuer in [fingerprint, "75B575F9CE6876AD"] {
            assert_eq!(issuers(signed_by(issuer).as_bytes()).unwrap(), [issuer]);
        }
        for none in ["", "Suite: x\n"] {
            assert_eq!(issuers(none.as_bytes()).unwrap_err(), "holds no signature");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = issuers(&bytes);
            let _ = issuers(&[&[0xc2, 60][..], &bytes].concat());
        }
    }
}
