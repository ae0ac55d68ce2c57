//! A run that is killed or refused, at every part of its work: nothing is half done, the next run
//! converges, dockerd is up, and containers run on.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::Test;
use crate::host::{Host, failure, free_port, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_first_run_that_is_killed_anywhere_is_done_by_the_next",
        first_run,
    ),
    (
        "a_renewal_that_is_refused_anywhere_changes_nothing",
        refused,
    ),
    (
        "a_renewal_that_is_killed_anywhere_is_done_by_the_next",
        renewal,
    ),
];

/// Runs with a fault.
fn run(host: &Host, arguments: &[&str], fault: &str) -> Output {
    let mut command = host.command(arguments);
    let output = command.env("SLIPWAY_FAULT", fault).output().unwrap();
    // A script that was started goes on when the program that started it is killed.
    host.wait_for_script();
    output
}

fn was_killed(output: &Output) -> bool {
    output.status.signal() == Some(9)
}

/// Runs again: it converges, nothing is left over, and dockerd serves those whom it should.
fn converges(host: &Host, arguments: &[&str], fault: &str) {
    let output = host.command(arguments).output().unwrap();
    assert!(output.status.success(), "{fault}: {}", text(&output.stderr));
    assert_eq!(host.setup(arguments), "nothing to do\n", "{fault}");
    assert_eq!(leftovers(host), Vec::<PathBuf>::new(), "{fault}");
    let version = host.docker_tls(&host.path("etc/slipway/client"), &["version"]);
    assert!(
        version.status.success(),
        "{fault}: {}",
        text(&version.stderr)
    );
}

/// Returns what a run has for itself while it works.
fn leftovers(host: &Host) -> Vec<PathBuf> {
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with('.') || path.starts_with(host.path("var/lib/slipway"))
    };
    let files = host.snapshot().into_iter().map(|(path, ..)| path);
    files.filter(ours).collect()
}

/// A host whose engine is as a package leaves it, for every part anew.
fn first_run() {
    let mut host = Host::new();
    let mut killed = 0;
    loop {
        for place in ["etc/slipway", "etc/docker/tls"] {
            fs::remove_dir_all(host.path(place)).ok();
        }
        fs::remove_file(host.path("etc/docker/daemon.json")).ok();
        // The daemon of the part before still has its port.
        host.listen = format!("127.0.0.1:{}", free_port());
        let fault = format!("kill:part:{}", killed + 1);
        let arguments = ["--san", "127.0.0.1"];
        if !was_killed(&run(&host, &arguments, &fault)) {
            break;
        }
        killed += 1;
        converges(&host, &arguments, &fault);
    }
    println!("killed at {killed} parts of a first run");
    assert!(killed >= 30, "only {killed} parts of a first run");
}

/// A docker host with a container, whose next run has files to change, to make and to keep.
struct Renewal {
    host: Host,
    container: String,
    /// The name that the next certificate shall have too.
    name: String,
}

impl Renewal {
    fn new() -> Self {
        let host = Host::new();
        host.setup(&["--san", "127.0.0.1"]);
        host.load_busybox();
        let container = host.start_container("stays", &["--network", "none"]);
        let name = String::new();
        let mut renewal = Self {
            host,
            container,
            name,
        };
        renewal.next(0);
        renewal
    }

    /// Makes another run necessary.
    fn next(&mut self, number: usize) {
        self.host.listen = format!("127.0.0.1:{}", free_port());
        self.name = format!("name-{number}");
        fs::remove_file(self.host.path("etc/slipway/client/cert.pem")).unwrap();
    }

    fn arguments(&self) -> [&str; 4] {
        ["--san", "127.0.0.1", "--san", &self.name]
    }

    fn assert_container_runs(&self, fault: &str) {
        let running = text(&self.host.docker(&["ps", "-q", "--no-trunc"]).stdout);
        assert_eq!(running.trim(), self.container, "{fault}");
    }
}

fn refused() {
    let renewal = Renewal::new();
    let host = &renewal.host;
    let before = host.contents();
    let mut refused = 0;
    loop {
        let fault = format!("refuse:part:{}", refused + 1);
        let output = run(host, &renewal.arguments(), &fault);
        if output.status.success() {
            break;
        }
        refused += 1;
        let message = failure(output, 1);
        assert!(
            message.contains("Operation not permitted (os error 1)"),
            "{fault}: {message}"
        );
        assert_eq!(host.contents(), before, "{fault}: {message}");
        assert_eq!(leftovers(host), Vec::<PathBuf>::new(), "{fault}");
        renewal.assert_container_runs(&fault);
    }
    println!("refused {refused} parts of a renewal");
    assert!(refused >= 20, "only {refused} parts of a renewal");
}

fn renewal() {
    let mut renewal = Renewal::new();
    let mut killed = 0;
    let mut restarted = None;
    loop {
        let fault = format!("kill:part:{}", killed + 1);
        let output = run(&renewal.host, &renewal.arguments(), &fault);
        if !was_killed(&output) {
            break;
        }
        killed += 1;
        if restarted.is_none() && text(&output.stderr).contains("restarted dockerd") {
            restarted = Some(fault.clone());
        }
        converges(&renewal.host, &renewal.arguments(), &fault);
        renewal.assert_container_runs(&fault);
        renewal.next(killed);
    }
    println!("killed at {killed} parts of a renewal");
    assert!(killed >= 25, "only {killed} parts of a renewal");
    way_back(renewal, &restarted.unwrap());
}

/// dockerd has read the new files when the run is killed, and so is the one that takes them back: before
/// each file, and before the end.
fn way_back(mut renewal: Renewal, restarted: &str) {
    let mut killed = 0;
    let mut parts = 1;
    while killed < parts {
        renewal.next(1000 + killed);
        let cut_off = run(&renewal.host, &renewal.arguments(), restarted);
        assert!(was_killed(&cut_off));
        let journal = "var/lib/slipway/setupdockerhost/pending/journal.json";
        let journal: Value = serde_json::from_str(&renewal.host.read(journal)).unwrap();
        parts = journal["files"].as_array().unwrap().len() + 1;
        killed += 1;
        let fault = format!("kill:part:{killed}");
        let again = run(&renewal.host, &renewal.arguments(), &fault);
        assert!(was_killed(&again), "{fault}");
        converges(&renewal.host, &renewal.arguments(), &fault);
        renewal.assert_container_runs(&fault);
    }
    println!("killed at {killed} parts of a way back");
    assert!(killed >= 6, "only {killed} parts of a way back");
}
