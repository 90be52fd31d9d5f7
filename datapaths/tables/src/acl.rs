//! From the rules of an access list to sets of rules by prefix, as the core looks them up.

use mizar_core::acl::{Acl, AclKey, Dimension, RuleSet};
use mizar_wire::Ipv4;
use std::collections::HashMap;
use topologies::provision::{self, Access, Cidr, PortRange, Service};

/// A prefix of a value of 32 bits.
type Prefix = (u32, u8);

/// The list with this number.
pub fn list(number: u32, acl: &provision::Acl) -> Acl {
    let mut allowing = RuleSet::default();
    for (index, rule) in acl.rules.iter().enumerate() {
        if rule.access == Access::Allow {
            allowing.insert(index);
        }
    }
    let mask = Ipv4::from_octets(mask(acl.network.length()).to_be_bytes());
    let allows = acl.default == Access::Allow;
    Acl::new(number, acl.network.address(), mask, allows, allowing)
}

/// Which rules say yes to which prefix: a key, how many bits of its value count, and the rules.
pub fn rules(number: u32, acl: &provision::Acl) -> Vec<(AclKey, u8, RuleSet)> {
    let rules = || acl.rules.iter().enumerate();
    let of_address = |cidr: Cidr| vec![(cidr.address().to_bits(), cidr.length())];
    let from = by_prefix(rules().map(|(index, rule)| (index, of_address(rule.from))));
    let to = by_prefix(rules().map(|(index, rule)| (index, of_address(rule.to))));
    let service = by_prefix(rules().map(|(index, rule)| (index, of_service(rule.service))));
    let address = |dimension: Dimension| {
        move |((value, length), set): (Prefix, RuleSet)| {
            let address = Ipv4::from_octets(value.to_be_bytes());
            (AclKey::address(number, dimension, address), length, set)
        }
    };
    let of_service = |((value, length), set): (Prefix, RuleSet)| {
        let [protocol, high, low, _] = value.to_be_bytes();
        let port = u16::from_be_bytes([high, low]);
        (AclKey::service(number, protocol, port), length, set)
    };
    let from = from.into_iter().map(address(Dimension::From));
    let to = to.into_iter().map(address(Dimension::To));
    from.chain(to)
        .chain(service.into_iter().map(of_service))
        .collect()
}

/// A protocol is 8 bits, and a port the next 16.
fn of_service(service: Service) -> Vec<Prefix> {
    let of_protocol = |protocol: u8| u32::from(protocol) << 24;
    let of_ports = |protocol: u8, ports: PortRange| {
        let prefixes = ports.prefixes().into_iter();
        prefixes
            .map(|(port, length)| (of_protocol(protocol) | u32::from(port) << 8, 8 + length))
            .collect()
    };
    match service {
        Service::Any => vec![(0, 0)],
        Service::Protocol(protocol) => vec![(of_protocol(protocol), 8)],
        Service::Tcp(ports) => of_ports(mizar_wire::ipv4::TCP, ports),
        Service::Udp(ports) => of_ports(mizar_wire::ipv4::UDP, ports),
    }
}

/// The longest prefix alone is found, so each repeats the rules of those around it.
fn by_prefix(rules: impl Iterator<Item = (usize, Vec<Prefix>)>) -> HashMap<Prefix, RuleSet> {
    let mut own: HashMap<Prefix, RuleSet> = HashMap::new();
    for (index, prefixes) in rules {
        for prefix in prefixes {
            own.entry(prefix).or_default().insert(index);
        }
    }
    let with_those_around = |(value, length): Prefix| {
        let mut all = RuleSet::default();
        for around in 0..=length {
            if let Some(more) = own.get(&(value & mask(around), around)) {
                all.insert_all(more);
            }
        }
        ((value, length), all)
    };
    own.keys().copied().map(with_those_around).collect()
}

/// The mask of a prefix of `length` bits.
fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::{Entries, Native};
    use mizar_core::acl::judge;
    use mizar_core::flow::FlowKey;
    use mizar_wire::{Be16, Ipv4, Mac, Vni};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use topologies::provision::{Access, Acl, AclRule, Cidr, Host, PortRange, Provision, Service};

    fn address(bits: u32) -> Ipv4 {
        Ipv4::from_octets(bits.to_be_bytes())
    }

    /// Few distinct ones, so that prefixes nest and rules meet packets.
    fn addresses() -> impl Strategy<Value = Ipv4> {
        any::<u32>().prop_map(|bits| address(0x0a00_0000 | bits & 0x0003_0303))
    }

    fn cidrs() -> impl Strategy<Value = Cidr> {
        let lengths = select(vec![0u8, 6, 8, 15, 16, 24, 31, 32]);
        let cidr = |(address, length)| Cidr::new(address, length);
        (addresses(), lengths).prop_filter_map("a length that there is", cidr)
    }

    fn services() -> impl Strategy<Value = Service> {
        let port = || prop_oneof![0u16..8, 1020u16..1030, any::<u16>()];
        let range = (port(), port()).prop_map(|(a, b)| PortRange {
            first: a.min(b),
            last: a.max(b),
        });
        prop_oneof![
            Just(Service::Any),
            select(vec![1, 6, 17, 47]).prop_map(Service::Protocol),
            range.clone().prop_map(Service::Tcp),
            range.prop_map(Service::Udp),
        ]
    }

    fn rules() -> impl Strategy<Value = Vec<AclRule>> {
        let access = select(vec![Access::Allow, Access::Deny]);
        let rule = (access, cidrs(), cidrs(), services());
        let rule = rule
            .prop_map(|(access, from, to, service)| AclRule {
                access,
                from,
                to,
                service,
            })
            .boxed();
        prop_oneof![3 => vec(rule.clone(), 0..20), 1 => vec(rule, 900..=Acl::RULES)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn tables_of_rules_decide_as_the_list_read_in_order(
            rules in rules(),
            default in select(vec![Access::Allow, Access::Deny]),
            packets in vec((addresses(), addresses(), select(vec![1u8, 6, 17, 47]), prop_oneof![0u16..8, 1020u16..1030, any::<u16>()]), 64),
        ) {
            let vni = Vni::new(7).unwrap();
            let network = Cidr::new(address(0x0a00_0000), 16).unwrap();
            let acl = Acl { vni, network, default, rules };
            let host = Host { ip: address(1), mac: Mac::default() };
            let provision = Provision { acls: vec![acl.clone()], ..Provision::new(host) };
            let tables = Native::new(&Entries::encode(&provision).unwrap());
            for (src, dst, protocol, port) in packets {
                let flow = FlowKey::new(vni, protocol, src, dst, Be16::new(9), Be16::new(port));
                let access = if network.contains(dst) {
                    acl.access(src, dst, protocol, port)
                } else {
                    Access::Allow
                };
                let judged = judge(&tables, &flow);
                prop_assert_eq!(judged.is_ok(), access == Access::Allow, "{:?}", flow);
            }
        }
    }
}
