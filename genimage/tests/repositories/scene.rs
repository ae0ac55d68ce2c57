//! A repository that is signed, with one package in it, and the programs that are to install that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use definitions::{Arch, InstallDir, PackageOrigin};

use genimage::repository::{Repository, ResolveContext, Served, extra};

/// An install directory with a repository in it, and two keys of which one signs.
pub(crate) struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scene = Self { directory };
        scene.make_key("right");
        scene.make_key("wrong");
        fs::create_dir_all(scene.path("install/ours")).unwrap();
        scene
    }

    /// Makes a key, and a file of its public half beside it.
    fn make_key(&self, key: &str) {
        let home = self.path(key);
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let words = ["--quick-gen-key", key, "rsa2048", "sign", "never"];
        self.gpg(key, &[&["--passphrase", ""][..], &words].concat());
        let armoured = self.gpg(key, &["--armor", "--export"]).stdout;
        fs::write(self.path(&format!("{key}.asc")), armoured).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn gpg(&self, key: &str, words: &[&str]) -> Output {
        let mut command = Command::new("gpg");
        command
            .args(["--batch", "--quiet", "--yes", "--homedir"])
            .arg(self.path(key));
        done(command.args(words).current_dir(self.directory.path()))
    }

    /// What a definition makes of the repository, with files for URLs.
    pub(crate) fn repository(&self, distro: &str, trust: &str) -> Repository {
        let installdir = InstallDir::new(self.path("install"));
        let root = self.directory.path().display();
        let entry = format!("[{trust}] {root}/install/ours").replace("ROOT", &root.to_string());
        let with = ResolveContext {
            origin: PackageOrigin::Others,
            served: Served {
                installdir: &installdir,
                url: "http://10.1.0.1/install",
                distro: &distro.parse().unwrap(),
                arch: Arch::X86_64,
                tree_key: None,
            },
            codename: None,
            directories: &[],
            read: &|path| fs::read(path),
        };
        // a key that signed nothing of it is refused before a node is told of it: here a node is told all the same
        let refused = trust.contains("wrong");
        let found = extra(std::slice::from_ref(&entry), &with);
        let mut repository = match found {
            Ok(mut found) => found.remove(0),
            Err(problems) => {
                assert!(refused, "{problems:?}");
                let right = entry.replace("wrong", "right");
                let mut repository = extra(&[right], &with).unwrap().remove(0);
                repository.key = Some(fs::read_to_string(self.path("wrong.asc")).unwrap());
                repository
            }
        };
        assert_eq!(repository.uri, "http://10.1.0.1/install/ours");
        repository.uri = format!("file://{root}/install/ours");
        if let Some(key) = &repository.key {
            fs::write(self.path("handed-on.asc"), key).unwrap();
            repository.key_url = Some(format!("file://{root}/handed-on.asc"));
        }
        repository
    }

    /// A package and an index of it that the right key signs.
    pub(crate) fn debian_repository(&self) {
        let control = self.path("deb/DEBIAN/control");
        fs::create_dir_all(control.parent().unwrap()).unwrap();
        let text = "Package: probe\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: probe\n";
        fs::write(control, text).unwrap();
        let ours = self.path("install/ours");
        let build = ["--build", "deb", "install/ours/probe_1_all.deb"];
        done(
            Command::new("dpkg-deb")
                .args(build)
                .current_dir(self.directory.path()),
        );
        for name in ["Packages", "Release"] {
            let words = [name.to_ascii_lowercase(), ".".to_owned()];
            let index = done(
                Command::new("apt-ftparchive")
                    .args(words)
                    .current_dir(&ours),
            )
            .stdout;
            fs::write(ours.join(name), index).unwrap();
        }
        let sign = [
            "--clearsign",
            "--output",
            "install/ours/InRelease",
            "install/ours/Release",
        ];
        self.gpg("right", &sign);
    }

    /// Has apt read the file and tell of the package: what it says, and what it can install.
    pub(crate) fn apt(&self, file: &str, text: &str) -> (bool, String) {
        let parts = self.path("parts");
        let _ = fs::remove_dir_all(&parts);
        let _ = fs::remove_dir_all(self.path("state"));
        for directory in [
            "parts",
            "none",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        fs::write(parts.join(file), text).unwrap();
        fs::write(self.path("status"), "").unwrap();
        let root = self.directory.path().display();
        let settings = [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={root}/parts"),
            "Dir::Etc::trusted=/dev/null".to_owned(),
            format!("Dir::Etc::trustedparts={root}/none"),
            format!("Dir::State={root}/state"),
            format!("Dir::State::status={root}/status"),
            format!("Dir::Cache={root}/cache"),
            "APT::Sandbox::User=root".to_owned(),
        ];
        let run = |words: &[&str]| {
            let options = settings.iter().flat_map(|setting| ["-o", setting.as_str()]);
            let mut command = Command::new("apt-get");
            command.args(options).args(words).output().unwrap()
        };
        let updated = run(&["update"]);
        let told = String::from_utf8_lossy(&updated.stderr).into_owned();
        let installed = run(&["install", "--simulate", "probe"]);
        (updated.status.success() && installed.status.success(), told)
    }

    /// A package that the right key signs, and an index of it that the same key signs.
    pub(crate) fn rpm_repository(&self) {
        let root = self.directory.path();
        let spec = "Name: probe\nVersion: 1\nRelease: 1\nSummary: probe\nLicense: none\nBuildArch: noarch\n\
                    %description\nprobe\n%files\n";
        fs::write(self.path("probe.spec"), spec).unwrap();
        let top = format!("_topdir {}", self.path("rpmbuild").display());
        done(
            Command::new("rpmbuild")
                .args(["-bb", "--quiet", "--define", &top, "probe.spec"])
                .current_dir(root),
        );
        let package = self.path("install/ours/probe-1-1.noarch.rpm");
        fs::rename(
            self.path("rpmbuild/RPMS/noarch/probe-1-1.noarch.rpm"),
            &package,
        )
        .unwrap();
        let home = format!("_gpg_path {}", self.path("right").display());
        let sign = [
            "--addsign",
            "--define",
            "_gpg_name right",
            "--define",
            &home,
            "--define",
            "__gpg /usr/bin/gpg",
        ];
        done(Command::new("rpmsign").args(sign).arg(package));
        done(
            Command::new("createrepo_c")
                .args(["--quiet", "install/ours"])
                .current_dir(root),
        );
        self.gpg(
            "right",
            &[
                "--armor",
                "--detach-sign",
                "install/ours/repodata/repomd.xml",
            ],
        );
    }

    /// Signs the index by a key, or by none.
    pub(crate) fn sign_index(&self, signer: Option<&str>) {
        let _ = fs::remove_file(self.path("install/ours/repodata/repomd.xml.asc"));
        if let Some(signer) = signer {
            let words = [
                "--armor",
                "--detach-sign",
                "install/ours/repodata/repomd.xml",
            ];
            self.gpg(signer, &words);
        }
    }

    /// The repository as that of a tree: the right key signs its packages, and the site its index.
    pub(crate) fn signed_tree(&self, distro: &str) -> Repository {
        self.make_key("site");
        let key_url = format!("file://{}", self.path("right.asc").display());
        Repository {
            name: "tree".to_owned(),
            key: None,
            key_url: Some(key_url).filter(|_| !distro.starts_with("leap")),
            index_key: Some(fs::read_to_string(self.path("site.asc")).unwrap()),
            ..self.repository(distro, "gpgkey=ROOT/right.asc")
        }
    }

    /// Installs the package into a root of its own.
    pub(crate) fn dnf(&self, repository: &Repository) -> (bool, String) {
        let name = self.root_with("repos", repository);
        let root = self.path(&name);
        for directory in ["log", "none"] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        let at = |setting: &str, place: &str| {
            format!("--setopt={setting}={}", root.join(place).display())
        };
        let mut command = Command::new("dnf");
        command
            .args(["--assumeyes", "--releasever=9", "--installroot"])
            .arg(root.join("root"));
        command.args([
            at("reposdir", "repos"),
            at("cachedir", "cache"),
            at("persistdir", "persist"),
        ]);
        command.args([
            at("logdir", "../log"),
            at("varsdir", "../none"),
            at("pluginpath", "../none"),
        ]);
        told(command.args(["install", "probe"]))
    }

    pub(crate) fn zypper(&self, repository: &Repository) -> (bool, String) {
        let name = self.root_with("etc/zypp/repos.d", repository);
        let mut command = Command::new("zypper");
        command.arg("--root").arg(self.path(&name));
        command.args([
            "--non-interactive",
            "--gpg-auto-import-keys",
            "install",
            "probe",
        ]);
        told(&mut command)
    }

    /// Makes a root directory with the repository's file in it.
    fn root_with(&self, place: &str, repository: &Repository) -> String {
        let name = format!(
            "root{}",
            fs::read_dir(self.directory.path()).unwrap().count()
        );
        let place = self.path(&name).join(place);
        fs::create_dir_all(&place).unwrap();
        // Nodes have the site's key where this machine may have its own.
        let on_node = "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-slipway-trees";
        let here = format!("file://{}", self.path("site.asc").display());
        let text = repository.file().replace(on_node, &here);
        fs::write(place.join(repository.file_name()), text).unwrap();
        name
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    output
}

fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    (output.status.success(), told)
}
