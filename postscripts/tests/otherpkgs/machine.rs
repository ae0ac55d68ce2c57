//! A machine that is this one with a layer over it: its own package database, files and package managers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use crate::web::Web;

/// What a machine's package manager is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Debian,
    Rocky,
    Leap,
}

/// One machine.
pub(crate) struct Machine {
    layer: tempfile::TempDir,
    pub(crate) web: Web,
    /// The environment of a run.
    pub(crate) environment: BTreeMap<String, String>,
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Lays a machine out and runs a command on it: `sh -ec ENTER sh LAYER COMMAND…`.
///
/// All of it in namespaces of its own, which end with the command: nothing of this machine can be reached for
/// writing, its devices least of all, and nothing stays mounted.
const ENTER: &str = r#"
layer=$1 root=$1/root
shift
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
mount -t proc proc "$root/proc"
for place in dev run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
ln -s /proc/self/fd "$root/dev/fd"
exec chroot "$root" "$@"
"#;

/// Where the layers lie: a file system that is not the one below them.
const LAYERS: &str = "/dev/shm";

/// Makes an empty layer.
fn layer() -> Option<tempfile::TempDir> {
    let layer = tempfile::Builder::new()
        .prefix("otherpkgs")
        .tempdir_in(LAYERS)
        .ok()?;
    for part in ["upper", "work", "root"] {
        fs::create_dir(layer.path().join(part)).ok()?;
    }
    Some(layer)
}

/// Returns the command that runs another one on the machine of a layer.
fn enter(layer: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-ec",
        ENTER,
        "sh",
    ]);
    command.arg(layer);
    command
}

/// Says whether this user may lay one file system over another here.
pub(crate) fn can_be_made() -> bool {
    let Some(layer) = layer() else { return false };
    let mut command = enter(layer.path());
    command.arg("true").stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Builds the repositories of a form, once.
fn repositories(form: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    built
        .entry(form.to_owned())
        .or_insert_with(|| {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("otherpkgs-{form}"));
            let _ = fs::remove_dir_all(&target);
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/otherpkgs/repositories");
            let output = Command::new(script)
                .arg(&target)
                .arg(form)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            target
        })
        .clone()
}

impl Machine {
    pub(crate) fn new(system: System) -> Self {
        let layer = layer().unwrap();
        let form = if system == System::Debian {
            "deb"
        } else {
            "rpm"
        };
        let web = Web::serve(&repositories(form));
        let machine = Self {
            environment: BTreeMap::from([
                ("NFSSERVER".to_owned(), web.address.ip().to_string()),
                ("HTTPPORT".to_owned(), web.address.port().to_string()),
                (
                    "PATH".to_owned(),
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                ),
            ]),
            layer,
            web,
        };
        // What is made here has its directories, with their modes, in the layer: then files can be put there.
        machine.sh(
            "rm -rf /etc/apt/sources.list* /etc/apt/apt.conf.d/* /etc/apt/preferences.d/* /var/lib/apt/lists/*; \
             mkdir -p /etc/apt/sources.list.d /etc/rpm /var/tmp/repositories; rm -f /etc/os-release; \
             touch /usr/local/bin/otherpkgs; echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros",
        );
        let os_release = match system {
            System::Debian => "ID=debian\n",
            System::Rocky => "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.3\"\n",
            System::Leap => {
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"15.6\"\n"
            }
        };
        machine.write("etc/os-release", os_release);
        for name in ["otherpkgs", "ospkgs"] {
            fs::copy(
                env!("CARGO_BIN_EXE_otherpkgs"),
                machine.path(&format!("usr/local/bin/{name}")),
            )
            .unwrap();
        }
        let source = repositories(form);
        let copy = Command::new("cp")
            .arg("-r")
            .arg(source.join("."))
            .arg(machine.path("var/tmp/repositories"))
            .status();
        assert!(copy.unwrap().success());
        machine
    }

    /// Returns where a file lies that the machine has and the one below has not, or not so.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.layer
            .path()
            .join("upper")
            .join(path.trim_start_matches('/'))
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        // What the layer hides of the machine below is a device here.
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    }

    /// Sets variables of the next runs.
    pub(crate) fn set(&mut self, variables: &[(&str, &str)]) {
        for (name, value) in variables {
            self.environment
                .insert((*name).to_owned(), (*value).to_owned());
        }
    }

    /// Asks for one list from one entry.
    pub(crate) fn ask(&mut self, entry: &str, list: &str) {
        self.set(&[
            ("OTHERPKGDIR", entry),
            ("OTHERPKGS_INDEX", "1"),
            ("OTHERPKGS1", list),
        ]);
    }

    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = enter(self.layer.path());
        command.arg(program).args(arguments);
        command
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as("otherpkgs", arguments)
    }

    /// Runs it under one of its names.
    pub(crate) fn run_as(&self, name: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(name, arguments).output().unwrap())
    }

    /// Runs a shell's line on the machine, which must succeed; returns what it printed.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        let output = self.command("sh", &["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Returns `name version` of every package of the tests that is installed.
    pub(crate) fn installed(&self) -> Vec<String> {
        let line = if self.read("etc/os-release").contains("debian") {
            "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' 'slip-*' 2>/dev/null | \
                 sed -n 's/^installed //p'"
        } else {
            "rpm -qa --queryformat '%{NAME} %{VERSION}\\n' 'slip-*'"
        };
        let mut packages: Vec<_> = self.sh(line).lines().map(str::to_owned).collect();
        packages.sort();
        packages
    }

    /// Returns every file of the package managers' configuration and of their databases, with its bytes.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut directories: Vec<_> = ["etc/apt", "etc/yum.repos.d", "etc/zypp", "etc/pki"]
            .map(|dir| self.path(dir))
            .into();
        files.insert(
            "status".into(),
            fs::read(self.path("var/lib/dpkg/status")).unwrap_or_default(),
        );
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    directories.push(entry.path());
                } else {
                    files.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
                }
            }
        }
        files
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Returns the last line on standard error.
    pub(crate) fn last(&self) -> &str {
        self.err.lines().last().unwrap_or_default()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
