//! The questions that people ask about datapaths for this overlay, answered with the figures of the gallery.
//!
//! The words are written here, and every figure and every comparison comes from a run: where one was not made, or does not
//! decide, the answer says so.

mod facts;
mod gallery;
mod overlays;
#[cfg(test)]
mod tests;

pub use gallery::{Error, Gallery};

use crate::decide::{self, BUILT_IN, FlowSetups, Requirements};
use crate::record::PortType;
use crate::report::RunFolder;
use crate::report::inside::flows;
use crate::report::text;
use crate::report::units::{fixed, integer};
use facts::{Facts, NONE, ceiling, idle, nanoseconds, of, p99, rate, ratio, table, verdicts};
use std::path::Path;

/// The page, in Markdown.
#[must_use]
pub fn page(gallery: &Gallery) -> String {
    let mut out = String::from(
        "# Questions, and what was measured\n\n\
         This page is written by `bench questions results` from the runs in [results](results/README.md), so that it says \
         what they say. All figures are from one machine with two processors and veth or vhost-user ports: they compare \
         datapaths there, and say nothing absolute about another machine. `cargo xtask gallery` makes the runs and this page \
         anew, on yours.\n\n\
         A rate is the highest at which at most 0.5 percent of the frames are lost: the median of the rounds in which datapaths \
         were measured against each other, with its interval (sign test, 95 percent, each for itself); so are processor time and \
         latency. Behind a ratio stands its interval, of all pairs together at 95 percent; it is of rounds too, and not the ratio of \
         two medians. ≥ says that the tester may have set a rate. A figure without an interval is that of one trial. What a search \
         found is what came through at its lower bound, and may lie a little below that.\n\n",
    );
    if let Some(run) = &gallery.alone {
        let environment = &run.run.environment;
        out.push_str(&format!(
            "Measured with profile {} on {}, {}, kernel {}, {}.\n\n",
            run.run.profile,
            environment.cpu_model,
            text::count(environment.cpus as u64, "processor", "processors"),
            environment.kernel,
            run.run.started
        ));
        if let Some(reason) = Facts::of(run).unfit() {
            out.push_str(&format!("**Nothing follows from that run: {reason}.**\n\n"));
        }
    }
    out.push_str(&adapter(gallery));
    out.push_str(&which(gallery));
    out.push_str(&direct_path(gallery));
    out.push_str(&divider(gallery));
    out.push_str(&openflow(gallery));
    out.push_str(&hook(gallery));
    out
}

/// What stands in place of an answer.
fn not_measured(command: &str) -> String {
    format!("Not in the gallery. `{command}` measures it.\n\n")
}

/// What an engineer who knows Open vSwitch would take `openflow` for, and is not.
const KERNEL_DATAPATH: &str = "`openflow` and `openflow-reactive` are Open vSwitch's userspace datapath with AF_PACKET ports, \
     which costs system calls for frames; its kernel datapath, which many hosts have, was not measured, for the machine has no \
     such module (`openflow-kernel`, where there is one). How fast that is does not follow from any figure here.";

const STANDARD: &str = "cargo xtask bench --profile standard";
const OVERLAYS: &str =
    "cargo xtask bench --topology bounce --topology inter-network --profile quick";
const FLOW_SETUP: &str = "cargo xtask bench flow-setup";
const STAGES: &str = "cargo xtask bench stages";

/// What these datapaths carry in all scenarios on ports of a kind, and the ratio of the first two.
fn rates(facts: &Facts<'_>, ports: PortType, names: &[&str]) -> String {
    let names = facts.measured(names);
    let mut titles = vec!["Scenario".to_owned()];
    titles.extend(names.iter().map(|name| format!("{name}, Mpps")));
    if let [one, other, ..] = names.as_slice() {
        titles.push(format!("{one} / {other}"));
    }
    titles.push("the tester's ceiling".to_owned());
    let rows = facts.scenarios(ports).into_iter().map(|scenario| {
        let mut row = vec![scenario.id.to_owned()];
        row.extend(names.iter().map(|name| rate(of(scenario, name))));
        if let [one, other, ..] = names.as_slice() {
            row.push(ratio(scenario, one, other));
        }
        row.push(ceiling(scenario));
        row
    });
    table(&titles, &rows.collect::<Vec<_>>())
}

/// What datapaths cost in a scenario.
fn costs(facts: &Facts<'_>, scenario: &str, names: &[&str]) -> String {
    let titles = [
        "Datapath",
        "Mpps",
        "processor time of a frame, ns",
        "p99 at half of PDR, µs",
        "processor while idle",
    ];
    let rows = facts.measured(names).into_iter().map(|name| {
        let cell = facts.cell(scenario, name);
        vec![
            name.to_owned(),
            rate(cell),
            nanoseconds(cell),
            p99(cell),
            idle(cell),
        ]
    });
    table(&titles.map(str::to_owned), &rows.collect::<Vec<_>>())
}

fn adapter(gallery: &Gallery) -> String {
    let mut out = String::from(
        "## What does a Mizar datapath of its own give over Open vSwitch on DPDK, and how large is the difference?\n\n",
    );
    let Some(run) = &gallery.alone else {
        return out + &not_measured(STANDARD);
    };
    let facts = Facts::of(run);
    let ports = PortType::VhostUser;
    let scenarios = facts.scenarios(ports);
    out.push_str(&format!(
        "On vhost-user ports, as virtual machines have them: {} {}\n\n",
        verdicts(&scenarios, "mizar-dpdk", "ovs-dpdk"),
        verdicts(&scenarios, "mizar-capsule", "ovs-dpdk")
    ));
    out.push_str(&rates(
        &facts,
        ports,
        &["mizar-dpdk", "ovs-dpdk", "mizar-capsule"],
    ));
    out.push_str("Frames of 64 bytes of one flow, on a host:\n\n");
    let names = ["mizar-dpdk", "mizar-capsule", "ovs-dpdk"];
    out.push_str(&costs(&facts, "vtep/64B/1-flow", &names));
    out.push_str(
        "The Mizar core decides about a frame in one lookup of an established flow; the switch looks for a megaflow, and \
         does what that says. What the switch gives for that is OpenFlow, OVSDB and all that is \
         built on them.\n\n",
    );
    out
}

fn which(gallery: &Gallery) -> String {
    let mut out = String::from(
        "## ovs-ebpf, ovs-dpdk, ovs-xdp or OpenFlow rules on a stock switch: which, when, and at what cost?\n\n",
    );
    let Some(run) = &gallery.alone else {
        return out + &not_measured(STANDARD);
    };
    let facts = Facts::of(run);
    out.push_str(
        "By the requirements of five sorts of users (`bench decide NAME` and the run's folder):\n\n",
    );
    let rows = BUILT_IN
        .iter()
        .map(|(name, _)| vec![(*name).to_owned(), chosen(run, name, gallery)]);
    let titles = ["Who", "Answer"].map(str::to_owned);
    out.push_str(&table(&titles, &rows.collect::<Vec<_>>()).replace("---:", "---"));
    out.push_str("On veth ports, as containers have them (`ovs-dpdk-veth` is `ovs-dpdk` there, by AF_XDP):\n\n");
    let names = [
        "ovs-ebpf",
        "openflow",
        "ovs-ebpf-xdp",
        "ovs-ebpf-core",
        "openflow-reactive",
        "ovs-xdp",
        "ovs-dpdk-veth",
        "kernel-xdp",
    ];
    out.push_str(&rates(&facts, PortType::Veth, &names));
    out.push_str("Frames of 64 bytes of one flow, on a host:\n\n");
    out.push_str(&costs(&facts, "vtep/64B/1-flow", &names));
    out.push_str(
        "Beside figures: `openflow` needs no module of the kernel; `ovs-xdp` and `ovs-dpdk-veth` poll, so that each has a whole processor \
         for itself, and DPDK needs hugepages; `ovs-ebpf` needs a kernel with BPF links at tc or XDP, and keeps the \
         switch's flows and control plane; `kernel-xdp` needs no switch and offers no OpenFlow.\n\n",
    );
    out.push_str(&format!("**Not measured:** {KERNEL_DATAPATH}\n\n"));
    out
}

/// What `bench decide` answers, in a sentence.
fn chosen(run: &RunFolder, name: &str, gallery: &Gallery) -> String {
    let requirements = match Requirements::find(Path::new(name)) {
        Ok(requirements) => requirements,
        Err(error) => return error.to_string(),
    };
    let decision = decide::decide(run, &requirements, gallery.flow_setup.as_ref());
    let answer = decide::answer(&decision);
    match decide::withheld(&decision) {
        Some(withheld) => format!("{answer}. {withheld}"),
        None => answer,
    }
}

fn direct_path(gallery: &Gallery) -> String {
    let mut out = String::from("## What is the direct path worth against the way by bouncers?\n\n");
    let Some(run) = &gallery.overlays else {
        return out + &not_measured(OVERLAYS);
    };
    let (off, on) = (("bounce", "direct-path-off"), ("bounce", "direct-path-on"));
    out.push_str(&overlays::compared(
        &Facts::of(run),
        ["without", "with the direct path"],
        [off, on],
    ));
    out.push_str(
        "Without the direct path each packet goes by a bouncer, a droplet more. With it, it goes straight to its host, and \
         outer headers are as long; droplets with the short header ([INVALIDATION.md](INVALIDATION.md)) send 98 bytes of them \
         instead of 114.\n\n",
    );
    out
}

fn divider(gallery: &Gallery) -> String {
    let mut out = String::from(
        "## Why does traffic between networks keep crossing the divider, and what does that cost?\n\n\
         Because access control between networks is evaluated there: a list of rules stands at the divider, which every packet \
         between networks passes, also by the direct path; each host of the network judges once more, since there are ways past a \
         divider. A direct path from host to host would leave only those.\n\n",
    );
    let Some(run) = &gallery.overlays else {
        return out + &not_measured(OVERLAYS);
    };
    let facts = Facts::of(run);
    out.push_str("The divider's part, where flows have found their direct path: from host to host within a network, against host, divider and host between two.\n\n");
    let within = ("bounce", "direct-path-on");
    let between = ("inter-network", "direct-path-on");
    out.push_str(&overlays::compared(
        &facts,
        ["within a network", "by the divider"],
        [within, between],
    ));
    out.push_str("What the direct path is worth between networks, where it leaves out both bouncers and not the divider:\n\n");
    let off = ("inter-network", "direct-path-off");
    out.push_str(&overlays::compared(
        &facts,
        ["without", "with the direct path"],
        [off, between],
    ));
    out
}

fn openflow(gallery: &Gallery) -> String {
    let mut out = String::from(
        "## Which Open vSwitch and which OpenFlow, and does OpenFlow cost performance?\n\n",
    );
    let Some(run) = &gallery.alone else {
        return out + &not_measured(STANDARD);
    };
    let facts = Facts::of(run);
    let version = facts.version("openflow").unwrap_or(NONE);
    out.push_str(&format!(
        "Measured with {version}, unchanged, and its userspace datapath; any from 3.1 on will do (README: which version, and why).\n\n\
         A packet of a flow that the switch knows is carried by a megaflow, whichever rules that was made from. `ovs-ebpf` and \
         `ovs-ebpf-core` are the same programs, with flows of the switch in one and of the Mizar core in the other: what lies \
         between the two is what their flows are like. Of one flow: {} {}\n\n",
        of_flows(&facts, "1"),
        wildcards(&facts)
    ));
    out.push_str(
        "For a flow that it does not know it costs an upcall, in which the packet goes through the rules.\n\n",
    );
    out.push_str(&match &gallery.flow_setup {
        None => not_measured(FLOW_SETUP),
        Some(setups) => new_flows(setups),
    });
    out
}

/// Who of the two carries more, of so many flows.
fn of_flows(facts: &Facts<'_>, flows: &str) -> String {
    let scenarios = facts.scenarios(PortType::Veth).into_iter();
    let alike = scenarios.filter(|it| it.info.is_some_and(|info| info.flows.to_string() == flows));
    verdicts(&alike.collect::<Vec<_>>(), BOTH[0], BOTH[1])
}

/// The same programs, with flows of the switch and of the core.
const BOTH: [&str; 2] = ["ovs-ebpf", "ovs-ebpf-core"];

/// Many flows, and how many entries each has for them.
fn wildcards(facts: &Facts<'_>) -> String {
    const MANY: &str = "10000";
    let scenario = format!("vtep/64B/{MANY}-flows");
    let entries = BOTH.map(|name| facts.cell(&scenario, name).and_then(flows));
    let [Some(switch), Some(core)] = entries else {
        return String::new();
    };
    let [switch, core] = [switch, core].map(integer);
    format!(
        "Of {MANY}: {} The switch covers them with {switch} flows that have wildcards, and the core has {core} that have none: \
         what makes a difference is how flows are cut, and not OpenFlow.",
        of_flows(facts, MANY)
    )
}

/// Bounds of a search that are as far apart say no more than the lower one.
const FAR_APART: f64 = 2.0;

/// How many new flows datapaths take.
fn new_flows(setups: &FlowSetups) -> String {
    let names = [
        "openflow",
        "openflow-reactive",
        "ovs-xdp",
        "ovs-ebpf",
        "ovs-ebpf-core",
        "kernel-xdp",
        "ovs-dpdk",
        "mizar-dpdk",
    ];
    let titles = [
        "Datapath",
        "ports",
        "new flows a second",
        "flows installed before",
        "the tester's ceiling",
        "its figure is in doubt",
    ];
    let rate = |rate: Option<f64>, none: &str| rate.map_or(none.to_owned(), |it| fixed(it, 0));
    let rows = names.iter().filter_map(|name| {
        let setup = setups.of(name)?;
        let bounds = [setup.lower, setup.upper].map(|bound| rate(bound, "?"));
        let figure = match setup.lower.zip(setup.upper) {
            Some((lower, upper)) if upper <= lower * FAR_APART => {
                format!("{} [{}]", fixed(setup.throughput, 0), bounds.join(", "))
            }
            _ => format!("at least {}", rate(setup.lower, NONE)),
        };
        Some(vec![
            (*name).to_owned(),
            setup.ports.to_string(),
            figure,
            integer(setup.installed.into()),
            rate(setup.ceiling, NONE),
            setup.doubt.unwrap_or_default().to_owned(),
        ])
    });
    format!(
        "New flows that leave an endpoint a second, with as few flows installed before as a rate was found with; in brackets the bounds \
         of the search, a rate that held and one that did not. Those on one kind of port must not be compared with those on \
         another, nor those with other numbers of flows before:\n\n{}",
        table(&titles.map(str::to_owned), &rows.collect::<Vec<_>>())
    )
}

fn hook(gallery: &Gallery) -> String {
    let mut out = String::from("## What does a frame cost in the core, and what in the hook?\n\n");
    let Some(stages) = &gallery.stages else {
        return out + &not_measured(STAGES);
    };
    out.push_str(&crate::report::stages::summary(stages));
    out.push_str("[Stage by stage](results/stages/stages.md).\n");
    out
}
