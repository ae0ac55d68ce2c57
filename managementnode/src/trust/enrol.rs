//! `arm`, `disarm`, and what answers a node that enrols.
//!
//! Arming keeps what a node's certificate will say, which is what its definition says now; a node that enrols gives its
//! one-time secret and a key, and nothing else of its request counts. The secret is burnt, on disk, before the answer
//! leaves: whoever has the same key may ask for the answer again until the arming ends, so that an answer that is lost
//! costs nothing; anybody else who comes with the secret raises an alarm.

use anyhow::{Context, Result, bail};
use definitions::{Catalog, Noderange};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::cli::IssuePurpose;
use super::directory::{Holder, TrustDirectory};
use super::identity::Identity;
use super::secret::{digest, hex, random, secret_of, token};
use super::statement::{Purpose, Serial, Statement};
use super::store::{Alarm, Arming, Issued, OpenStore, Used};
use super::term::{Validity, stamp};
use super::x509::{Certified, RequestedKey};
use super::{domains, output};

/// What a node sends to enrol, and the address that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    pub(crate) node: String,
    /// `SLIPWAY-1-…`: pins the root, and holds the secret.
    pub(crate) token: String,
    /// PKCS #10, PEM.
    pub(crate) request: String,
    #[serde(default)]
    pub(crate) from: String,
}

/// What slipwayd asks the signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Question {
    /// A node enrols.
    Enrol(Enrolment),
    /// Does a certificate count? Its serial.
    Standing(String),
    /// What is there, and what is wrong?
    Status,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// The certificate and those above it, PEM.
    Certificate(String),
    /// Nothing is signed; why is on record here, and not told to whoever asked.
    Refused(String),
    /// Whether the certificate is on record and not revoked.
    Standing(bool),
    /// What `status --json` prints.
    Status(Value),
}

/// What whoever is refused is told.
const REFUSED: &str = "this node is not armed, or the secret is not its own: on the management node: slipway-trust status, then \
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
    let root = Certified::parse(&directory.certificate(Holder::Root)?)?;
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
            used: None,
        };
        armings.push((name, token(&root.der, &secret), arming));
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
    let root = Certified::parse(&directory.certificate(Holder::Root)?)?;
    let mut open = OpenStore::open(path)?;
    let key = match RequestedKey::parse(&enrolment.request) {
        Ok(key) => key,
        Err(error) => return refuse(&mut open, enrolment, now, &format!("{error:#}")),
    };
    let key_digest = digest(&key.der());
    let arming = match judged(&open, enrolment, &root, &key_digest, now) {
        Err(reason) => return refuse(&mut open, enrolment, now, reason),
        Ok(Judgement::Again(certificate)) => return Ok(Answer::Certificate(certificate)),
        Ok(Judgement::First(arming)) => arming,
    };
    let signer = directory.signer(Holder::Nodes, now)?;
    let (term, _) = IssuePurpose::Node.terms();
    let statement = Statement {
        subject: enrolment.node.clone(),
        domains: arming.identity.domains.clone(),
        addresses: arming.identity.addresses.clone(),
        purpose: Purpose::Host,
        serial: Serial::new(random()?),
        from: now,
        until: term.after(now).min(signer.until()),
    };
    let certificate = signer.sign(&statement, &key)?;
    let issued = Issued {
        name: enrolment.node.clone(),
        purpose: IssuePurpose::Node.name().to_owned(),
        issued: now,
        until: statement.until,
        revoked: None,
    };
    open.store.note(&statement.serial, issued);
    let used = Used {
        time: now,
        key: key_digest,
        certificate: certificate.clone(),
    };
    let arming = Arming {
        used: Some(used),
        ..arming
    };
    open.store.armed.insert(enrolment.node.clone(), arming);
    open.write(now)?;
    Ok(Answer::Certificate(certificate))
}

/// What becomes of a request.
enum Judgement {
    /// The secret is used now.
    First(Arming),
    /// The same key asks again for what it got.
    Again(String),
}

fn judged(
    open: &OpenStore,
    enrolment: &Enrolment,
    root: &Certified,
    key: &str,
    now: OffsetDateTime,
) -> Result<Judgement, &'static str> {
    let arming = open
        .store
        .armed
        .get(&enrolment.node)
        .ok_or("it is not armed")?;
    let secret = secret_of(&enrolment.token, &root.der)
        .ok_or("its token is for another authority, or none")?;
    // Digests are compared, so that how long it takes says nothing of the secret.
    if digest(secret.as_bytes()) != arming.secret {
        return Err("its secret is not the one that it was armed with");
    }
    if now > arming.until {
        return Err("its secret came after its time");
    }
    match &arming.used {
        None => Ok(Judgement::First(arming.clone())),
        Some(used) if used.key == key => Ok(Judgement::Again(used.certificate.clone())),
        Some(_) => Err("its secret was used a second time, with another key"),
    }
}

fn refuse(
    open: &mut OpenStore,
    enrolment: &Enrolment,
    now: OffsetDateTime,
    what: &str,
) -> Result<Answer> {
    let short = |text: &str| text.chars().take(253).collect::<String>();
    open.store.alarm(Alarm {
        time: now,
        node: short(&enrolment.node),
        from: short(&enrolment.from),
        what: what.to_owned(),
        count: 1,
    });
    open.write(now)?;
    Ok(Answer::Refused(REFUSED.to_owned()))
}
