//! The sink.

use crate::{CONTROL, ENTRIES, SINKS, STATES};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use mizar_wire::geneve::{ENCAPSULATION_LEN, SHORT_ENCAPSULATION_LEN};
use mizar_wire::{Be32, ethernet, ipv4};
use workload::histogram::{BUCKETS, HISTOGRAMS, place};
use workload::{
    Arrival, Entry, GENEVE_AT, Origin, ROUNDS, SinkState, Stamp, WINDOW, inner_behind, judge,
};

/// The number plus one that was last seen in each place of the window.
#[map]
static SEEN: Array<u32> = Array::with_max_entries(WINDOW, 0);
#[map]
static LATENCY: Array<u64> = Array::with_max_entries(BUCKETS as u32 * HISTOGRAMS, 0);
/// Frames on the direct path, by round.
#[map]
static DIRECT: Array<u64> = Array::with_max_entries(ROUNDS, 0);

/// `None` where the port is not measured.
#[inline(always)]
pub fn sink(ctx: &XdpContext) -> Option<()> {
    // SAFETY: the kernel passes a valid context.
    let config = SINKS.get(unsafe { (*ctx.ctx).ingress_ifindex })?;
    if config.active == 0 {
        return None;
    }
    // SAFETY: one receive thread a port, and a port has a state of its own.
    let state = unsafe { &mut *STATES.get_ptr_mut(config.port)? };
    let arrival = if config.inner_at == 0 {
        read::<0>(ctx)
    } else if is_short(ctx) {
        read::<SHORT_ENCAPSULATION_LEN>(ctx)
    } else {
        read::<ENCAPSULATION_LEN>(ctx)
    };
    let Some((origin, arrival, stamp, outer_destination)) = arrival else {
        state.foreign += 1;
        return None;
    };
    match (origin, arrival) {
        (Origin::EarlierTrial, _) => {}
        (Origin::Unknown, _) | (_, Arrival::Foreign) => state.foreign += 1,
        (_, Arrival::Corrupted) => state.corrupted += 1,
        (Origin::Trial(number), Arrival::Intact) => {
            let is_new = count(state, number, ctx.data_end() - ctx.data());
            if is_new && config.latency != 0 {
                // SAFETY: reads a clock.
                let age = stamp.age(unsafe { bpf_ktime_get_ns() });
                // SAFETY: see above; both ports' receive threads share one processor.
                unsafe { *LATENCY.get_ptr_mut(place(number, config.latency, age))? += 1 };
            }
            if is_new && let Some(round) = config.direct_round(number, outer_destination) {
                // SAFETY: see above; only the uplink's config asks.
                unsafe { *DIRECT.get_ptr_mut(round)? += 1 };
            }
        }
    }
    Some(())
}

/// Counts an intact frame; false if it came before.
#[inline(always)]
fn count(state: &mut SinkState, number: u32, len: usize) -> bool {
    let Some(seen) = SEEN.get_ptr_mut(number % WINDOW) else {
        return false;
    };
    // SAFETY: a word of the map; receive threads share one processor.
    state.count(unsafe { &mut *seen }, number, len)
}

/// What is behind the inner Ethernet header: enough to recognise a frame.
#[repr(C)]
struct Inner {
    ip: ipv4::Header,
    ports: Be32,
}

/// Whether a packet that is one of the overlay has the short header.
#[inline(always)]
pub fn is_short(ctx: &XdpContext) -> bool {
    let at = ctx.data() + GENEVE_AT;
    if at + 1 > ctx.data_end() {
        return false;
    }
    // SAFETY: in bounds by the comparison above.
    inner_behind(unsafe { *(at as *const u8) }) == SHORT_ENCAPSULATION_LEN
}

#[inline(always)]
fn read<const INNER_AT: usize>(ctx: &XdpContext) -> Option<(Origin, Arrival, Stamp, u32)> {
    let (data, end) = (ctx.data(), ctx.data_end());
    let inner_at = data + INNER_AT + ethernet::LEN;
    // Room for the longest place of a stamp, which every frame of a workload has.
    if inner_at + 36 > end {
        return None;
    }
    // SAFETY: in bounds by the comparison above, valid for any bytes, at an even address.
    let inner = unsafe { &*(inner_at as *const Inner) };
    // UDP: behind its header; TCP: its sequence and acknowledgement numbers.
    let stamp_at = if inner.ip.protocol == ipv4::UDP {
        inner_at + ipv4::LEN + 8
    } else {
        inner_at + ipv4::LEN + 4
    };
    // SAFETY: at most 36 bytes behind `inner_at`, at an even address.
    let stamp = unsafe { *(stamp_at as *const Stamp) };
    let control = CONTROL.get(0)?;
    if control.entries == 0 {
        return None;
    }
    let origin = control.frame_of(stamp.number.get());
    let number = match origin {
        Origin::Trial(number) => number,
        Origin::EarlierTrial | Origin::Unknown => {
            return Some((origin, Arrival::Foreign, stamp, 0));
        }
    };
    let entry: &Entry = ENTRIES.get(control.entry_of(number))?;
    // SAFETY: the head of an entry is longer, and begins at an address divisible by eight.
    let head = unsafe {
        let at = if entry.inner_at == 0 {
            ethernet::LEN
        } else {
            ENCAPSULATION_LEN + ethernet::LEN
        };
        &*(entry.head.as_ptr().cast::<u8>().add(at).cast::<Inner>())
    };
    let arrival = judge(
        entry,
        end - data,
        INNER_AT as u32,
        (&inner.ip, inner.ports.raw()),
        (&head.ip, head.ports.raw()),
    );
    let outer_destination = if INNER_AT == 0 {
        0
    } else {
        // SAFETY: in front of the inner frame, which was compared with the end above; at an even address.
        unsafe { (*((data + ethernet::LEN) as *const ipv4::Header)).dst.raw() }
    };
    Some((origin, arrival, stamp, outer_destination))
}
