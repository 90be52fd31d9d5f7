//! What of a packet a flow may ask for.

use mizar_wire::frame::Frame;
use mizar_wire::mix::{self, FACTORS};
use mizar_wire::{Be16, Ipv4, Mac, arp, ethernet, ipv4, tcp, udp};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of options in a key: those of a Mizar packet.
pub const OPTIONS: usize = mizar_wire::geneve::OPTIONS_LEN;
/// Those of one with the short header, which a key holds as well.
pub const SHORT_OPTIONS: usize = mizar_wire::geneve::SHORT_OPTIONS_LEN;
/// Words of a key.
pub const WORDS: usize = size_of::<Key>() / size_of::<u64>();

/// The word of destination and EtherType, and that of the source, in whose place [`Key::read`] has no TCP flags yet.
const ETH_DST: usize = core::mem::offset_of!(Key, eth_dst) / size_of::<u64>();
const ETH_SRC: usize = core::mem::offset_of!(Key, eth_src) / size_of::<u64>();

/// Of these, the ones in front of options.
const WORDS_WITHOUT_OPTIONS: usize = WORDS - OPTIONS / size_of::<u64>();

/// Which part of a fragmented packet this is: `enum ovs_frag_type` of include/uapi/linux/openvswitch.h.
pub mod fragment {
    /// The packet is whole.
    pub const NO: u8 = 0;
    /// The first fragment, which has the transport header.
    pub const FIRST: u8 = 1;
    /// Another one.
    pub const LATER: u8 = 2;
    /// Headers of IPv4 and of what it carries are not as they should be. No flow asks for that: parsers differ in what they
    /// take such packets for, so each goes to who knows.
    pub const ODD: u8 = 0xff;
}

/// The fields of a packet, or of a mask. What a packet does not have is zero.
///
/// A mask has the same layout; a bit that is set is one that a flow asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Key {
    /// Number of the port in the datapath; of a packet that came by a tunnel the tunnel's.
    pub in_port: u32,
    /// Flags of [`crate::tunnel`].
    pub tunnel_flags: u16,
    /// Type of service of the outer header.
    pub tunnel_tos: u8,
    /// Time to live of the outer header.
    pub tunnel_ttl: u8,
    /// Network identifier, in the lower 24 bits.
    pub vni: u32,
    /// Bytes of Geneve options, whether they fit a key or not.
    pub options_len: u16,
    /// One of [`fragment`].
    pub fragment: u8,
    /// IP protocol, or the lower eight bits of ARP's operation.
    pub protocol: u8,
    /// Source address of the outer header.
    pub tunnel_src: Ipv4,
    /// Destination address of the outer header.
    pub tunnel_dst: Ipv4,
    /// Ethernet destination.
    pub eth_dst: Mac,
    /// EtherType.
    pub eth_type: Be16,
    /// Ethernet source.
    pub eth_src: Mac,
    /// Flags of TCP, in the lower twelve bits.
    pub tcp_flags: Be16,
    /// IPv4 source, or ARP's protocol address of the sender.
    pub ip_src: Ipv4,
    /// IPv4 destination, or ARP's protocol address of the target.
    pub ip_dst: Ipv4,
    /// Type of service.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// Source port of TCP and UDP, or the type of an ICMP message.
    pub src_port: Be16,
    /// Destination port, or the code of an ICMP message.
    pub dst_port: Be16,
    /// Zero.
    pub reserved: u16,
    /// ARP's hardware address of the sender.
    pub arp_sender: Mac,
    /// ARP's hardware address of the target.
    pub arp_target: Mac,
    /// Zero.
    pub reserved_too: u32,
    /// Geneve options as they came, if they fit and are as many as a key holds.
    pub options: [u64; OPTIONS / 8],
}

const _: () = assert!(core::mem::offset_of!(Key, eth_type) == 8 * ETH_DST + 6);
const _: () = assert!(core::mem::offset_of!(Key, tcp_flags) == 8 * ETH_SRC + 6);
const _: () = assert!(WORDS == 17 && WORDS_WITHOUT_OPTIONS == 9);

/// Whether a key holds as many bytes of options, beside none.
#[inline(always)]
pub const fn holds(options_len: usize) -> bool {
    options_len == OPTIONS || options_len == SHORT_OPTIONS
}

/// Its bytes at once: a hasher that takes field after field takes much longer.
impl core::hash::Hash for Key {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Key {
    /// Of no packet; as a mask, one that asks for nothing.
    pub const ZERO: Self = Self {
        in_port: 0,
        tunnel_flags: 0,
        tunnel_tos: 0,
        tunnel_ttl: 0,
        vni: 0,
        options_len: 0,
        fragment: 0,
        protocol: 0,
        tunnel_src: Ipv4::from_raw(0),
        tunnel_dst: Ipv4::from_raw(0),
        eth_dst: Mac::new([0; 6]),
        eth_type: Be16::new(0),
        eth_src: Mac::new([0; 6]),
        tcp_flags: Be16::new(0),
        ip_src: Ipv4::from_raw(0),
        ip_dst: Ipv4::from_raw(0),
        tos: 0,
        ttl: 0,
        src_port: Be16::new(0),
        dst_port: Be16::new(0),
        reserved: 0,
        arp_sender: Mac::new([0; 6]),
        arp_target: Mac::new([0; 6]),
        reserved_too: 0,
        options: [0; OPTIONS / 8],
    };

    /// The key as words.
    #[inline(always)]
    pub fn words(&self) -> &[u64; WORDS] {
        zerocopy::transmute_ref!(self)
    }

    /// The key as words, to be written.
    #[inline(always)]
    pub fn words_mut(&mut self) -> &mut [u64; WORDS] {
        zerocopy::transmute_mut!(self)
    }

    /// What `mask` asks for of this.
    #[inline(always)]
    pub fn masked(&self, mask: &Self) -> Self {
        let mut masked = Self::ZERO;
        self.mask_into(mask, &mut masked);
        masked
    }

    /// The same, written to where it is wanted.
    #[inline(always)]
    pub fn mask_into(&self, mask: &Self, masked: &mut Self) {
        let (words, mask) = (self.words(), mask.words());
        for (at, word) in masked.words_mut().iter_mut().enumerate() {
            *word = words[at] & mask[at];
        }
    }

    /// Whether it is the same, without a branch for each field.
    #[inline(always)]
    pub fn is(&self, other: &Self) -> bool {
        let (words, other) = (self.words(), other.words());
        let count = self.words_in_use();
        let mut differs = 0;
        let mut at = 0;
        while at < WORDS_WITHOUT_OPTIONS {
            differs |= words[at] ^ other[at];
            at += 1;
        }
        if count > WORDS_WITHOUT_OPTIONS {
            while at < WORDS {
                differs |= words[at] ^ other[at];
                at += 1;
            }
        }
        differs == 0
    }

    /// Some 64 bits that differ where keys differ, for caches.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        // Two sums that do not wait for each other.
        let (mut one, mut two) = (0u64, 0u64);
        let words = self.words();
        let mut add = |at: usize| {
            one = (one ^ words[at]).wrapping_mul(FACTORS[0]).rotate_left(29);
            two = (two ^ words[at + 1])
                .wrapping_mul(FACTORS[1])
                .rotate_left(31);
        };
        let mut at = 0;
        while at + 1 < WORDS_WITHOUT_OPTIONS {
            add(at);
            at += 2;
        }
        if self.words_in_use() > WORDS_WITHOUT_OPTIONS {
            at = WORDS_WITHOUT_OPTIONS;
            while at + 1 < WORDS {
                add(at);
                at += 2;
            }
        }
        let sum = one ^ two ^ words[WORDS_WITHOUT_OPTIONS - 1];
        mix::upper(sum, FACTORS[0])
    }

    /// Words that tell this key from others: without options there are none in it, and their length, which comes before
    /// them, says so.
    #[inline(always)]
    fn words_in_use(&self) -> usize {
        if holds(self.options_len as usize) {
            WORDS
        } else {
            WORDS_WITHOUT_OPTIONS
        }
    }

    /// Reads the fields of the frame that begins at byte `at` of `frame`; those of a tunnel and the port stay.
    ///
    /// As `miniflow_extract` of OVS's lib/flow.c, but that headers of IPv4 and of what it carries that are not wholly there,
    /// or make no sense, are [`fragment::ODD`]; others of that kind are none.
    #[inline(always)]
    pub fn read<F: Frame>(&mut self, frame: &F, at: usize) {
        // Of a header of 14 bytes the first eight, and the last eight: addresses one by one would be copied by a function.
        let (Some([first]), Some([last])) = (frame.words(at), frame.words(at + 6)) else {
            return;
        };
        let (first, last) = (u64::from_be(first), u64::from_be(last));
        let ethertype = last as u16;
        let words = self.words_mut();
        words[ETH_DST] = (first & !0xffff | u64::from(ethertype)).to_be();
        words[ETH_SRC] = (last & !0xffff).to_be();
        match Be16::new(ethertype) {
            ethernet::IPV4 => self.read_ip(frame, at),
            ethernet::ARP => self.read_arp(frame, at),
            _ => {}
        }
    }

    #[inline(always)]
    fn read_ip<F: Frame>(&mut self, frame: &F, at: usize) {
        let Some((ip, len)) = ip(frame, at) else {
            self.fragment = fragment::ODD;
            return;
        };
        self.ip_src = ip.src;
        self.ip_dst = ip.dst;
        self.protocol = ip.protocol;
        self.tos = ip.tos;
        self.ttl = ip.ttl;
        if ip.is_later_fragment() {
            self.fragment = fragment::LATER;
            return;
        }
        if ip.is_fragment() {
            self.fragment = fragment::FIRST;
        }
        let at = at + ethernet::LEN + ip.header_len();
        let left = len - ip.header_len();
        match ip.protocol {
            ipv4::TCP => match frame.get::<tcp::Header>(at) {
                Some(tcp) if left >= tcp::LEN => {
                    self.src_port = tcp.src;
                    self.dst_port = tcp.dst;
                    self.tcp_flags = Be16::from_raw(tcp.offset_flags.raw() & TCP_FLAGS.raw());
                }
                _ => self.fragment = fragment::ODD,
            },
            ipv4::UDP => match frame.get::<udp::Header>(at) {
                Some(udp) if left >= udp::LEN => {
                    self.src_port = udp.src;
                    self.dst_port = udp.dst;
                }
                _ => self.fragment = fragment::ODD,
            },
            ipv4::ICMP => match frame.get::<[u8; ICMP_LEN]>(at) {
                Some([kind, code, ..]) if left >= ICMP_LEN => {
                    self.src_port = Be16::new(*kind as u16);
                    self.dst_port = Be16::new(*code as u16);
                }
                _ => self.fragment = fragment::ODD,
            },
            _ => {}
        }
    }

    /// As `parse_arp` of OVS's lib/flow.c.
    #[inline(always)]
    fn read_arp<F: Frame>(&mut self, frame: &F, at: usize) {
        let at = at + ethernet::LEN;
        let Some(header) = frame.get::<arp::Header>(at) else {
            return;
        };
        let is_known = header.hardware == arp::ETHERNET
            && header.protocol == arp::IPV4
            && header.hardware_len == 6
            && header.protocol_len == 4;
        let operation = header.operation.get();
        let Some(addresses) = frame.get::<arp::Addresses>(at + arp::HEADER_LEN) else {
            return;
        };
        if !is_known {
            return;
        }
        if operation <= 0xff {
            self.protocol = operation as u8;
        }
        // Nothing more is read of other operations than request and reply.
        if operation == arp::REQUEST.get() || operation == arp::REPLY.get() {
            self.ip_src = addresses.sender_ip;
            self.ip_dst = addresses.target_ip;
            self.arp_sender = addresses.sender_mac;
            self.arp_target = addresses.target_mac;
        }
    }
}

/// Bits of TCP's flags in [`tcp::Header::offset_flags`].
const TCP_FLAGS: Be16 = Be16::new(0x0fff);
/// Bytes of an ICMP header (RFC 792).
const ICMP_LEN: usize = 8;

/// The IPv4 header of the frame that begins at byte `at`, and the bytes of the packet by it, if both make sense:
/// `ipv4_sanity_check` of OVS's lib/flow.c, and the version.
#[inline(always)]
pub fn ip<F: Frame>(frame: &F, at: usize) -> Option<(&ipv4::Header, usize)> {
    let left = frame.len().checked_sub(at + ethernet::LEN)?;
    let ip = frame.get::<ipv4::Header>(at + ethernet::LEN)?;
    let own = ip.header_len();
    let total = ip.total_length.get() as usize;
    let is_sane = ip.version_ihl >> 4 == 4
        && own >= ipv4::LEN
        && own <= left
        && total >= own
        && total <= left;
    is_sane.then_some((ip, total))
}

#[cfg(test)]
#[path = "tests/key.rs"]
mod tests;
