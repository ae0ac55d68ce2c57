//! What is refused or interrupted, in one sentence, and leaves nothing.

use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::site::{RELEASE, Site, flip, snapshot, text};
use crate::workbench;

pub(super) fn label_alone() {
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

pub(super) fn bad_input() {
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

pub(super) fn bad_signature() {
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

pub(super) fn interrupt() {
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
