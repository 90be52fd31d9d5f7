//! `bench flow-setup`.

use super::Outcome;
use super::arguments::{FlowSetup, Format};
use super::measure::{announce, check_required, command, default_folder, interrupted, progress};
use crate::flow_setup::{self, Plan};
use crate::registry;
use anyhow::{Context, bail};

pub fn run(arguments: &FlowSetup, format: Format) -> anyhow::Result<Outcome> {
    let datapaths = registry::select(&arguments.datapaths)?;
    if let Some(outcome) = check_required(&arguments.require)? {
        return Ok(outcome);
    }
    if format == Format::Text {
        announce(&datapaths);
    }
    if datapaths
        .iter()
        .all(|datapath| !datapath.probe().is_empty())
    {
        bail!("none of the datapaths asked for can run here; `bench doctor` says what is missing");
    }
    let folder = arguments.out.clone().unwrap_or_else(default_folder);
    let plan = Plan {
        profile: arguments.profile,
        datapaths,
        installed: arguments.installed.clone(),
        rules: arguments.rules.clone(),
        seed: arguments.seed.unwrap_or_else(rand::random),
        command: command(),
    };
    let interrupted = interrupted()?;
    let bar = progress(format);
    let summary = flow_setup::run(&plan, &folder, bar.as_ref(), &interrupted)
        .with_context(|| format!("measuring into {}", folder.display()))?;
    super::report::print_flow_setup(&folder, format)?;
    Ok(summary.into())
}
