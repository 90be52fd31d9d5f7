//! What a host asks another, and what that answers: in the form of control packets of seamless BFD (RFC 7880), over UDP (RFC
//! 7881), between fixed ports.

use mizar_wire::{Ipv4, ethernet, ipv4, udp};
use topologies::frame::inner_with_payload;
use topologies::provision::Host;
use topologies::topology::{HealthTiming, Transport};
use topologies::traffic::Flow;

/// Where reflectors listen: RFC 7881 section 2.
const REFLECTOR: u16 = 7_784;
/// Where all initiators do here: any port but that one.
const INITIATOR: u16 = 49_784;
/// Bytes of a control packet without authentication: RFC 5880 section 4.1.
const LEN: usize = 24;
/// Version 1, no diagnostic.
const VERSION: u8 = 1 << 5;
/// The state Up.
const UP: u8 = 3 << 6;
/// The state Down.
const DOWN: u8 = 1 << 6;
/// Where the state is.
const STATE: u8 = 3 << 6;
/// Demand: set by initiators, cleared by reflectors, so that none answers an answer (RFC 7880 section 7).
const DEMAND: u8 = 1 << 1;

/// What one host says to another. Its discriminator is its underlay address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Are you alive?
    Question {
        /// Whether who asks takes the other one for alive.
        is_up: bool,
    },
    /// I am.
    Answer,
}

impl Message {
    /// The frame that takes it from one health endpoint to another.
    pub fn frame(self, from: Host, to: Host, timing: HealthTiming) -> Vec<u8> {
        let (state, demand, src_port, dst_port) = match self {
            Self::Question { is_up: true } => (UP, DEMAND, INITIATOR, REFLECTOR),
            Self::Question { is_up: false } => (DOWN, DEMAND, INITIATOR, REFLECTOR),
            Self::Answer => (UP, 0, REFLECTOR, INITIATOR),
        };
        let micros = u32::from(timing.interval_ms.get()) * 1_000;
        let mut packet = vec![VERSION, state | demand, timing.misses.get(), LEN as u8];
        packet.extend(from.ip.octets());
        packet.extend(to.ip.octets());
        // Desired min TX, required min RX, required min echo RX, in microseconds.
        packet.extend(micros.to_be_bytes());
        packet.extend([0; 8]);
        let flow = Flow {
            transport: Transport::Udp,
            src_ip: from.ip,
            src_mac: from.mac,
            dst_ip: to.ip,
            dst_mac: to.mac,
            src_port,
            dst_port,
        };
        inner_with_payload(&flow, &packet)
    }

    /// What a frame says to the health endpoint `own`, and the address of who says it; `None` if it is anything else.
    pub fn read(frame: &[u8], own: Host) -> Option<(Self, Ipv4)> {
        let at = |from: usize, len: usize| frame.get(from..)?.get(..len);
        let word = |from: usize| <[u8; 4]>::try_from(at(from, 4)?).ok();
        let port = |from: usize| {
            let octets = <[u8; 2]>::try_from(at(from, 2)?).ok();
            octets.map(u16::from_be_bytes)
        };
        let (ip, transport) = (ethernet::LEN, ethernet::LEN + ipv4::LEN);
        let (protocol, source, destination) = (ip + 9, ip + 12, ip + 16);
        let is_udp = at(ip, 1)? == [ipv4::VERSION_IHL] && at(protocol, 1)? == [ipv4::UDP];
        let ethertype = ethernet::IPV4.get().to_be_bytes();
        if !is_udp
            || at(ethernet::LEN - 2, 2)? != ethertype
            || word(destination)? != own.ip.octets()
        {
            return None;
        }
        let packet = transport + udp::LEN;
        let from = word(source)?;
        let (ports, flags) = (
            (port(transport)?, port(transport + 2)?),
            *frame.get(packet + 1)?,
        );
        let is_well_formed = at(packet, 1)? == [VERSION] && at(packet + 3, 1)? == [LEN as u8];
        let is_between_them = word(packet + 4)? == from && word(packet + 8)? == own.ip.octets();
        if !is_well_formed || !is_between_them || frame.len() < packet + LEN {
            return None;
        }
        let message = match (flags & DEMAND, flags & STATE, ports) {
            (DEMAND, state, (_, REFLECTOR)) => Self::Question { is_up: state == UP },
            (0, UP, (REFLECTOR, INITIATOR)) => Self::Answer,
            _ => return None,
        };
        Some((message, Ipv4::from_octets(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizar_wire::Mac;
    use proptest::prelude::*;

    const LEFT: Host = Host {
        ip: Ipv4::from_octets([172, 16, 0, 1]),
        mac: Mac::new([2, 0, 172, 16, 0, 1]),
    };
    const RIGHT: Host = Host {
        ip: Ipv4::from_octets([172, 16, 0, 2]),
        mac: Mac::new([2, 0, 172, 16, 0, 2]),
    };

    /// RFC 5880 section 4.1, written out.
    #[test]
    fn a_question_byte_by_byte() {
        let frame = Message::Question { is_up: false }.frame(LEFT, RIGHT, HealthTiming::default());
        assert_eq!(frame.len(), 14 + 20 + 8 + 24);
        assert_eq!(frame[36..38], 7_784_u16.to_be_bytes());
        let packet = [
            0x20, 0x42, 3, 24, 172, 16, 0, 1, 172, 16, 0, 2, 0, 0, 0xc3, 0x50, 0, 0, 0, 0, 0, 0, 0,
            0,
        ];
        assert_eq!(frame[42..], packet);
    }

    #[test]
    fn who_is_meant_reads_it_and_nobody_else() {
        for message in [
            Message::Question { is_up: false },
            Message::Question { is_up: true },
            Message::Answer,
        ] {
            let frame = message.frame(LEFT, RIGHT, HealthTiming::default());
            assert_eq!(Message::read(&frame, RIGHT), Some((message, LEFT.ip)));
            assert_eq!(Message::read(&frame, LEFT), None);
            for length in 0..frame.len() {
                assert_eq!(Message::read(&frame[..length], RIGHT), None, "{length}");
            }
        }
    }

    /// An answer that a reflector would take for a question would go to and fro for ever.
    #[test]
    fn an_answer_at_the_port_of_reflectors_is_none() {
        let mut frame = Message::Answer.frame(LEFT, RIGHT, HealthTiming::default());
        frame[36..38].copy_from_slice(&REFLECTOR.to_be_bytes());
        assert_eq!(Message::read(&frame, RIGHT), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_without_harm(frame in prop::collection::vec(any::<u8>(), 0..128)) {
            Message::read(&frame, RIGHT);
        }
    }
}
