//! What a droplet knows: table entries as they lie in memory, and the trait to look them up.
//!
//! Entries have a fixed layout, so that a BPF map and a native table hold the same bytes. Addresses lie
//! as they do in a packet. Lists (bouncers, dividers, backends) are groups of consecutive members in one
//! pool, which keeps an entry small; the next droplet's Ethernet address is resolved when tables are
//! loaded, which saves a lookup per packet.

use crate::acl::{Acl, AclKey, RuleSet};
use crate::established::Established;
use crate::flow::{Connection, ConnectionKey, FlowKey};
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Mac, Vni};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An overlay address within its VPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EndpointKey {
    vni: u32,
    ip: u32,
}

impl EndpointKey {
    /// The address `ip` in the VPC `vni`.
    #[inline(always)]
    pub const fn new(vni: Vni, ip: Ipv4) -> Self {
        Self {
            vni: vni.get(),
            ip: ip.raw(),
        }
    }

    /// The VPC's number.
    pub const fn vni(&self) -> u32 {
        self.vni
    }

    /// The address.
    pub const fn ip(&self) -> Ipv4 {
        Ipv4::from_raw(self.ip)
    }
}

/// A droplet as a next hop.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Host {
    ip: u32,
    mac: Mac,
    resolved: u16,
}

impl Host {
    /// No droplet.
    pub(crate) const NONE: Self = Self::unresolved(Ipv4::from_raw(0));

    /// A droplet whose Ethernet address is known.
    #[inline(always)]
    pub const fn new(ip: Ipv4, mac: Mac) -> Self {
        Self {
            ip: ip.raw(),
            mac,
            resolved: 1,
        }
    }

    /// A droplet whose Ethernet address is not known, or an overlay address that needs none.
    #[inline(always)]
    pub const fn unresolved(ip: Ipv4) -> Self {
        Self {
            ip: ip.raw(),
            mac: Mac::new([0; 6]),
            resolved: 0,
        }
    }

    /// Its address.
    #[inline(always)]
    pub const fn ip(&self) -> Ipv4 {
        Ipv4::from_raw(self.ip)
    }

    /// Its Ethernet address.
    #[inline(always)]
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// Whether the Ethernet address is known.
    #[inline(always)]
    pub const fn is_resolved(&self) -> bool {
        self.resolved != 0
    }
}

/// Consecutive members of the pool.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Group {
    /// Index of the first member.
    pub first: u32,
    /// How many members; may be zero.
    pub count: u32,
}

impl Group {
    /// The index of the member that `hash` picks, or nothing if the group is empty.
    #[inline(always)]
    pub const fn pick(&self, hash: u32) -> Option<u32> {
        if self.count == 0 {
            None
        } else {
            Some(self.first.wrapping_add(hash % self.count))
        }
    }
}

/// What sort of endpoint an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointKind {
    /// One interface on one droplet.
    Simple,
    /// A service address with backends.
    Scaled,
    /// A gateway.
    Gateway,
}

/// An endpoint that the droplet knows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Endpoint {
    mac: Mac,
    kind: u8,
    hosted: u8,
    port: u32,
    host: Host,
    has_host: u32,
    /// Bouncers of its network if it is hosted here, else backends.
    group: Group,
}

impl Endpoint {
    /// An endpoint on the droplet `host`; `None` if its host is not known at all.
    pub const fn remote(mac: Mac, kind: EndpointKind, host: Option<Host>) -> Self {
        let (host, has_host) = match host {
            Some(host) => (host, 1),
            None => (Host::unresolved(Ipv4::from_raw(0)), 0),
        };
        Self {
            mac,
            kind: kind as u8,
            hosted: 0,
            port: 0,
            host,
            has_host,
            group: Group { first: 0, count: 0 },
        }
    }

    /// The same endpoint with backends.
    pub const fn with_backends(self, backends: Group) -> Self {
        self.with_group(backends)
    }

    /// The same endpoint, hosted here on the endpoint port with this number; its network has these bouncers.
    pub const fn hosted_on(self, port: u32, bouncers: Group) -> Self {
        Self {
            hosted: 1,
            port,
            ..self
        }
        .with_group(bouncers)
    }

    /// The same endpoint with another group of whatever it has one of.
    pub const fn with_group(self, group: Group) -> Self {
        Self { group, ..self }
    }

    /// Its group: bouncers of its network if it is hosted here, else backends.
    #[inline(always)]
    pub const fn group(&self) -> Group {
        self.group
    }

    /// Its Ethernet address.
    #[inline(always)]
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// What it is.
    #[inline(always)]
    pub const fn kind(&self) -> EndpointKind {
        match self.kind {
            0 => EndpointKind::Simple,
            1 => EndpointKind::Scaled,
            _ => EndpointKind::Gateway,
        }
    }

    /// The endpoint port it hangs on, where it is hosted here.
    #[inline(always)]
    pub const fn port(&self) -> Option<u32> {
        if self.hosted != 0 {
            Some(self.port)
        } else {
            None
        }
    }

    /// The droplet that hosts it.
    #[inline(always)]
    pub const fn host(&self) -> Option<Host> {
        if self.has_host != 0 {
            Some(self.host)
        } else {
            None
        }
    }
}

/// What the agent knows of the endpoint whose frames enter by a port.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Attachment {
    /// Number of the VPC.
    pub vni: u32,
    /// Bouncers of the endpoint's network.
    pub bouncers: Group,
    /// Label of the pod.
    pub pod_label: u32,
    /// Label of the pod's namespace.
    pub namespace_label: u32,
    /// Type of service of the outer header.
    pub tos: u8,
    /// Non-zero if frames go to the stack to be shaped.
    pub shaped: u8,
    /// Non-zero if an endpoint is attached.
    pub attached: u8,
    /// Non-zero if what it sends must come from an endpoint that is hosted at the port.
    pub guarded: u8,
    /// Number of the endpoint port.
    pub port: u32,
}

/// Key of the policies that allow a protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PortKey {
    /// Number of the VPC.
    pub vni: u32,
    /// The local endpoint, as it lies in a packet.
    pub local: u32,
    /// Destination port, as it lies in a packet.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// 0 for ingress, 1 for egress.
    pub direction: u8,
}

/// Which set of prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CidrSet {
    /// Allowed.
    Primary,
    /// Allowed unless excepted.
    Supplementary,
    /// Excepted.
    Except,
}

/// Key of the policies that name a prefix: everything but the remote address must match exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct CidrKey {
    /// Number of the VPC.
    pub vni: u32,
    /// The local endpoint, as it lies in a packet.
    pub local: u32,
    /// [`CidrSet`] plus four times the direction.
    pub set: u32,
    /// The remote address, as it lies in a packet.
    pub remote: u32,
}

impl CidrKey {
    /// Bits of the key before the remote address.
    pub const EXACT_BITS: u32 = 96;

    /// The key for one set of one direction.
    #[inline(always)]
    pub const fn new(
        vni: Vni,
        local: Ipv4,
        direction: Direction,
        set: CidrSet,
        remote: Ipv4,
    ) -> Self {
        Self {
            vni: vni.get(),
            local: local.raw(),
            set: set as u32 + 4 * direction as u32,
            remote: remote.raw(),
        }
    }
}

/// Key of the policies that name labels; a label of zero is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LabelKey {
    /// Number of the VPC.
    pub vni: u32,
    /// Label of the pod.
    pub pod: u32,
    /// Label of the pod's namespace.
    pub namespace: u32,
}

/// Direction of a policy, seen from the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// What an endpoint receives.
    Ingress,
    /// What an endpoint sends.
    Egress,
}

/// Directions in which policy applies to an endpoint.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Enforced(u32);

impl Enforced {
    /// The same with `direction` added.
    pub const fn with(self, direction: Direction) -> Self {
        Self(self.0 | 1 << direction as u32)
    }

    /// Whether policy applies in `direction`.
    #[inline(always)]
    pub const fn applies(self, direction: Direction) -> bool {
        self.0 & 1 << direction as u32 != 0
    }
}

/// What a droplet does that Mizar designed and has not built. Nothing by default.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Extensions(u32);

impl Extensions {
    const INVALIDATION: u32 = 1;
    const UNHEALTHY: u32 = 2;
    const SHORT_HEADER: u32 = 4;
    /// All of them.
    pub const ALL: Self = Self(Self::INVALIDATION | Self::UNHEALTHY | Self::SHORT_HEADER);

    /// Those of them that are in `possible` as well.
    #[inline(always)]
    pub const fn within(self, possible: Self) -> Self {
        Self(self.0 & possible.0)
    }

    /// The same with [`crate::invalidation`].
    pub const fn with_invalidation(self) -> Self {
        Self(self.0 | Self::INVALIDATION)
    }

    /// The same where some hosts are known to be dead.
    pub const fn with_unhealthy(self) -> Self {
        Self(self.0 | Self::UNHEALTHY)
    }

    /// The same with [`crate::short_header`], which needs [`crate::invalidation`].
    pub const fn with_short_header(self) -> Self {
        Self(self.0 | Self::SHORT_HEADER)
    }

    /// Whether there is [`crate::short_header`].
    #[inline(always)]
    pub const fn has_short_header(self) -> bool {
        let both = Self::SHORT_HEADER | Self::INVALIDATION;
        self.0 & both == both
    }

    /// Whether some hosts are known to be dead: without, no packet needs to look.
    #[inline(always)]
    pub const fn has_unhealthy(self) -> bool {
        self.0 & Self::UNHEALTHY != 0
    }

    /// Whether there is [`crate::invalidation`].
    #[inline(always)]
    pub const fn has_invalidation(self) -> bool {
        self.0 & Self::INVALIDATION != 0
    }
}

/// The tables of one droplet. Caches evict what was not used for long when they are full.
pub trait Tables {
    /// This droplet.
    fn droplet(&self) -> Host;
    /// What it does beyond what Mizar does.
    fn extensions(&self) -> Extensions;
    /// The endpoint with this address.
    fn endpoint(&self, key: &EndpointKey) -> Option<Endpoint>;
    /// The member of the pool at this index.
    fn member(&self, index: u32) -> Option<Host>;
    /// Bouncers of the network with the longest prefix that holds this address.
    fn network(&self, key: &EndpointKey) -> Option<Group>;
    /// Dividers of a VPC.
    fn vpc(&self, vni: Vni) -> Option<Group>;
    /// Where an endpoint is hosted, by the direct-path cache.
    fn direct_path(&mut self, key: &EndpointKey) -> Option<Host>;
    /// Enters a host into the direct-path cache.
    fn set_direct_path(&mut self, key: &EndpointKey, host: &Host);
    /// Whether a health check found the host with this underlay address dead.
    fn is_unhealthy(&self, ip: Ipv4) -> bool;
    /// Whether the host with this underlay address reads the short header.
    fn reads_short_header(&self, ip: Ipv4) -> bool;
    /// Takes what it says of this endpoint out of the direct-path cache.
    fn forget_direct_path(&mut self, key: &EndpointKey);
    /// What is remembered of a connection.
    fn connection(&mut self, key: &ConnectionKey) -> Option<Connection>;
    /// Remembers a connection.
    fn set_connection(&mut self, key: &ConnectionKey, connection: &Connection);
    /// What a flow that leaves an endpoint is rewritten to.
    fn forward_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget>;
    /// Enters a rewrite of a flow that leaves an endpoint.
    fn set_forward_flow(&mut self, flow: &FlowKey, target: &FlowTarget);
    /// What a flow that arrives is rewritten to.
    fn reverse_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget>;
    /// Enters a rewrite of a flow that arrives.
    fn set_reverse_flow(&mut self, flow: &FlowKey, target: &FlowTarget);
    /// Directions in which policy applies to an endpoint.
    fn enforced(&self, key: &EndpointKey) -> Enforced;
    /// Policies that allow a protocol and port; bit n stands for policy n.
    fn port_policies(&self, key: &PortKey) -> u64;
    /// Policies that name the longest prefix holding the remote address.
    fn cidr_policies(&self, key: &CidrKey) -> u64;
    /// Policies that name these labels.
    fn label_policies(&self, key: &LabelKey) -> u64;
    /// The access list of the network with the longest prefix that holds this address.
    fn acl(&self, key: &EndpointKey) -> Option<&Acl>;
    /// Rules of an access list that say yes to the longest prefix holding this value.
    fn acl_rules(&self, key: &AclKey) -> Option<&RuleSet>;
    /// Number of the epoch of the cache of established flows: what was entered in another does not hold.
    /// `None` where there is no cache, or must be none since policy is enforced.
    fn epoch(&mut self) -> Option<u64>;
    /// The place with this index, below [`crate::established::ENTRIES`], in that cache.
    fn established(&mut self, index: u32) -> Option<&mut Established>;
    /// The cache was looked into for a flow. An implementation may leave a cache alone that seldom has what it is asked
    /// for, by an epoch of `None`.
    #[inline(always)]
    fn looked_for_established(&mut self, _found: bool) {}
    /// Begins a new epoch, since something changed that decisions in the cache may follow from.
    fn begin_epoch(&mut self);
}
