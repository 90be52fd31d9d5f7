//! The work of `mizar-xdp` on a frame, cut short after each of its stages: programs that each do a stage more than another, on
//! the same frames, so that what it costs is the difference. One that got as far as it should drops the frame, and one that
//! did not aborts it.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use core::arch::asm;
use mizar_core::reason::Reason;
use mizar_core::stages::{Parsed, parse_arriving, parse_leaving};
use mizar_core::tables::Attachment;
use mizar_core::verdict::{Agent, Changes, Encapsulate, Transit};
use mizar_core::{agent, established, transit};
use mizar_xdp::actions::{
    attachment, carry_out, carry_out_then, encapsulate, encapsulate_then, go_on, packet, refuse,
};
use mizar_xdp::tables::{AGENT_DECIDE, DECISION, Decision, Maps, TRANSIT_DECIDE};

/// Nothing at all. It also takes what others send.
#[xdp]
pub fn hook(_: XdpContext) -> u32 {
    XDP_DROP
}

/// A frame that leaves an endpoint: its headers are read,
#[xdp]
pub fn leaving_parse(ctx: XdpContext) -> u32 {
    done(leaving(&ctx).and_then(|attachment| {
        let parsed = parse_leaving(&packet(&ctx), attachment)?;
        keep(&parsed);
        Ok(())
    }))
}

/// it is judged,
#[xdp]
pub fn leaving_policy(ctx: XdpContext) -> u32 {
    done(leaving(&ctx).and_then(|attachment| {
        let parsed = parse_leaving(&packet(&ctx), attachment)?;
        judge(&ctx, &parsed)
    }))
}

/// it is looked up where it goes,
#[xdp]
pub fn leaving_lookup(ctx: XdpContext) -> u32 {
    done(leaving_plan(&ctx).map(|plan| keep(&plan)))
}

/// outer headers are written,
#[xdp]
pub fn leaving_headers(ctx: XdpContext) -> u32 {
    match leaving_plan(&ctx) {
        Ok(plan) => encapsulate_then(&ctx, &plan, drop),
        Err(reason) => refuse(reason),
    }
}

/// and it is sent.
#[xdp]
pub fn leaving_redirect(ctx: XdpContext) -> u32 {
    match leaving_plan(&ctx) {
        Ok(plan) => encapsulate(&ctx, &plan),
        Err(reason) => refuse(reason),
    }
}

/// The same for an established flow; what is none any more is decided about, and goes no further.
#[xdp]
pub fn leaving_established_lookup(ctx: XdpContext) -> u32 {
    match leaving_established(&ctx) {
        Some(plan) => {
            keep(&plan);
            XDP_DROP
        }
        None => go_on(&ctx, AGENT_DECIDE),
    }
}

#[xdp]
pub fn leaving_established_headers(ctx: XdpContext) -> u32 {
    match leaving_established(&ctx) {
        Some(plan) => encapsulate_then(&ctx, &plan, drop),
        None => go_on(&ctx, AGENT_DECIDE),
    }
}

#[xdp]
pub fn leaving_established_redirect(ctx: XdpContext) -> u32 {
    match leaving_established(&ctx) {
        Some(plan) => encapsulate(&ctx, &plan),
        None => go_on(&ctx, AGENT_DECIDE),
    }
}

/// A frame that arrives at the uplink: its headers are read,
#[xdp]
pub fn arriving_parse(ctx: XdpContext) -> u32 {
    done(parse_arriving(&packet(&ctx), &Maps).map(|parsed| keep(&parsed)))
}

/// it is judged,
#[xdp]
pub fn arriving_policy(ctx: XdpContext) -> u32 {
    done(parse_arriving(&packet(&ctx), &Maps).and_then(|parsed| judge(&ctx, &parsed)))
}

/// it is looked up where it goes,
#[xdp]
pub fn arriving_lookup(ctx: XdpContext) -> u32 {
    let Some(decision) = decision() else {
        return XDP_ABORTED;
    };
    let changes = decision.changes.write(Changes::default());
    let verdict = transit::decide(&packet(&ctx), &mut Maps, changes);
    found(verdict)
}

/// outer headers are changed or taken off,
#[xdp]
pub fn arriving_headers(ctx: XdpContext) -> u32 {
    let Some(decision) = decision() else {
        return XDP_ABORTED;
    };
    let changes = decision.changes.write(Changes::default());
    let verdict = transit::decide(&packet(&ctx), &mut Maps, changes);
    carry_out_then(&ctx, decision.verdict.write(verdict), changes, drop)
}

/// and it is sent.
#[xdp]
pub fn arriving_redirect(ctx: XdpContext) -> u32 {
    let Some(decision) = decision() else {
        return XDP_ABORTED;
    };
    let changes = decision.changes.write(Changes::default());
    let verdict = transit::decide(&packet(&ctx), &mut Maps, changes);
    carry_out(&ctx, decision.verdict.write(verdict), changes)
}

/// The same for an established flow.
#[xdp]
pub fn arriving_established_lookup(ctx: XdpContext) -> u32 {
    let mut changes = Changes::default();
    match established::transit(&packet(&ctx), &mut Maps, &mut changes) {
        Some(verdict) => {
            keep(&changes);
            found(verdict)
        }
        None => go_on(&ctx, TRANSIT_DECIDE),
    }
}

#[xdp]
pub fn arriving_established_headers(ctx: XdpContext) -> u32 {
    let mut changes = Changes::default();
    match established::transit(&packet(&ctx), &mut Maps, &mut changes) {
        Some(verdict) => carry_out_then(&ctx, &verdict, &changes, drop),
        None => go_on(&ctx, TRANSIT_DECIDE),
    }
}

#[xdp]
pub fn arriving_established_redirect(ctx: XdpContext) -> u32 {
    let mut changes = Changes::default();
    match established::transit(&packet(&ctx), &mut Maps, &mut changes) {
        Some(verdict) => carry_out(&ctx, &verdict, &changes),
        None => go_on(&ctx, TRANSIT_DECIDE),
    }
}

#[inline(always)]
fn leaving(ctx: &XdpContext) -> Result<&'static Attachment, Reason> {
    attachment(ctx).ok_or(Reason::NotAttached)
}

#[inline(always)]
fn leaving_plan(ctx: &XdpContext) -> Result<Encapsulate, Reason> {
    match agent::decide(&packet(ctx), leaving(ctx)?, &mut Maps) {
        Agent::Refuse(reason) => Err(reason),
        Agent::Encapsulate(plan) => Ok(plan),
    }
}

#[inline(always)]
fn leaving_established(ctx: &XdpContext) -> Option<Encapsulate> {
    established::agent(&packet(ctx), attachment(ctx)?, &mut Maps)
}

/// Where the datapath keeps what it decides.
#[inline(always)]
fn decision() -> Option<&'static mut Decision> {
    // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
    DECISION
        .get_ptr_mut(0)
        .map(|decision| unsafe { &mut *decision })
}

/// Where a frame goes was found.
#[inline(always)]
fn found(verdict: Transit) -> u32 {
    match verdict {
        Transit::Refuse(reason) => refuse(reason),
        Transit::Pass => XDP_ABORTED,
        Transit::Forward { next, .. } => {
            keep(&next);
            XDP_DROP
        }
        Transit::Deliver { port } => {
            keep(&port);
            XDP_DROP
        }
    }
}

#[inline(always)]
fn judge(ctx: &XdpContext, parsed: &Parsed) -> Result<(), Reason> {
    parsed.judge(&packet(ctx), &mut Maps)?;
    keep(parsed);
    Ok(())
}

/// Has the compiler make a value that nobody reads.
#[inline(always)]
fn keep<T>(value: &T) {
    // SAFETY: copies a register to itself. It may read what the pointer leads to, for all that the compiler knows; with no
    // instruction at all the debugging information of two lines would be for one place, which the kernel refuses.
    unsafe { asm!("{0} = {0}", inout(reg) value => _, options(nostack)) };
}

#[inline(always)]
fn done(result: Result<(), Reason>) -> u32 {
    match result {
        Ok(()) => XDP_DROP,
        Err(reason) => refuse(reason),
    }
}

/// In place of sending.
#[inline(always)]
fn drop(_port: u32) -> u32 {
    XDP_DROP
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop that it can reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
