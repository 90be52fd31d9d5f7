//! What becomes of a frame, as values that a datapath carries out with [`crate::apply`].

use crate::reason::Reason;
use crate::tables::Host;
use mizar_wire::geneve::{self, FlowTarget, Layout};
use mizar_wire::{Be16, Ipv4, Mac, Vni, ethernet, ipv4, udp};

/// The verdict on a frame that leaves an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// Refused.
    Refuse(Reason),
    /// Put outer headers in front.
    Encapsulate(Encapsulate),
}

/// The verdict on a frame that arrives at the uplink. What changes in the frame is in [`Changes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// Refused.
    Refuse(Reason),
    /// Not an overlay packet: left to the network stack, untouched.
    Pass,
    /// Sent on, still encapsulated.
    Forward {
        /// The next droplet.
        next: Host,
        /// Where the frame goes; never [`Via::Transit`].
        via: Via,
    },
    /// Stripped of its outer headers, which are [`Changes::inner_at`] bytes, and given to an endpoint.
    Deliver {
        /// Number of the endpoint port.
        port: u32,
    },
}

/// Where an encapsulated frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Out of the uplink.
    Uplink,
    /// To the network stack, so that a queueing discipline can shape it.
    Stack,
    /// Through transit of this very droplet, which is the next hop itself.
    Transit,
}

/// Outer headers to put in front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulate {
    /// The next droplet.
    pub next: Host,
    /// UDP source port in host order.
    pub source_port: u16,
    /// Outer time to live.
    pub ttl: u8,
    /// Outer type of service.
    pub tos: u8,
    /// The VPC.
    pub vni: Vni,
    /// Label of the pod.
    pub pod_label: u32,
    /// Label of the pod's namespace.
    pub namespace_label: u32,
    /// Bytes of the inner frame.
    pub inner_len: u16,
    /// What they say about the way.
    pub header: Header,
    /// Changes inside; offsets count from the start of the inner frame.
    pub inner: Inner,
    /// Where it goes then.
    pub via: Via,
}

impl Encapsulate {
    /// Bytes of the outer headers.
    #[inline(always)]
    pub const fn outer_len(&self) -> usize {
        self.header.layout().encapsulation_len()
    }
}

/// What outer headers say about the way that a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Header {
    /// Nothing, as Mizar's.
    #[default]
    Plain,
    /// That it is a direct path of the sender, by a flag of return-to-sender: see [`crate::invalidation`].
    Direct,
    /// The same by return-to-sender not being there: see [`crate::short_header`].
    Short,
}

impl Header {
    /// Which options there are.
    #[inline(always)]
    pub const fn layout(self) -> Layout {
        match self {
            Self::Plain | Self::Direct => Layout::Full,
            Self::Short => Layout::Short,
        }
    }
}

/// Changes to a frame that arrived encapsulated.
///
/// Transit collects them in a value that the caller owns, not in its verdict: a value of this size,
/// returned through several functions, would not fit a BPF program's stack of 512 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Changes {
    /// Change of the return-to-sender option.
    pub return_to_sender: ReturnToSender,
    /// Change of the scaled-endpoint option.
    pub scaled_endpoint: ScaledEndpoint,
    /// Which options it arrived with. One that is sent on leaves with all.
    pub layout: Layout,
    /// Where the inner frame starts, in bytes, as it arrived.
    pub inner_at: usize,
    /// Changes inside.
    pub inner: Inner,
}

/// Outer headers have no more bytes: Geneve counts words of options in six bits (RFC 8926 section 3.4).
const MAX_INNER_AT: usize = ethernet::LEN + ipv4::LEN + udp::LEN + geneve::LEN + 63 * 4;

impl Changes {
    /// Where the inner frame starts, in bytes: [`Changes::inner_at`], of which the kernel's verifier sees that it is within a
    /// frame, wherever it was kept meanwhile.
    #[inline(always)]
    pub const fn inner_start(&self) -> usize {
        self.inner_at & (MAX_INNER_AT.next_power_of_two() - 1)
    }

    /// Bytes that the datapath adds in front of a frame that is sent on.
    #[inline(always)]
    pub const fn growth(&self) -> usize {
        match self.layout {
            Layout::Full => 0,
            Layout::Short => size_of::<geneve::ReturnToSender>(),
        }
    }
}

/// Change of the return-to-sender option: first cleared, then the host is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReturnToSender {
    /// Whether to clear it.
    pub clear: bool,
    /// A host to write.
    pub host: Option<Host>,
    /// Whether the packet goes back, or came back.
    pub invalidation: Invalidation,
    /// What becomes of the flag that says whether the packet goes by a direct path.
    pub direct_path: DirectPathFlag,
}

impl ReturnToSender {
    /// Lets the option say nothing.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.clear = true;
        self.host = None;
    }
}

/// What a packet on its way back from the end of a direct path becomes: see [`crate::invalidation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Invalidation {
    /// It is on no such way.
    #[default]
    None,
    /// It begins the way back.
    Return,
    /// It begins again.
    Resume,
}

/// Change of the flag in return-to-sender that says that a packet goes by a direct path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DirectPathFlag {
    /// Left alone.
    #[default]
    Keep,
    /// Cleared.
    Clear,
    /// Set.
    Set,
}

/// Change of the scaled-endpoint option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ScaledEndpoint {
    /// Left alone.
    #[default]
    Keep,
    /// Cleared.
    Clear,
    /// Replaced by a message that tells the source host to rewrite this packet's flow to the backend with
    /// this overlay address.
    Modify(Ipv4),
}

/// Changes to an inner frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Inner {
    /// New Ethernet destination.
    pub dst_mac: Option<Mac>,
    /// New Ethernet source.
    pub src_mac: Option<Mac>,
    /// New addresses and ports.
    pub flow: Option<FlowRewrite>,
    /// Turns an ARP request into the reply of the endpoint whose Ethernet address is `src_mac`.
    pub arp_reply: bool,
}

/// New addresses and ports of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRewrite {
    /// Source address.
    pub src: Ipv4,
    /// Destination address.
    pub dst: Ipv4,
    /// Source port.
    pub src_port: Be16,
    /// Destination port.
    pub dst_port: Be16,
    /// The transport header to rewrite.
    pub transport: Transport,
}

/// A transport header with ports and a checksum, right behind the IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transport {
    /// There is none.
    #[default]
    None,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl FlowRewrite {
    /// The rewrite to `target` of a packet with this transport header.
    #[inline(always)]
    pub const fn to(target: &FlowTarget, transport: Transport) -> Self {
        Self {
            src: target.src,
            dst: target.dst,
            src_port: target.src_port,
            dst_port: target.dst_port,
            transport,
        }
    }
}
