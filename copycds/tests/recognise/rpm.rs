//! What discs of rpm releases say: .treeinfo, .discinfo, release packages, media.N.

use copycds::recognise::Evidence;

use crate::{answer, recognise, table, treeinfo, with_file, with_names};

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
