//! Random worlds and frames, for tests that compare a datapath with the oracle.
//!
//! Addresses come from small pools, so that tables, caches and frames speak of the same endpoints and
//! droplets often. Keys in tables are unique, as the oracle expects.

mod again;
mod inner;
mod outer;
mod world;

use crate::provision::{EndpointPort, Port, Provision};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

pub use again::run_of_flows;
pub use world::arbitrary_provision;

/// A frame, and where it enters the droplet.
pub type Injection = (Port, Vec<u8>);

/// A frame for a droplet with these tables: mostly valid for its world, sometimes malformed, cut or with
/// bytes changed; ARP, TCP, UDP, ICMP and others, with and without outer headers and modify messages.
pub fn arbitrary_frame(provision: &Provision) -> impl Strategy<Value = Injection> + use<> {
    let pool = Pool::new(provision);
    let inner = inner::inner(&pool);
    let ports: Vec<Port> = pool.ports.iter().copied().map(Port::Endpoint).collect();
    let sent = (select(ports), inner.clone());
    let arrived = outer::outer(&pool, inner).prop_map(|frame| (Port::Uplink, frame));
    prop_oneof![2 => sent, 3 => arrived].prop_flat_map(|(port, frame)| (Just(port), damage(frame)))
}

/// A provision, and frames to feed it one after another.
pub fn arbitrary_run(
    frames: impl Into<proptest::collection::SizeRange>,
) -> impl Strategy<Value = (Provision, Vec<Injection>)> {
    let frames = frames.into();
    arbitrary_provision().prop_flat_map(move |provision| {
        let injections = vec(arbitrary_frame(&provision), frames.clone());
        (Just(provision), injections)
    })
}

/// Mostly leaves a frame as it is; sometimes cuts it, lengthens it or changes bytes.
fn damage(frame: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = frame.len();
    let cut = {
        let frame = frame.clone();
        (0..=length).prop_map(move |length| frame[..length].to_vec())
    };
    let lengthened = {
        let frame = frame.clone();
        vec(any::<u8>(), 1..40).prop_map(move |more| [frame.clone(), more].concat())
    };
    let changed = {
        let frame = frame.clone();
        vec((any::<Index>(), any::<u8>()), 1..3).prop_map(move |changes| {
            let mut frame = frame.clone();
            for (at, value) in changes {
                if !frame.is_empty() {
                    let at = at.index(frame.len());
                    frame[at] = value;
                }
            }
            frame
        })
    };
    prop_oneof![16 => Just(frame), 1 => cut, 1 => lengthened, 1 => changed]
}

/// What a world speaks of: frames pick from it.
#[derive(Debug, Clone)]
struct Pool {
    here: crate::provision::Host,
    droplets: Vec<crate::provision::Host>,
    vnis: Vec<mizar_wire::Vni>,
    overlay: Vec<mizar_wire::Ipv4>,
    /// Conversations that come up often, so that replies and rewritten flows meet what was stored.
    favourites: Vec<Conversation>,
    ports: Vec<EndpointPort>,
}

/// Both directions of a flow between two endpoints.
#[derive(Debug, Clone, Copy)]
struct Conversation {
    client: mizar_wire::Ipv4,
    server: mizar_wire::Ipv4,
}

impl Conversation {
    const CLIENT_PORT: u16 = 40_000;
    const SERVER_PORT: u16 = 7;
}

impl Pool {
    fn new(provision: &Provision) -> Self {
        let mut vnis: Vec<_> = provision
            .endpoints
            .iter()
            .map(|endpoint| endpoint.vni)
            .chain(
                provision
                    .attachments
                    .iter()
                    .map(|attachment| attachment.vni),
            )
            .chain(provision.networks.iter().map(|network| network.vni))
            .chain(provision.vpcs.iter().map(|vpc| vpc.vni))
            .chain(world::vnis())
            .collect();
        vnis.sort();
        vnis.dedup();
        let mut overlay: Vec<_> = provision
            .endpoints
            .iter()
            .flat_map(|endpoint| std::iter::once(endpoint.ip).chain(endpoint.hosts.clone()))
            .chain(provision.attachments.iter().map(|attachment| attachment.ip))
            .chain(provision.direct_paths.iter().map(|path| path.ip))
            .chain(provision.ingress.enforced.iter().map(|(_, ip)| *ip))
            .chain(provision.egress.enforced.iter().map(|(_, ip)| *ip))
            .chain(world::overlay())
            .collect();
        overlay.sort_by_key(|ip| ip.to_bits());
        overlay.dedup();
        let mut ports: Vec<_> = provision
            .attachments
            .iter()
            .map(|attachment| attachment.port)
            .collect();
        // A port to which nothing is attached.
        ports.push(EndpointPort(999));
        // The droplet itself first, and three times: frames to others end early.
        let mut droplets = vec![provision.host; 3];
        droplets.extend(provision.substrate.iter().copied());
        droplets.extend(world::droplets());
        let favourites = favourites(provision, &overlay);
        Self {
            here: provision.host,
            droplets,
            vnis,
            overlay,
            favourites,
            ports,
        }
    }
}

/// A few endpoints hosted here, each with a few others.
fn favourites(provision: &Provision, overlay: &[mizar_wire::Ipv4]) -> Vec<Conversation> {
    let attached = provision.attachments.iter().map(|attachment| attachment.ip);
    // Any endpoint, where none is attached here.
    let clients = attached.chain(overlay.iter().copied()).take(2);
    let known = provision.endpoints.iter().map(|endpoint| endpoint.ip);
    let servers: Vec<_> = known
        .take(3)
        .chain(overlay.iter().copied().take(1))
        .collect();
    clients
        .flat_map(|client| {
            servers
                .iter()
                .map(move |&server| Conversation { client, server })
        })
        .collect()
}
