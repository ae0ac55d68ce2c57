//! dnsmasq's files: checked by dnsmasq itself, replaced atomically, and then in force.
//!
//! ```text
//! <directory>/slipway-dhcp.conf      settings of makedhcp: read when dnsmasq starts
//! <directory>/slipway-dns.conf       settings of makedns
//! <directory>/slipway/dhcp-hosts     nodes by hardware address: read again on SIGHUP
//! <directory>/slipway/dns-hosts      names by address: read again on SIGHUP
//! ```

mod listing;
mod service;
mod setting;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use definitions::Lock;

pub(crate) use listing::{Change, NodeEntries};
pub(crate) use service::{Action, DnsmasqService, ReloadOutcome};
pub(crate) use setting::{fields, setting};

use crate::replace;

/// How long another run is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Endings of files that package managers leave behind, which dnsmasq's own scripts pass over.
const PASSED_OVER: [&str; 6] = [
    ".dpkg-dist",
    ".dpkg-old",
    ".dpkg-new",
    ".rpmnew",
    ".rpmsave",
    ".rpmorig",
];

/// Where dnsmasq's files are, and how it is reached: options of both commands.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The directory that dnsmasq reads its configuration from
    #[arg(long, value_name = "DIR", default_value = "/etc/dnsmasq.d")]
    pub(crate) directory: PathBuf,

    /// The unit of dnsmasq, where systemd runs
    #[arg(long, value_name = "UNIT", default_value = "dnsmasq.service")]
    unit: String,

    /// Reach dnsmasq by the process number in FILE, and not as a unit of systemd
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "unit",
        env = "SLIPWAY_DNSMASQ_PID"
    )]
    pid_file: Option<PathBuf>,
}

impl Options {
    /// Says how dnsmasq is reached.
    pub(crate) fn service(&self) -> DnsmasqService {
        match &self.pid_file {
            Some(path) => DnsmasqService::PidFile(path.clone()),
            None if Path::new("/run/systemd/system").is_dir() => {
                DnsmasqService::Unit(self.unit.clone())
            }
            None => DnsmasqService::Unreached,
        }
    }
}

/// One file on its way.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    before: Option<String>,
    text: String,
    form: Form,
}

/// How dnsmasq reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Settings, when it starts.
    Settings,
    /// `dhcp-hostsfile`, on SIGHUP.
    DhcpHosts,
    /// `addn-hosts`, on SIGHUP.
    DnsHosts,
}

/// dnsmasq's directory.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Keeps other runs from changing it; without, nothing here is published.
    lock: Option<Lock>,
}

impl Directory {
    /// Opens the directory for a run, or only to look where nothing is to change.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub(crate) fn open(path: &Path, dry_run: bool) -> Result<Self> {
        if dry_run {
            Ok(Self::look(path))
        } else {
            Self::lock(path)
        }
    }

    /// Names the directory, to look at what is there.
    pub(crate) fn look(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            lock: None,
        }
    }

    /// Waits until no other run changes the directory.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let lists = path.join("slipway");
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&lists)
            .with_context(|| format!("making {}", lists.display()))?;
        let lock = Lock::acquire(&lists.join(".lock"), TIMEOUT, &mut |text| {
            eprintln!("{text}");
        })?;
        Ok(Self {
            path: path.to_owned(),
            lock: Some(lock),
        })
    }

    /// Returns the path of a list.
    pub(crate) fn list(&self, name: &str) -> PathBuf {
        self.path.join("slipway").join(name)
    }

    /// Reads settings that have been written; `None` where none have.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn settings_text(&self, name: &str) -> Result<Option<String>> {
        replace::read(&self.path.join(name))
    }

    /// Reads a list; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read, or has lines that are not ours.
    pub(crate) fn listing(&self, name: &str) -> Result<NodeEntries> {
        let path = self.list(name);
        let text = replace::read(&path)?.unwrap_or_default();
        NodeEntries::parse(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Prepares settings.
    ///
    /// # Errors
    /// When those that are there cannot be read.
    pub(crate) fn settings(&self, name: &str, text: String) -> Result<Draft> {
        Draft::new(self.path.join(name), text, Form::Settings)
    }

    /// Prepares the list of nodes by hardware address.
    ///
    /// # Errors
    /// As [`Self::settings`].
    pub(crate) fn dhcp_hosts(&self, name: &str, text: String) -> Result<Draft> {
        Draft::new(self.list(name), text, Form::DhcpHosts)
    }

    /// Prepares the list of names by address.
    ///
    /// # Errors
    /// As [`Self::settings`].
    pub(crate) fn dns_hosts(&self, name: &str, text: String) -> Result<Draft> {
        Draft::new(self.list(name), text, Form::DnsHosts)
    }

    /// Has dnsmasq check the files beside those that are there.
    ///
    /// # Errors
    /// What dnsmasq says against them.
    pub(crate) fn check(&self, drafts: &[Draft]) -> Result<()> {
        let scratch = tempfile::tempdir().context("making a directory to check in")?;
        let directory = self.path.display().to_string();
        let mut names = vec![directory];
        names.extend(PASSED_OVER.map(str::to_owned));
        let mut text = String::new();
        for draft in drafts {
            match draft.form {
                Form::Settings => {
                    text += &draft.text;
                    // dnsmasq passes over names that end so and are longer.
                    names.push(file_name(&draft.path).chars().skip(1).collect());
                }
                // A list is not looked at by --test; its lines are those of an option.
                Form::DhcpHosts => {
                    for line in draft.text.lines().filter(|line| !line.starts_with('#')) {
                        text += &format!("dhcp-host={line}\n");
                    }
                }
                Form::DnsHosts => {}
            }
        }
        if self.path.is_dir() {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            text += &setting("conf-dir", &names)?;
        }
        let file = scratch.path().join("check.conf");
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        let mut option = std::ffi::OsString::from("--conf-file=");
        option.push(&file);
        let output = program()
            .arg("--test")
            .arg(option)
            .stdin(Stdio::null())
            .output()
            .context("running dnsmasq --test: is dnsmasq installed?")?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "checking by dnsmasq --test: {}",
            definitions::terminal::escaped(said.trim(), '\n')
        )
    }

    /// Publishes checked files, and has dnsmasq work with them; neither where the directory is only looked at.
    ///
    /// # Errors
    /// When a file cannot be written or dnsmasq does not start with it; what was there is put back.
    pub(crate) fn publish(
        &self,
        drafts: &[Draft],
        service: &DnsmasqService,
    ) -> Result<ReloadOutcome> {
        if self.lock.is_none() {
            return Ok("untouched");
        }
        let result = drafts
            .iter()
            .filter(|draft| draft.is_changed())
            .try_for_each(|draft| replace::write(&draft.path, draft.text.as_bytes(), 0o644))
            .and_then(|()| service.apply(action(drafts)));
        if result.is_err() && matches!(service, DnsmasqService::Unit(_)) {
            put_back(drafts)?;
            // It ran with what was there before; that it starts again is all that is left to do.
            let _ = service.apply(action(drafts));
        }
        result
    }
}

/// Says what dnsmasq has to do for the files.
pub(crate) fn action(drafts: &[Draft]) -> Action {
    let action = |draft: &Draft| match (draft.is_changed(), draft.form) {
        (false, _) => Action::Nothing,
        (true, Form::Settings) => Action::Restart,
        (true, _) => Action::Reload,
    };
    drafts.iter().map(action).max().unwrap_or(Action::Nothing)
}

impl Draft {
    fn new(path: PathBuf, text: String, form: Form) -> Result<Self> {
        let before = replace::read(&path)?;
        Ok(Self {
            path,
            before,
            text,
            form,
        })
    }

    /// Says whether the file differs from what is there.
    pub(crate) fn is_changed(&self) -> bool {
        self.before.as_deref() != Some(&self.text)
    }

    /// Returns where the file belongs.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn put_back(drafts: &[Draft]) -> Result<()> {
    for draft in drafts.iter().filter(|draft| draft.is_changed()) {
        match &draft.before {
            Some(text) => replace::write(&draft.path, text.as_bytes(), 0o644)?,
            None => replace::remove(&draft.path)?,
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Finds dnsmasq, also where the user's PATH leaves out what is root's.
fn program() -> Command {
    let usual = Path::new("/usr/sbin/dnsmasq");
    Command::new(if usual.exists() {
        usual
    } else {
        Path::new("dnsmasq")
    })
}
