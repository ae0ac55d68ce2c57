//! One node's assets: rendered and checked. Nothing is written here.

use std::collections::BTreeMap;
use std::path::Path;

use definitions::{EnrolmentToken, Node, Runlist};

use crate::assets::Assets;
use crate::check::{self, Findings};
use crate::image::ResolvedImage;
use crate::netboot;
use crate::node_archive::NodeArchive;
use crate::node_context::{NodeRenderer, key_file};
use crate::problem::Problem;
use crate::secrets;
use crate::template::RenderValues;
use crate::timezone;

/// What iPXE runs on the node.
const BOOT_SCRIPT: &str = "boot.ipxe";

/// Makes a node's assets, and says what a person should know besides.
///
/// # Errors
/// Every problem that the node has, what its installer would say included.
pub(crate) fn assets(
    renderer: &NodeRenderer<'_>,
    node: &Node,
    image: &ResolvedImage,
    shared: &BTreeMap<String, String>,
) -> Result<(Assets, Vec<Problem>), Vec<Problem>> {
    let node_context = renderer.context(node, image, shared)?;
    let values = RenderValues::of(&node_context.context).map_err(|problem| vec![problem])?;
    let (mut assets, mut findings) = (Assets::default(), Findings::default());
    // What it reads besides is too plain to be wrong.
    let main = image.installer.files()[0].name;
    for (file, template) in &image.files {
        match image.templates.render(template, &values) {
            Ok(text) => {
                if *file == main {
                    findings.append(check::installer_file(
                        image.installer,
                        &image.distro,
                        file,
                        &text,
                    ));
                    findings.append(timezone::check_file(
                        Path::new(timezone::DATABASE),
                        image.installer,
                        (file, &text),
                        &node_context.context.locale.timezone,
                    ));
                }
                if *file == BOOT_SCRIPT {
                    findings.append(check::boot_script(file, &text));
                }
                let site = renderer.site;
                let secrets = secrets::file(site, image.installer, file, &text);
                findings.problems.extend(secrets);
                assets.add(*file, text);
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    let context = &node_context.context;
    if image.packed.is_some() {
        let firstboot = node_context.firstboot.as_ref();
        match netboot::archive(context, &node_context.runlist, firstboot) {
            Ok(archive) => assets.add(NodeArchive::OF_ROOT_IMAGE, archive.render()),
            Err(error) => {
                let name = &node.name;
                let problem = Problem::new(format!("{name}: {error:#}"));
                findings.problems.push(problem);
            }
        }
    }
    if let (Some(password), Some(group)) = (&context.root.password, renderer.secrets) {
        // the hash alone: each language quotes the rest in its own way, and none has to quote this
        let hash = password.rsplit('$').next().unwrap_or(password).as_bytes();
        for name in assets.holding(hash) {
            assets.restrict(name, group);
        }
    }
    if let Some(enrolment) = renderer.enrolment {
        for name in assets.holding(EnrolmentToken::placeholder().reveal().as_bytes()) {
            assets.restrict(name, enrolment.group);
        }
    }
    for repository in context.tree.iter().chain(&context.extras) {
        if let Some(key) = &repository.key {
            assets.add(key_file(repository), key.as_bytes());
        }
    }
    assets.add(Runlist::FILE, node_context.runlist);
    if let Err(error) = renderer.archive(image).add(&mut assets) {
        let name = &node.name;
        findings
            .problems
            .push(Problem::new(format!("{name}: {error:#}")));
    }
    if findings.is_ok() {
        Ok((assets, findings.notes))
    } else {
        Err(findings.problems)
    }
}
