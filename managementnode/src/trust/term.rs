//! Terms and points in time.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

/// How long something is valid: `90m`, `12h`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Validity(Duration);

impl Validity {
    /// A term of so many hours.
    pub(crate) const fn hours(hours: i64) -> Self {
        Self(Duration::hours(hours))
    }

    /// Returns the time after the term.
    pub(crate) fn after(self, now: OffsetDateTime) -> OffsetDateTime {
        now + self.0
    }
}

impl FromStr for Validity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = || format!("'{text}' is no term: expected one such as 90m, 12h or 30d");
        let unit = text.chars().last().with_context(expected)?;
        let seconds = match unit {
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => bail!(expected()),
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            bail!(expected());
        }
        let count: i64 = digits
            .parse()
            .ok()
            .filter(|count| *count > 0)
            .with_context(expected)?;
        let seconds = count
            .checked_mul(seconds)
            .filter(|seconds| *seconds <= 100 * 366 * 86400);
        Ok(Self(Duration::seconds(seconds.with_context(expected)?)))
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.whole_minutes();
        match minutes {
            m if m % 1440 == 0 => write!(f, "{}d", m / 1440),
            m if m % 60 == 0 => write!(f, "{}h", m / 60),
            m => write!(f, "{m}m"),
        }
    }
}

/// Returns the time, in whole seconds: certificates hold no more.
pub(crate) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// Writes a point in time: `2026-11-28T09:00:00Z`.
pub(crate) fn stamp(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    utc.format(&Rfc3339)
        .unwrap_or_else(|_| utc.unix_timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_a_number_with_its_unit() {
        for (text, shown) in [
            ("90m", "90m"),
            ("12h", "12h"),
            ("24h", "1d"),
            ("30d", "30d"),
            ("060m", "1h"),
        ] {
            assert_eq!(text.parse::<Validity>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "h",
            "12",
            "-1h",
            "+1h",
            "0h",
            "1.5h",
            "12 h",
            "1y",
            "99999999999999d",
            "1é",
        ] {
            assert_eq!(
                text.parse::<Validity>().unwrap_err().to_string(),
                format!("'{text}' is no term: expected one such as 90m, 12h or 30d")
            );
        }
        assert_eq!(stamp(OffsetDateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
