//! Where the files of a root image are, and whether they are all there.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use definitions::{InstallDir, OsImage, hex, write_atomic};
use sha2::{Digest, Sha256};

use super::{FileRecord, RootImageRecord};
use crate::vouch::{self, SiteKey};

/// The most bytes that a record may have.
const MAX_BYTES: u64 = 16 << 20;

/// Where the root image of an osimage is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootImageDir {
    path: PathBuf,
    /// Its path below the install directory, as nodes ask the web server for it.
    served: String,
}

impl RootImageDir {
    /// The name of the record.
    pub const RECORD: &'static str = "rootimg.json";

    /// Finds the directory of an osimage: its `rootimgdir`, or that of its release, architecture and profile.
    ///
    /// # Errors
    /// When the osimage does not say which, or the directory is not below the install directory and so not
    /// served.
    pub fn of(image: &OsImage, installdir: &InstallDir) -> Result<Self> {
        let path = match (
            &image.rootimgdir,
            &image.osvers,
            image.osarch,
            &image.profile,
        ) {
            (Some(path), ..) => PathBuf::from(path),
            (None, Some(distro), Some(arch), Some(profile)) => {
                installdir.rootimg(distro, arch, profile)
            }
            _ => bail!(
                "the osimage {} has no rootimgdir, and osvers, osarch and profile do not say it: set them with chdef",
                image.name
            ),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-/".contains(c);
        let below = path.strip_prefix(installdir.path()).ok();
        let normal = |path: &&Path| {
            let normal = |part| matches!(part, std::path::Component::Normal(_));
            path.components().all(normal) && *path != Path::new("")
        };
        let served = below.filter(normal).and_then(Path::to_str);
        match served.filter(|served| served.chars().all(plain)) {
            Some(served) => Ok(Self {
                served: served.to_owned(),
                path,
            }),
            None => bail!(
                "the osimage {}: its rootimgdir {} is not a directory below {}, which is what nodes are served, with \
                 letters, digits and . _ + ~ - only",
                image.name,
                path.display(),
                installdir.path().display()
            ),
        }
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file that the record names.
    pub fn file(&self, file: &FileRecord) -> PathBuf {
        self.path.join(&file.file)
    }

    /// Returns where nodes fetch it, below the URL of the install directory:
    /// `netboot/debian12.9.0/x86_64/dockerhost/kernel.0123456789abcdef`.
    pub fn served(&self, file: &FileRecord) -> String {
        format!("{}/{}", self.served, file.file)
    }

    /// Reads the record; `None` when no image was packed yet.
    ///
    /// # Errors
    /// When it cannot be read, is not a record, or names a file that is missing or has another size.
    pub fn load(&self) -> Result<Option<RootImageRecord>> {
        self.load_by(None)
    }

    /// Reads a record that the site vouches for, if it has a key: by its signature, and each file that is not checked
    /// where it is used by its digest.
    ///
    /// # Errors
    /// As [`RootImageDir::load`]; when it is not signed by the key, or a kernel or an initrd is another one.
    pub(crate) fn load_vouched(&self, site: Option<&SiteKey>) -> Result<Option<RootImageRecord>> {
        let Some(record) = self.load_by(site)? else {
            return Ok(None);
        };
        if site.is_some() {
            // Of the image the node compares the digest itself.
            for file in [Some(&record.kernel), record.initrd.as_ref()]
                .into_iter()
                .flatten()
            {
                self.check_digest(file, "packimage")?;
            }
        }
        Ok(Some(record))
    }

    fn load_by(&self, site: Option<&SiteKey>) -> Result<Option<RootImageRecord>> {
        let path = self.path.join(Self::RECORD);
        let Some(text) = read_record(&path, "packimage")? else {
            return Ok(None);
        };
        if let Some(site) = site {
            self.verify(&text, site).with_context(|| {
                format!(
                    "{} is not what the site signed: packimage {} packs it again and signs it",
                    path.display(),
                    RootImageRecord::parse(&text)
                        .map_or_else(|_| "OSIMAGE".to_owned(), |record| record.osimage)
                )
            })?;
        }
        let record =
            RootImageRecord::parse(&text).with_context(|| format!("reading {}", path.display()))?;
        self.check(&path, record.files(), "packimage")?;
        Ok(Some(record))
    }

    fn verify(&self, text: &str, site: &SiteKey) -> Result<()> {
        let path = self.signature(text);
        let reading = || format!("reading {}", path.display());
        let found = fs::symlink_metadata(&path).with_context(reading)?;
        ensure!(
            found.is_file() && found.len() <= vouch::MAX_SIGNATURE,
            "{} is no signature",
            path.display()
        );
        site.verify(text.as_bytes(), &fs::read(&path).with_context(reading)?)
    }

    /// Compares a file with its digest.
    ///
    /// # Errors
    /// When it is another one, with what makes it again.
    pub(in crate::rootimg) fn check_digest(&self, file: &FileRecord, remedy: &str) -> Result<()> {
        let path = self.file(file);
        let reading = || format!("reading {}", path.display());
        let mut hash = Sha256::new();
        let mut from = fs::File::open(&path).with_context(reading)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = from.read(&mut buffer).with_context(reading)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
        }
        let digest = hex(&hash.finalize());
        ensure!(
            digest == file.sha256,
            "{} was changed: its SHA-256 is {digest}, and should be {}: remove it, and run {remedy} again",
            path.display(),
            file.sha256
        );
        Ok(())
    }

    /// Refuses files that others could have put here, or a directory in which they could: the site's key vouches for what is
    /// packed of them. The directories above it count up to the install directory.
    ///
    /// # Errors
    /// The first file or directory that somebody else than root and this user owns, or may write to.
    pub(in crate::rootimg) fn require_own<'a>(
        &self,
        files: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let depth = Path::new(&self.served).components().count();
        let files = files.into_iter().map(|file| self.path.join(file));
        let directories = self.path.ancestors().take(depth + 1).map(Path::to_owned);
        for path in directories.chain(files) {
            let found = fs::symlink_metadata(&path)
                .with_context(|| format!("looking at {}", path.display()))?;
            let owner = nix::unistd::Uid::from_raw(found.uid());
            ensure!(
                (owner.is_root() || owner == nix::unistd::geteuid()) && found.mode() & 0o022 == 0,
                "the site's key signs nothing that others can have written: {} belongs to user {owner} and has the mode \
                 {:o}: see that it is what you built, then chown it and chmod go-w, or run genimage --rebuild",
                path.display(),
                found.mode() & 0o7777
            );
        }
        Ok(())
    }

    /// Returns where the site's signature of a record is: its name has the digest of the record, so that a record and the
    /// signature of another are never beside each other.
    fn signature(&self, record: &str) -> PathBuf {
        let digest = hex(&Sha256::digest(record));
        let file = FileRecord::new("rootimg", Some("asc"), digest, 0);
        self.path.join(file.file)
    }

    /// Checks that the files that a record names are there.
    ///
    /// # Errors
    /// The first that is not, or has another size, with what writes it again.
    pub(in crate::rootimg) fn check<'a>(
        &self,
        record: &Path,
        files: impl IntoIterator<Item = &'a FileRecord>,
        remedy: &str,
    ) -> Result<()> {
        for file in files {
            file.check()?;
            let found = fs::symlink_metadata(self.file(file)).ok();
            ensure!(
                found.is_some_and(|found| found.is_file() && found.len() == file.bytes),
                "{} names {}, which is missing or has another size: run {remedy} again",
                record.display(),
                file.file
            );
        }
        Ok(())
    }

    /// Publishes a record whose files are there.
    ///
    /// # Errors
    /// When it cannot be written; then the record that was there stays.
    pub fn save(&self, record: &RootImageRecord) -> Result<()> {
        let path = self.path.join(Self::RECORD);
        write_atomic(&path, record.render()?.as_bytes(), 0o644)
            .with_context(|| format!("writing {}", path.display()))
    }

    /// Publishes a record whose files are there, signed by the site's key if there is one; returns the name of the
    /// signature. What is signed already is left alone.
    ///
    /// # Errors
    /// When it cannot be signed or written; then the record that was there stays.
    pub(crate) fn publish(
        &self,
        record: &RootImageRecord,
        site: Option<&SiteKey>,
    ) -> Result<Option<String>> {
        let text = record.render()?;
        let path = self.signature(&text);
        if let Some(site) = site
            && self.verify(&text, site).is_err()
        {
            let signature = site.sign(text.as_bytes());
            let signature = signature.context("signing the record of the root image")?;
            write_atomic(&path, signature.as_bytes(), 0o644)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        self.save(record)?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(name.filter(|_| site.is_some()))
    }
}

/// Reads the text of a record; `None` when there is none.
///
/// # Errors
/// When it cannot be read or is larger than a record, with what writes it again.
pub(in crate::rootimg) fn read_record(path: &Path, remedy: &str) -> Result<Option<String>> {
    let reading = || format!("reading {}", path.display());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(reading),
        Ok(found) if !found.is_file() || found.len() > MAX_BYTES => bail!(
            "{} is not a record of a root image: remove it, and run {remedy} again",
            path.display()
        ),
        Ok(_) => fs::read_to_string(path).map(Some).with_context(reading),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_record_is_read_only_when_its_files_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let installdir = InstallDir::new(dir.path());
        let image = OsImage {
            name: "a".into(),
            osvers: "debian12".parse().ok(),
            osarch: "x86_64".parse().ok(),
            profile: Some("compute".into()),
            ..OsImage::default()
        };
        let place = RootImageDir::of(&image, &installdir).unwrap();
        assert_eq!(
            place.path(),
            dir.path().join("netboot/debian12/x86_64/compute")
        );
        fs::create_dir_all(place.path()).unwrap();
        assert_eq!(place.load().unwrap(), None);
        let record = record();
        place.save(&record).unwrap();
        let refused = place.load().unwrap_err().to_string();
        assert!(
            refused.ends_with(
                "rootimg.json names rootimg.0123456789abcdef.squashfs, which is missing or has another size: run \
                 packimage again"
            ),
            "{refused}"
        );
        for file in record.files() {
            fs::write(place.file(file), "abc").unwrap();
        }
        assert_eq!(place.load().unwrap(), Some(record.clone()));
        assert_eq!(
            place.served(&record.kernel),
            "netboot/debian12/x86_64/compute/kernel.0123456789abcdef"
        );
    }

    #[test]
    fn a_directory_that_nodes_are_not_served_is_refused() {
        let installdir = InstallDir::new("/install");
        for path in [
            "/srv/rootimg",
            "/install",
            "/install/../etc",
            "/install/a b",
        ] {
            let image = OsImage {
                name: "a".into(),
                rootimgdir: Some(path.into()),
                ..OsImage::default()
            };
            let refused = RootImageDir::of(&image, &installdir).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "the osimage a: its rootimgdir {path} is not a directory below /install, which is what nodes are \
                     served, with letters, digits and . _ + ~ - only"
                )
            );
        }
    }
}
