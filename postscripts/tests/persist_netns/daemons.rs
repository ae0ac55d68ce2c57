//! The daemons of a host in a directory: `/proc/<number>/comm` of a golden file says which one runs, and
//! this adds what vouches for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// The kernel's name for each, and its program.
const DAEMONS: [(&str, &str); 3] = [
    ("systemd-network", "usr/lib/systemd/systemd-networkd"),
    ("NetworkManager", "usr/sbin/NetworkManager"),
    ("wickedd", "usr/sbin/wickedd"),
];

/// Has every process that `comm` names run its program as root of this host.
pub(crate) fn vouch(root: &Path) {
    let proc = root.join("proc");
    let Ok(listing) = fs::read_dir(&proc) else {
        return;
    };
    let names: Vec<_> = listing.map(|entry| entry.unwrap().file_name()).collect();
    let ours = proc.join("self");
    fs::create_dir_all(ours.join("ns")).unwrap();
    fs::create_dir_all(ours.join("root")).unwrap();
    for name in ["pid", "net", "user", "mnt"] {
        fs::write(ours.join("ns").join(name), "").unwrap();
    }
    for name in names {
        let dir = proc.join(&name);
        let comm = fs::read_to_string(dir.join("comm")).unwrap_or_default();
        let daemon = DAEMONS.iter().find(|(known, _)| *known == comm.trim());
        for stale in ["exe", "ns", "root"] {
            let _ = fs::remove_file(dir.join(stale));
        }
        let Some((_, program)) = daemon else { continue };
        let place = root.join(program);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, "").unwrap();
        for part in Path::new(program).ancestors() {
            fs::set_permissions(root.join(part), Permissions::from_mode(0o755)).unwrap();
        }
        symlink(place, dir.join("exe")).unwrap();
        symlink("../self/ns", dir.join("ns")).unwrap();
        symlink("../self/root", dir.join("root")).unwrap();
        let number = name.to_string_lossy();
        fs::write(dir.join("status"), "Uid:\t0\t0\t0\t0\n").unwrap();
        fs::write(dir.join("stat"), format!("{number} (x) S 1 {number} 1 0\n")).unwrap();
        fs::write(dir.join("cmdline"), "x\0").unwrap();
    }
}
