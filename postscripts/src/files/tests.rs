use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;
use crate::fault::Fault;

/// A host with a file that changes, one that is made private, one that goes, and none of two that come.
struct Host(tempfile::TempDir);

/// Kind, mode, owner, time and bytes of everything, by its path.
type Shot = BTreeMap<PathBuf, (u32, u32, SystemTime, Vec<u8>)>;

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        for (path, mode) in [("etc/old", 0o640), ("etc/key", 0o644), ("etc/gone", 0o600)] {
            let place = host.at(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, path).unwrap();
            fs::set_permissions(&place, Permissions::from_mode(mode)).unwrap();
            let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
            let file = File::options().write(true).open(&place).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        host
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn journal(&self, fault: &str) -> FileJournal {
        let journal = FileJournal::new(self.0.path(), self.at("state")).with_copies();
        journal.with_fault(Fault::parse(fault))
    }

    fn shot(&self) -> Shot {
        let mut shot = Shot::new();
        let mut dirs = vec![self.at("etc")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                let (bytes, time) = if meta.is_dir() {
                    (Vec::new(), SystemTime::UNIX_EPOCH)
                } else {
                    (fs::read(&path).unwrap(), meta.modified().unwrap())
                };
                if meta.is_dir() {
                    dirs.push(path.clone());
                }
                shot.insert(path, (meta.mode(), meta.uid(), time, bytes));
            }
        }
        shot
    }
}

fn changes() -> Vec<FileChange> {
    vec![
        FileChange::write("/etc/old", "new text", Access::Mode(0o600)),
        FileChange::write("/etc/key", "secret", Access::Exactly(0o600)),
        FileChange::remove("/etc/gone"),
        FileChange::write("/etc/deep/in/private", "p", Access::Private),
        FileChange::write("/etc/like", "l", Access::Like("/etc/old".into())),
    ]
}

fn assert_changed(host: &Host) {
    let shot = host.shot();
    let shown: Vec<_> = shot
        .iter()
        .map(|(path, (mode, _, _, bytes))| {
            let path = path.strip_prefix(host.at("etc")).unwrap();
            (
                path.to_str().unwrap(),
                mode & 0o7777,
                std::str::from_utf8(bytes).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("deep", 0o700, ""),
            ("deep/in", 0o700, ""),
            ("deep/in/private", 0o600, "p"),
            ("key", 0o600, "secret"),
            ("like", 0o640, "l"),
            ("old", 0o640, "new text"),
        ]
    );
}

#[test]
fn a_commit_leaves_the_new_files_and_copies_of_the_old_ones() {
    let host = Host::new();
    let journal = host.journal("");
    journal.apply(&changes()).unwrap();
    assert!(journal.is_pending());
    journal.commit().unwrap();
    assert_changed(&host);
    assert!(!journal.is_pending());
    for (path, text) in [("etc/old", "etc/old"), ("etc/gone", "etc/gone")] {
        let copy = host.at("state/previous").join(path);
        assert_eq!(fs::read_to_string(copy).unwrap(), text);
    }
    assert!(!journal.restore().unwrap(), "there is no way back any more");
    assert_changed(&host);
}

#[test]
fn what_is_taken_back_is_as_it_was_however_often_it_is_tried() {
    let host = Host::new();
    let before = host.shot();
    host.journal("").apply(&changes()).unwrap();
    // as later processes would
    for _ in 0..2 {
        assert!(host.journal("").restore().unwrap());
        assert_eq!(host.shot(), before);
    }
    host.journal("").end().unwrap();
    assert!(!host.journal("").restore().unwrap());
    assert!(!host.at("state/previous").exists());
}

#[test]
fn whichever_part_is_refused_all_is_as_it_was() {
    let mut refused = 0;
    loop {
        let host = Host::new();
        let before = host.shot();
        let journal = host.journal(&format!("refuse:part:{}", refused + 1));
        let Err(error) = journal.apply(&changes()) else {
            break;
        };
        let message = format!("{error:#}");
        assert!(
            message.ends_with("Operation not permitted (os error 1)"),
            "{message}"
        );
        assert_eq!(host.shot(), before, "{message}");
        assert!(!journal.is_pending(), "{message}");
        refused += 1;
    }
    // the journal, two directories, four new files, three copies and second names, five places
    assert_eq!(refused, 1 + 2 + 4 + 3 + 3 + 5);
}

#[test]
fn a_way_back_that_is_refused_is_open_to_a_later_try() {
    let count = changes().len();
    for part in 1..=count {
        let host = Host::new();
        let before = host.shot();
        host.journal("").apply(&changes()).unwrap();
        host.journal(&format!("refuse:part:{part}"))
            .restore()
            .unwrap_err();
        assert!(host.journal("").restore().unwrap());
        assert_eq!(host.shot(), before);
    }
}

#[test]
fn a_commit_that_is_cut_off_is_ended_by_the_next() {
    for part in 2..=7 {
        let host = Host::new();
        host.journal("").apply(&changes()).unwrap();
        host.journal(&format!("refuse:part:{part}"))
            .commit()
            .unwrap();
        assert!(host.at("state/previous/journal.json").exists(), "{part}");
        host.journal("").commit().unwrap();
        assert_changed(&host);
        assert!(!host.at("state/previous/journal.json").exists());
    }
}

#[test]
fn what_others_were_told_is_known_later_without_any_file() {
    let host = Host::new();
    host.journal("").note(&"told").unwrap();
    let later = host.journal("");
    assert!(later.restore().unwrap());
    assert_eq!(later.noted::<String>().unwrap().as_deref(), Some("told"));
    later.end().unwrap();
    assert_eq!(later.noted::<String>().unwrap(), None);
}

#[test]
fn without_copies_nothing_is_left_of_the_old_files() {
    let host = Host::new();
    let journal = FileJournal::new(host.0.path(), host.at("state"));
    journal.apply(&changes()).unwrap();
    assert_eq!(
        fs::metadata(host.at("state")).unwrap().mode() & 0o7777,
        0o700
    );
    journal.commit().unwrap();
    assert_changed(&host);
    assert_eq!(fs::read_dir(host.at("state")).unwrap().count(), 0);
}

#[test]
fn a_second_change_has_to_wait_for_the_first() {
    let host = Host::new();
    host.journal("").apply(&changes()).unwrap();
    let error = host.journal("").apply(&changes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an earlier change of the files was not finished: undo it first"
    );
}

#[test]
fn a_link_and_a_directory_are_not_replaced() {
    let host = Host::new();
    symlink("old", host.at("etc/link")).unwrap();
    fs::create_dir(host.at("etc/dir")).unwrap();
    for name in ["link", "dir"] {
        let change = FileChange::write(Path::new("/etc").join(name), "x", Access::Mode(0o600));
        let error = host.journal("").apply(&[change]).unwrap_err();
        let place = host.at("etc").join(name);
        assert_eq!(
            error.to_string(),
            format!(
                "{} is not a regular file: replace it by one first",
                place.display()
            )
        );
    }
}

#[test]
fn a_file_that_is_right_is_not_due() {
    let dir = tempfile::tempdir().unwrap();
    let change = |text: Option<&str>, access| FileChange {
        path: "/key.pem".into(),
        text: text.map(str::to_owned),
        access,
    };
    let place = dir.path().join("key.pem");
    fs::write(&place, "k").unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o640)).unwrap();
    for (change, due) in [
        (change(Some("k"), Access::Mode(0o600)), false),
        (change(Some("k"), Access::Exactly(0o640)), false),
        (change(Some("k"), Access::Private), true),
        (change(Some("l"), Access::Mode(0o600)), true),
        (change(None, Access::Mode(0o600)), true),
    ] {
        assert_eq!(change.is_due(dir.path()).unwrap(), due, "{change:?}");
    }
    fs::remove_file(&place).unwrap();
    assert!(!change(None, Access::Private).is_due(dir.path()).unwrap());
    assert!(
        change(Some(""), Access::Private)
            .is_due(dir.path())
            .unwrap()
    );
}

#[test]
fn a_private_text_is_never_shown() {
    let change = |access| FileChange {
        path: "/f".into(),
        text: Some("secret".to_owned()),
        access,
    };
    for (access, shown) in [
        (Access::Private, false),
        (Access::Exactly(0o600), false),
        (Access::Exactly(0o644), true),
        (Access::Mode(0o600), true),
    ] {
        assert_eq!(
            format!("{:?}", change(access.clone())).contains("secret"),
            shown,
            "{access:?}"
        );
    }
}

#[test]
fn a_link_a_directory_and_a_huge_file_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    symlink("/etc/passwd", &link).unwrap();
    let huge = dir.path().join("huge");
    File::create(&huge)
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    for (path, ending) in [
        (
            link.as_path(),
            "link is a symbolic link: put the file itself there",
        ),
        (dir.path(), "is not a regular file"),
        (
            huge.as_path(),
            "huge has 1048577 bytes: more than a configuration file holds",
        ),
    ] {
        let message = format!("{:#}", load(path).unwrap_err());
        assert!(message.ends_with(ending), "{message}");
    }
}
