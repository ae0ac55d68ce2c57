//! Which hosts have what they need, by what they confirmed: `enrol` on a host says so by the certificate that it has in use.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::state::Stage;
use crate::trust::cli::IssuePurpose;
use crate::trust::store::{Issued, Store};

/// What the site's hosts are to have.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) stage: Stage,
    /// The digest of the new authorities' certificates: that of hosts, that of clients.
    pub(super) new: [&'a str; 2],
    /// The digest of the roots and the keys of trees that hosts get.
    pub(super) roots: &'a str,
}

/// Who has it, and who has not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) moved: BTreeSet<String>,
    pub(super) waiting: BTreeSet<String>,
    /// Clients whose certificates would count no more.
    pub(super) clients: BTreeSet<String>,
    /// Nodes that are armed, and install by what counts no more then.
    pub(super) armed: BTreeSet<String>,
    /// Nodes that boot what counts no more then.
    pub(super) booting: BTreeSet<String>,
    /// What else the administrator has to do before it goes on.
    pub(super) steps: Vec<String>,
}

impl Progress {
    /// Looks at what is valid now.
    pub(super) fn of(store: &Store, target: &Target<'_>, now: OffsetDateTime) -> Self {
        let mut progress = Self::default();
        for (host, certificates) in by_name(store, IssuePurpose::Node, now) {
            if target.is_met_by(&certificates) {
                progress.moved.insert(host.to_owned());
            } else {
                progress.waiting.insert(host.to_owned());
            }
        }
        for (client, certificates) in by_name(store, IssuePurpose::Client, now) {
            let newest = certificates.iter().max_by_key(|issued| issued.order());
            let is_new = newest.is_some_and(|issued| issued.is_under(target.new[1]));
            let counts = match target.stage {
                Stage::Switched => is_new,
                Stage::Returning => !is_new,
                _ => true,
            };
            if !counts {
                progress.clients.insert(client.to_owned());
            }
        }
        let armed = store.armed.iter().filter(|(_, arming)| {
            arming.used.is_none() && arming.until > now && arming.trusted != target.roots
        });
        progress.armed = armed.map(|(node, _)| node.clone()).collect();
        progress
    }

    /// Lists who is waited for, but for those who are left behind.
    pub(super) fn missing(&self, left: &BTreeSet<String>) -> Vec<String> {
        let all = [&self.waiting, &self.clients, &self.armed, &self.booting];
        let all: BTreeSet<_> = all.into_iter().flatten().collect();
        all.into_iter()
            .filter(|name| !left.contains(*name))
            .cloned()
            .collect()
    }

    /// Whether the next stage may begin.
    pub(super) fn is_complete(&self, left: &BTreeSet<String>) -> bool {
        self.steps.is_empty() && self.missing(left).is_empty()
    }
}

impl Target<'_> {
    fn is_met_by(&self, certificates: &[&Issued]) -> bool {
        let under_new = |issued: &&Issued| issued.is_under(self.new[0]);
        let confirmed = certificates
            .iter()
            .copied()
            .filter(|issued| issued.is_confirmed());
        let last = |issued: Option<&Issued>| issued.map(|issued| issued.order());
        match self.stage {
            Stage::Distributing => confirmed
                .max_by_key(|issued| issued.order())
                .is_some_and(|issued| issued.has_roots(self.roots)),
            Stage::Switched => confirmed
                .max_by_key(|issued| issued.order())
                .is_some_and(|issued| under_new(&issued)),
            // Whoever never had a new one has nothing to come back from.
            Stage::Returning => {
                let had = certificates.iter().copied().filter(under_new);
                let had = last(had.max_by_key(|issued| issued.order()));
                let old = confirmed.filter(|issued| !under_new(issued));
                had.is_none() || last(old.max_by_key(|issued| issued.order())) >= had
            }
            Stage::DroppingOld | Stage::DroppingNew => true,
        }
    }
}

fn by_name(
    store: &Store,
    purpose: IssuePurpose,
    now: OffsetDateTime,
) -> BTreeMap<&str, Vec<&Issued>> {
    let mut found = BTreeMap::<&str, Vec<&Issued>>::new();
    for issued in store.issued.values() {
        let is_valid = issued.revoked.is_none() && issued.until > now;
        if is_valid && issued.purpose == purpose.name() {
            found.entry(&issued.name).or_default().push(issued);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::trust::store::Under;

    #[test]
    fn a_host_has_what_its_last_confirmed_certificate_says() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        // authority, roots, whether it is confirmed; in the order in which they were signed
        type Case<'a> = (Stage, &'a [(&'a str, &'a str, bool)], bool);
        let cases: &[Case<'_>] = &[
            (Stage::Distributing, &[("old", "one", true)], false),
            (Stage::Distributing, &[("old", "both", false)], false),
            (Stage::Distributing, &[("old", "both", true)], true),
            // an answer that was lost takes nothing back
            (
                Stage::Distributing,
                &[("old", "both", true), ("old", "both", false)],
                true,
            ),
            (Stage::Switched, &[("old", "both", true)], false),
            (
                Stage::Switched,
                &[("old", "both", true), ("new", "both", false)],
                false,
            ),
            (
                Stage::Switched,
                &[("old", "both", true), ("new", "both", true)],
                true,
            ),
            (Stage::Returning, &[("old", "both", true)], true),
            (
                Stage::Returning,
                &[("old", "both", true), ("new", "both", false)],
                false,
            ),
            (
                Stage::Returning,
                &[("new", "both", true), ("old", "both", false)],
                false,
            ),
            (
                Stage::Returning,
                &[("new", "both", true), ("old", "both", true)],
                true,
            ),
        ];
        for (stage, certificates, expected) in cases {
            let mut store = Store::default();
            for (at, (authority, roots, confirmed)) in certificates.iter().enumerate() {
                let issued = Issued {
                    name: "n1".to_owned(),
                    purpose: "node".to_owned(),
                    issued: now,
                    until: now + Duration::days(30),
                    revoked: None,
                    under: Some(Under {
                        authority: (*authority).to_owned(),
                        roots: (*roots).to_owned(),
                        confirmed: *confirmed,
                        write: at as u64,
                    }),
                };
                store.issued.insert(at.to_string(), issued);
            }
            let target = Target {
                stage: *stage,
                new: ["new", "new clients"],
                roots: "both",
            };
            let progress = Progress::of(&store, &target, now);
            assert_eq!(
                progress.moved.contains("n1"),
                *expected,
                "{stage:?} {certificates:?}"
            );
            assert_eq!(progress.waiting.contains("n1"), !*expected);
            // what has ended, or is revoked, is waited for no more
            let later = Progress::of(&store, &target, now + Duration::days(31));
            assert_eq!(later, Progress::default());
        }
    }
}
