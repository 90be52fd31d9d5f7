//! Thin entry points around the core: the agent at an endpoint's port, transit at the uplink.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod tables;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use bpf_frame::Packet;
use mizar_core::reason::{Reason, Refusal};
use mizar_core::tables::Attachment;
use mizar_core::verdict::{Agent, Changes, Encapsulate, Transit, Via};
use mizar_core::{Tables, agent, apply, established, transit};
use tables::{
    AGENT_DECIDE, ATTACHMENTS, COUNTERS, DECISION, Maps, Outcome, PORTS, PROGRAMS, TRANSIT,
    TRANSIT_DECIDE, UPLINK,
};

/// A frame leaves an endpoint. Packets of established flows go no further than this.
#[xdp]
pub fn mizar_agent(ctx: XdpContext) -> u32 {
    let Some(attachment) = attachment(&ctx) else {
        return refuse(Reason::NotAttached);
    };
    match established::agent(&packet(&ctx), attachment, &mut Maps) {
        Some(plan) => encapsulate(&ctx, &plan),
        None => go_on(&ctx, AGENT_DECIDE),
    }
}

/// The same for packets of all other flows: a program of its own, with a stack of its own.
#[xdp]
pub fn mizar_agent_decide(ctx: XdpContext) -> u32 {
    let Some(attachment) = attachment(&ctx) else {
        return refuse(Reason::NotAttached);
    };
    match agent::decide(&packet(&ctx), attachment, &mut Maps) {
        Agent::Refuse(reason) => refuse(reason),
        Agent::Encapsulate(plan) => encapsulate(&ctx, &plan),
    }
}

/// A frame arrives at the uplink. Packets of established flows go no further than this.
#[xdp]
pub fn mizar_transit(ctx: XdpContext) -> u32 {
    let mut changes = Changes::default();
    match established::transit(&packet(&ctx), &mut Maps, &mut changes) {
        Some(verdict) => carry_out(&ctx, &verdict, &changes),
        None => go_on(&ctx, TRANSIT_DECIDE),
    }
}

/// The same for packets of all other flows.
#[xdp]
pub fn mizar_transit_decide(ctx: XdpContext) -> u32 {
    let Some(decision) = DECISION.get_ptr_mut(0) else {
        return refuse(Reason::NoRoom);
    };
    // SAFETY: as in `count`.
    let decision = unsafe { &mut *decision };
    let changes = decision.changes.write(Changes::default());
    let verdict = transit::decide(&packet(&ctx), &mut Maps, changes);
    carry_out(&ctx, decision.verdict.write(verdict), changes)
}

#[inline(always)]
fn packet(ctx: &XdpContext) -> Packet {
    // SAFETY: a context's; every change of the frame's bounds is followed by a new one.
    unsafe { Packet::new(ctx.data(), ctx.data_end()) }
}

#[inline(always)]
fn attachment(ctx: &XdpContext) -> Option<&'static Attachment> {
    // SAFETY: the kernel passes a valid context.
    ATTACHMENTS.get(unsafe { (*ctx.ctx).ingress_ifindex })
}

/// Goes on with another program, which starts with an empty stack: two do not fit one.
#[inline(always)]
fn go_on(ctx: &XdpContext, program: u32) -> u32 {
    // SAFETY: the kernel passes a valid context; the call returns only if it fails.
    let _ = unsafe { PROGRAMS.tail_call(ctx, program) };
    refuse(Reason::NoRoom)
}

#[inline(always)]
fn encapsulate(ctx: &XdpContext, plan: &Encapsulate) -> u32 {
    if !adjust_head(ctx, -(plan.outer_len() as i32)) {
        return refuse(Reason::NoRoom);
    }
    let droplet = Maps.droplet();
    if apply::encapsulate(&mut packet(ctx), &droplet, plan).is_none() {
        return refuse(Reason::NoRoom);
    }
    count(Outcome::Encapsulated as u32);
    match plan.via {
        Via::Uplink => redirect(UPLINK),
        Via::Stack => pass(Outcome::Shaped),
        Via::Transit => go_on(ctx, TRANSIT),
    }
}

#[inline(always)]
fn carry_out(ctx: &XdpContext, verdict: &Transit, changes: &Changes) -> u32 {
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
                Via::Uplink | Via::Transit => redirect(UPLINK),
            }
        }
        Transit::Deliver { port } => {
            if apply::deliver(&mut packet(ctx), changes).is_none()
                || !adjust_head(ctx, changes.inner_start() as i32)
            {
                return refuse(Reason::NoRoom);
            }
            count(Outcome::Delivered as u32);
            redirect(UPLINK + 1 + port)
        }
    }
}

#[inline(always)]
fn adjust_head(ctx: &XdpContext, by: i32) -> bool {
    // SAFETY: the kernel checks the bounds; every pointer into the frame is made anew afterwards.
    unsafe { aya_ebpf::helpers::bpf_xdp_adjust_head(ctx.ctx, by) == 0 }
}

#[inline(always)]
fn redirect(port: u32) -> u32 {
    PORTS.redirect(port, 0).unwrap_or(XDP_ABORTED)
}

#[inline(always)]
fn pass(outcome: Outcome) -> u32 {
    count(outcome as u32);
    XDP_PASS
}

#[inline(always)]
fn refuse(reason: Reason) -> u32 {
    count(reason as u32);
    match reason.refusal() {
        Refusal::Drop => XDP_DROP,
        Refusal::Abort => XDP_ABORTED,
    }
}

#[inline(always)]
fn count(counter: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter) {
        // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
        unsafe { *counter += 1 };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop that it can reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
