//! Words of the kernel's command line, where a value with blanks stands in double quotes. Pure.
//!
//! What the kernel reads: Documentation/admin-guide/kernel-parameters.rst (`param="value with blanks"`). iPXE parts
//! words at blanks, knows no quotes and joins what is left with one blank each (`core/exec.c`), so that quotes
//! and single blanks within them reach the kernel as they stand.

/// Parts a line into words at blanks that stand outside of double quotes.
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
        Err(format!("'{line}' has a '\"' without its end: close it"))
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
            "'a=\"b c' has a '\"' without its end: close it"
        );
    }
}
