//! What the program does by the name and the arguments that it is started with.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use definitions::NetbootParameters;

use super::console::Console;
use super::download::{Download, Waits};
use super::drivers::Drivers;
use super::{boot, nic};

/// What a run is about.
#[derive(Debug, PartialEq, Eq)]
enum NetbootTask {
    /// Be the init of an initrd.
    Init,
    /// Load modules: the kernel asks `/sbin/modprobe` for what it needs meanwhile.
    Modprobe(Vec<String>),
    /// Fetch the image that a command line names into a file, and verify it.
    Fetch {
        command_line: OsString,
        image: OsString,
    },
}

/// Runs `netboot`.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let result = match task(&arguments, std::process::id()) {
        Ok(NetbootTask::Init) => boot::run(),
        Ok(NetbootTask::Modprobe(names)) => modprobe(&names),
        Ok(NetbootTask::Fetch {
            command_line,
            image,
        }) => fetch(Path::new(&command_line), Path::new(&image)),
        Err(usage) => {
            error_line!("netboot: {usage}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error_line!("netboot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn task(arguments: &[OsString], process: u32) -> Result<NetbootTask> {
    let (program, rest) = arguments.split_first().context("it has no name")?;
    if Path::new(program).ends_with("modprobe") {
        let names = rest.iter().filter_map(|word| word.to_str());
        let names = names.filter(|word| !word.starts_with('-'));
        return Ok(NetbootTask::Modprobe(names.map(str::to_owned).collect()));
    }
    match rest {
        [verb, command_line, image] if verb == "--fetch" => Ok(NetbootTask::Fetch {
            command_line: command_line.clone(),
            image: image.clone(),
        }),
        _ if process == 1 => Ok(NetbootTask::Init),
        _ => bail!(
            "this is the init of a diskless node's initrd; elsewhere it only tries whether a node could fetch its \
             image: netboot --fetch COMMAND_LINE_FILE IMAGE_FILE"
        ),
    }
}

fn modprobe(names: &[String]) -> Result<()> {
    let drivers = Drivers::load(Path::new(Drivers::HOME))?;
    for name in names {
        drivers.insert_wanted(name)?;
    }
    Ok(())
}

/// Sets the address and fetches the image, as a boot does, in the network that this runs in.
fn fetch(command_line: &Path, image: &Path) -> Result<()> {
    let line = fs::read_to_string(command_line)
        .with_context(|| format!("reading {}", command_line.display()))?;
    let parameters: NetbootParameters = line.parse()?;
    let console = Console::standard_error();
    nic::configure(&parameters, &console)?;
    let create = || format!("creating {}", image.display());
    let mut file = File::create(image).with_context(create)?;
    let waits = Waits {
        patience: 8,
        ..Waits::default()
    };
    Download::new(&parameters.image, &console, waits)?.run(&mut file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_and_the_process_say_what_is_to_be_done() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(OsString::from).collect() };
        assert_eq!(task(&words("/init quiet"), 1).unwrap(), NetbootTask::Init);
        assert_eq!(
            task(&words("/sbin/modprobe -q -- fs-squashfs"), 77).unwrap(),
            NetbootTask::Modprobe(vec!["fs-squashfs".to_owned()])
        );
        assert_eq!(
            task(&words("netboot"), 77).unwrap_err().to_string(),
            "this is the init of a diskless node's initrd; elsewhere it only tries whether a node could fetch its \
             image: netboot --fetch COMMAND_LINE_FILE IMAGE_FILE"
        );
    }
}
