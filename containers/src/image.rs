//! `dockerimage`: the images of docker hosts: pulled, pushed, loaded from a file, listed, removed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
use definitions::{ImageReference, Noderange};
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, ClusterArgs};
use crate::converge::list;
use crate::engine::{Call, EngineApi};
use crate::fanout::{self, HostWork, Task};
use crate::images;
use crate::report::{Outcome, Report};

/// How much longer than other answers a registry or a disk may keep silent.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many bytes a second a file is sent with at least.
const MIN_RATE: u64 = 500_000;

/// Pull, push, load, list or remove images on docker hosts
///
/// An image is named with its tag or digest. --fanout bounds how many hosts pull at a time, and so what a registry has to
/// send at once.
#[derive(Debug, clap::Parser)]
#[command(name = "dockerimage", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// What is to be done
    #[arg(value_name = "ACTION", value_enum)]
    action: ImageAction,

    /// The docker hosts
    #[arg(value_name = "NODERANGE")]
    hosts: Noderange,

    /// The image; for load the file, as 'docker save' writes it; for ls only those of a repository
    #[arg(value_name = "IMAGE | FILE")]
    subject: Option<String>,

    /// With rm: also where a stopped container was made of it
    #[arg(short, long)]
    force: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Print results as JSON, in the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dockerimage pull hosts nginx:1.27 --fanout 4    on all members of a group, four at a time
  dockerimage load hosts app.tar                  from a file of 'docker save', without a registry
  dockerimage push host01 reg:5000/app:1          to the registry that the name begins with
  dockerimage ls host01,host02                    what is there
  dockerimage rm hosts nginx:1.26                 what is not in use

Exit status: 0 all is done, 1 a host failed, 2 wrong usage.";

/// What can be done with images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImageAction {
    /// Fetch an image from its registry
    Pull,
    /// Send an image to its registry
    Push,
    /// Send a file of images to the hosts
    Load,
    /// List images
    Ls,
    /// Remove an image
    Rm,
}

/// One action, and what it is about.
#[derive(Debug)]
enum ImageJob {
    Pull(ImageReference),
    Push(ImageReference),
    Load(PathBuf),
    List(Option<String>),
    Remove { image: ImageReference, force: bool },
}

/// Runs `dockerimage`.
///
/// # Errors
/// When no host can be begun with; what becomes of each is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let job = job(&args)?;
    let cluster = Cluster::load(&args.cluster)?;
    let mut report = Report::new(args.json);
    let mut tasks = Vec::new();
    for node in cluster.select(&args.hosts)? {
        let host = if Cluster::is_container(&node) {
            Err(anyhow::anyhow!("it is a container: name its docker host"))
        } else {
            cluster.host_itself(&node)
        };
        match host {
            Ok(host) => tasks.push(Task {
                node: node.name,
                host,
                item: (),
            }),
            Err(error) => report.error(&node.name, &error)?,
        }
    }
    let work = ImageWork {
        job,
        dry_run: args.dry_run,
    };
    let hosts = args.cluster.fanout.into();
    fanout::run(&work, tasks, hosts, &mut |node, event| {
        report.event(node, event)
    })?;
    report.finish()
}

/// Reads what the action is about.
fn job(args: &Args) -> Result<ImageJob> {
    let subject = args.subject.clone();
    let needed = || {
        let what = if args.action == ImageAction::Load {
            "a file"
        } else {
            "an image"
        };
        let message = format!("'{:?}' needs {what}", args.action).to_lowercase();
        Args::command().error(ErrorKind::MissingRequiredArgument, message)
    };
    let image = || -> Result<ImageReference> {
        let Some(text) = &subject else {
            needed().exit()
        };
        let image: ImageReference = text.parse()?;
        ensure!(
            image.tag().is_some() || image.digest().is_some(),
            "the image {image} names no tag: name one, such as {image}:latest"
        );
        Ok(image)
    };
    Ok(match args.action {
        ImageAction::Pull => ImageJob::Pull(image()?),
        ImageAction::Push => ImageJob::Push(image()?),
        ImageAction::Rm => ImageJob::Remove {
            image: image()?,
            force: args.force,
        },
        ImageAction::Ls => ImageJob::List(subject),
        ImageAction::Load => {
            let Some(path) = &subject else {
                needed().exit()
            };
            let found = std::fs::metadata(path).with_context(|| format!("reading {path}"))?;
            ensure!(found.is_file(), "{path} is no file");
            ImageJob::Load(path.into())
        }
    })
}

/// What is done on each host.
#[derive(Debug)]
struct ImageWork {
    job: ImageJob,
    dry_run: bool,
}

impl HostWork for ImageWork {
    type Item = ();
    type Known = ();
    type Done = Outcome;

    fn prepare(&self, _: &mut EngineApi) -> Result<()> {
        Ok(())
    }

    fn perform(
        &self,
        engine: &mut EngineApi,
        (): &(),
        _: &Task<()>,
        say: &dyn Fn(String),
    ) -> Result<Outcome> {
        if let ImageJob::List(repository) = &self.job {
            return listed(engine, repository.as_deref(), say);
        }
        if self.dry_run {
            let what = match &self.job {
                ImageJob::Pull(image) => format!("would pull {image}"),
                ImageJob::Push(image) => format!("would push {image}"),
                ImageJob::Remove { image, .. } => format!("would remove {image}"),
                ImageJob::Load(path) => format!("would load {}", path.display()),
                ImageJob::List(_) => String::new(),
            };
            return Ok(Outcome::status(what));
        }
        match &self.job {
            ImageJob::Pull(image) => images::pull(engine, image, say)?,
            ImageJob::Push(image) => push(engine, image, say)?,
            ImageJob::Load(path) => load(engine, path.clone(), say)?,
            ImageJob::Remove { image, force } => {
                let force = if *force { "1" } else { "0" };
                let call = Call::delete(format!("/images/{image}")).query("force", force);
                engine.ask(&call)?.succeeded()?;
            }
            ImageJob::List(_) => {}
        }
        Ok(Outcome::status("success"))
    }
}

fn push(engine: &mut EngineApi, image: &ImageReference, say: &dyn Fn(String)) -> Result<()> {
    let Some(tag) = image.tag().filter(|_| image.digest().is_none()) else {
        bail!("an image is pushed under a tag, and {image} has a digest")
    };
    let call = Call::post(format!("/images/{}/push", image.repository()))
        .query("tag", tag)
        .without_password()
        .patient(PATIENCE);
    say(format!("Push image {image} start"));
    let pushed = engine.stream(&call, &mut |event| match images::failure(&event) {
        Some(reason) => bail!(reason),
        None => Ok(()),
    });
    pushed.with_context(|| format!("pushing the image {image}"))?;
    say(format!("Push image {image} done"));
    Ok(())
}

/// Sends a file; the engine tells what was in it.
fn load(engine: &mut EngineApi, path: PathBuf, say: &dyn Fn(String)) -> Result<()> {
    let shown = path.display().to_string();
    let size = std::fs::metadata(&path).map_or(0, |found| found.len());
    // The engine answers when it has all of it.
    let sending = Duration::from_secs(size / MIN_RATE);
    let call = Call::post("/images/load")
        .query("quiet", "1")
        .file(path)
        .patient(PATIENCE + sending);
    let loaded = engine.stream(&call, &mut |event| {
        if let Some(reason) = images::failure(&event) {
            bail!(reason);
        }
        if let Some(text) = event["stream"].as_str() {
            say(text.trim().to_owned());
        }
        Ok(())
    });
    loaded.with_context(|| format!("loading {shown}"))
}

/// Lists images by name: identity, megabytes, name.
fn listed(
    engine: &mut EngineApi,
    repository: Option<&str>,
    say: &dyn Fn(String),
) -> Result<Outcome> {
    let answer = engine.ask(&Call::get("/images/json"))?.succeeded()?;
    let mut rows = Vec::new();
    for image in list(&answer) {
        let id = image["Id"].as_str().unwrap_or_default();
        let size = image["Size"].as_u64().unwrap_or_default();
        let names = list(&image["RepoTags"]).iter().filter_map(Value::as_str);
        let digests = list(&image["RepoDigests"]);
        for name in names {
            let of = name.rsplit_once(':').map_or(name, |(of, _)| of);
            if repository.is_none_or(|wanted| wanted == of || wanted == name) {
                rows.push((name.to_owned(), id, size, digests));
            }
        }
    }
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let documents = rows.iter().map(|(name, id, size, digests)| {
        let bare = id.strip_prefix("sha256:").unwrap_or(id);
        let short: String = bare.chars().take(12).collect();
        let (whole, tenth) = (size / 1_000_000, size / 100_000 % 10);
        say(format!(
            "{short}   {:>8} MB   {name}",
            format!("{whole}.{tenth}")
        ));
        json!({ "name": name, "id": id, "size": size, "digests": digests })
    });
    let documents: Vec<_> = documents.collect();
    let count = documents.len();
    Ok(Outcome {
        line: format!("{count} image{}", if count == 1 { "" } else { "s" }),
        document: Map::from_iter([("images".to_owned(), Value::Array(documents))]),
    })
}
