//! Frames of flows that go on: the same again, or nearly. A datapath that remembers what it decided about a
//! flow must notice what is new.

use super::inner::checksum_of;
use super::{Injection, Pool, arbitrary_frame, arbitrary_provision};
use crate::provision::{Host, Port, Provision, Rules};
use mizar_wire::geneve::{FlowTarget, ReturnToSender, ScaledEndpoint};
use mizar_wire::{Be16, Ipv4, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use zerocopy::IntoBytes;

/// Where the outer Ethernet source is.
const SRC_MAC_AT: usize = 6;
/// Where the outer source is.
const SRC_AT: usize = 26;
/// Where the outer IPv4 header starts, and has its checksum
const IP_AT: usize = 14;
const CHECKSUM_AT: usize = 24;
/// and its length.
const TOTAL_LENGTH_AT: usize = 16;
/// Where the outer UDP header has its length.
const UDP_LENGTH_AT: usize = 38;
/// Where the Geneve header starts.
const GENEVE_AT: usize = 42;
/// Where the outer time to live is.
const TTL_AT: usize = 22;
/// Where the outer type of service is.
const TOS_AT: usize = 15;
/// Where the return-to-sender option starts.
const RETURN_TO_SENDER_AT: usize = 50;
/// Where the scaled-endpoint option starts.
const SCALED_ENDPOINT_AT: usize = 66;
/// Where the label options start.
const LABELS_AT: usize = 98;

/// What is new about a frame that came before.
#[derive(Debug, Clone)]
enum News {
    Nothing,
    TimeToLive(u8),
    TypeOfService(u8),
    Sender(Host),
    NoSender,
    /// It comes from another droplet.
    From(Host),
    /// It has the short header.
    Short,
    /// A message of a bouncer: the flow goes to another endpoint from now on.
    Modify(Ipv4),
    NoLabels,
}

impl News {
    fn apply(&self, frame: &mut Vec<u8>) {
        let (sender, scaled);
        let (at, bytes): (usize, &[u8]) = match self {
            Self::Nothing => return,
            Self::TimeToLive(ttl) => (TTL_AT, &[*ttl]),
            Self::TypeOfService(tos) => (TOS_AT, &[*tos]),
            Self::Sender(host) => {
                sender = ReturnToSender::new(host.ip, host.mac);
                (RETURN_TO_SENDER_AT, sender.as_bytes())
            }
            Self::NoSender => {
                sender = ReturnToSender::absent();
                (RETURN_TO_SENDER_AT, sender.as_bytes())
            }
            Self::Modify(backend) => {
                let target = FlowTarget {
                    src: inner_src(frame),
                    dst: *backend,
                    src_port: Be16::new(40_000),
                    dst_port: Be16::new(7),
                    src_mac: Mac::new([2, 0, 0x0a, 0, 1, 1]),
                    dst_mac: Mac::new([2, 0, 0x0a, 0, 1, 2]),
                };
                scaled = ScaledEndpoint::modify(&target);
                (SCALED_ENDPOINT_AT, scaled.as_bytes())
            }
            Self::NoLabels => (LABELS_AT, &[0; 16]),
            Self::From(host) => {
                write(frame, SRC_MAC_AT, &host.mac.octets());
                write(frame, SRC_AT, &host.ip.octets());
                mend_checksum(frame);
                return;
            }
            Self::Short => {
                if frame.get(GENEVE_AT) == Some(&16) && frame.len() >= SCALED_ENDPOINT_AT {
                    let header = ScaledEndpoint::short_header();
                    write(frame, SCALED_ENDPOINT_AT, header.as_bytes());
                    frame.drain(RETURN_TO_SENDER_AT..SCALED_ENDPOINT_AT);
                    frame[GENEVE_AT] = 12;
                    for at in [TOTAL_LENGTH_AT, UDP_LENGTH_AT] {
                        let length = u16::from_be_bytes([frame[at], frame[at + 1]]);
                        write(frame, at, &length.wrapping_sub(16).to_be_bytes());
                    }
                    mend_checksum(frame);
                }
                return;
            }
        };
        write(frame, at, bytes);
    }
}

fn write(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Of the outer IPv4 header.
fn mend_checksum(frame: &mut [u8]) {
    write(frame, CHECKSUM_AT, &[0, 0]);
    if let Some(header) = frame.get(IP_AT..SRC_AT + 8) {
        let sum = checksum_of(header);
        write(frame, CHECKSUM_AT, &sum.to_be_bytes());
    }
}

/// The inner source of a frame with all four options.
fn inner_src(frame: &[u8]) -> Ipv4 {
    let at = 114 + 14 + 12;
    let octets = frame
        .get(at..at + 4)
        .and_then(|octets| octets.try_into().ok());
    Ipv4::from_octets(octets.unwrap_or_default())
}

fn news(pool: &Pool) -> impl Strategy<Value = News> + use<> {
    prop_oneof![
        6 => Just(News::Nothing),
        1 => (0_u8..4).prop_map(News::TimeToLive),
        1 => select(vec![0_u8, 0x02, 0x28]).prop_map(News::TypeOfService),
        4 => select(pool.droplets.clone()).prop_map(News::Sender),
        1 => Just(News::NoSender),
        2 => select(pool.droplets.clone()).prop_map(News::From),
        3 => Just(News::Short),
        1 => select(pool.overlay.clone()).prop_map(News::Modify),
        1 => Just(News::NoLabels),
    ]
}

/// A provision, half of them without policy, and frames most of which came before in the run or nearly.
pub fn run_of_flows() -> impl Strategy<Value = (Provision, Vec<Injection>)> {
    let provision = (arbitrary_provision(), any::<bool>()).prop_map(|(mut provision, policed)| {
        if !policed {
            provision.ingress = Rules::default();
            provision.egress = Rules::default();
        }
        provision
    });
    provision.prop_flat_map(|provision| {
        let pool = Pool::new(&provision);
        let frames = vec(arbitrary_frame(&provision), 1..6);
        let again = vec((any::<Index>(), news(&pool)), 4..24);
        (Just(provision), frames, again).prop_map(|(provision, frames, again)| {
            let repeated = again.into_iter().map(|(index, news)| {
                let (port, mut frame) = frames[index.index(frames.len())].clone();
                if port == Port::Uplink {
                    news.apply(&mut frame);
                }
                (port, frame)
            });
            let injections = frames.iter().cloned().chain(repeated).collect();
            (provision, injections)
        })
    })
}
