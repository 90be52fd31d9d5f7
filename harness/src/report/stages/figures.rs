//! What stages cost, from what was measured in rounds.

use crate::stages::record::{Live, Record, Recorded, Sample, Way};
use datapath_api::{Decision, Stage};
use std::collections::BTreeMap;

/// A median with the interval that holds it with a probability of at least 95 percent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Interval {
    pub median: f64,
    pub from: f64,
    pub to: f64,
}

impl Interval {
    /// Of figures, one a round. The interval is between two of them in their order, so many from either end that the median
    /// lies beyond one with a probability of 2.5 percent at the most, whatever their distribution: by how many of them are
    /// below the median, which is binomial. `None` of fewer than six.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.retain(|figure| figure.is_finite());
        figures.sort_by(f64::total_cmp);
        let count = figures.len();
        let mut tail = 0.0;
        // The probability that none is below.
        let mut each = 0.5_f64.powi(count as i32);
        let mut below = 0;
        while tail + each <= 0.025 {
            tail += each;
            each *= (count - below) as f64 / (below + 1) as f64;
            below += 1;
        }
        let from = *figures.get(below.checked_sub(1)?)?;
        let to = *figures.get(count - below)?;
        let middle = |place: usize| figures.get(place).copied();
        let median = (middle((count - 1) / 2)? + middle(count / 2)?) / 2.0;
        Some(Self { median, from, to })
    }
}

/// What one datapath's frames cost on one way.
pub(super) struct Column<'a> {
    pub datapath: &'a str,
    pub way: Way,
    pub decision: Decision,
    /// What frames cost that got as far as the first stage, then what each further stage adds; in nanoseconds.
    pub stages: Vec<(Stage, Interval)>,
    /// What all stages behind the first add together, but for sending.
    pub code: Option<Interval>,
}

/// What frames cost live.
pub(super) struct LiveColumn<'a> {
    pub datapath: &'a str,
    pub null: Interval,
    pub whole: Interval,
    /// The difference in each round.
    pub code: Interval,
}

/// All figures of a run.
pub(super) struct Figures<'a> {
    pub recorded: &'a Recorded,
    pub columns: Vec<Column<'a>>,
    pub live: Vec<LiveColumn<'a>>,
    /// Live trials that were disturbed, or lost more than a frame of a thousand: their rounds are in no figure.
    pub left_out: usize,
    /// Who failed, and why.
    pub failed: Vec<(&'a str, &'a str)>,
}

impl<'a> Figures<'a> {
    pub fn of(recorded: &'a Recorded) -> Self {
        let mut samples = BTreeMap::<_, BTreeMap<(Stage, u32), f64>>::new();
        let mut live = Vec::new();
        let mut failed = Vec::new();
        for record in &recorded.records {
            match record {
                Record::Sample(sample) => {
                    let key = (sample.way, sample.decision, sample.datapath.as_str());
                    let each = samples.entry(key).or_default();
                    each.insert((sample.stage, sample.round), nanoseconds(sample));
                }
                Record::Live(sample) => live.push(sample),
                Record::Failed { datapath, reason } => {
                    failed.push((datapath.as_str(), reason.as_str()));
                }
                Record::Header(_) => {}
            }
        }
        let columns = samples
            .into_iter()
            .filter_map(|((way, decision, datapath), each)| {
                Column::of(datapath, way, decision, &each)
            });
        Self {
            recorded,
            columns: columns.collect(),
            left_out: live.iter().filter(|it| !is_sound(it)).count(),
            live: live_columns(&live),
            failed,
        }
    }

    /// Columns of this kind, in the order of the datapaths in the header.
    pub fn of_way(&self, way: Way, decision: Decision) -> Vec<&Column<'a>> {
        let header = self.recorded.header.datapaths.iter();
        let of = |name: &str| {
            let mut columns = self.columns.iter();
            columns.find(|it| (it.way, it.decision, it.datapath) == (way, decision, name))
        };
        header.filter_map(|info| of(&info.name)).collect()
    }
}

/// Of one frame.
fn nanoseconds(sample: &Sample) -> f64 {
    sample.ns as f64 / f64::from(sample.frames.max(1))
}

impl<'a> Column<'a> {
    fn of(
        datapath: &'a str,
        way: Way,
        decision: Decision,
        each: &BTreeMap<(Stage, u32), f64>,
    ) -> Option<Self> {
        let measured: Vec<Stage> = Stage::ALL
            .into_iter()
            .filter(|stage| each.keys().any(|(known, _)| known == stage))
            .collect();
        // Of rounds in which both were measured.
        let between = |earlier: Stage, later: Stage| {
            let rounds = each.iter().filter(|((stage, _), _)| *stage == later);
            let added =
                rounds.filter_map(|((_, round), ns)| Some(ns - each.get(&(earlier, *round))?));
            Interval::of(added.collect())
        };
        let first = *measured.first()?;
        let rounds = each.iter().filter(|((stage, _), _)| *stage == first);
        let mut stages = vec![(first, Interval::of(rounds.map(|(_, ns)| *ns).collect())?)];
        for pair in measured.windows(2) {
            stages.push((pair[1], between(pair[0], pair[1])?));
        }
        Some(Self {
            datapath,
            way,
            decision,
            stages,
            code: between(first, Stage::Headers),
        })
    }
}

/// Whether a live trial says what frames cost.
fn is_sound(live: &Live) -> bool {
    live.disturbed.is_none() && live.intended.saturating_sub(live.frames) <= live.intended / 1_000
}

fn live_columns<'a>(live: &[&'a Live]) -> Vec<LiveColumn<'a>> {
    let each = |it: &Live| it.cpu_ns as f64 / it.frames.max(1) as f64;
    let mut columns = Vec::<LiveColumn<'a>>::new();
    // A null forward's trial is followed by that of its datapath.
    let mut pairs = BTreeMap::<&'a str, Vec<(f64, f64)>>::new();
    let mut null = None;
    for sample in live {
        match (&sample.datapath, null) {
            (None, _) => null = is_sound(sample).then(|| (sample.round, each(sample))),
            (Some(datapath), Some((round, before)))
                if round == sample.round && is_sound(sample) =>
            {
                let of_datapath = pairs.entry(datapath.as_str()).or_default();
                of_datapath.push((before, each(sample)));
                null = None;
            }
            _ => {}
        }
    }
    for (datapath, pairs) in pairs {
        let figure = |of: fn(&(f64, f64)) -> f64| Interval::of(pairs.iter().map(of).collect());
        if let (Some(null), Some(whole), Some(code)) = (
            figure(|it| it.0),
            figure(|it| it.1),
            figure(|it| it.1 - it.0),
        ) {
            columns.push(LiveColumn {
                datapath,
                null,
                whole,
                code,
            });
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        let figures = |count: i32| (1..=count).map(f64::from).collect::<Vec<_>>();
        assert_eq!(Interval::of(figures(5)), None);
        let of = |count| Interval::of(figures(count)).map(|it| (it.from, it.median, it.to));
        // Tables of the sign test: 6 of 1 and 6, 15 of 4 and 12, 21 of 6 and 16.
        assert_eq!(of(6), Some((1.0, 3.5, 6.0)));
        assert_eq!(of(15), Some((4.0, 8.0, 12.0)));
        assert_eq!(of(21), Some((6.0, 11.0, 16.0)));
    }

    proptest! {
        #[test]
        fn the_median_lies_in_its_interval(figures in prop::collection::vec(-1e6..1e6_f64, 6..60)) {
            let interval = Interval::of(figures).unwrap();
            prop_assert!(interval.from <= interval.median && interval.median <= interval.to);
        }
    }
}
