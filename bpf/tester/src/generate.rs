//! The generator.

use crate::{CONTROL, ENTRIES, OUT};
use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_xdp_adjust_tail};
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use mizar_wire::Be16;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use workload::{Entry, LARGE_WORDS, Pace, SMALL_WORDS, Stamp};

/// Where the one generator is.
#[map]
static PACE: Array<Pace> = Array::with_max_entries(1, 0);

/// Counts a frame that a bare loop redirects.
#[inline(always)]
pub fn count() {
    if let Some(pace) = PACE.get_ptr_mut(0) {
        // SAFETY: one generator runs at a time, and nothing else writes while it does.
        let pace = unsafe { &mut *pace };
        if pace.start == 0 {
            // SAFETY: reads a clock.
            pace.start = unsafe { bpf_ktime_get_ns() };
        }
        pace.next += 1;
    }
}

/// `None` where the frame is not as the tester made it, which cannot happen.
#[inline(always)]
pub fn generate(ctx: &XdpContext) -> Option<u32> {
    let control = CONTROL.get(0)?;
    // SAFETY: one generator runs at a time, and nothing else writes while it does.
    let pace = unsafe { &mut *PACE.get_ptr_mut(0)? };
    // SAFETY: reads a clock.
    if !pace.is_due(control, || unsafe { bpf_ktime_get_ns() }) {
        return Some(XDP_DROP);
    }
    let (number, index) = pace.advance(control);
    let entry = ENTRIES.get(index)?;

    let len = ctx.data_end() - ctx.data();
    let change = i32::from(entry.len) - len as i32;
    if change != 0 {
        // SAFETY: the kernel checks the bounds; addresses are read anew below.
        if unsafe { bpf_xdp_adjust_tail(ctx.ctx, change) } != 0 {
            return Some(XDP_ABORTED);
        }
    }
    let stamp = Stamp::new(control.stamped(number), pace.due_at(control, number));
    if entry.inner_at == 0 {
        write::<SMALL_WORDS>(ctx, entry, 0, &stamp)?;
    } else {
        write::<LARGE_WORDS>(ctx, entry, ENCAPSULATION_LEN, &stamp)?;
    }
    Some(
        OUT.redirect(u32::from(entry.port), 0)
            .unwrap_or(XDP_ABORTED),
    )
}

/// Writes the headers and the stamp. Live frames come back as the datapath left them, so everything it
/// may have touched is written anew.
#[inline(always)]
fn write<const WORDS: usize>(
    ctx: &XdpContext,
    entry: &Entry,
    inner_at: usize,
    stamp: &Stamp,
) -> Option<()> {
    let (data, end) = (ctx.data(), ctx.data_end());
    if data + WORDS * 8 > end {
        return None;
    }
    let words = data as *mut u64;
    for word in 0..WORDS {
        // SAFETY: in bounds by the comparison above; the kernel starts a live frame at an address
        // divisible by eight, and lets x86-64 and arm64 store at any address.
        unsafe { *words.add(word) = entry.head[word] };
    }
    // Places of the fields are even numbers below 64, which the masks let the verifier see.
    let inner = data + inner_at;
    let at = inner + usize::from(entry.stamp_at & 0x3e);
    if at + size_of::<Stamp>() > end {
        return None;
    }
    // SAFETY: in bounds by the comparison above, and even.
    unsafe { *(at as *mut Stamp) = *stamp };
    let at = inner + usize::from(entry.checksum_at & 0x3e);
    if at + size_of::<Be16>() > end {
        return None;
    }
    // SAFETY: in bounds by the comparison above, and even.
    unsafe { *(at as *mut Be16) = stamp.checksum(entry) };
    Some(())
}
