//! What kind of trouble a package manager has with repositories, read off its words, and what to do about it.

use time::OffsetDateTime;

/// It could not be done now, and another try may help: firstboot makes one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Later(pub(super) String);

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The repository cannot be reached.
    Offline,
    /// It is from a time that this node's clock has not reached.
    Clock,
    /// It was good until a time that is over.
    Expired,
    /// No key vouches for it.
    Key,
    Other,
}

/// Words of package managers, in the C locale. What comes first counts most: apt says of an index that is too
/// new for its clock, and of one that is too old, also that it is not signed.
const SIGNS: [(Trouble, &[&str]); 4] = [
    (
        Trouble::Offline,
        &[
            "Could not connect",
            "Connection failed",
            "Connection refused",
            "Connection timed out",
            "Could not resolve",
            "Couldn't resolve host",
            "Temporary failure resolving",
            "Network is unreachable",
            "Timeout was reached",
            "Failed to connect",
        ],
    ),
    (
        Trouble::Clock,
        &[
            "not valid yet",
            "not yet valid",
            "Not live until",
            "not yet activated",
            "in the future",
            "clock problem",
        ],
    ),
    (
        Trouble::Expired,
        &[
            "is expired",
            "has expired",
            "EXPKEYSIG",
            "KEYEXPIRED",
            "expired certificate",
            "key expired",
            "expired on",
        ],
    ),
    (
        Trouble::Key,
        &[
            "unknown key",
            "is unsigned",
            "Signature verification failed",
            "is not signed",
            "NO_PUBKEY",
            "couldn't be verified",
            "GPG",
            "does not have a Release file",
        ],
    ),
];

impl Trouble {
    pub(super) fn of(problem: &str) -> Self {
        let kind = SIGNS
            .iter()
            .find(|(_, signs)| signs.iter().any(|sign| problem.contains(sign)));
        kind.map_or(Self::Other, |(kind, _)| *kind)
    }

    /// Says whether it may go by itself.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::Offline | Self::Clock)
    }

    /// Says what to do, to be put behind what the package manager said; `keyed`: the definition names a key
    /// of every repository.
    pub(super) fn advice(self, keyed: bool) -> String {
        match self {
            Self::Clock => format!(
                ": the clock of this node is behind: it says {}: have its time synchronised (chrony, \
                 systemd-timesyncd), then run this again",
                now()
            ),
            Self::Expired => format!(
                ": the repository has to be renewed, or its key: unless the clock of this node is ahead, \
                 which says {}",
                now()
            ),
            Self::Key if keyed => {
                ": another key than the one of otherpkgdir signs it, or none does: name \
                                   the right one there, or say [trusted=yes]"
                    .to_owned()
            }
            Self::Key => {
                ": name its key with [signed-by=PATH] in otherpkgdir, or say [trusted=yes] there"
                    .to_owned()
            }
            Self::Offline | Self::Other => String::new(),
        }
    }
}

/// Returns the time of this node's clock.
fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (date, time) = (now.date(), now.time());
    format!("{date} {:02}:{:02} UTC", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_apart_by_the_words_of_package_managers() {
        for (problem, expected) in [
            (
                "http://a/deb: Could not connect to a:80 (10.1.0.2). - connect (111: Connection refused)",
                Trouble::Offline,
            ),
            (
                "Release file for http://a/deb/dists/stable/InRelease is not valid yet (invalid for another 2h \
                 59min 50s). Updates for this repository will not be applied.",
                Trouble::Clock,
            ),
            (
                "https://a/deb: SSL certificate problem: certificate is not yet valid",
                Trouble::Clock,
            ),
            (
                "The certificate chain uses not yet valid certificate.",
                Trouble::Clock,
            ),
            (
                "http://a/deb: Sub-process /usr/bin/sqv returned an error code (1), error message is: Verifying \
                 signature: Not live until 2026-11-28T06:00:00Z",
                Trouble::Clock,
            ),
            (
                "gpg: key 0123 was created 10800 seconds in the future (time warp or clock problem)",
                Trouble::Clock,
            ),
            (
                "Release file for http://a/deb is expired (invalid since 24h 0min 0s).",
                Trouble::Expired,
            ),
            (
                "GPG error: http://a/deb stable InRelease: The following signatures were invalid: EXPKEYSIG 0123 x",
                Trouble::Expired,
            ),
            (
                "The repository 'http://a/deb stable InRelease' is not signed.",
                Trouble::Key,
            ),
            ("Error: GPG check FAILED", Trouble::Key),
            ("Unable to locate package x", Trouble::Other),
        ] {
            assert_eq!(Trouble::of(problem), expected, "{problem}");
        }
    }
}
