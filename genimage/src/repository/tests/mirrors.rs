//! Mirrors under attack: what somebody who can write to a mirror, or answers in its place, may put there. Each family's
//! mirror is refused before a node is told of it; an honest one is not.

use repodata::{Algorithm, Digest};

use super::*;
use crate::check::packages::{IndexCache, TargetPlatform, packages};
use crate::pkglist::{ListItem, PackageTransaction, PkgList};
use crate::repository::signature::tests::signed_by;

/// The families, by a release of each, with its code name where it is of apt.
const FAMILIES: [(&str, &str); 4] = [
    ("debian12.9.0", "bookworm"),
    ("ubuntu24.04", "noble"),
    ("rocky9.4", ""),
    ("sle15.5", ""),
];
const OTHER_KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
/// No field of an index is longer.
const TOO_LONG: usize = 17 << 20;

/// What a mirror holds.
struct Mirror {
    codename: String,
    valid_until: &'static str,
    /// The fields of the release, or the type of a checksum, and the digests below.
    algorithm: Algorithm,
    signer: String,
    filename: String,
    /// What is added to the description of its package.
    more: String,
    /// What is written after the index was listed.
    after: &'static str,
    /// The path of rpm-md's primary.
    primary: &'static str,
}

impl Mirror {
    fn honest(codename: &str) -> Self {
        Self {
            codename: codename.to_owned(),
            valid_until: "Sat, 13 Sep 2185 09:30:13 UTC",
            algorithm: Algorithm::Sha256,
            signer: key::fingerprints(KEY).remove(0),
            filename: "pool/sitetool.pkg".to_owned(),
            more: String::new(),
            after: "",
            primary: "repodata/primary.xml",
        }
    }

    /// Writes it, and returns its entry.
    fn write(&self, scene: &Scene) -> String {
        let apt = !self.codename.is_empty();
        let index = if apt { self.stanza() } else { self.element() };
        let digest = Digest::of(self.algorithm, index.as_bytes());
        let put = |name: &str, text: &str| {
            let path = scene.directory.path().join("m").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let index = index + self.after;
        let signed = signed_by(&self.signer);
        if apt {
            let suite = scene.suite();
            let field = match self.algorithm {
                Algorithm::Md5 => "MD5Sum",
                _ => "SHA256",
            };
            let release = format!(
                "Codename: {}\nValid-Until: {}\n{field}:\n {digest} {} main/binary-amd64/Packages\n",
                self.codename,
                self.valid_until,
                index.len()
            );
            let signed = signed.replace("Suite: x\n", &release);
            put(&format!("dists/{suite}/main/binary-amd64/Packages"), &index);
            put(&format!("dists/{suite}/InRelease"), &signed);
            return format!("[signed-by=/keys/docker.asc] DIR/m {suite} main");
        }
        let repomd = format!(
            "<repomd><data type=\"primary\"><checksum type=\"{}\">{digest}</checksum><location href=\"{}\"/></data></repomd>",
            self.algorithm.name(),
            self.primary
        );
        put("repodata/primary.xml", &index);
        put("repodata/repomd.xml", &repomd);
        put("repodata/repomd.xml.asc", &signed);
        "[gpgkey=/keys/docker.asc] DIR/m".to_owned()
    }

    fn stanza(&self) -> String {
        format!(
            "Package: sitetool\nVersion: 1\nFilename: {}\nDescription: {}\n",
            self.filename, self.more
        )
    }

    fn element(&self) -> String {
        format!(
            "<metadata packages=\"1\"><package type=\"rpm\"><name>sitetool</name><arch>x86_64</arch>\
             <version epoch=\"0\" ver=\"1\" rel=\"1\"/><description>{}</description><location href=\"{}\"/>\
             <format/></package></metadata>",
            self.more, self.filename
        )
    }
}

impl Scene {
    /// The suite of its release.
    fn suite(&self) -> &'static str {
        let name = self.distro.to_string();
        let family = FAMILIES.iter().find(|(release, _)| *release == name);
        family.unwrap().1
    }

    /// What is wrong with an entry, and with what a list takes from it.
    fn found(&self, entry: &str) -> String {
        let repositories = match self.extra(&[entry], &[]) {
            Ok(repositories) => repositories,
            Err(message) => return message.replace(&format!("otherpkgdir '{entry}': "), ""),
        };
        let item = ListItem {
            name: "sitetool".to_owned(),
            directory: None,
            version: None,
            place: FileLine {
                file: "a.pkglist".into(),
                line: 1,
            },
        };
        let list = PkgList {
            transactions: vec![PackageTransaction {
                install: vec![item],
                ..PackageTransaction::default()
            }],
            ..PkgList::default()
        };
        let platform = TargetPlatform {
            distro: &self.distro,
            arch: Arch::X86_64,
        };
        let found = packages(&list, &repositories, platform, &IndexCache::default());
        let found = found.problems.iter().chain(&found.notes);
        let lines: Vec<_> = found
            .map(|problem| self.hide(&problem.to_string()))
            .collect();
        lines.join("\n")
    }
}

/// What an attacker does, and what is said then of a mirror of apt and of one of rpm-md; nothing where the form has nothing
/// of that kind.
type Attack = (
    &'static str,
    fn(&mut Mirror),
    Option<&'static str>,
    Option<&'static str>,
);

const ATTACKS: [Attack; 9] = [
    ("an honest mirror", |_| {}, Some(""), Some("")),
    (
        "another key",
        |mirror| mirror.signer = OTHER_KEY.to_owned(),
        Some(
            "DIR/m/dists/SUITE/InRelease is signed by the key 0123456789ABCDEF0123456789ABCDEF01234567, and the named one is \
             7E9133288ED2DAC35AAB03F975B575F9CE6876AD: name the key that signs it",
        ),
        Some(
            "DIR/m/repodata/repomd.xml.asc is signed by the key 0123456789ABCDEF0123456789ABCDEF01234567, and the named one \
             is 7E9133288ED2DAC35AAB03F975B575F9CE6876AD: name the key that signs it",
        ),
    ),
    (
        "an index of before, with its signature",
        |mirror| mirror.valid_until = "Sat, 13 Sep 2025 09:30:13 UTC",
        Some(
            "DIR/m/dists/SUITE counted until Sat, 13 Sep 2025 09:30:13 UTC, and nodes refuse it since: bring the mirror up to \
             date, or leave Valid-Until out when you sign it",
        ),
        None,
    ),
    (
        "another suite, with its signature",
        |mirror| mirror.codename = "trixie".to_owned(),
        Some(
            "DIR/m/dists/SUITE: is the suite 'trixie', and not 'SUITE': name that one, or bring the mirror up to date",
        ),
        None,
    ),
    (
        "digests that can be forged",
        |mirror| mirror.algorithm = Algorithm::Md5,
        Some(
            "DIR/m/dists/SUITE/main/binary-amd64/Packages: Release gives it no SHA-256 and no SHA-512, and anybody could have \
             made it: bring the mirror up to date, or create Release again",
        ),
        Some(
            "DIR/m/repodata/primary.xml: repomd.xml gives it no SHA-256 and no SHA-512, and anybody could have made it: bring \
             the mirror up to date, or create repomd.xml again",
        ),
    ),
    (
        "an index that is not the listed one",
        |mirror| mirror.after = "\n",
        Some(
            "DIR/m/dists/SUITE/main/binary-amd64/Packages: differs from the digest in Release, and nodes would refuse it: bring \
             the mirror up to date, or create that again",
        ),
        Some(
            "DIR/m/repodata/primary.xml: differs from the digest in repomd.xml, and nodes would refuse it: bring the mirror up \
             to date, or create that again",
        ),
    ),
    (
        "a package of another place",
        |mirror| mirror.filename = "pool/../../secret/sitetool".to_owned(),
        Some(
            "DIR/m/dists/SUITE/main/binary-amd64/Packages: this index cannot be read: the file of sitetool is \
             'pool/../../secret/sitetool', which leads out of the repository: import the medium again, or create the index again",
        ),
        Some(
            "DIR/m/repodata/primary.xml: this index cannot be read: the file of sitetool is 'pool/../../secret/sitetool', which \
             leads out of the repository: import the medium again, or create the index again",
        ),
    ),
    (
        "an index of another place",
        |mirror| mirror.primary = "../n/primary.xml",
        None,
        Some(
            "DIR/m/repodata/repomd.xml: names '../n/primary.xml', which leads out of the repository: create it again",
        ),
    ),
    (
        "an entry without end",
        |mirror| mirror.more = "x".repeat(TOO_LONG),
        Some(
            "DIR/m/dists/SUITE/main/binary-amd64/Packages:4: this index cannot be read: it is longer than 16777216 bytes: import \
             the medium again, or create the index again",
        ),
        Some(
            "DIR/m/repodata/primary.xml: this index cannot be read: byte 132: one of its elements is longer than 16777216 bytes: \
             import the medium again, or create the index again",
        ),
    ),
];

#[test]
fn a_mirror_under_attack_is_refused_in_every_family() {
    for (release, codename) in FAMILIES {
        for (what, attack, of_apt, of_rpm) in ATTACKS {
            let scene = Scene::new(release, &[]);
            let mut mirror = Mirror::honest(codename);
            attack(&mut mirror);
            if codename.is_empty() {
                mirror.codename.clear();
            }
            let expected = if codename.is_empty() { of_rpm } else { of_apt };
            let Some(expected) = expected else { continue };
            // dnf asks for no signature of an index, and nodes refuse the packages instead
            let is_dnf = release.starts_with("rocky");
            let expected = if is_dnf && what == "another key" {
                ""
            } else {
                expected
            };
            let found = scene.found(&mirror.write(&scene));
            let expected = expected.replace("SUITE", scene.suite());
            assert_eq!(found, expected, "{release}: {what}");
        }
    }
}
