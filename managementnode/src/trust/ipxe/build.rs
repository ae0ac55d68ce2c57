//! How iPXE is built for the site: its options, its script, its only roots.
//!
//! Reference: iPXE's `src/config/general.h`, `src/Makefile.housekeeping` (`EMBED`, `CERT`, `TRUST`), and what its commands
//! `imgtrust` and `imgverify` do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use definitions::terminal::escaped;

use crate::trust::secret;

/// How many lines are shown of a build that does not succeed.
const LAST_LINES: usize = 12;

/// A kind of firmware that iPXE is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirmwareKind {
    /// BIOS
    Bios,
    /// UEFI on x86-64
    #[value(name = "x86_64")]
    X86_64,
    /// UEFI on aarch64
    Aarch64,
}

impl FirmwareKind {
    const ALL: [Self; 3] = [Self::Bios, Self::X86_64, Self::Aarch64];

    /// Returns what makedhcp names it.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Bios => "undionly.kpxe",
            Self::X86_64 => "ipxe-x86_64.efi",
            Self::Aarch64 => "ipxe-aarch64.efi",
        }
    }

    /// Returns what iPXE's make names it. All of them drive the NIC by the firmware's own driver, which has just loaded
    /// them over it.
    fn make_target(self) -> &'static str {
        match self {
            Self::Bios => "bin/undionly.kpxe",
            Self::X86_64 => "bin-x86_64-efi/snponly.efi",
            Self::Aarch64 => "bin-arm64-efi/snponly.efi",
        }
    }

    fn processor(self) -> &'static str {
        match self {
            Self::Bios | Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns what the compiler's name begins with, where it is not this machine's own: `aarch64-linux-gnu-`.
    fn cross(self) -> Option<String> {
        let own = std::env::consts::ARCH == self.processor();
        (!own).then(|| format!("{}-linux-gnu-", self.processor()))
    }

    /// Says which compiler is missing.
    fn missing_compiler(self) -> Option<String> {
        let compiler = self.cross().unwrap_or_default() + "gcc";
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).any(|place| place.join(&compiler).is_file());
        (!found).then_some(compiler)
    }
}

/// Chooses what is built: what is asked for, else all that this machine has a compiler for.
///
/// # Errors
/// When there is no compiler.
pub(super) fn targets(asked: &[FirmwareKind]) -> Result<Vec<FirmwareKind>> {
    if asked.is_empty() {
        let all = FirmwareKind::ALL.into_iter();
        let built: Vec<_> = all
            .filter(|firmware| firmware.missing_compiler().is_none())
            .collect();
        if built.is_empty() {
            bail!("there is no gcc to build iPXE with: install it");
        }
        return Ok(built);
    }
    for firmware in asked {
        if let Some(compiler) = firmware.missing_compiler() {
            bail!(
                "there is no {compiler} to build {} with: install it",
                firmware.file()
            );
        }
    }
    let all = FirmwareKind::ALL.into_iter();
    Ok(all.filter(|firmware| asked.contains(firmware)).collect())
}

/// What it is built with.
#[derive(Debug)]
pub(super) struct Recipe {
    /// The certificates of its only roots, PEM: one, and two while they change.
    pub(super) roots: String,
    /// Whom it asks for the time.
    pub(super) timeservers: Vec<String>,
    /// Whether a person gets a shell when nothing boots.
    pub(super) shell: bool,
}

impl Recipe {
    /// Returns the digest of all that it is made from.
    pub(super) fn digest(&self, source: &str, targets: &[FirmwareKind]) -> String {
        let targets = targets.iter().map(|target| target.make_target());
        let mut all = vec![source, &self.roots];
        all.extend(targets);
        let (script, options) = (self.script(), self.options());
        all.extend([script.as_str(), &options, CONSOLE]);
        secret::digest(all.join("\0").as_bytes())
    }

    /// Builds it; returns each loader's name and where it is.
    ///
    /// # Errors
    /// When a file cannot be written, or the build does not succeed.
    pub(super) fn build(
        &self,
        source: &Path,
        targets: &[FirmwareKind],
    ) -> Result<Vec<(&'static str, PathBuf)>> {
        let directory = source.join("src");
        let script = directory.join("slipway.ipxe");
        let local = directory.join("config/local");
        fs::create_dir_all(&local).with_context(|| format!("making {}", local.display()))?;
        for (path, text) in [
            (&script, self.script().as_str()),
            (&local.join("general.h"), &self.options()),
            (&local.join("console.h"), CONSOLE),
        ] {
            fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        // one in each file: make takes the first of a file alone
        let mut roots = Vec::new();
        for (number, root) in self.roots.split_inclusive(END).enumerate() {
            let name = format!("slipway{number}.crt");
            let path = directory.join(&name);
            fs::write(&path, root).with_context(|| format!("writing {}", path.display()))?;
            roots.push(name);
        }
        for target in targets {
            make(&directory, *target, &roots.join(","))?;
        }
        let built = targets.iter();
        Ok(built
            .map(|target| (target.file(), directory.join(target.make_target())))
            .collect())
    }

    /// Writes the script that it runs: DHCP names the boot script, and the site's signature decides. What iPXE has loaded
    /// before is removed first: since 2022 it asks for an `autoexec.ipxe` where it came from itself, does not run it beside
    /// this script, and would hand it to the kernel as one more initrd.
    fn script(&self) -> String {
        let times: String = self
            .timeservers
            .iter()
            .filter(|server| *server != "<xcatmaster>")
            .map(|server| format!("ntp {server} ||\n"))
            .collect();
        let shell = if self.shell { "shell\n" } else { "" };
        format!(
            "#!ipxe\n\
             imgtrust --permanent || goto failed\n\
             imgfree\n\
             set user-class slipway\n\
             dhcp || goto failed\n\
             isset ${{filename}} || goto unknown\n\
             {times}\
             imgfetch --name boot.ipxe ${{filename}} || goto failed\n\
             imgverify boot.ipxe ${{filename}}.sig || goto failed\n\
             chain boot.ipxe || goto failed\n\
             :unknown\n\
             echo This machine is no node of the site, or has no osimage\n\
             exit 1\n\
             :failed\n\
             echo Nothing that the site signed could be booted\n\
             {shell}\
             sleep 10\n\
             exit 1\n"
        )
    }

    fn options(&self) -> String {
        let shell = if self.shell { "#define" } else { "#undef" };
        format!(
            "#define DOWNLOAD_PROTO_HTTPS\n\
             #define IMAGE_TRUST_CMD\n\
             #define NTP_CMD\n\
             {shell} SHELL_CMD\n\
             #undef BANNER_TIMEOUT\n\
             #define BANNER_TIMEOUT 0\n"
        )
    }
}

/// UEFI's own console is on the serial port where the firmware has it so.
const CONSOLE: &str = "#ifdef CONSOLE_PCBIOS\n#define CONSOLE_SERIAL\n#endif\n";

/// How a certificate ends.
pub(super) const END: &str = "-----END CERTIFICATE-----\n";

fn make(directory: &Path, target: FirmwareKind, roots: &str) -> Result<()> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("make");
    command
        .arg(format!("-j{jobs}"))
        // Newer compilers warn of more than older sources were written for.
        .arg("NO_WERROR=1")
        .arg("EMBED=slipway.ipxe")
        .args([format!("CERT={roots}"), format!("TRUST={roots}")])
        .args(target.cross().map(|cross| format!("CROSS_COMPILE={cross}")))
        .arg(target.make_target())
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("LC_ALL", "C");
    let ended = command
        .output()
        .with_context(|| format!("building {}: running make", target.make_target()))?;
    if !ended.status.success() {
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        bail!(
            "building {}: make ended with {}; apt-get build-dep ipxe brings what it needs. Its last lines:\n{}",
            target.make_target(),
            ended.status,
            escaped(&last, '\n')
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(shell: bool) -> Recipe {
        Recipe {
            roots: "root\n".to_owned(),
            timeservers: vec!["10.1.0.1".to_owned(), "<xcatmaster>".to_owned()],
            shell,
        }
    }

    #[test]
    fn its_script_runs_nothing_before_a_signature_was_checked() {
        let script = recipe(false).script();
        let place = |text: &str| script.find(text).unwrap();
        assert!(place("imgtrust --permanent") < place("imgfree"));
        assert!(place("imgfree") < place("dhcp"));
        assert!(place("imgverify boot.ipxe ${filename}.sig") < place("chain boot.ipxe"));
        assert!(script.contains("ntp 10.1.0.1 ||\n") && !script.contains("xcatmaster"));
        assert!(!script.contains("shell"), "{script}");
        assert!(recipe(true).script().contains("\nshell\n"));
    }

    #[test]
    fn all_that_it_is_made_from_is_in_its_digest() {
        let one = recipe(false).digest("a", &[FirmwareKind::Bios]);
        assert_eq!(one, recipe(false).digest("a", &[FirmwareKind::Bios]));
        let other = Recipe {
            roots: "other\n".to_owned(),
            ..recipe(false)
        };
        for other in [
            recipe(false).digest("b", &[FirmwareKind::Bios]),
            recipe(false).digest("a", &[FirmwareKind::Bios, FirmwareKind::X86_64]),
            recipe(true).digest("a", &[FirmwareKind::Bios]),
            other.digest("a", &[FirmwareKind::Bios]),
        ] {
            assert_ne!(other, one);
        }
    }
}
