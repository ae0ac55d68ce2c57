//! Two sources at a time: every form in which a medium can name its release, against every other form of
//! the same release, of another release and of a product that no rule knows. What agrees is recognised;
//! what contradicts, or speaks of something foreign, is refused with both texts.

use std::sync::LazyLock;

use copycds::recognise::{
    Evidence, MediumIdentity, RecognitionRules, Rejection, RequestedRelease, identify,
};
use definitions::Arch;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

/// One place in which a medium speaks of itself.
#[derive(Debug, Clone, Copy)]
enum Form {
    Volume,
    Application,
    Name,
    File(&'static str),
}

/// A form and the words in it.
type EvidenceText = (Form, &'static str);

/// A release, and all the words for it.
struct Release {
    distro: &'static str,
    arch: &'static str,
    sources: &'static [EvidenceText],
}

use Form::{Application, File, Name, Volume};

const TREEINFO: Form = File(".treeinfo");
const DISCINFO: Form = File(".discinfo");
const MEDIA_REPO: Form = File("media.repo");
const PRODUCTS: Form = File("media.1/products");
const DISK_INFO: Form = File(".disk/info");

const RELEASES: &[Release] = &[
    Release {
        distro: "rocky9.4",
        arch: "x86_64",
        sources: &[
            (Volume, "Rocky-9-4-x86_64-dvd"),
            (Application, "ROCKY LINUX 9.4"),
            (
                TREEINFO,
                "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n",
            ),
            (DISCINFO, "1714780000.1\nRocky Linux 9.4\nx86_64\n1\n"),
            (MEDIA_REPO, "[InstallMedia]\nname=Rocky Linux 9.4\n"),
            (
                Name,
                "BaseOS/Packages/r/rocky-release-9.4-1.7.el9.noarch.rpm",
            ),
        ],
    },
    Release {
        distro: "rocky9.3",
        arch: "x86_64",
        sources: &[
            (Volume, "Rocky-9-3-x86_64-dvd"),
            (
                TREEINFO,
                "[general]\nfamily = Rocky Linux\nversion = 9.3\narch = x86_64\n",
            ),
            (DISCINFO, "1699827798.6\nRocky Linux 9.3\nx86_64\n1\n"),
            (
                Name,
                "BaseOS/Packages/r/rocky-release-9.3-1.2.el9.noarch.rpm",
            ),
        ],
    },
    Release {
        distro: "rhels9.4",
        arch: "aarch64",
        sources: &[
            (Volume, "RHEL-9-4-0-BaseOS-aarch64"),
            (
                TREEINFO,
                "[general]\nfamily = Red Hat Enterprise Linux\nversion = 9.4\narch = aarch64\nvariant = BaseOS\n",
            ),
            (
                MEDIA_REPO,
                "[InstallMedia]\nname=Red Hat Enterprise Linux 9.4.0\n",
            ),
            (
                DISCINFO,
                "1712800000.1\nRed Hat Enterprise Linux 9.4.0\naarch64\n1\n",
            ),
            (
                Name,
                "BaseOS/Packages/redhat-release-9.4-0.4.el9.aarch64.rpm",
            ),
        ],
    },
    Release {
        distro: "sle15.4",
        arch: "x86_64",
        sources: &[
            (Volume, "SLE-15-SP4-Full-x86_64151.11.001"),
            (Application, "SLE-15-SP4-Full-x86_64-Build151.1-Media1"),
            (
                TREEINFO,
                "[general]\nfamily = SUSE Linux Enterprise Server\nname = SUSE Linux Enterprise\nversion = \
                 15.4\narch = x86_64\n[release]\nname = SUSE Linux Enterprise\nversion = 15 SP4\n",
            ),
            (PRODUCTS, "/ SLE-15-SP4 15.4-0\n"),
            (
                File("media.1/media"),
                "SUSE - SLE-15-SP4-Full-x86_64-Build151.1-Media1\nSLE-15-SP4-Full-x86_64-Build151.1\n1\n",
            ),
        ],
    },
    Release {
        distro: "leap42.3",
        arch: "x86_64",
        sources: &[
            (Volume, "openSUSE-Leap-42.3-DVD-x86_64033"),
            (
                Application,
                "openSUSE-Leap-42.3-DVD-x86_64-Build0331-Media1",
            ),
            (
                File("content"),
                "CONTENTSTYLE     11\nDISTRO           cpe:/o:opensuse:opensuse:42.3,openSUSE\n",
            ),
            (
                File("media.1/media"),
                "openSUSE\nopenSUSE-Leap-42.3-DVD-x86_64-Build0331\n1\n",
            ),
        ],
    },
    Release {
        distro: "debian12.9.0",
        arch: "x86_64",
        sources: &[
            (Volume, "Debian 12.9.0 amd64 n"),
            (
                DISK_INFO,
                "Debian GNU/Linux 12.9.0 \"Bookworm\" - Official amd64 NETINST with firmware 20250111-10:54",
            ),
            (
                File("dists/bookworm/Release"),
                "Origin: Debian\nSuite: stable\nVersion: 12.9\nCodename: bookworm\n",
            ),
            (
                Name,
                "pool/main/b/base-files/base-files_12.4+deb12u9_amd64.deb",
            ),
        ],
    },
    Release {
        distro: "ubuntu24.04.1",
        arch: "x86_64",
        sources: &[
            (Volume, "Ubuntu-Server 24.04.1 LTS amd64"),
            (
                DISK_INFO,
                "Ubuntu-Server 24.04.1 LTS \"Noble Numbat\" - Release amd64 (20240827)",
            ),
            (
                File("README.diskdefines"),
                "#define DISKNAME  Ubuntu-Server 24.04.1 LTS \"Noble Numbat\" - Release amd64\n#define \
                 DISKNUM  1\n",
            ),
            (
                File("dists/noble/Release"),
                "Origin: Ubuntu\nSuite: noble\nVersion: 24.04\nCodename: noble\n",
            ),
        ],
    },
];

/// What no rule knows, in every form that can name a product.
const FOREIGN: &[EvidenceText] = &[
    (Volume, "Acme Linux 7"),
    (Volume, "ACME-Manager-Server-4.1"),
    (Volume, "ACME-x86_64"),
    (Application, "ACME-Manager-Server-4.1-DVD"),
    (
        TREEINFO,
        "[general]\nfamily = Acme Linux\nversion = 9.4\narch = x86_64\n",
    ),
    (
        TREEINFO,
        "[release]\nname = Acme Linux\nversion = 9.4\n[tree]\narch = x86_64\n",
    ),
    (DISCINFO, "1714780000.1\nAcme Linux 9.4\nx86_64\n"),
    (DISCINFO, "build\nAcme Linux 9.4\nx86_64\n"),
    (MEDIA_REPO, "[InstallMedia]\nname=Acme Linux 9.4\n"),
    (MEDIA_REPO, "[acme]\nname=Acme Linux 9.4\n"),
    (PRODUCTS, "/ Acme-Manager 4.1-0\n"),
    (
        File("media.1/media"),
        "Acme - Manager-4.1-Media1\nManager-4.1\n1\n",
    ),
    (File("content"), "PRODUCT Acme-Manager\nVERSION 4.1\n"),
    (
        File("content"),
        "DISTRO cpe:/o:acme:manager:4.1,Acme Manager\n",
    ),
    (DISK_INFO, "Acme 9.4 \"Anvil\" - Release amd64 (20240827)"),
    (
        File("README.diskdefines"),
        "#define DISKNAME  Acme from scratch\n",
    ),
    (
        File("dists/anvil/Release"),
        "Origin: Acme\nVersion: 9.4\nCodename: anvil\n",
    ),
    // the words of a known release, and one more
    (Volume, "Rocky-9-4-x86_64_v2-dvd"),
    (
        DISCINFO,
        "1714780000.1\nRed Hat Enterprise Linux 9.4 Beta\nx86_64\n",
    ),
    (PRODUCTS, "/ SLES_SAP 12.4-0\n"),
    (
        DISK_INFO,
        "Ubuntu Anvil Remix 24.04 \"Noble Numbat\" - Release amd64 (20240827)",
    ),
];

fn evidence(sources: &[EvidenceText]) -> Evidence {
    let mut evidence = Evidence::default();
    for (form, text) in sources {
        match form {
            Volume => evidence.ids.volume = (*text).to_owned(),
            Application => evidence.ids.application = (*text).to_owned(),
            Name => evidence
                .names
                .extend([(*text).to_owned(), "repodata/repomd.xml".to_owned()]),
            File(path) => {
                evidence.files.insert((*path).to_owned(), (*text).into());
            }
        }
    }
    if !evidence.names.is_empty() {
        let boot = ["boot/x/loader/linux", "boot/x/loader/initrd"];
        evidence.names.extend(boot.map(str::to_owned));
    }
    evidence
}

fn recognise(sources: &[EvidenceText]) -> Result<MediumIdentity, Rejection> {
    identify(&evidence(sources), &RULES, &RequestedRelease::default())
}

/// The same place can hold only one text; of packages there may be several, of which only what they have
/// in common counts.
fn fit_together(left: &EvidenceText, right: &EvidenceText) -> bool {
    format!("{:?}", left.0) != format!("{:?}", right.0)
}

/// Whether a refusal shows what a source says.
fn shows(text: &str, (form, words): &EvidenceText) -> bool {
    match form {
        Volume => text.contains(&format!("volume id says '{words}'")),
        Application => text.contains(&format!("application id says '{words}'")),
        Name => text.contains(words.rsplit('/').next().unwrap_or_default()),
        File(path) => text.contains(&format!("{path} says '")),
    }
}

#[test]
fn every_source_by_itself_tells_its_release_or_less() {
    for release in RELEASES {
        for source in release.sources {
            let verdict = recognise(&[*source]).unwrap_or_else(|refusal| panic!("{refusal}"));
            let told = verdict.distro.as_str();
            // RHEL's third number, which is always 0, is the medium's own
            let agrees = release.distro.starts_with(told) || told.starts_with(release.distro);
            assert!(agrees, "{source:?}: {told}");
        }
    }
}

#[test]
fn sources_that_agree_make_one_verdict_whatever_their_order() {
    let mut pairs = 0;
    for release in RELEASES {
        for left in release.sources {
            for right in release
                .sources
                .iter()
                .filter(|right| fit_together(left, right))
            {
                let verdict =
                    recognise(&[*left, *right]).unwrap_or_else(|refusal| panic!("{refusal}"));
                let told = verdict.distro.as_str();
                let agrees = release.distro.starts_with(told) || told.starts_with(release.distro);
                assert!(agrees, "{left:?} {right:?}: {told}");
                if let Some(arch) = verdict.arch {
                    assert_eq!(arch.name(), release.arch, "{left:?} {right:?}");
                }
                pairs += 1;
            }
        }
        let all = recognise(release.sources).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(
            all.distro.as_str().starts_with(release.distro),
            "{}",
            all.distro
        );
        assert_eq!(all.arch.map(Arch::name), Some(release.arch));
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn sources_of_two_releases_are_refused_with_both_texts() {
    let mut pairs = 0;
    for (index, release) in RELEASES.iter().enumerate() {
        for other in &RELEASES[index + 1..] {
            for left in release.sources {
                for right in other
                    .sources
                    .iter()
                    .filter(|right| fit_together(left, right))
                {
                    // the number of a package of Debian's says nothing beside what is firm
                    if [left, right]
                        .iter()
                        .any(|source| source.1.contains("base-files"))
                    {
                        continue;
                    }
                    match recognise(&[*left, *right]) {
                        Ok(verdict) => panic!("{left:?} {right:?}: {}", verdict.distro),
                        Err(refusal) => {
                            let text = refusal.to_string();
                            assert_eq!(refusal.kind(), "conflict", "{text}");
                            assert!(shows(&text, left), "{left:?}: {text}");
                            assert!(shows(&text, right), "{right:?}: {text}");
                        }
                    }
                    pairs += 1;
                }
            }
        }
    }
    assert!(pairs > 300, "{pairs}");
}

#[test]
fn a_foreign_source_beside_any_other_is_refused_with_both_texts() {
    let mut pairs = 0;
    for release in RELEASES {
        for left in release.sources {
            for right in FOREIGN.iter().filter(|right| fit_together(left, right)) {
                match recognise(&[*left, *right]) {
                    Ok(verdict) => panic!("{left:?} {right:?}: {}", verdict.distro),
                    Err(refusal) => {
                        let text = refusal.to_string();
                        assert!(shows(&text, left), "{left:?}: {text}");
                        assert!(shows(&text, right), "{right:?}: {text}");
                    }
                }
                pairs += 1;
            }
        }
    }
    assert!(pairs > 500, "{pairs}");
}

#[test]
fn a_label_that_names_no_product_is_no_contradiction() {
    for label in [
        "MYLAB",
        "CDROM",
        "ISOIMAGE",
        "KS-2024",
        "20240101",
        "MY DVD 1",
        "ROCKY9KS",
        "lab_disc_2",
    ] {
        for release in RELEASES {
            for source in release.sources {
                let found = recognise(&[*source, (Volume, label)]);
                if matches!(source.0, Volume) {
                    continue;
                }
                let verdict = found.unwrap_or_else(|refusal| panic!("{label}: {refusal}"));
                let told = verdict.distro.as_str();
                assert!(release.distro.starts_with(told) || told.starts_with(release.distro));
            }
        }
    }
}

#[test]
fn the_sections_of_one_file_may_not_contradict_each_other() {
    for (text, kind) in [
        (
            "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[tree]\narch = aarch64\n",
            "conflict",
        ),
        (
            "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[tree]\narch = x86_64_v3\n",
            "other-arch",
        ),
        (
            "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[release]\nname = Rocky \
             Linux\nversion = 9.3\n",
            "conflict",
        ),
        (
            "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n[release]\nname = Acme\n\
             version = 9.4\n",
            "conflict",
        ),
        (
            "[general]\nfamily = Rocky Linux\nversion = 9.4\nname = Rocky Linux 9.4 Beta\narch = x86_64\n",
            "conflict",
        ),
    ] {
        let refusal = recognise(&[(TREEINFO, text)]).unwrap_err();
        assert_eq!(refusal.kind(), kind, "{text}: {refusal}");
    }
}

#[test]
fn one_release_for_two_architectures_is_refused_with_the_option_that_settles_it() {
    let text = recognise(&[
        (Volume, "Rocky-9-4-aarch64-dvd"),
        (
            TREEINFO,
            "[general]\nfamily = Rocky Linux\nversion = 9.4\narch = x86_64\n",
        ),
    ])
    .unwrap_err()
    .to_string();
    assert!(
        text.ends_with("; say which with -a aarch64 or -a x86_64"),
        "{text}"
    );
}
