//! What dnf, yum and zypper share: `.repo` files, the packages that rpm knows, and removals.
//!
//! References: dnf.conf(5), yum.conf(5) of EL 7, zypper(8), rpm(8). `gpgcheck` is on unless the definition says
//! `trusted=yes`. Pure.

use definitions::{RepositoryFormat, RpmRepo, RpmSignatures};

use super::command::{CommandOutput, PackageCommand};
use super::package_manager::WRITTEN_BY;
use super::sources::PackageSource;

/// Renders sources as a `.repo` file.
pub(super) fn render_repo_file(sources: &[PackageSource], format: RepositoryFormat) -> String {
    let mut text = WRITTEN_BY.to_owned();
    for source in sources {
        let key_url = source.key.as_ref().map(|key| {
            let scheme = if key.starts_with('/') { "file://" } else { "" };
            format!("{scheme}{key}")
        });
        let repo = RpmRepo {
            name: source.name.clone(),
            uri: source.uri.clone(),
            key_urls: key_url.into_iter().collect(),
            signatures: RpmSignatures::unless_trusted(source.trusted),
            zypper: format == RepositoryFormat::Zypper,
        };
        text.push('\n');
        text.push_str(&repo.render());
    }
    text
}

/// Says whether a `.repo` file names a repository.
pub(super) fn names_source(text: &str, source: &PackageSource) -> bool {
    let mut named = RpmRepo::parse_all(text).into_iter();
    named.any(|named| source.is_at(&named.uri))
}

/// Returns the file that every repository has.
pub(super) fn index_files() -> Vec<String> {
    vec!["repodata/repomd.xml".to_owned()]
}

/// Returns what lists the packages.
pub(super) fn list() -> PackageCommand {
    const FORMAT: &str = "ii \t%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n";
    PackageCommand::new("rpm", &["-qa", "--queryformat", FORMAT])
}

/// Returns what lists the capabilities of an installed package.
pub(super) fn list_capabilities(name: &str) -> PackageCommand {
    PackageCommand::new("rpm", &["-q", "--provides", name])
}

/// Returns what simulates a removal.
pub(super) fn simulate_removal(names: &[String]) -> PackageCommand {
    PackageCommand::new("rpm", &["--erase", "--test"]).and(names)
}

/// Names what needs the packages of a simulated removal.
pub(super) fn would_remove(output: &CommandOutput) -> Option<String> {
    let needed = output
        .text
        .lines()
        .filter_map(|line| line.split_once(" is needed by (installed) "));
    let needed: Vec<_> = needed
        .map(|(what, by)| format!("{by} needs {}", what.trim()))
        .collect();
    (!needed.is_empty()).then(|| {
        let needed = needed.join(", ");
        format!("{needed}: if they are to be removed too, add them to the list with a '-' in front")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_file_or_an_address() {
        let source = |key: &str| PackageSource {
            name: "a".to_owned(),
            uri: "https://h/$releasever".to_owned(),
            key: Some(key.to_owned()),
            ..PackageSource::default()
        };
        let sources = [source("/etc/pki/rpm-gpg/a.asc"), source("https://h/gpg")];
        let text = render_repo_file(&sources, RepositoryFormat::Dnf);
        let section = |key: &str| {
            format!(
                "\n[a]\nname=a\nbaseurl=https://h/$releasever\nenabled=1\ngpgcheck=1\ngpgkey={key}\n"
            )
        };
        let both = section("file:///etc/pki/rpm-gpg/a.asc") + &section("https://h/gpg");
        assert!(text.ends_with(&both), "{text}");
    }

    #[test]
    fn what_needs_a_removed_package_is_named() {
        let text = "error: Failed dependencies:\n\tslip-one is needed by (installed) slip-two-1-1.noarch\n";
        let output = CommandOutput {
            code: Some(1),
            text: text.to_owned(),
        };
        let message = "slip-two-1-1.noarch needs slip-one: if they are to be removed too, add them to the list \
                       with a '-' in front";
        assert_eq!(would_remove(&output).as_deref(), Some(message));
    }

    #[test]
    fn a_repository_is_known_by_its_address() {
        let source = PackageSource {
            uri: "https://h/debian".to_owned(),
            ..PackageSource::default()
        };
        for (text, expected) in [
            ("[a]\nbaseurl = https://h/debian/\n", true),
            ("[a]\n#baseurl=https://h/debian\nbaseurl=https://h\n", false),
        ] {
            assert_eq!(names_source(text, &source), expected, "{text}");
        }
    }
}
