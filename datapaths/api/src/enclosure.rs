//! Devices around a droplet that was given no ports, to feed it single frames and see what comes out.

use crate::{Error, PORT_MTU, VethPorts};
use mizar_wire::{ethernet, geneve, ipv4};
use netdev::{Interface, Namespace, PacketSocket, create_veth};
use std::sync::Arc;
use topologies::provision::{EndpointPort, Port, Provision};

/// The shortest frame that a device delivers: an Ethernet header.
const SHORTEST: usize = 14;

/// An uplink and a device for every endpoint port that the tables name, and spare ones behind.
#[derive(Debug)]
pub struct Enclosure {
    /// The droplet's ends.
    pub ports: VethPorts,
    ends: Vec<(Port, Interface)>,
}

impl Enclosure {
    /// Devices for a droplet with these tables, with `spare` more endpoint ports than they name.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(provision: &Provision, spare: u16) -> Result<Self, Error> {
        let droplet = Arc::new(Namespace::new()?);
        let outside = Arc::new(Namespace::new()?);
        let mut ends = Vec::new();
        let mut pair = |port: Port, name: &str| -> Result<_, Error> {
            let far = format!("{name}o");
            let [near, far] = create_veth([(&droplet, name), (&outside, &far)], PORT_MTU.into())?;
            ends.push((port, far));
            Ok(near)
        };
        let uplink = pair(Port::Uplink, "uplink")?;
        let endpoints = (0..provision.endpoint_ports() + spare)
            .map(|number| pair(Port::Endpoint(EndpointPort(number)), &format!("e{number}")))
            .collect::<Result<_, _>>()?;
        let ports = VethPorts {
            namespace: droplet,
            uplink,
            endpoints,
        };
        Ok(Self { ports, ends })
    }

    /// Has the far ends take frames that XDP programs redirect to the droplet's ends.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn take_redirected(&self) -> Result<(), Error> {
        for (_, end) in &self.ends {
            end.enable_napi()?;
        }
        Ok(())
    }

    /// Opens sockets at the far ends. What came out before is not seen.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn listen(self) -> Result<Outside, Error> {
        let sockets = self
            .ends
            .iter()
            .map(|(port, end)| Ok((*port, PacketSocket::at(end)?)))
            .collect::<Result<_, netdev::Error>>()?;
        Ok(Outside {
            sockets,
            _enclosure: self,
        })
    }
}

/// Sockets at the far ends of an [`Enclosure`].
#[derive(Debug)]
pub struct Outside {
    sockets: Vec<(Port, PacketSocket)>,
    _enclosure: Enclosure,
}

impl Outside {
    /// Whether the frame can arrive at that port at all: no endpoint is attached to a port that is not there, and no
    /// device delivers less than a header.
    pub fn carries(&self, port: Port, frame: &[u8]) -> bool {
        frame.len() >= SHORTEST && self.sockets.iter().any(|(known, _)| *known == port)
    }

    /// The port with the highest number.
    pub fn last(&self) -> Port {
        self.sockets.last().map_or(Port::Uplink, |(port, _)| *port)
    }

    /// The socket at the far end of a port.
    ///
    /// # Errors
    /// Where there is no such port.
    pub fn socket(&self, port: Port) -> Result<&PacketSocket, Error> {
        let found = self.sockets.iter().find(|(known, _)| *known == port);
        found
            .map(|(_, socket)| socket)
            .ok_or_else(|| Error::failed("injecting a frame", format!("there is no {port}")))
    }

    /// What came out by now.
    ///
    /// # Errors
    /// Where a device is gone.
    pub fn receive(&self) -> Result<Vec<(Port, Vec<u8>)>, Error> {
        let mut received = Vec::new();
        for (port, socket) in &self.sockets {
            while let Some(frame) = socket.receive()? {
                received.push((*port, frame));
            }
        }
        Ok(received)
    }
}

/// Whether a frame is an overlay packet on the underlay: IPv4, UDP, to Geneve's port.
pub fn is_overlay(frame: &[u8]) -> bool {
    let at = |from: usize, len: usize| frame.get(from..from + len);
    at(12, 2) == Some(&ethernet::IPV4.get().to_be_bytes())
        && at(23, 1) == Some(&[ipv4::UDP])
        && at(36, 2) == Some(&geneve::PORT.get().to_be_bytes())
}
