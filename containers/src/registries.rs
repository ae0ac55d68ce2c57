//! What a run knows of registries: who we are to them, what a tag means now, and how many hosts pull at a time.
//!
//! Passwords come from a file in the form of docker's own `config.json`, which nobody but its owner can read; they go to an
//! engine in one header of a request, and nowhere else. A tag is resolved once a run, so that all hosts get one image, however
//! long the run takes. Reference: the Engine API, `X-Registry-Auth` and `DistributionInspect`; RFC 4648 §5.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use definitions::ImageReference;
use serde_json::{Value, json};

use crate::engine::{ApiVersion, Call, EngineApi, RegistryAuth};
use crate::fanout::lock;

/// The file of passwords, in the directory of the definitions, unless another is named.
const FILE: &str = "registry-auth.json";
/// The longest one that is read.
const MAX_BYTES: u64 = 1 << 20;
/// What docker's own files call its hub.
const HUB: &str = "index.docker.io";

/// What is said of registries on a command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RegistryArgs {
    /// How many hosts pull at a time, all others wait: a registry has one link
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pulls: u16,

    /// The file of registries' passwords, as docker's config.json has them; 'registry-auth.json' beside the definitions
    #[arg(long, value_name = "FILE")]
    registry_auth: Option<PathBuf>,
}

/// What is known of registries, for all hosts of a run.
#[derive(Debug)]
pub(crate) struct Registries {
    passwords: BTreeMap<String, RegistryAuth>,
    resolved: Mutex<BTreeMap<String, Arc<Mutex<Option<Resolution>>>>>,
    waves: PullWaves,
}

/// The digest that a tag means, or why nobody can tell; `None` where the engine cannot be asked.
type Resolution = Result<Option<String>, String>;

impl Registries {
    /// Reads the passwords.
    ///
    /// # Errors
    /// When others can read them, or they are not in that form.
    pub(crate) fn load(args: &RegistryArgs, config: &Path) -> Result<Self> {
        let passwords = match &args.registry_auth {
            Some(path) => {
                read(path)?.with_context(|| format!("{} is not there", path.display()))?
            }
            None => read(&config.join(FILE))?.unwrap_or_default(),
        };
        Ok(Self {
            passwords,
            resolved: Mutex::default(),
            waves: PullWaves {
                free: Mutex::new(args.pulls),
                freed: Condvar::new(),
            },
        })
    }

    /// Returns who we are to the registry of an image.
    pub(crate) fn auth(&self, image: &ImageReference) -> RegistryAuth {
        let known = self.passwords.get(registry(image.repository()));
        known.cloned().unwrap_or_else(RegistryAuth::nobody)
    }

    /// Pins an image to the digest that its tag means now; whoever asks first in a run settles it for all.
    ///
    /// # Errors
    /// When the registry does not say.
    pub(crate) fn pinned(
        &self,
        engine: &mut EngineApi,
        image: &ImageReference,
    ) -> Result<ImageReference> {
        if image.digest().is_some() {
            return Ok(image.clone());
        }
        let shared = Arc::clone(lock(&self.resolved).entry(image.to_string()).or_default());
        let mut known = lock(&shared);
        let resolution = known.get_or_insert_with(|| {
            self.resolve(engine, image)
                .map_err(|error| format!("{error:#}"))
        });
        match resolution {
            Ok(Some(digest)) => Ok(format!("{}@{digest}", image.repository()).parse()?),
            Ok(None) => Ok(image.clone()),
            Err(text) => Err(anyhow!(text.clone())),
        }
    }

    /// Has an engine ask the registry.
    fn resolve(&self, engine: &mut EngineApi, image: &ImageReference) -> Result<Option<String>> {
        if engine.api() < ApiVersion::DISTRIBUTION {
            return Ok(None);
        }
        let call = Call::get(format!("/distribution/{image}/json")).registry_auth(self.auth(image));
        let answer = engine.ask(&call)?.succeeded()?;
        let digest = answer["Descriptor"]["digest"].as_str();
        let digest = digest.context("the engine names no digest of it")?;
        Ok(Some(digest.to_owned()))
    }

    /// Waits until fewer hosts pull than may.
    pub(crate) fn turn(&self) -> PullTurn<'_> {
        self.waves.turn()
    }
}

/// How many more hosts may pull now.
#[derive(Debug)]
struct PullWaves {
    free: Mutex<u16>,
    freed: Condvar,
}

/// The turn of one host; it ends when dropped.
#[derive(Debug)]
pub(crate) struct PullTurn<'a>(&'a PullWaves);

impl PullWaves {
    fn turn(&self) -> PullTurn<'_> {
        let free = lock(&self.free);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        PullTurn(self)
    }
}

impl Drop for PullTurn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

/// Names the registry of a repository: what is before the first slash, where that is a host.
fn registry(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" => HUB,
            host => host,
        },
        _ => HUB,
    }
}

/// Reads the file of passwords; `None` where there is none.
fn read(path: &Path) -> Result<Option<BTreeMap<String, RegistryAuth>>> {
    let reading = || format!("reading {}", path.display());
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.with_context(reading)?,
    };
    let mode = file.metadata().with_context(reading)?.mode() & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "{} holds passwords, and others than its owner may read or change it (mode {mode:03o}): chmod 600 it",
        path.display()
    );
    let mut text = String::new();
    file.take(MAX_BYTES)
        .read_to_string(&mut text)
        .with_context(reading)?;
    parse(&text).with_context(reading).map(Some)
}

/// Reads passwords as docker's `config.json` has them. What is wrong is named, and no part of a value is shown.
fn parse(text: &str) -> Result<BTreeMap<String, RegistryAuth>> {
    // The parser's own message shows what it stumbled over.
    let document: Value =
        serde_json::from_str(text).map_err(|error| anyhow!("line {} is not JSON", error.line()))?;
    for key in ["credsStore", "credHelpers"] {
        ensure!(
            document[key].is_null(),
            "{key} has another program keep the passwords, which is not asked: docker login with another config.json"
        );
    }
    let entries = document["auths"]
        .as_object()
        .context("it has no \"auths\"")?;
    let mut passwords = BTreeMap::new();
    for (name, entry) in entries {
        let host = name
            .split_once("://")
            .map_or(name.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let host = if host == "docker.io" { HUB } else { host };
        let auth =
            identity(entry, name).with_context(|| format!("taking the password for {name}"))?;
        passwords.insert(host.to_owned(), auth);
    }
    Ok(passwords)
}

/// Makes the header's value of an entry.
fn identity(entry: &Value, address: &str) -> Result<RegistryAuth> {
    let header = |value: Value| RegistryAuth::new(URL_SAFE.encode(value.to_string()));
    if let Some(token) = entry["identitytoken"]
        .as_str()
        .filter(|token| !token.is_empty())
    {
        return Ok(header(
            json!({ "identitytoken": token, "serveraddress": address }),
        ));
    }
    if let (Some(user), Some(password)) = (entry["username"].as_str(), entry["password"].as_str()) {
        return Ok(header(json!({
            "username": user, "password": password, "serveraddress": address
        })));
    }
    let Some(encoded) = entry["auth"].as_str() else {
        bail!("it has neither \"auth\" nor \"username\" and \"password\"")
    };
    let decoded = STANDARD
        .decode(encoded)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.context("\"auth\" is not a name and a password in base64")?;
    let (user, password) = decoded
        .split_once(':')
        .context("\"auth\" is not a name and a password in base64")?;
    Ok(header(
        json!({ "username": user, "password": password, "serveraddress": address }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_read_in_dockers_form_and_shown_nowhere() {
        let text = r#"{"auths": {
            "reg.example.invalid:5000": {"auth": "Y2Fyb2w6Z2VoZWlt/z8/"},
            "https://index.docker.io/v1/": {"auth": "Y2Fyb2w6Z2VoZWlt"},
            "plain.example.invalid": {"username": "dave", "password": "g\u00ff?"},
            "token.example.invalid": {"identitytoken": "t0ken"}
        }}"#;
        // Bytes that are no text are no password.
        let error = parse(text).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "taking the password for reg.example.invalid:5000: \"auth\" is not a name and a password in base64"
        );
        let passwords = parse(&text.replace("/z8/", "")).unwrap();
        let decoded = |image: &str| {
            let header = passwords
                .get(registry(image))
                .map(|auth| auth.value().to_owned())?;
            serde_json::from_slice::<Value>(&URL_SAFE.decode(header).unwrap()).ok()
        };
        for (image, expected) in [
            (
                "reg.example.invalid:5000/team/app",
                Some(
                    json!({ "username": "carol", "password": "geheim", "serveraddress": "reg.example.invalid:5000" }),
                ),
            ),
            (
                "nginx",
                Some(
                    json!({ "username": "carol", "password": "geheim", "serveraddress": "https://index.docker.io/v1/" }),
                ),
            ),
            (
                "team/app",
                Some(
                    json!({ "username": "carol", "password": "geheim", "serveraddress": "https://index.docker.io/v1/" }),
                ),
            ),
            (
                "plain.example.invalid/a",
                Some(
                    json!({ "username": "dave", "password": "g\u{ff}?", "serveraddress": "plain.example.invalid" }),
                ),
            ),
            (
                "token.example.invalid/a",
                Some(json!({ "identitytoken": "t0ken", "serveraddress": "token.example.invalid" })),
            ),
            ("other.example.invalid/a", None),
        ] {
            assert_eq!(decoded(image), expected, "{image}");
        }
        assert!(!format!("{passwords:?}").contains(passwords["token.example.invalid"].value()));
        for (text, message) in [
            ("{\"auths\": geheim}", "line 1 is not JSON"),
            ("{}", "it has no \"auths\""),
            (
                "{\"credsStore\": \"pass\"}",
                "credsStore has another program keep the passwords, which is not asked: docker login with another \
                 config.json",
            ),
        ] {
            assert_eq!(format!("{:#}", parse(text).unwrap_err()), message);
        }
    }

    #[test]
    fn no_more_hosts_pull_at_a_time_than_may() {
        use std::sync::atomic::{AtomicU16, Ordering};
        let waves = PullWaves {
            free: Mutex::new(2),
            freed: Condvar::new(),
        };
        let (now, most) = (AtomicU16::new(0), AtomicU16::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = waves.turn();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((most.into_inner(), *lock(&waves.free)), (2, 2));
    }
}
