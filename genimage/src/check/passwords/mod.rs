//! Passwords in plain text in an installer's file, which whoever reaches the web server can fetch.
//!
//! The text of a file comes in; a problem with its line for each password goes out, which never shows the password.
//! References: debian-installer's templates of user-setup; kickstart's commands; [`keys`] for the others.

mod keys;

use std::borrow::Cow;

use super::findings::FindingsBuilder;
use super::kickstart::words::split;
use super::preseed::{AnswerType, LogicalLines, PreseedAnswer};
use crate::installer::InstallerKind;
use crate::problem::Problem;

/// Finds the plain passwords of a file that an installer reads.
pub(crate) fn plain_passwords(installer: InstallerKind, name: &str, text: &str) -> Vec<Problem> {
    let mut findings = FindingsBuilder::of(name);
    match installer {
        InstallerKind::Preseed => preseed(text, &mut findings),
        InstallerKind::Kickstart => kickstart(text, &mut findings),
        InstallerKind::Autoyast => keys::autoyast(text, &mut findings),
        InstallerKind::Agama => keys::agama(text, &mut findings),
        InstallerKind::Autoinstall => keys::autoinstall(text, &mut findings),
        InstallerKind::Netboot => {}
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
                if let Some(message) = kickstart_message(word, rest) {
                    findings.problem(number, message);
                }
            }
            _ => {}
        }
    }
}

/// Returns what is wrong with a command that has a password or another secret. References: pykickstart's commands.
fn kickstart_message(command: &str, words: &[Cow<'_, str>]) -> Option<String> {
    let has = |option: &str| {
        words
            .iter()
            .any(|word| word.split('=').next() == Some(option))
    };
    let mut after_username = false;
    let has_argument = words.iter().any(|word| {
        let is_argument = !word.starts_with("--") && !after_username;
        after_username = word == "--username";
        is_argument
    });
    let is_plain = match command {
        "rootpw" | "sshpw" => has_argument && !has("--iscrypted"),
        "user" | "bootloader" => has("--password") && !has("--iscrypted"),
        _ => false,
    };
    if is_plain {
        return Some(format!(
            "'{command}' has a password in plain text: write '--iscrypted' and what `mkpasswd -m sha-512` prints"
        ));
    }
    let secrets: &[_] = match command {
        "part" | "partition" | "logvol" | "raid" | "autopart" => &["--passphrase"],
        "vnc" | "rdp" => &["--password"],
        "iscsi" => &["--password", "--reverse-password"],
        "realm" => &["--one-time-password"],
        "rhsm" => &["--activation-key"],
        _ => &[],
    };
    let option = secrets.iter().find(|option| has(option))?;
    Some(format!(
        "'{command} {option}' is a secret in plain text: keep it out of this file"
    ))
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

    const CRYPTED: &str = "$6$salt$hash";

    fn message(line: usize, key: &str, instead: &str) -> String {
        format!(
            "file:{line}: '{key}' is a password in plain text: write {instead}what `mkpasswd -m sha-512` prints"
        )
    }

    fn secret(line: usize, key: &str) -> String {
        format!("file:{line}: '{key}' is a secret in plain text: keep it out of this file")
    }

    #[test]
    fn a_plain_password_of_an_autoyast_profile_is_reported_and_not_shown() {
        let text = format!(
            "<profile xmlns=\"http://www.suse.com/1.0/yast2ns\" xmlns:config=\"http://www.suse.com/1.0/configns\">\n\
             <users config:type=\"list\">\n\
             <user><encrypted config:type=\"boolean\">true</encrypted><user_password>{CRYPTED}</user_password></user>\n\
             <user><encrypted config:type=\"boolean\">false</encrypted><user_password>{CRYPTED}</user_password></user>\n\
             <user><user_password>Geheim</user_password></user>\n\
             <user><user_password><![CDATA[Geheim]]></user_password></user>\n\
             <user><user_password>*</user_password></user><user><user_password/></user>\n\
             </users>\n\
             <groups config:type=\"list\"><group><group_password>Geheim</group_password></group></groups>\n\
             <bootloader><global><password><value>Geheim</value></password></global></bootloader>\n\
             <bootloader><global><password><encrypted>true</encrypted><value>grub.x</value></password></global></bootloader>\n\
             <partitioning config:type=\"list\"><drive><crypt_key>Geheim</crypt_key></drive></partitioning>\n\
             <proxy><proxy_password>Geheim</proxy_password></proxy>\n\
             </profile>\n"
        );
        let plain = |line, key| message(line, key, "'encrypted' as true and ");
        assert_eq!(
            messages(InstallerKind::Autoyast, &text),
            [
                plain(4, "user_password"),
                plain(5, "user_password"),
                plain(6, "user_password"),
                plain(9, "group_password"),
                plain(10, "value"),
                secret(12, "crypt_key"),
                secret(13, "proxy_password"),
            ]
        );
    }

    #[test]
    fn a_plain_password_of_an_agama_profile_is_reported_and_not_shown() {
        let text = format!(
            "{{\n\"root\": {{\"password\": \"Geheim\"}},\n\
             \"user\": {{\"password\": \"{CRYPTED}\", \"hashedPassword\": true}},\n\
             \"root\": {{\"password\": \"{CRYPTED}\", \"hashedPassword\": false}},\n\
             \"root\": {{\"password\": \"*\"}}, \"user\": {{\"password\": 1234}},\n\
             \"storage\": {{\"drives\": [{{\"encryption\": {{\"luks2\": {{\"password\": \"Geheim\"}}}}}}]}}\n}}\n"
        );
        let plain = |line| message(line, "password", "'hashedPassword' as true and ");
        assert_eq!(
            messages(InstallerKind::Agama, &text),
            [plain(2), plain(4), plain(5), secret(6, "password")]
        );
    }

    #[test]
    fn a_plain_password_of_an_autoinstall_file_is_reported_and_not_shown() {
        let text = format!(
            "#cloud-config\n\
             password: Geheim\n\
             autoinstall:\n\
             \x20 identity: {{username: a, password: Geheim}}\n\
             \x20 storage: {{layout: {{name: lvm, password: Geheim}}}}\n\
             \x20 user-data:\n\
             \x20   password: {CRYPTED}\n\
             \x20   users:\n\
             \x20     - {{name: a, passwd: \"{CRYPTED}\"}}\n\
             \x20     - {{name: b, passwd: 1234}}\n\
             \x20     - name: c\n\
             \x20       plain_text_passwd: Geheim\n\
             \x20     - {{name: d, hashed_passwd: \"!\", lock_passwd: true}}\n\
             \x20     - {{name: e, hashed_passwd: *alias}}\n\
             \x20   chpasswd:\n\
             \x20     users:\n\
             \x20       - {{name: a, password: \"{CRYPTED}\"}}\n\
             \x20       - {{name: a, password: \"{CRYPTED}\", type: text}}\n\
             \x20       - {{name: a, type: RANDOM}}\n\
             \x20     list: |\n\
             \x20       a:{CRYPTED}\n\
             \x20       b:RANDOM\n\
             \x20   chpasswd_: {{list: [\"a:Geheim\"]}}\n\
             chpasswd: {{list: [\"a:R\", \"b:Geheim\"]}}\n"
        )
        .replace("passwd: *alias", "passwd: *pw")
        .replacen("username: a", "username: &pw a", 1);
        let plain = |line, key| message(line, key, "");
        assert_eq!(
            messages(InstallerKind::Autoinstall, &text),
            [
                plain(2, "password"),
                plain(4, "password"),
                secret(5, "password"),
                plain(10, "passwd"),
                message(12, "plain_text_passwd", "'hashed_passwd' with "),
                "file:14: 'hashed_passwd' is an alias, of which the password is not checked: write it here".to_owned(),
                plain(18, "password"),
                plain(24, "list"),
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
        let secret = |line: usize, option: &str| {
            format!("file:{line}: '{option}' is a secret in plain text: keep it out of this file")
        };
        let text = "rootpw Geheim\nrootpw --plaintext Geheim\nuser --name=a --password=Geheim\n\
                    rootpw --iscrypted $6$salt$hash\nrootpw --lock\nuser --name=a\n\
                    user --name=a --password=$6$s$h --iscrypted\n%post\nrootpw Geheim\n%end\nrootpw Geheim\n\
                    sshpw --username=a Geheim\nsshpw --username a --lock\nbootloader --password=Geheim\n\
                    bootloader --password=grub.pbkdf2.x --iscrypted\nbootloader --location=mbr\n\
                    part / --encrypted --passphrase=Geheim\npart / --encrypted\nautopart --passphrase Geheim\n\
                    vnc --password=Geheim\nvnc\niscsi --ipaddr=10.1.0.9 --user=a --reverse-password=Geheim\n\
                    realm join --one-time-password=Geheim a.example\nrhsm --activation-key=Geheim\n";
        assert_eq!(
            messages(InstallerKind::Kickstart, text),
            [
                plain(1, "rootpw"),
                plain(2, "rootpw"),
                plain(3, "user"),
                plain(11, "rootpw"),
                plain(12, "sshpw"),
                plain(14, "bootloader"),
                secret(17, "part --passphrase"),
                secret(19, "autopart --passphrase"),
                secret(20, "vnc --password"),
                secret(22, "iscsi --reverse-password"),
                secret(23, "realm --one-time-password"),
                secret(24, "rhsm --activation-key"),
            ]
        );
    }
}
