//! Passwords in plain text in an installer's file, which whoever reaches the web server can fetch.
//!
//! The text of a file comes in; a problem with its line for each password goes out, which never shows the password.
//! References: debian-installer's templates of user-setup; kickstart's `rootpw` and `user`.

use super::findings::FindingsBuilder;
use super::kickstart::words::split;
use super::preseed::{AnswerType, LogicalLines, PreseedAnswer};
use crate::installer::InstallerKind;
use crate::problem::Problem;

/// Finds the plain passwords of a file that an installer reads. AutoYaST, Agama and subiquity mark an encrypted one
/// next to it; only their own checks know the keys.
pub(crate) fn plain_passwords(installer: InstallerKind, name: &str, text: &str) -> Vec<Problem> {
    let mut findings = FindingsBuilder::of(name);
    match installer {
        InstallerKind::Preseed => preseed(text, &mut findings),
        InstallerKind::Kickstart => kickstart(text, &mut findings),
        InstallerKind::Autoinstall | InstallerKind::Autoyast | InstallerKind::Agama => {}
    }
    findings.finish().problems
}

fn preseed(text: &str, findings: &mut FindingsBuilder<'_>) {
    let mut lines = LogicalLines::new(text);
    // what is wrong with lines is reported by the file's own check
    let mut ignored = FindingsBuilder::of("");
    while let Some(line) = lines.next(&mut ignored) {
        let Some(answer) = PreseedAnswer::split(&line.text) else {
            continue;
        };
        let template = answer.template.trim_end_matches("-again");
        if matches!(template, "passwd/root-password" | "passwd/user-password")
            && answer.kind != AnswerType::Seen
            && !answer.value.trim().is_empty()
        {
            let message = format!(
                "'{}' is a password in plain text: write '{template}-crypted' with what `mkpasswd -m sha-512` prints",
                answer.template
            );
            findings.problem(line.number, message);
        }
    }
}

fn kickstart(text: &str, findings: &mut FindingsBuilder<'_>) {
    let mut in_section = false;
    for (number, line) in (1..).zip(text.lines()) {
        let words = split(line).unwrap_or_default();
        let Some((first, rest)) = words.split_first() else {
            continue;
        };
        match first.as_ref() {
            "%end" => in_section = false,
            "%include" | "%ksappend" => {}
            word if word.starts_with('%') && !in_section => in_section = true,
            word if !in_section => {
                let has = |option: &str| rest.iter().any(|word| word == option);
                let given = match word {
                    "rootpw" => rest.iter().any(|word| !word.starts_with("--")),
                    "user" | "sshpw" => rest.iter().any(|word| word.starts_with("--password")),
                    _ => continue,
                };
                if given && !has("--iscrypted") {
                    let message = format!(
                        "'{word}' has a password in plain text: write '--iscrypted' and what `mkpasswd -m sha-512` prints"
                    );
                    findings.problem(number, message);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(installer: InstallerKind, text: &str) -> Vec<String> {
        let problems = plain_passwords(installer, "file", text);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plain_password_of_a_preseed_file_is_reported_and_not_shown() {
        let plain = |line: usize, template: &str, crypted: &str| {
            format!(
                "file:{line}: '{template}' is a password in plain text: write '{crypted}' with what `mkpasswd -m \
                 sha-512` prints"
            )
        };
        let text = "# d-i passwd/root-password password commented\n\
                    d-i passwd/root-password password Geheim\n\
                    d-i passwd/root-password-again password Geheim\n\
                    d-i passwd/user-password \\\n  password Geheim\n\
                    d-i passwd/root-password-crypted password $6$salt$hash\n\
                    d-i passwd/root-password password \n\
                    d-i passwd/root-password seen true\n";
        assert_eq!(
            messages(InstallerKind::Preseed, text),
            [
                plain(2, "passwd/root-password", "passwd/root-password-crypted"),
                plain(
                    3,
                    "passwd/root-password-again",
                    "passwd/root-password-crypted"
                ),
                plain(4, "passwd/user-password", "passwd/user-password-crypted"),
            ]
        );
    }

    #[test]
    fn a_plain_password_of_a_kickstart_file_is_reported_and_not_shown() {
        let plain = |line: usize, command: &str| {
            format!(
                "file:{line}: '{command}' has a password in plain text: write '--iscrypted' and what `mkpasswd -m \
                 sha-512` prints"
            )
        };
        let text = "rootpw Geheim\nrootpw --plaintext Geheim\nuser --name=a --password=Geheim\n\
                    rootpw --iscrypted $6$salt$hash\nrootpw --lock\nuser --name=a\n\
                    user --name=a --password=$6$s$h --iscrypted\n%post\nrootpw Geheim\n%end\nrootpw Geheim\n";
        assert_eq!(
            messages(InstallerKind::Kickstart, text),
            [
                plain(1, "rootpw"),
                plain(2, "rootpw"),
                plain(3, "user"),
                plain(11, "rootpw")
            ]
        );
    }
}
