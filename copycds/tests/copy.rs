//! Media built by xorriso, imported whole: what stands afterwards is what the medium holds.

#![allow(clippy::unwrap_used)] // a test that cannot go on should panic

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use copycds::checksums::{DigestSource, ExpectedDigest, ExpectedDigests, MediumTrust};
use copycds::copy::{self, ByteProgress, Differences, Done, Fingerprint, ImportJob, PublishedTree};
use copycds::digest::{Algorithm, Digest};
use copycds::media::{Medium, MediumPath};
use tempfile::TempDir;
use walkdir::{DirEntry, WalkDir};

/// A directory to build media in and import them to.
struct Workbench {
    dir: TempDir,
}

impl Workbench {
    fn new() -> Self {
        // In memory where there is some: publishing waits for the whole file system to be written.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        Self { dir: dir.unwrap() }
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("install/debian12.9.0/x86_64")
    }

    /// Builds an image that holds these files.
    fn iso(&self, volume: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let src = TempDir::new_in(self.dir.path()).unwrap();
        for (path, content) in files {
            let path = src.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.iso_of(volume, src.path())
    }

    fn iso_of(&self, volume: &str, src: &Path) -> PathBuf {
        let iso = self.dir.path().join(format!("{volume}.iso"));
        let _ = fs::remove_file(&iso);
        let out = Command::new("xorriso")
            .args([
                "-as",
                "mkisofs",
                "-quiet",
                "-R",
                "-J",
                "-iso-level",
                "3",
                "-V",
                volume,
                "-o",
            ])
            .args([&iso, src])
            .output()
            .expect("xorriso is installed");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        iso
    }

    fn import(&self, iso: &Path) -> anyhow::Result<Done> {
        self.import_expecting(iso, &ExpectedDigests::default())
    }

    fn import_expecting(&self, iso: &Path, checksums: &ExpectedDigests) -> anyhow::Result<Done> {
        import(iso, &self.target(), checksums)
    }

    fn message(&self, iso: &Path) -> String {
        format!("{:#}", self.import(iso).unwrap_err())
    }

    /// Returns what lies beside the target, whatever it is.
    fn beside(&self) -> Vec<String> {
        let parent = self.target().parent().unwrap().to_path_buf();
        let mut names: Vec<_> = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn import(iso: &Path, target: &Path, checksums: &ExpectedDigests) -> anyhow::Result<Done> {
    let medium = Medium::open(iso)?;
    let fingerprint = Fingerprint::of(&medium)?;
    let mut about = toml::Table::new();
    about.insert("distro".into(), "debian12.9.0".into());
    let job = ImportJob {
        medium: &medium,
        fingerprint: &fingerprint,
        checksums,
        image_digests: None,
        trust: MediumTrust::Unsigned,
        accept_unsigned: false,
        label: &medium.ids().volume,
        about: &about,
        target,
        hash: true,
    };
    let planned = copy::plan(&job, PublishedTree::load_target(target)?)?;
    copy::import(&job, &planned, &ByteProgress::new())
}

fn is_whole(tree: &Path) {
    assert_eq!(
        copy::verify(tree, &ByteProgress::new()).unwrap(),
        Differences {
            checked: copy::verify(tree, &ByteProgress::new()).unwrap().checked,
            ..Differences::default()
        }
    );
    let out = Command::new("sha256sum")
        .args(["-c", "--quiet", "--strict", copy::MANIFEST])
        .current_dir(tree)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Returns every path of a tree but ours, with its content or what the link says.
fn snapshot(tree: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let is_ours = |entry: &DirEntry| entry.path() == tree.join(copy::DIR);
    let entries = WalkDir::new(tree).min_depth(1).into_iter();
    for entry in entries.filter_entry(|entry| !is_ours(entry)) {
        let entry = entry.unwrap();
        let path = entry.path();
        let content = match entry.file_type() {
            kind if kind.is_dir() => b"directory".to_vec(),
            kind if kind.is_symlink() => fs::read_link(path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes(),
            _ => fs::read(path).unwrap(),
        };
        all.insert(path.strip_prefix(tree).unwrap().to_path_buf(), content);
    }
    all
}

/// Returns files of many sizes, a few of them larger than any buffer.
fn many(count: usize, seed: u32) -> Vec<(String, Vec<u8>)> {
    let mut state = seed.max(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..count)
        .map(|number| {
            let size = match number % 50 {
                0 => 0,
                1 => 700_000,
                2 => 131_072,
                _ => next() as usize % 9000,
            };
            let content = (0..size).map(|_| next() as u8).collect();
            (format!("pool/{}/{number}.deb", number % 37), content)
        })
        .collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_slice()))
        .collect()
}

#[test]
fn a_tree_is_what_bsdtar_extracts_from_the_same_image() {
    let bench = Workbench::new();
    let src = bench.dir.path().join("src");
    for (path, content) in many(3000, 7) {
        let path = src.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(src.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(src.join("run.sh"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(src.join("pool/0"), fs::Permissions::from_mode(0o500)).unwrap();
    symlink("../pool", src.join("pool/up")).unwrap();
    symlink("/etc/passwd", src.join("absolute")).unwrap();
    fs::create_dir(src.join("empty")).unwrap();
    let iso = bench.iso_of("TEST", &src);

    let done = bench.import(&iso).unwrap();
    assert_eq!((done.copied, done.kept), (3001, 0));
    is_whole(&bench.target());
    assert_eq!(bench.beside(), ["x86_64"]);

    let oracle = bench.dir.path().join("oracle");
    fs::create_dir(&oracle).unwrap();
    let out = Command::new("bsdtar")
        .arg("-xf")
        .arg(&iso)
        .arg("-C")
        .arg(&oracle)
        .output();
    assert!(out.expect("bsdtar is installed").status.success());
    // A link that leads out of the medium is no part of a tree.
    fs::remove_file(oracle.join("absolute")).unwrap();
    assert_eq!(snapshot(&bench.target()), snapshot(&oracle));

    let mode = |path: &str| fs::metadata(bench.target().join(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("run.sh"), 0o755);
    assert_eq!(mode("pool/1/1.deb"), 0o644);
    assert_eq!(mode("pool/0"), 0o755);
    assert_eq!(mode(""), 0o755);
    let time = |path: &Path| fs::metadata(path).unwrap().mtime();
    assert_eq!(
        time(&bench.target().join("run.sh")),
        time(&src.join("run.sh"))
    );
    assert_eq!(
        time(&bench.target().join("pool/1")),
        time(&src.join("pool/1"))
    );
}

#[test]
fn a_directory_medium_gives_the_tree_that_its_image_gives() {
    let bench = Workbench::new();
    let src = bench.dir.path().join("src");
    for (path, content) in many(200, 3) {
        let path = src.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    symlink("pool", src.join("link")).unwrap();
    let other = bench.dir.path().join("other/tree");
    bench.import(&bench.iso_of("TEST", &src)).unwrap();
    import(&src, &other, &ExpectedDigests::default()).unwrap();
    is_whole(&other);
    assert_eq!(snapshot(&bench.target()), snapshot(&other));
}

#[test]
fn the_same_disc_is_known_again_and_another_build_of_it_is_not() {
    let bench = Workbench::new();
    let one = bench.iso("D1", &[("a", b"a"), (".disk/info", b"one")]);
    bench.import(&one).unwrap();
    let print = |iso: &Path| Fingerprint::of(&Medium::open(iso).unwrap()).unwrap();
    let tree = PublishedTree::load_target(&bench.target())
        .unwrap()
        .unwrap();
    assert!(tree.record.disc(&print(&one)).is_some());
    let two = bench.iso("D1", &[("a", b"a"), (".disk/info", b"two")]);
    assert!(tree.record.disc(&print(&two)).is_none());
}

#[test]
fn another_build_of_a_disc_replaces_its_files_and_keeps_what_others_put_there() {
    let bench = Workbench::new();
    bench
        .import(&bench.iso("D1", &[("a", b"old"), ("gone", b"x"), ("b", b"b")]))
        .unwrap();
    bench
        .import(&bench.iso("D2", &[("c", b"c"), ("b", b"b")]))
        .unwrap();
    fs::write(bench.target().join("mine"), "mine").unwrap();
    let done = bench
        .import(&bench.iso("D1", &[("a", b"new!"), ("d", b"d")]))
        .unwrap();
    assert_eq!(done.discs, ["D1", "D2"]);
    let tree = snapshot(&bench.target());
    let names: Vec<_> = tree.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d", "mine"]);
    assert_eq!(tree[Path::new("a")], b"new!");
    let report = copy::verify(&bench.target(), &ByteProgress::new()).unwrap();
    assert_eq!(report.added, [MediumPath::new("mine").unwrap()]);
    assert!(report.changed.is_empty() && report.missing.is_empty());
}

#[test]
fn two_discs_merge_and_the_second_stands_whole_beside_its_own_index() {
    let bench = Workbench::new();
    let release = [
        ("dists/bookworm/Release", &b"one"[..]),
        ("dists/bookworm/same", b"s"),
    ];
    let one = [
        ("pool/a/a.deb", &b"a"[..]),
        (".disk/info", b"1"),
        ("doc/x", b"x"),
        release[0],
        release[1],
    ];
    let two = [
        ("pool/b/b.deb", &b"b"[..]),
        (".disk/info", b"2"),
        ("doc/x", b"x"),
        ("dists/bookworm/Release", b"two"),
        ("dists/bookworm/same", b"s"),
    ];
    bench.import(&bench.iso("D1", &one)).unwrap();
    let inode = |path: &str| fs::metadata(bench.target().join(path)).unwrap().ino();
    let before = inode("pool/a/a.deb");
    let done = bench.import(&bench.iso("D2", &two)).unwrap();
    assert_eq!(done.discs, ["D1", "D2"]);
    assert_eq!(
        inode("pool/a/a.deb"),
        before,
        "what did not change is the same file"
    );
    is_whole(&bench.target());
    let read = |path: &str| fs::read_to_string(bench.target().join(path)).unwrap();
    for (path, content) in [
        (".disk/info", "1"),
        ("pool/a/a.deb", "a"),
        ("pool/b/b.deb", "b"),
        (".slipway/discs/2/.disk/info", "2"),
        (".slipway/discs/2/dists/bookworm/Release", "two"),
        (".slipway/discs/2/dists/bookworm/same", "s"),
        (".slipway/discs/2/pool/b/b.deb", "b"),
        (".slipway/discs/2/doc/x", "x"),
    ] {
        assert_eq!(read(path), content, "{path}");
    }
    let pool = fs::read_link(bench.target().join(".slipway/discs/2/pool")).unwrap();
    assert_eq!(pool, Path::new("../../../pool"));
    assert_eq!(bench.beside(), ["x86_64"]);
}

#[test]
fn two_discs_that_differ_under_one_name_are_an_error_that_names_both() {
    let bench = Workbench::new();
    bench
        .import(&bench.iso("D1", &[("pool/a.deb", b"one"), ("x", b"x")]))
        .unwrap();
    let before = snapshot(&bench.target());
    let message = bench.message(&bench.iso("D2", &[("pool/a.deb", b"two"), ("y", b"y")]));
    let says = "'pool/a.deb' on disc 'D1', which is in the tree, differs from 'pool/a.deb' on disc 'D2': \
                they are not discs of one release; import one of them elsewhere (-p)";
    assert_eq!(message, says);
    let message = bench.message(&bench.iso("D2", &[("pool", b"a file")]));
    assert!(message.starts_with("'pool' is in the tree"), "{message}");
    assert_eq!(snapshot(&bench.target()), before);
    is_whole(&bench.target());
    assert_eq!(bench.beside(), ["x86_64"]);
}

#[test]
fn a_file_that_is_not_what_the_medium_says_of_it_stops_the_import() {
    for algorithm in Algorithm::ALL {
        let bench = Workbench::new();
        let big = vec![7; 3_000_000];
        let iso = bench.iso(
            "D1",
            &[("pool/a.deb", b"good"), ("pool/b.deb", &big), ("c", b"c")],
        );
        let mut checksums = ExpectedDigests::default();
        let source = checksums.add_source(DigestSource::new("list", "list"));
        let mut expected = |path: &str, digest| {
            let path = MediumPath::new(path).unwrap();
            checksums
                .add(
                    path,
                    ExpectedDigest {
                        digest,
                        size: None,
                        source,
                        md5: None,
                    },
                )
                .unwrap();
        };
        expected("pool/a.deb", Digest::of(algorithm, b"good"));
        expected("pool/b.deb", Digest::of(algorithm, &big));
        bench.import_expecting(&iso, &checksums).unwrap();
        is_whole(&bench.target());
        fs::remove_dir_all(bench.dir.path().join("install")).unwrap();

        let mut bytes = fs::read(&iso).unwrap();
        let place = bytes
            .windows(4)
            .position(|window| window == b"good")
            .unwrap();
        bytes[place] ^= 1;
        fs::write(&iso, bytes).unwrap();
        let message = format!(
            "{:#}",
            bench.import_expecting(&iso, &checksums).unwrap_err()
        );
        assert_eq!(
            message,
            format!(
                "'pool/a.deb' on {} is damaged: its {algorithm} is {}, 4 bytes, but list on the medium \
                 says {}; get the medium again",
                iso.display(),
                Digest::of(algorithm, b"food"),
                Digest::of(algorithm, b"good"),
            )
        );
        assert!(
            !bench.dir.path().join("install").exists(),
            "nothing is left behind"
        );
    }
}

#[test]
fn what_is_at_the_target_and_is_not_our_tree_is_refused_and_kept() {
    type Setup = fn(&Path);
    let cases: [(Setup, &str); 3] = [
        (
            |target| fs::write(target, "x").unwrap(),
            " is a file, where the tree would be published: move it away and run again",
        ),
        (
            |target| symlink("/tmp", target).unwrap(),
            " is a symbolic link, where the tree would be published: move it away and run again",
        ),
        (
            |target| {
                fs::create_dir(target).unwrap();
                fs::write(target.join("x"), "x").unwrap();
            },
            " exists and was not made by copycds (it has no .slipway/tree.toml): move it away and run \
             again",
        ),
    ];
    for (setup, says) in cases {
        let bench = Workbench::new();
        let iso = bench.iso("D1", &[("a", b"a")]);
        fs::create_dir_all(bench.target().parent().unwrap()).unwrap();
        setup(&bench.target());
        assert_eq!(
            bench.message(&iso),
            format!("{}{says}", bench.target().display())
        );
        assert_eq!(bench.beside(), ["x86_64"]);
    }
}

#[test]
fn an_empty_directory_at_the_target_is_taken() {
    let bench = Workbench::new();
    fs::create_dir_all(bench.target()).unwrap();
    bench.import(&bench.iso("D1", &[("a", b"a")])).unwrap();
    is_whole(&bench.target());
    assert_eq!(bench.beside(), ["x86_64"]);
}

#[test]
fn verify_says_what_changed_what_is_missing_and_what_was_added() {
    let bench = Workbench::new();
    let src = bench.dir.path().join("src");
    fs::create_dir_all(src.join("d")).unwrap();
    for name in ["same", "d/changed", "d/missing", "d/becomes-link"] {
        fs::write(src.join(name), name).unwrap();
    }
    symlink("same", src.join("link")).unwrap();
    bench.import(&bench.iso_of("D1", &src)).unwrap();
    is_whole(&bench.target());
    let tree = bench.target();
    fs::write(tree.join("d/changed"), "d/chamged").unwrap();
    fs::remove_file(tree.join("d/missing")).unwrap();
    fs::remove_file(tree.join("d/becomes-link")).unwrap();
    symlink("/etc/passwd", tree.join("d/becomes-link")).unwrap();
    fs::remove_file(tree.join("link")).unwrap();
    symlink("d/changed", tree.join("link")).unwrap();
    fs::write(tree.join("d/new"), "").unwrap();
    let report = copy::verify(&tree, &ByteProgress::new()).unwrap();
    let names = |paths: &[MediumPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        names(&report.changed),
        ["d/becomes-link", "d/changed", "link"]
    );
    assert_eq!(names(&report.missing), ["d/missing"]);
    assert_eq!(names(&report.added), ["d/new"]);
    assert_eq!(report.checked, 5);
}

#[test]
fn an_import_that_is_stopped_leaves_nothing_behind() {
    let bench = Workbench::new();
    let iso = bench.iso("D1", &[("a", b"a")]);
    let medium = Medium::open(&iso).unwrap();
    let fingerprint = Fingerprint::of(&medium).unwrap();
    let progress = ByteProgress::new();
    progress.stop();
    let job = ImportJob {
        medium: &medium,
        fingerprint: &fingerprint,
        checksums: &ExpectedDigests::default(),
        image_digests: None,
        trust: MediumTrust::Unsigned,
        accept_unsigned: false,
        label: "D1",
        about: &toml::Table::new(),
        target: &bench.target(),
        hash: true,
    };
    let planned = copy::plan(&job, None).unwrap();
    let error = copy::import(&job, &planned, &progress).unwrap_err();
    assert_eq!(error.to_string(), "it was interrupted before it was done");
    assert!(!bench.dir.path().join("install").exists());
}

#[test]
fn two_imports_of_one_tree_at_once_are_an_error_and_one_after_a_kill_is_not() {
    let bench = Workbench::new();
    let iso = bench.iso("D1", &[("a", b"a")]);
    let stage = bench.target().with_file_name(".x86_64.slipway");
    fs::create_dir_all(stage.join("new/half")).unwrap();
    fs::write(stage.join("new/half/file"), "half").unwrap();
    let held = fs::File::open(&stage).unwrap();
    held.lock().unwrap();
    assert_eq!(
        bench.message(&iso),
        format!(
            "another import of this tree is running (it holds {}): wait for it, then run again",
            stage.display()
        )
    );
    drop(held);
    bench.import(&iso).unwrap();
    is_whole(&bench.target());
    assert_eq!(bench.beside(), ["x86_64"]);
}

#[test]
fn what_a_kill_after_publishing_left_is_cleared_without_an_import() {
    let bench = Workbench::new();
    bench.import(&bench.iso("D1", &[("a", b"a")])).unwrap();
    let stage = bench.target().with_file_name(".x86_64.slipway");
    fs::create_dir_all(stage.join("new/old-tree")).unwrap();
    copy::clear_dead(&bench.target()).unwrap();
    assert_eq!(bench.beside(), ["x86_64"]);
}

#[test]
fn a_reader_never_sees_half_a_tree() {
    let bench = Workbench::new();
    let first = many(300, 1);
    let second: Vec<_> = many(300, 2)
        .into_iter()
        .map(|(path, content)| (path.replace("pool", "extra"), content))
        .collect();
    let one = bench.iso("D1", &borrowed(&first));
    let two = bench.iso("D2", &borrowed(&second));
    bench.import(&one).unwrap();
    let target = bench.target();
    let over = std::sync::atomic::AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let text = fs::read(target.join(copy::MANIFEST)).unwrap();
                let manifest = copy::Manifest::parse(&text).unwrap();
                assert!([300, 600].contains(&manifest.files().len()));
                for path in manifest.files().keys() {
                    assert!(target.join(path.as_path()).exists(), "{path} is missing");
                }
                looks += 1;
            }
            looks
        });
        for _ in 0..5 {
            bench.import(&two).unwrap();
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(looks > 1);
    is_whole(&bench.target());
}

#[test]
fn every_claim_of_many_files_is_held_whatever_its_algorithm() {
    let bench = Workbench::new();
    let mut files = many(400, 11);
    // Hashed beside their copy.
    files.push(("live/one.squashfs".into(), vec![1; (32 << 20) + 5]));
    files.push(("live/two.squashfs".into(), vec![2; 33 << 20]));
    let iso = bench.iso("D1", &borrowed(&files));
    // Mostly MD5, with the others in between, and some files that nothing speaks of.
    let algorithm = |number: usize| match number % 10 {
        0 => Some(Algorithm::Sha1),
        1 => Some(Algorithm::Sha256),
        2 => Some(Algorithm::Sha512),
        3 => None,
        _ => Some(Algorithm::Md5),
    };
    let checksums_of = |wrong: Option<usize>| {
        let mut checksums = ExpectedDigests::default();
        let source = checksums.add_source(DigestSource::new("list", "list"));
        for (number, (path, content)) in files.iter().enumerate() {
            let said = if wrong == Some(number) {
                b"other"
            } else {
                content.as_slice()
            };
            if let Some(algorithm) = algorithm(number) {
                let digest = Digest::of(algorithm, said);
                let size = Some(content.len() as u64);
                checksums
                    .add(
                        MediumPath::new(path.as_str()).unwrap(),
                        ExpectedDigest {
                            digest,
                            size,
                            source,
                            md5: None,
                        },
                    )
                    .unwrap();
            }
        }
        checksums
    };
    let done = bench.import_expecting(&iso, &checksums_of(None)).unwrap();
    is_whole(&bench.target());
    let covered: Vec<_> = done
        .coverage
        .by
        .iter()
        .map(|cover| (cover.how.as_str(), cover.files))
        .collect();
    assert_eq!(
        covered,
        [
            ("SHA-512 of list", 40),
            ("SHA-256 of list", 41),
            ("SHA-1 of list", 41),
            ("MD5 of list", 240)
        ]
    );
    assert_eq!(done.coverage.uncovered, 40);
    for wrong in [4, 57, 150, 390, 399, 401] {
        let other = bench.dir.path().join("other/tree");
        let error = import(&iso, &other, &checksums_of(Some(wrong)))
            .unwrap_err()
            .to_string();
        let start = format!("'{}' on {} is damaged: ", files[wrong].0, iso.display());
        assert!(error.starts_with(&start), "{error}");
        assert!(!bench.dir.path().join("other").exists());
    }
}
