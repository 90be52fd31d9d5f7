//! From a run and what a user asks to the datapath to choose, and how sure that is.
//!
//! First come limits: a datapath that breaks one is out, and so is one of which the run does not show that it keeps to all.
//! Those left are weighed against each other by the rounds that they had together (see `score.rs`). Every sentence names the
//! trials that it rests on.

mod crossover;
mod evidence;
mod limits;
mod requirements;
mod score;
mod share;
mod text;

#[cfg(test)]
mod tests;

pub use requirements::{BUILT_IN, Error as RequirementsError, Requirements};
pub use share::FlowSetups;
pub use text::words;

use crate::report::RunFolder;
use crate::report::figures::{Cell, Figures, ScenarioFigures};
use crate::report::text::repeat;
use crossover::Crossover;
use evidence::{Evidence, Which};
use limits::{Finding, Outcome};
use ranking::{Interval, Resampling, Verdict};
use score::{Criterion, Scores};
use serde::Serialize;

/// The probability that any comparison of scores is wrong; and again that any comparison of figures is.
const ERROR: f64 = 0.05;

/// What to choose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// What was asked.
    pub requirements: Requirements,
    /// Scenarios that count.
    pub scenarios: Vec<String>,
    /// The answer.
    pub answer: Answer,
    /// Every datapath, those that keep to all limits first, the best of them first.
    pub candidates: Vec<Candidate>,
    /// Limits that no datapath keeps to, by their keys.
    pub unmet_by_all: Vec<&'static str>,
    /// Where the answer changes.
    pub crossovers: Vec<Crossover>,
    /// What the run as a whole warns of.
    pub warnings: Vec<String>,
    /// The command that makes such a run again.
    pub repeat: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// One is better than all others that keep to the limits.
    One {
        /// The datapath.
        datapath: String,
        /// The next best, and by how much the choice is better than that.
        runner_up: Option<(String, Interval)>,
    },
    /// Several are as good as each other, and better than all others.
    Equivalent {
        /// The datapaths.
        datapaths: Vec<String>,
    },
    /// It cannot be said between these, by what was measured.
    Undecided {
        /// The datapaths.
        datapaths: Vec<String>,
        /// Why, where it is not that intervals overlap.
        because: Option<String>,
    },
    /// None keeps to all limits.
    None,
}

/// A datapath, as it fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The datapath.
    pub datapath: String,
    /// Whether it keeps to all limits, as the run shows.
    pub keeps_to_limits: bool,
    /// How it fares with each limit.
    pub findings: Vec<Finding>,
    /// How its figures compare with those of the choice.
    pub against_choice: Vec<Comparison>,
}

/// A figure of a datapath against that of the choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Which figure; none for the score of all.
    pub criterion: Option<Criterion>,
    /// How many times better the choice is.
    pub choice_is_better: Interval,
    /// What follows.
    pub choice: Verdict,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
}

/// Scenarios of a run that count.
pub struct Selected<'f, 'a>(Vec<&'f ScenarioFigures<'a>>);

impl<'f, 'a> Selected<'f, 'a> {
    fn only(scenario: &'f ScenarioFigures<'a>) -> Self {
        Self(vec![scenario])
    }

    fn of(figures: &'f Figures<'a>, asked: &Requirements) -> Self {
        let workload = &asked.workload;
        let is_named = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        let counts = |scenario: &&ScenarioFigures<'_>| {
            scenario.info.is_some_and(|info| {
                is_named(&workload.topologies, &info.topology)
                    && is_named(&workload.frames, &info.frame)
                    && workload.least_flows.is_none_or(|least| info.flows >= least)
                    && workload.most_flows.is_none_or(|most| info.flows <= most)
            })
        };
        let ports = asked.host.attaches.ports();
        let groups = figures.groups.iter().filter(|group| group.ports == ports);
        let scenarios = groups.flat_map(|group| &group.scenarios);
        Self(scenarios.filter(counts).collect())
    }

    /// Each of these scenarios, with what is known of a datapath in it.
    fn cells_of(&self, datapath: &str) -> impl Iterator<Item = (&'f str, &'f Cell<'a>)> {
        self.0.iter().filter_map(move |scenario| {
            let cell = scenario.cells.iter().find(|cell| cell.datapath == datapath);
            cell.map(|cell| (scenario.id, cell))
        })
    }
}

/// Who is ahead.
struct Ahead {
    /// Those that are slower than none.
    leaders: Vec<usize>,
    /// Whether all of these are equivalent.
    are_equivalent: bool,
}

impl Ahead {
    fn alone(&self) -> Option<usize> {
        match self.leaders.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

/// Who is ahead among so many, by the intervals of all pairs.
fn choice(candidates: usize, found: &[Interval], verdict: impl Fn(&Interval) -> Verdict) -> Ahead {
    let verdicts: Vec<((usize, usize), Verdict)> = score::pairs(candidates)
        .into_iter()
        .zip(found.iter().map(verdict))
        .collect();
    let loses = |candidate: usize| {
        verdicts
            .iter()
            .any(|((one, other), verdict)| match verdict {
                Verdict::Faster => *other == candidate,
                Verdict::Slower => *one == candidate,
                Verdict::Equivalent | Verdict::Undecided => false,
            })
    };
    let leaders: Vec<usize> = (0..candidates).filter(|it| !loses(*it)).collect();
    let is_open = |((one, other), verdict): &((usize, usize), Verdict)| {
        leaders.contains(one) && leaders.contains(other) && *verdict != Verdict::Equivalent
    };
    Ahead {
        are_equivalent: !verdicts.iter().any(is_open),
        leaders,
    }
}

/// Decides.
pub fn decide(
    folder: &RunFolder,
    asked: &Requirements,
    flow_setups: Option<&FlowSetups>,
) -> Decision {
    let figures = Figures::of(folder);
    let selected = Selected::of(&figures, asked);
    let mut candidates: Vec<Candidate> = folder
        .run
        .datapaths
        .iter()
        .map(|info| {
            let findings = limits::findings(asked, info, folder, &selected, flow_setups);
            Candidate {
                datapath: info.name.clone(),
                keeps_to_limits: findings.iter().all(|it| it.outcome == Outcome::Met),
                findings,
                against_choice: Vec::new(),
            }
        })
        .collect();
    let how = folder.run.comparison.map(|how| Resampling {
        resamples: how.resamples,
        seed: folder.run.seed,
        resolution: how.width,
    });
    let names: Vec<String> = candidates
        .iter()
        .filter(|it| it.keeps_to_limits && !selected.0.is_empty())
        .map(|it| it.datapath.clone())
        .collect();
    let eligible: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = answer(folder, asked, &selected, &eligible, how, &mut candidates);
    let first = match &answer {
        Answer::One { datapath, .. } => Some(datapath.clone()),
        _ => None,
    };
    candidates.sort_by_key(|it| (!it.keeps_to_limits, Some(&it.datapath) != first.as_ref()));
    let ports = asked.host.attaches.ports();
    let groups = figures.groups.iter().filter(|group| group.ports == ports);
    let scenarios: Vec<&ScenarioFigures<'_>> = groups.flat_map(|group| &group.scenarios).collect();
    let mut crossovers = crossover::find(folder, &scenarios, &eligible, asked.weights, how);
    if let Some(flow_setups) = flow_setups {
        crossovers.extend(share::crossovers(folder, &selected, &eligible, flow_setups));
    }
    Decision {
        requirements: asked.clone(),
        scenarios: selected.0.iter().map(|it| it.id.to_owned()).collect(),
        unmet_by_all: unmet_by_all(&candidates),
        answer,
        candidates,
        crossovers,
        warnings: figures.warnings.clone(),
        repeat: repeat(&folder.run.command, folder.run.seed),
    }
}

/// Limits to which nobody keeps, of those that can be attached at all.
fn unmet_by_all(candidates: &[Candidate]) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = Vec::new();
    for finding in candidates.iter().flat_map(|it| &it.findings) {
        let is_asked = ![limits::MEASURED, limits::VERIFIED].contains(&finding.requirement);
        if is_asked && !keys.contains(&finding.requirement) {
            keys.push(finding.requirement);
        }
    }
    keys.retain(|key| {
        let mut asked = candidates.iter().filter_map(|candidate| {
            let of_it: Vec<&Finding> = candidate
                .findings
                .iter()
                .filter(|it| it.requirement == *key)
                .collect();
            (!of_it.is_empty()).then(|| of_it.iter().all(|it| it.outcome == Outcome::Met))
        });
        !asked.any(|is_met| is_met)
    });
    keys
}

/// Weighs those that keep to all limits.
fn answer(
    folder: &RunFolder,
    asked: &Requirements,
    selected: &Selected<'_, '_>,
    eligible: &[&str],
    how: Option<Resampling>,
    candidates: &mut [Candidate],
) -> Answer {
    let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    match eligible {
        [] => return Answer::None,
        [one] => {
            return Answer::One {
                datapath: (*one).to_owned(),
                runner_up: None,
            };
        }
        _ => {}
    }
    let undecided = |because: &str| Answer::Undecided {
        datapaths: owned(eligible),
        because: Some(because.to_owned()),
    };
    if let Some(reason) = unfit(folder) {
        return undecided(reason);
    }
    let scores = match Scores::of(eligible, selected, asked.weights, how) {
        Ok(scores) => scores,
        Err(reason) => return undecided(&reason.to_string()),
    };
    let found = scores.compare(asked.weights, ERROR);
    let verdict = |interval: &Interval| Verdict::of(interval, asked.tolerance);
    let ahead = choice(eligible.len(), &found, verdict);
    let best = match ahead.leaders.as_slice() {
        [best, ..] => *best,
        [] => return undecided("the scores contradict each other"),
    };
    compare(
        folder, asked, selected, eligible, &scores, &found, best, candidates,
    );
    if let Some(best) = ahead.alone() {
        let against = score::pairs(eligible.len()).into_iter().zip(&found);
        let others = against.filter_map(|((one, other), interval)| {
            if one == best {
                Some((other, *interval))
            } else if other == best {
                Some((one, interval.inverse()))
            } else {
                None
            }
        });
        let next = others.min_by(|one, other| one.1.ratio.total_cmp(&other.1.ratio));
        return Answer::One {
            datapath: eligible[best].to_owned(),
            runner_up: next.map(|(other, interval)| (eligible[other].to_owned(), interval)),
        };
    }
    let datapaths: Vec<String> = ahead
        .leaders
        .iter()
        .map(|it| eligible[*it].to_owned())
        .collect();
    if ahead.are_equivalent {
        Answer::Equivalent { datapaths }
    } else {
        Answer::Undecided {
            datapaths,
            because: None,
        }
    }
}

/// Why a run decides nothing, whatever it found.
fn unfit(folder: &RunFolder) -> Option<&'static str> {
    let figures = Figures::of(folder);
    if !crate::report::figures::is_optimised(&folder.run) {
        Some("the program that made the run was not optimised")
    } else if figures.is_smoke() {
        Some("smoke: too short for conclusions")
    } else if figures.trials.are_too_disturbed() {
        Some("the machine was too busy: too many trials were disturbed")
    } else {
        None
    }
}

/// What each of the others loses on against the best, and by how much.
#[expect(
    clippy::too_many_arguments,
    reason = "all of it is about one comparison"
)]
fn compare(
    folder: &RunFolder,
    asked: &Requirements,
    selected: &Selected<'_, '_>,
    eligible: &[&str],
    scores: &Scores,
    found: &[Interval],
    best: usize,
    candidates: &mut [Candidate],
) {
    let weighed: Vec<Criterion> = Criterion::ALL
        .into_iter()
        .filter(|it| it.weight(asked.weights) > 0.0)
        .collect();
    let trials = |datapath: &str| {
        let which = Which::RoundsBefore(scores.rounds() as u32);
        let of = move |(scenario, _): (&str, &Cell<'_>)| {
            Evidence::trials(folder, scenario, datapath, which)
        };
        selected.cells_of(datapath).map(of).collect::<Vec<_>>()
    };
    let mut push = |other: usize, criterion: Option<Criterion>, interval: Interval| {
        let name = eligible[other];
        let evidence = [trials(eligible[best]), trials(name)].concat();
        if let Some(candidate) = candidates.iter_mut().find(|it| it.datapath == name) {
            candidate.against_choice.push(Comparison {
                criterion,
                choice_is_better: interval,
                choice: Verdict::of(&interval, asked.tolerance),
                evidence,
            });
        }
    };
    for ((one, other), interval) in score::pairs(eligible.len()).into_iter().zip(found) {
        if one == best {
            push(other, None, *interval);
        } else if other == best {
            push(one, None, interval.inverse());
        }
    }
    let share = ERROR / weighed.len().max(1) as f64;
    for criterion in weighed {
        for (other, interval) in scores.criterion(criterion, best, share) {
            push(other, Some(criterion), interval);
        }
    }
}
