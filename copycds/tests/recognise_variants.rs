//! What goes by the words of a release and is not that release: an imitation, an add-on, an unfinished or
//! specially built one, a label on a disc with nothing to install. Each has its own name, or is refused.

use std::sync::LazyLock;

use copycds::media::VolumeIds;
use copycds::recognise::{
    Evidence, MediumIdentity, ROOT, RecognitionRules, Rejection, RequestedRelease, identify,
};
use definitions::Arch;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

fn recognise(evidence: &Evidence) -> Result<MediumIdentity, Rejection> {
    identify(evidence, &RULES, &RequestedRelease::default())
}

fn answer(evidence: &Evidence) -> String {
    match recognise(evidence) {
        Ok(verdict) => {
            let arch = verdict.arch.map_or("-", Arch::name);
            format!("{} {arch}", verdict.distro)
        }
        Err(refusal) => refusal.kind().to_owned(),
    }
}

fn volume(id: &str) -> Evidence {
    Evidence::of_volume(VolumeIds {
        volume: id.to_owned(),
        ..VolumeIds::default()
    })
}

fn disk_info(line: &str) -> Evidence {
    Evidence::of_file(".disk/info", line)
}

/// A `.treeinfo` by family, version, architecture and variant, parted by `/`.
fn treeinfo(text: &str) -> Evidence {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or_default();
    let text = format!(
        "[general]\nfamily = {}\nversion = {}\narch = {}\nvariant = {}\n",
        next(),
        next(),
        next(),
        next()
    );
    Evidence::of_file(".treeinfo", text)
}

fn with_names(mut evidence: Evidence, names: &[&str]) -> Evidence {
    evidence.names = names.iter().map(|name| (*name).to_owned()).collect();
    evidence
}

fn with_release(mut evidence: Evidence, codename: &str, text: &str) -> Evidence {
    let path = format!("dists/{codename}/Release");
    evidence.files.insert(path, text.into());
    evidence
}

fn table(rows: &[(&str, &str)], evidence: fn(&str) -> Evidence) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(text, expected)| (text, *expected, answer(&evidence(text))))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_version_and_a_codename_that_are_no_pair_are_not_debian_or_ubuntu() {
    table(
        &[
            (
                "Debian GNU/Linux 2.0 \"Anvil\" - Official Snapshot amd64 LIVE/INSTALL Binary 20150811-10:20",
                "derivative",
            ),
            (
                "Debian GNU/Linux 3.11 \"Anvil\" - Official Snapshot amd64 LIVE/INSTALL Binary 20171108",
                "unconfirmed",
            ),
            (
                "Debian GNU/Linux 5.2 \"Lenny Anvil\" - Official i386 NETINST",
                "derivative",
            ),
            (
                "Debian GNU/Linux testing \"Anvil\" - Official Snapshot amd64 NETINST",
                "unconfirmed",
            ),
            (
                "Debian GNU/Linux 99 \"Anvil\" - Official Snapshot amd64 LIVE/INSTALL Binary",
                "unconfirmed",
            ),
            (
                "Official Debian GNU/Linux Live 42.0 gnome 2026-01-01T10:00",
                "unconfirmed",
            ),
            (
                "Ubuntu 27.04 \"Anvil Antelope\" - Release amd64 (20270420)",
                "unconfirmed",
            ),
            (
                "Debian GNU/Linux 7.0 \"Anvil\" - Official Snapshot amd64 LIVE/INSTALL Binary 20140721",
                "derivative",
            ),
            (
                "Official Debian GNU/Linux Live 12.5.0 gnome 2024-02-10T11:07:25Z",
                "debian12.5.0 -",
            ),
            (
                "Debian GNU/Linux 4.0 r7 _Etch_ - Official powerpc xfce-CD Binary-1 20090210-03:12",
                "debian4.0 ppc",
            ),
            (
                "Debian GNU/Linux testing \"Lenny\" - Official Beta i386 NETINST Binary-1 20080705",
                "debiantesting x86",
            ),
            (
                "Debian GNU/Linux 12.0.0 \"Bookworm\" - Official RC amd64 NETINST 20230601-10:00",
                "debian12.0.0.rc x86_64",
            ),
            (
                "Debian GNU/Linux 13.1.0+edu0 \"Trixie\" - Official amd64 NETINST with firmware 20250906-10:22",
                "debian13.1.0 x86_64",
            ),
        ],
        disk_info,
    );
    table(
        &[
            ("Debian 99.1.0 amd64 n", "unconfirmed"),
            ("Debian 13.1.0+edu amd64 n", "debian13.1.0 x86_64"),
            ("Ubuntu 27.04 amd64", "unconfirmed"),
        ],
        volume,
    );
}

#[test]
fn a_release_newer_than_the_rules_is_confirmed_by_the_archive_on_the_medium() {
    let line =
        "Debian GNU/Linux 42.1.0 \"Anvil\" - Official amd64 NETINST with firmware 20400101-10:00";
    let own = "Origin: Debian\nSuite: stable\nVersion: 42.1\nCodename: anvil\n";
    assert_eq!(
        answer(&with_release(disk_info(line), "anvil", own)),
        "debian42.1.0 x86_64"
    );
    let other = "Origin: Debian\nSuite: stable\nVersion: 42.1\nCodename: hammer\n";
    assert_eq!(
        answer(&with_release(disk_info(line), "hammer", other)),
        "unconfirmed"
    );
    let older = "Origin: Debian\nSuite: stable\nVersion: 12.9\nCodename: anvil\n";
    assert_eq!(
        answer(&with_release(disk_info(line), "anvil", older)),
        "conflict"
    );
    let theirs = "Origin: Acme\nVersion: 42.1\nCodename: anvil\n";
    assert_eq!(
        answer(&with_release(disk_info(line), "anvil", theirs)),
        "derivative"
    );
    let unnumbered = "Official Debian GNU/Linux Live 2023-06-26T06:56:00Z";
    let archive = "Origin: Debian\nSuite: stable\nVersion: 12.0\nCodename: bookworm\n";
    assert_eq!(
        answer(&with_release(disk_info(unnumbered), "bookworm", archive)),
        "debian12.0 -"
    );
    assert_eq!(answer(&disk_info(unnumbered)), "version-unknown");
    let ubuntu = "Ubuntu-Server 28.04.1 LTS \"Zany Zebu\" - Release arm64 (20280801)";
    let own = "Origin: Ubuntu\nSuite: zany\nVersion: 28.04\nCodename: zany\n";
    assert_eq!(
        answer(&with_release(disk_info(ubuntu), "zany", own)),
        "ubuntu28.04.1 aarch64"
    );
    assert_eq!(
        answer(&with_release(
            volume("Ubuntu-Server 28.04.1 LTS arm64"),
            "zany",
            own
        )),
        "ubuntu28.04.1 aarch64"
    );
    assert_eq!(
        recognise(&disk_info(line)).unwrap_err().to_string(),
        "this calls itself Debian 42.1.0 \"anvil\", which is not a release that the rules know, and no \
         dists/*/Release of Debian on it confirms that: .disk/info says 'Debian GNU/Linux 42.1.0 \"Anvil\" - \
         Official amd64 NETINST with firmware 20400101-10:00': debian 42.1.0 \"anvil\" x86_64; to import it \
         all the same, name it with -n"
    );
}

#[test]
fn another_word_in_a_label_makes_it_another_product() {
    table(
        &[
            ("AlmaLinux-10-0-x86_64_v2-dvd", "unknown"),
            ("AlmaLinux-Kitten-10-x86_64_v2", "unknown"),
            ("Rocky-9-4-Beta-x86_64-dvd", "unknown"),
            ("RHEL-9-4-0-Beta-BaseOS-x86_64", "unknown"),
            ("RHEL-7.9 Supplementary.x86_64", "unknown"),
            ("RHEL-7.6 SAP.ppc64le", "unknown"),
            ("CentOS-7-Acme-x86_64", "unknown"),
            ("OL9_BACKUP_x86_64", "unknown"),
            ("RHEL-9-4-0-BaseOS-x86_64-OLD", "unknown"),
            ("SLE-12-SP3-SAP-DVD-x86_64-GM", "unknown"),
            ("SLE-12-SP3-SDK-DVD-x86_64", "unknown"),
            ("SLES-11-SP4-for-VMware-x86_64", "unknown"),
            ("SLE-15-SP4-Acme-x86_64", "unknown"),
            ("openSUSE-Leap-15.6-Beta-x86_64", "unknown"),
            ("Ubuntu Anvil 24.04 amd64", "unknown"),
            ("Ubuntu-Server 24.04 LTS Acme", "unknown"),
            ("Debian 12.9.0 amd64 Acme", "unknown"),
            ("Fedora-Acme-Live-x86_64-40", "unknown"),
            ("F 12", "unknown"),
        ],
        volume,
    );
    table(
        &[
            ("AlmaLinux/10/x86_64_v2/BaseOS", "other-arch"),
            ("Rocky Linux/9.4/x86_64_v3/", "other-arch"),
            ("Fedora/40/sh4/Server", "other-arch"),
            ("AlmaLinux/9 Beta/x86_64/BaseOS", "unknown"),
            ("Red Hat Enterprise Linux/9.4/x86_64/SAPHANA", "unknown"),
            ("Red Hat Enterprise Linux/8.0 Beta/x86_64/", "unknown"),
        ],
        treeinfo,
    );
    table(
        &[
            (
                "Ubuntu Anvil Edition 24.04 LTS \"Noble Numbat\" - Release amd64 (20240424)",
                "derivative",
            ),
            (
                "Ubuntu 24.04 LTS \"Noble Numbat\" - Release amd64 (20240424) acme",
                "derivative",
            ),
            (
                "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official x32 NETINST 20250111-10:54",
                "derivative",
            ),
        ],
        disk_info,
    );
}

#[test]
fn what_is_not_the_plain_release_has_a_name_of_its_own() {
    table(
        &[
            ("Fedora-SB-ostree-x86_64-40", "fedora40.ostree x86_64"),
            ("Fedora-WSOstree-ostree-x86_64-27", "fedora27.ostree x86_64"),
            ("Fedora-WS-27_B-x86_64", "fedora27.beta x86_64"),
            ("RHELSA-7.1 Server.aarch64", "rhels7.1.sa aarch64"),
            (
                "openSUSE-MicroOS-DVD-x86_64",
                "opensuse-microostumbleweed x86_64",
            ),
        ],
        volume,
    );
    table(
        &[
            ("Fedora/40/aarch64/Silverblue", "fedora40.ostree aarch64"),
            (
                "Red Hat Enterprise Linux Alternate Architectures/7.6/ppc64le/Server",
                "rhels7.6.alternate ppc64le",
            ),
        ],
        treeinfo,
    );
    table(
        &[
            (
                "Ubuntu-Server 22.04 LTS \"Jammy Jellyfish\" - Beta amd64 (20220330)",
                "ubuntu22.04.beta x86_64",
            ),
            (
                "Kubuntu 10.04 \"Lucid Lynx\" - Release Candidate i386 (20100419.1)",
                "ubuntu10.04.rc x86",
            ),
            (
                "Ubuntu-Server 24.04.4 LTS \"Noble Numbat\" - Daily amd64 (20260201)",
                "ubuntu24.04.4.daily x86_64",
            ),
        ],
        disk_info,
    );
    let medium = treeinfo("Red Hat Enterprise Linux/9.4/x86_64/BaseOS");
    let boot = ["images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"];
    let with = |name| with_names(medium.clone(), &[boot[0], boot[1], name]);
    assert_eq!(answer(&with("LICENSE")), "rhels9.4 x86_64");
    assert_eq!(
        answer(&with("ostree/repo/config")),
        "rhels9.4.ostree x86_64"
    );
    assert_eq!(
        answer(&with("container/oci-layout")),
        "rhels9.4.bootc x86_64"
    );
}

#[test]
fn ids_of_older_and_stranger_media_are_read() {
    table(
        &[
            ("F10-i686-Live", "fedora10 x86"),
            ("F10-x86_64-Live-KDE", "fedora10 x86_64"),
            ("Fedora_S_dvd_ppc64le_33", "fedora33 ppc64le"),
            ("CentOS_8_BaseOS_ppc64le", "centos8 ppc64le"),
            ("CentOS_8_3_2011_ppc64le_dvd", "centos8.3 ppc64le"),
            ("CentOS_Stream_8_ppc64le_dvd", "centos-stream8 ppc64le"),
            ("CentOS_Stream_BaseOS_ppc64le", "centos-stream8 ppc64le"),
            ("anolis-dvd-x86_64-7", "anolis7 x86_64"),
            ("anolis-BaseOS-dvd-aarch64-8", "anolis8 aarch64"),
            ("SUSE-MicroOS-5.1-DVD-x86_646.001", "slemicro5.1 x86_64"),
        ],
        volume,
    );
    table(
        &[
            ("openEuler/2403-LTS/x86_64/", "openeuler24.03 x86_64"),
            ("openEuler/24.03-LTS/aarch64/", "openeuler24.03 aarch64"),
            ("openEuler/22.03-LTS-SP3/x86_64/", "openeuler22.03.3 x86_64"),
            ("openEuler/25.09/riscv64/", "openeuler25.09 riscv64"),
        ],
        treeinfo,
    );
    table(
        &[
            (
                "DISTRO           cpe:/o:opensuse:opensuse:42.1,openSUSE\nVENDOR openSUSE\n",
                "leap42.1 -",
            ),
            (
                "DISTRO           cpe:/o:opensuse:leap:42.3,openSUSE Leap\n",
                "leap42.3 -",
            ),
            (
                "PRODUCT openSUSE\nVERSION 42.2\nBASEARCHS x86_64\n",
                "leap42.2 x86_64",
            ),
            (
                "DISTRO cpe:/o:suse:sles_sap:12:sp1,SLES for SAP\n",
                "unknown",
            ),
        ],
        |text| Evidence::of_file("content", text),
    );
}

#[test]
fn a_label_alone_names_no_disc_without_an_installer_or_a_repository() {
    let rows: [(&[&str], &str); 14] = [
        (&[ROOT], "not-an-install-medium"),
        (
            &[ROOT, "DCIM", "DCIM/IMG_0001.JPG"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "disk.img.gz", "home.tar.xz"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "boot/vmlinuz-5.14.0", "boot/initrd.img-5.14.0"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "rpms/acme-1.0-1.noarch.rpm"],
            "not-an-install-medium",
        ),
        (&[ROOT, "linux/kernel/notes.txt"], "not-an-install-medium"),
        (
            &[ROOT, "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"],
            "rhels9.4 x86_64",
        ),
        (&[ROOT, "images/install.img"], "rhels9.4 x86_64"),
        (
            &[
                ROOT,
                "BaseOS/repodata/repomd.xml",
                "BaseOS/Packages/b/bash-5.1.8-9.el9.x86_64.rpm",
            ],
            "rhels9.4 x86_64",
        ),
        (
            &[ROOT, "IMAGES/PXEBOOT/VMLINUZ", "IMAGES/PXEBOOT/INITRD.IMG"],
            "rhels9.4 x86_64",
        ),
        (
            &[ROOT, "backup/vmlinuz", "backup/initrd.img"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "install.amd/vmlinuz", "install.amd/initrd.gz"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "repodata", "repodata/repomd.xml"],
            "not-an-install-medium",
        ),
        (
            &[ROOT, "LiveOS", "isolinux", "ppc"],
            "not-an-install-medium",
        ),
    ];
    for (names, expected) in rows {
        let medium = with_names(volume("RHEL-9-4-0-BaseOS-x86_64"), names);
        assert_eq!(answer(&medium), expected, "{names:?}");
    }
    let photos = with_names(volume("RHEL-9-4-0-BaseOS-x86_64"), &[ROOT, "DCIM/1.JPG"]);
    assert_eq!(
        recognise(&photos).unwrap_err().to_string(),
        "this calls itself rhels9.4 and holds nothing to install: no installer and no repository of \
         packages among its 1 names: volume id says 'RHEL-9-4-0-BaseOS-x86_64': rhels 9.4 x86_64"
    );
    let packages = with_names(
        volume("RHEL-9-4-0-BaseOS-x86_64"),
        &[ROOT, "a-1-1.noarch.rpm"],
    );
    let text = recognise(&packages).unwrap_err().to_string();
    assert!(
        text.ends_with("; to import its packages all the same, name it with -n rhels9.4"),
        "{text}"
    );
}

#[test]
fn a_layered_product_and_the_tree_of_an_add_on_are_not_the_base_release() {
    let rhel = "[general]\nfamily = Red Hat Enterprise Linux\nversion = 9.4\narch = x86_64\n";
    let release = "[release]\nname = Red Hat Enterprise Linux\nversion = 9.4\n";
    let base = "[base_product]\nname = Red Hat Enterprise Linux\nversion = 9.4\n";
    let acme = "[release]\nname = ACME Storage\nversion = 5.1\nis_layered = true\n";
    for (name, text, expected) in [
        ("plain", format!("{rhel}{release}"), "rhels9.4 x86_64"),
        (
            "not layered",
            format!("{rhel}{release}is_layered = false\n"),
            "rhels9.4 x86_64",
        ),
        (
            "a flag",
            format!("{rhel}{release}is_layered = True\n"),
            "conflict",
        ),
        ("a base", format!("{rhel}{release}{base}"), "conflict"),
        ("both", format!("{rhel}{acme}{base}"), "conflict"),
        (
            "alone",
            format!("{acme}{base}[tree]\narch = x86_64\n"),
            "unknown",
        ),
        (
            "base variants",
            format!("{rhel}variant = BaseOS\n{release}[tree]\nvariants = AppStream,BaseOS\n"),
            "rhels9.4 x86_64",
        ),
        (
            "a base variant with add-ons",
            format!("{rhel}{release}[tree]\nvariants = SAP, AppStream\n"),
            "rhels9.4 x86_64",
        ),
        (
            "SAP",
            format!("{rhel}{release}[tree]\nvariants = SAP\n"),
            "conflict",
        ),
        (
            "an add-on under the name of a variant",
            format!("{rhel}variant = BaseOS\n{release}[tree]\nvariants = ResilientStorage\n"),
            "conflict",
        ),
        (
            "add-ons",
            format!(
                "{release}[tree]\narch = x86_64\nvariants = HighAvailability,ResilientStorage\n"
            ),
            "conflict",
        ),
        ("in general", format!("{rhel}variants = NFV\n"), "conflict"),
    ] {
        let medium = Evidence::of_file(".treeinfo", text);
        assert_eq!(answer(&medium), expected, "{name}");
    }
    let text = |tree: String| {
        recognise(&Evidence::of_file(".treeinfo", tree))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        text(format!("{acme}{base}")),
        "no rule knows this medium: .treeinfo says 'ACME Storage 5.1': not a release that a rule knows; .treeinfo says \
         'ACME Storage 5.1, a layered product on Red Hat Enterprise Linux 9.4': not a release that a rule knows; to \
         import it all the same, name it with -n (and -a), or add a rule to media.d"
    );
    assert_eq!(
        text(format!("{rhel}{release}[tree]\nvariants = SAP,NFV\n")),
        "the medium contradicts itself about the distribution: .treeinfo says 'Red Hat Enterprise Linux 9.4': rhels 9.4 \
         x86_64, but .treeinfo says 'Red Hat Enterprise Linux 9.4 SAP,NFV': not a release that a rule knows; to import it \
         all the same, name it with -n"
    );
}

#[test]
fn a_release_file_in_capitals_is_evidence() {
    let rocky = "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n";
    for (path, expected) in [
        (".treeinfo", "conflict"),
        (".TREEINFO", "conflict"),
        ("TREEINFO", "conflict"),
        ("INSTALL/.TREEINFO", "conflict"),
        ("Packages/.TREEINFO", "rhels9.4 x86_64"),
    ] {
        assert_eq!(Evidence::wants(path), expected == "conflict", "{path}");
        let mut medium = volume("RHEL-9-4-0-BaseOS-x86_64");
        if Evidence::wants(path) {
            medium.files.insert(path.to_owned(), rocky.into());
        }
        assert_eq!(answer(&medium), expected, "{path}");
    }
}

#[test]
fn a_refusal_names_the_trees_in_directories() {
    let medium = |names: &[&str]| with_names(volume("MYLAB"), names);
    let text = |names: &[&str]| recognise(&medium(names)).unwrap_err().to_string();
    let unknown = "no rule knows this medium: volume id says 'MYLAB'; to import it all the same, name it with -n (and \
                   -a), or add a rule to media.d";
    assert_eq!(text(&[ROOT, "BaseOS", "a/b/.treeinfo"]), unknown);
    assert_eq!(
        text(&[ROOT, "BaseOS/.treeinfo"]),
        format!(
            "{unknown}; there is a tree in a directory of it (BaseOS/.treeinfo): to import a tree alone, give copycds its \
             directory, here BaseOS of the mounted medium"
        )
    );
    assert_eq!(
        text(&[
            ROOT,
            "a/.treeinfo",
            "b/.TREEINFO",
            "c/treeinfo",
            "d/.treeinfo",
            "e/.treeinfo"
        ]),
        format!(
            "{unknown}; there is a tree in a directory of it (a/.treeinfo, b/.TREEINFO, c/treeinfo and 2 more): to import \
             a tree alone, give copycds its directory, here a of the mounted medium"
        )
    );
}

#[test]
fn a_release_package_of_another_product_counts_against_the_base_release() {
    let redhat = "Packages/r/redhat-release-9.4-0.5.el9.x86_64.rpm";
    let centos = "Packages/centos-release-7-9.2009.0.el7.centos.x86_64.rpm";
    let rocky = "Packages/r/rocky-release-9.4-1.2.el9.noarch.rpm";
    for (label, names, expected) in [
        ("RHEL-9-4-0-BaseOS-x86_64", vec![redhat], "rhels9.4 x86_64"),
        (
            "RHEL-9-4-0-BaseOS-x86_64",
            vec![redhat, "Packages/a/acme-release-9.4-1.el9.noarch.rpm"],
            "conflict",
        ),
        (
            "MYLAB",
            vec![redhat, "acme-os-release-1-1.x86_64.rpm"],
            "unknown",
        ),
        (
            "MYLAB",
            vec![centos, "Packages/acme-release-7-1.noarch.rpm"],
            "conflict",
        ),
        (
            "MYLAB",
            vec![centos, "Packages/epel-release-7-14.noarch.rpm"],
            "centos7.9 x86_64",
        ),
        (
            "MYLAB",
            vec![rocky, "Packages/a/Acme_HCI-release-2.1-1.noarch.rpm"],
            "conflict",
        ),
        (
            "RHEL-9-4-0-BaseOS-x86_64",
            vec![redhat, "Packages/r/release-acme-9.4-1.el9.noarch.rpm"],
            "conflict",
        ),
        (
            "RHEL-9-4-0-BaseOS-x86_64",
            vec![
                redhat,
                "Packages/a/acme-release-server-9.4-1.el9.x86_64.rpm",
            ],
            "conflict",
        ),
        (
            "MYLAB",
            vec![centos, "Packages/release-acme-7-1.noarch.rpm"],
            "conflict",
        ),
        (
            "MYLAB",
            vec![centos, "Packages/acme_release-7-1.noarch.rpm"],
            "conflict",
        ),
        (
            "MYLAB",
            vec![centos, "PACKAGES/ACME-RELEASE-7-1.NOARCH.RPM"],
            "conflict",
        ),
        (
            "MYLAB",
            vec![centos, "Packages/lsb_release-3.3-1.noarch.rpm"],
            "centos7.9 x86_64",
        ),
        (
            "MYLAB",
            vec![
                centos,
                "Packages/centos-release-scl-rh-2-3.el7.centos.noarch.rpm",
                "Packages/maven-release-2.2.1-7.el7.noarch.rpm",
                "Packages/maven-release-plugin-2.2.1-7.el7.noarch.rpm",
            ],
            "centos7.9 x86_64",
        ),
        (
            "SLE-15-SP4-Full-x86_64",
            vec![
                "Module-Basesystem/noarch/release-notes-sles-15.4.20220610-150400.1.2.noarch.rpm",
                "Module-Basesystem/x86_64/sle-module-basesystem-release-15.4-150400.58.2.x86_64.rpm",
            ],
            "sle15.4 x86_64",
        ),
        (
            "MYLAB",
            vec![
                rocky,
                "Packages/e/elrepo-release-9.4-1.el9.noarch.rpm",
                "Packages/r/rpmfusion-free-release-9-1.noarch.rpm",
                "Packages/t/texlive-pressrelease-2021.189-1.noarch.rpm",
                "Packages/a/acme-release-notes-9.4-1.noarch.rpm",
            ],
            "rocky9.4 -",
        ),
    ] {
        let medium = with_names(volume(label), &names);
        assert_eq!(answer(&medium), expected, "{names:?}");
    }
    let medium = with_names(
        volume("RHEL-9-4-0-BaseOS-x86_64"),
        &[redhat, "Packages/a/acme-release-9.4-1.el9.noarch.rpm"],
    );
    assert_eq!(
        recognise(&medium).unwrap_err().to_string(),
        "the medium contradicts itself about the distribution: volume id says 'RHEL-9-4-0-BaseOS-x86_64': rhels 9.4 \
         x86_64, but the package says 'acme-release-9.4-1.el9.noarch.rpm': not a release that a rule knows; the package \
         says 'redhat-release-9.4-0.5.el9.x86_64.rpm': a hint of rhels 9.4 x86_64; to import it all the same, name it \
         with -n"
    );
}

#[test]
fn a_product_without_a_version_names_the_family_alone() {
    for (name, tree, expected) in [
        ("Oracle Linux", "Oracle Linux/9.3.0/x86_64/", "ol9.3 x86_64"),
        ("Rocky Linux", "Rocky Linux/9.4/x86_64/", "rocky9.4 x86_64"),
        ("Oracle Linux", "Rocky Linux/9.4/x86_64/", "conflict"),
        ("Acme Linux", "Rocky Linux/9.4/x86_64/", "conflict"),
    ] {
        let mut medium = treeinfo(tree);
        let repo = format!("[InstallMedia]\nname={name}\n");
        medium.files.insert("media.repo".into(), repo.into());
        assert_eq!(answer(&medium), expected, "{name} {tree}");
    }
}

#[test]
fn a_refusal_shows_every_text_and_never_a_rule_as_a_product() {
    let mut medium = treeinfo("Acme Linux/9.4/x86_64/");
    medium.ids.volume = "MYLAB".into();
    medium.files.insert(
        "media.repo".into(),
        "[InstallMedia]\nname=Acme Linux 9.4\n".into(),
    );
    assert_eq!(
        recognise(&medium).unwrap_err().to_string(),
        "no rule knows this medium: .treeinfo says 'Acme Linux 9.4': not a release that a rule knows; \
         media.repo says 'Acme Linux 9.4': not a release that a rule knows; volume id says 'MYLAB'; to import \
         it all the same, name it with -n, or add a rule to media.d"
    );
    let text = recognise(&volume("Circle-8-4-x86_64-dvd"))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("this calls itself 'Circle-8-4-x86_64-dvd', a clone of Red Hat"),
        "{text}"
    );
    let text = recognise(&volume("FEDORA")).unwrap_err().to_string();
    assert!(
        text.ends_with("; say which with -n fedoraVERSION"),
        "{text}"
    );
}

#[test]
fn what_a_file_says_again_in_other_words_counts_too() {
    let general = "[general]\nfamily = Red Hat Enterprise Linux\nversion = 9.4\narch = x86_64\n";
    let twice = format!(
        "{general}[release]\nname = Other\nname = Red Hat Enterprise Linux\nversion = 9.4\n"
    );
    let alike = format!("{general}family = Red Hat Enterprise Linux\n");
    let other = format!("{general}family = Other Linux\n");
    let release = "[release]\nname = Red Hat Enterprise Linux\nversion = 9.4\n";
    let short = |short: &str| format!("{general}{release}short = {short}\n");
    let repo = "[media]\nname=Red Hat Enterprise Linux 9.4\n";
    let media =
        "SUSE - SLE-15-SP4-Full-x86_64-Build151.1-Media\nSLE-15-SP4-Full-x86_64-Build151.1\n1\n";
    for (path, text, expected) in [
        (".treeinfo", general, "rhels9.4 x86_64"),
        (".treeinfo", alike.as_str(), "rhels9.4 x86_64"),
        (".treeinfo", other.as_str(), "conflict"),
        (".treeinfo", twice.as_str(), "conflict"),
        (".treeinfo", &short("RHEL"), "rhels9.4 x86_64"),
        (".treeinfo", &short("Rhel"), "rhels9.4 x86_64"),
        (".treeinfo", &short("ACME"), "conflict"),
        (".treeinfo", &short("Rocky"), "conflict"),
        (".treeinfo", &short("RHEL\nshort = ACME"), "conflict"),
        (".treeinfo", &format!("{general}short = ACME\n"), "conflict"),
        (
            ".treeinfo",
            "[release]\nname = CentOS Stream\nshort = CentOS-Stream\nversion = 9\n[tree]\narch = x86_64\n",
            "centos-stream9 x86_64",
        ),
        (
            ".treeinfo",
            "[release]\nname = CentOS Linux\nshort = CentOS-Stream\nversion = 8\n[tree]\narch = x86_64\n",
            "conflict",
        ),
        ("media.1/media", media, "sle15.4 x86_64"),
        (
            "media.1/media",
            "SUSE - openSUSE-Leap-15.6-DVD-x86_64-Build710.3-Media\nopenSUSE-Leap-15.6-DVD-x86_64-Build710.3\n1\n",
            "leap15.6 x86_64",
        ),
        (
            "media.1/products",
            "/ SLES 12\n/ SLES 12\n/ Acme 1\n",
            "conflict",
        ),
        (
            "media.1/build",
            "SLE-12-SP3-Server-DVD-x86_64-Build0473\n",
            "sles12.3 x86_64",
        ),
        ("media.repo", repo, "rhels9.4 -"),
        (
            "media.repo",
            &format!("{repo}name=Other Linux 9.4\n"),
            "conflict",
        ),
    ] {
        assert_eq!(answer(&Evidence::of_file(path, text)), expected, "{text}");
    }
    let debian =
        disk_info("Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST 20250111-10:54");
    for (label, expected) in [
        ("Debian", "debian12.9.0 x86_64"),
        ("Debian-Security", "debian12.9.0 x86_64"),
        ("OtherOS", "derivative"),
    ] {
        let release = format!(
            "Origin: Debian\nLabel: {label}\nSuite: stable\nVersion: 12.9\nCodename: bookworm\n"
        );
        let evidence = with_release(debian.clone(), "bookworm", &release);
        assert_eq!(answer(&evidence), expected, "{label}");
    }
}

#[test]
fn a_file_that_describes_a_release_in_no_form_we_read_counts_against_its_label() {
    let rhel = ("RHEL-9-4-0-BaseOS-x86_64", "conflict");
    let debian = ("Debian 12.9.0 amd64 n", "conflict");
    let imitation = ("Debian 12.9.0 amd64 n", "derivative");
    let sle = ("SLE-15-SP4-Full-x86_64", "conflict");
    for ((label, expected), path, text) in [
        (
            rhel,
            ".treeinfo",
            "[general]\nFamily = Acme Linux\nVersion = 9.4\n",
        ),
        (rhel, ".treeinfo", "[ general ]\nfamily = Acme Linux\n"),
        (rhel, ".treeinfo", "[GENERAL]\nfamily = Acme Linux\n"),
        (rhel, ".treeinfo", "family = Acme Linux\n"),
        (
            rhel,
            ".treeinfo",
            "[release]\nshort = ACME\nversion = 9.4\n",
        ),
        (rhel, ".treeinfo", "[variant-Acme]\nname = Acme\n"),
        (
            rhel,
            ".treeinfo",
            "[general]\nfamily =\n Acme Linux\narch = x86_64\n",
        ),
        (rhel, ".treeinfo", "a text of Acme"),
        (rhel, ".discinfo", "Acme Linux 9.4"),
        (rhel, ".discinfo", "1.5\rAcme Linux 9.4\rx86_64\r"),
        (rhel, "media.repo", "[InstallMedia]\nNAME: Acme Linux 9.4\n"),
        (rhel, "media.repo", "Acme Linux 9.4\n"),
        (
            imitation,
            ".disk/info",
            "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST\nAcme 1\n",
        ),
        (
            imitation,
            "README.diskdefines",
            "# define DISKNAME  Acme 1\n",
        ),
        (
            imitation,
            "dists/bookworm/Release",
            "Label: Acme\nSuite: stable\n",
        ),
        (
            imitation,
            "dists/bookworm/Release",
            "origin: Acme\nversion: 12.9\ncodename: bookworm\n",
        ),
        (
            imitation,
            "dists/bookworm/Release",
            "Origin: Debian\nLabel: Debian-Acme\nVersion: 12.9\nCodename: bookworm\n",
        ),
        (
            imitation,
            "dists/bookworm/InRelease",
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Acme\nVersion: 12.9\n",
        ),
        (sle, "content", "LABEL SLE-15-SP4\nLABEL Acme 1\n"),
        (sle, "media.1/build", "Acme-15-SP4-DVD-x86_64-Build0473\n"),
        (sle, "media.1/build", "SLE-15-SP3-Full-x86_64-Build151.1\n"),
        (debian, "content", "PRODUCT=Acme\nVERSION=1\n"),
        (sle, "content", "VENDOR Acme\n"),
        (sle, "content", "PRODUCT=Acme\nVERSION=1\n"),
    ] {
        let mut evidence = volume(label);
        evidence.files.insert(path.to_owned(), text.into());
        assert_eq!(answer(&evidence), expected, "{path}: {text}");
    }
    // An empty one says nothing, and one that says the same in another case agrees.
    for (path, text) in [
        (".treeinfo", ""),
        (".discinfo", "1.5\n"),
        (
            ".treeinfo",
            "[General]\nFamily: Red Hat Enterprise Linux\nVersion: 9.4\nArch: x86_64\n",
        ),
        (
            "media.repo",
            "[InstallMedia]\nName = Red Hat Enterprise Linux 9.4\n",
        ),
    ] {
        let mut evidence = volume(rhel.0);
        evidence.files.insert(path.to_owned(), text.into());
        assert_eq!(answer(&evidence), "rhels9.4 x86_64", "{path}: {text}");
    }
}

#[test]
fn packages_for_other_machines_count_against_the_architecture_of_a_label() {
    let rocky = |package: &str| {
        with_names(
            volume("Rocky-9-4-x86_64-dvd"),
            &[
                ROOT,
                "images/pxeboot/vmlinuz",
                "Packages/rocky-release-9.4-1.7.el9.noarch.rpm",
                "Packages/bash-5.1.8-9.el9.noarch.rpm",
                package,
            ],
        )
    };
    for (package, expected) in [
        ("Packages/glibc-2.34-100.el9.x86_64.rpm", "rocky9.4 x86_64"),
        ("Packages/glibc-2.34-100.el9.aarch64.rpm", "conflict"),
        ("Packages/glibc-2.34-100.el9.i686.rpm", "conflict"),
        ("Packages/glibc-2.34-100.el9.x86_64_v2.rpm", "other-arch"),
        ("Packages/glibc-2.34-100.el9.src.rpm", "rocky9.4 x86_64"),
    ] {
        assert_eq!(answer(&rocky(package)), expected, "{package}");
    }
    assert_eq!(
        recognise(&rocky("Packages/glibc-2.34-100.el9.aarch64.rpm"))
            .unwrap_err()
            .to_string(),
        "the medium contradicts itself about the architecture: volume id says 'Rocky-9-4-x86_64-dvd': rocky 9.4 \
         x86_64, but the package says 'glibc-2.34-100.el9.aarch64.rpm': a hint of aarch64; the package says \
         'rocky-release-9.4-1.7.el9.noarch.rpm': rocky 9.4; say which with -a aarch64 or -a x86_64"
    );
    for (package, name, arch, expected) in [
        ("aarch64", None, Arch::X86_64, Some("x86_64")),
        ("aarch64", None, Arch::Aarch64, Some("aarch64")),
        ("aarch64", None, Arch::S390x, None),
        ("x86_64_v2", None, Arch::X86_64, None),
        ("x86_64_v2", Some("rocky9.4"), Arch::X86_64, Some("x86_64")),
    ] {
        let requested = RequestedRelease {
            name: name.map(|name: &str| name.parse().unwrap()),
            arch: Some(arch),
        };
        let medium = rocky(&format!("Packages/glibc-2.34-100.el9.{package}.rpm"));
        let found = identify(&medium, &RULES, &requested).ok();
        let found = found.map(|identity| identity.arch.map_or("-", Arch::name));
        assert_eq!(found, expected, "{package} {name:?} {arch}");
    }
    let hint = with_names(
        volume("MYLAB"),
        &[
            ROOT,
            "install.amd/vmlinuz",
            "dists/bookworm/Release",
            "pool/main/b/bash/bash_5.2_arm64.deb",
        ],
    );
    assert_eq!(answer(&hint), "debian12 -");
}
