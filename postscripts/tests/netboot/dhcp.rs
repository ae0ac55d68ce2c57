//! A node without an address of its own, and real DHCP servers: dnsmasq.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::server::Server;
use crate::{Lab, MAC, content, ip, said};

/// Says what this machine lacks.
pub(crate) fn lacking() -> Option<String> {
    let trial = Command::new("dnsmasq").arg("--version").output();
    trial.err().map(|error| format!("needs dnsmasq: {error}"))
}

/// A DHCP server in a namespace, ended when this goes.
struct Dnsmasq(Child);

impl Dnsmasq {
    fn start(lab: &Lab, namespace: &str, nic: &str, address: &str, more: &[&str]) -> Self {
        let leases = lab.dir.path().join(format!("leases-{namespace}"));
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", namespace, "dnsmasq"])
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args([
                "--user=root",
                "--pid-file=",
                "--bind-interfaces",
                "--no-ping",
            ])
            .args(["--dhcp-authoritative", &format!("--interface={nic}")])
            .arg(format!("--dhcp-leasefile={}", leases.display()))
            .arg(format!("--dhcp-range={address},{address},255.255.255.0,1h"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn address() {
    let lab = Lab::new();
    let _web = Server::start(&lab.server(), Duration::ZERO, content(), vec![]);
    let router = ["--dhcp-option=3,10.1.0.254"];
    let _dhcp = Dnsmasq::start(&lab, &lab.server(), "port1", "10.1.0.77", &router);
    let output = lab.fetch_with("dhcp", MAC);
    lab.assert_fetched(&output);
    let said = said(&output);
    assert!(
        said.contains("netboot: eth1 has the address 10.1.0.77/24@10.1.0.254\n"),
        "{said}"
    );
}

/// Somebody else on the wire answers first.
pub(crate) fn two_servers() {
    let lab = Lab::new();
    let (server, other) = (lab.server(), format!("other{}", lab.number));
    ip(&format!("netns add {other}"));
    ip(&format!("-n {server} link add wire type bridge"));
    ip(&format!(
        "-n {other} link add port2 type veth peer name port2 netns {server}"
    ));
    ip(&format!("-n {server} address del 10.1.0.1/24 dev port1"));
    for port in ["port1", "port2"] {
        ip(&format!("-n {server} link set {port} up master wire"));
    }
    ip(&format!("-n {server} address add 10.1.0.1/24 dev wire"));
    ip(&format!("-n {server} link set wire up"));
    ip(&format!("-n {other} address add 10.1.0.9/24 dev port2"));
    ip(&format!("-n {other} link set port2 up"));
    let web = Server::start(&server, Duration::ZERO, content(), vec![]);
    let first = Dnsmasq::start(&lab, &other, "port2", "10.1.0.66", &[]);
    let slow = ["--dhcp-reply-delay=2"];
    let dhcp = Dnsmasq::start(&lab, &server, "wire", "10.1.0.77", &slow);
    let output = lab.fetch_with("dhcp", MAC);
    drop((web, first, dhcp));
    ip(&format!("netns del {other}"));
    lab.assert_fetched(&output);
    let said = said(&output);
    for line in [
        "netboot: the DHCP server 10.1.0.9 offers 10.1.0.66, and does not send nodes to 10.1.0.1, where this one boots from: \
         its offer is not taken\n",
        "netboot: eth1 has the address 10.1.0.77/24@10.1.0.1\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}
