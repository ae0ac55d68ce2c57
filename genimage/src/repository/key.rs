//! OpenPGP keys: that a file holds public ones and nothing else, and the armour they are handed on in.
//!
//! The bytes of a file come in, armoured or not; one armoured block goes out. Packets are distinguished by
//! their tags and lengths, and what they say is nobody's business here: apt and rpm check it.
//!
//! Reference: RFC 9580 §4.2 (packets), §5.5.4 (fingerprints), §6 (armour).

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use definitions::read_bounded;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// The first line of an armoured signature.
pub(super) const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

/// No file of keys is larger, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file that a definition names as a key.
pub(crate) fn load(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(path, MAX_BYTES)
}

/// Returns the public keys of a file as one armoured block.
///
/// # Errors
/// What is no public key, or more than that: a secret one above all.
pub(crate) fn armoured(bytes: &[u8]) -> Result<String, String> {
    let packets = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN PGP ") => disarmour(text, BEGIN)?,
        _ => bytes.to_vec(),
    };
    check(&packets)?;
    Ok(armour(&packets))
}

/// Returns the packets of an armoured block, as gpgv reads a keyring.
///
/// # Errors
/// What is no public key.
pub(crate) fn binary(armoured: &str) -> Result<Vec<u8>, String> {
    let packets = disarmour(armoured, BEGIN)?;
    check(&packets)?;
    Ok(packets)
}

/// Returns the public keys of several files as one armoured block.
///
/// # Errors
/// What is no public key, whichever file has it.
pub(crate) fn merged(files: &[Vec<u8>]) -> Result<String, String> {
    let mut packets = Vec::new();
    for bytes in files {
        packets.extend(disarmour(&armoured(bytes)?, BEGIN)?);
    }
    Ok(armour(&packets))
}

/// Takes the armour off every block of a text; all of them have to begin with one line.
pub(super) fn disarmour(text: &str, begin: &str) -> Result<Vec<u8>, String> {
    let mut packets = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.find(|line| line.starts_with("-----BEGIN PGP ")) {
        if line.contains("PRIVATE") {
            return Err(secret());
        }
        if line != begin {
            return Err(match begin {
                BEGIN => format!("holds '{line}', which is not a public key"),
                _ => format!("holds '{line}', where a signature was expected"),
            });
        }
        // Headers of the armour, `Version: …`, end at an empty line.
        let body = lines.by_ref().skip_while(|line| !line.is_empty());
        let mut base64 = String::new();
        let mut sum = None;
        let mut ended = false;
        for line in body {
            if line.starts_with("-----END PGP ") {
                ended = true;
                break;
            }
            match line.strip_prefix('=') {
                Some(checksum) if !base64.is_empty() => sum = Some(checksum.to_owned()),
                _ => base64.push_str(line),
            }
        }
        if !ended {
            return Err("is cut short: its last block has no end".to_owned());
        }
        let block = STANDARD
            .decode(&base64)
            .map_err(|_| "is damaged: its block is not base64".to_owned())?;
        if sum.is_some_and(|sum| sum != checksum(&block)) {
            return Err("is damaged: its checksum is another one".to_owned());
        }
        packets.extend(block);
    }
    Ok(packets)
}

/// Puts packets into one block.
fn armour(packets: &[u8]) -> String {
    let base64 = STANDARD.encode(packets);
    let mut text = format!("{BEGIN}\n\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("={}\n{END}\n", checksum(packets)));
    text
}

/// The checksum of armour, CRC-24.
fn checksum(bytes: &[u8]) -> String {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in bytes {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, one, two, three] = crc.to_be_bytes();
    STANDARD.encode([one, two, three])
}

/// Returns the fingerprints of the keys in an armoured block, subkeys aside: installers know keys by them.
pub(super) fn fingerprints(armoured: &str) -> Vec<String> {
    by_tag(armoured, &[6])
}

/// Returns the fingerprints of all keys in an armoured block that may sign, subkeys among them.
pub(super) fn signing_fingerprints(armoured: &str) -> Vec<String> {
    by_tag(armoured, &[6, 14])
}

fn by_tag(armoured: &str, tags: &[u8]) -> Vec<String> {
    let packets = disarmour(armoured, BEGIN).unwrap_or_default();
    let (mut rest, mut found) = (packets.as_slice(), Vec::new());
    while let Some((tag, Some(after))) = packet(rest) {
        let whole = &rest[..rest.len() - after.len()];
        // The head's length depends on its form; a key's body begins with its version, 4 or 6.
        if tags.contains(&tag) {
            found.extend(body(whole).and_then(fingerprint));
        }
        rest = after;
    }
    found
}

/// Takes the head off a packet.
pub(super) fn body(packet: &[u8]) -> Option<&[u8]> {
    let (head, rest) = packet.split_first()?;
    let digits = match (head & 0x40 == 0, head & 3, rest.first()?) {
        (true, size, _) => 1 << size,
        (false, _, 0..192) => 1,
        (false, _, 192..224) => 2,
        (false, _, _) => 5,
    };
    rest.get(digits..)
}

/// RFC 9580 §5.5.4: what is hashed begins with a byte and the body's length.
fn fingerprint(body: &[u8]) -> Option<String> {
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    let digest = match body.first()? {
        4 => Sha1::new()
            .chain_update([0x99])
            .chain_update(&length[2..])
            .chain_update(body)
            .finalize()
            .to_vec(),
        6 => Sha256::new()
            .chain_update([0x9b])
            .chain_update(length)
            .chain_update(body)
            .finalize()
            .to_vec(),
        _ => return None, // version 3, out of use
    };
    Some(digest.iter().map(|byte| format!("{byte:02X}")).collect())
}

/// Walks over the packets: public keys with what belongs to them.
fn check(packets: &[u8]) -> Result<(), String> {
    let mut rest = packets;
    let mut first = true;
    while let Some((tag, after)) = packet(rest) {
        let after = after.ok_or_else(|| "is cut short".to_owned())?;
        match tag {
            5 | 7 => return Err(secret()),
            6 => first = false,
            // Signatures, subkeys, names, photographs, trust, markers, padding.
            2 | 10 | 12 | 13 | 14 | 17 | 21 if !first => {}
            _ => return Err("is not an OpenPGP public key".to_owned()),
        }
        rest = after;
    }
    if first || !rest.is_empty() {
        return Err("is not an OpenPGP public key".to_owned());
    }
    Ok(())
}

/// Reads the head of a packet: its tag, and what follows it, unless it ends too early.
pub(super) fn packet(bytes: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    let (head, rest) = bytes.split_first()?;
    if head & 0x80 == 0 {
        return None;
    }
    let number = |count: usize| -> Option<(usize, &[u8])> {
        let (digits, rest) = rest.split_at_checked(count)?;
        let join = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
        Some((digits.iter().fold(0, join), rest))
    };
    let (tag, length) = if head & 0x40 == 0 {
        let length = match head & 3 {
            0 => number(1),
            1 => number(2),
            2 => number(4),
            _ => None, // to the end of the file: no key is written so
        };
        ((head >> 2) & 0x0f, length)
    } else {
        let length = match rest.first() {
            Some(0..192) => number(1),
            Some(192..224) => number(2).map(|(length, rest)| (length - (192 << 8) + 192, rest)),
            Some(255) => rest.get(1..).and_then(|_| {
                let (length, rest) = number(5)?;
                Some((length & 0xffff_ffff, rest))
            }),
            _ => None, // in parts: only data is
        };
        (head & 0x3f, length)
    };
    Some((tag, length.and_then(|(length, rest)| rest.get(length..))))
}

fn secret() -> String {
    "holds a secret key, which must not leave its owner: export the public one".to_owned()
}
