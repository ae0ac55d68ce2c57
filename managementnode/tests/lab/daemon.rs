//! The real `slipwayd` with the real signer and editor on loopback addresses, and who asks them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::programs::program;
use super::{Ended, Lab, ended};

/// Longer than any bound of the daemon's, on a machine that has other work.
pub(crate) const LONG: Duration = Duration::from_secs(120);

const NETWORKS: &str = "[lo]\nnet = \"127.0.0.0\"\nmask = \"/8\"\n";

/// A daemon, and the signer beside it.
pub(crate) struct Daemon {
    pub(crate) daemon: Child,
    pub(crate) signer: Option<Child>,
    editor: Option<Child>,
    pub(crate) http: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) reports: SocketAddr,
}

impl Daemon {
    /// Starts the daemon alone.
    pub(crate) fn start(lab: &Lab) -> Self {
        Self::run(lab, Command::new(env!("CARGO_BIN_EXE_slipwayd")))
    }

    /// Starts the daemon alone, its states in a file system of its own that has so much space.
    pub(crate) fn with_space(lab: &Lab, size: &str) -> Self {
        let mount = "mount -t tmpfs -o size=$1 tmpfs \"$2\" && shift 2 && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", mount, "sh", size])
            .arg(lab.path("state"))
            .arg(env!("CARGO_BIN_EXE_slipwayd"));
        Self::run(lab, command)
    }

    fn run(lab: &Lab, mut command: Command) -> Self {
        fs::create_dir_all(lab.path("state")).unwrap();
        command
            .args([
                "--http",
                "127.0.0.1:0",
                "--tls",
                "127.0.0.1:0",
                "--reports",
                "127.0.0.1:0",
                "--state",
            ])
            .arg(lab.path("state"))
            .arg("--signer")
            .arg(lab.path("signer.sock"))
            .arg("--editor")
            .arg(lab.path("editor.sock"))
            .env("SLIPWAY_CONFIG", lab.path("config"))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stderr(Stdio::piped());
        if lab.path("config/trust").exists() {
            command.arg("--credentials").arg(lab.path("config/trust"));
        }
        let mut daemon = command.spawn().unwrap();
        let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
        let none: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let (mut http, mut tls, mut reports) = (none, none, none);
        for line in lines.by_ref() {
            let line = line.unwrap();
            if line.starts_with("slipwayd: serving ") {
                break;
            }
            let mut words = line.trim_start_matches("slipwayd: ").split(" on ");
            let (what, address) = (words.next().unwrap(), words.next());
            match what {
                "http" => http = address.unwrap().parse().unwrap(),
                "tls" => tls = address.unwrap().parse().unwrap(),
                "reports" => reports = address.unwrap().parse().unwrap(),
                other => assert!(other.contains("nodes cannot enrol"), "{line}"),
            }
        }
        thread::spawn(move || lines.for_each(drop));
        assert_ne!(http, none, "the daemon did not start");
        Self {
            daemon,
            signer: None,
            editor: None,
            http,
            tls,
            reports,
        }
    }

    /// Starts the signer, then the daemon.
    pub(crate) fn with_signer(lab: &Lab) -> Self {
        Self::beside(lab, program(lab))
    }

    /// The same, with the authorities in a file system of the signer's own, of which so much is free.
    pub(crate) fn with_signer_in_space(lab: &Lab, free: &str) -> Self {
        let mount = "copy=$(mktemp -d) && cp -a \"$2/.\" \"$copy\" && mount -t tmpfs -o size=256k,mode=700 tmpfs \"$2\" && \
                     cp -a \"$copy/.\" \"$2\" && rm -r \"$copy\" && dd if=/dev/zero of=\"$2/.ballast\" 2>&-; \
                     truncate -s -\"$1\" \"$2/.ballast\" && shift 2 && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", mount, "sh", free])
            .arg(lab.path("config/trust"))
            .arg(program(lab).get_program())
            .env("SLIPWAY_CONFIG", lab.path("config"));
        Self::beside(lab, command)
    }

    fn beside(lab: &Lab, mut signer: Command) -> Self {
        let signer = signer
            .args(["signer", "--socket"])
            .arg(lab.path("signer.sock"))
            .stderr(Stdio::null())
            .spawn();
        listening(lab, "signer.sock");
        let mut daemon = Self::start(lab);
        daemon.signer = Some(signer.unwrap());
        daemon
    }

    /// Starts the signer and the editor, then the daemon.
    pub(crate) fn with_editor(lab: &Lab) -> Self {
        let mut daemon = Self::with_signer(lab);
        let editor = Command::new(env!("CARGO_BIN_EXE_slipwayd"))
            .args(["editor", "--socket"])
            .arg(lab.path("editor.sock"))
            .env("SLIPWAY_CONFIG", lab.path("config"))
            .stderr(Stdio::null())
            .spawn();
        listening(lab, "editor.sock");
        daemon.editor = Some(editor.unwrap());
        daemon
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.tls)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends bytes; returns what is answered until the connection ends.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // What is refused while it is sent may end the connection first.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for child in [
            Some(&mut self.daemon),
            self.signer.as_mut(),
            self.editor.as_mut(),
        ]
        .into_iter()
        .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a socket.
fn listening(lab: &Lab, socket: &str) {
    let end = Instant::now() + LONG;
    while UnixStream::connect(lab.path(socket)).is_err() {
        assert!(Instant::now() < end, "nothing listens on {socket}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn trusted(lab: &Lab, arguments: &[&str]) -> Value {
    let ended = ended(program(lab).args(arguments).arg("--json"), lab.root());
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Asks by curl: the status, and what is answered.
pub(crate) fn curl(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new("curl");
    command
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "120",
            "--write-out",
            "\n%{http_code}",
            "--cacert",
        ])
        .arg(lab.path("config/trust/root.crt"))
        .args(arguments)
        .current_dir(lab.root());
    let ended = ended(&mut command, lab.root());
    let (body, status) = ended.stdout.rsplit_once('\n').unwrap();
    match ended.code {
        Some(0) => (status.to_owned(), body.to_owned()),
        _ => ("failed".to_owned(), ended.stderr),
    }
}

pub(crate) fn openssl(lab: &Lab, arguments: &[&str]) -> Ended {
    let mut command = Command::new("openssl");
    ended(
        command
            .args(arguments)
            .current_dir(lab.root())
            .stdin(Stdio::null()),
        lab.root(),
    )
}

pub(crate) fn site(nodes: &str) -> Lab {
    let lab = Lab::new(NETWORKS, nodes);
    lab.site("master = \"127.0.0.1\"\ndomain = \"cluster\"\n");
    lab
}

/// A site with authorities, two nodes and a request.
pub(crate) fn ready() -> Lab {
    let lab = site("[node.n1]\nip = \"127.0.0.1\"\n[node.n2]\nip = \"127.0.0.2\"\n");
    trusted(&lab, &["init"]);
    request(&lab, "n1");
    lab
}

pub(crate) fn request(lab: &Lab, name: &str) {
    let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
    let made = openssl(
        lab,
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            &key,
            "-out",
            &csr,
        ],
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
}

pub(crate) fn arm(lab: &Lab, range: &str) -> Vec<(String, String)> {
    let armed = trusted(lab, &["arm", range]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes = armed["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| (text(&node["node"]), text(&node["token"])))
        .collect()
}

/// A site with authorities, two nodes in a group, an osimage and a client who may change it.
pub(crate) fn with_writer() -> Lab {
    let nodes = "[node.n1]\ngroups = [\"rack1\"]\nip = \"127.0.0.1\"\n\n\
                 [node.n2] # the second\ngroups = [\"rack1\"]\nip = \"127.0.0.2\"\n\n\
                 [group.rack1]\nos = \"debian13.1\"\n";
    let lab = site(nodes);
    lab.site("master = \"127.0.0.1\"\ndomain = \"cluster\"\napiwriters = [\"alice\"]\n");
    fs::create_dir_all(lab.path("config/osimages")).unwrap();
    lab.write("config/osimages/trixie.toml", "osvers = \"debian13.1\"\n");
    trusted(&lab, &["init"]);
    for client in ["alice", "bob"] {
        trusted(&lab, &["issue", client]);
    }
    lab
}
