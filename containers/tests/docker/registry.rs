//! Pulls from a registry: this test itself, started again in the namespace of a host.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Case;
use crate::lab::{eventually, lab, text};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[("images_are_pulled_once_a_host_and_when_asked", pulled)];

/// The variable that makes this program the registry of a directory.
pub(crate) const SERVE: &str = "CONTAINERS_TEST_REGISTRY";
const ADDRESS: &str = "127.0.0.1:5000";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Serves manifests and blobs of a directory, each under its digest or tag, for ever.
pub(crate) fn serve(directory: &Path) -> ! {
    let listener = TcpListener::bind(ADDRESS).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let directory = directory.to_owned();
        thread::spawn(move || {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
                    _ => return,
                }
            }
            let head = text(&request);
            let mut words = head.split_whitespace();
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let name = path.rsplit('/').next().unwrap();
            let body = match path {
                "/v2/" => Some(b"{}".to_vec()),
                _ => fs::read(directory.join(name)).ok(),
            };
            let (status, body) = match body {
                Some(body) => ("200 OK", body),
                None => (
                    "404 Not Found",
                    br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#
                        .to_vec(),
                ),
            };
            let kind = match path.contains("/manifests/") && status == "200 OK" {
                true => MANIFEST,
                false => "application/json",
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Type: {kind}\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).ok();
            if method == "GET" {
                stream.write_all(&body).ok();
            }
        });
    }
}

/// Stores a blob under its digest, which is returned.
fn blob(directory: &Path, file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    let digest = format!("sha256:{}", &text(&output.stdout)[..64]);
    fs::copy(file, directory.join(&digest)).unwrap();
    digest
}

/// Stores an image of busybox under a tag.
fn publish(directory: &Path, tag: &str) {
    let layer = blob(directory, &lab().path("image.tar"));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let file = directory.join("config");
    fs::write(&file, config.to_string()).unwrap();
    let size = |digest: &str| fs::metadata(directory.join(digest)).unwrap().len();
    let config = blob(directory, &file);
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json", "size": size(&config), "digest": config,
        },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": size(&layer), "digest": layer,
        }],
    });
    let file = directory.join(tag);
    fs::write(&file, manifest.to_string()).unwrap();
    blob(directory, &file);
}

fn start(directory: &Path) -> Child {
    let mut command = lab().inside("host01", "setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(std::env::current_exe().unwrap());
    let child = command
        .env(SERVE, directory)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the registry answers", || {
        let mut ping = lab().inside("host01", "busybox");
        ping.args([
            "wget",
            "-q",
            "-O",
            "/dev/null",
            &format!("http://{ADDRESS}/v2/"),
        ]);
        ping.stderr(Stdio::null()).status().unwrap().success()
    });
    child
}

fn pulled() {
    let directory = tempfile::tempdir().unwrap();
    publish(directory.path(), "1");
    let mut registry = start(directory.path());
    let container = |name: &str, ip: &str| {
        format!(
            "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"host01\"\nip = \"{ip}\"\n\
             image = \"{ADDRESS}/app:1\"\ncommand = \"sleep 1000\"\n"
        )
    };
    let site = Site::new(&[container("h1", "10.73.70.1"), container("h2", "10.73.70.2")].concat());
    let image = format!("{ADDRESS}/app:1");
    let made = site.ok("mkdocker h1,h2");
    let count = |text: &str| made.matches(text).count();
    assert_eq!(
        [
            count(&format!(": Pull image {image} start\n")),
            count(&format!(": Pull image {image} done\n")),
            count(": success\n")
        ],
        [1, 1, 2],
        "{made}"
    );
    assert_eq!(site.ok("mkdocker h1"), "h1: unchanged\n");
    assert_eq!(
        site.ok("mkdocker h1 --pull always"),
        format!("h1: Pull image {image} start\nh1: Pull image {image} done\nh1: unchanged\n")
    );
    site.redefine(
        "app:1\"\ncommand = \"sleep 1000\"\n[node.h2]",
        "app:2\"\ncommand = \"sleep 1000\"\n[node.h2]",
    );
    let refused = site.fails("mkdocker h1 --replace");
    assert!(
        refused.starts_with(&format!(
            "h1: [mn]: Error: pulling the image {ADDRESS}/app:2: "
        )),
        "{refused}"
    );
    assert_eq!(site.ok("rpower h1 state"), "h1: created\n");
    registry.kill().unwrap();
    registry.wait().unwrap();
    let refused = site.fails("mkdocker h2 --pull always");
    assert!(
        refused.starts_with(&format!("h2: [mn]: Error: pulling the image {image}: "))
            && refused.contains("connection refused"),
        "{refused}"
    );
    assert_eq!(site.ok("mkdocker h2 --pull never"), "h2: unchanged\n");
    site.ok("rmdocker h1,h2");
}
