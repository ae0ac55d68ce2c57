//! Versions of the Engine API: `1.41`.

use std::fmt;
use std::str::FromStr;

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    /// The oldest that is spoken: engines of 2016.
    pub(crate) const OLDEST: Self = Self::new(1, 24);
    /// The newest that is spoken: engines of 2026.
    pub(crate) const NEWEST: Self = Self::new(1, 55);
    /// The first that asks a registry what a tag means.
    pub(crate) const DISTRIBUTION: Self = Self::new(1, 30);
    /// The first that takes the hardware address with the endpoint, and several networks at once.
    pub(crate) const ENDPOINT_SETTINGS: Self = Self::new(1, 44);

    /// Makes a version.
    pub(crate) const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Chooses what is spoken with an engine whose newest version is this one; `None` where it is too old.
    pub(crate) fn spoken(self) -> Option<Self> {
        (self >= Self::OLDEST).then_some(self.min(Self::NEWEST))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let number = |digits: &str| digits.parse().map_err(drop);
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_spoken_with_in_its_own_version_up_to_the_newest_known() {
        for (newest, spoken) in [
            ("1.23", None),
            ("1.24", Some("1.24")),
            ("1.41", Some("1.41")),
            ("1.55", Some("1.55")),
            ("1.99", Some("1.55")),
            ("2.0", Some("1.55")),
        ] {
            let version: ApiVersion = newest.parse().unwrap();
            let spoken: Option<ApiVersion> = spoken.map(|text| text.parse().unwrap());
            assert_eq!(version.spoken(), spoken, "{newest}");
        }
        for text in ["", "1", "1.", ".4", "1.4.1", "one.two", "1.70000"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
