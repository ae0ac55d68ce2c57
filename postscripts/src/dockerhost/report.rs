//! What was done, for people while it happens and as JSON afterwards.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::forwarding::Forwarding;
use super::registries::RegistryAnswer;
use super::tls_check::TlsCheck;
use crate::tls::SubjectAltNames;

/// What was done, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) changed: bool,
    pub(super) restarted: bool,
    pub(super) steps: Vec<String>,
    pub(super) names: SubjectAltNames,
    pub(super) listen: String,
    pub(super) proof: Vec<TlsCheck>,
    /// What the site's registries answer dockerd.
    pub(super) registries: Vec<RegistryAnswer>,
    pub(super) network: Option<String>,
    /// How containers on the bridge reach others, and what is in their way.
    pub(super) forwarding: Forwarding,
}

impl Report {
    /// Says a step and keeps it.
    pub(super) fn step(&mut self, what: String) {
        error_line!("setupdockerhost: {what}");
        self.steps.push(what);
    }

    /// Prints the result.
    pub(super) fn finish(&self, json: bool) -> Result<ExitCode> {
        match (json, self.changed) {
            (true, _) => output_line!("{}", serde_json::to_string_pretty(self)?),
            (false, false) => output_line!("nothing to do"),
            (false, true) => output_line!("dockerd answers trusted clients on {}", self.listen),
        }
        Ok(ExitCode::SUCCESS)
    }
}
