//! Random tables of one droplet.

use crate::provision::{
    Access, Acl, AclRule, Attachment, Cidr, CidrRule, Class, DirectPath, Endpoint, EndpointKind,
    EndpointPort, Extensions, Host, LabelRule, Network, PolicySet, PortRange, PortRule, Priority,
    Provision, Rules, Service, Vpc,
};
use mizar_wire::{Ipv4, Mac, Vni};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Virtual network identifiers that worlds use.
pub(super) fn vnis() -> Vec<Vni> {
    [7, 0x00ab_cdef].into_iter().filter_map(Vni::new).collect()
}

/// Overlay addresses that worlds use: ten, in three networks.
pub(super) fn overlay() -> Vec<Ipv4> {
    let first = (2..7).map(|last| [10, 0, 0, last]);
    let second = (2..5).map(|last| [10, 0, 1, last]);
    let third = (2..4).map(|last| [172, 16, 0, last]);
    first
        .chain(second)
        .chain(third)
        .map(Ipv4::from_octets)
        .collect()
}

/// Droplets that worlds use. The first is the one whose tables are made.
pub(super) fn droplets() -> Vec<Host> {
    (1..6)
        .map(|last| Host {
            ip: Ipv4::from_octets([192, 168, 0, last]),
            mac: Mac::new([2, 0xaa, 0, 0, 0, last]),
        })
        .collect()
}

/// Labels that policies and packets use.
pub(super) const LABELS: [u32; 3] = [0, 77, 0x0102_0304];

/// Ports that policies and packets use.
pub(super) const PORTS: [u16; 4] = [7, 53, 0x1234, 40_000];

fn cidrs() -> Vec<Cidr> {
    [
        ([0, 0, 0, 0], 0),
        ([10, 0, 0, 0], 8),
        ([10, 0, 0, 0], 24),
        ([10, 0, 0, 2], 31),
        ([10, 0, 0, 3], 32),
        ([10, 0, 1, 0], 24),
        ([172, 16, 0, 0], 12),
    ]
    .into_iter()
    .filter_map(|(octets, length)| Cidr::new(Ipv4::from_octets(octets), length))
    .collect()
}

/// All pairs of a network identifier and an address.
fn keys() -> Vec<(Vni, Ipv4)> {
    vnis()
        .into_iter()
        .flat_map(|vni| overlay().into_iter().map(move |ip| (vni, ip)))
        .collect()
}

/// Some of `keys`, each once, each with a value.
fn table<K, V>(
    keys: Vec<K>,
    most: usize,
    value: impl Strategy<Value = V>,
) -> impl Strategy<Value = Vec<(K, V)>>
where
    K: Clone + std::fmt::Debug + 'static,
    V: std::fmt::Debug,
{
    let most = most.min(keys.len());
    (subsequence(keys, 0..=most), vec(value, most))
        .prop_map(|(keys, values)| keys.into_iter().zip(values).collect())
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 3]>().prop_map(|[a, b, c]| Mac::new([2, 0, 0x0a, a, b, c]))
}

fn hosts(most: usize) -> impl Strategy<Value = Vec<Ipv4>> {
    let droplets: Vec<Ipv4> = droplets().iter().map(|droplet| droplet.ip).collect();
    vec(select(droplets), 0..=most)
}

fn kind() -> impl Strategy<Value = EndpointKind> {
    prop_oneof![
        4 => Just(EndpointKind::Simple),
        2 => Just(EndpointKind::Scaled),
        1 => Just(EndpointKind::Gateway),
    ]
}

fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let one = (
        mac(),
        kind(),
        prop::bool::weighted(0.4),
        hosts(2),
        vec(select(overlay()), 0..4),
    );
    table(keys(), 12, one).prop_map(|table| {
        let mut ports = (0..).map(EndpointPort);
        table
            .into_iter()
            .map(
                |((vni, ip), (mac, kind, is_hosted, hosts, backends))| Endpoint {
                    vni,
                    ip,
                    mac,
                    kind,
                    port: if is_hosted { ports.next() } else { None },
                    hosts: if kind == EndpointKind::Scaled {
                        backends
                    } else {
                        hosts
                    },
                },
            )
            .collect()
    })
}

fn class() -> impl Strategy<Value = (Class, Priority)> {
    let class = prop_oneof![3 => Just(Class::Premium), 1 => Just(Class::Expedited), 1 => Just(Class::BestEffort)];
    (
        class,
        select(vec![Priority::High, Priority::Medium, Priority::Low]),
    )
}

/// Every hosted endpoint may send; where none is hosted, one that no table knows does.
fn attachments(endpoints: &[Endpoint]) -> impl Strategy<Value = Vec<Attachment>> + use<> {
    let mut attached: Vec<(EndpointPort, Vni, Ipv4, Mac)> = endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint.port?, endpoint.vni, endpoint.ip, endpoint.mac)))
        .collect();
    if attached.is_empty()
        && let (Some(&vni), Some(&ip)) = (vnis().first(), overlay().first())
    {
        attached.push((EndpointPort(0), vni, ip, Mac::new([2, 0, 0, 0, 0, 1])));
    }
    let one = (
        hosts(3),
        select(LABELS.to_vec()),
        select(LABELS.to_vec()),
        class(),
    );
    vec(one, attached.len()).prop_map(move |chosen| {
        let attach =
            |(&(port, vni, ip, mac), (bouncers, pod_label, namespace_label, class))| Attachment {
                port,
                vni,
                ip,
                mac,
                bouncers,
                pod_label,
                namespace_label,
                class,
            };
        attached.iter().zip(chosen).map(attach).collect()
    })
}

fn policies() -> impl Strategy<Value = PolicySet> {
    prop_oneof![any::<u8>().prop_map(u64::from), Just(1 << 63), any::<u64>()].prop_map(PolicySet)
}

fn cidr_rules(local: Vec<(Vni, Ipv4)>) -> impl Strategy<Value = Vec<CidrRule>> {
    let keys = local
        .into_iter()
        .flat_map(|(vni, local)| cidrs().into_iter().map(move |remote| (vni, local, remote)));
    table(keys.collect(), 10, policies()).prop_map(|table| {
        let rule = |((vni, local, remote), policies)| CidrRule {
            vni,
            local,
            remote,
            policies,
        };
        table.into_iter().map(rule).collect()
    })
}

fn port_rules(local: Vec<(Vni, Ipv4)>) -> impl Strategy<Value = Vec<PortRule>> {
    let everything = std::iter::once((0, 0));
    let services = everything
        .chain(PORTS.into_iter().flat_map(|port| [(6, port), (17, port)]))
        .collect::<Vec<(u8, u16)>>();
    let keys = local.into_iter().flat_map(move |(vni, local)| {
        services
            .clone()
            .into_iter()
            .map(move |(protocol, port)| (vni, local, protocol, port))
    });
    table(keys.collect(), 12, policies()).prop_map(|table| {
        let rule = |((vni, local, protocol, port), policies)| PortRule {
            vni,
            local,
            protocol,
            port,
            policies,
        };
        table.into_iter().map(rule).collect()
    })
}

fn label_rules() -> impl Strategy<Value = Vec<LabelRule>> {
    let pairs = LABELS
        .into_iter()
        .flat_map(|pod| LABELS.map(|namespace| (pod, namespace)));
    let labels: Vec<(u32, u32)> = pairs.filter(|pair| *pair != (0, 0)).collect();
    let keys = vnis().into_iter().flat_map(move |vni| {
        labels
            .clone()
            .into_iter()
            .map(move |(pod, namespace)| (vni, pod, namespace))
    });
    table(keys.collect(), 5, policies()).prop_map(|table| {
        let rule = |((vni, pod, namespace), policies)| LabelRule {
            vni,
            pod,
            namespace,
            policies,
        };
        table.into_iter().map(rule).collect()
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let enforced = prop_oneof![1 => Just(vec![]), 2 => subsequence(keys(), 0..=6)];
    enforced.prop_flat_map(|enforced| {
        // Rules for endpoints without enforcement must do nothing; there are a few.
        let mut local = enforced.clone();
        local.extend(
            keys()
                .into_iter()
                .filter(|key| !enforced.contains(key))
                .take(1),
        );
        (
            Just(enforced),
            port_rules(local.clone()),
            cidr_rules(local.clone()),
            cidr_rules(local.clone()),
            cidr_rules(local),
            label_rules(),
        )
            .prop_map(
                |(enforced, ports, cidr_primary, cidr_supplementary, cidr_except, labels)| Rules {
                    enforced,
                    ports,
                    cidr_primary,
                    cidr_supplementary,
                    cidr_except,
                    labels,
                },
            )
    })
}

fn access() -> impl Strategy<Value = Access> {
    select(vec![Access::Allow, Access::Deny])
}

fn service() -> impl Strategy<Value = Service> {
    let range = (select(PORTS.to_vec()), select(PORTS.to_vec())).prop_map(|(a, b)| PortRange {
        first: a.min(b),
        last: a.max(b),
    });
    prop_oneof![
        2 => Just(Service::Any),
        1 => select(vec![1, 6, 17]).prop_map(Service::Protocol),
        2 => range.clone().prop_map(Service::Tcp),
        2 => range.prop_map(Service::Udp),
    ]
}

fn acls() -> impl Strategy<Value = Vec<Acl>> {
    let rule = (access(), select(cidrs()), select(cidrs()), service());
    let rules = vec(rule, 0..8).prop_map(|rules| {
        let rule = |(access, from, to, service)| AclRule {
            access,
            from,
            to,
            service,
        };
        rules.into_iter().map(rule).collect::<Vec<_>>()
    });
    let keys = vnis()
        .into_iter()
        .flat_map(|vni| cidrs().into_iter().map(move |cidr| (vni, cidr)));
    let lists = table(keys.collect(), 3, (access(), rules)).prop_map(|table| {
        let acl = |((vni, network), (default, rules))| Acl {
            vni,
            network,
            default,
            rules,
        };
        table.into_iter().map(acl).collect()
    });
    prop_oneof![2 => Just(Vec::new()), 1 => lists]
}

/// Some VPCs with lists, so that others are tried without: those with one that denies what no rule allows.
fn guarded(acls: &[Acl]) -> Vec<Vni> {
    let denies = |vni: &Vni| {
        let mut lists = acls.iter().filter(|acl| acl.vni == *vni);
        lists.any(|acl| acl.default == Access::Deny)
    };
    vnis().into_iter().filter(denies).collect()
}

fn networks() -> impl Strategy<Value = Vec<Network>> {
    let keys = vnis()
        .into_iter()
        .flat_map(|vni| cidrs().into_iter().map(move |cidr| (vni, cidr)));
    table(keys.collect(), 4, hosts(3)).prop_map(|table| {
        let network = |((vni, cidr), bouncers)| Network {
            vni,
            cidr,
            bouncers,
        };
        table.into_iter().map(network).collect()
    })
}

fn vpcs() -> impl Strategy<Value = Vec<Vpc>> {
    table(vnis(), 2, hosts(3)).prop_map(|table| {
        table
            .into_iter()
            .map(|(vni, dividers)| Vpc { vni, dividers })
            .collect()
    })
}

fn direct_paths() -> impl Strategy<Value = Vec<DirectPath>> {
    table(keys(), 4, select(droplets())).prop_map(|table| {
        table
            .into_iter()
            .map(|((vni, ip), host)| DirectPath { vni, ip, host })
            .collect()
    })
}

/// What the droplet does beyond what Mizar's does, and who reads the short header.
fn extensions() -> impl Strategy<Value = (Extensions, Vec<Ipv4>)> {
    let addresses: Vec<Ipv4> = droplets().iter().map(|droplet| droplet.ip).collect();
    let readers = prop_oneof![1 => Just(Vec::new()), 3 => subsequence(addresses, 1..=5)];
    (any::<bool>(), any::<bool>(), readers).prop_map(|(invalidation, short_header, readers)| {
        let extensions = Extensions {
            invalidation,
            short_header,
            ..Extensions::default()
        };
        (extensions, readers)
    })
}

fn unhealthy() -> impl Strategy<Value = Vec<Ipv4>> {
    let addresses: Vec<Ipv4> = droplets().iter().map(|droplet| droplet.ip).collect();
    prop_oneof![2 => Just(Vec::new()), 1 => subsequence(addresses, 1..=2)]
}

/// The tables of one droplet in a small world: endpoints of all kinds, here and elsewhere, networks, VPCs,
/// policies and direct paths, under two network identifiers.
pub fn arbitrary_provision() -> impl Strategy<Value = Provision> {
    let attached =
        endpoints().prop_flat_map(|endpoints| (attachments(&endpoints), Just(endpoints)));
    let droplet = droplets().into_iter().next();
    let known = prop_oneof![3 => Just(droplets()), 1 => subsequence(droplets(), 0..=5)];
    (
        attached,
        known,
        networks(),
        vpcs(),
        direct_paths(),
        rules(),
        rules(),
        acls(),
        (extensions(), unhealthy()),
    )
        .prop_map(
            move |(
                (attachments, endpoints),
                substrate,
                networks,
                vpcs,
                direct_paths,
                ingress,
                egress,
                acls,
                ((extensions, short_header_hosts), unhealthy),
            )| {
                let host = droplet.unwrap_or(Host {
                    ip: Ipv4::from_octets([0; 4]),
                    mac: Mac::default(),
                });
                // Egress policy knows no labels.
                let egress = Rules {
                    labels: vec![],
                    ..egress
                };
                Provision {
                    host,
                    substrate,
                    attachments,
                    endpoints,
                    networks,
                    vpcs,
                    direct_paths,
                    ingress,
                    egress,
                    ports: 0,
                    extensions,
                    unhealthy,
                    short_header_hosts,
                    guarded: guarded(&acls),
                    acls,
                }
            },
        )
}
