//! The core's tables, with an eye on what changes in them.

use super::judge::News;
use mizar_core::Tables;
use mizar_core::acl::{Acl, AclKey, RuleSet};
use mizar_core::established::Established;
use mizar_core::flow::{Connection, ConnectionKey, FlowKey};
use mizar_core::tables::{
    CidrKey, Endpoint, EndpointKey, Enforced, Extensions, Group, Host, LabelKey, PortKey,
};
use mizar_tables::Native;
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Vni};

/// Tables, and the destinations about which they say something new.
pub struct Watched<'a> {
    pub tables: &'a mut Native,
    pub news: &'a mut News,
}

impl Watched<'_> {
    fn note(&mut self, flow: &FlowKey) {
        self.news.rewritten.push((flow.src(), flow.dst()));
    }
}

impl Tables for Watched<'_> {
    fn set_direct_path(&mut self, key: &EndpointKey, host: &Host) {
        if let Some(vni) = Vni::new(key.vni()) {
            self.news.changed.push((vni, key.ip()));
            if self.tables.direct_path(key).is_some() {
                self.news.moved.push((vni, key.ip()));
            }
        }
        self.tables.set_direct_path(key, host);
    }

    fn set_forward_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.note(flow);
        self.tables.set_forward_flow(flow, target);
    }

    fn set_reverse_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.note(flow);
        self.tables.set_reverse_flow(flow, target);
    }

    fn is_unhealthy(&self, ip: Ipv4) -> bool {
        self.tables.is_unhealthy(ip)
    }

    fn reads_short_header(&self, ip: Ipv4) -> bool {
        self.tables.reads_short_header(ip)
    }

    fn forget_direct_path(&mut self, key: &EndpointKey) {
        if let Some(vni) = Vni::new(key.vni()) {
            self.news.changed.push((vni, key.ip()));
            // Rules for packets with the old host would take what says the same again for nothing new.
            self.news.moved.push((vni, key.ip()));
        }
        self.tables.forget_direct_path(key);
    }

    fn extensions(&self) -> Extensions {
        self.tables.extensions()
    }

    fn droplet(&self) -> Host {
        self.tables.droplet()
    }

    fn endpoint(&self, key: &EndpointKey) -> Option<Endpoint> {
        self.tables.endpoint(key)
    }

    fn member(&self, index: u32) -> Option<Host> {
        self.tables.member(index)
    }

    fn network(&self, key: &EndpointKey) -> Option<Group> {
        self.tables.network(key)
    }

    fn vpc(&self, vni: Vni) -> Option<Group> {
        self.tables.vpc(vni)
    }

    fn direct_path(&mut self, key: &EndpointKey) -> Option<Host> {
        self.tables.direct_path(key)
    }

    fn connection(&mut self, key: &ConnectionKey) -> Option<Connection> {
        self.tables.connection(key)
    }

    fn set_connection(&mut self, key: &ConnectionKey, connection: &Connection) {
        self.tables.set_connection(key, connection);
    }

    fn forward_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        self.tables.forward_flow(flow)
    }

    fn reverse_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        self.tables.reverse_flow(flow)
    }

    fn enforced(&self, key: &EndpointKey) -> Enforced {
        self.tables.enforced(key)
    }

    fn port_policies(&self, key: &PortKey) -> u64 {
        self.tables.port_policies(key)
    }

    fn cidr_policies(&self, key: &CidrKey) -> u64 {
        self.tables.cidr_policies(key)
    }

    fn label_policies(&self, key: &LabelKey) -> u64 {
        self.tables.label_policies(key)
    }

    fn acl(&self, key: &EndpointKey) -> Option<&Acl> {
        self.tables.acl(key)
    }

    fn acl_rules(&self, key: &AclKey) -> Option<&RuleSet> {
        self.tables.acl_rules(key)
    }

    fn epoch(&mut self) -> Option<u64> {
        // Rules are the cache here.
        None
    }

    fn established(&mut self, _: u32) -> Option<&mut Established> {
        None
    }

    fn begin_epoch(&mut self) {}
}
