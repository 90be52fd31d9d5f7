//! Tables that another processor changes while a packet is decided about: what follows from the old ones must not be remembered.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is one of the test"
)]

use mizar_core::Tables;
use mizar_core::acl::{Acl, AclKey, RuleSet};
use mizar_core::established::Established;
use mizar_core::flow::{Connection, ConnectionKey, FlowKey};
use mizar_core::frame::Slice;
use mizar_core::reason::Reason;
use mizar_core::tables::{
    CidrKey, Endpoint, EndpointKey, Enforced, Extensions, Group, Host, LabelKey, PortKey,
};
use mizar_core::transit::transit;
use mizar_core::verdict::{Changes, Transit};
use mizar_tables::{Entries, Native};
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Mac, Vni};
use std::cell::Cell;
use topologies::frame::{self, FrameLen, Outer};
use topologies::provision::{self, Access, Cidr, EndpointKind, EndpointPort, Provision};
use topologies::topology::Transport;
use topologies::traffic::Flow;

/// Tables that become others once a packet has found its access list.
struct Changing {
    old: Native,
    new: Native,
    is_new: Cell<bool>,
}

impl Changing {
    fn now(&self) -> &Native {
        if self.is_new.get() {
            &self.new
        } else {
            &self.old
        }
    }

    fn now_mut(&mut self) -> &mut Native {
        if self.is_new.get() {
            &mut self.new
        } else {
            &mut self.old
        }
    }
}

impl Tables for Changing {
    fn acl(&self, key: &EndpointKey) -> Option<&Acl> {
        let found = self.now().acl(key);
        self.is_new.set(true);
        found
    }

    fn acl_rules(&self, key: &AclKey) -> Option<&RuleSet> {
        // Those of a list that was found stay until nobody can have found it.
        self.old.acl_rules(key)
    }

    /// One cache for both: the epoch tells them apart.
    fn established(&mut self, index: u32) -> Option<&mut Established> {
        self.new.established(index)
    }

    fn droplet(&self) -> Host {
        self.now().droplet()
    }

    fn extensions(&self) -> Extensions {
        self.now().extensions()
    }

    fn endpoint(&self, key: &EndpointKey) -> Option<Endpoint> {
        self.now().endpoint(key)
    }

    fn member(&self, index: u32) -> Option<Host> {
        self.now().member(index)
    }

    fn network(&self, key: &EndpointKey) -> Option<Group> {
        self.now().network(key)
    }

    fn vpc(&self, vni: Vni) -> Option<Group> {
        self.now().vpc(vni)
    }

    fn is_unhealthy(&self, ip: Ipv4) -> bool {
        self.now().is_unhealthy(ip)
    }

    fn reads_short_header(&self, ip: Ipv4) -> bool {
        self.now().reads_short_header(ip)
    }

    fn enforced(&self, key: &EndpointKey) -> Enforced {
        self.now().enforced(key)
    }

    fn port_policies(&self, key: &PortKey) -> u64 {
        self.now().port_policies(key)
    }

    fn cidr_policies(&self, key: &CidrKey) -> u64 {
        self.now().cidr_policies(key)
    }

    fn label_policies(&self, key: &LabelKey) -> u64 {
        self.now().label_policies(key)
    }

    fn direct_path(&mut self, key: &EndpointKey) -> Option<Host> {
        self.now_mut().direct_path(key)
    }

    fn set_direct_path(&mut self, key: &EndpointKey, host: &Host) {
        self.now_mut().set_direct_path(key, host);
    }

    fn forget_direct_path(&mut self, key: &EndpointKey) {
        self.now_mut().forget_direct_path(key);
    }

    fn connection(&mut self, key: &ConnectionKey) -> Option<Connection> {
        self.now_mut().connection(key)
    }

    fn set_connection(&mut self, key: &ConnectionKey, connection: &Connection) {
        self.now_mut().set_connection(key, connection);
    }

    fn forward_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        self.now_mut().forward_flow(flow)
    }

    fn set_forward_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.now_mut().set_forward_flow(flow, target);
    }

    fn reverse_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        self.now_mut().reverse_flow(flow)
    }

    fn set_reverse_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        self.now_mut().set_reverse_flow(flow, target);
    }

    fn epoch(&mut self) -> Option<u64> {
        self.now_mut().epoch()
    }

    fn begin_epoch(&mut self) {
        self.now_mut().begin_epoch();
    }
}

fn host(last: u8) -> provision::Host {
    provision::Host {
        ip: Ipv4::from_octets([192, 168, 0, last]),
        mac: Mac::new([2, 0xaa, 0, 0, 0, last]),
    }
}

fn address(third: u8) -> Ipv4 {
    Ipv4::from_octets([10, 0, third, 2])
}

/// The host of 10.0.1.2, whose network's list says this of all.
fn entries(default: Access) -> Entries {
    let mut provision = Provision::new(host(1));
    provision.endpoints.push(provision::Endpoint {
        vni: Vni::default(),
        ip: address(1),
        mac: Mac::default(),
        kind: EndpointKind::Simple,
        port: Some(EndpointPort(0)),
        hosts: vec![host(1).ip],
    });
    // Known, or the first packet would teach it and begin an epoch.
    provision.direct_paths.push(provision::DirectPath {
        vni: Vni::default(),
        ip: address(2),
        host: host(2),
    });
    provision.acls.push(provision::Acl {
        vni: Vni::default(),
        network: Cidr::new(address(1), 24).unwrap(),
        default,
        rules: Vec::new(),
    });
    Entries::encode(&provision).unwrap()
}

#[test]
fn what_was_allowed_while_tables_changed_is_not_remembered() {
    let old = Native::new(&entries(Access::Allow)).with_established();
    let mut new = old.clone();
    new.update(&entries(Access::Deny));
    let mut tables = Changing {
        old,
        new,
        is_new: Cell::new(false),
    };
    let flow = Flow {
        transport: Transport::Udp,
        src_ip: address(2),
        src_mac: Mac::default(),
        dst_ip: address(1),
        dst_mac: Mac::default(),
        src_port: 40_000,
        dst_port: 7,
    };
    let outer = Outer {
        src: host(2),
        dst: host(1),
        return_to_sender: host(2),
        vni: Vni::default(),
        src_port: 1024,
        pod_label: 0,
        namespace_label: 0,
    };
    let mut frame = frame::encapsulated(&outer, &frame::inner(&flow, FrameLen::MIN));
    let mut decide = || {
        let frame = Slice::new(&mut frame).unwrap();
        transit(&frame, &mut tables, &mut Changes::default())
    };
    assert_eq!(decide(), Transit::Deliver { port: 0 });
    assert_eq!(decide(), Transit::Refuse(Reason::AclDenied));
}
