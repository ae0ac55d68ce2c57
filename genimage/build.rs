//! Builds `templates/` and `pkglists/` into the program.
//!
//! The directories come in, a table of names and `include_str!` goes out. Cargo watches both, so that
//! a file that is added, changed or removed rebuilds the room.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let room = variable("CARGO_MANIFEST_DIR");
    let mut files = Vec::new();
    for section in ["pkglists", "templates"] {
        let directory = room.join("..").join(section);
        println!("cargo::rerun-if-changed={}", directory.display());
        if directory.is_dir() {
            collect(&directory, section, &mut files)?;
        }
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (name, path) in files {
        let path = path.canonicalize()?;
        writeln!(table, "({name:?}, include_str!({:?})),", path.display())
            .map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(variable("OUT_DIR").join("embedded.rs"), table)
}

/// Gathers the files below a directory; backups of editors are left out.
fn collect(directory: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        if own.starts_with('.') || own.ends_with('~') {
            continue;
        }
        let (path, name) = (entry.path(), format!("{name}/{own}"));
        if path.is_dir() {
            collect(&path, &name, files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).unwrap_or_default())
}
