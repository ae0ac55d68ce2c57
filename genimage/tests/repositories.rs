//! Repositories as apt, dnf and zypper take them: what we write is given to the programs themselves, in
//! directories of their own, with a repository that is signed and one package in it. With the right key the
//! package can be installed, with another it cannot. And the trees of real media, whose file listings lie in
//! the corpus (`../shared/corpus`, or `SLIPWAY_CORPUS`), have the repositories that they have.
//!
//! What a machine lacks makes a case ignored, and its kind says why.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers unwrap is a failure of the test"
)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use definitions::{Arch, InstallDir};
use libtest_mimic::{Arguments, Failed, Trial};

use genimage::repository::{Extra, Repository, Served, extra, of_tree};

/// Real media, by the beginning of their listing's name, and their repositories.
const TREES: [(&str, &str, &[&str]); 10] = [
    (
        "trusty__",
        "ubuntu14.04.6",
        &["tree trusty main restricted"],
    ),
    ("jammy__", "ubuntu22.04.1", &["tree jammy main restricted"]),
    ("cloudlinux7__", "cloudlinux7.9", &["tree"]),
    (
        "rhel8__Rocky-8.5",
        "rocky8.5",
        &["tree-BaseOS", "tree-AppStream"],
    ),
    (
        "rhel8__Rocky-8.9",
        "rocky8.9",
        &["tree-BaseOS", "tree-Minimal"],
    ),
    ("rhel10__", "alma10.0", &["tree-Minimal"]),
    ("fedora44__", "fedora44", &["tree"]),
    ("opensuse15.5__", "leap15.5", &["tree"]),
    (
        "sles15sp5__",
        "sle15.5",
        &[
            "tree",
            "tree-Module-Basesystem",
            "tree-Module-Containers",
            "tree-Module-Desktop-Applications",
            "tree-Module-Development-Tools",
            "tree-Module-HPC",
            "tree-Module-Legacy",
            "tree-Module-Live-Patching",
            "tree-Module-Public-Cloud",
            "tree-Module-Python3",
            "tree-Module-Server-Applications",
            "tree-Module-Transactional-Server",
            "tree-Module-Web-Scripting",
            "tree-Product-SLES",
        ],
    ),
    ("sles16.0__", "sle16.0", &["tree-install"]),
];

fn main() {
    let arguments = Arguments::from_args();
    let apt = &["apt-get", "apt-ftparchive", "dpkg-deb", "gpg"][..];
    let dnf = &["dnf", "rpmbuild", "rpmsign", "createrepo_c", "gpg"][..];
    let zypper = &["zypper", "rpmbuild", "rpmsign", "createrepo_c", "gpg"][..];
    let tools: [(&str, &[&str], fn() -> Result<(), Failed>); 4] = [
        (
            "apt_believes_the_key_that_is_named_and_no_other",
            apt,
            apt_takes_it,
        ),
        ("apt_takes_lines_too", apt, apt_takes_lines),
        (
            "dnf_believes_the_key_that_is_named_and_no_other",
            dnf,
            dnf_takes_it,
        ),
        (
            "zypper_believes_the_key_that_is_named_and_no_other",
            zypper,
            zypper_takes_it,
        ),
    ];
    let mut trials: Vec<_> = tools
        .into_iter()
        .map(|(name, tools, run)| {
            let tool = tools.iter().find(|tool| !in_path(tool)).copied();
            // Installing into another root needs it, even of nothing.
            let root = (!tools.contains(&"apt-get") && !is_root()).then_some("root");
            let lacking = tool.or(root);
            Trial::test(name, run)
                .with_ignored_flag(lacking.is_some())
                .with_kind(
                    lacking
                        .map(|what| format!("needs {what}"))
                        .unwrap_or_default(),
                )
        })
        .collect();
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = std::env::var_os("SLIPWAY_CORPUS").map_or_else(beside, PathBuf::from);
    let listings = corpus.join("listings");
    let there = listings.is_dir();
    for (listing, distro, expected) in TREES {
        let listings = listings.clone();
        let trial = Trial::test(format!("tree::{distro}"), move || {
            tree(&listings, listing, distro, expected)
        });
        let kind = if there {
            ""
        } else {
            "no corpus beside the repository"
        };
        trials.push(trial.with_ignored_flag(!there).with_kind(kind));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn in_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(tool).is_file())
}

/// An install directory with a repository in it, and two keys of which one signs.
struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scene = Self { directory };
        for key in ["right", "wrong"] {
            let home = scene.path(key);
            fs::create_dir(&home).unwrap();
            fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
            scene.gpg(
                key,
                &[
                    "--passphrase",
                    "",
                    "--quick-gen-key",
                    key,
                    "rsa2048",
                    "sign",
                    "never",
                ],
            );
            let armoured = scene.gpg(key, &["--armor", "--export"]).stdout;
            fs::write(scene.path(&format!("{key}.asc")), armoured).unwrap();
        }
        fs::create_dir_all(scene.path("install/ours")).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
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
    fn repository(&self, distro: &str, trust: &str) -> Repository {
        let installdir = InstallDir::new(self.path("install"));
        let root = self.directory.path().display();
        let entry = format!("[{trust}] {root}/install/ours").replace("ROOT", &root.to_string());
        let with = Extra {
            attribute: "otherpkgdir",
            stem: "extra",
            served: Served {
                installdir: &installdir,
                url: "http://10.1.0.1/install",
                distro: &distro.parse().unwrap(),
                arch: Arch::X86_64,
            },
            directories: &[],
            read: &|path| fs::read(path),
        };
        let mut repository = extra(&[entry], &with).unwrap().remove(0);
        assert_eq!(repository.uri, "http://10.1.0.1/install/ours");
        repository.uri = format!("file://{root}/install/ours");
        if let Some(key) = &repository.key {
            fs::write(self.path("handed-on.asc"), key).unwrap();
            repository.key_url = Some(format!("file://{root}/handed-on.asc"));
        }
        repository
    }

    /// A package and an index of it that the right key signs.
    fn debian_repository(&self) {
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
    fn apt(&self, file: &str, text: &str) -> (bool, String) {
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
    fn rpm_repository(&self) {
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

    /// Installs the package into a root of its own.
    fn dnf(&self, repository: &Repository) -> (bool, String) {
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

    fn zypper(&self, repository: &Repository) -> (bool, String) {
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
        fs::write(place.join(repository.file_name()), repository.file()).unwrap();
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

/// Every kind of trust, the option that says it, and whether the package may be had.
fn trusts(option: &str) -> [(String, bool); 3] {
    [
        (format!("{option}=ROOT/right.asc"), true),
        (format!("{option}=ROOT/wrong.asc"), false),
        ("trusted=yes".to_owned(), true),
    ]
}

fn apt_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.debian_repository();
    for (trust, expected) in trusts("signed-by") {
        let repository = scene.repository("debian12", &trust);
        let (installed, said) = scene.apt(&repository.file_name(), &repository.file());
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("is not signed") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

fn apt_takes_lines() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.debian_repository();
    for (trust, expected) in trusts("signed-by") {
        let repository = scene.repository("debian12", &trust);
        let key = scene.path("handed-on.asc").display().to_string();
        let line = repository.line(repository.key.as_ref().map(|_| key.as_str()));
        let older = repository.file_with_key(&key);
        for (file, text) in [("extra1.list", line), ("extra1.sources", older)] {
            let (installed, said) = scene.apt(file, &format!("{text}\n"));
            if installed != expected {
                return Err(format!("{text}: {said}").into());
            }
        }
    }
    Ok(())
}

fn dnf_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.rpm_repository();
    for (trust, expected) in trusts("gpgkey") {
        let repository = scene.repository("rocky9.4", &trust);
        let (installed, said) = scene.dnf(&repository);
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("GPG check FAILED") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

fn zypper_takes_it() -> Result<(), Failed> {
    let scene = Scene::new();
    scene.rpm_repository();
    for (trust, expected) in trusts("gpgkey") {
        let repository = scene.repository("sle15.5", &trust);
        let (installed, said) = scene.zypper(&repository);
        if installed != expected {
            return Err(format!("{trust}: {}\n{said}", repository.file()).into());
        }
        if !expected && !said.contains("Signature verification failed") {
            return Err(format!("{trust}: refused for another reason: {said}").into());
        }
    }
    Ok(())
}

/// Lays a medium's indices out as empty files, and asks for its repositories.
fn tree(listings: &Path, beginning: &str, distro: &str, expected: &[&str]) -> Result<(), Failed> {
    let names = fs::read_dir(listings)?.filter_map(Result::ok);
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let listing = names
        .find(|name| name.starts_with(beginning) && name.ends_with(".txt.gz"))
        .ok_or_else(|| format!("no listing begins with {beginning}"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(listings.join(listing))?)
        .read_to_string(&mut text)?;
    let directory = tempfile::tempdir()?;
    let tree = directory.path().join("t");
    for path in text.lines() {
        if path.starts_with("dists/") || path.ends_with("/repomd.xml") || path == "content" {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap())?;
            fs::write(path, "")?;
        }
    }
    let installdir = InstallDir::new(directory.path());
    let served = Served {
        installdir: &installdir,
        url: "http://10.1.0.1/install",
        distro: &distro.parse()?,
        arch: Arch::X86_64,
    };
    let repositories = of_tree(&tree, &served).map_err(|problem| problem.to_string())?;
    let line = |repository: Repository| {
        let words = [repository.name]
            .into_iter()
            .chain(repository.suite)
            .chain(repository.components);
        words.collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<_> = repositories.into_iter().map(line).collect();
    if lines == expected {
        Ok(())
    } else {
        Err(format!("{distro} has {lines:?}").into())
    }
}
