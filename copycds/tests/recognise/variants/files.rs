//! What the files on a medium say of its release, beside its label or against it.

use copycds::recognise::Evidence;

use super::{answer, disk_info, recognise, treeinfo, volume, with_release};

#[test]
fn a_file_counts_in_the_encoding_that_it_names_and_never_without_its_nuls() {
    let treeinfo = "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n";
    let discinfo = "1714780000.0\nRocky Linux 9.4\nx86_64\n";
    let debian = "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST 20250111-10:54";
    let encoded = |text: &str, unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    };
    for (path, text, release) in [
        (".treeinfo", treeinfo, "rocky9.4 x86_64"),
        (".discinfo", discinfo, "rocky9.4 x86_64"),
        (".disk/info", debian, "debian12.9.0 x86_64"),
    ] {
        let marked = format!("\u{feff}{text}");
        for (bytes, expected) in [
            (text.as_bytes().to_vec(), release),
            (marked.as_bytes().to_vec(), release),
            (format!("{text}\0\0\0").into_bytes(), release),
            (encoded(&marked, u16::to_le_bytes), release),
            (encoded(&marked, u16::to_be_bytes), release),
            (encoded(text, u16::to_le_bytes), "refused"),
            (encoded(text, u16::to_be_bytes), "refused"),
            (text.replace("9.", "9\0.").into_bytes(), "refused"),
            (text.replace("Linux", "\0Linux").into_bytes(), "refused"),
        ] {
            let found = answer(&Evidence::of_file(path, bytes.clone()));
            let shown = String::from_utf8_lossy(&bytes);
            match expected {
                "refused" => assert!(!found.contains(' '), "{path}: {shown:?} is {found}"),
                release => assert_eq!(found, release, "{path}: {shown:?}"),
            }
        }
    }
    // line ends of a system that is gone: shown, and evidence against a label
    let text = treeinfo.replace('\n', "\r");
    assert_eq!(answer(&Evidence::of_file(".treeinfo", text)), "unknown");
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
        (".treeinfo", &short("红旗"), "conflict"),
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
fn what_other_readers_of_treeinfo_would_read_counts_too() {
    let rocky = "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n";
    for (text, expected) in [
        (rocky.to_owned(), "rocky9.4 x86_64"),
        // one line over two: what is further in belongs to the value before it
        (
            "[general]\nfamily = Rocky Linux\n  Acme\nversion = 9.4\narch = x86_64\n".into(),
            "unknown",
        ),
        (
            "  [general]\n  family = Rocky Linux\n  version = 9.4\n  arch = x86_64\n".into(),
            "rocky9.4 x86_64",
        ),
        (format!("{rocky}version = 9.5\n"), "conflict"),
        (format!("{rocky}[general]\nversion = 9.5\n"), "conflict"),
        (format!("{rocky}version = 9.4\n"), "rocky9.4 x86_64"),
        (format!("{rocky}arch = aarch64\n"), "conflict"),
        (format!("{rocky}[tree]\narch = x86_64_v2\n"), "other-arch"),
    ] {
        assert_eq!(
            answer(&Evidence::of_file(".treeinfo", &*text)),
            expected,
            "{text}"
        );
    }
}

#[test]
fn the_architecture_of_diskdefines_is_that_of_the_disc() {
    let name = "Ubuntu-Server 24.04.1 LTS \"Noble Numbat\" - Release amd64 (20240827)";
    for (arch, expected) in [
        ("amd64", "ubuntu24.04.1 x86_64"),
        ("amd64+mac", "ubuntu24.04.1 x86_64"),
        ("arm64", "conflict"),
        ("amd64v3", "other-arch"),
    ] {
        let mut medium = disk_info(name);
        let defines = format!("#define DISKNAME  {name}\n#define ARCH  {arch}\n");
        medium
            .files
            .insert("README.diskdefines".into(), defines.into());
        assert_eq!(answer(&medium), expected, "{arch}");
    }
}
