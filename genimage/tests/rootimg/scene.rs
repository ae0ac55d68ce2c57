//! A tree of a few small packages, made by rpmbuild and createrepo_c, and a site whose root images are built of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What every package of the tree begins with.
const HEAD: &str = "Version: 1\nRelease: 1\nSummary: a package of a test\nLicense: none\nAutoReqProv: no\n\
                    %description\nA package of a test.\n";

/// The packages of the tree: the name, and the rest of the spec. Debian's rpmbuild runs them with dash.
const PACKAGES: [(&str, &str); 13] = [
    (
        "system",
        "Provides: /bin/sh\n%install\nmkdir -p %{buildroot}/bin %{buildroot}/etc/ssh %{buildroot}/boot %{buildroot}/tmp \
         %{buildroot}/usr/lib/modules/6.1.0-test %{buildroot}/usr/share/man/man1 %{buildroot}/root %{buildroot}/usr/sbin\n\
         cp /bin/busybox %{buildroot}/bin/busybox\nfor name in sh cat mount sleep mkdir ls; do ln -s busybox \
         %{buildroot}/bin/$name; done\necho kernel > %{buildroot}/boot/vmlinuz-6.1.0-test\n\
         printf 'CONFIG_%%s=y\\n' SQUASHFS SQUASHFS_ZSTD SQUASHFS_XZ EROFS_FS_ZIP \
         > %{buildroot}/boot/config-6.1.0-test\n\
         echo > %{buildroot}/usr/lib/modules/6.1.0-test/modules.dep\necho page > %{buildroot}/usr/share/man/man1/a.1\n\
         printf 'root:x:0:0::/root:/bin/sh\\nops:x:1000:1001::/:/bin/sh\\n' > %{buildroot}/etc/passwd\n\
         printf 'root:x:0:\\nstaff:x:1001:\\n' > %{buildroot}/etc/group\necho mine > %{buildroot}/etc/machine-id\n\
         echo secret > %{buildroot}/etc/ssh/ssh_host_ed25519_key\n\
         %files\n/bin\n/etc\n/boot\n/usr\n%attr(1777,root,root) /tmp\n/root\n",
    ),
    (
        "owners",
        "Requires: system\n%install\nmkdir -p %{buildroot}/srv\nfor name in plain setuid other capable; do echo $name > \
         %{buildroot}/srv/$name; done\nln %{buildroot}/srv/plain %{buildroot}/srv/twin\n%files\n/srv/plain\n/srv/twin\n\
         %attr(4755,root,root) /srv/setuid\n%attr(0640,ops,staff) /srv/other\n\
         %attr(0755,root,root) %caps(cap_net_raw=ep) /srv/capable\n",
    ),
    ("fails", "Requires: system\n%pre\nexit 1\n%files\n"),
    ("hangs", "Requires: system\n%post\nsleep 1000\n%files\n"),
    (
        "daemon",
        "Requires: system\n%post\nsleep 1000 >/dev/null 2>&1 </dev/null &\n%files\n",
    ),
    ("broken", "Requires: nowhere\n%files\n"),
    (
        "removed",
        "Requires: system\n%install\nmkdir -p %{buildroot}/srv\necho > %{buildroot}/srv/removed\n%files\n/srv/removed\n",
    ),
    (
        "large",
        "Requires: system\n%install\nmkdir -p %{buildroot}/srv\ndd if=/dev/zero of=%{buildroot}/srv/zeros bs=1024 \
         count=8192 2>/dev/null\n%files\n/srv/zeros\n",
    ),
    ("clash", "Conflicts: owners\n%files\n"),
    (
        "fakesystemd",
        "%install\nmkdir -p %{buildroot}/srv\necho fake > %{buildroot}/srv/fake\n%files\n/srv/fake\n",
    ),
    (
        "realsystemd",
        "Conflicts: fakesystemd\n%install\nmkdir -p %{buildroot}/srv\necho real > %{buildroot}/srv/systemd\n\
         %files\n/srv/systemd\n",
    ),
    ("afar", "Requires: system\n%files\n"),
    (
        "slow",
        "Requires: system\n%post\nfor i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 1; done\n%files\n",
    ),
];

/// Says what this machine lacks to build roots.
pub(crate) fn lacking() -> Option<String> {
    for program in [
        "rpmbuild",
        "rpmsign",
        "createrepo_c",
        "dnf",
        "zypper",
        "gpg",
        "tar",
        "tar2sqfs",
        "unsquashfs",
        "/bin/busybox",
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            return Some(format!("no {program}"));
        }
    }
    let namespace = Command::new("unshare")
        .args(["--user", "--map-root-user", "true"])
        .status();
    if !namespace.is_ok_and(|status| status.success()) {
        return Some("no user namespaces".to_owned());
    }
    let root = nix::unistd::Uid::effective().is_root();
    let ids = root || Command::new("newuidmap").output().is_ok();
    (!ids).then(|| "no newuidmap".to_owned())
}

/// The install directory of all tests, with the tree in it.
fn installdir() -> &'static Path {
    MADE.get_or_init(|| {
        let dir = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let (work, tree) = (dir.path().join("work"), dir.path().join("rocky9.4/x86_64"));
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(tree.join("Packages")).unwrap();
        for (name, rest) in PACKAGES {
            let spec = work.join(format!("{name}.spec"));
            let (fields, sections) = rest.split_at(rest.find('%').unwrap());
            let head = HEAD.replace("%description", &format!("{fields}%description"));
            fs::write(&spec, format!("Name: {name}\n{head}{sections}")).unwrap();
            done(
                Command::new("rpmbuild")
                    .args([
                        "-bb",
                        "--quiet",
                        "--target",
                        "x86_64",
                        "--define",
                        "_build_id_links none",
                    ])
                    .args([
                        "--define",
                        "__os_install_post %{nil}",
                        "--define",
                        "debug_package %{nil}",
                    ])
                    .args(["--define", &format!("_topdir {}", work.display())])
                    .args([
                        "--define",
                        &format!("_rpmdir {}", tree.join("Packages").display()),
                    ])
                    .arg(&spec),
            );
        }
        // One package is at another place than the tree.
        let mirror = dir.path().join("mirror");
        fs::create_dir(&mirror).unwrap();
        let afar = "x86_64/afar-1-1.x86_64.rpm";
        fs::rename(
            tree.join("Packages").join(afar),
            mirror.join("afar-1-1.x86_64.rpm"),
        )
        .unwrap();
        done(Command::new("createrepo_c").arg("--quiet").arg(&mirror));
        done(Command::new("createrepo_c").arg("--quiet").arg(&tree));
        let other = dir.path().join("leap15.6");
        done(
            Command::new("cp")
                .arg("-r")
                .arg(dir.path().join("rocky9.4"))
                .arg(other),
        );
        dir.keep()
    })
}

static MADE: OnceLock<PathBuf> = OnceLock::new();

/// Removes what all tests had together.
pub(crate) fn clear() {
    if let Some(made) = MADE.get() {
        fs::remove_dir_all(made).unwrap();
    }
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {err}");
    output
}

/// A site with one osimage, whose profile is the test's own.
pub(crate) struct Scene {
    config: tempfile::TempDir,
    release: &'static str,
    pub(crate) profile: &'static str,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Scene {
    /// Makes an osimage with a list of packages.
    pub(crate) fn new(profile: &'static str, packages: &str) -> Self {
        Self::of("rocky9.4", profile, packages)
    }

    /// Makes one of another release, whose tree is the same.
    pub(crate) fn of(release: &'static str, profile: &'static str, packages: &str) -> Self {
        let config = tempfile::tempdir().unwrap();
        let scene = Self {
            config,
            release,
            profile,
        };
        fs::create_dir(scene.path("osimages")).unwrap();
        let site = format!("installdir = {:?}\nmaster = \"10.1.0.1\"\n", installdir());
        fs::write(scene.path("site.toml"), site).unwrap();
        fs::write(scene.path("pkglist"), packages).unwrap();
        scene.define("");
        scene
    }

    /// Writes the definition, with a mirror after the tree.
    pub(crate) fn define_mirror(&self, port: u16) {
        self.define("");
        let path = self.path("osimages/image.toml");
        let text = fs::read_to_string(&path).unwrap();
        let mirror = format!("/x86_64\", \"[trusted=yes] http://127.0.0.1:{port}\"]");
        fs::write(path, text.replace("/x86_64\"]", &mirror)).unwrap();
    }

    /// Writes the definition, with further attributes.
    pub(crate) fn define(&self, more: &str) {
        let installdir = installdir().display();
        let text = format!(
            "provmethod = \"netboot\"\nprofile = {:?}\nosvers = {:?}\nosarch = \"x86_64\"\n\
             pkgdir = [\"[trusted=yes] {installdir}/{}/x86_64\"]\npkglist = [{:?}]\n{more}",
            self.profile,
            self.release,
            self.release,
            self.path("pkglist")
        );
        fs::write(self.path("osimages/image.toml"), text).unwrap();
    }

    /// Has signatures asked for.
    pub(crate) fn untrust(&self) {
        let path = self.path("osimages/image.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("[trusted=yes] ", "")).unwrap();
    }

    /// Puts a key among the site's keyrings that has signed nothing.
    pub(crate) fn make_key(&self) {
        let home = self.path("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::create_dir(self.path("keyrings")).unwrap();
        let gpg = || {
            let mut command = Command::new("gpg");
            command.args(["--batch", "--quiet", "--homedir"]).arg(&home);
            command
        };
        let words = [
            "--passphrase",
            "",
            "--quick-gen-key",
            "other",
            "rsa2048",
            "sign",
            "never",
        ];
        done(gpg().args(words));
        let key = done(gpg().args(["--armor", "--export"])).stdout;
        fs::write(self.path("keyrings/other.asc"), key).unwrap();
    }

    /// Makes the tree of this release, signed by the key that was made.
    pub(crate) fn sign_tree(&self) {
        let tree = installdir().join(self.release).join("x86_64");
        fs::create_dir_all(tree.parent().unwrap()).unwrap();
        done(
            Command::new("cp")
                .arg("-r")
                .arg(installdir().join("rocky9.4/x86_64"))
                .arg(&tree),
        );
        let packages = fs::read_dir(tree.join("Packages/x86_64")).unwrap();
        let packages = packages.map(|entry| entry.unwrap().path());
        let home = format!("_gpg_path {}", self.path("gnupg").display());
        // Debian's rpm does not say where gpg is.
        let sign = [
            "--define",
            "_gpg_name other",
            "--define",
            &home,
            "--define",
            "__gpg /usr/bin/gpg",
            "--addsign",
        ];
        done(Command::new("rpmsign").args(sign).args(packages));
        done(Command::new("createrepo_c").arg("--quiet").arg(&tree));
        let index = tree.join("repodata/repomd.xml");
        let mut gpg = Command::new("gpg");
        gpg.args([
            "--batch",
            "--quiet",
            "--armor",
            "--detach-sign",
            "--homedir",
        ]);
        done(gpg.arg(self.path("gnupg")).arg(&index));
    }

    /// Returns the path of a file beside the definitions.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.config.path().join(name)
    }

    /// Writes a script beside the definitions.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Returns the directory of the root image.
    pub(crate) fn images(&self) -> PathBuf {
        installdir()
            .join("netboot")
            .join(self.release)
            .join("x86_64")
            .join(self.profile)
    }

    /// Returns the install directory.
    pub(crate) fn installdir(&self) -> &'static Path {
        installdir()
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let program = match words.next().unwrap() {
            "genimage" => PathBuf::from(env!("CARGO_BIN_EXE_genimage")),
            // the program beside it is the one that it runs
            _ if self.path("bin/packimage").exists() => self.path("bin/packimage"),
            _ => PathBuf::from(env!("CARGO_BIN_EXE_packimage")),
        };
        let mut command = Command::new(program);
        command
            .args(words)
            .env("SLIPWAY_CONFIG", self.config.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `genimage` or `packimage`.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().unwrap())
    }

    /// Runs a script of shell that may mount what it likes: nobody else sees it.
    pub(crate) fn in_own_mounts(&self, script: &str) -> Ran {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .env("SLIPWAY_CONFIG", self.path(""));
        Ran::of(&command.output().unwrap())
    }

    /// Runs it, and expects that it does what it was asked for.
    pub(crate) fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        ran
    }

    /// Runs it in the background.
    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits until the log of the build has a word.
    pub(crate) fn wait_for(&self, word: &str) {
        let log = self.images().join("genimage.log");
        let end = Instant::now() + Duration::from_secs(120);
        while !fs::read_to_string(&log).unwrap_or_default().contains(word) {
            assert!(Instant::now() < end, "{} never has {word}", log.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the names in the directory of the root image, sorted, without those that say how it went.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.images()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != ".lock" && name != "genimage.log");
        names.sort();
        names
    }

    /// Returns the one file of the image's directory with this beginning and this ending.
    pub(crate) fn one(&self, begin: &str, end: &str) -> PathBuf {
        let names = self.names();
        let mut found = names
            .iter()
            .filter(|name| name.starts_with(begin) && name.ends_with(end));
        let one = found
            .next()
            .unwrap_or_else(|| panic!("{begin}…{end} among {names:?}"));
        assert_eq!(found.next(), None);
        self.images().join(one)
    }

    /// Lists the root's tar as tar(1) does, a line each: mode, owner, size, name.
    pub(crate) fn listing(&self) -> String {
        let tar = self.one("root.", ".tar");
        let output = done(
            Command::new("tar")
                .args(["--numeric-owner", "-tvf"])
                .arg(tar),
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Expects entries of the root's tar: how the line of each begins and ends. Returns the list.
    pub(crate) fn lists(&self, entries: &[(&str, &str)]) -> String {
        let listing = self.listing();
        for (begin, name) in entries {
            let found = listing.lines().find(|line| line.ends_with(name));
            assert!(
                found.is_some_and(|line| line.starts_with(begin)),
                "{name}: {listing}"
            );
        }
        listing
    }

    /// Reads a file of the root's tar.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let tar = self.one("root.", ".tar");
        let output = Command::new("tar")
            .arg("-xOf")
            .arg(tar)
            .arg(format!("./{path}"))
            .output()
            .unwrap();
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    }
}
