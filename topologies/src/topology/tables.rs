//! What each droplet must know, derived from its roles.

use super::policy::Side;
use super::{DirectPathState, Droplet, Group, Index, Network, Topology};
use crate::oracle::bouncer_index;
use crate::provision::{
    self, Attachment, Class, DirectPath, Endpoint, EndpointKind, EndpointPort, Host, Priority,
    Provision,
};
use mizar_wire::Ipv4;
use std::collections::HashSet;
use std::ops::Range;

impl Topology {
    /// What `droplet` must know: endpoints that it hosts or bounces for, networks that it divides for,
    /// every VPC's dividers, every droplet's addresses, policy of its endpoints, and direct paths if
    /// those are warm.
    pub fn provision(&self, droplet: &Droplet) -> Provision {
        let mut to = Provision::new(droplet.host);
        let Some(at) = self
            .droplets
            .iter()
            .position(|other| other.host == droplet.host)
        else {
            return to;
        };
        to.substrate = self.droplets.iter().map(|droplet| droplet.host).collect();
        to.attachments = self.attachments(at);
        to.endpoints = self.endpoints(at);
        to.networks = self.networks_of(at);
        to.vpcs = self
            .vpcs
            .iter()
            .map(|vpc| provision::Vpc {
                vni: vpc.vni,
                dividers: self.addresses(&vpc.dividers),
            })
            .collect();
        to.ingress = self.rules(at, Side::Ingress);
        to.egress = self.rules(at, Side::Egress);
        to.ports = self.ports[at];
        to.acls = self.acls(at);
        to.guarded = self.guarded(&to.attachments);
        to.extensions = self.extensions_of(at);
        if to.extensions.health_check {
            to.unhealthy = self.addresses(&self.dead);
        }
        if to.extensions.has_short_header() {
            to.short_header_hosts = self.short_header_hosts();
        }
        if self.direct_path == DirectPathState::Warm {
            to.direct_paths = self.direct_paths(at, &to.endpoints);
        }
        self.add_health_endpoints(at, &mut to);
        to
    }

    /// What droplet `at` does that Mizar designed and has not built.
    fn extensions_of(&self, at: Index) -> provision::Extensions {
        if self.droplets[at].stock {
            provision::Extensions::default()
        } else {
            self.extensions
        }
    }

    /// Who reads the short header. A divider does, too, but nobody may send it one: it sends on what it gets, and a packet with
    /// the short header is never sent on.
    fn short_header_hosts(&self) -> Vec<Ipv4> {
        let divides = |at: &Index| self.vpcs.iter().any(|vpc| vpc.dividers.contains(at));
        let reads = |at: &Index| !self.droplets[*at].stock && !divides(at);
        let readers: Vec<Index> = (0..self.droplets.len()).filter(reads).collect();
        self.addresses(&readers)
    }

    /// Which endpoints of a group droplet `at` hosts: a block of them.
    pub(super) fn hosted_on(&self, group: &Group, at: Index) -> Range<u32> {
        let parts = group.droplets.len() as u64;
        let Some(part) = group.droplets.iter().position(|&droplet| droplet == at) else {
            return 0..0;
        };
        // Endpoint i is in part floor(i * parts / count), as `host_of` has it.
        let first = |part: u64| (part * u64::from(group.range.count)).div_ceil(parts.max(1));
        let part = part as u64;
        first(part) as u32..first(part + 1) as u32
    }

    /// The droplet that hosts endpoint `index` of a group.
    pub(super) fn host_of(&self, group: &Group, index: u32) -> Option<Host> {
        let part = u64::from(index) * group.droplets.len() as u64 / u64::from(group.range.count);
        let droplet = group.droplets.get(part as usize)?;
        Some(self.droplets[*droplet].host)
    }

    /// The port at which droplet `at` has this group: each group that it hosts has one.
    pub(super) fn port_of(&self, group: Index, at: Index) -> Option<EndpointPort> {
        let mut hosted = (0..self.groups.len())
            .filter(|&group| !self.hosted_on(&self.groups[group], at).is_empty());
        let port = hosted.position(|hosted| hosted == group)?;
        u16::try_from(port).ok().map(EndpointPort)
    }

    pub(super) fn addresses(&self, droplets: &[Index]) -> Vec<Ipv4> {
        droplets
            .iter()
            .map(|&droplet| self.droplets[droplet].host.ip)
            .collect()
    }

    /// Networks that droplet `at` divides for. Where there is invalidation also those that it bounces for, without bouncers:
    /// an endpoint that a bouncer does not know is nowhere, and a divider would send its packets back here.
    fn networks_of(&self, at: Index) -> Vec<provision::Network> {
        let network = |network: &Network| {
            let vpc = &self.vpcs[network.vpc];
            let bounces = self.extensions_of(at).invalidation && network.bouncers.contains(&at);
            let bouncers = if bounces {
                Vec::new()
            } else if vpc.dividers.contains(&at) {
                self.addresses(&network.bouncers)
            } else {
                return None;
            };
            Some(provision::Network {
                vni: vpc.vni,
                cidr: network.cidr,
                bouncers,
            })
        };
        self.networks.iter().filter_map(network).collect()
    }

    fn network_of(&self, group: &Group) -> &Network {
        &self.networks[group.network]
    }

    fn attachments(&self, at: Index) -> Vec<Attachment> {
        let mut attachments = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let (Some(port), Some(first)) =
                (self.port_of(number, at), self.hosted_on(group, at).next())
            else {
                continue;
            };
            attachments.push(Attachment {
                port,
                vni: self.vni_of(group),
                ip: group.range.ip(first),
                mac: group.range.mac(first),
                bouncers: self.addresses(&self.network_of(group).bouncers),
                pod_label: group.pod_label,
                namespace_label: group.namespace_label,
                class: (Class::Premium, Priority::High),
            });
        }
        attachments
    }

    pub(super) fn endpoints(&self, at: Index) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let port = self.port_of(number, at);
            let hosted = self.hosted_on(group, at);
            let known = if group.is_gone {
                0..0
            } else if self.network_of(group).bouncers.contains(&at) {
                0..group.range.count
            } else {
                hosted.clone()
            };
            let backends = group.backends.map(|backends| {
                let range = self.groups[backends].range;
                (0..range.count)
                    .map(|index| range.ip(index))
                    .collect::<Vec<Ipv4>>()
            });
            endpoints.extend(known.map(|index| {
                Endpoint {
                    vni: self.vni_of(group),
                    ip: group.range.ip(index),
                    mac: group.range.mac(index),
                    kind: group.kind,
                    port: port.filter(|_| hosted.contains(&index)),
                    hosts: match (&backends, group.kind) {
                        (Some(backends), EndpointKind::Scaled) => backends.clone(),
                        _ => self
                            .host_of(group, index)
                            .map(|host| host.ip)
                            .into_iter()
                            .collect(),
                    },
                }
            }));
        }
        endpoints
    }

    /// What droplet `at` has learned once every flow has run both ways.
    fn direct_paths(&self, at: Index, known: &[Endpoint]) -> Vec<DirectPath> {
        // A droplet learns nothing about endpoints that it was told of.
        let mut seen: HashSet<_> = known
            .iter()
            .map(|endpoint| (endpoint.vni, endpoint.ip))
            .collect();
        let mut paths = Vec::new();
        for flows in &self.flows {
            for (near, far) in [(flows.from, flows.to), (flows.to, flows.from)] {
                let (near, far) = (&self.groups[near], &self.groups[far]);
                let vni = self.vni_of(far);
                for index in 0..far.range.count {
                    let ip = far.range.ip(index);
                    if let Some(host) = self.direct_host(at, near, far, index)
                        && seen.insert((vni, ip))
                    {
                        paths.push(DirectPath { vni, ip, host });
                    }
                }
            }
        }
        paths
    }

    /// Where droplet `at` sends what is for endpoint `index` of `far`, with `near` at the other end.
    fn direct_host(&self, at: Index, near: &Group, far: &Group, index: u32) -> Option<Host> {
        let host = self.host_of(far, index);
        let dividers = &self.vpcs[self.network_of(far).vpc].dividers;
        let hosts_near = near.droplets.contains(&at);
        if near.network == far.network {
            return host.filter(|_| hosts_near);
        }
        if dividers.contains(&at) {
            return host;
        }
        if !hosts_near {
            return None;
        }
        // Between networks the divider names itself as the way back.
        let chosen = bouncer_index(far.range.ip(index), near.range.ip(0), dividers.len())?;
        dividers
            .get(chosen)
            .map(|&divider| self.droplets[divider].host)
    }
}
