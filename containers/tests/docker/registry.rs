//! Pulls from a registry: this test itself, started again in the namespace of a host.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Case;
use crate::lab::{eventually, lab, text};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    ("images_are_pulled_once_a_host_and_when_asked", pulled),
    (
        "a_registry_that_goes_in_the_middle_of_a_pull_is_an_error",
        cut_off,
    ),
    ("images_are_pushed_loaded_listed_and_removed", images),
];

/// The variable that makes this program the registry of a directory.
pub(crate) const SERVE: &str = "CONTAINERS_TEST_REGISTRY";
/// The file that has the registry end in the middle.
const CUT_OFF: &str = "cut-off";
const ADDRESS: &str = "127.0.0.1:5000";
/// Registries of two cases are on two hosts.
const HOST: &str = "host01";
const OTHER_HOST: &str = "host02";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// One request: its method, path and query, and its body.
struct Request {
    method: String,
    path: String,
    query: String,
    body: Vec<u8>,
}

/// Reads a request, with a body of a given length or in chunks.
fn read_request(stream: &mut impl Read) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line()?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(given) = header.strip_prefix("content-length: ") {
            length = given.parse().ok()?;
        }
        chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        body,
    })
}

/// Serves manifests and blobs of a directory, each under its digest or tag, and takes others, for ever.
pub(crate) fn serve(directory: &Path) -> ! {
    let listener = TcpListener::bind(ADDRESS).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        let directory = directory.to_owned();
        thread::spawn(move || {
            let Some(request) = read_request(&mut stream) else {
                return;
            };
            let (status, headers, body) = answer(&directory, &request);
            let head = format!(
                "HTTP/1.1 {status}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n{headers}Content-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).ok();
            // It goes in the middle of the longest blob.
            if directory.join(CUT_OFF).exists() && body.len() > 100_000 {
                stream.write_all(&body[..body.len() / 2]).ok();
                return;
            }
            if request.method != "HEAD" {
                stream.write_all(&body).ok();
            }
        });
    }
}

/// Answers as a registry does: status, headers, body.
fn answer(directory: &Path, request: &Request) -> (&'static str, String, Vec<u8>) {
    let Request {
        method,
        path,
        query,
        body,
    } = request;
    let name = path.rsplit('/').next().unwrap();
    let store = |name: &str, bytes: &[u8]| {
        let mut file = fs::OpenOptions::new();
        let mut file = file
            .create(true)
            .append(true)
            .open(directory.join(name))
            .unwrap();
        file.write_all(bytes).unwrap();
    };
    let upload = |name: &str| {
        let last = body.len().saturating_sub(1);
        format!("Location: {path}{name}\r\nRange: 0-{last}\r\nDocker-Upload-UUID: {name}\r\n")
    };
    match (method.as_str(), path.contains("/uploads/")) {
        ("POST", true) => {
            let name = format!("upload-{:?}", thread::current().id()).replace(['(', ')'], "");
            ("202 Accepted", upload(&name), Vec::new())
        }
        ("PATCH", true) => {
            store(name, body);
            ("202 Accepted", upload(""), Vec::new())
        }
        ("PUT", true) => {
            store(name, body);
            let digest = query.split("digest=").nth(1).unwrap().replace("%3A", ":");
            fs::rename(directory.join(name), directory.join(&digest)).unwrap();
            let headers =
                format!("Location: /v2/app/blobs/{digest}\r\nDocker-Content-Digest: {digest}\r\n");
            ("201 Created", headers, Vec::new())
        }
        ("PUT", false) => {
            fs::write(directory.join(name), body).unwrap();
            let digest = blob(directory, &directory.join(name));
            (
                "201 Created",
                format!("Docker-Content-Digest: {digest}\r\n"),
                Vec::new(),
            )
        }
        _ => {
            let found = match path.as_str() {
                "/v2/" => Some(b"{}".to_vec()),
                _ => fs::read(directory.join(name)).ok(),
            };
            match found {
                Some(found) => {
                    let kind = if path.contains("/manifests/") {
                        MANIFEST
                    } else {
                        "application/octet-stream"
                    };
                    ("200 OK", format!("Content-Type: {kind}\r\n"), found)
                }
                None => (
                    "404 Not Found",
                    "Content-Type: application/json\r\n".to_owned(),
                    br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#
                        .to_vec(),
                ),
            }
        }
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

fn start(host: &str, directory: &Path) -> Child {
    let mut command = lab().inside(host, "setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(std::env::current_exe().unwrap());
    let child = command
        .env(SERVE, directory)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the registry answers", || {
        let mut ping = lab().inside(host, "busybox");
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
    let mut registry = start(HOST, directory.path());
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

fn cut_off() {
    let directory = tempfile::tempdir().unwrap();
    publish(directory.path(), "3");
    fs::write(directory.path().join(CUT_OFF), "").unwrap();
    let mut registry = start("host04", directory.path());
    let site = Site::new(&format!(
        "[node.g1]\nmgt = \"docker\"\ndockerhost = \"host04\"\nip = \"10.73.70.3\"\nimage = \"{ADDRESS}/app:3\"\n\
         command = \"sleep 1000\"\n"
    ));
    // The words are the engine's, which asks for the rest once more.
    let refused = site.fails("mkdocker g1");
    let pulling = format!("g1: [mn]: Error: pulling the image {ADDRESS}/app:3: ");
    assert!(
        refused.starts_with(&pulling) && refused.lines().count() == 1,
        "{refused}"
    );
    assert_eq!(
        site.ok("dockerimage ls host04 127.0.0.1:5000/app"),
        "host04: 0 images\n"
    );
    fs::remove_file(directory.path().join(CUT_OFF)).unwrap();
    let made = site.ok("mkdocker g1");
    assert!(made.ends_with("g1: success\n"), "{made}");
    registry.kill().unwrap();
    registry.wait().unwrap();
    site.ok("rmdocker g1");
}

fn images() {
    let directory = tempfile::tempdir().unwrap();
    let mut registry = start(OTHER_HOST, directory.path());
    let site = Site::new("[node.c]\nmgt = \"docker\"\n");
    let image = format!("{ADDRESS}/own:1");
    lab().docker(OTHER_HOST, &["tag", "busybox:1", &image]);
    for (line, message) in [
        (
            "dockerimage pull c app:1",
            "c: [mn]: Error: it is a container: name its docker host\n",
        ),
        (
            "dockerimage pull host01 app",
            "dockerimage: the image app names no tag: name one, such as app:latest\n",
        ),
        (
            "dockerimage load host01 /no/such/file",
            "dockerimage: reading /no/such/file: No such file or directory (os error 2)\n",
        ),
    ] {
        assert_eq!(site.fails(line), message);
    }
    assert_eq!(site.run("dockerimage pull host01").code, 2);
    assert_eq!(
        site.ok(&format!("dockerimage push host02 {image} --dry-run")),
        format!("host02: would push {image}\n")
    );
    assert_eq!(
        site.ok(&format!("dockerimage push host02 {image}")),
        format!(
            "host02: Push image {image} start\nhost02: Push image {image} done\nhost02: success\n"
        )
    );
    let id = lab().docker(OTHER_HOST, &["inspect", "-f", "{{.Id}}", &image]);
    let document = site.document("dockerimage ls host02 --json 127.0.0.1:5000/own", "host02");
    assert_eq!(document["images"][0]["name"], image.as_str());
    assert_eq!(document["images"][0]["id"], id.as_str());
    let digest = document["images"][0]["digests"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        site.ok(&format!("dockerimage rm host02 {image}")),
        "host02: success\n"
    );
    assert_eq!(
        site.ok("dockerimage ls host02 127.0.0.1:5000/own"),
        "host02: 0 images\n"
    );
    // By its digest it comes back from the registry, the same.
    let pulled = site.ok(&format!("dockerimage pull host02 {digest}"));
    assert!(pulled.ends_with("host02: success\n"), "{pulled}");
    assert_eq!(
        lab().docker(OTHER_HOST, &["inspect", "-f", "{{.Id}}", &digest]),
        id
    );
    let refused = site.fails(&format!("dockerimage push host01 {image}"));
    assert!(
        refused.starts_with(&format!("host01: [mn]: Error: pushing the image {image}: ")),
        "{refused}"
    );
    let refused = site.fails(&format!("dockerimage rm host01 {image}"));
    assert!(refused.contains("No such image"), "{refused}");
    registry.kill().unwrap();
    registry.wait().unwrap();

    let archive = directory.path().join("saved.tar");
    lab().docker(OTHER_HOST, &["tag", "busybox:1", "saved:1"]);
    lab().docker(
        OTHER_HOST,
        &["save", "-o", archive.to_str().unwrap(), "saved:1"],
    );
    let line = format!("dockerimage load host01,host02 {}", archive.display());
    let loaded = site.ok(&line);
    assert_eq!(
        loaded.matches("Loaded image: saved:1\n").count(),
        2,
        "{loaded}"
    );
    assert_eq!(loaded.matches(": success\n").count(), 2, "{loaded}");
    let listed = site.ok("dockerimage ls host01 saved");
    let mut lines = listed.lines();
    assert!(lines.next().unwrap().ends_with(" MB   saved:1"), "{listed}");
    assert_eq!(lines.next(), Some("host01: 1 image"));
    fs::write(&archive, "no archive").unwrap();
    let refused = site.fails(&format!("dockerimage load host01 {}", archive.display()));
    assert!(
        refused.starts_with("host01: [mn]: Error: loading "),
        "{refused}"
    );
    site.ok("dockerimage rm host01,host02 saved:1");
}
