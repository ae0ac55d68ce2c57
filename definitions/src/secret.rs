//! Secrets among attributes: what they are, and how they are kept from being seen.
//!
//! An attribute is secret by the type of its value. Such a value is in a file of its own that is its
//! owner's alone, and a listing shows [`MASK`] in its place. Names that look like a secret's are known by
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
/// `--token`, `apiKey`, `GITHUB_PAT`, `DEPLOY_KEY`), or by the value itself, which has a login in it
/// (`user:password@host`) or is a credential ([`has_credential`]).
///
/// The place of a secret (`TOKEN_FILE`) is not one.
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
    let named = named || names_key(&words, value);
    !value.is_empty() && named && !is_place || has_login(value) || has_credential(value)
}

/// Whether a name ends as those of keys and of personal access tokens do; neither a public key nor the place of
/// one is a secret.
fn names_key(words: &[String], value: &str) -> bool {
    const PUBLIC_KEYS: [&str; 6] = [
        "ssh-",
        "ecdsa-sha2-",
        "sk-",
        "-----BEGIN PGP PUBLIC KEY",
        "-----BEGIN PUBLIC KEY",
        "-----BEGIN CERTIFICATE",
    ];
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !is_number(word)).collect();
    let is_key = words.len() > 1 && matches!(words.last(), Some(&("key" | "pat")));
    let is_public = words.iter().any(|word| matches!(*word, "public" | "pub"))
        || PUBLIC_KEYS.iter().any(|begin| value.starts_with(begin));
    let is_place = value.starts_with(['/', '~']) || value.contains("://");
    is_key && !is_public && !is_place
}

/// Says whether a text contains a credential that is one whatever its name: an address with a password
/// (`https://user:password@host`), a token with a well-known beginning, a private key.
pub fn has_credential(text: &str) -> bool {
    has_password(text) || has_token(text) || text.contains("PRIVATE KEY-----")
}

/// Says whether a text contains a token of a service, by its beginning and the length of the rest.
fn has_token(text: &str) -> bool {
    // GitHub, GitLab, AWS, Slack, Docker Hub, npm, PyPI, Vault, Stripe, Google
    const TOKENS: [(&str, usize); 24] = [
        ("ghp_", 20),
        ("gho_", 20),
        ("ghu_", 20),
        ("ghs_", 20),
        ("ghr_", 20),
        ("github_pat_", 20),
        ("glpat-", 20),
        ("gldt-", 20),
        ("glrt-", 20),
        ("glcbt-", 20),
        ("AKIA", 16),
        ("ASIA", 16),
        ("xoxb-", 20),
        ("xoxp-", 20),
        ("xoxa-", 20),
        ("xapp-", 20),
        ("dckr_pat_", 20),
        ("dckr_oat_", 20),
        ("npm_", 30),
        ("pypi-", 40),
        ("hvs.", 20),
        ("sk_live_", 20),
        ("rk_live_", 20),
        ("AIza", 35),
    ];
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    TOKENS.iter().any(|(begin, length)| {
        text.match_indices(begin).any(|(at, _)| {
            let rest = &text[at + begin.len()..];
            let rest = rest.chars().take_while(|c| is_of_token(*c)).count();
            rest >= *length && !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
        })
    })
}

/// Says whether a text contains a login without a scheme: `user:password@host`.
fn has_login(text: &str) -> bool {
    let mut pieces = text.split(|c: char| c.is_whitespace() || ",;'\"()".contains(c));
    pieces.any(|piece| {
        let Some((login, address)) = piece.rsplit_once('@') else {
            return false;
        };
        let host = address.split(['/', ':']).next().unwrap_or_default();
        let is_host = !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        // `nginx:1.27@sha256:…` names an image, `NAME=10.1.0.0/16@10.1.0.5` a network
        let is_digest = matches!(host, "sha256" | "sha512");
        let named = login.split_once(':').is_some_and(|(user, password)| {
            !user.is_empty() && !password.is_empty() && !login.contains('/')
        });
        named && is_host && !is_digest
    })
}

/// Says whether a text contains an address with a user and a password (RFC 3986, section 3.2.1).
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
    fn what_looks_like_a_secret_is_distinguished_from_what_does_not() {
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
            "GITHUB_PAT",
            "DEPLOY_KEY",
            "DEPLOY_KEY_2",
            "GOOGLE_CREDENTIALS",
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
            "--key",
            "KEY",
            "GPG_PUB_KEY",
            "PAT",
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
            ("user:pw@proxy.example.invalid:3128", true),
            ("-u user:pw@10.0.0.1", true),
            ("10.1.0.0/16@10.1.0.5:eth0", false),
            ("fd00::/64@fd00::5:eth0", false),
            ("nginx:1.27@sha256:0123456789abcdef", false),
            ("registry:5000/image@sha256:0123456789abcdef", false),
            ("admin@example.invalid", false),
            ("ghp_0123456789abcdefghijklmnopqrstuvwxyz", true),
            ("x github_pat_11ABCDEFG0123456789_abcdef y", true),
            ("glpat-0123456789abcdefghij", true),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("MAKIAIOSFODNN7EXAMPLE", false),
            ("ghp_short", false),
            ("npm_config_registry", false),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", true),
            ("-----BEGIN PGP PUBLIC KEY BLOCK-----", false),
        ] {
            assert_eq!(looks_secret("http_proxy", value), expected, "{value}");
        }
        for value in [
            "/etc/slipway/deploy.key",
            "https://mirror.example.invalid/key.asc",
            "ssh-ed25519 AAAA admin@example.invalid",
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA",
        ] {
            assert!(!looks_secret("SIGNING_KEY", value), "{value}");
        }
    }
}
