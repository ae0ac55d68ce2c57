//! What a change is for trees, root images and what nodes boot: signed again here, or by whom it has to be done.
//!
//! Trees and root images are signed again by `roll` itself. What nodes boot is written and signed by `nodeset`, and the root of
//! the site's iPXE is in its binary: these are steps of the administrator.

use std::fs;

use anyhow::{Context, Result};
use definitions::Catalog;

use super::progress::Progress;
use super::state::Stage;
use crate::replace;
use crate::trust::directory::{Holder, TrustDirectory};
use crate::trust::ipxe::SiteIpxe;
use crate::trust::x509::Certified;
use crate::trust::{images, trees};

/// What a node boots first, and who signed it.
const SIGNATURE: &str = "boot.ipxe.sig";

/// Signs again what another generation signed, unless nothing is to change; adds what others have to do.
///
/// # Errors
/// When what there is cannot be listed.
pub(super) fn add(
    progress: &mut Progress,
    catalog: &Catalog,
    directory: &TrustDirectory,
    stage: Stage,
    dry_run: bool,
) -> Result<()> {
    let installdir = catalog.site()?.install_dir();
    if stage.is_crossed() && directory.rolled(trees::PUBLIC)?.is_some() {
        progress.steps = trees::sign_again(directory, &installdir, dry_run)?;
        let images = images::sign_again(directory, &installdir, dry_run)?;
        progress.steps.extend(images);
    }
    if directory.rolled(&Holder::Boot.file())?.is_none() {
        return Ok(());
    }
    if stage.is_crossed() {
        let signer = Certified::parse(&directory.certificate(Holder::BootFiles)?)?;
        for assets in trees::below(&installdir.autoinst(), 1)? {
            let path = assets.join(SIGNATURE);
            if !path.exists() {
                continue;
            }
            let signature =
                fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let mut parts = signature.windows(signer.der.len());
            if !parts.any(|part| part == signer.der) {
                let node = assets.file_name().unwrap_or_default();
                let node = node.to_string_lossy().into_owned();
                progress.booting.insert(node);
            }
        }
    }
    progress.steps.extend(ipxe_step(catalog, directory)?);
    Ok(())
}

/// Says what is to be done where the site's iPXE has other roots than those that count now.
///
/// # Errors
/// When that cannot be told.
pub(crate) fn ipxe_step(catalog: &Catalog, directory: &TrustDirectory) -> Result<Option<String>> {
    let Some(ipxe) = SiteIpxe::load(catalog)? else {
        return Ok(None);
    };
    let Some(roots) = replace::read(&directory.path(&Holder::Boot.file()))? else {
        return Ok(None);
    };
    Ok((!ipxe.has_roots(&roots)).then(|| {
        "the site's iPXE has other roots than boot.crt: run slipway-trust ipxe, then makedhcp -n, and renew it where \
         machines have it in their flash or on a disk"
            .to_owned()
    }))
}
