//! `bench decide`.

use super::arguments::{Decide, Format};
use super::{Outcome, print_json};
use crate::decide::{FlowSetups, Requirements, decide, words};
use crate::flow_setup::record::Recorded;
use crate::record::Scenario;
use crate::report::RunFolder;
use anyhow::{Context, bail};
use std::collections::BTreeSet;

pub fn run(arguments: &Decide, format: Format) -> anyhow::Result<Outcome> {
    let requirements = Requirements::find(&arguments.requirements)?;
    super::report::check_is_run(&arguments.run)?;
    let folder = RunFolder::read(&arguments.run)
        .with_context(|| format!("reading {}", arguments.run.display()))?;
    let flow_setups = arguments.flow_setup.as_deref().map(|folder| {
        let recorded = Recorded::read(folder);
        recorded.with_context(|| format!("reading {}", folder.display()))
    });
    let flow_setups = flow_setups.transpose()?.map(FlowSetups::new).transpose()?;
    let decision = decide(&folder, &requirements, flow_setups.as_ref());
    if decision.scenarios.is_empty() {
        let run = &folder.run;
        let named = |name: fn(&Scenario) -> String| {
            let names: BTreeSet<String> = run.scenarios.iter().map(name).collect();
            names.into_iter().collect::<Vec<_>>().join(", ")
        };
        bail!(
            "no scenario of {} is what {} asks for (host.attaches and workload); it has the topologies {}, frames of {}, and flows: {}",
            arguments.run.display(),
            arguments.requirements.display(),
            named(|it| it.topology.clone()),
            named(|it| it.frame.clone()),
            named(|it| it.flows.to_string())
        );
    }
    match format {
        Format::Json => print_json(&decision)?,
        Format::Text => print!("{}", words(&decision)),
    }
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::fixture;
    use std::path::PathBuf;

    fn refused(run: PathBuf, workload: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("asked.toml");
        let text = format!(
            "name = \"Test\"\n[host]\nattaches = \"containers\"\n[workload]\n{workload}\n[weights]\nthroughput = 1\n"
        );
        std::fs::write(&requirements, text).unwrap();
        let arguments = Decide {
            requirements,
            run,
            flow_setup: None,
        };
        run_or_refuse(&arguments)
    }

    fn run_or_refuse(arguments: &Decide) -> String {
        let outcome = run(arguments, Format::Text);
        outcome.err().map_or_else(String::new, |it| it.to_string())
    }

    #[test]
    fn a_workload_that_the_run_lacks_and_a_folder_without_a_run_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fixture::save(&fixture::run(), folder.path());
        let run = folder.path().to_owned();
        let refusal = refused(run.clone(), "topologies = [\"vtpe\"]");
        assert!(refusal.contains("it has the topologies"), "{refusal}");
        assert!(refusal.contains("encap, hop, vtep"), "{refusal}");
        assert_eq!(refused(run.clone(), "topologies = [\"encap\"]"), "");
        let refusal = refused(run.join("nothing"), "");
        assert!(refusal.contains("there is no run of"), "{refusal}");
    }
}
