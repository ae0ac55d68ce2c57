//! What the installer gets is what was checked: repositories, kernel arguments and texts of the site.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::site::{IMAGE, Site};
use crate::{nodeset, site};

#[test]
fn every_checked_repository_is_in_the_installers_file() {
    let site = site();
    let tree = site.path("install/debian12.9.0/x86_64");
    let extra = site.path("install/extra");
    site.write(
        "install/extra/Packages",
        "Package: sitetool\nVersion: 1\n\n",
    );
    site.write(
        "config/osimages/two.toml",
        &format!(
            "osvers = \"debian12.9.0\"\nosarch = \"x86_64\"\nprofile = \"dockerhost\"\npkglist = [\"{}\"]\n\
             pkgdir = [\"{}\", \"[signed-by=distribution] https://mirror.example.invalid/debian bookworm main\", \
             \"[trusted=yes] {}\"]\n",
            site.path("list").display(),
            tree.display(),
            extra.display()
        ),
    );
    site.write("list", "openssh-server\nsitetool\n");
    let ran = site.run("nodeset", &["host01", "osimage=two"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let preseed = site.read("install/autoinst/host01/preseed.cfg");
    assert!(
        preseed.contains("pkgsel/include string openssh-server sitetool"),
        "{preseed}"
    );
    for line in [
        "d-i mirror/http/directory string /install/debian12.9.0/x86_64",
        "d-i apt-setup/local0/repository string https://mirror.example.invalid/debian bookworm main",
        "d-i apt-setup/local1/repository string [trusted=yes] http://10.1.0.1/install/extra ./",
    ] {
        assert!(
            preseed.lines().any(|own| own.trim_end() == line),
            "{line}\n{preseed}"
        );
    }
}

/// Writes an index of rpm-md with one package.
fn rpm_index(site: &Site, directory: &str, package: &str) {
    let repomd =
        "<repomd><data type=\"primary\"><location href=\"repodata/primary.xml\"/></data></repomd>";
    let primary = format!(
        "<metadata><package><name>{package}</name><arch>noarch</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/>\
         <format/></package></metadata>"
    );
    site.write(&format!("{directory}/repodata/repomd.xml"), repomd);
    site.write(&format!("{directory}/repodata/primary.xml"), &primary);
}

#[test]
fn the_check_and_the_installer_of_every_family_have_the_same_repositories() {
    let site = site();
    for (release, boot, file) in [
        (
            "rocky9.4",
            "images/pxeboot/vmlinuz images/pxeboot/initrd.img",
            "ks.cfg",
        ),
        (
            "sle15.7",
            "boot/x86_64/loader/linux boot/x86_64/loader/initrd",
            "autoinst.xml",
        ),
        (
            "leap16.0",
            "boot/x86_64/loader/linux boot/x86_64/loader/initrd",
            "agama.json",
        ),
        ("ubuntu24.04.3", "casper/vmlinuz casper/initrd", "user-data"),
    ] {
        let (tree, extra) = (
            format!("install/{release}/x86_64"),
            format!("install/{release}-extra"),
        );
        for name in boot.split(' ') {
            site.write(&format!("{tree}/{name}"), "x");
        }
        let suite = if release.starts_with("ubuntu") {
            let dists = format!("{tree}/dists/noble");
            site.write(&format!("{dists}/Release"), "Codename: noble\n");
            site.write(&format!("{dists}/Release.gpg"), "");
            let index = "Package: openssh\nVersion: 1\n\n";
            site.write(&format!("{dists}/main/binary-amd64/Packages"), index);
            let index = "Package: sitetool\nVersion: 1\n\n";
            site.write(&format!("{extra}/Packages"), index);
            " noble main"
        } else {
            rpm_index(&site, &tree, "openssh");
            rpm_index(&site, &extra, "sitetool");
            ""
        };
        site.write("list", "openssh\nsitetool\n");
        let mirror = "https://mirror.example.invalid/part";
        let define = |mirrors: &str| {
            let text = format!(
                "osvers = \"{release}\"\nosarch = \"x86_64\"\nprofile = \"compute\"\npkglist = [\"{}\"]\n\
                 pkgdir = [\"[trusted=yes] {}\"{mirrors}]\n",
                site.path("list").display(),
                site.path(&tree).display(),
            );
            site.write("config/osimages/two.toml", &text);
            site.run("nodeset", &["host01", "osimage=two"])
        };
        let without = define("");
        let wanted = format!("HERE/list:2: there is no package 'sitetool' in tree (HERE/{tree}");
        let missing = without.code == 1 && without.err.contains(&wanted);
        assert!(missing, "{release}: {}", without.err);
        let ran = define(&format!(
            ", \"[trusted=yes] {mirror}{suite}\", \"[trusted=yes] {}\"",
            site.path(&extra).display()
        ));
        assert_eq!(ran.code, 0, "{release}: {}", ran.err);
        let text = site.read(&format!("install/autoinst/host01/{file}"));
        for words in ["sitetool", mirror, &format!("http://10.1.0.1/{extra}")] {
            assert!(text.contains(words), "{release}: no {words} in {text}");
        }
    }
}

#[test]
fn a_quoted_kernel_argument_reaches_the_kernel_unchanged() {
    let site = site();
    let arguments = |text: &str| {
        site.osimage(
            IMAGE,
            &format!("profile = \"dockerhost\"\naddkcmdline = '{text}'\n"),
        );
        nodeset(&site, &[])
    };
    let ran = arguments("osi=\"!Site 2015\" quiet R::iommu=off");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let boot = site.read("install/autoinst/host01/boot.ipxe");
    let kernel = boot
        .lines()
        .find(|line| line.starts_with("kernel"))
        .unwrap();
    assert!(
        kernel.ends_with(" osi=\"!Site 2015\" quiet iommu=off"),
        "{kernel}"
    );
    for (text, why) in [
        (
            "osi=\"!Site",
            "'osi=\"!Site' has an unclosed '\"': close it",
        ),
        (
            "R::osi=\"!Site 2015\"",
            "'R::osi=\"!Site 2015\"' has quotes, which the installed system's boot loader removes: leave 'R::' out, and \
             set it there with a postscript",
        ),
        (
            "R::root=$HOME",
            "'R::root=$HOME' has a $, which the shell that reads the installed system's boot loader settings takes for \
             its own: leave 'R::' out, and set it there with a postscript",
        ),
    ] {
        let ran = arguments(text);
        assert_eq!(ran.code, 1);
        let line = format!("nodeset: host01: its addkcmdline: {why}\n");
        assert!(ran.err.contains(&line), "{}", ran.err);
    }
}

#[test]
fn texts_that_were_saved_elsewhere_are_taken_without_their_line_ends_and_a_note() {
    let site = site();
    let layout = site.path("layout");
    site.write("layout", "d-i partman-auto/method string lvm\r\n");
    site.osimage(
        IMAGE,
        &format!(
            "profile = \"dockerhost\"\npartitionfile = [\"{}\"]\n",
            layout.display()
        ),
    );
    let own = "install/custom/templates/debian/base.preseed";
    site.write(
        own,
        "\u{feff}<% extends \"builtin/debian/base.preseed\" %>\r\n<% block extra %>\r\n\
         d-i clock-setup/utc boolean true\r\n<% endblock extra %>\r\n",
    );
    let list = "install/custom/pkglists/debian/dockerhost.pkglist";
    site.write(list, "openssh-server\r\n");
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let preseed = site.read("install/autoinst/host01/preseed.cfg");
    assert!(
        !preseed.contains('\r') && preseed.contains("string lvm\n"),
        "{preseed}"
    );
    for file in ["layout", own, list] {
        let note = format!(
            "HERE/{file}: was saved with carriage returns or a byte order mark, which were left out\n"
        );
        assert!(ran.err.contains(&note), "{file}: {}", ran.err);
    }
    site.write("layout", "d-i partman-auto/method string lvm\nd-i \u{7}\n");
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err
            .contains("HERE/layout:2: contains a control character"),
        "{}",
        ran.err
    );
    site.write("layout", "# nothing yet\n");
    let ran = nodeset(&site, &[]);
    assert_eq!(ran.code, 1);
    let empty = format!(
        "HERE/layout: holds no partition, as the partitionfile of the osimage {IMAGE}: write some, or unset it (chdef -t \
         osimage {IMAGE} partitionfile=)\n"
    );
    assert!(ran.err.contains(&empty), "{}", ran.err);
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_an_error_and_no_wait() {
    let site = site();
    let pipe = site.path("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let pipe = pipe.display();
    let osimage = |attribute: &str| {
        site.osimage(IMAGE, &format!("profile = \"dockerhost\"\n{attribute}\n"));
        let ran = nodeset(&site, &[]);
        assert_eq!(ran.code, 1, "{attribute}: {}", ran.err);
        ran.err
    };
    let layout = osimage(&format!("partitionfile = [\"{pipe}\"]"));
    assert!(
        layout.contains("HERE/pipe: cannot be read: it is not a regular file"),
        "{layout}"
    );
    let key = osimage(&format!(
        "otherpkgdir = [\"[signed-by={pipe}] https://h.example.invalid/x bookworm main\"]"
    ));
    assert!(key.contains("it is not a regular file"), "{key}");
}
