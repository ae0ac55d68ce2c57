//! `rcons` on a pseudo-terminal, as a user has it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::termios::{LocalModes, tcgetattr, tcsetwinsize};

use crate::Case;
use crate::lab::{RESTARTED, lab, restarts};
use crate::site::Site;

pub(crate) const CASES: &[Case] = &[
    ("a_terminal_is_attached_to_left_and_found_again", attached),
    (
        "a_container_without_a_terminal_gets_a_shell_and_its_exit_code",
        shell,
    ),
    ("a_console_works_in_script_in_tmux_and_by_ssh", in_others),
    ("a_console_that_cannot_be_is_an_error", refused),
    ("a_console_outlives_its_engine", engine_restarts),
];

const SHELL: &str = "command = \"sh\"\ndockerflag = '{\"Tty\":true,\"OpenStdin\":true}'\n";

fn definition(name: &str, host: &str, ip: &str, more: &str) -> String {
    format!(
        "[node.{name}]\ngroups = [\"docker\"]\nmgt = \"docker\"\ndockerhost = \"{host}\"\nip = \"{ip}\"\n\
         image = \"busybox:1\"\n{more}"
    )
}

/// A terminal with `rcons` on it.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(site: &Site, arguments: &[&str]) -> Self {
        Self::open_in(site, &[], arguments)
    }

    /// The same in a program that has a terminal of its own for it; the words before the command.
    fn open_in(site: &Site, wrapper: &[&str], arguments: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 31,
            ws_col: 97,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let command = site.command("rcons");
        // A session of its own, whose terminal this is: signals of the window go there.
        let mut session = Command::new("setsid");
        session
            .args(["-c", "-w"])
            .args(wrapper)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            session.env(name, value.unwrap());
        }
        session.envs([("TERM", "xterm"), ("LC_ALL", "C.UTF-8")]);
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = session
            .args(arguments)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        drop(session);
        let (sender, screen) = channel();
        let mut master = File::from(pty.master);
        let keyboard = master.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = master.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: String::new(),
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until a text was shown, and forgets all up to its end.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            match self.screen.recv_timeout(Duration::from_millis(200)) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(_) => assert!(Instant::now() < deadline, "no '{text}' in {:?}", self.seen),
            }
        }
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// Waits for the end; returns the exit code, once the terminal is as before.
    #[track_caller]
    fn end(mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap();
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ECHO | LocalModes::ICANON),
            "the terminal is raw"
        );
        code
    }
}

fn attached() {
    let site = Site::new(&definition("q1", "host01", "10.73.60.1", SHELL));
    site.ok("mkdocker q1");
    site.ok("rpower q1 start");
    let mut terminal = Terminal::open(&site, &["q1"]);
    terminal.expect("q1: Ctrl-E c . leaves the console\r\n");
    terminal.type_in("x=kept; stty size\r");
    terminal.expect("\r\n31 97\r\n");
    terminal.resize(40, 120);
    // The shell in the container may look before the engine has the new size.
    let mut tries = 0;
    while !terminal.seen.contains("40 120") {
        assert!(tries < 50, "{:?}", terminal.seen);
        tries += 1;
        terminal.type_in("stty size\r");
        terminal.expect("stty size\r\n");
        terminal.expect("# ");
        thread::sleep(Duration::from_millis(100));
        terminal.type_in("stty size\r");
        terminal.expect("stty size\r\n");
        thread::sleep(Duration::from_millis(200));
        while let Ok(bytes) = terminal.screen.try_recv() {
            terminal.seen += &String::from_utf8_lossy(&bytes);
        }
    }
    // One byte that other clients take for the head of a frame, and all that follows it.
    terminal.type_in("printf '\\001'; echo aft''er\r");
    terminal.expect("\u{1}after\r\n");
    // The shell's own keys go through: Ctrl-C, and Ctrl-P, which is its history.
    terminal.type_in("sh -c 'echo go\"\"ing; sleep 1000'\r");
    terminal.expect("going\r\n");
    terminal.type_in("\x03");
    terminal.type_in("echo in''ter\r");
    terminal.expect("inter\r\n");
    terminal.type_in("\x05c.");
    assert_eq!(terminal.end(), 0);
    assert_eq!(site.ok("rpower q1 state"), "q1: running\n");
    let mut terminal = Terminal::open(&site, &["q1"]);
    terminal.expect("leaves the console\r\n");
    terminal.type_in("echo $x; exit 5\r");
    terminal.expect("\r\nkept\r\n");
    assert_eq!(terminal.end(), 5);
    assert_eq!(site.ok("rpower q1 state"), "q1: exited\n");
    site.ok("rmdocker q1");
}

fn shell() {
    let site = Site::new(&definition(
        "q2",
        "host01",
        "10.73.60.2",
        "command = \"sleep 1000\"\n",
    ));
    site.ok("mkdocker q2");
    site.ok("rpower q2 start");
    assert_eq!(
        site.ok("rcons q2 --dry-run"),
        "q2: by a program of its own: /bin/sh\n"
    );
    let mut terminal = Terminal::open(&site, &["q2"]);
    terminal.expect("# ");
    terminal.type_in("stty size; exit 9\r");
    terminal.expect("31 97\r\n");
    assert_eq!(terminal.end(), 9);
    let mut terminal = Terminal::open(&site, &["q2", "--exec", "sh -c 'cat; exit 3'"]);
    terminal.expect("leaves the console\r\n");
    terminal.type_in("echo\r");
    terminal.expect("echo\r\necho\r\n");
    terminal.type_in("\x04");
    assert_eq!(terminal.end(), 3);
    let mut terminal = Terminal::open(&site, &["q2", "--exec", "/bin/nothing"]);
    terminal.expect("no such file or directory");
    assert_ne!(terminal.end(), 0);
    let mut terminal = Terminal::open(&site, &["q2"]);
    terminal.expect("# ");
    terminal.type_in("\x05c.");
    assert_eq!(terminal.end(), 0);
    assert_eq!(site.ok("rpower q2 state"), "q2: running\n");
    site.ok("rmdocker q2 -f");
}

/// The words that run a command by ssh on this machine, with a server of its own and no port.
fn by_ssh(site: &Site) -> Vec<String> {
    let at = |name: &str| site.path().join(name).display().to_string();
    // sshd wants the directory that its package makes at boot; it puts nothing there
    fs::create_dir_all("/run/sshd").unwrap();
    for key in ["host", "user"] {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
        assert!(make.status().unwrap().success());
    }
    let config = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n",
        at("host"),
        at("user.pub")
    );
    fs::write(at("sshd_config"), config).unwrap();
    let server = format!("ProxyCommand=/usr/sbin/sshd -i -f {}", at("sshd_config"));
    let mut words = vec!["ssh", "-tt", "-F", "/dev/null", "-o", &server]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for option in [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
    ] {
        words.extend(["-o".to_owned(), option.to_owned()]);
    }
    words.extend([
        "-i".to_owned(),
        at("user"),
        "root@here".to_owned(),
        "env".to_owned(),
    ]);
    // a login has nothing of this environment
    for (name, value) in site.command("rcons").get_envs() {
        let (name, value) = (name.to_string_lossy(), value.unwrap().to_string_lossy());
        words.push(format!("{name}={value}"));
    }
    words
}

fn in_others() {
    let site = Site::new(&definition("q6", "host01", "10.73.60.6", SHELL));
    site.ok("mkdocker q6");
    site.ok("rpower q6 start");
    let log = site.path().join("typescript").display().to_string();
    // it takes one word for the command
    let script = [
        "sh",
        "-c",
        "exec script -q -e -c \"$*\" \"$0\"",
        log.as_str(),
    ];
    let socket = site.path().join("tmux").display().to_string();
    let tmux = [
        "tmux",
        "-f",
        "/dev/null",
        "-S",
        socket.as_str(),
        "new-session",
    ];
    let ssh = by_ssh(&site);
    let ssh: Vec<_> = ssh.iter().map(String::as_str).collect();
    // the last line of tmux is its own
    for (wrapper, size) in [
        (&script[..], "31 97"),
        (&tmux[..], "30 97"),
        (&ssh[..], "31 97"),
    ] {
        let mut terminal = Terminal::open_in(&site, wrapper, &["q6"]);
        terminal.expect("q6: Ctrl-E c . leaves the console");
        terminal.type_in("stty size\r");
        terminal.expect(size);
        terminal.type_in("sh -c 'echo go\"\"ing; sleep 1000'\r");
        terminal.expect("going");
        terminal.type_in("\x03");
        terminal.type_in("echo in''ter\r");
        terminal.expect("inter");
        terminal.type_in("\x05c.");
        assert_eq!(terminal.end(), 0, "{wrapper:?}");
        assert_eq!(site.ok("rpower q6 state"), "q6: running\n");
    }
    site.ok("rmdocker q6 -f");
}

fn refused() {
    let site = Site::new(
        &[
            definition("q3", "host01", "10.73.60.3", SHELL),
            definition("q4", "host01", "10.73.60.4", SHELL),
        ]
        .concat(),
    );
    let refused = |line: &str| site.fails(line);
    assert_eq!(refused("rcons q3"), "rcons: q3: No such container: q3\n");
    site.ok("mkdocker q3");
    assert_eq!(
        refused("rcons q3"),
        "rcons: q3: it is not running (its state is created): rpower q3 start\n"
    );
    site.ok("rpower q3 start");
    assert_eq!(
        refused("rcons q3"),
        "rcons: standard input and output are to be a terminal\n"
    );
    assert_eq!(
        refused("rcons q3,q4"),
        "rcons: a console is of one node, and the node range names 2\n"
    );
    assert_eq!(
        site.ok("rcons q3 --dry-run"),
        "q3: attached to its terminal\n"
    );
    site.ok("rpower q3 pause");
    assert_eq!(
        refused("rcons q3"),
        "rcons: q3: it is paused: rpower q3 unpause\n"
    );
    site.ok("rpower q3 unpause");
    site.ok("rmdocker q3 -f");
}

fn engine_restarts() {
    let _alone = restarts();
    let site = Site::new(&definition("q5", RESTARTED, "10.73.60.5", SHELL));
    site.ok("mkdocker q5");
    site.ok("rpower q5 start");
    let mut terminal = Terminal::open(&site, &["q5"]);
    terminal.expect("leaves the console\r\n");
    terminal.type_in("x=kept; echo be''fore\r");
    terminal.expect("before\r\n");
    lab().kill_daemon(RESTARTED);
    terminal.expect("[the engine is gone; waiting for it]\r\n");
    lab().start_daemon(RESTARTED);
    terminal.expect("[attached again]\r\n");
    terminal.type_in("echo $x af''ter\r");
    terminal.expect("kept after\r\n");
    terminal.type_in("\x05c.");
    assert_eq!(terminal.end(), 0);
    site.ok("rmdocker q5 -f");
}
