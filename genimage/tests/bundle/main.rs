//! Osimages in one file, by the real commands: from one management node to another, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod signatures;
mod site;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use definitions::hex;
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use site::{IMAGE, Site};

#[test]
fn an_osimage_goes_to_another_management_node_with_its_lists_and_its_root_image() {
    let (here, there) = (Site::with_image(), Site::new());
    let bundle = here.export("hosts.slipway");
    let digest = hex(&Sha256::digest(fs::read(&bundle).unwrap()));
    let import = |more: &[&str]| {
        let words = [&[bundle.to_str().unwrap(), "--sha256", &digest], more].concat();
        there.run("imgimport", &words)
    };
    let dry = import(&["--dry-run"]);
    assert_eq!(
        dry.out,
        format!("{IMAGE}: can be imported: its definition and 3 files, with its root image\n")
    );
    assert_eq!(
        there.files(),
        ["config/nodes/nodes.toml", "config/site.toml"]
    );
    let ran = import(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.out,
        format!("{IMAGE}: imported: its definition and 3 files, with its root image\n")
    );
    assert_eq!(
        ran.err,
        format!(
            "imgimport: note: pkgdir {} is not here: it is needed to build another image, and not to boot this one\n",
            there.install("debian12.9.0/x86_64").display()
        )
    );
    let imported = there.install(&format!("custom/imported/{IMAGE}"));
    let text = fs::read_to_string(there.path(&format!("config/osimages/{IMAGE}.toml"))).unwrap();
    for (attribute, name, content) in [
        ("pkglist", "0-mine.pkglist", "docker.io\n"),
        ("postinstall", "0-finish", "#!/bin/sh\n"),
        ("synclists", "0-sync", "/etc/motd -> /etc/motd\n"),
    ] {
        let path = imported.join(attribute).join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert!(
            text.contains(&format!("{:?}", path.display().to_string())),
            "{text}"
        );
    }
    let images = there.install("netboot/debian12.9.0/x86_64/dockerhost");
    let record = fs::read_to_string(images.join("rootimg.json")).unwrap();
    let own = here.install("netboot/debian12.9.0/x86_64/dockerhost/rootimg.json");
    assert_eq!(record, fs::read_to_string(own).unwrap());
    let digest = hex(&Sha256::digest("the image"));
    let image = images.join(format!("rootimg.{}.squashfs", &digest[..16]));
    assert_eq!(fs::read_to_string(image).unwrap(), "the image");
    // What was imported is exported again, but for where its files are.
    there.export("again.slipway");
}

#[test]
fn two_versions_are_beside_each_other() {
    let (here, there) = (Site::with_image(), Site::new());
    let first = here.export("1.slipway");
    here.pack("another image");
    let second = here.export("2.slipway");
    let import = |bundle: &Path, more: &[&str]| {
        let words = [&[bundle.to_str().unwrap(), "--accept-unsigned"], more].concat();
        there.run("imgimport", &words)
    };
    assert_eq!(import(&first, &[]).code, Some(0));
    let refused = import(&second, &[]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(
        refused.err,
        format!(
            "imgimport: there is an osimage {IMAGE} already: -n gives this one another name, -f another profile\n"
        )
    );
    let named = import(&second, &["-n", "mine"]);
    let place = there.install("netboot/debian12.9.0/x86_64/dockerhost");
    assert_eq!(
        named.err,
        format!(
            "imgimport: {} holds the image of {IMAGE}: -f gives this one a profile of its own\n",
            place.display()
        )
    );
    let before = there.files();
    let ran = import(&second, &["-f", "hosts-2", "-p", "host01"]);
    assert_eq!(
        ran.out,
        "debian12.9.0-x86_64-netboot-hosts-2: imported: its definition and 3 files, with its root image\n\
         host01: has the scripts that came along\n"
    );
    let after = there.files();
    assert!(
        before.iter().all(|file| after.contains(file)),
        "{before:?} {after:?}"
    );
    assert!(
        after.contains(&"install/netboot/debian12.9.0/x86_64/hosts-2/rootimg.json".to_owned()),
        "{after:?}"
    );
    // Where there is no other version, a name is enough.
    let elsewhere = Site::new();
    let words = [first.to_str().unwrap(), "--accept-unsigned", "-n", "mine"];
    let ran = elsewhere.run("imgimport", &words);
    assert_eq!(
        ran.out,
        "mine: imported: its definition and 3 files, with its root image\n"
    );
    let record = elsewhere.install("netboot/debian12.9.0/x86_64/dockerhost/rootimg.json");
    let record = fs::read_to_string(record).unwrap();
    assert!(record.contains("\"osimage\": \"mine\""), "{record}");
}

#[test]
fn the_same_osimage_gives_the_same_bytes_and_no_file_is_overwritten() {
    let site = Site::with_image();
    let (one, two) = (site.export("1.slipway"), site.export("2.slipway"));
    assert_eq!(fs::read(&one).unwrap(), fs::read(two).unwrap());
    let refused = site.run("imgexport", &[IMAGE, "1.slipway"]);
    assert_eq!(
        refused.err,
        "imgexport: writing 1.slipway: it exists already: name another file\n"
    );
    // A root image that is not what its record says does not leave the house.
    let digest = hex(&Sha256::digest("the kernel"));
    let kernel = format!("kernel.{}", &digest[..16]);
    let path = site
        .install("netboot/debian12.9.0/x86_64/dockerhost")
        .join(&kernel);
    fs::write(path, "The kernel").unwrap();
    let refused = site.run("imgexport", &[IMAGE, "3.slipway"]);
    assert_eq!(
        refused.err,
        format!(
            "imgexport: writing 3.slipway: rootimg/{kernel} is another file than its record says: its SHA-256 is {}, and \
             should be {digest}\n",
            hex(&Sha256::digest("The kernel"))
        )
    );
    assert!(!site.path("3.slipway").exists());
}

/// A member of an archive: kind, name, content.
type Entry = (EntryType, Vec<u8>, Vec<u8>);

fn entries(bundle: &Path) -> Vec<Entry> {
    let mut archive = Archive::new(File::open(bundle).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (
            entry.header().entry_type(),
            entry.path_bytes().into_owned(),
            bytes,
        )
    });
    entries.collect()
}

fn write(to: &Path, entries: &[Entry]) {
    let mut builder = Builder::new(File::create(to).unwrap());
    for (kind, name, bytes) in entries {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap();
}

/// Changes a bundle, and expects how it is refused, with nothing left over.
fn refused(bundle: &Path, change: impl FnOnce(&mut Vec<Entry>), expected: &str) {
    let there = Site::new();
    let mut all = entries(bundle);
    change(&mut all);
    let changed: PathBuf = there.path("changed.slipway");
    write(&changed, &all);
    let before = there.files();
    let words = [changed.as_os_str(), "--accept-unsigned".as_ref()];
    let ran = there.run("imgimport", &words);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        ran.err,
        format!("imgimport: reading {}: {expected}\n", changed.display())
    );
    assert_eq!(there.files(), before);
}

fn edit(entry: &mut Entry, from: &str, to: &str) {
    let text = String::from_utf8(std::mem::take(&mut entry.2)).unwrap();
    assert!(text.contains(from), "{text}");
    entry.2 = text.replacen(from, to, 1).into_bytes();
}

#[test]
fn a_bundle_that_is_not_what_its_manifest_says_is_refused() {
    let site = Site::with_image();
    let bundle = site.export("hosts.slipway");
    let name = |at: usize| String::from_utf8(entries(&bundle)[at].1.clone()).unwrap();
    let (list, image) = (name(1), name(4));
    let file = |name: &str| (EntryType::Regular, name.as_bytes().to_vec(), b"x".to_vec());
    let changed = hex(&Sha256::digest("The image"));
    let digest = hex(&Sha256::digest("the image"));
    refused(
        &bundle,
        |all| all[4].2[0] = b'T',
        &format!(
            "the member {image}: it was changed: its SHA-256 is {changed}, and should be {digest}"
        ),
    );
    refused(
        &bundle,
        |all| all[1].2.push(b'x'),
        &format!("the member {list} is not a file of 10 bytes"),
    );
    refused(
        &bundle,
        |all| all[1].0 = EntryType::Fifo,
        &format!("the member {list} is not a file of 10 bytes"),
    );
    refused(
        &bundle,
        |all| all.push(file("../../etc/cron.d/evil")),
        "it has '../../etc/cron.d/evil', which its manifest does not name",
    );
    refused(
        &bundle,
        |all| all.insert(1, file("../evil")),
        &format!("it has '../evil' where its manifest names {list}"),
    );
    refused(
        &bundle,
        |all| drop(all.pop()),
        &format!("the member {} is missing", name(8)),
    );
    refused(
        &bundle,
        |all| drop(all.remove(0)),
        "it does not begin with manifest.json: it is no bundle",
    );
    refused(
        &bundle,
        |all| edit(&mut all[0], &list, "../evil"),
        "the member '../evil': it is not the path of a file of a bundle",
    );
    refused(
        &bundle,
        |all| edit(&mut all[0], "\"bytes\": 10,", "\"bytes\": 99999999999,"),
        &format!("the member '{list}': it has more than 16777216 bytes"),
    );
    refused(
        &bundle,
        |all| edit(&mut all[0], &image, "rootimg/other"),
        "the manifest names other files than the root image has",
    );
    refused(
        &bundle,
        |all| edit(&mut all[0], "\"format\": 1", "\"format\": 2"),
        "the bundle has the form 2, and this version reads 1",
    );
    for value in ["/etc/shadow", "a,/etc/shadow", "s:/etc/shadow"] {
        refused(
            &bundle,
            |all| {
                let other = format!("\"attributes\": {{\"template\": \"{value}\",");
                edit(&mut all[0], "\"attributes\": {", &other);
            },
            &format!("the template '{value}' is not in the bundle"),
        );
    }
}

#[test]
fn another_file_than_the_one_that_is_meant_is_refused() {
    let (here, there) = (Site::with_image(), Site::new());
    let bundle = here.export("hosts.slipway");
    let digest = hex(&Sha256::digest(fs::read(&bundle).unwrap()));
    let import = |digest: &str| {
        let words = [bundle.to_str().unwrap(), "--sha256", digest];
        there.run("imgimport", &words)
    };
    let ran = import(&"0".repeat(64));
    assert_eq!(
        ran.err,
        format!(
            "imgimport: reading {}: its SHA-256 is {digest}, and should be {}\n",
            bundle.display(),
            "0".repeat(64)
        )
    );
    assert_eq!(import(&digest).code, Some(0));
}

#[test]
fn as_much_of_a_bundle_of_xcat_is_read_as_carries_over() {
    let there = Site::new();
    let work = there.path("xcat/image");
    fs::create_dir_all(&work).unwrap();
    let manifest = "<xcatimage>\n  <exlist>/opt/xcat/share/xcat/netboot/debian/compute.exlist</exlist>\n  \
                    <imagename>debian12.9.0-x86_64-netboot-compute</imagename>\n  <imagetype>linux</imagetype>\n  \
                    <nodebootif>eth0</nodebootif>\n  <osarch>x86_64</osarch>\n  <osvers>debian12.9.0</osvers>\n  \
                    <pkglist>/install/custom/netboot/compute.pkglist,/install/custom/gone.pkglist</pkglist>\n  \
                    <profile>compute</profile>\n  <provmethod>netboot</provmethod>\n  \
                    <rootimgdir>/install/netboot/debian12.9.0/x86_64/compute</rootimgdir>\n  <kits>k</kits>\n\
                    </xcatimage>\n";
    for (name, text) in [
        ("manifest.xml", manifest),
        ("compute.pkglist", "openssh-server\n"),
        ("compute.exlist", "./usr/share/man*\n"),
        ("kernel", "k"),
        ("initrd-stateless.gz", "i"),
        ("rootimg.cpio.gz", "r"),
    ] {
        fs::write(work.join(name), text).unwrap();
    }
    let bundle = there.path("compute.tgz");
    let made = Command::new("tar")
        .arg("-C")
        .arg(there.path("xcat"))
        .arg("-czf")
        .arg(&bundle)
        .arg("image")
        .status()
        .unwrap();
    assert!(made.success());
    let path = bundle.to_str().unwrap();
    let refused = there.run("imgimport", &[path, "-f", "old"]);
    assert_eq!(refused.err, signatures::nobody(path, "it is not signed"));
    let ran = there.run("imgimport", &[path, "-f", "old", "--accept-unsigned"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.out,
        "debian12.9.0-x86_64-netboot-old: imported: its definition and 2 files\n"
    );
    let note = |text: &str| format!("imgimport: note: {text}\n");
    assert_eq!(
        ran.err,
        [
            note("nobody vouches for what it holds, and nodes run it"),
            note("kits=k is not an attribute of an osimage here"),
            note("pkglist /install/custom/gone.pkglist is not in the bundle"),
            note("kernel is the image's own, and packimage takes it from there"),
            note("initrd-stateless.gz starts xCAT's own scripts: packimage makes another"),
            note(
                "rootimg.cpio.gz has xCAT's own scripts in it, and no record of what it is: genimage builds it again from \
                 the lists"
            ),
        ]
        .concat()
    );
    let text =
        fs::read_to_string(there.path("config/osimages/debian12.9.0-x86_64-netboot-old.toml"))
            .unwrap();
    let place = there.install("custom/imported/debian12.9.0-x86_64-netboot-old");
    let list = place.join("pkglist/0-compute.pkglist");
    assert_eq!(fs::read_to_string(&list).unwrap(), "openssh-server\n");
    assert!(text.contains(list.to_str().unwrap()), "{text}");
    assert!(text.contains("profile = \"old\""), "{text}");
    assert!(!text.contains("rootimgdir"), "{text}");
}
