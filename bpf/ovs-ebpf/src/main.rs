//! The eBPF datapath behind Open vSwitch: finds a packet's flow, and does what it says. Packets without one are handed to a
//! program that asks the switch, or the Mizar core.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod hook;
mod maps;

use aya_ebpf::helpers::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};
use core::arch::asm;
use hook::{Hook, Tag};
use maps::{PORT, UPCALL, count, find, port_of, scratch};
use megaflow::flow::{STEPS, operation};
use megaflow::map::{Count, LONGEST, SHORT, Upcall, WAITING};
use megaflow::tunnel::Taken;
use megaflow::{Flow, Key, set, tunnel};
use mizar_wire::frame::Frame;
use mizar_wire::geneve::{ENCAPSULATION_LEN, SHORT_ENCAPSULATION_LEN};

/// The datapath at tc.
#[classifier]
pub fn ovs_tc(context: TcContext) -> i32 {
    forward(&context)
}

/// The same at XDP.
#[xdp]
pub fn ovs_xdp(context: XdpContext) -> u32 {
    forward(&context) as u32
}

/// What the switch behind sends out of a device of its own leaves by the port that the device stands for.
#[classifier]
pub fn ovs_out(context: TcContext) -> i32 {
    let sent = port_of(context.device()).and_then(|port| context.send(port));
    sent.unwrap_or(TcContext::DROP)
}

#[inline(always)]
fn forward<H: Hook>(hook: &H) -> i32 {
    hook.prepare();
    let (Some(port), Some(scratch)) = (port_of(hook.device()), scratch()) else {
        return H::DROP;
    };
    clear(&mut scratch.key);
    scratch.key.in_port = port;
    scratch.key.read(&hook.packet(), 0);
    if let Some(tag) = hook.tag() {
        // What is behind the tag is none of a flow's business that does not ask for tags.
        let (dst, src) = (scratch.key.eth_dst, scratch.key.eth_src);
        clear(&mut scratch.key);
        scratch.key.in_port = port;
        (scratch.key.eth_dst, scratch.key.eth_src) = (dst, src);
        scratch.key.eth_type = tag.kind;
    }
    let now = now();
    let mut found = find(scratch);
    let mut inner = 0;
    if let Some(flow) = found
        && let Some(tunnel) = comes_by_tunnel(flow)
    {
        clear(&mut scratch.key);
        scratch.key.in_port = tunnel;
        found = match tunnel::take_off(&hook.packet(), &mut scratch.key) {
            Taken::Strip(len) => {
                inner = len;
                scratch.key.read(&hook.packet(), len);
                find(scratch)
            }
            Taken::Unknown => {
                count(Count::BadTunnel);
                clear(&mut scratch.key);
                scratch.key.in_port = tunnel;
                None
            }
        };
        account(flow, hook.len(), now);
    }
    let is_due = match found {
        Some(flow) => is_due(flow, now),
        None => {
            count(Count::Miss);
            true
        }
    };
    if is_due && hand_over(hook, &scratch.key, port) {
        if let Some(flow) = found {
            count(Count::Renewed);
            renewed(flow, now);
        }
        return H::DROP;
    }
    let Some(flow) = found else {
        lose(port);
        return H::DROP;
    };
    let len = hook.len() - inner as u32;
    if inner > 0 && !hook.strip(inner as u32) {
        return fail::<H>();
    }
    match act(hook, flow, &scratch.key) {
        Some(action) => {
            account(flow, len, now);
            action
        }
        None => fail::<H>(),
    }
}

/// Makes a key one of no packet: word by word, for which LLVM would call a function that does it byte by byte.
#[inline(always)]
fn clear(key: &mut Key) {
    let zero: u64;
    // SAFETY: makes a number.
    unsafe { asm!("{0} = 0", out(reg) zero, options(nomem, nostack)) };
    let words = key.words_mut();
    let mut at = 0;
    while at < words.len() {
        words[at] = zero;
        at += 1;
    }
}

/// The tunnel that a flow's packets come out of.
#[inline(always)]
fn comes_by_tunnel(flow: *mut Flow) -> Option<u32> {
    // SAFETY: a value of a map, which does not change as long as anything leads to it.
    let step = unsafe { &(*flow).steps[0] };
    (step.operation == operation::POP).then_some(step.port)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: takes nothing.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Counts a packet of a flow.
#[inline(always)]
fn account(flow: *mut Flow, bytes: u32, now: u64) {
    // SAFETY: words of a map's value, which any processor may write.
    unsafe {
        add(&raw mut (*flow).packets, 1);
        add(&raw mut (*flow).bytes, u64::from(bytes));
        (&raw mut (*flow).used).write_volatile(now);
    }
}

/// When another packet of a flow that is to be judged anew is tried, in nanoseconds. The others go on meanwhile, and so does
/// this one if too many wait.
const AGAIN: u64 = 1_000_000_000;

/// Whether a flow is to be judged anew, and this packet is the one.
#[inline(always)]
fn is_due(flow: *mut Flow, now: u64) -> bool {
    // SAFETY: a word of a map's value, which any processor may write.
    unsafe {
        let renew = &raw mut (*flow).renew;
        let at = renew.read_volatile();
        if at == 0 || now < at {
            return false;
        }
        renew.write_volatile(now + AGAIN);
    }
    true
}

/// Notes when a flow is to be judged anew that just was.
#[inline(always)]
fn renewed(flow: *mut Flow, now: u64) {
    // SAFETY: words of a map's value; the interval does not change as long as anything leads to it.
    unsafe {
        let interval = (&raw const (*flow).interval).read_volatile();
        if interval > AGAIN {
            (&raw mut (*flow).renew).write_volatile(now + interval);
        }
    }
}

#[inline(always)]
fn fail<H: Hook>() -> i32 {
    count(Count::Failed);
    H::DROP
}

/// Does what a flow says; nothing if that cannot be done.
#[inline(always)]
fn act<H: Hook>(hook: &H, flow: *mut Flow, key: &Key) -> Option<i32> {
    for at in 0..STEPS {
        // SAFETY: a value of a map, which does not change as long as anything leads to it.
        let step = unsafe { &(*flow).steps[at] };
        let mut packet = hook.packet();
        let done = match step.operation {
            0 => {
                count(Count::Dropped);
                return Some(H::DROP);
            }
            operation::OUTPUT => {
                // SAFETY: as above.
                let is_last = at + 1 == STEPS || unsafe { (*flow).steps[at + 1].operation } == 0;
                if is_last {
                    let action = hook.send(step.port)?;
                    count(Count::Sent);
                    return Some(action);
                }
                hook.send_copy(step.port).then_some(())
            }
            operation::PUSH => push(hook, flow, step.len, key.hash()),
            operation::SET_ETHERNET => set::ethernet(&mut packet, &step.value, &step.mask),
            operation::SET_IP => set::ip_header(&mut packet, &step.value, &step.mask),
            operation::SET_PORTS => set::ports(&mut packet, &step.value, &step.mask),
            operation::SET_ARP => set::arp(&mut packet, &step.value, &step.mask),
            _ => None,
        };
        done?;
    }
    Some(H::DROP)
}

/// Puts a flow's outer headers in front: those of Mizar, the short header, or those without options.
#[inline(always)]
fn push<H: Hook>(hook: &H, flow: *mut Flow, len: u16, hash: u64) -> Option<()> {
    if len as usize == ENCAPSULATION_LEN {
        write_header::<H, ENCAPSULATION_LEN>(hook, flow)?;
    } else if len as usize == SHORT_ENCAPSULATION_LEN {
        write_header::<H, SHORT_ENCAPSULATION_LEN>(hook, flow)?;
    } else if len as usize == tunnel::SHORTEST {
        write_header::<H, { tunnel::SHORTEST }>(hook, flow)?;
    } else {
        return None;
    }
    tunnel::complete(&mut hook.packet(), tunnel::source_port(hash))
}

#[inline(always)]
fn write_header<H: Hook, const LEN: usize>(hook: &H, flow: *mut Flow) -> Option<()> {
    if !hook.push(LEN as u32) {
        return None;
    }
    let mut packet = hook.packet();
    let room: &mut [u8; LEN] = packet.get_mut(0)?;
    // SAFETY: a value of a map with room for the longest headers; the two do not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(
            (&raw const (*flow).header).cast::<u16>(),
            room.as_mut_ptr().cast::<u16>(),
            LEN / 2,
        );
    }
    Some(())
}

/// Hands a packet over to who answers upcalls, if not too many of its port wait.
#[inline(always)]
fn hand_over<H: Hook>(hook: &H, key: &Key, port: u32) -> bool {
    let Some(counters) = PORT.get_ptr_mut(port) else {
        return false;
    };
    // SAFETY: words of a map's value, which any processor, and who answers, may write.
    let waiting = unsafe {
        let handed = (&raw const (*counters).upcalls).read_volatile();
        handed.wrapping_sub((&raw const (*counters).answered).read_volatile())
    };
    // An answer may come before the upcall is counted.
    let waiting = (waiting as i64).max(0) as u64;
    let is_handed = waiting < WAITING
        && if hook.len() as usize + TAG_LEN <= SHORT {
            put::<H, SHORT>(hook, key, port)
        } else {
            put::<H, LONGEST>(hook, key, port)
        };
    if is_handed {
        // SAFETY: as above.
        unsafe { add(&raw mut (*counters).upcalls, 1) };
    }
    is_handed
}

/// Counts a packet that nobody can be asked about.
#[inline(always)]
fn lose(port: u32) {
    if let Some(counters) = PORT.get_ptr_mut(port) {
        // SAFETY: a word of a map's value.
        unsafe { add(&raw mut (*counters).lost, 1) };
    }
}

/// Adds to a word that several processors add to.
///
/// # Safety
/// It is a word of a map's value.
#[inline(always)]
unsafe fn add(word: *mut u64, by: u64) {
    // SAFETY: as the caller says. The target has no such instruction in `core`.
    unsafe {
        asm!(
            "lock *(u64 *)({word} + 0) += {by}",
            word = in(reg) word,
            by = in(reg) by,
            options(nostack)
        );
    }
}

/// Where a VLAN tag goes in a frame.
const TAG_AT: u32 = 12;
const TAG_LEN: usize = size_of::<Tag>();

/// A record of the ring.
#[repr(C)]
struct Record<const ROOM: usize> {
    upcall: Upcall,
    frame: [u8; ROOM],
    /// The verifier does not know that the frame and what is in front are no longer than that together.
    beyond: [u8; TAG_AT as usize + TAG_LEN],
}

#[inline(always)]
fn put<H: Hook, const ROOM: usize>(hook: &H, key: &Key, port: u32) -> bool {
    let Some(mut entry) = UPCALL.reserve::<Record<ROOM>>(0) else {
        return false;
    };
    let record = entry.as_mut_ptr();
    let tag = hook.tag();
    let len = hook.len();
    let is_whole = len > TAG_AT && len as usize <= ROOM - TAG_LEN;
    // SAFETY: the record is this program's until it is submitted.
    let is_whole = is_whole
        && unsafe {
            let to = (&raw mut (*record).frame).cast::<u8>();
            let tag_len = match tag {
                // The kernel keeps a tag beside the frame.
                Some(tag) => {
                    to.add(TAG_AT as usize).cast::<Tag>().write_unaligned(tag);
                    TAG_LEN
                }
                None => 0,
            };
            (*record).upcall = Upcall {
                key: *key,
                port,
                len: len + tag_len as u32,
            };
            let rest = between_one_and::<ROOM>(len - TAG_AT);
            hook.copy(0, to, TAG_AT) && hook.copy(TAG_AT, to.add(TAG_AT as usize + tag_len), rest)
        };
    if is_whole {
        entry.submit(0);
    } else {
        entry.discard(0);
    }
    is_whole
}

/// A number that is in this range already, which the verifier does not see from comparisons that LLVM moves about. `ROOM`
/// is a power of two.
#[inline(always)]
fn between_one_and<const ROOM: usize>(len: u32) -> u32 {
    const { assert!(ROOM.is_power_of_two()) };
    let mut rest = len - 1;
    // SAFETY: copies a register to itself. Not `pure`, or LLVM would leave out what follows.
    unsafe { asm!("{0} = {0}", inout(reg) rest, options(nomem, nostack)) };
    (rest & (ROOM as u32 - 1)) + 1
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics; the verifier would refuse an endless loop that it can reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
