//! Starts a script that holds no signal back, while we do.
//!
//! A program, its arguments and its environment come in, its process ID goes out. `std` has a child inherit our
//! signal mask, so this is posix_spawn(3) itself, which sets the child's; it knows no directory to start in, so we
//! go there for as long as it takes.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, absolute};

use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, fchdir};

/// Starts a program in its own directory, where what is beside it is found as `./NAME`, as the first of a process
/// group, with nothing on its standard input and with its output to a pipe.
///
/// # Errors
/// When it cannot be executed.
pub(super) fn start(
    program: &Path,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    output: PipeWriter,
) -> io::Result<Pid> {
    let program = absolute(program)?;
    let name = text(&program)?;
    let arguments = arguments.iter().map(text);
    let arguments: Vec<_> = [Ok(name.clone())]
        .into_iter()
        .chain(arguments)
        .collect::<Result<_, _>>()?;
    let variable = |(name, value): (&String, &String)| text(format!("{name}={value}"));
    let environment: Vec<_> = environment.iter().map(variable).collect::<Result<_, _>>()?;

    let nothing = File::open("/dev/null")?;
    let mut files = PosixSpawnFileActions::init()?;
    files.add_dup2(nothing.as_raw_fd(), libc::STDIN_FILENO)?;
    files.add_dup2(output.as_raw_fd(), libc::STDOUT_FILENO)?;
    files.add_dup2(output.as_raw_fd(), libc::STDERR_FILENO)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    // a program of Rust ignores it, and what is ignored is inherited too
    attributes.set_sigdefault(&SigSet::from_iter([Signal::SIGPIPE]))?;

    let here = File::open(".")?;
    env::set_current_dir(program.parent().unwrap_or(Path::new("/")))?;
    let child = posix_spawn(
        name.as_c_str(),
        &files,
        &attributes,
        &arguments,
        &environment,
    );
    fchdir(&here)?;
    Ok(child?)
}

/// Text as the kernel takes it.
fn text(text: impl AsRef<OsStr>) -> io::Result<CString> {
    Ok(CString::new(text.as_ref().as_bytes())?)
}
