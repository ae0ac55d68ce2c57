//! A management node in a temporary directory: a small Debian tree, its osimages, and our binaries.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The osimage of most cases.
pub(crate) const IMAGE: &str = "debian12.9.0-x86_64-install-dockerhost";

pub(crate) struct Site {
    dir: tempfile::TempDir,
}

/// How a run ended and what it said, with the directory's name taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// Sets up a tree, an osimage of each profile, a network and the postscripts.
    pub(crate) fn new() -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        // One case runs as nobody.
        fs::set_permissions(site.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let install = site.path("install");
        site.write(
            "config/site.toml",
            &format!(
                "installdir = \"{}\"\nmaster = \"10.1.0.1\"\nauthorizedkeys = \"{}\"\n",
                install.display(),
                site.path("keys.pub").display()
            ),
        );
        site.write(
            "keys.pub",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmE admin\n",
        );
        site.write(
            "config/networks.toml",
            "[rack]\nnet = \"10.1.0.0\"\nmask = \"255.255.0.0\"\n",
        );
        for profile in ["compute", "dockerhost"] {
            site.osimage(
                &format!("debian12.9.0-x86_64-install-{profile}"),
                &format!("profile = \"{profile}\"\n"),
            );
        }
        for program in [
            "firstboot",
            "bridgeprereq",
            "xHRM",
            "setupdockerhost",
            "dockerauthz",
        ] {
            site.write(&format!("install/postscripts/{program}"), program);
        }
        site.tree();
        site
    }

    /// A tree as copycds publishes one, of a medium with the packages of the lists.
    fn tree(&self) {
        let tree = "install/debian12.9.0/x86_64";
        let names = [
            "apparmor",
            "ca-certificates",
            "chrony",
            "docker.io",
            "gawk",
            "iproute2",
            "iptables",
            "nfs-common",
            "openssh-server",
            "snmpd",
        ];
        let packages: String = names
            .iter()
            .map(|name| format!("Package: {name}\nVersion: 1.0-1\nArchitecture: amd64\n\n"))
            .collect();
        self.write(
            &format!("{tree}/dists/bookworm/main/binary-amd64/Packages"),
            &packages,
        );
        self.write(
            &format!("{tree}/dists/bookworm/Release"),
            "Suite: stable\nCodename: bookworm\nComponents: main\nArchitectures: amd64\n",
        );
        self.write(&format!("{tree}/dists/bookworm/Release.gpg"), "");
        self.write(&format!("{tree}/install.amd/vmlinuz"), "kernel");
        self.write_bytes(&format!("{tree}/install.amd/initrd.gz"), &initrd());
    }

    /// Defines an osimage of the tree; `more` is TOML.
    pub(crate) fn osimage(&self, name: &str, more: &str) {
        let tree = self.path("install/debian12.9.0/x86_64");
        self.write(&format!("config/osimages/{name}.toml"), &format!(
            "osvers = \"debian12.9.0\"\nosarch = \"x86_64\"\nprovmethod = \"install\"\npkgdir = [\"{}\"]\n{more}",
            tree.display()
        ));
    }

    /// Defines nodes, in TOML.
    pub(crate) fn nodes(&self, toml: &str) {
        self.write("config/nodes/nodes.toml", toml);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Prepares a run of a binary.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let binary = match program {
            "nodeset" => env!("CARGO_BIN_EXE_nodeset"),
            "genimage" => env!("CARGO_BIN_EXE_genimage"),
            other => panic!("{other} is no binary of this package"),
        };
        let mut command = Command::new(binary);
        command
            .args(args)
            .env("SLIPWAY_CONFIG", self.path("config"))
            .env_remove("RUST_BACKTRACE")
            .current_dir(self.dir.path());
        command
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Ran {
        self.told(self.command(program, args).output().unwrap())
    }

    fn told(&self, output: Output) -> Ran {
        let here = self.dir.path().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&here, "HERE");
        Ran {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// What stands below a directory: each file's name, inode and time.
    pub(crate) fn standing(&self, name: &str) -> Vec<(PathBuf, u64, i64)> {
        let mut found = Vec::new();
        walk(&self.path(name), &mut found);
        found.sort();
        found
    }
}

fn walk(dir: &Path, found: &mut Vec<(PathBuf, u64, i64)>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), metadata.ino(), metadata.mtime_nsec()));
        if metadata.is_dir() {
            walk(&path, found);
        }
    }
}

/// An initrd of debian-installer that fetches over a network, as far as its names say.
fn initrd() -> Vec<u8> {
    use std::io::Write;
    let name = "usr/lib/debian-installer/retriever/net-retriever\0";
    let mut archive = format!(
        "070701{}{:08X}{}",
        "0".repeat(11 * 8),
        name.len(),
        "0".repeat(8)
    )
    .into_bytes();
    archive.extend(name.as_bytes());
    archive.resize(archive.len().next_multiple_of(4), 0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&archive).unwrap();
    packed.finish().unwrap()
}
