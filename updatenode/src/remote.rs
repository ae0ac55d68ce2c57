//! What runs on a node: one line of shell, and the notices that it prints.
//!
//! A notice begins on a line of its own, whatever was printed before, and ends in a nonce of the session
//! ([`crate::markers`]), which is an argument of the line and not part of its script. The script compares the program on
//! the node with the one here, by SHA-256. If they differ it requests the program on standard output, reads it from
//! standard input, verifies it and moves it into place by a rename. Then it prints that it is ready and runs that
//! program, which reads the list. If a signal ends the program, the script prints which script it was running.
//!
//! It needs a POSIX shell and `sha256sum head mktemp mv chmod mkdir`, as coreutils and busybox have them. It is one line
//! without `'`, `\` and `!`, in single quotes: so every login shell, csh and fish included, passes it on unchanged.

use definitions::{ProgramDigest, Runlist, ScriptLine};

use crate::markers::SessionMarkers;

/// Becomes root: an ssh configuration may name another user.
const AS_ROOT: &str = concat!(
    r#"if [ "$(id -u)" = 0 ]; then exec "$@"; elif command -v sudo >/dev/null; then exec sudo -n -u root -- "$@"; fi; "#,
    r#"echo "the account $(id -un) is not root there, and there is no sudo: log in as root, or give it sudo "#,
    r#"without a password" >&2; exit 1"#
);

/// Prints which script the status of `firstboot` says is running: `sed` finds the `"line"` before the `"state"` that is
/// `"running"`.
macro_rules! running_script {
    () => {
        r#"$(sed -n "/^ *.line.: /h; /^ *.state.: .running./{g;p;}" /var/lib/slipway/status.json 2>/dev/null)"#
    };
}

/// Prints which script is running: `$1` is the nonce.
const INQUIRE: &str = concat!(
    r#"mark=$1; echo; echo "slipway: ready $mark"; printf %s "slipway: killed $mark 128 "#,
    running_script!(),
    r#""; echo"#
);

/// Puts the program in place and runs it: `$1` is the program, `$2` its SHA-256, `$3` its size, `$4` the nonce.
///
/// The temporary file has mode 0600 until its digest is verified. `head` reads no byte too many, because none is sent
/// before the shell prints that it is ready. A program that a signal ended cannot report: its status says what it ran.
const REFRESH: &str = concat!(
    r#"to=$1 sum=$2 size=$3 mark=$4; shift 4; "#,
    r#"if [ -t 0 ]; then echo "the login shell puts a terminal in place of standard input, which changes what is sent: "#,
    r#"run no script(1) and the like for a command" >&2; exit 1; fi; "#,
    r#"command -v sha256sum >/dev/null || { echo "there is no sha256sum here" >&2; exit 1; }; "#,
    r#"is() { { set -- "$1" $(sha256sum <"$1"); } 2>/dev/null; [ "$2" = "$sum" ]; }; "#,
    r#"if is "$to"; then :; else "#,
    r#"mkdir -p "${to%/*}" && new=$(mktemp "$to.XXXXXX") || exit 1; "#,
    r#"trap "rm -f $new" EXIT; echo; echo "slipway: send $mark"; "#,
    r#"head -c "$size" >"$new" || exit 1; "#,
    r#"is "$new" || { echo "the program arrived damaged" >&2; exit 1; }; "#,
    r#"chmod 755 "$new" && mv -f "$new" "$to" || exit 1; trap - EXIT; "#,
    r#"fi; echo; echo "slipway: ready $mark"; "$to" --update --results --list - "$@"; code=$?; "#,
    r#"[ "$code" -lt 128 ] || { printf %s "slipway: killed $mark $code "#,
    running_script!(),
    r#""; echo; }; "#,
    r#"exit "$code""#
);

/// Returns the command line for a node's shell; without lines, the whole list is run.
pub(crate) fn command(
    firstboot: &ProgramDigest,
    markers: &SessionMarkers,
    lines: &[ScriptLine],
) -> String {
    let size = firstboot.size.to_string();
    let mut words = vec![
        "sh", "-c", AS_ROOT, "slipway", "sh", "-c", REFRESH, "slipway",
    ];
    words.extend([
        Runlist::FIRSTBOOT,
        &firstboot.sha256,
        &size,
        markers.shell_nonce(),
    ]);
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    words.extend(lines.iter().flat_map(|line| ["-P", line]));
    let quoted: Vec<_> = words.into_iter().map(quoted).collect();
    quoted.join(" ")
}

/// Returns the command line that reads which script is running on a node.
pub(crate) fn inquiry(markers: &SessionMarkers) -> String {
    let words = [
        "sh",
        "-c",
        AS_ROOT,
        "slipway",
        "sh",
        "-c",
        INQUIRE,
        "slipway",
        markers.shell_nonce(),
    ];
    words.map(quoted).join(" ")
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
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
    fn every_login_shell_passes_the_script_on() {
        for script in [AS_ROOT, REFRESH, INQUIRE] {
            assert!(!script.contains(['\n', '\\', '!', '\'']), "{script}");
        }
    }

    #[test]
    fn the_script_prints_markers_and_the_line_contains_none() {
        let markers = SessionMarkers::new().unwrap();
        let program = ProgramDigest {
            sha256: "0".repeat(64),
            size: 1,
        };
        let line = command(&program, &markers, &[]);
        for mark in [markers.send_request(), markers.ready_notice()] {
            assert!(!line.contains(&mark), "{line}");
            let printed = mark.replace(markers.shell_nonce(), "$mark");
            assert!(
                REFRESH.contains(&format!("echo; echo \"{printed}\"")),
                "{printed}"
            );
        }
        assert!(line.contains(markers.shell_nonce()) && !line.contains(markers.results_nonce()));
    }
}
