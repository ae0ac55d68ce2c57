//! The images of an engine of API 1.55, with the containerd store: what it answers, and what `dockerimage --json` makes of it.

use serde_json::{Value, json};

use crate::Case;
use crate::newest::{MANIFEST, NewestEngine, definition, found, refused};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[("what_is_done_with_images_is_one_document", documents)];

/// Answers a call that is about images.
pub(crate) fn answer(method: &str, path: &[&str], query: &str) -> Vec<u8> {
    match (method, path) {
        ("GET", ["images", "json"]) => found(json!([image()])),
        ("GET", ["images", "app:1", "json"]) => found(image()),
        ("GET", ["images", name, "json"]) if name.contains(MANIFEST) => found(image()),
        ("GET", ["distribution", ..]) => found(json!({ "Descriptor": { "digest": MANIFEST } })),
        ("POST", ["images", "create"]) if query.starts_with("fromImage=app&") => {
            let event = json!({ "id": "1", "status": "Downloading", "progressDetail": { "current": 1, "total": 2 } });
            found(event)
        }
        // API 1.48 and later say it in errorDetail alone.
        ("POST", ["images", "create"]) => {
            found(json!({ "errorDetail": { "code": 404, "message": "manifest unknown" } }))
        }
        ("POST", ["images", "app", "push"]) => found(
            json!({ "progressDetail": {}, "aux": { "Tag": "1", "Digest": MANIFEST, "Size": 481 } }),
        ),
        ("POST", ["images", _, "push"]) => found(json!({ "errorDetail": { "message": "denied" } })),
        ("POST", ["images", "load"]) => found(json!({ "stream": "Loaded image: app:1\n" })),
        ("POST", ["images", _, "tag"]) => {
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        ("POST", ["commit"]) => found(json!({ "Id": MANIFEST })),
        ("DELETE", ["images", "app:1"]) => {
            found(json!([{ "Untagged": "app:1" }, { "Deleted": MANIFEST }]))
        }
        _ => refused("404 Not Found", "No such image"),
    }
}

/// An image of the containerd store: its identity is the manifest's digest, and what is empty is left out.
fn image() -> Value {
    json!({
        "Id": MANIFEST, "RepoTags": ["app:1"], "RepoDigests": [format!("app@{MANIFEST}")], "Architecture": "amd64",
        "Os": "linux", "Size": 2_214_000, "Descriptor": { "digest": MANIFEST, "size": 481 },
        "RootFS": { "Type": "layers", "Layers": [] }, "Config": { "Cmd": ["serve"] }, "Identity": {},
    })
}

fn documents() {
    let directory = tempfile::tempdir().unwrap();
    let (_engine, socket) = NewestEngine::start(directory.path());
    let host = format!("[node.h1]\ndockerhost = \"{socket}\"\n");
    let site = Site::bare(&(definition("f1", &socket, "10.1.0.21") + &host));
    let archive = directory.path().join("app.tar");
    std::fs::write(&archive, "an archive").unwrap();
    site.ok("mkdocker f1");
    let digest = format!("app@{MANIFEST}");
    let load = format!("load h1 {}", archive.display());
    let preview = format!("would load {}", archive.display());
    for (line, node, more) in [
        (
            "pull h1 app:1",
            "h1",
            json!({ "image": "app:1", "id": MANIFEST, "digest": digest }),
        ),
        (
            "push h1 app:1",
            "h1",
            json!({ "image": "app:1", "digest": digest }),
        ),
        (
            "commit f1 app:2",
            "f1",
            json!({ "image": "app:2", "id": MANIFEST, "digest": null }),
        ),
        (
            "commit f1 app:2 --push",
            "f1",
            json!({ "image": "app:2", "id": MANIFEST, "digest": digest }),
        ),
        (&load, "h1", json!({ "image": null, "loaded": ["app:1"] })),
        (
            "rm h1 app:1",
            "h1",
            json!({ "image": "app:1", "untagged": ["app:1"], "deleted": [MANIFEST] }),
        ),
        (
            "rm h1 app:1 --dry-run",
            "h1",
            json!({ "status": "would remove app:1", "image": "app:1" }),
        ),
        (
            &format!("{load} --dry-run"),
            "h1",
            json!({ "status": preview, "image": null }),
        ),
        (
            "ls h1",
            "h1",
            json!({ "images": [{ "name": "app:1", "id": MANIFEST, "size": 2_214_000, "digests": [digest] }] }),
        ),
    ] {
        let mut expected =
            json!({ "node": node, "error": null, "status": "success", "host": socket });
        if node == "h1" {
            expected["host"] = json!("h1");
        }
        let more = more.as_object().unwrap().clone();
        expected.as_object_mut().unwrap().extend(more);
        let document = site.document(&format!("dockerimage {line} --json"), node);
        assert_eq!(document, expected, "{line}");
    }
    for (line, error) in [
        ("push h1 other:1", "pushing the image other:1: denied"),
        ("rm h1 other:1", "No such image"),
    ] {
        let document = site.document(&format!("dockerimage {line} --json"), "h1");
        assert_eq!(document, json!({ "node": "h1", "error": error }), "{line}");
    }
}
