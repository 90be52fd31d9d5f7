//! Single frames through a droplet without ports of its own.
//!
//! Nothing here depends on time. A frame is followed by a marker by the same port, which the switch sends back; when
//! it is back the switch has handled the frame. Then a second one goes by a port of its own: to the controller and
//! back, if there is one, which handles what it gets in order; and by now the batch with the frame is through. All
//! are sent on one processor: the kernel keeps what waits to be received by processors, and what is in line at one
//! is overtaken by what goes by another.

use super::switch::{MARKER, UNDERLAY};
use datapath_api::{Enclosure, Error, Outcome, Outside, Why, is_overlay, only_outcome};
use mizar_wire::Mac;
use mizar_wire::geneve::{self, ENCAPSULATION_LEN};
use netdev::{PacketSocket, Stay};
use std::collections::HashMap;
use std::time::Duration;
use topologies::provision::{Port, Provision};

/// How long the switch may take for a marker before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(30);
/// Offset of the VNI, and of return-to-sender.
const VNI: usize = 46;
const OPTION: usize = 50;
/// Offset of the message in the scaled-endpoint option.
const MESSAGE: usize = OPTION + 20;
/// Offset of the EtherType.
const ETHERTYPE: usize = 12;

/// Whether the droplet may be its own next hop.
fn turns_back(provision: &Provision) -> bool {
    let own = provision.host.ip;
    let bouncers = provision.attachments.iter().flat_map(|it| &it.bouncers);
    let paths = provision.direct_paths.iter().map(|path| &path.host.ip);
    bouncers.chain(paths).any(|ip| *ip == own)
}

/// Sockets outside, and at the interface by which the stack gets frames.
pub struct Injector {
    // Dropped first: it is at a device of the enclosure.
    stack: PacketSocket,
    outside: Outside,
    markers: u64,
    /// Whether what an endpoint sends may arrive here at once: the droplet is a next hop of its own.
    turns_back: bool,
    /// By VNI and overlay source: the return-to-sender option that came last.
    senders: HashMap<[u8; 7], [u8; 16]>,
}

impl Injector {
    /// For a switch that has its bridges already. The last endpoint port must be a spare one: it is for markers.
    pub fn new(enclosure: Enclosure, provision: &Provision) -> Result<Self, Error> {
        Ok(Self {
            turns_back: turns_back(provision),
            stack: PacketSocket::at_device(&enclosure.ports.namespace, UNDERLAY)?,
            outside: enclosure.listen()?,
            markers: 0,
            senders: HashMap::new(),
        })
    }

    /// The droplet has these tables now, by which frames may teach it again what they taught before.
    pub fn update(&mut self, provision: &Provision) {
        self.turns_back |= turns_back(provision);
        self.senders.clear();
    }

    /// Feeds the droplet a frame, and says what became of it.
    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let dropped = Outcome::Dropped {
            why: Why::Drop,
            reason: "the switch let nothing out",
        };
        if !self.outside.carries(port, frame) {
            return Ok(dropped);
        }
        let _same_processor = Stay::here()?;
        self.outside.socket(port)?.send(frame)?;
        let mut seen = Vec::new();
        for port in [port, self.outside.last()] {
            self.mark(port, &mut seen)?;
        }
        seen.extend(self.outside.receive()?);
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
            outcomes.retain(|outcome| match outcome {
                Outcome::Forward { port, frame } => *port != Port::Uplink || is_overlay(frame),
                _ => true,
            });
        }
        outcomes.extend(to_stack);
        only_outcome(outcomes, dropped)
    }

    /// Whether a frame says of its sender what the frame before it did not, and may teach that.
    pub fn teaches(&mut self, port: Port, frame: &[u8]) -> bool {
        if port != Port::Uplink {
            // It goes on as one that arrived.
            return self.turns_back;
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
        let [_, _, kind, _, flags, ..] = option else {
            return false;
        };
        // A modify message teaches where its destination is.
        let is_message = at(MESSAGE, 1) == Some(&[geneve::MODIFY]);
        if is_message || *kind == geneve::RETURNED || flags & geneve::DIRECT_PATH != 0 {
            // The droplet may forget what a frame taught, which the next one like that teaches again.
            self.senders.clear();
            return true;
        }
        let key =
            std::array::from_fn(|index| vni.iter().chain(source).nth(index).copied().unwrap_or(0));
        let option = std::array::from_fn(|index| option[index]);
        self.senders.insert(key, option) != Some(option)
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
        let socket = self.outside.socket(port)?;
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
