//! Names of distribution releases, in xCAT's form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A release of a distribution as xCAT names it: family and version in one word, such as
/// `ubuntu24.04.3`, `rocky9.4`, `centos-stream9`, `sle15.4`.
///
/// It names a directory under the install directory, so it holds letters, digits, `.`, `+`, `_` and
/// `-` only, begins with a letter and has at most 64 bytes. The version begins with the first digit, or
/// is one of the words that releases without a number go by, which a word more may follow: `debiantesting`,
/// `fedorarawhide.ostree`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Distro {
    name: String,
    /// Bytes of `name` that are the family; the version is the rest.
    family: usize,
}

/// What takes the place of a version where there is no number yet, or never will be.
const ROLLING: &[&str] = &["testing", "rawhide", "eln", "tumbleweed"];

impl Distro {
    /// Joins a family (`rocky`) and a version (`9.4`).
    ///
    /// # Errors
    /// When the two together are no [`Distro`], or when the family holds a digit.
    pub fn new(family: &str, version: &str) -> Result<Self, Error> {
        let distro: Self = format!("{family}{version}").parse()?;
        if distro.family() != family {
            return Err(Error::invalid(
                "a distribution family",
                family,
                "letters and '-', without a digit",
            ));
        }
        Ok(distro)
    }

    /// Returns the whole name: `rocky9.4`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns what is before the version: `rocky`.
    pub fn family(&self) -> &str {
        &self.name[..self.family]
    }

    /// Returns the version: `9.4`, or a word such as `testing`.
    pub fn version(&self) -> &str {
        &self.name[self.family..]
    }

    /// Returns the first part of the version: `9`.
    pub fn major(&self) -> &str {
        let version = self.version();
        version
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .filter(|major| !major.is_empty())
            .unwrap_or(version)
    }
}

impl FromStr for Distro {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let expected = "a family and a version such as 'rocky9.4' or 'ubuntu24.04.3'";
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '_' | '-');
        let rolling = || {
            ROLLING.iter().find_map(|word| {
                let at = text.rfind(word)?;
                let rest = &text[at + word.len()..];
                (rest.is_empty() || rest.starts_with('.')).then_some(at)
            })
        };
        let family = text
            .find(|c: char| c.is_ascii_digit())
            .or_else(rolling)
            .unwrap_or(0);
        let begins_with_letter = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if family == 0 || !begins_with_letter || text.len() > 64 || !text.chars().all(allowed) {
            return Err(Error::invalid("a distribution release", text, expected));
        }
        Ok(Self {
            name: text.to_owned(),
            family,
        })
    }
}

impl fmt::Display for Distro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl TryFrom<String> for Distro {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Distro> for String {
    fn from(distro: Distro) -> Self {
        distro.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_and_version_part_at_the_first_digit() {
        for (name, family, version, major) in [
            ("ubuntu24.04.3", "ubuntu", "24.04.3", "24"),
            ("centos-stream9", "centos-stream", "9", "9"),
            ("sle15.4", "sle", "15.4", "15"),
            ("rhels7.6-alternate", "rhels", "7.6-alternate", "7"),
            ("debiantesting", "debian", "testing", "testing"),
            ("opensusetumbleweed", "opensuse", "tumbleweed", "tumbleweed"),
        ] {
            let distro: Distro = name.parse().unwrap();
            assert_eq!(
                (distro.family(), distro.version(), distro.major()),
                (family, version, major)
            );
            assert_eq!(Distro::new(family, version).unwrap(), distro);
        }
    }

    #[test]
    fn a_name_that_could_leave_its_directory_is_refused() {
        for name in [
            "",
            "9.4",
            "rocky",
            "testing",
            "../rocky9",
            "rocky9/4",
            "rocky 9",
            "-rocky9",
        ] {
            assert!(name.parse::<Distro>().is_err(), "{name}");
        }
    }
}
