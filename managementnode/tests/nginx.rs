//! The real nginx with the configuration that is installed, in front of the real `slipwayd`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use lab::Lab;
use lab::daemon::{Daemon, LONG, curl, site};

fn main() -> ExitCode {
    let missing = nginx().is_none().then(|| "nginx".to_owned());
    lab::main(
        &["curl"],
        missing,
        &[(
            "nginx_serves_trees_and_leaves_the_files_of_nodes_to_slipwayd",
            bulk,
        )],
    )
}

fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places.find_map(|place| Some(place.join("nginx")).filter(|program| program.is_file()))
}

/// An nginx, on a port of its own.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn start(lab: &Lab, port: u16, daemon: &Daemon) -> Nginx {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/nginx.conf");
    let install = lab.path("install").display().to_string();
    let server = fs::read_to_string(installed).unwrap();
    let server = server
        .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
        .replace("    listen [::]:80;\n", "")
        .replace("127.0.0.1:8081;", &format!("{};", daemon.http))
        .replace("alias /install/;", &format!("alias {install}/;"))
        .replace("from=/install;", &format!("from={install};"));
    for fixed in ["listen 80;", "alias /install/;", "from=/install;", "8081;"] {
        assert!(!server.contains(fixed), "{server}");
    }
    let here = lab.root().display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary
        .iter()
        .map(|name| format!("{name}_temp_path {here}/nginx; "))
        .collect();
    fs::create_dir(lab.path("nginx")).unwrap();
    lab.write(
        "nginx.conf",
        &format!("daemon off; pid {here}/nginx.pid; events {{}} http {{ {temporary}\n{server} }}"),
    );
    // Its workers are another user, who reads what everybody may.
    fs::set_permissions(lab.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let child = Command::new(nginx().unwrap())
        .arg("-e")
        .arg(lab.path("nginx.log"))
        .arg("-c")
        .arg(lab.path("nginx.conf"))
        .spawn()
        .unwrap();
    let nginx = Nginx(child);
    let end = Instant::now() + LONG;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < end,
            "nginx does not listen: {}",
            lab.read("nginx.log")
        );
        thread::sleep(Duration::from_millis(20));
    }
    nginx
}

fn bulk() {
    let lab = site("[node.n1]\nip = \"127.0.0.1\"\n");
    lab.write("secret", "secret");
    for directory in [
        "tree/dists/trixie",
        "tree/.slipway",
        ".staging",
        "autoinst/n1",
    ] {
        fs::create_dir_all(lab.path("install").join(directory)).unwrap();
    }
    lab.write("install/tree/dists/trixie/Release", "Suite: trixie");
    lab.write("install/tree/.slipway/SHA256SUMS", "sums");
    lab.write("install/tree/.treeinfo", "tree");
    lab.write("install/.staging/file", "half");
    lab.write("install/autoinst/n1/preseed.cfg", "crypted");
    fs::set_permissions(
        lab.path("install/autoinst/n1/preseed.cfg"),
        fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    symlink("trixie", lab.path("install/tree/dists/stable")).unwrap();
    fs::write(lab.path("foreign"), "foreign").unwrap();
    nix::unistd::chown(&lab.path("foreign"), Some(12345.into()), None).unwrap();
    symlink("../foreign", lab.path("install/out")).unwrap();
    let daemon = Daemon::start(&lab);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let _nginx = start(&lab, port, &daemon);
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    for (path, status, body) in [
        ("/install/tree/dists/stable/Release", "200", "Suite: trixie"),
        ("/install/tree/.slipway/SHA256SUMS", "200", "sums"),
        ("/install/tree/.treeinfo", "200", "tree"),
        // slipwayd reads it, here as root; nginx itself could not.
        ("/install/autoinst/n1/preseed.cfg", "200", "crypted"),
    ] {
        assert_eq!(
            curl(&lab, &[&url(path)]),
            (status.to_owned(), body.to_owned()),
            "{path}"
        );
    }
    assert_eq!(
        curl(
            &lab,
            &["--range", "0-4", &url("/install/tree/dists/trixie/Release")]
        ),
        ("206".to_owned(), "Suite".to_owned())
    );
    for (path, status) in [
        ("/install/.staging/file", "404"),
        ("/install/out", "403"),
        ("/install/tree/", "403"),
        ("/install/../secret", "404"),
        ("/install/tree/../autoinst/../../secret", "404"),
        ("/install../secret", "404"),
        ("/install/autoinst/../../secret", "404"),
        ("/install/autoinst/", "404"),
        ("/v1/root", "404"),
        ("/", "404"),
    ] {
        let (answered, body) = curl(&lab, &["--path-as-is", &url(path)]);
        assert!(
            answered == status && !body.contains("secret\n") && body != "secret",
            "{path}: {answered} {body}"
        );
    }
    for path in ["/v1/report", "/install/autoinst/n1/preseed.cfg"] {
        assert_eq!(
            curl(
                &lab,
                &["--data-binary", "{\"state\":\"booted\"}", &url(path)]
            )
            .0,
            "405",
            "{path}"
        );
    }
}
