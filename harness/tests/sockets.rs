//! Sockets at the endpoints of overlays: what they get through, what is refused, and what is said when it breaks. Needs
//! root, the BPF programs and what each datapath needs; a test that cannot run here is reported as ignored. No verdict
//! depends on speed.

mod common;
#[path = "common/missing.rs"]
mod missing;

use common::Wrapped;
use datapath_api::{Counters, Datapath, Error, Outcome, Running};
use harness::environment::Placement;
use harness::overlay::Overlay;
use harness::profile::Profile;
use harness::registry;
use harness::run::Silent;
use harness::sockets::exchange::{self, Span};
use harness::sockets::mtu::{Mtu, Mtus};
use harness::sockets::record::{Failed, Job, Record, Recorded};
use harness::sockets::{Plan, Setting, Trouble, probe, run, socket};
use libtest_mimic::{Arguments, Failed as TestFailed, Trial};
use netdev::{Tid, set_mtu};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::provision::{DirectPath, Port, Provision};
use topologies::topology::{DirectPathState, Parameters, Topology};

type Result<T = ()> = std::result::Result<T, TestFailed>;

/// Overlays that every datapath carries sockets over.
const OVERLAYS: [&str; 3] = ["direct", "inter-network", "guarded"];
/// Everything that client and server do.
const JOBS: [Job; 4] = [
    Job::Streams { streams: 1 },
    Job::Streams { streams: 3 },
    Job::RequestResponse,
    Job::Connections,
];
/// Long enough for something to happen.
const SPAN: Span = Span {
    ramp: Duration::from_millis(50),
    window: Duration::from_millis(250),
};

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
            let carried = move || carries(name, topology);
            let trial = Trial::test(format!("{name}::{topology}"), carried);
            let is_too_much = topology != "direct" && datapath.polls_busily();
            if is_too_much {
                eprintln!("{name}::{topology} is ignored: five that poll would share a processor");
            }
            trials.push(trial.with_ignored_flag(is_too_much || is_ignored));
        }
    }
    let [no_programs, no_switch] = ["kernel-xdp", "openflow"].map(|it| ignored.contains(it));
    let mut add = |name: &str, test: fn() -> Result, is_ignored: bool| {
        if is_ignored {
            eprintln!("{name} is ignored: a datapath that it is made with cannot run here");
        }
        trials.push(Trial::test(name, test).with_ignored_flag(is_ignored));
    };
    add(
        "packets_go_by_the_bouncer_or_past_it",
        by_the_bouncer,
        no_programs,
    );
    add(
        "endpoints_of_a_network_find_each_other_by_arp",
        arp,
        no_programs,
    );
    add(
        "a_size_that_does_not_get_through_is_said",
        size,
        no_programs,
    );
    add("an_mtu_that_does_not_fit_is_refused", refused, false);
    add(
        "a_topology_without_endpoints_is_refused",
        no_endpoints,
        false,
    );
    add("a_run_leaves_figures_and_nothing_else", whole, no_programs);
    add(
        "a_switch_killed_in_mid_stream_fails_and_the_run_goes_on",
        killed,
        no_programs || no_switch,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check(holds: bool, what: impl Into<TestFailed>) -> Result {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn datapath(name: &str) -> Result<Box<dyn Datapath>> {
    let mut found = registry::select(&[name.to_owned()])?;
    Ok(found.pop().ok_or("it is gone")?)
}

fn topology(name: &str) -> Result<Topology> {
    Ok(catalogue::find(name, Parameters::default())?)
}

fn mtus() -> Result<Mtus> {
    Ok(Mtus::new(Mtu::ETHERNET, Mtu::UNDERLAY)?)
}

/// In each state of the direct path: what arrives is right and came by the droplets on the way, and every job gets done.
fn carries(name: &str, overlay: &str) -> Result {
    let (datapath, topology) = (datapath(name)?, topology(overlay)?);
    for state in topology.direct_path_states() {
        let topology = topology.clone().in_state(*state);
        let placement = Placement::choose()?;
        let setting = Setting::overlay(datapath.as_ref(), &topology, mtus()?, placement)?;
        probe::check(&setting, mtus()?)?;
        for job in JOBS {
            let done = exchange::measure(&setting, job, SPAN, &|| false)?;
            check(done.count > 0, format!("{job:?} came to nothing"))?;
            let timed = done.latency.is_some();
            let is_stream = matches!(job, Job::Streams { .. });
            check(timed != is_stream, format!("{job:?}: latency {timed}"))?;
            check(!done.endpoints.is_zero(), "the endpoints took no time")?;
            let droplets = topology.droplets().len();
            check(done.hops.len() == droplets, format!("{:?}", done.hops))?;
        }
        setting.stop()?;
    }
    Ok(())
}

/// Without the direct path all packets go by the bouncer, however much is answered; with it none does.
fn by_the_bouncer() -> Result {
    let (left, right, bouncer) = (0, 1, 2);
    for state in [DirectPathState::Cold, DirectPathState::Warm] {
        let topology = topology("bounce")?.in_state(state);
        let datapath = datapath("kernel-xdp")?;
        let setting =
            Setting::overlay(datapath.as_ref(), &topology, mtus()?, Placement::choose()?)?;
        let checked = probe::check(&setting, mtus()?)?;
        exchange::measure(&setting, Job::RequestResponse, SPAN, &|| false)?;
        let crossed = setting.crossed()?.ok_or("there is no underlay")?;
        let straight = crossed.between[left][right] + crossed.between[right][left];
        let bounced = crossed.between[left][bouncer] + crossed.between[bouncer][right];
        let (all, none) = match state {
            DirectPathState::Cold => (bounced, straight),
            DirectPathState::Warm => (straight, bounced),
        };
        let told = format!("{state:?}: {crossed:?}");
        check(none == 0 && all > checked.segments, told)?;
        setting.stop()?;
    }
    Ok(())
}

/// The client asks for the server's Ethernet address, and gets the right one from whoever answers.
fn arp() -> Result {
    for (name, state) in [
        ("direct", DirectPathState::Warm),
        ("bounce", DirectPathState::Cold),
    ] {
        let topology = topology(name)?.in_state(state);
        let flow = topology.traffic()[0].flows.flow(0);
        let datapath = datapath("kernel-xdp")?;
        let setting =
            Setting::overlay(datapath.as_ref(), &topology, mtus()?, Placement::choose()?)?;
        let neighbours = || -> Result<String> {
            let namespace = setting.client().namespace();
            let read = || std::fs::read_to_string("/proc/thread-self/net/arp");
            Ok(namespace.run(read)??)
        };
        let address = flow.dst_ip.to_string();
        check(!neighbours()?.contains(&address), "it is known before")?;
        probe::check(&setting, mtus()?)?;
        let known = neighbours()?;
        let line = known.lines().find(|line| line.starts_with(&address));
        let line = line.ok_or_else(|| format!("{name}: {known}"))?;
        // 2: complete, and not permanent.
        let is_right = line.contains(&flow.dst_mac.to_string()) && line.contains(" 0x2 ");
        check(is_right, format!("{name}: {line}"))?;
        setting.stop()?;
    }
    Ok(())
}

/// An underlay that carries less than it says is found before anything is measured.
fn size() -> Result {
    let datapath = datapath("kernel-xdp")?;
    let shrink =
        |inner: &dyn Datapath, ports: datapath_api::DropletPorts, provision: &Provision, cpu| {
            if let datapath_api::DropletPorts::Veth(ports) = &ports {
                let small = set_mtu(&ports.uplink, 1000);
                small.map_err(|error| Error::failed("shrinking an uplink", error))?;
            }
            inner.install(ports, provision, cpu)
        };
    let datapath = Wrapped {
        inner: datapath,
        install: shrink,
    };
    let topology = topology("direct")?;
    let setting = Setting::overlay(&datapath, &topology, mtus()?, Placement::choose()?)?;
    match probe::check(&setting, mtus()?) {
        // Devices let a VLAN tag more through than their MTU says.
        Err(Trouble::Size { mtu, longest }) => {
            let told = format!("{mtu}, {longest}");
            check(mtu == Mtu::ETHERNET && (886..=890).contains(&longest), told)
        }
        other => Err(format!("{other:?}").into()),
    }
}

fn bench(arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let ran = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("sockets")
        .args(arguments)
        .output()?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Ok((ran.status.code(), said))
}

fn refused() -> Result {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let out = out.to_str().ok_or("a folder without a name")?;
    let (code, said) = bench(&["--underlay-mtu", "1600", "--out", out])?;
    check(code == Some(2), format!("{code:?}: {said}"))?;
    for wanted in ["1500", "1600", "--underlay-mtu 1614", "--endpoint-mtu 1486"] {
        check(said.contains(wanted), said.clone())?;
    }
    check(
        !std::path::Path::new(out).exists(),
        "something was measured",
    )
}

fn no_endpoints() -> Result {
    let (code, said) = bench(&["--topology", "encap"])?;
    let is_said = said.contains("encap has no flow from endpoint to endpoint");
    check(code == Some(2) && is_said, format!("{code:?}: {said}"))
}

/// How many namespaces this process holds, and how many threads it has.
fn held() -> Result<(usize, usize)> {
    let files = std::fs::read_dir("/proc/self/fd")?.flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let namespaces = links.filter(|link| link.to_string_lossy().starts_with("net:"));
    Ok((
        namespaces.count(),
        Tid::of_process(std::process::id())?.len(),
    ))
}

/// An error if this process holds more than `before`. A thread that ends is counted for a moment.
fn nothing_is_left(before: (usize, usize)) -> Result {
    let began = Instant::now();
    loop {
        let after = held()?;
        if after.0 <= before.0 && after.1 <= before.1 {
            return Ok(());
        }
        let told = format!("before {before:?}, after {after:?}");
        check(began.elapsed() < socket::PATIENCE, told)?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A run with no overlay and a datapath: figures of every job, which the report has, and nothing left in this process.
fn whole() -> Result {
    let before = held()?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let plan = Plan {
        profile: Profile::Smoke,
        datapaths: vec![datapath("kernel-xdp")?, datapath("reference")?],
        topology: topology("direct")?,
        mtus: mtus()?,
        streams: 2,
        command: Vec::new(),
    };
    let summary = run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let told = format!("{summary:?}");
    check(summary.failures == 0 && summary.results == 8, told)?;
    let recorded = Recorded::read(&out)?;
    check(recorded.damage == Default::default(), "records are damaged")?;
    let written = harness::report::sockets::write(&out)?;
    let page = std::fs::read_to_string(written.html)?;
    for wanted in ["no overlay", "kernel-xdp", "reference: its ports are rings"] {
        check(
            page.contains(wanted),
            format!("{wanted} is not in the report"),
        )?;
    }
    check(written.plot.is_some(), "there is no picture")?;
    nothing_is_left(before)
}

/// A droplet whose switch is killed a moment after it was looked at for the time `at`.
struct Doomed {
    inner: Box<dyn Running>,
    looks: Arc<AtomicU32>,
    at: u32,
}

impl Running for Doomed {
    fn counters(&mut self) -> std::result::Result<Counters, Error> {
        self.inner.counters()
    }

    fn direct_paths(&mut self) -> std::result::Result<Vec<DirectPath>, Error> {
        self.inner.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> std::result::Result<Outcome, Error> {
        self.inner.inject(port, frame)
    }

    fn check(&self) -> std::result::Result<(), Error> {
        let alive = self.inner.check();
        if self.looks.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            for thread in self.inner.threads() {
                if thread.name() == "ovs-vswitchd" {
                    // SAFETY: a child of this process; its keeper has not waited for it, or it would not be there.
                    unsafe { libc::kill(thread.number(), libc::SIGKILL) };
                }
            }
        }
        alive
    }

    fn threads(&self) -> Vec<Tid> {
        self.inner.threads()
    }

    fn stop(self: Box<Self>) -> std::result::Result<(), Error> {
        self.inner.stop()
    }
}

fn killed() -> Result {
    let before = held()?;
    let looks = Arc::new(AtomicU32::new(0));
    let install = move |inner: &dyn Datapath, ports, provision: &Provision, cpu| {
        let inner = inner.install(ports, provision, cpu)?;
        let looks = Arc::clone(&looks);
        // Both droplets count: by then a stream runs.
        Ok(Box::new(Doomed {
            inner,
            looks,
            at: 14,
        }) as Box<dyn Running>)
    };
    let doomed = Wrapped {
        inner: datapath("openflow")?,
        install,
    };
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let plan = Plan {
        profile: Profile::Smoke,
        datapaths: vec![Box::new(doomed), datapath("kernel-xdp")?],
        topology: topology("direct")?,
        mtus: mtus()?,
        streams: 1,
        command: Vec::new(),
    };
    let summary = run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let told = format!("{summary:?}");
    check(summary.failures == 1 && !summary.interrupted, told)?;
    let records = Recorded::read(&out)?.records;
    let failed = records.iter().find_map(|record| match record {
        Record::Failed(failed) => Some(failed),
        _ => None,
    });
    let Failed {
        visit,
        doing,
        reason,
    } = failed.ok_or("no failure is recorded")?;
    let told = format!("{visit:?}, {doing}: {reason}");
    check(visit.datapath.as_deref() == Some("openflow"), told.clone())?;
    check(doing == "1 stream", told.clone())?;
    check(reason.contains("ovs-vswitchd ended"), told)?;
    let goes_on = records.iter().any(|record| {
        matches!(record, Record::Sample(it) if it.visit.datapath.as_deref() == Some("kernel-xdp"))
    });
    check(goes_on, "the other datapath was not measured")?;
    let written = harness::report::sockets::write(&out)?;
    let page = std::fs::read_to_string(written.markdown)?;
    check(
        page.contains("ovs-vswitchd ended"),
        "the report does not say it",
    )?;
    nothing_is_left(before)
}
