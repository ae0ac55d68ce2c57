//! What holds for every medium of one run: the command line and the site.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use definitions::{Catalog, InstallDir};

use crate::checksums::{DigestOptions, Keyrings, UnverifiedPolicy};
use crate::cli::Args;
use crate::copy::ByteProgress;
use crate::digest::Digest;
use crate::recognise::{RecognitionRules, RequestedRelease};

/// What holds for every medium of one run.
#[derive(Debug)]
pub(crate) struct RunConfig {
    pub(crate) catalog: Catalog,
    pub(crate) installdir: InstallDir,
    pub(crate) rules: RecognitionRules,
    pub(crate) keyrings: Keyrings,
    pub(crate) requested: RequestedRelease,
    /// Where the tree goes, if not to its place under the install directory.
    pub(crate) path: Option<PathBuf>,
    pub(crate) osimages: bool,
    pub(crate) nonoverwrite: bool,
    pub(crate) hash: bool,
    sums: Option<PathBuf>,
    sha256: Option<Digest>,
    /// Whether what nobody vouches for may come where signatures are or were.
    pub(crate) accept_unsigned: bool,
    /// How far the imports of this run are, and whether to stop.
    pub(crate) progress: Arc<ByteProgress>,
}

impl RunConfig {
    /// Reads the site's settings and the rules, and remembers what was asked for.
    pub(crate) fn load(args: &Args) -> Result<Self> {
        if args.sha256.is_some() && args.media.len() > 1 {
            bail!(
                "--sha256 is the digest of one image: import them one by one, or give a list (--sums)"
            );
        }
        let catalog = Catalog::new(&args.config);
        let installdir = catalog.site()?.install_dir();
        let path = args.path.as_deref().map(std::path::absolute).transpose();
        Ok(Self {
            rules: RecognitionRules::load(&args.config.join("media.d"))?,
            keyrings: Keyrings::load(&args.config)?,
            requested: RequestedRelease {
                name: args.name.clone(),
                arch: args.arch,
            },
            path: path.context("finding where -p leads")?,
            osimages: !args.noosimage,
            nonoverwrite: args.nonoverwrite,
            hash: !args.no_hash,
            sums: args.sums.clone(),
            sha256: args.sha256,
            accept_unsigned: args.accept_unsigned,
            progress: Arc::new(ByteProgress::new()),
            catalog,
            installdir,
        })
    }

    /// Returns what the user said of the digest of images.
    pub(crate) fn digest_options(&self) -> DigestOptions<'_> {
        DigestOptions {
            sha256: self.sha256.as_ref(),
            sums: self.sums.as_deref(),
        }
    }

    /// Returns what becomes of a signature that does not count.
    pub(crate) fn unverified(&self) -> UnverifiedPolicy {
        if self.accept_unsigned {
            UnverifiedPolicy::Accept
        } else {
            UnverifiedPolicy::Refuse
        }
    }
}
