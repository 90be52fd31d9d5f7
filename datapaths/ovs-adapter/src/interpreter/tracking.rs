//! Connections, as `ct()` knows them.

use crate::flow::packet::Packet;
use crate::flow::{Ct, Field, Source, Value, ct_state};
use std::collections::HashMap;

/// A flow: zone, protocol, addresses and ports.
type Tuple = (u16, u64, u64, u64, u64, u64);

/// Committed connections by the flow of their first packet, with their marks.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    committed: HashMap<Tuple, u32>,
}

impl Connections {
    /// Carries out `ct()`, and returns the packet as it goes on in the table that `ct` names.
    pub fn process(&mut self, ct: &Ct, packet: &Packet) -> Packet {
        let zone = match ct.zone {
            Source::Constant(zone) => zone,
            Source::Field(slice) => packet.read(slice).low_u64() as u16,
        };
        let flow = tuple(zone, packet);
        let reverse = (flow.0, flow.1, flow.3, flow.2, flow.5, flow.4);
        let (state, mark) = if let Some(mark) = self.committed.get(&flow) {
            (ct_state::ESTABLISHED, *mark)
        } else if let Some(mark) = self.committed.get(&reverse) {
            (ct_state::ESTABLISHED | ct_state::REPLY, *mark)
        } else {
            (ct_state::NEW, 0)
        };
        if ct.commit {
            let of = if state & ct_state::REPLY != 0 {
                reverse
            } else {
                flow
            };
            self.committed.insert(of, ct.mark.unwrap_or(mark));
        }
        let mut tracked = packet.clone();
        let state = state | ct_state::TRACKED;
        tracked.write(Field::CtState.whole(), Value::from(state));
        tracked.write(Field::CtMark.whole(), Value::from(mark));
        tracked
    }
}

fn tuple(zone: u16, packet: &Packet) -> Tuple {
    let read = |field: Field| packet.read(field.whole()).low_u64();
    // One of the two protocols has ports, the other reads as zero.
    (
        zone,
        read(Field::IpProto),
        read(Field::IpSrc),
        read(Field::IpDst),
        read(Field::TcpSrc) | read(Field::UdpSrc),
        read(Field::TcpDst) | read(Field::UdpDst),
    )
}
