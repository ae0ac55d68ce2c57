//! Passwords in files of keys and values: the profiles of AutoYaST and Agama, and what Ubuntu's installer and cloud-init
//! read.
//!
//! A table says for each key how a crypted value is told from a plain one. What is not well-formed is reported by the
//! file's own check, and nothing comes out of it here. References: AutoYaST guide; Agama's profile schema; autoinstall
//! reference manual; cloud-init's modules users-groups and set-passwords.

use std::borrow::Cow;

use definitions::CryptedPassword;

use crate::check::findings::FindingsBuilder;
use crate::check::schema::Language;
use crate::check::value::{SpannedValue, ValueKind};
use crate::check::{json, xml, yaml};

/// A key whose value is a password or another secret.
struct PasswordKey {
    /// The key of the map that it is in, or of the list of such maps; `None` for every other one.
    parent: Option<&'static str>,
    key: &'static str,
    form: PasswordForm,
}

/// How a crypted value is told from a plain one.
#[derive(Clone, Copy)]
enum PasswordForm {
    /// This key beside it is true.
    Flag(&'static str),
    /// It has the form of crypt(5), and its `type` is not `text`.
    Crypt,
    /// It is plain: a crypted one has this key.
    Plain(&'static str),
    /// Lines of a user and a password, of crypt(5) or one that is made on the node.
    Lines,
    /// The installer needs the secret itself.
    Secret,
}

use PasswordForm::{Crypt, Flag, Lines, Plain, Secret};

const fn key(key: &'static str, form: PasswordForm) -> PasswordKey {
    let parent = None;
    PasswordKey { parent, key, form }
}

const fn key_in(parent: &'static str, key: &'static str, form: PasswordForm) -> PasswordKey {
    let parent = Some(parent);
    PasswordKey { parent, key, form }
}

const AUTOYAST: &[PasswordKey] = &[
    key("user_password", Flag("encrypted")),
    key("group_password", Flag("encrypted")),
    key_in("password", "value", Flag("encrypted")), // of the boot loader
    key("crypt_key", Secret),
    key("proxy_password", Secret),
    key("KDUMP_SMTP_PASSWORD", Secret),
    key("wireless_wpa_psk", Secret),
    key("wireless_wpa_password", Secret),
];

const AGAMA: &[PasswordKey] = &[
    key_in("root", "password", Flag("hashedPassword")),
    key_in("user", "password", Flag("hashedPassword")),
    key("password", Secret),
    key("caCertPassword", Secret),
    key("clientCertPassword", Secret),
    key("privateKeyPassword", Secret),
];

/// The key of the outermost map, which has none.
const ROOT: &str = "";

const AUTOINSTALL: &[PasswordKey] = &[
    key_in("identity", "password", Crypt),
    key_in("users", "password", Crypt),
    key_in("user-data", "password", Crypt),
    key_in(ROOT, "password", Crypt),
    key("password", Secret),
    key("passwd", Crypt),
    key("hashed_passwd", Crypt),
    key("hashed-passwd", Crypt),
    key("plain_text_passwd", Plain("hashed_passwd")),
    key("plain-text-passwd", Plain("hashed_passwd")),
    key_in("chpasswd", "list", Lines),
    key("trust_password", Secret),
    key_in("config", "key", Secret), // of curtin's dm_crypt
];

pub(super) fn autoyast(text: &str, findings: &mut FindingsBuilder<'_>) {
    let root = xml::parse(text, &mut FindingsBuilder::of(""));
    if let Some(root) = root {
        walk(&root.value, ROOT, AUTOYAST, Language::Xml, findings);
    }
}

pub(super) fn agama(text: &str, findings: &mut FindingsBuilder<'_>) {
    if let Ok(value) = json::parse(text) {
        walk(&value, ROOT, AGAMA, Language::Json, findings);
    }
}

pub(super) fn autoinstall(text: &str, findings: &mut FindingsBuilder<'_>) {
    if let Ok(Some(value)) = yaml::parse(text) {
        walk(&value, ROOT, AUTOINSTALL, Language::Yaml, findings);
    }
}

/// Checks every key in a value.
fn walk(
    value: &SpannedValue<'_>,
    parent: &str,
    keys: &[PasswordKey],
    language: Language,
    findings: &mut FindingsBuilder<'_>,
) {
    if let ValueKind::List(items) = &value.kind {
        for item in items {
            walk(item, parent, keys, language, findings);
        }
    }
    for entry in value.entries() {
        let known = keys
            .iter()
            .find(|known| known.key == entry.key && known.parent.is_none_or(|of| of == parent));
        if let Some(known) = known
            && let Some(message) = known.problem_of(&entry.value, value, language)
        {
            findings.problem(entry.line, message);
        }
        walk(&entry.value, &entry.key, keys, language, findings);
    }
}

impl PasswordKey {
    /// Says what is wrong with a value in this map, without the value.
    fn problem_of(
        &self,
        value: &SpannedValue<'_>,
        map: &SpannedValue<'_>,
        language: Language,
    ) -> Option<String> {
        let key = self.key;
        let texts = match &value.kind {
            ValueKind::Null | ValueKind::Map(_) => return None,
            // an element without text
            ValueKind::Unknown if language == Language::Xml => return None,
            ValueKind::Unknown => {
                return Some(format!(
                    "'{key}' is an alias, of which the password is not checked: write it here"
                ));
            }
            ValueKind::List(items) => items.iter().map(text_of).collect(),
            _ => vec![text_of(value)],
        };
        let is_plain = |text: &Cow<'_, str>| self.form.is_plain(text, map);
        let instead = match self.form {
            _ if !texts.iter().any(is_plain) => return None,
            Secret => {
                return Some(format!(
                    "'{key}' is a secret in plain text: keep it out of this file"
                ));
            }
            Flag(flag) => format!("'{flag}' as true and "),
            Plain(other) => format!("'{other}' with "),
            Crypt | Lines => String::new(),
        };
        Some(format!(
            "'{key}' is a password in plain text: write {instead}what `mkpasswd -m sha-512` prints"
        ))
    }
}

impl PasswordForm {
    /// Whether a text is a password that whoever reads the file knows.
    fn is_plain(self, text: &str, map: &SpannedValue<'_>) -> bool {
        let sibling = |key: &str| map.entry(key).map(|entry| &entry.value);
        let is =
            |key: &str, wanted: &str| sibling(key).is_some_and(|value| text_of(value) == wanted);
        match self {
            _ if text.trim().is_empty() => false,
            Plain(_) | Secret => true,
            Flag(flag) => !is_locked(text) && !is(flag, "true"),
            Crypt => is("type", "text") || !is_locked(text) && !is_crypted(text),
            Lines => text.lines().any(|line| {
                let password = line
                    .split_once(':')
                    .map_or("", |(_, password)| password.trim());
                let made = matches!(password, "" | "R" | "RANDOM");
                !made && !is_locked(password) && !is_crypted(password)
            }),
        }
    }
}

/// Whether it is what shadow(5) has for a user who cannot log in with a password.
fn is_locked(text: &str) -> bool {
    matches!(text.trim(), "*" | "!" | "!!" | "!*" | "*LK*")
}

fn is_crypted(text: &str) -> bool {
    text.trim()
        .trim_start_matches('!')
        .parse::<CryptedPassword>()
        .is_ok()
}

/// A value as a text: a password of digits is a number.
fn text_of<'v>(value: &'v SpannedValue<'_>) -> Cow<'v, str> {
    Cow::Borrowed(match &value.kind {
        ValueKind::String(text) | ValueKind::Integer(text) => text,
        ValueKind::Boolean(true) => "true",
        ValueKind::Boolean(false) => "false",
        ValueKind::Number => "0.0",
        ValueKind::Null | ValueKind::Unknown | ValueKind::List(_) | ValueKind::Map(_) => "",
    })
}
