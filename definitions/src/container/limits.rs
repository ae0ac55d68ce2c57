//! How much of a host a container may use, and what becomes of it when it ends.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How many processors a container may use, or which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpuLimit {
    /// As much time as so many have: thousand millionths of one.
    Count {
        /// As it was given: `1.5`.
        text: String,
        /// In thousand millionths, as engines count.
        nano: u64,
    },
    /// These and no others, by number: `0-3`, `0,2`, `2-2`.
    Set(String),
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { text, .. } | Self::Set(text) => f.pad(text),
        }
    }
}

impl FromStr for CpuLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = if text.contains(['-', ',']) {
            is_cpuset(text).then(|| Self::Set(text.to_owned()))
        } else {
            nano(text).map(|nano| Self::Count {
                text: text.to_owned(),
                nano,
            })
        };
        parsed.ok_or_else(|| {
            let expected = "how many, such as 2 or 1.5, or which, such as 0-3, 0,2 or 2-2";
            Error::invalid("a number of processors", text, expected)
        })
    }
}

/// Reads `1.5` as thousand millionths; nothing below a hundredth, which engines refuse.
fn nano(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 100_000)?;
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    Some(whole * 1_000_000_000 + part).filter(|nano| *nano >= 10_000_000)
}

fn is_cpuset(text: &str) -> bool {
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first <= last,
            _ => false,
        }
    })
}

/// An amount of memory: `512M`, `2g`; a number alone is MiB, as xCAT's users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemorySize {
    text: String,
    bytes: u64,
}

impl MemorySize {
    /// The least that engines grant.
    const LEAST: u64 = 6 << 20;

    /// Returns the bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for MemorySize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let lower = text.to_ascii_lowercase();
        let unit = lower.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &lower[..lower.len() - unit.len()];
        let shift = match unit {
            "b" => Some(0),
            "k" | "kb" | "kib" => Some(10),
            "" | "m" | "mb" | "mib" => Some(20),
            "g" | "gb" | "gib" => Some(30),
            "t" | "tb" | "tib" => Some(40),
            _ => None,
        };
        let bytes = number.parse::<u64>().ok().zip(shift);
        let bytes = bytes.and_then(|(number, shift)| number.checked_mul(1 << shift));
        let known = bytes.filter(|bytes| (Self::LEAST..=1 << 50).contains(bytes));
        let bytes = known.ok_or_else(|| {
            let expected = "a number with k, m, g or t, such as 512M or 2g, of at least 6M; a number alone is MiB";
            Error::invalid("an amount of memory", text, expected)
        })?;
        let text = text.to_owned();
        Ok(Self { text, bytes })
    }
}

/// What becomes of a container that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// It stays as it is.
    No,
    /// It is started again, also when the engine starts.
    Always,
    /// The same, unless somebody stopped it.
    UnlessStopped,
    /// It is started again when it failed, so often at most where a number is given.
    OnFailure(Option<u32>),
}

impl RestartPolicy {
    /// Returns the name that engines have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure(_) => "on-failure",
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure(Some(times)) => write!(f, "on-failure:{times}"),
            policy => f.pad(policy.name()),
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let times = text.strip_prefix("on-failure:");
        match (text, times.map(str::parse)) {
            ("no", _) => Ok(Self::No),
            ("always", _) => Ok(Self::Always),
            ("unless-stopped", _) => Ok(Self::UnlessStopped),
            ("on-failure", _) => Ok(Self::OnFailure(None)),
            (_, Some(Ok(times))) => Ok(Self::OnFailure(Some(times))),
            _ => {
                let expected = "no, always, unless-stopped or on-failure[:TIMES]";
                Err(Error::invalid("a restart policy", text, expected))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_processors_and_a_set_of_them_are_told_apart() {
        for (text, expected) in [
            ("1", Some(1_000_000_000)),
            ("1.5", Some(1_500_000_000)),
            ("0.01", Some(10_000_000)),
        ] {
            let parsed = text.parse().unwrap();
            let nano = match parsed {
                CpuLimit::Count { nano, .. } => Some(nano),
                CpuLimit::Set(_) => None,
            };
            assert_eq!(nano, expected, "{text}");
        }
        for text in ["0-3", "0,2", "2-2", "0-1,4"] {
            assert_eq!(text.parse(), Ok(CpuLimit::Set(text.to_owned())));
        }
        for text in [
            "", "-3", "0", "0.001", "3-1", "1,,2", "a", "1.", ".5", "1e3",
        ] {
            assert!(text.parse::<CpuLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn memory_has_a_unit_and_is_mib_without() {
        for (text, bytes) in [
            ("4096", 4096 << 20),
            ("512M", 512 << 20),
            ("2g", 2 << 30),
            ("1GiB", 1 << 30),
            ("6291456b", 6 << 20),
        ] {
            let memory: MemorySize = text.parse().unwrap();
            assert_eq!((memory.bytes(), &*memory.to_string()), (bytes, text));
        }
        for text in ["", "lots", "5m", "-1g", "1x", "99999999999t", "1.5g"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_policy_prints_as_it_is_read() {
        for text in [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:3",
        ] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for text in ["", "never", "on-failure:", "on-failure:-1", "always:3"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }
}
