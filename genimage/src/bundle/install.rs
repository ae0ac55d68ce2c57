//! A bundle that was checked, into definitions and files of this management node.
//!
//! A bundle and what it is to be called come in; its files are written, its root image is published, and its definition
//! is saved last, so that an osimage that is there is there completely.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use definitions::{
    Catalog, Definition, InstallDir, Noderange, Object, ObjectKind, OsImage, write_atomic,
};
use serde_json::{Map, Value};

use super::{
    Bundle, BundleFile, ImportTrust, NodeScripts, StagedImage, Voucher, plain, split_value, texts,
};
use crate::rootimg::record::RootImageDir;
use crate::vouch::SiteKey;

/// How an osimage is taken in.
#[derive(Debug, Default)]
pub(crate) struct ImportRequest {
    /// Its name here.
    pub(crate) name: Option<String>,
    /// Its profile here.
    pub(crate) profile: Option<String>,
    /// The nodes that get the scripts that came along.
    pub(crate) nodes: Option<Noderange>,
    /// By what the file is believed.
    pub(crate) trust: ImportTrust,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct ImportOutcome {
    pub(crate) name: String,
    pub(crate) files: usize,
    pub(crate) has_image: bool,
    pub(crate) nodes: Vec<String>,
    pub(crate) voucher: Voucher,
    /// What did not carry over.
    pub(crate) left: Vec<String>,
}

/// Makes the definition that a bundle gets here: paths below the install directory of there are below that of here.
///
/// # Errors
/// When it has an attribute that there is not, or another value than such an attribute has.
pub(super) fn definition(
    (name, attributes, there): (&str, &Map<String, Value>, Option<&str>),
    request: &ImportRequest,
    installdir: &InstallDir,
    left: &mut Vec<String>,
) -> Result<Object> {
    let here = installdir.path().display().to_string();
    let moved = |value: &Value| match value {
        Value::String(text) => Value::String(moved(text, there, &here)),
        Value::Array(texts) => texts
            .iter()
            .map(|text| match text {
                Value::String(text) => Value::String(moved(text, there, &here)),
                other => other.clone(),
            })
            .collect(),
        other => other.clone(),
    };
    let mut object = Object::new(ObjectKind::OsImage, name)?;
    for (attribute, value) in attributes {
        object
            .set_json(attribute, &moved(value))
            .with_context(|| format!("reading the osimage {}", name.escape_debug()))?;
    }
    object.set("rootimgdir", "")?;
    let mut new_name = name.to_owned();
    if let Some(profile) = &request.profile {
        object.set("profile", profile)?;
        let image = OsImage::from_object(&object)?;
        if let (Some(distro), Some(arch), Some(method)) =
            (&image.osvers, image.osarch, image.provmethod)
        {
            new_name = format!("{distro}-{arch}-{method}-{profile}");
        }
    }
    let object = object.renamed(request.name.as_deref().unwrap_or(&new_name))?;
    for attribute in ["pkgdir", "otherpkgdir"] {
        let entries = object
            .value(attribute)
            .map_or(&[][..], |value| value.entries());
        for entry in entries {
            let path = entry.rsplit(' ').next().unwrap_or_default();
            if path.starts_with('/') && !PathBuf::from(path).exists() {
                left.push(format!(
                    "{attribute} {path} is not here: it is needed to build another image, and not to boot this one"
                ));
            }
        }
    }
    Ok(object)
}

/// A path below the install directory of there, below that of here; `pkgdir` may have options before it:
/// `[trusted=yes] /install/debian12.9.0/x86_64`.
fn moved(text: &str, there: Option<&str>, here: &str) -> String {
    let (options, path) = match text.starts_with('[').then(|| text.split_once("] ")) {
        Some(Some((options, path))) => (&text[..options.len() + 2], path),
        _ => ("", text),
    };
    let rest = there.and_then(|there| path.strip_prefix(there));
    match rest.filter(|rest| rest.starts_with('/')) {
        Some(rest) => format!("{options}{here}{rest}"),
        None => text.to_owned(),
    }
}

/// Writes everything, the definition last.
///
/// # Errors
/// When there is an osimage of that name, its directory has another's image, or something cannot be written.
pub(crate) fn install(
    bundle: Bundle,
    request: &ImportRequest,
    catalog: &Catalog,
    installdir: &InstallDir,
    dry_run: bool,
) -> Result<ImportOutcome> {
    let mut left = bundle.left;
    let mut ignored = Vec::new(); // a bundle of ours has said so when it was read
    let there = bundle.installdir.as_deref();
    let mut object = definition(
        (&bundle.name, &bundle.attributes, there),
        request,
        installdir,
        &mut ignored,
    )?;
    if there.is_none() {
        left.append(&mut ignored);
    }
    let name = object.name().to_owned();
    let mut edit = catalog.edit()?;
    ensure!(
        edit.find(ObjectKind::OsImage, &name)?.is_none(),
        "there is an osimage {name} already: -n gives this one another name, -f another profile"
    );
    let nodes = match (&request.nodes, &bundle.scripts) {
        (Some(range), Some(scripts)) => give_scripts(&mut edit, range, scripts)?,
        (Some(_), None) => {
            anyhow::bail!("no scripts of a node came along: imgexport -p NODE takes them")
        }
        (None, _) => Vec::new(),
    };
    let has_image = bundle.image.is_some();
    let voucher = bundle.voucher;
    if dry_run {
        return Ok(ImportOutcome {
            name,
            files: bundle.files.len(),
            has_image,
            nodes,
            voucher,
            left,
        });
    }
    let directory = installdir.custom().join("imported").join(&name);
    for attribute in super::FILE_ATTRIBUTES {
        let values = texts(bundle.attributes.get(attribute));
        let place = directory.join(attribute);
        write_files(attribute, &values, &bundle.files, &place, &mut object)?;
    }
    if let Some(image) = bundle.image {
        publish(image, &object, installdir, SiteKey::of(catalog)?.as_ref())?;
    }
    edit.put(&object)?;
    edit.commit()?;
    Ok(ImportOutcome {
        name,
        files: bundle.files.len(),
        has_image,
        nodes,
        voucher,
        left,
    })
}

/// Writes the files that an attribute names into a directory, and has the attribute name them there.
fn write_files(
    attribute: &str,
    values: &[&str],
    files: &[BundleFile],
    directory: &Path,
    object: &mut Object,
) -> Result<()> {
    let own = files.iter().filter(|file| file.attribute == attribute);
    let own: Vec<_> = own.collect();
    if own.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let mode = if attribute == "postinstall" {
        0o755
    } else {
        0o644
    };
    let mut renamed = Vec::new();
    for (at, &value) in values.iter().enumerate() {
        let Some(file) = own.iter().find(|file| file.value == value) else {
            renamed.push(value.to_owned());
            continue;
        };
        let (prefix, path) = split_value(value);
        let stem = path.rsplit('/').next().unwrap_or_default();
        let to = directory.join(format!("{at}-{}", plain(stem)));
        write_atomic(&to, &file.bytes, mode)
            .with_context(|| format!("writing {}", to.display()))?;
        renamed.push(format!("{prefix}{}", to.display()));
    }
    object.set(attribute, &renamed.join(","))?;
    Ok(())
}

/// Puts the files of a root image where nodes fetch them, its record last, which the site's key signs if there is one.
fn publish(
    image: StagedImage,
    object: &Object,
    installdir: &InstallDir,
    site: Option<&SiteKey>,
) -> Result<()> {
    let StagedImage {
        mut record,
        staging,
        lock: _lock,
    } = image;
    let definition = OsImage::from_object(object)?;
    let directory = RootImageDir::of(&definition, installdir)?;
    if let Some(own) = directory.load().ok().flatten() {
        ensure!(
            own.osimage == object.name(),
            "{} holds the image of {}: -f gives this one a profile of its own",
            directory.path().display(),
            own.osimage
        );
    }
    for file in record.files() {
        let to = directory.file(file);
        fs::rename(staging.path().join(&file.file), &to)
            .with_context(|| format!("publishing {}", to.display()))?;
    }
    definitions::sync_directory(directory.path())
        .with_context(|| format!("publishing {}", directory.path().display()))?;
    record.osimage = object.name().to_owned();
    directory.publish(&record, site).map(drop)
}

/// Adds scripts to nodes that do not have them yet.
fn give_scripts(
    edit: &mut definitions::CatalogEdit<'_>,
    range: &Noderange,
    scripts: &NodeScripts,
) -> Result<Vec<String>> {
    let chosen = range.select(&edit.nodes()?)?;
    for name in &chosen {
        let node = edit.find(ObjectKind::Node, name)?.cloned();
        let mut node = node.with_context(|| format!("finding the node {name}"))?;
        for (attribute, more) in [
            ("postscripts", &scripts.postscripts),
            ("postbootscripts", &scripts.postbootscripts),
        ] {
            let own = node
                .value(attribute)
                .map_or(&[][..], |value| value.entries());
            let mut all = own.to_vec();
            all.extend(more.iter().filter(|script| !own.contains(script)).cloned());
            if !all.is_empty() {
                node.set_json(attribute, &all.into())?;
            }
        }
        edit.put(&node)?;
    }
    Ok(chosen)
}
