//! What a published tree can serve, as definitions of osimages.
//!
//! A [`MediumIdentity`], the tree and what is on the medium come in; the osimages
//! `<osvers>-<arch>-<install|netboot>-<compute|dockerhost>` go out and into the catalog. What the user
//! has changed in a definition stays: an osimage that exists is never written again, and what differs
//! is shown. Nothing here names a template or a package list: whoever renders finds them by the
//! release, the architecture and the profile.

mod contents;
mod images;

use anyhow::{Context, Result};
use definitions::{Catalog, Definition, Object, OsImage};
use serde::Serialize;

pub use contents::MediumContents;
pub use images::{TreeLocation, images};

/// What happened to one osimage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Described {
    /// The osimage.
    pub name: String,
    /// What was done with its definition.
    pub change: DefinitionChange,
    /// Attributes that say something else than a new definition would: `-` lines hold what it would
    /// say, `+` lines what it says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<String>,
}

/// What is done with a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DefinitionChange {
    /// It is new.
    Created,
    /// It says all this already.
    Unchanged,
    /// Somebody changed it, and it stays as it is.
    Kept,
}

/// Says what [`save`] would do.
///
/// # Errors
/// When the catalog cannot be read.
pub fn preview(catalog: &Catalog, images: &[OsImage]) -> Result<Vec<Described>> {
    images
        .iter()
        .map(|image| {
            let wanted = image.to_object()?;
            let existing = catalog.find::<OsImage>(&image.name)?;
            let existing = existing.map(|image| image.to_object()).transpose()?;
            Ok(compare(&wanted, existing.as_ref()))
        })
        .collect()
}

/// Adds the definitions that do not exist yet, in one change.
///
/// # Errors
/// When the catalog cannot be read or written.
pub fn save(catalog: &Catalog, images: &[OsImage]) -> Result<Vec<Described>> {
    let described = preview(catalog, images)?;
    if described
        .iter()
        .all(|image| image.change != DefinitionChange::Created)
    {
        return Ok(described);
    }
    let mut edit = catalog.edit().context("defining osimages")?;
    let mut described = Vec::new();
    for image in images {
        let wanted = image.to_object()?;
        let result = compare(&wanted, edit.find(OsImage::KIND, &image.name)?);
        if result.change == DefinitionChange::Created {
            edit.put(&wanted)?;
        }
        described.push(result);
    }
    edit.commit().context("defining osimages")?;
    Ok(described)
}

/// Compares what would be written with what exists.
fn compare(wanted: &Object, existing: Option<&Object>) -> Described {
    let name = wanted.name().to_owned();
    let Some(existing) = existing else {
        return Described {
            name,
            change: DefinitionChange::Created,
            diff: Vec::new(),
        };
    };
    let diff = diff(wanted, existing);
    let change = if diff.is_empty() {
        DefinitionChange::Unchanged
    } else {
        DefinitionChange::Kept
    };
    Described { name, change, diff }
}

fn diff(wanted: &Object, existing: &Object) -> Vec<String> {
    let (wanted, existing) = (wanted.attributes(), existing.attributes());
    let mut names: Vec<_> = wanted.keys().chain(existing.keys()).collect();
    names.sort();
    names.dedup();
    let line = |sign, name, value| move || format!("{sign}{name}={value}");
    let mut lines = Vec::new();
    for name in names {
        let (one, two) = (wanted.get(name), existing.get(name));
        if one != two {
            lines.extend(one.map(|value| line('-', name, value)()));
            lines.extend(two.map(|value| line('+', name, value)()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(pkgdir: &str) -> OsImage {
        OsImage {
            name: "rocky9.4-x86_64-install-compute".into(),
            imagetype: Some("linux".into()),
            pkgdir: vec![pkgdir.into()],
            ..OsImage::default()
        }
    }

    #[test]
    fn a_second_run_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(dir.path());
        let first = save(&catalog, &[image("/a")]).unwrap();
        assert_eq!(first[0].change, DefinitionChange::Created);
        let second = save(&catalog, &[image("/a")]).unwrap();
        assert_eq!(
            (second[0].change, second[0].diff.len()),
            (DefinitionChange::Unchanged, 0)
        );
    }

    #[test]
    fn what_a_user_changed_stays_and_the_difference_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(dir.path());
        let mut edited = image("/mine");
        edited.template = Some("/mine.tmpl".into());
        edited.imagetype = None;
        catalog.save(&edited).unwrap();
        let described = save(&catalog, &[image("/a")]).unwrap();
        assert_eq!(described[0].change, DefinitionChange::Kept);
        assert_eq!(
            described[0].diff,
            [
                "-imagetype=linux",
                "-pkgdir=/a",
                "+pkgdir=/mine",
                "+template=/mine.tmpl"
            ]
        );
        assert_eq!(catalog.load::<OsImage>(&edited.name).unwrap(), edited);
    }
}
