//! Accounts that become root by the real sudo, as sites configure it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use definitions::glob;

use crate::Case;
use crate::lab::{Lab, numbered};

pub(crate) const CASES: &[Case] = &[(
    "what_sudo_allows_runs_and_what_it_refuses_is_said",
    &["setpriv", "sudo"],
    sudoers,
)];

const REFUSED: &str = "log in as root, or give the account sudo without a password";

/// The sudoers of a node, what it does before anything else, and the line that is printed of it.
#[rustfmt::skip]
const NODES: &[(&str, &str, &str)] = &[
    ("nobody ALL=(ALL) NOPASSWD: ALL", "", "ok"),
    ("nobody ALL=NOPASSWD: ALL", "", "ok"),
    ("nobody ALL=(ALL) ALL\nDefaults !authenticate", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults use_pty", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults use_pty, log_output, log_input", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults secure_path=\"/usr/sbin:/usr/bin:/sbin:/bin\"", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults lecture=always, lecture_file=/etc/passwd", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults umask=0777, umask_override, !env_reset", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults runas_default=daemon", "", "ok"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults requiretty", "", "failed: nothing was run: sudo: *tty*"),
    ("nobody ALL=(ALL) NOPASSWD: ALL\nDefaults secure_path=/nonexistent", "", "failed: nothing was run: sudo: sh: command not found*"),
    ("nobody ALL=(ALL) NOPASSWD:NOEXEC: ALL", "", "failed: *"),
    ("nobody ALL=(ALL) ALL", "", "failed: nothing was run: sudo: a password is required: @"),
    ("nobody ALL=(ALL) ALL\nDefaults lecture=always", "", "failed: nothing was run: sudo: a password is required: @"),
    ("nobody ALL=(ALL) NOPASSWD: /usr/bin/true", "", "failed: nothing was run: *: @"),
    ("nobody ALL=(ALL) ALL, NOPASSWD: /usr/bin/true", "", "failed: nothing was run: sudo: a password is required: @"),
    ("nobody ALL=(daemon) NOPASSWD: ALL", "", "failed: nothing was run: *: @"),
    ("root ALL=(ALL) ALL", "", "failed: nothing was run: *: @"),
    ("nobody ALL=(ALL", "", "failed: nothing was run: *"),
    ("nobody ALL=(ALL) NOPASSWD: ALL", "chmod 666 \"$node/sudoers\"", "failed: nothing was run: sudo: *"),
    ("nobody ALL=(ALL) NOPASSWD: ALL", "mount --bind /usr /usr; mount -o remount,bind,nosuid /usr", "failed: nothing was run: sudo: *"),
    ("nobody ALL=(ALL) NOPASSWD: ALL", "mount -t tmpfs -o size=4k none /var/log; mount -o remount,bind,ro /opt", "ok"),
];

fn sudoers() {
    let nodes = numbered(NODES.len(), "127.0.4");
    let lab = Lab::new(&nodes);
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for ((_, address), (sudoers, first, _)) in nodes.iter().zip(NODES) {
        let write = |name: &str, text: &str| {
            let path = lab.path(&format!("nodes/{address}/{name}"));
            fs::write(&path, text).unwrap();
            path
        };
        let path = write("sudoers", &format!("{sudoers}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o440)).unwrap();
        write(
            "first",
            &format!("mount --bind \"$node/sudoers\" /etc/sudoers || exit 98; {first}"),
        );
        write("shell", "setpriv --reuid nobody --clear-groups bash");
        // Only root is served.
        lab.behave(address, "[ \"$(id -u)\" = 0 ] || exit 97");
    }
    let range = format!("n1-n{}", nodes.len());
    let outcome = lab.run(&[&range, "-P", "otherpkgs", "--timeout", "30"]);
    let mut wrong = Vec::new();
    for ((node, _), (sudoers, _, expected)) in nodes.iter().zip(NODES) {
        let expected = expected.replace('@', REFUSED);
        let ended = outcome.ended(node);
        if !matches!(ended[..], [line] if glob::matches(&expected, line)) {
            wrong.push(format!("{node}: {sudoers:?}: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(outcome.code, Some(1));
}
