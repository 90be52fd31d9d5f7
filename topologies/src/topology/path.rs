//! The way that flows take through the overlay, and where it crosses the droplet under test.

use super::{DirectPathState, Flows, Index, Topology};
use crate::oracle::bouncer_index;
use crate::provision::{Host, Port};
use crate::traffic::{Direction, Flow, FlowSpace};

/// A station of the way. Middle stations are one of several droplets, by hash.
enum Stop {
    Source,
    Middle {
        role: &'static str,
        droplets: Vec<Index>,
    },
    Destination,
}

/// Which droplet handled a flow's frame before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// The host of the source endpoint; each hosts a block of equal size.
    OfSource(Vec<Host>),
    /// One of a list, by hash of the addresses.
    ByHash(Vec<Host>),
}

impl Hosts {
    fn of(&self, space: &FlowSpace, flow: &Flow) -> Option<Host> {
        match self {
            Self::OfSource(hosts) => {
                let index = space.source.index_of(flow.src_ip)?;
                let part = u64::from(index) * hosts.len() as u64 / u64::from(space.source.count);
                hosts.get(part as usize).copied()
            }
            Self::ByHash(hosts) => {
                bouncer_index(flow.src_ip, flow.dst_ip, hosts.len()).map(|index| hosts[index])
            }
        }
    }
}

/// How frames come to the droplet under test when they arrive encapsulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OuterPath {
    /// Who sent the frame here: the outer source.
    pub previous: Hosts,
    /// The droplet under test: the outer destination.
    pub here: Host,
    /// Whom the return-to-sender option names.
    pub return_to_sender: Hosts,
}

impl OuterPath {
    /// The outer source of a flow's frames.
    pub fn src(&self, space: &FlowSpace, flow: &Flow) -> Host {
        self.previous.of(space, flow).unwrap_or(self.here)
    }

    /// The host that the return-to-sender option of a flow's frames names.
    pub fn return_to_sender(&self, space: &FlowSpace, flow: &Flow) -> Host {
        self.return_to_sender.of(space, flow).unwrap_or(self.here)
    }
}

impl Topology {
    /// Where the flows enter and leave the droplet under test; nothing if they do not cross it.
    pub(super) fn direction(&self, flows: &Flows) -> Option<Direction> {
        let stops = self.stops(flows);
        let first = stops.iter().position(|stop| self.is_here(flows, stop))?;
        let here = stops
            .iter()
            .skip(first)
            .take_while(|stop| self.is_here(flows, stop))
            .count();
        let before = stops.get(..first)?;
        let from = &self.groups[flows.from];

        let outer = before.last().map(|previous| OuterPath {
            previous: self.hosts(flows, previous),
            here: self.under_test().host,
            return_to_sender: before
                .iter()
                .find(|stop| {
                    matches!(
                        stop,
                        Stop::Middle {
                            role: "divider",
                            ..
                        }
                    )
                })
                .map_or_else(
                    || self.hosts(flows, &Stop::Source),
                    |divider| self.hosts(flows, divider),
                ),
        });
        let ingress = match outer {
            Some(_) => Port::Uplink,
            None => Port::Endpoint(self.port_of(flows.from, self.under_test)?),
        };
        let egress = if first + here == stops.len() {
            Port::Endpoint(self.port_of(flows.to, self.under_test)?)
        } else {
            Port::Uplink
        };
        Some(Direction {
            name: flows.name.clone(),
            ingress,
            egress,
            encapsulated_in: ingress == Port::Uplink,
            encapsulated_out: egress == Port::Uplink,
            vni: self.vni_of(from),
            pod_label: from.pod_label,
            namespace_label: from.namespace_label,
            flows: FlowSpace::new(
                from.range,
                self.groups[flows.to].range,
                flows.transport,
                self.parameters.flows,
            ),
            outer,
        })
    }

    /// The way in words, for errors.
    pub(super) fn way(&self, flows: &Flows) -> String {
        let words: Vec<String> = self
            .stops(flows)
            .iter()
            .map(|stop| match stop {
                Stop::Source => self.groups[flows.from].name.clone(),
                Stop::Middle { role, .. } => (*role).to_owned(),
                Stop::Destination => self.groups[flows.to].name.clone(),
            })
            .collect();
        words.join(" -> ")
    }

    fn stops(&self, flows: &Flows) -> Vec<Stop> {
        let (from, to) = (&self.groups[flows.from], &self.groups[flows.to]);
        let bouncer = |network: Index| Stop::Middle {
            role: "bouncer",
            droplets: self.networks[network].bouncers.clone(),
        };
        let divider = || Stop::Middle {
            role: "divider",
            droplets: self.vpcs[self.networks[from.network].vpc].dividers.clone(),
        };
        let middle = match (self.direct_path, from.network == to.network) {
            (DirectPathState::Warm, true) => vec![],
            (DirectPathState::Warm, false) => vec![divider()],
            (DirectPathState::Cold, true) => vec![bouncer(from.network)],
            (DirectPathState::Cold, false) => {
                vec![bouncer(from.network), divider(), bouncer(to.network)]
            }
        };
        let mut stops = vec![Stop::Source];
        stops.extend(middle);
        stops.push(Stop::Destination);
        stops
    }

    /// Whether a stop is, or among others may be, the droplet under test.
    fn is_here(&self, flows: &Flows, stop: &Stop) -> bool {
        let droplets = match stop {
            Stop::Source => &self.groups[flows.from].droplets,
            Stop::Middle { droplets, .. } => droplets,
            Stop::Destination => &self.groups[flows.to].droplets,
        };
        droplets.contains(&self.under_test)
    }

    fn hosts(&self, flows: &Flows, stop: &Stop) -> Hosts {
        let hosts = |droplets: &[Index]| -> Vec<Host> {
            droplets
                .iter()
                .map(|&droplet| self.droplets[droplet].host)
                .collect()
        };
        match stop {
            Stop::Source => Hosts::OfSource(hosts(&self.groups[flows.from].droplets)),
            Stop::Destination => Hosts::ByHash(hosts(&self.groups[flows.to].droplets)),
            Stop::Middle { droplets, .. } => Hosts::ByHash(hosts(droplets)),
        }
    }
}
