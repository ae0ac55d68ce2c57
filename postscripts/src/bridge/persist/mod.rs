//! The same bridge at the next boot: the files of whatever configures this host's network.
//!
//! The story: [`detect`] finds the one backend that runs and names the NIC. Its files are read as
//! values ([`sources`]), the NIC's addressing keys are moved to the bridge unchanged (one file a
//! backend), and the addressing of the bridge in the new files must equal that of the NIC in the old ones
//! ([`model`]); all of this is [`plan`] and touches nothing. [`Persistence::apply`] has the backend's
//! own tool read the new files back, then puts them in place all at once;
//! [`Running`] tells the daemons and DHCP clients that run. [`recover`], in this process
//! or a later one, puts all of it back exactly until [`Persistence::commit`].
//!
//! It never makes up a configuration from the live state, never turns DHCP into static, never drops
//! a key it does not know, and never runs a shell.

mod at_work;
mod backend;
mod command;
mod conditions;
mod detect;
mod handover;
mod identity;
mod ifcfg;
mod ifupdown;
mod ini;
mod keys;
mod model;
mod names;
mod netplan;
mod networkd;
mod networkmanager;
mod other_files;
#[cfg(test)]
mod properties;
mod readback;
mod references;
mod running;
mod shellvars;
mod sources;
mod switch;
mod wicked;
mod writers;
mod yaml;
mod yaml_edit;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::IfName;
use ipnetwork::IpNetwork;

pub use crate::files::{Access, FileChange};
pub use at_work::wait_for_daemons;
pub use detect::is_networkmanagers;
pub use running::{Running, plan_running};

use crate::bridge::net::{NetState, SwitchWiring};
use crate::fault::Fault;
use crate::files::{FileJournal, under_root};
use backend::Backend;
use handover::Handover;
use identity::NicIdentity;
use model::{Addressing, DesiredBridge};
use sources::Sources;
use switch::SwitchConfig;

/// What has to change on disk so that the bridge exists after the next boot.
#[derive(Debug)]
pub struct Persistence {
    root: PathBuf,
    desired: DesiredBridge,
    backend: Backend,
    /// What is among the files and was not read.
    skipped: Vec<String>,
    changes: Vec<FileChange>,
    /// What changes in the configuration of DHCP clients.
    configuration: Vec<FileChange>,
    /// All files as they shall be.
    after: Sources,
    /// How the bridge is addressed by them.
    addressing: Addressing,
    /// The programs that run and have to be notified.
    hand_over: Handover,
    fault: Fault,
}

/// Plans the change of files; touches nothing. `address` is for a NIC that has none configured.
pub fn plan(
    root: &Path,
    nic: &str,
    bridge: &str,
    address: Option<IpNetwork>,
    state: &NetState,
) -> Result<Persistence> {
    plan_with_switch(root, (nic, bridge), address, None, state)
}

/// Plans the same where a switch has the NIC.
pub fn plan_with_switch(
    root: &Path,
    (nic, bridge): (&str, &str),
    address: Option<IpNetwork>,
    wiring: Option<SwitchWiring>,
    state: &NetState,
) -> Result<Persistence> {
    let link = state
        .link(nic)
        .with_context(|| format!("there is no {nic}"))?;
    let desired = DesiredBridge {
        nic: nic.to_owned(),
        bridge: bridge.to_owned(),
        mac: link
            .mac
            .with_context(|| format!("{nic} has no Ethernet address"))?,
        iaid: detect::iaid(root, nic)?,
        identity: NicIdentity::default(),
        address: None,
        switch: wiring.map(|wiring| SwitchConfig {
            is_new: state.link(wiring.switch.as_str()).is_none(),
            wiring,
            mtu: link.mtu,
        }),
    };
    let (backend, skipped) = detect::detect(root, &desired)?;
    switch::check(&backend, &desired)?;
    let was = backend.read_nic(&backend.load(root)?, &desired)?;
    let address = address.filter(|_| was.is_empty());
    let identity = NicIdentity::read(root, &desired, &was, state)?;
    let desired = DesiredBridge {
        address,
        identity,
        ..desired
    };
    Persistence::of(root, (backend, skipped), desired, state)
}

/// The changes of the backend's own files, and those files as they shall be.
fn own_changes(
    backend: &Backend,
    before: &Sources,
    desired: &DesiredBridge,
) -> Result<(Vec<FileChange>, Sources)> {
    let mut changes = backend.rewrite(before, desired)?;
    let moved = before.with(&changes);
    let after = references::redirect(backend, &moved, desired)?;
    for change in moved.changes_to(&after, |path| Access::Like(path.to_owned())) {
        match changes.iter_mut().find(|known| known.path == change.path) {
            Some(known) => known.text = change.text,
            None => changes.push(change),
        }
    }
    Ok((changes, after))
}

/// The IPv4 address that a DHCP client would ask for again.
fn leased(state: &NetState, nic: &str, bridge: &str) -> Option<String> {
    let links = [nic, bridge]
        .into_iter()
        .filter_map(|name| state.link(name));
    let mut addresses = links.flat_map(|link| &link.addresses);
    addresses
        .find(|address| address.ip.is_ipv4() && address.scope == 0)
        .map(|address| address.ip.to_string())
}

/// The new files address the bridge as the old ones did the NIC, and need no second change.
fn prove(
    backend: &Backend,
    after: &Sources,
    desired: &DesiredBridge,
    mut was: Addressing,
    is: &Addressing,
) -> Result<()> {
    was.addresses.extend(desired.address);
    let lost = was
        .unnamed(&desired.nic)
        .differences(&is.unnamed(&desired.bridge));
    if !lost.is_empty() {
        bail!(
            "moving the settings of {} to {} in the files of {} would change them ({}): use --no-persist",
            desired.nic,
            desired.bridge,
            backend.name(),
            lost.join("; ")
        );
    }
    let (again, _) = own_changes(backend, after, desired)?;
    if let Some(change) = again.first() {
        bail!(
            "{} would have to change a second time: use --no-persist",
            change.path.display()
        );
    }
    Ok(())
}

impl Persistence {
    /// Plans the files of a backend that is known, for a bridge whose identity is.
    fn of(
        root: &Path,
        (backend, mut skipped): (Backend, Vec<String>),
        desired: DesiredBridge,
        state: &NetState,
    ) -> Result<Self> {
        let before = backend.load(root)?;
        skipped.extend(
            before
                .skipped()
                .map(|what| format!("{what}: it is not read")),
        );
        let was = backend.read_nic(&before, &desired)?;
        let (own, after) = own_changes(&backend, &before, &desired)?;
        let addressing = backend.read_bridge(&after, &desired)?;
        if !own.is_empty() {
            prove(&backend, &after, &desired, was, &addressing)?;
        }
        let leased = leased(state, &desired.nic, &desired.bridge);
        let mut hand_over = Handover::plan(root, &backend, &desired, leased)?;
        let configuration = hand_over.changes(root, &backend)?;
        if let Backend::Networkd { .. } = backend
            && let Some(file) = networkd::bridge_file(&after, &desired)
        {
            hand_over.keep_beside(file);
        }
        if own.is_empty() {
            hand_over.leave_daemons();
        }
        let mut changes = own;
        let (others, unread) = other_files::changes(root, &backend, &desired)?;
        changes.extend(others);
        changes.extend(switch::changes(root, &desired)?);
        skipped.extend(unread);
        skipped.sort();
        skipped.dedup();
        changes.extend(writers::stop(root, &backend, (&before, &after), &desired)?);
        Ok(Self {
            root: root.to_owned(),
            desired,
            backend,
            skipped,
            changes,
            configuration,
            after,
            addressing,
            hand_over,
            fault: Fault::default(),
        })
    }

    /// Plans the same upon the files as they are now, once those of another bridge have changed. Who is in
    /// charge, by which profile, and what the NIC is known by were decided before the NIC became a port: what
    /// daemons note of it since then is about the port.
    pub fn replan(&self, state: &NetState) -> Result<Self> {
        let known = (self.backend.clone(), self.skipped.clone());
        let plan = Self::of(&self.root, known, self.desired.clone(), state)?;
        Ok(plan.with_fault(&self.fault))
    }

    /// Injects the faults that a test plans.
    pub fn with_fault(self, fault: &Fault) -> Self {
        let fault = fault.clone();
        Self { fault, ..self }
    }

    /// Whether the files are as desired already and nothing that runs works for the NIC.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.configuration.is_empty() && self.hand_over.is_empty()
    }

    /// The name of the backend in charge.
    pub fn backend(&self) -> &'static str {
        self.backend.name()
    }

    /// The files that change, each with its new text.
    pub fn changes(&self) -> &[FileChange] {
        &self.changes
    }

    /// The plan in words, a line each.
    pub fn describe(&self) -> Vec<String> {
        let existing = |change: &FileChange| under_root(&self.root, &change.path).exists();
        let line = |change: &FileChange, whose: Option<&str>| {
            let verb = match (&change.text, existing(change)) {
                (None, _) => "remove",
                (Some(_), true) => "change",
                (Some(_), false) => "write",
            };
            let path = change.path.display();
            match whose {
                Some(whose) => format!("{verb} {path} ({whose})"),
                None => format!("{verb} {path}"),
            }
        };
        let changes = self.changes.iter();
        let files = changes.map(|change| {
            // the others are of those that name the NIC, or that write the backend's files
            let own = change.text.is_none() || self.after.holds(&change.path);
            line(change, own.then(|| self.backend.name()))
        });
        let configuration = self.configuration.iter();
        let configuration = configuration.map(|change| line(change, Some("DHCP client")));
        files
            .chain(configuration)
            .chain(self.hand_over.describe())
            .collect()
    }

    /// Finds out what would keep [`apply`](Self::apply) from its work, while nothing is changed: a tool that does not
    /// read the new files, a place that holds no regular file. Returns what read the files back.
    pub fn check(&self) -> Result<Option<&'static str>> {
        let changes = self.all_changes();
        if changes.is_empty() {
            return Ok(None);
        }
        let check = || {
            self.journal().check(&changes)?;
            self.read_back()
        };
        check().with_context(|| self.persisting())
    }

    /// Puts the new files in place, all or none; they can be undone until [`commit`](Self::commit). They are not
    /// read back again: that takes seconds of a busy host's time, and the change is being watched.
    pub fn apply(&self) -> Result<()> {
        let changes = self.all_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let applied = self.journal().apply(&changes);
        applied.with_context(|| self.persisting())
    }

    fn all_changes(&self) -> Vec<FileChange> {
        [self.changes.as_slice(), &self.configuration].concat()
    }

    fn persisting(&self) -> String {
        let (bridge, backend) = (&self.desired.bridge, self.backend.name());
        format!("persisting {bridge} through {backend}")
    }

    fn read_back(&self) -> Result<Option<&'static str>> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        let scratch = self.root.join(format!(
            "run/slipway-{}-{}",
            self.desired.bridge,
            std::process::id()
        ));
        let making = || format!("making {}", scratch.display());
        fs::DirBuilder::new()
            .recursive(false)
            .mode(0o700)
            .create(&scratch)
            .with_context(making)?;
        let checked = readback::check(
            &self.backend,
            &self.after,
            &self.changes,
            &self.desired,
            &scratch,
        );
        fs::remove_dir_all(&scratch).with_context(|| format!("removing {}", scratch.display()))?;
        checked
    }

    /// The programs that run for the NIC and have to be notified.
    pub fn running(&self) -> Running {
        Running {
            root: self.root.clone(),
            hand_over: self.hand_over.clone(),
            bridge: self.desired.bridge.clone(),
            notes: Vec::new(),
            fault: self.fault.clone(),
        }
    }

    /// Makes the change last; the previous files stay in
    /// `/var/lib/slipway/bridgeprereq/BRIDGE/previous`, each below its own path.
    pub fn commit(&self) -> Result<()> {
        self.journal().commit()
    }

    fn journal(&self) -> FileJournal {
        journal(&self.root, &self.desired.bridge, &self.fault)
    }

    /// What the live network and the files do not agree on, in words; nothing when they are equal.
    pub fn differences(&self, live: &NetState) -> Vec<String> {
        model::compare(&self.addressing, &self.desired.bridge, live)
    }

    /// What is among the configuration and was not read, each with the reason.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// How the bridge will be addressed, in words.
    pub fn addressing(&self) -> String {
        self.addressing.describe()
    }
}

/// Puts everything back that is not committed, and what runs to it; returns what runs and could not be told, in words, or
/// `None` when there was nothing to put back.
pub fn recover(root: &Path, bridge: &IfName, fault: &Fault) -> Result<Option<Vec<String>>> {
    let journal = journal(root, bridge.as_str(), fault);
    if !journal.restore()? {
        return Ok(None);
    }
    let noted = journal.noted::<Handover>()?;
    let unheard = noted.map(|hand_over| hand_over.undo(root)).transpose()?;
    journal.end()?;
    Ok(Some(unheard.unwrap_or_default()))
}

/// Ends what a run left that died after everything else was done.
pub fn finish(root: &Path, bridge: &IfName, fault: &Fault) -> Result<()> {
    journal(root, bridge.as_str(), fault).commit()
}

/// The files of one bridge.
fn journal(root: &Path, bridge: &str, fault: &Fault) -> FileJournal {
    let state = under_root(root, Path::new("/var/lib/slipway/bridgeprereq"));
    let journal = FileJournal::new(root, state.join(bridge)).with_copies();
    journal.with_fault(fault.clone())
}
