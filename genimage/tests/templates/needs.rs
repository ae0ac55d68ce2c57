//! What a case needs of the machine.

use std::path::PathBuf;

/// Something that a machine may lack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// A program in the `PATH`.
    Tool(&'static str),
    /// A validator in Python: `tests/validators` installs those below `target/`.
    Python(&'static str),
    /// The samples: `$SLIPWAY_CORPUS`, or `shared/corpus` beside the repository.
    Corpus,
}

/// Says what is missing, if anything.
pub(crate) fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Tool(tool) => (!has_tool(tool)).then(|| format!("needs {tool}")),
        Need::Python(tool) => (!python(tool).is_file())
            .then(|| format!("needs tests/validators to have run, for {tool}")),
        Need::Corpus => corpus().is_none().then(|| "needs the corpus".to_owned()),
    })
}

fn has_tool(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(tool).is_file())
}

/// Returns where the samples are.
pub(crate) fn corpus() -> Option<PathBuf> {
    let beside = || workspace("../shared/corpus");
    let corpus = std::env::var_os("SLIPWAY_CORPUS").map_or_else(beside, PathBuf::from);
    Some(corpus.join("autoinstall")).filter(|corpus| corpus.is_dir())
}

/// Returns where a program of the validators' own Python lies.
pub(crate) fn python(tool: &str) -> PathBuf {
    workspace("target/validators/bin").join(tool)
}

/// Returns a directory of the workspace.
pub(crate) fn workspace(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}
