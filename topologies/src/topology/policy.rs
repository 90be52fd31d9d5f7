//! Network policy of a topology, and the tables that it becomes.

use super::{Group, Index, Topology, Transport};
use crate::provision::{Cidr, CidrRule, LabelRule, PolicySet, PortRule, Rules};
use mizar_wire::{Ipv4, Vni, ipv4};

/// Policy of some endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub group: Index,
    pub ingress: Enforced,
    pub egress: Enforced,
}

/// Policy of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Enforced {
    /// Whether there is any: without rules, it then denies everything.
    pub enforced: bool,
    pub allow: Vec<Allow>,
}

/// A rule that lets packets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allow {
    /// Its number, below 64. Label tables hold for a whole VPC, so numbers are unique within one.
    pub number: u32,
    /// Protocol and port; every one where there is none.
    pub port: Option<(Transport, u16)>,
    pub remote: Remote,
}

/// The other end that a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remote {
    Prefix { cidr: Cidr, except: Vec<Cidr> },
    Labels { pod: u32, namespace: u32 },
}

/// Whether ingress or egress tables are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Ingress,
    Egress,
}

impl Policy {
    fn side(&self, side: Side) -> &Enforced {
        match side {
            Side::Ingress => &self.ingress,
            Side::Egress => &self.egress,
        }
    }
}

impl Topology {
    /// Policy tables for the endpoints that droplet `at` hosts.
    pub(super) fn rules(&self, at: Index, side: Side) -> Rules {
        let mut rules = Rules::default();
        for policy in self
            .policies
            .iter()
            .filter(|policy| policy.side(side).enforced)
        {
            let group = &self.groups[policy.group];
            let vni = self.vni_of(group);
            for index in self.hosted_on(group, at) {
                let local = group.range.ip(index);
                rules.enforced.push((vni, local));
                add_local(&mut rules, &policy.side(side).allow, vni, local);
            }
        }
        if !rules.is_empty() {
            self.add_labels(&mut rules, side);
        }
        rules
    }

    fn add_labels(&self, rules: &mut Rules, side: Side) {
        for policy in &self.policies {
            let vni = self.vni_of(&self.groups[policy.group]);
            for allow in &policy.side(side).allow {
                let Remote::Labels { pod, namespace } = allow.remote else {
                    continue;
                };
                let policies = bit(allow);
                let same = |rule: &&mut LabelRule| {
                    (rule.vni, rule.pod, rule.namespace) == (vni, pod, namespace)
                };
                match rules.labels.iter_mut().find(same) {
                    Some(rule) => rule.policies.0 |= policies,
                    None => rules.labels.push(LabelRule {
                        vni,
                        pod,
                        namespace,
                        policies: PolicySet(policies),
                    }),
                }
            }
        }
    }

    pub(super) fn vni_of(&self, group: &Group) -> Vni {
        self.vpcs[self.networks[group.network].vpc].vni
    }
}

fn bit(allow: &Allow) -> u64 {
    1_u64.checked_shl(allow.number).unwrap_or_default()
}

/// Adds the rules of one endpoint.
fn add_local(rules: &mut Rules, allow: &[Allow], vni: Vni, local: Ipv4) {
    let mut primary: Vec<(Cidr, u64)> = Vec::new();
    let mut supplementary = Vec::new();
    let mut excepted = Vec::new();
    for rule in allow {
        let (protocol, port) = match rule.port {
            None => (0, 0),
            Some((Transport::Udp, port)) => (ipv4::UDP, port),
            Some((Transport::Tcp, port)) => (ipv4::TCP, port),
        };
        let same = |found: &&mut PortRule| {
            (found.vni, found.local, found.protocol, found.port) == (vni, local, protocol, port)
        };
        match rules.ports.iter_mut().rev().take(allow.len()).find(same) {
            Some(found) => found.policies.0 |= bit(rule),
            None => {
                let policies = PolicySet(bit(rule));
                rules.ports.push(PortRule {
                    vni,
                    local,
                    protocol,
                    port,
                    policies,
                });
            }
        }
        if let Remote::Prefix { cidr, except } = &rule.remote {
            if except.is_empty() {
                primary.push((*cidr, bit(rule)));
            } else {
                supplementary.push((*cidr, bit(rule)));
                excepted.extend(except.iter().map(|cidr| (*cidr, bit(rule))));
            }
        }
    }
    let entry = |(remote, policies)| CidrRule {
        vni,
        local,
        remote,
        policies: PolicySet(policies),
    };
    rules
        .cidr_primary
        .extend(by_longest_prefix(&primary).into_iter().map(entry));
    rules
        .cidr_supplementary
        .extend(by_longest_prefix(&supplementary).into_iter().map(entry));
    rules
        .cidr_except
        .extend(by_longest_prefix(&excepted).into_iter().map(entry));
}

/// The longest matching prefix alone decides, so each must repeat the policies of those around it.
fn by_longest_prefix(rules: &[(Cidr, u64)]) -> Vec<(Cidr, u64)> {
    let mut prefixes: Vec<Cidr> = Vec::new();
    for (cidr, _) in rules {
        if !prefixes.contains(cidr) {
            prefixes.push(*cidr);
        }
    }
    let around = |inner: Cidr| {
        rules
            .iter()
            .filter(|(outer, _)| {
                outer.length() <= inner.length() && outer.contains(inner.address())
            })
            .fold(0, |policies, (_, more)| policies | more)
    };
    prefixes
        .into_iter()
        .map(|prefix| (prefix, around(prefix)))
        .collect()
}
