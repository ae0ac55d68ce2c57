//! OpenPGP keys as far as a policy needs them: which there are, of which algorithm, how long.
//!
//! A file of keys comes in, as binary packets, in armour (RFC 4880 §6.2) or as gnupg's keybox (gnupg
//! `kbx/keybox-blob.c`); binary packets go out, and each key's fingerprint, algorithm and length (RFC 4880
//! §4.2, §5.5.2, §12.2). Nothing here verifies anything: `gpgv` does.

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use sha1::Digest as _;

/// Packets that hold a key, or a subkey.
const PUBLIC_KEY: u8 = 6;
const PUBLIC_SUBKEY: u8 = 14;

/// What a policy asks of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenPgpKey {
    /// In upper-case hex digits, as gpgv writes it.
    pub(super) fingerprint: String,
    /// Bits of its first number: the modulus of RSA, the prime of DSA.
    pub(super) bits: u16,
}

/// Returns the packets of a file of keys.
///
/// # Errors
/// When it holds no key, or is damaged.
pub(super) fn packets(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let packets = if bytes.get(8..12) == Some(b"KBXf") {
        keybox(&bytes)?
    } else if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        bytes
    } else {
        unarmoured(&String::from_utf8_lossy(&bytes))?
    };
    ensure!(!keys(&packets)?.is_empty(), "it holds no OpenPGP key");
    Ok(packets)
}

/// Returns the keys of a run of packets. Those of version 4 alone have a fingerprint that is computed here.
///
/// # Errors
/// When a packet is cut off.
pub(super) fn keys(packets: &[u8]) -> Result<Vec<OpenPgpKey>> {
    let (mut keys, mut rest) = (Vec::new(), packets);
    while let Some(OpenPgpPacket { tag, body, after }) = packet(rest)? {
        rest = after;
        if [PUBLIC_KEY, PUBLIC_SUBKEY].contains(&tag) && body.first() == Some(&4) {
            let number = body.get(6..8).context("a key is cut off")?;
            keys.push(OpenPgpKey {
                fingerprint: fingerprint(body)?,
                bits: u16::from_be_bytes([number[0], number[1]]),
            });
        }
    }
    Ok(keys)
}

/// One packet, and the bytes after it.
struct OpenPgpPacket<'a> {
    tag: u8,
    body: &'a [u8],
    after: &'a [u8],
}

/// Splits off the first packet (RFC 4880 §4.2).
fn packet(bytes: &[u8]) -> Result<Option<OpenPgpPacket<'_>>> {
    let Some((&head, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    ensure!(
        head & 0x80 != 0,
        "it has bytes that are not an OpenPGP packet"
    );
    let number = |count: usize| {
        let digits = rest.get(..count)?;
        Some(
            digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
        )
    };
    let two_octets =
        |first: u8| Some(((usize::from(first) - 192) << 8) + usize::from(*rest.get(1)?) + 192);
    let (tag, width, len) = if head & 0x40 == 0 {
        let width = match head & 3 {
            3 => bail!("it holds a packet without a length"),
            kind => 1 << kind,
        };
        (head >> 2 & 0xf, width, number(width))
    } else {
        match rest.first() {
            Some(&first @ 0..192) => (head & 0x3f, 1, Some(usize::from(first))),
            Some(&first @ 192..224) => (head & 0x3f, 2, two_octets(first)),
            Some(255) => (head & 0x3f, 5, number(5).map(|len| len & 0xffff_ffff)),
            _ => bail!("it holds a packet in pieces"),
        }
    };
    let body = len.and_then(|len| rest.get(width..)?.split_at_checked(len));
    let (body, after) = body.context("it is cut off within a packet")?;
    Ok(Some(OpenPgpPacket { tag, body, after }))
}

fn fingerprint(body: &[u8]) -> Result<String> {
    let len = u16::try_from(body.len()).context("a key is too long")?;
    let mut hash = sha1::Sha1::new();
    hash.update([0x99]);
    hash.update(len.to_be_bytes());
    hash.update(body);
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect())
}

/// Takes the armour off every block of keys in a text.
fn unarmoured(text: &str) -> Result<Vec<u8>> {
    let blocks = text.split("-----BEGIN PGP PUBLIC KEY BLOCK-----").skip(1);
    let decoded = blocks.map(|block| {
        let lines = block
            .lines()
            .skip(1)
            .skip_while(|line| !line.trim().is_empty());
        let body = lines.take_while(|line| !line.starts_with(['=', '-']));
        let base64: String = body.map(str::trim).collect();
        let engine = base64::engine::general_purpose::STANDARD;
        let damaged = |error| anyhow!("its armour is damaged: {error}");
        engine.decode(base64).map_err(damaged)
    });
    Ok(decoded.collect::<Result<Vec<_>>>()?.concat())
}

/// Takes the keys out of a keybox: each blob begins with its length and kind, and says where its packets are.
fn keybox(bytes: &[u8]) -> Result<Vec<u8>> {
    const OPENPGP: u8 = 2;
    let word = |blob: &[u8], at: usize| {
        let word = blob.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map(|word| u32::from_be_bytes(word) as usize)
    };
    let (mut keys, mut rest) = (Vec::new(), bytes);
    while let Some(len) = word(rest, 0) {
        let blob = rest
            .get(..len.max(5))
            .context("it is cut off within a blob")?;
        rest = &rest[blob.len()..];
        if blob[4] == OPENPGP {
            let place = word(blob, 8).zip(word(blob, 12));
            let block = place.and_then(|(at, len)| blob.get(at..)?.get(..len));
            keys.extend_from_slice(block.context("it is cut off within a key")?);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key packet of version 4 with a number of so many bits.
    fn key(bits: u16) -> Vec<u8> {
        let mut body = vec![4, 0, 0, 0, 1, 1];
        body.extend(bits.to_be_bytes());
        body.extend(vec![0xff; usize::from(bits / 8)]);
        body
    }

    #[test]
    fn a_key_is_found_in_packets_of_either_form_and_after_others() {
        let body = key(1024);
        let len = u16::try_from(body.len()).unwrap();
        let old = [&[0x99][..], &len.to_be_bytes(), &body].concat();
        let new = [&[0xc6, 0xff, 0, 0][..], &len.to_be_bytes(), &body].concat();
        let user = [&[0xb4, 3][..], b"Ann"].concat();
        let found = keys(&[user, old.clone(), new].concat()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], found[1]);
        assert_eq!((found[0].bits, found[0].fingerprint.len()), (1024, 40));
        let armour = base64::engine::general_purpose::STANDARD.encode(&old);
        let text = format!(
            "a vendor's words\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: 1\n\n{armour}\n=abcd\n\
             -----END PGP PUBLIC KEY BLOCK-----\n"
        );
        assert_eq!(packets(text.into_bytes()).unwrap(), old);
        let blob_len = u32::try_from(old.len() + 20).unwrap();
        let size = u32::try_from(old.len()).unwrap();
        let header = [&32_u32.to_be_bytes()[..], &[1, 1, 0, 0], b"KBXf", &[0; 20]].concat();
        let blob = [
            &blob_len.to_be_bytes()[..],
            &[2, 1, 0, 0],
            &20_u32.to_be_bytes(),
            &size.to_be_bytes(),
            &[0; 4],
            &old,
        ];
        assert_eq!(packets([header, blob.concat()].concat()).unwrap(), old);
    }

    #[test]
    fn what_holds_no_key_is_an_error() {
        for (bytes, message) in [
            (&b""[..], "it holds no OpenPGP key"),
            (b"read me\n", "it holds no OpenPGP key"),
            (b"\x99\x01\x00\x04", "it is cut off within a packet"),
            (b"\xb4\x01a1", "it has bytes that are not an OpenPGP packet"),
            (b"\x9b", "it holds a packet without a length"),
            (
                b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!\n",
                "its armour is damaged: Invalid symbol 33, offset 0.",
            ),
        ] {
            assert_eq!(packets(bytes.to_vec()).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = packets(bytes.clone());
            let _ = packets([b"\0\0\0\x20\x01\x01\0\0KBXf", &bytes[..]].concat());
        }
    }
}
