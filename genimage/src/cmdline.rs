//! Words of the kernel's command line, where a value with spaces is in double quotes. Pure.
//!
//! What the kernel reads: Documentation/admin-guide/kernel-parameters.rst (`param="value with spaces"`). iPXE splits
//! words at spaces, knows no quotes and joins the rest with one space each (`core/exec.c`), so that quotes
//! and single spaces within them reach the kernel unchanged.

/// Splits a line into words at spaces outside of double quotes.
///
/// # Errors
/// A quote that is not closed.
pub(crate) fn words(line: &str) -> Result<Vec<&str>, String> {
    let (mut words, mut begin, mut quoted) = (Vec::new(), None, false);
    for (at, c) in line.char_indices() {
        match (begin, c.is_whitespace() && !quoted) {
            (Some(from), true) => {
                words.push(&line[from..at]);
                begin = None;
            }
            (None, false) => begin = Some(at),
            _ => {}
        }
        quoted ^= c == '"';
    }
    words.extend(begin.map(|from| &line[from..]));
    if quoted {
        Err(format!("'{line}' has an unclosed '\"': close it"))
    } else {
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_within_quotes_part_no_words() {
        for (line, expected) in [
            ("", &[][..]),
            ("  a  b=1\tc ", &["a", "b=1", "c"]),
            (
                "osi=\"!Windows 2015\" quiet",
                &["osi=\"!Windows 2015\"", "quiet"],
            ),
            ("\"a b\"c d", &["\"a b\"c", "d"]),
            ("a=\"\"", &["a=\"\""]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        assert_eq!(
            words("a=\"b c").unwrap_err(),
            "'a=\"b c' has an unclosed '\"': close it"
        );
    }
}
