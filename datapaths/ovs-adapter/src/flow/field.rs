//! Fields that rules match, move and set.

use std::fmt;

/// A field of a packet, of its tunnel metadata, or of what the pipeline remembers about it.
///
/// The order is that in which OpenFlow wants a match's fields: what others depend on comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The port by which it arrived; zero after it was set to zero, so that it may leave by it.
    InPort,
    /// A 32-bit register, 0 to 15. Registers 2n and 2n+1 are the halves of [`Self::Wide`] n.
    Register(u8),
    /// A 64-bit register, 0 to 7.
    Wide(u8),
    /// Mark of the packet, which survives from one bridge to the next.
    PacketMark,
    /// State in connection tracking: see [`ct_state`].
    CtState,
    /// Mark of the connection.
    CtMark,
    /// The virtual network's identifier.
    TunnelId,
    /// Outer source address.
    TunnelSrc,
    /// Outer destination address.
    TunnelDst,
    /// A Geneve option, by index in the TLV table, 0 to 7.
    Option(u8),
    /// Ethernet destination.
    EthDst,
    /// Ethernet source.
    EthSrc,
    /// EtherType.
    EthType,
    /// IP protocol.
    IpProto,
    /// Differentiated services code point, the upper six bits of the type of service.
    IpDscp,
    /// Time to live.
    IpTtl,
    /// Fragments: see [`fragment`].
    IpFragment,
    /// IPv4 source.
    IpSrc,
    /// IPv4 destination.
    IpDst,
    /// TCP source port.
    TcpSrc,
    /// TCP destination port.
    TcpDst,
    /// UDP source port.
    UdpSrc,
    /// UDP destination port.
    UdpDst,
    /// Operation of ARP.
    ArpOperation,
    /// Protocol address of ARP's sender.
    ArpSenderIp,
    /// Protocol address of ARP's target.
    ArpTargetIp,
    /// Hardware address of ARP's sender.
    ArpSenderMac,
    /// Hardware address of ARP's target.
    ArpTargetMac,
}

/// Bits of [`Field::CtState`] (`CS_*` of OVS's `include/openvswitch/packets.h`).
pub mod ct_state {
    /// The packet opens a connection.
    pub const NEW: u32 = 0x01;
    /// It belongs to a committed connection.
    pub const ESTABLISHED: u32 = 0x02;
    /// It goes against the direction of the connection's first packet.
    pub const REPLY: u32 = 0x08;
    /// It could not be tracked.
    pub const INVALID: u32 = 0x10;
    /// It went through connection tracking.
    pub const TRACKED: u32 = 0x20;
}

/// Bits of [`Field::IpFragment`] (`FLOW_NW_FRAG_*` of OVS's `include/openvswitch/flow.h`).
pub mod fragment {
    /// A fragment.
    pub const ANY: u8 = 0x01;
    /// Not the first fragment.
    pub const LATER: u8 = 0x02;
}

impl Field {
    /// Bits of the field.
    pub const fn bits(self) -> u16 {
        match self {
            Self::Option(index) => crate::flow::OPTION_LENGTHS[(index & 7) as usize] as u16 * 8,
            Self::EthDst | Self::EthSrc | Self::ArpSenderMac | Self::ArpTargetMac => 48,
            Self::TunnelId | Self::Wide(_) => 64,
            Self::InPort
            | Self::Register(_)
            | Self::PacketMark
            | Self::CtState
            | Self::CtMark
            | Self::TunnelSrc
            | Self::TunnelDst
            | Self::IpSrc
            | Self::IpDst
            | Self::ArpSenderIp
            | Self::ArpTargetIp => 32,
            Self::EthType
            | Self::TcpSrc
            | Self::TcpDst
            | Self::UdpSrc
            | Self::UdpDst
            | Self::ArpOperation => 16,
            Self::IpProto | Self::IpTtl => 8,
            Self::IpDscp => 6,
            Self::IpFragment => 2,
        }
    }

    /// The whole field.
    pub const fn whole(self) -> Slice {
        self.slice(0, self.bits())
    }

    /// `bits` bits of the field, from bit `from` on, counted from the least significant.
    pub const fn slice(self, from: u16, bits: u16) -> Slice {
        Slice {
            field: self,
            from,
            bits,
        }
    }
}

impl fmt::Display for Field {
    /// As `ovs-fields(7)` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register(number) => return write!(f, "reg{number}"),
            Self::Wide(number) => return write!(f, "xreg{number}"),
            Self::Option(index) => return write!(f, "tun_metadata{index}"),
            Self::InPort => "in_port",
            Self::PacketMark => "pkt_mark",
            Self::CtState => "ct_state",
            Self::CtMark => "ct_mark",
            Self::TunnelId => "tun_id",
            Self::TunnelSrc => "tun_src",
            Self::TunnelDst => "tun_dst",
            Self::EthDst => "eth_dst",
            Self::EthSrc => "eth_src",
            Self::EthType => "eth_type",
            Self::IpProto => "nw_proto",
            Self::IpDscp => "ip_dscp",
            Self::IpTtl => "nw_ttl",
            Self::IpFragment => "ip_frag",
            Self::IpSrc => "ip_src",
            Self::IpDst => "ip_dst",
            Self::TcpSrc => "tcp_src",
            Self::TcpDst => "tcp_dst",
            Self::UdpSrc => "udp_src",
            Self::UdpDst => "udp_dst",
            Self::ArpOperation => "arp_op",
            Self::ArpSenderIp => "arp_spa",
            Self::ArpTargetIp => "arp_tpa",
            Self::ArpSenderMac => "arp_sha",
            Self::ArpTargetMac => "arp_tha",
        })
    }
}

/// Consecutive bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The field.
    pub field: Field,
    /// The first bit, counted from the least significant.
    pub from: u16,
    /// How many bits.
    pub bits: u16,
}

impl Slice {
    /// Whether it is the whole field.
    pub fn is_whole(self) -> bool {
        self == self.field.whole()
    }
}

impl fmt::Display for Slice {
    /// As `ovs-actions(7)` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            write!(f, "{}[]", self.field)
        } else {
            write!(
                f,
                "{}[{}..{}]",
                self.field,
                self.from,
                self.from + self.bits - 1
            )
        }
    }
}
