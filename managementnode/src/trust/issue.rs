//! `issue`, `revoke`, `export`: what the authorities sign, and take back.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{Catalog, KNOWN_HOSTS, NodeName};
use ipnetwork::IpNetwork;
use serde_json::json;
use time::OffsetDateTime;

use super::cli::{ExportedPart, IssuePurpose};
use super::directory::{Holder, TrustDirectory};
use super::identity::Identity;
use super::secret::{digest, random};
use super::ssh::{self, HostKey};
use super::statement::{Purpose, Serial, Statement};
use super::store::{Issued, OpenStore, Store, Under};
use super::term::{Validity, stamp};
use super::x509::{Certified, PrivateKey, RequestedKey};
use super::{domains, output};
use crate::replace;

/// No request is as long.
const MAX_REQUEST: u64 = 64 << 10;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) term: Option<Validity>,
    pub(super) purpose: IssuePurpose,
    pub(super) request: Option<&'a Path>,
    pub(super) out: Option<&'a Path>,
}

/// What was signed.
struct Signed {
    serial: String,
    until: OffsetDateTime,
    identity: Identity,
    /// Who signed it; nobody of x509 for an ssh host key.
    under: Option<Under>,
    /// Files with their modes.
    files: Vec<(&'static str, String, u32)>,
}

/// Signs a certificate.
///
/// # Errors
/// When the name is none that may have one, or the authority cannot sign.
pub(super) fn issue(
    catalog: &Catalog,
    wanted: &Wanted<'_>,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    let path = directory.existing()?;
    let (usual, longest) = wanted.purpose.terms();
    let term = wanted.term.unwrap_or(usual);
    if term > longest {
        bail!("a {} is valid for {longest} at most", wanted.purpose.name());
    }
    let now = super::term::now();
    let signed = match wanted.purpose {
        IssuePurpose::Client => client(&directory, wanted, term, now)?,
        IssuePurpose::Node => node(catalog, &directory, wanted, term, now)?,
        IssuePurpose::SshHost => ssh_host(catalog, &directory, wanted, term, now)?,
    };
    let out = wanted
        .out
        .map_or_else(|| PathBuf::from(wanted.name), Path::to_owned);
    if !dry_run {
        let mut open = OpenStore::open(path)?;
        let issued = Issued {
            name: wanted.name.to_owned(),
            purpose: wanted.purpose.name().to_owned(),
            issued: now,
            until: signed.until,
            revoked: None,
            under: signed.under.clone().map(|under| Under {
                write: open.store.writes + 1,
                ..under
            }),
        };
        // It is on record before anybody can have it.
        open.store.issued.insert(signed.serial.clone(), issued);
        open.write(now)?;
        write(&out, &signed)?;
    }
    let files: Vec<_> = signed
        .files
        .iter()
        .map(|(name, ..)| out.join(name))
        .collect();
    let document = json!({
        "name": wanted.name,
        "purpose": wanted.purpose.name(),
        "serial": signed.serial,
        "until": stamp(signed.until),
        "names": signed.identity.domains,
        "addresses": signed.identity.addresses,
        "files": files,
        "dry_run": dry_run,
    });
    let would = if dry_run { "would be " } else { "" };
    let text = format!(
        "{}: {} {would}valid until {}, in {}\n",
        wanted.name,
        wanted.purpose.name(),
        stamp(signed.until),
        out.display()
    );
    output(as_json, &text, document)
}

fn client(
    directory: &TrustDirectory,
    wanted: &Wanted<'_>,
    term: Validity,
    now: OffsetDateTime,
) -> Result<Signed> {
    let name = wanted.name;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        bail!("'{name}' is no name of a client: expected at most 64 letters, digits, '-' and '_'");
    }
    let (key, made) = match wanted.request {
        Some(request) => (RequestedKey::parse(&read(request)?)?, None),
        None => {
            let made = PrivateKey::generate()?;
            (made.public()?, Some(made))
        }
    };
    let leaf = Leaf {
        holder: Holder::Clients,
        purpose: Purpose::Client,
        identity: Identity::default(),
        key,
    };
    let mut signed = leaf.sign(directory, name, term, now)?;
    if let Some(key) = made {
        signed
            .files
            .push(("key.pem", key.reveal().to_owned(), 0o600));
    }
    Ok(signed)
}

fn node(
    catalog: &Catalog,
    directory: &TrustDirectory,
    wanted: &Wanted<'_>,
    term: Validity,
    now: OffsetDateTime,
) -> Result<Signed> {
    let request = wanted.request.with_context(|| {
        format!("the key of a node is made on it and never leaves it: give its request with --request {}.csr", wanted.name)
    })?;
    let identity = identity(catalog, wanted.name)?;
    let leaf = Leaf {
        holder: Holder::Nodes,
        purpose: Purpose::Host,
        identity,
        key: RequestedKey::parse(&read(request)?)?,
    };
    leaf.sign(directory, wanted.name, term, now)
}

/// A certificate that is to be signed.
struct Leaf {
    holder: Holder,
    purpose: Purpose,
    identity: Identity,
    key: RequestedKey,
}

impl Leaf {
    fn sign(
        self,
        directory: &TrustDirectory,
        name: &str,
        term: Validity,
        now: OffsetDateTime,
    ) -> Result<Signed> {
        let signer = directory.signer(self.holder, now)?;
        let trusted = directory.by_hosts()?;
        let statement = Statement {
            subject: name.to_owned(),
            domains: self.identity.domains.clone(),
            addresses: self.identity.addresses.clone(),
            purpose: self.purpose,
            serial: Serial::new(random()?),
            from: now,
            until: term.after(now).min(signer.until()),
            comment: None,
        };
        let files = vec![
            ("cert.pem", signer.sign(&statement, &self.key)?, 0o644),
            ("ca.pem", trusted.roots.clone(), 0o644),
        ];
        Ok(Signed {
            under: Some(Under {
                authority: signer.digest(),
                roots: trusted.digest(),
                confirmed: false,
                write: 0, // known when it is noted
            }),
            serial: statement.serial.as_str().to_owned(),
            until: statement.until,
            identity: self.identity,
            files,
        })
    }
}

fn ssh_host(
    catalog: &Catalog,
    directory: &TrustDirectory,
    wanted: &Wanted<'_>,
    term: Validity,
    now: OffsetDateTime,
) -> Result<Signed> {
    let request = wanted.request.with_context(|| {
        format!(
            "an ssh host key is made on the node: give its public key with --request {}.pub",
            wanted.name
        )
    })?;
    let identity = identity(catalog, wanted.name)?;
    let key = HostKey::parse(&read(request)?)?;
    let signed = key.sign(directory, wanted.name, &identity, term)?;
    Ok(Signed {
        serial: signed.serial,
        until: term.after(now),
        identity,
        under: None,
        files: vec![("ssh_host_key-cert.pub", signed.certificate, 0o644)],
    })
}

/// Returns the names of a node's definition.
fn identity(catalog: &Catalog, name: &str) -> Result<Identity> {
    name.parse::<NodeName>()?;
    let node = catalog.nodes()?.node(name)?;
    Identity::of(&node, &domains(catalog)?).with_context(|| format!("naming {name}"))
}

fn read(path: &Path) -> Result<String> {
    let reading = || format!("reading {}", path.display());
    let mut text = String::new();
    let file = fs::File::open(path).with_context(reading)?;
    file.take(MAX_REQUEST)
        .read_to_string(&mut text)
        .with_context(reading)?;
    Ok(text)
}

fn write(out: &Path, signed: &Signed) -> Result<()> {
    let making = || format!("making {}", out.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(out)
        .with_context(making)?;
    for (name, text, mode) in &signed.files {
        replace::write(&out.join(name), text.as_bytes(), *mode)?;
    }
    Ok(())
}

/// Revokes what a name has.
///
/// # Errors
/// When it has nothing.
pub(super) fn revoke(
    catalog: &Catalog,
    name: &str,
    by_serial: bool,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    let mut open = OpenStore::open(directory.existing()?)?;
    let now = super::term::now();
    let is_meant = |serial: &str, issued: &Issued| {
        if by_serial {
            serial == name
        } else {
            issued.name == name
        }
    };
    let mut revoked = Vec::new();
    for (serial, issued) in &mut open.store.issued {
        if is_meant(serial, issued) && issued.revoked.is_none() && issued.until > now {
            issued.revoked = Some(now);
            revoked.push(serial.clone());
        }
    }
    let disarmed = !by_serial && open.store.armed.remove(name).is_some();
    if revoked.is_empty() && !disarmed {
        bail!("nothing that is valid was signed for '{name}'");
    }
    if !dry_run {
        open.write(now)?;
    }
    let would = if dry_run { "would be " } else { "" };
    let text = format!(
        "{name}: {} {would}revoked: hosts of the site refuse it within a minute, at once after updatenode -P dockerauthz\n",
        if revoked.len() == 1 {
            "1 certificate".to_owned()
        } else {
            format!("{} certificates", revoked.len())
        }
    );
    output(
        as_json,
        &text,
        json!({ "name": name, "revoked": revoked, "disarmed": disarmed, "dry_run": dry_run }),
    )
}

/// Prints what others are to trust.
///
/// # Errors
/// When it is not there.
pub(super) fn export(catalog: &Catalog, what: ExportedPart, as_json: bool) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    let path = directory.existing()?;
    let text = match what {
        ExportedPart::Root => directory.trusted(Holder::Root)?,
        ExportedPart::Clients => directory.trusted(Holder::Clients)?,
        ExportedPart::Trees => super::trees::public_keys(&directory)?,
        ExportedPart::Ssh => known_hosts(catalog)?,
        ExportedPart::Crl => revocations(&directory, &Store::load(path)?)?,
    };
    let root = Certified::parse(&directory.trusted(Holder::Root)?)?;
    let document = json!({ "text": text, "root_sha256": digest(&root.der) });
    output(as_json, &text, document)
}

/// Signs the lists of what is revoked, as of a store that was just read: each has a higher number than those before.
///
/// # Errors
/// When an authority cannot sign.
pub(super) fn revocations(directory: &TrustDirectory, store: &Store) -> Result<String> {
    let (now, number) = (super::term::now(), OffsetDateTime::now_utc());
    let number = i64::try_from(number.unix_timestamp_nanos()).context("numbering a list")?;
    let mut text = String::new();
    for holder in [Holder::Nodes, Holder::Clients] {
        for signer in directory.signers(holder, now)? {
            text += &signer.revocations(&revoked(store, holder), number, now)?;
        }
    }
    Ok(text)
}

/// Writes what `ssh` knows the site's hosts by where everybody can read it: `updatenode` does.
///
/// # Errors
/// When it cannot be written.
pub(super) fn publish_known_hosts(catalog: &Catalog) -> Result<()> {
    let path = catalog.path().join(KNOWN_HOSTS);
    replace::write(&path, known_hosts(catalog)?.as_bytes(), 0o644)
}

fn known_hosts(catalog: &Catalog) -> Result<String> {
    let (directory, patterns) = (TrustDirectory::of(catalog), patterns(catalog)?);
    let mut lines = String::new();
    for generation in directory.generations()? {
        let public = required(&directory.place(generation).join("ssh_host_ca.pub"))?;
        lines += &ssh::known_hosts(&public, &patterns);
    }
    Ok(lines)
}

fn revoked(store: &Store, holder: Holder) -> Vec<(Serial, OffsetDateTime)> {
    let purposes: &[&str] = match holder {
        Holder::Clients => &["client"],
        _ => &["node", "server"],
    };
    let issued = store
        .issued
        .iter()
        .filter(|(_, issued)| purposes.contains(&issued.purpose.as_str()));
    issued
        .filter_map(|(serial, issued)| Some((Serial::parse(serial).ok()?, issued.revoked?)))
        .collect()
}

fn required(path: &Path) -> Result<String> {
    replace::read(path)?.with_context(|| format!("{} is missing", path.display()))
}

/// Lists the hosts that the ssh host authority speaks for, as `known_hosts` names them.
fn patterns(catalog: &Catalog) -> Result<Vec<String>> {
    let domains = domains(catalog)?;
    let mut patterns: BTreeSet<String> = domains
        .all()
        .iter()
        .map(|domain| format!("*.{domain}"))
        .collect();
    for network in domains.networks() {
        // Whole octets alone: the certificate says which addresses it is for.
        if let IpNetwork::V4(network) = network {
            let octets = network.network().octets();
            let whole = octets.iter().take(usize::from(network.prefix() / 8));
            let mut pattern: Vec<String> = whole.map(ToString::to_string).collect();
            if pattern.len() < 4 {
                pattern.push("*".to_owned());
            }
            patterns.insert(pattern.join("."));
        }
    }
    Ok(patterns.into_iter().collect())
}
