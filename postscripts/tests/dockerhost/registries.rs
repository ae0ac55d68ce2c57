//! The site's image registry: dockerd shows it the host's identity, without a restart.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Test;
use crate::host::{Host, eventually, text};
use crate::network::Namespace;
use crate::site::Site;

pub(crate) const TESTS: &[Test] = &[
    (
        "a_host_pulls_from_the_sites_registry_by_its_identity",
        pulls,
    ),
    (
        "what_a_registry_is_trusted_by_is_there_completely_or_not_at_all",
        killed,
    ),
];

const REGISTRY: &str = "10.79.0.5:5000";

/// A host, and the directory of what it trusts a registry by.
struct RegistryHost {
    host: Host,
    certs: PathBuf,
}

impl RegistryHost {
    fn new(host: Host, registry: &str) -> Self {
        let certs = host.path("etc/docker/certs.d").join(registry);
        Self { host, certs }
    }

    /// One whose dockerd reads it: no option of dockerd names another directory than that of this machine.
    fn real(host: Host, registry: &str) -> Self {
        let shared = Path::new("/etc/docker/certs.d");
        fs::create_dir_all(shared).unwrap();
        symlink(shared, host.path("etc/docker/certs.d")).unwrap();
        fs::remove_dir_all(shared.join(registry)).ok();
        Self::new(host, registry)
    }

    /// The names and modes of the files, sorted.
    fn files(&self) -> Vec<(String, u32)> {
        let listing = fs::read_dir(&self.certs).into_iter().flatten().flatten();
        let one = |entry: fs::DirEntry| {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            (entry.file_name().into_string().unwrap(), mode)
        };
        let mut files: Vec<_> = listing.map(one).collect();
        files.sort();
        files
    }

    fn complete() -> Vec<(String, u32)> {
        [
            ("ca.crt", 0o644),
            ("client.cert", 0o644),
            ("client.key", 0o600),
        ]
        .map(|(name, mode)| (name.to_owned(), mode))
        .into()
    }

    /// Runs, must succeed, and returns what it says on both.
    fn said(&self, arguments: &[&str]) -> (String, String) {
        let output = self.host.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (text(&output.stdout), text(&output.stderr))
    }
}

impl Drop for RegistryHost {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.certs).ok();
    }
}

/// The registry of a package, with the clients of the site's root alone, as `setupregistry` has it.
struct Registry(Child);

impl Registry {
    fn start(site: &Site, namespace: &Namespace) -> Self {
        site.write(
            "registry",
            "extendedKeyUsage=serverAuth\nsubjectAltName=IP:10.79.0.5\n",
        );
        site.request("mn");
        site.sign("mn", "root", "registry");
        let at = |name: &str| site.path(name).display().to_string();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {REGISTRY}\n  tls:\n    certificate: {}\n    \
             key: {}\n    clientcas:\n      - {}\n",
            at("images"),
            at("mn.pem"),
            at("mn.key"),
            at("root.pem")
        );
        site.write("registry.yml", &config);
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", namespace.0))
            .args(["setpriv", "--pdeathsig", "TERM", "docker-registry", "serve"])
            .arg(site.path("registry.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn pulls() {
    let (site, namespace) = (Site::new(), Namespace::new("dhg", "10.79.0.5/16"));
    let host = RegistryHost::real(Host::inside(&namespace.0, "10.79.0.5:2376"), REGISTRY);
    assert_eq!(
        host.host.refuse(&["--registry", REGISTRY]),
        format!(
            "setupdockerhost: --registry {REGISTRY}: this host has no identity of the site to show there: run enrol, or copy a \
             client's certificate to {}",
            host.host
                .path("etc/docker/certs.d")
                .join(REGISTRY)
                .display()
        )
    );
    site.enrol(&host.host);
    host.said(&[]);
    let (pid, trust) = (host.host.pid(), ["--registry", REGISTRY]);

    // What somebody else made is not written over.
    fs::create_dir_all(&host.certs).unwrap();
    fs::write(host.certs.join("ca.crt"), "mine\n").unwrap();
    let refused = host.host.refuse(&trust);
    assert!(
        refused
            .ends_with("/ca.crt is not of setupdockerhost: move it away, or leave --registry out"),
        "{refused}"
    );
    assert_eq!(
        fs::read_to_string(host.certs.join("ca.crt")).unwrap(),
        "mine\n"
    );
    fs::remove_dir_all(&host.certs).unwrap();

    // One that does not answer yet is no reason not to trust it.
    let planned = host.host.setup(&[&trust[..], &["--dry-run"]].concat());
    assert_eq!(planned.lines().count(), 4, "{planned}");
    let (_, said) = host.said(&trust);
    let silent = format!(
        "setupdockerhost: the registry {REGISTRY} does not let this host in now: dockerd answered "
    );
    assert!(said.contains(&silent), "{said}");
    assert_eq!(host.files(), RegistryHost::complete());
    let _registry = Registry::start(&site, &namespace);
    eventually("the registry lets the host in", || {
        let (out, err) = host.said(&trust);
        assert_eq!(out, "nothing to do\n", "{err}");
        !err.contains("does not let this host in")
    });
    assert_eq!(host.host.pid(), pid, "dockerd was restarted");
    let status = host.host.setup(&["--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        status["registries"],
        serde_json::json!([{ "registry": REGISTRY, "answers": true, "seen": "it lets this host in" }])
    );
    let status = text(&host.host.bare(&["--status"]).output().unwrap().stdout);
    assert!(
        status.contains(&format!("\nregistry: {REGISTRY}\n")),
        "{status}"
    );
    moves_images(&host.host);

    // The next identity is shown there too, by the run that has no option, as enrol makes it.
    let before = fs::read_to_string(host.certs.join("client.cert")).unwrap();
    site.sign("host01", "hosts", "host");
    site.enrol(&host.host);
    host.said(&[]);
    let now = fs::read_to_string(host.certs.join("client.cert")).unwrap();
    assert_ne!(now, before);
    assert_eq!(now, host.host.read("etc/slipway/identity/cert.pem"));
    moves_images(&host.host);

    let pid = host.host.pid();
    host.said(&["--no-registry"]);
    assert!(!host.certs.exists());
    assert_eq!(host.said(&["--no-registry"]).0, "nothing to do\n");
    let push = host.host.docker(&["push", &format!("{REGISTRY}/app:1")]);
    assert!(
        text(&push.stderr).contains("certificate"),
        "{}",
        text(&push.stderr)
    );
    assert_eq!(host.host.pid(), pid, "dockerd was restarted");
}

/// Pushes an image, forgets it, and pulls it.
fn moves_images(host: &Host) {
    let image = format!("{REGISTRY}/app:1");
    host.load_busybox();
    for arguments in [
        &["tag", "busybox", &image][..],
        &["push", &image],
        &["rmi", &image],
        &["pull", &image],
    ] {
        let output = host.docker(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
}

fn killed() {
    // Nobody is there: what dockerd says of it is not looked at.
    let registry = "127.0.0.1:1";
    let (site, host) = (Site::new(), RegistryHost::new(Host::new(), registry));
    site.enrol(&host.host);
    host.said(&[]);
    let mut killed = 0;
    loop {
        let mut command = host.host.command(&["--registry", registry]);
        command.env("SLIPWAY_FAULT", format!("kill:part:{}", killed + 1));
        if command.output().unwrap().status.signal() != Some(9) {
            break;
        }
        killed += 1;
        // The next run has no option: it keeps what was complete, and takes back what was not.
        host.said(&[]);
        if host.certs.exists() {
            assert_eq!(host.files(), RegistryHost::complete(), "{killed}");
            host.said(&["--no-registry"]);
        }
        assert!(!host.certs.exists(), "{killed}: {:?}", host.files());
    }
    assert!(killed >= 10, "only {killed} parts");
}
