//! What goes wrong with a datapath on the way: the run says why, and goes on with the next. Needs root, the BPF programs
//! and Open vSwitch; a test that cannot run here is reported as ignored.

mod common;

use common::Wrapped;
use datapath_api::{
    Counters, Datapath, DropletPorts, Error, Missing, Outcome, PortType, Running, VethPorts,
};
use datapath_kernel_xdp::KernelXdp;
use datapath_mizar_dpdk::{Devices, Engine, MizarDpdk};
use datapath_openflow::{KERNEL, PROACTIVE, REACTIVE};
use datapath_ovs_ebpf::OVS_EBPF;
use datapath_ovs_xdp::OVS_XDP;
use datapath_reference::Reference;
use harness::flow_setup;
use harness::profile::Profile;
use harness::record::Record;
use harness::run::{Plan, Silent, Task, run};
use harness::tester::FrameSize;
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Cpu, Interface, Tid};
use ovs_adapter::Instance;
use ovs_adapter::droplet::{Io, install_after, install_rules};
use ovs_adapter::flow::{Cookie, Field, Match, Priority, Rule, Table};
use ovs_adapter::openflow::{Change, Connection};
use ovs_adapter::program::{self, Program};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use topologies::catalogue;
use topologies::provision::{DirectPath, Port, Provision};
use topologies::topology::{DirectPathState, Parameters, Topology};

fn main() {
    let missing = missing(&[&PROACTIVE, &OVS_XDP, &KernelXdp::default()]);
    let ignored = |trial: Trial| trial.with_ignored_flag(!missing.is_empty());
    let killed = |inner: fn() -> Box<dyn Datapath>, at, program: &'static str| {
        move || killed_mid_trial(inner(), at, program)
    };
    let mizar = MizarDpdk {
        engine: Engine::Burst,
        devices: Devices::VhostUser,
    };
    let missing_dpdk = self::missing(&[&mizar, &KernelXdp::default()]);
    let with_dpdk = |trial: Trial| trial.with_ignored_flag(!missing_dpdk.is_empty());
    let trials = vec![
        ignored(Trial::test(
            "a_switch_killed_in_a_later_trial_fails_and_the_run_goes_on",
            killed(|| Box::new(PROACTIVE), 5, "ovs-vswitchd"),
        )),
        ignored(Trial::test(
            "a_switch_killed_behind_programs_fails_and_the_run_goes_on",
            killed(|| Box::new(OVS_EBPF), 2, "ovs-vswitchd"),
        )),
        ignored(Trial::test(
            "a_polling_switch_killed_mid_trial_fails_and_the_run_goes_on",
            killed(|| Box::new(OVS_XDP), 1, "ovs-vswitchd"),
        )),
        ignored(Trial::test(
            "a_switch_killed_while_flows_are_set_up_fails_and_the_run_goes_on",
            killed_in_flow_setup,
        )),
        with_dpdk(Trial::test(
            "a_dpdk_process_killed_mid_trial_fails_and_the_run_goes_on",
            killed(
                || {
                    Box::new(MizarDpdk {
                        engine: Engine::Burst,
                        devices: Devices::Veth,
                    })
                },
                1,
                "dpdk-process",
            ),
        )),
        with_dpdk(Trial::test(
            "a_dpdk_tester_and_datapath_killed_mid_trial_fail_and_the_run_goes_on",
            killed(
                || {
                    Box::new(MizarDpdk {
                        engine: Engine::Capsule,
                        devices: Devices::VhostUser,
                    })
                },
                1,
                "dpdk-process",
            ),
        )),
        ignored(Trial::test(
            "an_underlay_that_parts_mid_run_is_blamed_and_no_datapath",
            parted_mid_run,
        )),
        ignored(Trial::test(
            "a_refused_rule_fails_and_the_run_goes_on",
            refused_rule,
        )),
        ignored(Trial::test(
            "a_full_table_fails_and_the_run_goes_on",
            full_table,
        )),
        ignored(Trial::test(
            "a_table_that_fills_up_mid_trial_fails_and_the_run_goes_on",
            filled_table,
        )),
        ignored(Trial::test(
            "a_taken_option_table_fails_and_the_run_goes_on",
            taken_options,
        )),
        ignored(Trial::test(
            "a_capability_that_is_missing_is_told",
            without_capability,
        )),
        Trial::test("a_kernel_without_the_datapath_is_told", || {
            let asked = netdev::has_generic_netlink_family("ovs_datapath")?;
            let told = KERNEL
                .probe()
                .iter()
                .any(|missing| missing.what.contains("openvswitch datapath"));
            check(
                asked != told,
                "what is missing is not what the kernel lacks",
            )
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// As for root in a container.
fn without_capability() -> Result<(), Failed> {
    let output = std::process::Command::new("setpriv")
        .args(["--bounding-set", "-net_admin", "--"])
        .arg(env!("CARGO_BIN_EXE_bench"))
        .args(["per-datapath", "--require", "kernel-xdp"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    check(output.status.code() == Some(3), &said)?;
    check(
        said.contains("NET_ADMIN") && said.contains("--cap-add NET_ADMIN"),
        &said,
    )
}

/// What these datapaths miss here, which is said.
fn missing(datapaths: &[&dyn Datapath]) -> Vec<Missing> {
    let missing: Vec<_> = datapaths.iter().flat_map(|it| it.probe()).collect();
    for missing in &missing {
        eprintln!("ignored: needs {missing}");
    }
    missing
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A datapath whose processes are killed shortly after its counters were read, or it was checked, for the time `at`.
fn doomed(inner: Box<dyn Datapath>, at: u32) -> Box<dyn Datapath> {
    hit(inner, at, |_| kill_own_processes())
}

/// What hits a droplet with this uplink, if it is a device.
type Blow = fn(Option<&Interface>);

/// A datapath that this hits shortly after its counters were read, or it was checked, for the time `at`.
fn hit(inner: Box<dyn Datapath>, at: u32, blow: Blow) -> Box<dyn Datapath> {
    let readings = Arc::new(AtomicU32::new(0));
    let install = move |inner: &dyn Datapath, ports: DropletPorts, provision: &Provision, cpu| {
        let detached = matches!(ports, DropletPorts::Detached);
        let uplink = match &ports {
            DropletPorts::Veth(ports) => Some(ports.uplink.clone()),
            _ => None,
        };
        let inner = inner.install(ports, provision, cpu)?;
        if detached {
            return Ok(inner);
        }
        Ok(Box::new(DoomedDroplet {
            inner,
            at,
            readings: Arc::clone(&readings),
            blow,
            uplink,
        }) as Box<dyn Running>)
    };
    Box::new(Wrapped { inner, install })
}

struct DoomedDroplet {
    inner: Box<dyn Running>,
    at: u32,
    readings: Arc<AtomicU32>,
    blow: Blow,
    uplink: Option<Interface>,
}

impl DoomedDroplet {
    fn count(&self) {
        if self.readings.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            let (blow, uplink) = (self.blow, self.uplink.clone());
            std::thread::spawn(move || {
                // A trial of this profile takes longer, with all that belongs to it.
                std::thread::sleep(Duration::from_millis(20));
                blow(uplink.as_ref());
            });
        }
    }
}

impl Running for DoomedDroplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        let counters = self.inner.counters();
        self.count();
        counters
    }

    fn check(&self) -> Result<(), Error> {
        let alive = self.inner.check();
        self.count();
        alive
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.inner.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        self.inner.inject(port, frame)
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.inner.settle()
    }

    fn threads(&self) -> Vec<Tid> {
        self.inner.threads()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.inner.stop()
    }
}

/// Each child of this process that forwards or tests.
fn own_processes() -> Vec<libc::pid_t> {
    let own = format!("PPid:\t{}", std::process::id());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
            let is_own = status.lines().any(|line| line == own);
            let name = status.lines().next()?.strip_prefix("Name:\t")?;
            let is_ours = ["ovs-vswitchd", "ovs-vswitchd-dp", "dpdk-process"].contains(&name);
            let pid = entry.file_name().to_str()?.parse().ok()?;
            (is_own && is_ours).then_some(pid)
        })
        .collect()
}

/// Pages that the machine's pool has.
fn hugepages() -> Result<String, Failed> {
    Ok(std::fs::read_to_string("/proc/sys/vm/nr_hugepages")?)
}

fn kill_own_processes() {
    for pid in own_processes() {
        // SAFETY: a child of this process; its keeper has not waited for it, or it would not be there.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

fn killed_mid_trial(inner: Box<dyn Datapath>, at: u32, program: &str) -> Result<(), Failed> {
    let ended = format!("{program} ended");
    let pages = hugepages()?;
    fails_and_the_run_goes_on(doomed(inner, at), 1, &[&ended, "signal: 9"])?;
    check(hugepages()? == pages, "hugepages stay reserved")
}

/// A short run of these in a topology.
fn smoke(datapaths: Vec<Box<dyn Datapath>>, topology: Topology) -> Plan {
    Plan {
        profile: Profile::Smoke,
        datapaths,
        scenarios: vec![Task::new(topology, FrameSize::Bytes(64), false)],
        seed: 1,
        measure_anyway: false,
        command: Vec::new(),
        meeting: None,
    }
}

/// Somebody takes a droplet's uplink down in a trial.
fn parted_mid_run() -> Result<(), Failed> {
    let topology = catalogue::find("direct", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Warm);
    let set_down = |uplink: Option<&Interface>| {
        if let Some(Err(error)) = uplink.map(netdev::set_down) {
            eprintln!("the uplink stays up: {error}");
        }
    };
    // Two droplets are checked after each trial: it is one of the third.
    let struck = hit(Box::new(KernelXdp::default()), 12, set_down);
    let plan = smoke(vec![struck], topology);
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let records = records(&out)?;
    let told = records.iter().find_map(|record| match record {
        Record::Failure(failure) => Some(failure.reason.as_str()),
        _ => None,
    });
    let told = told.ok_or("no failure is recorded")?;
    check(
        told.contains("the underlay: it is parted: there is no way to"),
        told,
    )?;
    check(!told.contains("the datapath"), told)?;
    let page = std::fs::read_to_string(harness::report::write(&out)?.html)?;
    check(page.contains("it is parted"), "the report does not say it")
}

/// Runs a datapath that fails, in `encap` with `flows`, and another one after it. The reason of its failure must hold
/// all of `reasons`.
fn fails_and_the_run_goes_on(
    doomed: Box<dyn Datapath>,
    flows: u32,
    reasons: &[&str],
) -> Result<(), Failed> {
    let name = doomed.name();
    let topology = catalogue::find("encap", Parameters::new(1, flows)?)?;
    let plan = smoke(vec![doomed, Box::<Reference>::default()], topology);
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let summary = run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let told = format!("{summary:?}");
    check(
        summary.failures == 1 && summary.results == 1 && !summary.interrupted,
        &told,
    )?;
    check(own_processes().is_empty(), "a process is left behind")?;
    let records = records(&out)?;
    let mut failures = records.iter().filter_map(|record| match record {
        Record::Failure(failure) => Some(failure),
        _ => None,
    });
    let failure = failures.next().ok_or("no failure is recorded")?;
    check(failures.next().is_none(), "more than one failure")?;
    check(failure.datapath == name, &failure.datapath)?;
    for reason in reasons {
        check(failure.reason.contains(reason), &failure.reason)?;
    }
    let result = records.iter().find_map(|record| match record {
        Record::Result(result) => Some(result.datapath.as_str()),
        _ => None,
    });
    check(result == Some("reference"), "not the result of the other")?;
    // The report says it as well.
    let written = harness::report::write(&out)?;
    let page = std::fs::read_to_string(written.html)?;
    let first = reasons.first().copied().unwrap_or_default();
    check(page.contains(first), "the report does not say it")
}

fn killed_in_flow_setup() -> Result<(), Failed> {
    let plan = flow_setup::Plan {
        rules: Vec::new(),
        profile: Profile::Smoke,
        datapaths: vec![
            doomed(Box::new(PROACTIVE), 2),
            Box::new(KernelXdp::default()),
        ],
        installed: vec![0],
        seed: 1,
        command: Vec::new(),
    };
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    flow_setup::run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let records = flow_setup::record::Recorded::read(&out)?.records;
    let failure = records.iter().find_map(|record| match record {
        flow_setup::record::Record::Failure(failure) => Some(failure),
        _ => None,
    });
    let failure = failure.ok_or("no failure is recorded")?;
    check(failure.datapath == "openflow", &failure.datapath)?;
    check(
        failure.reason.contains("ovs-vswitchd ended"),
        &failure.reason,
    )?;
    let measured = records.iter().any(|record| match record {
        flow_setup::record::Record::Cell(cell) => cell.datapath == "kernel-xdp",
        _ => false,
    });
    check(measured, "the other datapath is not measured")
}

/// A datapath on a switch that refuses something. It is verified as the reference is, which takes less time: what is
/// looked at is how the run takes it when the switch is to be measured.
struct Refused<F> {
    install: F,
}

impl<F> Datapath for Refused<F>
where
    F: Fn(&VethPorts, &Provision, Cpu) -> Result<Box<dyn Running>, Error> + Send + Sync,
{
    fn name(&self) -> &'static str {
        "refused"
    }

    fn summary(&self) -> &'static str {
        "a datapath on a switch that refuses something"
    }

    fn ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        String::new()
    }

    fn probe(&self) -> Vec<Missing> {
        Vec::new()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        match ports {
            DropletPorts::Veth(ports) => (self.install)(&ports, provision, cpu),
            other => Reference::default().install(other, provision, cpu),
        }
    }
}

/// A rule for TCP that does not say that it is about IPv4.
fn no_ether_type() -> Rule {
    Rule {
        table: Table(0),
        priority: Priority(77),
        cookie: Cookie(0),
        idle_timeout: 0,
        hard_timeout: 0,
        matches: Match::all().with(Field::IpProto, 6u8),
        actions: Vec::new(),
    }
}

fn refused_rule() -> Result<(), Failed> {
    let install = |ports: &VethPorts, provision: &Provision, cpu| {
        let mut rules = Program::proactive(provision)
            .map_err(|error| Error::failed("making rules", error))?
            .overlay;
        rules.insert(rules.len() / 2, no_ether_type());
        install_rules(Io::Packet, ports, provision, rules, cpu)
    };
    let rule = no_ether_type().to_string();
    let reasons = ["Open vSwitch refuses", &rule, "OFPBMC_BAD_PREREQ"];
    fails_and_the_run_goes_on(Box::new(Refused { install }), 1, &reasons)
}

/// Lets a table of a bridge have that many rules and no more.
fn limit(
    instance: &Instance,
    bridge: &str,
    table: u8,
    rules: u32,
) -> Result<(), ovs_adapter::Error> {
    let mut database = instance.database()?;
    let name = json!([["name", "==", bridge]]);
    let select = |column: &str| json!({"op": "select", "table": "Open_vSwitch", "where": [], "columns": [column]});
    let results = database.transact(
        "limiting a table",
        vec![
            json!({
                "op": "insert", "table": "Flow_Table", "uuid-name": "limited",
                "row": {"flow_limit": rules},
            }),
            json!({
                "op": "update", "table": "Bridge", "where": name,
                "row": {"flow_tables": ["map", [[table, ["named-uuid", "limited"]]]]},
            }),
            json!({
                "op": "mutate", "table": "Open_vSwitch", "where": [],
                "mutations": [["next_cfg", "+=", 1]],
            }),
            select("next_cfg"),
        ],
    )?;
    let number = |results: &[Value], column: &str| {
        let last = results.last();
        last.and_then(|last| last["rows"][0][column].as_i64())
    };
    let wanted = number(&results, "next_cfg");
    // The switch reads the database in its own time.
    while number(
        &database.transact("waiting", vec![select("cur_cfg")])?,
        "cur_cfg",
    ) < wanted
    {
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

const FULL: [&str; 3] = ["Open vSwitch refuses", "table=", "OFPFMFC_TABLE_FULL"];

fn full_table() -> Result<(), Failed> {
    let install = |ports: &VethPorts, provision: &Provision, cpu| {
        let before = |instance: &Instance, bridge: &str| limit(instance, bridge, 0, 2);
        install_after(&before, &PROACTIVE, ports, provision, cpu)
    };
    fails_and_the_run_goes_on(Box::new(Refused { install }), 1, &FULL)
}

/// With the core as controller each flow adds a rule, here to table 1.
fn filled_table() -> Result<(), Failed> {
    let install = |ports: &VethPorts, provision: &Provision, cpu| {
        let before = |instance: &Instance, bridge: &str| limit(instance, bridge, 1, 100);
        install_after(&before, &REACTIVE, ports, provision, cpu)
    };
    let reasons = [&["answering packet-ins"], &FULL[..]].concat();
    fails_and_the_run_goes_on(Box::new(Refused { install }), 256, &reasons)
}

fn taken_options() -> Result<(), Failed> {
    let install = |ports: &VethPorts, provision: &Provision, cpu| {
        let before = |instance: &Instance, bridge: &str| {
            let mut other = Connection::open(&instance.management_socket(bridge))?;
            other.set_tlv_table(&program::options())?;
            let user = Rule {
                matches: Match::all().with_present(program::RETURN),
                ..no_ether_type()
            };
            other.change_atomically(&[Change::Add(user)])
        };
        install_after(&before, &PROACTIVE, ports, provision, cpu)
    };
    let reasons = ["Open vSwitch refuses the TLV table", "delete them first"];
    fails_and_the_run_goes_on(Box::new(Refused { install }), 1, &reasons)
}

fn records(run: &Path) -> Result<Vec<Record>, Failed> {
    let lines = std::fs::read_to_string(run.join("trials.jsonl"))?;
    let read = |line: &str| serde_json::from_str(line).map_err(Failed::from);
    lines.lines().map(read).collect()
}
