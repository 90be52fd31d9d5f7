//! What is done to a frame: where it is, how it is changed, where it goes.

use crate::tables::{ATTACHMENTS, COUNTERS, Maps, Outcome, PORTS, PROGRAMS, TRANSIT, UPLINK};
use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::programs::XdpContext;
use bpf_frame::Packet;
use mizar_core::reason::{Reason, Refusal};
use mizar_core::tables::Attachment;
use mizar_core::verdict::{Changes, Encapsulate, Transit, Via};
use mizar_core::{Tables, apply};

/// The frame, as it is now.
#[inline(always)]
pub fn packet(ctx: &XdpContext) -> Packet {
    // SAFETY: a context's; every change of the frame's bounds is followed by a new one.
    unsafe { Packet::new(ctx.data(), ctx.data_end()) }
}

/// What is attached to the port that a frame came by.
#[inline(always)]
pub fn attachment(ctx: &XdpContext) -> Option<&'static Attachment> {
    // SAFETY: the kernel passes a valid context.
    ATTACHMENTS.get(unsafe { (*ctx.ctx).ingress_ifindex })
}

/// Goes on with another program, which starts with an empty stack: two do not fit one.
#[inline(always)]
pub fn go_on(ctx: &XdpContext, program: u32) -> u32 {
    // SAFETY: the kernel passes a valid context; the call returns only if it fails.
    let _ = unsafe { PROGRAMS.tail_call(ctx, program) };
    refuse(Reason::NoRoom)
}

/// Writes outer headers in front, and sends the frame.
#[inline(always)]
pub fn encapsulate(ctx: &XdpContext, plan: &Encapsulate) -> u32 {
    encapsulate_then(ctx, plan, redirect)
}

/// The same with `send` doing what is done at last for a port.
#[inline(always)]
pub fn encapsulate_then(
    ctx: &XdpContext,
    plan: &Encapsulate,
    send: impl FnOnce(u32) -> u32,
) -> u32 {
    if !adjust_head(ctx, -(plan.outer_len() as i32)) {
        return refuse(Reason::NoRoom);
    }
    let droplet = Maps.droplet();
    if apply::encapsulate(&mut packet(ctx), &droplet, plan).is_none() {
        return refuse(Reason::NoRoom);
    }
    count(Outcome::Encapsulated as u32);
    match plan.via {
        Via::Uplink => send(UPLINK),
        Via::Stack => pass(Outcome::Shaped),
        Via::Transit => go_on(ctx, TRANSIT),
    }
}

/// Does what was decided about a frame at the uplink.
#[inline(always)]
pub fn carry_out(ctx: &XdpContext, verdict: &Transit, changes: &Changes) -> u32 {
    carry_out_then(ctx, verdict, changes, redirect)
}

/// The same with `send` doing what is done at last for a port.
#[inline(always)]
pub fn carry_out_then(
    ctx: &XdpContext,
    verdict: &Transit,
    changes: &Changes,
    send: impl FnOnce(u32) -> u32,
) -> u32 {
    match *verdict {
        Transit::Refuse(reason) => refuse(reason),
        Transit::Pass => pass(Outcome::Passed),
        Transit::Forward { next, via } => {
            let growth = changes.growth();
            if growth != 0 && !adjust_head(ctx, -(growth as i32)) {
                return refuse(Reason::NoRoom);
            }
            if apply::forward(&mut packet(ctx), &next, changes).is_none() {
                return refuse(Reason::NoRoom);
            }
            count(Outcome::Forwarded as u32);
            match via {
                Via::Stack => pass(Outcome::Shaped),
                Via::Uplink | Via::Transit => send(UPLINK),
            }
        }
        Transit::Deliver { port } => {
            if apply::deliver(&mut packet(ctx), changes).is_none()
                || !adjust_head(ctx, changes.inner_start() as i32)
            {
                return refuse(Reason::NoRoom);
            }
            count(Outcome::Delivered as u32);
            send(UPLINK + 1 + port)
        }
    }
}

/// Moves the start of the frame: forward, or back if `by` is negative.
#[inline(always)]
pub fn adjust_head(ctx: &XdpContext, by: i32) -> bool {
    // SAFETY: the kernel checks the bounds; every pointer into the frame is made anew afterwards.
    unsafe { aya_ebpf::helpers::bpf_xdp_adjust_head(ctx.ctx, by) == 0 }
}

/// Sends the frame by a port.
#[inline(always)]
pub fn redirect(port: u32) -> u32 {
    PORTS.redirect(port, 0).unwrap_or(XDP_ABORTED)
}

/// Leaves the frame to the network stack.
#[inline(always)]
pub fn pass(outcome: Outcome) -> u32 {
    count(outcome as u32);
    XDP_PASS
}

/// Drops or aborts the frame.
#[inline(always)]
pub fn refuse(reason: Reason) -> u32 {
    count(reason as u32);
    match reason.refusal() {
        Refusal::Drop => XDP_DROP,
        Refusal::Abort => XDP_ABORTED,
    }
}

/// Counts one.
#[inline(always)]
pub fn count(counter: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter) {
        // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
        unsafe { *counter += 1 };
    }
}
