//! The systemd unit.

use std::fs;
use std::process::Command;

use crate::node::{Node, text};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "enable_writes_and_links_the_unit_and_disable_takes_it_away",
        Need::Nothing,
        enable,
    ),
    (
        "systemd_finds_nothing_wrong_with_the_unit",
        Need::Tool("systemd-analyze"),
        verify,
    ),
];

const UNIT: &str = "etc/systemd/system/slipway-firstboot.service";
const LINK: &str = "etc/systemd/system/multi-user.target.wants/slipway-firstboot.service";

fn enable() {
    let node = Node::new();
    let ran = node.run(&["--enable"]).expect(1);
    assert_eq!(
        ran.err,
        "firstboot: there is no systemd on this system: have its own boot run \
         /opt/slipway/bin/firstboot once the network is up\n"
    );
    with_systemd(&node);
    let ran = node.run(&["--enable"]).expect(0);
    assert_eq!(
        ran.out,
        "slipway-firstboot.service runs at every boot until all is done\n"
    );
    let target = fs::read_link(node.path(LINK)).unwrap();
    assert_eq!(
        target.to_str(),
        Some("/etc/systemd/system/slipway-firstboot.service")
    );
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/firstboot/slipway-firstboot.service"
    );
    if std::env::var_os("UPDATE").is_some() {
        fs::write(golden, node.read(UNIT)).unwrap();
    }
    assert_eq!(node.read(UNIT), fs::read_to_string(golden).unwrap());
    assert_eq!(node.run(&["--enable"]).expect(0).out, "nothing to do\n");

    let ran = node.run(&["--disable"]).expect(0);
    assert_eq!(ran.out, "slipway-firstboot.service is gone\n");
    assert!(!node.path(UNIT).exists() && fs::read_link(node.path(LINK)).is_err());
    assert_eq!(node.run(&["--disable"]).expect(0).out, "nothing to do\n");
}

fn with_systemd(node: &Node) {
    fs::create_dir_all(node.path("usr/lib/systemd")).unwrap();
    fs::write(node.path("usr/lib/systemd/systemd"), "").unwrap();
}

fn verify() {
    let node = Node::new();
    with_systemd(&node);
    node.run(&["--enable"]).expect(0);
    // The program must be there for systemd to be content.
    let unit = node.read(UNIT).replace(
        "ExecStart=/opt/slipway/bin/firstboot",
        "ExecStart=/bin/true",
    );
    fs::write(node.path(UNIT), unit).unwrap();
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(node.path(UNIT))
        .output()
        .unwrap();
    let said = text(&output.stderr);
    let about_us: Vec<_> = said
        .lines()
        .filter(|line| line.contains("firstboot"))
        .collect();
    assert!(output.status.success() && about_us.is_empty(), "{said}");
}
