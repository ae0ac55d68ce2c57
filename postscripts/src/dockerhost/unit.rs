//! systemd's units as text: which file counts, in which order, and what they assign.
//!
//! Units and their drop-ins are read from the directories of systemd.unit(5), "Unit File Load Path"; a
//! drop-in of ours goes out. Of all drop-ins of a unit those of one file name are one, wherever they lie,
//! and they count in the order of their names. The vendor's unit is never edited.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::paths::HostPaths;
use crate::files;

/// Where units and drop-ins lie; what comes first wins.
const UNIT_DIRS: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The name of our drop-in where nothing that sorts after it changes the command line.
const OWN: &str = "slipway.conf";

/// A unit: its own file and its drop-ins, ours left out, in the order in which they count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unit {
    files: Vec<(PathBuf, String)>,
}

/// A value that is assigned, and the file that assigns it.
pub(super) type Assigned<'a> = (String, &'a Path);

impl Unit {
    /// Reads a unit; `None` where there is none of that name.
    pub(super) fn load(paths: &HostPaths, name: &str) -> Result<Option<Self>> {
        let homes = UNIT_DIRS.map(|home| paths.at(home));
        let file = homes.iter().map(|home| home.join(name));
        let file = file
            .into_iter()
            .find(|file| file.symlink_metadata().is_ok());
        let Some(file) = file else { return Ok(None) };
        let text = text_of(&file)?;
        if text.trim().is_empty() {
            bail!(
                "{name} is masked by {}: run 'systemctl unmask {name}' first",
                file.display()
            );
        }
        let mut names = vec![name.to_owned()];
        // Where a unit is a link, the drop-ins of the name that it leads to count too.
        let target = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        let target = target.file_name().and_then(|target| target.to_str());
        names.extend(target.filter(|target| *target != name).map(str::to_owned));
        // And those of every unit of its kind.
        names.extend(name.rsplit('.').next().map(str::to_owned));
        let mut files = vec![(file, text)];
        for drop_in in drop_ins(&homes, &names)? {
            if !is_own(paths, &drop_in) {
                let text = text_of(&drop_in)?;
                files.push((drop_in, text));
            }
        }
        Ok(Some(Self { files }))
    }

    /// Returns every value of a key that counts: an empty one takes back those before it.
    pub(super) fn values(&self, section: &str, key: &str) -> Vec<Assigned<'_>> {
        let mut values = Vec::new();
        for (file, text) in &self.files {
            for value in assignments(text, section, key) {
                if value.is_empty() {
                    values.clear()
                } else {
                    values.push((value, file.as_path()))
                }
            }
        }
        values
    }

    /// Returns the name that a drop-in of ours needs to be the last that sets the command line.
    fn own_name(&self) -> String {
        let sets_command = |text: &str| !assignments(text, "Service", "ExecStart").is_empty();
        let others = self.files.iter().skip(1);
        let others = others.filter(|(_, text)| sets_command(text));
        let last = others
            .filter_map(|(file, _)| file.file_name()?.to_str())
            .max();
        match last.filter(|last| *last >= OWN) {
            None => OWN.to_owned(),
            Some(last) => format!("{}.{OWN}", last.trim_end_matches(".conf")),
        }
    }

    /// Returns the path of our drop-in, and the paths of former ones.
    pub(super) fn own_drop_in(&self, paths: &HostPaths) -> Result<(PathBuf, Vec<PathBuf>)> {
        let dir = paths.drop_ins();
        let place = dir.join(self.own_name());
        let names = files::names(&dir)?;
        let old = names.into_iter().map(|name| dir.join(name));
        let old = old.filter(|file| is_own(paths, file) && *file != place);
        let old = old.collect();
        Ok((place, old))
    }
}

/// Returns the names of all units of a kind.
pub(super) fn names(paths: &HostPaths, kind: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for home in UNIT_DIRS {
        let names = files::names(&paths.at(home))?.into_iter();
        found.extend(names.filter(|name| name.ends_with(kind)));
    }
    Ok(found)
}

/// Returns the drop-in that starts a command.
pub(super) fn drop_in(command: &str) -> String {
    format!(
        "# Written by setupdockerhost: dockerd listens where daemon.json says, and refuses to start\n\
         # when its command line says it too.\n\
         [Service]\n\
         ExecStart=\n\
         ExecStart={command}\n"
    )
}

/// Returns the drop-in that has systemd listen for trusted clients, so that the port is there while dockerd is not.
pub(super) fn socket_drop_in(listen: SocketAddr) -> String {
    // an address may come later than the socket
    format!(
        "# Written by setupdockerhost: systemd has the port, and a restart of dockerd refuses no connection.\n\
         [Socket]\n\
         ListenStream={listen}\n\
         BindIPv6Only=both\n\
         FreeBind=true\n"
    )
}

/// Reads where such a drop-in has systemd listen.
pub(super) fn listens_in(drop_in: &str) -> Option<SocketAddr> {
    let streams = assignments(drop_in, "Socket", "ListenStream");
    streams.first()?.parse().ok()
}

/// Returns the path of our drop-in of docker.socket.
pub(super) fn socket_drop_in_path(paths: &HostPaths) -> PathBuf {
    paths.socket_drop_ins().join(OWN)
}

/// Whether a drop-in is one that we wrote.
fn is_own(paths: &HostPaths, file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let homes = [paths.drop_ins(), paths.socket_drop_ins()];
    homes.iter().any(|home| file.parent() == Some(home))
        && name.is_some_and(|name| name == OWN || name.ends_with(&format!(".{OWN}")))
}

/// Lists the drop-ins by file name; of two of one name the one in the first directory counts.
fn drop_ins(homes: &[PathBuf], names: &[String]) -> Result<Vec<PathBuf>> {
    let mut by_name = BTreeMap::new();
    for name in names {
        for home in homes {
            let dir = home.join(format!("{name}.d"));
            for file in files::names(&dir)? {
                if file.ends_with(".conf") && !file.starts_with('.') {
                    let path = dir.join(&file);
                    by_name.entry(file).or_insert(path);
                }
            }
        }
    }
    Ok(by_name.into_values().collect())
}

/// Reads a file that systemd reads, links followed: one that leads to `/dev/null` or to nothing masks
/// those of its name and says nothing itself.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let Ok(target) = fs::canonicalize(path) else {
        return Ok(String::new());
    };
    if target == Path::new("/dev/null") || target.is_dir() {
        return Ok(String::new());
    }
    let reading = || format!("reading {}", path.display());
    Ok(files::load_text(&target)
        .with_context(reading)?
        .unwrap_or_default())
}

/// Returns every value of a key in a section, with continued lines joined (systemd.syntax(7)).
fn assignments(text: &str, section: &str, key: &str) -> Vec<String> {
    let mut in_section = false;
    let mut values = Vec::new();
    for line in joined(text) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            in_section = name.strip_suffix(']') == Some(section);
        } else if in_section
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            values.push(value.trim().to_owned());
        }
    }
    values
}

/// Joins what a backslash at the end continues; comments, also between such lines, are left out.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let whole = match &begun {
            Some(begun) => format!("{begun} {line}"),
            None => line.to_owned(),
        };
        match whole.strip_suffix('\\') {
            Some(before) => begun = Some(before.to_owned()),
            None => {
                lines.push(whole);
                begun = None;
            }
        }
    }
    lines.extend(begun);
    lines
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A host in a directory with these files.
    struct UnitFiles(tempfile::TempDir);

    const VENDOR: &str = "/lib/systemd/system/docker.service";

    impl UnitFiles {
        fn new(files: &[(&str, &str)]) -> Self {
            let host = Self(tempfile::tempdir().unwrap());
            host.write(VENDOR, "[Service]\nExecStart=/usr/sbin/dockerd -H fd://\n");
            for (path, text) in files {
                host.write(path, text);
            }
            host
        }

        fn paths(&self) -> HostPaths {
            HostPaths::new(self.0.path())
        }

        fn place(&self, path: &str) -> PathBuf {
            let place = self.paths().at(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            place
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.place(path), text).unwrap();
        }

        fn unit(&self) -> Unit {
            Unit::load(&self.paths(), "docker.service")
                .unwrap()
                .unwrap()
        }

        /// The command line that counts, and its file, below the root.
        fn command(&self) -> (String, String) {
            let unit = self.unit();
            let (command, file) = unit.values("Service", "ExecStart").pop().unwrap();
            let file = file.strip_prefix(self.0.path()).unwrap();
            (command, format!("/{}", file.display()))
        }
    }

    fn starts(command: &str) -> String {
        format!("[Service]\nExecStart=\nExecStart={command}\n")
    }

    #[test]
    fn drop_ins_count_by_their_name_wherever_they_lie() {
        let one = starts("one");
        let two = starts("two");
        for (files, counts) in [
            (
                [
                    "/etc/systemd/system/docker.service.d/10-a.conf",
                    "/usr/lib/systemd/system/docker.service.d/20-b.conf",
                ],
                1,
            ),
            (
                [
                    "/usr/lib/systemd/system/docker.service.d/zz.conf",
                    "/etc/systemd/system/docker.service.d/override.conf",
                ],
                0,
            ),
            (
                [
                    "/etc/systemd/system/docker.service.d/10-a.conf",
                    "/run/systemd/system/docker.service.d/10-a.conf",
                ],
                0,
            ),
            (
                [
                    "/etc/systemd/system/docker.service.d/50-a.conf",
                    "/etc/systemd/system/service.d/60-all.conf",
                ],
                1,
            ),
            (
                [
                    "/usr/lib/systemd/system/docker.service.d/50-a.conf",
                    "/etc/systemd/system/service.d/50-a.conf",
                ],
                0,
            ),
        ] {
            let host = UnitFiles::new(&[(files[0], &one), (files[1], &two)]);
            let command = ["one", "two"][counts].to_owned();
            assert_eq!(host.command(), (command, files[counts].to_owned()));
        }
    }

    #[test]
    fn a_masked_drop_in_says_nothing_and_hides_those_of_its_name() {
        let hidden = "/usr/lib/systemd/system/docker.service.d/10-vendor.conf";
        for mask in ["/dev/null", "/nowhere"] {
            let host = UnitFiles::new(&[(hidden, &starts("hidden"))]);
            let place = host.place("/etc/systemd/system/docker.service.d/10-vendor.conf");
            symlink(mask, place).unwrap();
            assert_eq!(host.command().1, VENDOR, "{mask}");
        }
        let host = UnitFiles::new(&[(hidden, &starts("hidden"))]);
        host.write("/run/systemd/system/docker.service.d/10-vendor.conf", "");
        assert_eq!(host.command().1, VENDOR);
        // one that leads to a file is that file
        let elsewhere = host.place("/srv/command.conf");
        fs::write(&elsewhere, starts("linked")).unwrap();
        symlink(
            elsewhere,
            host.place("/etc/systemd/system/docker.service.d/a.conf"),
        )
        .unwrap();
        assert_eq!(host.command().0, "linked");
    }

    #[test]
    fn a_masked_unit_is_named() {
        let host = UnitFiles::new(&[]);
        let place = host.place("/etc/systemd/system/docker.service");
        symlink("/dev/null", &place).unwrap();
        assert_eq!(
            Unit::load(&host.paths(), "docker.service")
                .unwrap_err()
                .to_string(),
            format!(
                "docker.service is masked by {}: run 'systemctl unmask docker.service' first",
                place.display()
            )
        );
        assert_eq!(Unit::load(&host.paths(), "docker.socket").unwrap(), None);
    }

    #[test]
    fn ours_has_the_name_that_makes_it_last() {
        let dir = "/etc/systemd/system/docker.service.d";
        for (other, own) in [
            ("10-a.conf", "slipway.conf"),
            ("override.conf", "slipway.conf"),
            ("zz-site.conf", "zz-site.slipway.conf"),
            ("slipway2.conf", "slipway2.slipway.conf"),
            ("~last.conf", "~last.slipway.conf"),
        ] {
            let host = UnitFiles::new(&[(&format!("{dir}/{other}"), &starts("other"))]);
            let (place, old) = host.unit().own_drop_in(&host.paths()).unwrap();
            assert_eq!(place, host.place(&format!("{dir}/{own}")));
            assert_eq!(old, Vec::<PathBuf>::new());
            assert!(own >= "slipway.conf" && own > other, "{own}");
            // Written, it is none of those that it is made from.
            fs::write(&place, starts("own")).unwrap();
            assert_eq!(host.command().0, "other");
            host.write(&format!("{dir}/zzz.conf"), &starts("later"));
            let (place, old) = host.unit().own_drop_in(&host.paths()).unwrap();
            let name = match other {
                "~last.conf" => own,
                _ => "zzz.slipway.conf",
            };
            assert_eq!(place, host.place(&format!("{dir}/{name}")));
            assert_eq!(old.len(), usize::from(own != name));
        }
        // What does not set the command line may come after it.
        let other = (
            &*format!("{dir}/zz-limits.conf"),
            "[Service]\nLimitNOFILE=1\n",
        );
        let host = UnitFiles::new(&[other]);
        assert_eq!(host.unit().own_name(), "slipway.conf");
    }

    #[test]
    fn lines_are_continued_over_comments_and_sections_told_apart() {
        let text = "[Unit]\nExecStart=/x\n[Service]\nExecStart=/usr/bin/dockerd \\\n# why\n  -H fd:// \\\n  --debug\n\
                    [Install]\nExecStart=/y\n";
        assert_eq!(
            assignments(text, "Service", "ExecStart"),
            ["/usr/bin/dockerd    -H fd://    --debug"]
        );
    }
}
