//! What was signed, what is revoked, and which nodes are armed: one file, written atomically under a lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::Lock;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::identity::Identity;
use super::statement::Serial;
use crate::replace;

/// How long another run is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long what has ended is still listed.
const KEPT: time::Duration = time::Duration::days(30);

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// What was signed, by serial.
    #[serde(default)]
    pub(crate) issued: BTreeMap<String, Issued>,
    /// Nodes that may enrol, or have.
    #[serde(default)]
    pub(crate) armed: BTreeMap<String, Arming>,
    /// What should not have happened, the newest last.
    #[serde(default)]
    pub(crate) alarms: Vec<Alarm>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issued {
    pub(crate) name: String,
    pub(crate) purpose: String,
    #[serde(with = "rfc3339")]
    pub(crate) issued: OffsetDateTime,
    #[serde(with = "rfc3339")]
    pub(crate) until: OffsetDateTime,
    #[serde(
        default,
        with = "rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) revoked: Option<OffsetDateTime>,
    /// What a host got with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) under: Option<Under>,
}

/// Who signed a certificate of a host or a client, and which roots went with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Under {
    /// SHA-256 of the authority's certificate.
    pub(crate) authority: String,
    /// SHA-256 of the roots.
    pub(crate) roots: String,
    /// Whether the host said by it that it has it in use.
    #[serde(default)]
    pub(crate) confirmed: bool,
}

impl Issued {
    pub(crate) fn is_under(&self, authority: &str) -> bool {
        self.under
            .as_ref()
            .is_some_and(|under| under.authority == authority)
    }

    pub(crate) fn has_roots(&self, roots: &str) -> bool {
        self.under
            .as_ref()
            .is_some_and(|under| under.roots == roots)
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.under.as_ref().is_some_and(|under| under.confirmed)
    }
}

/// The permission of a node to enrol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arming {
    /// SHA-256 of the secret.
    pub(crate) secret: String,
    #[serde(with = "rfc3339")]
    pub(crate) until: OffsetDateTime,
    /// What its certificate will say.
    pub(crate) identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) used: Option<Used>,
}

/// What a secret was used for: whoever has the same key may ask for the answer again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    #[serde(with = "rfc3339")]
    pub(crate) time: OffsetDateTime,
    /// SHA-256 of the public key.
    pub(crate) key: String,
    /// What was answered.
    pub(crate) certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ssh: Option<String>,
}

/// Something that should not have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alarm {
    #[serde(with = "rfc3339")]
    pub(crate) time: OffsetDateTime,
    pub(crate) node: String,
    /// From which address.
    pub(crate) from: String,
    pub(crate) what: String,
    /// How often.
    pub(crate) count: u64,
}

/// The store, which no other process changes meanwhile.
#[derive(Debug)]
pub(crate) struct OpenStore {
    path: PathBuf,
    _lock: Lock,
    pub(crate) store: Store,
}

impl Store {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("store.json");
        let Some(text) = replace::read(&path)? else {
            return Ok(Self::default());
        };
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Notes what was signed.
    pub(crate) fn note(&mut self, serial: &Serial, issued: Issued) {
        self.issued.insert(serial.as_str().to_owned(), issued);
    }

    /// Raises an alarm. Of one kind a node has one, with the time and the address of the last; nodes that are not armed
    /// share one: whoever asks for what does not exist neither fills the store nor drives out what matters.
    pub(crate) fn alarm(&mut self, alarm: Alarm) {
        let armed = &self.armed;
        let same = |other: &Alarm| {
            let is_known = armed.contains_key(&alarm.node);
            other.what == alarm.what
                && (other.node == alarm.node || !is_known && !armed.contains_key(&other.node))
        };
        let count = match self.alarms.iter().position(same) {
            Some(at) => self.alarms.remove(at).count + alarm.count,
            None => alarm.count,
        };
        self.alarms.push(Alarm { count, ..alarm });
    }

    /// Forgets what ended long ago.
    fn prune(&mut self, now: OffsetDateTime) {
        self.issued.retain(|_, issued| issued.until + KEPT > now);
        self.armed.retain(|_, arming| arming.until + KEPT > now);
    }
}

impl OpenStore {
    /// Reads the store, and keeps other processes waiting until it is closed.
    ///
    /// # Errors
    /// When it cannot be locked or read.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let lock = Lock::acquire(&directory.join(".lock"), TIMEOUT, &mut |text| {
            eprintln!("{text}")
        })?;
        Ok(Self {
            store: Store::load(directory)?,
            path: directory.join("store.json"),
            _lock: lock,
        })
    }

    /// Writes the store.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub(crate) fn write(&mut self, now: OffsetDateTime) -> Result<()> {
        self.store.prune(now);
        let text = serde_json::to_string_pretty(&self.store).context("writing the store")?;
        replace::write(&self.path, (text + "\n").as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arming(until: OffsetDateTime) -> Arming {
        Arming {
            secret: "x".to_owned(),
            until,
            identity: Identity::default(),
            used: None,
        }
    }

    #[test]
    fn alarms_of_one_kind_are_counted_and_what_is_not_armed_drives_out_nothing() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut store = Store::default();
        for node in ["n1", "n2"] {
            store.armed.insert(node.to_owned(), arming(now));
        }
        let mut alarm = |node: &str, what: &str| {
            store.alarm(Alarm {
                time: now,
                node: node.to_owned(),
                from: String::new(),
                what: what.to_owned(),
                count: 1,
            });
        };
        for (node, what) in [
            ("n1", "used twice"),
            ("n2", "used twice"),
            ("n1", "late"),
            ("n1", "used twice"),
        ] {
            alarm(node, what);
        }
        for number in 0..10_000 {
            alarm(&number.to_string(), "not armed");
        }
        let shown: Vec<_> = store
            .alarms
            .iter()
            .map(|alarm| format!("{} {} {}", alarm.node, alarm.what, alarm.count))
            .collect();
        assert_eq!(
            shown,
            [
                "n2 used twice 1",
                "n1 late 1",
                "n1 used twice 2",
                "9999 not armed 10000"
            ]
        );
    }

    #[test]
    fn what_ended_long_ago_is_forgotten() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let mut store = Store::default();
        for (serial, days) in [([1; 16], -31), ([2; 16], -29), ([3; 16], 1)] {
            let until = now + time::Duration::days(days);
            store.note(
                &Serial::new(serial),
                Issued {
                    name: "n1".to_owned(),
                    purpose: "node".to_owned(),
                    issued: now,
                    until,
                    revoked: None,
                    under: None,
                },
            );
        }
        store.prune(now);
        assert_eq!(store.issued.len(), 2);
    }

    #[test]
    fn a_store_is_its_owners_alone_and_read_as_it_was_written() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let mut open = OpenStore::open(dir.path()).unwrap();
        open.store.armed.insert("n1".to_owned(), arming(now));
        open.write(now).unwrap();
        let mode = dir
            .path()
            .join("store.json")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(Store::load(dir.path()).unwrap(), open.store);
        std::fs::write(dir.path().join("store.json"), "{\"armed\":").unwrap();
        let error = format!("{:#}", Store::load(dir.path()).unwrap_err());
        assert!(
            error.starts_with(&format!(
                "reading {}",
                dir.path().join("store.json").display()
            )),
            "{error}"
        );
    }
}
