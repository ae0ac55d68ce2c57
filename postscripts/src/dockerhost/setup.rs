//! The steps of `setupdockerhost`, in order.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use definitions::DockerNetwork;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::cli::Args;
use super::engine::Engine;
use super::files::{self, Changes, Wanted};
use super::network::{self, Step};
use super::paths::Paths;
use super::preflight::{self, Installed};
use super::proof::{self, Check, Door};
use super::trust::{self, Trust};
use super::{daemon, names, service, status, uplink};
use crate::tls::{Authority, KeyPem, LocalAuthority, Names};

/// The port that Docker's clients expect TLS on (IANA `docker-s`).
const PORT: u16 = 2376;
/// How long dockerd may take to answer on its own socket.
const STARTING: Duration = Duration::from_secs(60);

/// Everything that is known before the first change.
struct Plan {
    names: Names,
    listen: SocketAddr,
    trust: Trust,
    /// What dockerd or its service manager reads, changed or not.
    config: Vec<Wanted>,
    /// A run before this one did not come to its end.
    unfinished: bool,
    now: OffsetDateTime,
}

/// What was done, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Report {
    changed: bool,
    restarted: bool,
    steps: Vec<String>,
    names: Names,
    listen: String,
    proof: Vec<Check>,
    network: Option<String>,
    notes: Vec<String>,
}

/// Runs `setupdockerhost`.
///
/// # Errors
/// When the host cannot be made what it should be; it is then what it was.
pub fn run(args: Args) -> Result<ExitCode> {
    let paths = Paths::new(&args.root);
    if args.status {
        return status::show(&paths, args.json);
    }
    let installed = preflight::check(&paths)?;
    let _lock = lock(&paths)?;
    let engine = Engine::new(&paths.socket());
    if let Some(network) = &args.network {
        check_network(&engine, network, &args)?;
    }
    let plan = plan(&paths, &installed, &args)?;
    if args.dry_run {
        return show_plan(&plan, &args, &engine);
    }
    let mut report = Report {
        names: plan.names.clone(),
        ..Report::default()
    };
    report.listen = plan.listen.to_string();
    secure(&paths, &installed, &engine, &plan, &mut report)?;
    if let Some(network) = &args.network {
        ensure_network(&engine, network, &mut report)?;
    }
    finish(&report, args.json)
}

/// One run at a time; the lock goes with the process.
fn lock(paths: &Paths) -> Result<File> {
    let path = paths.lock();
    files::ensure_dir(
        path.parent().context("a lock stands in a directory")?,
        0o755,
    )?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another setupdockerhost is at work on this host: wait for it to end")
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// Refuses, before anything is touched, a network that cannot be made; then brings its NIC in.
fn check_network(engine: &Engine, network: &DockerNetwork, args: &Args) -> Result<()> {
    if network.subnet().is_ipv6() {
        bail!(
            "the docker network {} is IPv6 alone: engines need an IPv4 subnet",
            network.name()
        );
    }
    // An engine that does not answer yet is asked again once it runs.
    if engine.version().is_ok() {
        network::plan(engine, network)?;
    }
    match network.nic() {
        Some(nic) => uplink::join(network, nic, args),
        None => preflight::bridge(Path::new("/sys/class/net"), network.name().as_str()),
    }
}

fn plan(paths: &Paths, installed: &Installed, args: &Args) -> Result<Plan> {
    let now = preflight::clock()?;
    let names = names::load(&paths.at("/etc/hosts"), &args.san)?;
    let hostname = names.dns.iter().min_by_key(|name| name.len()).cloned();
    let cluster = args.ca.as_deref().map(load_authority).transpose()?;
    let wish = trust::Wish {
        names: &names,
        hostname: hostname.as_deref().unwrap_or("docker host"),
        cluster: cluster.as_ref(),
        renew: args.renew,
        now,
    };
    let mut trust = trust::plan(paths, &wish)?;
    trust.authority = trust.authority.or(cluster);

    let (text, mode) = files::load(&paths.daemon_json())?.unwrap_or((Vec::new(), 0o644));
    let merging = || format!("merging into {}", paths.daemon_json().display());
    let text = String::from_utf8(text)
        .ok()
        .context("reading it: no text")
        .with_context(merging)?;
    let listen = args
        .listen
        .or_else(|| daemon::listens_on(&text))
        .unwrap_or_else(everywhere);
    if daemon::listens_on(&text) != Some(listen) {
        preflight::port(listen)?;
    }
    let local = installed.service.local_host(paths);
    let merged = daemon::merge(
        &text,
        &daemon::Wanted {
            local: &local,
            remote: &format!("tcp://{listen}"),
            authorities: &paths.server_authorities(),
            certificate: &paths.server_certificate(),
            key: &paths.server_key(),
        },
    );
    let mut config =
        vec![Wanted::public(paths.daemon_json(), merged.with_context(merging)?).with_mode(mode)];
    config.push(match installed.service.drop_in() {
        Some(text) => Wanted::public(paths.drop_in(), text),
        None => Wanted::absent(paths.drop_in()),
    });
    Ok(Plan {
        names,
        listen,
        trust,
        config,
        unfinished: paths.pending().exists(),
        now,
    })
}

fn load_authority(dir: &Path) -> Result<LocalAuthority> {
    let loading = || format!("loading the authority in {}", dir.display());
    let part = |name: &str| -> Result<String> {
        let (bytes, _) =
            files::load(&dir.join(name))?.with_context(|| format!("no {name} there"))?;
        String::from_utf8(bytes).with_context(|| format!("{name} is no text"))
    };
    let certificate = part("ca.pem").with_context(loading)?;
    let key = KeyPem::new(part("ca-key.pem").with_context(loading)?);
    LocalAuthority::load(certificate, &key).with_context(loading)
}

/// Every address of the host: a wildcard of IPv6 takes IPv4 too (ipv6(7)), where there is IPv6.
fn everywhere() -> SocketAddr {
    match Path::new("/proc/net/if_inet6").exists() {
        true => (Ipv6Addr::UNSPECIFIED, PORT).into(),
        false => (Ipv4Addr::UNSPECIFIED, PORT).into(),
    }
}

/// Writes what differs, restarts dockerd if it reads any of that, proves the result; or puts
/// everything back.
fn secure(
    paths: &Paths,
    installed: &Installed,
    engine: &Engine,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let server = plan.trust.server.iter().chain(&plan.config);
    let differ = |wanted: &Wanted| wanted.differs();
    let changes_server = server
        .clone()
        .map(differ)
        .collect::<Result<Vec<_>>>()?
        .contains(&true);
    let changes_other = plan
        .trust
        .other
        .iter()
        .map(differ)
        .collect::<Result<Vec<_>>>()?
        .contains(&true);
    if !changes_server && !changes_other && !plan.unfinished && engine.version().is_ok() {
        return Ok(());
    }
    for dir in [paths.authority_dir(), paths.client_dir()] {
        files::ensure_dir(&dir, 0o700)?;
    }
    let socket = socket_mode(paths);
    let mut changes = Changes::default();
    changes.write(&Wanted::public(
        paths.pending(),
        "a run of setupdockerhost did not end\n",
    ))?;
    let outcome = (|| -> Result<()> {
        for wanted in plan.trust.other.iter().chain(server) {
            if changes.write(wanted)? {
                step(report, format!("wrote {}", wanted.path().display()));
            }
        }
        report.changed = true;
        validate(installed, paths)?;
        if changes_server || plan.unfinished || engine.version().is_err() {
            installed.service.restart()?;
            wait_for(engine)?;
            report.restarted = true;
            step(report, "restarted dockerd".to_owned());
        }
        prove(paths, plan, report)?;
        if let Some(was) = socket
            && socket_mode(paths).is_some_and(|mode| mode & !was & 0o077 != 0)
        {
            bail!(
                "{} opened to more users than before",
                paths.socket().display()
            );
        }
        Ok(())
    })();
    match outcome {
        Ok(()) => {
            Changes::default().write(&Wanted::absent(paths.pending()))?;
            report
                .steps
                .splice(0..0, plan.trust.reasons.iter().cloned());
            Ok(())
        }
        Err(error) => Err(put_back(
            installed,
            engine,
            changes,
            report.restarted,
            error,
        )),
    }
}

/// Takes every change back; the error then says what failed, what dockerd said, and what stands now.
fn put_back(
    installed: &Installed,
    engine: &Engine,
    changes: Changes,
    restarted: bool,
    error: anyhow::Error,
) -> anyhow::Error {
    let words = installed.service.last_words();
    let undone = changes
        .undo()
        .and_then(|()| match restarted || engine.version().is_err() {
            true => installed.service.restart().and_then(|()| wait_for(engine)),
            false => Ok(()),
        });
    let said = if words.is_empty() {
        String::new()
    } else {
        format!("; dockerd said: {words}")
    };
    match undone {
        Ok(()) => anyhow::anyhow!("{error:#}{said}; what stood before was put back"),
        Err(undo) => anyhow::anyhow!("{error:#}{said}; putting back what stood before: {undo:#}"),
    }
}

/// Has dockerd read its own configuration where it can (`--validate`, from 23.0 on).
fn validate(installed: &Installed, paths: &Paths) -> Result<()> {
    let major = installed
        .version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major < Some(23) {
        return Ok(());
    }
    let mut command = Command::new(&installed.dockerd);
    command
        .arg("--validate")
        .arg("--config-file")
        .arg(paths.daemon_json());
    service::run(&mut command).context("having dockerd check its configuration")
}

fn wait_for(engine: &Engine) -> Result<()> {
    let deadline = Instant::now() + STARTING;
    while let Err(error) = engine.version() {
        if Instant::now() > deadline {
            return Err(error).context("waiting for dockerd to answer");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn prove(paths: &Paths, plan: &Plan, report: &mut Report) -> Result<()> {
    let text = |path: &Path| -> Result<String> {
        let (bytes, _) = files::load(path)?.with_context(|| format!("no {}", path.display()))?;
        String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
    };
    let client = paths.client_dir();
    let authority = text(&client.join("ca.pem"))?;
    let client_certificate = text(&client.join("cert.pem"))?;
    let client_key = KeyPem::new(text(&client.join("key.pem"))?);
    let server_certificate = text(&paths.server_certificate())?;
    let server_key = KeyPem::new(text(&paths.server_key())?);
    let name = plan.names.dns.first().cloned();
    let name = name.or_else(|| plan.names.addresses.first().map(ToString::to_string));
    report.proof = proof::prove(&Door {
        address: dial(plan.listen),
        name: &name.context("this host has neither a name nor an address: give one with --san")?,
        authority: &authority,
        client: (&client_certificate, &client_key),
        server: (&server_certificate, &server_key),
        signer: plan
            .trust
            .authority
            .as_ref()
            .map(|authority| authority as &dyn Authority),
        now: plan.now,
    })?;
    for check in &report.proof {
        eprintln!("setupdockerhost: {}: {}", check.client, check.seen);
    }
    match report.proof.iter().find(|check| !check.holds) {
        Some(broken) => bail!(
            "proving that only trusted clients get in: {}: {}",
            broken.client,
            broken.seen
        ),
        None => Ok(()),
    }
}

/// Returns where a client on this host calls.
fn dial(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

fn socket_mode(paths: &Paths) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(paths.socket())
        .ok()
        .map(|meta| meta.mode())
}

fn ensure_network(engine: &Engine, network: &DockerNetwork, report: &mut Report) -> Result<()> {
    let step_wanted = network::plan(engine, network)?;
    network::apply(engine, network, &step_wanted)?;
    let what = describe(&step_wanted, network);
    if step_wanted != Step::Keep {
        report.changed = true;
        step(report, what.clone());
    }
    report.network = Some(what);
    report.notes.extend(network::notes(network));
    for note in &report.notes {
        eprintln!("setupdockerhost: {note}");
    }
    Ok(())
}

fn describe(step: &Step, network: &DockerNetwork) -> String {
    let verb = match step {
        Step::Keep => "kept",
        Step::Create(_) => "created",
        Step::Replace { .. } => "replaced",
    };
    format!("{verb} the docker network {network}")
}

fn show_plan(plan: &Plan, args: &Args, engine: &Engine) -> Result<ExitCode> {
    let mut steps = plan.trust.reasons.clone();
    for wanted in plan
        .trust
        .other
        .iter()
        .chain(&plan.trust.server)
        .chain(&plan.config)
    {
        if wanted.differs()? {
            steps.push(format!("write {}", wanted.path().display()));
        }
    }
    let server = plan.trust.server.iter().chain(&plan.config);
    let restart = server
        .map(Wanted::differs)
        .collect::<Result<Vec<_>>>()?
        .contains(&true);
    if restart || plan.unfinished {
        steps.push("restart dockerd".to_owned());
    }
    if let Some(network) = &args.network
        && engine.version().is_ok()
        && network::plan(engine, network)? != Step::Keep
    {
        steps.push(format!("make the docker network {network}"));
    }
    match (args.json, steps.is_empty()) {
        (true, _) => println!("{}", serde_json::to_string_pretty(&Value::from(steps))?),
        (false, true) => println!("nothing to do"),
        (false, false) => steps.iter().for_each(|step| println!("{step}")),
    }
    Ok(ExitCode::SUCCESS)
}

fn step(report: &mut Report, what: String) {
    eprintln!("setupdockerhost: {what}");
    report.steps.push(what);
}

fn finish(report: &Report, json: bool) -> Result<ExitCode> {
    match (json, report.changed) {
        (true, _) => println!("{}", serde_json::to_string_pretty(report)?),
        (false, false) => println!("nothing to do"),
        (false, true) => println!("dockerd answers trusted clients on {}", report.listen),
    }
    Ok(ExitCode::SUCCESS)
}
