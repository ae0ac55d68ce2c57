//! The two generations of authorities: the new one is made, both are shown to others, one is dropped.
//!
//! The new one comes by one rename, and goes by one. What is shown is derived from the stage and written again by each run.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::Catalog;
use time::OffsetDateTime;

use super::state::{DIRECTORY, Generation, RollState, Stage};
use crate::replace;
use crate::trust::directory::{Holder, TrustDirectory, secret};
use crate::trust::init::{Authorities, SiteIdentity, new_key};
use crate::trust::issue::publish_known_hosts;
use crate::trust::ssh;
use crate::trust::statement::AuthorityStatement;
use crate::trust::store::{Issued, OpenStore};
use crate::trust::trees;
use crate::trust::x509::Signer;

/// What the directory of a change is called before it begins, and when it has ended.
const SCRATCH: &str = ".roll-";
const ENDED: &str = ".rolled-";

/// The keys of the new generation that take the place of the old ones, where what each goes with has one.
const KEYS: [(&str, u32, &str); 8] = [
    ("root.key", 0o600, "root.crt"),
    ("nodes.key", 0o600, "nodes.crt"),
    ("clients.key", 0o600, "clients.crt"),
    ("ssh_host_ca", 0o600, "root.crt"),
    ("ssh_host_ca.pub", 0o644, "root.crt"),
    (trees::SECRET, 0o600, trees::PUBLIC),
    ("boot.key", 0o600, "boot.crt"),
    ("bootfiles.key", 0o600, "bootfiles.crt"),
];

/// Makes the new authorities, and has each root sign the other.
///
/// # Errors
/// When the root's key is not here; then nothing is changed.
pub(super) fn make(
    catalog: &Catalog,
    directory: &TrustDirectory,
    now: OffsetDateTime,
) -> Result<()> {
    let trust = directory.existing()?;
    let site = SiteIdentity::load(catalog)?.next();
    let root = directory.signer(Holder::Root, now)?;
    let scratch = tempfile::Builder::new()
        .prefix(SCRATCH)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(trust)
        .context("making a directory for the new authorities")?;
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    for path in [&old, &new] {
        fs::create_dir(path).with_context(|| format!("making {}", path.display()))?;
    }
    let holders = directory.holders();
    let holders: Vec<_> = holders
        .filter(|holder| Holder::ROLLED.contains(holder))
        .collect();
    for holder in &holders {
        let certificate = directory.certificate(*holder)?;
        replace::write(&old.join(holder.file()), certificate.as_bytes(), 0o644)?;
    }
    let mut open = OpenStore::open(trust)?;
    let mut making = NewGeneration {
        site: &site,
        now,
        open: &mut open,
        path: &new,
    };
    let made = making.sign(Holder::Root, None)?;
    for holder in [Holder::Nodes, Holder::Clients] {
        making.sign(holder, Some(&made))?;
    }
    making.cross(&root, &made, &new)?;
    making.cross(&made, &root, &old)?;
    if holders.contains(&Holder::Boot) {
        let boot = making.sign(Holder::Boot, None)?;
        making.sign(Holder::BootFiles, Some(&boot))?;
    }
    open.write(now)?;
    ssh::generate(&new.join("ssh_host_ca"))?;
    if directory.path(trees::PUBLIC).exists() {
        let key = trees::public_key(directory)?;
        replace::write(&old.join(trees::PUBLIC), key.as_bytes(), 0o644)?;
        trees::make_key(&TrustDirectory::at(&new), &site.name("trees"))?;
    }
    let state = RollState {
        stage: Stage::Distributing,
        since: now,
    };
    state.write(scratch.path())?;
    let target = trust.join(DIRECTORY);
    fs::rename(scratch.path(), &target)
        .with_context(|| format!("publishing {}", target.display()))?;
    // It has another name now.
    let _ = scratch.keep();
    sync(trust)
}

/// What makes the new authorities.
struct NewGeneration<'a> {
    site: &'a SiteIdentity,
    now: OffsetDateTime,
    open: &'a mut OpenStore,
    path: &'a Path,
}

impl NewGeneration<'_> {
    /// Makes the key of an authority and its certificate; a root is its own issuer.
    fn sign(&mut self, holder: Holder, issuer: Option<&Signer>) -> Result<Signer> {
        let key = new_key(holder)?;
        let statement = self.site.statement(holder, self.now)?;
        let certificate = match issuer {
            None => Signer::root(&statement, &key)?,
            Some(issuer) => {
                self.note(&statement);
                issuer.authority(&statement, &key)?
            }
        };
        let file = |ending: &str| self.path.join(format!("{}.{ending}", holder.name()));
        replace::write(&file("key"), key.reveal().as_bytes(), 0o600)?;
        replace::write(&file("crt"), certificate.as_bytes(), 0o644)?;
        Signer::load(&certificate, &key)
    }

    /// Has a root sign the other root's key.
    fn cross(&mut self, issuer: &Signer, other: &Signer, place: &Path) -> Result<()> {
        let mut statement = self.site.statement(Holder::Root, self.now)?;
        statement.subject = other.subject().to_owned();
        statement.until = other.until();
        self.note(&statement);
        let certificate = issuer.cross(&statement, other)?;
        replace::write(&place.join("cross.crt"), certificate.as_bytes(), 0o644)
    }

    fn note(&mut self, statement: &AuthorityStatement) {
        let issued = Issued {
            name: statement.subject.clone(),
            purpose: "authority".to_owned(),
            issued: self.now,
            until: statement.until,
            revoked: None,
            under: None,
        };
        self.open.store.note(&statement.serial, issued);
    }
}

/// Shows others who counts at a stage; returns whether that changed.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn publish(
    catalog: &Catalog,
    directory: &TrustDirectory,
    stage: Stage,
    now: OffsetDateTime,
) -> Result<bool> {
    let mut changed = false;
    // The keys of trees before the roots: whoever is shown other roots is shown the keys that go with them.
    let files = Holder::ROLLED.iter().map(|holder| holder.file());
    for name in [trees::PUBLIC.to_owned()].into_iter().chain(files) {
        if directory.rolled(&name)?.is_none() {
            continue;
        }
        let mut text = String::new();
        for generation in stage.trusted() {
            let path = directory.copy(&name, generation);
            text +=
                &replace::read(&path)?.with_context(|| format!("{} is missing", path.display()))?;
        }
        let path = directory.path(&name);
        if replace::read(&path)?.as_ref() != Some(&text) {
            replace::write(&path, text.as_bytes(), 0o644)?;
            changed = true;
        }
    }
    let chain = directory.signer(Holder::Nodes, now)?.chain();
    if !directory.certificate(Holder::Server)?.ends_with(&chain) {
        let site = SiteIdentity::load(catalog)?;
        let mut authorities = Authorities::open(directory, &site, now)?;
        authorities.sign(Holder::Server, false)?;
        changed = true;
    }
    publish_known_hosts(catalog)?;
    Ok(changed)
}

/// Removes what counts no more, and ends the change.
///
/// # Errors
/// When a file cannot be written or removed.
pub(super) fn drop_other(directory: &TrustDirectory, stage: Stage) -> Result<()> {
    let trust = directory.existing()?;
    let roll = trust.join(DIRECTORY);
    if stage.signing() == Generation::New {
        for (name, mode, with) in KEYS {
            if !directory.copy(with, Generation::Old).exists() {
                continue;
            }
            let own = directory.path(name);
            match secret_or_public(&directory.copy(name, Generation::New), mode)? {
                Some(text) => replace::write(&own, text.as_bytes(), mode)?,
                // The new root's key was taken away; the old one's is of no use any more.
                None => replace::remove(&own)?,
            }
        }
    }
    let gone = tempfile::Builder::new()
        .prefix(ENDED)
        .tempdir_in(trust)
        .context("making a directory for what counts no more")?;
    let place = gone.path().join(DIRECTORY);
    fs::rename(&roll, &place).with_context(|| format!("removing {}", roll.display()))?;
    sync(trust)?;
    gone.close().context("removing what counts no more")
}

fn secret_or_public(path: &Path, mode: u32) -> Result<Option<String>> {
    if mode & 0o077 == 0 {
        secret(path)
    } else {
        replace::read(path)
    }
}

/// Removes what a run that was killed left; says whether that was all that was left of a change.
///
/// # Errors
/// When it stays.
pub(super) fn clear(trust: &Path) -> Result<bool> {
    let mut has_ended = false;
    let reading = || format!("reading {}", trust.display());
    for entry in fs::read_dir(trust).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name();
        let is_of = |prefix| name.to_string_lossy().starts_with(prefix);
        if is_of(SCRATCH) || is_of(ENDED) {
            let path = entry.path();
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
            has_ended |= is_of(ENDED);
        }
    }
    Ok(has_ended)
}

fn sync(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .with_context(|| format!("writing {}", directory.display()))
}
