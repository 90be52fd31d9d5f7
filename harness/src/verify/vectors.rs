//! Golden vectors, replayed through a datapath.

use super::Report;
use super::compare::{self, Installed};
use datapath_api::difference::{self, Difference};
use datapath_api::{Datapath, Running};
use topologies::vectors::Vector;

/// Replays each vector on a droplet of its own without ports, and compares verdict, port and every byte
/// after each frame, and the direct-path cache at the end.
///
/// A vector is one check. It ends at its first frame that differs: what the droplet knows from then on may
/// differ as well.
pub fn replay(datapath: &dyn Datapath, vectors: &[Vector]) -> Report {
    super::each(super::several(datapath), vectors, |vector| {
        replay_one(datapath, vector)
    })
}

fn replay_one(datapath: &dyn Datapath, vector: &Vector) -> Report {
    let mut report = Report::default();
    let differences = datapath.declared_differences();
    let provision = &vector.provision;
    let excuse = vector
        .steps
        .iter()
        .find_map(|step| difference::excuse(differences, provision, step.ingress, &step.input));
    if let Some(difference) = excuse {
        report.excuse(difference);
        return report;
    }
    let mut droplet = match compare::install(datapath, provision) {
        Installed::Droplet(droplet) => droplet,
        Installed::Skipped(why) => {
            report.skipped.push((vector.name.clone(), why));
            return report;
        }
        Installed::Failed(why) => {
            let lines = vec![
                why.clone(),
                "vectors that had not begun were not tried".to_owned(),
            ];
            report.fail(&vector.name, None, lines);
            report.broken = Some(why);
            return report;
        }
    };
    let replayed = steps(&mut *droplet, differences, vector);
    let stopped = droplet
        .stop()
        .map_err(|error| (None, vec![error.to_string()]));
    match replayed.and(stopped) {
        Ok(()) => report.passed += 1,
        Err((step, lines)) => report.fail(&vector.name, step, lines),
    }
    report
}

/// The step that failed, if it was one, and what was different.
type Unlike = (Option<usize>, Vec<String>);

fn steps(
    droplet: &mut dyn Running,
    differences: &[Difference],
    vector: &Vector,
) -> Result<(), Unlike> {
    for (number, step) in vector.steps.iter().enumerate() {
        let at = |lines| (Some(number), lines);
        let outcome = droplet
            .inject(step.ingress, &step.input)
            .map_err(|error| at(vec![error.to_string()]))?;
        let expected = difference::allow(
            differences,
            &vector.provision,
            step.ingress,
            step.expected.clone(),
            &outcome,
        );
        let lines = compare::outcomes(&expected, None, &outcome);
        if !lines.is_empty() {
            return Err(at(lines));
        }
    }
    let learned = droplet
        .direct_paths()
        .map_err(|error| (None, vec![error.to_string()]))?;
    match compare::direct_paths(&vector.direct_paths_after, &learned) {
        lines if lines.is_empty() => Ok(()),
        lines => Err((None, lines)),
    }
}
