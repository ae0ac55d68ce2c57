//! How far the real `copycds` believes a medium, on media made and signed by real tools.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

mod workbench;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use copycds::digest::{Algorithm, Digest};
use libtest_mimic::Arguments;
use workbench::{Workbench, gpg, run, trial};

fn main() {
    let tools = &["xorriso", "dpkg-deb", "apt-ftparchive", "gpg", "gpgv"][..];
    let trials = vec![
        trial(
            "a_signed_list_beside_the_image_vouches_for_all_of_it",
            tools,
            signed_list,
        ),
        trial(
            "every_signature_of_a_list_is_looked_at",
            tools,
            several_signatures,
        ),
        trial(
            "a_digest_that_is_given_vouches_for_the_image",
            tools,
            given_digest,
        ),
        trial(
            "a_medium_that_is_signed_in_part_is_refused",
            tools,
            signed_in_part,
        ),
        trial("no_signature_vanishes_from_a_tree", tools, lowered),
        trial("a_tree_can_be_raised", tools, raised),
        trial("every_list_is_checked_for_every_file", tools, every_claim),
        trial(
            "without_gpgv_a_signature_refuses_the_medium",
            tools,
            no_gpgv,
        ),
        trial(
            "a_keyring_that_cannot_be_read_refuses_the_medium",
            tools,
            broken_keyring,
        ),
        trial(
            "a_key_of_another_distribution_does_not_count",
            tools,
            bound_key,
        ),
        trial("links_that_lead_out_are_left_out_with_a_note", tools, links),
        trial("names_steer_no_terminal", tools, names),
        trial(
            "packages_without_their_index_are_refused",
            tools,
            lost_index,
        ),
        trial("a_directory_has_no_image_to_check", tools, directory),
        trial("a_staging_directory_of_others_is_refused", tools, staging),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A bench with a configuration whose keyrings are those of the bench.
struct Site(Workbench);

impl Site {
    fn new() -> Self {
        let site = Self(Workbench::new());
        fs::create_dir_all(site.config()).unwrap();
        site
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("config")
    }

    fn tree(&self) -> PathBuf {
        self.0.path().join("install/tree")
    }

    /// A medium of which all is signed; its key goes among the keyrings.
    fn signed(&self, name: &str, mark: &str) -> PathBuf {
        let iso = self.0.mini_debian_of(name, true, mark);
        fs::create_dir_all(self.config().join("keyrings")).unwrap();
        let own = self.config().join(format!("keyrings/{mark}.gpg"));
        fs::rename(self.0.keys().join("medium.gpg"), own).unwrap();
        iso
    }

    fn copycds<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_copycds"));
        command
            .args(["-o", "-p"])
            .arg(self.tree())
            .args(arguments)
            .env("SLIPWAY_CONFIG", self.config())
            .env_remove("RUST_BACKTRACE");
        command
    }

    /// Imports what must be imported.
    fn done<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Output {
        let output = self.copycds(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }

    /// Imports what must be refused, and returns the reason.
    fn refused<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> String {
        let output = self.copycds(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let said = stderr(&output);
        let last = said.lines().last().unwrap();
        last.strip_prefix("copycds: importing ").unwrap().to_owned()
    }

    fn trust(&self) -> String {
        let text = fs::read_to_string(self.tree().join(".slipway/tree.toml")).unwrap();
        let record: toml::Table = toml::from_str(&text).unwrap();
        record["disc"][0]["trust"].as_str().unwrap().to_owned()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn digest(path: &Path) -> String {
    Digest::of(Algorithm::Sha256, &fs::read(path).unwrap()).to_string()
}

fn signed_list() {
    let site = Site::new();
    let iso = site.0.mini_debian("m.iso", false);
    let keys = site.config().join("keyrings");
    fs::create_dir(&keys).unwrap();
    let list = format!("{}  m.iso\n{}  other.iso\n", digest(&iso), "0".repeat(64));
    fs::write(site.0.path().join("SHA256SUMS"), &list).unwrap();
    let signature = gpg::detach_sign(list.as_bytes(), &keys);
    fs::write(site.0.path().join("SHA256SUMS.sign"), signature).unwrap();
    let said = stdout(&site.done(&[&iso]));
    let how = format!(
        ": all by the SHA-256 of the image in SHA256SUMS (signed by {}), ",
        gpg::NAME
    );
    assert!(said.contains(&how), "{said}");
    assert_eq!(site.trust(), "signed");
    // A byte before the file system, where firmware may find a program and no list of files speaks.
    fs::remove_dir_all(site.tree()).unwrap();
    let mut bytes = fs::read(&iso).unwrap();
    bytes[100] ^= 1;
    fs::write(&iso, &bytes).unwrap();
    let error = site.refused(&[&iso]);
    let reason = format!("{}: the image's SHA-256 is ", iso.display());
    assert!(error.starts_with(&reason), "{error}");
    assert!(!site.tree().exists());
    // A list of the same image that its publisher did not sign.
    let other = list.replace(&list[..64], &digest(&iso));
    fs::write(site.0.path().join("SHA256SUMS"), other).unwrap();
    let error = site.refused(&[&iso]);
    let expected = format!(
        "{}: {}/SHA256SUMS.sign is not a signature of what {0}/SHA256SUMS holds now (signed by {}): fetch \
         both again",
        iso.display(),
        site.0.path().display(),
        gpg::NAME
    )
    .replace(&format!("what {}", iso.display()), &format!("what {}", site.0.path().display()));
    assert_eq!(error.replace("/./", "/"), expected);

    // In clear, as Fedora has it, and given by name.
    let list = format!("SHA256 (m.iso) = {}\n", digest(&iso));
    let clear = site.0.path().join("list");
    fs::write(&clear, gpg::clear_sign(list.as_bytes(), &keys)).unwrap();
    bytes[100] ^= 1;
    fs::write(&iso, bytes).unwrap();
    let error = site.refused(&["--sums", text(&clear), text(&iso)]);
    assert!(error.contains(", but list says "), "{error}");
}

fn several_signatures() {
    let site = Site::new();
    let iso = site.0.mini_debian("m.iso", false);
    let keys = site.config().join("keyrings");
    let foreign = site.0.path().join("foreign");
    fs::create_dir(&keys).unwrap();
    fs::create_dir(&foreign).unwrap();
    let list = format!("{}  m.iso\n", digest(&iso)).into_bytes();
    let at = |name: &str| site.0.path().join(name);
    fs::write(at("SHA256SUMS"), &list).unwrap();
    // Whichever of them has the better name.
    fs::write(at("SHA256SUMS.sign"), gpg::detach_sign(&list, &foreign)).unwrap();
    fs::write(at("SHA256SUMS.asc"), gpg::detach_sign(&list, &keys)).unwrap();
    site.done(&[&iso]);
    assert_eq!(site.trust(), "signed");
    // One of another text, and one that cannot be read.
    fs::remove_dir_all(site.tree()).unwrap();
    let bad = gpg::detach_sign(b"another list\n", &foreign);
    fs::rename(foreign.join("test.asc"), keys.join("foreign.asc")).unwrap();
    fs::write(at("SHA256SUMS.sign"), bad).unwrap();
    let error = site.refused(&[&iso]);
    assert!(
        error.contains("SHA256SUMS.sign is not a signature of what"),
        "{error}"
    );
    fs::remove_file(at("SHA256SUMS.sign")).unwrap();
    symlink("nowhere", at("SHA256SUMS.sign")).unwrap();
    let error = site.refused(&[&iso]);
    assert!(
        error.contains(": reading ") && error.contains("SHA256SUMS.sign: "),
        "{error}"
    );
    // A list beside its copy that is signed as a whole, as CentOS has it.
    for name in ["SHA256SUMS", "SHA256SUMS.sign", "SHA256SUMS.asc"] {
        fs::remove_file(at(name)).unwrap();
    }
    fs::write(at("sha256sum.txt"), &list).unwrap();
    fs::write(at("sha256sum.txt.asc"), gpg::clear_sign(&list, &keys)).unwrap();
    for sums in [None, Some("sha256sum.txt"), Some("sha256sum.txt.asc")] {
        let sums = sums.map(|name| format!("--sums={}", at(name).display()));
        let arguments: Vec<_> = sums
            .into_iter()
            .chain([iso.display().to_string()])
            .collect();
        site.done(&arguments);
        assert_eq!(site.trust(), "signed", "{arguments:?}");
        fs::remove_dir_all(site.tree()).unwrap();
    }
}

fn given_digest() {
    let site = Site::new();
    let iso = site.0.mini_debian("m.iso", false);
    let right = digest(&iso);
    let wrong = "0".repeat(64);
    let expected = format!(
        "{}: the image's SHA-256 is {right}, but --sha256 says {wrong}: it is damaged, or another image; \
         fetch it again",
        iso.display()
    );
    assert_eq!(site.refused(&["--sha256", &wrong, text(&iso)]), expected);
    assert!(!site.tree().exists());
    let said = stdout(&site.done(&["--sha256", &right, text(&iso)]));
    assert!(
        said.contains(": all by the SHA-256 of the image that was given, "),
        "{said}"
    );
    assert_eq!(site.trust(), "digest");
    // A disc that is in its tree already is held against it as well.
    assert_eq!(site.refused(&["--sha256", &wrong, text(&iso)]), expected);
    site.done(&["--sha256", &right, text(&iso)]);
}

fn signed_in_part() {
    let site = Site::new();
    let iso = site.signed("m.iso", "one");
    site.done(&[&iso]);
    assert_eq!(site.trust(), "signed");
    fs::remove_dir_all(site.tree()).unwrap();
    let tree = extracted(&site, &iso);
    fs::remove_file(tree.join("sha256sum.txt.gpg")).unwrap();
    let expected = format!(
        "{}: Slipway demo medium <demo@slipway.invalid> has signed a part of the medium, and nobody has signed \
         install.amd/initrd.gz and 1 more, which a machine runs or trusts when it installs: give the \
         publisher's signed list of images (--sums) or the image's digest (--sha256), or import it as unsigned (--accept-unsigned)",
        tree.display()
    );
    assert_eq!(site.refused(&[&tree]), expected);
    site.done(&["--accept-unsigned", text(&tree)]);
    assert_eq!(site.trust(), "unsigned");
    fs::remove_dir_all(site.tree()).unwrap();
    let image = site
        .0
        .image(&tree, "part.iso", &["-V", "Debian 12.9.0 amd64 n"]);
    site.done(&["--sha256", &digest(&image), text(&image)]);
}

/// Extracts an image into a directory that can be changed.
fn extracted(site: &Site, iso: &Path) -> PathBuf {
    let tree = site.0.path().join("extracted");
    let image = format!("stdio:{}", iso.display());
    let extract = [
        "-osirrox",
        "on",
        "-indev",
        &image,
        "-extract",
        "/",
        text(&tree),
    ];
    run("xorriso", &extract);
    run("chmod", &["-R", "u+w", text(&tree)]);
    tree
}

fn lowered() {
    let site = Site::new();
    let signed = site.signed("signed.iso", "one");
    site.done(&[&signed]);
    let record = fs::read(site.tree().join(".slipway/tree.toml")).unwrap();
    let other = site.0.mini_debian_of("other.iso", false, "two");
    let expected = format!(
        "{}: {} is a tree that is vouched for, and nobody vouches for 'Debian 12.9.0 amd64 n, NETINST': give \
         its publisher's signed list (--sums) or its digest (--sha256), or let the tree become unsigned (--accept-unsigned)",
        other.display(),
        site.tree().display()
    );
    assert_eq!(site.refused(&[&other]), expected);
    assert_eq!(
        fs::read(site.tree().join(".slipway/tree.toml")).unwrap(),
        record
    );
    // The signed disc is still there, and known.
    let again = stdout(&site.done(&[&signed]));
    assert!(again.ends_with("holds this disc already\n"), "{again}");
    site.done(&["--accept-unsigned", text(&other)]);
    assert_eq!(site.trust(), "unsigned");
    site.done(&[&signed]);
    assert_eq!(site.trust(), "signed");
}

fn raised() {
    let site = Site::new();
    let iso = site.0.mini_debian("m.iso", false);
    let said = stderr(&site.done(&[&iso]));
    assert!(
        said.contains(": no signature vouches for it: "),
        "it is said: {said}"
    );
    assert_eq!(site.trust(), "unsigned");
    site.done(&["--sha256", &digest(&iso), text(&iso)]);
    assert_eq!(site.trust(), "digest");
}

fn every_claim() {
    let site = Site::new();
    let tree = site.0.mini_debian_tree(false);
    let package = "pool/main/g/gawk/gawk_1.0-1_amd64.deb";
    let wrong = "0".repeat(32);
    let right = Digest::of(Algorithm::Md5, &fs::read(tree.join(package)).unwrap());
    let list = tree.join("md5sum.txt");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace(&right.to_string(), &wrong)).unwrap();
    let expected = format!(
        "{}: '{package}' on {0} is damaged: its MD5 is {right}, {} bytes, but md5sum.txt on the medium says \
         {wrong}, {1} bytes; get the medium again",
        tree.display(),
        fs::metadata(tree.join(package)).unwrap().len()
    );
    assert_eq!(site.refused(&[&tree]), expected);
}

fn no_gpgv() {
    let site = Site::new();
    let iso = site.signed("m.iso", "one");
    let nowhere = site.0.path().join("nowhere");
    let output = site.copycds(&[&iso]).env("PATH", nowhere).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).ends_with(
            ": gpgv, which checks signatures, is not installed: install the package gpgv and run again\n"
        ),
        "{}",
        stderr(&output)
    );
}

fn broken_keyring() {
    let site = Site::new();
    let iso = site.signed("m.iso", "one");
    let broken = site.config().join("keyrings/a.gpg");
    fs::write(&broken, "no key\n").unwrap();
    assert_eq!(
        site.refused(&[&iso]),
        format!(
            "{}: reading the keyring {}: it holds no OpenPGP key",
            iso.display(),
            broken.display()
        )
    );
}

fn bound_key() {
    let site = Site::new();
    let iso = site.signed("m.iso", "one");
    fs::create_dir(site.config().join("keyrings.d")).unwrap();
    let bind = |distribution: &str| {
        let table = format!(
            "[[keyring]]\nfiles = [\"keyrings/one.*\"]\ndistributions = [\"{distribution}\"]\n"
        );
        fs::write(site.config().join("keyrings.d/own.toml"), table).unwrap();
    };
    bind("rocky");
    let error = site.refused(&[&iso]);
    let reason = format!(
        "{}: the signature dists/bookworm/Release.gpg does not count: its key ",
        iso.display()
    );
    assert!(error.starts_with(&reason), "{error}");
    bind("debian");
    site.done(&[&iso]);
    assert_eq!(site.trust(), "signed");
}

fn links() {
    let site = Site::new();
    let tree = site.0.mini_debian_tree(false);
    symlink("/etc", tree.join("etc")).unwrap();
    symlink("../../..", tree.join("up")).unwrap();
    symlink("pool", tree.join("within")).unwrap();
    let said = stderr(&site.done(&[&tree]));
    for link in ["etc", "up"] {
        let note = format!("the link {link} leads out of the medium and is left out\n");
        assert!(said.contains(&note), "{said}");
        assert!(fs::symlink_metadata(site.tree().join(link)).is_err());
    }
    assert!(site.tree().join("within/main").is_dir());
}

fn names() {
    let site = Site::new();
    let tree = site.0.mini_debian_tree(false);
    fs::write(tree.join("\x1b[2Jred\nnext"), "x").unwrap();
    let list = format!("{}  ./\x1b[2Jred\\nnext\n", "0".repeat(32));
    let lists = fs::read_to_string(tree.join("md5sum.txt")).unwrap();
    fs::write(tree.join("md5sum.txt"), format!("{lists}\\{list}")).unwrap();
    let error = site.refused(&[&tree]);
    assert!(error.contains(": '\\u001b[2Jred\\nnext' on "), "{error}");
}

fn lost_index() {
    let site = Site::new();
    let tree = site.0.mini_debian_tree(false);
    fs::remove_file(tree.join("dists/bookworm/main/binary-amd64/Packages.gz")).unwrap();
    for list in ["sha256sum.txt", "md5sum.txt"] {
        fs::remove_file(tree.join(list)).unwrap();
    }
    let error = site.refused(&[&tree]);
    let expected = format!(
        "{}: dists/bookworm/main/binary-amd64/Packages",
        tree.display()
    );
    assert!(error.starts_with(&expected), "{error}");
    assert!(
        error.ends_with(
            ", which dists/bookworm/Release lists, is not on the medium: it is damaged or incomplete; fetch \
             it again"
        ),
        "{error}"
    );
}

fn directory() {
    let site = Site::new();
    let tree = site.0.mini_debian_tree(false);
    assert_eq!(
        site.refused(&["--sha256", &"0".repeat(64), text(&tree)]),
        format!(
            "{}: it is a directory, and --sums and --sha256 are of images: give the image itself",
            tree.display()
        )
    );
}

fn staging() {
    let site = Site::new();
    let iso = site.0.mini_debian("m.iso", false);
    let stage = site.0.path().join("install/.tree.slipway");
    fs::create_dir_all(&stage).unwrap();
    fs::set_permissions(&stage, fs::Permissions::from_mode(0o777)).unwrap();
    let error = site.refused(&[&iso]);
    assert!(
        error.contains(" is not ours alone (it belongs to user ")
            && error.ends_with(", mode 777): remove it and run again"),
        "{error}"
    );
    assert!(stage.is_dir() && !site.tree().exists());
}
