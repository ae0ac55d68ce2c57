//! Keys, certificates, the daemon's configuration, and who gets in.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Test;
use crate::host::{Host, eventually, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_second_run_changes_no_file_and_restarts_nothing",
        a_second_run_changes_nothing,
    ),
    ("only_trusted_clients_get_in", only_trusted_clients_get_in),
    (
        "no_key_is_readable_by_others_or_printed",
        no_key_is_readable_by_others_or_printed,
    ),
    (
        "a_new_name_renews_and_containers_keep_running",
        a_new_name_renews,
    ),
    (
        "a_certificate_near_its_end_is_renewed",
        a_certificate_near_its_end_is_renewed,
    ),
    (
        "two_authorities_are_trusted_during_a_change",
        two_authorities_are_trusted,
    ),
    (
        "an_authority_comes_with_those_above_it_and_with_any_usual_key",
        an_authority_below_others,
    ),
    (
        "an_authority_that_clients_of_go_would_not_take_is_refused_before_anything_changes",
        unfit_authorities,
    ),
    ("openrc_restarts_it_too", openrc),
    (
        "the_users_configuration_stays",
        the_users_configuration_stays,
    ),
    (
        "the_address_can_be_moved_and_is_kept",
        the_address_can_be_moved,
    ),
    (
        "dry_run_and_status_change_nothing",
        dry_run_and_status_change_nothing,
    ),
];

fn a_second_run_changes_nothing() {
    let host = Host::new();
    assert_eq!(
        host.setup(&[]),
        format!("dockerd answers trusted clients on {}\n", host.listen)
    );
    let (before, pid) = (host.snapshot(), host.pid());
    assert_eq!(host.setup(&[]), "nothing to do\n");
    let without_listen = host.bare(&[]).output().unwrap();
    assert_eq!(text(&without_listen.stdout), "nothing to do\n");
    assert_eq!(host.snapshot(), before);
    assert_eq!(host.pid(), pid);
}

fn only_trusted_clients_get_in() {
    let host = Host::new();
    let socket_mode = fs::metadata(host.path("var/run/docker.sock"))
        .unwrap()
        .mode();
    let report: Value =
        serde_json::from_str(&host.setup(&["--json", "--san", "127.0.0.1"])).unwrap();
    let proof = report["proof"].as_array().unwrap();
    let clients: Vec<_> = proof
        .iter()
        .map(|check| check["client"].as_str().unwrap())
        .collect();
    assert_eq!(
        clients,
        [
            "a trusted client",
            "a client without a certificate",
            "a client of a foreign authority",
            "a client with an expired certificate",
            "a server's certificate as a client's",
            "a client that speaks no TLS",
        ]
    );
    assert!(
        proof.iter().all(|check| check["holds"] == true),
        "{report:#}"
    );
    assert_eq!(proof[0]["seen"], "TLS 1.3");
    assert_eq!(
        fs::metadata(host.path("var/run/docker.sock"))
            .unwrap()
            .mode(),
        socket_mode
    );

    // The same by programs that are not ours.
    let version = host.docker_tls(&host.path("etc/slipway/client"), &["version"]);
    assert!(version.status.success(), "{}", text(&version.stderr));
    for (arguments, refused) in [(vec![], true), (client_arguments(&host), false)] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "10", "--cacert"])
            .arg(host.path("etc/slipway/client/ca.pem"));
        let name = report["names"]["dns"][0].as_str().unwrap();
        let port = host.listen.rsplit(':').next().unwrap();
        curl.args(["--resolve", &format!("{name}:{port}:127.0.0.1")])
            .args(arguments);
        let output = curl
            .arg(format!("https://{name}:{port}/version"))
            .output()
            .unwrap();
        assert_eq!(
            output.status.success(),
            !refused,
            "{}",
            text(&output.stderr)
        );
    }
    verified_by_openssl(&host, "etc/docker/tls/cert.pem", "sslserver");
    verified_by_openssl(&host, "etc/slipway/client/cert.pem", "sslclient");
}

fn client_arguments(host: &Host) -> Vec<String> {
    let file = |name: &str| {
        host.path("etc/slipway/client")
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    vec![
        "--cert".to_owned(),
        file("cert.pem"),
        "--key".to_owned(),
        file("key.pem"),
    ]
}

fn verified_by_openssl(host: &Host, certificate: &str, purpose: &str) {
    let authority = host.path("etc/slipway/authority/ca.pem");
    for (purpose, holds) in [(purpose, true), (other(purpose), false)] {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"])
            .arg(&authority);
        let output = openssl.arg(host.path(certificate)).output().unwrap();
        assert_eq!(
            output.status.success(),
            holds,
            "{certificate} as {purpose}: {}",
            text(&output.stderr)
        );
    }
}

fn other(purpose: &str) -> &'static str {
    if purpose == "sslserver" {
        "sslclient"
    } else {
        "sslserver"
    }
}

fn no_key_is_readable_by_others_or_printed() {
    let host = Host::new();
    let output = host.command(&["--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout) + &text(&output.stderr) + &host.log();
    for key in [
        "etc/docker/tls/key.pem",
        "etc/slipway/authority/ca-key.pem",
        "etc/slipway/client/key.pem",
    ] {
        assert_eq!(
            fs::metadata(host.path(key)).unwrap().mode() & 0o7777,
            0o600,
            "{key}"
        );
        let secret = host.read(key);
        let line = secret.lines().nth(1).unwrap();
        assert!(!said.contains(line), "{key} was printed");
    }
    for dir in ["etc/slipway/authority", "etc/slipway/client"] {
        assert_eq!(
            fs::metadata(host.path(dir)).unwrap().mode() & 0o7777,
            0o700,
            "{dir}"
        );
    }
    let authority = fs::read_to_string(host.path("etc/docker/daemon.json")).unwrap();
    assert!(
        !authority.contains("slipway/authority"),
        "dockerd is told where the authority's key is"
    );
}

fn a_new_name_renews() {
    let host = Host::new();
    host.setup(&[]);
    host.load_busybox();
    let container = host.start_container("stays", &["--network", "none"]);
    let (pid, key) = (host.pid(), host.read("etc/docker/tls/key.pem"));
    let report: Value = serde_json::from_str(&host.setup(&[
        "--json",
        "--san",
        "door.cluster",
        "--san",
        "10.9.8.7",
    ]))
    .unwrap();
    assert_eq!(report["restarted"], true);
    assert!(
        report["steps"][0]
            .as_str()
            .unwrap()
            .starts_with("dockerd's certificate: not all of ")
    );
    assert_ne!(host.pid(), pid);
    assert_ne!(host.read("etc/docker/tls/key.pem"), key);
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-ext", "subjectAltName", "-in"])
        .arg(host.path("etc/docker/tls/cert.pem"))
        .output()
        .unwrap();
    let shown = text(&shown.stdout);
    assert!(
        shown.contains("DNS:door.cluster") && shown.contains("IP Address:10.9.8.7"),
        "{shown}"
    );
    eventually("the container runs on", || {
        text(&host.docker(&["ps", "-q", "--no-trunc"]).stdout).trim() == container
    });
    // A name that is no longer asked for is no reason to make a certificate.
    assert_eq!(host.setup(&[]), "nothing to do\n");
}

fn a_certificate_near_its_end_is_renewed() {
    let host = Host::new();
    host.setup(&[]);
    let (certificate, key) = (
        host.path("etc/docker/tls/cert.pem"),
        host.path("etc/docker/tls/key.pem"),
    );
    let request = host.path("request");
    let ok =
        |command: &mut Command| assert!(command.stderr(Stdio::null()).status().unwrap().success());
    ok(Command::new("openssl")
        .args(["req", "-new", "-subj", "/CN=x", "-key"])
        .arg(&key)
        .arg("-out")
        .arg(&request));
    fs::write(
        host.path("extensions"),
        "subjectAltName=DNS:x\nextendedKeyUsage=serverAuth\n",
    )
    .unwrap();
    ok(Command::new("openssl")
        .args(["x509", "-req", "-days", "364", "-in"])
        .arg(&request)
        .arg("-CA")
        .arg(host.path("etc/slipway/authority/ca.pem"))
        .arg("-CAkey")
        .arg(host.path("etc/slipway/authority/ca-key.pem"))
        .arg("-extfile")
        .arg(host.path("extensions"))
        .arg("-out")
        .arg(&certificate));
    let report: Value = serde_json::from_str(&host.setup(&["--json"])).unwrap();
    assert!(
        report["steps"][0]
            .as_str()
            .unwrap()
            .starts_with("dockerd's certificate: it ends on 20"),
        "{report:#}"
    );
    assert_eq!(host.setup(&[]), "nothing to do\n");
}

fn two_authorities_are_trusted() {
    let host = Host::new();
    host.setup(&["--san", "127.0.0.1"]);
    let old = tempfile::tempdir().unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(
            host.path("etc/slipway/client").join(name),
            old.path().join(name),
        )
        .unwrap();
    }
    // Any authority with a P-256 key will do: this one is openssl's.
    let cluster = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args(["-subj", "/CN=cluster", "-days", "3650", "-keyout"])
        .arg(cluster.path().join("ca-key.pem"))
        .arg("-out")
        .arg(cluster.path().join("ca.pem"))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let ca = cluster.path().to_str().unwrap().to_owned();
    let gets_in = |dir: &std::path::Path| {
        // The old client trusts the old authority alone: it reads the new one to know the server.
        let own = tempfile::tempdir().unwrap();
        for name in ["cert.pem", "key.pem"] {
            fs::copy(dir.join(name), own.path().join(name)).unwrap();
        }
        fs::copy(
            host.path("etc/slipway/client/ca.pem"),
            own.path().join("ca.pem"),
        )
        .unwrap();
        host.docker_tls(own.path(), &["version"]).status.success()
    };
    host.setup(&["--san", "127.0.0.1", "--ca", &ca]);
    assert!(gets_in(&host.path("etc/slipway/client")));
    assert!(
        gets_in(old.path()),
        "the change of authority locked the old clients out"
    );
    assert_eq!(
        host.setup(&["--san", "127.0.0.1", "--ca", &ca]),
        "nothing to do\n"
    );

    host.setup(&["--san", "127.0.0.1", "--ca", &ca, "--renew"]);
    assert!(gets_in(&host.path("etc/slipway/client")));
    assert!(
        !gets_in(old.path()),
        "the old authority is trusted for ever"
    );
}

/// Runs openssl in a directory.
fn openssl(dir: &std::path::Path, line: &str) {
    let output = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {line}: {}",
        text(&output.stderr)
    );
}

fn unfit_authorities() {
    let host = Host::new();
    let site = tempfile::tempdir().unwrap();
    let dir = site.path();
    let ca = dir.to_str().unwrap();
    openssl(
        dir,
        "ecparam -name prime256v1 -genkey -noout -out ca-key.pem",
    );
    let (before, pid) = (host.snapshot(), host.pid());
    let loading = format!("setupdockerhost: loading the authority in {ca}: CN=site ");
    let signing = "setupdockerhost: having the authority sign for this host: CN=site ";
    for (extension, start, reason) in [
        (
            "extendedKeyUsage=clientAuth,emailProtection",
            loading.as_str(),
            "may not sign for both servers and clients",
        ),
        (
            "keyUsage=critical,digitalSignature",
            &loading,
            "may sign no certificates: its keyUsage has no keyCertSign",
        ),
        (
            "inhibitAnyPolicy=critical,0",
            &loading,
            "has the critical extension 2.5.29.54, which dockerd does not know",
        ),
        (
            "nameConstraints=critical,permitted;DNS:other.example",
            signing,
            "may not sign for ",
        ),
        (
            "nameConstraints=critical,excluded;IP:198.51.100.0/255.255.255.0",
            signing,
            "may not sign for 198.51.100.7: its name constraints exclude 198.51.100.0/255.255.255.0",
        ),
    ] {
        openssl(
            dir,
            &format!(
                "req -x509 -new -key ca-key.pem -days 3650 -subj /CN=site -out ca.pem -addext {extension}"
            ),
        );
        let message = host.refuse(&["--ca", ca, "--san", "198.51.100.7"]);
        assert!(
            message.starts_with(&format!("{start}{reason}")),
            "{message}"
        );
        assert_eq!(host.snapshot(), before);
        assert_eq!(host.pid(), pid);
    }
}

fn an_authority_below_others() {
    let host = Host::new();
    let site = tempfile::tempdir().unwrap();
    let dir = site.path();
    fs::write(
        dir.join("extensions"),
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n",
    )
    .unwrap();
    openssl(
        dir,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out root.key",
    );
    openssl(
        dir,
        "req -x509 -new -key root.key -days 3650 -subj /CN=top -addext keyUsage=critical,keyCertSign,cRLSign -out root.pem",
    );
    // SEC 1, with its parameters in a block before it.
    openssl(dir, "ecparam -name secp384r1 -genkey -out ca-key.pem");
    openssl(dir, "req -new -key ca-key.pem -subj /CN=below -out request");
    openssl(
        dir,
        "x509 -req -in request -CA root.pem -CAkey root.key -CAcreateserial -days 200 -extfile extensions -out below.pem",
    );
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    // In whatever order they stand, and with the line ends of another system.
    let both = read("root.pem") + &read("below.pem");
    fs::write(dir.join("ca.pem"), both.replace('\n', "\r\n")).unwrap();
    let ca = dir.to_str().unwrap();
    let count = |path: &str| host.read(path).matches("BEGIN CERTIFICATE").count();
    let verified = |root: &str| {
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"]);
        verify.arg(dir.join(root)).arg("-untrusted");
        let certificate = host.path("etc/docker/tls/cert.pem");
        verify
            .arg(&certificate)
            .arg(&certificate)
            .status()
            .unwrap()
            .success()
    };
    host.setup(&["--ca", ca]);
    assert!(
        verified("root.pem"),
        "one who trusts the root alone does not know dockerd"
    );
    assert_eq!(count("etc/docker/tls/cert.pem"), 2);
    assert_eq!(count("etc/docker/tls/ca.pem"), 2);
    // It ends within a year: what it signed cannot last longer, and is not made again for that.
    assert_eq!(host.setup(&["--ca", ca]), "nothing to do\n");
    host.setup(&["--ca", ca, "--issuer-only"]);
    assert_eq!(count("etc/docker/tls/ca.pem"), 1);
    assert_eq!(
        host.setup(&["--ca", ca, "--issuer-only"]),
        "nothing to do\n"
    );

    // Another root signs the first one's key: who trusts either of them knows dockerd, whatever the order in the file.
    openssl(dir, "ecparam -name prime256v1 -genkey -out other.key");
    openssl(
        dir,
        "req -x509 -new -key other.key -days 3650 -subj /CN=other -addext keyUsage=critical,keyCertSign,cRLSign -out other.pem",
    );
    openssl(dir, "req -new -key root.key -subj /CN=top -out request");
    openssl(
        dir,
        "x509 -req -in request -CA other.pem -CAkey other.key -CAcreateserial -days 3650 -extfile extensions -out cross.pem",
    );
    let (cross, other) = (read("cross.pem"), read("other.pem"));
    fs::write(dir.join("ca.pem"), both.clone() + &cross + &other).unwrap();
    host.setup(&["--ca", ca]);
    assert!(verified("root.pem") && verified("other.pem"));
    assert_eq!(count("etc/docker/tls/cert.pem"), 3);
    fs::write(dir.join("ca.pem"), cross + &other + &both).unwrap();
    assert_eq!(host.setup(&["--ca", ca]), "nothing to do\n");

    // PKCS #1, of the root itself.
    openssl(dir, "rsa -in root.key -traditional -out ca-key.pem");
    fs::copy(dir.join("root.pem"), dir.join("ca.pem")).unwrap();
    host.setup(&["--ca", ca, "--dry-run"]);
    let refused = |reason: &str| {
        let loading = format!("setupdockerhost: loading the authority in {ca}: ");
        assert_eq!(host.refuse(&["--ca", ca]), loading + reason);
    };
    fs::write(dir.join("ca.pem"), both).unwrap();
    refused(
        "1 more certificate(s) in the file are not above the \
         authority's: remove them, because every one of them is trusted",
    );
    let encrypted = "reading a private key: it is encrypted, and this program asks for no pass phrase; decrypt a \
                     copy with 'openssl pkey -in FILE -out FILE'";
    for form in ["", " -traditional"] {
        openssl(
            dir,
            &format!("rsa -aes256 -passout pass:x -in root.key{form} -out ca-key.pem"),
        );
        refused(encrypted);
    }
    let key = dir.join("ca-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o606)).unwrap();
    refused(&format!(
        "{path} is not root's alone: others may write to it (mode 0606) ({path})",
        path = key.display()
    ));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    openssl(dir, "ecparam -name secp521r1 -genkey -out ca-key.pem");
    refused(
        "reading a private key: it is not an RSA (2048 bits or more), P-256, P-384 or Ed25519 key",
    );
}

/// Where OpenRC is, the script is its own; a container that ends with the first restart is counted.
fn openrc() {
    let host = Host::new();
    fs::create_dir_all(host.path("sbin")).unwrap();
    host.write("sbin/openrc-run", "");
    host.load_busybox();
    host.start_container("ends", &["--network", "none", "--stop-timeout", "1"]);
    let pid = host.pid();
    let output = host.command(&[]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(
        said.contains(
            "setupdockerhost: 1 running container(s) end with this restart of dockerd, which had live-restore off; \
             later ones leave them running\n"
        ),
        "{said}"
    );
    assert_ne!(host.pid(), pid);
}

fn the_users_configuration_stays() {
    let host = Host::new();
    let user = "{\"zeta\": 1, \"log-level\": \"warn\", \"labels\": [\"rack=7\"]}"
        .replace("\"zeta\": 1, ", "");
    host.write("etc/docker/daemon.json", &user);
    fs::set_permissions(
        host.path("etc/docker/daemon.json"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    host.setup(&[]);
    let merged: Value = serde_json::from_str(&host.read("etc/docker/daemon.json")).unwrap();
    assert_eq!(merged["log-level"], "warn");
    assert_eq!(merged["labels"][0], "rack=7");
    assert_eq!(merged["live-restore"], true);
    let mode = fs::metadata(host.path("etc/docker/daemon.json"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
    let info = host.docker(&["info", "--format", "{{.Labels}} {{.LiveRestoreEnabled}}"]);
    assert_eq!(text(&info.stdout), "[rack=7] true\n");
}

fn the_address_can_be_moved() {
    let mut host = Host::new();
    host.setup(&[]);
    host.listen = format!("127.0.0.1:{}", crate::host::free_port());
    host.setup(&[]);
    let merged: Value = serde_json::from_str(&host.read("etc/docker/daemon.json")).unwrap();
    assert_eq!(merged["hosts"].as_array().unwrap().len(), 2);
    assert_eq!(merged["hosts"][1], format!("tcp://{}", host.listen));
    assert_eq!(host.setup(&[]), "nothing to do\n");
}

fn dry_run_and_status_change_nothing() {
    let host = Host::new();
    let before = host.snapshot();
    let planned = host.setup(&["--dry-run"]);
    assert!(
        planned.starts_with("the host's own authority: none yet\n"),
        "{planned}"
    );
    assert!(planned.ends_with("restart dockerd\n"), "{planned}");
    let status = host.bare(&["--status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(1), "no certificate yet");
    assert_eq!(host.snapshot(), before);
    assert!(!host.path("etc/slipway").exists());

    host.setup(&[]);
    assert_eq!(host.setup(&["--dry-run"]), "nothing to do\n");
    let status = host.bare(&["--status", "--json"]).output().unwrap();
    assert_eq!(status.status.code(), Some(0));
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["server"]["days_left"], 1094);
    assert_eq!(status["server"]["renewed_at_next_run"], false);
    assert_eq!(status["hosts"][1], format!("tcp://{}", host.listen));
}
