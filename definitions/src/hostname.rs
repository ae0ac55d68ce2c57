//! Names of hosts: of nodes, in certificates and on command lines.
//!
//! The rule is RFC 1123 §2.1, and the underscore that Docker's clients take too (Go's `crypto/x509`,
//! "commonly found in deployments outside the WebPKI").

/// The longest name, and the longest part of it (RFC 1035 §2.3.4).
pub(crate) const MAX_NAME: usize = 253;
pub(crate) const MAX_LABEL: usize = 63;

/// Says what keeps a text from being a host name that a certificate can name, if anything does.
pub fn host_name_fault(text: &str) -> Option<&'static str> {
    let label_fault = |label: &str| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if label.is_empty() {
            Some("a part of it is empty")
        } else if label.len() > MAX_LABEL {
            Some("a part of it has more than 63 characters")
        } else if label.starts_with('-') || label.ends_with('-') {
            Some("a part of it begins or ends with '-'")
        } else if !label.bytes().all(is_known) {
            Some("it has other characters than letters, digits, '-', '_' and '.'")
        } else {
            None
        }
    };
    if text.len() > MAX_NAME {
        Some("it has more than 253 characters")
    } else {
        text.split('.').find_map(label_fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_dockers_clients_take() {
        let long = "a".repeat(63);
        let longest = [long.as_str(); 3].join(".");
        for name in [
            "host01",
            "docker_host_1.lab",
            "Host01.Example",
            "1",
            "_a",
            &long,
            &longest,
        ] {
            assert_eq!(host_name_fault(name), None, "{name}");
        }
        for (name, fault) in [
            ("", "a part of it is empty"),
            ("a..b", "a part of it is empty"),
            (
                &*format!("{long}a"),
                "a part of it has more than 63 characters",
            ),
            ("a-.b", "a part of it begins or ends with '-'"),
            ("-a", "a part of it begins or ends with '-'"),
            (
                "*.lab",
                "it has other characters than letters, digits, '-', '_' and '.'",
            ),
            (
                "a b",
                "it has other characters than letters, digits, '-', '_' and '.'",
            ),
            (
                &*[longest.as_str(), &long].join("."),
                "it has more than 253 characters",
            ),
        ] {
            assert_eq!(host_name_fault(name), Some(fault), "{name}");
        }
    }
}
