//! What the repositories of an image say: when they were released, whether they have changed, and where nodes find them.

use repodata::Compression;
use std::fs;
use std::path::Path;

use definitions::RepositoryFormat;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::spec::sha256;
use crate::problem::Problem;
use crate::repository::Repository;

/// When the tree was released, by its own `Release` or `repomd.xml`: no file of the image is newer, whenever it is
/// built.
pub(super) fn epoch(tree: &Path, suite: &str) -> i64 {
    let release = fs::read_to_string(tree.join("dists").join(suite).join("Release"));
    let date = release.ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Date:"))?;
        let line = line.trim().replace("UTC", "+0000");
        OffsetDateTime::parse(&line, &Rfc2822).ok()
    });
    let revision = || {
        let text = fs::read_to_string(tree.join("repodata/repomd.xml")).ok()?;
        let (_, rest) = text.split_once("<revision>")?;
        rest.split_once('<')?.0.trim().parse().ok()
    };
    date.map(OffsetDateTime::unix_timestamp)
        .or_else(revision)
        .filter(|seconds| (0..1 << 33).contains(seconds))
        .unwrap_or(0)
}

/// Returns the digest of a repository's signed index, which changes with each of its packages; of one that is not on
/// this machine there is none to be had without fetching it.
pub(super) fn index_digest(repository: &Repository) -> String {
    let Some(directory) = repository.directory.as_deref().map(Path::new) else {
        return String::new();
    };
    let suite = match repository.suite.as_deref() {
        Some(flat) if flat.ends_with('/') => directory.join(flat),
        Some(suite) => directory.join("dists").join(suite),
        None => directory.join("repodata"),
    };
    let names = ["InRelease", "Release", "repomd.xml"].map(str::to_owned);
    let indices = Compression::ALL.map(|one| format!("Packages{}", one.suffix()));
    let found = names
        .iter()
        .chain(&indices)
        .find_map(|name| fs::read(suite.join(name)).ok());
    found.map_or_else(String::new, |bytes| sha256(&bytes))
}

/// Returns the files that tell the image's package manager where packages are, with their paths and the key by which
/// it verifies indices that the site signed: from the management node, if the site says which address it has.
pub(super) fn image_sources(
    repositories: &[Repository],
    master: Option<&str>,
    notes: &mut Vec<Problem>,
) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    for repository in repositories {
        let mut reached = repository.clone();
        if let Some(rest) = repository.uri.strip_prefix("http://server/") {
            let Some(master) = master else {
                left_out.push(repository.name.as_str());
                continue;
            };
            reached.uri = format!("http://{master}/{rest}");
        }
        let place = match reached.form {
            RepositoryFormat::Apt => "etc/apt/sources.list.d",
            RepositoryFormat::Dnf => "etc/yum.repos.d",
            RepositoryFormat::Zypper => "etc/zypp/repos.d",
        };
        files.push((format!("{place}/{}", reached.file_name()), reached.file()));
        let key = reached.index_key.map(|key| {
            let path = Repository::INDEX_KEY.trim_start_matches('/');
            (path.to_owned(), key)
        });
        files.extend(key.filter(|key| !files.contains(key)));
    }
    if !left_out.is_empty() {
        notes.push(Problem::new(format!(
            "the site has no master, so that the image does not say where nodes find {}: chdef -t site clustersite \
             master=ADDRESS",
            left_out.join(", ")
        )));
    }
    files
}
