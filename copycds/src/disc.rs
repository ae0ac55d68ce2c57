//! One medium that was opened and recognised.

use std::path::Path;

use anyhow::{Context, Result};
use definitions::Arch;

use crate::describe::Holds;
use crate::media::Medium;
use crate::recognise::{self, Verdict};
use crate::setting::Setting;

/// Opens a medium and recognises it, as far as it tells.
pub(crate) fn inspect(path: &Path, setting: &Setting) -> Result<(Medium, Verdict)> {
    let medium = Medium::open(path)?;
    let recognising = || format!("recognising {}", path.display());
    let evidence = recognise::gather(&medium).with_context(recognising)?;
    let verdict = recognise::identify(&evidence, &setting.rules, &setting.wanted)
        .with_context(recognising)?;
    Ok((medium, verdict))
}

/// A medium and what it was recognised as.
#[derive(Debug)]
pub(crate) struct Disc {
    pub(crate) medium: Medium,
    pub(crate) verdict: Verdict,
    pub(crate) arch: Arch,
    pub(crate) holds: Holds,
}

impl Disc {
    /// Opens a medium to import it: its architecture is told, by itself or by `-a`.
    pub(crate) fn open(path: &Path, setting: &Setting) -> Result<Self> {
        let (medium, verdict) = inspect(path, setting)?;
        let recognising = || format!("recognising {}", path.display());
        let arch = verdict.require_arch().with_context(recognising)?;
        let holds = Holds::of(&medium, &verdict);
        Ok(Self {
            medium,
            verdict,
            arch,
            holds,
        })
    }

    /// Returns the path as it was given.
    pub(crate) fn path(&self) -> &Path {
        self.medium.path()
    }

    /// Returns what it is, in two words: `rocky9.4 x86_64`.
    pub(crate) fn release(&self) -> String {
        format!("{} {}", self.verdict.distro, self.arch)
    }

    /// Returns what tells this disc from the others of its release, for people and for the record. A
    /// disc built anew has the same; one with other things on it does not, though all discs of a
    /// release may share a volume identifier.
    pub(crate) fn label(&self) -> String {
        let verdict = &self.verdict;
        let volume = Some(self.medium.ids().volume.trim()).filter(|volume| !volume.is_empty());
        let name = volume.unwrap_or(&verdict.product);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let mut label: String = name.chars().map(clean).collect();
        if let Some(variant) = verdict
            .variant
            .as_deref()
            .filter(|variant| !name.contains(variant))
        {
            label = format!("{label}, {variant}");
        }
        if let Some(disc) = verdict.disc {
            label = format!("{label}, disc {}", disc.number);
        }
        if self.holds.packages == 0 {
            label.push_str(", without packages");
        }
        label
    }
}
