//! The Controller (section 4.9.2): from trials to the next trial, for all goals at once.

use std::time::Duration;

use super::classify::conditional_throughput;
use super::config::{ConfigError, Precedence, SearchConfig};
use super::goal::Goal;
use super::grid::{Grid, GridLoad, GridWidth};
use super::ledger::{Ledger, TargetId};
use super::limits::Limits;
use super::rate::Pps;
use super::result::{Estimate, GoalResult, Irregular, SearchResult, Status, relative_width};
use super::selector::{Nomination, Selector};
use super::strategy::{Pick, Start};
use super::target::{Target, chain};
use super::trial::Trial;

/// How much a recorded load may differ from the one asked for, as a share: room for a round trip through text.
const LOAD_TOLERANCE: f64 = 1e-9;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Measure one trial and record its outcome.
    Measure {
        /// Intended load, in frames a second.
        load: Pps,
        /// Intended duration.
        duration: Duration,
    },
    /// Nothing; the result is final.
    Done,
}

/// A trial does not belong to the search as it stands. The search is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// No trial was asked for, or its outcome was recorded before.
    #[error("no trial is awaited")]
    NotAwaited,
    /// The trial has another load than asked for.
    #[error("the trial awaited is at {wanted} frames a second, not at {given}")]
    OtherLoad {
        /// The load asked for.
        wanted: Pps,
        /// The load recorded.
        given: Pps,
    },
    /// The trial has another duration than asked for.
    #[error("the trial awaited lasts {wanted:?}, not {given:?}")]
    OtherDuration {
        /// The duration asked for.
        wanted: Duration,
        /// The duration recorded.
        given: Duration,
    },
}

/// Where the search stands.
#[derive(Debug, Clone)]
enum Phase {
    /// First trial: how much the device forwards when offered the most.
    AtMax,
    /// Second trial: at the rate forwarded first.
    AtForwardingRate(GridLoad),
    /// Third trial: beside the `second`, on the side where the limit must be.
    Beside { second: GridLoad, third: GridLoad },
    /// Trials that goals ask for.
    Goals {
        selectors: Vec<Selector>,
        /// The width of the last step of any goal.
        current_width: GridWidth,
    },
    /// All goals are reached.
    Reached,
}

/// A trial asked for and not yet recorded.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    load: GridLoad,
    duration: Duration,
    /// The goal that asked, by its place, and what it picked; `None` in the initial trials.
    by: Option<(usize, Pick)>,
}

/// A goal and the targets that lead to it.
#[derive(Debug, Clone)]
struct Route {
    goal: Goal,
    first: TargetId,
    last: TargetId,
}

/// What the initial trials go by: the demands of all first targets together.
#[derive(Debug, Clone, Copy)]
struct Initial {
    /// The smallest loss ratio.
    loss_ratio: f64,
    /// The longest trial.
    duration: Duration,
    /// The largest width.
    width: GridWidth,
}

/// A search for all goals of a [`SearchConfig`]: a state machine without I/O.
#[derive(Debug, Clone)]
pub struct Search {
    grid: Grid,
    limits: Limits,
    routes: Vec<Route>,
    initial: Initial,
    expansion: u32,
    precedence: Precedence,
    budget: Duration,
    ledger: Ledger,
    phase: Phase,
    awaited: Option<Awaited>,
    /// What counts against the budget.
    spent: Duration,
    trials: u64,
    trial_time: Duration,
}

impl Search {
    /// Checks the configuration and prepares the search. The first step is a trial at the maximum load.
    pub fn new(config: SearchConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let (min, max) = (config.min_load, config.max_load);
        let widths: Vec<_> = config.goals.iter().map(Goal::relative_width).collect();
        let grid = Grid::new(min, max, &widths).ok_or(ConfigError::NoGrid { min, max })?;
        let mut targets: Vec<Target> = Vec::new();
        let mut routes = Vec::new();
        let mut initial = Initial {
            loss_ratio: 1.0,
            duration: Duration::ZERO,
            width: GridWidth(1),
        };
        for goal in &config.goals {
            let stages = chain(goal, &config, &grid);
            if let Some(first) = stages.first() {
                initial.loss_ratio = initial.loss_ratio.min(first.criterion.loss_ratio.get());
                initial.duration = initial.duration.max(first.criterion.trial_duration);
                initial.width = initial.width.max(first.width);
            }
            routes.push(Route {
                goal: goal.clone(),
                first: TargetId(targets.len()),
                // The goal itself is always a stage, so there is at least one.
                last: TargetId(targets.len() + stages.len().saturating_sub(1)),
            });
            targets.extend(stages);
        }
        Ok(Self {
            limits: Limits {
                min: grid.bottom(),
                max: grid.top(),
            },
            grid,
            routes,
            initial,
            expansion: config.expansion,
            precedence: config.precedence,
            budget: config.search_duration_max,
            ledger: Ledger::new(targets),
            phase: Phase::AtMax,
            awaited: None,
            spent: Duration::ZERO,
            trials: 0,
            trial_time: Duration::ZERO,
        })
    }

    /// Says which trial to measure next. Asked again before that is recorded, it says the same again.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: a step depends on the trial recorded before it"
    )]
    pub fn next(&mut self) -> Step {
        if self.awaited.is_none() && self.spent < self.budget {
            self.awaited = self.choose();
        }
        match self.awaited {
            Some(Awaited { load, duration, .. }) => Step::Measure {
                load: self.grid.rate(load),
                duration,
            },
            None => Step::Done,
        }
    }

    /// Takes the outcome of the trial that [`Search::next`] asked for.
    ///
    /// The trial counts against the budget with its intended or its effective duration, whichever is longer.
    pub fn record(&mut self, trial: Trial) -> Result<(), RecordError> {
        let awaited = self.awaited.ok_or(RecordError::NotAwaited)?;
        let wanted = self.grid.rate(awaited.load);
        let difference = (trial.load().get() / wanted.get() - 1.0).abs();
        if difference > LOAD_TOLERANCE {
            return Err(RecordError::OtherLoad {
                wanted,
                given: trial.load(),
            });
        }
        if trial.duration() != awaited.duration {
            return Err(RecordError::OtherDuration {
                wanted: awaited.duration,
                given: trial.duration(),
            });
        }
        self.awaited = None;
        self.trials += 1;
        let effective = trial.effective_duration();
        self.trial_time = self.trial_time.saturating_add(effective);
        self.spent = self.spent.saturating_add(effective.max(trial.duration()));
        self.ledger.add(awaited.load, trial);
        self.advance(awaited, &trial);
        Ok(())
    }

    /// What is known now: final after [`Step::Done`], the best so far before.
    pub fn result(&self) -> SearchResult {
        SearchResult {
            goals: self.routes.iter().map(|route| self.report(route)).collect(),
            trials: self.trials,
            trial_time: self.trial_time,
        }
    }

    /// The next trial of the phase; none if all goals are reached.
    fn choose(&mut self) -> Option<Awaited> {
        let first = |load| Awaited {
            load,
            duration: self.initial.duration,
            by: None,
        };
        match &mut self.phase {
            Phase::AtMax => Some(first(self.limits.max)),
            Phase::AtForwardingRate(load) => Some(first(*load)),
            Phase::Beside { third, .. } => Some(first(*third)),
            Phase::Goals {
                selectors,
                current_width,
            } => {
                let mut chosen: Option<(usize, Nomination)> = None;
                for (goal, selector) in selectors.iter_mut().enumerate() {
                    // Each selector is asked, also when an earlier nomination goes first: it moves on by being asked.
                    let nomination = selector.nominate(&self.ledger, &self.limits, *current_width);
                    let is_before = |new: &Nomination, old: &Nomination| {
                        new.compare(old, self.precedence).is_lt()
                    };
                    if let Some(new) = nomination
                        && chosen.is_none_or(|(_, old)| is_before(&new, &old))
                    {
                        chosen = Some((goal, new));
                    }
                }
                if chosen.is_none() {
                    self.phase = Phase::Reached;
                }
                chosen.map(|(goal, nomination)| Awaited {
                    load: nomination.pick.load,
                    duration: nomination.duration,
                    by: Some((goal, nomination.pick)),
                })
            }
            Phase::Reached => None,
        }
    }

    /// Moves on after a trial.
    fn advance(&mut self, awaited: Awaited, trial: &Trial) {
        let width = self.initial.width;
        match &mut self.phase {
            Phase::AtMax => {
                let load = self.carried(trial);
                let second = self.limits.fit(load, width, None, Some(self.limits.max));
                match second {
                    Some(second) => self.phase = Phase::AtForwardingRate(second),
                    // Next to nothing was lost at the maximum.
                    None => self.start_goals(awaited.load, awaited.load),
                }
            }
            Phase::AtForwardingRate(second) => {
                let second = *second;
                let third = if trial.loss_ratio().get() > self.initial.loss_ratio {
                    let load = self.carried(trial);
                    self.limits.fit(load, width, None, Some(second))
                } else {
                    let max = self.limits.max;
                    self.limits
                        .fit(second + width, width, Some(second), Some(max))
                };
                match third {
                    Some(third) => self.phase = Phase::Beside { second, third },
                    None => self.start_goals(second, second),
                }
            }
            Phase::Beside { second, third } => {
                let (second, third) = (*second, *third);
                self.start_goals(second, third);
            }
            Phase::Goals {
                selectors,
                current_width,
            } => {
                if let Some((goal, pick)) = awaited.by {
                    *current_width = pick.width;
                    if let Some(selector) = selectors.get_mut(goal)
                        && let Some(width) = selector.measured(&pick, &self.ledger)
                    {
                        *current_width = width;
                    }
                }
            }
            Phase::Reached => {}
        }
    }

    /// The load at which the device would lose just what the strictest goal allows, if all it forwarded in `trial` is
    /// all it can forward.
    fn carried(&self, trial: &Trial) -> GridLoad {
        self.grid
            .floor(trial.forwarding_rate() / (1.0 - self.initial.loss_ratio))
    }

    /// Ends the initial trials; the last two loads are where the goals start.
    fn start_goals(&mut self, one: GridLoad, other: GridLoad) {
        let (lower, upper) = (one.min(other), one.max(other));
        let start = Start {
            lower: Some(lower),
            upper: Some(upper),
        };
        let selectors = self.routes.iter().map(|route| {
            Selector::new(route.first, route.last, start, &self.ledger, self.expansion)
        });
        self.phase = Phase::Goals {
            selectors: selectors.collect(),
            current_width: upper - lower,
        };
    }

    /// The result for one goal.
    fn report(&self, route: &Route) -> GoalResult {
        let bounds = self.ledger.bounds(route.last);
        let lower = bounds.lower.map(|load| self.grid.rate(load));
        let upper = bounds.upper.map(|load| self.grid.rate(load));
        let status = match (lower, upper) {
            (Some(lower), Some(upper))
                if relative_width(lower, upper) <= route.goal.relative_width() =>
            {
                Status::Regular
            }
            _ if bounds.upper == Some(self.limits.min) => {
                Status::Irregular(Irregular::NothingLowerAboveMin)
            }
            _ if bounds.upper.is_none() && bounds.lower == Some(self.limits.max) => {
                Status::Irregular(Irregular::NoUpperWithinMax)
            }
            _ if self.awaited.is_none() && self.spent >= self.budget => {
                Status::Irregular(Irregular::TimeOut)
            }
            _ => Status::Irregular(Irregular::StillSearching),
        };
        let incomplete = matches!(
            status,
            Status::Irregular(Irregular::TimeOut | Irregular::StillSearching)
        ) && (lower.is_none() || upper.is_none());
        GoalResult {
            conditional_throughput: bounds.lower.and_then(|load| {
                let rate = self.grid.rate(load);
                conditional_throughput(&route.goal, rate, self.ledger.trials_at(load))
            }),
            goal: route.goal.clone(),
            lower,
            upper,
            status,
            estimate: incomplete.then(|| self.estimate(route)).flatten(),
        }
    }

    /// The bounds of the finest target before the goal that has both, or else of the finest that has one.
    fn estimate(&self, route: &Route) -> Option<Estimate> {
        let stages = (route.first.0..route.last.0).rev().map(|id| {
            let bounds = self.ledger.bounds(TargetId(id));
            Estimate {
                lower: bounds.lower.map(|load| self.grid.rate(load)),
                upper: bounds.upper.map(|load| self.grid.rate(load)),
                duration_sum: self.ledger.target(TargetId(id)).criterion.duration_sum,
            }
        });
        let mut some = None;
        for stage in stages {
            if stage.lower.is_some() && stage.upper.is_some() {
                return Some(stage);
            }
            if some.is_none() && (stage.lower.is_some() || stage.upper.is_some()) {
                some = Some(stage);
            }
        }
        some
    }
}
