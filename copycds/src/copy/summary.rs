//! What was verified, by what, and what nothing covered: the one line that an import ends with.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::claims::Claims;
use crate::digest::Algorithm;

/// How the files of a medium were verified. Every file here passed, or there would be no summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The proofs, strongest algorithm first.
    pub proofs: Vec<Proof>,
    /// How many files nothing on the medium speaks of.
    pub uncovered_files: u64,
    /// How many bytes those have.
    pub uncovered_bytes: u64,
}

/// What one chain of metadata on the medium proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// How it is believed: `Release → Packages`.
    pub chain: String,
    /// How many files it covered.
    pub files: u64,
    /// How many bytes those have.
    pub bytes: u64,
}

impl Summary {
    /// Sums up what `claims` say of the files of `plan`.
    pub(super) fn of(plan: &Plan<'_>, claims: &Claims) -> Self {
        let mut summary = Self::default();
        let mut proofs: BTreeMap<(Algorithm, &str), (u64, u64)> = BTreeMap::new();
        for step in &plan.files {
            let (files, bytes) = match claims.of(&step.entry.path) {
                Some(claim) => {
                    let chain = claims.source(claim).chain.as_str();
                    let sum = proofs.entry((claim.digest.algorithm(), chain)).or_default();
                    (&mut sum.0, &mut sum.1)
                }
                None => (&mut summary.uncovered_files, &mut summary.uncovered_bytes),
            };
            *files += 1;
            *bytes += step.size;
        }
        summary.proofs = proofs
            .into_iter()
            .rev()
            .map(|((algorithm, chain), (files, bytes))| Proof {
                algorithm,
                chain: chain.to_owned(),
                files,
                bytes,
            })
            .collect();
        summary
    }

    /// Returns one line for each proof, and one for what nothing covered.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self
            .proofs
            .iter()
            .map(|proof| {
                let Proof {
                    algorithm,
                    chain,
                    files,
                    bytes,
                } = proof;
                format!("{files} files ({bytes} bytes) by {algorithm} ({chain})")
            })
            .collect();
        if self.uncovered_files > 0 {
            let Self {
                uncovered_files: files,
                uncovered_bytes: bytes,
                ..
            } = self;
            lines.push(format!(
                "{files} files ({bytes} bytes) covered by nothing on the medium"
            ));
        }
        lines
    }
}
