//! Nodes whose server, account or file systems refuse what is asked of them: one line each, and the others go on.

use std::fs;
use std::io::Write;
use std::net::TcpListener;

use definitions::glob;

use crate::Case;
use crate::lab::{Lab, write_program};

pub(crate) const CASES: &[Case] = &[
    (
        "what_a_node_refuses_is_its_own_line_and_others_go_on",
        &["setpriv"],
        refusals,
    ),
    (
        "a_server_that_takes_one_session_a_connection_is_no_hindrance",
        &[],
        one_session,
    ),
];

/// What a node refuses: its address, what it does before anything else, and the line that is printed of it.
const REFUSALS: &[(&str, &str, &str)] = &[
    (
        "127.0.2.1",
        "PATH=/opt/bin; shell='/opt/bin/setpriv --reuid 65534 --clear-groups /opt/bin/sh'",
        "failed: nothing was run: the account nobody is not root there, and there is no sudo: log in as root, or give it \
         sudo without a password",
    ),
    (
        "127.0.2.2",
        "PATH=/opt/wants:/opt/bin; shell='/opt/bin/setpriv --reuid 65534 --clear-groups /opt/bin/sh'",
        "failed: nothing was run: sudo: a password is required: log in as root, or give the account sudo without a \
         password",
    ),
    (
        "127.0.2.3",
        "PATH=/opt/denies:/opt/bin; shell='/opt/bin/setpriv --reuid 65534 --clear-groups /opt/bin/sh'",
        "failed: nothing was run: nobody is not in the sudoers file.: log in as root, or give the account sudo without a \
         password",
    ),
    (
        "127.0.2.4",
        "rm /opt/slipway/bin/firstboot; mount -t tmpfs -o size=64k none /opt/slipway; mkdir /opt/slipway/bin; \
         head -c 100000 /dev/zero >/opt/slipway/full 2>/dev/null",
        "failed: nothing was run: head: *: No space left on device",
    ),
    (
        "127.0.2.5",
        "rm /opt/slipway/bin/firstboot; mount -o remount,bind,ro /opt",
        "failed: nothing was run: mktemp: *: Read-only file system",
    ),
    (
        "127.0.2.6",
        "mount -t tmpfs -o ro none /tmp; mount -t tmpfs -o ro none /var/tmp",
        "ok",
    ),
    (
        "127.0.2.7",
        "head -c 1000000 /dev/zero | tr '\\0' W; seq 100000",
        "ok",
    ),
    ("127.0.2.8", "", "unreachable: Connection * 127.0.2.8*"),
    (
        "127.0.2.9",
        "",
        "unreachable: its sshd refuses a session (*open failed*): see MaxSessions and the log of sshd there",
    ),
    ("127.0.2.10", "", "unreachable: banner exchange: *"),
    ("127.0.2.11", "", "ok"),
];

fn refusals() {
    let nodes: Vec<_> = (1..)
        .zip(REFUSALS)
        .map(|(at, (address, ..))| (format!("n{at}"), *address))
        .collect();
    let nodes: Vec<_> = nodes
        .iter()
        .map(|(node, address)| (node.as_str(), *address))
        .collect();
    let options = "Match LocalAddress 127.0.2.8\n Banner @LAB@/banner\nMatch LocalAddress 127.0.2.9\n MaxSessions 0\n";
    let lab = Lab::serving(&nodes, options);
    fs::write(lab.path("banner"), "W".repeat(1_000_000)).unwrap();
    let talker = talker();
    lab.write_ssh_config(&format!(
        "Host 127.0.2.10\n HostName 127.0.0.1\n Port {talker}\n"
    ));
    for (address, first, _) in REFUSALS {
        fs::write(lab.path(&format!("nodes/{address}/first")), first).unwrap();
        tools(&lab, address);
    }
    let outcome = lab.run(&["n1-n11", "-P", "otherpkgs", "--timeout", "60"]);
    let mut wrong = Vec::new();
    for ((node, _), (.., expected)) in nodes.iter().zip(REFUSALS) {
        let lines = outcome.out.lines();
        let ended: Vec<_> = lines
            .filter_map(|line| {
                line.strip_prefix(&format!("{node}: "))?
                    .strip_suffix(" (T s)")
            })
            .collect();
        if !matches!(ended[..], [line] if glob::matches(expected, line)) {
            wrong.push(format!("{node}: {ended:?} instead of {expected}"));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!((outcome.code, outcome.err.as_str()), (Some(255), ""));
}

fn one_session() {
    let lab = Lab::serving(&[("n1", "127.0.2.1")], "MaxSessions 1\n");
    // A script breaks the session in the middle of a line: what it ran is read at a second one.
    lab.behave(
        "127.0.2.1",
        "printf half; sleep 3; p=$$
         while read -r _ comm _ parent _ </proc/$p/stat; do
             case $comm in \\(sshd*) kill -KILL $p; exit ;; esac
             p=$parent
         done",
    );
    // The processes of the node's own namespace.
    fs::write(
        lab.path("nodes/127.0.2.1/first"),
        "mount -t proc proc /proc",
    )
    .unwrap();
    let run = || lab.run(&["n1", "-P", "otherpkgs", "--persist", "10"]);
    let broken = run();
    let ending = "\nn1: half\nn1: failed: the shell that ran firstboot was killed, and no script is running there: see \
                  firstboot --status there (T s)\n1 node in T s: 1 failed\nfailed: n1\n";
    assert_eq!(broken.code, Some(1));
    assert!(broken.out.ends_with(ending), "{}", broken.out);
    lab.behave("127.0.2.1", "sleep 2");
    let two = std::thread::scope(|scope| {
        [scope.spawn(run), scope.spawn(run)].map(|run| run.join().unwrap())
    });
    for outcome in two {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
}

/// Gives a node the programs that an account there needs, and two of sudo's that refuse.
fn tools(lab: &Lab, address: &str) {
    let at = |name: &str| lab.on(address, name);
    for name in ["bin", "wants", "denies"] {
        fs::create_dir(at(name)).unwrap();
    }
    for name in ["sh", "id", "setpriv", "mount", "rm", "head"] {
        let link = at("bin").join(name);
        std::os::unix::fs::symlink(format!("/usr/bin/{name}"), link).unwrap();
    }
    let asks = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n";
    write_program(&at("wants/sudo"), asks);
    let denies = "#!/bin/sh\necho 'nobody is not in the sudoers file.' >&2\n\
                  echo 'This incident has been reported to the administrator.' >&2\nexit 1\n";
    write_program(&at("denies/sudo"), denies);
}

/// Answers one connection with text instead of a version, as long as anybody reads it; returns its port.
fn talker() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let line = "W".repeat(1 << 20);
        for client in listener.incoming().flatten().take(1) {
            let mut client = client;
            while client.write_all(line.as_bytes()).is_ok() {}
        }
    });
    port
}
