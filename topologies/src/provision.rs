//! What one droplet must know: the tables that a control plane would push to it.
//!
//! Every datapath is configured from this, and golden vectors are read into it. Addresses are written
//! as people write them; encodings belong to the datapaths.

mod acl;

pub use acl::{Access, Acl, AclRule, PortRange, Service};

use mizar_wire::{Ipv4, Mac, Vni};
use serde::{Deserialize, Serialize};

/// A host of the underlay: a droplet as others see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Host {
    /// Underlay address.
    pub ip: Ipv4,
    /// Ethernet address in the underlay.
    pub mac: Mac,
}

/// A network prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: Ipv4,
    length: u8,
}

/// Text that is not a prefix in CIDR notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a prefix: expected an IPv4 address, a slash and a length from 0 to 32, like 10.0.0.0/24"
)]
pub struct CidrError(String);

impl Cidr {
    /// The prefix that holds every address.
    pub const EVERYTHING: Self = Self {
        address: Ipv4::from_raw(0),
        length: 0,
    };

    /// The prefix of `length` bits that holds `address`; nothing if `length` is above 32.
    pub fn new(address: Ipv4, length: u8) -> Option<Self> {
        let mask = Self::mask(length)?;
        let masked = Ipv4::from_octets((address.to_bits() & mask).to_be_bytes());
        Some(Self {
            address: masked,
            length,
        })
    }

    /// The lowest address.
    pub fn address(self) -> Ipv4 {
        self.address
    }

    /// The highest address.
    pub fn last(self) -> Ipv4 {
        let mask = Self::mask(self.length).unwrap_or(u32::MAX);
        Ipv4::from_octets((self.address.to_bits() | !mask).to_be_bytes())
    }

    /// Bits of the prefix, 0 to 32.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` lies in the prefix.
    pub fn contains(self, address: Ipv4) -> bool {
        Self::mask(self.length)
            .is_some_and(|mask| address.to_bits() & mask == self.address.to_bits())
    }

    /// Whether they have an address in common: then one holds the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    fn mask(length: u8) -> Option<u32> {
        match length {
            0 => Some(0),
            1..=32 => Some(u32::MAX << (32 - length)),
            _ => None,
        }
    }
}

impl std::str::FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || CidrError(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(error)?;
        let address: std::net::Ipv4Addr = address.parse().map_err(|_| error())?;
        let length: u8 = length.parse().map_err(|_| error())?;
        Self::new(address.into(), length).ok_or_else(error)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// What sort of endpoint an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum EndpointKind {
    /// One interface on one droplet.
    #[default]
    Simple,
    /// A service address; the endpoint's `hosts` are then overlay addresses of its backends.
    Scaled,
    /// A gateway.
    Gateway,
}

/// An overlay endpoint that the droplet knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its VPC.
    pub vni: Vni,
    /// Its overlay address.
    pub ip: Ipv4,
    /// Its Ethernet address.
    pub mac: Mac,
    /// What it is.
    pub kind: EndpointKind,
    /// The port it hangs on, where this droplet hosts it.
    pub port: Option<EndpointPort>,
    /// Underlay addresses of the droplets that host it; for [`EndpointKind::Scaled`], the overlay
    /// addresses of its backends, in the order by which the hash picks.
    pub hosts: Vec<Ipv4>,
}

/// A port of the droplet to which an endpoint is attached, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointPort(pub u16);

/// A port of a droplet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Port {
    /// Towards the underlay.
    Uplink,
    /// Towards an endpoint.
    Endpoint(EndpointPort),
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uplink => f.write_str("uplink"),
            Self::Endpoint(EndpointPort(index)) => write!(f, "endpoint {index}"),
        }
    }
}

/// A network and its bouncers, in the order by which the hash picks: 0 to 128 of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The VPC.
    pub vni: Vni,
    /// The prefix.
    pub cidr: Cidr,
    /// Underlay addresses of the bouncers.
    pub bouncers: Vec<Ipv4>,
}

/// A VPC and its dividers, in the order by which the hash picks: 0 to 128 of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// The VPC.
    pub vni: Vni,
    /// Underlay addresses of the dividers.
    pub dividers: Vec<Ipv4>,
}

/// An entry of the direct-path cache: where an endpoint is hosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DirectPath {
    /// The VPC.
    pub vni: Vni,
    /// Overlay address of the endpoint.
    pub ip: Ipv4,
    /// The droplet that hosts it.
    pub host: Host,
}

/// Class of service of what an endpoint sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Class {
    /// Forwarded at once.
    #[default]
    Premium,
    /// Handed to the stack, so that a queueing discipline can shape it.
    Expedited,
    /// Handed to the stack, so that a queueing discipline can shape it.
    BestEffort,
}

/// Priority within a [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Priority {
    /// First.
    #[default]
    High,
    /// Second.
    Medium,
    /// Last.
    Low,
}

/// An endpoint whose frames enter the droplet here: what its transit agent must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where it is attached.
    pub port: EndpointPort,
    /// Its VPC.
    pub vni: Vni,
    /// Its overlay address.
    pub ip: Ipv4,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Bouncers of its network, in the order by which the hash picks.
    pub bouncers: Vec<Ipv4>,
    /// Label of the pod; zero for none.
    pub pod_label: u32,
    /// Label of the pod's namespace; zero for none.
    pub namespace_label: u32,
    /// Traffic class and priority.
    pub class: (Class, Priority),
}

/// A set of network policies: bit n stands for policy n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicySet(pub u64);

/// Policies that allow a protocol and destination port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRule {
    /// VPC of the local endpoint.
    pub vni: Vni,
    /// The endpoint that the policies protect or bind.
    pub local: Ipv4,
    /// IP protocol; zero together with port zero allows every protocol and port.
    pub protocol: u8,
    /// Destination port in host order.
    pub port: u16,
    /// The policies.
    pub policies: PolicySet,
}

/// Policies that name a prefix. Where several prefixes match, the longest alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CidrRule {
    /// VPC of the local endpoint.
    pub vni: Vni,
    /// The endpoint that the policies protect or bind.
    pub local: Ipv4,
    /// The prefix of the other end.
    pub remote: Cidr,
    /// The policies.
    pub policies: PolicySet,
}

/// Policies that name labels of the sender; a label of zero is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelRule {
    /// VPC.
    pub vni: Vni,
    /// Label of the pod, or zero.
    pub pod: u32,
    /// Label of the namespace, or zero.
    pub namespace: u32,
    /// The policies.
    pub policies: PolicySet,
}

/// Network policy of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// Endpoints to which policy applies at all; others are open.
    pub enforced: Vec<(Vni, Ipv4)>,
    /// By protocol and port.
    pub ports: Vec<PortRule>,
    /// By prefix: allowed.
    pub cidr_primary: Vec<CidrRule>,
    /// By prefix: allowed unless excepted.
    pub cidr_supplementary: Vec<CidrRule>,
    /// By prefix: taken out of the supplementary ones.
    pub cidr_except: Vec<CidrRule>,
    /// By label of the sender; ingress only.
    pub labels: Vec<LabelRule>,
}

impl Rules {
    /// Whether there is nothing to enforce.
    pub fn is_empty(&self) -> bool {
        self.enforced.is_empty()
    }
}

/// What a droplet does that Mizar designed and has not built; nothing by default. `INVALIDATION.md` at the top of the
/// repository has the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Extensions {
    /// Packets that find nobody at the end of a direct path go back, and who sent them forgets it.
    pub invalidation: bool,
    /// Hosts check the health of those to which direct paths lead, and droplets keep away from the dead:
    /// [`Provision::unhealthy`].
    pub health_check: bool,
    /// Agents leave return-to-sender out of what they send by a direct path to a host that reads such packets:
    /// [`Provision::short_header_hosts`]. Without invalidation it means nothing.
    pub short_header: bool,
}

impl Extensions {
    /// All of them.
    pub const ALL: Self = Self {
        invalidation: true,
        health_check: true,
        short_header: true,
    };

    /// Whether the short header is read, and sent.
    pub fn has_short_header(self) -> bool {
        self.short_header && self.invalidation
    }
}

/// Everything one droplet must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// The droplet itself.
    pub host: Host,
    /// Droplets whose Ethernet address is known.
    pub substrate: Vec<Host>,
    /// Endpoints whose frames enter here.
    pub attachments: Vec<Attachment>,
    /// Endpoints it knows: those it hosts, and those it bounces for.
    pub endpoints: Vec<Endpoint>,
    /// Networks it divides for.
    pub networks: Vec<Network>,
    /// VPCs and their dividers.
    pub vpcs: Vec<Vpc>,
    /// The direct-path cache to start with.
    pub direct_paths: Vec<DirectPath>,
    /// Policy for what endpoints receive.
    pub ingress: Rules,
    /// Policy for what endpoints send.
    pub egress: Rules,
    /// Endpoint ports that there are at least, though nothing may be attached to the last ones yet.
    #[serde(default)]
    pub ports: u16,
    /// What it does that Mizar designed and has not built.
    #[serde(default)]
    pub extensions: Extensions,
    /// Hosts that a health check found dead: direct paths that lead there are passed over and forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<Ipv4>,
    /// Hosts that read the short header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_header_hosts: Vec<Ipv4>,
    /// Access lists of networks, which what arrives at the uplink must pass, and what is rewritten here before it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<Acl>,
    /// VPCs with access lists: what an endpoint of theirs sends must come from one that is hosted at its port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guarded: Vec<Vni>,
}

impl Provision {
    /// A droplet that knows only itself.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            substrate: vec![host],
            attachments: Vec::new(),
            endpoints: Vec::new(),
            networks: Vec::new(),
            vpcs: Vec::new(),
            direct_paths: Vec::new(),
            ingress: Rules::default(),
            egress: Rules::default(),
            ports: 0,
            extensions: Extensions::default(),
            unhealthy: Vec::new(),
            short_header_hosts: Vec::new(),
            acls: Vec::new(),
            guarded: Vec::new(),
        }
    }

    /// How many endpoint ports there must be at least: those that something is attached to or hosted on, all below, and
    /// [`Provision::ports`].
    pub fn endpoint_ports(&self) -> u16 {
        let attached = self.attachments.iter().map(|attached| attached.port.0);
        let hosted = self.endpoints.iter().filter_map(|it| Some(it.port?.0));
        let used = attached.chain(hosted).max().map_or(0, |last| last + 1);
        used.max(self.ports)
    }

    /// What is attached to an endpoint port.
    pub fn attachment(&self, port: EndpointPort) -> Option<&Attachment> {
        self.attachments
            .iter()
            .find(|attached| attached.port == port)
    }

    /// The Ethernet address of the droplet with this underlay address, where it is known.
    pub fn mac_of(&self, ip: Ipv4) -> Option<Mac> {
        self.substrate
            .iter()
            .find(|host| host.ip == ip)
            .map(|host| host.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_masked_and_checked() {
        let cidr: Cidr = "10.1.2.3/24".parse().unwrap();
        assert_eq!(cidr.to_string(), "10.1.2.0/24");
        assert!(cidr.contains("10.1.2.255".parse::<std::net::Ipv4Addr>().unwrap().into()));
        assert!(!cidr.contains("10.1.3.0".parse::<std::net::Ipv4Addr>().unwrap().into()));
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains(Ipv4::from_octets([1, 2, 3, 4]))
        );
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "/8", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }
}
