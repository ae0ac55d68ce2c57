//! The directory of the site's authorities: `<config>/trust`, which is its owner's alone.
//!
//! ```text
//! root.crt root.key         signs the authorities; the key may be taken away
//! nodes.crt nodes.key       signs identities of hosts, within the site's domains and networks
//! clients.crt clients.key   signs clients, which speak for no name
//! server.crt server.key     what the management node answers with
//! boot.crt boot.key         signs bootfiles, and is the only root of the site's iPXE; the key may be taken away
//! bootfiles.crt bootfiles.key   signs what nodes boot
//! ipxe.json                 the iPXE that was built
//! ssh_host_ca ssh_host_ca.pub   signs hosts' ssh keys
//! trees.key trees.asc       signs trees (OpenPGP)
//! store.json                what was signed, what is revoked, who is armed
//! roll/                     another generation of all that signs, while the authority changes
//! ```

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{Catalog, SignedIdentity};
use nix::fcntl::OFlag;
use time::OffsetDateTime;

use super::roll::{DIRECTORY, Generation, RollState};
use super::secret::digest;
use super::term::stamp;
use super::x509::{Certified, PrivateKey, Signer};
use crate::replace;

/// No key is as long.
const MAX_BYTES: u64 = 64 << 10;

/// What has a certificate and a key there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Holder {
    /// The root, which signs the others.
    Root,
    /// What signs identities of hosts.
    Nodes,
    /// What signs clients.
    Clients,
    /// The management node as nodes reach it.
    Server,
    /// The root of what nodes boot, which iPXE trusts alone.
    Boot,
    /// What signs boot files.
    BootFiles,
}

impl Holder {
    /// All of them, those that sign first.
    pub(crate) const ALL: [Self; 6] = [
        Self::Root,
        Self::Nodes,
        Self::Clients,
        Self::Server,
        Self::Boot,
        Self::BootFiles,
    ];

    /// What `roll` changes, those that sign first; of what nodes boot where the site has it.
    pub(crate) const ROLLED: [Self; 5] = [
        Self::Root,
        Self::Nodes,
        Self::Clients,
        Self::Boot,
        Self::BootFiles,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Nodes => "nodes",
            Self::Clients => "clients",
            Self::Server => "server",
            Self::Boot => "boot",
            Self::BootFiles => "bootfiles",
        }
    }

    /// What its certificate's file is called.
    pub(crate) fn file(self) -> String {
        format!("{}.crt", self.name())
    }

    /// Whether its key is needed to renew others alone, and may be taken away.
    pub(crate) fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::Boot)
    }
}

/// What hosts trust: the site's roots, PEM, and the keys by which it signs trees, which need not be there.
#[derive(Debug, Clone)]
pub(crate) struct TrustedByHosts {
    pub(crate) roots: String,
    pub(crate) trees: String,
}

impl TrustedByHosts {
    /// Returns both as one text.
    pub(crate) fn text(&self) -> String {
        self.roots.clone() + &self.trees
    }

    /// Returns the digest of both.
    pub(crate) fn digest(&self) -> String {
        digest(self.text().as_bytes())
    }

    /// Returns what a host's certificate says of the keys of trees.
    pub(crate) fn comment(&self) -> Option<String> {
        let keys = digest(self.trees.as_bytes());
        (!self.trees.is_empty()).then(|| format!("{}{keys}", SignedIdentity::TREES))
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub(crate) struct TrustDirectory(PathBuf);

impl TrustDirectory {
    /// Names the directory.
    pub(crate) fn of(catalog: &Catalog) -> Self {
        Self(catalog.path().join("trust"))
    }

    /// Names a directory in which authorities are being made.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Returns the directory, which must be there and its owner's alone.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn existing(&self) -> Result<&Path> {
        let path = &self.0;
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!(
                    "the site has no authority yet: {} is not there: run slipway-trust init",
                    path.display()
                );
            }
            Err(error) => {
                return Err(error).with_context(|| format!("looking at {}", path.display()));
            }
        };
        if !meta.is_dir() {
            bail!("{} is no directory", path.display());
        }
        guarded(path, &meta, "entered", "700")?;
        Ok(path)
    }

    /// Returns the path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Lists what has a certificate and a key there; what concerns iPXE, where it was built.
    pub(crate) fn holders(&self) -> impl Iterator<Item = Holder> {
        let has_boot = self.path("boot.crt").exists();
        let of_boot = |holder: &Holder| matches!(holder, Holder::Boot | Holder::BootFiles);
        let all = Holder::ALL.into_iter();
        all.filter(move |holder| has_boot || !of_boot(holder))
    }

    /// Reads what others are to trust: the certificate of a holder, while the authority changes those of both generations,
    /// the one that signs first.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn trusted(&self, holder: Holder) -> Result<String> {
        read(holder, &self.path(&holder.file()))
    }

    /// Reads the certificate that a holder signs by.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn certificate(&self, holder: Holder) -> Result<String> {
        match self.rolled(&holder.file())? {
            Some(roll) => self.of_generation(holder, roll.stage.signing()),
            None => self.trusted(holder),
        }
    }

    /// Reads the certificate of one generation, while the authority changes.
    ///
    /// # Errors
    /// When it is not there.
    pub(crate) fn of_generation(&self, holder: Holder, generation: Generation) -> Result<String> {
        read(holder, &self.copy(&holder.file(), generation))
    }

    /// Returns where what others are to trust of one generation is, while the authority changes.
    pub(crate) fn copy(&self, name: &str, generation: Generation) -> PathBuf {
        self.path(DIRECTORY).join(generation.name()).join(name)
    }

    /// Returns the key of one generation: the old ones stay where they were.
    fn key_of(&self, holder: Holder, generation: Generation) -> PathBuf {
        let name = format!("{}.key", holder.name());
        self.place(generation).join(name)
    }

    /// Returns where the keys of a generation are.
    pub(crate) fn place(&self, generation: Generation) -> PathBuf {
        match generation {
            Generation::Old => self.0.clone(),
            Generation::New => self.path(DIRECTORY).join(generation.name()),
        }
    }

    /// Returns how far the authority's change is, where it concerns a file of what others are to trust.
    pub(crate) fn rolled(&self, name: &str) -> Result<Option<RollState>> {
        if self.copy(name, Generation::Old).exists() {
            RollState::load(&self.0)
        } else {
            Ok(None)
        }
    }

    /// Returns who counts, who signs first; where the authority does not change, those of always.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn generations(&self) -> Result<Vec<Generation>> {
        let roll = RollState::load(&self.0)?;
        Ok(roll.map_or_else(|| vec![Generation::Old], |roll| roll.stage.trusted()))
    }

    /// Returns the roots, and while the authority changes each root's word for the other: what a host is to trust, and by
    /// what it knows that.
    ///
    /// # Errors
    /// When they are not there.
    pub(crate) fn vouched_roots(&self) -> Result<String> {
        let mut text = self.trusted(Holder::Root)?;
        if RollState::load(&self.0)?.is_some_and(|roll| roll.stage.trusted().len() > 1) {
            for generation in [Generation::New, Generation::Old] {
                text += &self.cross(generation)?;
            }
        }
        Ok(text)
    }

    /// Returns what hosts trust beside what they have certificates for.
    ///
    /// # Errors
    /// When there is no root.
    pub(crate) fn by_hosts(&self) -> Result<TrustedByHosts> {
        Ok(TrustedByHosts {
            // in this order: who reads another root than before reads the keys that go with it
            roots: self.trusted(Holder::Root)?,
            trees: replace::read(&self.path(super::trees::PUBLIC))?.unwrap_or_default(),
        })
    }

    /// Reads the other root's word for the root of a generation.
    fn cross(&self, generation: Generation) -> Result<String> {
        let name = format!("{DIRECTORY}/{}/cross.crt", generation.name());
        read(Holder::Root, &self.path(&name))
    }

    /// Reads a key that nobody else can have read.
    ///
    /// # Errors
    /// When it is missing, or others can read it.
    pub(crate) fn key(&self, holder: Holder) -> Result<PrivateKey> {
        self.key_in(holder, &self.key_path(holder)?)
    }

    /// Returns where the key is that a holder signs by.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn key_path(&self, holder: Holder) -> Result<PathBuf> {
        let generation = self
            .rolled(&holder.file())?
            .map_or(Generation::Old, |roll| roll.stage.signing());
        Ok(self.key_of(holder, generation))
    }

    fn key_in(&self, holder: Holder, path: &Path) -> Result<PrivateKey> {
        let advice = match holder {
            root if root.is_root() => "it was taken away: put it back for as long as this takes",
            _ => "put it back from your copy, or run slipway-trust renew --new-key",
        };
        let text = self::secret(path)?.with_context(|| {
            format!(
                "the key of '{}' is missing: {}: {advice}",
                holder.name(),
                path.display()
            )
        })?;
        Ok(PrivateKey::new(text))
    }

    /// Puts an authority's certificate and key together, to sign now.
    ///
    /// # Errors
    /// When either is missing, others can read the key, or the certificate is not valid now.
    pub(crate) fn signer(&self, holder: Holder, now: OffsetDateTime) -> Result<Signer> {
        let Some(roll) = self.rolled(&holder.file())? else {
            return self.signer_of(holder, &self.trusted(holder)?, Generation::Old, now);
        };
        // Of one reading of the stage, which another run may change meanwhile.
        let generation = roll.stage.signing();
        let certificate = self.of_generation(holder, generation)?;
        let signer = self.signer_of(holder, &certificate, generation, now)?;
        if holder == Holder::Nodes && roll.stage.is_crossed() {
            return Ok(signer.followed_by(&self.cross(generation)?));
        }
        Ok(signer)
    }

    /// Puts together the certificates and keys of all that count of a holder.
    ///
    /// # Errors
    /// Like [`Self::signer`].
    pub(crate) fn signers(&self, holder: Holder, now: OffsetDateTime) -> Result<Vec<Signer>> {
        let Some(roll) = self.rolled(&holder.file())? else {
            return Ok(vec![self.signer(holder, now)?]);
        };
        let trusted = roll.stage.trusted().into_iter();
        trusted
            .map(|generation| {
                let certificate = self.of_generation(holder, generation)?;
                self.signer_of(holder, &certificate, generation, now)
            })
            .collect()
    }

    fn signer_of(
        &self,
        holder: Holder,
        certificate: &str,
        generation: Generation,
        now: OffsetDateTime,
    ) -> Result<Signer> {
        check_term(holder, &Certified::parse(certificate)?, now)?;
        let key = self.key_in(holder, &self.key_of(holder, generation))?;
        Signer::load(certificate, &key)
    }
}

fn read(holder: Holder, path: &Path) -> Result<String> {
    replace::read(path)?.with_context(|| {
        format!(
            "the certificate of '{}' is missing: {}",
            holder.name(),
            path.display()
        )
    })
}

/// Refuses a certificate that is not valid now.
///
/// # Errors
/// When it is not.
pub(crate) fn check_term(holder: Holder, certified: &Certified, now: OffsetDateTime) -> Result<()> {
    let name = holder.name();
    if now > certified.until {
        let advice = match holder {
            root if root.is_root() => "make new authorities".to_owned(),
            _ => format!("run slipway-trust renew {name}"),
        };
        bail!(
            "the certificate of '{name}' ended at {}: {advice}",
            stamp(certified.until)
        );
    }
    if now < certified.from {
        bail!(
            "the clock says {}, and the certificate of '{name}' begins at {}: set the clock",
            stamp(now),
            stamp(certified.from)
        );
    }
    Ok(())
}

/// Reads a file that is ours alone; `None` where there is none.
///
/// # Errors
/// When others can read it, or it is no file.
pub(crate) fn secret(path: &Path) -> Result<Option<String>> {
    let reading = || format!("reading {}", path.display());
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(reading),
    };
    let meta = file.metadata().with_context(reading)?;
    if !meta.is_file() {
        bail!("{} is no regular file", path.display());
    }
    guarded(path, &meta, "read", "600")?;
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(Some(text))
}

/// Refuses what belongs to another user than root and us, who can change it.
///
/// # Errors
/// When it does; what to do then is `advice`.
pub(super) fn check_owner(path: &Path, meta: &fs::Metadata, advice: &str) -> Result<()> {
    let us = nix::unistd::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        bail!(
            "{} belongs to user {}, who can change what is in it: {advice}",
            path.display(),
            meta.uid()
        );
    }
    Ok(())
}

/// Refuses what is not its owner's, and ours, alone.
fn guarded(path: &Path, meta: &fs::Metadata, what: &str, mode: &str) -> Result<()> {
    check_owner(path, meta, "chown root it")?;
    if meta.mode() & 0o077 != 0 {
        bail!(
            "{} can be {what} by others (mode {:04o}): chmod {mode} it if nobody has, else make a new key",
            path.display(),
            meta.mode() & 0o7777
        );
    }
    Ok(())
}
