//! The list that holds: checked whenever it is read, replaced as a whole, and never by an older one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use definitions::IdentityFiles;
use time::OffsetDateTime;

use super::Paths;
use crate::files;
use crate::identity::{self, HostIdentity};
use crate::owner::load_state_text;
use crate::tls::{CertificateInfo, PresentedCertificate, RevocationList, certificates_in};

/// How far the clocks of this host and of the management node may differ.
const CLOCKS: time::Duration = time::Duration::hours(1);

/// A list with nothing new replaces the present one when that is so old.
const REPLACED_AFTER: time::Duration = time::Duration::hours(12);

/// One list for each of the site's authorities of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lists(Vec<RevocationList>);

impl Lists {
    /// Takes the lists of a text, if there is one that each authority signed.
    pub(super) fn parse(text: &str, identity: &HostIdentity) -> Result<Self> {
        let authorities = certificates_in(&identity.clients).into_iter();
        let list = |pem: String| RevocationList::find(text, &CertificateInfo::parse(&pem)?);
        Ok(Self(authorities.map(list).collect::<Result<_>>()?))
    }

    /// Reads what is kept; `None` where there is nothing yet.
    pub(super) fn load(paths: &Paths) -> Result<Option<Self>> {
        let path = paths.list();
        let Some(text) = load_state_text(&path)? else {
            return Ok(None);
        };
        let lists = Self::parse(&text, &host_identity(paths)?);
        lists
            .with_context(|| format!("reading {}", path.display()))
            .map(Some)
    }

    /// Returns until when they hold.
    pub(super) fn until(&self) -> Option<OffsetDateTime> {
        self.0.iter().map(|list| list.until).min()
    }

    /// Returns when the oldest was made.
    pub(super) fn from(&self) -> Option<OffsetDateTime> {
        self.0.iter().map(|list| list.from).min()
    }

    /// Returns how many certificates are revoked.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(RevocationList::len).sum()
    }

    /// Says whether a certificate is revoked; whoever another authority signed is dockerd's to let in.
    pub(super) fn revokes(&self, certificate: &PresentedCertificate) -> bool {
        let about = self.0.iter().filter(|list| list.is_about(certificate));
        about.into_iter().any(|list| list.revokes(certificate))
    }

    /// Says whether one of them was made before the one of the same authority.
    fn is_before(&self, other: &Self) -> bool {
        let before = |list: &RevocationList| other.0.iter().any(|other| list.is_before(other));
        self.0.iter().any(before)
    }

    fn revokes_the_same(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.into_iter().all(|(a, b)| a.revokes_the_same(b))
    }
}

/// Loads the identity, which says whose lists count.
pub(super) fn host_identity(paths: &Paths) -> Result<HostIdentity> {
    HostIdentity::load(&paths.root)?
        .context("this host has no identity of the site: run enrol first")
}

/// Keeps lists, if they were made after those that are there, or are those. The caller holds the lock.
///
/// # Errors
/// When they are older, or not yet valid; what is kept stays.
pub(super) fn keep(paths: &Paths, text: &str, now: OffsetDateTime) -> Result<Lists> {
    let lists = Lists::parse(text, &host_identity(paths)?)?;
    if lists.0.iter().any(|list| list.from > now + CLOCKS) {
        bail!(
            "the list begins in the future: compare the clocks of this host and the management node"
        );
    }
    if lists.until().is_none_or(|until| until <= now) {
        bail!("the list has ended: compare the clocks of this host and the management node");
    }
    // one that cannot be read any more is replaced
    if let Some(present) = Lists::load(paths).ok().flatten() {
        if lists.is_before(&present) {
            bail!("the list is older than the one that is here, which stays");
        }
        let age = present.from().map(|from| now - from);
        if lists.revokes_the_same(&present) && age.is_some_and(|age| age < REPLACED_AFTER) {
            return Ok(present);
        }
    }
    let path = paths.list();
    files::replace(&path, text.as_bytes(), 0o600)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(lists)
}

/// The lists that hold now, read again when a file that they are of is another.
#[derive(Debug)]
pub(super) struct CurrentLists {
    paths: Paths,
    read: Mutex<Option<(Stamps, Held)>>,
}

/// What was read, or why not.
pub(super) type Held = Arc<Result<Lists, String>>;

/// Number, size and time of the files.
type Stamps = [Option<(u64, u64, i64, i64)>; 3];

impl CurrentLists {
    pub(super) fn new(paths: &Paths) -> Self {
        Self {
            paths: paths.clone(),
            read: Mutex::new(None),
        }
    }

    /// Returns the lists.
    pub(super) fn held(&self) -> Held {
        let identity = identity::directory(&self.paths.root);
        let stamps = [
            stamp(&self.paths.list()),
            stamp(&identity.join(IdentityFiles::CLIENTS)),
            stamp(&identity.join(IdentityFiles::CERTIFICATE)),
        ];
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, held)) = read.as_ref()
            && *of == stamps
        {
            return Arc::clone(held);
        }
        let held = match Lists::load(&self.paths) {
            Ok(Some(lists)) => Ok(lists),
            Ok(None) => Err("this host has no list of what is revoked yet".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        };
        let held = Arc::new(held);
        *read = Some((stamps, Arc::clone(&held)));
        held
    }
}

fn stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerauthz::answer::tests::SiteHost;

    #[test]
    fn an_older_list_never_replaces_a_newer_one() {
        let site = SiteHost::new();
        let (paths, now) = (site.paths(), site.now);
        let keep = |text: &str| keep(&paths, text, now).map_err(|error| error.to_string());
        let list = |number, serials: &[u64]| site.clients.list(number, serials, now);
        let kept = || fs::read_to_string(paths.list()).unwrap();

        let (fifth, seventh) = (list(5, &[1]), list(7, &[1, 2]));
        keep(&fifth).unwrap();
        for (text, why) in [
            (
                list(4, &[]),
                "the list is older than the one that is here, which stays",
            ),
            (
                site.clients.list(9, &[], now + CLOCKS * 2),
                "the list begins in the future: compare the clocks of this host and the management node",
            ),
            (
                site.clients.list(9, &[], now - time::Duration::days(7)),
                "the list has ended: compare the clocks of this host and the management node",
            ),
            (
                site.other.list(9, &[], now),
                "there is no list that 'CN=clients' signed of what it revoked",
            ),
        ] {
            assert_eq!(keep(&text).unwrap_err(), why);
            assert_eq!(kept(), fifth);
        }
        // nothing new is not written each minute
        keep(&list(6, &[1])).unwrap();
        assert_eq!(kept(), fifth);
        keep(&seventh).unwrap();
        assert_eq!(kept(), seventh);
        // what is damaged is replaced
        fs::write(paths.list(), "x").unwrap();
        keep(&fifth).unwrap();
        assert_eq!(kept(), fifth);
    }

    #[test]
    fn what_another_process_keeps_holds_at_once() {
        let site = SiteHost::new();
        let paths = site.paths();
        let current = CurrentLists::new(&paths);
        assert_eq!(
            *current.held(),
            Err("this host has no list of what is revoked yet".to_owned())
        );
        for (number, serials) in [(1, &[1][..]), (2, &[1, 2])] {
            keep(
                &paths,
                &site.clients.list(number, serials, site.now),
                site.now,
            )
            .unwrap();
            assert_eq!(
                current.held().as_ref().as_ref().unwrap().len(),
                serials.len()
            );
        }
        fs::write(paths.list(), "x").unwrap();
        let why = current.held().as_ref().clone().unwrap_err();
        assert!(
            why.contains("there is no list that 'CN=clients' signed"),
            "{why}"
        );
    }
}
