//! Health endpoints: one on each droplet, by which hosts find out whether the others are alive.
//!
//! They are endpoints like any other, in a VPC of their own where each droplet is its own bouncer. So a packet to one goes to its
//! host in every state of the direct path, also after the direct paths to a dead host were forgotten, and it is the datapaths of
//! both hosts that carry it.

use super::{Index, Topology, capacity};
use crate::provision::{
    Attachment, Class, Endpoint, EndpointKind, EndpointPort, Host, Priority, Provision, Vpc,
};
use mizar_wire::Vni;
use serde::{Deserialize, Serialize};
use std::num::{NonZeroU8, NonZeroU16};

/// When hosts ask each other whether they are alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthTiming {
    /// `HEALTH_TIMEOUT` in milliseconds: a host of which nothing was heard for so long is asked.
    pub timeout_ms: NonZeroU16,
    /// How long an answer may take in milliseconds, and so the time between two questions.
    pub interval_ms: NonZeroU16,
    /// Questions in a row without an answer after which a host is dead.
    pub misses: NonZeroU8,
}

impl Default for HealthTiming {
    /// Dead 200 ms after its last word, and so 150 to 200 ms after it died: as fast as the control plane of this bench notices.
    fn default() -> Self {
        const FIFTY: NonZeroU16 = NonZeroU16::MIN.saturating_add(49);
        Self {
            timeout_ms: FIFTY,
            interval_ms: FIFTY,
            misses: NonZeroU8::MIN.saturating_add(2),
        }
    }
}

impl HealthTiming {
    /// `HEALTH_TIMEOUT` in nanoseconds.
    #[must_use]
    pub fn timeout_ns(self) -> u64 {
        u64::from(self.timeout_ms.get()) * 1_000_000
    }

    /// The time between two questions in nanoseconds.
    #[must_use]
    pub fn interval_ns(self) -> u64 {
        u64::from(self.interval_ms.get()) * 1_000_000
    }
}

/// A droplet's health endpoint. Its addresses in its VPC are those that its host has on the underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthEndpoint {
    /// The port of its droplet: behind all of [`Topology::endpoint_ports`].
    pub port: EndpointPort,
    /// Its addresses.
    pub host: Host,
}

impl Topology {
    /// The same topology with a health endpoint on each droplet. No traffic flows to them, and droplets are told of no dead
    /// hosts any more: they are to find out. Where a droplet has no room for them, all is as before.
    #[must_use]
    pub fn with_health_endpoints(mut self) -> Self {
        let is_free = |vni: &Vni| self.vpcs.iter().all(|vpc| vpc.vni != *vni);
        let has_room = |at| self.endpoints(at).len() + self.droplets.len() <= capacity::ENDPOINTS;
        if (0..self.droplets.len()).all(has_room) {
            self.health = (1..=Vni::MAX).filter_map(Vni::new).find(is_free);
        }
        self
    }

    /// When hosts ask each other, where they check.
    pub fn health_timing(&self) -> HealthTiming {
        self.health_timing
    }

    /// The health endpoint of the droplet at this position, if it has one.
    pub fn health_endpoint(&self, droplet: usize) -> Option<HealthEndpoint> {
        self.health?;
        Some(HealthEndpoint {
            port: EndpointPort(*self.ports.get(droplet)?),
            host: self.droplets.get(droplet)?.host,
        })
    }

    /// Adds what droplet `at` must know of health endpoints.
    pub(super) fn add_health_endpoints(&self, at: Index, to: &mut Provision) {
        let (Some(vni), Some(own)) = (self.health, self.health_endpoint(at)) else {
            return;
        };
        to.ports = own.port.0.saturating_add(1);
        to.attachments.push(Attachment {
            port: own.port,
            vni,
            ip: own.host.ip,
            mac: own.host.mac,
            bouncers: vec![own.host.ip],
            pod_label: 0,
            namespace_label: 0,
            class: (Class::Premium, Priority::High),
        });
        let endpoints = self.droplets.iter().map(|droplet| Endpoint {
            vni,
            ip: droplet.host.ip,
            mac: droplet.host.mac,
            kind: EndpointKind::Simple,
            port: (droplet.host == own.host).then_some(own.port),
            hosts: vec![droplet.host.ip],
        });
        to.endpoints.extend(endpoints);
        to.vpcs.push(Vpc {
            vni,
            dividers: Vec::new(),
        });
    }
}
