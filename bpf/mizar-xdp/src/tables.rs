//! The core's tables in BPF maps.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, DevMap, HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray};
use core::arch::asm;
use core::mem::MaybeUninit;
use mizar_core::Tables;
use mizar_core::acl::{Acl, AclKey, RuleSet};
use mizar_core::established::{ENTRIES, Established};
use mizar_core::flow::{Connection, ConnectionKey, FlowKey};
use mizar_core::reason::Reason;
use mizar_core::tables::{
    Attachment, CidrKey, Endpoint, EndpointKey, Enforced, Extensions, Group, Host, LabelKey,
    PortKey,
};
use mizar_core::verdict::{Changes, Transit};
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Vni};

/// What is not a table. The loader alone writes it.
#[repr(C)]
pub struct Config {
    pub droplet: Host,
    /// Non-zero if any policy is enforced: without, no packet needs to look.
    pub policies: u16,
    /// Non-zero if any network has an access list: without, no packet needs to look.
    pub acls: u16,
    pub extensions: Extensions,
}

/// Counters behind those of the reasons.
#[repr(u32)]
pub enum Outcome {
    Encapsulated = Reason::COUNT as u32,
    Forwarded,
    Delivered,
    Passed,
    Shaped,
}

/// Entry of [`PORTS`] that leads to the underlay; endpoint ports follow.
pub const UPLINK: u32 = 0;

/// Entry of [`PROGRAMS`] that is transit.
pub const TRANSIT: u32 = 0;
/// Entry of [`PROGRAMS`] that is transit of flows that are not established.
pub const TRANSIT_DECIDE: u32 = 1;
/// Entry of [`PROGRAMS`] that is the agent of flows that are not established.
pub const AGENT_DECIDE: u32 = 2;

const CACHE: u32 = 50_000;

/// What the droplet may ever do beyond what Mizar does. The loader writes it before the verifier reads it, which leaves out
/// what is not reached then.
#[unsafe(no_mangle)]
static EXTENSIONS: Extensions = Extensions::ALL;

/// What was decided about a packet. The verifier does not follow what is kept in a map: it follows what carries a decision out
/// once, and not once for each way to come to it. That is half of its work, which the kernel limits to a million instructions.
pub struct Decision {
    pub verdict: MaybeUninit<Transit>,
    pub changes: MaybeUninit<Changes>,
}

#[map]
pub static DECISION: PerCpuArray<Decision> = PerCpuArray::with_max_entries(1, 0);

#[map]
static CONFIG: Array<Config> = Array::with_max_entries(1, 0);
/// Non-zero once a flow was rewritten for a scaled endpoint: before, no packet needs to look. Written by any processor, as is
/// the next one; see [`shared`].
#[map]
static FLOWS_MODIFIED: Array<u64> = Array::with_max_entries(1, 0);
/// Epoch of the cache of established flows. The loader goes far ahead with it when it changed tables.
#[map]
static EPOCH: Array<u64> = Array::with_max_entries(1, 0);
/// By interface index of the endpoint's port.
#[map]
pub static ATTACHMENTS: Array<Attachment> = Array::with_max_entries(65_536, 0);
#[map]
pub static PORTS: DevMap = DevMap::with_max_entries(4_097, 0);
/// Programs that one of them goes on with.
#[map]
pub static PROGRAMS: ProgramArray = ProgramArray::with_max_entries(3, 0);
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(64, 0);
#[map]
static ENDPOINTS: HashMap<EndpointKey, Endpoint> = HashMap::with_max_entries(65_537, 0);
/// Sized by the loader.
#[map]
static MEMBERS: Array<Host> = Array::with_max_entries(1, 0);
#[map]
static NETWORKS: LpmTrie<EndpointKey, Group> = LpmTrie::with_max_entries(16_385, BPF_F_NO_PREALLOC);
#[map]
static VPCS: HashMap<u32, Group> = HashMap::with_max_entries(8_192, 0);
#[map]
static DIRECT_PATHS: LruHashMap<EndpointKey, Host> = LruHashMap::with_max_entries(CACHE, 0);
#[map]
static UNHEALTHY: HashMap<Ipv4, u32> = HashMap::with_max_entries(1_024, 0);
#[map]
static SHORT_HEADER_HOSTS: HashMap<Ipv4, u32> = HashMap::with_max_entries(CACHE, BPF_F_NO_PREALLOC);
#[map]
static CONNECTIONS: LruHashMap<ConnectionKey, Connection> = LruHashMap::with_max_entries(CACHE, 0);
#[map]
static FORWARD_FLOWS: LruHashMap<FlowKey, FlowTarget> = LruHashMap::with_max_entries(CACHE, 0);
#[map]
static REVERSE_FLOWS: LruHashMap<FlowKey, FlowTarget> = LruHashMap::with_max_entries(CACHE, 0);
#[map]
static ESTABLISHED: PerCpuArray<Established> = PerCpuArray::with_max_entries(ENTRIES, 0);
/// Sized by the loader.
#[map]
static ENFORCED: HashMap<EndpointKey, Enforced> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
/// Sized by the loader.
#[map]
static PORT_POLICIES: HashMap<PortKey, u64> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static CIDR_POLICIES: LpmTrie<CidrKey, u64> = LpmTrie::with_max_entries(1 << 20, BPF_F_NO_PREALLOC);
/// Sized by the loader.
#[map]
static LABEL_POLICIES: HashMap<LabelKey, u64> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Access lists: one for each network, and those that take their place. A trie takes memory for what is in it, so room for all
/// that may lawfully be there costs nothing.
const LISTS: u32 = 2 * 16_385;
/// Entries of a list of a thousand rules at most: a thousand sources, as many destinations, thirty prefixes of ports for each rule,
/// and one for everything in each of the three.
const RULES: u32 = 32 * 1_000 + 3;

#[map]
static ACLS: LpmTrie<EndpointKey, Acl> = LpmTrie::with_max_entries(LISTS, BPF_F_NO_PREALLOC);
#[map]
static ACL_RULES: LpmTrie<AclKey, RuleSet> =
    LpmTrie::with_max_entries(LISTS * RULES, BPF_F_NO_PREALLOC);

/// The maps as tables of the core.
pub struct Maps;

impl Maps {
    #[inline(always)]
    fn config(&self) -> Option<&'static Config> {
        CONFIG.get(0)
    }

    #[inline(always)]
    fn flows_modified(&self) -> bool {
        // SAFETY: see `shared`.
        shared(&FLOWS_MODIFIED).is_some_and(|word| unsafe { word.read_volatile() } != 0)
    }

    #[inline(always)]
    fn note_modified_flow(&self) {
        if let Some(word) = shared(&FLOWS_MODIFIED) {
            // SAFETY: see `shared`; it only ever goes from zero to one.
            unsafe { word.write_volatile(1) };
        }
    }
}

/// A word that other processors write: aligned, as all values of maps. The compiler has no atomic operations for this target.
#[inline(always)]
fn shared(map: &Array<u64>) -> Option<*mut u64> {
    map.get_ptr_mut(0)
}

/// Looks up and copies. SAFETY of all: entries are plain bytes, valid whatever they hold. The loader writes
/// tables, and programs on all processors caches. In either an update makes a new element, so that an entry does not change while it is copied, unless its element is evicted and used again
/// at that very moment: then one packet may see half of one entry and half of another, which the kernel leaves to
/// its users, and may go astray like one whose host was moved away.
macro_rules! copied {
    ($map:ident, $key:expr) => {
        unsafe { $map.get($key) }.copied()
    };
}

impl Tables for Maps {
    #[inline(always)]
    fn droplet(&self) -> Host {
        self.config()
            .map(|config| config.droplet)
            .unwrap_or_default()
    }

    #[inline(always)]
    fn extensions(&self) -> Extensions {
        // SAFETY: read-only data of the object, of this type.
        let possible = unsafe { core::ptr::read_volatile(&raw const EXTENSIONS) };
        self.config()
            .map(|config| config.extensions.within(possible))
            .unwrap_or_default()
    }

    #[inline(always)]
    fn endpoint(&self, key: &EndpointKey) -> Option<Endpoint> {
        copied!(ENDPOINTS, key)
    }

    #[inline(always)]
    fn member(&self, index: u32) -> Option<Host> {
        MEMBERS.get(index).copied()
    }

    #[inline(always)]
    fn network(&self, key: &EndpointKey) -> Option<Group> {
        NETWORKS.get(&Key::new(64, *key)).copied()
    }

    #[inline(always)]
    fn vpc(&self, vni: Vni) -> Option<Group> {
        copied!(VPCS, &vni.get())
    }

    #[inline(always)]
    fn direct_path(&mut self, key: &EndpointKey) -> Option<Host> {
        copied!(DIRECT_PATHS, key)
    }

    #[inline(always)]
    fn set_direct_path(&mut self, key: &EndpointKey, host: &Host) {
        let _ = DIRECT_PATHS.insert(key, host, 0);
    }

    #[inline(always)]
    fn is_unhealthy(&self, ip: Ipv4) -> bool {
        // SAFETY: a flag for a key, of which nothing but its presence counts.
        unsafe { UNHEALTHY.get(&ip) }.is_some()
    }

    #[inline(always)]
    fn reads_short_header(&self, ip: Ipv4) -> bool {
        // SAFETY: as in `is_unhealthy`.
        unsafe { SHORT_HEADER_HOSTS.get(&ip) }.is_some()
    }

    #[inline(always)]
    fn forget_direct_path(&mut self, key: &EndpointKey) {
        let _ = DIRECT_PATHS.remove(key);
    }

    #[inline(always)]
    fn connection(&mut self, key: &ConnectionKey) -> Option<Connection> {
        copied!(CONNECTIONS, key)
    }

    #[inline(always)]
    fn set_connection(&mut self, key: &ConnectionKey, connection: &Connection) {
        let _ = CONNECTIONS.insert(key, connection, 0);
    }

    #[inline(always)]
    fn forward_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        if self.flows_modified() {
            copied!(FORWARD_FLOWS, flow)
        } else {
            None
        }
    }

    #[inline(always)]
    fn set_forward_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        let _ = FORWARD_FLOWS.insert(flow, target, 0);
        self.note_modified_flow();
    }

    #[inline(always)]
    fn reverse_flow(&mut self, flow: &FlowKey) -> Option<FlowTarget> {
        if self.flows_modified() {
            copied!(REVERSE_FLOWS, flow)
        } else {
            None
        }
    }

    #[inline(always)]
    fn set_reverse_flow(&mut self, flow: &FlowKey, target: &FlowTarget) {
        let _ = REVERSE_FLOWS.insert(flow, target, 0);
        self.note_modified_flow();
    }

    #[inline(always)]
    fn enforced(&self, key: &EndpointKey) -> Enforced {
        if self.config().is_some_and(|config| config.policies != 0) {
            copied!(ENFORCED, key).unwrap_or_default()
        } else {
            Enforced::default()
        }
    }

    #[inline(always)]
    fn port_policies(&self, key: &PortKey) -> u64 {
        copied!(PORT_POLICIES, key).unwrap_or(0)
    }

    #[inline(always)]
    fn cidr_policies(&self, key: &CidrKey) -> u64 {
        CIDR_POLICIES
            .get(&Key::new(CidrKey::EXACT_BITS + 32, *key))
            .copied()
            .unwrap_or(0)
    }

    #[inline(always)]
    fn label_policies(&self, key: &LabelKey) -> u64 {
        copied!(LABEL_POLICIES, key).unwrap_or(0)
    }

    #[inline(always)]
    fn acl(&self, key: &EndpointKey) -> Option<&Acl> {
        if self.config().is_some_and(|config| config.acls != 0) {
            ACLS.get(&Key::new(64, *key))
        } else {
            None
        }
    }

    #[inline(always)]
    fn acl_rules(&self, key: &AclKey) -> Option<&RuleSet> {
        ACL_RULES.get(&Key::new(AclKey::EXACT_BITS + 32, *key))
    }

    #[inline(always)]
    fn epoch(&mut self) -> Option<u64> {
        if self.config()?.policies != 0 {
            return None;
        }
        // SAFETY: see `shared`.
        shared(&EPOCH).map(|word| unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn established(&mut self, index: u32) -> Option<&mut Established> {
        // SAFETY: a per-CPU slot of a map, and a program is not preempted by itself.
        ESTABLISHED
            .get_ptr_mut(index)
            .map(|entry| unsafe { &mut *entry })
    }

    #[inline(always)]
    fn begin_epoch(&mut self) {
        if let Some(word) = shared(&EPOCH) {
            // Atomic: with a step lost between two processors the number could go back to an earlier epoch, and
            // what was entered in that would hold again.
            // SAFETY: see `shared`.
            unsafe {
                asm!(
                    "lock *(u64 *)({word} + 0) += {one}",
                    word = in(reg) word,
                    one = in(reg) 1u64,
                    options(nostack)
                );
            }
        }
    }
}
