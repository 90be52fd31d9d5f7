//! How much of a null forward's rate `kernel-xdp` reaches, with the sinks on the datapath's own processor.
//!
//! In this layout the datapath's processor is always the limit, and what it does for a frame beside forwarding
//! (receiving, sending, the sink) is the same for both, so that the ratio of the rates says what
//! forwarding costs. It is the layout in which Mizar's own programs were measured, 0.25 of the null
//! forward for `encap` and 0.33 and 0.35 for `hop` and `decap`; what is asked is a multiple of that. Absolute
//! rates are lower than with sinks elsewhere, and no rate of a datapath.
//!
//! Needs root and the BPF programs: `sudo cargo bench --package harness --bench ratio`.

mod common;

use anyhow::Context;
use common::median;
use datapath_api::{Datapath, Missing, Running};
use datapath_kernel_xdp::KernelXdp;
use harness::environment::Placement;
use harness::lab::VethLab;
use harness::search::Pps;
use harness::tester::{FrameSize, NullForward, Tester, TesterCpus, VethTester, Workload};
use netdev::Awake;
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::Parameters;

/// Trials of each; odd, so that there is a median.
const ROUNDS: usize = 15;
const TRIAL: Duration = Duration::from_millis(200);
/// More than any datapath forwards here.
const LOAD: f64 = 8e6;
/// Topologies, and the share of the null forward's rate that is asked.
const ASKED: [(&str, Option<f64>); 5] = [
    ("encap", Some(0.60)),
    ("decap", Some(0.70)),
    ("hop", Some(0.66)),
    ("divide", None),
    ("vtep", None),
];

struct Deployed {
    tester: VethTester,
    running: Box<dyn Running>,
    _lab: VethLab,
}

/// Frames per second forwarded, and nanoseconds of processor time for each without the sink's.
#[derive(Clone, Copy)]
struct Measured {
    rate: f64,
    cost: f64,
}

impl Deployed {
    fn measure(&mut self) -> anyhow::Result<Measured> {
        let used = |running: &dyn Running| -> anyhow::Result<Duration> {
            let mut total = Duration::ZERO;
            for thread in running.threads() {
                total += thread.cpu_time()?.running;
            }
            Ok(total)
        };
        let before = used(self.running.as_ref())?;
        let report = self.tester.trial(Pps::new(LOAD)?, TRIAL, false)?;
        let received = report.arrived.received as f64;
        let used = used(self.running.as_ref())? - before;
        Ok(Measured {
            rate: received / TRIAL.as_secs_f64(),
            cost: used.as_nanos() as f64 / received.max(1.0),
        })
    }
}

fn main() -> anyhow::Result<()> {
    if let Some(missing) = Missing::privileges() {
        println!("skipped: needs {missing}");
        return Ok(());
    }
    let placement = Placement::choose()?;
    let cpus = TesterCpus {
        generator: placement.tester,
        sinks: placement.datapath,
    };
    let _awake = Awake::hold()?;
    println!("topology  null forward          kernel-xdp            ratio  asked");
    for (name, asked) in ASKED {
        let topology = catalogue::find(name, Parameters::default())?;
        let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
        let provision =
            topology.provision(topology.under_test().context("no droplet is under test")?);
        let null = NullForward {
            paths: workload.paths.clone(),
        };
        let deploy = |datapath: &dyn Datapath, through_null: bool| -> anyhow::Result<Deployed> {
            let lab = VethLab::new(1)?;
            let tester = VethTester::new(lab.tester(), &workload, through_null, cpus)?;
            let running = datapath.install(lab.ports(), &provision, placement.datapath)?;
            Ok(Deployed {
                tester,
                running,
                _lab: lab,
            })
        };
        let mut pair = [deploy(&null, true)?, deploy(&KernelXdp::default(), false)?];
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            // One right after the other, so that both see the machine in the same state.
            rounds.push([pair[0].measure()?, pair[1].measure()?]);
        }
        let rate = |of: usize| median(rounds.iter().map(|round| round[of].rate / 1e6));
        let cost = |of: usize| median(rounds.iter().map(|round| round[of].cost));
        let ratio = median(
            rounds
                .iter()
                .map(|[null, datapath]| datapath.rate / null.rate),
        )?;
        println!(
            "{name:<8}  {:.2} Mpps, {:>3.0} ns     {:.2} Mpps, {:>3.0} ns     {ratio:.2}   {}",
            rate(0)?,
            cost(0)?,
            rate(1)?,
            cost(1)?,
            asked.map_or("-".to_owned(), |asked| format!("{asked:.2}")),
        );
    }
    Ok(())
}
