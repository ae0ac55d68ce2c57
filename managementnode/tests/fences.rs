//! Heavy crates stay in their own place within the room, as `deny.toml` keeps them within it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn each_heavy_crate_has_one_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&source, &mut paths);
    for (heavy, place) in [
        ("rcgen", "trust/x509/"),
        ("x509_parser", "trust/x509/"),
        ("maud", "server/page/html.rs"),
        ("schemars", "server/api/"),
        ("hyper", "server/"),
        ("hyper_util", "server/"),
        ("http_body_util", "server/"),
        ("tokio", "server/"),
        ("tokio_rustls", "server/"),
        ("rustls", "server/tls.rs"),
    ] {
        let uses = |path: &&PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && line.contains(&format!("{heavy}::"))
                    && !line.contains(&format!("_{heavy}::"))
            })
        };
        let users: Vec<_> = paths.iter().filter(uses).collect();
        assert!(!users.is_empty(), "nothing uses {heavy}");
        for user in users {
            let name = user.strip_prefix(&source).unwrap().to_string_lossy();
            assert!(
                name.starts_with(place),
                "{name} uses {heavy}, which belongs to {place}"
            );
        }
    }
}
