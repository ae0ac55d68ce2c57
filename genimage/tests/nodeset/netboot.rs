//! Nodes that boot a root image: what they are given, and what is refused.

use std::fs;

use genimage::rootimg::record::{
    FileRecord, ImageCompression, ImageFormat, RootImageDir, RootImageRecord, VerityRecord,
};

use crate::NO_AUTHORITY;
use crate::site::{Ran, Site};

const IMAGE: &str = "debian12.9.0-x86_64-netboot-dockerhost";
const DIRECTORY: &str = "install/netboot/debian12.9.0/x86_64/dockerhost";

/// A site with the osimage, nodes in its network, and no image yet.
fn site() -> Site {
    let site = Site::new();
    let tree = site.path("install/debian12.9.0/x86_64");
    site.write(
        &format!("config/osimages/{IMAGE}.toml"),
        &format!(
            "osvers = \"debian12.9.0\"\nosarch = \"x86_64\"\nprovmethod = \"netboot\"\nprofile = \"dockerhost\"\n\
             pkgdir = [\"{}\"]\nrootimgdir = \"{}\"\naddkcmdline = \"quiet\"\n",
            tree.display(),
            site.path(DIRECTORY).display()
        ),
    );
    site.write(
        "config/networks.toml",
        "[rack]\nnet = \"10.1.0.0\"\nmask = \"255.255.0.0\"\ngateway = \"10.1.0.254\"\nnameservers = [\"10.1.0.1\"]\n",
    );
    site.nodes(
        "[node.host01]\nip = \"10.1.0.11\"\nmac = \"52:54:00:00:00:01\"\nstatelabel = \"docker\"\n\
         postbootscripts = [\"setupdockerhost\"]\n\
         [node.host02]\nmac = \"52:54:00:00:00:02\"\nip = \"10.9.0.2\"\n\
         [node.host03]\nmac = \"52:54:00:00:00:03\"\n",
    );
    site
}

fn file(site: &Site, stem: &str, ending: Option<&str>, bytes: usize) -> FileRecord {
    let record = FileRecord::new(stem, ending, "ab".repeat(32), bytes as u64);
    site.write(&format!("{DIRECTORY}/{}", record.file), &"x".repeat(bytes));
    record
}

/// Packs an image, as far as its record says.
fn pack(site: &Site, change: impl FnOnce(&mut RootImageRecord)) {
    let mut record = RootImageRecord {
        osimage: IMAGE.to_owned(),
        built_from: "b".repeat(64),
        packed_from: "c".repeat(64),
        format: ImageFormat::Squashfs,
        compression: Some(ImageCompression::Zstd),
        image: file(site, "rootimg", Some("squashfs"), 3 << 20),
        unpacked_bytes: 12 << 20,
        kernel_version: "6.1.0-28-cloud-amd64".to_owned(),
        kernel: file(site, "kernel", None, 10),
        initrd: Some(file(site, "initrd", None, 20)),
        initrd_from: None,
        manifest: file(site, "rootimg", Some("sha256sums"), 30),
        verity: None,
    };
    change(&mut record);
    let path = format!("{DIRECTORY}/{}", RootImageDir::RECORD);
    site.write(&path, &record.render().unwrap());
}

fn nodeset(site: &Site, node: &str) -> Ran {
    site.run("nodeset", &[node, &format!("osimage={IMAGE}")])
}

#[test]
fn an_image_of_another_management_node_boots_without_the_tree_of_its_medium() {
    let site = site();
    pack(&site, |_| ());
    fs::remove_dir_all(site.path("install/debian12.9.0")).unwrap();
    let ran = nodeset(&site, "host01");
    assert_eq!(ran.err, format!("{NO_AUTHORITY}{MEMORY}"));
    assert_eq!(ran.code, 0);
    // To build another, it is needed.
    let ran = site.run("genimage", &[IMAGE]);
    assert_eq!(
        (ran.code, ran.err),
        (
            1,
            format!(
                "genimage: the osimage {IMAGE}: its tree HERE/install/debian12.9.0/x86_64 is not there: import the medium with \
                 copycds, or correct pkgdir\n"
            )
        )
    );
}

const MEMORY: &str = "nodeset: debian12.9.0-x86_64-netboot-dockerhost: note: its root image is kept in 3 MiB of each node's \
    memory: a node needs 771 MiB, and more for what its containers use and write\n";

#[test]
fn a_node_boots_the_image_of_the_record_with_its_own_address_and_files() {
    let site = site();
    pack(&site, |_| ());
    let ran = nodeset(&site, "host01");
    assert_eq!(
        ran,
        Ran {
            code: 0,
            out: "host01: boot.cpio new, boot.ipxe new, postscripts.json new\n1 node: 1 written\n"
                .to_owned(),
            err: format!("{NO_AUTHORITY}{MEMORY}"),
        }
    );
    let served = "http://10.1.0.1/install/netboot/debian12.9.0/x86_64/dockerhost";
    let digest = "ab".repeat(32);
    let short = &digest[..16];
    assert_eq!(
        site.read("install/autoinst/host01/boot.ipxe"),
        format!(
            "#!ipxe\n# Written by Slipway for host01: {IMAGE}\necho Booting debian12.9.0 on host01\n\
             kernel {served}/kernel.{short} initrd=initrd.{short} initrd=boot.cpio \
             BOOTIF=01-52-54-00-00-00-01 slipway.ip=10.1.0.11/16@10.1.0.254 \
             slipway.image={served}/rootimg.{short}.squashfs slipway.type=squashfs slipway.bytes=3145728 \
             slipway.sha256={digest} slipway.state=docker panic=60 quiet\n\n\
             initrd --name initrd.{short} {served}/initrd.{short}\n\
             initrd --name boot.cpio http://10.1.0.1/install/autoinst/host01/boot.cpio\nboot\n"
        )
    );
    let archive = fs::read(site.path("install/autoinst/host01/boot.cpio")).unwrap();
    let archive = String::from_utf8_lossy(&archive).replace('\0', "");
    for part in [
        "slipway/root/etc/hostnamehost01\n",
        "10.1.0.11 host01\n",
        "nameserver 10.1.0.1\n",
        "slipway/root/root/.ssh/authorized_keysssh-ed25519 ",
        "\"NODESETSTATE\": \"netboot\"",
        "\"url\": \"http://10.1.0.1/install/postscripts/firstboot\"",
    ] {
        assert!(archive.contains(part), "{part}: {archive}");
    }
    let again = nodeset(&site, "host01");
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "1 node: 1 unchanged\n")
    );
}

#[test]
fn a_node_gets_the_hash_tree_of_its_image_where_there_is_one() {
    let site = site();
    pack(&site, |record| {
        record.verity = Some(VerityRecord {
            tree: file(&site, "rootimg", Some("verity"), 40),
            root_hash: "d".repeat(64),
            salt: "e".repeat(64),
            data_blocks: 768,
        });
    });
    let ran = nodeset(&site, "host01");
    assert_eq!(ran.code, 0, "{ran:?}");
    let script = site.read("install/autoinst/host01/boot.ipxe");
    let digest = "ab".repeat(32);
    let words = format!(
        " slipway.sha256={digest} slipway.verity={} slipway.salt={} \
         slipway.tree=http://10.1.0.1/{DIRECTORY}/rootimg.{}.verity slipway.treebytes=40 \
         slipway.treesha256={digest} slipway.state=docker ",
        "d".repeat(64),
        "e".repeat(64),
        &digest[..16]
    );
    assert!(script.contains(&words), "{script}");
}

#[test]
fn a_node_without_an_address_asks_for_one() {
    let site = site();
    pack(&site, |_| ());
    let ran = nodeset(&site, "host03");
    assert_eq!(ran.code, 0, "{ran:?}");
    let script = site.read("install/autoinst/host03/boot.ipxe");
    assert!(
        script.contains(" BOOTIF=01-52-54-00-00-00-03 slipway.ip=dhcp slipway.image="),
        "{script}"
    );
}

#[test]
fn where_a_node_s_state_is_made_is_told_to_it() {
    let of = |attributes: &str, program: &str| {
        let site = site();
        pack(&site, |record| {
            let sums = format!("{}  usr/sbin/{program}\n", "a".repeat(64));
            record.manifest.bytes = sums.len() as u64;
            site.write(&format!("{DIRECTORY}/{}", record.manifest.file), &sums);
        });
        let image = site.path(&format!("config/osimages/{IMAGE}.toml"));
        let text = fs::read_to_string(&image).unwrap() + "statepaths = \"/var/log,/srv\"\n";
        fs::write(image, text).unwrap();
        site.nodes(&format!(
            "[node.host01]\nip = \"10.1.0.11\"\nmac = \"52:54:00:00:00:01\"\n{attributes}"
        ));
        let ran = nodeset(&site, "host01");
        (ran, site)
    };
    // Without a label there is nothing on which they could be kept.
    let digest_and = |words: &str| format!(" slipway.sha256={}{words}", "ab".repeat(32));
    for (attributes, words) in [
        (
            "statelabel = \"docker\"\nstatedisk = \"empty\"\nstatefallback = \"memory\"\nstatememory = \"4G\"\n",
            " slipway.state=docker slipway.statedisk=empty slipway.statefs=ext4 slipway.statefallback=memory \
             slipway.statepaths=/var/log,/srv slipway.statememory=4G panic=60",
        ),
        (
            "statelabel = \"docker\"\nstatedisk = \"/dev/vda\"\nstatefs = \"xfs\"\n",
            " slipway.state=docker slipway.statedisk=/dev/vda slipway.statefs=xfs \
             slipway.statepaths=/var/log,/srv panic=60",
        ),
        (
            "statememory = \"30%\"\n",
            &digest_and(" slipway.statememory=30% panic=60"),
        ),
        (
            "overlay = \"zram\"\noverlaymemory = \"2G\"\n",
            &digest_and(" slipway.overlay=zram slipway.overlaymemory=2G panic=60"),
        ),
    ] {
        let program = if attributes.contains("xfs") {
            "mkfs.xfs"
        } else {
            "mke2fs"
        };
        let (ran, site) = of(attributes, program);
        assert_eq!(ran.code, 0, "{ran:?}");
        let script = site.read("install/autoinst/host01/boot.ipxe");
        assert!(script.contains(words), "{script}");
    }
    let made = "statelabel = \"docker\"\nstatedisk = \"empty\"\nstatefs = \"xfs\"\n";
    let (ran, _) = of(made, "mke2fs");
    let message = format!(
        "nodeset: host01: its state is to be made as xfs, and the root image has no mkfs.xfs: add xfsprogs to the pkglist of \
         {IMAGE}, then genimage and packimage\n"
    );
    assert!(ran.code == 1 && ran.err.contains(&message), "{ran:?}");
    let (ran, _) = of("overlay = \"zram\"\n", "mkfs.xfs");
    let message = format!(
        "nodeset: host01: what is written to its root is to be kept in zram as ext4, and the root image has no mkfs.ext4: add \
         e2fsprogs to the pkglist of {IMAGE}, then genimage and packimage\n"
    );
    assert!(ran.code == 1 && ran.err.contains(&message), "{ran:?}");
    let (ran, _) = of("statedisk = \"empty\"\n", "mke2fs");
    let message = "nodeset: host01: 'statedisk=empty' is not of any use by itself: expected a statelabel too: the label of \
                   the file system that keeps state\n";
    assert!(ran.code == 1 && ran.err.contains(message), "{ran:?}");
}

#[test]
fn what_cannot_boot_is_refused_with_the_command_that_helps() {
    let refused = |change: Option<fn(&mut RootImageRecord)>, node: &str, message: &str| {
        let site = site();
        if let Some(change) = change {
            pack(&site, change);
        }
        let ran = nodeset(&site, node);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.err.contains(&format!("nodeset: {message}\n")),
            "{ran:?}"
        );
        assert!(!site.path("install/autoinst").exists());
    };
    refused(
        None,
        "host01",
        &format!(
            "{IMAGE}: the osimage {IMAGE} has no packed root image in HERE/{DIRECTORY}: genimage {IMAGE}, then packimage \
             {IMAGE}"
        ),
    );
    refused(
        Some(|record| record.initrd = None),
        "host01",
        &format!("{IMAGE}: the root image of {IMAGE} has no initrd: packimage {IMAGE}"),
    );
    refused(
        Some(|record| record.format = ImageFormat::Cpio),
        "host01",
        &format!(
            "{IMAGE}: the root image of {IMAGE} is packed as cpio, which an engine cannot run on in memory: packimage -m \
             squashfs {IMAGE}"
        ),
    );
    refused(
        Some(|record| record.osimage = "other".to_owned()),
        "host01",
        &format!(
            "{IMAGE}: the root image in HERE/{DIRECTORY} is that of the osimage other: packimage {IMAGE}, or give one of \
             them a rootimgdir of its own"
        ),
    );
    refused(
        Some(|_| ()),
        "host02",
        "host02: its address 10.9.0.2 is in no network of the site: there are rack (10.1.0.0/16)",
    );
}
