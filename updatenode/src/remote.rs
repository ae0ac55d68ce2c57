//! What is run on a node: one line of shell, and what it says back.
//!
//! What it says begins on a line of its own, whatever was printed before, and ends in a mark of the session
//! ([`crate::marks`]), which stands nowhere in the line itself. The line compares the program there with the one here, by SHA-256. Where they differ it asks for the
//! program on its standard output, takes it from its standard input, verifies it and puts it in place by a
//! rename. Then it says that it is ready, and becomes that program, which reads the list.
//!
//! What it may rely on is a POSIX shell and `sha256sum head mktemp mv chmod mkdir`, as coreutils and busybox
//! have them. It is one line without `'`, `\` and `!`, in single quotes: so every login shell hands it on
//! as it is, csh and fish too.

use definitions::{ProgramDigest, Runlist, ScriptLine};

use crate::marks::Marks;

/// Becomes root. Not every user whom an ssh configuration names is root.
const AS_ROOT: &str = r#"if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo -n -- "$@"; fi"#;

/// Puts the program in place and becomes it: `$1` is the program, `$2` its SHA-256, `$3` its size, `$4` the nonce.
///
/// The temporary file is root's alone until it is what it should be. `head` takes no byte too many, for
/// none is sent before the shell says that it is ready.
const REFRESH: &str = concat!(
    r#"to=$1 sum=$2 size=$3 mark=$4; shift 4; "#,
    r#"command -v sha256sum >/dev/null || { echo "there is no sha256sum here" >&2; exit 1; }; "#,
    r#"is() { { set -- "$1" $(sha256sum <"$1"); } 2>/dev/null; [ "$2" = "$sum" ]; }; "#,
    r#"if is "$to"; then :; else "#,
    r#"mkdir -p "${to%/*}" && new=$(mktemp "$to.XXXXXX") || exit 1; "#,
    r#"trap "rm -f $new" EXIT; echo; echo "slipway: send $mark"; "#,
    r#"head -c "$size" >"$new" || exit 1; "#,
    r#"is "$new" || { echo "the program did not arrive whole" >&2; exit 1; }; "#,
    r#"chmod 755 "$new" && mv -f "$new" "$to" || exit 1; trap - EXIT; "#,
    r#"fi; echo; echo "slipway: ready $mark"; exec "$to" --update --results --list - "$@""#
);

/// Returns the command line for a node's shell; without lines, the whole list is run.
pub(crate) fn command(firstboot: &ProgramDigest, marks: &Marks, lines: &[ScriptLine]) -> String {
    let size = firstboot.size.to_string();
    let mut words = vec![
        "sh", "-c", AS_ROOT, "slipway", "sh", "-c", REFRESH, "slipway",
    ];
    words.extend([Runlist::FIRSTBOOT, &firstboot.sha256, &size, marks.shell()]);
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    words.extend(lines.iter().flat_map(|line| ["-P", line]));
    let quoted: Vec<_> = words.into_iter().map(quoted).collect();
    quoted.join(" ")
}

/// Quotes a word so that a shell takes it as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_that_word() {
        for (word, expected) in [
            ("plain-1.2/x_y", "plain-1.2/x_y"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn every_login_shell_can_take_the_script() {
        for script in [AS_ROOT, REFRESH] {
            assert!(!script.contains(['\n', '\\', '!', '\'']), "{script}");
        }
    }

    #[test]
    fn what_it_says_is_a_mark_and_the_line_itself_holds_none() {
        let marks = Marks::new().unwrap();
        let program = ProgramDigest {
            sha256: "0".repeat(64),
            size: 1,
        };
        let line = command(&program, &marks, &[]);
        for mark in [marks.send(), marks.ready()] {
            assert!(!line.contains(&mark), "{line}");
            let said = mark.replace(marks.shell(), "$mark");
            assert!(
                REFRESH.contains(&format!("echo; echo \"{said}\"")),
                "{said}"
            );
        }
        assert!(line.contains(marks.shell()) && !line.contains(marks.results()));
    }
}
