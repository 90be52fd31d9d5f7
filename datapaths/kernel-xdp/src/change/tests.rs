use super::*;
use mizar_core::acl::{Acl, judge};
use mizar_core::flow::FlowKey;
use mizar_core::tables::Endpoint;
use mizar_tables::Native;
use mizar_wire::{Be16, Ipv4, Mac};
use std::collections::BTreeMap;
use topologies::provision::{self, Access, AclRule, EndpointKind, EndpointPort, PortRange};
use topologies::provision::{Host as Droplet, Provision, Service};
use zerocopy::FromBytes;

type Flow = (Ipv4, u16);

/// Maps in memory, of which every state is looked at.
struct Recorded<'a> {
    maps: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    room: usize,
    /// Changes until the kernel takes no more for once.
    left: Option<usize>,
    changes: usize,
    look: &'a dyn Fn(&Entries),
}

impl<'a> Recorded<'a> {
    fn new(entries: &Entries) -> Self {
        let mut recorded = Self {
            maps: BTreeMap::new(),
            room: usize::MAX,
            left: None,
            changes: 0,
            look: &|_| {},
        };
        tables(&mut recorded, &Entries::empty(entries.droplet), entries).unwrap();
        recorded.changes = 0;
        recorded
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Result<(), Error> {
        if self.left == Some(self.changes) {
            self.left = None;
            return Err(Error::failed("changing a map", "no memory"));
        }
        change(self);
        self.changes += 1;
        (self.look)(&self.entries());
        Ok(())
    }

    /// What decides whether a packet is delivered, as programs find it.
    fn entries(&self) -> Entries {
        let mut entries = Entries::empty(Host::default());
        let of = |map: &str| self.maps.get(map).into_iter().flatten();
        let looks_for_lists = of("CONFIG").any(|(_, config)| config[14] != 0);
        for (key, acl) in of("ACLS").filter(|_| looks_for_lists) {
            let (bits, key) = u32::read_from_prefix(key).unwrap();
            let key = EndpointKey::read_from_bytes(key).unwrap();
            let network = Cidr::new(key.ip(), (bits - 32) as u8).unwrap();
            let acl = Acl::read_from_bytes(acl).unwrap();
            entries
                .acls
                .push((Vni::new(key.vni()).unwrap(), network, acl));
        }
        for (key, rules) in of("ACL_RULES") {
            let (bits, key) = u32::read_from_prefix(key).unwrap();
            let key = AclKey::read_from_bytes(key).unwrap();
            let rules = RuleSet::read_from_bytes(rules).unwrap();
            entries
                .acl_rules
                .push((key, (bits - AclKey::EXACT_BITS) as u8, rules));
        }
        for (key, endpoint) in of("ENDPOINTS") {
            let key = EndpointKey::read_from_bytes(key).unwrap();
            entries
                .endpoints
                .push((key, Endpoint::read_from_bytes(endpoint).unwrap()));
        }
        entries
    }
}

impl Maps for Recorded<'_> {
    fn room(&self, _: &str) -> Result<usize, Error> {
        Ok(self.room)
    }

    fn enter(&mut self, map: &str, rows: &Rows) -> Result<(), Error> {
        let each = |bytes: &[u8]| bytes.len() / rows.count;
        let keys = rows.keys.chunks(each(&rows.keys));
        for (key, value) in keys.zip(rows.values.chunks(each(&rows.values))) {
            self.change(|it| {
                let entries = it.maps.entry(map.to_owned()).or_default();
                entries.insert(key.to_vec(), value.to_vec());
            })?;
        }
        Ok(())
    }

    fn remove(&mut self, map: &str, key: &[u8]) -> Result<(), Error> {
        self.change(|it| {
            it.maps.get_mut(map).and_then(|entries| entries.remove(key));
        })
    }

    fn wait_for_programs(&mut self) {}
}

fn address(third: u8) -> Ipv4 {
    Ipv4::from_octets([10, 0, third, 2])
}

fn vni() -> Vni {
    Vni::new(7).unwrap()
}

/// A list of the network 10.0.`third`.0/24 that lets these ports in, or keeps them out.
fn list(third: u8, access: Access, ports: std::ops::RangeInclusive<u16>) -> provision::Acl {
    let (first, last) = ports.into_inner();
    provision::Acl {
        vni: vni(),
        network: Cidr::new(address(third), 24).unwrap(),
        default: match access {
            Access::Allow => Access::Deny,
            Access::Deny => Access::Allow,
        },
        rules: vec![AclRule {
            access,
            from: Cidr::EVERYTHING,
            to: Cidr::EVERYTHING,
            service: Service::Tcp(PortRange { first, last }),
        }],
    }
}

/// A host of endpoints of these networks, with these lists.
fn host(networks: &[u8], acls: Vec<provision::Acl>) -> Entries {
    let droplet = Droplet {
        ip: Ipv4::from_octets([192, 168, 0, 1]),
        mac: Mac::default(),
    };
    let mut provision = Provision::new(droplet);
    for (port, third) in (0..).zip(networks) {
        provision.endpoints.push(provision::Endpoint {
            vni: vni(),
            ip: address(*third),
            mac: Mac::default(),
            kind: EndpointKind::Simple,
            port: Some(EndpointPort(port)),
            hosts: vec![droplet.ip],
        });
    }
    provision.acls = acls;
    Entries::encode(&provision).unwrap()
}

/// Hosts that differ in endpoints, lists, rules, and the order of lists.
fn hosts() -> Vec<Entries> {
    let (allow, deny) = (Access::Allow, Access::Deny);
    vec![
        host(&[], vec![]),
        host(&[1, 2], vec![]),
        host(&[1], vec![list(1, allow, 80..=99)]),
        host(
            &[1, 2],
            vec![list(1, allow, 80..=99), list(2, allow, 100..=119)],
        ),
        host(
            &[1, 2],
            vec![list(2, allow, 100..=119), list(1, allow, 80..=99)],
        ),
        host(
            &[1, 2],
            vec![list(2, allow, 80..=99), list(1, allow, 100..=119)],
        ),
        host(
            &[2, 1],
            vec![list(1, deny, 80..=99), list(2, deny, 1..=u16::MAX)],
        ),
        host(&[2], vec![list(2, deny, 0..=u16::MAX)]),
    ]
}

/// What is delivered of packets to both networks.
fn delivered(entries: &Entries) -> HashSet<Flow> {
    let tables = Native::new(entries);
    let mut delivered = HashSet::new();
    for (dst, port) in [1, 2]
        .into_iter()
        .flat_map(|third| [1, 80, 90, 99, 100, 119, 120].map(|port| (address(third), port)))
    {
        let ports = [Be16::new(40_000), Be16::new(port)];
        let flow = FlowKey::new(vni(), 6, address(9), dst, ports[0], ports[1]);
        let key = EndpointKey::new(vni(), dst);
        let is_here = entries.endpoints.iter().any(|(known, _)| *known == key);
        if is_here && judge(&tables, &flow).is_ok() {
            delivered.insert((dst, port));
        }
    }
    delivered
}

/// Changes tables and looks at each state on the way; what is there then, and whether the change was refused. `left` changes are
/// made before one is.
fn change(old: &Entries, new: &Entries, left: Option<usize>) -> (Entries, bool) {
    let either: HashSet<Flow> = delivered(old).union(&delivered(new)).copied().collect();
    let look = |entries: &Entries| {
        let more: Vec<_> = delivered(entries).difference(&either).copied().collect();
        assert!(more.is_empty(), "{more:?} is denied before and after");
    };
    let mut maps = Recorded {
        look: &look,
        left,
        ..Recorded::new(old)
    };
    let is_refused = tables(&mut maps, old, new).is_err();
    if !is_refused {
        maps.left = None;
        clean_up(&mut maps, old, new).unwrap();
    }
    (maps.entries(), is_refused)
}

/// All that decides, in an order.
fn sorted(entries: &Entries) -> [Vec<String>; 3] {
    let mut all = [
        entries
            .acls
            .iter()
            .map(|it| format!("{it:?}"))
            .collect::<Vec<_>>(),
        entries
            .acl_rules
            .iter()
            .map(|it| format!("{it:?}"))
            .collect(),
        entries
            .endpoints
            .iter()
            .map(|it| format!("{it:?}"))
            .collect(),
    ];
    all.iter_mut().for_each(|list| list.sort());
    all
}

#[test]
fn what_is_denied_before_and_after_is_denied_all_the_while() {
    for (from, old) in hosts().iter().enumerate() {
        for (to, new) in hosts().into_iter().enumerate() {
            let new = new.with_acls_beside(old);
            let (entries, is_refused) = change(old, &new, None);
            assert!(!is_refused);
            assert_eq!(sorted(&entries), sorted(&new), "{from} to {to}");
        }
    }
}

#[test]
fn what_the_kernel_refuses_is_taken_back() {
    let hosts = hosts();
    for (old, new) in [(1, 3), (3, 5), (5, 7), (0, 2)] {
        let (old, new) = (
            &hosts[old],
            hosts[new].clone().with_acls_beside(&hosts[old]),
        );
        let refused = (0..).take_while(|left| {
            let (entries, is_refused) = change(old, &new, Some(*left));
            if is_refused {
                assert_eq!(sorted(&entries), sorted(old), "refused after {left}");
            }
            is_refused
        });
        let refused = refused.count();
        assert!(refused > 5, "{refused} changes were refused");
    }
}

#[test]
fn without_room_nothing_is_changed() {
    let hosts = hosts();
    let new = hosts[3].clone().with_acls_beside(&hosts[2]);
    let mut maps = Recorded {
        room: 9,
        ..Recorded::new(&hosts[2])
    };
    let error = tables(&mut maps, &hosts[2], &new).unwrap_err();
    assert!(
        error.to_string().contains("entries of ACL_RULES"),
        "{error}"
    );
    assert_eq!(maps.changes, 0);
}
