//! `arm`, `disarm`, and what answers a node that enrols.
//!
//! Arming keeps what a node's certificate will say, which is what its definition says now; a node that enrols gives its
//! one-time secret and a key, and nothing else of its request counts. The secret is burnt, on disk, before the answer
//! leaves: whoever has the same key may ask for the answer again until the arming ends, so that an answer that is lost
//! costs nothing; anybody else who comes with the secret raises an alarm.

use anyhow::{Context, Result, bail};
use definitions::{
    Catalog, EnrolmentRequest, EnrolmentToken, Noderange, RenewalRequest, SignedIdentity, hex,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::cli::IssuePurpose;
use super::directory::{Holder, TrustDirectory};
use super::identity::Identity;
use super::secret::{digest, random};
use super::ssh::HostKey;
use super::statement::{Purpose, Serial, Statement};
use super::store::{Alarm, Arming, Issued, OpenStore, Under, Used};
use super::term::{Validity, stamp};
use super::x509::{Certified, RequestedKey};
use super::{domains, output};

/// What a node sends to enrol, and the address that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    pub(crate) request: EnrolmentRequest,
    pub(crate) from: String,
    /// The container whose address that is, if it is one's.
    #[serde(default)]
    pub(crate) of_container: Option<String>,
}

impl Enrolment {
    /// Whether it comes from the address of a container that is another node. Any other address may be that of a router.
    fn is_elsewhere(&self) -> bool {
        let container = self.of_container.as_ref();
        container.is_some_and(|container| container != &self.request.node)
    }
}

/// What a node sends to get a further certificate, and the certificate that it is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renewal {
    pub(crate) request: RenewalRequest,
    pub(crate) node: String,
    pub(crate) serial: String,
    pub(crate) from: String,
}

/// A certificate that the site's authorities signed, and the address of who showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShownCertificate {
    pub(crate) name: String,
    pub(crate) serial: String,
    pub(crate) from: String,
}

/// What slipwayd asks the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Question {
    /// A node enrols.
    Enrol(Enrolment),
    /// A node's certificate is to be followed by another.
    Renew(Renewal),
    /// A node has a certificate in use.
    Confirm(ShownCertificate),
    /// Does a certificate count?
    IsValid(ShownCertificate),
    /// What is revoked?
    Revocations,
    /// What is there, and what is wrong?
    Status,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// Nothing is signed; why is on record here, and not told to whoever asked.
    Refused(String),
    /// What the roots and the keys of trees are now, for a certificate that counts.
    Confirmed(String),
    /// Whether the certificate is on record and not revoked.
    IsValid(bool),
    /// What `export crl` prints.
    Revocations(String),
    /// What `status --json` prints.
    Status(Value),
    /// What the node gets.
    #[serde(untagged)]
    Signed(SignedIdentity),
}

/// How many certificates of a node are valid at a time: one that asks without end does not fill the store.
const MAX_VALID: usize = 64;

/// What is wrong with a certificate that is ours and not on record.
const NOT_ON_RECORD: &str = "its certificate was signed here and is not on record: where the store was put back from a copy, let \
                             the host enrol again; else somebody has the key of the authority: slipway-trust roll";

/// What is wrong with a renewal beyond that.
const TOO_MANY: &str = "it has 64 certificates that are valid: revoke it and arm it again";

/// What is wrong with a secret that a container has.
const ELSEWHERE: &str = "its secret came from the address of a container";

/// What is wrong with a request whose keys cannot be taken.
const NO_KEYS: &str = "its signing request or ssh host key cannot be read";

/// What whoever is refused is told.
pub(super) const REFUSED: &str = "this node is not armed, or the secret is not its own: on the management node: slipway-trust status, then \
                       slipway-trust arm";

/// Lets nodes enrol.
///
/// # Errors
/// When one has no names to sign; then none is armed.
pub(super) fn arm(
    catalog: &Catalog,
    range: &Noderange,
    term: Validity,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    if term > Validity::hours(7 * 24) {
        bail!("a node is armed for 7d at most");
    }
    let directory = TrustDirectory::of(catalog);
    let path = directory.existing()?;
    let now = super::term::now();
    let until = term.after(now);
    let trusted = directory.by_hosts()?;
    let root = Certified::parse(&trusted.roots)?;
    let (nodes, domains) = (catalog.nodes()?, domains(catalog)?);
    let mut armings = Vec::new();
    for name in chosen(range, &nodes)? {
        let identity = Identity::of(&nodes.node(&name)?, &domains)
            .with_context(|| format!("arming {name}"))?;
        let secret = hex(&random::<16>()?);
        let arming = Arming {
            secret: digest(secret.as_bytes()),
            until,
            identity,
            trusted: trusted.digest(),
            used: None,
        };
        let token = EnrolmentToken::new(&digest(&root.der), &secret)?;
        armings.push((name, token.reveal(), arming));
    }
    let mut text = String::new();
    let mut listed = Vec::new();
    for (name, token, arming) in &armings {
        let would = if dry_run { "would be " } else { "" };
        text += &format!("{name}: {would}armed until {}\n", stamp(until));
        listed.push(json!({
            "node": name,
            "until": stamp(until),
            "token": (!dry_run).then_some(token),
            "names": arming.identity.domains,
            "addresses": arming.identity.addresses,
        }));
    }
    if !dry_run {
        let mut open = OpenStore::open(path)?;
        let armings = armings.into_iter().map(|(name, _, arming)| (name, arming));
        open.store.armed.extend(armings);
        open.write(now)?;
    }
    output(
        as_json,
        &text,
        json!({ "dry_run": dry_run, "nodes": listed }),
    )
}

/// Lets nodes enrol no more.
///
/// # Errors
/// When the store cannot be written.
pub(super) fn disarm(
    catalog: &Catalog,
    range: &Noderange,
    as_json: bool,
    dry_run: bool,
) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    let path = directory.existing()?;
    let names = chosen(range, &catalog.nodes()?)?;
    let mut open = OpenStore::open(path)?;
    let (mut text, mut listed) = (String::new(), Vec::new());
    for name in names {
        let was_armed = open.store.armed.remove(&name).is_some();
        let would = if dry_run { "would be " } else { "" };
        text += &if was_armed {
            format!("{name}: {would}disarmed\n")
        } else {
            format!("{name}: not armed\n")
        };
        listed.push(json!({ "node": name, "was_armed": was_armed }));
    }
    if !dry_run {
        open.write(super::term::now())?;
    }
    output(
        as_json,
        &text,
        json!({ "dry_run": dry_run, "nodes": listed }),
    )
}

fn chosen(range: &Noderange, nodes: &definitions::Nodes) -> Result<Vec<String>> {
    let names = range.select(nodes)?;
    if names.is_empty() {
        bail!("the node range names no node");
    }
    Ok(names)
}

/// Answers a node that enrols.
///
/// # Errors
/// When nothing can be signed or kept: the secret stays as it was.
pub(super) fn enrol(
    directory: &TrustDirectory,
    enrolment: &Enrolment,
    now: OffsetDateTime,
) -> Result<Answer> {
    let path = directory.existing()?;
    let roots = Certified::parse_all(&directory.trusted(Holder::Root)?)?;
    let mut open = OpenStore::open(path)?;
    let request = &enrolment.request;
    let refused =
        |open: &mut OpenStore, what| refuse(open, (&request.node, &enrolment.from), now, what);
    let Ok(keys) = NodeKeys::parse(&request.request, request.ssh.as_deref()) else {
        return refused(&mut open, NO_KEYS);
    };
    let key_digest = digest(&keys.tls.der());
    let arming = match judged(&open, request, &roots, &key_digest, now) {
        Err(reason) => return refused(&mut open, reason),
        Ok(Judgement::Again(used)) => {
            return Ok(Answer::Signed(SignedIdentity {
                certificate: used.certificate,
                clients: directory.trusted(Holder::Clients)?,
                roots: directory.vouched_roots()?,
                trees: directory.by_hosts()?.trees,
                ssh: used.ssh,
            }));
        }
        Ok(Judgement::First(arming)) => arming,
    };
    if enrolment.is_elsewhere() {
        return refused(&mut open, ELSEWHERE);
    }
    let signed = keys.sign(directory, &mut open, (&request.node, &arming.identity), now)?;
    let used = Used {
        time: now,
        key: key_digest,
        certificate: signed.certificate.clone(),
        ssh: signed.ssh.clone(),
    };
    let arming = Arming {
        used: Some(used),
        ..arming
    };
    open.store.armed.insert(request.node.clone(), arming);
    open.write(now)?;
    Ok(Answer::Signed(signed))
}

/// Answers a node that has a certificate and asks for the next.
///
/// # Errors
/// When nothing can be signed or kept.
pub(super) fn renew(
    catalog: &Catalog,
    directory: &TrustDirectory,
    renewal: &Renewal,
    now: OffsetDateTime,
) -> Result<Answer> {
    let mut open = OpenStore::open(directory.existing()?)?;
    let refused =
        |open: &mut OpenStore, what| refuse(open, (&renewal.node, &renewal.from), now, what);
    let request = &renewal.request;
    let Ok(keys) = NodeKeys::parse(&request.request, request.ssh.as_deref()) else {
        return refused(&mut open, NO_KEYS);
    };
    let is_valid = |issued: &&Issued| {
        issued.revoked.is_none()
            && issued.name == renewal.node
            && issued.purpose == IssuePurpose::Node.name()
    };
    let issued = &open.store.issued;
    if !issued.get(&renewal.serial).as_ref().is_some_and(is_valid) {
        return refused(
            &mut open,
            "it would renew a certificate that does not count",
        );
    }
    let valid = issued.values().filter(is_valid);
    if valid.filter(|issued| issued.until > now).count() >= MAX_VALID {
        return refused(&mut open, TOO_MANY);
    }
    let nodes = catalog.nodes()?;
    let Ok(node) = nodes.node(&renewal.node) else {
        return refused(&mut open, "it would renew, and is not defined any more");
    };
    let identity = Identity::of(&node, &domains(catalog)?)
        .with_context(|| format!("naming {}", renewal.node))?;
    let signed = keys.sign(directory, &mut open, (&renewal.node, &identity), now)?;
    open.write(now)?;
    Ok(Answer::Signed(signed))
}

/// Raises an alarm about a certificate that is ours and not on record: what is signed is on record first, so that the store is
/// an older one, or somebody else has the key.
///
/// # Errors
/// When it cannot be noted.
pub(super) fn unknown(
    directory: &TrustDirectory,
    shown: &ShownCertificate,
    now: OffsetDateTime,
) -> Result<Answer> {
    let mut open = OpenStore::open(directory.existing()?)?;
    refuse(&mut open, (&shown.name, &shown.from), now, NOT_ON_RECORD)
}

/// Notes that a node has a certificate in use, which it had with all that went with it.
///
/// # Errors
/// When it cannot be noted.
pub(super) fn confirm(directory: &TrustDirectory, serial: &str, now: OffsetDateTime) -> Result<()> {
    let mut open = OpenStore::open(directory.existing()?)?;
    if let Some(under) = open
        .store
        .issued
        .get_mut(serial)
        .and_then(|issued| issued.under.as_mut())
    {
        under.confirmed = true;
        open.write(now)?;
    }
    Ok(())
}

/// The keys of a node: all that counts of what it sends.
struct NodeKeys {
    tls: RequestedKey,
    ssh: Option<HostKey>,
}

impl NodeKeys {
    fn parse(request: &str, ssh: Option<&str>) -> Result<Self> {
        Ok(Self {
            tls: RequestedKey::parse(request)?,
            ssh: ssh.map(HostKey::parse).transpose()?,
        })
    }

    /// Signs the keys for what a definition says, and notes that; the store is still to be written.
    fn sign(
        &self,
        directory: &TrustDirectory,
        open: &mut OpenStore,
        (node, identity): (&str, &Identity),
        now: OffsetDateTime,
    ) -> Result<SignedIdentity> {
        let signer = directory.signer(Holder::Nodes, now)?;
        let trusted = directory.by_hosts()?;
        let (term, _) = IssuePurpose::Node.terms();
        let statement = Statement {
            subject: node.to_owned(),
            domains: identity.domains.clone(),
            addresses: identity.addresses.clone(),
            purpose: Purpose::Host,
            serial: Serial::new(random()?),
            from: now,
            until: term.after(now).min(signer.until()),
            comment: trusted.comment(),
        };
        let certificate = signer.sign(&statement, &self.tls)?;
        let under = Under {
            authority: signer.digest(),
            roots: trusted.digest(),
            confirmed: false,
            write: open.store.writes + 1,
        };
        let mut note = |serial: String, purpose: IssuePurpose, until| {
            let issued = Issued {
                name: node.to_owned(),
                purpose: purpose.name().to_owned(),
                issued: now,
                until,
                revoked: None,
                under: (purpose == IssuePurpose::Node).then(|| under.clone()),
            };
            open.store.issued.insert(serial, issued);
        };
        note(
            statement.serial.as_str().to_owned(),
            IssuePurpose::Node,
            statement.until,
        );
        let mut ssh = None;
        if let Some(key) = &self.ssh {
            let signed = key.sign(directory, node, identity, term)?;
            note(signed.serial, IssuePurpose::SshHost, term.after(now));
            ssh = Some(signed.certificate);
        }
        Ok(SignedIdentity {
            certificate,
            clients: directory.trusted(Holder::Clients)?,
            roots: directory.vouched_roots()?,
            trees: trusted.trees,
            ssh,
        })
    }
}

/// What becomes of a request.
enum Judgement {
    /// The secret is used now.
    First(Arming),
    /// The same key asks again for what it got.
    Again(Used),
}

fn judged(
    open: &OpenStore,
    request: &EnrolmentRequest,
    roots: &[Certified],
    key: &str,
    now: OffsetDateTime,
) -> Result<Judgement, &'static str> {
    let arming = open
        .store
        .armed
        .get(&request.node)
        .ok_or("it is not armed")?;
    let token: Option<EnrolmentToken> = request.token.parse().ok();
    let token = token
        .filter(|token| roots.iter().any(|root| token.root() == digest(&root.der)))
        .ok_or("its token is for another authority, or none")?;
    // Digests are compared, so that how long it takes says nothing of the secret.
    if digest(token.secret().as_bytes()) != arming.secret {
        return Err("its secret is not the one that it was armed with");
    }
    if now > arming.until {
        return Err("its secret came after its time");
    }
    match &arming.used {
        None => Ok(Judgement::First(arming.clone())),
        Some(used) if used.key == key => Ok(Judgement::Again(used.clone())),
        Some(_) => Err("its secret was used a second time, with another key"),
    }
}

/// Raises an alarm; `what` is one of our own sentences, so that whoever asks makes no kinds of alarms without end.
fn refuse(
    open: &mut OpenStore,
    (node, from): (&str, &str),
    now: OffsetDateTime,
    what: &'static str,
) -> Result<Answer> {
    let short = |text: &str| text.chars().take(253).collect::<String>();
    open.store.alarm(Alarm {
        time: now,
        node: short(node),
        from: short(from),
        what: what.to_owned(),
        count: 1,
    });
    open.write(now)?;
    Ok(Answer::Refused(REFUSED.to_owned()))
}
