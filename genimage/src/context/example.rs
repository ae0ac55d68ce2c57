//! An example context in which every field is given.

use std::collections::BTreeMap;

use definitions::RepositoryFormat;

use super::{
    BootParameters, BootSigners, Disk, EnrolmentFile, Firstboot, ImageFacts, InstallSource, Locale,
    NodeFacts, Packages, RootAccess, ServerFacts, TemplateContext,
};
use crate::repository::Repository;

impl TemplateContext {
    /// An example in which every field is given: what fields there are is read from it, and tests render it.
    pub fn example() -> Self {
        Self {
            node: node(),
            image: image(),
            server: server(),
            packages: Packages {
                install: texts(&["openssh-server", "chrony", "docker.io", "libc6:i386"]),
                groups: texts(&["standard"]),
                exclude: texts(&["telnet"]),
                foreign: texts(&["libc6:i386"]),
                architectures: texts(&["i386"]),
            },
            source: InstallSource::new("http://10.1.0.1/install/debian13.1.0/x86_64", true),
            tree: vec![repository("tree")],
            extras: vec![repository("extra1")],
            disk: Disk {
                device: text("/dev/disk/by-path/pci-0000:00:1f.2-ata-1"),
                smallest: 8 << 30,
                layout: text("# partitions"),
            },
            root: RootAccess {
                password: text("$6$rounds=5000$salt$hash"),
                keys: texts(&["ssh-ed25519 AAAA admin@example.com"]),
            },
            locale: Locale {
                language: "en_US.UTF-8".to_owned(),
                keyboard: "us".to_owned(),
                timezone: "Etc/UTC".to_owned(),
            },
            ports: texts(&["22/tcp", "2376/tcp"]),
            kernel: kernel(),
            firstboot: Some(firstboot()),
            enrolment: Some(enrolment()),
            environment: BTreeMap::from([("SITE".to_owned(), "lab 1".to_owned())]),
        }
    }
}

fn node() -> NodeFacts {
    NodeFacts {
        name: "host01".to_owned(),
        hostname: "host01.example.com".to_owned(),
        domain: text("example.com"),
        mac: "52:54:00:12:34:56".to_owned(),
        nic: text("eth0"),
        ip: text("10.1.0.11"),
        prefix: Some(24),
        gateway: text("10.1.0.254"),
        nameservers: texts(&["10.1.0.1"]),
    }
}

fn image() -> ImageFacts {
    ImageFacts {
        name: "debian13.1.0-x86_64-install-dockerhost".to_owned(),
        profile: "dockerhost".to_owned(),
        osvers: "debian13.1.0".to_owned(),
        family: "debian".to_owned(),
        version: "13.1.0".to_owned(),
        major: 13,
        minor: 1,
        arch: "x86_64".to_owned(),
        debarch: "amd64".to_owned(),
        codename: text("trixie"),
    }
}

fn server() -> ServerFacts {
    ServerFacts {
        address: "10.1.0.1".to_owned(),
        host: "10.1.0.1".to_owned(),
        dhcp: "dhcp",
        url: "http://10.1.0.1/install".to_owned(),
        assets: "http://10.1.0.1/install/autoinst/host01".to_owned(),
        tree: "http://10.1.0.1/install/debian13.1.0/x86_64".to_owned(),
        tree_path: "/install/debian13.1.0/x86_64".to_owned(),
        tree_directory: "/install/debian13.1.0/x86_64".to_owned(),
        mirror: text("http://10.1.0.2/ubuntu"),
        timeservers: texts(&["10.1.0.1"]),
    }
}

fn repository(name: &str) -> Repository {
    Repository {
        form: RepositoryFormat::Apt,
        name: name.to_owned(),
        uri: "http://10.1.0.1/install/debian13.1.0/x86_64".to_owned(),
        directory: text("/install/debian13.1.0/x86_64"),
        suite: text("trixie"),
        components: texts(&["main"]),
        key: text(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n",
        ),
        key_url: text("http://10.1.0.1/install/autoinst/keys/tree.asc"),
        index_key: text(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n",
        ),
        trusted: false,
        architectures: texts(&["amd64"]),
    }
}

fn kernel() -> BootParameters {
    BootParameters {
        kernel: "install.amd/vmlinuz".to_owned(),
        initrds: texts(&["install.amd/initrd.gz"]),
        archive: text("boot.cpio.gz"),
        signers: Some(BootSigners::new(
            "debian13.1.0-x86_64-install-dockerhost",
            "host01",
        )),
        install: texts(&["net.ifnames=0"]),
        installed: texts(&["net.ifnames=0"]),
        console: text("ttyS0,115200"),
    }
}

fn firstboot() -> Firstboot {
    Firstboot {
        url: "http://10.1.0.1/install/postscripts/firstboot".to_owned(),
        sha256: "3b".repeat(32),
        path: "/opt/slipway/bin/firstboot".to_owned(),
        list_url: "http://10.1.0.1/install/autoinst/host01/runlist.json".to_owned(),
        list_sha256: "c4".repeat(32),
        list_path: "/etc/slipway/runlist.json".to_owned(),
        in_installer: true,
    }
}

fn enrolment() -> EnrolmentFile {
    EnrolmentFile {
        path: "/var/lib/slipway/enrolment.json".to_owned(),
        text: format!(
            "{{\"node\":\"host01\",\"root\":\"-----BEGIN CERTIFICATE-----\\nMII=\\n\",\"token\":\"SLIPWAY-1-{}-{}\"}}",
            "0".repeat(64),
            "0".repeat(32)
        ),
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
