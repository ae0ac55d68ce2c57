//! A site with its authorities, and whom its cases ask: slipway-trust and OpenSSL.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::lab::programs::{other, succeed};
use super::lab::{Ended, Lab};

pub(super) const NETWORKS: &str = "[rack]\nnet = \"10.1.0.0\"\nmask = \"/16\"\n";

pub(super) const NODES: &str = r#"
[node.n1]
ip = "10.1.0.11"
hostnames = ["www"]
nicips = ["eth1!10.1.2.11"]
[node.n2]
ip = "10.1.0.12"
[node.far]
ip = "192.0.2.1"
[node.bare]
"#;

pub(super) fn openssl(lab: &Lab, arguments: &[&str]) -> String {
    let ended = other(lab, "openssl", arguments);
    assert_eq!(
        ended.code,
        Some(0),
        "openssl {arguments:?}: {}",
        ended.stderr
    );
    ended.stdout
}

/// Has OpenSSL verify a certificate against the root alone.
pub(super) fn verify(lab: &Lab, certificate: &str, more: &[&str]) -> Ended {
    let fixed = [
        "verify",
        "-x509_strict",
        "-CAfile",
        "config/trust/root.crt",
        "-untrusted",
        certificate,
    ];
    other(lab, "openssl", &[&fixed, more, &[certificate]].concat())
}

pub(super) fn site() -> Lab {
    let lab = Lab::new(NETWORKS, NODES);
    lab.site("master = \"10.1.0.1\"\ndomain = \"cluster\"\n");
    lab
}

/// A site with its authorities.
pub(super) fn ready() -> Lab {
    let lab = site();
    succeed(&lab, &["init"]);
    lab
}

/// Makes a key and a request with OpenSSL; what it asks for is `more`.
pub(super) fn request(lab: &Lab, name: &str, more: &str) {
    lab.write(
        &format!("{name}.conf"),
        &format!("[req]\ndistinguished_name=dn\nprompt=no\nreq_extensions=ext\n[dn]\nCN=whatever\n[ext]\n{more}\n"),
    );
    let (conf, key, out) = (
        format!("{name}.conf"),
        format!("{name}.key"),
        format!("{name}.csr"),
    );
    openssl(
        lab,
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-config",
            &conf,
            "-keyout",
            &key,
            "-out",
            &out,
        ],
    );
}

pub(super) fn mode(lab: &Lab, name: &str) -> u32 {
    lab.path(name).metadata().unwrap().permissions().mode() & 0o7777
}

pub(super) fn set_mode(lab: &Lab, name: &str, mode: u32) {
    fs::set_permissions(lab.path(name), fs::Permissions::from_mode(mode)).unwrap();
}
