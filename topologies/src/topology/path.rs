//! The way that flows take through the overlay: from endpoint to endpoint, and where it crosses one droplet.

use super::{DirectPathState, Flows, Index, Topology};
use crate::oracle::bouncer_index;
use crate::provision::{EndpointPort, Host, Port};
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
    /// Where the flows enter and leave droplet `at`; nothing if they do not cross it.
    pub(super) fn direction(&self, flows: &Flows, at: Index) -> Option<Direction> {
        let stops = self.stops(flows);
        let is_here = |stop: &Stop| self.is_at(flows, stop, at);
        let first = stops.iter().position(is_here)?;
        let here = stops
            .iter()
            .skip(first)
            .take_while(|stop| is_here(stop))
            .count();
        let before = stops.get(..first)?;
        let from = &self.groups[flows.from];

        let outer = before.last().map(|previous| OuterPath {
            previous: self.hosts(flows, previous),
            here: self.droplets[at].host,
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
            None => Port::Endpoint(self.port_of(flows.from, at)?),
        };
        let egress = if first + here == stops.len() {
            Port::Endpoint(self.port_of(flows.to, at)?)
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

    /// The flows from endpoint to endpoint: a direction for each pair of droplets that host the ends.
    pub(super) fn end_to_end(&self, flows: &Flows) -> Vec<Direction> {
        let (from, to) = (&self.groups[flows.from], &self.groups[flows.to]);
        let ports = self.endpoint_ports();
        let port = |group: Index, at: Index| {
            let local = self.port_of(group, at)?;
            let number = ports.iter().position(|port| *port == (at, local))?;
            u16::try_from(number).ok().map(EndpointPort)
        };
        let pairs = (from.droplets.len() * to.droplets.len()).max(1) as u32;
        let mut directions = Vec::new();
        for &near in &from.droplets {
            for &far in &to.droplets {
                let (Some(ingress), Some(egress)) = (port(flows.from, near), port(flows.to, far))
                else {
                    continue;
                };
                let ends = (&self.droplets[near].name, &self.droplets[far].name);
                directions.push(Direction {
                    name: match pairs {
                        1 => flows.name.clone(),
                        _ => format!("{}, {} to {}", flows.name, ends.0, ends.1),
                    },
                    ingress: Port::Endpoint(ingress),
                    egress: Port::Endpoint(egress),
                    encapsulated_in: false,
                    encapsulated_out: false,
                    vni: self.vni_of(from),
                    pod_label: from.pod_label,
                    namespace_label: from.namespace_label,
                    flows: FlowSpace::new(
                        from.range.part(self.hosted_on(from, near)),
                        to.range.part(self.hosted_on(to, far)),
                        flows.transport,
                        self.parameters.flows.div_ceil(pairs),
                    ),
                    outer: None,
                });
            }
        }
        directions
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

    /// Where each droplet stands on the longest way of the flows: 0 hosts a source, 1 is a bouncer of its network, 2 a
    /// divider, 3 a bouncer of the destination's network, and 4 hosts a destination. One with several roles stands at the
    /// first, and one without any at 2.
    pub fn stages(&self) -> Vec<u8> {
        let mut stages = vec![None; self.droplets.len()];
        for flows in &self.flows {
            let (from, to) = (&self.groups[flows.from], &self.groups[flows.to]);
            let (near, far) = (&self.networks[from.network], &self.networks[to.network]);
            let roles = [
                &from.droplets,
                &near.bouncers,
                &self.vpcs[near.vpc].dividers,
                &far.bouncers,
                &to.droplets,
            ];
            for (stage, droplets) in (0u8..).zip(roles) {
                for &droplet in droplets {
                    let place: &mut Option<u8> = &mut stages[droplet];
                    *place = Some(place.map_or(stage, |known| known.min(stage)));
                }
            }
        }
        stages.into_iter().map(|stage| stage.unwrap_or(2)).collect()
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

    /// Whether a stop is, or among others may be, droplet `at`.
    fn is_at(&self, flows: &Flows, stop: &Stop, at: Index) -> bool {
        let droplets = match stop {
            Stop::Source => &self.groups[flows.from].droplets,
            Stop::Middle { droplets, .. } => droplets,
            Stop::Destination => &self.groups[flows.to].droplets,
        };
        droplets.contains(&at)
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
