//! Whole overlays on live packets: every droplet with a datapath of its own, frames from endpoint to endpoint.

mod events;
#[path = "../common/missing.rs"]
mod missing;

use datapath_api::{Datapath, Running};
use harness::environment::Placement;
use harness::health::{Finding, HealthChecks};
use harness::lab::OverlayLab;
use harness::overlay::Overlay;
use harness::record::EventKind;
use harness::registry;
use harness::run::learning;
use harness::search::Pps;
use harness::tester::{FrameSize, Offer, Tester, VethTester, Watch, Workload};
use harness::verify::{self, Report};
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Interface, PacketSocket};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::frame::FrameLen;
use topologies::provision::Extensions;
use topologies::topology::{DirectPathState, Parameters, Topology};

/// Flows of each direction.
const FLOWS: u32 = 16;
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Overlays that every datapath carries. In `mixed` its neighbours have another; access lists stand in the way in `guarded`,
/// which is inter-network otherwise, and in `shortcut`, which has ways around its divider.
const OVERLAYS: [&str; 5] = ["direct", "guarded", "shortcut", "fan", "mixed"];
const SHORTCUT: &str = include_str!("../../../topologies/testdata/shortcut.toml");

/// What every datapath is tried in beside carrying overlays.
type PerDatapath = (&'static str, fn(&str) -> Result<(), Failed>);
const PER_DATAPATH: [PerDatapath; 7] = [
    ("access_lists_change", access_lists_change),
    ("access_lists_with_extensions", access_lists_with_extensions),
    ("dead_hosts_are_found", events::dead_hosts),
    ("deleted_endpoints_get_nothing", events::deleted),
    ("stale_paths_heal", events::stale_paths_heal),
    ("short_header", short_header),
    ("short_header_goes_to_who_reads_it", lengths),
];

fn main() {
    let (mut trials, mut ignored) = (Vec::new(), BTreeSet::new());
    for entry in registry::all() {
        let datapath = entry.datapath;
        if !Overlay::takes(datapath.as_ref()) {
            continue;
        }
        let name = datapath.name();
        let is_ignored = missing::lacks_something(name);
        if is_ignored {
            ignored.insert(name);
        }
        for topology in OVERLAYS {
            let trial = Trial::test(format!("{name}::{topology}"), move || carry(name, topology));
            let is_too_much = topology == "fan" && datapath.polls_busily();
            if is_too_much {
                eprintln!("{name}::{topology} is ignored: ten that poll would share a processor");
            }
            trials.push(trial.with_ignored_flag(is_too_much || is_ignored));
        }
        for (what, test) in PER_DATAPATH {
            let trial = Trial::test(format!("{name}::{what}"), move || test(name));
            trials.push(trial.with_ignored_flag(is_ignored));
        }
    }
    let is_ignored = ignored.contains("kernel-xdp");
    let mut add = |name: &str, test: fn() -> Result<(), Failed>| {
        trials.push(Trial::test(name, test).with_ignored_flag(is_ignored));
    };
    add("a_cut_way_loses_packets_until_it_is_mended", cut);
    add("what_goes_wrong_is_said_with_the_droplets_name", wrong);
    add("a_parted_underlay_is_said", parted);
    add("events_do_to_packets_what_they_must", events::all);
    add(
        "who_was_found_dead_is_found_alive_once_it_answers",
        alive_again,
    );
    add("frames_grow_older_from_droplet_to_droplet", ages);
    add("flows_that_go_both_ways_find_their_direct_path", learning);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn datapath(name: &str) -> Result<Box<dyn Datapath>, Failed> {
    let mut found = registry::select(&[name.to_owned()])?;
    Ok(found.pop().ok_or("it is gone")?)
}

fn carry(name: &str, topology: &str) -> Result<(), Failed> {
    verified(name, &overlay(topology)?)
}

/// What access lists deny comes in by no way, whatever droplets tell each other of ways around the divider.
fn access_lists_with_extensions(name: &str) -> Result<(), Failed> {
    verified(name, &overlay("shortcut")?.with_extensions(Extensions::ALL))
}

fn overlay(name: &str) -> Result<Topology, Failed> {
    let parameters = Parameters::new(FLOWS, FLOWS)?;
    Ok(match name {
        "shortcut" => Topology::parse("shortcut.toml", SHORTCUT, parameters)?,
        built_in => catalogue::find(built_in, parameters)?,
    })
}

/// Every frame of the topology's corpus fares as the oracle says.
fn verified(name: &str, topology: &Topology) -> Result<(), Failed> {
    let datapath = datapath(name)?;
    let report = verify::overlay::check(datapath.as_ref(), topology, FLOWS, None);
    // Each flow in several lengths, and the packets between droplets once in each state.
    let at_least = u64::from(FLOWS) * topology.direct_path_states().len() as u64;
    let Report { passed, .. } = report;
    if report.objection().is_some() || passed < at_least {
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        return Err(format!("{report}\n{}", failures.join("\n")).into());
    }
    Ok(())
}

/// Without its bouncer no packet arrives, and the underlay says where they end.
fn cut() -> Result<(), Failed> {
    let topology = catalogue::find("bounce", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Cold);
    let lab = OverlayLab::of(&topology)?;
    let mut sockets = Vec::new();
    for (_, end) in &lab.tester().ends {
        end.enable_napi()?;
        sockets.push(PacketSocket::at(end)?);
    }
    let datapath = datapath("kernel-xdp")?;
    let mut overlay = Overlay::install(datapath.as_ref(), &topology, &lab, Placement::choose()?)?;
    let (left, bouncer) = (0, 2);
    let traffic = topology.traffic();
    let frame = traffic.first().ok_or("no traffic")?.frame(0, FrameLen::MIN);
    let send = |overlay: &mut Overlay, is_cut: bool| -> Result<bool, Failed> {
        overlay.underlay().cut(left, bouncer, is_cut)?;
        let before = overlay.crossed()?;
        sockets[0].send(&frame)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            // Whatever becomes of it is counted.
            let crossed = overlay.crossed()?.since(&before);
            if crossed.cut > 0 {
                return Ok(false);
            }
            if crossed.between[bouncer][1] > 0 {
                let got = sockets[1].wait(PATIENCE)?;
                return Ok(got.is_some_and(|got| got == frame));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err("the frame is lost, and nobody counted it".into())
    };
    for (is_cut, arrives) in [(false, true), (true, false), (false, true)] {
        if send(&mut overlay, is_cut)? != arrives {
            return Err(format!("cut: {is_cut}, but arrived: {}", !arrives).into());
        }
    }
    Box::new(overlay).stop()?;
    Ok(())
}

/// Once the link of an uplink is down, a trial is no figure of the datapath: who looks is told where.
fn parted() -> Result<(), Failed> {
    let topology = catalogue::find("bounce", Parameters::default())?;
    let lab = OverlayLab::of(&topology)?;
    let datapath = datapath("kernel-xdp")?;
    let overlay = Overlay::install(datapath.as_ref(), &topology, &lab, Placement::choose()?)?;
    overlay.check()?;
    let right = lab.wire().get(1).ok_or("no uplink")?;
    netdev::set_down(right)?;
    let said = overlay.check().err().ok_or("nothing was said")?.to_string();
    if !said.contains("the underlay") || !said.contains("no way to right") {
        return Err(said.into());
    }
    netdev::set_up(right)?;
    overlay.check()?;
    // Nobody looked meanwhile.
    netdev::set_down(right)?;
    netdev::set_up(right)?;
    let said = overlay.check().err().ok_or("nothing was said")?.to_string();
    if !said.contains("the underlay") || !said.contains("for a while there was no way to right") {
        return Err(said.into());
    }
    overlay.check()?;
    Box::new(overlay).stop()?;
    Ok(())
}

/// A host whose ways are cut is found dead by who has a direct path there, and alive once they are mended.
fn alive_again() -> Result<(), Failed> {
    let topology = catalogue::find("bounce", Parameters::default())?;
    let topology = topology
        .in_state(DirectPathState::Warm)
        .with_extensions(Extensions::ALL)
        .with_health_endpoints();
    let (left, right) = (0, 1);
    let lab = OverlayLab::of(&topology)?;
    let began = Instant::now();
    let clock = || began.elapsed().as_nanos() as u64;
    let mut checks = HealthChecks::begin(&topology, &lab, clock())?;
    let datapath = datapath("kernel-xdp")?;
    let mut overlay = Overlay::install(datapath.as_ref(), &topology, &lab, Placement::choose()?)?;
    for is_dead in [true, false] {
        for other in 0..topology.droplets().len() {
            overlay.underlay().cut(right, other, is_dead)?;
            overlay.underlay().cut(other, right, is_dead)?;
        }
        let expected = Finding {
            by: left,
            host: right,
            is_dead,
        };
        let since = Instant::now();
        while !checks
            .step(clock, |droplet| overlay.hosts_by_direct_path(droplet))?
            .contains(&expected)
        {
            if since.elapsed() > PATIENCE {
                return Err(format!("no {expected:?}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let dead = checks.dead(left);
        let told = if is_dead {
            vec![topology.droplets()[right].host.ip]
        } else {
            Vec::new()
        };
        if dead != told {
            return Err(format!("{is_dead}: {dead:?}").into());
        }
    }
    Box::new(overlay).stop()?;
    Ok(())
}

/// Once access lists have come, changed or gone, nothing comes in that they deny, whatever a datapath remembers of its flow.
fn access_lists_change(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("guarded", Parameters::default())?.both_ways();
    let found = verify::overlay::check_access_changes(datapath(name)?.as_ref(), &topology);
    eprintln!(
        "{name}: the last one that is denied came {:?} after the change",
        found.last
    );
    let report = found.report;
    if report.objection().is_some() || report.passed < 100 {
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        return Err(format!("{report}\n{}", failures.join("\n")).into());
    }
    Ok(())
}

/// Where all droplets have all extensions, frames of one network go with the short header, also between different datapaths,
/// and get to an endpoint that moved: none is lost.
fn short_header(name: &str) -> Result<(), Failed> {
    let datapath = datapath(name)?;
    for about_receiver in ["", "datapath = \"kernel-xdp\"\n"] {
        let topology = extended("bounce", about_receiver)?.both_ways();
        let mut events = topology.events().iter();
        let migration = events.find(|event| event.kind == EventKind::Migration);
        let migration = migration.ok_or("nothing migrates")?;
        let report = verify::overlay::check_event(&*datapath, &topology, migration, FLOWS);
        if report.objection().is_some() || report.passed < u64::from(FLOWS) {
            let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
            return Err(format!("{report}\n{}", failures.join("\n")).into());
        }
    }
    Ok(())
}

/// A topology within one network whose flows have found their direct paths, and whose droplets have all extensions, but for
/// the receiver, about which something more may be said.
fn extended(name: &str, about_receiver: &str) -> Result<Topology, Failed> {
    let overlays = catalogue::OVERLAYS.iter();
    let entry = overlays.clone().find(|entry| entry.name == name);
    let text = entry.ok_or("no such topology")?.text;
    let receiver = "name = \"right\"\n";
    let text = text.replacen(receiver, &format!("{receiver}{about_receiver}"), 1);
    let topology = Topology::parse(name, &text, Parameters::new(FLOWS, FLOWS)?)?;
    Ok(topology
        .in_state(DirectPathState::Warm)
        .with_extensions(Extensions::ALL))
}

/// Packets of a direct path are 98 bytes longer than their frames where the other end reads the short header, and 114 where it
/// is as Mizar's.
fn lengths(name: &str) -> Result<(), Failed> {
    for (about_receiver, outer) in [("", 98), ("stock = true\n", 114)] {
        let topology = extended("bounce", about_receiver)?;
        let lab = OverlayLab::of(&topology)?;
        let mut sockets = Vec::new();
        for (_, end) in &lab.tester().ends {
            end.enable_napi()?;
            sockets.push(PacketSocket::at(end)?);
        }
        let datapath = datapath(name)?;
        let overlay = Overlay::install(&*datapath, &topology, &lab, Placement::choose()?)?;
        let traffic = topology.traffic();
        let frame = traffic.first().ok_or("no traffic")?.frame(0, FrameLen::MIN);
        let uplink = lab.wire().first().ok_or("no droplet")?;
        let pass = || -> Result<(), Failed> {
            sockets[0].send(&frame)?;
            let began = Instant::now();
            while began.elapsed() < PATIENCE {
                if sockets[1].wait(PATIENCE)?.is_some_and(|got| got == frame) {
                    return Ok(());
                }
            }
            Err("a frame is lost".into())
        };
        pass()?;
        // Now and then the stack behind a droplet has something to say, too.
        let packets = 20;
        let began = Instant::now();
        let length = loop {
            let before = received(uplink)?;
            (0..packets).try_for_each(|_| pass())?;
            let after = received(uplink)?;
            if after.1 - before.1 == packets {
                break (after.0 - before.0) / packets;
            }
            if began.elapsed() > PATIENCE {
                return Err("something else is sent all the time".into());
            }
        };
        // The kernel counts the Ethernet header of a packet, too, if it came from a program at XDP.
        let ethernet = 14;
        let expected = frame.len() as u64 + outer;
        if !(expected - ethernet..=expected).contains(&length) {
            return Err(format!("{length} bytes of {expected}, \"{about_receiver}\"").into());
        }
        Box::new(overlay).stop()?;
    }
    Ok(())
}

/// Bytes and packets that a device received.
fn received(device: &Interface) -> Result<(u64, u64), Failed> {
    let read = || std::fs::read_to_string("/proc/thread-self/net/dev");
    let text = device.namespace().run(read)??;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let line = lines.find(|(name, _)| name.trim() == device.name());
    let mut numbers = line.ok_or("no such device")?.1.split_whitespace();
    let mut next = || numbers.next().ok_or("no number");
    Ok((next()?.parse()?, next()?.parse()?))
}

/// Frames grow older on their way from droplet to droplet, and the underlay sees each of them.
fn ages() -> Result<(), Failed> {
    let topology = catalogue::find("inter-network", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Cold);
    let placement = Placement::choose()?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    let lab = OverlayLab::of(&topology)?;
    let mut tester = VethTester::new(lab.tester(), &workload, false, placement.tester_cpus())?;
    let datapath = datapath("kernel-xdp")?;
    let mut overlay = Overlay::install(datapath.as_ref(), &topology, &lab, placement)?;
    let mut offer = Offer {
        load: Pps::new(1_000.0)?,
        duration: Duration::from_millis(200),
        first_entry: 0,
        watch: Watch::Counts,
    };
    tester.offer(&offer)?;
    if overlay.hops()?.iter().any(|hop| hop.ages.frames > 0) {
        return Err("ages were taken though nobody asked for them".into());
    }
    overlay.underlay().sum_ages(true)?;
    offer.watch = Watch::Latency;
    let report = tester.offer(&offer)?;
    let hops = overlay.hops()?;
    let mut before = 0.0;
    for droplet in ["green-bouncer", "divider", "amber-bouncer", "right"] {
        let hop = hops.iter().find(|hop| hop.droplet == droplet);
        let hop = hop.ok_or_else(|| format!("there is no {droplet}"))?;
        let mean = hop.ages.mean_ns().unwrap_or(0.0);
        if hop.ages.frames != report.arrived.received || mean <= before {
            return Err(format!("{droplet}: {report:?}, {hops:?}").into());
        }
        before = mean;
    }
    let slowest = report.latency.map_or(0, |latency| latency.max_ns);
    if before >= slowest as f64 {
        return Err(format!("{slowest} ns at the most, {hops:?}").into());
    }
    Box::new(overlay).stop()?;
    Ok(())
}

/// The first frames go by bouncers, and those after them do not.
fn learning() -> Result<(), Failed> {
    let datapath = datapath("kernel-xdp")?;
    for topology in ["bounce", "inter-network"] {
        let topology = catalogue::find(topology, Parameters::default())?;
        let watched = learning::Watched {
            topology: &topology.in_state(DirectPathState::Cold),
            size: FrameSize::Bytes(64),
            seed: 1,
            duration: Duration::from_millis(600),
            carries: None,
            meeting: None,
        };
        let record = watched.of(datapath.as_ref(), "learning", Placement::choose()?)?;
        let is_found = record.by_detour > 0 && record.by_detour < record.offered / 2;
        if !is_found || record.until_ms <= 0.0 {
            return Err(format!("{record:?}").into());
        }
    }
    Ok(())
}

/// A topology that names a datapath which there is not, and a datapath that cannot be a droplet of an overlay.
fn wrong() -> Result<(), Failed> {
    let text = catalogue::OVERLAYS
        .iter()
        .find(|entry| entry.name == "mixed")
        .ok_or("no such topology")?
        .text
        .replace("kernel-xdp", "carrier-pigeon");
    let topology = Topology::parse("mixed.toml", &text, Parameters::default())?;
    let lab = OverlayLab::of(&topology)?;
    let datapath = datapath("kernel-xdp")?;
    let installed = Overlay::install(datapath.as_ref(), &topology, &lab, Placement::choose()?);
    let error = installed.err().ok_or("it was installed")?.to_string();
    if !error.starts_with("droplet \"right\": there is no datapath `carrier-pigeon`") {
        return Err(error.into());
    }
    let reference = self::datapath("reference")?;
    let report = verify::overlay::check(reference.as_ref(), &topology, 1, None);
    let skipped = report.skipped.first().ok_or("it was verified")?;
    if skipped.1 != "its ports are rings, and droplets are joined by veth" {
        return Err(skipped.1.clone().into());
    }
    Ok(())
}
