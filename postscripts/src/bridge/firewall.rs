//! What becomes of rules of the firewall that name the NIC: by default, nothing is done that would
//! leave them behind.

use anyhow::{Context, Result, bail};

use super::Request;
use super::net::firewall::{self, RuleFinding, Survey};
use super::net::{HostKernel, NetState, Plan};

/// What to do about rules that name the NIC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Firewall {
    /// Change nothing, and say what each has to become
    #[default]
    Refuse,
    /// Add a rule for the bridge beside each
    Translate,
    /// Leave them as they are
    Keep,
}

/// Looks at the firewall and brings the plan in line with it.
///
/// # Errors
/// When rules would not match any more and the user has not chosen what to do about them.
pub(super) fn plan(
    kernel: &HostKernel,
    request: &Request,
    state: &NetState,
    plan: &mut Plan,
) -> Result<Vec<RuleFinding>> {
    let mut survey = look(kernel, request, state)?;
    let mut uplinks = request.uplinks.iter();
    let settled = uplinks.all(|uplink| uplink.is_connected(state));
    if !request.persist {
        survey.stored.clear();
    }
    match request.firewall {
        Firewall::Refuse if settled => {}
        Firewall::Refuse if survey.findings.is_empty() && survey.stored.is_empty() => {}
        Firewall::Refuse => bail!(refusal(request, &survey)),
        Firewall::Translate => {
            let (translatable, others): (Vec<_>, Vec<_>) = std::mem::take(&mut survey.findings)
                .into_iter()
                .partition(|finding| finding.translation.is_some());
            if !others.is_empty() && !settled {
                survey.findings = others;
                survey.stored.clear();
                bail!(untranslatable(&survey));
            }
            plan.add_translations(
                translatable
                    .into_iter()
                    .filter_map(|finding| finding.translation)
                    .collect(),
            );
            survey.findings = others;
        }
        Firewall::Keep => {}
    }
    for finding in &survey.findings {
        let RuleFinding { rule, becomes, .. } = finding;
        plan.notes
            .push(format!("not translated: {rule} -> {becomes}"));
    }
    let stored = survey.stored.iter();
    plan.notes
        .extend(stored.map(|line| format!("for the next boot, change {line}")));
    if !plan.steps.is_empty() {
        plan.notes.extend(survey.notes);
    }
    Ok(survey.findings)
}

/// Checks that no rule is left behind but those that were known before.
///
/// # Errors
/// When one is.
pub(super) fn confirm(kernel: &HostKernel, request: &Request, known: &[RuleFinding]) -> Result<()> {
    if request.firewall == Firewall::Keep {
        return Ok(());
    }
    let state = kernel.load(&[]).context("reading the network")?;
    let mut findings = look(kernel, request, &state)?.findings;
    let is_known = |finding: &RuleFinding| known.iter().any(|one| one.rule == finding.rule);
    findings.retain(|finding| !is_known(finding));
    match findings.first() {
        None => Ok(()),
        Some(finding) => bail!("a rule has come that names the NIC: {}", finding.rule),
    }
}

fn look(kernel: &HostKernel, request: &Request, state: &NetState) -> Result<Survey> {
    firewall::survey(kernel, &request.root, &request.uplinks, state)
        .context("looking for rules of the firewall that name the NIC")
}

fn refusal(request: &Request, survey: &Survey) -> String {
    let names = |name: fn(&super::net::Uplink) -> String| {
        let names: Vec<_> = request.uplinks.iter().map(name).collect();
        names.join(", ")
    };
    let (nics, bridges) = (
        names(|one| one.nic.to_string()),
        names(|one| one.bridge.to_string()),
    );
    format!(
        "the firewall has rules about {nics} that would not match what comes in by {bridges}; nothing was \
         changed. '--firewall translate' adds the rule to the right of each arrow, '--firewall keep' leaves the \
         rules alone:{}",
        lines(survey)
    )
}

fn untranslatable(survey: &Survey) -> String {
    format!(
        "these rules of the firewall cannot be translated; nothing was changed. Change them yourself, or pass \
         '--firewall keep':{}",
        lines(survey)
    )
}

fn lines(survey: &Survey) -> String {
    let findings = survey.findings.iter();
    let findings = findings.map(|one| format!("\n  {} -> {}", one.rule, one.becomes));
    let stored = survey.stored.iter().map(|line| format!("\n  {line}"));
    findings.chain(stored).collect()
}
