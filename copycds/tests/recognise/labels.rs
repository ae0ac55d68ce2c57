//! Labels: volume and application ids.

use crate::{answer, application, recognise, table, volume};

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
            ("Rocky-9-5-x86-64-dvd", "rocky9.5 x86_64"),
            ("rocky-8-7-x86_64-boot", "rocky8.7 x86_64"),
            ("Rocky-9-2-x86_64", "rocky9.2 x86_64"),
            ("openEuler-25.03-x86_64", "openeuler25.03 x86_64"),
            ("Fedora-LXDE-Live-33-1-2", "fedora33 -"),
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
            // the digits of an architecture are no version
            ("Fedora-Everything-x86_64", "unknown"),
            ("Fedora x86-64 DVD", "unknown"),
            ("Anolis-x86_64", "unknown"),
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
