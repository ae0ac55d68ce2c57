//! `slipway-trust`: the site's authorities, what they sign, and who may enrol.
//!
//! ```text
//! root (may be taken away) ─┬─> nodes ───> identities of hosts, this machine's own certificate
//!                           └─> clients ─> clients of docker hosts
//! ssh host authority ─> ssh host keys
//! boot (may be taken away) ─> bootfiles ─> what nodes boot, which the site's iPXE checks
//! key of trees (OpenPGP) ─> trees that copycds published, root images
//! ```
//!
//! Whatever a request says, a certificate holds what the definition says. Nothing is signed that is not on record first.
//! Reference: RFC 5280, ssh-keygen(1).

mod cli;
mod cms;
mod directory;
mod enrol;
mod identity;
mod images;
mod init;
mod ipxe;
mod issue;
mod openpgp;
mod record;
mod roll;
mod secret;
mod sign;
mod signer;
mod ssh;
mod statement;
mod status;
mod store;
mod term;
mod trees;
mod x509;

use std::process::ExitCode;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use definitions::{Catalog, ObjectKind};
use serde_json::Value;

use crate::domains::Domains;
use crate::report::write;
pub use cli::Args;
use cli::Verb;
pub(crate) use enrol::{Answer, Enrolment, Question, Renewal, ShownCertificate};
pub(crate) use ipxe::SiteIpxe;
use issue::Wanted;
pub(crate) use secret::random;
pub(crate) use term::{now, stamp};
pub(crate) use x509::{CertificateHolder, holder};

/// Runs `slipway-trust`.
///
/// # Errors
/// When what is asked for cannot be done.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    catalog.check_form()?;
    let (json, dry_run) = (args.json, args.dry_run);
    match &args.verb {
        Verb::Init => init::init(&catalog, json, dry_run)?,
        Verb::Status => return status::status(&catalog, json),
        Verb::Issue {
            name,
            term,
            purpose,
            request,
            out,
        } => {
            let wanted = Wanted {
                name,
                term: *term,
                purpose: *purpose,
                request: request.as_deref(),
                out: out.as_deref(),
            };
            issue::issue(&catalog, &wanted, json, dry_run)?;
        }
        Verb::Renew { holders, new_key } => {
            init::renew(&catalog, holders, *new_key, json, dry_run)?
        }
        Verb::Revoke { name, serial } => issue::revoke(&catalog, name, *serial, json, dry_run)?,
        Verb::Roll {
            leave,
            abort,
            status,
        } => {
            let wanted = roll::RollRequest {
                leave,
                abort: *abort,
                status: *status,
            };
            return roll::roll(&catalog, &wanted, json, dry_run);
        }
        Verb::Export { what } => issue::export(&catalog, *what, json)?,
        Verb::Arm { nodes, term } => enrol::arm(&catalog, nodes, *term, json, dry_run)?,
        Verb::Disarm { nodes } => enrol::disarm(&catalog, nodes, json, dry_run)?,
        Verb::Ipxe { remove: true, .. } => ipxe::remove(&catalog, json, dry_run)?,
        Verb::Ipxe {
            source,
            firmware,
            out,
            shell,
            ..
        } => {
            let wanted = ipxe::IpxeRequest {
                source,
                firmware,
                out: out.as_deref(),
                shell: *shell,
            };
            ipxe::ipxe(&catalog, &wanted, json, dry_run)?;
        }
        Verb::Sign { files, out } => sign::sign(&catalog, files, out.as_deref(), json, dry_run)?,
        Verb::SignTree {
            trees,
            accept_unsigned,
        } => trees::sign(&catalog, trees, *accept_unsigned, json, dry_run)?,
        Verb::SignImage { files, out } => {
            images::sign(&catalog, files, out.as_deref(), json, dry_run)?
        }
        Verb::Signer { socket } => signer::run(&catalog, socket.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the domains and networks of the site.
fn domains(catalog: &Catalog) -> Result<Domains> {
    Domains::new(&catalog.objects(ObjectKind::Network)?, &catalog.site()?)
}

/// Prints results: lines for people, or a document for programs.
fn output(as_json: bool, text: &str, document: Value) -> Result<()> {
    if as_json {
        let text = serde_json::to_string_pretty(&document).context("writing JSON")?;
        return write(&(escaped(&text, '\n') + "\n"));
    }
    write(&escaped(text, '\n'))
}
