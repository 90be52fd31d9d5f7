//! Bridges, ports, addresses and neighbours of an instance.

use super::Io;
use super::ports::Ports;
use super::running::Plan;
use crate::database::{Bridge, Port};
use crate::flow::{Action, Field, Match, PortNumber, Priority, Rule, Table};
use crate::openflow::{Change, Connection, Filter, Monitor};
use crate::program::{self, Program, Tunnel, table};
use crate::settings::{for_another, other_config};
use crate::statistics::Tally;
use crate::{Error, Instance};
use netdev::{Cpu, Hugepages, add_neighbour, device, set_up, set_up_with_address};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use topologies::provision::{DirectPath, Host};

/// The bridge with the uplink. Its own interface has the droplet's underlay address.
pub const UNDERLAY: &str = "br-phy";
/// The bridge with endpoints and tunnels.
const OVERLAY: &str = "br-int";
/// Seconds after which the switch forgets a neighbour: the most that it takes.
const NEIGHBOUR_AGE: u64 = 3600;
/// A table that no rule sends packets to.
const UNREACHED: Table = Table(250);
/// How long the switch may take to notice an address.
const PATIENCE: Duration = Duration::from_secs(30);
/// When neighbours are told again.
const TELL_AGAIN: Duration = Duration::from_secs(NEIGHBOUR_AGE / 3);

/// An instance that forwards by a program.
pub struct Switch {
    pub instance: Instance,
    // Given back when the switch has ended.
    _memory: Option<Hugepages>,
    pub overlay: Connection,
    pub underlay: Connection,
    /// What threads and caches counted, where the userspace datapath forwards.
    pub tally: Option<Tally>,
    /// Those that it is told, again and again.
    neighbours: Vec<Host>,
    /// What it has, but for what it learned.
    program: Program,
    /// What it had learned when it was asked last.
    learned: Vec<String>,
    told: Instant,
}

impl Switch {
    /// Starts an instance with its ports on `ports`, on `cpu` if one is given, and loads `program`. `marker` is what
    /// the overlay bridge does with a marker, where [`super::injection`] sends some.
    pub fn start(
        plan: &Plan<'_>,
        ports: &Ports,
        program: &Program,
        cpu: Option<Cpu>,
        marker: Option<Action>,
    ) -> Result<Self, Error> {
        let (io, host) = (ports.io, plan.provision.host);
        let other_config = match io {
            Io::Internal => for_another(cpu),
            _ => other_config(cpu, io.hugepages()),
        };
        let start = || -> Result<Instance, Error> {
            let (installation, namespace) = (&plan.installation, &ports.namespace);
            let instance = Instance::start(installation, namespace, cpu, &other_config)?;
            add_bridges(&instance, ports, host, program).map_err(|e| instance.with_log(e))?;
            Ok(instance)
        };
        // It has what it asks for once it has devices.
        let (memory, instance) = match io.hugepages() {
            Some(mebibytes) => {
                let (memory, instance) = Hugepages::taken_by(mebibytes, start)?;
                (Some(memory), instance)
            }
            None => (None, start()?),
        };
        if io == Io::Internal {
            // Before the address, which is waited for: when the switch has noticed that, it has noticed these, and no
            // longer judges its flows anew for them while packets come.
            for port in ports.endpoints.iter().chain([&ports.uplink]) {
                set_up(&device(&ports.namespace, &port.name)?)?;
            }
        }
        set_up_with_address(&ports.namespace, UNDERLAY, host.ip.into(), 0)?;
        // Every droplet is a neighbour: there is one wire.
        if io == Io::Kernel {
            // Its tunnels ask the stack, which has the route by the address.
            for Host { ip, mac } in &program.neighbours {
                add_neighbour(&ports.namespace, UNDERLAY, (*ip).into(), mac.octets())?;
            }
        } else {
            add_route(&instance)?;
            instance.control("tnl/neigh/aging", &[&NEIGHBOUR_AGE.to_string()])?;
        }
        if let Some(before) = plan.before {
            before(&instance, OVERLAY)?;
        }
        let mut overlay = Connection::open(&instance.management_socket(OVERLAY))?;
        let mut underlay = Connection::open(&instance.management_socket(UNDERLAY))?;
        for bridge in [&mut overlay, &mut underlay] {
            bridge.match_first_fragments()?;
        }
        overlay.set_tlv_table(&program::options())?;
        let (mut over, mut under) = (program.overlay.clone(), program.underlay.clone());
        if let Some(action) = marker {
            over.push(on_marker(action));
            under.push(on_marker(send_back()));
            under.push(mute());
        }
        let add = |rules: Vec<Rule>| rules.into_iter().map(Change::Add).collect::<Vec<_>>();
        overlay.change_atomically(&add(over))?;
        underlay.change_atomically(&add(under))?;
        let mut switch = Self {
            instance,
            _memory: memory,
            overlay,
            underlay,
            // What a switch counts for another datapath says nothing of that one.
            tally: (!matches!(io, Io::Kernel | Io::Internal)).then(Tally::default),
            neighbours: match io {
                Io::Kernel => Vec::new(),
                _ => program.neighbours.clone(),
            },
            program: program.clone(),
            learned: Vec::new(),
            told: Instant::now(),
        };
        switch.tell_neighbours()?;
        Ok(switch)
    }

    /// Changes the rules of its program to those of `after`, at once. Direct paths that it had from the start stay.
    pub fn update(&mut self, after: Program) -> Result<(), Error> {
        if self.program.tunnels != after.tunnels {
            return Err(Error::OpenFlow {
                doing: "updating rules".to_owned(),
                reason: "other classes of service need other tunnel ports".to_owned(),
            });
        }
        let changes = program::changes(&self.program.overlay, &after.overlay);
        self.overlay.change_atomically(&changes)?;
        let new = after
            .neighbours
            .iter()
            .filter(|it| !self.program.neighbours.contains(it));
        let new: Vec<Host> = new.copied().collect();
        if !new.is_empty() {
            self.neighbours.extend(new);
            self.tell_neighbours()?;
        }
        self.program = after;
        Ok(())
    }

    /// Has the switch look at all cached flows now: they report what they counted and end if rules changed. It does so
    /// by itself twice a second; a changed rule, even one that no packet reaches, makes it begin at once.
    pub fn settle(&mut self) -> Result<(), Error> {
        let rule = Rule {
            table: UNREACHED,
            ..rule(Match::all(), Vec::new())
        };
        // The round that ends first may have begun before; the next one did not. The end of a round is asked for before it
        // is begun: of few flows it is over at once, and who asks then waits for the one half a second later.
        for _ in 0..2 {
            let end = self.instance.ask("revalidator/wait", &[])?;
            self.overlay.change(&Change::Add(rule.clone()))?;
            self.overlay.barrier()?;
            end.answer()?;
        }
        Ok(())
    }

    /// Where a controller of the overlay bridge connects to.
    pub fn controller_socket(&self) -> PathBuf {
        self.instance.management_socket(OVERLAY)
    }

    /// The direct paths that rules have, in no order.
    pub fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        let rules = self.overlay.rules(&Filter::table(table::DIRECT))?;
        Ok(program::direct_paths(rules.iter().map(|stats| &stats.rule)))
    }

    /// Whether the rules that packets taught are others than when this was asked last.
    pub fn has_learned(&mut self) -> Result<bool, Error> {
        let learned = Filter::table(table::DIRECT).with_cookie(program::cookie::LEARNED_PATH);
        let rules = self.overlay.rules(&learned)?;
        let mut words: Vec<_> = rules.iter().map(|it| it.rule.to_string()).collect();
        words.sort_unstable();
        let has_learned = words != self.learned;
        self.learned = words;
        Ok(has_learned)
    }

    /// Told of every change of a rule of either bridge.
    pub fn monitors(&self) -> Result<[Monitor; 2], Error> {
        let open = |bridge| Monitor::open(&self.instance.management_socket(bridge));
        Ok([open(OVERLAY)?, open(UNDERLAY)?])
    }

    /// Empties the cache of flows.
    pub fn forget_flows(&self) -> Result<(), Error> {
        self.instance.control("revalidator/purge", &[]).map(|_| ())
    }

    fn tell_neighbours(&mut self) -> Result<(), Error> {
        for Host { ip, mac } in &self.neighbours {
            let arguments = [UNDERLAY, &ip.to_string(), &mac.to_string()];
            self.instance.control("tnl/neigh/set", &arguments)?;
        }
        self.told = Instant::now();
        Ok(())
    }

    /// Tells neighbours again before the switch forgets them.
    pub fn keep_neighbours(&mut self) -> Result<(), Error> {
        if self.told.elapsed() > TELL_AGAIN {
            self.tell_neighbours()?;
        }
        Ok(())
    }
}

/// The switch takes the route only once it has noticed the interface's address.
fn add_route(instance: &Instance) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match instance.control("ovs/route/add", &["0.0.0.0/0", UNDERLAY]) {
            Err(Error::Control { .. }) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            result => return result.map(|_| ()),
        }
    }
}

fn add_bridges(
    instance: &Instance,
    ports: &Ports,
    host: Host,
    program: &Program,
) -> Result<(), Error> {
    let mut database = instance.database()?;
    let hardware = host.mac.to_string();
    let datapath_type = ports.io.datapath_type();
    database.add_bridge(
        &Bridge {
            name: UNDERLAY,
            datapath_type,
            other_config: &[("hwaddr", &hardware)],
        },
        std::slice::from_ref(&ports.uplink),
    )?;
    let address = host.ip.to_string();
    let tunnels = program.tunnels.iter().map(|tunnel| Port {
        name: format!("geneve{}", tunnel.number.0),
        interface_type: "geneve",
        options: options(tunnel, &address),
        // A port has a number below `OFPP_MAX`, which fits.
        number: tunnel.number.0 as u16,
        mtu: None,
    });
    let all: Vec<Port> = ports.endpoints.iter().cloned().chain(tunnels).collect();
    let bridge = Bridge {
        name: OVERLAY,
        datapath_type,
        other_config: &[],
    };
    database.add_bridge(&bridge, &all)?;
    if ports.io == Io::VhostUser {
        let all = ports.endpoints.iter().chain([&ports.uplink]);
        database.wait_until_up(all.map(|port| port.name.as_str()))?;
    }
    Ok(())
}

/// Options of a tunnel's interface: ovs-vswitchd.conf.db(5), "Tunnel Options".
fn options(tunnel: &Tunnel, address: &str) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("remote_ip", "flow".to_owned()),
        ("local_ip", address.to_owned()),
        ("ttl", "inherit".to_owned()),
        ("df_default", "false".to_owned()),
        ("csum", "false".to_owned()),
    ];
    if tunnel.tos != 0 {
        options.push(("tos", format!("{:#x}", tunnel.tos)));
    }
    match tunnel.receives {
        None => options.push(("key", "flow".to_owned())),
        Some(vni) => {
            options.push(("in_key", vni.to_string()));
            options.push(("out_key", "flow".to_owned()));
        }
    }
    options
}

/// EtherType for local experiments (IEEE 802, clause 9.2.4): of frames that mark where others end.
pub const MARKER: u16 = 0x88b5;

/// Sends a packet back by the port that it came by.
pub fn send_back() -> Action {
    Action::Output(PortNumber::IN_PORT)
}

fn on_marker(action: Action) -> Rule {
    rule(Match::all().with(Field::EthType, MARKER), vec![action])
}

/// Keeps what the stack has to say from the wire: it may say it at any time.
fn mute() -> Rule {
    let own_arp = Match::all()
        .with(Field::InPort, PortNumber::LOCAL.0)
        .with(Field::EthType, 0x0806u16);
    rule(own_arp, Vec::new())
}

fn rule(matches: Match, actions: Vec<Action>) -> Rule {
    Rule {
        table: Table(0),
        priority: Priority(u16::MAX),
        cookie: program::cookie::UNCOUNTED,
        idle_timeout: 0,
        hard_timeout: 0,
        matches,
        actions,
    }
}
