//! What was signed, what is revoked, and which nodes are armed: one file, written atomically under a lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use definitions::{Lock, hex};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

use super::identity::Identity;
use super::record::WriteRecord;
use super::secret::random;
use super::statement::Serial;
use super::term::stamp;
use crate::replace;

/// How long another run is waited for.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a store is that was put back.
const LOST: &str = "the store of what was signed was put back from a copy";

/// How long what has ended is still listed.
const KEPT: time::Duration = time::Duration::days(30);

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// Which store it is: a random number.
    #[serde(default)]
    id: String,
    /// How often it was written.
    #[serde(default)]
    pub(crate) writes: u64,
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
    /// Which write of the store has it first: of two certificates of one second, the later.
    #[serde(default)]
    pub(crate) write: u64,
}

impl Issued {
    /// The order in which certificates were signed.
    pub(crate) fn order(&self) -> (OffsetDateTime, u64) {
        (
            self.issued,
            self.under.as_ref().map_or(0, |under| under.write),
        )
    }

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
    /// The digest of what hosts trusted when it was armed, and what it installs by does.
    #[serde(default)]
    pub(crate) trusted: String,
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
    directory: PathBuf,
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

    /// Returns what is known of a later store, which this one was put in the place of.
    fn later_record(&self, directory: &Path) -> Result<Option<WriteRecord>> {
        let record = WriteRecord::load(directory)?;
        Ok(record.filter(|record| record.store == self.id && record.writes > self.writes))
    }

    /// Says what is lost where this store was put back from a copy; `None` where it is the last one.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(crate) fn loss(&self, directory: &Path) -> Result<Option<String>> {
        let record = self.later_record(directory)?;
        Ok(record.map(|record| self.loss_since(&record)))
    }

    fn loss_since(&self, record: &WriteRecord) -> String {
        format!(
            "{LOST}: {} changes until {} are missing: revoke again what was revoked, arm again who is armed, and let hosts that \
             enrolled since do so again",
            record.writes - self.writes,
            stamp(record.time)
        )
    }

    /// Goes on with a store that was put back: whoever was armed may have enrolled since, and does not by the same secret.
    fn restore(&mut self, record: &WriteRecord) {
        self.armed.retain(|_, arming| arming.used.is_some());
        self.alarm(Alarm {
            time: record.time,
            node: "the store".to_owned(),
            from: "a copy".to_owned(),
            what: self.loss_since(record),
            count: 1,
        });
        self.writes = record.writes;
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
        let mut store = Store::load(directory)?;
        if let Some(record) = store.later_record(directory)? {
            store.restore(&record);
        }
        Ok(Self {
            store,
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// Writes the store.
    ///
    /// # Errors
    /// When it cannot be written; what was there stays.
    pub(crate) fn write(&mut self, now: OffsetDateTime) -> Result<()> {
        let store = &mut self.store;
        store.prune(now);
        if store.id.is_empty() {
            store.id = hex(&random::<16>()?);
        }
        store.writes += 1;
        let record = WriteRecord {
            store: store.id.clone(),
            writes: store.writes,
            time: now,
        };
        let text = serde_json::to_string_pretty(store).context("writing the store")?;
        let path = self.directory.join("store.json");
        replace::write(&path, (text + "\n").as_bytes(), 0o600)?;
        record.write(&self.directory)
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
            trusted: String::new(),
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
        let site = tempfile::tempdir().unwrap();
        let dir = site.path().join("trust");
        std::fs::create_dir(&dir).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let mut open = OpenStore::open(&dir).unwrap();
        open.store.armed.insert("n1".to_owned(), arming(now));
        open.write(now).unwrap();
        let mode = dir
            .join("store.json")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(Store::load(&dir).unwrap(), open.store);
        std::fs::write(dir.join("store.json"), "{\"armed\":").unwrap();
        let error = format!("{:#}", Store::load(&dir).unwrap_err());
        assert!(
            error.starts_with(&format!("reading {}", dir.join("store.json").display())),
            "{error}"
        );
    }
    #[test]
    fn a_store_that_was_put_back_arms_nobody_and_says_what_is_lost() {
        let site = tempfile::tempdir().unwrap();
        let dir = site.path().join("trust");
        std::fs::create_dir(&dir).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
        let mut open = OpenStore::open(&dir).unwrap();
        open.store.armed.insert("n1".to_owned(), arming(now));
        open.write(now).unwrap();
        drop(open);
        let copy = std::fs::read(dir.join("store.json")).unwrap();
        let record = std::fs::read(site.path().join("trust-record.json")).unwrap();
        for _ in 0..2 {
            let mut open = OpenStore::open(&dir).unwrap();
            open.write(now).unwrap();
        }
        let lost = |store: &Store| store.loss(&dir).unwrap();
        assert_eq!(lost(&Store::load(&dir).unwrap()), None);

        std::fs::write(dir.join("store.json"), &copy).unwrap();
        let why = "the store of what was signed was put back from a copy: 2 changes until 2024-10-04T00:00:00Z are missing: \
                   revoke again what was revoked, arm again who is armed, and let hosts that enrolled since do so again";
        assert_eq!(lost(&Store::load(&dir).unwrap()), Some(why.to_owned()));
        let mut open = OpenStore::open(&dir).unwrap();
        assert!(open.store.armed.is_empty());
        assert_eq!(open.store.alarms[0].what, why);
        open.write(now).unwrap();
        drop(open);
        // once: the next one goes on from there
        let store = Store::load(&dir).unwrap();
        assert_eq!((lost(&store), store.alarms.len()), (None, 1));
        // A run that was cut off before the record was written had written the store: nothing is lost.
        std::fs::write(site.path().join("trust-record.json"), &record).unwrap();
        assert_eq!(lost(&store), None);
    }
}
