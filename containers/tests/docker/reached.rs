//! How engines are reached, what keeps clients out, and addresses that are somebody's already.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::lab::{eventually, lab, text};
use crate::newest::{self, NewestEngine};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    (
        "a_host_that_cannot_be_reached_keeps_its_own_containers_alone",
        one_bad_host,
    ),
    ("what_keeps_a_client_out_is_said_with_what_helps", kept_out),
    (
        "what_an_engine_shows_and_should_not_is_told_with_what_helps",
        wrong_servers,
    ),
    ("certificates_are_found_for_each_host", certificates),
    (
        "the_sites_authority_gives_the_client_a_certificate_of_hours",
        of_the_authority,
    ),
    ("an_address_is_refused_before_anything_is_made", addresses),
    ("engines_refuse_what_no_definition_knows", networks),
    ("an_address_that_somebody_has_by_now_is_not_started", probed),
    (
        "a_hundred_addresses_are_asked_for_in_the_time_of_one",
        probed_at_once,
    ),
];

fn definition(name: &str, host: &str, ip: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"{host}\"\nip = \"{ip}\"\n\
         image = \"busybox:1\"\ncommand = \"sleep 1000\"\n"
    )
}

fn one_bad_host() {
    let site = Site::new(&format!(
        "{}{}{}{}{}[node.nohost]\nmgt = \"docker\"\n[node.machine]\nmgt = \"ipmi\"\n",
        definition("u1", "host01", "10.73.40.1"),
        definition("u2", "host09", "10.73.40.2"),
        definition("u3", "host01:2375", "10.73.40.3"),
        definition("u4", "10.73.0.6:2376", "10.73.40.4"),
        "[node.host09]\nip = \"10.73.9.9\"\n",
    ));
    let outcome = site.run("mkdocker u1-u4,nohost,machine");
    assert_eq!(outcome.code, 1);
    let mut out: Vec<_> = outcome.out.lines().collect();
    out.sort_unstable();
    assert_eq!(out, ["u1: success", "u4: success"], "{}", outcome.err);
    let mut errors: Vec<_> = outcome.err.lines().collect();
    errors.sort_unstable();
    assert!(
        errors[2].starts_with("u2: [mn]: Error: connecting to the engine at 10.73.9.9:2376: "),
        "{errors:?}"
    );
    assert_eq!(
        [errors[0], errors[1], errors[3]],
        [
            "machine: [mn]: Error: it is no container: its mgt is ipmi, and docker of a container",
            "nohost: [mn]: Error: Docker host not set correct for nohost: chdef nohost dockerhost=HOST",
            "u3: [mn]: Error: connecting to the engine at 10.73.0.5:2375: Connection refused (os error 111): engines \
             that speak TLS listen on 2376, not on 2375: change dockerhost"
        ]
    );
    site.ok("rmdocker u1,u4");
}

fn kept_out() {
    let site = Site::new(&definition("v1", "host01", "10.73.41.1"));
    let told = |directory: &std::path::Path| {
        let mut command = site.command("rpower");
        command
            .env("DOCKER_CERT_PATH", directory)
            .args(["v1", "state"]);
        let outcome = crate::site::outcome(command.output().unwrap());
        assert_eq!(outcome.code, 1, "{outcome:?}");
        let told = outcome.err.replace("v1: [mn]: Error: ", "");
        told.trim_end().to_owned()
    };
    // A client of another authority; with TLS 1.3 that is heard with the first answer.
    let stranger = told(&lab().path("stranger"));
    assert!(
        stranger.starts_with(
            "asking the engine at 10.73.0.5:2376 for its version: the engine does not "
        ),
        "{stranger}"
    );
    // An engine of another authority than the client believes.
    let copy = tempfile::tempdir().unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(lab().client().join(file), copy.path().join(file)).unwrap();
    }
    fs::copy(lab().path("foreign.pem"), copy.path().join("ca.pem")).unwrap();
    let foreign = told(copy.path());
    assert!(
        foreign.starts_with(
            "connecting to the engine at 10.73.0.5:2376: the engine's certificate is of another authority than ca.pem: "
        ),
        "{foreign}"
    );
    // A key that others can read.
    let key = copy.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        told(copy.path()),
        format!(
            "{} may be read or changed by others than its owner (mode 644), and whoever has it is root on every docker \
             host: chmod 600 it",
            key.display()
        )
    );
    fs::remove_file(&key).unwrap();
    let neither = format!(
        "nothing lets a client in on host01: neither {0}/host01 nor {0} has ca.pem, cert.pem and key.pem: ",
        copy.path().display()
    );
    assert_eq!(
        told(copy.path()),
        format!(
            "{neither}copy host01:/etc/slipway/client there, or name another directory with --cert-path"
        )
    );
    fs::create_dir(site.path().join("trust")).unwrap();
    assert_eq!(
        told(copy.path()),
        format!(
            "{neither}have root sign one ('slipway-trust issue NAME --out DIR'), and name its directory with --cert-path"
        )
    );
    // A name that the certificate does not have.
    site.redefine("dockerhost = \"host01\"", "dockerhost = \"127.0.0.1:2376\"");
    let outcome = site.run("rpower v1 state");
    assert!(
        outcome
            .err
            .contains("connecting to the engine at 127.0.0.1:2376: Connection refused"),
        "{outcome:?}"
    );
}

/// A server that is no engine of the site; it ends when dropped.
struct WrongServer(Child);

impl WrongServer {
    fn start(words: &[&str]) -> Self {
        let mut command = lab().inside("switch", "setpriv");
        command.args(["--pdeathsig", "TERM"]).args(words);
        let null = Stdio::null;
        command.stdin(null()).stdout(null()).stderr(null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for WrongServer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn wrong_servers() {
    let site = Site::new(&definition("v2", "10.73.0.254:2381", "10.73.41.2"));
    let file = |name: &str| lab().path(name).display().to_string();
    let tls = |directory: &str| {
        let (cert, key) = (
            file(&format!("{directory}/cert.pem")),
            file(&format!("{directory}/key.pem")),
        );
        [
            "openssl",
            "s_server",
            "-quiet",
            "-accept",
            "10.73.0.254:2381",
            "-cert",
            &cert,
            "-key",
            &key,
        ]
        .map(str::to_owned)
        .to_vec()
    };
    let plain = "busybox httpd -f -p 10.73.0.254:2381"
        .split(' ')
        .map(str::to_owned)
        .collect();
    for (server, meaning) in [
        (
            tls("expired-server"),
            "the engine's certificate has expired, or a clock is wrong: setupdockerhost renews it: ",
        ),
        (
            tls("host01"),
            "the engine's certificate is for another name: setupdockerhost makes one for all that the host has: ",
        ),
        (
            tls("client"),
            "invalid peer certificate: certificate does not allow extended key usage for server authentication, ",
        ),
        (
            plain,
            "what listens there speaks no TLS, and an engine without it obeys whoever reaches it: run setupdockerhost there: ",
        ),
    ] {
        let words: Vec<_> = server.iter().map(String::as_str).collect();
        let _server = WrongServer::start(&words);
        let told = || site.fails("rpower v2 state");
        eventually("it listens", || !told().contains("Connection refused"));
        let told = told();
        let connecting = "v2: [mn]: Error: connecting to the engine at 10.73.0.254:2381: ";
        assert!(
            told.starts_with(&format!("{connecting}{meaning}")) && told.lines().count() == 1,
            "{words:?}: {told}"
        );
    }
}

fn certificates() {
    let site = Site::new(&definition("z1", "host02", "10.73.42.1"));
    let own = site.path().join("client/host02");
    fs::create_dir_all(&own).unwrap();
    for file in ["ca.pem", "cert.pem", "key.pem"] {
        fs::copy(lab().client().join(file), own.join(file)).unwrap();
    }
    let mut command = site.command("mkdocker");
    let output = command
        .env_remove("DOCKER_CERT_PATH")
        .arg("z1")
        .output()
        .unwrap();
    let made = crate::site::outcome(output);
    assert_eq!(
        (made.out.as_str(), made.err.as_str()),
        ("z1: success\n", "")
    );
    let line = format!(
        "rmdocker z1 --cert-path {}",
        site.path().join("client").display()
    );
    assert_eq!(site.ok(&line), "z1: success\n");
}

/// The commands ask the signer beside them once, and use what they got again. Here it is a program that answers as
/// `slipway-trust issue` does.
fn of_the_authority() {
    let site = Site::new(&definition("z2", "host02", "10.73.42.2"));
    let trust = site.path().join("trust");
    fs::create_dir_all(&trust).unwrap();
    fs::copy(lab().path("authority.pem"), trust.join("root.crt")).unwrap();
    fs::copy(lab().path("authority.pem"), trust.join("clients.crt")).unwrap();
    let bin = site.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let built = std::path::Path::new(env!("CARGO_BIN_EXE_rpower"));
    fs::copy(built, bin.join("rpower")).unwrap();
    let signer = bin.join("slipway-trust");
    let sign = |script: &str| {
        fs::write(&signer, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&signer, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let record = site.path().join("asked");
    let told = || {
        let mut command = lab().inside("switch", bin.join("rpower"));
        command
            .env("SLIPWAY_CONFIG", site.path())
            .env("SUDO_USER", "carol");
        command.env_remove("DOCKER_CERT_PATH").args(["z2", "state"]);
        crate::site::outcome(command.output().unwrap())
    };
    sign("echo 'slipway-trust: the clock is wrong' >&2; exit 1");
    assert_eq!(
        told().err,
        "z2: [mn]: Error: getting a client certificate of the site's authority: slipway-trust: the clock is wrong\n"
    );
    let (record_at, client) = (record.display(), lab().client());
    let client = client.display();
    sign(&format!(
        "echo \"$*\" >>{record_at}\nfor last; do :; done\nmkdir -p $last\ncp {client}/*.pem $last/"
    ));
    site.ok("mkdocker z2");
    assert_eq!(told().out, "z2: created\n");
    assert_eq!(told().out, "z2: created\n");
    let asked = format!(
        "--config {} issue carol --as client --for 12h --out /run/slipway/client/carol\n",
        site.path().display()
    );
    assert_eq!(fs::read_to_string(&record).unwrap(), asked, "once for both");
    let kept = fs::metadata("/run/slipway/client").unwrap().permissions();
    assert_eq!(kept.mode() & 0o777, 0o700);
    // A signer that is killed after two of three files: another certificate is signed, and never one with another's key.
    let cert = std::path::Path::new("/run/slipway/client/carol/cert.pem");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7 * 3600);
    let file = fs::File::options().write(true).open(cert).unwrap();
    file.set_modified(old).unwrap();
    sign(&format!(
        "for last; do :; done\nmkdir -p $last\ncp {client}/ca.pem {client}/cert.pem $last/\necho Killed >&2\nexit 1"
    ));
    assert_eq!(
        told().err,
        "z2: [mn]: Error: getting a client certificate of the site's authority: Killed\n"
    );
    sign(&format!(
        "for last; do :; done\nmkdir -p $last\ncp {client}/*.pem $last/"
    ));
    assert_eq!(told().out, "z2: created\n");
    let made = fs::metadata(cert).unwrap().modified().unwrap();
    assert!(made > old, "it was signed again");
    // What is given goes before the authority.
    sign("exit 1");
    fs::remove_dir_all("/run/slipway/client/carol").unwrap();
    assert_eq!(site.ok("rpower z2 state"), "z2: created\n");
    site.ok("rmdocker z2");
}

fn addresses() {
    let site = Site::new(
        &[
            definition("a1", "host01", "10.73.43.1"),
            definition("a2", "host02", "10.73.43.1"),
            definition("a3", "host02", "10.73.0.5"),
            definition("a4", "host02", "10.73.0.254"),
            definition("a5", "host02", "10.73.200.7"),
            definition("a6", "host02", "10.73.43.6"),
        ]
        .concat(),
    );
    let network = "[cluster]\nnet = \"10.73.0.0\"\nmask = \"/16\"\ngateway = \"10.73.0.254\"\n\
                   dynamicrange = \"10.73.200.1-10.73.250.1\"\n";
    fs::write(site.path().join("networks.toml"), network).unwrap();
    let outcome = site.run("mkdocker a1-a6");
    assert_eq!((outcome.code, outcome.out.as_str()), (1, "a6: success\n"));
    let mut errors: Vec<_> = outcome.err.lines().collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "a1: [mn]: Error: the address 10.73.43.1 of a1 is also that of a2: chdef a1 ip=ANOTHER",
            "a2: [mn]: Error: the address 10.73.43.1 of a2 is also that of a1: chdef a2 ip=ANOTHER",
            "a3: [mn]: Error: the address 10.73.0.5 of a3 is also that of host01: chdef a3 ip=ANOTHER",
            "a4: [mn]: Error: the address 10.73.0.254 of a4 cannot be its own: it is the router's of the network cluster",
            "a5: [mn]: Error: the address 10.73.200.7 of a5 cannot be its own: DHCP hands it out in the network cluster \
             (dynamicrange 10.73.200.1-10.73.250.1)",
        ]
    );
    site.ok("rmdocker a6");
}

fn networks() {
    let site = Site::new(
        &[
            definition("n1", "host01", "10.99.0.1"),
            definition("n2", "host01", "10.73.44.2")
                .replace("ip =", "dockernics = [\"mydocker0\"]\nusercomment ="),
            definition("n3", "host01", "10.73.44.3")
                .replace("ip =", "dockernics = [\"back\"]\nusercomment ="),
        ]
        .concat(),
    );
    let outcome = site.run("mkdocker n1-n3");
    assert_eq!((outcome.code, outcome.out.as_str()), (1, "n3: success\n"));
    let mut errors: Vec<_> = outcome.err.lines().collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            "n1: [mn]: Error: the address 10.99.0.1 is not in the docker network mydocker0 of host01, which has \
             10.73.0.0/16",
            "n2: [mn]: Error: the docker network mydocker0 is the hosts' own, and no engine knows which of its addresses \
             are free: chdef n2 ip=ADDRESS",
        ]
    );
    site.ok("rmdocker n3");
}

fn probed() {
    let containers = [
        definition("y1", "host01", "10.73.45.1"),
        definition("y2", "host01", "10.73.46.1"),
        definition("y3", "host01", "10.73.45.3"),
    ];
    let site = Site::new(&containers.concat());
    let on_host = |line: &str| {
        let mut words = line.split(' ');
        let mut command = lab().inside("host02", words.next().unwrap());
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    };
    // A machine that nobody defined, and a router that answers for a network behind it.
    on_host("ip addr add 10.73.45.1/16 dev mydocker0");
    on_host("ip route add 10.73.46.0/24 dev lo");
    on_host("sysctl -qw net.ipv4.ip_forward=1");
    on_host("sysctl -qw net.ipv4.conf.mydocker0.proxy_arp=1");
    site.ok("mkdocker y1-y3");
    let owner = "02:00:00:00:00:06";
    let refused = |node: &str, address: &str| {
        format!(
            "{node}: [mn]: Error: the address {address} is in use on the network by {owner}: find out whose that is, or \
             chdef {node} ip=ANOTHER; rpower --no-probe starts it all the same"
        )
    };
    let outcome = site.run("rpower y1-y3 start");
    assert_eq!((outcome.code, outcome.out.as_str()), (1, "y3: success\n"));
    let mut errors: Vec<_> = outcome.err.lines().collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [refused("y1", "10.73.45.1"), refused("y2", "10.73.46.1")]
    );
    assert_eq!(
        site.ok("rpower y3 start"),
        "y3: container already started\n"
    );
    let network = "[behind]\nnet = \"10.73.46.0\"\nmask = \"/24\"\ngateway = \"10.73.0.6\"\n";
    fs::write(site.path().join("networks.toml"), network).unwrap();
    assert_eq!(site.ok("rpower y2 start"), "y2: success\n");
    // Whoever had it is gone, and the neighbours still remember.
    on_host("ip addr del 10.73.45.1/16 dev mydocker0");
    assert_eq!(site.ok("rpower y1 start"), "y1: success\n");
    on_host("ip route del 10.73.46.0/24 dev lo");
    site.ok("rmdocker y1-y3 -f");
}

fn probed_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, socket) = NewestEngine::start(directory.path());
    let node = |at| newest::definition(&format!("y{at:03}"), &socket, &format!("10.73.47.{at}"));
    let site = Site::new(&(0..=100).map(node).collect::<String>());
    site.ok("mkdocker y[000-100]");
    let timed = |nodes: &str, count| {
        let begun = Instant::now();
        let told = site.ok(&format!("rpower {nodes} start"));
        assert_eq!(told.matches(": success\n").count(), count, "{told}");
        begun.elapsed()
    };
    let one = timed("y000", 1);
    let all = timed("y[001-100]", 100);
    // A probe takes 3 s; what the machine does beside it is little of that.
    assert!(all < one * 2 + Duration::from_secs(5), "{one:?} {all:?}");
}
