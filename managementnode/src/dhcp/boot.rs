//! What machines load first: iPXE for their firmware, and with it their boot script.
//!
//! | firmware, by its client architecture (RFC 4578, IANA's registry) | loads | over |
//! |---|---|---|
//! | BIOS (0) | `undionly.kpxe` | TFTP |
//! | UEFI x86-64 (7, 9) | `ipxe-x86_64.efi` | TFTP |
//! | UEFI x86-64 that boots by HTTP (16) | the same | HTTP |
//! | UEFI aarch64 (11) | `ipxe-aarch64.efi` | TFTP |
//! | UEFI aarch64 that boots by HTTP (19) | the same | HTTP |
//! | iPXE, of a node that is listed | `<installdir>/autoinst/<node>/boot.ipxe`, which nodeset writes | HTTP |
//!
//! Loaders are those of the distribution's packages; they lie in `<installdir>/ipxe`, from where TFTP and HTTP serve
//! them alike. Where the site has an iPXE of its own (`slipway-trust ipxe`), that is the only loader, and the only iPXE
//! that gets a boot script: it says so by its user class (RFC 3004). Another one, such as that of a NIC, loads it first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use definitions::{BootLevel, Catalog, InstallDir, Site};

use super::networks::{ServedNetworks, tag};
use crate::dnsmasq::setting;
use crate::replace;
use crate::trust::SiteIpxe;

/// Where packages put loaders: Debian's and Ubuntu's, then those of the RHEL family and SUSE.
const PACKAGES: [&str; 2] = ["/usr/lib/ipxe", "/usr/share/ipxe"];

/// No loader is as large.
const MAX_BYTES: u64 = 16 << 20;

/// iPXE for one kind of firmware.
#[derive(Debug)]
struct Firmware {
    name: &'static str,
    tag: &'static str,
    /// Who loads it over TFTP, and who over HTTP.
    tftp: &'static [&'static str],
    http: &'static [&'static str],
    /// What it is named where it is served.
    file: &'static str,
    /// What it is named in packages, the one preferred first.
    packaged: &'static [&'static str],
}

const FIRMWARE: [Firmware; 3] = [
    Firmware {
        name: "BIOS",
        tag: "slipway-bios",
        tftp: &["0"],
        http: &[],
        file: "undionly.kpxe",
        packaged: &["undionly.kpxe"],
    },
    Firmware {
        name: "UEFI on x86-64",
        tag: "slipway-x86-64",
        tftp: &["7", "9"],
        http: &["16"],
        file: "ipxe-x86_64.efi",
        packaged: &[
            "ipxe-x86_64.efi",
            "ipxe.efi",
            "x86_64-efi/ipxe.efi",
            "ipxe-snponly-x86_64.efi",
            "snponly.efi",
        ],
    },
    Firmware {
        name: "UEFI on aarch64",
        tag: "slipway-aarch64",
        tftp: &["11"],
        http: &["19"],
        file: "ipxe-aarch64.efi",
        packaged: &[
            "ipxe-aarch64.efi",
            "ipxe-arm64.efi",
            "arm64-efi/ipxe.efi",
            "arm64-efi/snponly.efi",
        ],
    },
];

/// The loaders that were found.
#[derive(Debug)]
pub(super) struct Loaders {
    found: Vec<(&'static Firmware, Option<PathBuf>)>,
    /// From where they are served.
    directory: PathBuf,
    /// Whether they are the site's own.
    is_own: bool,
}

impl Loaders {
    /// Looks for loaders: in a directory that is given, then where packages put them, then among those served already.
    pub(super) fn find(given: Option<&Path>, installdir: &InstallDir) -> Self {
        let directory = installdir.path().join("ipxe");
        let packages = PACKAGES.map(Path::new);
        let places = given
            .into_iter()
            .chain(packages)
            .chain([directory.as_path()]);
        let places: Vec<_> = places.collect();
        let find = |firmware: &'static Firmware| {
            let mut paths = places
                .iter()
                .flat_map(|place| firmware.packaged.iter().map(move |name| place.join(name)));
            (firmware, paths.find(|path| path.is_file()))
        };
        let found = FIRMWARE.iter().map(find).collect();
        Self {
            found,
            directory,
            is_own: false,
        }
    }

    /// Takes the site's own, where it has some, else looks for others.
    ///
    /// # Errors
    /// When the site's are not as they were built, or its nodes are to boot nothing else and it has none.
    pub(super) fn of_site(catalog: &Catalog, site: &Site, given: Option<&Path>) -> Result<Self> {
        let installdir = site.install_dir();
        let Some(own) = SiteIpxe::load(catalog)? else {
            if site.bootlevel == Some(BootLevel::Signed) {
                bail!(
                    "the site's bootlevel is 2, and it has no iPXE of its own: run slipway-trust ipxe; or chdef -t site \
                     clustersite bootlevel=1"
                );
            }
            return Ok(Self::find(given, &installdir));
        };
        if let Some(given) = given {
            bail!(
                "the site has an iPXE of its own, and nodes are to boot nothing else: leave --loaders {} out, or run \
                 slipway-trust ipxe --remove",
                given.display()
            );
        }
        let directory = installdir.path().join("ipxe");
        let find =
            |firmware: &'static Firmware| Ok((firmware, own.loader(&directory, firmware.file)?));
        let found = FIRMWARE.iter().map(find).collect::<Result<_>>()?;
        Ok(Self {
            found,
            directory,
            is_own: true,
        })
    }

    /// Puts the loaders where they are served from.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub(super) fn publish(&self) -> Result<()> {
        let directory = &self.directory;
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        for (firmware, path) in &self.found {
            let Some(path) = path else { continue };
            let reading = || format!("reading {}", path.display());
            let size = fs::metadata(path).with_context(reading)?.len();
            if size > MAX_BYTES {
                bail!("{} has {size} bytes: no loader of iPXE has", path.display());
            }
            let bytes = fs::read(path).with_context(reading)?;
            let target = directory.join(firmware.file);
            if fs::read(&target).ok().as_deref() != Some(&bytes) {
                replace::write(&target, &bytes, 0o644)?;
            }
        }
        Ok(())
    }

    /// Says which firmware gets nothing.
    pub(super) fn notes(&self) -> Vec<String> {
        let missing = self.found.iter().filter(|(_, path)| path.is_none());
        let note = |(firmware, _): &(&Firmware, Option<PathBuf>)| {
            if self.is_own {
                return format!(
                    "machines with {} get no boot file: the site's iPXE was not built for them",
                    firmware.name
                );
            }
            format!(
                "machines with {} get no boot file: there is no {} in {}: install the package that has it, or name its \
                 directory with --loaders",
                firmware.name,
                firmware.packaged.join(" or "),
                PACKAGES.join(" or "),
            )
        };
        missing.map(note).collect()
    }

    /// Returns the settings that say who loads what.
    ///
    /// # Errors
    /// When the install directory cannot be in dnsmasq's files.
    pub(super) fn settings(&self, served: &ServedNetworks) -> Result<String> {
        let mut text = "enable-tftp\ntftp-no-fail\n".to_owned();
        text += &setting("tftp-root", &[&self.directory.display().to_string()])?;
        text += &if self.is_own {
            setting("dhcp-userclass", &["set:slipway-ipxe", "slipway"])?
        } else {
            setting("dhcp-match", &["set:slipway-ipxe", "175"])?
        };
        for (firmware, path) in &self.found {
            if path.is_some() {
                text += &firmware.settings(served)?;
            }
        }
        for (number, network) in served.networks.iter().enumerate() {
            let server = network.web_server.to_string();
            let script = format!(
                "{}/autoinst/${{hostname}}/boot.ipxe",
                url(&server, served.port)
            );
            let when = format!("tag:{}", tag(number));
            text += &setting(
                "dhcp-boot",
                &["tag:slipway-ipxe", "tag:known", &when, &script, "", &server],
            )?;
        }
        Ok(text)
    }
}

impl Firmware {
    fn settings(&self, served: &ServedNetworks) -> Result<String> {
        let mut text = String::new();
        let by_http = format!("{}-http", self.tag);
        for (tag, clients) in [(self.tag, self.tftp), (&by_http, self.http)] {
            for client in clients {
                text += &setting(
                    "dhcp-match",
                    &[&format!("set:{tag}"), "option:client-arch", client],
                )?;
            }
        }
        let (tftp, http) = (format!("tag:{}", self.tag), format!("tag:{by_http}"));
        for (number, network) in served.networks.iter().enumerate() {
            let (server, web_server) = (network.server.to_string(), network.web_server.to_string());
            let when = format!("tag:{}", tag(number));
            let not = "tag:!slipway-ipxe";
            text += &setting("dhcp-boot", &[&tftp, not, &when, self.file, "", &server])?;
            if !self.http.is_empty() {
                let loader = format!("{}/ipxe/{}", url(&web_server, served.port), self.file);
                text += &setting("dhcp-boot", &[&http, not, &when, &loader, "", &web_server])?;
            }
        }
        if !self.http.is_empty() {
            // Such firmware takes no answer that does not say that it is one for it (UEFI 2.10 §24.7.3).
            text += &setting(
                "dhcp-option-force",
                &[&http, "tag:!slipway-ipxe", "60", "HTTPClient"],
            )?;
        }
        Ok(text)
    }
}

/// Returns where the install directory is served: the same path whatever it is here.
fn url(server: &str, port: u32) -> String {
    match port {
        80 => format!("http://{server}/install"),
        port => format!("http://{server}:{port}/install"),
    }
}
