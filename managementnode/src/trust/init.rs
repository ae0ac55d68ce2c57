//! `init` and `renew`: the authorities themselves.
//!
//! `init` makes everything in a directory beside and renames it into its place: the authorities are there whole or not
//! at all.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result, bail};
use definitions::Catalog;
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::directory::{Holder, TrustDirectory};
use super::identity::{self, Identity};
use super::roll::RollState;
use super::secret::random;
use super::ssh;
use super::statement::{AuthorityStatement, Purpose, Scope, Serial, Statement};
use super::store::{Issued, OpenStore};
use super::term::{Validity, stamp};
use super::x509::{Certified, PrivateKey, Signer};
use super::{domains, output};
use crate::domains::Domains;
use crate::replace;

/// How long the root, the other authorities and the management node's own certificate are valid.
const ROOT_TERM: Validity = Validity::hours(20 * 365 * 24);
const AUTHORITY_TERM: Validity = Validity::hours(5 * 365 * 24);
const SERVER_TERM: Validity = Validity::hours(397 * 24);

/// What is made from.
pub(super) struct SiteIdentity {
    domains: Domains,
    server: Identity,
    domain: String,
    /// Which root it is, counted from 1.
    generation: u32,
}

impl SiteIdentity {
    /// Reads it.
    ///
    /// # Errors
    /// When the site does not say what it is.
    pub(super) fn load(catalog: &Catalog) -> Result<Self> {
        let domains = domains(catalog)?;
        let domain = domains
            .site()
            .context("the site has no domain, which names of hosts are in: chdef -t site clustersite domain=cluster")?;
        let domain = domain.to_owned();
        if domains.networks().next().is_none() {
            bail!(
                "no network is defined, which addresses of hosts are in: mkdef -t network rack net=10.1.0.0 mask=255.255.0.0"
            );
        }
        let server = identity::server(catalog.site()?.master.as_deref(), &domains)?;
        Ok(Self {
            domains,
            server,
            domain,
            generation: generation(&TrustDirectory::of(catalog))?,
        })
    }

    /// The same with the next root.
    pub(super) fn next(self) -> Self {
        Self {
            generation: self.generation + 1,
            ..self
        }
    }

    /// Returns what an authority's certificate says.
    ///
    /// # Errors
    /// When the kernel hands out no random numbers.
    pub(super) fn statement(
        &self,
        holder: Holder,
        now: OffsetDateTime,
    ) -> Result<AuthorityStatement> {
        Ok(AuthorityStatement {
            subject: self.subject(holder),
            scope: self.scope(holder),
            serial: serial()?,
            from: now,
            until: term(holder).after(now),
        })
    }

    /// Returns what an authority may sign.
    fn scope(&self, holder: Holder) -> Scope {
        match holder {
            Holder::Nodes => Scope::Hosts {
                domains: self.domains.all().into_iter().map(str::to_owned).collect(),
                networks: self.networks(),
            },
            Holder::Root => Scope::Root,
            Holder::Boot => Scope::Boot,
            Holder::BootFiles => Scope::BootFiles,
            _ => Scope::Clients,
        }
    }

    fn networks(&self) -> BTreeSet<IpNetwork> {
        self.domains.networks().collect()
    }

    fn subject(&self, holder: Holder) -> String {
        if Holder::ROLLED.contains(&holder) {
            return self.name(holder.name());
        }
        format!("Slipway {} {}", holder.name(), self.domain)
    }

    /// Names what belongs to a generation: by its number from the second on.
    pub(super) fn name(&self, what: &str) -> String {
        let name = format!("Slipway {what} {}", self.domain);
        if self.generation > 1 {
            return format!("{name} {}", self.generation);
        }
        name
    }
}

/// Tells which root the site has by its name, whose last word is its number from the second on.
fn generation(directory: &TrustDirectory) -> Result<u32> {
    if !directory.path("root.crt").exists() {
        return Ok(1);
    }
    let subject = Certified::parse(&directory.certificate(Holder::Root)?)?.subject;
    let number = subject.split(' ').nth(3);
    Ok(number.and_then(|number| number.parse().ok()).unwrap_or(1))
}

/// Makes the authorities.
///
/// # Errors
/// When there are some, or the site does not say what they may speak for.
pub(super) fn init(catalog: &Catalog, as_json: bool, dry_run: bool) -> Result<()> {
    let target = catalog.path().join("trust");
    if fs::symlink_metadata(&target).is_ok() {
        bail!("there is an authority already: {}", target.display());
    }
    let site = SiteIdentity::load(catalog)?;
    let now = super::term::now();
    if !dry_run {
        fs::create_dir_all(catalog.path())
            .with_context(|| format!("making {}", catalog.path().display()))?;
        let scratch = tempfile::Builder::new()
            .prefix(".trust-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(catalog.path())
            .context("making a directory for the authorities")?;
        make(&TrustDirectory::at(scratch.path()), &site, now)?;
        fs::rename(scratch.path(), &target).with_context(|| {
            format!(
                "publishing {}: another run may have made it meanwhile",
                target.display()
            )
        })?;
        // It has another name now.
        let _ = scratch.keep();
        fs::File::open(catalog.path())
            .and_then(|directory| directory.sync_all())
            .context("publishing the authorities")?;
        super::issue::publish_known_hosts(catalog)?;
    }
    let domains: Vec<_> = site.domains.all().into_iter().collect();
    let networks: Vec<_> = site.networks().iter().map(ToString::to_string).collect();
    let document = json!({
        "directory": target,
        "dry_run": dry_run,
        "domains": domains,
        "networks": networks,
        "until": stamp(ROOT_TERM.after(now)),
    });
    let would = if dry_run { "would be " } else { "" };
    let text = format!(
        "{}: {would}made\nhosts: names in {}, addresses in {}\n\
         Put root.key where this machine cannot reach it; renew alone needs it. Keep a copy of all that is there.\n",
        target.display(),
        domains.join(", "),
        networks.join(", ")
    );
    output(as_json, &text, document)
}

fn make(directory: &TrustDirectory, site: &SiteIdentity, now: OffsetDateTime) -> Result<()> {
    let root = new_key(Holder::Root)?;
    make_root(directory, site, Holder::Root, &root, now)?;
    ssh::generate(&directory.path("ssh_host_ca"))?;
    super::trees::make_key(directory, &site.name("trees"))?;
    let mut authorities = Authorities::open(directory, site, now)?;
    for holder in [Holder::Nodes, Holder::Clients, Holder::Server] {
        authorities.sign(holder, true)?;
    }
    Ok(())
}

/// Makes a root: its certificate over its own key.
fn make_root(
    directory: &TrustDirectory,
    site: &SiteIdentity,
    holder: Holder,
    key: &PrivateKey,
    now: OffsetDateTime,
) -> Result<()> {
    let statement = site.statement(holder, now)?;
    let certificate = Signer::root(&statement, key)?;
    write(directory, holder, Some(key), &certificate)
}

/// Makes the authority of what nodes boot, where there is none.
///
/// # Errors
/// When the site does not say its domain, or there is no openssl.
pub(super) fn ensure_boot_authority(catalog: &Catalog) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    let open = OpenStore::open(directory.existing()?)?;
    let exists = |name: &str| directory.path(name).exists();
    if exists("boot.crt") && exists("bootfiles.crt") {
        return Ok(());
    }
    let site = SiteIdentity::load(catalog)?;
    let now = super::term::now();
    if !exists("boot.crt") {
        let key = new_key(Holder::Boot)?;
        make_root(&directory, &site, Holder::Boot, &key, now)?;
    }
    let mut authorities = Authorities {
        directory: &directory,
        site: &site,
        now,
        open,
    };
    authorities.sign(Holder::BootFiles, true).map(drop)
}

/// Signs authorities anew.
///
/// # Errors
/// When the key that signs is not there.
pub(super) fn renew(
    catalog: &Catalog,
    holders: &[String],
    new_key: bool,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
    let site = SiteIdentity::load(catalog)?;
    let now = super::term::now();
    let with_trees = holders.iter().any(|name| name == "trees");
    let holders: Vec<_> = Holder::ALL
        .into_iter()
        .filter(|holder| holders.iter().any(|name| name == holder.name()))
        .collect();
    let mut renewed = Vec::<Value>::new();
    let mut text = String::new();
    let is_rolled = holders.iter().any(|holder| Holder::ROLLED.contains(holder));
    if RollState::load(directory.existing()?)?.is_some() && (is_rolled || with_trees && new_key) {
        bail!("the site's authority is being changed: end that first, by slipway-trust roll");
    }
    let mut authorities = Authorities::open(&directory, &site, now)?;
    for holder in holders {
        let until = if dry_run {
            directory
                .signer(issuer(holder), now)?
                .until()
                .min(term(holder).after(now))
        } else {
            authorities.sign(holder, new_key)?
        };
        let would = if dry_run { "would be " } else { "" };
        text += &format!("{}: {would}signed until {}\n", holder.name(), stamp(until));
        renewed.push(json!({ "name": holder.name(), "until": stamp(until), "new_key": new_key }));
    }
    if with_trees {
        let is_made = super::trees::renew_key(&directory, &site.name("trees"), new_key, dry_run)?;
        let (would, did) = match (is_made, dry_run) {
            (false, _) => (
                "",
                "there is a key, which has no end: --new-key makes another",
            ),
            (true, true) => ("would be ", "made"),
            (true, false) => ("", "made"),
        };
        text += &format!("trees: {would}{did}\n");
        renewed.push(json!({ "name": "trees", "until": null, "new_key": is_made }));
    }
    if !dry_run {
        super::issue::publish_known_hosts(catalog)?;
    }
    output(
        as_json,
        &text,
        json!({ "dry_run": dry_run, "renewed": renewed }),
    )
}

/// Makes a key for a holder: RSA for what nodes boot, which iPXE checks, P-256 else.
///
/// # Errors
/// When it cannot be made.
pub(super) fn new_key(holder: Holder) -> Result<PrivateKey> {
    match holder {
        Holder::Boot | Holder::BootFiles => PrivateKey::generate_rsa(),
        _ => PrivateKey::generate(),
    }
}

pub(super) fn issuer(holder: Holder) -> Holder {
    match holder {
        Holder::Server => Holder::Nodes,
        Holder::BootFiles => Holder::Boot,
        _ => Holder::Root,
    }
}

fn term(holder: Holder) -> Validity {
    match holder {
        root if root.is_root() => ROOT_TERM,
        Holder::Server => SERVER_TERM,
        _ => AUTHORITY_TERM,
    }
}

/// The authorities of a site, open to be signed.
pub(super) struct Authorities<'a> {
    directory: &'a TrustDirectory,
    site: &'a SiteIdentity,
    now: OffsetDateTime,
    open: OpenStore,
}

impl<'a> Authorities<'a> {
    /// Opens them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn open(
        directory: &'a TrustDirectory,
        site: &'a SiteIdentity,
        now: OffsetDateTime,
    ) -> Result<Self> {
        Ok(Self {
            directory,
            site,
            now,
            open: OpenStore::open(&directory.path(""))?,
        })
    }

    /// Signs what is below a root, notes it and writes it; returns its end.
    ///
    /// # Errors
    /// When the key that signs is not there.
    pub(super) fn sign(&mut self, holder: Holder, has_new_key: bool) -> Result<OffsetDateTime> {
        let (site, now) = (self.site, self.now);
        let signer = self.directory.signer(issuer(holder), now)?;
        let key = if has_new_key {
            new_key(holder)?
        } else {
            self.directory.key(holder)?
        };
        let until = term(holder).after(now).min(signer.until());
        let serial = serial()?;
        let subject = site.subject(holder);
        let (purpose, certificate) = match holder {
            Holder::Server => {
                let statement = Statement {
                    subject: subject.clone(),
                    domains: BTreeSet::new(),
                    addresses: site.server.addresses.clone(),
                    purpose: Purpose::Host,
                    serial: serial.clone(),
                    from: now,
                    until,
                    comment: None,
                };
                ("server", signer.sign(&statement, &key.public()?)?)
            }
            holder => {
                let statement = AuthorityStatement {
                    serial: serial.clone(),
                    until,
                    ..site.statement(holder, now)?
                };
                ("authority", signer.authority(&statement, &key)?)
            }
        };
        let issued = Issued {
            name: subject,
            purpose: purpose.to_owned(),
            issued: now,
            until,
            revoked: None,
            under: None,
        };
        self.open.store.note(&serial, issued);
        self.open.write(now)?;
        let key = has_new_key.then_some(&key);
        write(self.directory, holder, key, &certificate)?;
        Ok(until)
    }
}

/// Writes the key before the certificate: a run that ends between them is repeated.
fn write(
    directory: &TrustDirectory,
    holder: Holder,
    key: Option<&PrivateKey>,
    certificate: &str,
) -> Result<()> {
    let path = |ending: &str| directory.path(&format!("{}.{ending}", holder.name()));
    if let Some(key) = key {
        replace::write(&path("key"), key.reveal().as_bytes(), 0o600)?;
    }
    replace::write(&path("crt"), certificate.as_bytes(), 0o644)
}

fn serial() -> Result<Serial> {
    Ok(Serial::new(random()?))
}
