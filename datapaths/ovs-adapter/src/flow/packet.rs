//! A packet and its fields.

use super::{Field, Match, PortNumber, Slice, Value, fragment};
use mizar_wire::checksum::Change;
use std::collections::BTreeMap;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A frame with what a switch knows of it.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The frame, as changed so far.
    pub frame: Vec<u8>,
    /// What is not in the frame.
    metadata: BTreeMap<Field, Value>,
}

/// Where a field lies in the frame: first byte, and how many.
type Place = (usize, usize);

impl Packet {
    pub fn new(frame: &[u8]) -> Self {
        Self {
            frame: frame.to_vec(),
            metadata: BTreeMap::new(),
        }
    }

    pub fn arrived_at(mut self, port: PortNumber) -> Self {
        self.metadata.insert(Field::InPort, port.0.into());
        self
    }

    /// What is not in the frame, as a packet-in carries it: what is zero is left out.
    pub fn metadata(&self) -> Match {
        let fields = self.metadata.iter();
        fields
            .filter(|(field, value)| matches!(field, Field::Option(_)) || !value.is_zero())
            .fold(Match::all(), |metadata, (field, value)| {
                metadata.with(*field, *value)
            })
    }

    /// Whether it has a field at all. Of a switch's own fields only options may be absent.
    pub fn has(&self, field: Field) -> bool {
        match field {
            Field::Option(_) => self.metadata.contains_key(&field),
            _ => true,
        }
    }

    pub fn delete(&mut self, field: Field) {
        self.metadata.remove(&field);
    }

    /// Bits of a field, right-aligned; zero where it is not there.
    pub fn read(&self, slice: Slice) -> Value {
        bits(self.value(slice.field), slice)
    }

    fn value(&self, field: Field) -> Value {
        if let Some(place) = self.place(field) {
            return place.map_or(Value::ZERO, |(at, len)| {
                Value::from_bytes(self.frame.get(at..at + len).unwrap_or_default())
            });
        }
        let own = |field| self.metadata.get(&field).copied().unwrap_or_default();
        match field {
            Field::IpDscp => self
                .ip()
                .map_or(Value::ZERO, |at| (self.byte(at + 1) >> 2).into()),
            Field::IpFragment => self.fragment().into(),
            Field::Wide(number) => {
                let half = |register| own(Field::Register(register));
                half(2 * number) << 32 | half(2 * number + 1)
            }
            _ => own(field),
        }
    }

    /// Writes bits of a field; an option is there from then on.
    pub fn write(&mut self, slice: Slice, value: Value) {
        let mask = Value::ones(slice.bits) << slice.from;
        let value = self.value(slice.field) & !mask | value << slice.from & mask;
        match (self.place(slice.field), slice.field) {
            (Some(Some((at, len))), field) => {
                self.mend_checksums(field, value);
                self.write_frame(at, &value.to_vec(len));
            }
            (Some(None), _) => {}
            (None, Field::Wide(number)) => {
                let halves = [(2 * number, value >> 32), (2 * number + 1, value)];
                for (register, half) in halves {
                    self.metadata
                        .insert(Field::Register(register), half & Value::ones(32));
                }
            }
            (None, field) => {
                self.metadata.insert(field, value);
            }
        }
    }

    /// Keeps checksums as right, or as wrong, as they were when a field that they cover becomes `value`.
    fn mend_checksums(&mut self, field: Field, value: Value) {
        let (old, new) = (self.value(field).low_u64(), value.low_u64());
        let is_address = matches!(field, Field::IpSrc | Field::IpDst);
        let is_port = matches!(
            field,
            Field::TcpSrc | Field::TcpDst | Field::UdpSrc | Field::UdpDst
        );
        if !(is_address || is_port) {
            return;
        }
        // Checksums are sums of words as they lie in memory.
        let change = if is_address {
            Change::new().word((old as u32).swap_bytes(), (new as u32).swap_bytes())
        } else {
            Change::new().half((old as u16).swap_bytes(), (new as u16).swap_bytes())
        };
        let places = [
            self.ip().filter(|_| is_address).map(|ip| ip + 10),
            self.transport(TCP, 20).map(|tcp| tcp + 16),
            self.transport(UDP, 8).map(|udp| udp + 6),
        ];
        for (index, at) in places.into_iter().enumerate() {
            let Some(at) = at else { continue };
            let sum = self.half(at);
            let is_udp = index == 2;
            // RFC 768: zero means no checksum; a computed zero is sent as all ones.
            if is_udp && sum == 0 {
                continue;
            }
            let sum = change.apply(sum.swap_bytes()).swap_bytes();
            let sum = if is_udp && sum == 0 { 0xffff } else { sum };
            self.write_frame(at, &sum.to_be_bytes());
        }
    }

    fn write_frame(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.frame.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn byte(&self, at: usize) -> u8 {
        self.frame.get(at).copied().unwrap_or_default()
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn ethertype(&self) -> u16 {
        self.half(12)
    }

    /// Where the IPv4 header starts, if there is one that a switch reads: `ipv4_sanity_check` and
    /// `ipv4_get_nw_frag` of OVS's `lib/flow.c`.
    fn ip(&self) -> Option<usize> {
        let left = self.frame.len().checked_sub(14)?;
        let own = usize::from(self.byte(14) & 0x0f) * 4;
        let total = usize::from(self.half(16));
        let sane = self.ethertype() == IPV4
            && left >= 20
            && own >= 20
            && own <= left
            && total >= own
            && total <= left;
        sane.then_some(14)
    }

    fn fragment(&self) -> u8 {
        let Some(at) = self.ip() else { return 0 };
        let word = self.half(at + 6);
        match (word & 0x1fff != 0, word & 0x2000 != 0) {
            (true, _) => fragment::ANY | fragment::LATER,
            (false, true) => fragment::ANY,
            (false, false) => 0,
        }
    }

    /// Where the transport header of a protocol starts, if it is whole.
    fn transport(&self, protocol: u8, len: usize) -> Option<usize> {
        let ip = self.ip()?;
        let own = usize::from(self.byte(ip) & 0x0f) * 4;
        let is_there = self.byte(ip + 9) == protocol
            && self.fragment() & fragment::LATER == 0
            && usize::from(self.half(ip + 2)) >= own + len;
        is_there.then_some(ip + own)
    }

    /// Where ARP's header starts, if it is for IPv4 over Ethernet (`parse_arp` of OVS's `lib/flow.c`).
    fn arp(&self) -> Option<usize> {
        let is_there = self.ethertype() == ARP
            && self.frame.len() >= 14 + 28
            && self.frame.get(14..20) == Some(&[0, 1, 8, 0, 6, 4]);
        is_there.then_some(14)
    }

    /// Where a field of the frame lies; `Some(None)` if the frame does not have it, `None` if it is not a field of
    /// the frame.
    #[expect(clippy::option_option, reason = "the two are different answers")]
    fn place(&self, field: Field) -> Option<Option<Place>> {
        let within = |start: Option<usize>, at: usize, len: usize| {
            Some(start.map(|start| (start + at, len)))
        };
        let (ip, arp) = (self.ip(), self.arp());
        let tcp = self.transport(TCP, 20);
        let udp = self.transport(UDP, 8);
        match field {
            Field::EthDst => Some(Some((0, 6))),
            Field::EthSrc => Some(Some((6, 6))),
            Field::EthType => Some(Some((12, 2))),
            Field::IpTtl => within(ip, 8, 1),
            Field::IpProto => within(ip, 9, 1),
            Field::IpSrc => within(ip, 12, 4),
            Field::IpDst => within(ip, 16, 4),
            Field::TcpSrc => within(tcp, 0, 2),
            Field::TcpDst => within(tcp, 2, 2),
            Field::UdpSrc => within(udp, 0, 2),
            Field::UdpDst => within(udp, 2, 2),
            Field::ArpOperation => within(arp, 6, 2),
            Field::ArpSenderMac => within(arp, 8, 6),
            Field::ArpSenderIp => within(arp, 14, 4),
            Field::ArpTargetMac => within(arp, 18, 6),
            Field::ArpTargetIp => within(arp, 24, 4),
            _ => None,
        }
    }
}

/// Bits of a slice, right-aligned.
fn bits(value: Value, slice: Slice) -> Value {
    value >> slice.from & Value::ones(slice.bits)
}
