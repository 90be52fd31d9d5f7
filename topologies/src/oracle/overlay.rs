//! A whole overlay: one [`Oracle`] for each droplet, and frames that are carried from one to the next.

use super::{Oracle, Outcome};
use crate::provision::{EndpointPort, Host, Port};
use crate::topology::Topology;

/// More droplets than any packet passes: one that does goes in circles.
const MOST: usize = 64;

/// All droplets of a topology.
#[derive(Debug, Clone)]
pub struct OverlayOracle {
    droplets: Vec<(Host, Oracle)>,
    ports: Vec<(usize, EndpointPort)>,
}

/// The way of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// The droplets that it came by, by position in the topology, the first included.
    pub way: Vec<usize>,
    /// What became of it.
    pub end: End,
}

/// What became of a frame in an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An endpoint got it.
    Delivered {
        /// The endpoint port, of those of all droplets.
        port: EndpointPort,
        /// How it got it.
        frame: Vec<u8>,
    },
    /// The last droplet of the way did this with it.
    At(Outcome),
    /// It left the last droplet of the way for an address that no droplet has, or went in circles.
    Astray,
}

impl OverlayOracle {
    /// The droplets of `topology`, as they are in its state of the direct path.
    pub fn new(topology: &Topology) -> Self {
        let droplets = topology.droplets().iter();
        Self {
            droplets: droplets
                .map(|droplet| (droplet.host, Oracle::new(&topology.provision(droplet))))
                .collect(),
            ports: topology.endpoint_ports(),
        }
    }

    /// Gives all droplets the tables that they have in `topology`, which has the same droplets and ports.
    pub fn update(&mut self, topology: &Topology) {
        for ((_, oracle), droplet) in self.droplets.iter_mut().zip(topology.droplets()) {
            oracle.update(&topology.provision(droplet));
        }
    }

    /// Feeds a frame in by an endpoint port, of those of all droplets, and carries it on.
    pub fn inject(&mut self, port: EndpointPort, frame: &[u8]) -> Journey {
        let Some((first, local)) = self.ports.get(usize::from(port.0)).copied() else {
            return Journey {
                way: Vec::new(),
                end: End::Astray,
            };
        };
        let mut way = Vec::new();
        let (mut at, mut arrives, mut frame) = (first, Port::Endpoint(local), frame.to_vec());
        let end = loop {
            way.push(at);
            let outcome = self.droplets[at].1.inject(arrives, &frame);
            let Outcome::Forward { port, frame: sent } = outcome else {
                break End::At(outcome);
            };
            match port {
                Port::Endpoint(local) => {
                    let number = self.ports.iter().position(|it| *it == (at, local));
                    match number.and_then(|number| u16::try_from(number).ok()) {
                        Some(number) => {
                            let port = EndpointPort(number);
                            break End::Delivered { port, frame: sent };
                        }
                        None => break End::Astray,
                    }
                }
                Port::Uplink => {
                    let address = sent.get(..6).unwrap_or_default();
                    let mut hosts = self.droplets.iter();
                    match hosts.position(|(host, _)| host.mac.octets() == *address) {
                        Some(next) if way.len() < MOST => {
                            (at, arrives, frame) = (next, Port::Uplink, sent);
                        }
                        _ => break End::Astray,
                    }
                }
            }
        };
        Journey { way, end }
    }
}
