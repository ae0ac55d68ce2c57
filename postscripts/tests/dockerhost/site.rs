//! A host whose identity the site signed: dockerd has it, the site's clients get in, and no authority's key is on the host.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Test;
use crate::host::{Host, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_host_of_the_site_lets_in_the_sites_clients_and_makes_no_authority",
        takes_the_identity,
    ),
    (
        "a_host_with_an_authority_of_its_own_moves_to_the_sites_without_an_outage",
        moves_over,
    ),
    (
        "an_identity_that_is_none_changes_nothing",
        refuses_what_does_not_belong_together,
    ),
];

/// The authorities of a site, made by OpenSSL.
pub(crate) struct Site(tempfile::TempDir);

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write(
            "ca",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
        );
        site.write(
            "host",
            "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:host01.cluster,IP:127.0.0.1\n",
        );
        site.write("client", "extendedKeyUsage=clientAuth\n");
        site.request("root");
        site.openssl(&[
            "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-days", "90", "-extfile",
            "ca", "-out", "root.pem",
        ]);
        for (name, issuer, extensions) in [
            ("hosts", "root", "ca"),
            ("clients", "root", "ca"),
            ("host01", "hosts", "host"),
            ("alice", "clients", "client"),
        ] {
            site.request(name);
            site.sign(name, issuer, extensions);
        }
        site
    }

    /// Returns a file of it.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn request(&self, name: &str) {
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.csr"),
        ]);
    }

    pub(crate) fn sign(&self, name: &str, issuer: &str, extensions: &str) {
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &format!("{name}.csr"),
            "-CA",
            &format!("{issuer}.pem"),
            "-CAkey",
            &format!("{issuer}.key"),
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            extensions,
            "-out",
            &format!("{name}.pem"),
        ]);
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }

    /// Puts the identity on a host, as `enrol` does.
    pub(crate) fn enrol(&self, host: &Host) {
        fs::create_dir_all(host.path("etc/slipway/identity")).unwrap();
        let chain = self.read("host01.pem") + &self.read("hosts.pem");
        for (name, text) in [
            ("key.pem", self.read("host01.key")),
            ("cert.pem", chain),
            ("root.pem", self.read("root.pem")),
            ("clients.pem", self.read("clients.pem")),
        ] {
            host.write(&format!("etc/slipway/identity/{name}"), &text);
        }
    }

    /// Says whether dockerd lets in a client with a certificate, which knows the host by the site's root.
    fn lets_in(&self, host: &Host, certificate: &Path, key: &Path) -> bool {
        let client = tempfile::tempdir().unwrap();
        for (from, name) in [
            (certificate, "cert.pem"),
            (key, "key.pem"),
            (&self.path("root.pem"), "ca.pem"),
        ] {
            fs::copy(from, client.path().join(name)).unwrap();
        }
        host.docker_tls(client.path(), &["version"])
            .status
            .success()
    }

    fn lets_alice_in(&self, host: &Host) -> bool {
        self.lets_in(host, &self.path("alice.pem"), &self.path("alice.key"))
    }
}

/// Lists the files below the host's own directory that hold a key, but for dockerd's and the identity's.
fn other_keys(host: &Host) -> Vec<String> {
    let keys = host.contents().into_iter().filter(|(path, _, bytes)| {
        let is_known = path.ends_with("docker/tls/key.pem") || path.ends_with("identity/key.pem");
        !is_known && String::from_utf8_lossy(bytes).contains("PRIVATE KEY")
    });
    let shown = |path: std::path::PathBuf| {
        path.strip_prefix(host.path(""))
            .unwrap()
            .display()
            .to_string()
    };
    keys.map(|(path, ..)| shown(path)).collect()
}

fn takes_the_identity() {
    let (site, host) = (Site::new(), Host::new());
    site.enrol(&host);
    let said = host.command(&[]).output().unwrap();
    assert!(said.status.success(), "{}", text(&said.stderr));
    // no client's key is on the host, and so dockerd says itself whom it lets in
    let proof = "setupdockerhost: clients that get in: those of the trusted authorities alone are asked for\n";
    assert!(text(&said.stderr).contains(proof), "{}", text(&said.stderr));
    assert_eq!(other_keys(&host), [""; 0]);
    assert_eq!(host.read("etc/docker/tls/ca.pem"), site.read("clients.pem"));
    assert!(site.lets_alice_in(&host));
    let (before, pid) = (host.snapshot(), host.pid());
    assert_eq!(host.setup(&[]), "nothing to do\n");
    assert_eq!((host.snapshot(), host.pid()), (before, pid));

    // The next certificate is taken as the first was.
    site.sign("host01", "hosts", "host");
    site.enrol(&host);
    assert_ne!(host.setup(&[]), "nothing to do\n");
    assert!(site.lets_alice_in(&host));
    for (option, why) in [
        (
            &["--san", "host02"][..],
            "setupdockerhost: --san: the site signs the names and addresses of this node's definition: add it there \
             (hostnames, nicips), and run enrol --renew",
        ),
        (
            &["--renew"],
            "setupdockerhost: --renew: the site signs for this host: run enrol --renew, which has dockerd take what it gets",
        ),
    ] {
        assert_eq!(host.refuse(option), why);
    }
}

fn moves_over() {
    let (site, host) = (Site::new(), Host::new());
    host.setup(&["--san", "127.0.0.1"]);
    let old = tempfile::tempdir().unwrap();
    for name in ["cert.pem", "key.pem"] {
        fs::copy(
            host.path("etc/slipway/client").join(name),
            old.path().join(name),
        )
        .unwrap();
    }
    let lets_old_in = || {
        site.lets_in(
            &host,
            &old.path().join("cert.pem"),
            &old.path().join("key.pem"),
        )
    };
    site.enrol(&host);
    let said = host.command(&[]).output().unwrap();
    assert!(said.status.success(), "{}", text(&said.stderr));
    assert!(
        text(&said.stderr).contains("setupdockerhost: a trusted client: TLS 1.3\n"),
        "{}",
        text(&said.stderr)
    );
    assert!(
        site.lets_alice_in(&host) && lets_old_in(),
        "somebody is locked out"
    );
    let said = host.setup(&[]);
    assert_eq!(
        said,
        format!("dockerd answers trusted clients on {}\n", host.listen)
    );
    assert!(site.lets_alice_in(&host), "the site's client is locked out");
    assert!(
        !lets_old_in(),
        "a client of the authority that is gone gets in"
    );
    assert_eq!(other_keys(&host), [""; 0]);
    assert_eq!(host.setup(&[]), "nothing to do\n");
}

fn refuses_what_does_not_belong_together() {
    let (site, host) = (Site::new(), Host::new());
    host.setup(&[]);
    let (identity, before) = ("etc/slipway/identity", host.contents());
    let there = host.path(identity).display().to_string();
    for (name, text, why) in [
        (
            "key.pem",
            site.read("alice.key"),
            "the certificate is for another key",
        ),
        (
            "clients.pem",
            before_pem(&host),
            "the site's root did not sign the authority of clients",
        ),
        (
            "clients.pem",
            site.read("clients.pem") + &before_pem(&host),
            "the site's root did not sign the authority of clients",
        ),
        (
            "clients.pem",
            String::new(),
            "there is no certificate of the authority of clients",
        ),
        (
            "cert.pem",
            site.read("host01.pem"),
            "there are 1 certificates and not the host's and its authority's",
        ),
        (
            "root.pem",
            String::new(),
            "there is no certificate of the site's root",
        ),
    ] {
        site.enrol(&host);
        host.write(&format!("{identity}/{name}"), &text);
        assert_eq!(
            host.refuse(&[]),
            format!("setupdockerhost: loading the identity in {there}: {why}")
        );
        fs::remove_dir_all(host.path(identity)).unwrap();
        assert_eq!(host.contents(), before);
    }
}

/// An authority that the site's root did not sign.
fn before_pem(host: &Host) -> String {
    host.read("etc/slipway/authority/ca.pem")
}
