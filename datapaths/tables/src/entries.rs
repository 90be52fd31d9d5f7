//! A provision in the layout of the core.

use crate::acl;
use mizar_core::acl::{Acl, AclKey, RuleSet};
use mizar_core::tables::{
    Attachment, CidrKey, CidrSet, Direction, Endpoint, EndpointKey, EndpointKind, Enforced,
    Extensions, Group, Host, LabelKey, PortKey,
};
use mizar_wire::{Be16, Ipv4, Vni};
use std::collections::HashMap;
use topologies::provision::{self, Class, Priority, Provision, Rules};
use topologies::topology::capacity;

/// More of something than Mizar declares room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} {what} exceed Mizar's declared capacity of {capacity}")]
pub struct CapacityError {
    what: &'static str,
    count: usize,
    capacity: usize,
}

fn check(what: &'static str, count: usize, capacity: usize) -> Result<(), CapacityError> {
    if count <= capacity {
        Ok(())
    } else {
        Err(CapacityError {
            what,
            count,
            capacity,
        })
    }
}

/// Table entries of one droplet.
#[derive(Debug, Clone)]
pub struct Entries {
    /// The droplet itself.
    pub droplet: Host,
    /// What it does beyond what Mizar does.
    pub extensions: Extensions,
    /// Hosts that a health check found dead.
    pub unhealthy: Vec<Ipv4>,
    /// Hosts that read the short header.
    pub short_header_hosts: Vec<Ipv4>,
    /// Droplets whose Ethernet address is known: those among members have it already.
    pub substrate: Vec<Host>,
    /// Attachments by number of the endpoint port.
    pub attachments: Vec<(u32, Attachment)>,
    /// Endpoints.
    pub endpoints: Vec<(EndpointKey, Endpoint)>,
    /// The pool that groups refer to,
    pub members: Vec<Host>,
    /// of which this is the index of the first: zero, but see [`Entries::with_members_from`].
    pub first_member: u32,
    /// Networks: VPC and prefix to bouncers.
    pub networks: Vec<(Vni, provision::Cidr, Group)>,
    /// VPCs to dividers.
    pub vpcs: Vec<(Vni, Group)>,
    /// The direct-path cache.
    pub direct_paths: Vec<(EndpointKey, Host)>,
    /// Directions in which policy applies.
    pub enforced: Vec<(EndpointKey, Enforced)>,
    /// Policies by port.
    pub ports: Vec<(PortKey, u64)>,
    /// Policies by prefix; the second member is the length of the remote prefix in bits.
    pub cidrs: Vec<(CidrKey, u8, u64)>,
    /// Policies by label.
    pub labels: Vec<(LabelKey, u64)>,
    /// Access lists by VPC and prefix of the network.
    pub acls: Vec<(Vni, provision::Cidr, Acl)>,
    /// Rules of access lists by prefix; the second member is the length of the value's prefix in bits.
    pub acl_rules: Vec<(AclKey, u8, RuleSet)>,
}

impl Entries {
    /// Encodes `provision`.
    ///
    /// # Errors
    /// [`CapacityError`] where something exceeds what Mizar declares room for.
    pub fn encode(provision: &Provision) -> Result<Self, CapacityError> {
        check("endpoints", provision.endpoints.len(), capacity::ENDPOINTS)?;
        check("networks", provision.networks.len(), capacity::NETWORKS)?;
        check("VPCs", provision.vpcs.len(), capacity::VPCS)?;
        check(
            "direct paths",
            provision.direct_paths.len(),
            capacity::CACHE,
        )?;
        check("dead hosts", provision.unhealthy.len(), capacity::UNHEALTHY)?;
        let short_header_hosts = provision.short_header_hosts.len();
        check(
            "hosts that read the short header",
            short_header_hosts,
            capacity::SHORT_HEADER_HOSTS,
        )?;
        let mut pool = Pool::new(provision);
        let droplet = Host::new(provision.host.ip, provision.host.mac);
        let mut entries = Self {
            direct_paths: provision
                .direct_paths
                .iter()
                .map(|path| {
                    let host = Host::new(path.host.ip, path.host.mac);
                    (EndpointKey::new(path.vni, path.ip), host)
                })
                .collect(),
            extensions: extensions(provision),
            unhealthy: provision.unhealthy.clone(),
            short_header_hosts: provision.short_header_hosts.clone(),
            substrate: provision
                .substrate
                .iter()
                .map(|host| Host::new(host.ip, host.mac))
                .collect(),
            ..Self::empty(droplet)
        };
        let mut bouncers = HashMap::new();
        for attachment in &provision.attachments {
            let group = pool.group("bouncers of a network", &attachment.bouncers)?;
            bouncers.insert(attachment.port.0, group);
            let guarded = provision.guarded.contains(&attachment.vni);
            entries.attachments.push((
                u32::from(attachment.port.0),
                attach(attachment, group, guarded),
            ));
        }
        for endpoint in &provision.endpoints {
            let bouncers = endpoint
                .port
                .and_then(|port| bouncers.get(&port.0).copied());
            let encoded = pool.endpoint(endpoint, bouncers.unwrap_or_default())?;
            entries
                .endpoints
                .push((EndpointKey::new(endpoint.vni, endpoint.ip), encoded));
        }
        for network in &provision.networks {
            let bouncers = pool.group("bouncers of a network", &network.bouncers)?;
            entries.networks.push((network.vni, network.cidr, bouncers));
        }
        for vpc in &provision.vpcs {
            entries
                .vpcs
                .push((vpc.vni, pool.group("dividers of a VPC", &vpc.dividers)?));
        }
        entries.members = pool.members;
        entries.add_rules(Direction::Ingress, &provision.ingress);
        entries.add_rules(Direction::Egress, &provision.egress);
        check("access lists", provision.acls.len(), capacity::NETWORKS)?;
        for (number, acl) in (0..).zip(&provision.acls) {
            check(
                "rules of an access list",
                acl.rules.len(),
                provision::Acl::RULES,
            )?;
            entries
                .acls
                .push((acl.vni, acl.network, acl::list(number, acl)));
            entries.acl_rules.extend(acl::rules(number, acl));
        }
        check(
            "policies by port",
            entries.ports.len(),
            capacity::POLICY_ENTRIES,
        )?;
        check(
            "policies by prefix",
            entries.cidrs.len(),
            capacity::POLICY_ENTRIES,
        )?;
        check(
            "policies by label",
            entries.labels.len(),
            capacity::POLICY_ENTRIES,
        )?;
        Ok(entries)
    }

    /// Of a droplet that knows nothing.
    pub fn empty(droplet: Host) -> Self {
        Self {
            droplet,
            extensions: Extensions::default(),
            unhealthy: Vec::new(),
            short_header_hosts: Vec::new(),
            substrate: Vec::new(),
            attachments: Vec::new(),
            endpoints: Vec::new(),
            members: Vec::new(),
            first_member: 0,
            networks: Vec::new(),
            vpcs: Vec::new(),
            direct_paths: Vec::new(),
            enforced: Vec::new(),
            ports: Vec::new(),
            cidrs: Vec::new(),
            labels: Vec::new(),
            acls: Vec::new(),
            acl_rules: Vec::new(),
        }
    }

    /// The same with members from `first` on, so that they may lie beside those of other entries in one table.
    #[must_use]
    pub fn with_members_from(mut self, first: u32) -> Self {
        let moved = |group: &mut Group| group.first = group.first - self.first_member + first;
        for (_, attachment) in &mut self.attachments {
            moved(&mut attachment.bouncers);
        }
        for (_, endpoint) in &mut self.endpoints {
            let mut group = endpoint.group();
            moved(&mut group);
            *endpoint = endpoint.with_group(group);
        }
        self.networks
            .iter_mut()
            .for_each(|(_, _, group)| moved(group));
        self.vpcs.iter_mut().for_each(|(_, group)| moved(group));
        self.first_member = first;
        self
    }

    /// The same with access lists that may lie beside those of `others`: one that is there too has its number, and any other
    /// one a number that is free there.
    #[must_use]
    pub fn with_acls_beside(mut self, others: &Self) -> Self {
        let numbers = acl::numbers_beside(&self, others);
        let number = |old: u32| numbers.get(&old).copied().unwrap_or(old);
        for (_, _, acl) in &mut self.acls {
            *acl = acl.with_number(number(acl.number()));
        }
        for (key, _, _) in &mut self.acl_rules {
            key.acl = number(key.acl);
        }
        self
    }

    fn add_rules(&mut self, direction: Direction, rules: &Rules) {
        let mut enforced: HashMap<EndpointKey, Enforced> = self.enforced.drain(..).collect();
        for (vni, ip) in &rules.enforced {
            let entry = enforced.entry(EndpointKey::new(*vni, *ip)).or_default();
            *entry = entry.with(direction);
        }
        self.enforced = enforced.into_iter().collect();
        self.ports.extend(rules.ports.iter().map(|rule| {
            let key = PortKey {
                vni: rule.vni.get(),
                local: rule.local.raw(),
                port: Be16::new(rule.port).raw(),
                protocol: rule.protocol,
                direction: direction as u8,
            };
            (key, rule.policies.0)
        }));
        for (set, rules) in [
            (CidrSet::Primary, &rules.cidr_primary),
            (CidrSet::Supplementary, &rules.cidr_supplementary),
            (CidrSet::Except, &rules.cidr_except),
        ] {
            self.cidrs.extend(rules.iter().map(|rule| {
                let remote = rule.remote.address();
                let key = CidrKey::new(rule.vni, rule.local, direction, set, remote);
                (key, rule.remote.length(), rule.policies.0)
            }));
        }
        self.labels.extend(rules.labels.iter().map(|rule| {
            let key = LabelKey {
                vni: rule.vni.get(),
                pod: rule.pod,
                namespace: rule.namespace,
            };
            (key, rule.policies.0)
        }));
    }
}

fn attach(attachment: &provision::Attachment, bouncers: Group, guarded: bool) -> Attachment {
    let (dscp, shaped) = class_of_service(attachment.class);
    Attachment {
        vni: attachment.vni.get(),
        bouncers,
        pod_label: attachment.pod_label,
        namespace_label: attachment.namespace_label,
        tos: dscp << 2,
        shaped: u8::from(shaped),
        attached: 1,
        guarded: u8::from(guarded),
        port: u32::from(attachment.port.0),
    }
}

fn extensions(provision: &Provision) -> Extensions {
    let mut extensions = Extensions::default();
    if provision.extensions.invalidation {
        extensions = extensions.with_invalidation();
    }
    if provision.extensions.has_short_header() {
        extensions = extensions.with_short_header();
    }
    if !provision.unhealthy.is_empty() {
        extensions = extensions.with_unhealthy();
    }
    extensions
}

/// DSCP, and whether the stack shapes the class. Mizar forgot best effort with medium priority, which
/// therefore falls to its default, premium with high priority.
pub fn class_of_service(class: (Class, Priority)) -> (u8, bool) {
    match class {
        (Class::Premium, Priority::High) | (Class::BestEffort, Priority::Medium) => (10, false),
        (Class::Premium, Priority::Medium) => (20, false),
        (Class::Premium, Priority::Low) => (30, false),
        (Class::Expedited, Priority::High) => (46, true),
        (Class::Expedited, Priority::Medium) => (32, true),
        (Class::Expedited, Priority::Low) => (24, true),
        (Class::BestEffort, Priority::High) => (16, true),
        (Class::BestEffort, Priority::Low) => (8, true),
    }
}

/// The pool of group members; equal groups share theirs.
struct Pool {
    substrate: HashMap<Ipv4, Host>,
    groups: HashMap<Vec<Ipv4>, Group>,
    members: Vec<Host>,
}

impl Pool {
    fn new(provision: &Provision) -> Self {
        let substrate = provision
            .substrate
            .iter()
            .map(|host| (host.ip, Host::new(host.ip, host.mac)))
            .collect();
        Self {
            substrate,
            groups: HashMap::new(),
            members: Vec::new(),
        }
    }

    fn resolve(&self, ip: Ipv4) -> Host {
        self.substrate
            .get(&ip)
            .copied()
            .unwrap_or(Host::unresolved(ip))
    }

    fn group(&mut self, what: &'static str, ips: &[Ipv4]) -> Result<Group, CapacityError> {
        check(what, ips.len(), capacity::GROUP)?;
        if let Some(group) = self.groups.get(ips) {
            return Ok(*group);
        }
        let group = Group {
            first: self.members.len() as u32,
            count: ips.len() as u32,
        };
        let members: Vec<Host> = ips.iter().map(|ip| self.resolve(*ip)).collect();
        self.members.extend(members);
        self.groups.insert(ips.to_vec(), group);
        Ok(group)
    }

    fn endpoint(
        &mut self,
        endpoint: &provision::Endpoint,
        bouncers: Group,
    ) -> Result<Endpoint, CapacityError> {
        let kind = match endpoint.kind {
            provision::EndpointKind::Simple => EndpointKind::Simple,
            provision::EndpointKind::Scaled => EndpointKind::Scaled,
            provision::EndpointKind::Gateway => EndpointKind::Gateway,
        };
        let host = endpoint.hosts.first().map(|ip| self.resolve(*ip));
        let mut encoded = Endpoint::remote(endpoint.mac, kind, host);
        if kind == EndpointKind::Scaled {
            encoded = encoded.with_backends(self.group("backends", &endpoint.hosts)?);
        }
        if let Some(port) = endpoint.port {
            encoded = encoded.hosted_on(u32::from(port.0), bouncers);
        }
        Ok(encoded)
    }
}
