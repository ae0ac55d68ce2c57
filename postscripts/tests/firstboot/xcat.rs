//! Under xCAT none of this is needed: our postscripts run from its directory, in its environment.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::node::{Node, text};
use crate::{Need, Test};

pub(crate) const TESTS: &[Test] = &[
    (
        "our_postscripts_run_from_a_mypostscript",
        Need::Namespaces,
        mypostscript,
    ),
    (
        "quotes_and_newlines_in_a_mypostscript_reach_our_postscripts_and_harm_nobody",
        Need::Namespaces,
        values,
    ),
];

/// A `mypostscript` of the form that xCAT generates: exports with single quotes, then the lists between
/// their marks, each script through `run_ps`.
fn generated(directory: &Path, exports: &[(&str, &str)], scripts: &[&str]) -> String {
    let mut text = String::from(
        "# global value to store the running status of the postbootscripts\n\nreturn_value=0\n",
    );
    for (name, value) in exports {
        text += &format!("{name}='{}'\nexport {name}\n", value.replace('\'', "'\\''"));
    }
    text += &format!(
        "PATH=`dirname $0`:$PATH\nexport PATH\ncd {}\n\
         run_ps () {{\n  local ret_local=0\n  echo \"postbootscript start..: $1\"\n  ./\"$@\"\n  \
         ret_local=$?\n  [ $ret_local -ne 0 ] && return_value=$ret_local\n  \
         echo \"postbootscript end....: $1 exited with code $ret_local\"\n}}\n\
         # postscripts-start-here\n# node-postbootscripts-start-here\n",
        directory.display()
    );
    for script in scripts {
        text += &format!("run_ps {script}\n");
    }
    text + "# node-postbootscripts-end-here\n# postscripts-end-here\nexit $return_value\n"
}

/// Runs it as the node does, on a host of its own whose NIC is eth0.
fn run(node: &Node, exports: &[(&str, &str)], scripts: &[&str]) -> Output {
    let directory = node.path("xcatpost");
    fs::create_dir_all(&directory).unwrap();
    for (name, binary) in [
        ("bridgeprereq", env!("CARGO_BIN_EXE_bridgeprereq")),
        ("xHRM", env!("CARGO_BIN_EXE_bridgeprereq")),
        ("setupdockerhost", env!("CARGO_BIN_EXE_setupdockerhost")),
    ] {
        fs::copy(binary, directory.join(name)).unwrap();
    }
    let script = directory.join("mypostscript");
    fs::write(&script, generated(&directory, exports, scripts)).unwrap();
    Node::make_executable(&script);
    let inside = format!(
        "ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up && \
         ip address add 10.9.0.5/24 dev eth0 && exec bash {}",
        script.display()
    );
    Command::new("unshare")
        .args(["--net", "sh", "-c", &inside])
        .output()
        .unwrap()
}

fn mypostscript() {
    let node = Node::new();
    let exports = [
        ("NODE", "host01"),
        ("MASTER", "10.9.0.1"),
        ("OSVER", "debian12"),
        ("INSTALLNIC", "eth0"),
        ("PRIMARYNIC", "eth0"),
        ("UPDATENODE", "0"),
        ("NTYPE", "compute"),
    ];
    let scripts = [
        "xHRM bridgeprereq eth0:mydocker0 --dry-run --no-persist",
        "bridgeprereq mydocker0 --dry-run --no-persist --json",
        "setupdockerhost --no-such-option",
    ];
    let output = run(&node, &exports, &scripts);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        out.contains("postbootscript end....: xHRM exited with code 0\n"),
        "{out}{err}"
    );
    assert!(out.contains("mydocker0"), "{out}");
    assert!(out.contains("\"outcome\""), "{out}");
    assert!(
        out.contains("postbootscript end....: setupdockerhost exited with code 2\n"),
        "{out}{err}"
    );
    assert_eq!(output.status.code(), Some(2));
}

fn values() {
    let node = Node::new();
    let exports = [
        ("NODE", "host01"),
        ("MASTER", "10.9.0.1"),
        ("INSTALLNIC", "eth0"),
        (
            "NICEXTRAPARAMS",
            "eth0!MTU=9000 it's \"odd\"\nand $(touch owned) `touch owned`",
        ),
        (
            "NETWORKS_LINE1",
            "netname=10_9_0_0||net=10.9.0.0||mask=255.255.255.0||mgtifname=eth0",
        ),
        (
            "OTHERPKGDIR",
            "https://host/repo suite main,\n/install/post/it's here",
        ),
    ];
    let output = run(
        &node,
        &exports,
        &["xHRM bridgeprereq mydocker0 --dry-run --no-persist"],
    );
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("eth0") && out.contains("mydocker0"), "{out}");
    assert!(!node.path("xcatpost/owned").exists());
}
