//! Random outer headers around inner frames.

use super::inner::checksum_of;
use super::world::{LABELS, PORTS};
use super::{Conversation, Pool};
use mizar_wire::geneve::{self, FlowTarget};
use mizar_wire::{Be16, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use zerocopy::IntoBytes;

/// `usual` nearly always, else something else.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    other: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![40 => Just(usual), 1 => other]
}

/// An inner frame with outer headers around it.
pub(super) fn outer<S: Strategy<Value = Vec<u8>>>(
    pool: &Pool,
    inner: S,
) -> impl Strategy<Value = Vec<u8>> + use<S> {
    (
        ethernet_and_ip(pool),
        geneve_header(pool),
        options(pool),
        inner,
    )
        .prop_map(|((ethernet, mut ip), geneve, options, inner)| {
            let payload = 16 + options.len() + inner.len();
            ip[2..4].copy_from_slice(&((20 + payload) as u16).to_be_bytes());
            let sum = checksum_of(&ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            let Geneve {
                dst_port,
                words,
                protocol,
                vni,
            } = geneve;
            let words = words.unwrap_or((options.len() / 4) as u8);
            let udp = [40_000, dst_port, payload as u16, 0]
                .map(u16::to_be_bytes)
                .concat();
            // RFC 8926 section 3.4: with a critical option.
            let is_critical = options.get(2) == Some(&geneve::RETURNED);
            let flags = if is_critical { geneve::CRITICAL } else { 0 };
            let header = [&[words, flags][..], &protocol.to_be_bytes(), &vni].concat();
            [ethernet, ip, udp, header, options, inner].concat()
        })
}

fn ethernet_and_ip(pool: &Pool) -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> + use<> {
    let here = pool.here;
    (
        select(pool.droplets.clone()),
        mostly(here, select(pool.droplets.clone())),
        mostly(0x0800_u16, any::<u16>()),
        mostly(0x45_u8, any::<u8>()),
        prop_oneof![6 => select(vec![0x28_u8, 0]), 1 => Just(0x02_u8), 1 => any::<u8>()],
        mostly(0_u16, select(vec![0x4000_u16, 0x2000, 0x00b9])),
        prop_oneof![12 => Just(64_u8), 2 => Just(2_u8), 1 => Just(1_u8), 1 => Just(0_u8)],
        mostly(17_u8, any::<u8>()),
    )
        .prop_map(
            |(src, dst, ethertype, version_ihl, tos, flags_fragment, ttl, protocol)| {
                let ethernet = [
                    &dst.mac.octets()[..],
                    &src.mac.octets(),
                    &ethertype.to_be_bytes(),
                ]
                .concat();
                let mut ip = vec![version_ihl, tos, 0, 0, 0, 0];
                ip.extend(flags_fragment.to_be_bytes());
                ip.extend([ttl, protocol, 0, 0]);
                ip.extend(src.ip.octets());
                ip.extend(dst.ip.octets());
                (ethernet, ip)
            },
        )
}

#[derive(Debug, Clone)]
struct Geneve {
    dst_port: u16,
    /// Version and words of options, where they are not what the options have.
    words: Option<u8>,
    protocol: u16,
    vni: [u8; 4],
}

fn geneve_header(pool: &Pool) -> impl Strategy<Value = Geneve> + use<> {
    let known = select(pool.vnis.clone()).prop_map(|vni| (vni.get() << 8).to_be_bytes());
    (
        mostly(6081_u16, any::<u16>()),
        mostly(None, (0_u8..64).prop_map(Some)),
        mostly(0x6558_u16, any::<u16>()),
        prop_oneof![20 => known, 1 => any::<[u8; 4]>()],
    )
        .prop_map(|(dst_port, words, protocol, vni)| Geneve {
            dst_port,
            words,
            protocol,
            vni,
        })
}

fn options(pool: &Pool) -> impl Strategy<Value = Vec<u8>> + use<> {
    let label = |kind: u8| {
        let option =
            |kind| select(LABELS.to_vec()).prop_map(move |label| geneve::Label::new(kind, label));
        prop_oneof![40 => option(kind), 1 => any::<u8>().prop_flat_map(option)]
    };
    let class = || mostly(geneve::CLASS.get(), any::<u16>());
    let labels = prop_oneof![
        // All four options, as Mizar sends them.
        16 => Just(0..64_usize),
        // All but the first, which is the short header.
        5 => Just(16..64),
        // Fewer, and more.
        1 => Just(0..48),
        1 => (0_usize..25).prop_map(|words| 0..words * 4),
    ];
    (
        return_to_sender(pool),
        scaled_endpoint(pool),
        label(geneve::POD_LABEL),
        label(geneve::NAMESPACE_LABEL),
        (class(), class(), class(), class()),
        labels,
        vec(any::<u8>(), 40),
    )
        .prop_map(
            |(mut rts, mut scaled, mut pod, mut namespace, classes, part, more)| {
                if part.start != 0 {
                    scaled = geneve::ScaledEndpoint::short_header();
                }
                rts.header.class = Be16::new(classes.0);
                scaled.header.class = Be16::new(classes.1);
                pod.header.class = Be16::new(classes.2);
                namespace.header.class = Be16::new(classes.3);
                let mut options = [
                    rts.as_bytes(),
                    scaled.as_bytes(),
                    pod.as_bytes(),
                    namespace.as_bytes(),
                    &more,
                ]
                .concat();
                options.truncate(part.end);
                options.drain(..part.start);
                options
            },
        )
}

fn return_to_sender(pool: &Pool) -> impl Strategy<Value = geneve::ReturnToSender> + use<> {
    let present = select(pool.droplets.clone())
        .prop_map(|host| geneve::ReturnToSender::new(host.ip, host.mac));
    // Data without type: Mizar reads the type alone.
    let untyped = present.clone().prop_map(|mut option| {
        option.header.kind = 0;
        option
    });
    // By a direct path, and back from the end of one.
    let direct = present.clone().prop_map(|mut option| {
        option.flags = geneve::DIRECT_PATH;
        option
    });
    let returned = present.clone().prop_map(|mut option| {
        option.header.kind = geneve::RETURNED;
        option
    });
    prop_oneof![10 => present, 5 => direct, 3 => returned, 2 => Just(geneve::ReturnToSender::absent()), 1 => untyped]
}

fn scaled_endpoint(pool: &Pool) -> impl Strategy<Value = geneve::ScaledEndpoint> + use<> {
    let overlay = || select(pool.overlay.clone());
    let port = || select(PORTS.to_vec()).prop_map(Be16::new);
    let mac = || any::<u8>().prop_map(|last| Mac::new([2, 0, 0x0a, 0, 1, last]));
    let target = (overlay(), overlay(), port(), port(), mac(), mac()).prop_map(
        |(src, dst, src_port, dst_port, src_mac, dst_mac)| FlowTarget {
            src,
            dst,
            src_port,
            dst_port,
            src_mac,
            dst_mac,
        },
    );
    // To the server of a conversation, so that its replies meet the reverse entry.
    let favourite = (select(pool.favourites.clone()), mac(), mac()).prop_map(
        |(Conversation { client, server }, src_mac, dst_mac)| FlowTarget {
            src: client,
            dst: server,
            src_port: Be16::new(Conversation::CLIENT_PORT),
            dst_port: Be16::new(Conversation::SERVER_PORT),
            src_mac,
            dst_mac,
        },
    );
    let modify =
        prop_oneof![target, favourite].prop_map(|target| geneve::ScaledEndpoint::modify(&target));
    let other_message = (modify.clone(), any::<u8>()).prop_map(|(mut option, message)| {
        option.message = message;
        option
    });
    prop_oneof![
        8 => Just(geneve::ScaledEndpoint::absent()),
        4 => modify,
        1 => other_message,
    ]
}
