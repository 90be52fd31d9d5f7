//! The short header: packets of direct paths without return-to-sender, which Mizar designed and has not built.
//!
//! On a direct path that begins at an agent, return-to-sender names the very droplet that the outer headers come from, and its
//! flag says that the path is direct ([`crate::invalidation`]). So 16 of the 114 bytes say nothing that is not known, where the
//! other end knows how to read a packet without them. With this extension
//!
//! 1. an agent leaves the option out of what it sends by a direct path to a host of which the control plane says that it reads
//!    such packets ([`Tables::reads_short_header`]);
//! 2. such a packet means what it would with the option: its sender is where the outer headers come from;
//! 3. nobody sends it on. Who does not host the endpoint puts the option back in and gives the packet back, as is done
//!    with packets that took a stale path.
//!
//! Its first option says that the header is short. By its absence alone return-to-sender would say too little: packets of
//! Mizar's programs may have it and name nobody, and a switch that reads options by their types sees no difference. A program
//! of Mizar's finds no option of its class where it looks for the second one, and aborts.

use crate::frame::Frame;
use crate::invalidation;
use crate::reason::Reason;
use crate::tables::{Endpoint, Host, Tables};
use crate::transit::{Outer, RETURN_TO_SENDER_AT};
use crate::verdict::{Changes, Header, Transit};
use mizar_wire::Be16;
use mizar_wire::geneve::{self, Envelope, Layout, ShortOptions};

/// Outer headers for a direct path of this droplet to `next`.
#[inline(always)]
pub(crate) fn of_direct_path<T: Tables>(tables: &T, next: &Host) -> Header {
    let extensions = tables.extensions();
    if !extensions.has_invalidation() {
        return Header::Plain;
    }
    let is_read = extensions.has_short_header()
        && next.ip() != tables.droplet().ip()
        && tables.reads_short_header(next.ip());
    if is_read {
        Header::Short
    } else {
        Header::Direct
    }
}

/// Which options a packet with `options_len` bytes of them carries.
#[inline(always)]
pub(crate) fn layout<F: Frame, T: Tables>(frame: &F, tables: &T, options_len: usize) -> Layout {
    if options_len != geneve::SHORT_OPTIONS_LEN || !tables.extensions().has_short_header() {
        return Layout::Full;
    }
    match frame.get::<ShortOptions>(RETURN_TO_SENDER_AT) {
        Some(options) if options.are_meant() => Layout::Short,
        _ => Layout::Full,
    }
}

/// Gives a packet with the short header back, unless it is for `endpoint`, which is hosted here.
#[inline(always)]
pub(crate) fn refuse_to_send_on(
    outer: &Outer,
    endpoint: Option<&Endpoint>,
    changes: &mut Changes,
) -> Option<Result<Transit, Reason>> {
    let is_here = endpoint.is_some_and(|endpoint| endpoint.port().is_some());
    match (outer.layout, is_here) {
        (Layout::Short, false) => Some(invalidation::give_back(outer, &outer.src, changes)),
        _ => None,
    }
}

/// Puts return-to-sender back in: `frame` has its bytes of room in front.
#[inline(always)]
pub(crate) fn put_back<F: Frame>(frame: &mut F) -> Option<()> {
    const ROOM: usize = size_of::<geneve::ReturnToSender>();
    // Piece by piece: what is to be moved overlaps with where it goes, by more than a piece has.
    const PIECES: usize = 5;
    const PIECE: usize = size_of::<Envelope>() / PIECES;
    const { assert!(PIECE * PIECES == size_of::<Envelope>() && PIECE <= ROOM) };
    let mut piece = 0;
    while piece < PIECES {
        let bytes: [u16; PIECE / 2] = *frame.get(ROOM + piece * PIECE)?;
        *frame.get_mut(piece * PIECE)? = bytes;
        piece += 1;
    }
    let option: &mut geneve::ReturnToSender = frame.get_mut(RETURN_TO_SENDER_AT)?;
    *option = geneve::ReturnToSender::absent();
    let envelope: &mut Envelope = frame.get_mut(0)?;
    let longer = |length: Be16| Be16::new(length.get().wrapping_add(ROOM as u16));
    envelope.ipv4.total_length = longer(envelope.ipv4.total_length);
    envelope.udp.length = longer(envelope.udp.length);
    // Words of options, in the lower six bits: there are 12.
    let words = envelope.geneve.version_options;
    envelope.geneve.version_options = words.wrapping_add((ROOM / 4) as u8);
    Some(())
}
