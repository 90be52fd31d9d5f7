//! What client and server are joined by: an overlay, or a plain veth pair.

use super::Trouble;
use super::endpoint::{Endpoint, Identity};
use super::mtu::Mtus;
use crate::environment::Placement;
use crate::lab::{OverlayLab, joined};
use crate::overlay::{Crossed, Overlay};
use crate::record::Hop;
use crate::verify::overlay::merged;
use datapath_api::{Datapath, Running};
use netdev::{CpuTime, Interface, set_mtu};
use std::time::Duration;
use topologies::frame::{self, FrameLen};
use topologies::oracle::OverlayOracle;
use topologies::provision::{EndpointPort, Port};
use topologies::topology::{DirectPathState, Topology};
use topologies::traffic::Flow;

/// Who talks to whom in a topology: the ends of its first flow.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    flow: Flow,
    ports: [EndpointPort; 2],
    identities: [Identity; 2],
}

impl Ends {
    /// The ends of the first flow of `topology`, whose packets go from endpoint to endpoint.
    ///
    /// # Errors
    /// Where they do not.
    pub fn of(topology: &Topology) -> Result<Self, Trouble> {
        let none = || Trouble::NoEndpoints {
            topology: topology.name().to_owned(),
        };
        let traffic = topology.traffic();
        let direction = traffic.first().ok_or_else(none)?;
        let (None, Port::Endpoint(from), Port::Endpoint(to)) =
            (topology.under_test(), direction.ingress, direction.egress)
        else {
            return Err(none());
        };
        let flow = direction.flows.flow(0);
        let networks = topology.networks_at_ports();
        let network = |port: EndpointPort| networks.get(usize::from(port.0)).copied();
        let identity = |at, ip, mac, port| -> Result<Identity, Trouble> {
            let network = network(at).ok_or_else(none)?;
            Ok(Identity {
                ip,
                mac,
                network,
                port,
            })
        };
        Ok(Self {
            flow,
            ports: [from, to],
            identities: [
                identity(from, flow.src_ip, flow.src_mac, 0)?,
                identity(to, flow.dst_ip, flow.dst_mac, flow.dst_port)?,
            ],
        })
    }

    /// Whether both are in one network, so that one finds the other by ARP.
    pub fn are_in_one_network(&self) -> bool {
        let [client, server] = self.identities;
        client.network == server.network
    }

    /// The ways between droplets that packets take, there and back, as `topology` has them.
    fn ways(&self, topology: &Topology) -> [Vec<usize>; 2] {
        let Flow {
            src_ip,
            src_mac,
            dst_ip,
            dst_mac,
            ..
        } = self.flow;
        let back = Flow {
            src_ip: dst_ip,
            src_mac: dst_mac,
            dst_ip: src_ip,
            dst_mac: src_mac,
            ..self.flow
        };
        let way = |port, flow| {
            // Its own each, which has learned nothing from the other.
            let mut oracle = OverlayOracle::new(topology);
            oracle.inject(port, &frame::inner(flow, FrameLen::MIN)).way
        };
        let [client, server] = self.ports;
        [way(client, &self.flow), way(server, &back)]
    }
}

/// Packets that crossed the underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packets {
    /// On the way of the client's packets: the fewest from one droplet of it to the next.
    pub on_the_way: u64,
    /// Between droplets that are neighbours neither on that way nor on the way back.
    pub elsewhere: u64,
}

/// A client and a server, each in a namespace of its own, and what is between. Dropping it leaves nothing behind.
pub struct Setting {
    // In the order of being dropped.
    overlay: Option<Overlay>,
    client: Endpoint,
    server: Endpoint,
    ways: [Vec<usize>; 2],
    stand_ins: Vec<usize>,
    _lab: Option<OverlayLab>,
}

impl Setting {
    /// Both at the ends of one veth pair: what sockets get where there is no overlay.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn plain(ends: &Ends, mtus: Mtus, placement: Placement) -> Result<Self, Trouble> {
        let devices = joined()?;
        let [client, server] = endpoints([&devices[0], &devices[1]], ends, mtus, placement)?;
        Ok(Self {
            overlay: None,
            client,
            server,
            ways: [Vec::new(), Vec::new()],
            stand_ins: Vec::new(),
            _lab: None,
        })
    }

    /// Both at endpoint ports of `topology`, all droplets of which have `datapath`, unless the topology names another. Where
    /// flows shall not have found their direct path, the underlay sees to it that they never do.
    ///
    /// # Errors
    /// Where the kernel or the datapath refuses.
    pub fn overlay(
        datapath: &dyn Datapath,
        topology: &Topology,
        mtus: Mtus,
        placement: Placement,
    ) -> Result<Self, Trouble> {
        let ends = Ends::of(topology)?;
        let lab = OverlayLab::of(topology)?;
        let droplets = lab.droplets().iter();
        for uplink in droplets.clone().map(|it| &it.uplink).chain(lab.wire()) {
            set_mtu(uplink, mtus.underlay().get().into())?;
        }
        for port in droplets.flat_map(|it| &it.endpoints) {
            set_mtu(port, mtus.endpoint().get().into())?;
        }
        let far = &lab.tester().ends;
        let device = |port: EndpointPort| far.get(usize::from(port.0)).map(|(_, device)| device);
        let [Some(client), Some(server)] = ends.ports.map(device) else {
            return Err(Trouble::NoEndpoints {
                topology: topology.name().to_owned(),
            });
        };
        let [client, server] = endpoints([client, server], &ends, mtus, placement)?;
        let mut overlay = Overlay::install(datapath, topology, &lab, placement)?;
        if topology.direct_path() == DirectPathState::Cold {
            overlay.underlay().blank_return()?;
        }
        Ok(Self {
            overlay: Some(overlay),
            client,
            server,
            ways: ends.ways(topology),
            stand_ins: topology.stand_ins(),
            _lab: Some(lab),
        })
    }

    /// Who asks.
    pub fn client(&self) -> &Endpoint {
        &self.client
    }

    /// Who is asked.
    pub fn server(&self) -> &Endpoint {
        &self.server
    }

    /// An error if a droplet died.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Trouble> {
        match &self.overlay {
            Some(overlay) => Ok(overlay.check().map_err(Trouble::Dead)?),
            None => Ok(()),
        }
    }

    /// What each droplet did so far.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn hops(&self) -> Result<Vec<Hop>, Trouble> {
        let Some(overlay) = &self.overlay else {
            return Ok(Vec::new());
        };
        Ok(overlay.hops()?)
    }

    /// What crossed the underlay so far; nothing where there is none.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn crossed(&self) -> Result<Option<Crossed>, Trouble> {
        let crossed = self.overlay.as_ref().map(Overlay::crossed);
        Ok(crossed.transpose()?)
    }

    /// Where those packets went. One droplet may stand in for another.
    pub fn packets(&self, crossed: &Crossed) -> Packets {
        let between = merged(&crossed.between, &self.stand_ins);
        let steps = |way: &[usize]| -> Vec<(usize, usize)> {
            let step = |pair: &[usize]| (self.stand_ins[pair[0]], self.stand_ins[pair[1]]);
            way.windows(2).map(step).collect()
        };
        let [there, back] = [steps(&self.ways[0]), steps(&self.ways[1])];
        let counts = there.iter().map(|(from, to)| between[*from][*to]);
        let on_the_way = counts.min().unwrap_or(0);
        let mut elsewhere = crossed.to_nobody;
        for (from, row) in between.iter().enumerate() {
            for (to, count) in row.iter().enumerate() {
                if !there.contains(&(from, to)) && !back.contains(&(from, to)) {
                    elsewhere += count;
                }
            }
        }
        Packets {
            on_the_way,
            elsewhere,
        }
    }

    /// Processor time of the kernel's threads that receive for the endpoints.
    pub fn receiving_time(&self) -> Duration {
        let of = |endpoint: &Endpoint| CpuTime::of(endpoint.receiving()).running;
        of(&self.client) + of(&self.server)
    }

    /// Takes it down and says what went wrong on the way.
    ///
    /// # Errors
    /// Where a droplet had died, or could not be stopped cleanly.
    pub fn stop(self) -> Result<(), Trouble> {
        match self.overlay {
            Some(overlay) => Ok(Box::new(overlay).stop().map_err(Trouble::Dead)?),
            None => Ok(()),
        }
    }
}

/// The client at the first device, and the server at the second.
fn endpoints(
    devices: [&Interface; 2],
    ends: &Ends,
    mtus: Mtus,
    placement: Placement,
) -> Result<[Endpoint; 2], netdev::Error> {
    let [client, server] = &ends.identities;
    let mtu = mtus.endpoint();
    Ok([
        Endpoint::new(devices[0], client, server, mtu, placement.tester)?,
        Endpoint::new(devices[1], server, client, mtu, placement.sinks)?,
    ])
}
