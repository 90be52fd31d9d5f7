//! From a run and what a user asks to the datapath to choose, and how sure that is.
//!
//! First come limits: a datapath that breaks one is out, and so is one of which the run does not show that it keeps to all.
//! Those left are weighed against each other by the rounds that they had together (see `score.rs`). Every sentence names the
//! trials that it rests on.

mod crossover;
mod evidence;
mod fares;
mod limits;
mod requirements;
mod score;
mod share;
mod text;

#[cfg(test)]
mod tests;

pub use requirements::{BUILT_IN, Error as RequirementsError, Requirements};
pub use share::FlowSetups;
pub use text::{answer, withheld, words};

use crate::figure::Figure;
use crate::registry;
use crate::report::RunFolder;
use crate::report::cell::Cell;
use crate::report::figures::{Figures, ScenarioFigures};
use crate::report::text::{list, repeat};
use crate::report::warnings::of_the_whole;
use crossover::{Axis, Crossover};
use evidence::Evidence;
use fares::{Fares, Withheld};
use limits::{Finding, Outcome};
use ranking::{Interval, Verdict};
use score::{Scores, weight};
use serde::Serialize;

/// The probability that any comparison of scores is wrong; and again that any comparison of figures is. It is that of one
/// stage of a tournament, which chose how many rounds there are.
const ERROR: f64 = 0.05 / 4.0;

/// What to choose.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// What was asked.
    pub requirements: Requirements,
    /// Scenarios that count.
    pub scenarios: Vec<String>,
    /// The answer.
    pub answer: Answer,
    /// Every datapath: the choice first, then those that keep to all limits.
    pub candidates: Vec<Candidate>,
    /// What carries more than the choice, and is out by what hosts are alone.
    pub withheld: Option<Withheld>,
    /// The kernel that all was measured on.
    pub kernel: String,
    /// Datapaths that this program knows and the run does not.
    pub not_in_the_run: Vec<&'static str>,
    /// Limits that no datapath keeps to, by their keys.
    pub unmet_by_all: Vec<&'static str>,
    /// What the run varies,
    pub varied: Vec<Axis>,
    /// and where the answer changes.
    pub crossovers: Vec<Crossover>,
    /// What is wrong with the runs as a whole.
    pub warnings: Vec<String>,
    /// How many more warnings the report has.
    pub other_warnings: usize,
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
    /// Several are as good as each other, and none of the others is better than one of them.
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

impl Answer {
    /// Those that it names as best, or as not worse than any.
    fn datapaths(&self) -> Vec<String> {
        match self {
            Self::One { datapath, .. } => vec![datapath.clone()],
            Self::Equivalent { datapaths } | Self::Undecided { datapaths, .. } => datapaths.clone(),
            Self::None => Vec::new(),
        }
    }
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
    /// What it carries, where figures of it count.
    pub fares: Option<Fares>,
    /// How its figures compare with those of the choice.
    pub against_choice: Vec<Comparison>,
}

/// A figure of a datapath against that of the choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Which figure; none for the score of all.
    pub figure: Option<Figure>,
    /// Rounds in each scenario that say so: those that all candidates have.
    pub rounds: usize,
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

    /// Whether the tester may have set its rate in one of them.
    fn is_set_by_tester(&self, datapath: &str) -> bool {
        self.cells_of(datapath)
            .any(|(_, cell)| cell.any_rounds_are_set_by_tester())
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
    /// Those of them that may be better than their figures.
    set_by_tester: Vec<usize>,
}

impl Ahead {
    fn alone(&self) -> Option<usize> {
        match self.leaders.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}

/// Who is ahead among candidates, by the intervals of all pairs of scores. Where throughput counts, one whose rate the tester
/// may have set has not lost yet, nor is it equivalent.
fn ahead(
    candidates: &[&str],
    selected: &Selected<'_, '_>,
    found: &[Interval],
    asked: &Requirements,
) -> Ahead {
    let counts = weight(Figure::Throughput, asked.weights) > 0.0;
    let may_be_better: Vec<bool> = candidates
        .iter()
        .map(|name| counts && selected.is_set_by_tester(name))
        .collect();
    let verdict = |(one, other): (usize, usize), interval: &Interval| {
        let verdict = Verdict::of(interval, asked.tolerance);
        if verdict.stands([may_be_better[one], may_be_better[other]]) {
            verdict
        } else {
            Verdict::Undecided
        }
    };
    let verdicts: Vec<((usize, usize), Verdict)> = ranking::pairs(candidates.len())
        .into_iter()
        .zip(found)
        .map(|(pair, interval)| (pair, verdict(pair, interval)))
        .collect();
    let leaders = ranking::leaders(candidates.len(), &verdicts);
    let is_open = |((one, other), verdict): &((usize, usize), Verdict)| {
        leaders.contains(one) && leaders.contains(other) && *verdict != Verdict::Equivalent
    };
    Ahead {
        are_equivalent: !verdicts.iter().any(is_open),
        set_by_tester: leaders
            .iter()
            .copied()
            .filter(|it| may_be_better[*it])
            .collect(),
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
            let findings = limits::findings(asked, info, &selected, flow_setups);
            Candidate {
                datapath: info.name.clone(),
                keeps_to_limits: findings.iter().all(|it| it.outcome == Outcome::Met),
                findings,
                fares: Fares::of(&selected, &info.name),
                against_choice: Vec::new(),
            }
        })
        .collect();
    let width = folder.run.comparison.map(|how| how.width);
    let names: Vec<String> = candidates
        .iter()
        .filter(|it| it.keeps_to_limits && !selected.0.is_empty())
        .map(|it| it.datapath.clone())
        .collect();
    let eligible: Vec<&str> = names.iter().map(String::as_str).collect();
    let question = Question {
        asked,
        selected: &selected,
        eligible: &eligible,
    };
    let answer = question.answer(figures.unfit(), width, &mut candidates);
    let first = match &answer {
        Answer::One { datapath, .. } => Some(datapath.clone()),
        _ => None,
    };
    let withheld = first
        .as_ref()
        .and_then(|choice| Withheld::most(&selected, &candidates, choice));
    candidates.sort_by_key(|it| (!it.keeps_to_limits, Some(&it.datapath) != first.as_ref()));
    let mut crossovers = Vec::new();
    if figures.unfit().is_none() {
        crossovers = crossover::find(&selected.0, &eligible, asked, width);
        let best = answer.datapaths();
        let by_share = |it| share::crossovers(&selected, &eligible, &best, it);
        crossovers.extend(flow_setups.map(by_share).into_iter().flatten());
    }
    let of_the_run = of_the_whole(&folder.run, folder);
    let other_warnings = figures.warnings.len() - of_the_run.len();
    Decision {
        requirements: asked.clone(),
        scenarios: selected.0.iter().map(|it| it.id.to_owned()).collect(),
        withheld,
        kernel: folder.run.environment.kernel.clone(),
        not_in_the_run: not_in_the_run(folder),
        unmet_by_all: unmet_by_all(&candidates),
        answer,
        candidates,
        varied: Axis::varied(&selected.0)
            .into_iter()
            .chain(flow_setups.map(|_| Axis::NewFlows))
            .collect(),
        crossovers,
        warnings: flow_setups
            .map_or_else(Vec::new, |it| it.warnings(&folder.run))
            .into_iter()
            .chain(of_the_run)
            .collect(),
        other_warnings,
        repeat: repeat(&folder.run.command, folder.run.seed),
    }
}

/// What else there would be to choose from: Open vSwitch's kernel datapath, say, which no run has unless it is named.
fn not_in_the_run(folder: &RunFolder) -> Vec<&'static str> {
    let is_in_it = |name: &&str| folder.run.datapaths.iter().any(|it| it.name == **name);
    let known = registry::all().into_iter().map(|it| it.datapath.name());
    known.filter(|name| !is_in_it(name)).collect()
}

/// Limits to which nobody keeps, of those that can be attached at all.
fn unmet_by_all(candidates: &[Candidate]) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = Vec::new();
    for finding in candidates.iter().flat_map(|it| &it.findings) {
        let is_asked =
            ![limits::MEASURED, limits::VERIFIED, limits::SOUND].contains(&finding.requirement);
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

/// Candidates that keep to all limits, to be weighed against each other.
struct Question<'q, 'f, 'a> {
    asked: &'q Requirements,
    selected: &'q Selected<'f, 'a>,
    eligible: &'q [&'q str],
}

impl Question<'_, '_, '_> {
    fn answer(
        &self,
        unfit: Option<&'static str>,
        width: Option<f64>,
        candidates: &mut [Candidate],
    ) -> Answer {
        let name = |index: usize| self.eligible[index].to_owned();
        let all: Vec<usize> = (0..self.eligible.len()).collect();
        let undecided = |between: &[usize], because: Option<String>| Answer::Undecided {
            datapaths: between.iter().map(|it| name(*it)).collect(),
            because,
        };
        if self.eligible.is_empty() {
            return Answer::None;
        }
        if let Some(reason) = unfit {
            return undecided(&all, Some(reason.to_owned()));
        }
        if let [one] = self.eligible {
            return Answer::One {
                datapath: (*one).to_owned(),
                runner_up: None,
            };
        }
        let weights = self.asked.weights;
        let scores = match Scores::of(self.eligible, self.selected, weights, width) {
            Ok(scores) => scores,
            Err(reason) => {
                let between = self.without(reason.lacking(), width, &mut candidates.to_vec());
                return undecided(&between.unwrap_or(all), Some(reason.to_string()));
            }
        };
        let found = scores.compare(weights, ERROR);
        let ahead = ahead(self.eligible, self.selected, &found, self.asked);
        let Some(best) = ahead.alone() else {
            if ahead.are_equivalent && !ahead.leaders.is_empty() {
                return Answer::Equivalent {
                    datapaths: ahead.leaders.iter().map(|it| name(*it)).collect(),
                };
            }
            let limited: Vec<&str> = ahead
                .set_by_tester
                .iter()
                .map(|it| self.eligible[*it])
                .collect();
            let because = (!limited.is_empty())
                .then(|| format!("the tester may have set the rate of {}", list(&limited)));
            return undecided(&ahead.leaders, because);
        };
        let against = self.against(best, &found);
        self.compare(&scores, best, &against, candidates);
        let next = against
            .into_iter()
            .min_by(|one, other| one.1.ratio.total_cmp(&other.1.ratio));
        Answer::One {
            datapath: name(best),
            runner_up: next.map(|(other, interval)| (name(other), interval)),
        }
    }

    /// Between whom it is not decided, where one candidate lacks rounds: that, and those of the others that are not worse than
    /// another of them.
    fn without(
        &self,
        lacking: Option<&str>,
        width: Option<f64>,
        candidates: &mut [Candidate],
    ) -> Option<Vec<usize>> {
        let place = |name: &str| self.eligible.iter().position(|it| *it == name);
        let lacking = place(lacking?)?;
        let mut rest = self.eligible.to_vec();
        rest.remove(lacking);
        let rest = Question {
            eligible: &rest,
            ..*self
        };
        let best = rest.answer(None, width, candidates).datapaths();
        let mut between: Vec<usize> = best.iter().filter_map(|name| place(name)).collect();
        between.push(lacking);
        between.sort_unstable();
        Some(between)
    }

    /// How many times better the score of the best is than that of each of the others.
    fn against(&self, best: usize, found: &[Interval]) -> Vec<(usize, Interval)> {
        let pairs = ranking::pairs(self.eligible.len()).into_iter().zip(found);
        let of = |((one, other), interval): ((usize, usize), &Interval)| {
            if one == best {
                Some((other, *interval))
            } else if other == best {
                Some((one, interval.inverse()))
            } else {
                None
            }
        };
        pairs.filter_map(of).collect()
    }

    /// What each of the others loses on against the best, and by how much.
    fn compare(
        &self,
        scores: &Scores,
        best: usize,
        against: &[(usize, Interval)],
        candidates: &mut [Candidate],
    ) {
        let trials = |datapath: &str| {
            let of = |(scenario, cell): (&str, &Cell<'_>)| {
                Evidence::rounds(scenario, cell, &scores.numbers(scenario))
            };
            self.selected.cells_of(datapath).map(of).collect::<Vec<_>>()
        };
        let mut push = |other: usize, figure: Option<Figure>, interval: Interval| {
            let name = self.eligible[other];
            let evidence = [trials(self.eligible[best]), trials(name)].concat();
            if let Some(candidate) = candidates.iter_mut().find(|it| it.datapath == name) {
                candidate.against_choice.push(Comparison {
                    figure,
                    rounds: scores.rounds(),
                    choice_is_better: interval,
                    choice: Verdict::of(&interval, self.asked.tolerance),
                    evidence,
                });
            }
        };
        for (other, interval) in against {
            push(*other, None, *interval);
        }
        let weighed: Vec<Figure> = Figure::ALL
            .into_iter()
            .filter(|it| weight(*it, self.asked.weights) > 0.0)
            .collect();
        let share = ERROR / weighed.len().max(1) as f64;
        for figure in weighed {
            for (other, interval) in scores.figure(figure, best, share) {
                push(other, Some(figure), interval);
            }
        }
    }
}
