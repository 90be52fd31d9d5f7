//! The tester's programs.
//!
//! `generate` runs on live frames and redirects them to the datapath; `sink` judges what comes back;
//! `null_forward` stands in for a datapath to find the tester's own ceiling; `bare` only redirects, which
//! is the most a generator on live frames could do; `underlay` joins droplets.

#![no_std]
#![no_main]

mod generate;
mod sink;
mod underlay;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, DevMap};
use aya_ebpf::programs::XdpContext;
use workload::{Control, Entry, SinkConfig, SinkState};

/// As many ports as a tester has.
const PORTS: u32 = 512;

/// The workload; sized by the loader.
#[map]
static ENTRIES: Array<Entry> = Array::with_max_entries(1, 0);
#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, 0);
/// By interface index of the port.
#[map]
static SINKS: Array<SinkConfig> = Array::with_max_entries(4_096, 0);
/// By number of the port.
#[map]
static STATES: Array<SinkState> = Array::with_max_entries(PORTS, 0);
/// The tester's ends of the datapath's ports, by number.
#[map]
static OUT: DevMap = DevMap::with_max_entries(PORTS, 0);
/// Where a null forward sends what came by the device with this index.
#[map]
static FORWARD: DevMap = DevMap::with_max_entries(4_096, 0);

/// Writes the next frame that is due and sends it.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    generate::generate(&ctx).unwrap_or(XDP_DROP)
}

/// Counts and redirects, and does nothing else.
#[xdp]
pub fn bare(_ctx: XdpContext) -> u32 {
    generate::count();
    OUT.redirect(0, 0).unwrap_or(XDP_ABORTED)
}

/// Judges a frame that came back, and drops it.
#[xdp]
pub fn sink(ctx: XdpContext) -> u32 {
    // What does not belong to the workload (a port that is not measured) is of no interest.
    let _ = sink::sink(&ctx);
    XDP_DROP
}

/// Sends what arrives to the other side, untouched.
#[xdp]
pub fn null_forward(ctx: XdpContext) -> u32 {
    // SAFETY: the kernel passes a valid context.
    let port = unsafe { (*ctx.ctx).ingress_ifindex };
    FORWARD.redirect(port, 0).unwrap_or(XDP_ABORTED)
}

/// Sends what a droplet sent to the one that it is for.
#[xdp]
pub fn underlay(ctx: XdpContext) -> u32 {
    underlay::pass(&ctx).unwrap_or(XDP_DROP)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop that it can reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
