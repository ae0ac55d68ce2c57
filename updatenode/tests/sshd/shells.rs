//! Accounts and scripts of every sort at once: none of them hangs, confuses another, or passes for what it is not.

use std::fs;
use std::time::{Duration, Instant};

use definitions::glob;

use crate::Case;
use crate::lab::{Lab, numbered, write_program};

pub(crate) const CASES: &[Case] = &[(
    "every_account_ends_in_one_line_that_is_true",
    &["csh", "fish", "rbash", "script"],
    accounts,
)];

/// What an account does before its shell, that shell (a program where it begins with `#!`), what runs in place of
/// `firstboot`, and the line that is printed of the node.
#[derive(Debug, Clone, Copy)]
struct Account {
    first: &'static str,
    shell: &'static str,
    runs: &'static str,
    expected: &'static str,
}

/// An account whose shell is the usual one.
const fn first(first: &'static str, expected: &'static str) -> Account {
    Account {
        first,
        shell: "",
        runs: "",
        expected,
    }
}

/// An account with another shell.
const fn shell(shell: &'static str, expected: &'static str) -> Account {
    Account {
        first: "",
        shell,
        runs: "",
        expected,
    }
}

/// An account where something else runs.
const fn runs(runs: &'static str, expected: &'static str) -> Account {
    Account {
        first: "",
        shell: "",
        runs,
        expected,
    }
}

const SILENT: &str =
    "timed out: ssh reports no error, and the remote shell printed nothing*nothing was run";

#[rustfmt::skip]
const ACCOUNTS: &[Account] = &[
    // What is printed before.
    first("printf 'host> '; sleep 2; printf 'host> '", "ok"),
    first("head -c 1000000 /dev/zero", "ok"),
    first("seq 100000 | tr 0-9 '\\200-\\211'", "ok"),
    first("yes warning | head -c 1000000 >&2", "ok"),
    first("printf '\\033]0;a title without an end'", "ok"),
    first("printf '\\033P a string without an end'", "ok"),
    first("printf 'slipway: ready %.10s' \"${SSH_ORIGINAL_COMMAND##* }\"", "ok"),
    first("LD_PRELOAD=/nonexistent.so; export LD_PRELOAD", "ok"),
    first("read -t 1 line 2>/dev/null || timeout 1 cat", "ok"),
    first("(sleep 600 &)", "ok"),
    first("(while sleep 0.1; do echo still here; done &)", "ok"),
    first("umask 0777", "ok"),
    first("IFS=/ CDPATH=/opt TMPDIR=/nonexistent POSIXLY_CORRECT=1 LC_ALL=xx; export IFS CDPATH TMPDIR POSIXLY_CORRECT LC_ALL", "ok"),
    first("cd /opt/slipway/bin; mv firstboot slipway; cd /; rmdir -- /opt/none 2>&1", "ok"),
    // Shells.
    shell("csh", "ok"),
    shell("csh -f -x", "ok"),
    shell("fish", "ok"),
    shell("rbash", "ok"),
    shell("bash -xv", "ok"),
    shell("bash -l -i", "ok"),
    shell("bash -n", "failed: nothing was run: its login shell ended with 0 and printed nothing"),
    shell("/usr/sbin/nologin", "failed: nothing was run: This account is currently not available."),
    shell("/bin/false", "failed: nothing was run: its login shell ended with 1 and printed nothing"),
    shell("/bin/true", "failed: nothing was run: its login shell ended with 0 and printed nothing"),
    shell("/bin/echo", "failed: nothing was run: *"),
    shell("/nonexistent", "failed: nothing was run: *not found"),
    first("HOME=$node; export HOME; echo 'exit 0' >\"$HOME/.bashrc\"",
        "failed: nothing was run: its login shell ended with 0 and printed nothing"),
    first("echo 'Password change required but no TTY available.'; exit 1",
        "failed: nothing was run: Password change required but no TTY available."),
    first("PATH=/nonexistent; shell=/bin/bash", "failed: nothing was run: *sh: *not found"),
    first("ulimit -f 0; rm /opt/slipway/bin/firstboot", "failed: nothing was run: *"),
    first("mount -o remount,bind,noexec /opt",
        "failed: /opt/slipway/bin/firstboot could not be executed there: is its file system mounted with noexec?"),
    first("mount -t tmpfs -o noexec none /tmp", "ok"),
    first("rm -r /opt/slipway; : >/opt/slipway", "failed: nothing was run: mkdir: *"),
    // What changes the output on its way.
    shell("#!/bin/sh\nsh \"$@\" | sed -u 's/^/[host] /'\n", "ok"),
    shell("#!/bin/sh\nsh \"$@\" | sed -u 's/$/\\r/'\n", "ok"),
    shell("#!/bin/sh\nsh \"$@\" | sed -u 's/.*/\\x1b[32m&\\x1b[0m/'\n", "ok"),
    shell("#!/bin/sh\nsh \"$@\" >&2\n", "ok"),
    shell("#!/bin/sh\nsh \"$@\" 2>&1\nhead -c 1000000 /dev/zero\nexit 3\n", "ok"),
    shell("#!/bin/sh\nshift\nexec script -qec \"$*\" /dev/null\n",
        "failed: nothing was run: the login shell puts a terminal in place of standard input, which changes what is sent: \
         run no script(1) and the like for a command"),
    shell("#!/bin/sh\nsh \"$@\" </dev/null\n", "failed: firstboot*"),
    shell("#!/bin/sh\nsh \"$@\" >/dev/null 2>&1\n", SILENT),
    shell("#!/bin/sh\nsleep 600\n", SILENT),
    shell("#!/bin/sh\nexec 3<&0\n(cat <&3 >/dev/null &)\nsleep 600\n", SILENT),
    // What runs prints.
    runs("printf 'slipway-results %s: {\"scripts\":[' \"$nonce\"", "ok"),
    runs("printf 'slipway-results %s: {\"scripts\":[' \"$nonce\"; exit 0", "failed: firstboot ended without reporting results"),
    runs("printf 'slipway-res'; echo; printf 'ults %s: {\"scripts\":[],\"code\":0}\\n' \"$nonce\"; exit 0",
        "failed: firstboot ended without reporting results"),
    runs("printf 'slipway-resul'; sleep 1; printf 'ts %s: {\"scripts\":[],\"code\":0}\\n' \"$nonce\"; exit 0", "ok"),
    runs("echo \"slipway-results $nonce: {\\\"scripts\\\":[],\\\"code\\\":0}\"; did mine 4; end", "failed: mine ended with 4"),
    runs("echo 'slipway-results 00000000000000000000000000000000: {\"scripts\":[],\"code\":0}'; exit 0",
        "failed: firstboot ended without reporting results"),
    runs("results='{\"line\":\"mine\",\"code\":0,\"seconds\":1e300}'; end", "ok"),
    runs("results='{\"line\":\"mine\",\"code\":0,\"seconds\":-5}'; end", "ok"),
    runs("results='{\"line\":\"mine\",\"code\":0,\"seconds\":1e999}'; end", "failed: *"),
    runs("yes >&2 & yes & did mine 0; end", "ok"),
    runs("(trap '' HUP TERM; while sleep 0.1; do echo daemon; done) & did mine 0; end", "ok"),
    runs("kill -STOP $PPID; (sleep 600 &); sleep 600", "timed out: not done within 15 s; its script may still be running"),
    runs("head -c 1000000 /dev/zero; did mine 0; end", "ok"),
    runs("exec >&- 2>&-; sleep 1; exit 0", "failed: firstboot ended without reporting results"),
];

fn accounts() {
    let nodes = numbered(ACCOUNTS.len(), "127.0.3");
    let lab = Lab::new(&nodes);
    for ((_, address), account) in nodes.iter().zip(ACCOUNTS) {
        let write = |name: &str, text: &str| {
            let path = lab.path(&format!("nodes/{address}/{name}"));
            fs::write(path, text).unwrap();
        };
        write("first", account.first);
        if account.shell.starts_with("#!") {
            let program = lab.path(&format!("nodes/{address}/login"));
            write_program(&program, account.shell);
            write("shell", &program.display().to_string());
        } else if !account.shell.is_empty() {
            write("shell", account.shell);
        }
        lab.behave(address, account.runs);
    }
    let started = Instant::now();
    let range = format!("n1-n{}", nodes.len());
    let outcome = lab.run(&[
        &range,
        "-P",
        "otherpkgs",
        "--timeout",
        "15",
        "--fanout",
        "16",
    ]);
    let took = started.elapsed();
    let mut wrong = Vec::new();
    for ((node, _), account) in nodes.iter().zip(ACCOUNTS) {
        let ended = outcome.ended(node);
        if !matches!(ended[..], [line] if glob::matches(account.expected, line)) {
            wrong.push(format!("{node}: {account:?}: {ended:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(took < Duration::from_secs(90), "{took:?}");
    assert_eq!(outcome.code, Some(127), "the worst of them");
}
