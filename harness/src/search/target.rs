//! The chain of targets that leads to a goal: the same demands, first with less time and wider bounds.

use std::time::Duration;

use super::classify::Criterion;
use super::config::SearchConfig;
use super::goal::Goal;
use super::grid::{Grid, GridWidth};

/// One stage of the search for one goal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// What classifies a load at this stage. Trials for the stage are as long as its trial duration.
    pub criterion: Criterion,
    /// Bounds this close end the stage.
    pub width: GridWidth,
}

/// The stages for `goal`, coarsest first; the last one is the goal itself.
///
/// Going back from the goal each stage is twice as wide as the one after it, and duration sums fall in equal proportion
/// down to the initial trial duration, so that the first stage decides a load by one trial.
pub(super) fn chain(goal: &Goal, config: &SearchConfig, grid: &Grid) -> Vec<Target> {
    let last = Target {
        criterion: goal.criterion(),
        width: grid.width(goal.relative_width()),
    };
    let initial = config
        .initial_trial_duration
        .min(goal.final_trial_duration());
    let sum = goal.duration_sum().as_secs_f64();
    let proportion = initial.as_secs_f64() / sum;
    let stages = u32::from(config.preceding_targets);
    let mut width = last.width;
    let mut targets = vec![last];
    for stage in 1..=stages {
        width = width.times(2);
        let duration_sum = if stage == stages {
            initial
        } else {
            // At most the goal's own sum, so the conversion cannot overflow.
            Duration::from_secs_f64(sum * proportion.powf(f64::from(stage) / f64::from(stages)))
        };
        targets.push(Target {
            criterion: Criterion {
                trial_duration: goal.final_trial_duration().min(duration_sum),
                duration_sum,
                ..last.criterion
            },
            width,
        });
    }
    targets.reverse();
    targets
}
