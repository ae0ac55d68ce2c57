//! A device's name inside of other names, as in `/run/dhclient.eth0.pid`.

/// The text with the device's name changed wherever it is a word of its own.
pub(super) fn rename(text: &str, nic: &str, to: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(nic) {
        let end = at + nic.len();
        let before = rest[..at]
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back());
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        out.push_str(&rest[..at]);
        out.push_str(if inside(before) || inside(rest[end..].chars().next()) {
            nic
        } else {
            to
        });
        rest = &rest[end..];
    }
    out + rest
}

/// Whether the device's name is a word of its own somewhere in a text.
pub(super) fn holds(text: &str, nic: &str) -> bool {
    rename(text, nic, "") != text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_renamed_where_it_stands_for_itself() {
        let cases = [
            ("eth0", "br0"),
            ("/run/dhclient.eth0.pid", "/run/dhclient.br0.pid"),
            (
                "/var/lib/dhclient/dhclient--eth0.lease",
                "/var/lib/dhclient/dhclient--br0.lease",
            ),
            ("/run/dhclient.eth01.pid", "/run/dhclient.eth01.pid"),
            ("veth0", "veth0"),
        ];
        for (word, expected) in cases {
            assert_eq!(rename(word, "eth0", "br0"), expected);
            assert_eq!(holds(word, "eth0"), word != expected, "{word}");
        }
    }
}
