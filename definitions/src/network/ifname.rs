//! Names of network interfaces, by the kernel's own rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The name of a network interface: `eth0`, `mydocker0`, `bond0.5`.
///
/// The rule is the kernel's (`dev_valid_name` in net/core/dev.c): 1 to 15 bytes, neither `.` nor `..`,
/// no `/`, no `:` and no white space. `%` is refused too: the kernel takes it for a pattern to number
/// interfaces by, so that no interface has it in its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

impl IfName {
    /// The longest name in bytes: IFNAMSIZ without the closing NUL.
    pub const MAX: usize = 15;

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IfName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |c: char| {
            matches!(c, '/' | ':' | '%' | '\0' | '\u{b}' | '\u{a0}') || c.is_ascii_whitespace()
        };
        let length = 1..=Self::MAX;
        if !length.contains(&text.len()) || matches!(text, "." | "..") || text.contains(refused) {
            return Err(Error::invalid(
                "the name of a network interface",
                text,
                "1 to 15 bytes without '/', ':', '%' and white space",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for IfName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IfName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_takes_are_names() {
        for name in [
            "eth0",
            "mydocker0",
            "bond0.5",
            "enp0s31f6",
            "a",
            "fifteen-bytes-1",
            "...",
            "ü",
        ] {
            assert_eq!(name.parse::<IfName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn names_that_the_kernel_refuses_are_errors() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a:1",
            "sixteen-bytes-16",
            "a b",
            "a\tb",
            "a\nb",
            "a\u{b}b",
            "a\0",
            "eth%d",
            "a\u{a0}",
            "üüüüüüüü",
        ] {
            let message = name.parse::<IfName>().unwrap_err().to_string();
            assert_eq!(
                message,
                format!(
                    "'{name}' is not the name of a network interface: expected 1 to 15 bytes \
                     without '/', ':', '%' and white space"
                )
            );
        }
    }
}
