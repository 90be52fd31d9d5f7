//! From the rules of an access list to sets of rules by prefix, as the core looks them up.

use crate::Entries;
use mizar_core::acl::{Acl, AclKey, Dimension, RuleSet};
use mizar_wire::Ipv4;
use std::collections::{BTreeMap, HashMap, HashSet};
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

/// Which rules say yes to which prefix: a key, how many bits of its value count, and the rules. The same list has them in the
/// same order.
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

/// For each list of `entries`, by its number there: the number of the same one in `others`, or one that none has there.
pub fn numbers_beside(entries: &Entries, others: &Entries) -> HashMap<u32, u32> {
    let (own, known) = (rules_by_list(entries), rules_by_list(others));
    let lists = others.acls.iter();
    let known: HashMap<_, _> = lists
        .map(|(vni, network, acl)| ((*vni, *network), (acl, known.get(&acl.number()))))
        .collect();
    let taken: HashSet<u32> = others.acls.iter().map(|(_, _, acl)| acl.number()).collect();
    let mut free = (0..).filter(|number| !taken.contains(number));
    let mut numbers = HashMap::new();
    for (vni, network, acl) in &entries.acls {
        let number = acl.number();
        let same = known.get(&(*vni, *network)).filter(|(other, rules)| {
            other.with_number(number) == *acl && *rules == own.get(&number)
        });
        let beside = match same {
            Some((other, _)) => Some(other.number()),
            None => free.next(),
        };
        numbers.extend(beside.map(|beside| (number, beside)));
    }
    numbers
}

/// Rules by the number of their list, which is left out of their keys.
fn rules_by_list(entries: &Entries) -> HashMap<u32, Vec<(u32, u32, u8, &RuleSet)>> {
    let mut lists: HashMap<u32, Vec<_>> = HashMap::new();
    for (key, length, rules) in &entries.acl_rules {
        let list = lists.entry(key.acl).or_default();
        list.push((key.dimension, key.value, *length, rules));
    }
    lists
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

/// The longest prefix alone is found, so each repeats the rules of those around it. The one around all is always there: a
/// list of which nothing is found is one that is being taken away.
fn by_prefix(rules: impl Iterator<Item = (usize, Vec<Prefix>)>) -> BTreeMap<Prefix, RuleSet> {
    let mut own = BTreeMap::from([((0, 0), RuleSet::default())]);
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

    #[test]
    fn lists_that_stay_keep_their_numbers_and_others_get_free_ones() {
        let list = |last: u32, access| Acl {
            vni: Vni::new(7).unwrap(),
            network: Cidr::new(address(0x0a00_0000 | last << 8), 24).unwrap(),
            default: Access::Deny,
            rules: vec![AclRule {
                access,
                from: Cidr::EVERYTHING,
                to: Cidr::EVERYTHING,
                service: Service::Any,
            }],
        };
        let entries = |acls: Vec<Acl>| {
            let host = Host {
                ip: address(1),
                mac: Mac::default(),
            };
            let provision = Provision {
                acls,
                ..Provision::new(host)
            };
            Entries::encode(&provision).unwrap()
        };
        let numbers = |entries: &Entries| -> Vec<u32> {
            entries
                .acls
                .iter()
                .map(|(_, _, acl)| acl.number())
                .collect()
        };
        let old = entries(vec![list(1, Access::Allow), list(2, Access::Allow)]);
        let new = entries(vec![
            list(3, Access::Allow),
            list(2, Access::Allow),
            list(1, Access::Deny),
        ]);
        let new = new.with_acls_beside(&old);
        assert_eq!((numbers(&old), numbers(&new)), (vec![0, 1], vec![2, 1, 3]));
        // Rules go with their list.
        let of_rules: Vec<u32> = new.acl_rules.iter().map(|(key, _, _)| key.acl).collect();
        assert_eq!(of_rules, [2, 2, 2, 1, 1, 1, 3, 3, 3]);
        let again = entries(vec![list(1, Access::Deny)]).with_acls_beside(&new);
        assert_eq!(numbers(&again), [3]);
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
