//! The boot of a diskless node, step by step.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use definitions::{FetchList, ImageSource, MacAddresses, NetbootParameters, Runlist, VeritySource};
use nix::mount::MsFlags;
use nix::sys::reboot::{RebootMode, reboot};

use super::console::Console;
use super::download::{Download, Waits};
use super::drivers::Drivers;
use super::mounts::{mount_at, mount_kernel};
use super::ram_disk::RamDisk;
use super::root::{self, ROOT};
use super::state::{below, private_directory};
use super::{files, identity, memory, nic, state, verity};
use crate::firstboot;
use crate::http::Url;

/// How long a NIC may take to appear.
const NIC_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The directory of the boot archive.
const ARCHIVE: &str = "slipway";
/// How long a person may read why a boot failed.
const RESTART_AFTER: Duration = Duration::from_secs(60);

/// Boots the node; returns only where it can not even start again.
pub(super) fn run() -> Result<()> {
    let console = Console::of_machine();
    let mut server = None;
    if let Err(error) = boot(&console, &mut server) {
        console.say(format!("{error:#}"));
        console.say(format!(
            "this node cannot be booted; it starts again in {} s",
            RESTART_AFTER.as_secs()
        ));
        if let Some(server) = server {
            firstboot::report_failure(server);
        }
    }
    sleep(RESTART_AFTER);
    reboot(RebootMode::RB_AUTOBOOT).context("starting again")?;
    Ok(())
}

/// Goes through all steps, to the system's own init. `server` is who can be told of a failure, once there is a network.
fn boot(console: &Console, server: &mut Option<IpAddr>) -> Result<()> {
    for (fs_type, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount_kernel(fs_type, target)?;
    }
    let line = fs::read_to_string("/proc/cmdline").context("reading the kernel's command line")?;
    let parameters: NetbootParameters = line.parse()?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("reading the release of the kernel")?;
    Drivers::check_release(Path::new(Drivers::HOME), &release)?;
    let drivers = Drivers::load(Path::new(Drivers::HOME))?;
    wait_for_nic(&drivers, &parameters.mac, console)?;
    nic::configure(&parameters, console)?;
    *server = server_of(&parameters);
    let tree = verity::usable(&parameters.image, &drivers, console);
    fetch_image(&parameters.image, tree, &drivers, console)?;
    let device = match tree {
        Some(tree) => verity::create(&parameters.image, tree, &drivers)?,
        None => RamDisk::PATH.into(),
    };
    root::mount_root(&device, &parameters, &drivers, console)?;
    keep_archive(Path::new(ROOT))?;
    root::switch()?;
    let is_kept = state::mount_state(&parameters, console)?;
    furnish(console)?;
    identity::ensure_machine_id(Path::new("/"), is_kept)?;
    identity::ensure_host_keys(is_kept, console)?;
    console.say("starting the system");
    root::start_init()
}

/// Loads drivers until the NIC is there.
fn wait_for_nic(drivers: &Drivers, mac: &MacAddresses, console: &Console) -> Result<()> {
    let (sys, nics) = (Path::new("/sys"), Path::new("/sys/class/net"));
    let (began, mut done) = (Instant::now(), BTreeSet::new());
    loop {
        for problem in drivers.insert_for_devices(sys, &mut done) {
            console.say(problem);
        }
        if nic::find(nics, mac)?.is_some() {
            return Ok(());
        }
        if began.elapsed() > NIC_TIMEOUT {
            return Err(nic::missing(nics, mac));
        }
        sleep(POLL_INTERVAL);
    }
}

fn server_of(parameters: &NetbootParameters) -> Option<IpAddr> {
    let url: Url = parameters.image.url.parse().ok()?;
    Some(url.server.ip())
}

/// Fetches the image into memory, and after it the hash tree by which the kernel checks it.
fn fetch_image(
    image: &ImageSource,
    tree: Option<&VeritySource>,
    drivers: &Drivers,
    console: &Console,
) -> Result<()> {
    let bytes = image
        .bytes
        .saturating_add(tree.map_or(0, |tree| tree.bytes));
    memory::check(bytes)?;
    let mut disk = RamDisk::create(drivers, bytes)?;
    console.say(format!("fetching {}", image.url));
    Download::new(image, console, Waits::default())?.run(&mut disk)?;
    if let Some(tree) = tree {
        Download::of(
            &tree.url,
            tree.bytes,
            &tree.sha256,
            console,
            Waits::default(),
        )?
        .after(image.bytes)
        .run(&mut disk)?;
    }
    console.say("the root image is complete and is the expected one");
    Ok(())
}

/// Keeps what the boot archive brought where the root has its memory, since the initrd is out of reach from there.
fn keep_archive(root: &Path) -> Result<()> {
    let run = root.join("run");
    mount_at("tmpfs", &run, "tmpfs", MsFlags::MS_NOSUID, "mode=0755")?;
    let kept = run.join(ARCHIVE);
    private_directory(&kept)?;
    files::copy(&Path::new("/").join(ARCHIVE), &kept)
}

/// Puts the node's own files into its root, and has its scripts run.
fn furnish(console: &Console) -> Result<()> {
    let (root, archive) = (Path::new("/"), Path::new("/run"));
    files::copy(&archive.join(FetchList::ROOT), root)
        .context("putting the node's files into its root")?;
    let list = archive.join(FetchList::LIST);
    if let Some(text) = crate::files::read(&list)? {
        let list =
            FetchList::parse(&text).with_context(|| format!("reading {}", list.display()))?;
        files::fetch(&list, root, console, Waits::default())?;
    }
    if below(root, Runlist::ON_NODE).exists() {
        firstboot::enable_below(root).context("having the node's scripts run")?;
    }
    let kept = archive.join(ARCHIVE);
    fs::remove_dir_all(&kept).with_context(|| format!("removing {}", kept.display()))
}
