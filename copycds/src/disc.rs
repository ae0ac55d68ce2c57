//! One medium that was opened and recognised.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::Arch;

use crate::describe::MediumContents;
use crate::media::Medium;
use crate::recognise::{self, MediumIdentity};
use crate::run_config::RunConfig;

/// Opens a medium and recognises it, as far as it says.
pub(crate) fn inspect(path: &Path, config: &RunConfig) -> Result<(Medium, MediumIdentity)> {
    let medium = Medium::open(path)?;
    let recognising = || format!("recognising {}", path.display());
    let evidence = recognise::gather(&medium).with_context(recognising)?;
    let identity = recognise::identify(&evidence, &config.rules, &config.requested)
        .with_context(recognising)?;
    Ok((medium, identity))
}

/// A medium and what it was recognised as.
#[derive(Debug)]
pub(crate) struct RecognisedDisc {
    pub(crate) medium: Medium,
    pub(crate) identity: MediumIdentity,
    pub(crate) arch: Arch,
    pub(crate) contents: MediumContents,
}

impl RecognisedDisc {
    /// Opens a medium to import it: its architecture is known, from itself or from `-a`.
    pub(crate) fn open(path: &Path, config: &RunConfig) -> Result<Self> {
        let (medium, identity) = inspect(path, config)?;
        let recognising = || format!("recognising {}", path.display());
        let arch = identity.require_arch().with_context(recognising)?;
        let contents = MediumContents::of(&medium, &identity);
        Ok(Self {
            medium,
            identity,
            arch,
            contents,
        })
    }

    /// Returns the path as it was given.
    pub(crate) fn path(&self) -> &Path {
        self.medium.path()
    }

    /// Returns where its tree goes.
    pub(crate) fn target(&self, config: &RunConfig) -> PathBuf {
        let place = || config.installdir.tree(&self.identity.distro, self.arch);
        config.path.clone().unwrap_or_else(place)
    }

    /// Returns what it is, in two words: `rocky9.4 x86_64`.
    pub(crate) fn release(&self) -> String {
        format!("{} {}", self.identity.distro, self.arch)
    }

    /// Returns what distinguishes this disc from the others of its release, for people and for the record. A
    /// disc built anew has the same; one with other things on it does not, though all discs of a
    /// release may share a volume identifier.
    pub(crate) fn label(&self) -> String {
        let identity = &self.identity;
        let volume = Some(self.medium.ids().volume.trim()).filter(|volume| !volume.is_empty());
        let name = volume.unwrap_or(&identity.product);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut label: String = name.chars().map(clean).collect();
        if let Some(variant) = identity
            .variant
            .as_deref()
            .filter(|variant| !name.contains(variant))
        {
            label = format!("{label}, {variant}");
        }
        if let Some(disc) = identity.disc {
            label = format!("{label}, disc {}", disc.number);
        }
        if self.contents.packages == 0 {
            label.push_str(", without packages");
        }
        label
    }
}

/// Refuses `-p` for discs of several releases: it names one tree.
pub(crate) fn check_one_tree(discs: &[RecognisedDisc], config: &RunConfig) -> Result<()> {
    let release = |disc: &RecognisedDisc| (disc.identity.distro.clone(), disc.arch);
    let (Some(path), Some(first)) = (&config.path, discs.first()) else {
        return Ok(());
    };
    match discs.iter().find(|disc| release(disc) != release(first)) {
        None => Ok(()),
        Some(other) => bail!(
            "-p {} names one tree, but {} is {} and {} is {}: import them one by one",
            path.display(),
            first.path().display(),
            first.release(),
            other.path().display(),
            other.release(),
        ),
    }
}
