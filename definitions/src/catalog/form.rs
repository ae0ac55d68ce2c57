//! The form of the data: a number in `<config>/format`, which a version that changes the form of a file there writes.
//!
//! A directory comes in; an error goes out when a newer version wrote it. Without the file the form is the first. What
//! holds for the definitions holds for the authorities beside them.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::MAX_BYTES;
use crate::read_text;

/// The form that this version reads and writes.
const FORM: u32 = 1;

/// Refuses a form that is newer.
///
/// # Errors
/// When it is, or the file holds no number.
pub(super) fn check(directory: &Path) -> Result<()> {
    let path = directory.join("format");
    let text = match read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    let form: u32 = text
        .trim()
        .parse()
        .ok()
        .with_context(|| format!("{} holds no number", path.display()))?;
    if form > FORM {
        bail!(
            "{} has definitions of form {form}, and this version reads form {FORM}: \
             use the version that wrote them, or a newer one",
            directory.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{Catalog, Node, Site};

    #[test]
    fn a_newer_form_is_neither_read_nor_written() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(dir.path());
        let site = Site {
            name: Site::NAME.to_owned(),
            ..Site::default()
        };
        for (text, expected) in [
            ("", "<dir>/format holds no number"),
            ("1\n", ""),
            (
                "2\n",
                "<dir> has definitions of form 2, and this version reads form 1: use the version that wrote them, or a newer one",
            ),
        ] {
            fs::write(dir.path().join("format"), text).unwrap();
            for result in [
                catalog.save(&site),
                catalog.site().map(drop),
                catalog.nodes().map(drop),
                catalog.find::<Node>("n1").map(drop),
                catalog.check_form(),
            ] {
                let said = result.map_or_else(|error| format!("{error:#}"), |()| String::new());
                let said = said.replace(&dir.path().display().to_string(), "<dir>");
                assert_eq!(said, expected);
            }
        }
    }
}
