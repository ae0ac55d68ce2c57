//! An `/etc` that cannot be written stays as it was, and the error says what it is.

use std::path::Path;
use std::{fs, iter};

use crate::Inside;
use crate::host::{host, ok, plan};

const NEEDS: &[&str] = &["ifup", "mount", "dnsmasq"];
const STANZA: &str = "auto eth0\niface eth0 inet static\n    address 10.0.0.5/24\n";

pub(crate) fn trials() -> Vec<Inside> {
    vec![
        Inside::new("a_read_only_etc_is_left_as_it_was", NEEDS, read_only),
        Inside::new("a_full_etc_is_left_as_it_was", NEEDS, full),
        Inside::new("a_full_state_directory_changes_no_file", NEEDS, full_state),
    ]
}

fn read_only() {
    host();
    fs::write("/etc/network/interfaces", STANZA).unwrap();
    let planned = plan();
    ok("mount -o remount,ro /etc/network");
    refused(
        &planned,
        "writing /etc/network/interfaces: Read-only file system (os error 30)",
    );
}

fn full() {
    host();
    ok("mount -o remount,size=8k /etc/network");
    fs::write("/etc/network/interfaces", STANZA).unwrap();
    let planned = plan();
    fill("/etc/network/ballast");
    refused(
        &planned,
        "writing /etc/network/interfaces: No space left on device (os error 28)",
    );
}

fn full_state() {
    host();
    fs::write("/etc/network/interfaces", STANZA).unwrap();
    let planned = plan();
    fs::create_dir_all("/var/lib/slipway").unwrap();
    ok("mount -t tmpfs -o size=4k tmpfs /var/lib/slipway");
    fill("/var/lib/slipway/ballast");
    refused(
        &planned,
        "beginning a journal in /var/lib/slipway/bridgeprereq/mydocker0/pending: No space left on device (os error 28)",
    );
}

fn fill(path: &str) {
    let bytes: Vec<u8> = iter::repeat_n(0, 4096).collect();
    let _ = fs::write(path, &bytes);
}

fn refused(planned: &postscripts::bridge::persist::Persistence, reason: &str) {
    let err = planned.apply().unwrap_err();
    assert_eq!(
        format!("{err:#}"),
        format!("persisting mydocker0 through ifupdown: {reason}")
    );
    assert_eq!(
        fs::read_to_string("/etc/network/interfaces").unwrap(),
        STANZA
    );
    let left: Vec<_> = fs::read_dir("/etc/network")
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter().all(|name| name == "interfaces"
            || name == "ballast"
            || name.to_string_lossy().starts_with("if-")),
        "{left:?}"
    );
    assert!(!Path::new("/var/lib/slipway/bridgeprereq/mydocker0/pending/journal.json").exists());
}
