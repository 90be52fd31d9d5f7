//! The figures of a run of sockets: what several rounds come to, and how it stands to no overlay.

use crate::record::Latency;
use crate::report::apart;
use crate::report::flow_setup::warnings::of_machine;
use crate::report::warnings::of_damage;
use crate::sockets::record::{
    CrossCheck, FILE, Failed, Header, Job, Record, Recorded, Sample, Visit,
};
use topologies::topology::DirectPathState;

/// Fewer measured times than these above a percentile make it a matter of chance.
const FEW: f64 = 10.0;

/// All figures of a run.
pub(super) struct Figures<'a> {
    pub header: &'a Header,
    /// Of the run as a whole.
    pub warnings: Vec<String>,
    /// No overlay first, then datapaths as they were asked for, each by the state of the direct path.
    pub rows: Vec<Row<'a>>,
    pub cross_checks: Vec<CrossChecked<'a>>,
}

/// What another program found.
pub(super) struct CrossChecked<'a> {
    /// Position of its row.
    pub row: usize,
    pub check: &'a CrossCheck,
    /// What our own client and server found in the same round.
    pub own: Option<f64>,
}

/// What was between client and server.
pub(super) struct Row<'a> {
    /// The datapath; `None` for no overlay.
    pub datapath: Option<&'a str>,
    pub state: Option<DirectPathState>,
    /// Place in the run, for colours.
    pub index: usize,
    pub cells: Vec<Cell>,
    /// Why it was not measured on.
    pub failed: Option<&'a Failed>,
}

/// What the rounds of one job come to.
pub(super) struct Cell {
    pub job: Job,
    pub rounds: usize,
    /// Rounds that something else on the machine disturbed.
    pub disturbed: usize,
    /// Bits, requests or connections a second.
    pub rate: Spread,
    /// That over the one without an overlay in the same round.
    pub ratio: Option<Spread>,
    /// Percentiles: median, 90th, 99th and 99.9th.
    pub latency: Option<[Percentile; 4]>,
    /// The median over the one without an overlay in the same round.
    pub latency_ratio: Option<Spread>,
    /// Processor time of droplets in nanoseconds, for each kibibyte, request or connection; none without an overlay.
    pub datapath_ns: Option<Spread>,
    /// The same of client and server.
    pub endpoints_ns: Spread,
    /// Segments sent again in all rounds.
    pub retransmitted: Option<u64>,
}

/// A percentile of each round's latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentile {
    /// In nanoseconds.
    pub ns: Spread,
    /// In some round fewer than ten lie above.
    pub uncertain: bool,
}

/// The median of several rounds, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Nothing of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|it| it.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let upper = values.len() / 2;
        let lower = (values.len() - 1) / 2;
        Some(Self {
            median: f64::midpoint(values[lower], values[upper]),
            least,
            most,
        })
    }
}

impl Row<'_> {
    fn is_of(&self, visit: &Visit) -> bool {
        visit.datapath.as_deref() == self.datapath && visit.direct_path == self.state
    }
}

impl<'a> Figures<'a> {
    pub fn of(recorded: &'a Recorded) -> Self {
        let Recorded {
            header,
            records,
            damage,
        } = recorded;
        let samples: Vec<&Sample> = records
            .iter()
            .filter_map(|record| match record {
                Record::Sample(sample) => Some(&**sample),
                _ => None,
            })
            .collect();
        let row = |(index, (datapath, state)): (usize, (Option<&'a str>, _))| {
            let failures = records.iter().filter_map(|record| match record {
                Record::Failed(failed) => Some(failed),
                _ => None,
            });
            let is_it =
                |visit: &Visit| visit.datapath.as_deref() == datapath && visit.direct_path == state;
            let own: Vec<&Sample> = samples
                .iter()
                .copied()
                .filter(|it| is_it(&it.visit))
                .collect();
            let cells = jobs(&samples).into_iter();
            Row {
                datapath,
                state,
                index,
                cells: cells.filter_map(|job| cell(job, &own, &samples)).collect(),
                failed: failures.into_iter().find(|failed| is_it(&failed.visit)),
            }
        };
        let rows = candidates(header).into_iter().enumerate().map(row);
        let rows = rows.filter(|row| !row.cells.is_empty() || row.failed.is_some());
        let rows: Vec<Row<'_>> = rows.collect();
        let checks = records.iter().filter_map(|record| match record {
            Record::CrossCheck(check) => Some(check),
            _ => None,
        });
        let cross_checks = checks.filter_map(|check| {
            let (visit, job) = (&check.visit, check.job);
            let mut own = samples
                .iter()
                .filter(|it| (&it.visit, it.job) == (visit, job));
            Some(CrossChecked {
                row: rows.iter().position(|row| row.is_of(visit))?,
                check,
                own: own.next().map(|sample| sample.rate()),
            })
        });
        Self {
            cross_checks: cross_checks.collect(),
            header,
            warnings: [
                warnings(header),
                apart::of_rows(samples.iter().map(|it| it.round_trip_ns)),
                of_damage(FILE, damage),
            ]
            .concat(),
            rows,
        }
    }

    /// Jobs of which there is a figure.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for cell in self.rows.iter().flat_map(|row| &row.cells) {
            if !jobs.contains(&cell.job) {
                jobs.push(cell.job);
            }
        }
        jobs
    }

    /// Whether rows differ by the state of the direct path.
    pub fn has_states(&self) -> bool {
        self.header.states.len() > 1
    }
}

/// What might have a row.
fn candidates(header: &Header) -> Vec<(Option<&str>, Option<DirectPathState>)> {
    let datapaths = header.datapaths.iter();
    let overlays = datapaths.flat_map(|datapath| {
        let states = header.states.iter();
        states.map(|state| (Some(datapath.name.as_str()), Some(*state)))
    });
    std::iter::once((None, None)).chain(overlays).collect()
}

fn jobs(samples: &[&Sample]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for sample in samples {
        if !jobs.contains(&sample.job) {
            jobs.push(sample.job);
        }
    }
    jobs
}

fn cell(job: Job, own: &[&Sample], all: &[&Sample]) -> Option<Cell> {
    let own: Vec<&Sample> = own.iter().copied().filter(|it| it.job == job).collect();
    let without = |sample: &Sample| {
        let mut same = all.iter().copied().filter(|it| it.job == job);
        same.find(|it| it.visit.datapath.is_none() && it.visit.round == sample.visit.round)
    };
    // A figure over that of the same round without an overlay.
    let over = |figure: fn(&Sample) -> Option<f64>| {
        let ratios = own.iter().filter_map(|sample| {
            sample.visit.datapath.as_ref()?;
            Some(figure(sample)? / figure(without(sample)?)?)
        });
        Spread::of(ratios)
    };
    let unit = match job {
        Job::Streams { .. } => 1024.0,
        Job::RequestResponse | Job::Connections => 1.0,
    };
    let each = |sample: &Sample, ns: u64| ns as f64 * unit / sample.count.max(1) as f64;
    let overlays = own.iter().filter(|it| it.visit.datapath.is_some());
    let again: Vec<u64> = own.iter().filter_map(|it| it.retransmitted).collect();
    Some(Cell {
        job,
        rounds: own.len(),
        disturbed: own.iter().filter(|it| it.disturbed.is_some()).count(),
        rate: Spread::of(own.iter().map(|it| it.rate()))?,
        ratio: over(|sample| Some(sample.rate())),
        latency: latency(&own),
        latency_ratio: over(|sample| Some(sample.latency.as_ref()?.p50_ns as f64)),
        datapath_ns: Spread::of(overlays.map(|it| each(it, it.datapath_cpu_ns()))),
        endpoints_ns: Spread::of(own.iter().map(|it| each(it, it.endpoints_cpu_ns)))?,
        retransmitted: (!again.is_empty()).then(|| again.iter().sum()),
    })
}

fn latency(samples: &[&Sample]) -> Option<[Percentile; 4]> {
    let latencies: Vec<&Latency> = samples
        .iter()
        .filter_map(|it| it.latency.as_ref())
        .collect();
    let percentile = |above: f64, get: fn(&Latency) -> u64| {
        let few = |latency: &&Latency| (latency.count as f64 * above) < FEW;
        Some(Percentile {
            ns: Spread::of(latencies.iter().map(|it| get(it) as f64))?,
            uncertain: latencies.iter().any(few),
        })
    };
    Some([
        percentile(0.5, |it| it.p50_ns)?,
        percentile(0.1, |it| it.p90_ns)?,
        percentile(0.01, |it| it.p99_ns)?,
        percentile(0.001, |it| it.p999_ns)?,
    ])
}

/// What is to be said of a run as a whole.
fn warnings(header: &Header) -> Vec<String> {
    let mut out = of_machine(&header.environment, &header.profile);
    let environment = &header.environment;
    if environment.tester_cpu == environment.sinks_cpu {
        out.push(
            "client, server and underlay shared one processor. Without an overlay that is all there is, while overlays \
             have another one for the datapath: ratios say more on a machine with three processors"
                .to_owned(),
        );
    }
    let polling = header
        .datapaths
        .iter()
        .filter(|it| it.polls_busily && it.missing.is_empty());
    let polling: Vec<_> = polling
        .filter(|it| it.ports == crate::record::PortType::Veth)
        .map(|it| it.name.as_str())
        .collect();
    if !polling.is_empty() {
        out.push(format!(
            "{}: droplets that poll without end took turns on one processor, which none does on a host of its own; its \
             processor time is that of polling",
            polling.join(", ")
        ));
    }
    out
}
