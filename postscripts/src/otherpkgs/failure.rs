//! Why a package manager cannot read repositories, from what it printed, and what to do about it.

use time::OffsetDateTime;

/// It could not be done now, and another try may help: firstboot makes one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct RetryLater(pub(super) String);

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The repository cannot be reached.
    Offline,
    /// It is newer than this node's clock.
    Clock,
    /// It has expired.
    Expired,
    /// No known key signs it.
    Key,
    Other,
}

/// Words of package managers, in the C locale. What comes first counts most: apt says of an index that is too
/// new for its clock, and of one that is too old, also that it is not signed.
const PATTERNS: [(FailureKind, &[&str]); 4] = [
    (
        FailureKind::Offline,
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
        FailureKind::Clock,
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
        FailureKind::Expired,
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
        FailureKind::Key,
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

impl FailureKind {
    pub(super) fn of(problem: &str) -> Self {
        let kind = PATTERNS
            .iter()
            .find(|(_, signs)| signs.iter().any(|sign| problem.contains(sign)));
        kind.map_or(Self::Other, |(kind, _)| *kind)
    }

    /// Says whether another try may succeed.
    pub(super) fn is_temporary(self) -> bool {
        matches!(self, Self::Offline | Self::Clock)
    }

    /// Says what to do, to be appended to what the package manager printed; `keyed`: the definition names a key
    /// of every repository; `key_option`: the option that does.
    pub(super) fn advice(self, keyed: bool, key_option: &str) -> String {
        match self {
            Self::Clock => format!(
                ": the clock of this node is slow: it shows {}: synchronise its time (chrony, \
                 systemd-timesyncd), then run this again",
                now()
            ),
            Self::Expired => format!(
                ": the repository has to be renewed, or its key, unless the clock of this node is fast: it \
                 shows {}",
                now()
            ),
            Self::Key if keyed => {
                ": another key than the one of otherpkgdir signs it, or none does: name \
                                   the right one there, or set [trusted=yes]"
                    .to_owned()
            }
            Self::Key => format!(
                ": name its key with [{key_option}=PATH] in otherpkgdir, or set [trusted=yes] there"
            ),
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
    fn failures_are_recognised_by_what_package_managers_print() {
        for (problem, expected) in [
            (
                "http://a/deb: Could not connect to a:80 (10.1.0.2). - connect (111: Connection refused)",
                FailureKind::Offline,
            ),
            (
                "Release file for http://a/deb/dists/stable/InRelease is not valid yet (invalid for another 2h \
                 59min 50s). Updates for this repository will not be applied.",
                FailureKind::Clock,
            ),
            (
                "https://a/deb: SSL certificate problem: certificate is not yet valid",
                FailureKind::Clock,
            ),
            (
                "The certificate chain uses not yet valid certificate.",
                FailureKind::Clock,
            ),
            (
                "http://a/deb: Sub-process /usr/bin/sqv returned an error code (1), error message is: Verifying \
                 signature: Not live until 2026-11-28T06:00:00Z",
                FailureKind::Clock,
            ),
            (
                "gpg: key 0123 was created 10800 seconds in the future (time warp or clock problem)",
                FailureKind::Clock,
            ),
            (
                "Release file for http://a/deb is expired (invalid since 24h 0min 0s).",
                FailureKind::Expired,
            ),
            (
                "GPG error: http://a/deb stable InRelease: The following signatures were invalid: EXPKEYSIG 0123 x",
                FailureKind::Expired,
            ),
            (
                "The repository 'http://a/deb stable InRelease' is not signed.",
                FailureKind::Key,
            ),
            ("Error: GPG check FAILED", FailureKind::Key),
            ("Unable to locate package x", FailureKind::Other),
        ] {
            assert_eq!(FailureKind::of(problem), expected, "{problem}");
        }
    }
}
