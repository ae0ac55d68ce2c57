//! Lines of dnsmasq's files.
//!
//! Values of definitions come in, a line goes out that dnsmasq reads as exactly these values. dnsmasq parts values
//! at commas, takes what follows a blank and `#` for a comment, quotes with `"` and escapes with `\`; none of these
//! can be in a value here, so that no value becomes another. Pure. Reference: dnsmasq(8), read_file() of its option.c.

use anyhow::{Result, bail};

/// Makes the line `option=value,value…`.
///
/// # Errors
/// When a value holds what could end it.
pub(crate) fn setting(option: &'static str, values: &[&str]) -> Result<String> {
    Ok(format!("{option}={}\n", fields(values)?))
}

/// Joins values as dnsmasq parts them again.
///
/// # Errors
/// When a value holds what could end it.
pub(crate) fn fields(values: &[&str]) -> Result<String> {
    for value in values {
        if let Some(found) = value.chars().find(|c| !is_plain(*c)) {
            bail!(
                "the value '{}' holds {found:?}, which dnsmasq's files cannot hold: use letters, digits and the characters \
                 -_.:/[]${{}}!",
                value.escape_debug()
            );
        }
    }
    Ok(values.join(","))
}

/// Says whether a character is that character to dnsmasq wherever it is.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:/[]${}!".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a line as dnsmasq does: its read_file() takes quotes, escapes and comments, its one_opt() parts the rest.
    fn read(line: &str) -> Vec<(String, Vec<String>)> {
        let mut options = Vec::new();
        for line in line.lines() {
            let (mut text, mut quoted, mut blank) = (String::new(), false, true);
            let mut chars = line.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => quoted = !quoted,
                    '\\' => text.extend(chars.next()),
                    '#' if !quoted && blank => break,
                    c => text.push(c),
                }
                blank = c.is_whitespace();
            }
            let (option, values) = text.split_once('=').unwrap_or((&text, ""));
            let values = values.split(',').map(|value| value.trim().to_owned());
            options.push((option.to_owned(), values.collect()));
        }
        options
    }

    proptest! {
        #[test]
        fn a_line_is_read_as_what_was_written_or_refused(values in proptest::collection::vec("\\PC*|[a-z0-9./:,\"\\\\# \n-]{0,20}", 1..5)) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            if let Ok(line) = setting("dhcp-boot", &values) {
                let expected = values.iter().map(|value| (*value).to_owned()).collect();
                prop_assert_eq!(read(&line), [("dhcp-boot".to_owned(), expected)]);
            }
        }
    }

    #[test]
    fn what_could_become_another_option_is_refused() {
        for (value, sign) in [
            ("eth0\ndhcp-script=/tmp/x", "'\\n'"),
            ("a,b", "','"),
            ("a #b", "' '"),
            ("\"a", "'\"'"),
            ("a\\", "'\\\\'"),
            ("a=b", "'='"),
            ("é", "'é'"),
        ] {
            assert_eq!(
                setting("interface", &[value]).unwrap_err().to_string(),
                format!(
                    "the value '{}' holds {sign}, which dnsmasq's files cannot hold: use letters, digits and the characters \
                     -_.:/[]${{}}!",
                    value.escape_debug()
                )
            );
        }
        assert_eq!(
            setting("dhcp-boot", &["tag:!ipxe", "", "10.1.0.1"]).unwrap(),
            "dhcp-boot=tag:!ipxe,,10.1.0.1\n"
        );
    }
}
