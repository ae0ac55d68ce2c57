//! When a certificate is followed by another, and the timer that asks.
//!
//! The point between 50 and 80 % of a certificate's life is read from the certificate itself, so that hosts that enrolled
//! together do not come back together, and no state is kept. Reference: systemd.timer(5).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use definitions::{EnrolmentOrder, Runlist};
use time::OffsetDateTime;

use crate::files::{self, load_text, under_root};
use crate::tls::CertificateInfo;

const UNITS: &str = "/etc/systemd/system";
const NAME: &str = "slipway-enrol";

/// Says whether it is time for the next certificate.
pub(super) fn is_due(certificate: &CertificateInfo, now: OffsetDateTime) -> bool {
    let life = certificate.not_after - certificate.not_before;
    // the first digits of a digest are as good as random, and the same at each run
    let share = u32::from_str_radix(&certificate.sha256()[..8], 16).unwrap_or_default();
    let part = 0.5 + 0.3 * f64::from(share) / f64::from(u32::MAX);
    now >= certificate.not_before + life * part
}

/// Has systemd run this program every hour.
pub(super) fn apply(root: &Path) -> Result<()> {
    let homes = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    let has_systemd = homes
        .iter()
        .any(|home| under_root(root, Path::new(home)).exists());
    if !has_systemd {
        error_line!(
            "enrol: there is no systemd on this system: have its own scheduler run {}/{} every hour",
            Runlist::PROGRAMS,
            EnrolmentOrder::PROGRAM
        );
        return Ok(());
    }
    let units = under_root(root, Path::new(UNITS));
    let link = units.join(format!("timers.target.wants/{NAME}.timer"));
    files::ensure_dir(&units.join("timers.target.wants"), 0o755)?;
    let mut changed = false;
    for (kind, text) in [("service", service()), ("timer", timer())] {
        let path = units.join(format!("{NAME}.{kind}"));
        if load_text(&path)?.as_deref() != Some(&text) {
            files::replace(&path, text.as_bytes(), 0o644)
                .with_context(|| format!("writing {}", path.display()))?;
            changed = true;
        }
    }
    let target = format!("{UNITS}/{NAME}.timer");
    if !fs::read_link(&link).is_ok_and(|there| there.as_os_str() == target.as_str()) {
        files::remove(&link)
            .and_then(|()| symlink(&target, &link))
            .with_context(|| format!("linking {}", link.display()))?;
        changed = true;
    }
    if changed {
        super::sshd::systemctl(root, &["daemon-reload"])?;
    }
    // also where a run before was cut off here; one that runs is left alone
    super::sshd::systemctl(root, &["start", &format!("{NAME}.timer")])
}

fn service() -> String {
    format!(
        "# Written by 'enrol'.
[Unit]
Description=The next certificate of this host, when it is time
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={}/{}
TimeoutStartSec=900
",
        Runlist::PROGRAMS,
        EnrolmentOrder::PROGRAM
    )
}

fn timer() -> String {
    "# Written by 'enrol'.
[Unit]
Description=Asks every hour whether this host needs its next certificate

[Timer]
OnCalendar=hourly
RandomizedDelaySec=3600
Persistent=true

[Install]
WantedBy=timers.target
"
    .to_owned()
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::tls::{AUTHORITY_LIFE, LocalAuthority};

    #[test]
    fn certificates_are_followed_between_half_and_four_fifths_of_their_life_and_not_at_once() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let mut points = Vec::new();
        for number in 0..20 {
            let (authority, _) = LocalAuthority::create(&number.to_string(), now).unwrap();
            let pem = authority.chain().next().unwrap().to_owned();
            let certificate = CertificateInfo::parse(&pem).unwrap();
            let life = certificate.not_after - certificate.not_before;
            assert!(life > AUTHORITY_LIFE);
            let at = |percent: u32| certificate.not_before + life * percent / 100;
            assert!(!is_due(&certificate, at(49)) && is_due(&certificate, at(81)));
            points.push((50..=80).find(|percent| is_due(&certificate, at(*percent))));
            assert!(is_due(
                &certificate,
                certificate.not_after + Duration::days(1)
            ));
        }
        points.sort();
        points.dedup();
        assert!(points.len() > 3, "{points:?}");
    }
}
