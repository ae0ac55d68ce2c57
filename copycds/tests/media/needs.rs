//! What a case needs of the machine.

use std::path::PathBuf;
use std::process::Command;

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A program in the `PATH`.
    Tool(&'static str),
    /// The sample images: `$SLIPWAY_CORPUS`, or `shared/corpus` beside the repository.
    Corpus,
    /// The rights to set up a loop device.
    Loop,
}

/// Says what is missing, if anything.
pub(crate) fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Tool(tool) => (!has_tool(tool)).then(|| format!("needs {tool}")),
        Need::Corpus => corpus().is_none().then(|| "needs the corpus".to_owned()),
        Need::Loop => (!can_loop()).then(|| "needs root and loop devices".to_owned()),
    })
}

/// Returns where the sample images are.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let corpus = std::env::var_os("SLIPWAY_CORPUS").map_or_else(beside, PathBuf::from);
    Some(corpus.join("iso")).filter(|iso| iso.is_dir())
}

fn has_tool(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps mkudffs where only root looks.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places
        .map(|place| place.join(tool))
        .any(|file| file.is_file())
}

fn can_loop() -> bool {
    Command::new("losetup")
        .arg("--find")
        .output()
        .is_ok_and(|found| found.status.success())
}
