//! Geneve (RFC 8926) with the four options that every packet of Mizar's programs carries.
//!
//! | offset | option | bytes |
//! | --- | --- | --- |
//! | 0 | return to sender, 0x48 | 16 |
//! | 16 | scaled endpoint, 0x49 | 32 |
//! | 48 | pod label, 0x50 | 8 |
//! | 56 | namespace label, 0x51 | 8 |
//!
//! Type and length of the return-to-sender and the scaled-endpoint option are zero where they say
//! nothing; their bytes stay. The offsets are fixed.
//!
//! A packet with the short header has no return-to-sender option, and one that says so, 0x4a, in the place and with the length
//! of the scaled-endpoint option: see [`Layout`].

mod words;

use crate::{Be16, Be32, Ipv4, Mac, Vni, ethernet, ipv4, udp};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// UDP destination port.
pub const PORT: Be16 = Be16::new(6081);
/// Protocol type of an Ethernet payload (transparent Ethernet bridging).
pub const ETHERNET: Be16 = Be16::new(0x6558);
/// Option class of every option of Mizar.
pub const CLASS: Be16 = Be16::new(0x1101);

/// Option type: return to sender.
pub const RETURN_TO_SENDER: u8 = 0x48;
/// Option type: return to sender of a packet that came back, since it found nobody at the end of a direct path. The
/// highest bit makes the option critical (RFC 8926 section 3.5): who does not know it drops the packet.
pub const RETURNED: u8 = RETURN_TO_SENDER | 0x80;
/// Flag of a return-to-sender option: the packet goes by a direct path of the host that the option names.
pub const DIRECT_PATH: u8 = 0x01;
/// Flag of the header: there is a critical option (RFC 8926 section 3.4).
pub const CRITICAL: u8 = 0x40;
/// Option type: scaled endpoint.
pub const SCALED_ENDPOINT: u8 = 0x49;
/// Option type: the header is short. It has the length of a scaled-endpoint option, and zeros.
pub const SHORT_HEADER: u8 = 0x4a;
/// Option type: pod label.
pub const POD_LABEL: u8 = 0x50;
/// Option type: namespace label.
pub const NAMESPACE_LABEL: u8 = 0x51;
/// Message type of a scaled-endpoint option: rewrite the flow.
pub const MODIFY: u8 = 0x4d;

/// The fixed part of the header.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Header {
    /// Version in the upper two bits, bytes of options divided by four in the lower six.
    pub version_options: u8,
    /// Control (0x80) and critical (0x40) flags.
    pub flags: u8,
    /// Protocol of the payload.
    pub protocol: Be16,
    /// Network identifier in the upper 24 bits; see [`Header::vni`].
    pub vni_reserved: Be32,
}

impl Header {
    /// The network identifier.
    #[inline(always)]
    pub const fn vni(&self) -> Vni {
        Vni::from_header_word(self.vni_reserved.get())
    }

    /// Bytes of all options together: 0 to 252.
    #[inline(always)]
    pub const fn options_len(&self) -> usize {
        ((self.version_options & 0x3f) as usize) * 4
    }
}

/// The header of an option.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OptionHeader {
    /// Who defined the option.
    pub class: Be16,
    /// Which option.
    pub kind: u8,
    /// Bytes of data divided by four, in the lower five bits.
    pub length: u8,
}

/// Return to sender: where the source endpoint's packets come from, and where replies may go directly.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ReturnToSender {
    /// Class, type 0x48, 0xc8 or 0, length 3 or 0.
    pub header: OptionHeader,
    /// [`DIRECT_PATH`] or nothing; Mizar writes nothing.
    pub flags: u8,
    ip: [u8; 4],
    mac: [u8; 6],
    pad: u8,
}

impl ReturnToSender {
    /// An option that names this host.
    #[inline(always)]
    pub const fn new(ip: Ipv4, mac: Mac) -> Self {
        Self {
            header: OptionHeader {
                class: CLASS,
                kind: RETURN_TO_SENDER,
                length: 3,
            },
            flags: 0,
            ip: ip.octets(),
            mac: mac.octets(),
            pad: 0,
        }
    }

    /// An option that says nothing.
    #[inline(always)]
    pub const fn absent() -> Self {
        Self {
            header: OptionHeader {
                class: CLASS,
                kind: 0,
                length: 0,
            },
            flags: 0,
            ip: [0; 4],
            mac: [0; 6],
            pad: 0,
        }
    }

    /// Whether the option names a host.
    #[inline(always)]
    pub const fn is_present(&self) -> bool {
        self.header.kind == RETURN_TO_SENDER
    }

    /// Whether the option names the host from which the packet came back.
    #[inline(always)]
    pub const fn is_returned(&self) -> bool {
        self.header.kind == RETURNED
    }

    /// Whether the packet goes by a direct path of the host that the option names.
    #[inline(always)]
    pub const fn is_direct(&self) -> bool {
        self.is_present() && self.flags & DIRECT_PATH != 0
    }

    /// Underlay address of the host.
    #[inline(always)]
    pub const fn ip(&self) -> Ipv4 {
        Ipv4::from_octets(self.ip)
    }

    /// Ethernet address of the host.
    #[inline(always)]
    pub const fn mac(&self) -> Mac {
        Mac::new(self.mac)
    }

    /// Replaces the host and nothing else.
    #[inline(always)]
    pub const fn set_host(&mut self, ip: Ipv4, mac: Mac) {
        self.ip = ip.octets();
        self.mac = mac.octets();
    }
}

/// Scaled endpoint: tells the source host to rewrite a flow to a backend.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ScaledEndpoint {
    /// Class, type 0x49 or 0, length 7 or 0.
    pub header: OptionHeader,
    /// [`MODIFY`] where the option is used.
    pub message: u8,
    src: [u8; 4],
    dst: [u8; 4],
    src_port: [u8; 2],
    dst_port: [u8; 2],
    src_mac: [u8; 6],
    dst_mac: [u8; 6],
    pad: [u8; 3],
}

/// What a flow is rewritten to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FlowTarget {
    /// Source address.
    pub src: Ipv4,
    /// Destination address.
    pub dst: Ipv4,
    /// Source port.
    pub src_port: Be16,
    /// Destination port.
    pub dst_port: Be16,
    /// Ethernet source address.
    pub src_mac: Mac,
    /// Ethernet destination address.
    pub dst_mac: Mac,
}

impl ScaledEndpoint {
    /// A modify message.
    #[inline(always)]
    pub const fn modify(target: &FlowTarget) -> Self {
        Self {
            header: OptionHeader {
                class: CLASS,
                kind: SCALED_ENDPOINT,
                length: 7,
            },
            message: MODIFY,
            src: target.src.octets(),
            dst: target.dst.octets(),
            src_port: target.src_port.raw().to_ne_bytes(),
            dst_port: target.dst_port.raw().to_ne_bytes(),
            src_mac: target.src_mac.octets(),
            dst_mac: target.dst_mac.octets(),
            pad: [0; 3],
        }
    }

    /// An option that says nothing.
    #[inline(always)]
    pub const fn absent() -> Self {
        Self {
            header: OptionHeader {
                class: CLASS,
                kind: 0,
                length: 0,
            },
            message: 0,
            src: [0; 4],
            dst: [0; 4],
            src_port: [0; 2],
            dst_port: [0; 2],
            src_mac: [0; 6],
            dst_mac: [0; 6],
            pad: [0; 3],
        }
    }

    /// What is in the place of the option in a short header.
    #[inline(always)]
    pub const fn short_header() -> Self {
        let mut option = Self::absent();
        option.header.kind = SHORT_HEADER;
        option.header.length = 7;
        option
    }

    /// Whether this is a modify message.
    #[inline(always)]
    pub const fn is_modify(&self) -> bool {
        self.header.kind == SCALED_ENDPOINT && self.message == MODIFY
    }

    /// What the message asks for.
    #[inline(always)]
    pub const fn target(&self) -> FlowTarget {
        FlowTarget {
            src: Ipv4::from_octets(self.src),
            dst: Ipv4::from_octets(self.dst),
            src_port: Be16::from_raw(u16::from_ne_bytes(self.src_port)),
            dst_port: Be16::from_raw(u16::from_ne_bytes(self.dst_port)),
            src_mac: Mac::new(self.src_mac),
            dst_mac: Mac::new(self.dst_mac),
        }
    }
}

/// A pod's or a namespace's label.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Label {
    /// Class, type 0x50 or 0x51, length 1.
    pub header: OptionHeader,
    value: [u16; 2],
}

impl Label {
    /// An option of type `kind` with this label.
    #[inline(always)]
    pub const fn new(kind: u8, label: u32) -> Self {
        Self {
            header: OptionHeader {
                class: CLASS,
                kind,
                length: 1,
            },
            // Mizar stores the label as its machines do: little-endian.
            value: [(label as u16).to_le(), ((label >> 16) as u16).to_le()],
        }
    }

    /// The label; zero means none.
    #[inline(always)]
    pub const fn get(&self) -> u32 {
        u16::from_le(self.value[0]) as u32 | (u16::from_le(self.value[1]) as u32) << 16
    }
}

/// All four options in their places.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Options {
    /// Where the packet came from.
    pub return_to_sender: ReturnToSender,
    /// A message about a scaled endpoint.
    pub scaled_endpoint: ScaledEndpoint,
    /// Label of the source pod.
    pub pod: Label,
    /// Label of the source pod's namespace.
    pub namespace: Label,
}

/// Which of the options a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Layout {
    /// All four, as Mizar's programs do.
    #[default]
    Full,
    /// All but return-to-sender: that would name who the packet comes from, whose direct path it goes by.
    Short,
}

impl Layout {
    /// Which one has so many bytes of options as this first byte of a Geneve header says, for who knows that it is one of the two.
    #[inline(always)]
    pub const fn of_length(version_options: u8) -> Self {
        if (version_options & 0x3f) as usize * 4 == SHORT_OPTIONS_LEN {
            Self::Short
        } else {
            Self::Full
        }
    }

    /// Bytes of the options.
    #[inline(always)]
    pub const fn options_len(self) -> usize {
        match self {
            Self::Full => OPTIONS_LEN,
            Self::Short => SHORT_OPTIONS_LEN,
        }
    }

    /// Bytes of all outer headers.
    #[inline(always)]
    pub const fn encapsulation_len(self) -> usize {
        match self {
            Self::Full => ENCAPSULATION_LEN,
            Self::Short => SHORT_ENCAPSULATION_LEN,
        }
    }
}

/// The options that a packet with the short header carries.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ShortOptions {
    /// [`ScaledEndpoint::short_header`].
    pub first: ScaledEndpoint,
    /// Label of the source pod.
    pub pod: Label,
    /// Label of the source pod's namespace.
    pub namespace: Label,
}

impl ShortOptions {
    /// Whether the first option says that the header is short.
    #[inline(always)]
    pub const fn are_meant(&self) -> bool {
        let OptionHeader {
            class,
            kind,
            length,
        } = self.first.header;
        class.raw() == CLASS.raw() && kind == SHORT_HEADER && length == 7
    }
}

/// What is in front of the options.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Envelope {
    /// Underlay Ethernet.
    pub ethernet: ethernet::Header,
    /// Underlay IPv4.
    pub ipv4: ipv4::Header,
    /// Underlay UDP.
    pub udp: udp::Header,
    /// Geneve.
    pub geneve: Header,
}

/// Everything Mizar puts in front of an inner frame.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Encapsulation {
    /// Underlay Ethernet.
    pub ethernet: ethernet::Header,
    /// Underlay IPv4.
    pub ipv4: ipv4::Header,
    /// Underlay UDP.
    pub udp: udp::Header,
    /// Geneve.
    pub geneve: Header,
    /// The options.
    pub options: Options,
}

/// Bytes of the fixed part of the header.
pub const LEN: usize = size_of::<Header>();
/// Bytes of the four options.
pub const OPTIONS_LEN: usize = size_of::<Options>();
/// Bytes of [`Encapsulation`]: 114.
pub const ENCAPSULATION_LEN: usize = size_of::<Encapsulation>();
/// Bytes of [`ShortOptions`].
pub const SHORT_OPTIONS_LEN: usize = size_of::<ShortOptions>();
/// Bytes of all outer headers with the short header: 98.
pub const SHORT_ENCAPSULATION_LEN: usize = size_of::<Envelope>() + SHORT_OPTIONS_LEN;

const _: () = assert!(OPTIONS_LEN == 64 && ENCAPSULATION_LEN == 114);
const _: () = assert!(SHORT_OPTIONS_LEN == 48 && SHORT_ENCAPSULATION_LEN == 98);
const _: () = assert!(align_of::<Encapsulation>() == 2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_lie_where_mizar_puts_them() {
        let target = FlowTarget {
            src: Ipv4::from_octets([172, 20, 18, 23]),
            dst: Ipv4::from_octets([172, 20, 18, 141]),
            src_port: Be16::new(0x4cbf),
            dst_port: Be16::new(0x9a1c),
            src_mac: Mac::new([2, 0x98, 0x75, 0x33, 0x87, 0xaa]),
            dst_mac: Mac::new([2, 0xf2, 0xdf, 0xa6, 0x0d, 0x47]),
        };
        let options = Options {
            return_to_sender: ReturnToSender::new(
                Ipv4::from_octets([76, 34, 195, 32]),
                Mac::new([2, 0xe1, 0xa2, 0xaf, 0x58, 0xb2]),
            ),
            scaled_endpoint: ScaledEndpoint::modify(&target),
            pod: Label::new(POD_LABEL, 77),
            namespace: Label::new(NAMESPACE_LABEL, 0x0102_0304),
        };
        let hex: String = options
            .as_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "11014803004c22c32002e1a2af58b200110149074dac141217ac14128d4cbf9a1c0298753387aa02f2dfa60d47\
             000000110150014d0000001101510104030201"
        );
        assert_eq!(options.scaled_endpoint.target(), target);
        assert_eq!(options.namespace.get(), 0x0102_0304);
    }
}
