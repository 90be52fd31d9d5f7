//! Thin entry points around the core: the agent at an endpoint's port, transit at the uplink.

#![no_std]
#![no_main]

use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use mizar_core::reason::Reason;
use mizar_core::verdict::{Agent, Changes};
use mizar_core::{agent, established, transit};
use mizar_xdp::actions::{attachment, carry_out, encapsulate, go_on, packet, refuse};
use mizar_xdp::tables::{AGENT_DECIDE, DECISION, Maps, TRANSIT_DECIDE};

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

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop that it can reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
