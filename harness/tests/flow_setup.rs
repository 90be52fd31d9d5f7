//! New flows on real droplets: that they are new, that installed ones are counted, and that direct paths are learned.
//!
//! On `reference` for everybody; on other datapaths with root and what they need, or else reported as ignored. No
//! verdict depends on speed: frames may be lost where the machine stalls.

use datapath_api::{Datapath, DropletPorts, Running, ring};
use datapath_kernel_xdp::KernelXdp;
use datapath_openflow::{PROACTIVE, REACTIVE};
use datapath_ovs_ebpf::{OVS_EBPF, OVS_EBPF_CORE};
use datapath_reference::Reference;
use harness::flow_setup::flows::{Flows, LEARNED_TOGETHER, Layout, Traffic};
use harness::lab::VethLab;
use harness::search::Pps;
use harness::tester::{Offer, Report, RingTester, Tester, TesterCpus, VethTester, Watch};
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Cpu, allowed_cpus};
use std::collections::HashSet;
use std::time::Duration;

fn main() {
    type Make = fn() -> Box<dyn Datapath>;
    let datapaths: [Make; 6] = [
        || Box::<Reference>::default(),
        || Box::new(KernelXdp::default()),
        || Box::new(PROACTIVE),
        || Box::new(REACTIVE),
        || Box::new(OVS_EBPF),
        || Box::new(OVS_EBPF_CORE),
    ];
    let mut trials = Vec::new();
    for make in datapaths {
        let datapath = make();
        let (name, missing) = (datapath.name(), datapath.probe());
        for missing in &missing {
            eprintln!("ignored: {name} needs {missing}");
        }
        let ignored = !missing.is_empty();
        let installed = Trial::test(format!("{name}_flows_are_new_and_counted"), move || {
            flows_are_new_and_counted(&*make())
        });
        let learned = Trial::test(format!("{name}_learns_the_direct_path"), move || {
            learns_the_direct_path(&*make())
        });
        let judged = Trial::test(format!("{name}_flows_pass_access_lists"), move || {
            flows_pass_access_lists(&*make())
        });
        let all = [installed, learned, judged];
        trials.extend(all.map(|trial| trial.with_ignored_flag(ignored)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Frames per second: few enough for every datapath.
const LOAD: f64 = 2_000.0;
/// Passes until every flow has come through once, at the most: a stall may cost frames in some of them.
const PASSES: u32 = 30;

struct Deployed {
    running: Box<dyn Running>,
    tester: Box<dyn Tester>,
    _lab: Option<VethLab>,
}

fn deploy(datapath: &dyn Datapath, flows: &Flows, layout: &Layout) -> Result<Deployed, Failed> {
    let workload = flows.workload(layout)?;
    let topology = flows.topology();
    let provision = topology.provision(topology.under_test().ok_or("no droplet under test")?);
    let cpus = allowed_cpus()?;
    let cpu = |number: usize| cpus.get(number).copied().unwrap_or(Cpu(0));
    if datapath.ports() == datapath_api::PortType::Rings {
        let (uplink, tester_uplink) = ring::port(512);
        let (endpoint, tester_endpoint) = ring::port(512);
        let ports = DropletPorts::Rings {
            uplink,
            endpoints: vec![endpoint],
        };
        let running = datapath.install(ports, &provision, cpu(1))?;
        let ends = vec![tester_uplink, tester_endpoint];
        return Ok(Deployed {
            running,
            tester: Box::new(RingTester::new(ends, &workload, false, cpu(0))),
            _lab: None,
        });
    }
    let lab = VethLab::new(1)?;
    let placement = TesterCpus {
        generator: cpu(0),
        sinks: cpu(0),
    };
    let tester = VethTester::new(lab.tester(), &workload, false, placement)?;
    Ok(Deployed {
        running: datapath.install(lab.ports(), &provision, cpu(1))?,
        tester: Box::new(tester),
        _lab: Some(lab),
    })
}

impl Deployed {
    fn offer(&mut self, first: u32, frames: u32, watch: Watch) -> Result<Report, Failed> {
        let report = self.tester.offer(&Offer {
            load: Pps::new(LOAD)?,
            duration: Duration::from_secs_f64(f64::from(frames) / LOAD),
            first_entry: first,
            watch,
        })?;
        let arrived = &report.arrived;
        if arrived.corrupted + arrived.foreign + arrived.duplicates > 0 {
            return Err(format!("frames that must not be: {report:?}").into());
        }
        Ok(report)
    }

    /// Passes over frames until as many direct paths are there as `wanted`.
    fn install(&mut self, first: u32, frames: u32, wanted: usize) -> Result<(), Failed> {
        let mut held = 0;
        for _ in 0..PASSES {
            self.offer(first, frames, Watch::Counts)?;
            held = self.running.direct_paths()?.len();
            if held == wanted {
                return Ok(());
            }
        }
        Err(format!("{held} direct paths and not {wanted}").into())
    }
}

/// Installs flows, and then sends new ones: each of them is a direct path more.
fn flows_are_new_and_counted(datapath: &dyn Datapath) -> Result<(), Failed> {
    let flows = Flows::new(1)?;
    let layout = Layout {
        traffic: Traffic::NewSources,
        installed: 300,
        pairs: 50,
        episodes: 0,
        rounds: 0,
        fresh: 200,
    };
    let mut deployed = deploy(datapath, &flows, &layout)?;
    deployed.install(0, layout.installed, 300)?;
    // A pair is one flow more, and not two.
    deployed.install(layout.first_pair(), 2 * layout.pairs, 350)?;
    deployed.install(layout.first_fresh(), layout.fresh, 550)?;
    // Those that were installed first are still known.
    deployed.install(0, layout.installed, 550)?;
    let paths = deployed.running.direct_paths()?;
    let peers: HashSet<_> = paths.iter().map(|path| path.ip).collect();
    if peers.len() != 550 || paths.iter().any(|path| path.host != flows.peers_host()) {
        return Err("direct paths lead elsewhere".into());
    }
    Ok(deployed.running.stop()?)
}

/// New flows from another network arrive, however many rules come before the one that allows them.
fn flows_pass_access_lists(datapath: &dyn Datapath) -> Result<(), Failed> {
    let traffic = Traffic::NewSourcesPastRules(996);
    let flows = Flows::past(1, traffic.rules())?;
    let layout = Layout {
        traffic,
        installed: 0,
        pairs: 0,
        episodes: 0,
        rounds: 0,
        fresh: 200,
    };
    let mut deployed = deploy(datapath, &flows, &layout)?;
    let mut received = 0;
    for _ in 0..PASSES {
        received = deployed
            .offer(0, layout.fresh, Watch::Counts)?
            .arrived
            .received;
        if received == u64::from(layout.fresh) {
            return Ok(deployed.running.stop()?);
        }
    }
    Err(format!("{received} of {} frames came through", layout.fresh).into())
}

/// Frames to a peer go by the bouncer until the peer has answered, and then straight.
fn learns_the_direct_path(datapath: &dyn Datapath) -> Result<(), Failed> {
    let flows = Flows::new(1)?;
    let layout = Layout {
        traffic: Traffic::NewDestinations,
        installed: 0,
        pairs: 0,
        episodes: 1,
        rounds: 2_000,
        fresh: 0,
    };
    let mut deployed = deploy(datapath, &flows, &layout)?;
    let watch = Watch::DirectPath {
        round: LEARNED_TOGETHER,
        host: flows.peers_host().ip,
    };
    let early = deployed.offer(0, LEARNED_TOGETHER, watch)?;
    if early.direct.iter().sum::<u64>() != 0 {
        return Err("a path was known before anybody told of it".into());
    }
    let rest = layout.frames() - LEARNED_TOGETHER;
    let report = deployed.offer(LEARNED_TOGETHER, rest, watch)?;
    if !report.direct.contains(&u64::from(LEARNED_TOGETHER)) {
        return Err(format!(
            "not all paths were learned: {} arrived",
            report.arrived.received
        )
        .into());
    }
    if deployed.running.direct_paths()?.len() != LEARNED_TOGETHER as usize {
        return Err("another number of direct paths than of peers".into());
    }
    Ok(deployed.running.stop()?)
}
