//! The flows that the programs follow.
//!
//! A flow is written to a place that nothing leads to, and then entered into the table. One that is replaced or deleted
//! loses its generation, by which what still leads to it leads nowhere; its place rests until no program can be at it any
//! more. So no packet ever sees half of one flow and half of another.

use crate::encode::{decode, encode};
use crate::kind::{Kind, Totals};
use crate::mapped::Mapped;
use crate::notation::{Action, Match, print_actions, print_match};
use crate::object::{AtBytes, Hook, KeyBytes, Loaded, at_bytes, key_bytes};
use aya::maps::{HashMap as Table, MapData, MapError};
use foldhash::{HashMap, HashMapExt};
use megaflow::map::{At, Config, FLOWS, MASKS, Mask, Masked};
use megaflow::{Flow, Key};
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a place rests: no program takes as long for a packet.
const REST: Duration = Duration::from_millis(100);
/// Flows that there are at the most: some places must rest before others can be in use.
pub const CAPACITY: u32 = FLOWS - FLOWS / 8;
/// How many flows get a second chance before one goes that was used.
const CHANCES: usize = 64;

/// Why a flow cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More masks than there is room for.
    #[error("flows ask for more than {MASKS} combinations of fields")]
    Masks,
    /// More actions than a flow has, or others.
    #[error("{0}")]
    Actions(&'static str),
    /// The kernel refused it.
    #[error("entering a flow: {0}")]
    Kernel(#[from] MapError),
}

/// A flow as it was entered, and what it counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it asks for.
    pub asks: Match,
    /// What it does.
    pub does: Vec<Action>,
    /// Packets that followed it.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// How long ago the last one was; `None` if there was none.
    pub idle: Option<Duration>,
}

/// As `dpctl/dump-flows` prints a flow: ovs-dpctl(8), and `dpctl_dump_flows` of OVS's lib/dpctl.c.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (packets, bytes) = (self.packets, self.bytes);
        write!(
            f,
            "{}, packets:{packets}, bytes:{bytes}, ",
            print_match(&self.asks)
        )?;
        match self.idle {
            Some(idle) => write!(f, "used:{:.3}s", idle.as_secs_f64())?,
            None => f.write_str("used:never")?,
        }
        write!(f, ", actions:{}", print_actions(&self.does))
    }
}

struct Installed {
    at: At,
    kind: Kind,
    since: Instant,
}

/// The key of a place that no flow was at.
const NOBODY: Masked = Masked {
    key: Key::ZERO,
    mask: u64::MAX,
};

/// See the module's documentation.
pub struct FlowTable {
    hook: Hook,
    places: Mapped<Flow>,
    masks: Mapped<Mask>,
    config: Mapped<Config>,
    table: Table<MapData, KeyBytes, AtBytes>,
    installed: HashMap<Masked, Installed>,
    /// Numbers of masks, with how many flows have each.
    numbers: HashMap<Key, (u32, usize)>,
    /// In the order in which they are tried.
    order: Vec<u32>,
    /// The number that a new mask has, if it is not in use: those that were given up rest longest.
    next_mask: u32,
    free: Vec<u32>,
    /// In the order in which they may have to go, and when each was used last when that was looked at.
    clock: VecDeque<(At, u64)>,
    /// The flow that is, or was last, at each place.
    keys: Vec<Masked>,
    resting: VecDeque<(Instant, u32, Kind)>,
    /// What flows counted that are no more.
    gone: Totals,
    generation: u64,
    evicted: u64,
}

impl FlowTable {
    /// The table of an object that was loaded; ports and the rest stay with the caller.
    pub fn new(loaded: Loaded) -> (Self, aya::Ebpf, Mapped<megaflow::map::Port>) {
        let Loaded {
            hook,
            ebpf,
            flows,
            masks,
            config,
            ports,
            table,
        } = loaded;
        let table = Self {
            hook,
            places: flows,
            masks,
            config,
            table,
            // To grow takes long, and packets wait meanwhile.
            installed: HashMap::with_capacity(CAPACITY as usize),
            numbers: HashMap::new(),
            order: Vec::new(),
            next_mask: 0,
            free: (0..FLOWS).rev().collect(),
            clock: VecDeque::with_capacity(2 * FLOWS as usize + 1),
            keys: vec![NOBODY; FLOWS as usize],
            resting: VecDeque::new(),
            gone: Totals::default(),
            generation: 0,
            evicted: 0,
        };
        (table, ebpf, ports)
    }

    /// Flows that there are.
    pub fn len(&self) -> usize {
        self.installed.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.installed.is_empty()
    }

    /// Masks that flows have.
    pub fn masks(&self) -> usize {
        self.numbers.len()
    }

    /// Flows that had to go since the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Enters a flow, in the place of one that asks for the same. Its packets are handed over again, one a second, after
    /// `renewed`, if that is given.
    ///
    /// # Errors
    /// See [`Error`]; then nothing has changed.
    pub fn enter(
        &mut self,
        asks: &Match,
        does: &[Action],
        renewed: Option<Duration>,
    ) -> Result<At, Error> {
        self.enter_as(Kind::of(asks, does), asks, does, renewed)
    }

    /// The same, for packets of this kind.
    ///
    /// # Errors
    /// As above.
    pub fn enter_as(
        &mut self,
        kind: Kind,
        asks: &Match,
        does: &[Action],
        renewed: Option<Duration>,
    ) -> Result<At, Error> {
        let mut flow = encode(does)?;
        if self.hook == Hook::Xdp && copies(does) {
            return Err(Error::Actions("a copy of a packet at XDP"));
        }
        if let Some(after) = renewed {
            flow.interval = after.as_nanos() as u64;
            flow.renew = now().saturating_add(flow.interval);
        }
        // A place first: flows may have to go for it, and with them the number of this mask.
        let place = self.place();
        let number = match self.number(&asks.mask) {
            Ok(number) => number,
            Err(error) => {
                self.free.push(place);
                return Err(error);
            }
        };
        let key = masked(asks, number);
        self.generation += 1;
        flow.generation = self.generation;
        self.places.write(place, flow);
        let at = At {
            generation: self.generation,
            place,
            reserved: 0,
        };
        // The flow is there before anything leads to it.
        std::sync::atomic::fence(Ordering::Release);
        if let Err(error) = self.table.insert(key_bytes(&key), at_bytes(&at), 0) {
            self.places.write(place, Flow::NONE);
            self.free.push(place);
            self.release(&asks.mask, number);
            return Err(error.into());
        }
        let installed = Installed {
            at,
            kind,
            since: Instant::now(),
        };
        self.clock.push_back((at, 0));
        if let Some(last) = self.keys.get_mut(at.place as usize) {
            *last = key;
        }
        if self.clock.len() > 2 * FLOWS as usize {
            let mut clock = std::mem::take(&mut self.clock);
            clock.retain(|(at, _)| self.at(*at).is_some());
            self.clock = clock;
        }
        match self.installed.insert(key, installed) {
            Some(old) => self.retire(&old),
            None => self.take_mask(&asks.mask),
        }
        Ok(at)
    }

    /// Enters a flow that nobody will enter again: it never has to go for others.
    ///
    /// # Errors
    /// As above.
    pub fn enter_for_good(
        &mut self,
        kind: Kind,
        asks: &Match,
        does: &[Action],
    ) -> Result<(), Error> {
        self.enter_as(kind, asks, does, None)?;
        self.clock.pop_back();
        Ok(())
    }

    /// Deletes the flow that asks for this; whether there was one.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn delete(&mut self, asks: &Match) -> Result<bool, Error> {
        let Some((number, _)) = self.numbers.get(&asks.mask) else {
            return Ok(false);
        };
        let key = masked(asks, *number);
        self.delete_key(&key)
    }

    /// How long ago the flow was entered that asks for this, if there is one.
    pub fn age(&self, asks: &Match) -> Option<Duration> {
        let (number, _) = self.numbers.get(&asks.mask)?;
        let installed = self.installed.get(&masked(asks, *number))?;
        Some(installed.since.elapsed())
    }

    /// Deletes the flow that is here, if it is still the same.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn delete_at(&mut self, at: At) -> Result<(), Error> {
        match self.at(at) {
            Some(key) => self.delete_key(&key).map(|_| ()),
            None => Ok(()),
        }
    }

    /// What the flow asks for that is here, if it is still the same: the fields that count.
    pub fn key_at(&self, at: At) -> Option<Key> {
        self.at(at).map(|masked| masked.key)
    }

    /// How long no packet followed the flow that is here, if it is still the same.
    pub fn idle_at(&self, at: At) -> Option<Duration> {
        let installed = self.installed.get(&self.at(at)?)?;
        let flow = self.places.read(at.place)?;
        let used = Duration::from_nanos(now().saturating_sub(flow.used));
        Some(used.min(installed.since.elapsed()))
    }

    fn delete_key(&mut self, key: &Masked) -> Result<bool, Error> {
        let Some(old) = self.installed.remove(key) else {
            return Ok(false);
        };
        let removed = self.table.remove(&key_bytes(key));
        self.retire(&old);
        let number = key.mask as u32;
        let mask = self.mask(number);
        if let Some((_, flows)) = self.numbers.get_mut(&mask) {
            *flows -= 1;
        }
        self.release(&mask, number);
        removed?;
        Ok(true)
    }

    /// All flows, in no order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let now = now();
        self.installed.iter().filter_map(move |(key, installed)| {
            let flow = self.places.read(installed.at.place)?;
            Some(Entry {
                asks: Match {
                    key: key.key,
                    mask: self.mask(key.mask as u32),
                },
                does: decode(&flow),
                packets: flow.packets,
                bytes: flow.bytes,
                idle: (flow.packets > 0)
                    .then(|| Duration::from_nanos(now.saturating_sub(flow.used))),
            })
        })
    }

    /// Packets that followed flows, by what became of them, those of flows that are no more among them.
    pub fn totals(&self) -> Totals {
        let mut totals = self.gone;
        for (_, place, kind) in &self.resting {
            totals.add(*kind, self.packets(*place));
        }
        for installed in self.installed.values() {
            totals.add(installed.kind, self.packets(installed.at.place));
        }
        totals
    }

    /// Tries masks first that found most since this was done last.
    pub fn sort_masks(&mut self) {
        let mut found: Vec<(u64, u32)> = Vec::new();
        for number in &self.order {
            let mask = self.masks.read(*number);
            found.push((mask.map_or(0, |mask| mask.hits), *number));
        }
        found.sort_by_key(|(hits, _)| std::cmp::Reverse(*hits));
        self.order = found.into_iter().map(|(_, number)| number).collect();
        for number in &self.order {
            if let Some(mask) = self.masks.at(*number) {
                // SAFETY: in the mapping; a program that counts meanwhile may lose a packet of it.
                unsafe { (&raw mut (*mask).hits).write_volatile(0) };
            }
        }
        self.publish_order();
    }

    /// The number of a mask, which is one in use from now on.
    fn number(&mut self, mask: &Key) -> Result<u32, Error> {
        if let Some((number, _)) = self.numbers.get(mask) {
            return Ok(*number);
        }
        let number = (0..MASKS)
            .map(|after| (self.next_mask + after) % MASKS)
            .find(|number| !self.order.contains(number))
            .ok_or(Error::Masks)?;
        self.next_mask = (number + 1) % MASKS;
        self.masks.write(
            number,
            Mask {
                bits: *mask,
                hits: 0,
            },
        );
        self.numbers.insert(*mask, (number, 0));
        self.order.push(number);
        self.publish_order();
        Ok(number)
    }

    /// The bits of a mask in use.
    fn mask(&self, number: u32) -> Key {
        self.masks.read(number).map_or(Key::ZERO, |mask| mask.bits)
    }

    fn take_mask(&mut self, mask: &Key) {
        if let Some((_, flows)) = self.numbers.get_mut(mask) {
            *flows += 1;
        }
    }

    /// Gives a mask's number up if no flow has it.
    fn release(&mut self, mask: &Key, number: u32) {
        if self.numbers.get(mask).is_some_and(|(_, flows)| *flows == 0) {
            self.numbers.remove(mask);
            self.order.retain(|other| *other != number);
            self.publish_order();
        }
    }

    fn publish_order(&mut self) {
        let mut config = Config {
            masks: self.order.len() as u64,
            order: [0; MASKS as usize],
        };
        for (place, number) in config.order.iter_mut().zip(&self.order) {
            *place = *number;
        }
        self.config.write(0, config);
    }

    /// A place without a flow. Where few are left, flows go that were not used for long: one by one, before they are needed,
    /// since their places must rest.
    fn place(&mut self) -> u32 {
        while self.installed.len() >= CAPACITY as usize {
            self.evict();
        }
        loop {
            while let Some((since, place, kind)) = self.resting.front().copied() {
                if since.elapsed() < REST {
                    break;
                }
                self.gone.add(kind, self.packets(place));
                self.free.push(place);
                self.resting.pop_front();
            }
            if let Some(place) = self.free.pop() {
                return place;
            }
            std::thread::sleep(REST / 10);
        }
    }

    /// Deletes the flow that was entered first, but for those that were used since they were looked at last: a clock with a
    /// second chance for each.
    fn evict(&mut self) {
        for attempt in 0.. {
            let Some((at, seen)) = self.clock.pop_front() else {
                return;
            };
            let Some(key) = self.at(at) else {
                continue;
            };
            let used = self.places.read(at.place).map_or(0, |flow| flow.used);
            if used > seen && attempt < CHANCES {
                self.clock.push_back((at, used));
                continue;
            }
            // What the kernel does not know any more is gone as well.
            let _ = self.delete_key(&key);
            self.evicted += 1;
            return;
        }
    }

    /// The flow that is there, if it is still the same.
    fn at(&self, at: At) -> Option<Masked> {
        let key = *self.keys.get(at.place as usize)?;
        let installed = self.installed.get(&key)?;
        (installed.at == at).then_some(key)
    }

    fn packets(&self, place: u32) -> u64 {
        self.places.read(place).map_or(0, |flow| flow.packets)
    }

    fn retire(&mut self, Installed { at, kind, .. }: &Installed) {
        if let Some(flow) = self.places.at(at.place) {
            // SAFETY: a word in the mapping, which is 8 bytes aligned.
            unsafe { AtomicU64::from_ptr(&raw mut (*flow).generation) }.store(0, Ordering::Release);
        }
        self.resting.push_back((Instant::now(), at.place, *kind));
    }
}

/// Whether a packet is sent more than once.
fn copies(does: &[Action]) -> bool {
    let sends = does.iter().filter(|it| matches!(it, Action::Output(_)));
    sends.count() > 1
}

/// The key of the table for a flow whose mask has this number.
fn masked(asks: &Match, number: u32) -> Masked {
    Masked {
        key: asks.key.masked(&asks.mask),
        mask: u64::from(number),
    }
}

/// Nanoseconds by the clock of `bpf_ktime_get_coarse_ns`.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
