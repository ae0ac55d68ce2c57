//! Bad input and bad hosts: one clear sentence, exit code 1, nothing changed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::Test;
use crate::host::{Host, failure, free_port, text};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_hostile_daemon_json_is_refused",
        a_hostile_daemon_json_is_refused,
    ),
    (
        "a_daemon_that_does_not_come_back_gets_its_files_back",
        files_are_put_back,
    ),
    ("a_port_in_use_is_named", a_port_in_use_is_named),
    (
        "an_old_or_missing_engine_is_named",
        an_old_or_missing_engine_is_named,
    ),
    (
        "a_second_run_at_once_is_told_to_wait",
        a_second_run_at_once_waits,
    ),
    ("a_full_disk_changes_nothing", a_full_disk_changes_nothing),
    ("a_user_who_is_not_root_is_told_so", not_root),
    (
        "a_malformed_argument_is_a_usage_error",
        a_malformed_argument,
    ),
];

fn a_hostile_daemon_json_is_refused() {
    let host = Host::new();
    let path = host.path("etc/docker/daemon.json");
    let merging = format!("setupdockerhost: merging into {}: ", path.display());
    let cases: [(&str, &str); 5] = [
        (
            "{\"a\": ",
            "reading it as JSON: EOF while parsing a value at line 1 column 6",
        ),
        ("[]", "reading it: no JSON object"),
        (
            "{\"tlsverify\": false}",
            "\"tlsverify\" is false there and has to be true: take it out there, or set it to that",
        ),
        (
            "{\"hosts\": \"fd://\"}",
            "\"hosts\" is \"fd://\" there: no list",
        ),
        (
            "\u{fffd}{",
            "reading it as JSON: expected value at line 1 column 1",
        ),
    ];
    for (content, message) in cases {
        fs::write(&path, content).unwrap();
        let before = host.snapshot();
        assert_eq!(host.refuse(&[]), format!("{merging}{message}"));
        assert_eq!(host.snapshot(), before);
    }
    fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} has 1048577 bytes: more than a configuration file holds",
            path.display()
        )
    );
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} is a symbolic link: put the file itself there",
            path.display()
        )
    );
    assert!(!host.path("etc/slipway").exists());
}

/// The daemon runs with `--live-restore` on its command line; ours in `daemon.json` beside it is what
/// dockerd refuses to start with.
fn files_are_put_back() {
    let host = Host::prepare(None, format!("127.0.0.1:{}", free_port()));
    host.write("etc/default/docker", "DOCKER_OPTS=--live-restore\n");
    host.start();
    let before = host.snapshot();
    let message = host.refuse(&[]);
    assert!(
        message.starts_with("setupdockerhost: restarting dockerd: "),
        "{message}"
    );
    assert!(
        message.contains("live-restore"),
        "the daemon's own words are missing: {message}"
    );
    assert!(
        message.ends_with("; what stood before was put back"),
        "{message}"
    );
    let unchanged = |files: Vec<(std::path::PathBuf, u32, i64, i64, Vec<u8>)>| {
        files
            .into_iter()
            .map(|(path, mode, _, _, bytes)| (path, mode, bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(unchanged(host.snapshot()), unchanged(before));
    let version = host.docker(&["version"]);
    assert!(
        version.status.success(),
        "dockerd does not run: {}",
        text(&version.stderr)
    );
}

fn a_port_in_use_is_named() {
    let host = Host::new();
    let taken = std::net::TcpListener::bind(&host.listen).unwrap();
    let before = host.snapshot();
    assert_eq!(
        host.refuse(&[]),
        format!(
            "setupdockerhost: {} is in use by another program: stop it, or give another port with \
             --listen",
            host.listen
        )
    );
    assert_eq!(host.snapshot(), before);
    drop(taken);
}

fn an_old_or_missing_engine_is_named() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    let dockerd = host.path("usr/sbin/dockerd");
    fs::remove_file(&dockerd).unwrap();
    assert_eq!(
        host.refuse(&[]),
        "setupdockerhost: no dockerd on this host: put it there with the packages of an osimage's \
         dockerhost profile (docker-ce, docker.io or moby-engine)"
    );
    fs::write(
        &dockerd,
        "#!/bin/sh\necho Docker version 19.03.15, build 99e3ed8\n",
    )
    .unwrap();
    fs::set_permissions(&dockerd, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        host.refuse(&[]),
        "setupdockerhost: dockerd is 19.03.15: 20.10 is the oldest that this works with"
    );
}

fn a_second_run_at_once_waits() {
    let host = Host::new();
    fs::create_dir_all(host.path("var/lib/slipway/setupdockerhost")).unwrap();
    let lock = fs::File::create(host.path("var/lib/slipway/setupdockerhost/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(
        host.refuse(&[]),
        "setupdockerhost: another setupdockerhost is at work on this host: wait for it to end"
    );
    drop(lock);
    host.setup(&[]);
}

fn a_full_disk_changes_nothing() {
    let host = Host::new();
    let etc = host.path("etc");
    let kept = host.path("kept");
    fs::rename(&etc, &kept).unwrap();
    fs::create_dir(&etc).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&etc)
        .status();
    assert!(mounted.unwrap().success());
    let copied = Command::new("cp")
        .arg("-a")
        .arg(kept.join("."))
        .arg(&etc)
        .status()
        .unwrap();
    assert!(copied.success());
    // The filler leaves less than the files need.
    let mut size = 64 << 10;
    while size > 0 && fs::write(etc.join("filler"), vec![0; size]).is_err() {
        size -= 1 << 10;
    }
    let before = host.snapshot();
    let message = host.refuse(&[]);
    assert!(
        message.contains("No space left on device (os error 28)"),
        "{message}"
    );
    let names = |files: &[(std::path::PathBuf, u32, i64, i64, Vec<u8>)]| {
        files
            .iter()
            .map(|(path, mode, _, _, bytes)| (path.clone(), *mode, bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&host.snapshot()), names(&before));
    assert!(host.docker(&["version"]).status.success());
}

fn not_root() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    // The binary is copied to where anyone may run it.
    let binary = host.path("setupdockerhost");
    fs::copy(env!("CARGO_BIN_EXE_setupdockerhost"), &binary).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&binary);
    let output = command.arg("--root").arg(host.path("")).output().unwrap();
    assert_eq!(
        failure(output, 1),
        "setupdockerhost: this changes the host: run it as root"
    );
}

fn a_malformed_argument() {
    let host = Host::prepare(None, "127.0.0.1:1".to_owned());
    for (argument, part) in [
        ("mydocker0", "expected NAME=NET/LEN@GATEWAY[:NIC]"),
        ("mydocker0=10.1.0.5/16@10.1.0.1", "10.1.0.0/16"),
        (
            "mydocker0=10.1.0.0/16@10.2.0.1",
            "the address of a host in 10.1.0.0/16",
        ),
        ("a-bridge-name-too-long=10.1.0.0/16@10.1.0.1", "15"),
    ] {
        let output = host.command(&[argument]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{argument}");
        let said = text(&output.stderr);
        assert!(said.contains(part), "{argument}: {said}");
    }
}
