//! `setupregistry`, with the registry of a package, run as its unit says by what stands in for systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Case;
use crate::lab::{ROUTER, eventually, lab, text};
use crate::site::{Outcome, Site, outcome};

pub(crate) const CASES: &[Case] = &[
    (
        "the_sites_registry_serves_those_that_its_authority_signed",
        served,
    ),
    (
        "a_registrys_password_is_given_to_it_and_shown_nowhere",
        password,
    ),
    (
        "images_go_from_host_to_host_without_a_registry",
        host_to_host,
    ),
    (
        "what_a_registry_lacks_is_said_before_anything_is_written",
        lacking,
    ),
];

/// Runs a unit: hands over credentials, reads drop-ins, starts the program as its user.
const SYSTEMCTL: &str = r#"#!/bin/sh
for unit; do :; done
name=${unit%.service}
pid=@ROOT@/$name.pid
alive() { [ -f "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }
case "$1" in
is-active) alive ;;
restart)
    if alive; then kill "$(cat "$pid")"; while alive; do sleep 0.05; done; fi
    file=@ROOT@/etc/systemd/system/$unit
    credentials=@ROOT@/credentials/$name
    rm -rf "$credentials"
    mkdir -p "$credentials"
    sed -n 's/^LoadCredential=//p' "$file" | while IFS=: read -r credential path; do
        install -o docker-registry -m 400 "$path" "$credentials/$credential"
    done
    config=@ROOT@/$name.yml
    set -- $(sed -n 's/^ExecStart=//p' "$file")
    sed "s|/run/credentials/$unit|$credentials|" "$3" >"$config"
    drop_in=@ROOT@/run/systemd/system/$unit.d/read-only.conf
    engine=$1 verb=$2
    # As systemd, the shell removes quotes, also those in the middle of a word.
    eval "set -- $(sed -n 's/^Environment=//p' "$drop_in" 2>/dev/null)"
    umask 027
    env "$@" SSL_CERT_FILE=@AUTHORITY@ \
        setpriv --reuid docker-registry --regid docker-registry --clear-groups \
        "$engine" "$verb" "$config" >>"@ROOT@/$name.log" 2>&1 </dev/null &
    echo $! >"$pid"
    ;;
esac
"#;

/// Refuses nothing but what would be pushed while it collects: that is tried, and its status kept.
const ENGINE: &str = r#"#!/bin/sh
if [ "$1" = garbage-collect ]; then
    curl -s -o /dev/null -w '%{http_code}\n' --cacert @CLIENT@/ca.pem --cert @CLIENT@/cert.pem --key @CLIENT@/key.pem \
        -X POST https://10.73.0.254:5000/v2/app/blobs/uploads/ >>@ROOT@/pushed
fi
exec docker-registry "$@"
"#;

/// A management node with an authority, and its registries; they end when it is dropped.
struct ManagementNode {
    site: Site,
    root: PathBuf,
    /// Whose client certificate it is, one for each of these.
    user: &'static str,
}

impl ManagementNode {
    fn new(user: &'static str) -> Self {
        let site = Site::new("[node.c]\nmgt = \"docker\"\n");
        let root = site.path().join("root");
        fs::create_dir_all(&root).unwrap();
        // The registry runs as a user of its own.
        fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let settings = format!(
            "installdir = \"{}\"\nmaster = \"{ROUTER}\"\n",
            site.path().join("install").display()
        );
        fs::write(site.path().join("site.toml"), settings).unwrap();
        let client = root.join("client");
        fs::create_dir_all(&client).unwrap();
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            fs::copy(lab().client().join(file), client.join(file)).unwrap();
            fs::set_permissions(client.join(file), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let node = Self { site, root, user };
        node.program("systemctl", SYSTEMCTL);
        node.program("engine", ENGINE);
        let given = lab().client();
        node.program(
            "slipway-trust",
            &format!(
                "#!/bin/sh\nfor last; do :; done\nmkdir -p $last\ncp {}/*.pem $last/\n",
                given.display()
            ),
        );
        fs::copy(
            env!("CARGO_BIN_EXE_setupregistry"),
            node.root.join("bin/setupregistry"),
        )
        .unwrap();
        fs::write(node.root.join("pushed"), "").unwrap();
        fs::set_permissions(node.root.join("pushed"), fs::Permissions::from_mode(0o666)).unwrap();
        node
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.root.join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let root = self.root.display().to_string();
        let authority = lab().path("authority.pem").display().to_string();
        let script = script
            .replace("@CLIENT@", &format!("{root}/client"))
            .replace("@ROOT@", &root)
            .replace("@AUTHORITY@", &authority);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes the site's authority, as `slipway-trust init` leaves it.
    fn init_trust(&self) {
        let trust = self.site.path().join("trust");
        fs::create_dir_all(&trust).unwrap();
        fs::set_permissions(&trust, fs::Permissions::from_mode(0o700)).unwrap();
        for (from, to) in [
            ("authority.pem", "root.crt"),
            ("authority.pem", "clients.crt"),
            ("server/cert.pem", "server.crt"),
            ("server/key.pem", "server.key"),
        ] {
            fs::copy(lab().path(from), trust.join(to)).unwrap();
        }
    }

    fn run(&self, more: &[&str]) -> Outcome {
        let mut command = lab().inside("switch", self.root.join("bin/setupregistry"));
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}/bin:{path}", self.root.display()))
            .env("SLIPWAY_CONFIG", self.site.path())
            .env("SUDO_USER", self.user)
            .env_remove("DOCKER_CERT_PATH")
            .args(["--root", self.root.to_str().unwrap()])
            .args(["--engine", self.root.join("bin/engine").to_str().unwrap()])
            .args(more);
        outcome(command.stdin(Stdio::null()).output().unwrap())
    }

    #[track_caller]
    fn ok(&self, more: &[&str]) -> String {
        let Outcome { code, out, err } = self.run(more);
        let log = fs::read_to_string(self.root.join("slipway-registry.log")).unwrap_or_default();
        assert_eq!((code, err.as_str()), (0, ""), "{more:?}\n{out}{log}");
        out
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&self.root.display().to_string(), "ROOT")
            .replace(&self.site.path().display().to_string(), "SITE")
    }
}

impl Drop for ManagementNode {
    fn drop(&mut self) {
        for name in ["registry", "mirror"] {
            if let Ok(pid) = fs::read_to_string(self.root.join(format!("slipway-{name}.pid"))) {
                Command::new("kill").arg(pid.trim()).status().ok();
            }
        }
        fs::remove_dir_all(Path::new("/run/slipway/client").join(self.user)).ok();
    }
}

/// What docker hosts have of a registry, as `setupdockerhost --registry` makes it, in dockerd's own directory, which is that of this
/// machine; gone when dropped.
struct HostTrust(PathBuf);

impl HostTrust {
    fn new(port: u16) -> Self {
        let directory = Path::new("/etc/docker/certs.d").join(format!("{ROUTER}:{port}"));
        fs::create_dir_all(&directory).unwrap();
        for (from, to) in [
            ("ca.pem", "ca.crt"),
            ("cert.pem", "client.cert"),
            ("key.pem", "client.key"),
        ] {
            fs::copy(lab().client().join(from), directory.join(to)).unwrap();
        }
        Self(directory)
    }
}

impl Drop for HostTrust {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn lacking() {
    let node = ManagementNode::new("registrar-without");
    let fails = |more: &[&str]| {
        let outcome = node.run(more);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        node.shown(&outcome.err)
    };
    assert_eq!(
        fails(&[]),
        "setupregistry: SITE/trust/root.crt is not there: the site has no authority yet: slipway-trust init\n"
    );
    node.init_trust();
    for (more, message) in [
        (
            &["--user", "nobody-at-all"][..],
            "there is no user nobody-at-all: useradd --system --shell /usr/sbin/nologin nobody-at-all, or name another \
             with --user",
        ),
        (
            &["--upstream", "http://example.invalid"],
            "'http://example.invalid' is not the address of a registry: expected https://HOST[:PORT]",
        ),
        (&["--engine", "/no/such"], "/no/such is not a program"),
        (
            &["--collect-garbage"],
            "slipway-registry.service does not run: run setupregistry first",
        ),
    ] {
        let engine = node.root.join("bin/engine");
        let more: Vec<_> = more.to_vec();
        let mut command = lab().inside("switch", node.root.join("bin/setupregistry"));
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}/bin:{path}", node.root.display()))
            .env("SLIPWAY_CONFIG", node.site.path());
        if !more.contains(&"--engine") {
            command.arg("--engine").arg(&engine);
        }
        command.arg("--root").arg(&node.root).args(&more);
        let told = outcome(command.output().unwrap());
        assert_eq!(
            (told.code, node.shown(&told.err)),
            (1, format!("setupregistry: {message}\n"))
        );
    }
    // Somebody else's server, in the namespace in which the registry is to be.
    let mut other = lab().inside("switch", "setpriv");
    other.args([
        "--pdeathsig",
        "TERM",
        "busybox",
        "httpd",
        "-f",
        "-p",
        "5077",
    ]);
    let mut other = other.stdin(Stdio::null()).spawn().unwrap();
    eventually("the port is taken", || {
        let mut get = lab().inside("switch", "curl");
        get.args(["-s", "-o", "/dev/null", "http://127.0.0.1:5077/"]);
        get.status().unwrap().success()
    });
    assert_eq!(
        fails(&["--port", "5077"]),
        "setupregistry: port 5077 is in use; where it is the package's own registry: systemctl disable --now \
         docker-registry, else choose another with --port\n"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(!node.root.join("etc").exists() && !node.site.path().join("install").exists());
}

fn served() {
    let node = ManagementNode::new("registrar");
    node.init_trust();
    let planned = "write ROOT/etc/slipway/registry/registry.yml\nwrite ROOT/etc/systemd/system/slipway-registry.service\n\
                   write SITE/install/registry\nrestart slipway-registry.service\n";
    assert_eq!(node.shown(&node.ok(&["--dry-run"])), planned);
    assert!(!node.root.join("etc").exists());
    assert_eq!(
        node.ok(&[]),
        "10.73.0.254:5000 answers clients of the site's authority, and nobody else\ndocker hosts use it after: \
         setupdockerhost --registry 10.73.0.254:5000\n"
    );
    assert_eq!(node.ok(&[]), "nothing to do\n");
    // The install directory is served to everybody, and this part of it to nobody.
    let storage = fs::metadata(node.site.path().join("install/registry")).unwrap();
    let user = nix::unistd::User::from_name("docker-registry")
        .unwrap()
        .unwrap();
    assert_eq!(
        (storage.mode() & 0o777, storage.uid()),
        (0o750, user.uid.as_raw())
    );
    unit_is_sound(&node);
    pushes_and_pulls(&node);
    garbage_is_collected(&node);
    // A collection that was killed leaves it read-only; the next run ends that.
    let drop_in = node
        .root
        .join("run/systemd/system/slipway-registry.service.d/read-only.conf");
    fs::write(
        &drop_in,
        "[Service]\nEnvironment='REGISTRY_STORAGE_MAINTENANCE_READONLY={\"enabled\":true}'\n",
    )
    .unwrap();
    let mut restart = lab().inside("switch", node.root.join("bin/systemctl"));
    restart.args(["restart", "slipway-registry.service"]);
    assert!(restart.status().unwrap().success());
    assert_eq!(
        node.ok(&["--dry-run"]),
        "restart slipway-registry.service\n"
    );
    node.ok(&[]);
    assert!(!drop_in.exists());
    assert_eq!(node.ok(&[]), "nothing to do\n");
    // A renewed certificate is taken.
    let trust = node.site.path().join("trust");
    fs::copy(lab().path("renewed/cert.pem"), trust.join("server.crt")).unwrap();
    fs::copy(lab().path("renewed/key.pem"), trust.join("server.key")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&node.ok(&["--json"])).unwrap();
    assert_eq!(document["changed"], true);
    assert_eq!(document["registry"], "10.73.0.254:5000");
    assert_eq!(document["steps"].as_array().unwrap().len(), 2, "{document}");
    keeps_its_port(&node);
    mirrored(&node);
}

/// Docker hosts know a registry by its port: a run that is given none keeps it.
fn keeps_its_port(node: &ManagementNode) {
    let answers = |port: u16| {
        format!(
            "10.73.0.254:{port} answers clients of the site's authority, and nobody else\ndocker hosts use it after: \
             setupdockerhost --registry 10.73.0.254:{port}\n"
        )
    };
    assert_eq!(node.ok(&["--port", "5055"]), answers(5055));
    assert_eq!(node.ok(&[]), "nothing to do\n");
    let document: serde_json::Value = serde_json::from_str(&node.ok(&["--json"])).unwrap();
    assert_eq!(document["registry"], "10.73.0.254:5055");
    assert_eq!(node.ok(&["--port", "5000"]), answers(5000));
}

fn unit_is_sound(node: &ManagementNode) {
    let unit = node
        .root
        .join("etc/systemd/system/slipway-registry.service");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&unit)
        .output();
    let Ok(verified) = verified else { return };
    let said = text(&verified.stderr);
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("slipway-registry"))
        .collect();
    // This machine has no manual page of it.
    assert!(
        ours.iter().all(|line| line.contains("man setupregistry")),
        "{ours:?}"
    );
}

fn pushes_and_pulls(node: &ManagementNode) {
    let image = format!("{ROUTER}:5000/app:1");
    lab().docker("host01", &["tag", "busybox:1", &image]);
    let refused = node.site.fails(&format!("dockerimage push host01 {image}"));
    assert!(refused.contains("certificate"), "{refused}");
    let trust = HostTrust::new(5000);
    // Whoever believes the authority and has no certificate of it is refused.
    for file in ["client.cert", "client.key"] {
        fs::remove_file(trust.0.join(file)).unwrap();
    }
    let refused = node.site.fails(&format!("dockerimage push host01 {image}"));
    assert!(
        refused.contains("certificate required") || refused.contains("bad certificate"),
        "{refused}"
    );
    let _trust = HostTrust::new(5000);
    node.site.ok(&format!("dockerimage push host01 {image}"));
    node.site.ok(&format!("dockerimage pull host02 {image}"));
    let id = |host| lab().docker(host, &["inspect", "-f", "{{.Id}}", &image]);
    assert_eq!(id("host01"), id("host02"));
    node.site
        .ok(&format!("dockerimage rm host01,host02 {image}"));
    // What a tag means is asked once, and all hosts get that, two at a time.
    let log = || fs::read_to_string(node.root.join("slipway-registry.log")).unwrap();
    let before = log().len();
    let pulled = node.site.ok(&format!(
        "dockerimage pull host01,host02,host04 {image} --pulls 2"
    ));
    assert_eq!(pulled.matches(": success\n").count(), 3, "{pulled}");
    let asked = log()[before..].to_owned();
    assert_eq!(
        asked.matches(" /v2/app/manifests/1 HTTP").count(),
        1,
        "{asked}"
    );
    committed(node, &image);
    node.site
        .ok(&format!("dockerimage rm host01,host02,host04 {image}"));
}

/// A container becomes an image with a digest, and a container of that says of which.
fn committed(node: &ManagementNode, image: &str) {
    let own = format!("{ROUTER}:5000/own:1");
    node.site.define(&format!(
        "[node.host01]\nip = \"10.73.0.5\"\n[node.host02]\nip = \"10.73.0.6\"\n[node.host04]\nip = \"10.73.0.8\"\n\
         [node.j1]\nmgt = \"docker\"\ndockerhost = \"host01\"\nip = \"10.73.80.1\"\nimage = \"{image}\"\ncommand = \"sleep 1000\"\n\
         [node.j2]\nmgt = \"docker\"\ndockerhost = \"host02\"\nip = \"10.73.80.2\"\nimage = \"{own}\"\ncommand = \"cat /made\"\n"
    ));
    let site = &node.site;
    site.ok("mkdocker j1");
    site.ok("rpower j1 start");
    lab().docker("host01", &["exec", "j1", "touch", "/made"]);
    assert_eq!(
        site.ok(&format!("dockerimage commit j1 {own} --dry-run")),
        format!("j1: would become {own}\n")
    );
    assert_eq!(
        site.fails(&format!("dockerimage commit j1,j2 {own}")),
        "dockerimage: commit makes one image of one container, and the node range names 2\n"
    );
    assert_eq!(
        site.fails("dockerimage commit j2 own:1"),
        "j2: [mn]: Error: making own:1 of j2: No such container: j2\n"
    );
    let made = site.ok(&format!("dockerimage commit j1 {own} --push"));
    let digest = made
        .lines()
        .last()
        .unwrap()
        .strip_prefix("j1: success: ")
        .unwrap()
        .to_owned();
    assert!(
        digest.starts_with(&format!("{ROUTER}:5000/own@sha256:")),
        "{made}"
    );
    site.ok("mkdocker j2");
    let recorded =
        |host, name| lab().inspect(host, name, "{{index .Config.Labels \"slipway.image\"}}");
    assert_eq!(recorded("host02", "j2"), digest);
    assert!(recorded("host01", "j1").starts_with(&format!("{ROUTER}:5000/app@sha256:")));
    assert_eq!(site.ok("mkdocker j2"), "j2: unchanged\n");
    site.ok("rpower j2 start");
    eventually("it has what the container had", || {
        lab().inspect("host02", "j2", "{{.State.Status}} {{.State.ExitCode}}") == "exited 0"
    });
    site.ok("rmdocker j1,j2 -f");
    site.ok(&format!("dockerimage rm host01,host02 {own}"));
}

fn garbage_is_collected(node: &ManagementNode) {
    let _trust = HostTrust::new(5000);
    let image = format!("{ROUTER}:5000/app:1");
    // Another image under the tag: nothing names the one before.
    lab().docker(
        "host01",
        &[
            "import",
            "--change",
            "LABEL v=2",
            lab().path("image.tar").to_str().unwrap(),
            &image,
        ],
    );
    node.site.ok(&format!("dockerimage push host01 {image}"));
    let deleted = node.ok(&["--collect-garbage"]);
    assert_eq!(deleted, "0 blobs deleted\n");
    let deleted = node.ok(&["--collect-garbage", "--delete-untagged"]);
    assert!(
        deleted.ends_with(" blobs deleted\n") && deleted != "0 blobs deleted\n",
        "{deleted}"
    );
    // What would have been pushed meanwhile was refused.
    assert_eq!(
        fs::read_to_string(node.root.join("pushed")).unwrap(),
        "405\n405\n"
    );
    node.site.ok(&format!("dockerimage pull host02 {image}"));
    node.site.ok(&format!("dockerimage push host02 {image}"));
    node.site
        .ok(&format!("dockerimage rm host01,host02 {image}"));
}

/// A registry that lets everybody read what the site's has; it ends when dropped.
struct Upstream(Child);

impl Upstream {
    fn start(node: &ManagementNode) -> Self {
        let config = node.root.join("upstream.yml");
        let storage = node.site.path().join("install/registry");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: :5443\n  tls:\n    certificate: {}\n    \
             key: {}\n",
            storage.display(),
            lab().path("server/cert.pem").display(),
            lab().path("server/key.pem").display()
        );
        fs::write(&config, text).unwrap();
        let mut command = lab().inside("switch", "setpriv");
        command
            .args(["--pdeathsig", "TERM", "docker-registry", "serve"])
            .arg(config);
        let null = Stdio::null;
        Self(
            command
                .stdin(null())
                .stdout(null())
                .stderr(null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn mirrored(node: &ManagementNode) {
    let _trust = HostTrust::new(5001);
    let upstream = Upstream::start(node);
    let address = format!("https://{ROUTER}:5443");
    let said = node.ok(&["--upstream", &address]);
    assert!(
        said.starts_with("10.73.0.254:5001 answers clients"),
        "{said}"
    );
    let image = format!("{ROUTER}:5001/app:1");
    node.site.ok(&format!("dockerimage pull host02 {image}"));
    node.site.ok(&format!("dockerimage rm host02 {image}"));
    drop(upstream);
    // What was fetched once stays when the upstream is gone.
    node.site.ok(&format!("dockerimage pull host01 {image}"));
    node.site.ok(&format!("dockerimage rm host01 {image}"));
}

/// The password `geheim>>>???`, as a registry keeps it; in base64 it has characters that URLs encode otherwise.
const PASSWORD: &str = "carol:$2b$05$abcdefghijklmnopqrstuuQ0KQCgOahibF4a7ZYBYtRDP/zy.nEbC\n";

fn password() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("htpasswd"), PASSWORD).unwrap();
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {0}/images\nhttp:\n  addr: :5050\n  tls:\n    certificate: {1}\n    \
         key: {2}\nauth:\n  htpasswd:\n    realm: test\n    path: {0}/htpasswd\n",
        directory.path().display(),
        lab().path("server/cert.pem").display(),
        lab().path("server/key.pem").display()
    );
    fs::write(path("config.yml"), text).unwrap();
    let mut command = lab().inside("switch", "setpriv");
    command.args(["--pdeathsig", "TERM", "docker-registry", "serve"]);
    command.arg(path("config.yml"));
    let null = Stdio::null;
    let _registry = Upstream(
        command
            .stdin(null())
            .stdout(null())
            .stderr(null())
            .spawn()
            .unwrap(),
    );
    let _trust = HostTrust::new(5050);
    let site = Site::new("");
    let image = format!("{ROUTER}:5050/kept:1");
    lab().docker("host04", &["tag", "busybox:1", &image]);
    let push = format!("dockerimage push host04 {image}");
    eventually("the registry answers", || {
        site.run(&push).err.contains("no basic auth credentials")
    });
    let file = site.path().join("registry-auth.json");
    let auth =
        format!("{{\"auths\":{{\"{ROUTER}:5050\":{{\"auth\":\"Y2Fyb2w6Z2VoZWltPj4+Pz8/\"}}}}}}");
    fs::write(&file, auth).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        site.fails(&push),
        format!(
            "dockerimage: {} holds passwords, and others than its owner may read or change it (mode 644): chmod 600 it\n",
            file.display()
        )
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut said = site.ok(&push);
    said += &site.ok(&format!("dockerimage rm host04 {image}"));
    said += &site.ok(&format!("dockerimage pull host02 {image}"));
    said += &site.ok(&format!("dockerimage rm host02 {image}"));
    // A wrong one is refused, and is not in what is said of it.
    let wrong = format!(
        "{{\"auths\":{{\"{ROUTER}:5050\":{{\"username\":\"carol\",\"password\":\"falsch\"}}}}}}"
    );
    fs::write(&file, wrong).unwrap();
    let refused = site.fails(&format!("dockerimage pull host02 {image}"));
    assert!(
        refused.contains("pulling the image") && refused.contains("unauthorized"),
        "{refused}"
    );
    said += &refused;
    let engines: String = ["host02", "host04"]
        .map(|host| fs::read_to_string(lab().path(host).join("log")).unwrap())
        .concat();
    for secret in ["geheim", "Z2VoZWlt", "falsch"] {
        assert!(
            !said.contains(secret) && !engines.contains(secret),
            "{secret}: {said}"
        );
    }
}

fn host_to_host() {
    let site = Site::new("");
    lab().docker("host01", &["tag", "busybox:1", "handed:1"]);
    let loaded = site.ok("dockerimage load host02,host04 handed:1 --from host01");
    assert_eq!(
        loaded.matches("Loaded image: handed:1\n").count(),
        2,
        "{loaded}"
    );
    assert_eq!(loaded.matches(": success\n").count(), 2, "{loaded}");
    let id = |host| lab().docker(host, &["inspect", "-f", "{{.Id}}", "handed:1"]);
    assert_eq!([id("host02"), id("host04")], [id("host01"), id("host01")]);
    for (line, message) in [
        (
            "dockerimage load host02 absent:1 --from host01",
            "host02: [mn]: Error: loading absent:1 of host01: asking host01 for the image: no such image: absent:1: No such \
             image: absent:1\n",
        ),
        (
            "dockerimage load host02 handed:1 --from host01,host04",
            "dockerimage: --from names 2 hosts, and an image comes from one\n",
        ),
    ] {
        assert_eq!(site.fails(line), message);
    }
    assert_eq!(
        site.run("dockerimage pull host02 handed:1 --from host01")
            .code,
        2
    );
    site.ok("dockerimage rm host01,host02,host04 handed:1");
}
