//! What large indices hold, on disk: one file each, named by the digest of the index that was read.
//!
//! To inflate and parse the index of a whole archive takes a second, and it is the same in every run. The directory is the
//! user's own: root's is `/var/cache/slipway/indices`, that of others is in `$XDG_CACHE_HOME` or `~/.cache`. Where others
//! could write to it, or it is a link, it is not used; a file there that is damaged counts for nothing and is written
//! again. The oldest files go when there are too many bytes. Nothing that goes wrong here is an error: an index that is
//! not kept is read.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use definitions::{hex, write_atomic};
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use repodata::{Algorithm, Digest};

use super::index::Gathered;
use super::index_file::IndexKind;

/// An index of fewer bytes is read as fast as what was kept of it.
pub(super) const MIN_BYTES: u64 = 1 << 20;

/// No file is larger.
const MAX_FILE: u64 = 32 << 20;

/// All files together are no larger.
const MAX_BYTES: u64 = 256 << 20;

/// What a file begins with: another version may read more out of the same index, or read it right.
const MAGIC: &[u8] = concat!("slipway-index ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// The bytes of the digest that a file ends with.
const DIGEST: usize = 32;

/// The directory of what is kept; without one, nothing is.
#[derive(Debug, Default)]
pub(super) struct IndexStore {
    directory: Option<PathBuf>,
    max_bytes: u64,
}

/// What makes two indices the same: the bytes that were read, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexKey {
    pub(super) digest: Digest,
    pub(super) kind: IndexKind,
}

impl IndexKey {
    fn file(self) -> String {
        let Self { digest, kind } = self;
        format!("{}.{}", hex(digest.as_bytes()), kind.name())
    }

    /// Whether a file's name is that of a key.
    fn is_one(file: &Path) -> bool {
        let digest = file.file_stem().and_then(|stem| stem.to_str());
        digest.is_some_and(|digest| Digest::parse(Algorithm::Sha256, digest).is_ok())
    }
}

impl IndexStore {
    /// Returns the store of the user who runs this.
    pub(super) fn of_user() -> Self {
        let caches = if geteuid().is_root() {
            Some(PathBuf::from("/var/cache")) // whatever the environment says: it may be another user's
        } else {
            let of = |name: &str| env::var_os(name).map(PathBuf::from);
            let home = of("HOME").map(|home| home.join(".cache"));
            let caches = of("XDG_CACHE_HOME").or(home);
            caches.filter(|caches| caches.is_absolute())
        };
        caches.map_or_else(Self::default, |caches| {
            Self::new(caches.join("slipway/indices"), MAX_BYTES)
        })
    }

    /// Returns the store in a directory, which is made when something is kept.
    pub(super) fn new(directory: PathBuf, max_bytes: u64) -> Self {
        Self {
            directory: Some(directory),
            max_bytes,
        }
    }

    /// Whether anything can be kept.
    pub(super) fn is_there(&self) -> bool {
        self.directory.is_some()
    }

    /// Returns what was kept of an index.
    pub(super) fn load(&self, key: IndexKey) -> Option<Gathered> {
        let directory = self.directory.as_deref().filter(|path| is_own(path))?;
        let mut file = OpenOptions::new();
        let file = file
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
        let mut file = file.open(directory.join(key.file())).ok()?;
        let bytes = content(&mut file)?;
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if Digest::of(Algorithm::Sha256, content).as_bytes() != digest {
            return None;
        }
        let gathered = Gathered::load(content.strip_prefix(MAGIC)?)?;
        // what was used last goes last
        let _ = file.set_modified(SystemTime::now());
        Some(gathered)
    }

    /// Keeps what an index holds.
    pub(super) fn keep(&self, key: IndexKey, gathered: &Gathered) {
        let Some(directory) = &self.directory else {
            return;
        };
        let mut bytes = MAGIC.to_vec();
        gathered.render(&mut bytes);
        bytes.extend_from_slice(Digest::of(Algorithm::Sha256, &bytes).as_bytes());
        let size = bytes.len() as u64;
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        if made.is_ok() && is_own(directory) && size <= MAX_FILE && size <= self.max_bytes {
            make_room(directory, self.max_bytes - size);
            // without it the next run reads the index again
            let _ = write_atomic(&directory.join(key.file()), &bytes, 0o600);
        }
    }
}

/// Whether a directory is this user's, and nobody else can write to it.
fn is_own(directory: &Path) -> bool {
    let metadata = fs::symlink_metadata(directory);
    metadata.is_ok_and(|metadata| metadata.is_dir() && belongs_to_user(&metadata))
}

fn belongs_to_user(metadata: &fs::Metadata) -> bool {
    metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

/// Reads a file that this user wrote.
fn content(file: &mut File) -> Option<Vec<u8>> {
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || !belongs_to_user(&metadata) || metadata.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()? + 1);
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Removes the files that were used longest ago, until the others have no more bytes.
fn make_room(directory: &Path, max_bytes: u64) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let files = paths
        .filter(|path| IndexKey::is_one(path))
        .filter_map(|path| {
            let metadata = fs::symlink_metadata(&path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), path))
        });
    let mut files: Vec<_> = files.collect();
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in files {
        if bytes <= max_bytes {
            return;
        }
        if fs::remove_file(path).is_ok() {
            bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn key(bytes: &[u8]) -> IndexKey {
        IndexKey {
            digest: Digest::of(Algorithm::Sha256, bytes),
            kind: IndexKind::Apt,
        }
    }

    fn index(name: &str) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.packages.add(name, "1").unwrap();
        gathered.groups.add("core", "Core").unwrap();
        gathered
    }

    fn packages(gathered: Option<Gathered>) -> Option<Vec<String>> {
        let index = gathered?.finish();
        Some(index.packages.iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_was_kept_is_there_for_its_digest_and_kind_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = IndexStore::new(dir.path().join("a/indices"), MAX_BYTES);
        assert_eq!(packages(store.load(key(b"one"))), None);
        store.keep(key(b"one"), &index("bash"));
        let bash = Some(vec!["bash".to_owned()]);
        assert_eq!(packages(store.load(key(b"one"))), bash);
        assert_eq!(packages(store.load(key(b"other"))), None);
        let kind = IndexKind::Primary;
        let other = IndexKey {
            kind,
            ..key(b"one")
        };
        assert_eq!(packages(store.load(other)), None);
        assert_eq!(packages(IndexStore::default().load(key(b"one"))), None);
    }

    #[test]
    fn what_is_damaged_or_could_be_another_s_counts_for_nothing_and_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("indices");
        let store = IndexStore::new(directory.clone(), MAX_BYTES);
        let path = directory.join(key(b"one").file());
        let bash = Some(vec!["bash".to_owned()]);
        let damages: [fn(&Path); 5] = [
            |path| fs::write(path, "").unwrap(),
            |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[40] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            |path| {
                let bytes = fs::read(path).unwrap();
                fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
            },
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o620)).unwrap(),
            |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                symlink(path.with_extension("moved"), path).unwrap();
            },
        ];
        for (number, damage) in (1..).zip(damages) {
            store.keep(key(b"one"), &index("bash"));
            assert_eq!(packages(store.load(key(b"one"))), bash, "{number}");
            damage(&path);
            assert_eq!(packages(store.load(key(b"one"))), None, "{number}");
        }
        store.keep(key(b"one"), &index("bash"));
        assert_eq!(packages(store.load(key(b"one"))), bash);

        fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(packages(store.load(key(b"one"))), None);
        store.keep(key(b"two"), &index("bash"));
        assert!(!directory.join(key(b"two").file()).exists());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let link = dir.path().join("link");
        symlink(&directory, &link).unwrap();
        let linked = IndexStore::new(link, MAX_BYTES);
        assert_eq!(packages(linked.load(key(b"one"))), None);
    }

    #[test]
    fn the_index_that_was_used_longest_ago_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let unbounded = IndexStore::new(dir.path().join("indices"), MAX_BYTES);
        unbounded.keep(key(b"0"), &index("bash"));
        let path = |store: &IndexStore, name: &[u8]| {
            let directory = store.directory.as_ref().unwrap();
            directory.join(key(name).file())
        };
        let size = fs::metadata(path(&unbounded, b"0")).unwrap().len();
        let store = IndexStore::new(dir.path().join("indices"), 2 * size);
        let used = |name: &[u8], seconds| {
            let file = File::open(path(&store, name)).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        store.keep(key(b"1"), &index("bash"));
        used(b"0", 1);
        used(b"1", 2);
        assert!(store.load(key(b"0")).is_some()); // and so was used now
        store.keep(key(b"2"), &index("bash"));
        let kept = [b"0", b"1", b"2"].map(|name| store.load(key(name)).is_some());
        assert_eq!(kept, [true, false, true]);
        IndexStore::new(dir.path().join("indices"), size - 1).keep(key(b"3"), &index("bash"));
        assert!(store.load(key(b"3")).is_none());
    }
}
