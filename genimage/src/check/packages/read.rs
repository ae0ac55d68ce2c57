//! What the indices of a repository say, as far as a list can ask for it: names, versions, provides, groups.

use anyhow::{Result, ensure};
use repodata::{
    DebStanza, Input, PrimaryPackage, SusetagsPackage, read_comps, read_primary, read_stanzas,
    read_susetags,
};

use super::index::Gathered;

/// What a pattern of SUSE's provides: `pattern() = base`.
const PATTERN: &str = "pattern()";

/// Reads apt's `Packages`.
pub(super) fn apt(input: Input<'_>, gathered: &mut Gathered) -> Result<()> {
    read_stanzas(input, |stanza| deb(stanza, gathered))
}

fn deb(stanza: DebStanza<'_>, gathered: &mut Gathered) -> Result<()> {
    let Some(package) = stanza.text("Package")? else {
        return Ok(());
    };
    if let Some(path) = stanza.text("Filename")? {
        below(path, package)?;
    }
    let version = stanza.text("Version")?.unwrap_or_default();
    gathered.packages.add(package, version)?;
    for name in stanza.provides()?.filter(|name| *name != package) {
        gathered.provides.add(name, package)?;
    }
    let tasks = stanza.text("Task")?.unwrap_or_default();
    for task in tasks.split(',').map(str::trim) {
        if !task.is_empty() {
            gathered.groups.add(task, "")?;
        }
    }
    // tasksel's tasks are packages today.
    match package.strip_prefix("task-") {
        Some(task) => gathered.groups.add(task, ""),
        None => Ok(()),
    }
}

/// Reads rpm-md's `primary.xml`.
pub(super) fn primary(input: Input<'_>, gathered: &mut Gathered) -> Result<()> {
    read_primary(input, |package| rpm(package, gathered))
}

/// Refuses the file of a package that is not in its repository: a path of `..`, which leads to what another one serves.
fn below(path: &str, package: &str) -> Result<()> {
    let mut depth = 0_i32;
    for part in path.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        ensure!(
            depth >= 0,
            "the file of {} is '{}', which leads out of the repository",
            package.escape_debug(),
            path.escape_debug()
        );
    }
    Ok(())
}

fn rpm(package: &PrimaryPackage, gathered: &mut Gathered) -> Result<()> {
    if let Some(path) = &package.href {
        below(path, &package.name)?;
    }
    let version = format!("{}.{}", package.version, package.arch);
    gathered.packages.add(&package.name, &version)?;
    for (name, version) in package.provides() {
        match name {
            PATTERN if !version.is_empty() => gathered.groups.add(version, &package.name)?,
            name => gathered.provides.add(name, &package.name)?,
        }
    }
    Ok(())
}

/// Reads rpm-md's `comps.xml`.
pub(super) fn comps(input: Input<'_>, gathered: &mut Gathered) -> Result<()> {
    read_comps(input, |group| {
        if group.is_environment {
            gathered.environments.add(&group.id, &group.name)
        } else {
            gathered.groups.add(&group.id, &group.name)
        }
    })
}

/// Reads SUSE's `packages`.
pub(super) fn susetags(input: Input<'_>, gathered: &mut Gathered) -> Result<()> {
    read_susetags(input, |package| suse(package, gathered))
}

fn suse(package: &SusetagsPackage, gathered: &mut Gathered) -> Result<()> {
    let version = format!("{}.{}", package.version, package.arch);
    gathered.packages.add(&package.name, &version)?;
    for provided in &package.provides {
        let (name, version) = provided.split_once(' ').unwrap_or((provided, ""));
        if name == PATTERN {
            let id = version.trim_start_matches(['=', ' ']);
            gathered.groups.add(id, &package.name)?;
        } else if name != package.name {
            gathered.provides.add(name, &package.name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::index::Index;
    use super::*;

    fn index(text: &str, read: impl Fn(Input<'_>, &mut Gathered) -> Result<()>) -> Index {
        let mut gathered = Gathered::default();
        let input = Input::plain("index", text.as_bytes()).unwrap();
        read(input, &mut gathered).unwrap();
        gathered.finish()
    }

    #[test]
    fn names_versions_provides_and_tasks_of_apt_are_found() {
        let text = "Package: exim4-daemon-light\nProvides: mail-transport-agent, default-mta (= 1), x:any\n\
            Version: 4.96-15\nDescription: a\n Package: not-one\nTask: mail-server, laptop\n\r\n\n\
            Package: task-ssh-server\nVersion: 3.73\nProvided: no\n\nPackage: libc6\nVersion: 2.36";
        let index = index(text, apt);
        let names: Vec<_> = index.packages.iter().collect();
        assert_eq!(names, ["exim4-daemon-light", "libc6", "task-ssh-server"]);
        assert_eq!(index.packages.values("libc6").collect::<Vec<_>>(), ["2.36"]);
        let provided: Vec<_> = index.provides.iter().collect();
        assert_eq!(provided, ["default-mta", "mail-transport-agent", "x"]);
        let groups: Vec<_> = index.groups.iter().collect();
        assert_eq!(groups, ["laptop", "mail-server", "ssh-server"]);
    }

    #[test]
    fn names_versions_provides_and_patterns_of_rpm_md_are_found() {
        let xml = r#"<metadata><package type="rpm"><name>bash</name><arch>x86_64</arch>
            <version epoch="0" ver="5.1.8" rel="9.el9"/><format><rpm:provides><rpm:entry name="bash" ver="5.1.8"/>
            <rpm:entry name="/bin/sh"/></rpm:provides></format></package>
            <package type="rpm"><name>patterns-base-base</name><arch>noarch</arch>
            <version epoch="1" ver="2" rel="3"/><format><rpm:provides>
            <rpm:entry name="pattern()" ver="base"/></rpm:provides></format></package></metadata>"#;
        let index = index(xml, primary);
        let packages: Vec<_> = index.packages.pairs().collect();
        assert_eq!(
            packages,
            [
                ("bash", "5.1.8-9.el9.x86_64"),
                ("patterns-base-base", "1:2-3.noarch")
            ]
        );
        assert_eq!(index.provides.iter().collect::<Vec<_>>(), ["/bin/sh"]);
        let patterns: Vec<_> = index.groups.pairs().collect();
        assert_eq!(patterns, [("base", "patterns-base-base")]);
    }

    #[test]
    fn packages_provides_and_patterns_of_susetags_are_found() {
        let text = "=Pkg: bash 4.3 83.3 x86_64\n+Prv:\nbash = 4.3-83.3\n/bin/sh\n-Prv:\n\
                    =Pkg: patterns-sles-base 12 77.1 x86_64\n+Prv:\npattern() = base\n-Prv:\n";
        let index = index(text, susetags);
        assert_eq!(
            index.packages.values("bash").collect::<Vec<_>>(),
            ["4.3-83.3.x86_64"]
        );
        assert_eq!(index.provides.iter().collect::<Vec<_>>(), ["/bin/sh"]);
        assert!(index.groups.contains("base"));
    }

    #[test]
    fn groups_and_environments_are_kept_apart() {
        let xml = "<comps><group><id>core</id><name>Core</name></group>\
                   <environment><id>minimal</id><name>Minimal</name></environment></comps>";
        let index = index(xml, comps);
        assert_eq!(index.groups.pairs().collect::<Vec<_>>(), [("core", "Core")]);
        let environments: Vec<_> = index.environments.pairs().collect();
        assert_eq!(environments, [("minimal", "Minimal")]);
    }
}
