//! A management node of a test, and an osimage with a root image of a few bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use definitions::{OsImage, hex};
use genimage::rootimg::record::{
    FileRecord, ImageFormat, RootImageDir, RootImageRecord, VerityRecord,
};
use sha2::{Digest, Sha256};

/// The osimage of the tests.
pub(crate) const IMAGE: &str = "debian12.9.0-x86_64-netboot-dockerhost";

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What is run.
const PROGRAMS: [&str; 3] = [
    env!("CARGO_BIN_EXE_imgexport"),
    env!("CARGO_BIN_EXE_imgimport"),
    env!("CARGO_BIN_EXE_nodeset"),
];

pub(crate) struct Site(tempfile::TempDir);

impl Site {
    /// Makes one without an osimage.
    pub(crate) fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(site.path("config/osimages")).unwrap();
        fs::create_dir_all(site.path("config/nodes")).unwrap();
        fs::create_dir_all(site.install("")).unwrap();
        let text = format!("installdir = {:?}\n", site.install(""));
        fs::write(site.path("config/site.toml"), text.replace("/\"", "\"")).unwrap();
        fs::write(
            site.path("config/nodes/nodes.toml"),
            "[node.host01]\ngroups = [\"all\"]\npostscripts = [\"syslog\"]\npostbootscripts = [\"otherpkgs\"]\n",
        )
        .unwrap();
        site
    }

    /// Makes one with the osimage, its lists and a packed root image.
    pub(crate) fn with_image() -> Self {
        let site = Self::new();
        let custom = site.install("custom/pkglists/debian");
        fs::create_dir_all(&custom).unwrap();
        fs::write(custom.join("mine.pkglist"), "docker.io\n").unwrap();
        fs::write(site.path("finish"), "#!/bin/sh\n").unwrap();
        fs::write(site.path("sync"), "/etc/motd -> /etc/motd\n").unwrap();
        let text = format!(
            "provmethod = \"netboot\"\nprofile = \"dockerhost\"\nosvers = \"debian12.9.0\"\nosarch = \"x86_64\"\n\
             pkgdir = [\"[trusted=yes] {}\"]\npkglist = [{:?}]\npostinstall = [{:?}]\nsynclists = [{:?}]\n",
            site.install("debian12.9.0/x86_64").display(),
            custom.join("mine.pkglist"),
            site.path("finish"),
            site.path("sync")
        );
        fs::write(site.path(&format!("config/osimages/{IMAGE}.toml")), text).unwrap();
        site.pack("the image");
        site
    }

    /// Packs a root image, as if packimage had.
    pub(crate) fn pack(&self, content: &str) {
        let image = OsImage {
            name: IMAGE.into(),
            osvers: "debian12.9.0".parse().ok(),
            osarch: "x86_64".parse().ok(),
            profile: Some("dockerhost".into()),
            ..OsImage::default()
        };
        let installdir = definitions::InstallDir::new(self.0.path().join("install"));
        let directory = RootImageDir::of(&image, &installdir).unwrap();
        fs::create_dir_all(directory.path()).unwrap();
        let file = |stem: &str, ending: Option<&str>, content: &str| {
            let digest = hex(&Sha256::digest(content));
            let record = FileRecord::new(stem, ending, digest, content.len() as u64);
            fs::write(directory.file(&record), content).unwrap();
            record
        };
        let record = RootImageRecord {
            osimage: IMAGE.into(),
            built_from: "b".repeat(64),
            packed_from: "c".repeat(64),
            format: ImageFormat::Squashfs,
            compression: None,
            image: file("rootimg", Some("squashfs"), content),
            unpacked_bytes: 12,
            kernel_version: "6.1.0-28-amd64".into(),
            kernel: file("kernel", None, "the kernel"),
            initrd: Some(file("initrd", None, "the initrd")),
            initrd_from: None,
            manifest: file("root", Some("sha256sums"), "sums\n"),
            verity: Some(VerityRecord {
                tree: file("rootimg", Some("verity"), "the tree"),
                root_hash: "d".repeat(64),
                salt: "e".repeat(64),
                data_blocks: 1,
            }),
        };
        directory.save(&record).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns a path below the install directory.
    pub(crate) fn install(&self, name: &str) -> PathBuf {
        self.path("install").join(name)
    }

    /// Gives the site a key of its own, and a `slipway-trust` that signs with it as the real one does.
    pub(crate) fn with_key(self, name: &str) -> Self {
        let home = self.path("gpg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let gpg = || {
            let mut command = Command::new("gpg");
            command.args(["--batch", "--quiet", "--homedir"]).arg(&home);
            command
        };
        let words = [
            "--passphrase",
            "",
            "--quick-gen-key",
            name,
            "rsa2048",
            "sign",
            "never",
        ];
        let made = gpg().args(words).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = gpg().args(["--armor", "--export"]).output().unwrap().stdout;
        fs::create_dir_all(self.path("config/trust")).unwrap();
        fs::write(self.path("config/trust/trees.asc"), key).unwrap();
        fs::create_dir(self.path("bin")).unwrap();
        // --config DIR sign-image FILE
        let script = format!(
            "#!/bin/sh\n[ \"$3\" = sign-image ] || exit 2\nexec gpg --batch --quiet --homedir {} --armor --output \
             \"$4.asc\" --detach-sign \"$4\"\n",
            home.display()
        );
        fs::write(self.path("bin/slipway-trust"), script).unwrap();
        fs::set_permissions(
            self.path("bin/slipway-trust"),
            fs::Permissions::from_mode(0o755),
        )
        .unwrap();
        for built in PROGRAMS {
            // the program beside it is the one that it runs
            let place = self.path("bin").join(Path::new(built).file_name().unwrap());
            fs::hard_link(built, &place)
                .or_else(|_| fs::copy(built, &place).map(drop))
                .unwrap();
        }
        self
    }

    /// Runs a program of [`PROGRAMS`].
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, program: &str, words: &[S]) -> Ran {
        let own = self.path("bin").join(program);
        let built = || {
            let mut built = PROGRAMS.into_iter().map(PathBuf::from);
            built.find(|path| path.ends_with(program))
        };
        let program = Some(own).filter(|own| own.exists());
        let program = program.or_else(built).unwrap();
        let output = Command::new(program)
            .args(words)
            .env("SLIPWAY_CONFIG", self.path("config"))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exports the osimage; returns the file.
    pub(crate) fn export(&self, name: &str) -> PathBuf {
        let ran = self.run("imgexport", &[IMAGE, name, "-p", "host01"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        self.path(name)
    }

    /// Lists the files below the install directory and the definitions, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut todo = vec![self.install(""), self.path("config")];
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    todo.push(entry.path());
                } else {
                    found.push(self.relative(&entry.path()));
                }
            }
        }
        found.retain(|name| !name.ends_with(".lock"));
        found.sort();
        found
    }

    fn relative(&self, path: &Path) -> String {
        path.strip_prefix(self.0.path())
            .unwrap()
            .display()
            .to_string()
    }
}
