//! What the words of a label say: another version, another product, a product of its own.

use copycds::recognise::Evidence;

use super::{answer, disk_info, recognise, table, treeinfo, volume, with_names, with_release};

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
fn the_stage_of_a_release_is_no_architecture_and_no_word_of_the_plain_release() {
    table(
        &[
            ("RHEL-9-4-0-Alpha-BaseOS-x86_64", "unknown"),
            ("RHEL-9-4-0-BaseOS-alpha", "unknown"),
            ("AlmaLinux-9-6-Alpha-x86_64", "unknown"),
            ("SLE-15-SP4-Alpha2-Full-x86_64", "unknown"),
            ("Fedora 16-Alpha x86_64 DVD", "fedora16.alpha x86_64"),
            ("Fedora-18-Beta-x86_64-DVD", "fedora18.beta x86_64"),
            ("Fedora-WS-43_RC1-x86_64", "fedora43.rc x86_64"),
            ("Debian 4.0 r0 alpha Bin-1", "debian4.0 alpha"),
            ("Debian 12.0.0 Alpha amd64 n", "unknown"),
        ],
        volume,
    );
    table(
        &[
            ("Red Hat Enterprise Linux/9.4 Alpha/x86_64/", "unknown"),
            ("Rocky Linux/9.4-alpha/x86_64/", "unknown"),
            ("Fedora/41 Alpha/x86_64/", "fedora41.alpha x86_64"),
            ("Fedora Alpha/21/x86_64/", "fedora21.alpha x86_64"),
        ],
        treeinfo,
    );
    table(
        &[
            (
                "Debian GNU/Linux 4.0 r0 \"Etch\" - Official alpha CD Binary-1 20070407-12:15",
                "debian4.0 alpha",
            ),
            (
                "Debian GNU/Linux 13.0.0 \"Trixie\" - Official Alpha amd64 NETINST",
                "debian13.0.0.alpha x86_64",
            ),
            (
                "Debian GNU/Linux 13.0.0 \"Trixie\" - Official amd64 Alpha NETINST",
                "derivative",
            ),
            (
                "Ubuntu 25.10 \"Questing Quokka\" - Snapshot 1 amd64 (20250527)",
                "ubuntu25.10.snapshot x86_64",
            ),
        ],
        disk_info,
    );
}

#[test]
fn a_width_that_is_glued_to_an_architecture_makes_it_another() {
    table(
        &[
            ("RHEL-9-4-0-BaseOS-mips64", "unknown"),
            ("RHEL-9-4-0-BaseOS-x8664", "unknown"),
            ("openEuler-25.03-riscv32", "unknown"),
            ("Debian 12.9.0 mips64 n", "unknown"),
            ("Debian 12.9.0 mips64el n", "debian12.9.0 mips64el"),
            ("openSUSE-Leap-15.6-NET-s390x64.1.001", "leap15.6 s390x"),
        ],
        volume,
    );
    table(
        &[
            (
                "Debian GNU/Linux 12.5.0 \"Bookworm\" - Official mips64 NETINST",
                "derivative",
            ),
            (
                "Ubuntu-Server 24.04.1 LTS \"Noble Numbat\" - Release riscv128 (20240827)",
                "derivative",
            ),
        ],
        disk_info,
    );
}

#[test]
fn the_words_of_a_text_and_the_architecture_beside_it_are_of_one_machine() {
    table(
        &[
            ("openEuler/24.03-aarch64/x86_64/", "conflict"),
            ("openEuler/24.03-aarch64/aarch64/", "openeuler24.03 aarch64"),
            ("Rocky Linux/9.4 ppc64le/s390x/", "conflict"),
            ("Rocky Linux/9.4 amd64/x86_64/", "rocky9.4 x86_64"),
        ],
        treeinfo,
    );
    table(
        &[
            ("Rocky Linux 9.3 aarch64/x86_64", "conflict"),
            ("Rocky Linux 9.3 x86_64/x86_64", "rocky9.3 x86_64"),
        ],
        |text| {
            let (text, arch) = text.split_once('/').unwrap_or_default();
            Evidence::of_file(".discinfo", format!("1699827798.6\n{text}\n{arch}\n1\n"))
        },
    );
}

#[test]
fn no_variant_of_fedora_that_is_an_ostree_image_is_the_plain_release() {
    for variant in [
        "Silverblue",
        "Kinoite",
        "Sericea",
        "Onyx",
        "IoT",
        "Sway-Atomic",
        "Budgie-Atomic",
        "COSMIC-Atomic",
    ] {
        let label = format!("Fedora-{variant}-x86_64-41");
        assert_eq!(answer(&volume(&label)), "fedora41.ostree x86_64", "{label}");
        for tree in [
            format!("Fedora/41/x86_64/{variant}"),
            format!("Fedora-{variant}/41/x86_64/"),
            format!("Fedora {variant}/41/x86_64/"),
        ] {
            assert_eq!(answer(&treeinfo(&tree)), "fedora41.ostree x86_64", "{tree}");
        }
    }
    table(
        &[
            ("Fedora-Kin-ostree-x86_64-42", "fedora42.ostree x86_64"),
            ("Fedora-CSMCA-ostree-x86_64-42", "fedora42.ostree x86_64"),
            (
                "Fedora-SB-ostree-x86_64-rawh",
                "fedorarawhide.ostree x86_64",
            ),
            ("Fedora-Dsgn-Live-41", "fedora41 -"),
        ],
        volume,
    );
    assert_eq!(
        answer(&treeinfo("Fedora/Rawhide/x86_64/Silverblue")),
        "fedorarawhide.ostree x86_64"
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
