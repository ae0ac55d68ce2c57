//! The real `copycds`, driven as a user drives it, on media made by real tools.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

mod workbench;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Arguments;
use serde_json::Value;
use workbench::{Workbench, trial};

const RELEASE: &str = "debian12.9.0";

fn main() {
    let tools = &["xorriso", "dpkg-deb", "apt-ftparchive", "gpg", "gpgv"][..];
    let rpm = &["xorriso", "rpmbuild", "createrepo_c", "implantisomd5"][..];
    let trials = vec![
        trial("a_medium_becomes_a_tree_and_four_osimages", tools, imports),
        trial("a_second_run_changes_nothing", tools, second_run),
        trial(
            "inspection_changes_nothing_and_shows_the_evidence",
            tools,
            inspection,
        ),
        trial(
            "a_dry_run_changes_nothing_and_says_what_would_be",
            tools,
            dry_run,
        ),
        trial(
            "w_leaves_an_imported_disc_and_its_osimages_alone",
            tools,
            nonoverwrite,
        ),
        trial("o_defines_no_osimages", tools, noosimage),
        trial(
            "p_publishes_elsewhere_and_the_osimages_say_so",
            tools,
            elsewhere,
        ),
        trial("p_names_one_tree_and_so_one_release", tools, one_tree),
        trial("a_disc_given_twice_is_imported_once", tools, given_twice),
        trial("a_label_alone_imports_nothing", tools, label_alone),
        trial(
            "inspection_shows_a_medium_that_does_not_tell_its_architecture",
            tools,
            no_arch,
        ),
        trial("n_names_what_is_imported", tools, named),
        trial(
            "an_edited_definition_stays_and_the_difference_is_shown",
            tools,
            edited,
        ),
        trial("json_says_all_of_it", tools, json),
        trial("verify_finds_what_was_changed_in_a_tree", tools, verify),
        trial(
            "the_site_signs_what_is_published_and_a_note_says_where_it_does_not",
            tools,
            signed_by_site,
        ),
        trial(
            "two_discs_that_differ_under_one_name_are_refused",
            tools,
            two_discs,
        ),
        trial("a_directory_is_a_medium_like_an_image", tools, directory),
        trial(
            "whatever_is_wrong_is_one_sentence_and_leaves_nothing",
            tools,
            bad_input,
        ),
        trial("a_bad_signature_refuses_the_medium", tools, bad_signature),
        trial(
            "an_implanted_md5_vouches_for_what_nothing_else_lists",
            rpm,
            rpm_medium,
        ),
        trial("an_interrupt_leaves_nothing_behind", tools, interrupt),
        trial("wrong_usage_is_2", &[], usage),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A bench with a configuration and an install directory.
struct Site {
    bench: Workbench,
}

impl Site {
    fn new() -> Self {
        let bench = Workbench::new();
        fs::create_dir_all(bench.path().join("config")).unwrap();
        let install = bench.path().join("install");
        let text = format!("installdir = {:?}\n", install.to_str().unwrap());
        fs::write(bench.path().join("config/site.toml"), text).unwrap();
        Self { bench }
    }

    fn install(&self) -> PathBuf {
        self.bench.path().join("install")
    }

    fn tree(&self) -> PathBuf {
        self.install().join(RELEASE).join("x86_64")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_copycds"));
        command
            .arg("--config")
            .arg(self.bench.path().join("config"))
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed and returns what it printed.
    fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stdout()
    }

    /// Runs what must fail with one sentence and returns that.
    fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        let stderr = ran.stderr();
        assert_eq!(ran.code(), 1, "{stderr}");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("copycds: "))
            .collect();
        let [error] = errors[..] else {
            panic!("{stderr}")
        };
        error.strip_prefix("copycds: ").unwrap().to_owned()
    }

    fn osimages(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.bench.path().join("config/osimages")) else {
            return Vec::new();
        };
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

struct Ran(Output);

impl Ran {
    fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// Returns every path under a directory with its size, its inode and when it was changed.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        found.insert(
            path,
            (meta.size(), meta.ino(), meta.mtime(), meta.mtime_nsec()),
        );
    }
    found
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn images(change: &str) -> String {
    [
        "install-compute",
        "install-dockerhost",
        "netboot-compute",
        "netboot-dockerhost",
    ]
    .map(|image| format!("osimage {RELEASE}-x86_64-{image} {change}\n"))
    .concat()
}

fn imports() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", true);
    // The keyrings of the configuration are believed.
    let keys = site.bench.path().join("config/keyrings");
    fs::rename(site.bench.keys(), keys).unwrap();
    let stdout = site.done(&[text(&iso)]);
    let tree = site.tree();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], format!("{RELEASE} x86_64: {}", tree.display()));
    assert!(
        lines[1].starts_with("verified 23 files (")
            && lines[1].ends_with(
                "): 14 by SHA-256 of Release → Packages (signed by Slipway demo medium \
             <demo@slipway.invalid>), 8 by SHA-256 of sha256sum.txt (signed by Slipway demo medium \
             <demo@slipway.invalid>), 1 by nothing"
            ),
        "{}",
        lines[1]
    );
    assert!(stdout.ends_with(&images("created")), "{stdout}");
    assert!(
        tree.join("pool/main/d/docker.io/docker.io_1.0-1_amd64.deb")
            .is_file()
    );
    let image = site.bench.path().join(format!(
        "config/osimages/{RELEASE}-x86_64-install-dockerhost.toml"
    ));
    let definition: toml::Table = toml::from_str(&fs::read_to_string(image).unwrap()).unwrap();
    let pkgdir: Vec<_> = definition["pkgdir"].as_array().unwrap().iter().collect();
    assert_eq!(pkgdir[0].as_str(), Some(text(&tree)));
    assert!(!definition.contains_key("template") && !definition.contains_key("pkglist"));
}

fn second_run() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&[text(&iso)]);
    let tree = site.tree();
    let expected = format!(
        "{RELEASE} x86_64: {} holds this disc already\n",
        tree.display()
    );
    assert_eq!(stdout, expected + &images("unchanged"));
    assert_eq!(snapshot(site.bench.path()), before);
}

fn inspection() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&["-i", text(&iso)]);
    let head = format!(
        "OS Image:{}\nDISTNAME:{RELEASE}\nARCH:x86_64\n",
        iso.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    assert!(
        stdout.contains("\n  .disk/info says 'Debian GNU/Linux 12.9.0 \"Bookworm\""),
        "{stdout}"
    );
    assert_eq!(snapshot(site.bench.path()), before);
}

fn dry_run() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let before = snapshot(site.bench.path());
    let stdout = site.done(&["--dry-run", text(&iso)]);
    let tree = site.tree();
    let head = format!(
        "{RELEASE} x86_64: would be copied to {}\nwould verify 21 files (",
        tree.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    assert!(stdout.ends_with(&images("would be created")), "{stdout}");
    assert_eq!(snapshot(site.bench.path()), before);
}

fn nonoverwrite() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&["-o", text(&iso)]);
    let stdout = site.done(&["-w", text(&iso)]);
    assert_eq!(stdout, "The disc iso has already been copied in!\n");
    assert_eq!(site.osimages(), [] as [String; 0]);
}

fn noosimage() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let stdout = site.done(&["-o", text(&iso)]);
    assert!(!stdout.contains("osimage"), "{stdout}");
    assert!(site.tree().is_dir());
    assert_eq!(site.osimages(), [] as [String; 0]);
}

fn elsewhere() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let place = site.bench.path().join("elsewhere/tree");
    site.done(&["-p", text(&place), text(&iso)]);
    assert!(place.join(".disk/info").is_file() && !site.install().exists());
    let image = format!("config/osimages/{RELEASE}-x86_64-netboot-compute.toml");
    let definition = fs::read_to_string(site.bench.path().join(image)).unwrap();
    assert!(
        definition.contains(&format!("pkgdir = [{:?}]", text(&place))),
        "{definition}"
    );
}

fn one_tree() {
    let site = Site::new();
    let one = site.bench.mini_debian("one.iso", false);
    let label = [
        (
            ".disk/info",
            "Debian GNU/Linux 13.1.0 \"Trixie\" - Official amd64 DVD Binary-1",
        ),
        ("pool/a.deb", "a"),
    ];
    site.bench.lay(&site.bench.path().join("other"), &label);
    let two = site.bench.image(
        &site.bench.path().join("other"),
        "two.iso",
        &["-V", "Debian 13.1.0 amd64 1"],
    );
    let place = site.bench.path().join("place");
    assert_eq!(
        site.refused(&["-p", text(&place), text(&one), text(&two)]),
        format!(
            "-p {} names one tree, but {} is debian12.9.0 x86_64 and {} is debian13.1.0 x86_64: import \
             them one by one",
            place.display(),
            one.display(),
            two.display()
        )
    );
    assert!(!place.exists());
}

fn given_twice() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let stdout = site.done(&["-o", text(&iso), text(&iso)]);
    let tree = site.tree();
    let first = format!("{RELEASE} x86_64: {}\n", tree.display());
    let last = format!(
        "{RELEASE} x86_64: {} holds this disc already\n",
        tree.display()
    );
    assert!(
        stdout.starts_with(&first) && stdout.ends_with(&last),
        "{stdout}"
    );
    site.done(&["--verify", text(&tree)]);
}

fn label_alone() {
    let site = Site::new();
    let labelled = |files: &[(&str, &str)]| {
        let tree = site.bench.path().join(format!("t{}", files.len()));
        fs::create_dir(&tree).unwrap();
        site.bench.lay(&tree, files);
        let name = format!("{}.iso", files.len());
        site.bench
            .image(&tree, &name, &["-V", "RHEL-9-4-0-BaseOS-x86_64"])
    };
    for files in [&[][..], &[("DCIM/IMG_0001.JPG", "a photo")]] {
        let iso = labelled(files);
        for words in [vec![text(&iso)], vec!["-i", text(&iso)]] {
            let error = site.refused(&words);
            let names = if files.is_empty() { 0 } else { 2 };
            assert_eq!(
                error,
                format!(
                    "recognising {}: this calls itself rhels9.4 and holds nothing to install: no installer \
                     and no repository of packages among its {names} names: volume id says \
                     'RHEL-9-4-0-BaseOS-x86_64': rhels 9.4 x86_64",
                    iso.display()
                )
            );
        }
    }
    assert!(!site.install().exists());
}

fn no_arch() {
    let site = Site::new();
    let tree = site.bench.path().join("t");
    site.bench.lay(&tree, &[("isolinux/vmlinuz", "kernel")]);
    let iso = site
        .bench
        .image(&tree, "c.iso", &["-V", "CentOS_6.5_Final"]);
    let stdout = site.done(&["-i", text(&iso)]);
    let head = format!(
        "OS Image:{}\nDISTNAME:centos6.5\n  volume id says",
        iso.display()
    );
    assert!(stdout.starts_with(&head), "{stdout}");
    let error = site.refused(&[text(&iso)]);
    assert!(
        error.ends_with("; give it with -a, as in -a x86_64"),
        "{error}"
    );
}

fn named() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&["-o", "-n", "debian12.9-lab", "-a", "amd64", text(&iso)]);
    assert!(
        site.install()
            .join("debian12.9-lab/x86_64/.disk/info")
            .is_file()
    );
    let error = site.refused(&["-a", "s390x", text(&iso)]);
    assert_eq!(
        error,
        format!(
            "recognising {}: requested distribution architecture s390x, but media is x86_64: .disk/info \
             says 'Debian GNU/Linux 12.9.0 \"Bookworm\" - Unofficial amd64 NETINST 20250111-10:54': debian \
             12.9.0 \"bookworm\" x86_64; dists/bookworm/Release says 'Debian 12.9': debian 12.9 \
             \"bookworm\"; volume id says 'Debian 12.9.0 amd64 n': debian 12.9.0 x86_64; the name says \
             'install.amd/initrd.gz': a hint of x86_64; the name says 'dists/bookworm/Release': a hint of \
             debian 12 \"bookworm\"; take it as it is with -a x86_64",
            iso.display()
        )
    );
}

fn edited() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let name = format!("{RELEASE}-x86_64-install-dockerhost");
    let file = site
        .bench
        .path()
        .join(format!("config/osimages/{name}.toml"));
    let mine = fs::read_to_string(&file)
        .unwrap()
        .replace("profile = \"dockerhost\"", "# mine\nprofile = \"lab\"");
    fs::write(&file, &mine).unwrap();
    let stdout = site.done(&[text(&iso)]);
    let expected =
        format!("osimage {name} kept as it was edited:\n  -profile=dockerhost\n  +profile=lab\n");
    assert!(stdout.contains(&expected), "{stdout}");
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
}

fn json() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let document = |arguments: &[&str]| -> Value {
        let document: Value = serde_json::from_str(&site.done(arguments)).unwrap();
        document["media"][0].clone()
    };
    let inspected = document(&["-i", "--json", text(&iso)]);
    assert_eq!(inspected["medium"], text(&iso));
    assert_eq!(inspected["distro"], RELEASE);
    assert_eq!(inspected["evidence"][0]["source"], ".disk/info");
    assert!(inspected.get("tree").is_none());
    let copied = document(&["--json", text(&iso)]);
    assert_eq!(copied["action"], "copied");
    assert_eq!(copied["tree"], text(&site.tree()));
    assert_eq!(
        copied["verified"]["by"][0]["how"],
        "SHA-256 of Release → Packages"
    );
    assert_eq!(copied["verified"]["by"][0]["signed_by"], Value::Null);
    assert_eq!(copied["osimages"][3]["change"], "created");
    let again = document(&["--json", text(&iso)]);
    assert_eq!(again["action"], "unchanged");
    assert!(again.get("verified").is_none());
    assert_eq!(again["osimages"][3]["change"], "unchanged");
    assert_eq!(document(&["--json", "-w", text(&iso)])["action"], "skipped");
    let tree = site.tree();
    let verified: Value =
        serde_json::from_str(&site.done(&["--json", "--verify", text(&tree)])).unwrap();
    assert_eq!(verified["intact"], true);
    // Every key is documented.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/copycds-json.md");
    let page = fs::read_to_string(page).unwrap();
    for object in [
        &inspected,
        &copied,
        &copied["verified"],
        &copied["verified"]["by"][0],
        &copied["osimages"][0],
        &copied["evidence"][0],
        &verified,
    ] {
        for key in object.as_object().unwrap().keys() {
            assert!(
                page.contains(&format!("`{key}`")),
                "docs/copycds-json.md does not explain {key}"
            );
        }
    }
}

fn verify() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    site.done(&[text(&iso)]);
    let tree = site.tree();
    let name = tree.display();
    // genimage's, which is no part of what was published
    fs::write(tree.join(".slipway/initrd.json"), "{}").unwrap();
    let stdout = site.done(&["--verify", text(&tree)]);
    assert_eq!(
        stdout,
        format!("{name}: all 23 files are as they were published\n")
    );
    fs::write(tree.join("install.amd/vmlinuz"), "another kernel").unwrap();
    fs::write(tree.join("new"), "new").unwrap();
    fs::remove_file(tree.join("md5sum.txt")).unwrap();
    let ran = site.run(&["--verify", text(&tree)]);
    assert_eq!(ran.code(), 1);
    assert_eq!(
        ran.stdout(),
        format!(
            "changed: install.amd/vmlinuz\nmissing: md5sum.txt\nadded: new\n{name}: of 23 files 1 \
             changed and 1 are missing, and 1 were added; import the disc again\n"
        )
    );
}

/// A program in the place of `slipway-trust`, beside a `copycds` of its own: it signs by a file, and refuses what is
/// unsigned unless it is accepted.
fn signed_by_site() {
    let site = Site::new();
    let bin = site.bench.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_copycds"), bin.join("copycds")).unwrap();
    let program = bin.join("slipway-trust");
    fs::write(
        &program,
        "#!/bin/sh\necho \"$*\" >>\"${0%/*}/asked\"\ncase $* in *--accept-unsigned*) ;; *) echo 'slipway-trust: signing: \
         nobody vouched' >&2; exit 1 ;; esac\nmkdir -p \"$4/.slipway/signed/dists\"\n: \
         >\"$4/.slipway/signed/signature.json\"\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let iso = site.bench.mini_debian("m.iso", false);
    let (tree, config) = (site.tree(), site.bench.path().join("config"));
    let asked = || fs::read_to_string(bin.join("asked")).unwrap_or_default();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(bin.join("copycds"));
        command.arg("--config").arg(&config).args(arguments);
        let ran = Ran(command.stdin(Stdio::null()).output().unwrap());
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    // A site without an authority.
    let note = "the site does not sign this tree: signing: nobody vouched";
    assert!(!run(&[text(&iso)]).contains("does not sign"));
    assert_eq!(asked(), "");
    fs::create_dir(config.join("trust")).unwrap();
    run(&["--dry-run", text(&iso)]);
    run(&["-w", text(&iso)]);
    assert_eq!(asked(), "");
    let stderr = run(&[text(&iso)]);
    assert!(stderr.contains(note), "{stderr}");
    let words = format!("--config {} sign-tree {}", config.display(), tree.display());
    assert_eq!(asked(), format!("{words}\n"));
    let stderr = run(&["--accept-unsigned", text(&iso)]);
    assert!(!stderr.contains("does not sign"), "{stderr}");
    assert_eq!(asked(), format!("{words}\n{words} --accept-unsigned\n"));
    // The signatures are no part of what was published, and none of another tree's.
    let signature = tree.join(".slipway/signed/signature.json");
    assert!(signature.is_file());
    fs::create_dir(tree.join(".slipway/.signed-killed")).unwrap();
    fs::write(tree.join(".slipway/.signed-killed/x"), "").unwrap();
    run(&["--verify", text(&tree)]);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let again = site.bench.mini_debian_of("again.iso", false, "again");
    run(&["--accept-unsigned", text(&again)]);
    assert!(!tree.join(".slipway/signed").exists());
}

fn two_discs() {
    let site = Site::new();
    let one = site.bench.mini_debian_of("one.iso", false, "one");
    let other = site.bench.path().join("other");
    let tree = site.bench.mini_debian_tree(false);
    fs::rename(tree, &other).unwrap();
    for list in ["md5sum.txt", "sha256sum.txt"] {
        fs::remove_file(other.join(list)).unwrap();
    }
    fs::write(other.join("install.amd/vmlinuz"), "another kernel").unwrap();
    let two = site
        .bench
        .image(&other, "two.iso", &["-V", "Debian 12.9.0 amd64 2"]);
    let error = site.refused(&[text(&one), text(&two)]);
    assert!(
        error.starts_with(&format!("importing {}: ", two.display()))
            && error.contains("install.amd/vmlinuz")
            && error.contains("Debian 12.9.0 amd64 n")
            && error.contains("Debian 12.9.0 amd64 2"),
        "{error}"
    );
    // The first disc of the two was whole, and stands.
    let tree = site.tree();
    site.done(&["--verify", text(&tree)]);
}

fn directory() {
    let site = Site::new();
    let medium = site.bench.mini_debian_tree(false);
    site.done(&[text(&medium)]);
    let tree = site.tree();
    site.done(&["--verify", text(&tree)]);
    let stdout = site.done(&[text(&medium)]);
    assert!(stdout.contains("holds this disc already"), "{stdout}");
}

fn bad_input() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", false);
    let path = |name: &str| site.bench.path().join(name);
    let cut = path("cut.iso");
    let bytes = fs::read(&iso).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let flipped = path("flipped.iso");
    fs::write(&flipped, &bytes).unwrap();
    flip(&flipped, b"docker.io of medium one");
    let noise = path("noise.iso");
    fs::write(&noise, vec![0x5a; 100_000]).unwrap();
    let before = snapshot(site.bench.path());
    let image = iso.display();
    let absent = path("absent.iso");
    let cases: [(&[&str], String); 5] = [
        (
            &[text(&absent)],
            format!(
                "opening {}: No such file or directory (os error 2)",
                absent.display()
            ),
        ),
        (
            &[text(&noise)],
            format!(
                "reading {}: it is not an ISO 9660 or UDF image (",
                noise.display()
            ),
        ),
        (&[text(&cut)], format!("reading {}: ", cut.display())),
        (
            &[text(&flipped)],
            format!(
                "importing {}: 'pool/main/d/docker.io/docker.io_1.0-1_amd64.deb' on {} is damaged: its \
                 SHA-256 is ",
                flipped.display(),
                flipped.display()
            ),
        ),
        // All media are looked at before anything is written.
        (
            &[text(&iso), text(&noise)],
            format!(
                "reading {}: it is not an ISO 9660 or UDF image (",
                noise.display()
            ),
        ),
    ];
    for (arguments, expected) in cases {
        let error = site.refused(arguments);
        assert!(error.starts_with(&expected), "{error}");
    }
    let install = site.install();
    let left: Vec<_> = snapshot(site.bench.path())
        .into_keys()
        .filter(|path| !before.contains_key(path))
        .collect();
    assert!(
        left.iter()
            .all(|path| path.starts_with(&install) && path.is_dir()),
        "{left:?}"
    );
    assert_eq!(site.osimages(), [] as [String; 0]);
    // A file where the tree would stand.
    fs::create_dir_all(install.join(RELEASE)).unwrap();
    fs::write(site.tree(), "mine").unwrap();
    assert_eq!(
        site.refused(&[text(&iso)]),
        format!(
            "importing {image}: {} is a file, where the tree would be published: move it away and run again",
            site.tree().display()
        )
    );
    assert_eq!(fs::read_to_string(site.tree()).unwrap(), "mine");
}

/// Flips one bit of the first place that holds these bytes.
fn flip(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    let at = content
        .windows(bytes.len())
        .position(|window| window == bytes)
        .unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[content[at] ^ 1]).unwrap();
}

fn bad_signature() {
    let site = Site::new();
    let iso = site.bench.mini_debian("m.iso", true);
    fs::rename(site.bench.keys(), site.bench.path().join("config/keyrings")).unwrap();
    flip(&iso, b"Debian 12.9 Released");
    assert_eq!(
        site.refused(&[text(&iso)]),
        format!(
            "importing {}: dists/bookworm/Release.gpg is not a signature of what dists/bookworm/Release \
             holds now (signed by Slipway demo medium <demo@slipway.invalid>): the medium is damaged or \
             was changed; fetch it again",
            iso.display()
        )
    );
    assert!(!site.install().exists());
}

fn rpm_medium() {
    let site = Site::new();
    let tree = site.bench.rpm_tree("BaseOS", "gz", "sha256");
    let kernel = copycds::digest::Digest::of(copycds::digest::Algorithm::Sha256, b"kernel");
    let treeinfo = format!(
        "[general]\nfamily = Rocky Linux\nname = Rocky Linux 9.4\nversion = 9.4\narch = x86_64\n\
         variant = BaseOS\n[checksums]\nimages/boot.iso = sha256:{kernel}\n\
         images/pxeboot/vmlinuz = sha256:{kernel}\n"
    );
    site.bench.lay(
        &tree,
        &[
            (".treeinfo", &treeinfo),
            (".discinfo", "1714000000.0\nRocky Linux 9.4\nx86_64\n"),
            ("images/pxeboot/vmlinuz", "kernel"),
            ("images/pxeboot/initrd.img", "initrd, which nothing lists"),
        ],
    );
    let iso = site
        .bench
        .image(&tree, "r.iso", &["-V", "Rocky-9-4-x86_64-dvd"]);
    workbench::run("implantisomd5", &[text(&iso)]);
    let stdout = site.done(&[text(&iso)]);
    let tree = site.install().join("rocky9.4/x86_64");
    let head = format!("rocky9.4 x86_64: {}\nverified 10 files (", tree.display());
    let tail = "): 5 by SHA-256 of repomd → primary, 1 by SHA-256 of .treeinfo, 4 by the MD5 implanted in \
                the image\n";
    assert!(
        stdout.starts_with(&head) && stdout.contains(tail),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("osimage rocky9.4-x86_64-netboot-dockerhost created\n"),
        "{stdout}"
    );

    let other = Site::new();
    let damaged = other.bench.path().join("damaged.iso");
    fs::copy(&iso, &damaged).unwrap();
    flip(&damaged, b"initrd, which nothing lists");
    let error = other.refused(&[text(&damaged)]);
    assert!(
        error.starts_with(&format!(
            "importing {}: the image does not have the MD5 that was implanted in it (",
            damaged.display()
        )),
        "{error}"
    );
    assert!(!other.install().exists());
}

fn interrupt() {
    let site = Site::new();
    // Enough bytes that the interrupt comes while they are copied.
    let tree = site.bench.mini_debian_tree(false);
    for list in ["md5sum.txt", "sha256sum.txt"] {
        fs::remove_file(tree.join(list)).unwrap();
    }
    for name in ["a", "b", "c"] {
        let file = fs::File::create(tree.join(format!("doc/{name}"))).unwrap();
        file.set_len(400 << 20).unwrap();
    }
    let mut child = site
        .command(&[text(&tree)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let place = site.install().join(RELEASE);
    let begun = Instant::now();
    while !place.is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    workbench::run("kill", &["-INT", &child.id().to_string()]);
    let code = child.wait().unwrap().code();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(code, Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    let expected = format!(
        "copycds: importing {}: it was interrupted before it was done",
        tree.display()
    );
    assert_eq!(last, expected);
    let left: Vec<_> = fs::read_dir(&place).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(site.osimages(), [] as [String; 0]);
}

fn usage() {
    let site = Site::new();
    for arguments in [&[][..], &["--no-such-option", "x"], &["-n", "../x", "x"]] {
        assert_eq!(site.run(arguments).code(), 2, "{arguments:?}");
    }
    let help = site.done(&["--help"]);
    for word in ["--nonoverwrite", "--dry-run", "Examples:", "Exit status:"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(!help.contains("no-hash"));
}
