//! The names of nodes and of groups: what may be in host tables, certificates and node ranges.
//!
//! A text comes in; a name that cannot be wrong goes out. A node's name is a host name by RFC 1123,
//! section 2.1, and RFC 1035, section 2.3.1: labels of 1 to 63 letters, digits and `-`, none of which
//! begins or ends with `-`, 253 characters in all. `_` may be in it, too: hosts that have it are in
//! use, and resolvers and docker's clients take it. What inet_aton(3) reads as an address is no name.

use std::str::FromStr;

use crate::Error;
use crate::hostname::{MAX_LABEL, MAX_NAME, host_name_fault};

/// The longest name of a group.
const MAX_GROUP_LENGTH: usize = 200;

/// Lets a checked text be used as the text that it is.
macro_rules! text {
    ($($name:ident)+) => {$(
        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}
pub(crate) use text;

/// The name of a node: a host name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName(String);

/// The name of a group of nodes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

text! { NodeName GroupName }

impl FromStr for NodeName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let expected = if text.len() > MAX_NAME {
            format!("at most {MAX_NAME} characters")
        } else if host_name_fault(text).is_some() {
            format!(
                "a host name: labels of at most {MAX_LABEL} letters, digits, '-' and '_' that neither begin nor end with \
                 '-', with a '.' between them"
            )
        } else if text.split('.').all(is_number) {
            "a name with a letter in it, for numbers alone are an address".to_owned()
        } else if text.split('.').next_back().is_some_and(is_localhost) {
            "another name, for this one is every machine's own (RFC 6761)".to_owned()
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::invalid("the name of a node", text, expected))
    }
}

impl FromStr for GroupName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if begins && text.len() <= MAX_GROUP_LENGTH && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let expected = format!(
            "at most {MAX_GROUP_LENGTH} letters, digits, '.', '_' and '-', a letter, a digit or '_' first"
        );
        Err(Error::invalid("the name of a group", text, expected))
    }
}

fn is_localhost(label: &str) -> bool {
    label.eq_ignore_ascii_case("localhost")
}

/// Says whether inet_aton(3) reads a label as a number: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_a_host_name() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".")[2..].to_owned();
        for name in [
            "n1",
            "N1",
            "1a",
            "rack1-n01.lab",
            "docker_host_1",
            "xn--bcher-kva",
            "0x1g",
            "1.b",
        ] {
            assert_eq!(&*name.parse::<NodeName>().unwrap(), name);
        }
        assert_eq!(long.len(), 253);
        assert!(long.parse::<NodeName>().is_ok() && label.parse::<NodeName>().is_ok());
        for (name, expected) in [
            ("", "''"),
            ("-n1", "'-n1'"),
            ("n1-", "'n1-'"),
            ("n1.", "'n1.'"),
            ("a..b", "'a..b'"),
            ("a.-b", "'a.-b'"),
            ("n 1", "'n 1'"),
            ("häuser", "'häuser'"),
            ("n1\n", "'n1\n'"),
            (&"a".repeat(64), &format!("'{}'", "a".repeat(64))),
        ] {
            assert_eq!(
                name.parse::<NodeName>().unwrap_err().to_string(),
                format!(
                    "{expected} is not the name of a node: expected a host name: labels of at most 63 letters, \
                     digits, '-' and '_' that neither begin nor end with '-', with a '.' between them"
                )
            );
        }
        for name in ["17", "10.0.0.1", "0x7f.1", "0X7F", "010.1"] {
            assert_eq!(
                name.parse::<NodeName>().unwrap_err().to_string(),
                format!(
                    "'{name}' is not the name of a node: expected a name with a letter in it, for numbers alone \
                     are an address"
                )
            );
        }
        for name in ["localhost", "Localhost", "n1.localhost"] {
            assert_eq!(
                name.parse::<NodeName>().unwrap_err().to_string(),
                format!(
                    "'{name}' is not the name of a node: expected another name, for this one is every machine's own \
                     (RFC 6761)"
                )
            );
        }
        assert!("localhost1".parse::<NodeName>().is_ok());
        assert_eq!(
            format!("b{long}")
                .parse::<NodeName>()
                .unwrap_err()
                .to_string(),
            format!("'b{long}' is not the name of a node: expected at most 253 characters")
        );
    }

    #[test]
    fn a_group_has_a_name_that_stands_in_a_node_range() {
        for name in ["all", "1738", "_x", "rack1-n.2", "rack1-"] {
            assert_eq!(&*name.parse::<GroupName>().unwrap(), name);
        }
        for name in [
            "",
            "-odd",
            "compute rack1",
            "rack#1",
            "rack/1",
            "a;b",
            "häuser",
            "a@b",
            "^x",
            "a=b",
        ] {
            assert_eq!(
                name.parse::<GroupName>().unwrap_err().to_string(),
                format!(
                    "'{name}' is not the name of a group: expected at most 200 letters, digits, '.', '_' and '-', \
                     a letter, a digit or '_' first"
                )
            );
        }
    }
}
