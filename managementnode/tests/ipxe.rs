//! The site's own iPXE: built once, served by makedhcp alone, and signatures that OpenSSL reads. What is built here is a
//! source whose make copies what it was given.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, ExitCode, Stdio};

use lab::programs::trust;
use lab::{Ended, Lab, ended};

const NETWORKS: &str = "[rack]\nnet = \"10.1.0.0\"\nmask = \"/16\"\nmgtifname = \"lo\"\n";
const NODES: &str = "[node.n1]\nip = \"10.1.0.11\"\nmac = \"52:54:00:00:00:01\"\n";
const SITE: &str = "master = \"10.1.0.1\"\ndomain = \"cluster\"\nntpservers = [\"10.1.0.3\"]\n";

/// Shows what it was given, and counts how often it was asked.
const MAKEFILE: &str = "comma := ,\n%:\n\
    \t@mkdir -p $(@D)\n\
    \t@{ echo $@; cat $(EMBED) $(subst $(comma), ,$(CERT)) config/local/general.h config/local/console.h; } >$@\n";

fn main() -> ExitCode {
    lab::main(
        &["openssl", "make", "gcc", "dnsmasq"],
        None,
        &[
            ("it_is_built_once_and_again_when_something_differs", built),
            ("what_cannot_be_built_changes_nothing", not_built),
            ("what_is_signed_is_read_by_openssl_as_its_signer_s", signed),
            ("nodes_boot_the_site_s_and_no_other", served),
        ],
    )
}

fn site() -> Lab {
    let lab = Lab::new(NETWORKS, NODES);
    lab.site(SITE);
    fs::create_dir_all(lab.path("source/src/config")).unwrap();
    lab.write("source/src/Makefile", MAKEFILE);
    assert_eq!(trust(&lab, &["init"]).code, Some(0));
    lab
}

fn ipxe(lab: &Lab, more: &[&str]) -> Ended {
    let fixed = ["ipxe", "--source", "source", "--firmware", "bios,x86_64"];
    trust(lab, &[&fixed, more].concat())
}

fn said(out: &str) -> Ended {
    Ended {
        code: Some(0),
        stdout: out.to_owned(),
        stderr: String::new(),
    }
}

fn refused(why: &str) -> Ended {
    Ended {
        code: Some(1),
        stdout: String::new(),
        stderr: format!("slipway-trust: {why}\n"),
    }
}

const BUILT: &str = "<lab>/install/ipxe: undionly.kpxe, ipxe-x86_64.efi is built\n\
    Nodes boot it after makedhcp -n, and what nodeset writes from now on.\n";
const BUILT_ALREADY: &str = "<lab>/install/ipxe: undionly.kpxe, ipxe-x86_64.efi is built already\n";

fn built() {
    let lab = site();
    assert_eq!(
        ipxe(&lab, &["--dry-run"]),
        said("<lab>/install/ipxe: undionly.kpxe, ipxe-x86_64.efi would be built\n")
    );
    for none in [
        "config/trust/boot.crt",
        "config/trust/ipxe.json",
        "install/ipxe",
    ] {
        assert!(!lab.path(none).exists(), "{none}");
    }
    assert_eq!(ipxe(&lab, &[]), said(BUILT));
    let root = lab.read("config/trust/boot.crt");
    let made = lab.read("install/ipxe/undionly.kpxe");
    assert!(made.starts_with("bin/undionly.kpxe\n#!ipxe\nimgtrust --permanent || goto failed\n"));
    for part in [
        root.as_str(),
        "ntp 10.1.0.3 ||\n",
        "#define IMAGE_TRUST_CMD\n",
        "#undef SHELL_CMD\n",
    ] {
        assert!(made.contains(part), "{part}\n{made}");
    }
    assert!(
        lab.read("install/ipxe/ipxe-x86_64.efi")
            .starts_with("bin-x86_64-efi/snponly.efi\n")
    );
    for (name, expected) in [
        ("boot.key", 0o600),
        ("bootfiles.key", 0o600),
        ("boot.crt", 0o644),
    ] {
        let path = lab.path(&format!("config/trust/{name}"));
        assert_eq!(
            path.metadata().unwrap().permissions().mode() & 0o777,
            expected,
            "{name}"
        );
    }
    assert_eq!(ipxe(&lab, &[]), said(BUILT_ALREADY));
    assert_eq!(lab.read("config/trust/boot.crt"), root);
    assert!(
        !lab.path("source/src/bin").exists(),
        "the source stays as it is"
    );

    // The key of the root may be away: nothing is made anew.
    fs::rename(lab.path("config/trust/boot.key"), lab.path("away")).unwrap();
    assert_eq!(ipxe(&lab, &["--shell"]), said(BUILT));
    assert!(
        lab.read("install/ipxe/undionly.kpxe")
            .contains("#define SHELL_CMD\n")
    );
    let status = trust(&lab, &["status"]);
    assert!(status.stdout.contains("boot      until ") && status.stdout.contains(", key away\n"));
    assert_eq!(status.code, Some(0));

    // What somebody changed is built again.
    lab.write("install/ipxe/undionly.kpxe", "another");
    assert_eq!(ipxe(&lab, &["--shell"]), said(BUILT));
    // A trial changes nothing that nodes boot.
    let before = lab.read("install/ipxe/undionly.kpxe");
    assert_eq!(
        ipxe(&lab, &["--out", "trial"]),
        said("trial: undionly.kpxe, ipxe-x86_64.efi is built\n")
    );
    assert!(
        lab.read("trial/undionly.kpxe")
            .contains("#undef SHELL_CMD\n")
    );
    assert_eq!(lab.read("install/ipxe/undionly.kpxe"), before);
    assert_eq!(ipxe(&lab, &["--shell"]), said(BUILT_ALREADY));
}

fn not_built() {
    let lab = site();
    assert_eq!(
        trust(&lab, &["ipxe", "--source", "config"]),
        refused("config holds no source of iPXE: expected src/Makefile in it")
    );
    assert_eq!(ipxe(&lab, &[]), said(BUILT));
    let before = lab.read("install/ipxe/undionly.kpxe");
    lab.write(
        "source/src/Makefile",
        "%:\n\t@echo one; echo no such header; exit 1\n",
    );
    let ended = ipxe(&lab, &[]);
    assert_eq!(ended.code, Some(1));
    let expected = "slipway-trust: building bin/undionly.kpxe: make ended with exit status: 2; apt-get build-dep ipxe brings \
         what it needs. Its last lines:\none\nno such header\n";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    assert_eq!(lab.read("install/ipxe/undionly.kpxe"), before);
    // Without apt there is no source package.
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-trust"));
    command
        .arg("ipxe")
        .args(["--firmware", "bios"])
        .env("SLIPWAY_CONFIG", lab.path("config"))
        .env("PATH", tools(&lab, &["gcc"]));
    assert_eq!(
        ended_of(&mut command, &lab),
        refused(
            "this machine has no apt that has the source of iPXE: unpack its source package and name the directory with \
             --source: running apt-config: No such file or directory (os error 2)"
        )
    );
}

fn ended_of(command: &mut Command, lab: &Lab) -> Ended {
    ended(command, lab.root())
}

/// A `PATH` with these programs alone.
fn tools(lab: &Lab, names: &[&str]) -> String {
    fs::create_dir_all(lab.path("tools")).unwrap();
    for name in names {
        lab.write(&format!("tools/{name}"), "");
    }
    lab.path("tools").display().to_string()
}

/// Has OpenSSL verify a signature below the root of what nodes boot.
fn verify(lab: &Lab, file: &str) -> Ended {
    let signature = format!("{file}.sig");
    let mut command = Command::new("openssl");
    command
        .current_dir(lab.root())
        .args([
            "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-out",
        ])
        .args([
            "/dev/null",
            "-signer",
            "signer.pem",
            "-CAfile",
            "config/trust/boot.crt",
        ])
        .args(["-content", file, "-in", &signature])
        .stdin(Stdio::null());
    ended(&mut command, lab.root())
}

fn signed() {
    let lab = site();
    lab.write("boot.ipxe", "#!ipxe\n");
    let sign = |lab: &Lab| trust(lab, &["sign", "node:n1=boot.ipxe"]);
    assert_eq!(
        sign(&lab),
        refused("the site has no authority of what nodes boot yet: run slipway-trust ipxe")
    );
    assert_eq!(ipxe(&lab, &[]).code, Some(0));
    assert_eq!(sign(&lab), said("boot.ipxe.sig: written\n"));
    let first = fs::read(lab.path("boot.ipxe.sig")).unwrap();
    assert_eq!(verify(&lab, "boot.ipxe").code, Some(0));
    let mut command = Command::new("openssl");
    command.current_dir(lab.root()).args([
        "x509",
        "-in",
        "signer.pem",
        "-noout",
        "-subject",
        "-issuer",
        "-ext",
        "extendedKeyUsage",
    ]);
    assert_eq!(
        ended(&mut command, lab.root()).stdout,
        "subject=CN = node:n1\nissuer=CN = Slipway bootfiles cluster\nX509v3 Extended Key Usage: \n    Code Signing\n"
    );
    // The same bytes by the same signer have the same signature, so that nothing changes that is as it was.
    assert_eq!(sign(&lab).code, Some(0));
    assert_eq!(fs::read(lab.path("boot.ipxe.sig")).unwrap(), first);
    lab.write("boot.ipxe", "#!ipxe\nshell\n");
    assert_ne!(verify(&lab, "boot.ipxe").code, Some(0));

    let long = format!("node:{}=boot.ipxe", "n".repeat(60));
    assert_eq!(
        trust(&lab, &["sign", &long]),
        refused(&format!(
            "'node:{}' is no name of a signer: it has more than 64 characters, which no certificate holds",
            "n".repeat(60)
        ))
    );
    assert_eq!(
        trust(&lab, &["sign", "node:n1=none"]),
        refused("reading none: No such file or directory (os error 2)")
    );
    // Its length is 0, and it never ends.
    assert_eq!(
        trust(&lab, &["sign", "node:n1=/dev/zero"]),
        refused("/dev/zero is no regular file")
    );
    // The key that signs is followed by another, by the root.
    assert_eq!(
        trust(&lab, &["renew", "bootfiles", "--new-key"]).code,
        Some(0)
    );
    assert_eq!(sign(&lab).code, Some(0));
    assert_eq!(verify(&lab, "boot.ipxe").code, Some(0));
    assert_eq!(ipxe(&lab, &[]), said(BUILT_ALREADY));
    // Without its certificate the root is another one, which takes nothing of the first.
    fs::remove_file(lab.path("config/trust/boot.crt")).unwrap();
    assert_eq!(ipxe(&lab, &[]), said(BUILT));
    assert_ne!(verify(&lab, "boot.ipxe").code, Some(0));
    assert_eq!(sign(&lab).code, Some(0));
    assert_eq!(verify(&lab, "boot.ipxe").code, Some(0));
}

fn served() {
    let lab = site();
    let dhcp = |more: &[&str]| {
        let arguments = [&["-n"], more].concat();
        lab.run(env!("CARGO_BIN_EXE_makedhcp"), &arguments)
    };
    let loaders = lab.path("loaders").display().to_string();
    assert_eq!(dhcp(&["--loaders", &loaders]).code, Some(0));
    assert_eq!(lab.read("install/ipxe/undionly.kpxe"), "undionly.kpxe");
    assert_eq!(ipxe(&lab, &[]), said(BUILT));
    let refused = |ended: &Ended, why: &str| {
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), why));
    };
    refused(
        &dhcp(&["--loaders", &loaders]),
        "makedhcp: the site has an iPXE of its own, and nodes are to boot nothing else: leave --loaders <lab>/loaders out, \
         or run slipway-trust ipxe --remove\n",
    );
    let ended = dhcp(&[]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            Some(0),
            "makedhcp: note: machines with UEFI on aarch64 get no boot file: the site's iPXE was not built for them\n"
        )
    );
    let settings = lab.read("dnsmasq.d/slipway-dhcp.conf");
    assert!(
        settings.contains("dhcp-userclass=set:slipway-ipxe,slipway\n"),
        "{settings}"
    );
    assert!(
        !settings.contains(",175") && !settings.contains("aarch64"),
        "{settings}"
    );
    assert!(
        lab.read("install/ipxe/undionly.kpxe")
            .contains("imgtrust --permanent")
    );

    lab.write("install/ipxe/ipxe-x86_64.efi", "another");
    refused(
        &dhcp(&[]),
        "makedhcp: <lab>/install/ipxe/ipxe-x86_64.efi is not the iPXE that slipway-trust built: run slipway-trust ipxe\n",
    );
    assert_eq!(
        trust(&lab, &["ipxe", "--remove"]),
        said(
            "the site's iPXE: removed\nmakedhcp -n and nodeset bring the distribution's back, which checks nothing.\n"
        )
    );
    assert!(!lab.path("install/ipxe/undionly.kpxe").exists());
    assert_eq!(lab.read("install/ipxe/ipxe-x86_64.efi"), "another");
    lab.site(&format!("{SITE}bootlevel = \"2\"\n"));
    refused(
        &dhcp(&["--loaders", &loaders]),
        "makedhcp: the site's bootlevel is 2, and it has no iPXE of its own: run slipway-trust ipxe; or chdef -t site \
         clustersite bootlevel=1\n",
    );
    lab.site(SITE);
    assert_eq!(dhcp(&["--loaders", &loaders]).code, Some(0));
    assert_eq!(lab.read("install/ipxe/undionly.kpxe"), "undionly.kpxe");
}
