//! The site's own iPXE, built from its source while the authority changes, loaded by UEFI from a server on which somebody else
//! put an `autoexec.ipxe`: it takes what either authority signed, and nothing else gets to the kernel.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{BareMachine, Disk, Machine, Need, Progress, Sandbox, Site, outcome, same, trial};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[
        Need::Machines,
        Need::MachineDisk,
        Need::Uefi,
        Need::IpxeSource,
        Need::Tools(&["make", "gcc", "openssl", "gpg", "busybox", "cpio", "nginx"]),
    ];
    vec![trial(
        "site_ipxe::it_takes_what_either_authority_signed_and_hands_nothing_else_to_the_kernel",
        needs,
        boots,
    )]
}

/// Says what is in the initrd, and switches the machine off.
const INIT: &str = "#!/bin/busybox sh
cd /
/bin/busybox mkdir -p /dev
/bin/busybox mount -t devtmpfs none /dev
echo \"in the initrd: $(/bin/busybox ls | /bin/busybox tr '\\n' ' ').\" >/dev/console
/bin/busybox poweroff -f
";

/// What the node boots: kernel and initrd are signed by another authority than the script, a third by a foreign one.
const SCRIPT: &str = "#!ipxe
echo signed by the first: taken
imgfetch --name foreign ${base}/foreign
imgverify foreign ${base}/foreign.sig && echo signed by another site: taken || echo signed by another site: refused
imgfree foreign
kernel ${base}/vmlinuz initrd=initrd.gz console=ttyS0 panic=-1 quiet
imgverify --signer osimage:tiny vmlinuz ${base}/vmlinuz.sig
initrd --name initrd.gz ${base}/initrd.gz
imgverify --signer osimage:tiny initrd.gz ${base}/initrd.gz.sig
echo signed by the second: taken
boot
";

fn boots() -> Result<()> {
    let mut progress = Progress::begin();
    let kernel = Disk::find().context("there is no kernel")?.kernel();
    let management_node = ManagementNode(Sandbox::new()?);
    management_node.define()?;
    management_node.write_boot_files(&kernel)?;
    management_node.build()?;
    progress.done("slipway-trust ipxe");
    management_node.sign()?;
    let site = Site::new()?;
    site.serve_files(management_node.0.install())?;
    let tftp = management_node.forge(&site)?;
    site.serve_addresses(&[
        "--enable-tftp".to_owned(),
        format!("--tftp-root={}", tftp.display()),
        "--dhcp-userclass=set:own,slipway".to_owned(),
        format!("--dhcp-boot=tag:own,{}/boot.ipxe", base()),
        "--dhcp-boot=tag:!own,ipxe-x86_64.efi".to_owned(),
    ])?;
    let disk = site.path("empty.raw");
    File::create(&disk)?.set_len(1 << 20)?;
    let bare = BareMachine {
        site: &site,
        name: "site-ipxe",
        disk: &disk,
        kernel: &kernel,
        key: site.path("no-key"),
    };
    let machine = bare.run_by_uefi()?;
    says_what_it_should(&machine)?;
    progress.done("firmware, iPXE, kernel");
    println!("{progress}");
    Ok(())
}

fn says_what_it_should(machine: &Machine<'_>) -> Result<()> {
    for said in [
        // else nothing was forged
        "autoexec.ipxe... ok",
        "signed by the first: taken",
        "signed by another site: refused",
        "signed by the second: taken",
        "in the initrd: bin dev init root .",
    ] {
        let is_said = machine.has_said(said)?;
        ensure!(is_said, "not said: {said}: {}", machine.last_words());
    }
    machine.has_not_said("signed by another site: taken")
}

fn base() -> String {
    format!("http://{}/install/node", Site::ADDRESS)
}

/// The administrator's side.
struct ManagementNode(Sandbox);

impl ManagementNode {
    fn define(&self) -> Result<()> {
        let config = self.0.config();
        fs::create_dir_all(self.0.install().join("node"))?;
        fs::create_dir_all(&config)?;
        let site = format!(
            "installdir = \"{}\"\nmaster = \"{}\"\ndomain = \"cluster\"\n",
            self.0.install().display(),
            Site::ADDRESS
        );
        fs::write(config.join("site.toml"), site)?;
        let network = "[cluster]\nnet = \"10.77.0.0\"\nmask = \"255.255.255.0\"\n";
        fs::write(config.join("networks.toml"), network)?;
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.install().join("node").join(name)
    }

    fn write_boot_files(&self, kernel: &Path) -> Result<()> {
        fs::copy(kernel, self.file("vmlinuz"))?;
        fs::write(self.file("foreign"), "of another site\n")?;
        fs::write(self.file("boot.ipxe"), SCRIPT.replace("${base}", &base()))?;
        let root = self.0.path("initrd");
        fs::create_dir_all(root.join("bin"))?;
        fs::write(root.join("init"), INIT)?;
        let script = "chmod 755 init; cp \"$(command -v busybox)\" bin/; find . | cpio -o -H newc --quiet | gzip -n >\"$1\"";
        archive(&root, script, &self.file("initrd.gz"))
    }

    /// Has the authority change, and iPXE built with the roots of both.
    fn build(&self) -> Result<()> {
        // what there is of iPXE before, with one root: its make puts out what it was given
        let stand_in = self.0.path("stand-in");
        fs::create_dir_all(stand_in.join("src/config"))?;
        let make = "%:\n\t@mkdir -p $(@D)\n\t@cat $(EMBED) $(CERT) >$@\n";
        fs::write(stand_in.join("src/Makefile"), make)?;
        self.trust(&["init"], 0)?;
        let build = |source: &Path| {
            let source = source.display().to_string();
            self.trust(&["ipxe", "--firmware", "x86_64", "--source", &source], 0)
        };
        build(&stand_in)?;
        self.trust(&["roll"], 75)?;
        self.sign_as("node:host01", "boot.ipxe")?;
        build(&Need::ipxe_source().context("there is no source of iPXE")?)
    }

    /// Has the second authority sign the rest, and another site one file.
    fn sign(&self) -> Result<()> {
        self.trust(&["roll"], 0)?;
        for file in ["vmlinuz", "initrd.gz"] {
            self.sign_as("osimage:tiny", file)?;
        }
        let by_first = fs::read(self.file("boot.ipxe.sig"))?;
        self.sign_as("node:host01", "boot.ipxe")?;
        ensure!(
            fs::read(self.file("boot.ipxe.sig"))? != by_first,
            "the authority is the same"
        );
        fs::write(self.file("boot.ipxe.sig"), by_first)?;
        let other = Self(Sandbox::new()?);
        other.define()?;
        fs::copy(self.file("foreign"), other.file("foreign"))?;
        other.trust(&["init"], 0)?;
        let stand_in = self.0.path("stand-in").display().to_string();
        other.trust(&["ipxe", "--firmware", "x86_64", "--source", &stand_in], 0)?;
        other.sign_as("osimage:tiny", "foreign")?;
        fs::copy(other.file("foreign.sig"), self.file("foreign.sig"))?;
        Ok(())
    }

    fn sign_as(&self, signer: &str, file: &str) -> Result<()> {
        let signed = format!("{signer}={}", self.file(file).display());
        self.trust(&["sign", &signed], 0)
    }

    /// Puts the site's iPXE where firmware finds it, and what somebody else wants in the initrd beside it.
    fn forge(&self, site: &Site) -> Result<PathBuf> {
        let tftp = site.path("tftp");
        fs::create_dir_all(&tftp)?;
        let loader = "ipxe-x86_64.efi";
        fs::copy(
            self.0.install().join("ipxe").join(loader),
            tftp.join(loader),
        )?;
        let root = self.0.path("forged");
        fs::create_dir_all(&root)?;
        fs::write(root.join("forged"), "of somebody else\n")?;
        let script = "find . | cpio -o -H newc --quiet >\"$1\"";
        archive(&root, script, &tftp.join("autoexec.ipxe"))?;
        Ok(tftp)
    }

    fn trust(&self, arguments: &[&str], code: i32) -> Result<()> {
        let ended = self.0.run("slipway-trust", arguments)?;
        same(&ended.code, &Some(code)).with_context(|| format!("{arguments:?}: {ended:?}"))
    }
}

fn archive(root: &Path, script: &str, file: &Path) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-ec", script, "sh"]).arg(file);
    let made = outcome(command.current_dir(root))?;
    ensure!(made.code == Some(0), "{script}: {made:?}");
    Ok(())
}
