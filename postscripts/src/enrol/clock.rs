//! The time, from the site, for a host whose clock is not set: without it no certificate is valid, or each has ended.
//!
//! Whoever says it has the key of a certificate below the root that is pinned, and the time that it says is one at which that
//! certificate is valid: nobody else can move this host's clock, and nobody at all beyond that certificate's term.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};
use time::{Duration, OffsetDateTime};

use crate::tls_client::CertificateTerm;

/// Clocks that are not further off are left alone.
const TOLERANCE: Duration = Duration::minutes(1);

/// Returns by how much this host's clock is behind what the site says, in seconds since 1970.
///
/// # Errors
/// When that is no time at which the site's certificate is valid.
pub(super) fn offset(said: &[u8], term: &CertificateTerm, now: OffsetDateTime) -> Result<Duration> {
    let said = std::str::from_utf8(said).ok();
    let said = said.and_then(|said| said.trim().parse::<i64>().ok());
    let said = said.and_then(|said| OffsetDateTime::from_unix_timestamp(said).ok());
    let said = said.context("the answer of slipwayd has no time")?;
    if said < term.from || said > term.until {
        bail!(
            "slipwayd says that it is {said}, and its certificate is valid from {} until {}: set the clock of the management \
             node",
            term.from,
            term.until
        );
    }
    let offset = said - now;
    Ok(if offset.abs() <= TOLERANCE {
        Duration::ZERO
    } else {
        offset
    })
}

/// Sets this host's clock, if it is this host's that is worked on; returns by how much it is still behind.
pub(super) fn correct(root: &Path, offset: Duration) -> Duration {
    if offset.is_zero() {
        return offset;
    }
    let way = if offset.is_negative() {
        "ahead of"
    } else {
        "behind"
    };
    let seconds = offset.whole_seconds();
    output_line!(
        "the clock of this host is {} s {way} the site's",
        seconds.abs()
    );
    if root != Path::new("/") {
        return offset;
    }
    let right = OffsetDateTime::now_utc() + offset;
    match clock_settime(
        ClockId::CLOCK_REALTIME,
        TimeSpec::new(right.unix_timestamp(), 0),
    ) {
        Ok(()) => Duration::ZERO,
        Err(error) => {
            error_line!(
                "enrol: setting the clock: {error}: set it, or certificates of this host are not valid to it"
            );
            offset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_the_site_s_while_its_certificate_is_valid() {
        let at = |days: i64| OffsetDateTime::UNIX_EPOCH + Duration::days(days);
        let term = CertificateTerm {
            from: at(20_000),
            until: at(20_397),
        };
        let said = |days: i64| at(days).unix_timestamp().to_string();
        let offset = |said: &str, now| {
            offset(said.as_bytes(), &term, now).map_err(|error| error.to_string())
        };
        for (now, expected) in [
            (at(20_100), Duration::ZERO),
            (at(20_100) + Duration::seconds(60), Duration::ZERO),
            (at(20_100) + Duration::seconds(61), Duration::seconds(-61)),
            (at(0), Duration::days(20_100)),
            (at(40_000), Duration::days(-19_900)),
        ] {
            assert_eq!(offset(&(said(20_100) + "\n"), now), Ok(expected));
        }
        for days in [19_999, 20_398] {
            let why = offset(&said(days), at(0)).unwrap_err();
            assert!(
                why.ends_with(": set the clock of the management node"),
                "{why}"
            );
        }
        for text in ["", "x", "99999999999999999999"] {
            assert_eq!(
                offset(text, at(0)),
                Err("the answer of slipwayd has no time".to_owned())
            );
        }
    }
}
