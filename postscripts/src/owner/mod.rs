//! Whose is it? What processes report of themselves, and files that they name, count only where root alone
//! can have written it.
//!
//! In: the root directory with its `/proc`, names of programs, paths. Out: a [`HostProgram`] that root alone
//! can have put there, a [`HostProcess`] that runs one, a [`RootOnlyDirectory`] that root alone can have filled,
//! and what we keep ourselves ([`load_state`]), which root alone can have put there. All that looks at processes
//! goes through here. What is never trusted: a process's name (`comm`), its first word, `/proc/PID/exe` as
//! something to be started, a path with a link in it.
//!
//! - A program is found by its name in the directories that hosts keep programs in; its file and every
//!   directory that leads to it belong to root, and nobody else may write there.
//! - A process runs it when the file behind `/proc/PID/exe` is that very file, by device and inode: a copy,
//!   a program of a container's image and a name that was made up are other files. A program that was
//!   upgraded meanwhile is the one whose place its deleted file had.
//! - It is root's when all of its user IDs are, and the host's when it is in our process, network and user
//!   namespace. A container with host networking is in another process namespace, a user namespace makes
//!   nobody root here.
//! - Whether it is also in our mount namespace, below the same root directory, is said by [`View`]: a
//!   daemon may be shut in by systemd and is still the host's daemon, but a path that it names is not a
//!   path of ours.
//!
//! All is read by way of the process's own directory in `/proc`, which answers for no other process once
//! this one has ended, and a signal goes by a descriptor of the process where the kernel has one (5.3).
//!
//! Reference: proc(5), namespaces(7), pidfd_open(2), path_resolution(7).

mod directory;
mod process;
mod program;
mod state;
#[cfg(test)]
mod tests;

use nix::sys::stat::FileStat;
use nix::unistd::geteuid;

pub(crate) use directory::RootOnlyDirectory;
pub(crate) use process::{HostProcess, View, is_trusted, running, running_untrusted};
pub(crate) use program::{HostProgram, check};
pub(crate) use state::{check_state, load_state, load_state_text, lock_state};

/// Others than the owner may write, and what they put there is not confined to them (`S_ISVTX`).
fn is_writable_by_others(stat: &FileStat, acl: impl FnOnce() -> bool) -> bool {
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    const DIRECTORY: u32 = 0o040_000;
    let confined = stat.st_mode & 0o170_000 == DIRECTORY && stat.st_mode & STICKY != 0;
    // A group of root's own is root, unless the group's bits are those of a list that names others (acl(5)).
    let by_group = stat.st_mode & GROUP != 0 && (stat.st_gid != 0 || acl());
    (by_group || stat.st_mode & OTHERS != 0) && !confined
}

/// What keeps a file or a directory from being root's alone, in words; `acl` says whether it has an access control
/// list, and is asked where that decides.
fn untrusted_reason(stat: &FileStat, acl: impl FnOnce() -> bool) -> Option<String> {
    if !is_trusted(stat.st_uid) {
        return Some(format!("it belongs to user {}", stat.st_uid));
    }
    is_writable_by_others(stat, acl).then(|| {
        format!(
            "others may write to it (mode {:04o})",
            stat.st_mode & 0o7777
        )
    })
}

/// The extended attribute that holds an access control list (`XATTR_NAME_POSIX_ACL_ACCESS`, `linux/xattr.h`).
const ACL: &str = "system.posix_acl_access";

/// Whether what was asked for the length of its list has one. What cannot be asked may have one.
fn has_acl(length: rustix::io::Result<usize>) -> bool {
    use rustix::io::Errno;
    !matches!(length, Err(Errno::NODATA | Errno::NOTSUP))
}

/// The user we are, who is root wherever anything is changed.
fn own_user() -> u32 {
    geteuid().as_raw()
}
