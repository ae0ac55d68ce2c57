//! The little that both rpm-md files need of XML.

use anyhow::{Context, Result, anyhow, bail};
use quick_xml::events::BytesStart;
use quick_xml::{Reader, XmlVersion};

use crate::digest::Digest;

/// Returns an element's name without its name space.
pub(super) fn local<'a>(tag: &'a BytesStart<'_>) -> &'a str {
    tag.local_name().into_inner()
}

/// Returns an attribute's value, with XML's own entities resolved.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    let found = tag
        .try_get_attribute(name)
        .context("reading an attribute")?;
    let value = found.map(|attribute| {
        attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map(String::from)
    });
    value.transpose().context("reading an attribute")
}

/// Returns the text of an element that has just begun.
pub(super) fn text(reader: &mut Reader<&[u8]>, tag: &BytesStart<'_>) -> Result<String> {
    let text = reader.read_text(tag.name()).context("reading an element")?;
    Ok(text.to_string())
}

/// Reads the value of `<checksum type="…">`.
pub(super) fn digest(tag: &BytesStart<'_>, hex: &str) -> Result<Digest> {
    let Some(algorithm) = attribute(tag, "type")? else {
        bail!("a checksum has no type");
    };
    let parsed = algorithm
        .parse()
        .and_then(|algorithm| Digest::parse(algorithm, hex.trim()));
    parsed.map_err(|why| anyhow!(why))
}
