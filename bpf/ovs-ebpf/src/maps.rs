//! The maps, as [`megaflow::map`] describes them.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, DevMap, HashMap, PerCpuArray, RingBuf};
use core::arch::asm;
use megaflow::map::{At, Config, Count, EXACT, Exact, FLOWS, MASKS, Mask, Masked, PORTS, Port};
use megaflow::{Flow, Key};

#[map]
pub static CONFIG: Array<Config> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
pub static MASK: Array<Mask> = Array::with_max_entries(MASKS, BPF_F_MMAPABLE);
#[map]
pub static FLOW: Array<Flow> = Array::with_max_entries(FLOWS, BPF_F_MMAPABLE);
#[map]
static TABLE: HashMap<Masked, At> = HashMap::with_max_entries(FLOWS, 0);
#[map]
static EXACT_KEYS: PerCpuArray<Exact> = PerCpuArray::with_max_entries(EXACT, 0);
#[map]
pub static PORT: Array<Port> = Array::with_max_entries(PORTS, BPF_F_MMAPABLE);
/// Where XDP sends by, by the number of the port.
#[map]
pub static DEVICE: DevMap = DevMap::with_max_entries(PORTS, 0);
/// Number of the port, plus one, by index of the device.
#[map]
static PORT_OF: Array<u32> = Array::with_max_entries(65_536, 0);
#[map]
pub static UPCALL: RingBuf = RingBuf::with_byte_size(16 << 20, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Count::COUNT, 0);

/// Counts one.
#[inline(always)]
pub fn count(what: Count) {
    count_many(what, 1);
}

#[inline(always)]
fn count_many(what: Count, many: u64) {
    if let Some(counter) = COUNTERS.get_ptr_mut(what as u32) {
        // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
        unsafe { *counter += many };
    }
}

/// The number of the port that a device is.
#[inline(always)]
pub fn port_of(device: u32) -> Option<u32> {
    PORT_OF.get(device)?.checked_sub(1)
}

/// What a processor works on: the stack has no room for it.
pub struct Scratch {
    pub key: Key,
    masked: Masked,
}

#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// This processor's, with what it last was.
#[inline(always)]
pub fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
    SCRATCH
        .get_ptr_mut(0)
        .map(|scratch| unsafe { &mut *scratch })
}

/// The flow of packets with the key of `scratch`.
#[inline(always)]
pub fn find(scratch: &mut Scratch) -> Option<*mut Flow> {
    let key = &scratch.key;
    let place = megaflow::map::place(key.hash());
    let exact = EXACT_KEYS.get_ptr_mut(place)?;
    // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
    let entry = unsafe { &mut *exact };
    if entry.key.is(key)
        && let Some(flow) = flow(entry.at)
    {
        count(Count::ExactHit);
        return Some(flow);
    }
    let at = look(key, &mut scratch.masked)?;
    let flow = flow(at)?;
    copy(key, &mut entry.key);
    entry.at = at;
    Some(flow)
}

/// Copies a key word by word, for which LLVM would call a function that does it byte by byte.
#[inline(always)]
fn copy(from: &Key, to: &mut Key) {
    let (from, to) = (from.words(), to.words_mut());
    let mut at = 0;
    while at < to.len() {
        let mut word = from[at];
        // SAFETY: copies a register to itself.
        unsafe { asm!("{0} = {0}", inout(reg) word, options(nomem, nostack)) };
        to[at] = word;
        at += 1;
    }
}

/// Looks with one mask after the other.
#[inline(always)]
fn look(key: &Key, masked: &mut Masked) -> Option<At> {
    let config = CONFIG.get(0)?;
    for at in 0..MASKS {
        if u64::from(at) >= config.masks {
            break;
        }
        let number = config.order[at as usize & (MASKS as usize - 1)];
        let mask = MASK.get_ptr_mut(number)?;
        // SAFETY: a value of a map; masks that are in use do not change.
        key.mask_into(unsafe { &(*mask).bits }, &mut masked.key);
        masked.mask = u64::from(number);
        // SAFETY: a value is read whole, and a flow that it leads to is checked.
        if let Some(found) = unsafe { TABLE.get(&*masked) } {
            count(Count::MaskHit);
            count_many(Count::MasksTried, u64::from(at) + 1);
            // SAFETY: a counter of a map that several processors may write: some may be lost.
            unsafe { (*mask).hits += 1 };
            return Some(*found);
        }
    }
    None
}

/// The flow at a place, if it is still the one that was meant.
#[inline(always)]
fn flow(at: At) -> Option<*mut Flow> {
    let flow = FLOW.get_ptr_mut(at.place)?;
    // SAFETY: a value of a map; who deletes a flow stores a generation there at once.
    let generation = unsafe { (&raw const (*flow).generation).read_volatile() };
    (generation == at.generation && generation != 0).then_some(flow)
}
