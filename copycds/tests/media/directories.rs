//! Directories as media.

use std::fs;
use std::os::unix::fs::symlink;

use copycds::media::{EntryKind, Medium};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::Case;
use crate::built::place;
use crate::cases;
use crate::listing::{Detail, list, open};

pub(crate) const CASES: &[Case] = cases! {
    &[] =>
        a_directory_lists_itself_and_nothing_behind_links
        a_file_that_became_a_link_is_not_opened
        a_pipe_is_refused_by_name;
};

fn a_directory_lists_itself_and_nothing_behind_links() {
    let place = place();
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("sub/empty")).unwrap();
    fs::write(place.path().join("outside"), "outside").unwrap();
    fs::write(tree.join("sub/file"), "inside").unwrap();
    symlink("../..", tree.join("sub/up")).unwrap();
    symlink("/etc", tree.join("etc")).unwrap();
    let medium = open(&tree);
    assert_eq!(
        list(&medium, Detail::Content),
        "etc -> /etc\nsub dir\nsub/empty dir\nsub/file 6 106b086224a4d945\nsub/up -> ../..\n"
    );
    assert!(medium.image().is_none());
    assert!(medium.boot().is_empty());
    assert_eq!(medium.ids().volume, "");
    assert!(medium.find("etc").is_none() && medium.find("sub/up").is_none());
    let [link, _] = medium.left_out() else {
        panic!("{:?}", medium.left_out())
    };
    assert_eq!(
        format!("{:#}", medium.read(link, 9).unwrap_err()),
        "reading etc: it is a link"
    );
}

fn a_file_that_became_a_link_is_not_opened() {
    let place = place();
    fs::create_dir_all(place.path().join("tree/sub")).unwrap();
    fs::write(place.path().join("secret"), "secret").unwrap();
    let tree = place.path().join("tree");
    fs::write(tree.join("sub/file"), "inside").unwrap();
    let medium = open(&tree);
    let entry = medium.find("sub/file").unwrap();
    assert!(matches!(entry.kind, EntryKind::File { size: 6, .. }));
    fs::remove_file(tree.join("sub/file")).unwrap();
    symlink("../../secret", tree.join("sub/file")).unwrap();
    let opened = medium.open_entry(entry);
    assert_eq!(
        format!("{:#}", opened.unwrap_err()),
        "opening sub/file: Too many levels of symbolic links (os error 40)"
    );
    // The same for a directory on the way.
    fs::rename(tree.join("sub"), place.path().join("moved")).unwrap();
    symlink("../moved", tree.join("sub")).unwrap();
    assert_eq!(
        format!("{:#}", medium.open_entry(entry).unwrap_err()),
        "opening the directory sub: Not a directory (os error 20)"
    );
}

fn a_pipe_is_refused_by_name() {
    let place = place();
    fs::create_dir(place.path().join("dev")).unwrap();
    mkfifo(&place.path().join("dev/initctl"), Mode::S_IRUSR).unwrap();
    let error = format!("{:#}", Medium::open(place.path()).unwrap_err());
    assert_eq!(
        error.replace(place.path().to_str().unwrap(), "PLACE"),
        "reading PLACE: dev/initctl is a named pipe, which no install medium has"
    );
    let error = format!(
        "{:#}",
        Medium::open(&place.path().join("dev/initctl")).unwrap_err()
    );
    assert_eq!(
        error.replace(place.path().to_str().unwrap(), "PLACE"),
        "PLACE/dev/initctl is neither an image file, a block device nor a directory"
    );
}
