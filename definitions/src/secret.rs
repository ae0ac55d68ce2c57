//! Secrets among attributes: what they are, and how they are kept from being seen.
//!
//! An attribute is secret by the type of its value. Such a value stands in a file of its own that is its
//! owner's alone, and a listing shows [`MASK`] in its place. Names that look like a secret's are told by
//! [`is_secret_name`]: values that travel beside others, such as those of `environvar`, have no type.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// What a listing shows in place of a secret; no secret is set to it.
pub const MASK: &str = "********";

/// What begins the error about a secret, which never holds the value.
const HIDDEN: &str = "(not shown)";

/// A secret as it is: a password of a management controller.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A password as crypt(5) stores it: `$id$…$hash`.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptedPassword(String);

crate::name::text! { Secret CryptedPassword }

/// Keeps the value out of messages and failing tests.
macro_rules! hidden {
    ($($name:ident)+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({MASK})", stringify!($name))
            }
        }
    )+};
}

hidden! { Secret CryptedPassword }

impl FromStr for Secret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == MASK {
            return Err(masked("a secret", "the secret itself"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for CryptedPassword {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, ':' | ';' | '*' | '!' | '\\');
        let crypted = text.starts_with('$') && text.matches('$').count() >= 3;
        if crypted && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let expected = "what `mkpasswd -m sha-512` prints, which begins with '$'";
        Err(match text {
            MASK => masked("a crypted password", expected),
            _ => Error::invalid("a crypted password", HIDDEN, expected),
        })
    }
}

/// Refuses what a listing showed in place of the value.
fn masked(what: &'static str, expected: &str) -> Error {
    let expected = format!("{expected}, and not what a listing shows in its place");
    Error::invalid(what, MASK, expected)
}

/// Says whether a value looks like a secret: by the name of its variable or option (`REGISTRY_PASSWORD`,
/// `--token`, `apiKey`), or since it is an address with a password in it (`https://user:password@host`).
///
/// Where a secret is kept (`TOKEN_FILE`) is none.
pub fn looks_secret(name: &str, value: &str) -> bool {
    const WORDS: [&str; 13] = [
        "bearer",
        "creds",
        "pass",
        "password",
        "passwd",
        "passphrase",
        "psk",
        "pw",
        "pwd",
        "secret",
        "token",
        "wep",
        "wpa",
    ];
    const ENDS: [&str; 9] = [
        "dbpass",
        "rootpw",
        "sshpass",
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credentials",
    ];
    // A public key is none; these are not.
    const KEYS: [&str; 6] = [
        "encryptionkey",
        "apikey",
        "accesskey",
        "privatekey",
        "secretkey",
        "authkey",
    ];
    const PLACES: [&str; 5] = ["file", "path", "dir", "url", "name"];
    // The shell's own, which hold directories.
    const DIRECTORIES: [&str; 2] = ["PWD", "OLDPWD"];
    let words = words(name);
    let last = words.last().map_or("", String::as_str);
    let joined = words.concat();
    let named = words.iter().any(|word| WORDS.contains(&word.as_str()))
        || ENDS.iter().any(|end| joined.ends_with(end))
        || KEYS.iter().any(|key| joined.contains(key));
    let is_place = PLACES.contains(&last) || DIRECTORIES.contains(&name);
    !value.is_empty() && named && !is_place || has_password(value)
}

/// Says whether a text holds an address with a user and a password (RFC 3986, section 3.2.1).
fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        let end = rest.find(['/', '?', '#', ' ', ',']).unwrap_or(rest.len());
        let user = rest[..end].rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}

/// Parts a name into lower-case words: at signs, and where capitals begin.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (lower && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        lower = c.is_ascii_lowercase();
        if let Some(word) = words.last_mut()
            && c.is_ascii_alphanumeric()
        {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crypted_password_is_one_and_no_error_shows_a_value() {
        for text in ["$6$salt$hash", "$y$j9T$salt$hash", "$2b$10$saltandhash"] {
            assert_eq!(&*text.parse::<CryptedPassword>().unwrap(), text);
        }
        for text in ["cleartext", "$6$half", "$6$a$b c", "x$6$a$b", "$6$a$b:"] {
            assert_eq!(
                text.parse::<CryptedPassword>().unwrap_err().to_string(),
                "'(not shown)' is not a crypted password: expected what `mkpasswd -m sha-512` prints, which begins \
                 with '$'"
            );
        }
        assert_eq!(
            MASK.parse::<Secret>().unwrap_err().to_string(),
            "'********' is not a secret: expected the secret itself, and not what a listing shows in its place"
        );
        assert_eq!(
            format!("{:?}", "x".parse::<Secret>().unwrap()),
            "Secret(********)"
        );
    }

    #[test]
    fn what_looks_like_a_secret_is_told_from_what_does_not() {
        for name in [
            "REGISTRY_PASSWORD",
            "DB_PASS",
            "--token",
            "apiKey",
            "API_KEY",
            "MYSQL_ROOT_PASSWD",
            "github-token",
            "AWS_SECRET_ACCESS_KEY",
            "authToken",
            "PGPASSWORD",
            "client_secret",
            "private-key",
            "pw",
            "SUDO_PASSPHRASE",
            "inst.vncpassword",
            "AWSCredentials",
            "MYSQL_PWD",
            "SSHPASS",
            "ROOTPW",
            "inst.rootpw",
            "WIFI_PSK",
            "ENCRYPTION_KEY",
        ] {
            assert!(looks_secret(name, "x"), "{name}");
            assert!(!looks_secret(name, ""), "{name}");
        }
        for name in [
            "no_proxy",
            "PWD",
            "OLDPWD",
            "BYPASS",
            "COMPASS",
            "KEYBOARD",
            "OTHERPKGKEY1",
            "TOKENS_PER_SECOND",
            "SSH_PUBLIC_KEY",
            "passes",
            "NODE",
            "",
            "secretary",
            "PASSIVE_PORTS",
            "TOKEN_FILE",
            "--password-file",
            "SECRET_PATH",
        ] {
            assert!(!looks_secret(name, "x"), "{name}");
        }
        for (value, expected) in [
            ("http://user:pw@10.0.0.1:3128", true),
            (
                "https://a.example.invalid/ stable main,https://u:p@b.example.invalid/ x",
                true,
            ),
            ("http://10.0.0.1:3128", false),
            ("http://user@10.0.0.1", false),
            ("http://[fd00::1]:80/a@b:c", false),
            ("git@host:path", false),
        ] {
            assert_eq!(looks_secret("http_proxy", value), expected, "{value}");
        }
    }
}
