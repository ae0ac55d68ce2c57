//! `status`: what there is, until when, and what is wrong.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use definitions::Catalog;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::directory::{Holder, TrustDirectory, check_term};
use super::output;
use super::store::Store;
use super::term::stamp;
use super::x509::{Certified, Signer};

/// From when on before its end a certificate is to be renewed.
const SOON: Duration = Duration::days(60);

/// Says what there is; exits with 1 when something is wrong.
///
/// # Errors
/// When nothing can be said.
pub(super) fn status(catalog: &Catalog, as_json: bool) -> Result<ExitCode> {
    let directory = TrustDirectory::of(catalog);
    let mut found = look(&directory, Sight::All)?;
    if let Some(step) = super::roll::ipxe_step(catalog, &directory)? {
        found.add(&step);
    }
    output(as_json, &found.text, found.document)?;
    Ok(if found.is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What whoever looks can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    All,
    /// The signer, from which the root's key is hidden.
    Signer,
}

/// What there is.
#[derive(Debug)]
pub(super) struct TrustSurvey {
    pub(super) text: String,
    pub(super) document: Value,
    pub(super) is_right: bool,
}

impl TrustSurvey {
    /// Adds something that is wrong.
    fn add(&mut self, problem: &str) {
        self.text += &format!("WRONG {problem}\n");
        if let Some(problems) = self.document["problems"].as_array_mut() {
            problems.push(json!(problem));
        }
        self.is_right = false;
    }
}

/// Looks at what there is.
///
/// # Errors
/// When nothing can be said.
pub(super) fn look(directory: &TrustDirectory, sight: Sight) -> Result<TrustSurvey> {
    let store = Store::load(directory.existing()?)?;
    let now = super::term::now();
    let (mut text, mut problems, mut holders) = (String::new(), Vec::new(), Vec::new());
    problems.extend(store.loss(directory.existing()?)?);
    for holder in directory.holders() {
        let name = holder.name();
        let key = match holder {
            root if root.is_root() && sight == Sight::Signer => "hidden",
            root if root.is_root() && !directory.key_path(root)?.exists() => "away",
            _ => "here",
        };
        match certified(directory, holder, key == "here", now) {
            Ok(certified) => {
                let until = stamp(certified.until);
                let soon = if certified.until - SOON < now {
                    ": renew it"
                } else {
                    ""
                };
                text += &format!("{name:<9} until {until}, key {key}{soon}\n");
                holders.push(
                    json!({ "name": name, "until": until, "key": key, "renew": !soon.is_empty() }),
                );
            }
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    for (name, path) in [
        ("ssh_host_ca", directory.path("ssh_host_ca")),
        (super::trees::SECRET, super::trees::secret_path(directory)?),
    ] {
        match super::directory::secret(&path) {
            Ok(Some(_)) => text += &format!("{name:<9} here\n"),
            Ok(None) => problems.push(format!("{} is missing", path.display())),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    let roll = super::roll::status_line(directory)?;
    let (line, roll) = roll.unwrap_or_default();
    text += &line;
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for issued in store.issued.values().filter(|issued| issued.until > now) {
        let count = counts.entry(&issued.purpose).or_default();
        match issued.revoked {
            None => count.0 += 1,
            Some(_) => count.1 += 1,
        }
    }
    for (purpose, (valid, revoked)) in &counts {
        text += &format!("{purpose}: {valid} valid, {revoked} revoked\n");
    }
    let armed = store
        .armed
        .iter()
        .filter(|(_, arming)| arming.until > now && arming.used.is_none());
    let armed: Vec<_> = armed
        .map(|(node, arming)| json!({ "node": node, "until": stamp(arming.until) }))
        .collect();
    if !armed.is_empty() {
        text += &format!("armed: {}\n", armed.len());
    }
    for alarm in &store.alarms {
        let times = match alarm.count {
            1 => String::new(),
            count => format!(" ({count} times, the last then)"),
        };
        text += &format!(
            "ALARM {} {} from {}: {}{times}\n",
            stamp(alarm.time),
            alarm.node,
            alarm.from,
            alarm.what
        );
    }
    for problem in &problems {
        text += &format!("WRONG {problem}\n");
    }
    let issued = counts.iter().map(|(purpose, (valid, revoked))| {
        (*purpose, json!({ "valid": valid, "revoked": revoked }))
    });
    let document = json!({
        "authorities": holders,
        "issued": issued.collect::<BTreeMap<_, _>>(),
        "armed": armed,
        "alarms": store.alarms,
        "problems": problems,
        "roll": roll,
    });
    Ok(TrustSurvey {
        text,
        document,
        is_right: problems.is_empty(),
    })
}

fn certified(
    directory: &TrustDirectory,
    holder: Holder,
    has_key: bool,
    now: OffsetDateTime,
) -> Result<Certified> {
    let certificate = directory.certificate(holder)?;
    let certified = Certified::parse(&certificate)?;
    if has_key {
        Signer::load(&certificate, &directory.key(holder)?)?;
    }
    check_term(holder, &certified, now)?;
    Ok(certified)
}
