//! What is published: trees and osimages, once, where they were asked for.

use std::fs;

use crate::site::{RELEASE, Site, flip, images, snapshot, text};
use crate::workbench;

pub(super) fn imports() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", true);
    // The keyrings of the configuration are believed.
    let keys = site.bench.path().join("config/keyrings");
    fs::rename(site.bench.keys(), keys).unwrap();
    let stdout = site.done(&[text(&iso)]);
    let tree = site.tree();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], format!("{RELEASE} x86_64: {}", tree.display()));
    assert!(
        lines[1].starts_with("verified 23 files (")
            && lines[1].ends_with(
                "): 14 by SHA-256 of Release → Packages (signed by Slipway demo medium \
             <demo@slipway.invalid>), 8 by SHA-256 of sha256sum.txt (signed by Slipway demo medium \
             <demo@slipway.invalid>), 1 by nothing"
            ),
        "{}",
        lines[1]
    );
    assert!(stdout.ends_with(&images("created")), "{stdout}");
    assert!(
        tree.join("pool/main/d/docker.io/docker.io_1.0-1_amd64.deb")
            .is_file()
    );
    let image = site.bench.path().join(format!(
        "config/osimages/{RELEASE}-x86_64-install-dockerhost.toml"
    ));
    let definition: toml::Table = toml::from_str(&fs::read_to_string(image).unwrap()).unwrap();
    let pkgdir: Vec<_> = definition["pkgdir"].as_array().unwrap().iter().collect();
    assert_eq!(pkgdir[0].as_str(), Some(text(&tree)));
    assert!(!definition.contains_key("template") && !definition.contains_key("pkglist"));
}

pub(super) fn second_run() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&[text(&iso)]);
    let tree = site.tree();
    let expected = format!(
        "{RELEASE} x86_64: {} holds this disc already\n",
        tree.display()
    );
    assert_eq!(stdout, expected + &images("unchanged"));
    assert_eq!(snapshot(site.bench.path()), before);
}

pub(super) fn dry_run() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&["--dry-run", text(&iso)]);
    let tree = site.tree();
    let head = format!(
        "{RELEASE} x86_64: would be copied to {}\nwould verify 21 files (",
        tree.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    assert!(stdout.ends_with(&images("would be created")), "{stdout}");
    assert_eq!(snapshot(site.bench.path()), before);
}

pub(super) fn nonoverwrite() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&["-o", text(&iso)]);
    let stdout = site.done(&["-w", text(&iso)]);
    assert_eq!(stdout, "The disc iso has already been copied in!\n");
    assert_eq!(site.osimages(), [] as [String; 0]);
}

pub(super) fn noosimage() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let stdout = site.done(&["-o", text(&iso)]);
    assert!(!stdout.contains("osimage"), "{stdout}");
    assert!(site.tree().is_dir());
    assert_eq!(site.osimages(), [] as [String; 0]);
}

pub(super) fn elsewhere() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let place = site.bench.path().join("elsewhere/tree");
    site.done(&["-p", text(&place), text(&iso)]);
    assert!(place.join(".disk/info").is_file() && !site.install().exists());
    let image = format!("config/osimages/{RELEASE}-x86_64-netboot-compute.toml");
    let definition = fs::read_to_string(site.bench.path().join(image)).unwrap();
    assert!(
        definition.contains(&format!("pkgdir = [{:?}]", text(&place))),
        "{definition}"
    );
}

pub(super) fn one_tree() {
    let site = Site::new();
    let one = site.bench.mini_debian("one.iso", false);
    let label = [
        (
            ".disk/info",
            "Debian GNU/Linux 13.1.0 \"Trixie\" - Official amd64 DVD Binary-1",
        ),
        ("pool/a.deb", "a"),
    ];
    site.bench.lay(&site.bench.path().join("other"), &label);
    let two = site.bench.image(
        &site.bench.path().join("other"),
        "two.iso",
        &["-V", "Debian 13.1.0 amd64 1"],
    );
    let place = site.bench.path().join("place");
    assert_eq!(
        site.refused(&["-p", text(&place), text(&one), text(&two)]),
        format!(
            "-p {} names one tree, but {} is debian12.9.0 x86_64 and {} is debian13.1.0 x86_64: import \
             them one by one",
            place.display(),
            one.display(),
            two.display()
        )
    );
    assert!(!place.exists());
}

pub(super) fn given_twice() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let stdout = site.done(&["-o", text(&iso), text(&iso)]);
    let tree = site.tree();
    let first = format!("{RELEASE} x86_64: {}\n", tree.display());
    let last = format!(
        "{RELEASE} x86_64: {} holds this disc already\n",
        tree.display()
    );
    assert!(
        stdout.starts_with(&first) && stdout.ends_with(&last),
        "{stdout}"
    );
    site.done(&["--verify", text(&tree)]);
}

pub(super) fn named() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&["-o", "-n", "debian12.9-lab", "-a", "amd64", text(&iso)]);
    assert!(
        site.install()
            .join("debian12.9-lab/x86_64/.disk/info")
            .is_file()
    );
    let error = site.refused(&["-a", "s390x", text(&iso)]);
    assert_eq!(
        error,
        format!(
            "recognising {}: requested distribution architecture s390x, but media is x86_64: .disk/info \
             says 'Debian GNU/Linux 12.9.0 \"Bookworm\" - Unofficial amd64 NETINST 20250111-10:54': debian \
             12.9.0 \"bookworm\" x86_64; dists/bookworm/Release says 'Debian 12.9': debian 12.9 \
             \"bookworm\"; volume id says 'Debian 12.9.0 amd64 n': debian 12.9.0 x86_64; the name says \
             'install.amd/initrd.gz': a hint of x86_64; the name says 'dists/bookworm/Release': a hint of \
             debian 12 \"bookworm\"; take it as it is with -a x86_64",
            iso.display()
        )
    );
}

pub(super) fn edited() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let name = format!("{RELEASE}-x86_64-install-dockerhost");
    let file = site
        .bench
        .path()
        .join(format!("config/osimages/{name}.toml"));
    let mine = fs::read_to_string(&file)
        .unwrap()
        .replace("profile = \"dockerhost\"", "# mine\nprofile = \"lab\"");
    fs::write(&file, &mine).unwrap();
    let stdout = site.done(&[text(&iso)]);
    let expected =
        format!("osimage {name} kept as it was edited:\n  -profile=dockerhost\n  +profile=lab\n");
    assert!(stdout.contains(&expected), "{stdout}");
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
}

pub(super) fn two_discs() {
    let site = Site::new();
    let one = site.bench.mini_debian_of("one.iso", false, "one");
    let other = site.bench.path().join("other");
    let tree = site.bench.mini_debian_tree(false);
    fs::rename(tree, &other).unwrap();
    for list in ["md5sum.txt", "sha256sum.txt"] {
        fs::remove_file(other.join(list)).unwrap();
    }
    fs::write(other.join("install.amd/vmlinuz"), "another kernel").unwrap();
    let two = site
        .bench
        .image(&other, "two.iso", &["-V", "Debian 12.9.0 amd64 2"]);
    let error = site.refused(&[text(&one), text(&two)]);
    assert!(
        error.starts_with(&format!("importing {}: ", two.display()))
            && error.contains("install.amd/vmlinuz")
            && error.contains("Debian 12.9.0 amd64 n")
            && error.contains("Debian 12.9.0 amd64 2"),
        "{error}"
    );
    // The first disc of the two was whole, and stands.
    let tree = site.tree();
    site.done(&["--verify", text(&tree)]);
}

pub(super) fn directory() {
    let site = Site::new();
    let medium = site.bench.mini_debian_tree(false);
    site.done(&[text(&medium)]);
    let tree = site.tree();
    site.done(&["--verify", text(&tree)]);
    let stdout = site.done(&[text(&medium)]);
    assert!(stdout.contains("holds this disc already"), "{stdout}");
}

pub(super) fn rpm_medium() {
    let site = Site::new();
    let tree = site.bench.rpm_tree("BaseOS", "gz", "sha256");
    let kernel = copycds::digest::Digest::of(copycds::digest::Algorithm::Sha256, b"kernel");
    let treeinfo = format!(
        "[general]\nfamily = Rocky Linux\nname = Rocky Linux 9.4\nversion = 9.4\narch = x86_64\n\
         variant = BaseOS\n[checksums]\nimages/boot.iso = sha256:{kernel}\n\
         images/pxeboot/vmlinuz = sha256:{kernel}\n"
    );
    site.bench.lay(
        &tree,
        &[
            (".treeinfo", &treeinfo),
            (".discinfo", "1714000000.0\nRocky Linux 9.4\nx86_64\n"),
            ("images/pxeboot/vmlinuz", "kernel"),
            ("images/pxeboot/initrd.img", "initrd, which nothing lists"),
        ],
    );
    let iso = site
        .bench
        .image(&tree, "r.iso", &["-V", "Rocky-9-4-x86_64-dvd"]);
    workbench::run("implantisomd5", &[text(&iso)]);
    let stdout = site.done(&[text(&iso)]);
    let tree = site.install().join("rocky9.4/x86_64");
    let head = format!("rocky9.4 x86_64: {}\nverified 10 files (", tree.display());
    let tail = "): 5 by SHA-256 of repomd → primary, 1 by SHA-256 of .treeinfo, 4 by the MD5 implanted in \
                the image\n";
    assert!(
        stdout.starts_with(&head) && stdout.contains(tail),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("osimage rocky9.4-x86_64-netboot-dockerhost created\n"),
        "{stdout}"
    );

    let other = Site::new();
    let damaged = other.bench.path().join("damaged.iso");
    fs::copy(&iso, &damaged).unwrap();
    flip(&damaged, b"initrd, which nothing lists");
    let error = other.refused(&[text(&damaged)]);
    assert!(
        error.starts_with(&format!(
            "importing {}: the image does not have the MD5 that was implanted in it (",
            damaged.display()
        )),
        "{error}"
    );
    assert!(!other.install().exists());
}
