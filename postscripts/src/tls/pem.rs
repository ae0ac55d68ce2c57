//! PEM blocks as text (RFC 7468), and private keys of older forms as the one that is read (PKCS #8).
//!
//! Pure. Texts of tools hold more than the blocks: explanations before them, other line ends.

/// One block: its label and its text, with plain line ends and nothing around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PemBlock {
    pub(super) label: String,
    pub(super) text: String,
}

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
/// The parameters in an `ECPrivateKey` (RFC 5915 §3): `[0]`, constructed.
const EC_PARAMETERS: u8 = 0xa0;
/// The version of a `PrivateKeyInfo` (RFC 5208 §5): the integer 0.
const VERSION: [u8; 3] = [0x02, 0x01, 0x00];
/// `rsaEncryption` with its NULL parameters (RFC 8017, appendix C).
const RSA: [u8; 13] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// `id-ecPublicKey` (RFC 5480 §2.1.1).
const EC: [u8; 9] = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Finds the blocks of a text.
pub(super) fn blocks(text: &str) -> Vec<PemBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<PemBlock> = None;
    // editors of Windows begin a file with a byte order mark
    let text = text.trim_start_matches('\u{feff}');
    for line in text.lines().map(str::trim) {
        let label = |start: &str| line.strip_prefix(start)?.strip_suffix("-----");
        if let Some(label) = label("-----BEGIN ") {
            let (label, text) = (label.to_owned(), String::new());
            open = Some(PemBlock { label, text });
        }
        if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
        if let Some(label) = label("-----END ")
            && let Some(block) = open.take()
            && block.label == label
        {
            blocks.push(block);
        }
    }
    blocks
}

/// Makes PKCS #8 of an `RSAPrivateKey` (PKCS #1).
pub(super) fn pkcs8_of_rsa(key: &[u8]) -> Vec<u8> {
    private_key_info(&RSA, key)
}

/// Makes PKCS #8 of an `ECPrivateKey` (SEC 1), which names its curve; `None` where it does not.
pub(super) fn pkcs8_of_ec(key: &[u8]) -> Option<Vec<u8>> {
    let (_, mut fields, _) = element(key).filter(|(tag, ..)| *tag == SEQUENCE)?;
    while !fields.is_empty() {
        let (tag, content, rest) = element(fields)?;
        if tag == EC_PARAMETERS {
            let (tag, ..) = element(content)?;
            let algorithm = [&EC, content].concat();
            return (tag == OBJECT_ID).then(|| private_key_info(&algorithm, key));
        }
        fields = rest;
    }
    None
}

fn private_key_info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = wrap(SEQUENCE, algorithm);
    let key = wrap(OCTET_STRING, key);
    wrap(SEQUENCE, &[&VERSION[..], &algorithm, &key].concat())
}

/// Encodes one element (X.690 §8.1).
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut bytes = vec![tag];
    match (content.len(), u8::try_from(length.len())) {
        (short @ 0..=127, _) => bytes.extend(u8::try_from(short)),
        (_, Ok(count)) => {
            bytes.push(0x80 | count);
            bytes.extend(length);
        }
        (_, Err(_)) => {}
    }
    bytes.extend(content);
    bytes
}

/// Splits off one element: its tag, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=127 => (usize::from(first), rest),
        _ => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fold =
                |length: usize, byte: &u8| length.checked_mul(256)?.checked_add(usize::from(*byte));
            (bytes.iter().try_fold(0, fold)?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_whatever_stands_around_them() {
        let text = "\u{feff}Certificate:\r\n  Data\r\n-----BEGIN A-----\r\nMII=\r\n-----END A-----\r\n\
                    -----BEGIN B C-----\nx\n-----END D-----\n-----BEGIN E-----\ny\n";
        let blocks = blocks(text);
        assert_eq!(
            blocks,
            [PemBlock {
                label: "A".to_owned(),
                text: "-----BEGIN A-----\nMII=\n-----END A-----\n".to_owned()
            }]
        );
        let marked = "\u{feff}-----BEGIN A-----\nMII=\n-----END A-----";
        assert_eq!(super::blocks(marked), blocks);
    }

    #[test]
    fn elements_are_wrapped_and_split_again() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let mut bytes = wrap(SEQUENCE, &content);
            bytes.push(9);
            assert_eq!(element(&bytes), Some((SEQUENCE, &content[..], &[9][..])));
            assert_eq!(element(&bytes[..bytes.len() - 2]), None);
        }
        for hostile in [
            &[][..],
            &[0x30],
            &[0x30, 0x89, 255, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(element(hostile), None);
            assert_eq!(pkcs8_of_ec(hostile), None);
        }
    }
}
