//! The page of the real `slipwayd`: by curl, and as a browser without a screen shows it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use lab::daemon::{Daemon, curl, trusted};
use lab::{Lab, ended};
use serde_json::json;

/// What browsers that need no screen are called.
const BROWSERS: [&str; 3] = ["chromium-headless-shell", "chromium", "chromium-browser"];

fn main() -> ExitCode {
    let missing = browser().is_none().then(|| BROWSERS[0].to_owned());
    lab::main(
        &["curl", "openssl"],
        missing,
        &[
            ("clients_and_the_sites_networks_see_the_page", viewers),
            ("what_a_node_reports_is_text", hostile),
            ("a_browser_shows_a_thousand_nodes", thousand),
        ],
    )
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path);
    let mut programs = places.flat_map(|place| BROWSERS.map(|name| place.join(name)));
    programs.find(|program| program.is_file())
}

/// A site of nodes that is seen from the networks that are given.
fn site(nodes: usize, networks: &str) -> Lab {
    let nodes: String = (1..=nodes)
        .map(|n| {
            format!(
                "[node.n{n:04}]\ngroups = [\"rack{}\"]\nip = \"127.1.{}.{}\"\n",
                n % 10,
                n / 250,
                n % 250 + 1
            )
        })
        .collect();
    let lab = lab::daemon::site(&nodes);
    lab.site(&format!("master = \"127.0.0.1\"\ndomain = \"cluster.example.invalid\"\nstatusnetworks = [{networks}]\n"));
    trusted(&lab, &["init"]);
    lab
}

/// What slipwayd keeps of a report that came some hours ago.
fn kept(node: usize, state: &str, by: &str, hours: i64, lines: &[&str]) -> String {
    let time = time::OffsetDateTime::now_utc() - time::Duration::hours(hours);
    let time = time.replace_nanosecond(0).unwrap();
    let time = time
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let report = json!({ "node": format!("n{node:04}"), "state": state, "time": time, "by": by, "lines": lines });
    format!("{report}\n")
}

fn keep(lab: &Lab, reports: &str) {
    fs::create_dir_all(lab.path("state")).unwrap();
    lab.write("state/states.jsonl", reports);
}

fn viewers() {
    let lab = site(2, "\"127.9.0.0/16\"");
    trusted(&lab, &["issue", "alice"]);
    let daemon = Daemon::with_signer(&lab);
    let url = daemon.tls_url("/");
    let (status, page) = curl(&lab, &["--interface", "127.9.0.1", "--include", &url]);
    assert_eq!(status, "200");
    assert!(
        page.contains("<title>cluster.example.invalid: 0 wrong of 2</title>"),
        "{page}"
    );
    for field in [
        "content-type: text/html; charset=utf-8\r\n",
        "cache-control: no-store\r\n",
        "x-content-type-options: nosniff\r\n",
        "referrer-policy: no-referrer\r\n",
        "content-security-policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'\r\n",
    ] {
        assert!(page.contains(field), "{field}: {page}");
    }
    assert!(!page.contains("<script"));
    let own = ["--cert", "alice/cert.pem", "--key", "alice/key.pem"];
    assert_eq!(curl(&lab, &[&own[..], &[&url]].concat()).0, "200");
    let (status, refusal) = curl(&lab, &[&url]);
    assert_eq!(status, "403");
    for told in [
        "slipway-trust issue NAME",
        "chdef -t site -p statusnetworks=ADDRESS/LENGTH",
    ] {
        assert!(refusal.contains(told), "{refusal}");
    }
    assert!(!refusal.contains("n0001"), "{refusal}");
    // Alarms are for clients alone.
    let body = json!({ "node": "n0001", "token": "x", "request": "x" }).to_string();
    assert_eq!(
        curl(
            &lab,
            &["--data-binary", &body, &daemon.tls_url("/v1/enrol")]
        )
        .0,
        "403"
    );
    let (_, page) = curl(&lab, &[&own[..], &[&url]].concat());
    assert!(
        page.contains("1 alarms") && page.contains("n0001 from 127.0.0.1: "),
        "{page}"
    );
    let (_, page) = curl(&lab, &["--interface", "127.9.0.1", &url]);
    assert!(!page.contains("alarms"), "{page}");
    // It is no page without TLS, and the range narrows it.
    assert_eq!(
        curl(&lab, &["--interface", "127.9.0.1", &daemon.url("/")]).0,
        "404"
    );
    let narrow = daemon.tls_url("/?noderange=n%5B0002-0002%5D");
    let (_, page) = curl(&lab, &["--interface", "127.9.0.1", &narrow]);
    assert!(
        page.contains("0 wrong of 1</title>") && page.contains("value=\"n[0002-0002]\""),
        "{page}"
    );
    let wrong = daemon.tls_url("/?noderange=%3Cb%3E");
    let (status, page) = curl(&lab, &["--interface", "127.9.0.1", &wrong]);
    assert!(status == "400" && !page.contains("<b>"), "{status} {page}");
}

fn hostile() {
    let lab = site(1, "\"127.0.0.0/8\"");
    let odd = "</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    keep(
        &lab,
        &kept(1, "failed", "address", 0, &[odd, "\u{202e}reversed"]),
    );
    let daemon = Daemon::start(&lab);
    let shown = shown(&daemon, &lab);
    assert!(
        shown.contains("<title>cluster.example.invalid: 1 wrong of 1</title>"),
        "{shown}"
    );
    assert!(
        !shown.contains("<script") && !shown.contains("<img"),
        "{shown}"
    );
    assert!(shown.contains("&lt;/pre&gt;&lt;script&gt;"), "{shown}");
}

/// What a browser makes of the page; the picture of it is in `page.png`.
fn shown(daemon: &Daemon, lab: &Lab) -> String {
    let mut command = Command::new(browser().unwrap());
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
        ])
        .arg(format!("--user-data-dir={}", lab.path("browser").display()))
        .args(["--window-size=1440,900", "--timeout=60000", "--dump-dom"])
        .arg(format!("--screenshot={}", lab.path("page.png").display()))
        .arg(daemon.tls_url("/"));
    let said = ended(&mut command, lab.root());
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    said.stdout
}

fn thousand() {
    let lab = site(1000, "\"127.0.0.0/8\"");
    let reports: String = (1..=980)
        .map(|n| match n {
            17 => kept(
                n,
                "failed",
                "certificate",
                3,
                &[
                    "setupdockerhost: installing docker-ce",
                    "E: Unable to locate package docker-ce",
                ],
            ),
            400 => kept(n, "installing", "address", 5, &[]),
            n if n % 100 == 0 => kept(n, "installing", "address", 0, &[]),
            _ => kept(n, "booted", "certificate", 50, &[]),
        })
        .collect();
    keep(&lab, &reports);
    let daemon = Daemon::start(&lab);
    let start = Instant::now();
    let shown = shown(&daemon, &lab);
    assert!(
        start.elapsed() < Duration::from_secs(120),
        "{:?}",
        start.elapsed()
    );
    for text in [
        "<title>cluster.example.invalid: 2 wrong of 1000</title>",
        ">2 wrong<",
        ">8 under way<",
        ">970 booted<",
        ">20 unknown<",
        "<td>n0400</td><td class=\"bad\">installing*</td><td>5 h 0 min</td>",
        "E: Unable to locate package docker-ce</pre>",
    ] {
        assert!(shown.contains(text), "{text} is not shown");
    }
    assert_eq!(shown.matches("<li ").count(), 990);
    let picture = fs::read(lab.path("page.png")).unwrap();
    assert!(
        picture.starts_with(b"\x89PNG") && picture.len() > 20_000,
        "{} bytes",
        picture.len()
    );
    if let Some(to) = std::env::var_os("KEEP_SCREENSHOT") {
        fs::write(to, picture).unwrap();
    }
}
