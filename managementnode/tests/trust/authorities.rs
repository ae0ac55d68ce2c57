//! The authorities themselves: how they are made, renewed and guarded.

use std::fs;

use serde_json::json;

use super::lab::Lab;
use super::lab::programs::{json_of, other, succeed, trust};
use super::scene::{NETWORKS, mode, openssl, ready, request, set_mode, site, verify};

pub(super) fn made_once() {
    let lab = site();
    assert_eq!(
        succeed(&lab, &["init"]),
        "<lab>/config/trust: made\nhosts: names in cluster, addresses in 10.1.0.0/16\n\
         Put root.key where this machine cannot reach it; renew alone needs it. Keep a copy of all that is there.\n"
    );
    assert_eq!(mode(&lab, "config/trust"), 0o700);
    for (name, expected) in [
        ("root.key", 0o600),
        ("nodes.key", 0o600),
        ("clients.key", 0o600),
        ("server.key", 0o600),
        ("trees.key", 0o600),
        ("ssh_host_ca", 0o600),
        ("store.json", 0o600),
        ("root.crt", 0o644),
        ("trees.asc", 0o644),
    ] {
        assert_eq!(
            mode(&lab, &format!("config/trust/{name}")),
            expected,
            "{name}"
        );
    }
    let again = trust(&lab, &["init"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (
            Some(1),
            "slipway-trust: there is an authority already: <lab>/config/trust\n"
        )
    );
    assert!(!fs::read_dir(lab.path("config")).unwrap().any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".trust-")
    }));
    for holder in ["nodes", "clients", "server"] {
        let verified = verify(&lab, &format!("config/trust/{holder}.crt"), &[]);
        assert_eq!(verified.code, Some(0), "{holder}: {}", verified.stderr);
    }
    let status = json_of(&lab, &["status"]);
    assert_eq!(status["problems"], json!([]));
    assert_eq!(
        status["issued"],
        json!({ "authority": { "valid": 2, "revoked": 0 }, "server": { "valid": 1, "revoked": 0 } })
    );
}

pub(super) fn incomplete() {
    for (site, networks, expected) in [
        (
            "master = \"10.1.0.1\"\n",
            NETWORKS,
            "the site has no domain, which names of hosts are in: chdef -t site clustersite domain=cluster",
        ),
        (
            "domain = \"cluster\"\n",
            NETWORKS,
            "the site does not say how nodes reach this machine: chdef -t site clustersite master=10.1.0.1",
        ),
        (
            "domain = \"cluster\"\nmaster = \"mn\"\n",
            NETWORKS,
            "the site's master 'mn' is a name: nodes reach it by an address while they install, so give that",
        ),
        (
            "domain = \"cluster\"\nmaster = \"192.0.2.1\"\n",
            NETWORKS,
            "the address 192.0.2.1 is in no network of the site: there are 10.1.0.0/16",
        ),
        (
            "domain = \"cluster\"\nmaster = \"10.1.0.1\"\n",
            "",
            "no network is defined, which addresses of hosts are in: mkdef -t network rack net=10.1.0.0 mask=255.255.0.0",
        ),
    ] {
        let lab = Lab::new(networks, "");
        lab.site(site);
        let refused = trust(&lab, &["init"]);
        assert_eq!(
            (refused.code, refused.stderr),
            (Some(1), format!("slipway-trust: {expected}\n"))
        );
        assert!(!lab.path("config/trust").exists());
    }
}

/// What signs with our authority's key and does not ask us is held by its constraints.
pub(super) fn constrained() {
    let lab = ready();
    for (name, names, is_fine) in [
        ("within", "DNS:n9.cluster,IP:10.1.0.9", true),
        ("elsewhere", "DNS:www.example.invalid", false),
        ("outside", "IP:192.0.2.9", false),
    ] {
        request(&lab, name, "basicConstraints=CA:FALSE");
        lab.write(
            &format!("{name}.ext"),
            &format!(
                "basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\nextendedKeyUsage=serverAuth\n\
                 subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature\n"
            ),
        );
        let (csr, ext, out) = (
            format!("{name}.csr"),
            format!("{name}.ext"),
            format!("{name}.crt"),
        );
        openssl(
            &lab,
            &[
                "x509",
                "-req",
                "-in",
                &csr,
                "-CA",
                "config/trust/nodes.crt",
                "-CAkey",
                "config/trust/nodes.key",
                "-extfile",
                &ext,
                "-out",
                &out,
            ],
        );
        let verified = other(
            &lab,
            "openssl",
            &[
                "verify",
                "-CAfile",
                "config/trust/root.crt",
                "-untrusted",
                "config/trust/nodes.crt",
                &out,
            ],
        );
        assert_eq!(
            verified.code == Some(0),
            is_fine,
            "{name}: {}",
            verified.stderr
        );
        assert_eq!(
            verified.stderr.contains("permitted subtree violation"),
            !is_fine,
            "{name}: {}",
            verified.stderr
        );
    }
}

pub(super) fn broken_keys() {
    let lab = ready();
    set_mode(&lab, "config/trust/clients.key", 0o644);
    let open = "<lab>/config/trust/clients.key can be read by others (mode 0644): chmod 600 it if nobody has, else make a \
                new key";
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        format!("slipway-trust: {open}\n")
    );
    let status = trust(&lab, &["status"]);
    assert_eq!(status.code, Some(1));
    assert!(
        status.stdout.contains(&format!("WRONG {open}\n")),
        "{}",
        status.stdout
    );
    fs::remove_file(lab.path("config/trust/clients.key")).unwrap();
    let missing = "slipway-trust: the key of 'clients' is missing: <lab>/config/trust/clients.key: put it back from your copy, \
                   or run slipway-trust renew --new-key\n";
    assert_eq!(trust(&lab, &["issue", "alice"]).stderr, missing);
    std::os::unix::fs::symlink("nodes.key", lab.path("config/trust/clients.key")).unwrap();
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: reading <lab>/config/trust/clients.key: Too many levels of symbolic links (os error 40)\n"
    );
    fs::remove_file(lab.path("config/trust/clients.key")).unwrap();
    fs::copy(
        lab.path("config/trust/nodes.key"),
        lab.path("config/trust/clients.key"),
    )
    .unwrap();
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: the key does not belong to the certificate of 'Slipway clients cluster'\n"
    );
    openssl(
        &lab,
        &[
            "pkcs8",
            "-topk8",
            "-in",
            "config/trust/nodes.key",
            "-passout",
            "pass:x",
            "-out",
            "config/trust/clients.key",
        ],
    );
    set_mode(&lab, "config/trust/clients.key", 0o600);
    assert_eq!(
        trust(&lab, &["issue", "alice"]).stderr,
        "slipway-trust: the key is encrypted, and nobody is asked for a pass phrase here: openssl pkey -in FILE -out FILE\n"
    );
    succeed(&lab, &["renew", "clients", "--new-key"]);
    succeed(&lab, &["issue", "alice"]);
    assert_eq!(
        verify(&lab, "alice/cert.pem", &["-purpose", "sslclient"]).code,
        Some(0)
    );
    set_mode(&lab, "config/trust", 0o755);
    assert_eq!(
        trust(&lab, &["status"]).stderr,
        "slipway-trust: <lab>/config/trust can be entered by others (mode 0755): chmod 700 it if nobody has, else make a \
         new key\n"
    );
    let none = site();
    assert_eq!(
        trust(&none, &["status"]).stderr,
        "slipway-trust: the site has no authority yet: <lab>/config/trust is not there: run slipway-trust init\n"
    );
}

pub(super) fn root_away() {
    let lab = ready();
    fs::rename(lab.path("config/trust/root.key"), lab.path("stick")).unwrap();
    let status = json_of(&lab, &["status"]);
    assert_eq!(status["authorities"][0]["key"], "away");
    succeed(&lab, &["issue", "alice"]);
    succeed(&lab, &["renew", "server"]);
    let refused = trust(&lab, &["renew", "nodes"]);
    assert_eq!(
        refused.stderr,
        "slipway-trust: the key of 'root' is missing: <lab>/config/trust/root.key: it was taken away: put it back for as \
         long as this takes\n"
    );
    fs::rename(lab.path("stick"), lab.path("config/trust/root.key")).unwrap();
    // A network that was not there: the authority is signed anew for it, and what it signed before goes on.
    request(&lab, "n1", "basicConstraints=CA:FALSE");
    succeed(
        &lab,
        &["issue", "n1", "--as", "node", "--request", "n1.csr"],
    );
    lab.write(
        "config/networks.toml",
        &format!("{NETWORKS}[lab]\nnet = \"192.0.2.0\"\nmask = \"/24\"\n"),
    );
    succeed(&lab, &["renew", "nodes"]);
    succeed(
        &lab,
        &["issue", "far", "--as", "node", "--request", "n1.csr"],
    );
    for name in ["n1", "far"] {
        let certificate = format!("{name}/cert.pem");
        let verified = other(
            &lab,
            "openssl",
            &[
                "verify",
                "-CAfile",
                "config/trust/root.crt",
                "-untrusted",
                "config/trust/nodes.crt",
                &certificate,
            ],
        );
        assert_eq!(verified.code, Some(0), "{name}: {}", verified.stderr);
    }
}

pub(super) fn ended_authority() {
    let lab = ready();
    // OpenSSL signs what our own terms would take years for.
    openssl(
        &lab,
        &[
            "x509",
            "-in",
            "config/trust/clients.crt",
            "-signkey",
            "config/trust/clients.key",
            "-days",
            "-1",
            "-out",
            "old.crt",
        ],
    );
    fs::copy(lab.path("old.crt"), lab.path("config/trust/clients.crt")).unwrap();
    let refused = trust(&lab, &["issue", "alice"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("slipway-trust: the certificate of 'clients' ended at ")
            && refused
                .stderr
                .ends_with("Z: run slipway-trust renew clients\n"),
        "{}",
        refused.stderr
    );
    succeed(&lab, &["renew", "clients"]);
    succeed(&lab, &["issue", "alice"]);
}

pub(super) fn dry_run() {
    let lab = site();
    assert!(
        succeed(&lab, &["init", "--dry-run"]).starts_with("<lab>/config/trust: would be made\n")
    );
    assert!(!lab.path("config/trust").exists());
    succeed(&lab, &["init"]);
    succeed(&lab, &["issue", "bob"]);
    let before = lab.read("config/trust/store.json");
    for arguments in [
        &["issue", "alice"][..],
        &["revoke", "bob"],
        &["arm", "n1"],
        &["disarm", "n1"],
        &["renew", "nodes", "--new-key"],
    ] {
        succeed(&lab, &[arguments, &["--dry-run"]].concat());
        assert_eq!(lab.read("config/trust/store.json"), before, "{arguments:?}");
    }
    assert!(!lab.path("alice").exists());
}
