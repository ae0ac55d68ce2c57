//! The system's ssh client: its arguments, and the meaning of its error messages.
//!
//! The user's configuration of hosts, users, ports, keys and jump hosts applies. The options that are set here are those
//! that unattended runs on many nodes need: no prompt, timeouts, and nothing forwarded to a node. Reference: ssh(1), ssh_config(5).

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Options that override the user's configuration.
const OPTIONS: [&str; 8] = [
    "BatchMode=yes",
    "ConnectTimeout=10",
    // A silent connection is given up after a minute; moving addresses to a bridge takes less.
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    // Two sessions would need the same port, and no node is trusted with this user's agent.
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
];

/// The options of ssh.
#[derive(Debug, Clone)]
pub(crate) struct Ssh {
    options: Vec<OsString>,
}

impl Ssh {
    /// Builds the options, the same for every node.
    ///
    /// Connections are kept open only on request: each is a process. Without a request, a connection that the user's own
    /// configuration keeps open is used, and none is made.
    /// Where the site has an authority of ssh host keys, `known_hosts` is the file with its line: hosts are known by it, beside
    /// those that the user's own files have, and no other key is accepted.
    pub(crate) fn new(
        config: Option<&Path>,
        user: Option<&str>,
        persist: u32,
        known_hosts: Option<&Path>,
    ) -> Result<Self> {
        let mut options = vec![OsString::from("-T")];
        if let Some(config) = config {
            // ssh would report the same, once for every node.
            std::fs::File::open(config).with_context(|| format!("opening {}", config.display()))?;
            options.extend([OsString::from("-F"), std::path::absolute(config)?.into()]);
        }
        let mut set = OPTIONS.map(OsString::from).to_vec();
        if persist == 0 {
            set.push("ControlMaster=no".into());
        } else {
            let mut path = OsString::from("ControlPath=");
            path.push(sockets()?.join("%C"));
            set.extend([
                "ControlMaster=auto".into(),
                path,
                format!("ControlPersist={persist}").into(),
            ]);
        }
        if let Some(path) = known_hosts {
            let path = path.display().to_string().replace('%', "%%");
            set.extend([
                // a client before OpenSSH 8.5 knows no command for it
                "IgnoreUnknown=KnownHostsCommand".into(),
                format!("KnownHostsCommand=/bin/cat \"{path}\"").into(),
                "StrictHostKeyChecking=yes".into(),
            ]);
        }
        options.extend(set.into_iter().flat_map(|option| ["-o".into(), option]));
        if let Some(user) = user {
            options.extend(["-l".into(), user.into()]);
        }
        Ok(Self { options })
    }

    /// Returns the arguments for one node.
    pub(crate) fn arguments(&self, address: &str, command: &str) -> Vec<OsString> {
        let mut arguments = self.options.clone();
        arguments.extend(["--".into(), address.into(), command.into()]);
        arguments
    }
}

/// Makes the directory of the sockets through which connections are shared, for this user alone.
fn sockets() -> Result<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let place = std::env::var_os("XDG_RUNTIME_DIR").filter(|place| !place.is_empty());
    let directory = match place {
        _ if uid == 0 => PathBuf::from("/run/slipway-ssh"),
        Some(place) => PathBuf::from(place).join("slipway-ssh"),
        None => std::env::temp_dir().join(format!("slipway-ssh.{uid}")),
    };
    let shown = directory.display();
    match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("making {shown}"));
        }
        _ => {}
    }
    let metadata = directory
        .symlink_metadata()
        .with_context(|| format!("looking at {shown}"))?;
    ensure!(
        metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o077 == 0,
        "{shown} is not a directory of this user alone: remove it"
    );
    Ok(directory)
}

/// Returns in one sentence why a node was not reached, from the messages of ssh.
pub(crate) fn reason(messages: &[&str]) -> String {
    let any = |part: &str| messages.iter().any(|line| line.contains(part));
    if any("HOST IDENTIFICATION HAS CHANGED") {
        return changed_key(messages);
    }
    if any("Host key verification failed") {
        return "its host key is not known here, and ssh is configured to be strict: let the node enrol, so that the site signs it \
                (nodeset --arm), or compare the key and add it to known_hosts"
            .to_owned();
    }
    let last = messages
        .iter()
        .rev()
        .map(|line| line.trim())
        .find(|line| !line.is_empty());
    let last = last.unwrap_or("ssh printed nothing");
    let last = last.strip_prefix("ssh: ").unwrap_or(last);
    if last.starts_with("channel ") && last.contains("open failed") {
        format!("its sshd refuses a session ({last}): see MaxSessions and the log of sshd there")
    } else if last.contains("Permission denied") {
        format!("it accepts none of this user's ssh keys ({last})")
    } else {
        last.to_owned()
    }
}

/// Returns what to do about a changed host key.
fn changed_key(messages: &[&str]) -> String {
    let known = messages.iter().find_map(|line| {
        let (_, known) = line
            .trim()
            .split_once("Offending ")?
            .1
            .split_once(" key in ")?;
        Some(known.to_owned())
    });
    let known = known.map_or_else(String::new, |known| format!(" ({known})"));
    // Debian's ssh prints the command that removes the key, with the name under which it is known.
    let forget = messages
        .iter()
        .map(|line| line.trim())
        .find(|line| line.starts_with("ssh-keygen "))
        .unwrap_or("ssh-keygen -R ADDRESS");
    format!(
        "its host key has changed{known}: if the node was installed again, run {forget}; if not, another machine \
         answers at its address"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_say_what_happened_and_what_to_do() {
        let banner = "@@@@@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\n\
            IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\n\
            Offending ED25519 key in /root/.ssh/known_hosts:7\n";
        let advice = "  remove with:\n  ssh-keygen -f \"/root/.ssh/known_hosts\" -R \"10.0.0.5\"\n";
        let failed = "Host key verification failed.\n";
        for (messages, expected) in [
            (
                format!("{banner}{advice}{failed}"),
                "its host key has changed (/root/.ssh/known_hosts:7): if the node was installed again, \
                 run ssh-keygen -f \"/root/.ssh/known_hosts\" -R \"10.0.0.5\"; if not, another machine \
                 answers at its address",
            ),
            (
                format!("{banner}{failed}"),
                "its host key has changed (/root/.ssh/known_hosts:7): if the node was installed again, \
                 run ssh-keygen -R ADDRESS; if not, another machine answers at its address",
            ),
            (
                format!(
                    "No ED25519 host key is known for n1 and you have requested strict checking.\n{failed}"
                ),
                "its host key is not known here, and ssh is configured to be strict: let the node enrol, so that the site \
                 signs it (nodeset --arm), or compare the key and add it to known_hosts",
            ),
            (
                "root@10.0.0.5: Permission denied (publickey,password).\r\n".to_owned(),
                "it accepts none of this user's ssh keys (root@10.0.0.5: Permission denied (publickey,password).)",
            ),
            (
                "Warning: something\nssh: connect to host 10.0.0.5 port 22: No route to host\n\n"
                    .to_owned(),
                "connect to host 10.0.0.5 port 22: No route to host",
            ),
            (
                "channel 0: open failed: administratively prohibited: open failed\n".to_owned(),
                "its sshd refuses a session (channel 0: open failed: administratively prohibited: open failed): see \
                 MaxSessions and the log of sshd there",
            ),
            (String::new(), "ssh printed nothing"),
        ] {
            assert_eq!(reason(&messages.lines().collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn options_precede_the_node_and_ssh_never_prompts() {
        let ssh = Ssh::new(None, Some("admin"), 0, None).unwrap();
        let arguments = ssh.arguments("10.0.0.5", "true");
        let arguments: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let arguments = arguments.join(" ");
        assert!(
            arguments.starts_with("-T -o BatchMode=yes -o "),
            "{arguments}"
        );
        assert!(
            arguments.ends_with(" -o ControlMaster=no -l admin -- 10.0.0.5 true"),
            "{arguments}"
        );
        let site = Ssh::new(None, None, 0, Some(Path::new("/etc/100% ours"))).unwrap();
        let arguments = site.arguments("10.0.0.5", "true");
        let options = [
            "IgnoreUnknown=KnownHostsCommand",
            "KnownHostsCommand=/bin/cat \"/etc/100%% ours\"",
            "StrictHostKeyChecking=yes",
        ];
        assert!(
            options
                .iter()
                .all(|option| arguments.iter().any(|word| word == *option)),
            "{arguments:?}"
        );
        let missing = Ssh::new(Some(Path::new("/no/such/file")), None, 0, None).unwrap_err();
        assert_eq!(
            format!("{missing:#}"),
            "opening /no/such/file: No such file or directory (os error 2)"
        );
    }
}
