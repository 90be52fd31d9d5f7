//! Where in a run's folder a sentence comes from.

use crate::record::Purpose;
use crate::report::cell::Cell;
use serde::Serialize;
use std::fmt;

/// What a sentence rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Evidence {
    /// The description of a datapath, in `run.json`.
    Description {
        /// The datapath.
        datapath: String,
    },
    /// Trials, by their numbers in `trials.jsonl`.
    Trials {
        /// The scenario.
        scenario: String,
        /// The datapath.
        datapath: String,
        /// The numbers, ascending.
        trials: Vec<u64>,
    },
    /// The line of a kind about a datapath in a scenario, in `trials.jsonl`.
    Line {
        /// The kind: `verification`, `result` or `failure`.
        kind: &'static str,
        /// Of several results that of this distance of processors.
        #[serde(skip_serializing_if = "Option::is_none")]
        distance: Option<u32>,
        /// The scenario.
        scenario: String,
        /// The datapath.
        datapath: String,
    },
    /// A line of `flow-setup.jsonl` of another run.
    FlowSetup {
        /// The datapath.
        datapath: String,
        /// Flows that were installed before.
        installed: u32,
    },
    /// The run has nothing about it.
    Nothing,
}

/// Which trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of the rate search.
    Search,
    /// Those for latency, at half of PDR.
    Latency,
}

impl Which {
    fn takes(self, purpose: Purpose) -> bool {
        match (self, purpose) {
            (Self::Search, Purpose::Search) => true,
            (Self::Latency, Purpose::Latency { percent_of_pdr }) => percent_of_pdr == 50,
            _ => false,
        }
    }
}

impl Evidence {
    /// The trials behind what is shown of a datapath in a scenario; nothing if there are none.
    pub(crate) fn trials(scenario: &str, cell: &Cell<'_>, which: Which) -> Self {
        let trials = cell.trials.iter().filter(|it| which.takes(it.purpose));
        let numbers = trials.map(|trial| trial.number);
        Self::of(numbers.collect(), scenario, cell.datapath)
    }

    /// The trials of a datapath in the rounds with these numbers; nothing if there are none.
    pub(crate) fn rounds(scenario: &str, cell: &Cell<'_>, rounds: &[u32]) -> Self {
        let counts = |purpose: Purpose| match purpose {
            Purpose::Comparison { round } => rounds.contains(&round),
            _ => false,
        };
        let trials = cell.in_rounds_anywhere.iter();
        let trials = trials.filter(|trial| counts(trial.purpose));
        let numbers = trials.map(|trial| trial.number).collect();
        Self::of(numbers, scenario, cell.datapath)
    }

    /// How many trials it names.
    pub(crate) fn trials_named(&self) -> usize {
        match self {
            Self::Trials { trials, .. } => trials.len(),
            _ => 0,
        }
    }

    fn of(mut trials: Vec<u64>, scenario: &str, datapath: &str) -> Self {
        trials.sort_unstable();
        if trials.is_empty() {
            return Self::Nothing;
        }
        Self::Trials {
            scenario: scenario.to_owned(),
            datapath: datapath.to_owned(),
            trials,
        }
    }
}

/// Ranges of numbers in words at the most.
const RANGES: usize = 4;

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description { datapath } => write!(f, "run.json, {datapath}"),
            Self::Trials { trials, .. } => {
                let ranges = ranges(trials);
                let shown: Vec<String> = ranges
                    .iter()
                    .take(RANGES)
                    .map(|(first, last)| match first == last {
                        true => first.to_string(),
                        false => format!("{first}–{last}"),
                    })
                    .collect();
                let more = if ranges.len() > RANGES {
                    format!(" … {}", trials.last().copied().unwrap_or_default())
                } else {
                    String::new()
                };
                let word = if trials.len() == 1 { "trial" } else { "trials" };
                write!(f, "{} {word}: {}{more}", trials.len(), shown.join(", "))
            }
            Self::FlowSetup {
                datapath,
                installed,
            } => write!(f, "flow-setup.jsonl, {datapath}, {installed} installed"),
            Self::Line {
                kind,
                distance: Some(distance),
                ..
            } => write!(f, "its line of kind {kind} and distance {distance}"),
            Self::Line { kind, .. } => write!(f, "its line of kind {kind}"),
            Self::Nothing => f.write_str("nothing in this run"),
        }
    }
}

/// First and last of each run of successive numbers.
fn ranges(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut ranges = Vec::<(u64, u64)>::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_in_ranges() {
        let trials = |trials: &[u64]| {
            let (scenario, datapath) = (String::new(), String::new());
            let trials = trials.to_vec();
            let evidence = Evidence::Trials {
                scenario,
                datapath,
                trials,
            };
            evidence.to_string()
        };
        assert_eq!(trials(&[7]), "1 trial: 7");
        assert_eq!(trials(&[7, 8, 9, 12]), "4 trials: 7–9, 12");
        assert_eq!(trials(&[1, 3, 5, 7, 9, 10]), "6 trials: 1, 3, 5, 7 … 10");
    }
}
