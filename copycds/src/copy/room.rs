//! Whether the file system of a target has room for what a plan writes.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::plan::Plan;

/// Compares what a plan needs with what the file system has left.
pub(super) fn ensure_room(target: &Path, plan: &Plan<'_>) -> Result<()> {
    let existing = target
        .ancestors()
        .find(|dir| *dir == Path::new("") || dir.exists());
    let existing = match existing {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let room = nix::sys::statvfs::statvfs(existing)
        .with_context(|| format!("asking for the free space of {}", existing.display()))?;
    let block = room.fragment_size().max(1);
    let files = plan
        .copied()
        .map(|step| step.size.div_ceil(block) * block)
        .sum::<u64>();
    let names = plan.copied().count() + plan.dirs.len() + plan.links.len();
    let need = files
        + (plan.dirs.len() + plan.links.len()) as u64 * block
        + (plan.files.len() as u64) * 256;
    let free = room.blocks_available().saturating_mul(block);
    ensure!(
        need <= free,
        "{} has room for {} more, and the tree needs {}: free some or import elsewhere (-p)",
        existing.display(),
        megabytes(free),
        megabytes(need)
    );
    // File systems that make inodes as they go say that they have none at all.
    ensure!(
        room.files() == 0 || names as u64 <= room.files_available(),
        "{} has room for {} more files, and the tree has {names}: free some or import elsewhere (-p)",
        existing.display(),
        room.files_available()
    );
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
