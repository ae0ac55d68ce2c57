//! What media say, as tables: the words on one side, what they make of it on the other. Each line is in
//! the form that real media have; `-` stands for an architecture that nothing tells.

use std::sync::LazyLock;

use copycds::media::VolumeIds;
use copycds::recognise::{
    Evidence, MediumIdentity, MediumInstaller, RecognitionRules, Rejection, RequestedRelease,
    identify,
};
use definitions::Arch;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

fn recognise(evidence: &Evidence) -> Result<MediumIdentity, Rejection> {
    identify(evidence, &RULES, &RequestedRelease::default())
}

/// Distribution and architecture in one word each, or the kind of the refusal.
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

fn application(volume: &str, application: &str) -> Evidence {
    Evidence::of_volume(VolumeIds {
        volume: volume.to_owned(),
        application: application.to_owned(),
        ..VolumeIds::default()
    })
}

fn treeinfo(family: &str, version: &str, arch: &str) -> Evidence {
    let text = format!("[general]\nfamily = {family}\nversion = {version}\narch = {arch}\n");
    Evidence::of_file(".treeinfo", text)
}

fn with_names(mut evidence: Evidence, names: &[&str]) -> Evidence {
    evidence.names = names.iter().map(|name| (*name).to_owned()).collect();
    evidence
}

fn with_file(mut evidence: Evidence, path: &str, text: &str) -> Evidence {
    evidence.files.insert(path.to_owned(), text.into());
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
fn volume_ids_name_release_and_architecture() {
    table(
        &[
            ("Ubuntu-Server 24.04 LTS amd64", "ubuntu24.04 x86_64"),
            ("Ubuntu-Server 18.04.1+ LTS amd64", "ubuntu18.04.1 x86_64"),
            ("Ubuntu 20.04.2.0 LTS amd64", "ubuntu20.04.2.0 x86_64"),
            // cut, and Ubuntu never had the big-endian one
            ("Ubuntu-Server 22.04 LTS ppc64", "ubuntu22.04 ppc64le"),
            ("Ubuntu-Server 24.04.2 LTS riscv", "ubuntu24.04.2 riscv64"),
            ("Ubuntu-Netbook-Remix 9.04 i386", "ubuntu9.04 x86"),
            ("Kubuntu-KDE4 8.04 i386", "ubuntu8.04 x86"),
            ("Mythbuntu 12.04.1 LTS amd64", "ubuntu12.04.1 x86_64"),
            ("Ubuntu 28.04.1 LTS amd64", "unconfirmed"),
            ("Debian 12.0.0 p64el 1", "debian12.0.0 ppc64le"),
            ("Debian 12.0.0 arm64 n", "debian12.0.0 aarch64"),
            ("Debian 4.0 r3 i386 Bin-1", "debian4.0 x86"),
            ("Debian 8.5.0 M-A 1", "debian8.5.0 -"),
            ("Debian testing s390x n", "debiantesting s390x"),
            ("d-live 12.10.0 gn amd64", "debian12.10.0 x86_64"),
            ("d-live nf 10.0.0 gn i386", "debian10.0.0 x86"),
            ("Debian squeeze 20111014-08:13", "debian6 -"),
            ("Debian 16.1.0 amd64 n", "unconfirmed"),
            ("RHEL/5.10 x86_64 DVD", "rhels5.10 x86_64"),
            ("RHEL_6.0 i386 Disc 1", "rhels6.0 x86"),
            ("RHEL-7.2 Server.ppc64le", "rhels7.2 ppc64le"),
            ("RHEL_7_6_Server_ppc64", "rhels7.6 ppc64"),
            ("RHEL-8-10-0-BaseOS-x86_64", "rhels8.10 x86_64"),
            ("RHEL-10-1-BaseOS-x86_64", "rhels10.1 x86_64"),
            ("RHEL-12-0-BaseOS-riscv64", "rhels12.0 riscv64"),
            ("CentOS_6.5_Final", "centos6.5 -"),
            ("CentOS 7 x86_64", "centos7 x86_64"),
            ("CentOS-7-x86_64-LiveKDE-1611", "centos7 x86_64"),
            ("CentOS-8-4-2105-x86_64-dvd", "centos8.4 x86_64"),
            ("CentOS-8-BaseOS-x86_64", "centos8 x86_64"),
            ("CentOS-Stream-10-BaseOS-aarch64", "centos-stream10 aarch64"),
            ("CentOS-Stream-BaseOS-x86_64", "centos-stream8 x86_64"),
            ("Rocky-9-0-s390x-dvd", "rocky9.0 s390x"),
            ("Rocky-Workstation-Lite-9-0", "rocky9.0 -"),
            ("Rocky-11-0-x86_64-dvd", "rocky11.0 x86_64"),
            ("AlmaLinux-9-1-ppc64le-dvd", "alma9.1 ppc64le"),
            ("AlmaLinux-9.1-x86_64-Live-XFCE", "alma9.1 x86_64"),
            ("AlmaLinux-Kitten-10-x86_64", "alma-kitten10 x86_64"),
            ("OL6.6 i386 Disc 1 20141018", "ol6.6 x86"),
            ("OL-7.7 Server.aarch64", "ol7.7 aarch64"),
            ("OL-9-3-0-BaseOS-x86_64", "ol9.3 x86_64"),
            ("FC/5 i386", "fedora5 x86"),
            ("FC-6 ppc Disc 2", "fedora6 ppc"),
            ("Fedora 10 x86_64 DVD", "fedora10 x86_64"),
            ("Fedora-16-x86_64-Live-KDE.iso", "fedora16 x86_64"),
            ("Fedora-Live-Desktop-x86_64-19-1", "fedora19 x86_64"),
            ("Fedora-S-23-x86_64", "fedora23 x86_64"),
            ("Fedora-WS-23_B-x86_64", "fedora23.beta x86_64"),
            ("Fedora-WS-Live-27-1-6", "fedora27 -"),
            ("Fedora-WS-Live-34-20210219-n-0", "fedora34 -"),
            ("Fedora-S-dvd-armhfp-31", "fedora31 armv7l"),
            ("Fedora-SB-ostree-aarch64-40", "fedora40.ostree aarch64"),
            ("Fedora-i3-Live-34-1-2", "fedora34 -"),
            ("Fedora-E-dvd-x86_64-rawh", "fedorarawhide x86_64"),
            ("Fedora-S-dvd-x86_64-60", "fedora60 x86_64"),
            ("SL-65-x86_64-2014-01-27", "SL6.5 x86_64"),
            ("CloudLinux-8-7-x86_64-dvd", "cloudlinux8.7 x86_64"),
            ("anolis-8-x86_64-dvd", "anolis8 x86_64"),
            ("openEuler-22.03-LTS-x86_64", "openeuler22.03 x86_64"),
            (
                "openEuler-22.03-LTS-SP3-aarch64",
                "openeuler22.03.3 aarch64",
            ),
            ("SLES-11-SP4-DVD-x86_6412211", "sles11.4 x86_64"),
            ("SLE-12-SP1-Server-DVD-x86_643247", "sles12.1 x86_64"),
            ("SLE-12-SP2-Server-DVD-ppc64le219", "sles12.2 ppc64le"),
            ("SLE-15-Installer-DVD-x86_64668.1", "sle15 x86_64"),
            ("SLE-15-SP2-Full-aarch64209.2.001", "sle15.2 aarch64"),
            ("SLE-15-SP5-Online-x86_64102..001", "sle15.5 x86_64"),
            ("Install-SUSE-SLE-16-s390x", "sles16 s390x"),
            ("SLE-Micro-5.3-DVD-x86_64", "slemicro5.3 x86_64"),
            ("SUSE-MicroOS-5.0-DVD-x86_64", "slemicro5.0 x86_64"),
            ("SL-Micro.x86_64-6.0-Default", "slmicro6.0 x86_64"),
            ("openSUSE-Leap-Micro-5.5-DVD-x86_", "leapmicro5.5 -"),
            ("openSUSE-Leap-15.0-DVD-x86_64267", "leap15.0 x86_64"),
            ("openSUSE_Leap_15.4_KDE_Live", "leap15.4 -"),
            ("openSUSE-Leap-42.1-DVD-x86_64026", "leap42.1 x86_64"),
            ("Install-Leap-16.0-ppc64le", "leap16.0 ppc64le"),
            ("openSUSE-13.1-DVD-i5860091", "opensuse13.1 x86"),
            ("openSUSE-Tumbleweed-DVD-i5862397", "opensusetumbleweed x86"),
        ],
        volume,
    );
}

#[test]
fn a_label_that_names_no_release_is_refused_and_never_guessed() {
    table(
        &[
            ("CentOS", "version-unknown"),
            ("FEDORA", "version-unknown"),
            ("openSUSE-DVD-i586-Build0167", "version-unknown"),
            ("CDROM", "unknown"),
            ("", "unknown"),
            ("Ubuntu 24.05 amd64", "unknown"),
            ("Red Hat Enterprise Linux Atomic", "other-system"),
            ("fedora-coreos-36.20220505.3.2", "other-system"),
            ("RHVH-4.4-20210101-RHVH-x86_64", "other-system"),
            ("ESXI-7.0U2-17630552-STANDARD", "other-system"),
            ("13_2_RELEASE_AMD64_DVD", "unknown"),
            ("Debian 7.0.0 kfreebsd-amd64 1", "other-system"),
            ("EL-8-3-x86_64-20210624-dvd", "derivative"),
            ("Fedora-Asahi-Remix-40", "derivative"),
            ("Pop_OS 22.04 amd64 Intel", "derivative"),
            ("Kali Live", "derivative"),
            ("Mageia-7-x86_64", "unknown"),
            ("ALT Workstation 9.1", "unknown"),
            ("MANJARO_KDE_2101", "unknown"),
            ("nixos-22.05-x86_64", "unknown"),
            ("alpine-std 3.18.4 x86_64", "unknown"),
            ("ARCH_202301", "unknown"),
            ("SLAX", "unknown"),
            ("Haiku^r1beta4", "unknown"),
        ],
        volume,
    );
}

#[test]
fn what_the_end_of_a_field_may_have_cut_is_no_evidence() {
    table(
        &[
            // 32 bytes: ppc64 could be ppc64le
            ("Fedora-20-Server-DVD-Live--ppc64", "fedora20 -"),
            // which SLE 15 never had
            ("SLE-15-SP1-Packages-Extra--ppc64", "sle15.1 ppc64le"),
            // four bytes are for the number of the part
            ("SLE-15-SP1-Installer-DVD-x86.001", "sle15.1 x86_64"),
            ("SLE-15-SP1-Installer-DVD-ppc.001", "sle15.1 ppc64le"),
            ("SLE-15-SP1-Installer-DVD-aar.001", "sle15.1 aarch64"),
            ("SLE-12-SP5-Server-DVD-x86_640.001", "sles12.5 x86_64"),
            // a number of two digits is whole, one of a single digit may have been cut
            ("Fedora-Server-netinst-armhfp--40", "fedora40 armv7l"),
            ("Fedora-Server-netinst-armhfp---4", "version-unknown"),
            ("AlmaLinux-9-1-x86_64-Live-Cinnam", "alma9.1 x86_64"),
        ],
        volume,
    );
    let whole = application(
        "SLE-15-SP1-Packages-Extra--ppc64",
        "SLE-15-SP1-Packages-Extra--ppc64le-Build228.2-Media2",
    );
    assert_eq!(answer(&whole), "sle15.1 ppc64le");
    assert_eq!(recognise(&whole).unwrap().disc.unwrap().number, 2);
}

#[test]
fn application_ids_say_what_volume_ids_do_not() {
    let rows = [
        ("FEDORA", "FC/5 ppc", "fedora5 ppc"),
        ("CentOS_6.1_Final", "CentOS_6.1_Final", "centos6.1 -"),
        (
            "Install-SUSE-SLE-16-x86_64",
            "SLES-16.0-Online-x86_64-Build135.5",
            "sles16.0 x86_64",
        ),
        (
            "Rocky-10-0-ppc64le-dvd",
            "ROCKY LINUX 10.0",
            "rocky10.0 ppc64le",
        ),
        ("Rocky-10-0-ppc64le-dvd", "ROCKY LINUX 10.1", "conflict"),
        ("AlmaLinux-10-0-ppc64le-dvd", "ROCKY LINUX 10.0", "conflict"),
    ];
    for (volume, id, expected) in rows {
        assert_eq!(answer(&application(volume, id)), expected, "{volume} {id}");
    }
}

#[test]
fn disk_info_lines_are_read_by_their_words_and_not_by_their_places() {
    table(
        &[
            (
                "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 DVD Binary-1 with firmware 20250111-10:55",
                "debian12.9.0 x86_64",
            ),
            (
                "Debian GNU/Linux 6.0.1a _Squeeze_ - Official i386 NETINST Binary-1 20110320-15:03",
                "debian6.0.1a x86",
            ),
            (
                "Debian GNU/Linux 8.5.0 \"Jessie\" - Official Multi-architecture amd64/i386 NETINST #1 20160604-19:56",
                "debian8.5.0 x86_64",
            ),
            (
                "Debian GNU/Linux 7 \"Wheezy\" - Official Snapshot amd64 LIVE/INSTALL Binary 20140723-17:11",
                "debian7 x86_64",
            ),
            (
                "Debian GNU/Linux 3.1 r0a \"Sarge\" - Official i386 Binary-1 (20050607)",
                "debian3.1 x86",
            ),
            (
                "Debian GNU/Linux 11.3.0 \"Bullseye\" - Unofficial amd64 NETINST with firmware 20220326-11:22",
                "debian11.3.0 x86_64",
            ),
            (
                "Debian GNU/Linux testing \"Trixie\" - Official Snapshot amd64 DVD Binary-1 20231225-03:16",
                "debiantesting x86_64",
            ),
            (
                "Debian GNU/Linux bookworm-DI-rc1 \"Bookworm\" - Official RC amd64 NETINST with firmware 20230402-10:29",
                "debiantesting x86_64",
            ),
            (
                "Debian GNU/Linux 17.1.0 \"Unheardof\" - Official riscv64 NETINST 20310101-10:00",
                "unconfirmed",
            ),
            (
                "Ubuntu-Server 24.04.4 LTS \"Noble Numbat\" - Release arm64 (20260210)\0\0",
                "ubuntu24.04.4 aarch64",
            ),
            (
                "Ubuntu-Server 14.04.1 LTS \"Trusty Tahr\" - Release amd64",
                "ubuntu14.04.1 x86_64",
            ),
            (
                "Ubuntu 13.04 \"Raring Ringtail\" - Alpha amd64 (20121209)",
                "ubuntu13.04.alpha x86_64",
            ),
            (
                "Ubuntu 28.04 LTS \"Zany Zebu\" - Daily amd64 (20280401)",
                "unconfirmed",
            ),
            (
                "Xubuntu 22.04.1 LTS \"Jammy Jellyfish\" - Release amd64 (20220809.1)",
                "ubuntu22.04.1 x86_64",
            ),
        ],
        |line| Evidence::of_file(".disk/info", line),
    );
}

#[test]
fn what_imitates_debian_or_ubuntu_is_refused() {
    table(
        &[
            (
                "Debian GNU/Linux 4.10 \"Rolling\" - Official Snapshot amd64 LIVE/INSTALL Binary 20200810",
                "derivative",
            ),
            (
                "Debian GNU/Linux none \"Sid\" - Snapshot amd64 LIVE Binary 20210101-00:00",
                "derivative",
            ),
            (
                "Debian GNU/Linux 12.1.0 \"Bullseye\" - Official amd64 NETINST 20230722-10:49",
                "derivative",
            ),
            (
                "Debian GNU/Linux 20230501 \"Bookworm\" - Official Snapshot amd64 LIVE Binary",
                "derivative",
            ),
            (
                "Debian GNU/Linux 11 \"Bullseye\" - Snapshot amd64 LIVE/INSTALL Binary 20220101",
                "derivative",
            ),
            (
                "Debian GNU/Linux 99.0 \"Trixie\" - Official amd64 NETINST 20990101",
                "derivative",
            ),
            (
                "Kali GNU/Linux 2022.3rc2 \"Kali-last-snapshot\" - Official amd64 BD Binary-1",
                "derivative",
            ),
            (
                "Pop_OS 24.04 \"Noble Numbat\" - Release arm64 (20251210)",
                "derivative",
            ),
            (
                "Linux Mint 21.2 \"Victoria\" - Release amd64 20230711",
                "derivative",
            ),
            (
                "elementary OS 6.1 \"Jolnir\" - Release amd64 (20211218)",
                "derivative",
            ),
            ("Systemback Live (x) - Release amd64", "derivative"),
            ("Ubuntu 22.04 \"Custom\" - Release amd64", "derivative"),
            (
                "Ubuntu 24.04 LTS \"Jammy Jellyfish\" - Release amd64 (20240424)",
                "derivative",
            ),
        ],
        |line| Evidence::of_file(".disk/info", line),
    );
}

#[test]
fn treeinfo_files_of_every_age_are_read() {
    let rows = [
        ("Red Hat Enterprise Linux", "6.10", "i386", "rhels6.10 x86"),
        (
            "Red Hat Enterprise Linux Server",
            "5.6",
            "x86_64",
            "rhels5.6 x86_64",
        ),
        (
            "Red Hat Enterprise Linux",
            "8.0.0",
            "x86_64",
            "rhels8.0.0 x86_64",
        ),
        ("CentOS", "7", "x86_64", "centos7 x86_64"),
        ("CentOS AltArch", "7", "ppc64le", "centos7 ppc64le"),
        ("CentOS Stream", "10", "ppc64le", "centos-stream10 ppc64le"),
        ("AlmaLinux Kitten", "10", "x86_64", "alma-kitten10 x86_64"),
        ("Rocky Linux Minimal", "9.7", "aarch64", "rocky9.7 aarch64"),
        ("Oracle Linux Server", "6.8", "x86_64", "ol6.8 x86_64"),
        ("Oracle Linux", "9.3.0", "x86_64", "ol9.3 x86_64"),
        ("Fedora-Server", "21", "armhfp", "fedora21 armv7l"),
        ("Fedora", "Rawhide", "x86_64", "fedorarawhide x86_64"),
        ("Fedora", "ELN", "x86_64", "fedoraeln x86_64"),
        ("Scientific Linux", "511", "i386", "SL5.11 x86"),
        ("Scientific Linux-6.9", "6.9", "i386", "SL6.9 x86"),
        ("Scientific", "7.5", "x86_64", "SL7.5 x86_64"),
        (
            "SUSE Linux Enterprise Server",
            "15.4",
            "x86_64",
            "sle15.4 x86_64",
        ),
        ("openSUSE Leap", "15.6", "x86_64", "leap15.6 x86_64"),
        (
            "openSUSE Tumbleweed",
            "",
            "x86_64",
            "opensusetumbleweed x86_64",
        ),
        ("EuroLinux", "8.3", "x86_64", "derivative"),
        ("Unheard Linux", "8.3", "x86_64", "unknown"),
    ];
    for (family, version, arch, expected) in rows {
        assert_eq!(
            answer(&treeinfo(family, version, arch)),
            expected,
            "{family} {version}"
        );
    }
}

#[test]
fn discinfo_files_need_not_be_whole() {
    table(
        &[
            (
                "1699827798.672747\nRocky Linux 9.3\nx86_64\n1\n",
                "rocky9.3 x86_64",
            ),
            (
                "1571146135.637073\nRed Hat Enterprise Linux 8.1.0\nx86_64\n",
                "rhels8.1.0 x86_64",
            ),
            (
                "1180278169.239747\n\"Fedora 7\"\nx86_64\nALL\n",
                "fedora7 x86_64",
            ),
            (
                "1410842701.177578\nFedora-Workstation 21_Alpha\narmhfp\n",
                "fedora21.alpha armv7l",
            ),
            ("1067993671.0\nYarrow\ni386\n1\n", "fedora1 x86"),
            (
                "1244124987.231297\nFedora development\ni386\nALL\n",
                "version-unknown",
            ),
            ("1180000000.1\nFedora 7.92\ni386\n", "unknown"),
            // the family stands elsewhere
            ("1525379451.112078\n7.5\nx86_64\n", "unknown"),
            ("1450147276.351714\n151215\nppc64le\n", "unknown"),
            ("12345\n\u{bd89}\u{c740}\u{bcc4} 3.0\ni386\n", "unknown"),
            ("", "unknown"),
        ],
        |text| Evidence::of_file(".discinfo", text),
    );
}

#[test]
fn a_bare_version_refines_the_family_that_another_file_names() {
    let tree = treeinfo("CentOS", "7", "x86_64");
    let both = with_file(
        tree.clone(),
        ".discinfo",
        "1525379451.112078\n7.5\nx86_64\n",
    );
    assert_eq!(answer(&both), "centos7.5 x86_64");
    let dated = with_file(tree, ".discinfo", "1450147276.351714\n151215\nx86_64\n");
    assert_eq!(answer(&dated), "centos7 x86_64");
}

#[test]
fn the_most_precise_of_what_agrees_names_the_release() {
    let mut evidence = with_names(
        treeinfo("AlmaLinux", "9", "x86_64"),
        &[
            "BaseOS/Packages/almalinux-release-9.3-1.el9.x86_64.rpm",
            "images/pxeboot/vmlinuz",
            ".treeinfo",
        ],
    );
    assert_eq!(answer(&evidence), "alma9.3 x86_64");
    evidence.ids.volume = "AlmaLinux-9-3-x86_64-dvd".into();
    assert_eq!(answer(&evidence), "alma9.3 x86_64");
    evidence.ids.volume = "AlmaLinux-9-4-x86_64-dvd".into();
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "the medium contradicts itself about the version: the package says \
         'almalinux-release-9.3-1.el9.x86_64.rpm': alma 9.3 x86_64, but volume id says \
         'AlmaLinux-9-4-x86_64-dvd': alma 9.4 x86_64; .treeinfo says 'AlmaLinux 9': alma 9 x86_64; say \
         which with -n alma9.3 or -n alma9.4"
    );
}

#[test]
fn release_packages_name_the_release_where_nothing_else_does() {
    let packages = [
        (
            "Packages/c/centos-release-7-9.2009.0.el7.centos.x86_64.rpm",
            "centos7.9 x86_64",
        ),
        (
            "CentOS/centos-release-6-10.el6.centos.12.3.x86_64.rpm",
            "centos6.10 x86_64",
        ),
        (
            "BaseOS/Packages/centos-linux-release-8.5-1.2111.el8.noarch.rpm",
            "centos8.5 -",
        ),
        (
            "BaseOS/Packages/centos-stream-release-9.0-24.el9.noarch.rpm",
            "centos-stream9 -",
        ),
        (
            "BaseOS/Packages/r/rocky-release-8.5-1.el8.noarch.rpm",
            "rocky8.5 -",
        ),
        (
            "BaseOS/Packages/redhat-release-8.6-0.1.el8.x86_64.rpm",
            "rhels8.6 x86_64",
        ),
        (
            "Packages/redhat-release-server-7.9-3.el7.x86_64.rpm",
            "rhels7.9 x86_64",
        ),
        (
            "Packages/redhat-release-server-6Server-6.10.0.3.el6.x86_64.rpm",
            "rhels6.10 x86_64",
        ),
        (
            "Packages/oraclelinux-release-6Server-10.0.2.x86_64.rpm",
            "ol6.10 x86_64",
        ),
        (
            "pool/main/b/base-files/base-files_12.4+deb12u9_amd64.deb",
            "debian12.9 -",
        ),
        // what others put together from Debian's packages lies elsewhere
        (
            "proxmox/packages/base-files_12.4+deb12u9_amd64.deb",
            "unknown",
        ),
        (
            "noarch/openSUSE-release-20240101-1.1.x86_64.rpm",
            "opensusetumbleweed x86_64",
        ),
        (
            "BaseOS/Packages/anolis-release-8.2-8.an8.x86_64.rpm",
            "anolis8.2 x86_64",
        ),
        (
            "Packages/f/fedora-release-common-42-25.noarch.rpm",
            "fedora42 -",
        ),
        (
            "install/x86_64/SLES-release-16.0-160000.37.2.x86_64.rpm",
            "sles16.0 x86_64",
        ),
        (
            "Module-Basesystem/x86_64/sle-module-basesystem-release-15.5-150500.43.2.x86_64.rpm",
            "sle15.5 x86_64",
        ),
        (
            "x86_64/openSUSE-release-15.5-lp155.286.1.x86_64.rpm",
            "leap15.5 x86_64",
        ),
        ("Packages/epel-release-8-8.el8.noarch.rpm", "unknown"),
        (
            "BaseOS/Packages/el-release-8.3-1.el8.x86_64.rpm",
            "derivative",
        ),
    ];
    for (package, expected) in packages {
        assert_eq!(
            answer(&with_names(
                Evidence::default(),
                &[package, "repodata/repomd.xml"]
            )),
            expected,
            "{package}"
        );
    }
}

#[test]
fn a_package_that_clones_carry_too_is_only_a_hint() {
    let names = [
        "BaseOS/repodata/repomd.xml",
        "BaseOS/Packages/oraclelinux-release-8.5-1.0.6.el8.x86_64.rpm",
        "BaseOS/Packages/redhat-release-8.5-1.0.0.1.el8.x86_64.rpm",
    ];
    assert_eq!(
        answer(&with_names(Evidence::default(), &names)),
        "ol8.5 x86_64"
    );
    let names = [
        "repodata/repomd.xml",
        "x86_64/Leap-Micro-release-6.0-10.12.x86_64.rpm",
        "x86_64/SL-Micro-release-6.0-24.36.x86_64.rpm",
    ];
    assert_eq!(
        answer(&with_names(Evidence::default(), &names)),
        "leapmicro6.0 x86_64"
    );
}

#[test]
fn suse_media_are_read_by_media_products_and_content() {
    let files = [
        ("media.1/products", "/ SLES12-SP4 12.4-0\n", "sles12.4 -"),
        (
            "media.1/products",
            "/ SUSE-Linux-Enterprise-Server 12.4-0 ppc64le\n",
            "sles12.4 ppc64le",
        ),
        ("media.1/products", "/ SLE-15-SP4 15.4-0\n", "sle15.4 -"),
        ("media.1/products", "/ openSUSE-Leap 15.6-1\n", "leap15.6 -"),
        ("install/media.1/products", "/ SLES 16.0-0\n", "sles16.0 -"),
        (
            "media.1/media",
            "SUSE - SLE-15-SP1-Packages-x86_64-Build228.2-Media2.iso\nSLE-15-SP1-Packages-x86_64-Build228.2\n2\n",
            "sle15.1 x86_64",
        ),
        (
            "media.1/media",
            "openSUSE - openSUSE-Leap-15.6-NET-x86_64-Build710.3-Media\n",
            "leap15.6 x86_64",
        ),
        (
            "content",
            "PRODUCT SUSE-Linux-Enterprise-Server\nVERSION 11.3-1.69\nLABEL SUSE Linux Enterprise Server 11 SP3\nBASEARCHS x86_64\n",
            "sles11.3 x86_64",
        ),
        (
            "content",
            "DISTRO       cpe:/o:suse:sles:12:sp1,SUSE Linux Enterprise Server 12 SP1\nDEFAULTBASE ppc64le\n",
            "sles12.1 ppc64le",
        ),
    ];
    for (path, text, expected) in files {
        assert_eq!(
            answer(&Evidence::of_file(path, text)),
            expected,
            "{path} {text}"
        );
    }
}

#[test]
fn the_archive_of_another_distributor_speaks_against_every_family() {
    let release = |text: &str| Evidence::of_file("dists/bookworm/Release", text);
    let debian = release(
        "Origin: Debian\nVersion: 12.9\nCodename: bookworm\nArchitectures: all amd64 arm64\n",
    );
    assert_eq!(answer(&debian), "debian12.9 -");
    let line = "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST 20250111-10:54";
    assert_eq!(
        answer(&with_file(debian, ".disk/info", line)),
        "debian12.9.0 x86_64"
    );
    let other = release("Origin: LinuxMint\nVersion: 21\nCodename: victoria\n");
    assert_eq!(answer(&with_file(other, ".disk/info", line)), "derivative");
}

#[test]
fn contradictions_show_both_sides() {
    let evidence = with_file(
        treeinfo("Rocky Linux", "9.3", "x86_64"),
        ".discinfo",
        "1699827798.672747\nRocky Linux 9.3\naarch64\n1\n",
    );
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "the medium contradicts itself about the architecture: .discinfo says 'Rocky Linux 9.3': rocky \
         9.3 aarch64 disc 1, but .treeinfo says 'Rocky Linux 9.3': rocky 9.3 x86_64; say which \
         with -a aarch64 or -a x86_64"
    );
}

#[test]
fn a_label_on_a_disc_with_nothing_to_install_is_refused() {
    let discinfo = "1399449226.155578\nRHEL-7.0 Server.ppc64\nppc64\n";
    let mut evidence = with_names(
        Evidence::of_file(".discinfo", discinfo),
        &[".discinfo", "README", "TRANS.TBL"],
    );
    evidence.ids.volume = "RHEL-7.0 Server.ppc64".into();
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "this calls itself rhels7.0 and holds nothing to install: no installer and no repository of packages \
         among its 3 names: .discinfo says 'RHEL-7.0 Server.ppc64': rhels 7.0 ppc64; volume id says \
         'RHEL-7.0 Server.ppc64': rhels 7.0 ppc64"
    );
    evidence.names.push("ppc/ppc64/vmlinuz".into());
    evidence.names.push("ppc/ppc64/initrd.img".into());
    assert_eq!(answer(&evidence), "rhels7.0 ppc64");
}

#[test]
fn windows_is_refused_by_what_lies_on_it() {
    let evidence = with_names(
        volume("GSP1RMCNULXFRER_EN_DVD"),
        &["sources/install.wim", "bootmgr"],
    );
    assert_eq!(
        recognise(&evidence).unwrap_err().to_string(),
        "this is Windows, which copycds does not import: volume id says 'GSP1RMCNULXFRER_EN_DVD'; the \
         name says 'sources/install.wim'"
    );
    let named = RequestedRelease {
        name: Some("rhels9.4".parse().unwrap()),
        arch: Some(Arch::X86_64),
    };
    let refusal = identify(&evidence, &RULES, &named).unwrap_err();
    assert_eq!(refusal.kind(), "other-system");
}

#[test]
fn a_name_and_an_architecture_settle_what_the_medium_leaves_open() {
    let wanted = |name: Option<&str>, arch| RequestedRelease {
        name: name.map(|name| name.parse().unwrap()),
        arch,
    };
    let told =
        |evidence: &Evidence, wanted: &RequestedRelease| match identify(evidence, &RULES, wanted) {
            Ok(verdict) => format!(
                "{} {}",
                verdict.distro,
                verdict.arch.map_or("-", Arch::name)
            ),
            Err(refusal) => refusal.to_string(),
        };
    let unknown = volume("MYDISC");
    assert_eq!(
        told(&unknown, &wanted(Some("rocky9.4"), None)),
        "rocky9.4 -"
    );
    assert_eq!(
        told(&unknown, &wanted(Some("rocky9.4"), Some(Arch::X86_64))),
        "rocky9.4 x86_64"
    );
    let mint = Evidence::of_file(
        ".disk/info",
        "Linux Mint 21.2 \"Victoria\" - Release amd64 20230711",
    );
    assert_eq!(
        told(&mint, &wanted(Some("ubuntu22.04"), Some(Arch::X86_64))),
        "ubuntu22.04 x86_64"
    );
    let centos = volume("CentOS_6.5_Final");
    assert_eq!(
        told(&centos, &wanted(None, Some(Arch::X86))),
        "centos6.5 x86"
    );
    let rocky = volume("Rocky-9-0-s390x-dvd");
    assert_eq!(
        told(&rocky, &wanted(None, Some(Arch::X86_64))),
        "requested distribution architecture x86_64, but media is s390x: volume id says \
         'Rocky-9-0-s390x-dvd': rocky 9.0 s390x; take it as it is with -a s390x"
    );
    let both = Evidence::of_file(
        ".disk/info",
        "Debian GNU/Linux 8.5.0 \"Jessie\" - Official Multi-architecture amd64/i386 NETINST #1",
    );
    assert_eq!(
        told(&both, &wanted(None, Some(Arch::X86))),
        "debian8.5.0 x86"
    );
}

#[test]
fn an_unknown_architecture_is_said_with_what_would_tell_it() {
    let verdict = recognise(&volume("CentOS_6.5_Final")).unwrap();
    assert_eq!(
        verdict.require_arch().unwrap_err().to_string(),
        "this is centos6.5, but nothing on it says for which architecture: volume id says \
         'CentOS_6.5_Final': centos 6.5; give it with -a, as in -a x86_64"
    );
}

#[test]
fn the_installer_is_told_by_its_files() {
    let ubuntu = "Ubuntu-Server 20.04.6 LTS amd64";
    let rows: [(&str, &[&str], Option<MediumInstaller>); 10] = [
        (
            ubuntu,
            &["casper/install-sources.yaml"],
            Some(MediumInstaller::Subiquity),
        ),
        (
            ubuntu,
            &["casper/vmlinuz", "casper/installer.squashfs"],
            Some(MediumInstaller::Subiquity),
        ),
        (
            ubuntu,
            &["install/vmlinuz"],
            Some(MediumInstaller::DebianInstaller),
        ),
        (ubuntu, &["casper/vmlinuz"], Some(MediumInstaller::Casper)),
        (
            "Debian 12.0.0 amd64 1",
            &["install.amd/vmlinuz"],
            Some(MediumInstaller::DebianInstaller),
        ),
        (
            "d-live 12.0.0 gn amd64",
            &["live/filesystem.squashfs"],
            Some(MediumInstaller::DebianLive),
        ),
        (
            "Rocky-9-0-x86_64-dvd",
            &[".treeinfo", "images/pxeboot/vmlinuz"],
            Some(MediumInstaller::Anaconda),
        ),
        (
            "Fedora-WS-Live-40-1-14",
            &["LiveOS/squashfs.img", "images/pxeboot/vmlinuz"],
            Some(MediumInstaller::LiveOs),
        ),
        (
            "SLE-15-SP2-Full-x86_64209.21.001",
            &["boot/x86_64/loader/linux"],
            Some(MediumInstaller::Yast),
        ),
        (
            "Install-Leap-16.0-x86_64",
            &["LiveOS/squashfs.img", "boot/x86_64/loader"],
            Some(MediumInstaller::Agama),
        ),
    ];
    for (id, names, expected) in rows {
        let verdict = recognise(&with_names(volume(id), names)).unwrap();
        assert_eq!(verdict.installer, expected, "{id}");
    }
    assert_eq!(recognise(&volume(ubuntu)).unwrap().installer, None);
}

#[test]
fn the_report_has_the_lines_that_users_of_xcat_know() {
    let mut evidence = Evidence::of_file(
        ".discinfo",
        "1699827798.672747\nRocky Linux 9.3\nx86_64\n1\n",
    );
    evidence.ids.volume = "Rocky-9-3-x86_64-dvd".into();
    let verdict = recognise(&evidence).unwrap();
    assert_eq!(
        verdict.render("/iso/rocky.iso".as_ref()),
        "OS Image:/iso/rocky.iso\n\
         DISTNAME:rocky9.3\n\
         ARCH:x86_64\n\
         DISCNO:1\n  \
           .discinfo says 'Rocky Linux 9.3': rocky 9.3 x86_64 disc 1\n  \
           volume id says 'Rocky-9-3-x86_64-dvd': rocky 9.3 x86_64\n"
    );
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(
        serde_json::from_str::<MediumIdentity>(&text).unwrap(),
        verdict
    );
}
