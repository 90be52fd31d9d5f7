//! What stages cost, from what was measured in rounds.

use crate::report::apart;
use crate::stages::record::{Live, Record, Recorded, Sample, Way};
use datapath_api::{Decision, Stage};
use ranking::MedianInterval;
use std::collections::BTreeMap;

/// What one datapath's frames cost on one way.
pub(super) struct Column<'a> {
    pub datapath: &'a str,
    pub way: Way,
    pub decision: Decision,
    /// What frames cost that got as far as the first stage, then what each further stage adds; in nanoseconds.
    pub stages: Vec<(Stage, MedianInterval)>,
    /// What all stages behind the first add together, but for sending.
    pub code: Option<MedianInterval>,
}

/// What frames cost live.
pub(super) struct LiveColumn<'a> {
    pub datapath: &'a str,
    pub null: MedianInterval,
    pub whole: MedianInterval,
    /// The difference in each round.
    pub code: MedianInterval,
}

/// All figures of a run.
pub(super) struct Figures<'a> {
    pub recorded: &'a Recorded,
    pub columns: Vec<Column<'a>>,
    pub live: Vec<LiveColumn<'a>>,
    /// Live trials that were disturbed, or lost more than a frame of a thousand: their rounds are in no figure.
    pub left_out: usize,
    /// What is to be said of where processors were meanwhile.
    pub apart: Vec<String>,
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
            apart: apart::of_rows(live.iter().map(|it| it.round_trip_ns)),
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
            MedianInterval::of(added.collect())
        };
        let first = *measured.first()?;
        let rounds = each.iter().filter(|((stage, _), _)| *stage == first);
        let mut stages = vec![(
            first,
            MedianInterval::of(rounds.map(|(_, ns)| *ns).collect())?,
        )];
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
        let figure =
            |of: fn(&(f64, f64)) -> f64| MedianInterval::of(pairs.iter().map(of).collect());
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
