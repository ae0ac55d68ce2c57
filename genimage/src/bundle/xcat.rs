//! A bundle of xCAT's own: a gzipped archive of one directory, with `manifest.xml` and the files that it names.
//!
//! An archive of somebody else's comes in; a definition with its lists goes out, and a sentence for each thing that does
//! not carry over: its root image is started by an initrd of xCAT's, and is built again here.
//!
//! Reference: imgexport(1) of xCAT.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use definitions::{Object, ObjectKind};
use serde_json::Map;

use super::{
    Bundle, BundleFile, FILE_ATTRIBUTES, MAX_BYTES, MAX_FILE, Voucher, split_value, texts,
};
use crate::rootimg::container::{self, RootTree};

/// The most bytes of a manifest.
const MAX_MANIFEST: u64 = 4 << 20;

/// Reads such a bundle.
///
/// # Errors
/// When it is not one, or damaged.
pub(super) fn read(file: File, voucher: Voucher, staging: &Path) -> Result<Bundle> {
    let mut tree = RootTree::default();
    tree.read(&container::unpacked(file, staging, MAX_BYTES)?)?;
    let manifest = tree
        .entries()
        .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
        .find(|path| {
            let directory = path.strip_suffix("manifest.xml");
            directory.is_some_and(|directory| directory.matches('/').count() <= 1)
        });
    let manifest = manifest
        .context("it has no manifest.xml: it is neither a bundle of Slipway nor of xCAT")?;
    let directory = manifest.trim_end_matches("manifest.xml").to_owned();
    let text = tree.text(&manifest, MAX_MANIFEST);
    let text = text.context("its manifest.xml is not a text of a sensible size")?;
    let mut bundle = parse(&text, voucher)?;
    let mut files = Vec::new();
    for attribute in FILE_ATTRIBUTES {
        for value in texts(bundle.attributes.get(attribute)) {
            let (_, path) = split_value(value);
            // Lists of one base name have overwritten each other when it was written.
            let base = path.rsplit('/').next().unwrap_or_default();
            match tree.open(format!("{directory}{base}").as_bytes()) {
                Some((size, mut reader)) => {
                    ensure!(size <= MAX_FILE, "{base} has more than {MAX_FILE} bytes");
                    let mut bytes = Vec::new();
                    reader.read_to_end(&mut bytes)?;
                    files.push(BundleFile {
                        attribute: attribute.to_owned(),
                        value: value.to_owned(),
                        bytes,
                    });
                }
                None => bundle
                    .left
                    .push(format!("{attribute} {path} is not in the bundle")),
            }
        }
    }
    if files.iter().any(|file| file.attribute == "template") {
        bundle.left.push(
            "the template is xCAT's: docs/xcat.md says what is written otherwise in one of Slipway"
                .to_owned(),
        );
    }
    for (name, why) in NOT_TAKEN {
        if tree
            .entry(format!("{directory}{name}").as_bytes())
            .is_some()
        {
            bundle.left.push(format!("{name} {why}"));
        }
    }
    bundle.files = files;
    Ok(bundle)
}

/// What is not taken from such a bundle, and why.
const NOT_TAKEN: [(&str, &str); 13] = [
    (
        "kernel",
        "is the image's own, and packimage takes it from there",
    ),
    (
        "initrd-stateless.gz",
        "starts xCAT's own scripts: packimage makes another",
    ),
    (
        "initrd-statelite.gz",
        "starts xCAT's own scripts: packimage makes another",
    ),
    (
        "initrd.gz",
        "starts xCAT's own scripts: packimage makes another",
    ),
    ("rootimg.gz", ROOT),
    ("rootimg.cpio.gz", ROOT),
    ("rootimg.cpio.xz", ROOT),
    ("rootimg.tar.gz", ROOT),
    ("rootimg.tar.xz", ROOT),
    ("rootimg.sfs", ROOT),
    ("rootimgtree.gz", ROOT),
    ("litefile.csv", "is of statelite, which there is not"),
    (
        "extra",
        "holds files for places that it does not say safely: copy them yourself",
    ),
];

/// Why a root image of xCAT's is not taken.
const ROOT: &str = "has xCAT's own scripts in it, and no record of what it is: genimage builds it again from the lists";

/// Reads the manifest: an element for each attribute.
fn parse(text: &str, voucher: Voucher) -> Result<Bundle> {
    let document = roxmltree::Document::parse(text).context("parsing manifest.xml")?;
    let mut attributes = Map::new();
    let mut name = None;
    let mut left = Vec::new();
    for element in document
        .root_element()
        .children()
        .filter(|node| node.is_element())
    {
        let tag = element.tag_name().name();
        let value = element.text().unwrap_or_default().trim();
        match tag {
            "imagename" => name = Some(value.to_owned()),
            // The image's own directory is that of its profile here.
            "rootimgdir" => {}
            _ if value.is_empty() => {}
            _ => {
                let mut object = Object::new(ObjectKind::OsImage, "name")?;
                match object.set(tag, value) {
                    Ok(()) => attributes.extend(object.to_json()),
                    Err(_) => left.push(format!(
                        "{}={} is not an attribute of an osimage here",
                        tag.escape_debug(),
                        value.escape_debug()
                    )),
                }
            }
        }
    }
    Ok(Bundle {
        name: name.context("manifest.xml does not say the osimage's name")?,
        attributes,
        installdir: None,
        files: Vec::new(),
        scripts: None,
        image: None,
        voucher,
        left,
    })
}
