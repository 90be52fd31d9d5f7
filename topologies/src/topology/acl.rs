//! Access lists of a topology: reading them, who is told of them, and which flows they forbid.

use super::load::{cidr, too_many};
use super::names::{Loaded, find, names_differ};
use super::{Flows, Group, Index, Network, Parameters, Problem, Topology, Transport, file};
use crate::provision::{self, Access, AclRule, Attachment, Cidr, PortRange, Service};
use crate::traffic::FlowSpace;
use mizar_wire::{Ipv4, Vni, ipv4};
use std::collections::BTreeSet;
use toml::Spanned;

/// The access list of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acl {
    pub network: Index,
    pub default: Access,
    pub rules: Vec<AclRule>,
}

/// Reads all lists.
pub(super) fn load(file: &file::File, parameters: Parameters) -> Loaded<Vec<Acl>> {
    let networks = || file.networks.iter().map(|network| &network.name);
    let what = "access list of network";
    names_differ(what, file.acls.iter().map(|acl| &acl.network))?;
    let load = |from: &file::Acl| {
        let mut rules = Vec::new();
        for rule in &from.rules {
            several(rule.get_ref(), parameters, &mut rules)?;
            let limit = provision::Acl::RULES;
            if rules.len() > limit {
                let problem = too_many("rules of an access list", rules.len(), limit);
                return Err((rule.span(), problem));
            }
        }
        Ok(Acl {
            network: find("network", &from.network, networks())?,
            default: from.default,
            rules,
        })
    };
    file.acls.iter().map(load).collect()
}

/// A rule, or as many as it stands for: each comes from the prefix behind that of the one before.
fn several(from: &file::AclRule, parameters: Parameters, rules: &mut Vec<AclRule>) -> Loaded<()> {
    let prefix = |text: &Option<Spanned<String>>| match text {
        Some(text) => cidr(text),
        None => Ok(Cidr::EVERYTHING),
    };
    let first = prefix(&from.from)?;
    let rule = AclRule {
        access: from.access,
        from: first,
        to: prefix(&from.to)?,
        service: service(from)?,
    };
    let Some(count) = &from.count else {
        rules.push(rule);
        return Ok(());
    };
    let Some(number) = count.get_ref().of_rules(parameters) else {
        let (key, context) = ("a count of endpoints or droplets", "for rules");
        return Err((count.span(), Problem::Meaningless { key, context }));
    };
    let size = 1u64 << (32 - first.length());
    for index in 0..u64::from(number) {
        let at = u32::try_from(u64::from(first.address().to_bits()) + index * size);
        let next = at
            .ok()
            .and_then(|at| Cidr::new(Ipv4::from_octets(at.to_be_bytes()), first.length()));
        let Some(next) = next else {
            let first = first.to_string();
            return Err((
                count.span(),
                Problem::RangeOverflow {
                    first,
                    count: number,
                },
            ));
        };
        rules.push(AclRule { from: next, ..rule });
    }
    Ok(())
}

fn service(from: &file::AclRule) -> Loaded<Service> {
    let ports = match (&from.protocol, &from.ports) {
        (None, None) => return Ok(Service::Any),
        (Some(protocol), None) => {
            return Ok(Service::Protocol(match protocol.get_ref() {
                file::AclProtocol::Tcp => ipv4::TCP,
                file::AclProtocol::Udp => ipv4::UDP,
                file::AclProtocol::Icmp => ipv4::ICMP,
            }));
        }
        (_, Some(ports)) => ports,
    };
    let range = range(ports)?;
    match from.protocol.as_ref().map(Spanned::get_ref) {
        Some(file::AclProtocol::Tcp) => Ok(Service::Tcp(range)),
        Some(file::AclProtocol::Udp) => Ok(Service::Udp(range)),
        Some(file::AclProtocol::Icmp) | None => {
            let (key, context) = ("ports", "without `protocol` \"tcp\" or \"udp\"");
            Err((ports.span(), Problem::Meaningless { key, context }))
        }
    }
}

/// `80`, or `8000-8080`.
fn range(text: &Spanned<String>) -> Loaded<PortRange> {
    let written = text.get_ref();
    let (first, last) = written.split_once('-').unwrap_or((written, written));
    let (first, last) = (first.trim().parse(), last.trim().parse());
    match (first, last) {
        (Ok(first), Ok(last)) if first <= last => Ok(PortRange { first, last }),
        _ => {
            let found = written.clone();
            Err((text.span(), Problem::Ports { found }))
        }
    }
}

impl Topology {
    /// The lists that droplet `at` is told of: those of networks that it divides for, or hosts endpoints of; and of those with
    /// scaled endpoints, where it hosts any endpoint of the VPC: nobody else sees where packets were to go that it rewrites.
    pub(super) fn acls(&self, at: Index) -> Vec<provision::Acl> {
        let hosted = |group: &&Group| !self.hosted_on(group, at).is_empty();
        let is_told = |acl: &&Acl| {
            let vpc = self.networks[acl.network].vpc;
            let of_network = |group: &Group| group.network == acl.network;
            let of_vpc = |group: &Group| self.networks[group.network].vpc == vpc;
            let mut groups = self.groups.iter();
            let is_scaled = groups.any(|group| of_network(group) && group.backends.is_some());
            let mut hosted = self.groups.iter().filter(hosted);
            hosted.any(|group| of_network(group) || is_scaled && of_vpc(group))
                || self.vpcs[vpc].dividers.contains(&at)
        };
        self.acls
            .iter()
            .filter(is_told)
            .map(|acl| self.provided(acl))
            .collect()
    }

    /// VPCs with access lists that something is attached of.
    pub(super) fn guarded(&self, attachments: &[Attachment]) -> Vec<Vni> {
        let has_lists = |vpc: &Index| {
            let mut networks = self.acls.iter().map(|acl| acl.network);
            networks.any(|network| self.networks[network].vpc == *vpc)
        };
        let vpcs = (0..self.vpcs.len()).filter(has_lists);
        let attached = |vni: &Vni| attachments.iter().any(|it| it.vni == *vni);
        vpcs.map(|vpc| self.vpcs[vpc].vni)
            .filter(attached)
            .collect()
    }

    /// Refuses networks that lie in one another where one of them has an access list: what comes from within the inner one would
    /// be from within the outer one, too, or not.
    pub(super) fn check_lists(&self, file: &file::File) -> Loaded<()> {
        for (acl, written) in self.acls.iter().zip(&file.acls) {
            let guarded = &self.networks[acl.network];
            let overlaps = |(index, other): &(Index, &Network)| {
                *index != acl.network
                    && other.vpc == guarded.vpc
                    && guarded.cidr.overlaps(other.cidr)
            };
            if let Some((index, _)) = self.networks.iter().enumerate().find(overlaps) {
                let name = |index: Index| file.networks[index].name.get_ref().clone();
                let (network, other) = (name(acl.network), name(index));
                return Err((written.network.span(), Problem::Overlap { network, other }));
            }
        }
        Ok(())
    }

    /// An address in the network with an access list that holds `ip`, far from those of its endpoints: what somebody may claim
    /// who is not in it.
    pub fn claimed_within(&self, ip: Ipv4) -> Option<Ipv4> {
        let mut guarded = self.acls.iter().map(|acl| self.networks[acl.network].cidr);
        let network = guarded.find(|cidr| cidr.contains(ip))?;
        let last = u32::MAX.checked_shr(network.length().into()).unwrap_or(0);
        let bits = network.address().to_bits() | last & !1;
        Some(Ipv4::from_octets(bits.to_be_bytes()))
    }

    /// The same topology without access lists.
    #[must_use]
    pub fn without_access_lists(mut self) -> Self {
        self.acls.clear();
        self
    }

    /// The same topology with access lists that allow what they deny here, and deny what they allow.
    #[must_use]
    pub fn with_access_turned(mut self) -> Self {
        for acl in &mut self.acls {
            acl.default = acl.default.turned();
            for rule in &mut acl.rules {
                rule.access = rule.access.turned();
            }
        }
        self
    }

    /// Rules of the longest access list; none where no network has one.
    pub fn access_rules(&self) -> Option<u32> {
        self.acls.iter().map(|acl| acl.rules.len() as u32).max()
    }

    /// Destination ports at which access lists change their minds, and their neighbours, of which there may be many; none if
    /// there is no list.
    pub fn acl_ports(&self) -> Vec<u16> {
        let ranges = self.acls.iter().flat_map(|acl| &acl.rules);
        let ranges = ranges.filter_map(|rule| match rule.service {
            Service::Tcp(range) | Service::Udp(range) => Some(range),
            Service::Any | Service::Protocol(_) => None,
        });
        let edges = ranges.flat_map(|PortRange { first, last }| {
            [first.saturating_sub(1), first, last, last.saturating_add(1)]
        });
        let always = if self.acls.is_empty() {
            &[][..]
        } else {
            &[1, u16::MAX]
        };
        let ports: BTreeSet<u16> = edges.chain(always.iter().copied()).collect();
        ports.into_iter().collect()
    }

    /// Addresses at which access lists change their minds: at both ends of the prefixes that they name, of at most `most` of
    /// those, and beside them.
    pub fn acl_addresses(&self, most: usize) -> Vec<Ipv4> {
        let rules = self.acls.iter().flat_map(|acl| &acl.rules);
        let named = rules.flat_map(|rule| [rule.from, rule.to]);
        let mut prefixes: Vec<Cidr> = Vec::new();
        for prefix in named.filter(|prefix| *prefix != Cidr::EVERYTHING) {
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
        // The first and the last, and some that are as far from each other.
        let step = prefixes.len().div_ceil(most.max(1)).max(1);
        let last = prefixes.last().copied();
        let sampled = prefixes.into_iter().step_by(step).chain(last);
        let edges = sampled.flat_map(|prefix| {
            let [first, last] = [prefix.address(), prefix.last()].map(Ipv4::to_bits);
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        });
        let edges: BTreeSet<u32> = edges.collect();
        let address = |bits: u32| Ipv4::from_octets(bits.to_be_bytes());
        edges.into_iter().map(address).collect()
    }

    fn provided(&self, acl: &Acl) -> provision::Acl {
        let network = &self.networks[acl.network];
        provision::Acl {
            vni: self.vpcs[network.vpc].vni,
            network: network.cidr,
            default: acl.default,
            rules: acl.rules.clone(),
        }
    }

    /// The network whose access list forbids these flows, if one does: none of their packets would come through.
    pub(super) fn forbids(&self, flows: &Flows) -> Option<Index> {
        let (from, to) = (&self.groups[flows.from], &self.groups[flows.to]);
        let acl = self.acls.iter().find(|acl| acl.network == to.network)?;
        let flow = FlowSpace::new(from.range, to.range, flows.transport, 1).flow(0);
        let protocol = match flow.transport {
            Transport::Udp => ipv4::UDP,
            Transport::Tcp => ipv4::TCP,
        };
        let list = self.provided(acl);
        let access = list.access(flow.src_ip, flow.dst_ip, protocol, flow.dst_port);
        (access == Access::Deny).then_some(acl.network)
    }
}
