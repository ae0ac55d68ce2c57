//! `setupregistry`: the site's image registry on the management node, for whom the site's authority has signed.
//!
//! A registry that a package brings (distribution 2.8 or 3) is given a configuration, a unit, a place for images and the
//! management node's certificate. There are no passwords: who has no certificate of the site's authority is refused, and
//! that is proven before success is reported. Nothing here serves an image itself. Reference: distribution's
//! `configuration.md`; systemd.exec(5).

mod files;
mod garbage;
mod service;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use definitions::command::Config;
use definitions::{Catalog, Site};
use serde_json::json;

use crate::client_certificate;
use crate::engine::{Credentials, HttpsProbe};
use files::RegistryFiles;
use service::RegistryService;

/// How long a registry may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked until then.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// What packages call the program.
const ENGINES: [&str; 4] = [
    "/usr/bin/docker-registry",
    "/usr/bin/registry",
    "/usr/local/bin/registry",
    "/bin/registry",
];

/// Set up the site's image registry on this machine, for clients of the site's authority
///
/// The registry is a package's (docker-registry of Debian and Ubuntu; distribution 2.8 or 3). Docker hosts that have a
/// certificate of the site's authority pull and push; everybody else is refused, and there are no passwords. A second run
/// changes nothing.
#[derive(Debug, clap::Parser)]
#[command(name = "setupregistry", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    config: Config,

    /// The port; unless given the one that it has, at first 5000, or 5001 with --upstream
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Set up a second registry, the mirror, which fetches from URL what it does not have; nothing is pushed to it
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,

    /// Delete what no image needs any more; the registry takes no image meanwhile
    #[arg(long)]
    collect_garbage: bool,

    /// With --collect-garbage: delete also images that have no tag, among them those that are pulled by digest alone
    #[arg(long, requires = "collect_garbage")]
    delete_untagged: bool,

    /// The user that the registry runs as
    #[arg(long, value_name = "USER", default_value = "docker-registry")]
    user: String,

    /// The registry's program; that of a package unless given
    #[arg(long, value_name = "PATH")]
    engine: Option<PathBuf>,

    /// Where files of the system are written; for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  apt-get install docker-registry && systemctl disable --now docker-registry
  slipway-trust init
  setupregistry                                   images are pulled and pushed as MASTER:5000/NAME:TAG
  setupregistry --upstream https://registry.example.invalid      the mirror, MASTER:5001
  setupregistry --collect-garbage                 free the space of deleted images

Exit status: 0 the registry answers clients of the site and nobody else, 1 not, 2 wrong usage.";

/// One of the two registries that a site can have.
#[derive(Debug)]
struct RegistryInstance {
    /// `registry` or `mirror`: what its files, unit and directory are called.
    name: &'static str,
    port: u16,
    upstream: Option<String>,
    /// The name or address that clients reach it by, for which the certificate of this machine is.
    address: String,
    /// Where it keeps images.
    storage: PathBuf,
}

impl RegistryInstance {
    fn of(args: &Args, site: &Site) -> Result<Self> {
        let (name, usual) = match args.upstream {
            Some(_) => ("mirror", 5001),
            None => ("registry", 5000),
        };
        if let Some(upstream) = &args.upstream {
            let host = upstream.strip_prefix("https://").unwrap_or_default();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
            ensure!(
                !host.is_empty() && host.chars().all(is_plain),
                "'{upstream}' is not the address of a registry: expected https://HOST[:PORT]"
            );
        }
        Ok(Self {
            name,
            port: match args.port {
                Some(port) => port,
                None => files::port(&args.root, name)?.unwrap_or(usual),
            },
            upstream: args.upstream.clone(),
            address: address(site)?,
            storage: site.install_dir().path().join(name),
        })
    }

    /// What images begin with.
    fn prefix(&self) -> String {
        match self.address.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{}", self.port),
            Err(_) => format!("{}:{}", self.address, self.port),
        }
    }
}

/// Names this machine as its certificate does: the site's master, with the domain.
fn address(site: &Site) -> Result<String> {
    let master = site.master.as_deref().context(
        "the site does not say how nodes reach this machine: chdef -t site clustersite master=ADDRESS",
    )?;
    let is_complete = master.contains('.') || master.contains(':');
    Ok(match (&site.domain, is_complete) {
        (Some(domain), false) => format!("{master}.{domain}"),
        _ => master.to_owned(),
    })
}

/// Runs `setupregistry`.
///
/// # Errors
/// When the registry is not what it should be in the end, with what keeps it from it.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = args.config.catalog();
    let instance = RegistryInstance::of(&args, &catalog.site()?)?;
    let files = RegistryFiles::plan(&args, &catalog, &instance)?;
    let service = RegistryService::new(&args.root, instance.name)?;
    if args.collect_garbage {
        let proof = || RegistryProof::load(&catalog, &instance);
        return garbage::collect(&args, &files, &service, proof);
    }
    let due = files.due()?;
    let runs = service.is_active();
    let left_read_only = service.is_read_only();
    let mut steps: Vec<_> = due
        .iter()
        .map(|path| format!("write {}", path.display()))
        .collect();
    if !due.is_empty() || !runs || left_read_only {
        steps.push(format!("restart {}", service.unit()));
    }
    if !args.dry_run && !steps.is_empty() {
        if !runs {
            refuse_taken_port(instance.port)?;
        }
        files.apply()?;
        service.leave_read_only()?;
        service.start()?;
    }
    if !args.dry_run {
        RegistryProof::load(&catalog, &instance)?
            .only_clients_get_in()
            .with_context(|| format!("proving who gets in at {}", instance.prefix()))?;
    }
    report(&args, &instance, &steps)?;
    Ok(ExitCode::SUCCESS)
}

fn report(args: &Args, instance: &RegistryInstance, steps: &[String]) -> Result<()> {
    let prefix = instance.prefix();
    if args.json {
        let document = json!({
            "registry": prefix,
            "upstream": instance.upstream,
            "storage": instance.storage,
            "changed": !steps.is_empty() && !args.dry_run,
            "steps": steps,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    match (args.dry_run, steps.is_empty()) {
        (_, true) => println!("nothing to do"),
        (true, false) => steps.iter().for_each(|step| println!("{step}")),
        (false, false) => {
            println!("{prefix} answers clients of the site's authority, and nobody else");
            println!("docker hosts use it after: setupdockerhost --registry {prefix}");
        }
    }
    Ok(())
}

/// Refuses a port on which something else listens: the registry would fail later, and less clearly.
fn refuse_taken_port(port: u16) -> Result<()> {
    match std::net::TcpListener::bind(("0.0.0.0", port)) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} is in use; where it is the package's own registry: systemctl disable --now docker-registry, \
             else choose another with --port"
        ),
        _ => Ok(()),
    }
}

/// What proves who gets in: a client of the site, and one without a certificate.
#[derive(Debug)]
struct RegistryProof {
    trusted: HttpsProbe,
    nobody: HttpsProbe,
}

impl RegistryProof {
    fn load(catalog: &Catalog, instance: &RegistryInstance) -> Result<Self> {
        let probe = |credentials| HttpsProbe {
            port: instance.port,
            name: instance.address.clone(),
            credentials,
        };
        let authority = catalog.path().join("trust/root.crt");
        Ok(Self {
            trusted: probe(client_certificate::load(catalog.path())?),
            nobody: probe(Credentials::without_certificate(&authority)?),
        })
    }

    /// Proves that a client of the site gets in, and that one without a certificate does not.
    fn only_clients_get_in(&self) -> Result<()> {
        self.answers_clients()?;
        if let Ok(status) = self.nobody.get("/v2/") {
            bail!("a client without a certificate is answered with {status}");
        }
        // It was not that the registry had ended meanwhile.
        self.answers_clients()
    }

    /// Proves that a client of the site cannot push.
    fn nobody_pushes(&self) -> Result<()> {
        self.answers_clients()?;
        match self.trusted.post("/v2/slipway/blobs/uploads/")? {
            405 => Ok(()),
            status => bail!("the registry is not read-only: it answers a push with {status}"),
        }
    }

    fn answers_clients(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.trusted.get("/v2/") {
                Ok(200) => return Ok(()),
                Ok(status) => bail!("a client of the site is answered with {status}"),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).context("a client of the site gets no answer");
                }
                Err(_) => sleep(LOOK_INTERVAL),
            }
        }
    }
}

/// Finds the registry's program.
fn engine(args: &Args) -> Result<PathBuf> {
    if let Some(path) = &args.engine {
        ensure!(
            path.is_absolute() && path.is_file(),
            "{} is not a program",
            path.display()
        );
        return Ok(path.clone());
    }
    let found = ENGINES.iter().map(Path::new).find(|path| path.is_file());
    let found = found.context(
        "no registry is installed: apt-get install docker-registry, or name one with --engine",
    )?;
    Ok(found.to_owned())
}
