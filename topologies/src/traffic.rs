//! Traffic: flows by the million, described in a few words.

use crate::provision::{Host, Port};
use crate::topology::{EndpointRange, OuterPath, Transport};
use mizar_wire::{Ipv4, Mac, Vni};

/// The first destination port of flows: echo, to which RFC 2544 (appendix C.2.6.4) sends test frames.
const FIRST_DST_PORT: u16 = 7;
/// The first source port of flows. Below it lie destination ports, so no flow looks like a reply.
const FIRST_SRC_PORT: u16 = 1024;
/// How many source ports there are.
const SRC_PORTS: u32 = u16::MAX as u32 - FIRST_SRC_PORT as u32 + 1;

/// Flows that cross the droplet under test in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direction {
    /// Its name in the topology.
    pub name: String,
    /// Where frames enter the droplet under test.
    pub ingress: Port,
    /// Where they must leave it.
    pub egress: Port,
    /// Whether they enter encapsulated.
    pub encapsulated_in: bool,
    /// Whether they leave encapsulated.
    pub encapsulated_out: bool,
    /// The VPC.
    pub vni: Vni,
    /// Label of the source's pod.
    pub pod_label: u32,
    /// Label of the source's namespace.
    pub namespace_label: u32,
    /// The flows.
    pub flows: FlowSpace,
    /// Outer addresses of frames that enter encapsulated; there iff `encapsulated_in`.
    pub outer: Option<OuterPath>,
}

impl Direction {
    /// Outer source and destination of a flow's frames as they enter, where they enter encapsulated.
    pub fn outer_hosts(&self, flow: &Flow) -> Option<(Host, Host)> {
        self.outer
            .as_ref()
            .map(|outer| (outer.src(&self.flows, flow), outer.here))
    }
}

/// One flow: what its inner frames carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Protocol above IP.
    pub transport: Transport,
    /// Source address.
    pub src_ip: Ipv4,
    /// Ethernet source address.
    pub src_mac: Mac,
    /// Destination address.
    pub dst_ip: Ipv4,
    /// Ethernet destination address.
    pub dst_mac: Mac,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

/// All flows of a direction, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSpace {
    /// Where they come from.
    pub source: EndpointRange,
    /// Where they go to.
    pub destination: EndpointRange,
    /// Protocol above IP.
    pub transport: Transport,
    count: u32,
    order: Option<Shuffle>,
}

impl FlowSpace {
    /// `count` flows between these endpoints; there is at least one.
    pub fn new(
        source: EndpointRange,
        destination: EndpointRange,
        transport: Transport,
        count: u32,
    ) -> Self {
        Self {
            source,
            destination,
            transport,
            count: count.max(1),
            order: None,
        }
    }

    /// How many flows there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The same flows in an order that looks random and depends on `seed` alone.
    #[must_use]
    pub fn shuffled(self, seed: u64) -> Self {
        Self {
            order: Some(Shuffle::new(self.count, seed)),
            ..self
        }
    }

    /// Flow `index`; from [`FlowSpace::count`] on, they come again.
    ///
    /// Flows below the count differ in at least one of addresses and ports. Neighbours in number go to
    /// different destinations, then come from different sources, then have different ports.
    pub fn flow(&self, index: u32) -> Flow {
        let index = index % self.count;
        let index = self.order.map_or(index, |order| order.apply(index));
        let (index, destination) = split(index, self.destination.count);
        let (index, source) = split(index, self.source.count);
        let (index, src_port) = split(index, SRC_PORTS);
        Flow {
            transport: self.transport,
            src_ip: self.source.ip(source),
            src_mac: self.source.mac(source),
            dst_ip: self.destination.ip(destination),
            dst_mac: self.destination.mac(destination),
            src_port: FIRST_SRC_PORT + src_port as u16,
            // A million flows between two endpoints need 16 destination ports.
            dst_port: FIRST_DST_PORT + index as u16,
        }
    }
}

fn split(index: u32, by: u32) -> (u32, u32) {
    let by = by.max(1);
    (index / by, index % by)
}

/// A permutation of the numbers below `count`: a Feistel network over the next even power of two, walked
/// until it comes back below `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shuffle {
    count: u32,
    half_bits: u32,
    seed: u64,
}

impl Shuffle {
    fn new(count: u32, seed: u64) -> Self {
        let bits = u32::BITS - count.saturating_sub(1).leading_zeros();
        Self {
            count,
            half_bits: bits.div_ceil(2).max(1),
            seed,
        }
    }

    fn apply(&self, index: u32) -> u32 {
        let mut index = index;
        loop {
            index = self.rounds(index);
            if index < self.count {
                return index;
            }
        }
    }

    fn rounds(&self, index: u32) -> u32 {
        let mask = (1_u32 << self.half_bits) - 1;
        let (mut left, mut right) = (index >> self.half_bits, index & mask);
        for round in 0..4_u64 {
            let mixed = mix(self.seed ^ (round << 32) ^ u64::from(right)) as u32;
            (left, right) = (right, left ^ (mixed & mask));
        }
        left << self.half_bits | right
    }
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn range(ip: [u8; 4], count: u32) -> EndpointRange {
        EndpointRange {
            ip: Ipv4::from_octets(ip),
            mac: Mac::new([2, 0, 0, 0, 0, 0]),
            count,
        }
    }

    #[test]
    fn every_flow_has_a_tuple_of_its_own() {
        for (sources, destinations, count) in [
            (1, 1, 1),
            (1, 1, 1_000_000),
            (1, 65_537, 100_000),
            (3, 5, 200_000),
            (7, 1, 1000),
        ] {
            let space = FlowSpace::new(
                range([10, 0, 0, 0], sources),
                range([10, 4, 0, 0], destinations),
                Transport::Udp,
                count,
            );
            let tuples = |space: FlowSpace| -> HashSet<Flow> {
                (0..count).map(|index| space.flow(index)).collect()
            };
            let straight = tuples(space);
            assert_eq!(straight.len(), count as usize);
            assert_eq!(
                straight,
                tuples(space.shuffled(7)),
                "the same flows in another order"
            );
        }
    }

    #[test]
    fn an_order_depends_on_its_seed_alone() {
        let space = FlowSpace::new(
            range([10, 0, 0, 0], 1),
            range([10, 4, 0, 0], 1000),
            Transport::Tcp,
            5000,
        );
        let order = |seed| -> Vec<Flow> {
            let space = space.shuffled(seed);
            (0..100).map(|index| space.flow(index)).collect()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert_eq!(space.flow(1).dst_ip, Ipv4::from_octets([10, 4, 0, 1]));
        assert_eq!(space.flow(1000).src_port, space.flow(0).src_port + 1);
    }
}
