//! What is secret of objects: a file that is its owner's alone, beside those that everybody may read.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Catalog, Layout, MAX_BYTES, ObjectsByName, text};
use crate::{Object, ObjectKind, read_text};

impl Catalog {
    /// Names the file.
    pub(super) fn secrets(&self) -> PathBuf {
        self.0.join("secrets.toml")
    }

    /// Adds to objects what is secret of them, as far as this user may read it.
    pub(super) fn read_secrets(
        &self,
        by_kind: &mut BTreeMap<ObjectKind, ObjectsByName>,
    ) -> Result<()> {
        use ErrorKind::{NotFound, PermissionDenied};
        let file = self.secrets();
        let text = match read_text(&file, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
        };
        for secrets in text::parse(&Layout::Secrets, &file, &text)? {
            let by_name = by_kind.get_mut(&secrets.kind());
            if let Some(stored) = by_name.and_then(|by_name| by_name.get_mut(secrets.name())) {
                let attributes = secrets.attributes().clone();
                stored.object.attributes_mut().extend(attributes);
            }
        }
        Ok(())
    }
}

/// Parts what is secret of an object from what is not.
impl Object {
    /// Says whether any of its attributes is secret.
    pub(crate) fn has_secrets(&self) -> bool {
        let mut secrets = self.kind().secrets().iter();
        secrets.any(|name| self.value(name).is_some())
    }

    /// Returns the object with its secret attributes alone, or with the others.
    pub(crate) fn part(&self, secret: bool) -> Self {
        let (secrets, mut part) = (self.kind().secrets(), self.clone());
        part.attributes_mut()
            .retain(|name, _| secrets.contains(name) == secret);
        part
    }
}
