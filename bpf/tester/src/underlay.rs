//! The underlay: a switch that knows every droplet's Ethernet address, and learns nothing.

use crate::sink::is_short;
use aya_ebpf::bindings::xdp_action::XDP_DROP;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use mizar_wire::geneve::{ENCAPSULATION_LEN, SHORT_ENCAPSULATION_LEN};
use mizar_wire::{Be32, ethernet, geneve, ipv4, udp};
use workload::Stamp;
use workload::underlay::{BLANK_RETURN, Crossing, DROPLETS, UnderlayPort, key};

/// By index of the device.
#[map]
static UNDERLAY: Array<UnderlayPort> = Array::with_max_entries(4_096, 0);
/// Numbers of droplets, by [`key`] of their Ethernet addresses.
#[map]
static DROPLET: HashMap<u64, u32> = HashMap::with_max_entries(DROPLETS, 0);
/// The underlay's ends of the droplets' uplinks.
#[map]
static TOWARDS: DevMap = DevMap::with_max_entries(DROPLETS, 0);
/// By [`Crossing::place`].
#[map]
static CROSSED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Crossing::ALL, 0);

/// When the last packet crossed, in nanoseconds of CLOCK_MONOTONIC, by the same place.
#[map]
static LAST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Crossing::ALL, 0);

/// Nanoseconds from when the tester's frames were due until they crossed, all together, by the same place;
#[map]
static AGES: PerCpuArray<u64> = PerCpuArray::with_max_entries(Crossing::ALL, 0);
/// and how many frames they are.
#[map]
static AGED: PerCpuArray<u64> = PerCpuArray::with_max_entries(Crossing::ALL, 0);

/// A frame of the tester that is older was sent in another trial, or is none: 1 s.
const OLDEST: u32 = 1_000_000_000;

/// `None` for what no droplet sent.
#[inline(always)]
pub fn pass(ctx: &XdpContext) -> Option<u32> {
    // SAFETY: the kernel passes a valid context.
    let port = UNDERLAY.get(unsafe { (*ctx.ctx).ingress_ifindex })?;
    if port.active == 0 || ctx.data() + ethernet::LEN > ctx.data_end() {
        return None;
    }
    // SAFETY: in bounds by the comparison above, valid for any bytes.
    let address = unsafe { *(ctx.data() as *const [u8; 6]) };
    // SAFETY: nobody writes to the map while packets come.
    let Some(droplet) = (unsafe { DROPLET.get(&key(address)) }).copied() else {
        return count(port, Crossing::Nobody);
    };
    if !port.reaches(droplet) {
        return count(port, Crossing::Cut);
    }
    if port.blank_return != 0 {
        blank_return(ctx);
    }
    count(port, Crossing::To(droplet));
    if port.timed != 0
        && let Some(last) = LAST.get_ptr_mut(Crossing::To(droplet).place(port.droplet))
    {
        // SAFETY: a word of this processor's, and programs at XDP do not interrupt each other.
        unsafe { *last = bpf_ktime_get_ns() };
    }
    if port.aged != 0 {
        add_age(ctx, Crossing::To(droplet).place(port.droplet));
    }
    TOWARDS.redirect(droplet, 0).ok()
}

/// Adds the age of a packet with a frame of the tester inside.
#[inline(always)]
fn add_age(ctx: &XdpContext, place: u32) -> Option<()> {
    let at = ctx.data()
        + if is_short(ctx) {
            SHORT_ENCAPSULATION_LEN
        } else {
            ENCAPSULATION_LEN
        };
    if at + size_of::<Inner>() > ctx.data_end() {
        return None;
    }
    // SAFETY: in bounds by the comparison above, valid for any bytes, at an even address.
    let inner = unsafe { &*(at as *const Inner) };
    let age = inner
        .age(unsafe { bpf_ktime_get_ns() })
        .filter(|age| *age < OLDEST)?;
    let (sum, frames) = (AGES.get_ptr_mut(place)?, AGED.get_ptr_mut(place)?);
    // SAFETY: words of this processor's, and programs at XDP do not interrupt each other.
    unsafe {
        *sum += u64::from(age);
        *frames += 1;
    }
    Some(())
}

/// The beginning of an inner frame, up to where a stamp ends.
#[repr(C)]
struct Inner {
    ethernet: ethernet::Header,
    ip: ipv4::Header,
    /// Behind UDP's header, which is as long as two of these.
    words: [Be32; 4],
}

impl Inner {
    /// How old the frame is; `None` if it can be none of the tester's.
    #[inline(always)]
    fn age(&self, now: u64) -> Option<u32> {
        if self.ethernet.ethertype != ethernet::IPV4 {
            return None;
        }
        let [_, sequence, acknowledgement, payload] = self.words;
        let (number, due) = match self.ip.protocol {
            ipv4::UDP => (acknowledgement, payload),
            ipv4::TCP => (sequence, acknowledgement),
            _ => return None,
        };
        Some(Stamp { number, due }.age(now))
    }
}

/// Makes the first option of a packet one that says nothing, if it is return-to-sender. The outer UDP checksum is zero.
#[inline(always)]
fn blank_return(ctx: &XdpContext) {
    const OPTION: usize = ethernet::LEN + ipv4::LEN + udp::LEN + geneve::LEN;
    let [high, low] = geneve::CLASS.get().to_be_bytes();
    if ctx.data() + OPTION + 3 > ctx.data_end() {
        return;
    }
    let option = (ctx.data() + OPTION) as *mut [u8; 3];
    // SAFETY: in bounds by the comparison above, valid for any bytes, and nobody else has the packet.
    unsafe {
        if *option == [high, low, geneve::RETURN_TO_SENDER] {
            (*option)[2] = BLANK_RETURN;
        }
    }
}

/// Counts a packet that goes no further, as a rule.
#[inline(always)]
fn count(port: &UnderlayPort, what: Crossing) -> Option<u32> {
    let counter = CROSSED.get_ptr_mut(what.place(port.droplet))?;
    // SAFETY: a word of this processor's, and programs at XDP do not interrupt each other.
    unsafe { *counter += 1 };
    Some(XDP_DROP)
}
