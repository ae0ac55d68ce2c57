//! `enrol`: an identity for this host, signed by the site's authority, and the next one before it ends.
//!
//! What comes in is the order that the installer left, or the identity that is there; what goes out is a key that was made
//! here, its certificate, the authorities that go with it, and a signed ssh host key. The order is
//! `look → ask → check → keep → use`: nothing that the site answers is kept before it is proven to be for this key and from the
//! root whose digest is in the order, and the order is removed when all is kept. A run that is cut off asks again with the
//! same key, and gets the same answer.
//!
//! The key never leaves the host. A timer runs this every hour; most runs find nothing to do.

mod ask;
mod cli;
mod clock;
mod keep;
mod report;
mod schedule;
mod sshd;
mod trees;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use definitions::{EnrolmentOrder, IdentityFiles, Runlist};
use time::{Duration, OffsetDateTime};

use crate::files::{self, load_text, under_root};
use crate::identity::{HostIdentity, directory, is_said};
use crate::owner::{load_state_text, lock_state};
use crate::program;
use crate::slipwayd::ServerAddress;
use crate::tls::certificates_in;
use ask::EnrolmentFailure;
pub use cli::Args;
use keep::Kept;

/// What is exited with when another try may help: EX_TEMPFAIL of sysexits.h, which firstboot heeds.
const TRY_AGAIN: u8 = 75;

/// How long `setupdockerhost` may take.
const SETUP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(600);

/// Runs `enrol`.
///
/// # Errors
/// When the host has no identity then, or one that ends soon; what it had stays.
pub fn run(args: Args) -> Result<ExitCode> {
    let root = args.root.as_path();
    if let Some(state) = &args.report {
        return report::report(root, state).with_context(|| format!("reporting '{state}'"));
    }
    let lock = directory(root).join(".lock");
    let _lock = lock_state(&lock, std::time::Duration::ZERO, &mut |_| {})?;
    let mut behind = Duration::ZERO;
    let identity = match due(&args)? {
        Due::Nothing(identity) => identity,
        Due::Enrolment(order) => match enrol(root, &order) {
            Ok((identity, still_behind)) => {
                behind = still_behind;
                output_line!(
                    "enrolled as {} until {}",
                    order.node,
                    identity.info.not_after
                );
                identity
            }
            Err(failure) => return failure.exit("enrolling"),
        },
        Due::Renewal(identity) => match renew(root, &identity, behind) {
            Ok(identity) => {
                output_line!("renewed until {}", identity.info.not_after);
                identity
            }
            Err(failure) => return failure.exit("renewing"),
        },
    };
    files::remove(&order_path(root)).context("removing what this host enrolled by")?;
    schedule::apply(root)?;
    follow(root, identity, behind)
}

/// Has the host use the identity, and says so to the site; gets the next one where the site has other roots or keys of trees
/// by now.
fn follow(root: &Path, mut identity: HostIdentity, behind: Duration) -> Result<ExitCode> {
    let address = ServerAddress::load(root)?;
    // once more at most: the site changes its roots rarely, and the timer asks again
    for is_last in [false, true] {
        sshd::apply(root)?;
        trees::apply(root, &identity.trees)?;
        hand_on(root, &identity)?;
        let site = ask::SlipwaydClient {
            address: address.clone(),
            root: &identity.root,
            behind,
        };
        match site.confirm(&identity) {
            Ok(said) if is_last || is_said(&said, &identity.root, &identity.trees) => break,
            Ok(_) => {}
            // the identity holds; the timer asks again
            Err(EnrolmentFailure::ForNow(error)) => {
                error_line!("enrol: telling the site: {error:#}");
                break;
            }
            Err(failure) => return failure.exit("telling the site"),
        }
        identity = match renew(root, &identity, behind) {
            Ok(identity) => identity,
            Err(failure) => return failure.exit("following the site's root"),
        };
        output_line!(
            "the site's root or its keys of trees changed: renewed until {}",
            identity.info.not_after
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be done.
enum Due {
    Nothing(HostIdentity),
    Enrolment(EnrolmentOrder),
    Renewal(HostIdentity),
}

fn order_path(root: &Path) -> std::path::PathBuf {
    under_root(root, Path::new(EnrolmentOrder::ON_NODE))
}

/// Finds out what is to be done. An order is followed also where there is an identity, which may be revoked; with the key
/// that is there, so that a run that was cut off gets the answer that it had.
fn due(args: &Args) -> Result<Due> {
    if let Some(order) = order(&args.root)? {
        return Ok(Due::Enrolment(order));
    }
    let now = OffsetDateTime::now_utc();
    let identity = HostIdentity::load(&args.root)?;
    let identity = identity.filter(|identity| identity.info.not_after > now);
    let Some(identity) = identity else {
        bail!(
            "this host has no valid identity and nothing to enrol by: on the management node, let it in with \
             slipway-trust arm, and put what that prints into {} (nodeset does both for a node that installs)",
            EnrolmentOrder::ON_NODE
        );
    };
    Ok(if args.renew || schedule::is_due(&identity.info, now) {
        Due::Renewal(identity)
    } else {
        Due::Nothing(identity)
    })
}

/// Reads the order that the installer left.
fn order(root: &Path) -> Result<Option<EnrolmentOrder>> {
    let path = order_path(root);
    let reading = || format!("reading {}", path.display());
    let Some(text) = load_state_text(&path)? else {
        return Ok(None);
    };
    let mut order: EnrolmentOrder = serde_json::from_str(&text).with_context(reading)?;
    let anchor = crate::tls::CertificateInfo::parse(&order.root).with_context(reading)?;
    if anchor.sha256() != order.token.root() {
        bail!(
            "{}: the root's certificate is not the one that the token names",
            path.display()
        );
    }
    // what follows it is not what the token names
    let pinned = certificates_in(&order.root).into_iter().next();
    order.root = pinned.with_context(reading)?;
    Ok(Some(order))
}

/// Enrols; returns the identity, and by how much this host's clock is still behind.
fn enrol(
    root: &Path,
    order: &EnrolmentOrder,
) -> Result<(HostIdentity, Duration), EnrolmentFailure> {
    let key = keep::key(root)?;
    let mut site = ask::SlipwaydClient {
        address: ServerAddress {
            server: order.server,
            name: order.name,
        },
        root: &order.root,
        behind: Duration::ZERO,
    };
    site.behind = clock::correct(root, site.clock()?);
    let signed = site.enrol(order, &key, sshd::public_key(root)?)?;
    let behind = site.behind;
    let identity = keep::keep(
        root,
        Kept {
            key,
            root: &order.root,
            server: &site.address,
            signed,
        },
    )?;
    Ok((identity, behind))
}

fn renew(
    root: &Path,
    identity: &HostIdentity,
    behind: Duration,
) -> Result<HostIdentity, EnrolmentFailure> {
    let site = ask::SlipwaydClient {
        address: ServerAddress::load(root)?,
        root: &identity.root,
        behind,
    };
    let signed = site.renew(identity, sshd::public_key(root)?)?;
    keep::keep(
        root,
        Kept {
            key: identity.key.clone(),
            root: &identity.root,
            server: &site.address,
            signed,
        },
    )
}

/// Has dockerd take the identity, where this host is a docker host that has another certificate.
fn hand_on(root: &Path, identity: &HostIdentity) -> Result<()> {
    let dockerd = load_text(&under_root(root, Path::new("/etc/docker/tls/cert.pem")))?;
    if dockerd.is_none_or(|certificate| certificate == identity.certificate) {
        return Ok(());
    }
    let name = "setupdockerhost";
    let path = under_root(root, Path::new(Runlist::PROGRAMS)).join(name);
    if !path.exists() {
        return Ok(());
    }
    crate::owner::check(Path::new("/"), &path)
        .with_context(|| format!("looking at {}", path.display()))?;
    let printed = program::run(&mut Command::new(&path), Stdio::null(), SETUP_TIMEOUT)
        .with_context(|| {
            format!(
                "having dockerd take the identity in {}",
                IdentityFiles::DIRECTORY
            )
        })?;
    output_line!("{}", printed.trim_end());
    Ok(())
}
