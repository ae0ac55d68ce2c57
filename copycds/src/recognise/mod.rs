//! What a medium is: evidence in, its identity out.
//!
//! [`gather`] reads the little that matters (a dozen small files, the names of all files, the volume
//! descriptor); [`identify`] is pure. In between every source becomes a [`ReleaseFinding`] by [`RecognitionRules`], which
//! are data. A text is read from its first word to its last, and a product that no rule reads counts
//! against every family. Findings that agree make one identity, as precise as the most precise of them;
//! findings that do not agree, a derivative that imitates, another operating system and a label on an empty
//! disc are each a [`Rejection`] that says what was seen and where. Nothing is guessed: a release is known
//! when the medium says it, and a newer one than these rules know is recognised by the same
//! words, Debian's and Ubuntu's where the archive on the medium confirms it.
//!
//! Names are xCAT's. Where media differ the medium is followed: RHEL 8 calls itself `8.6.0` in
//! `.discinfo` and `8.6` in `.treeinfo`, and the longer one names it when both are there; Oracle's third
//! number is dropped, because it is always 0. What has no number is called `debiantesting`,
//! `fedorarawhide`, `fedoraeln`, `opensusetumbleweed`. Workstation and other editions are variants of
//! their release; what is not the plain release has a name of its own (`fedora40.ostree`,
//! `ubuntu24.04.beta`), as have AlmaLinux Kitten (`alma-kitten10`) and the Micro systems; Atomic Host and
//! CoreOS are refused, since there is nothing on them to install from.

mod advice;
mod arch_words;
mod confirm;
mod decide;
mod evidence;
mod finding;
mod identity;
mod installer;
mod literals;
mod match_rules;
mod package_names;
mod pattern;
mod reason;
mod rejection;
mod release_files;
mod rules;
mod rules_file;
mod source;
mod statements;
mod trailing_words;
mod treeinfo;

pub use decide::identify;
pub use evidence::{Evidence, ROOT, gather};
pub use finding::{DiscNumber, ReleaseFinding, Version, Weight};
pub use identity::{MediumIdentity, MediumInstaller, RequestedRelease};
pub use reason::{ConflictSubject, RejectionReason};
pub use rejection::Rejection;
pub use rules::RecognitionRules;
pub use source::FindingSource;
