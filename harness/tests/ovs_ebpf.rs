//! The eBPF datapath behind Open vSwitch on live packets: that flows are followed, and that no packet follows a flow for long
//! once a rule was changed by hand.

use datapath_api::{Datapath, Enclosure, Outside, PORT_MTU, Running};
use datapath_ovs_ebpf::object::Hook;
use datapath_ovs_ebpf::running::Droplet;
use datapath_ovs_ebpf::{Asked, OVS_EBPF, OVS_EBPF_XDP};
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Cpu, allowed_cpus};
use std::process::Command;
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::frame::{self, FrameLen};
use topologies::provision::{Port, Provision};
use topologies::topology::Parameters;

/// After this time no packet follows a flow that a changed rule forbids. It is half a second and what the switch takes for
/// its flows, as a rule; a machine that stalls takes longer.
const STATED: Duration = Duration::from_secs(5);
/// Flows of the traffic.
const FLOWS: u32 = 100;
/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// For local experiments (IEEE 802, "Local Experimental EtherType 2").
const UNKNOWN_ETHERTYPE: [u8; 2] = 0x88b6_u16.to_be_bytes();
/// Beats all rules of the program.
const BY_HAND: &str = "priority=65535";

fn main() {
    let missing: Vec<_> = [OVS_EBPF, OVS_EBPF_XDP]
        .iter()
        .flat_map(Datapath::probe)
        .collect();
    if let Some(missing) = missing.first() {
        eprintln!("ignored: needs {missing}");
    }
    let mut trials = Vec::new();
    for (at, hook) in [("tc", Hook::Tc), ("xdp", Hook::Xdp)] {
        trials.push(Trial::test(
            format!("packets_follow_flows_and_rules_changed_by_hand_under_load_at_{at}"),
            move || changed_by_hand(hook),
        ));
    }
    trials.push(Trial::test("flows_of_the_core_are_followed", core));
    trials.push(Trial::test("flows_go_on_while_the_switch_hangs", hangs));
    trials.push(Trial::test(
        "flows_go_on_and_misses_are_counted_when_the_switch_is_dead",
        dies,
    ));
    trials.push(Trial::test(
        "a_frame_that_is_too_long_harms_no_other",
        too_long,
    ));
    let trials = trials
        .into_iter()
        .map(|trial| trial.with_ignored_flag(!missing.is_empty()))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// A droplet, and frames for it.
struct Live {
    outside: Outside,
    droplet: Droplet,
    frames: Vec<Vec<u8>>,
    port: Port,
}

impl Live {
    fn start(asked: Asked, hook: Hook) -> Result<Self, Failed> {
        let topology = catalogue::find("encap", Parameters::new(1, FLOWS)?)?;
        let provision: Provision =
            topology.provision(topology.under_test().ok_or("no droplet under test")?);
        let cpu: Cpu = *allowed_cpus()?.last().ok_or("no processor")?;
        let enclosure = Enclosure::new(&provision, 0)?;
        enclosure.take_redirected()?;
        let droplet = Droplet::attached(asked, hook, &enclosure.ports, &provision, cpu)?;
        let outside = enclosure.listen()?;
        let traffic = topology.traffic();
        let direction = traffic.first().ok_or("no traffic")?;
        Ok(Self {
            outside,
            droplet,
            frames: (0..FLOWS)
                .map(|number| direction.frame(number, FrameLen::MIN))
                .collect(),
            port: direction.ingress,
        })
    }

    /// Sends each frame once; how many frames came out of the uplink meanwhile.
    fn pass(&self) -> Result<usize, Failed> {
        let socket = self.outside.socket(self.port)?;
        for frame in &self.frames {
            socket.send(frame)?;
        }
        // Ten thousand frames a second or so, whatever becomes of them.
        std::thread::sleep(Duration::from_millis(10));
        let received = self.outside.receive()?;
        Ok(received
            .iter()
            .filter(|(port, _)| *port == Port::Uplink)
            .count())
    }

    /// Passes until this holds of one; how long that took.
    fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&mut Self, usize) -> Result<bool, Failed>,
    ) -> Result<Duration, Failed> {
        let began = Instant::now();
        loop {
            let received = self.pass()?;
            if holds(self, received)? {
                return Ok(began.elapsed());
            }
            if began.elapsed() > PATIENCE {
                let flows = self.droplet.flows()?.unwrap_or_default().join("\n");
                return Err(format!("{what}: not after {PATIENCE:?}; the last {received} frames of {FLOWS} came out\n{flows}").into());
            }
            self.droplet.check()?;
        }
    }

    /// Packets that followed flows.
    fn followed(&mut self) -> Result<u64, Failed> {
        let flows = self.droplet.flows()?.ok_or("no table of flows")?;
        let packets = |flow: &String| -> Option<u64> {
            let (_, rest) = flow.split_once(", packets:")?;
            rest.split_once(',')?.0.parse().ok()
        };
        Ok(flows.iter().filter_map(packets).sum())
    }

    /// Runs Open vSwitch's own program on the overlay bridge, as a user would.
    fn by_hand(&self, command: &str, rule: &str) -> Result<(), Failed> {
        let bridge = self.droplet.bridge().ok_or("no bridge")?;
        let output = Command::new("ovs-ofctl")
            .args(["--protocols=OpenFlow14", command])
            .arg(format!("unix:{}", bridge.display()))
            .arg(rule)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}

fn changed_by_hand(hook: Hook) -> Result<(), Failed> {
    let mut live = Live::start(Asked::Switch, hook)?;
    let all = |live: &mut Live, received: usize| {
        let followed = live.followed()?;
        Ok(received == FLOWS as usize && followed >= u64::from(FLOWS))
    };
    live.until("all come out, by flows", all)?;
    let before = live.followed()?;
    live.until("they go on to be followed", move |live, _| {
        Ok(live.followed()? > before + 10 * u64::from(FLOWS))
    })?;

    // Frames go on to come while the rule is changed, and after.
    live.by_hand("add-flow", &format!("table=0,{BY_HAND},actions=drop"))?;
    let took = live.until("none comes out any more", |live, received| {
        // What is on its way still comes.
        Ok(received == 0 && live.pass()? == 0)
    })?;
    println!("at {hook:?} the last packet by an old flow came {took:?} after the rule");
    if took > STATED {
        return Err(format!("packets followed old flows for {took:?}").into());
    }
    for _ in 0..20 {
        if live.pass()? > 0 {
            return Err("frames came out after none had come".into());
        }
    }

    live.by_hand("del-flows", "table=0")
        .and_then(|()| live.by_hand("add-flow", &format!("table=0,{BY_HAND},actions=in_port")))?;
    live.until("they come back by their own port", |live, _| {
        let flows = live.droplet.flows()?.unwrap_or_default();
        let is_back = |flow: &String| {
            let number = |at: &str, end: char| {
                let (_, rest) = flow.split_once(at)?;
                Some(rest.split(end).next()?.to_owned())
            };
            number("in_port(", ')').is_some_and(|port| flow.ends_with(&format!("actions:{port}")))
                && !flow.contains("packets:0,")
        };
        Ok(flows.iter().any(is_back))
    })?;
    Box::new(live.droplet).stop()?;
    Ok(())
}

fn core() -> Result<(), Failed> {
    let mut live = Live::start(Asked::Core, Hook::Tc)?;
    let before = live.pass()?;
    live.until("all come out, by flows", |live, received| {
        Ok(received == FLOWS as usize && live.followed()? >= 10 * u64::from(FLOWS))
    })?;
    let counters = live.droplet.counters()?;
    let followed = live.followed()?;
    if counters.encapsulated < followed + u64::from(FLOWS) {
        let reason = format!("{followed} by flows, first {before} by the core, but {counters:?}");
        return Err(reason.into());
    }
    Box::new(live.droplet).stop()?;
    Ok(())
}

fn hangs() -> Result<(), Failed> {
    let mut live = Live::start(Asked::Switch, Hook::Tc)?;
    live.until("all come out, by flows", |live, received| {
        Ok(received == FLOWS as usize && live.followed()? >= u64::from(FLOWS))
    })?;
    // The main thread of the switch is the first; all stop.
    let switch = *live.droplet.threads().first().ok_or("no thread")?;
    switch.pause_process(true)?;
    let passes: Result<Vec<_>, _> = (0..20).map(|_| live.pass()).collect();
    switch.pause_process(false)?;
    let came: usize = passes?.iter().sum();
    if came < 10 * FLOWS as usize {
        return Err(format!("{came} frames of {} came out", 20 * FLOWS).into());
    }
    Box::new(live.droplet).stop()?;
    Ok(())
}

fn dies() -> Result<(), Failed> {
    let mut live = Live::start(Asked::Switch, Hook::Tc)?;
    live.until("all come out, by flows", |live, received| {
        Ok(received == FLOWS as usize && live.followed()? >= u64::from(FLOWS))
    })?;
    let before = live.droplet.counters()?;
    // The main thread of the switch is the first.
    let switch = *live.droplet.threads().first().ok_or("no thread")?;
    // SAFETY: has no preconditions; it is a process that this one started.
    unsafe { libc::kill(switch.number(), libc::SIGKILL) };
    let began = Instant::now();
    while live.droplet.check().is_ok() {
        if began.elapsed() > PATIENCE {
            return Err("nobody noticed that the switch is dead".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let passes: Result<Vec<_>, _> = (0..20).map(|_| live.pass()).collect();
    let came: usize = passes?.iter().sum();
    if came < 10 * FLOWS as usize {
        return Err(format!("{came} frames of {} came out", 20 * FLOWS).into());
    }
    // What has no flow: of a kind that nobody sent before.
    let missed = 100;
    let mut frame = live.frames.first().ok_or("no frame")?.clone();
    frame[12..14].copy_from_slice(&UNKNOWN_ETHERTYPE);
    for _ in 0..missed {
        live.outside.socket(live.port)?.send(&frame)?;
    }
    loop {
        let after = live.droplet.counters()?;
        let lost = after.refused_total() - before.refused_total();
        if lost >= missed && after.encapsulated >= before.encapsulated + came as u64 {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(
                format!("{missed} had no flow, {came} had one; {before:?}, {after:?}").into(),
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn too_long() -> Result<(), Failed> {
    let mut live = Live::start(Asked::Core, Hook::Tc)?;
    let direction = catalogue::find("encap", Parameters::new(1, FLOWS)?)?.traffic();
    let direction = direction.first().ok_or("no traffic")?;
    // With outer headers it is more than the uplink carries.
    let payload = vec![0; usize::from(PORT_MTU) - 50];
    let frame = frame::inner_with_payload(&direction.flows.flow(0), &payload);
    let socket = live.outside.socket(live.port)?;
    for _ in 0..3 {
        socket.send(&frame)?;
    }
    live.until("the others come out", |_, received| {
        Ok(received == FLOWS as usize)
    })?;
    let counters = live.droplet.counters()?;
    if counters.refused_total() == 0 {
        return Err(format!("nothing was refused: {counters:?}").into());
    }
    Box::new(live.droplet).stop()?;
    Ok(())
}
