//! The overlay that a datapath is put into: who is where, who bounces and divides, what may talk to whom,
//! and which flows cross the droplet under test.
//!
//! A topology is written in TOML (see [`crate::catalogue`] for those built in) and checked as a whole when
//! it is read: a [`Topology`] that exists is consistent.

mod acl;
mod check;
mod error;
mod event;
mod expand;
mod file;
mod health;
mod load;
mod names;
mod path;
mod policy;
mod tables;

use crate::provision::{Cidr, EndpointKind, EndpointPort, Extensions, Host};
use crate::traffic::Direction;
use mizar_wire::{Ipv4, Mac, Vni};
use std::num::NonZeroU32;
use std::path::Path;

pub use error::{Place, Problem, TopologyError};
pub use event::{Event, EventKind};
pub use health::{HealthEndpoint, HealthTiming};
pub use path::{Hosts, OuterPath};

/// Capacities that Mizar declares; a topology beyond them could not be deployed.
pub mod capacity {
    /// Endpoints that a droplet knows.
    pub const ENDPOINTS: usize = 65_537;
    /// Networks that a droplet divides for.
    pub const NETWORKS: usize = 16_385;
    /// VPCs that a droplet knows.
    pub const VPCS: usize = 8_192;
    /// Bouncers of a network, dividers of a VPC, backends of a scaled endpoint.
    pub const GROUP: usize = 128;
    /// Entries in the direct-path cache, and in each other cache.
    pub const CACHE: usize = 50_000;
    /// Dead hosts that a droplet is told of: Mizar declares none, and this is more than there are bouncers and dividers.
    pub const UNHEALTHY: usize = 1_024;
    /// Hosts that read the short header that a droplet is told of: as many as may host what it has direct paths to.
    pub const SHORT_HEADER_HOSTS: usize = 50_000;
    /// Network policies, because a set of them is a word of 64 bits.
    pub const POLICIES: usize = 64;
    /// Entries in each table of policy.
    pub const POLICY_ENTRIES: usize = 1 << 20;
}

/// How large a topology is made when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Parameters {
    endpoints: u32,
    flows: u32,
    hosts: u32,
    bouncers: u32,
    dividers: u32,
    rules: u32,
}

/// A parameter out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} = {value}: expected 1 to {max}")]
pub struct ParameterError {
    name: &'static str,
    value: u32,
    max: u32,
}

impl Parameters {
    /// The largest number of endpoints: Mizar's capacity.
    pub const MAX_ENDPOINTS: u32 = 65_537;
    /// The largest number of flows.
    pub const MAX_FLOWS: u32 = 1_000_000;
    /// The largest number of hosts.
    pub const MAX_HOSTS: u32 = 128;
    /// The largest number of bouncers, and of dividers: Mizar's capacity.
    pub const MAX_GROUP: u32 = capacity::GROUP as u32;
    /// The largest number of rules: of a thousand, four are for others.
    pub const MAX_RULES: u32 = crate::provision::Acl::RULES as u32 - 4;

    /// So many endpoints where a topology says `count = "endpoints"`, and so many flows a direction.
    ///
    /// # Errors
    ///
    /// Says which of the two is zero or too large.
    pub fn new(endpoints: u32, flows: u32) -> Result<Self, ParameterError> {
        check("endpoints", endpoints, Self::MAX_ENDPOINTS)?;
        check("flows", flows, Self::MAX_FLOWS)?;
        Ok(Self {
            endpoints,
            flows,
            ..Self::default()
        })
    }

    /// With so many droplets where a topology says `count = "hosts"`, `"bouncers"` and `"dividers"`; two of each otherwise.
    ///
    /// # Errors
    ///
    /// Says which of the three is zero or too large.
    pub fn with_droplets(
        self,
        hosts: u32,
        bouncers: u32,
        dividers: u32,
    ) -> Result<Self, ParameterError> {
        check("hosts", hosts, Self::MAX_HOSTS)?;
        check("bouncers", bouncers, Self::MAX_GROUP)?;
        check("dividers", dividers, Self::MAX_GROUP)?;
        Ok(Self {
            hosts,
            bouncers,
            dividers,
            ..self
        })
    }

    /// With so many rules where an access list says `count = "rules"`; 100 otherwise.
    ///
    /// # Errors
    ///
    /// Zero or too many.
    pub fn with_rules(self, rules: u32) -> Result<Self, ParameterError> {
        check("rules", rules, Self::MAX_RULES)?;
        Ok(Self { rules, ..self })
    }

    /// Endpoints where a topology says `count = "endpoints"`.
    pub fn endpoints(self) -> u32 {
        self.endpoints
    }

    /// Flows a direction.
    pub fn flows(self) -> u32 {
        self.flows
    }

    /// Droplets where a topology says `count = "hosts"`.
    pub fn hosts(self) -> u32 {
        self.hosts
    }

    /// Droplets where a topology says `count = "bouncers"`.
    pub fn bouncers(self) -> u32 {
        self.bouncers
    }

    /// Droplets where a topology says `count = "dividers"`.
    pub fn dividers(self) -> u32 {
        self.dividers
    }

    /// Rules where an access list says `count = "rules"`.
    pub fn rules(self) -> u32 {
        self.rules
    }
}

fn check(name: &'static str, value: u32, max: u32) -> Result<(), ParameterError> {
    if value == 0 || value > max {
        return Err(ParameterError { name, value, max });
    }
    Ok(())
}

impl Default for Parameters {
    /// One endpoint, one flow, two of each kind of droplet, a hundred rules.
    fn default() -> Self {
        Self {
            endpoints: 1,
            flows: 1,
            hosts: 2,
            bouncers: 2,
            dividers: 2,
            rules: 100,
        }
    }
}

/// The least sizes with which a topology shows what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usual {
    /// Endpoints, where nobody asks for a number.
    pub endpoints: NonZeroU32,
    /// Flows of each direction, where nobody asks for a number.
    pub flows: NonZeroU32,
}

impl Default for Usual {
    /// One of each.
    fn default() -> Self {
        Self {
            endpoints: NonZeroU32::MIN,
            flows: NonZeroU32::MIN,
        }
    }
}

/// A host of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Droplet {
    /// Its name in the topology.
    pub name: String,
    /// Its underlay addresses.
    pub host: Host,
    /// The datapath that it has, whatever is measured; most have the one that is.
    pub datapath: Option<String>,
    /// Whether it has no extensions, whatever others have: it is as Mizar's own.
    pub stock: bool,
}

/// Endpoints with consecutive addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointRange {
    /// Overlay address of the first.
    pub ip: Ipv4,
    /// Ethernet address of the first.
    pub mac: Mac,
    /// How many.
    pub count: u32,
}

impl EndpointRange {
    /// Some of the endpoints: `part` must lie within the range.
    #[must_use]
    pub fn part(&self, part: std::ops::Range<u32>) -> Self {
        Self {
            ip: self.ip(part.start),
            mac: self.mac(part.start),
            count: part.len() as u32,
        }
    }

    /// Overlay address of endpoint `index`.
    pub fn ip(&self, index: u32) -> Ipv4 {
        Ipv4::from_octets(self.ip.to_bits().wrapping_add(index).to_be_bytes())
    }

    /// Ethernet address of endpoint `index`.
    pub fn mac(&self, index: u32) -> Mac {
        let [a, b, octets @ ..] = self.mac.octets();
        // Ranges are checked not to leave the lower four octets.
        let [c, d, e, f] = u32::from_be_bytes(octets).wrapping_add(index).to_be_bytes();
        Mac::new([a, b, c, d, e, f])
    }

    /// Which endpoint has this address.
    pub fn index_of(&self, ip: Ipv4) -> Option<u32> {
        let index = ip.to_bits().checked_sub(self.ip.to_bits())?;
        (index < self.count).then_some(index)
    }
}

/// Whether flows have found their direct path before the first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectPathState {
    /// Frames go straight to the endpoint's host, or to the divider between networks.
    Warm,
    /// Frames go by bouncers, and by a divider between networks.
    Cold,
}

/// A position in one of the lists of a [`Topology`].
type Index = usize;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Vpc {
    vni: Vni,
    dividers: Vec<Index>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    vpc: Index,
    cidr: Cidr,
    bouncers: Vec<Index>,
}

/// Endpoints of one network that are written, and attached, together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    network: Index,
    range: EndpointRange,
    kind: EndpointKind,
    /// The droplets that host them, each a block of the range; none for a scaled endpoint.
    droplets: Vec<Index>,
    /// Of a scaled endpoint.
    backends: Option<Index>,
    /// Whether its endpoints are no more.
    is_gone: bool,
    pod_label: u32,
    namespace_label: u32,
}

/// The protocol over which flows run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// The User Datagram Protocol.
    #[default]
    Udp,
    /// The Transmission Control Protocol.
    Tcp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Flows {
    name: String,
    from: Index,
    to: Index,
    transport: Transport,
}

/// A checked topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    name: String,
    description: String,
    parameters: Parameters,
    direct_path: DirectPathState,
    /// The states that it is measured in.
    direct_path_states: Vec<DirectPathState>,
    droplets: Vec<Droplet>,
    under_test: Option<Index>,
    vpcs: Vec<Vpc>,
    networks: Vec<Network>,
    groups: Vec<Group>,
    policies: Vec<policy::Policy>,
    acls: Vec<acl::Acl>,
    flows: Vec<Flows>,
    events: Vec<Event>,
    extensions: Extensions,
    /// Droplets that a health check found dead.
    dead: Vec<Index>,
    /// The VPC of health endpoints, where droplets have some.
    health: Option<Vni>,
    health_timing: HealthTiming,
    usual: Usual,
    /// Endpoint ports of each droplet.
    ports: Vec<u16>,
}

impl Topology {
    /// Reads a topology from TOML text; `file` names it in errors, and its stem is the topology's name.
    ///
    /// # Errors
    ///
    /// Names file, line, column, and what was expected there.
    pub fn parse(file: &str, text: &str, parameters: Parameters) -> Result<Self, TopologyError> {
        load::load(file, text, parameters)
    }

    /// Reads a topology from a file.
    ///
    /// # Errors
    ///
    /// As [`Topology::parse`]; also where the file cannot be read.
    pub fn load(path: &Path, parameters: Parameters) -> Result<Self, TopologyError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text, parameters),
            Err(source) => Err(TopologyError::Unreadable { file, source }),
        }
    }

    /// Its name: that of its file, without folder and ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for, in a line.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How large it was made.
    pub fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// How large to make it where nobody says.
    pub fn usual(&self) -> Usual {
        self.usual
    }

    /// Whether flows have found their direct path.
    pub fn direct_path(&self) -> DirectPathState {
        self.direct_path
    }

    /// All droplets.
    pub fn droplets(&self) -> &[Droplet] {
        &self.droplets
    }

    /// The droplet with this name.
    pub fn droplet(&self, name: &str) -> Option<&Droplet> {
        self.droplets.iter().find(|droplet| droplet.name == name)
    }

    /// The droplet whose datapath is tested while the others are only imagined; `None` where all are there, and packets go
    /// from endpoint to endpoint.
    pub fn under_test(&self) -> Option<&Droplet> {
        self.droplets.get(self.under_test?)
    }

    /// The same topology with this droplet of it under test alone.
    #[must_use]
    pub fn seen_from(&self, droplet: &Droplet) -> Self {
        let is_it = |other: &Droplet| other.host == droplet.host;
        Self {
            under_test: self.droplets.iter().position(is_it),
            ..self.clone()
        }
    }

    /// The states of the direct path that it is measured in: one, or first without and then with it.
    pub fn direct_path_states(&self) -> &[DirectPathState] {
        &self.direct_path_states
    }

    /// The same topology with flows that have, or have not, found their direct path.
    #[must_use]
    pub fn in_state(self, direct_path: DirectPathState) -> Self {
        Self {
            direct_path,
            direct_path_states: vec![direct_path],
            ..self
        }
    }

    /// What its droplets do that Mizar designed and has not built.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// The same topology with droplets that do this beyond what Mizar does.
    #[must_use]
    pub fn with_extensions(self, extensions: Extensions) -> Self {
        Self { extensions, ..self }
    }

    /// For each droplet the first one that may stand in for it: bouncers of a network, and dividers of a VPC, are chosen
    /// among by a hash.
    pub fn stand_ins(&self) -> Vec<usize> {
        let mut first: Vec<Index> = (0..self.droplets.len()).collect();
        let bouncers = self.networks.iter().map(|network| &network.bouncers);
        let dividers = self.vpcs.iter().map(|vpc| &vpc.dividers);
        for group in bouncers.chain(dividers) {
            let of_group = |droplet: &Index| group.contains(droplet);
            let Some(least) = group.iter().map(|droplet| first[*droplet]).min() else {
                continue;
            };
            let all: Vec<Index> = (0..first.len())
                .filter(of_group)
                .map(|it| first[it])
                .collect();
            for place in first.iter_mut().filter(|place| all.contains(place)) {
                *place = least;
            }
        }
        first
    }

    /// The same topology with all its flows over `transport`.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Self {
        for flows in &mut self.flows {
            flows.transport = transport;
        }
        self
    }

    /// The same topology with flows back from each destination to its source as well.
    #[must_use]
    pub fn both_ways(mut self) -> Self {
        let back = |flows: &Flows| Flows {
            name: format!("{}, back", flows.name),
            from: flows.to,
            to: flows.from,
            transport: flows.transport,
        };
        let back: Vec<_> = self.flows.iter().map(back).collect();
        self.flows.extend(back);
        self
    }

    /// The flows that cross the droplet under test, by direction; where none is, all flows from endpoint to endpoint, of
    /// whose ports [`Topology::endpoint_ports`] has the numbers.
    pub fn traffic(&self) -> Vec<Direction> {
        match self.under_test {
            Some(at) => {
                let directions = self.flows.iter().map(|flows| self.direction(flows, at));
                directions.flatten().collect()
            }
            None => {
                let directions = self.flows.iter().map(|flows| self.end_to_end(flows));
                directions.flatten().collect()
            }
        }
    }

    /// Every droplet's endpoint ports, as positions in [`Topology::droplets`] and numbers there. From endpoint to endpoint,
    /// the port at position `n` here is endpoint port `n`.
    pub fn endpoint_ports(&self) -> Vec<(usize, EndpointPort)> {
        let of_droplet =
            |(at, count): (Index, &u16)| (0..*count).map(move |port| (at, EndpointPort(port)));
        self.ports.iter().enumerate().flat_map(of_droplet).collect()
    }

    /// The network at each of [`Topology::endpoint_ports`], in their order.
    pub fn networks_at_ports(&self) -> Vec<Cidr> {
        let of_droplet = |at: Index| {
            let groups = self.groups.iter().enumerate();
            let hosted = groups.filter(move |(number, _)| self.port_of(*number, at).is_some());
            hosted.map(|(_, group)| self.networks[group.network].cidr)
        };
        (0..self.droplets.len()).flat_map(of_droplet).collect()
    }
}
