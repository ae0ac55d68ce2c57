//! Media with metadata made by the distributions' own tools, and what `copycds` reads of it.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

mod workbench;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use copycds::checksums::{
    self, Coverage, ExpectedDigests, ImplantedMd5, Keyrings, Keys, MediumTrust, UnverifiedPolicy,
};
use copycds::digest::{Algorithm, Digest};
use copycds::media::{Medium, MediumPath};
use libtest_mimic::Arguments;
use workbench::{Workbench, gpg, run, trial};

fn main() {
    let debian = &["xorriso", "dpkg-deb", "apt-ftparchive", "gpg", "gpgv"][..];
    let rpm = &["rpmbuild", "createrepo_c", "zstd", "gpg", "gpgv"][..];
    let trials = vec![
        trial(
            "a_signed_release_vouches_for_the_whole_pool",
            debian,
            signed_release,
        ),
        trial(
            "a_signature_without_its_key_is_refused_or_noted",
            debian,
            unknown_key,
        ),
        trial(
            "a_changed_release_is_refused_by_its_signature",
            debian,
            changed_release,
        ),
        trial(
            "a_clear_signed_release_counts_as_signed",
            debian,
            clear_signed,
        ),
        trial("a_list_counts_under_every_usual_name", debian, list_names),
        trial("a_lost_package_is_refused", debian, lost_package),
        trial(
            "a_damaged_index_is_refused_by_its_own_name",
            debian,
            damaged_index,
        ),
        trial(
            "repomd_vouches_for_every_package_however_packed",
            rpm,
            rpm_repositories,
        ),
        trial(
            "a_repository_that_contradicts_a_list_is_refused",
            rpm,
            contradiction,
        ),
        trial("suse_lists_vouch_for_what_they_list", &[], suse),
        trial(
            "an_implanted_md5_finds_one_flipped_byte",
            &["xorriso", "implantisomd5"],
            implanted,
        ),
        trial(
            "a_boot_program_has_the_digest_that_was_listed",
            &["xorriso"],
            boot_info_table,
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Returns the keys in the directory `keyrings` of a bench, and no others.
fn keys_in(keyrings: &Path) -> anyhow::Result<Keys> {
    Keyrings::load(keyrings.parent().unwrap())?.of("none")
}

fn gather(medium: &Path, keys: &Path) -> anyhow::Result<(ExpectedDigests, Coverage)> {
    let medium = Medium::open(medium)?;
    let keys = keys_in(keys)?;
    let checksums = checksums::gather(&medium, &keys, UnverifiedPolicy::Refuse)?;
    let coverage = Coverage::of(&checksums, None, medium.entries());
    Ok((checksums, coverage))
}

fn message(medium: &Path, keys: &Path) -> String {
    format!("{:#}", gather(medium, keys).unwrap_err())
}

fn expected<'a>(checksums: &'a ExpectedDigests, path: &str) -> &'a checksums::ExpectedDigest {
    checksums
        .of(&MediumPath::new(path).unwrap())
        .first()
        .unwrap_or_else(|| panic!("nothing is said of {path}"))
}

fn signed_release() {
    let bench = Workbench::new();
    let iso = bench.mini_debian("m.iso", true);
    let (checksums, coverage) = gather(&iso, &bench.keys()).unwrap();
    let by = "Slipway demo medium <demo@slipway.invalid>";
    assert_eq!(coverage.by[0].signed_by.as_deref(), Some(by));
    assert_eq!(coverage.by[0].how, "SHA-256 of Release → Packages");
    // Ten packages, three indices, Release and its signature; the rest stands in sha256sum.txt, which is
    // signed as well, but for md5sum.txt.
    assert_eq!(
        (coverage.by[0].files, coverage.uncovered),
        (14, 1),
        "{coverage}"
    );
    let medium = Medium::open(&iso).unwrap();
    let trust = MediumTrust::of(&checksums, None, medium.entries(), UnverifiedPolicy::Refuse);
    assert_eq!(trust.unwrap(), MediumTrust::Signed);
    assert_eq!(checksums.notes(), [] as [String; 0]);
    for entry in Medium::open(&iso).unwrap().entries() {
        if entry.path.as_bytes().ends_with(b".deb") {
            let path = entry.path.to_string();
            let medium = Medium::open(&iso).unwrap();
            let bytes = medium.read(entry, 1 << 20).unwrap();
            assert_eq!(
                expected(&checksums, &path).digest,
                Digest::of(Algorithm::Sha256, &bytes)
            );
            assert_eq!(expected(&checksums, &path).size, Some(bytes.len() as u64));
        }
    }
}

fn unknown_key() {
    let bench = Workbench::new();
    let iso = bench.mini_debian("m.iso", true);
    let medium = Medium::open(&iso).unwrap();
    let none = keys_in(Path::new("/nonexistent/keyrings")).unwrap();
    let gather = |unverified| checksums::gather(&medium, &none, unverified);
    let error = gather(UnverifiedPolicy::Refuse).unwrap_err().to_string();
    let reason = "the signature dists/bookworm/Release.gpg does not count: its key ";
    assert!(error.starts_with(reason), "{error}");
    assert!(
        error.ends_with(
            " is not bound to the distribution on this machine; put the distribution's key into \
             <config>/keyrings, or verify the whole image (--sums, --sha256), or import it as unsigned (--accept-unsigned)"
        ),
        "{error}"
    );
    let checksums = gather(UnverifiedPolicy::Accept).unwrap();
    assert_eq!(checksums.signed().count(), 0);
    assert_eq!(
        checksums.notes().len(),
        2,
        "Release and sha256sum.txt: {:?}",
        checksums.notes()
    );
    assert!(checksums.notes()[0].starts_with(reason));
}

fn changed_release() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(true);
    let release = tree.join("dists/bookworm/Release");
    let text = fs::read_to_string(&release)
        .unwrap()
        .replace("Origin: Debian", "Origin: Nobody");
    fs::write(&release, text).unwrap();
    assert_eq!(
        message(&tree, &bench.keys()),
        "dists/bookworm/Release.gpg is not a signature of what dists/bookworm/Release holds now (signed \
         by Slipway demo medium <demo@slipway.invalid>): the medium is damaged or was changed; fetch it \
         again"
    );
}

fn clear_signed() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(false);
    let dists = tree.join("dists/bookworm");
    let keys = bench.keys();
    let signed = gpg::clear_sign(&fs::read(dists.join("Release")).unwrap(), &keys);
    fs::remove_file(dists.join("Release")).unwrap();
    // What stands before the armour is not signed and must not be read.
    fs::write(dists.join("InRelease"), &signed).unwrap();
    for list in ["sha256sum.txt", "md5sum.txt"] {
        fs::remove_file(tree.join(list)).unwrap();
    }
    let (_, coverage) = gather(&tree, &keys).unwrap();
    assert_eq!(
        coverage.by[0].signed_by.as_deref(),
        Some(gpg::NAME),
        "{coverage}"
    );
    assert_eq!(coverage.by[0].files, 13, "{coverage}");
    let changed = String::from_utf8(signed)
        .unwrap()
        .replace("Codename: bookworm", "Codename: bookwork");
    fs::write(dists.join("InRelease"), changed).unwrap();
    assert!(message(&tree, &keys).starts_with(
        "dists/bookworm/InRelease is not a signature of what dists/bookworm/InRelease holds now"
    ));
}

fn list_names() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(false);
    let text = fs::read(tree.join("sha256sum.txt")).unwrap();
    for list in ["sha256sum.txt", "md5sum.txt"] {
        fs::remove_file(tree.join(list)).unwrap();
    }
    for name in [
        "sha256sum.txt",
        "SHA256SUM.TXT",
        "sha256sums.txt",
        "SHA256SUMS",
        "sha256sum",
    ] {
        fs::write(tree.join(name), &text).unwrap();
        let (checksums, _) = gather(&tree, &bench.keys()).unwrap();
        let by = checksums.source(expected(&checksums, "install.amd/vmlinuz"));
        assert_eq!(by.path, name);
        fs::remove_file(tree.join(name)).unwrap();
    }
}

fn lost_package() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(false);
    fs::remove_file(tree.join("pool/main/g/gawk/gawk_1.0-1_amd64.deb")).unwrap();
    assert_eq!(
        message(&tree, &bench.keys()),
        "pool/main/g/gawk/gawk_1.0-1_amd64.deb, which dists/bookworm/main/binary-amd64/Packages.gz \
         lists, is not on the medium: it is damaged or incomplete; fetch it again"
    );
}

fn damaged_index() {
    let bench = Workbench::new();
    let tree = bench.mini_debian_tree(false);
    let index = tree.join("dists/bookworm/main/binary-amd64/Packages.gz");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    assert_eq!(
        message(&tree, &bench.keys()),
        "dists/bookworm/main/binary-amd64/Packages.gz does not have the SHA-256 that \
         dists/bookworm/Release gives it: the medium is damaged; fetch it again"
    );
}

fn rpm_repositories() {
    for (packing, checksum) in [
        ("gz", "sha256"),
        ("xz", "sha512"),
        ("zstd", "sha256"),
        ("gz", "sha1"),
    ] {
        let bench = Workbench::new();
        let tree = bench.rpm_tree("BaseOS", packing, checksum);
        let keys = bench.keys();
        let repomd = tree.join("BaseOS/repodata/repomd.xml");
        let signature = gpg::detach_sign(&fs::read(&repomd).unwrap(), &keys);
        fs::write(repomd.with_extension("xml.asc"), signature).unwrap();
        let (checksums, coverage) = gather(&tree, &keys).unwrap();
        assert_eq!(coverage.uncovered, 0, "{packing} {checksum}: {coverage}");
        assert!(
            coverage
                .by
                .iter()
                .all(|cover| cover.signed_by.as_deref() == Some(gpg::NAME))
        );
        for name in ["one", "two"] {
            let path = format!("BaseOS/Packages/{name}-1-1.noarch.rpm");
            let algorithm = checksum.parse().unwrap();
            let bytes = fs::read(tree.join(&path)).unwrap();
            assert_eq!(
                expected(&checksums, &path).digest,
                Digest::of(algorithm, &bytes),
                "{packing}"
            );
        }
    }
}

fn contradiction() {
    let bench = Workbench::new();
    let tree = bench.rpm_tree("", "gz", "sha256");
    let other = Digest::of(Algorithm::Sha256, b"other");
    fs::write(
        tree.join("SHA256SUMS"),
        format!("{other}  Packages/one-1-1.noarch.rpm\n"),
    )
    .unwrap();
    let found = Digest::of(
        Algorithm::Sha256,
        &fs::read(tree.join("Packages/one-1-1.noarch.rpm")).unwrap(),
    );
    let size = fs::metadata(tree.join("Packages/one-1-1.noarch.rpm"))
        .unwrap()
        .len();
    let message = message(&tree, &bench.keys());
    assert!(
        message.starts_with("reading SHA256SUMS: repodata/"),
        "{message}"
    );
    assert!(
        message.ends_with(&format!(
            "-primary.xml.gz and SHA256SUMS on the medium disagree about \
             Packages/one-1-1.noarch.rpm (SHA-256 {found}, {size} bytes and SHA-256 {other}): the medium \
             is damaged or was put together from two others"
        )),
        "{message}"
    );
}

fn suse() {
    let bench = Workbench::new();
    let tree = bench.path().join("sles");
    let hex = |text: &str| Digest::of(Algorithm::Sha1, text.as_bytes()).to_string();
    let packages = format!(
        "=Pkg: a 1 1 x86_64\n=Cks: SHA1 {}\n=Loc: 1 a.rpm\n",
        hex("a.rpm")
    );
    bench.lay(
        &tree,
        &[
            ("suse/x86_64/a.rpm", "a.rpm"),
            ("boot/x86_64/root", "root"),
            ("suse/setup/descr/packages", &packages),
            ("uncovered", "u"),
        ],
    );
    let content = format!(
        "DATADIR suse\nDESCRDIR suse/setup/descr\nMETA SHA1 {}  packages\nHASH SHA1 {}  boot/x86_64/root\n",
        hex(&packages),
        hex("root"),
    );
    fs::write(tree.join("content"), content).unwrap();
    let (_, coverage) = gather(&tree, &bench.keys()).unwrap();
    assert_eq!(
        coverage.to_string().split_once(": ").unwrap().1,
        "3 by SHA-1 of content, 2 by nothing"
    );

    let newer = bench.path().join("sle15");
    let sha256 = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes());
    bench.lay(
        &newer,
        &[("boot/x86_64/linux", "linux"), ("Module/a.rpm", "a")],
    );
    symlink("Module", newer.join("Link")).unwrap();
    let list = format!(
        "{}  ./boot/x86_64/linux\n{}  Link/a.rpm\n",
        sha256("linux"),
        sha256("a")
    );
    fs::write(newer.join("CHECKSUMS"), list).unwrap();
    let (_, coverage) = gather(&newer, &bench.keys()).unwrap();
    assert_eq!(
        coverage.to_string().split_once(": ").unwrap().1,
        "2 by SHA-256 of CHECKSUMS, 1 by nothing"
    );
}

fn implanted() {
    let bench = Workbench::new();
    let tree = bench.path().join("tree");
    bench.lay(&tree, &[("images/install.img", &"image ".repeat(100_000))]);
    let iso = bench.image(&tree, "i.iso", &["-V", "IMPLANTED"]);
    let load = || {
        let medium = Medium::open(&iso).unwrap();
        ImplantedMd5::load(medium.image().unwrap(), medium.ids().blocks).unwrap()
    };
    assert_eq!(load(), None);
    run("implantisomd5", &[iso.as_os_str()]);
    let sum = load().expect("implantisomd5 has implanted a sum");
    let check = || {
        let medium = Medium::open(&iso).unwrap();
        sum.check(medium.image().unwrap(), || true)
    };
    check().unwrap();
    let mut bytes = fs::read(&iso).unwrap();
    let at = bytes.windows(6).position(|six| six == b"image ").unwrap();
    bytes[at] ^= 1;
    fs::write(&iso, &bytes).unwrap();
    let message = check().unwrap_err().to_string();
    assert!(
        message.starts_with("the image does not have the MD5 that was implanted in it (")
            && message.ends_with("): it is damaged; fetch it again"),
        "{message}"
    );
    let medium = Medium::open(&iso).unwrap();
    let stopped = sum.check(medium.image().unwrap(), || false).unwrap_err();
    assert_eq!(stopped.to_string(), "interrupted");
}

fn boot_info_table() {
    let bench = Workbench::new();
    let zeros = vec![0_u8; 56];
    let isolinux = [
        &16_u32.to_le_bytes()[..],
        &[0; 4],
        &0xdead_beef_u32.to_le_bytes().repeat(12),
    ]
    .concat();
    let unknown = vec![0x55; 56];
    for (name, table) in [
        ("zeros", zeros),
        ("isolinux", isolinux),
        ("unknown", unknown),
    ] {
        let tree = bench.path().join(name);
        bench.lay(&tree, &[("boot/other", "other")]);
        let program = [vec![0xfa; 8], table, b"code".repeat(700)].concat();
        fs::write(tree.join("boot/program.bin"), &program).unwrap();
        let listed = Digest::of(Algorithm::Md5, &program);
        fs::write(
            tree.join("md5sum.txt"),
            format!("{listed}  ./boot/program.bin\n"),
        )
        .unwrap();
        let boot = [
            "-b",
            "boot/program.bin",
            "-no-emul-boot",
            "-boot-load-size",
            "4",
            "-boot-info-table",
        ];
        let iso = bench.image(&tree, &format!("{name}.iso"), &boot);
        let medium = Medium::open(&iso).unwrap();
        let entry = medium.find("boot/program.bin").unwrap();
        let bytes = medium.read(entry, 1 << 20).unwrap();
        assert_ne!(bytes, program, "xorriso has written into it");
        let (checksums, _) = gather(&iso, &bench.keys()).unwrap();
        let found = checksums
            .of(&entry.path)
            .first()
            .map(|expected| expected.digest);
        match name {
            "unknown" => assert_eq!(found, None, "its own checksum vouches for it"),
            _ => assert_eq!(found, Some(Digest::of(Algorithm::Md5, &bytes)), "{name}"),
        }
        // A byte behind the table that flips must not be taken for the table's doing.
        let mut image = fs::read(&iso).unwrap();
        let at = image
            .windows(8)
            .position(|eight| eight == b"codecode")
            .unwrap();
        image[at] ^= 1;
        fs::write(&iso, image).unwrap();
        let (checksums, _) = gather(&iso, &bench.keys()).unwrap();
        assert_eq!(
            checksums
                .of(&entry.path)
                .first()
                .map(|expected| expected.digest),
            Some(listed),
            "{name}"
        );
    }
}
