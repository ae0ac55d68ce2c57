//! `dockerimage`: the images of docker hosts: pulled, pushed, made of containers, loaded, listed, removed.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
use definitions::{ImageReference, Noderange};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterArgs};
use crate::converge::list;
use crate::engine::{Call, EngineApi};
use crate::fanout::{self, HostWork, Task};
use crate::images;
use crate::registries::{Registries, RegistryArgs};
use crate::report::{Outcome, Report};
use crate::transfer::{self, Archive};

/// Pull, push, load, list or remove images on docker hosts, or make one of a container
///
/// An image is named with its tag or digest. --pulls bounds how many hosts pull at a time, and so what a registry has to
/// send at once; a tag means the same on all of them.
#[derive(Debug, clap::Parser)]
#[command(name = "dockerimage", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// What is to be done
    #[arg(value_name = "ACTION", value_enum)]
    action: ImageAction,

    #[command(flatten)]
    registries: RegistryArgs,

    /// The docker hosts; for commit the container
    #[arg(value_name = "NODERANGE")]
    hosts: Noderange,

    /// The image; for load the file, as 'docker save' writes it, or with --from an image; for ls only those of a repository
    #[arg(value_name = "IMAGE | FILE")]
    subject: Option<String>,

    /// With load: take the image from this docker host, without a registry
    #[arg(long, value_name = "HOST")]
    from: Option<Noderange>,

    /// With commit: push the image too, and say by which digest it is known from now on
    #[arg(long)]
    push: bool,

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
  dockerimage pull hosts nginx:1.27 --pulls 4     on all members of a group, four at a time
  dockerimage load hosts app.tar                  from a file of 'docker save', without a registry
  dockerimage load hosts app:1 --from host01      from another docker host, without a registry
  dockerimage commit web01 reg:5000/web:2 --push  what a container has become, as an image
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
    /// Make an image of a container as it is now
    Commit,
    /// Send a file of images, or an image of another host, to the hosts
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
    Commit { image: ImageReference, push: bool },
    Load(Archive),
    List(Option<String>),
    Remove { image: ImageReference, force: bool },
}

/// Runs `dockerimage`.
///
/// # Errors
/// When no host can be begun with; what becomes of each is told and makes the exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    let cluster = Cluster::load(&args.cluster)?;
    let job = job(&args, &cluster)?;
    let mut report = Report::new(args.json);
    let mut tasks = Vec::new();
    let nodes = cluster.select(&args.hosts)?;
    let commits = matches!(job, ImageJob::Commit { .. });
    ensure!(
        !commits || nodes.len() == 1,
        "commit makes one image of one container, and the node range names {}",
        nodes.len()
    );
    for node in nodes {
        let host = match (commits, Cluster::is_container(&node)) {
            (true, _) => cluster.host_of(&node),
            (false, true) => Err(anyhow!("it is a container: name its docker host")),
            (false, false) => cluster.host_itself(&node),
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
        registries: Registries::load(&args.registries, cluster.catalog.path())?,
        dry_run: args.dry_run,
    };
    let hosts = args.cluster.fanout.into();
    fanout::run(&work, tasks, hosts, &mut |node, event| {
        report.event(node, event)
    })?;
    report.finish()
}

/// Reads what the action is about.
fn job(args: &Args, cluster: &Cluster) -> Result<ImageJob> {
    for (given, option, action) in [
        (args.from.is_some(), "--from", ImageAction::Load),
        (args.push, "--push", ImageAction::Commit),
    ] {
        if given && args.action != action {
            let message = format!("{option} is of '{action:?}' alone").to_lowercase();
            Args::command()
                .error(ErrorKind::ArgumentConflict, message)
                .exit();
        }
    }
    let subject = args.subject.clone();
    let needed = || {
        let what = if args.action == ImageAction::Load && args.from.is_none() {
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
        ImageAction::Commit => ImageJob::Commit {
            image: image()?,
            push: args.push,
        },
        ImageAction::Load => ImageJob::Load(match &args.from {
            Some(from) => {
                let image = image()?;
                ensure!(
                    image.digest().is_none(),
                    "an image that another host hands over has no digest of a registry there: pull {image}, or name its tag"
                );
                let from = cluster.select(from)?;
                let [from] = &from[..] else {
                    bail!(
                        "--from names {} hosts, and an image comes from one",
                        from.len()
                    )
                };
                Archive::Image {
                    image,
                    from: cluster.host_itself(from)?,
                }
            }
            None => {
                let Some(path) = &subject else {
                    needed().exit()
                };
                let found = std::fs::metadata(path).with_context(|| format!("reading {path}"))?;
                ensure!(found.is_file(), "{path} is no file");
                Archive::File(path.into())
            }
        }),
    })
}

/// What is done on each host.
#[derive(Debug)]
struct ImageWork {
    job: ImageJob,
    registries: Registries,
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
        task: &Task<()>,
        say: &dyn Fn(String),
    ) -> Result<Outcome> {
        if self.dry_run && !matches!(self.job, ImageJob::List(_)) {
            return Ok(Outcome::status(task, self.job.preview()).with("image", self.job.image()));
        }
        let done = Outcome::status(task, "success").with("image", self.job.image());
        Ok(match &self.job {
            ImageJob::Pull(image) => {
                let found = images::pull(engine, image, &self.registries, say)?;
                done.with("id", found.id).with("digest", found.digest)
            }
            ImageJob::Push(image) => done.with(
                "digest",
                transfer::push(engine, image, &self.registries, say)?,
            ),
            ImageJob::Commit { image, push } => {
                let registries = push.then_some(&self.registries);
                let (id, digest) = transfer::commit(engine, &task.node, image, registries, say)?;
                let line = digest.as_ref().map(|digest| format!("success: {digest}"));
                let done = done.with("id", id).with("digest", digest);
                Outcome {
                    line: line.unwrap_or(done.line),
                    ..done
                }
            }
            ImageJob::Load(archive) => {
                let _turn = self.registries.turn();
                done.with("loaded", transfer::load(engine, archive, say)?)
            }
            ImageJob::Remove { image, force } => {
                let force = if *force { "1" } else { "0" };
                let call = Call::delete(format!("/images/{image}")).query("force", force);
                let answer = engine.ask(&call)?.succeeded()?;
                let of = |kind| -> Vec<_> {
                    let found = list(&answer)
                        .iter()
                        .filter_map(|event| event[kind].as_str());
                    found.map(str::to_owned).collect()
                };
                done.with("untagged", of("Untagged"))
                    .with("deleted", of("Deleted"))
            }
            ImageJob::List(repository) => listed(engine, task, repository.as_deref(), say)?,
        })
    }
}

impl ImageJob {
    /// The image that it names, if it names one.
    fn image(&self) -> Option<String> {
        match self {
            Self::Pull(image)
            | Self::Push(image)
            | Self::Commit { image, .. }
            | Self::Remove { image, .. }
            | Self::Load(Archive::Image { image, .. }) => Some(image.to_string()),
            Self::Load(Archive::File(_)) | Self::List(_) => None,
        }
    }

    /// What `--dry-run` says of it.
    fn preview(&self) -> String {
        match self {
            Self::Pull(image) => format!("would pull {image}"),
            Self::Push(image) => format!("would push {image}"),
            Self::Remove { image, .. } => format!("would remove {image}"),
            Self::Commit { image, .. } => format!("would become {image}"),
            Self::Load(archive) => format!("would load {archive}"),
            Self::List(_) => "would list".to_owned(),
        }
    }
}

/// Lists images by name: identity, megabytes, name.
fn listed(
    engine: &mut EngineApi,
    task: &Task<()>,
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
        ..Outcome::status(task, "success").with("images", documents)
    })
}
