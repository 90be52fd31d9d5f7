//! From what a droplet must know to the rules of a switch: the *proactive* pipeline.
//!
//! Everything is in the rules before the first packet comes. Direct paths are learned in the switch, by
//! `learn()`, from the return-to-sender option of packets that arrive.
//!
//! There are two bridges. [`underlay`] holds the uplink; its own interface has the droplet's underlay address,
//! which makes the switch take Geneve packets apart and put them together. The overlay bridge holds endpoints
//! and the tunnel ports:
//!
//! ```text
//!      endpoint                                     tunnel (a Geneve packet without its outer headers)
//!         │                                            │
//!    ┌────▼─────────────── CLASSIFY ───────────────────▼────┐  IPv4 and ARP; others end here
//!    │ VNI, options, labels, class     source, destination  │
//!    └────┬────────────────────────────────────────────┬────┘
//!       SOURCE                                         │
//!       POLICY (ct)                                 POLICY (ct), ACL     ARP: answered for endpoints
//!         │                                            │                 that are hosted elsewhere
//!       AGENT ──► DIRECT ──► PICK a bouncer        ENDPOINT ── hosted here ──► LEARN ──► deliver
//!         │          if there is no direct path        │
//!         │                                            ├── hosted elsewhere ──► SEND
//!         ▼                                            │
//!      AGENT_SEND ── the next host is this ──►         └── unknown ──► DIRECT, ROUTE: the network's
//!         │             droplet: ENDPOINT                  bouncers (LEARN, OWN) or the VPC's dividers
//!         ▼                                                   ▼
//!      tunnel                                               SEND ──► tunnel
//! ```
//!
//! `resubmit` calls a table and comes back, so tables serve as functions; what they return is in registers
//! ([`register`]). IPv4 and ARP share all tables behind CLASSIFY: both have their addresses in registers.
//!
//! Three properties of the switch shape the rules:
//!
//! - Options that arrived leave again unless they are changed, and survive `ct()`; but the switch caches those of the
//!   *first* packet and gives them to all that follow, unless a rule looked at them before. So every option is looked
//!   at, in the tables LOOK, before a packet is sent on or tracked.
//! - A packet's option must have the length that the TLV table says, or the packet is refused. Mizar writes an
//!   option that says nothing with type and length zero, so that type must not be in the table. What is to say
//!   nothing is sent as [`BLANK`], which keeps the others at their places.
//! - Outer time to live and type of service cannot be matched or set. The first is the inner packet's, by the
//!   tunnel's configuration; for the second there is a tunnel port for each class.

mod acl;
mod agent;
mod arp;
mod invalidation;
mod learning;
mod names;
mod policy;
mod route;
mod short_header;
mod transit;
pub mod underlay;

pub use names::{cookie, priority, register, table};

use crate::flow::{
    Action, Cookie, Field, Match, OPTION_LENGTHS, PortNumber, Priority, Rule, Slice, Table, Value,
};
use crate::openflow::{Change, TlvMapping};
use mizar_wire::{Ipv4, Mac, Vni};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use topologies::provision::{
    Cidr, Class, DirectPath, EndpointPort, Host, Network, Priority as Urgency, Provision,
};

/// An option that says nothing, in the place of return-to-sender: its type is none of Mizar's.
pub const BLANK: Field = Field::Option(0);
/// Return-to-sender.
pub const RETURN: Field = Field::Option(1);
/// Return-to-sender of a packet that came back, in the same place: `mizar_core::invalidation`.
pub const RETURNED: Field = Field::Option(2);
/// What says that the header is short, in the place of the next one: `mizar_core::short_header`.
pub const SHORT: Field = Field::Option(3);
/// Scaled endpoint.
pub const SCALED: Field = Field::Option(4);
/// Label of the pod.
pub const POD: Field = Field::Option(5);
/// Label of the namespace.
pub const NAMESPACE: Field = Field::Option(6);

/// Type of [`BLANK`].
pub const BLANK_TYPE: u8 = 0x4e;

/// Underlay address in [`RETURN`].
pub(crate) const RETURN_IP: Slice = RETURN.slice(56, 32);
/// Ethernet address in [`RETURN`].
pub(crate) const RETURN_MAC: Slice = RETURN.slice(8, 48);

/// Seconds that a learned direct path stays without a packet that confirms it.
pub const IDLE_TIMEOUT: u16 = 300;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;

/// The highest VNI that may be used: those above are taken by tunnel ports that only send.
const LAST_VNI: u32 = 0x00ff_feff;

/// The TLV table: which option is which field, in the order in which they leave.
pub fn options() -> Vec<TlvMapping> {
    let types = [
        BLANK_TYPE,
        mizar_wire::geneve::RETURN_TO_SENDER,
        mizar_wire::geneve::RETURNED,
        mizar_wire::geneve::SHORT_HEADER,
        mizar_wire::geneve::SCALED_ENDPOINT,
        mizar_wire::geneve::POD_LABEL,
        mizar_wire::geneve::NAMESPACE_LABEL,
    ];
    (0..)
        .zip(types)
        .map(|(index, kind)| TlvMapping {
            index,
            class: mizar_wire::geneve::CLASS.get(),
            kind,
            length: OPTION_LENGTHS[usize::from(index)],
        })
        .collect()
}

/// Drops inner packets whose IPv4 header the switch cannot read: all its fields read as zero then.
pub(crate) fn malformed() -> Rule {
    Rule {
        table: table::CLASSIFY,
        priority: priority::FIRST,
        cookie: Cookie::default(),
        idle_timeout: 0,
        hard_timeout: 0,
        matches: Match::all()
            .with(Field::EthType, IPV4)
            .with(Field::IpProto, 0u8)
            .with(Field::IpSrc, 0u32)
            .with(Field::IpDst, 0u32),
        actions: Vec::new(),
    }
}

/// What the proactive pipeline cannot do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A VNI that is taken.
    #[error("VNI {0} is taken by a tunnel port; use one below 16776960")]
    Vni(u32),
    /// An endpoint port beyond what the switch numbers.
    #[error("{0} endpoint ports are more than the switch has numbers for")]
    Ports(usize),
}

/// The rules of one droplet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Of the overlay bridge.
    pub overlay: Vec<Rule>,
    /// Of the underlay bridge.
    pub underlay: Vec<Rule>,
    /// Tunnel ports.
    pub tunnels: Vec<Tunnel>,
    /// Droplets whose Ethernet address the switch must know, each once.
    pub neighbours: Vec<Host>,
}

/// A tunnel port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// Its number.
    pub number: PortNumber,
    /// Type of service of the outer header.
    pub tos: u8,
    /// The VNI that it receives; all that no other receives if there is none.
    pub receives: Option<u32>,
}

impl Tunnel {
    /// The port that receives, and by which transit sends.
    pub const TRANSIT: Self = Self {
        number: PortNumber(0xfd00),
        tos: 0,
        receives: None,
    };

    /// The port by which agents send what has this type of service.
    pub const fn of_class(tos: u8) -> Self {
        Self {
            number: PortNumber(0xfd00 + 1 + tos as u32),
            tos,
            // One that nobody may use: the switch wants ports of the same kind to differ in it.
            receives: Some(LAST_VNI + 1 + tos as u32),
        }
    }
}

/// The number of the port of an endpoint.
pub fn endpoint_port(port: EndpointPort) -> PortNumber {
    PortNumber(1 + u32::from(port.0))
}

/// The endpoint port with this number, if it is one.
pub fn endpoint_at(port: PortNumber) -> Option<EndpointPort> {
    let number = u16::try_from(port.0.checked_sub(1)?).ok()?;
    (port < Tunnel::TRANSIT.number).then_some(EndpointPort(number))
}

/// Type of service by which an agent marks a class.
fn type_of_service(class: (Class, Urgency)) -> u8 {
    let (dscp, _) = mizar_tables::class_of_service(class);
    dscp << 2
}

impl Program {
    /// The rules by which a droplet with these tables forwards.
    ///
    /// # Errors
    /// [`Unsupported`], where the tables hold what the pipeline cannot do.
    pub fn proactive(provision: &Provision) -> Result<Self, Unsupported> {
        check(provision)?;
        let mut builder = Builder::new(provision);
        builder.rules.push(malformed());
        agent::add(&mut builder);
        transit::add(&mut builder);
        arp::add(&mut builder);
        route::add(&mut builder);
        learning::add(&mut builder);
        invalidation::add(&mut builder);
        short_header::add(&mut builder);
        policy::add(&mut builder);
        acl::add(&mut builder);
        // Endpoints may come to a port later, by a change of rules alone.
        let has_ports = provision.endpoint_ports() > 0;
        let classes: BTreeSet<u8> = provision
            .attachments
            .iter()
            .map(|attachment| type_of_service(attachment.class))
            .chain(has_ports.then(|| type_of_service(Default::default())))
            .collect();
        let tunnels = std::iter::once(Tunnel::TRANSIT)
            .chain(classes.into_iter().map(Tunnel::of_class))
            .collect();
        Ok(Self {
            overlay: builder.rules,
            underlay: underlay::rules(provision.host),
            tunnels,
            neighbours: neighbours(provision),
        })
    }
}

/// The droplets that tables and direct paths name. What tables say goes first.
fn neighbours(provision: &Provision) -> Vec<Host> {
    let paths = provision.direct_paths.iter().map(|path| path.host);
    let mut known = BTreeSet::new();
    provision
        .substrate
        .iter()
        .copied()
        .chain(paths)
        .filter(|host| known.insert(host.ip.to_bits()))
        .collect()
}

fn check(provision: &Provision) -> Result<(), Unsupported> {
    let vnis = provision
        .endpoints
        .iter()
        .map(|endpoint| endpoint.vni)
        .chain(provision.attachments.iter().map(|attached| attached.vni))
        .chain(provision.networks.iter().map(|network| network.vni))
        .chain(provision.vpcs.iter().map(|vpc| vpc.vni));
    for vni in vnis {
        if vni.get() > LAST_VNI {
            return Err(Unsupported::Vni(vni.get()));
        }
    }
    let last = provision.attachments.iter().map(|attached| attached.port.0);
    let last = usize::from(last.max().unwrap_or(0));
    if last >= 0xfcff {
        return Err(Unsupported::Ports(last + 1));
    }
    Ok(())
}

/// Collects rules.
struct Builder<'a> {
    provision: &'a Provision,
    substrate: BTreeMap<u32, Mac>,
    groups: BTreeMap<Vec<u32>, u32>,
    rules: Vec<Rule>,
}

impl<'a> Builder<'a> {
    fn new(provision: &'a Provision) -> Self {
        Self {
            provision,
            substrate: provision
                .substrate
                .iter()
                .map(|host| (host.ip.to_bits(), host.mac))
                .collect(),
            groups: BTreeMap::new(),
            rules: Vec::new(),
        }
    }

    fn add(&mut self, table: Table, priority: Priority, matches: Match, actions: Vec<Action>) {
        self.add_counted(table, priority, Cookie::default(), matches, actions);
    }

    fn add_counted(
        &mut self,
        table: Table,
        priority: Priority,
        cookie: Cookie,
        matches: Match,
        actions: Vec<Action>,
    ) {
        self.rules.push(Rule {
            table,
            priority,
            cookie,
            idle_timeout: 0,
            hard_timeout: 0,
            matches,
            actions,
        });
    }

    /// Where what arrives goes when all judgement allows it.
    fn judged(&self) -> Table {
        if self.provision.extensions.invalidation {
            table::JUDGED
        } else {
            table::ENDPOINT
        }
    }

    /// What says whether a packet that is sent on goes by a direct path, where droplets say so.
    fn say_direct(&self) -> Option<Action> {
        let says = self.provision.extensions.invalidation;
        says.then_some(Action::Resubmit(table::SAY_DIRECT))
    }

    /// Whether the Ethernet address of the droplet with this underlay address is known.
    fn is_resolved(&self, ip: Ipv4) -> bool {
        self.substrate.contains_key(&ip.to_bits())
    }

    /// The number of a group of droplets; the rules to pick a member are added with its first use.
    fn group(&mut self, members: &[Ipv4]) -> u32 {
        let key: Vec<u32> = members.iter().map(|ip| ip.to_bits()).collect();
        if let Some(number) = self.groups.get(&key) {
            return *number;
        }
        let number = self.groups.len() as u32 + 1;
        self.groups.insert(key, number);
        route::add_group(self, number, members);
        number
    }
}

/// What makes the rules `before` those `after`. Direct paths that are given are for a droplet that begins, and stay.
pub fn changes(before: &[Rule], after: &[Rule]) -> Vec<Change> {
    let changes = |rule: &&Rule| rule.cookie != cookie::GIVEN_PATH;
    let place = |rule: &Rule| (rule.table, rule.priority, rule.matches.clone());
    let before = || before.iter().filter(changes);
    let after = || after.iter().filter(changes);
    let old: HashMap<_, &Rule> = before().map(|rule| (place(rule), rule)).collect();
    let new: HashSet<_> = after().map(place).collect();
    let gone = before().filter(|rule| !new.contains(&place(rule)));
    let gone = gone.map(|rule| Change::DeleteStrict {
        table: rule.table,
        priority: rule.priority,
        matches: rule.matches.clone(),
    });
    let others = after().filter(|rule| old.get(&place(rule)) != Some(rule));
    gone.chain(others.cloned().map(Change::Add)).collect()
}

/// The direct paths that rules of [`table::DIRECT`] are, in no order; a learned one is in force before one that was given.
pub fn direct_paths<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Vec<DirectPath> {
    let mut in_force = HashMap::new();
    for rule in rules {
        let Some((vni, ip, host)) = direct_path(rule) else {
            continue;
        };
        let known = in_force.entry((vni, ip)).or_insert((rule.priority, host));
        if known.0 < rule.priority {
            *known = (rule.priority, host);
        }
    }
    let paths = in_force.into_iter();
    let path = |((vni, ip), (_, host)): (_, (_, Option<Host>))| {
        host.map(|host| DirectPath { vni, ip, host })
    };
    paths.filter_map(path).collect()
}

/// What a rule says about the way to an endpoint: nothing where the path there was forgotten.
fn direct_path(rule: &Rule) -> Option<(Vni, Ipv4, Option<Host>)> {
    let asked = |field: Field| rule.matches.get(field).map(|masked| masked.value.low_u64());
    let written = |to: Slice| {
        rule.actions.iter().find_map(|action| match action {
            Action::Set { to: at, value } if *at == to => Some(*value),
            _ => None,
        })
    };
    let address = |bits: u64| Ipv4::from_octets((bits as u32).to_be_bytes());
    let host = || {
        Some(Host {
            ip: address(written(Field::TunnelDst.whole())?.low_u64()),
            mac: Mac::new(written(register::HOST_MAC)?.bytes()),
        })
    };
    Some((
        Vni::new(asked(Field::TunnelId)? as u32)?,
        address(asked(register::DST)?),
        host(),
    ))
}

/// An address within a VPC, of which one is in a register.
fn in_vpc(vni: Vni, address: Field, ip: Ipv4) -> Match {
    Match::all()
        .with(Field::TunnelId, vni.get())
        .with(address, ip.to_bits())
}

/// What is for an endpoint of a network.
fn in_network(network: &Network) -> Match {
    let of_vpc = Match::all().with(Field::TunnelId, network.vni.get());
    within(of_vpc, register::DST, network.cidr)
}

/// The same where an address lies in a prefix, too.
fn within(matches: Match, address: Field, cidr: Cidr) -> Match {
    let mask = prefix_mask(cidr.length());
    matches.with_masked(address, cidr.address().to_bits().into(), mask)
}

/// The mask of a prefix of `length` bits.
fn prefix_mask(length: u8) -> Value {
    Value::from(u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0))
}

fn resubmit(table: Table) -> Action {
    Action::Resubmit(table)
}

fn mac(mac: Mac) -> Value {
    Value::from_bytes(&mac.octets())
}

/// Looks at all options without another table.
pub(crate) fn look_at_all() -> Vec<Action> {
    let look = [RETURN, RETURNED, SCALED, POD, NAMESPACE]
        .into_iter()
        .flat_map(route::look_at);
    look.chain([Action::set(register::SCRATCH, 0u8)]).collect()
}

/// Looks at all options.
fn look_at_options() -> [Action; 4] {
    [
        resubmit(table::LOOK_RETURN),
        resubmit(table::LOOK_SCALED),
        resubmit(table::LOOK_POD),
        resubmit(table::LOOK_NAMESPACE),
    ]
}

/// Writes `host` into return-to-sender, whether it is set or not, as Mizar does.
fn name_host(host: Host) -> [Action; 3] {
    [
        Action::set(register::HOST_IP, host.ip.to_bits()),
        Action::Set {
            to: register::HOST_MAC,
            value: mac(host.mac),
        },
        resubmit(table::RETURN_TO),
    ]
}

/// The content of a return-to-sender option that names this host.
fn return_to(host: Host) -> Value {
    Value::from(host.ip.to_bits()) << RETURN_IP.from | mac(host.mac) << RETURN_MAC.from
}

/// A label as it lies in its option.
fn label(label: u32) -> u32 {
    label.swap_bytes()
}
