//! dockerd's command line in systemd units, as text.
//!
//! Units and drop-ins come in as texts, in the order in which systemd reads them (systemd.unit(5)); a
//! drop-in of ours goes out when the command line names a listening address, which dockerd refuses to
//! find both there and in `daemon.json`. The vendor's unit is never edited.

/// Returns the command line that is in force: the last `ExecStart=` after the last empty one
/// (systemd.service(5): an empty assignment clears the list).
pub(super) fn exec_start(units: &[String]) -> Option<String> {
    let mut commands = Vec::new();
    for value in units.iter().flat_map(|unit| assignments(unit)) {
        match value.trim() {
            "" => commands.clear(),
            command => commands.push(command.to_owned()),
        }
    }
    commands.pop()
}

/// Returns the drop-in that starts the same command without its `-H`, or `None` where it has none.
pub(super) fn drop_in(command: &str) -> Option<String> {
    let without = without_hosts(command)?;
    Some(format!(
        "# Written by setupdockerhost: dockerd listens where daemon.json says, and refuses to start\n\
         # when its command line says it too.\n\
         [Service]\n\
         ExecStart=\n\
         ExecStart={without}\n"
    ))
}

/// Returns every value of `ExecStart=` in the `[Service]` section, with continued lines joined.
fn assignments(unit: &str) -> Vec<String> {
    let joined = unit.replace("\\\n", " ");
    let mut in_service = false;
    let mut values = Vec::new();
    for line in joined.lines().map(str::trim) {
        if line.starts_with('[') {
            in_service = line == "[Service]";
        } else if in_service
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "ExecStart"
        {
            values.push(value.trim().to_owned());
        }
    }
    values
}

/// Drops `-H X`, `-HX`, `--host X` and `--host=X`; `None` where none stands there.
fn without_hosts(command: &str) -> Option<String> {
    let mut kept = Vec::new();
    let mut words = command.split_whitespace();
    let mut dropped = false;
    while let Some(word) = words.next() {
        if word == "-H" || word == "--host" {
            dropped = true;
            words.next();
        } else if word.starts_with("-H") || word.starts_with("--host=") {
            dropped = true;
        } else {
            kept.push(word);
        }
    }
    dropped.then(|| kept.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: &str = "[Unit]\nAfter=network.target\n\n[Service]\nType=notify\n\
        ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n";

    #[test]
    fn the_drop_in_starts_the_same_command_without_its_hosts() {
        let command = exec_start(&[VENDOR.to_owned()]).unwrap();
        let text = drop_in(&command).unwrap();
        assert!(text.ends_with(
            "[Service]\nExecStart=\n\
             ExecStart=/usr/sbin/dockerd --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n"
        ));
        assert_eq!(
            drop_in(&exec_start(&[VENDOR.to_owned(), text]).unwrap()),
            None
        );
    }

    #[test]
    fn a_users_drop_in_is_what_ours_starts_from() {
        let user = "[Service]\nExecStart=\nExecStart=/opt/dockerd \\\n  --debug --host=fd:// -Hunix:///x\n";
        let command = exec_start(&[VENDOR.to_owned(), user.to_owned()]).unwrap();
        assert!(
            drop_in(&command)
                .unwrap()
                .contains("\nExecStart=/opt/dockerd --debug\n")
        );
    }

    #[test]
    fn an_exec_start_of_another_section_does_not_count() {
        assert_eq!(exec_start(&["[Unit]\nExecStart=/x\n".to_owned()]), None);
    }
}
