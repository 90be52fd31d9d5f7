//! Outer headers as whole words, put together in registers.
//!
//! A program of the kernel stores eight bytes at once only if it is told to: from the fields of headers, which lie at even
//! addresses, LLVM makes stores of two bytes, and for the zeros of an option calls of a loop that writes one by one.

use super::{
    Envelope, Label, NAMESPACE_LABEL, OptionHeader, Options, POD_LABEL, ReturnToSender,
    ScaledEndpoint, ShortOptions,
};
use crate::{Be16, Ipv4, Mac};

impl Envelope {
    /// Its bytes, as words of native byte order and the half word behind them.
    #[inline(always)]
    pub const fn words(&self) -> ([u64; 6], u16) {
        let Self {
            ethernet,
            ipv4,
            udp,
            geneve,
        } = self;
        let (dst, src) = (mac(ethernet.dst), mac(ethernet.src));
        let (from, to) = (address(ipv4.src), address(ipv4.dst));
        let vni = u32::from_le(geneve.vni_reserved.raw()) as u64;
        let words = in_memory([
            dst | src << 48,
            src >> 16
                | half(ethernet.ethertype) << 32
                | (ipv4.version_ihl as u64) << 48
                | (ipv4.tos as u64) << 56,
            half(ipv4.total_length)
                | half(ipv4.id) << 16
                | half(ipv4.flags_fragment) << 32
                | (ipv4.ttl as u64) << 48
                | (ipv4.protocol as u64) << 56,
            half(ipv4.checksum) | from << 16 | to << 48,
            to >> 16 | half(udp.src) << 16 | half(udp.dst) << 32 | half(udp.length) << 48,
            half(udp.checksum)
                | (geneve.version_options as u64) << 16
                | (geneve.flags as u64) << 24
                | half(geneve.protocol) << 32
                | vni << 48,
        ]);
        (words, ((vni >> 16) as u16).to_le())
    }
}

impl Options {
    /// The options that an agent writes, as words of native byte order.
    #[inline(always)]
    pub const fn words(return_to_sender: &ReturnToSender, pod: u32, namespace: u32) -> [u64; 8] {
        let [first, second] = return_to_sender.numbers();
        in_memory([
            first,
            second,
            ScaledEndpoint::absent().header.number(),
            0,
            0,
            0,
            Label::new(POD_LABEL, pod).number(),
            Label::new(NAMESPACE_LABEL, namespace).number(),
        ])
    }
}

impl ShortOptions {
    /// The options that an agent writes, as words of native byte order.
    #[inline(always)]
    pub const fn words(pod: u32, namespace: u32) -> [u64; 6] {
        in_memory([
            ScaledEndpoint::short_header().header.number(),
            0,
            0,
            0,
            Label::new(POD_LABEL, pod).number(),
            Label::new(NAMESPACE_LABEL, namespace).number(),
        ])
    }
}

// What follows makes numbers of bytes, the lowest from the first.

impl OptionHeader {
    #[inline(always)]
    const fn number(self) -> u64 {
        half(self.class) | (self.kind as u64) << 16 | (self.length as u64) << 24
    }
}

impl ReturnToSender {
    #[inline(always)]
    const fn numbers(&self) -> [u64; 2] {
        let (ip, mac) = (address(self.ip()), mac(self.mac()));
        [
            self.header.number() | (self.flags as u64) << 32 | ip << 40,
            ip >> 24 | mac << 8 | (self.pad as u64) << 56,
        ]
    }
}

impl Label {
    #[inline(always)]
    const fn number(self) -> u64 {
        self.header.number() | (self.get() as u64) << 32
    }
}

#[inline(always)]
const fn half(field: Be16) -> u64 {
    u16::from_le(field.raw()) as u64
}

#[inline(always)]
const fn address(field: Ipv4) -> u64 {
    u32::from_le(field.raw()) as u64
}

#[inline(always)]
const fn mac(field: Mac) -> u64 {
    let [a, b, c, d, e, f] = field.octets();
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

/// Words that have in memory the bytes of these numbers.
#[inline(always)]
const fn in_memory<const N: usize>(numbers: [u64; N]) -> [u64; N] {
    let (mut words, mut at) = (numbers, 0);
    while at < N {
        words[at] = numbers[at].to_le();
        at += 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::DIRECT_PATH;
    use super::*;
    use zerocopy::IntoBytes;

    const LABELS: (u32, u32) = (0x8182_8384, 0x0102_0304);

    fn labels() -> (Label, Label) {
        let (pod, namespace) = LABELS;
        (
            Label::new(POD_LABEL, pod),
            Label::new(NAMESPACE_LABEL, namespace),
        )
    }

    #[test]
    fn words_have_the_bytes_of_options() {
        let (pod, namespace) = labels();
        for flags in [0, DIRECT_PATH] {
            let mut return_to_sender = ReturnToSender::new(
                Ipv4::from_octets([0xac, 34, 195, 0xfe]),
                Mac::new([2, 0xe1, 0xa2, 0xaf, 0x58, 0xb2]),
            );
            return_to_sender.flags = flags;
            let options = Options {
                return_to_sender,
                scaled_endpoint: ScaledEndpoint::absent(),
                pod,
                namespace,
            };
            let words = Options::words(&return_to_sender, LABELS.0, LABELS.1);
            assert_eq!(words.as_bytes(), options.as_bytes());
        }
        let options = ShortOptions {
            first: ScaledEndpoint::short_header(),
            pod,
            namespace,
        };
        let words = ShortOptions::words(LABELS.0, LABELS.1);
        assert_eq!(words.as_bytes(), options.as_bytes());
    }

    #[test]
    fn words_have_the_bytes_of_an_envelope() {
        const LEN: usize = size_of::<Envelope>();
        let bytes: [u8; LEN] = core::array::from_fn(|number| 0xff - number as u8);
        let envelope: Envelope = zerocopy::transmute!(bytes);
        let (words, half) = envelope.words();
        assert_eq!([words.as_bytes(), half.as_bytes()].concat(), bytes);
    }
}
