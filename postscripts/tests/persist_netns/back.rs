//! The backend's own tool reads every golden file back before it counts, and what it does not understand
//! is refused.

use std::fs;
use std::path::Path;

use postscripts::bridge::persist;

use crate::host::{ok, state};
use crate::{Inside, daemons};

/// A backend, its tool and what of it reads back.
const TOOLS: [(&str, &[&str], &str); 4] = [
    ("netplan", &["netplan"], "netplan generate"),
    ("networkmanager", &["nmcli"], "nmcli --offline"),
    ("ifupdown", &["ifquery"], "ifquery"),
    ("wicked", &["wicked"], "wicked show-config"),
];

/// What is amiss in a host's files, and how the tool says it.
type Amiss = (
    &'static str,
    &'static str,
    &'static str,
    (&'static str, &'static str),
    &'static str,
);

const AMISS: [Amiss; 2] = [
    (
        "netplan",
        "static4",
        "etc/netplan/01-netcfg.yaml",
        ("10.0.0.53", "the.name.server"),
        "persisting mydocker0 through netplan (systemd-networkd): reading the files back with netplan generate: ",
    ),
    (
        "ifupdown",
        "dhcp",
        "etc/network/interfaces",
        ("inet dhcp", "inet leased"),
        "persisting mydocker0 through ifupdown: reading mydocker0 back with ifquery: ",
    ),
];

pub(crate) fn trials() -> Vec<Inside> {
    let read = |(backend, needs, tool): (&'static str, &'static [&'static str], &'static str)| {
        let name = format!("{}_reads_its_files_back", tool.replace([' ', '-'], "_"));
        Inside::new(name, needs, move || reads(backend, tool))
    };
    let refuse = |(backend, case, file, change, message): Amiss| {
        let (_, needs, _) = TOOLS
            .into_iter()
            .find(|(name, ..)| *name == backend)
            .unwrap();
        let run = move || refuses(backend, case, file, change, message);
        Inside::new(format!("{backend}_refuses_what_it_cannot_read"), needs, run)
    };
    let reads = TOOLS.into_iter().map(read);
    reads.chain(AMISS.into_iter().map(refuse)).collect()
}

/// Lays a golden host out in a directory of its own.
fn lay_out(backend: &str, case: &Path) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for dir in ["run", "var/lib"] {
        fs::create_dir_all(root.path().join(dir)).unwrap();
    }
    let before = golden(backend).join(case).join("before");
    ok(&format!(
        "cp -r {}/. {}",
        before.display(),
        root.path().display()
    ));
    daemons::vouch(root.path());
    root
}

fn golden(backend: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(backend)
}

fn reads(backend: &str, tool: &str) {
    for case in fs::read_dir(golden(backend)).unwrap() {
        let case = case.unwrap().file_name();
        let root = lay_out(backend, Path::new(&case));
        let plan = persist::plan(root.path(), "eth0", "mydocker0", None, &state(None)).unwrap();
        let read = plan
            .check()
            .unwrap_or_else(|err| panic!("{case:?}: {err:#}"));
        assert_eq!(read, Some(tool), "{case:?}");
    }
}

fn refuses(backend: &str, case: &str, file: &str, (from, to): (&str, &str), message: &str) {
    let root = lay_out(backend, Path::new(case));
    let path = root.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    let text = text.replace(from, to);
    fs::write(&path, &text).unwrap();
    let plan = persist::plan(root.path(), "eth0", "mydocker0", None, &state(None)).unwrap();
    let error = format!("{:#}", plan.check().unwrap_err());
    assert!(error.starts_with(message), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}
