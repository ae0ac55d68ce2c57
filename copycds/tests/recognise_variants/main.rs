//! What goes by the words of a release and is not that release: an imitation, an add-on, an unfinished or
//! specially built one, a label on a disc with nothing to install. Each has its own name, or is refused.

mod files;
mod names;
mod words;

use std::sync::LazyLock;

use copycds::media::VolumeIds;
use copycds::recognise::{
    Evidence, MediumIdentity, RecognitionRules, Rejection, RequestedRelease, identify,
};
use definitions::Arch;

static RULES: LazyLock<RecognitionRules> =
    LazyLock::new(|| RecognitionRules::embedded().expect("the embedded rules compile"));

fn recognise(evidence: &Evidence) -> Result<MediumIdentity, Rejection> {
    identify(evidence, &RULES, &RequestedRelease::default())
}

fn answer(evidence: &Evidence) -> String {
    match recognise(evidence) {
        Ok(verdict) => {
            let arch = verdict.arch.map_or("-", Arch::name);
            format!("{} {arch}", verdict.distro)
        }
        Err(refusal) => refusal.kind().to_owned(),
    }
}

fn volume(id: &str) -> Evidence {
    Evidence::of_volume(VolumeIds {
        volume: id.to_owned(),
        ..VolumeIds::default()
    })
}

fn disk_info(line: &str) -> Evidence {
    Evidence::of_file(".disk/info", line)
}

/// A `.treeinfo` by family, version, architecture and variant, parted by `/`.
fn treeinfo(text: &str) -> Evidence {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or_default();
    let text = format!(
        "[general]\nfamily = {}\nversion = {}\narch = {}\nvariant = {}\n",
        next(),
        next(),
        next(),
        next()
    );
    Evidence::of_file(".treeinfo", text)
}

fn with_names(mut evidence: Evidence, names: &[&str]) -> Evidence {
    evidence.names = names.iter().map(|name| (*name).to_owned()).collect();
    evidence
}

fn with_release(mut evidence: Evidence, codename: &str, text: &str) -> Evidence {
    let path = format!("dists/{codename}/Release");
    evidence.files.insert(path, text.into());
    evidence
}

fn table(rows: &[(&str, &str)], evidence: fn(&str) -> Evidence) {
    let wrong: Vec<_> = rows
        .iter()
        .map(|(text, expected)| (text, *expected, answer(&evidence(text))))
        .filter(|(_, expected, found)| expected != found)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
