//! What Open vSwitch on DPDK costs where ports cost nothing: frames from one null device to another, by one rule each way.
//! It is the most that it can reach with any ports.
//!
//! Needs root and an Open vSwitch that is linked with DPDK: `sudo cargo bench --package datapath-ovs-dpdk --bench null`.

use netdev::{Awake, Hugepages, Namespace, allowed_cpus};
use ovs_adapter::database::{Bridge, Port};
use ovs_adapter::flow::{Action, Cookie, Field, Match, PortNumber, Priority, Rule, Table};
use ovs_adapter::openflow::{Change, Connection};
use ovs_adapter::settings::other_config;
use ovs_adapter::statistics::Tally;
use ovs_adapter::{Flavour, Installation, Instance};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 5;
const TRIAL: Duration = Duration::from_secs(2);
const MEBIBYTES: u32 = 256;
const BRIDGE: &str = "br-null";
/// Numbers of the two ports.
const PORTS: [u16; 2] = [1, 2];

fn port(number: u16) -> Port {
    Port {
        name: format!("null{number}"),
        interface_type: "dpdk",
        options: vec![("dpdk-devargs", format!("net_null{number},size=64"))],
        number,
        mtu: None,
    }
}

fn rule([from, to]: [u16; 2]) -> Change {
    Change::Add(Rule {
        table: Table(0),
        priority: Priority(1),
        cookie: Cookie(0),
        idle_timeout: 0,
        hard_timeout: 0,
        matches: Match::all().with(Field::InPort, u32::from(from)),
        actions: vec![Action::Output(PortNumber(u32::from(to)))],
    })
}

fn main() -> Result<()> {
    let installation = match Installation::find(Flavour::Dpdk) {
        Ok(installation) => installation,
        Err(missing) => {
            println!("skipped: {missing}");
            return Ok(());
        }
    };
    let Some(cpu) = allowed_cpus()?.pop() else {
        return Err("no processor is allowed".into());
    };
    let _awake = Awake::hold()?;
    let _memory = Hugepages::reserve(MEBIBYTES)?;
    let namespace = Namespace::new()?;
    let settings = other_config(Some(cpu), Some(MEBIBYTES));
    let instance = Instance::start(&installation, &namespace, Some(cpu), &settings)?;
    let bridge = Bridge {
        name: BRIDGE,
        datapath_type: "netdev",
        other_config: &[],
    };
    instance.database()?.add_bridge(&bridge, &PORTS.map(port))?;
    let [one, two] = PORTS;
    let mut connection = Connection::open(&instance.management_socket(BRIDGE))?;
    connection.change_atomically(&[rule([one, two]), rule([two, one])])?;

    let mut tally = Tally::default();
    let mut rates = Vec::new();
    let mut cycles = Vec::new();
    for _ in 0..ROUNDS {
        let read = |tally: &mut Tally| -> Result<_> {
            let counted = tally
                .read(&instance)?
                .ok_or("statistics in no known form")?;
            Ok(counted.polling().ok_or("no thread polls")?)
        };
        let before = read(&mut tally)?;
        let began = Instant::now();
        std::thread::sleep(TRIAL);
        let elapsed = began.elapsed();
        let polled = read(&mut tally)?
            .since(before)
            .ok_or("counters went back")?;
        rates.push(polled.received as f64 / elapsed.as_secs_f64());
        cycles.push(polled.cycles_per_frame().ok_or("no frames")?);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    println!(
        "medians of {ROUNDS}: {:.1} Mpps, {:.0} cycles a packet",
        median(&mut rates) / 1e6,
        median(&mut cycles)
    );
    Ok(())
}
