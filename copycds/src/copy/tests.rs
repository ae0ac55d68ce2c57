//! What an import makes of a tree that is published already: when it reads it, and when it reads it again.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::media::MediumPath;

/// A directory with two discs, as directories, and the target of both.
struct Discs(TempDir);

impl Discs {
    fn new() -> Self {
        let discs = Self(TempDir::new().unwrap());
        for disc in ["D1", "D2"] {
            fs::create_dir(discs.path(disc)).unwrap();
            fs::write(discs.path(disc).join(disc), disc).unwrap();
        }
        discs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Plans the import of a disc, lets `meanwhile` change the tree, and imports it.
    fn import(&self, disc: &str, meanwhile: impl FnOnce(&Path)) -> Done {
        let medium = Medium::open(&self.path(disc)).unwrap();
        let target = self.path("tree");
        let job = ImportJob {
            medium: &medium,
            fingerprint: &Fingerprint::of(&medium).unwrap(),
            checksums: &ExpectedDigests::default(),
            image_digests: None,
            trust: MediumTrust::Unsigned,
            accept_unsigned: false,
            label: disc,
            about: &toml::Table::new(),
            target: &target,
            hash: true,
        };
        let planned = plan(&job, PublishedTree::load_target(&target).unwrap()).unwrap();
        meanwhile(&target);
        import(&job, &planned, &ByteProgress::new()).unwrap()
    }

    /// Returns what a function reads of published trees: how many records, and how many contents.
    fn reads(&self, work: impl FnOnce(&Self)) -> [usize; 2] {
        let before = published_tree::reads();
        work(self);
        let after = published_tree::reads();
        [after[0] - before[0], after[1] - before[1]]
    }
}

#[test]
fn a_further_disc_reads_the_published_tree_once() {
    let discs = Discs::new();
    let first = discs.reads(|discs| {
        discs.import("D1", |_| ());
    });
    assert_eq!(first, [0, 0], "there is no tree yet");
    let second = discs.reads(|discs| {
        assert_eq!(discs.import("D2", |_| ()).discs, ["D1", "D2"]);
    });
    assert_eq!(second, [1, 1], "once to plan, and checked under the lock");
}

#[test]
fn a_tree_that_changed_since_the_plan_is_planned_for_again() {
    type Change = fn(&Path);
    let changes: [(&str, Change, &[&str]); 3] = [
        (
            "a file of somebody",
            |tree| fs::write(tree.join("mine"), "").unwrap(),
            &["D1", "D2"],
        ),
        (
            "another tree",
            |tree| {
                let copy = tree.with_extension("copy");
                fs::create_dir_all(copy.join(DIR)).unwrap();
                for file in ["D1", MANIFEST, RECORD] {
                    fs::copy(tree.join(file), copy.join(file)).unwrap();
                }
                fs::write(copy.join("mine"), "").unwrap();
                fs::remove_dir_all(tree).unwrap();
                fs::rename(&copy, tree).unwrap();
            },
            &["D1", "D2"],
        ),
        ("no tree", |tree| fs::remove_dir_all(tree).unwrap(), &["D2"]),
    ];
    for (what, change, expected) in changes {
        let discs = Discs::new();
        discs.import("D1", |_| ());
        let done = discs.import("D2", change);
        assert_eq!(done.discs, expected, "{what}");
        let report = verify(&discs.path("tree"), &ByteProgress::new()).unwrap();
        let mine = MediumPath::new("mine").unwrap();
        let added: &[MediumPath] = if expected.len() == 2 { &[mine] } else { &[] };
        assert_eq!(report.added, added, "{what}: what somebody put there stays");
        assert!(
            report.missing.is_empty() && report.changed.is_empty(),
            "{what}"
        );
    }
}
