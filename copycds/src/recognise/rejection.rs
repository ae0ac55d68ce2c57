//! Why a medium was not recognised: what was seen, where, and what would settle it.

use std::fmt;

use super::advice::advice;
use super::finding::{ReleaseFinding, clean};
use super::reason::RejectionReason;

/// Why a medium is not identified. Its text is whole: why, every text that was read, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: RejectionReason,
    /// Every text that was read, of use or not.
    pub evidence: Vec<ReleaseFinding>,
    /// The `.treeinfo` of each tree in a directory of the medium.
    pub trees: Vec<String>,
}

impl Rejection {
    /// Returns its evidence, for whoever renders it in another form.
    pub fn evidence(&self) -> Vec<&ReleaseFinding> {
        self.evidence.iter().collect()
    }

    /// Returns the kind in one word, stable for programs.
    pub fn kind(&self) -> &'static str {
        match self.reason {
            RejectionReason::Unknown => "unknown",
            RejectionReason::Derivative { .. } => "derivative",
            RejectionReason::OtherSystem { .. } => "other-system",
            RejectionReason::Conflict { .. } => "conflict",
            RejectionReason::Unconfirmed { .. } => "unconfirmed",
            RejectionReason::VersionUnknown { .. } => "version-unknown",
            RejectionReason::ArchUnknown { .. } => "arch-unknown",
            RejectionReason::OtherArch { .. } => "other-arch",
            RejectionReason::WrongArch { .. } => "wrong-arch",
            RejectionReason::NotAnInstallMedium { .. } => "not-an-install-medium",
            RejectionReason::Unnameable { .. } => "unnameable",
        }
    }

    /// Names the trees in directories, which are to be imported one by one.
    fn write_trees(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_COUNT: usize = 3;
        let Some(first) = self.trees.first() else {
            return Ok(());
        };
        let shown: Vec<String> = self
            .trees
            .iter()
            .take(MAX_COUNT)
            .map(|path| clean(path))
            .collect();
        let more = self.trees.len() - shown.len();
        write!(
            f,
            "; there is a tree in a directory of it ({}",
            shown.join(", ")
        )?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        let dir = first.split('/').next().unwrap_or_default();
        write!(
            f,
            "): to import a tree alone, give copycds its directory, here {} of the mounted medium",
            clean(dir)
        )
    }

    /// What was read, without what the reason itself shows.
    fn rest(&self) -> impl Iterator<Item = &ReleaseFinding> {
        let shown = match &self.reason {
            RejectionReason::Conflict { left, right, .. } => vec![&**left, &**right],
            _ => Vec::new(),
        };
        self.evidence
            .iter()
            .filter(move |finding| !shown.contains(finding))
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.evidence.is_empty() && self.reason == RejectionReason::Unknown {
            f.write_str(
                "nothing on this medium says what it is (looked for .disk/info, dists/*/Release, \
                 .treeinfo, .discinfo, media.repo, media.1/, content, release packages and a volume id)",
            )?;
        } else {
            write!(f, "{}", self.reason)?;
        }
        let rest: Vec<_> = self.rest().map(ReleaseFinding::to_string).collect();
        if !rest.is_empty() {
            let link = match self.reason {
                RejectionReason::Conflict { .. } => "; ",
                _ => ": ",
            };
            write!(f, "{link}{}", rest.join("; "))?;
        }
        if let Some(advice) = advice(&self.reason, &self.evidence) {
            write!(f, "; {advice}")?;
        }
        self.write_trees(f)
    }
}

impl std::error::Error for Rejection {}
