//! `signer`: answers on a local socket what slipwayd passes on from nodes that enrol.
//!
//! One JSON line comes in, one goes out, and the connection ends. One process of a site answers, however many containers
//! and machines share its files: another waits until that one has ended. It reads the authority's keys and talks to no
//! network; slipwayd talks to the network and reads no key. Bounded: one connection at a time, 128 KiB, 5 seconds.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::terminal::escaped;
use definitions::{Catalog, Lock};

use super::directory::TrustDirectory;
use super::enrol::{
    Answer, Enrolment, Question, REFUSED, Renewal, ShownCertificate, confirm, enrol, renew, unknown,
};
use super::issue::revocations;
use super::status::{Sight, look};
use super::store::Store;
use crate::local;

/// The longest line that is read: longer than what slipwayd takes.
const MAX_LINE: u64 = 128 << 10;

/// Answers until it is ended, once no other signer of the site does.
///
/// # Errors
/// When it cannot listen, or there is no authority.
pub(super) fn run(catalog: &Catalog, socket: Option<&Path>) -> Result<()> {
    let directory = TrustDirectory::of(catalog);
    directory.existing()?;
    let _lock = Lock::wait(&directory.path(".signer.lock"), &mut |text| {
        eprintln!("slipway-trust: {text}, which signs for this site");
    })?;
    let mut records = SignedRecords::default();
    local::serve("slipway-trust", socket, MAX_LINE, |question| {
        Ok(match question {
            Question::Enrol(enrolment) => enrolled(&directory, &enrolment)?,
            Question::Renew(renewal) => renewed(catalog, &directory, &renewal)?,
            Question::Confirm(shown) => records.confirm(&directory, &shown)?,
            Question::IsValid(shown) => Answer::IsValid(records.is_valid(&directory, &shown)?),
            Question::Revocations => {
                let store = records.read(&directory)?;
                Answer::Revocations(revocations(&directory, store)?)
            }
            Question::Status => Answer::Status(look(&directory, Sight::Signer)?.document),
        })
    })
}

fn enrolled(directory: &TrustDirectory, enrolment: &Enrolment) -> Result<Answer> {
    let node = &enrolment.request.node;
    let answer = enrol(directory, enrolment, super::term::now())
        .with_context(|| format!("signing for {node}"))?;
    log(&answer, node, "enrolled", &enrolment.from);
    Ok(answer)
}

fn renewed(catalog: &Catalog, directory: &TrustDirectory, renewal: &Renewal) -> Result<Answer> {
    let answer = renew(catalog, directory, renewal, super::term::now())
        .with_context(|| format!("signing for {}", renewal.node))?;
    log(&answer, &renewal.node, "renewed", &renewal.from);
    Ok(answer)
}

/// Says what was signed.
fn log(answer: &Answer, node: &str, did: &str, from: &str) {
    if let Answer::Signed(_) = answer {
        eprintln!(
            "slipway-trust: {} {did} from {}",
            escaped(node, '\t'),
            escaped(from, '\t')
        );
    }
}

/// What was signed, read again when the store is another file.
#[derive(Debug, Default)]
struct SignedRecords {
    /// Number, size and time of the file.
    file: (u64, u64, i64),
    store: Store,
}

impl SignedRecords {
    /// Says whether a certificate is on record and not revoked.
    fn is_valid(&mut self, directory: &TrustDirectory, shown: &ShownCertificate) -> Result<bool> {
        let issued = self.read(directory)?.issued.get(&shown.serial);
        if issued.is_none() {
            unknown(directory, shown, super::term::now())?;
        }
        Ok(issued.is_some_and(|issued| issued.revoked.is_none()))
    }

    /// Notes that a certificate is in use, once, and says what the roots and the keys of trees are.
    fn confirm(&mut self, directory: &TrustDirectory, shown: &ShownCertificate) -> Result<Answer> {
        let issued = self.read(directory)?.issued.get(&shown.serial);
        if issued.is_none() {
            return unknown(directory, shown, super::term::now());
        }
        let Some(issued) = issued.filter(|issued| issued.revoked.is_none()) else {
            return Ok(Answer::Refused(REFUSED.to_owned()));
        };
        if !issued.is_confirmed() {
            confirm(directory, &shown.serial, super::term::now())?;
        }
        Ok(Answer::Confirmed(directory.by_hosts()?.text()))
    }

    fn read(&mut self, directory: &TrustDirectory) -> Result<&Store> {
        let path = directory.path("store.json");
        let meta = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        let file = (meta.ino(), meta.len(), meta.mtime_nsec());
        if self.file != file {
            self.store = Store::load(directory.existing()?)?;
            self.file = file;
        }
        Ok(&self.store)
    }
}
