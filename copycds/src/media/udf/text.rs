//! Text in UDF: OSTA compressed Unicode (UDF 2.60 §2.1.1) and link targets made of it.

use anyhow::{Result, anyhow, bail, ensure};

use crate::media::bytes::ByteFields;
use crate::media::entry_list::MAX_PATH;

/// Decodes compressed Unicode: after a first byte 8, one byte a character; after 16, two, high first.
pub(super) fn unicode(bytes: &[u8]) -> Result<String> {
    match bytes.split_first() {
        None => Ok(String::new()),
        Some((8, text)) => Ok(text.iter().map(|&byte| char::from(byte)).collect()),
        Some((16, text)) => {
            ensure!(
                text.len().is_multiple_of(2),
                "a name of {} bytes is cut",
                text.len()
            );
            let units = text
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .collect::<Result<_, _>>()
                .map_err(|err| anyhow!("a name is no text: {err}"))
        }
        Some((other, _)) => bail!("a name is compressed by the unknown method {other}"),
    }
}

/// Decodes a field of fixed width whose last byte says how many are used (ECMA-167 1/7.2.12).
pub(super) fn fixed(field: &[u8]) -> Result<String> {
    match field.split_last() {
        Some((&len, text)) => unicode(ByteFields(text).slice(0, len.into())?),
        None => Ok(String::new()),
    }
}

/// Decodes a link's target (ECMA-167 4/14.16).
pub(super) fn link_target(data: &[u8]) -> Result<Vec<u8>> {
    let data = ByteFields(data);
    let (mut target, mut at) = (String::new(), 0);
    while at < data.0.len() {
        let (kind, len) = (data.byte(at)?, usize::from(data.byte(at + 1)?));
        let text = data.slice(at + 4, len)?;
        at += 4 + len;
        if !target.is_empty() && !target.ends_with('/') {
            target.push('/');
        }
        match kind {
            1 | 2 => "/".clone_into(&mut target),
            3 => target.push_str(".."),
            4 => target.push('.'),
            5 => target.push_str(&unicode(text)?),
            other => bail!("a link component of the unknown kind {other}"),
        }
        ensure!(
            target.len() <= MAX_PATH,
            "a link target of more than {MAX_PATH} bytes"
        );
    }
    Ok(target.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_as_its_first_byte_says() {
        assert_eq!(unicode(b"\x08caf\xe9").unwrap(), "café");
        assert_eq!(unicode(b"\x10\x26\x3a\0!").unwrap(), "☺!");
        assert_eq!(fixed(b"\x08CDROM\0\0\0\x06").unwrap(), "CDROM");
        assert_eq!(fixed(&[0; 32]).unwrap(), "");
        let error = |bytes: &[u8]| unicode(bytes).unwrap_err().to_string();
        assert_eq!(error(b"\x10abc"), "a name of 3 bytes is cut");
        assert_eq!(
            error(b"\x09abc"),
            "a name is compressed by the unknown method 9"
        );
    }

    #[test]
    fn link_targets_are_joined_from_components() {
        let component = |kind: u8, text: &str| {
            let len = u8::try_from(text.len() + 1).unwrap();
            match text {
                "" => vec![kind, 0, 0, 0],
                _ => [&[kind, len, 0, 0, 8], text.as_bytes()].concat(),
            }
        };
        let parts = [
            component(3, ""),
            component(5, "usr"),
            component(4, ""),
            component(5, "a"),
        ];
        assert_eq!(link_target(&parts.concat()).unwrap(), b"../usr/./a");
        let parts = [component(2, ""), component(5, "etc")];
        assert_eq!(link_target(&parts.concat()).unwrap(), b"/etc");
    }
}
