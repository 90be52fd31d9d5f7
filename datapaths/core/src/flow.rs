//! Flows of inner packets, and connections: a flow together with its reverse.

use mizar_wire::{Be16, Ipv4, Vni, ipv4};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The five-tuple of an inner packet within its VPC. Fields lie in memory as they do in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FlowKey {
    vni_protocol: u32,
    src: u32,
    dst: u32,
    src_port: u16,
    dst_port: u16,
}

impl FlowKey {
    /// No flow.
    pub(crate) const ZERO: Self = Self {
        vni_protocol: 0,
        src: 0,
        dst: 0,
        src_port: 0,
        dst_port: 0,
    };

    /// The flow from `src` to `dst`; ports are zero for protocols without.
    #[inline(always)]
    pub const fn new(
        vni: Vni,
        protocol: u8,
        src: Ipv4,
        dst: Ipv4,
        src_port: Be16,
        dst_port: Be16,
    ) -> Self {
        Self {
            vni_protocol: vni.get() << 8 | protocol as u32,
            src: src.raw(),
            dst: dst.raw(),
            src_port: src_port.raw(),
            dst_port: dst_port.raw(),
        }
    }

    /// The VPC.
    #[inline(always)]
    pub const fn vni(&self) -> Vni {
        Vni::from_header_word(self.vni_protocol)
    }

    /// The IP protocol.
    #[inline(always)]
    pub const fn protocol(&self) -> u8 {
        self.vni_protocol as u8
    }

    /// Source address.
    #[inline(always)]
    pub const fn src(&self) -> Ipv4 {
        Ipv4::from_raw(self.src)
    }

    /// Destination address.
    #[inline(always)]
    pub const fn dst(&self) -> Ipv4 {
        Ipv4::from_raw(self.dst)
    }

    /// Source port.
    #[inline(always)]
    pub const fn src_port(&self) -> Be16 {
        Be16::from_raw(self.src_port)
    }

    /// Destination port.
    #[inline(always)]
    pub const fn dst_port(&self) -> Be16 {
        Be16::from_raw(self.dst_port)
    }

    /// Whether connection tracking looks at the flow: TCP and UDP.
    #[inline(always)]
    pub const fn is_tracked(&self) -> bool {
        matches!(self.protocol(), ipv4::TCP | ipv4::UDP)
    }

    /// The flow of the replies.
    #[inline(always)]
    pub const fn reversed(&self) -> Self {
        Self {
            vni_protocol: self.vni_protocol,
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
        }
    }
}

/// A flow and its reverse under one key, so that one lookup tells the state of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct ConnectionKey(FlowKey);

/// Which of a connection's two flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side(bool);

impl ConnectionKey {
    /// The connection that `flow` belongs to, and which side of it the flow is.
    #[inline(always)]
    pub const fn of(flow: &FlowKey) -> (Self, Side) {
        let src = (flow.src as u64) << 16 | flow.src_port as u64;
        let dst = (flow.dst as u64) << 16 | flow.dst_port as u64;
        if src <= dst {
            (Self(*flow), Side(false))
        } else {
            (Self(flow.reversed()), Side(true))
        }
    }

    /// Whether both ends are the same, so that the flow is its own reverse.
    #[inline(always)]
    pub const fn is_loop(&self) -> bool {
        self.0.src == self.0.dst && self.0.src_port == self.0.dst_port
    }
}

/// What is remembered of a connection: one state for each of its flows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Connection {
    first: FlowState,
    second: FlowState,
}

/// The state of one flow of a connection.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct FlowState(u8);

impl FlowState {
    const TRACKED: u8 = 0x80;
    const DENIED: u8 = 0x01;
    const RE_EVALUATE: u8 = 0x04;

    /// The state after policy allowed or denied a packet of `flow`. UDP has no end of a connection, so
    /// that its replies are judged by the policy of the moment instead of by what was stored.
    #[inline(always)]
    pub const fn judged(flow: &FlowKey, denied: bool) -> Self {
        let re_evaluate = if flow.protocol() == ipv4::UDP {
            Self::RE_EVALUATE
        } else {
            0
        };
        Self(Self::TRACKED | re_evaluate | (denied as u8 * Self::DENIED))
    }

    /// Whether a packet of the flow was ever judged.
    #[inline(always)]
    pub const fn is_tracked(self) -> bool {
        self.0 & Self::TRACKED != 0
    }

    /// Whether it was denied.
    #[inline(always)]
    pub const fn is_denied(self) -> bool {
        self.0 & Self::DENIED != 0
    }

    /// Whether replies are judged anew.
    #[inline(always)]
    pub const fn re_evaluates(self) -> bool {
        self.0 & Self::RE_EVALUATE != 0
    }
}

impl Connection {
    /// The state of the flow on this side.
    #[inline(always)]
    pub const fn side(&self, side: Side) -> FlowState {
        if side.0 { self.second } else { self.first }
    }

    /// The state of the flow that this side's packets reply to.
    #[inline(always)]
    pub const fn originator(&self, key: &ConnectionKey, side: Side) -> FlowState {
        if key.is_loop() {
            self.first
        } else {
            self.side(Side(!side.0))
        }
    }

    /// The connection with the state of one side replaced.
    #[inline(always)]
    pub const fn with(self, side: Side, state: FlowState) -> Self {
        if side.0 {
            Self {
                first: self.first,
                second: state,
            }
        } else {
            Self {
                first: state,
                second: self.second,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flow(src: u32, dst: u32, src_port: u16, dst_port: u16) -> FlowKey {
        FlowKey::new(
            Vni::new(7).unwrap(),
            ipv4::TCP,
            Ipv4::from_raw(src),
            Ipv4::from_raw(dst),
            Be16::from_raw(src_port),
            Be16::from_raw(dst_port),
        )
    }

    proptest! {
        #[test]
        fn a_flow_and_its_reverse_share_a_connection_on_opposite_sides(
            src in 0u32..3, dst in 0u32..3, src_port in 0u16..3, dst_port in 0u16..3,
        ) {
            let forward = flow(src, dst, src_port, dst_port);
            let (key, side) = ConnectionKey::of(&forward);
            let (reverse_key, reverse_side) = ConnectionKey::of(&forward.reversed());
            prop_assert_eq!(key, reverse_key);
            let connection = Connection::default().with(side, FlowState::judged(&forward, true));
            prop_assert!(connection.originator(&key, reverse_side).is_denied());
            prop_assert_eq!(connection.originator(&key, side).is_tracked(), key.is_loop());
        }
    }
}
