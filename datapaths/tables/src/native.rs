//! Tables in this process.

use crate::clock::Clock;
use crate::entries::Entries;
use crate::prefix::PrefixTable;
use crate::worth::Worth;
use mizar_core::acl::{Acl, AclKey, RuleSet};
use mizar_core::established::{ENTRIES, Established};
use mizar_core::flow::{Connection, ConnectionKey, FlowKey};
use mizar_core::tables::{
    Attachment, CidrKey, Endpoint, EndpointKey, Enforced, Extensions, Group, Host, LabelKey,
    PortKey, Tables,
};
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Vni};
use rustc_hash::FxBuildHasher;
use std::collections::{HashMap, HashSet};
use topologies::topology::capacity;

type Table<K, V> = HashMap<K, V, FxBuildHasher>;

/// The tables of one droplet, for one thread.
#[derive(Debug, Clone)]
pub struct Native {
    droplet: Host,
    extensions: Extensions,
    unhealthy: HashSet<Ipv4, FxBuildHasher>,
    short_header_hosts: HashSet<Ipv4, FxBuildHasher>,
    attachments: Vec<Attachment>,
    endpoints: Table<EndpointKey, Endpoint>,
    members: Vec<Host>,
    networks: PrefixTable<u32, Group>,
    vpcs: Table<u32, Group>,
    direct_paths: Clock<EndpointKey, Host>,
    connections: Clock<ConnectionKey, Connection>,
    forward_flows: Clock<FlowKey, FlowTarget>,
    reverse_flows: Clock<FlowKey, FlowTarget>,
    enforced: Table<EndpointKey, Enforced>,
    ports: Table<PortKey, u64>,
    cidrs: PrefixTable<(u32, u32, u32), u64>,
    labels: Table<LabelKey, u64>,
    acls: PrefixTable<u32, Acl>,
    acl_rules: PrefixTable<(u32, u32), RuleSet>,
    established: Vec<Established>,
    worth: Worth,
    epoch: u64,
}

impl Native {
    /// Tables that hold `entries`.
    pub fn new(entries: &Entries) -> Self {
        let mut attachments = Vec::new();
        for (port, attachment) in &entries.attachments {
            let port = *port as usize;
            if attachments.len() <= port {
                attachments.resize(port + 1, Attachment::default());
            }
            attachments[port] = *attachment;
        }
        let mut networks = PrefixTable::new();
        for (vni, cidr, group) in &entries.networks {
            networks.insert(vni.get(), cidr.address(), cidr.length(), *group);
        }
        let mut cidrs = PrefixTable::new();
        for (key, length, policies) in &entries.cidrs {
            let remote = Ipv4::from_raw(key.remote);
            cidrs.insert((key.vni, key.local, key.set), remote, *length, *policies);
        }
        let mut acls = PrefixTable::new();
        for (vni, cidr, acl) in &entries.acls {
            acls.insert(vni.get(), cidr.address(), cidr.length(), *acl);
        }
        let mut acl_rules = PrefixTable::new();
        for (key, length, rules) in &entries.acl_rules {
            let value = Ipv4::from_raw(key.value);
            acl_rules.insert((key.acl, key.dimension), value, *length, *rules);
        }
        let mut direct_paths = Clock::new(capacity::CACHE);
        for (key, host) in &entries.direct_paths {
            direct_paths.set(key, *host);
        }
        Self {
            droplet: entries.droplet,
            extensions: entries.extensions,
            unhealthy: entries.unhealthy.iter().copied().collect(),
            short_header_hosts: entries.short_header_hosts.iter().copied().collect(),
            attachments,
            endpoints: entries.endpoints.iter().copied().collect(),
            members: entries.members.clone(),
            networks,
            vpcs: entries
                .vpcs
                .iter()
                .map(|(vni, group)| (vni.get(), *group))
                .collect(),
            direct_paths,
            connections: Clock::new(capacity::CACHE),
            forward_flows: Clock::new(capacity::CACHE),
            reverse_flows: Clock::new(capacity::CACHE),
            enforced: entries.enforced.iter().copied().collect(),
            ports: entries.ports.iter().copied().collect(),
            cidrs,
            labels: entries.labels.iter().copied().collect(),
            acls,
            acl_rules,
            established: Vec::new(),
            worth: Worth::default(),
            epoch: 0,
        }
    }

    /// Takes these tables in place of those that it has. What was learned stays.
    pub fn update(&mut self, entries: &Entries) {
        let before = std::mem::replace(self, Self::new(entries));
        self.direct_paths = before.direct_paths;
        self.connections = before.connections;
        self.forward_flows = before.forward_flows;
        self.reverse_flows = before.reverse_flows;
        self.established = before.established;
        self.worth = before.worth;
        self.epoch = before.epoch;
        self.begin_epoch();
    }

    /// The same with a cache of established flows. It saves a good part with few flows, and would lose some with tens of
    /// thousands: where it seldom has the flow that it is asked for, it is left alone for a while.
    pub fn with_established(self) -> Self {
        Self {
            established: vec![Established::EMPTY; ENTRIES as usize],
            ..self
        }
    }

    /// The endpoint attached to the endpoint port with this number; not attached if there is none.
    #[inline(always)]
    pub fn attachment(&self, port: usize) -> Attachment {
        self.attachments.get(port).copied().unwrap_or_default()
    }

    /// The direct-path cache, in no order.
    pub fn direct_paths(&self) -> impl Iterator<Item = (EndpointKey, Host)> + '_ {
        self.direct_paths.iter().map(|(key, host)| (*key, *host))
    }
}

impl Tables for Native {
    #[inline(always)]
    fn droplet(&self) -> Host {
        self.droplet
    }

    #[inline(always)]
    fn extensions(&self) -> Extensions {
        self.extensions
    }

    #[inline(always)]
    fn endpoint(&self, key: &EndpointKey) -> Option<Endpoint> {
        self.endpoints.get(key).copied()
    }

    #[inline(always)]
    fn member(&self, index: u32) -> Option<Host> {
        self.members.get(index as usize).copied()
    }

    #[inline(always)]
    fn network(&self, key: &EndpointKey) -> Option<Group> {
        self.networks.get(key.vni(), key.ip()).copied()
    }

    #[inline(always)]
    fn vpc(&self, vni: Vni) -> Option<Group> {
        self.vpcs.get(&vni.get()).copied()
    }

    #[inline(always)]
    fn direct_path(&mut self, key: &EndpointKey) -> Option<Host> {
        self.direct_paths.get(key)
    }

    fn set_direct_path(&mut self, key: &EndpointKey, host: &Host) {
        self.direct_paths.set(key, *host);
    }

    fn is_unhealthy(&self, ip: Ipv4) -> bool {
        self.unhealthy.contains(&ip)
    }

    #[inline(always)]
    fn reads_short_header(&self, ip: Ipv4) -> bool {
        self.short_header_hosts.contains(&ip)
    }

    fn forget_direct_path(&mut self, key: &EndpointKey) {
        self.direct_paths.remove(key);
    }

    #[inline(always)]
    fn connection(&mut self, key: &ConnectionKey) -> Option<Connection> {
        self.connections.get(key)
    }

    fn set_connection(&mut self, key: &ConnectionKey, connection: &Connection) {
        self.connections.set(key, *connection);
    }

    #[inline(always)]
    fn forward_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        if self.forward_flows.is_empty() {
            None
        } else {
            self.forward_flows.get(flow)
        }
    }

    fn set_forward_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.forward_flows.set(flow, *target);
    }

    #[inline(always)]
    fn reverse_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        if self.reverse_flows.is_empty() {
            None
        } else {
            self.reverse_flows.get(flow)
        }
    }

    fn set_reverse_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.reverse_flows.set(flow, *target);
    }

    #[inline(always)]
    fn enforced(&self, key: &EndpointKey) -> Enforced {
        if self.enforced.is_empty() {
            return Enforced::default();
        }
        self.enforced.get(key).copied().unwrap_or_default()
    }

    fn port_policies(&self, key: &PortKey) -> u64 {
        self.ports.get(key).copied().unwrap_or(0)
    }

    fn cidr_policies(&self, key: &CidrKey) -> u64 {
        let remote = Ipv4::from_raw(key.remote);
        self.cidrs
            .get((key.vni, key.local, key.set), remote)
            .copied()
            .unwrap_or(0)
    }

    fn label_policies(&self, key: &LabelKey) -> u64 {
        self.labels.get(key).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn acl(&self, key: &EndpointKey) -> Option<&Acl> {
        self.acls.get(key.vni(), key.ip())
    }

    fn acl_rules(&self, key: &AclKey) -> Option<&RuleSet> {
        let value = Ipv4::from_raw(key.value);
        self.acl_rules.get((key.acl, key.dimension), value)
    }

    #[inline(always)]
    fn epoch(&mut self) -> Option<u64> {
        if self.established.is_empty() || !self.enforced.is_empty() || !self.worth.is_given() {
            None
        } else {
            Some(self.epoch)
        }
    }

    #[inline(always)]
    fn established(&mut self, index: u32) -> Option<&mut Established> {
        self.established.get_mut(index as usize)
    }

    #[inline(always)]
    fn looked_for_established(&mut self, found: bool) {
        self.worth.looked(found);
    }

    fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }
}
