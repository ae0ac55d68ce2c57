//! What cannot work in containers: volumes that cannot be used, data of a newer version or of a plain installation, an image of
//! another architecture. What is wrong is one sentence.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use anyhow::{Result, ensure};
use e2e::{Progress, same};

use super::compose::ComposeSite;
use super::engine::{Engine, eventually};
use super::{architectures, image, plain, root_image, tag};

/// How every service runs.
const HARDENED: [&str; 6] = [
    "run",
    "--rm",
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

pub(super) fn story() -> Result<()> {
    let mut progress = Progress::begin();
    let image = image("slipway")?.display().to_string();
    let engine = Engine::start()?;
    engine.succeed(&["load", "--input", &image])?;
    progress.done("image loaded");
    volumes(&engine)?;
    progress.done("volumes");
    let site = plain::moves_in_and_out(&engine, |site| {
        progress.done("plain installation in containers");
        root_image::is_built(site)?;
        progress.done("root image");
        Ok(())
    })?;
    progress.done("plain installation back");
    newer_form(&site)?;
    progress.done("newer form");
    foreign_image(&engine)?;
    progress.done("foreign image");
    println!("{progress}");
    Ok(())
}

/// Volumes that cannot be used.
fn volumes(engine: &Engine) -> Result<()> {
    let directory = |name: &str| -> Result<String> {
        let path = engine.path(name);
        fs::create_dir(&path)?;
        Ok(path.display().to_string())
    };
    let (plain, foreign) = (directory("plain")?, directory("foreign")?);
    chown(&foreign, Some(1234), Some(1234))?;
    let full = "type=tmpfs,destination=/etc/slipway,tmpfs-size=4096";
    let fill = "cat /dev/zero >/etc/slipway/zero; exec /usr/lib/slipway/entrypoint signer";
    let in_config = |path: &str, mode: &str| format!("--volume={path}:/etc/slipway{mode}");
    let run = "--tmpfs=/run/slipway";
    for (options, command, expected) in [
        (
            vec![run.to_owned(), in_config(&plain, ":ro")],
            vec!["signer"],
            "slipway: the volume of /etc/slipway is read-only: mount it without 'ro'\n",
        ),
        (
            vec![run.to_owned(), in_config(&foreign, "")],
            vec!["signer"],
            "slipway: the volume of /etc/slipway belongs to user 1234, and this runs as 0: chown it\n",
        ),
        (
            vec![run.to_owned(), format!("--mount={full}")],
            vec!["bash", "-c", fill],
            "slipway: the volume of /etc/slipway is full\n",
        ),
        (
            vec![run.to_owned(), in_config(&plain, "")],
            vec!["signer"],
            "slipway: there are no definitions in /etc/slipway: set SLIPWAY_DOMAIN and SLIPWAY_NETWORK\n",
        ),
        (
            vec![in_config(&plain, ":ro")],
            vec!["mkdef", "host01", "groups=all"],
            "mkdef: locking /etc/slipway/.lock: Read-only file system (os error 30)\n",
        ),
    ] {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let image = tag("slipway");
        let arguments = [&HARDENED[..], &options, &[image.as_str()], &command].concat();
        let ended = engine.docker(&arguments)?;
        let last = ended.stderr.lines().last().unwrap_or_default().to_owned() + "\n";
        same(&last.as_str(), &expected)?;
        ensure!(ended.code == Some(1), "{ended:?}");
    }
    let mode = fs::metadata(engine.path("plain"))?.permissions().mode();
    same(&(mode & 0o7777), &0o755)?;
    same(&fs::read_dir(engine.path("plain"))?.count(), &0)?;
    Ok(())
}

/// What a newer version wrote is neither read nor written by this one.
fn newer_form(site: &ComposeSite) -> Result<()> {
    let volume = "--volume=slipway_config:/etc/slipway";
    let image = tag("slipway");
    let write = "echo 2 >/etc/slipway/format";
    site.engine
        .succeed(&["run", "--rm", volume, &image, "bash", "-c", write])?;
    site.compose(&["up", "--detach", "signer"])?;
    let said = " /etc/slipway has definitions of form 2, and this version reads form 1: use the version that wrote them, or a newer one";
    eventually("the signer refuses", || {
        let log = site.compose(&["logs", "signer"])?;
        Ok(log.contains(&format!("slipway-trust:{said}")))
    })?;
    site.compose(&["down"])?;
    for command in [&["lsdef"][..], &["slipwayd"], &["makedhcp", "-n"]] {
        let run = ["run", "--rm", "--network=none", volume, &image];
        let ended = site.engine.docker(&[&run[..], command].concat())?;
        let expected = format!("{}:{said}\n", command.first().unwrap_or(&""));
        same(
            &(ended.code, ended.stderr.as_str()),
            &(Some(1), expected.as_str()),
        )?;
    }
    Ok(())
}

/// An image of another architecture: the engine says so.
fn foreign_image(engine: &Engine) -> Result<()> {
    let (image, platform) = architectures::foreign_image()?;
    engine.succeed(&["load", "--input", &image.display().to_string()])?;
    let ended = engine.docker(&["run", "--rm", "--network=none", &tag("slipwayd")])?;
    let said = format!(
        "requested image's platform (linux/{platform}) does not match the detected host platform"
    );
    ensure!(
        ended.code != Some(0) && ended.stderr.contains(&said),
        "{ended:?}"
    );
    Ok(())
}
