//! Devices and sockets around a droplet without ports, to feed it single frames and see what becomes of them.
//!
//! Nothing here depends on time. A frame is followed by a marker by the same port, which the switch sends back; when
//! it is back the switch has handled the frame. Then a second one goes by a port of its own: to the controller and
//! back, if there is one, which handles what it gets in order; and by now the batch with the frame is through.

use super::switch::{MARKER, UNDERLAY};
use datapath_api::{Error, Outcome, VethPorts, Why};
use mizar_wire::Mac;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use netdev::{Namespace, PacketSocket, create_veth};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use topologies::provision::{EndpointPort, Port, Provision};

/// Bytes of payload that devices carry: the longest inner frame and its outer headers, and some.
const MTU: u32 = 1700;
/// How long the switch may take for a marker before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest frame that a device delivers: an Ethernet header.
const SHORTEST: usize = 14;
/// Offset of the VNI, and of return-to-sender.
const VNI: usize = 46;
const OPTION: usize = 50;
/// Offset of the EtherType.
const ETHERTYPE: usize = 12;

/// The devices of a droplet that has no ports of its own.
pub struct Devices {
    /// The last endpoint port is for markers.
    pub ports: VethPorts,
    ends: Vec<(Port, netdev::Interface)>,
}

impl Devices {
    /// An uplink and a device for every endpoint port that the tables name.
    pub fn new(provision: &Provision) -> Result<Self, Error> {
        let droplet = Arc::new(Namespace::new()?);
        let outside = Arc::new(Namespace::new()?);
        let mut ends = Vec::new();
        let mut pair = |port: Port, name: &str| -> Result<_, Error> {
            let far = format!("{name}o");
            let [near, far] = create_veth([(&droplet, name), (&outside, &far)], MTU)?;
            ends.push((port, far));
            Ok(near)
        };
        let uplink = pair(Port::Uplink, "uplink")?;
        let attached = provision.attachments.iter().map(|attached| attached.port.0);
        let hosted = provision
            .endpoints
            .iter()
            .filter_map(|endpoint| Some(endpoint.port?.0));
        let count = attached.chain(hosted).max().map_or(0, |last| last + 1);
        let endpoints = (0..=count)
            .map(|number| pair(Port::Endpoint(EndpointPort(number)), &format!("e{number}")))
            .collect::<Result<_, _>>()?;
        let ports = VethPorts {
            namespace: droplet,
            uplink,
            endpoints,
        };
        Ok(Self { ports, ends })
    }
}

/// Sockets at the far ends, and at the interface by which the stack gets frames.
pub struct Injector {
    sockets: Vec<(Port, PacketSocket)>,
    stack: PacketSocket,
    markers: u64,
    /// By VNI and overlay source: the return-to-sender option that came last.
    senders: HashMap<[u8; 7], [u8; 16]>,
    _devices: Devices,
}

impl Injector {
    /// For a switch that has its bridges already.
    pub fn new(devices: Devices) -> Result<Self, Error> {
        let sockets = devices
            .ends
            .iter()
            .map(|(port, end)| Ok((*port, PacketSocket::at(end)?)))
            .collect::<Result<_, netdev::Error>>()?;
        Ok(Self {
            sockets,
            stack: PacketSocket::at_device(&devices.ports.namespace, UNDERLAY)?,
            markers: 0,
            senders: HashMap::new(),
            _devices: devices,
        })
    }

    /// Feeds the droplet a frame, and says what became of it.
    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let dropped = Outcome::Dropped {
            why: Why::Drop,
            reason: "the switch let nothing out",
        };
        // No endpoint is attached to a port that is not there, and no device delivers less than a header.
        if frame.len() < SHORTEST || !self.sockets.iter().any(|(known, _)| *known == port) {
            return Ok(dropped);
        }
        self.socket(port)?.send(frame)?;
        let mut seen = Vec::new();
        let probe = self.sockets.last().map_or(port, |(probe, _)| *probe);
        for port in [port, probe] {
            self.mark(port, &mut seen)?;
        }
        for (port, socket) in &self.sockets {
            while let Some(frame) = socket.receive()? {
                seen.push((*port, frame));
            }
        }
        let mut outcomes: Vec<_> = seen
            .into_iter()
            .map(|(port, frame)| Outcome::Forward { port, frame })
            .collect();
        let mut to_stack = Vec::new();
        while let Some(frame) = self.stack.receive()? {
            to_stack.push(Outcome::ToStack { frame });
        }
        if !to_stack.is_empty() {
            // The stack may answer: to a request for its address, say.
            outcomes.retain(|outcome| !matches!(outcome, Outcome::Forward { port: Port::Uplink, frame } if !is_overlay(frame)));
        }
        outcomes.extend(to_stack);
        match outcomes.pop() {
            None => Ok(dropped),
            Some(only) if outcomes.is_empty() => Ok(only),
            Some(last) => Err(Error::failed(
                "injecting a frame",
                several(outcomes.iter().chain([&last])),
            )),
        }
    }

    /// Whether a frame says of its sender what no frame before it said last.
    pub fn taught(&mut self, port: Port, frame: &[u8]) -> bool {
        if port != Port::Uplink {
            return false;
        }
        let inner = ENCAPSULATION_LEN;
        // The source of IPv4, or the sender of ARP.
        let source = if frame.get(inner + ETHERTYPE..inner + 14) == Some(&[0x08, 0x06]) {
            inner + 28
        } else {
            inner + 26
        };
        let at = |from: usize, len: usize| frame.get(from..from + len);
        let (Some(vni), Some(source), Some(option)) = (at(VNI, 3), at(source, 4), at(OPTION, 16))
        else {
            return false;
        };
        let key =
            std::array::from_fn(|index| vni.iter().chain(source).nth(index).copied().unwrap_or(0));
        let option = std::array::from_fn(|index| option[index]);
        self.senders.insert(key, option) != Some(option)
    }

    fn socket(&self, port: Port) -> Result<&PacketSocket, Error> {
        let found = self.sockets.iter().find(|(known, _)| *known == port);
        found
            .map(|(_, socket)| socket)
            .ok_or_else(|| Error::failed("injecting a frame", format!("there is no {port}")))
    }

    /// Sends a marker and waits for it; what comes before it goes into `seen`.
    fn mark(&mut self, port: Port, seen: &mut Vec<(Port, Vec<u8>)>) -> Result<(), Error> {
        self.markers += 1;
        let source = Mac::new([2, 0, 0, 0, 0, 1]).octets();
        let marker = [
            &Mac::BROADCAST.octets()[..],
            &source,
            &MARKER.to_be_bytes(),
            &self.markers.to_be_bytes(),
            &[0; 38],
        ]
        .concat();
        let socket = self.socket(port)?;
        socket.send(&marker)?;
        loop {
            match socket.wait(PATIENCE)? {
                Some(frame) if frame == marker => return Ok(()),
                Some(frame) if frame.get(ETHERTYPE..14) == Some(&MARKER.to_be_bytes()) => {}
                Some(frame) => seen.push((port, frame)),
                None => {
                    let reason =
                        format!("the switch sent no marker back in {} s", PATIENCE.as_secs());
                    return Err(Error::failed("injecting a frame", reason));
                }
            }
        }
    }
}

/// Whether an outer frame is of the overlay: Geneve over UDP over IPv4 without options.
fn is_overlay(frame: &[u8]) -> bool {
    let at = |from: usize, to: usize| frame.get(from..to);
    at(ETHERTYPE, ETHERTYPE + 2) == Some(&[0x08, 0x00])
        && at(23, 24) == Some(&[17])
        && at(36, 38) == Some(&mizar_wire::geneve::PORT.get().to_be_bytes())
}

/// What to say where more than one frame came out for one.
fn several<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let places: Vec<_> = outcomes
        .map(|outcome| match outcome {
            Outcome::Forward { port, frame } => format!("{} B by {port}", frame.len()),
            Outcome::ToStack { frame } => format!("{} B to the stack", frame.len()),
            Outcome::Dropped { .. } => "none".to_owned(),
        })
        .collect();
    format!(
        "the switch let out {} frames for one: {}",
        places.len(),
        places.join(", ")
    )
}
