//! `bench decide`.

use super::arguments::{Decide, Format};
use super::{Outcome, print_json};
use crate::decide::{FlowSetups, Requirements, decide, words};
use crate::flow_setup::record::Recorded;
use crate::report::RunFolder;
use anyhow::Context;

pub fn run(arguments: &Decide, format: Format) -> anyhow::Result<Outcome> {
    let requirements = Requirements::find(&arguments.requirements)?;
    let folder = RunFolder::read(&arguments.run)
        .with_context(|| format!("reading {}", arguments.run.display()))?;
    let flow_setups = arguments.flow_setup.as_deref().map(|folder| {
        let recorded = Recorded::read(folder);
        recorded.with_context(|| format!("reading {}", folder.display()))
    });
    let flow_setups = flow_setups.transpose()?.map(FlowSetups::new).transpose()?;
    let decision = decide(&folder, &requirements, flow_setups.as_ref());
    match format {
        Format::Json => print_json(&decision)?,
        Format::Text => print!("{}", words(&decision)),
    }
    Ok(Outcome::Good)
}
