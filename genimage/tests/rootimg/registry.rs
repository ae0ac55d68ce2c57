//! A registry over HTTPS with tokens, as public ones are.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::container::image_of;
use crate::scene::Scene;

/// A registry of one image.
struct Registry {
    port: u16,
    /// What it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
    authority: String,
}

impl Registry {
    fn start(blobs: PathBuf) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&own, &issuer)
            .unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
                while let Some(request) = read_request(&mut stream) {
                    let answer = answer(&request, port, &blobs);
                    kept.lock()
                        .unwrap()
                        .push(request.lines().next().unwrap().to_owned());
                    if stream.get_mut().write_all(&answer).is_err() {
                        break;
                    }
                }
            }
        });
        Self {
            port,
            asked,
            authority,
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    loop {
        let before = text.len();
        if stream.read_line(&mut text).ok()? == 0 {
            return None;
        }
        if text[before..].trim().is_empty() {
            return Some(text);
        }
    }
}

fn answer(request: &str, port: u16, blobs: &std::path::Path) -> Vec<u8> {
    let path = request.split(' ').nth(1).unwrap();
    let (status, header, body) = if path.starts_with("/token?") {
        ("200 OK", String::new(), br#"{"token": "T0KEN"}"#.to_vec())
    } else if !request
        .to_lowercase()
        .contains("authorization: bearer t0ken")
    {
        let header = format!(
            "WWW-Authenticate: Bearer realm=\"https://127.0.0.1:{port}/token\",service=\"test\",scope=\"repository:a/base:pull\"\r\n"
        );
        ("401 Unauthorized", header, Vec::new())
    } else {
        let digits = path.rsplit(':').next().unwrap();
        match fs::read(blobs.join(digits)) {
            Ok(bytes) => ("200 OK", String::new(), bytes),
            Err(_) => ("404 Not Found", String::new(), Vec::new()),
        }
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

pub(crate) fn fetched() {
    let scene = Scene::new("container-registry", "system\n");
    let image = image_of(&scene, Value::Null);
    let digest = image.digest();
    let registry = Registry::start(image.0.join("blobs/sha256"));
    let line = format!(
        "genimage image --check --from docker://127.0.0.1:{}/a/base@{digest}",
        registry.port
    );
    fs::write(scene.path("authority.pem"), &registry.authority).unwrap();
    let run = |authority: &str| {
        let mut command = scene.command(&line);
        command.env("SSL_CERT_FILE", scene.path(authority));
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (out, err) = run("authority.pem");
    assert!(
        out.contains("image: has an init: /usr/lib/systemd/systemd\n"),
        "{out}{err}"
    );
    let asked = registry.asked.lock().unwrap().clone();
    assert_eq!(
        asked[0],
        format!("GET /v2/a/base/manifests/{digest} HTTP/1.1")
    );
    assert_eq!(
        asked[1],
        "GET /token?service=test&scope=repository:a/base:pull HTTP/1.1"
    );
    assert!(
        asked.iter().filter(|line| line.contains("/blobs/")).count() >= 3,
        "{asked:?}"
    );
    // Another authority's certificate vouches for nothing.
    let other = Registry::start(image.0.clone());
    fs::write(scene.path("other.pem"), &other.authority).unwrap();
    let (out, err) = run("other.pem");
    assert!(
        out.is_empty() && err.contains("invalid peer certificate"),
        "{out}{err}"
    );
    // Nor does the registry for what it sends.
    fs::write(image.0.join("blobs/sha256").join(&digest[7..]), "{}").unwrap();
    let (_, err) = run("authority.pem");
    assert!(err.contains("it is another file: its digest is "), "{err}");
}
