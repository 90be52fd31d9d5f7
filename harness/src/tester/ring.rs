//! The ring tester: generator and sinks in one thread of this process.

use super::workload::Workload;
use super::{Error, Offer, Report, Tester, Watch, add, now, summarise_all};
use ::workload::{
    Arrival, Control, Entry, Origin, Pace, ROUNDS, SMALL_WORDS, SinkConfig, SinkState, Stamp,
    WINDOW, histogram, judge,
};
use datapath_api::ring::{Buffer, TesterPort};
use mizar_wire::{Be16, ethernet, ipv4};
use netdev::{Cpu, Tid, Urgency, pin_current_thread};
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// Buffers in circulation for each port: its rings and what is in hand.
const BUFFERS: usize = 2048;
/// Frames sent or received at once.
const BURST: usize = 32;
/// From the end of a trial until nothing can be under way any more.
const DRAIN: u64 = 5_000_000;

/// A tester at the other ends of a droplet's rings.
pub struct RingTester {
    ports: Vec<TesterPort>,
    pool: Vec<Buffer>,
    entries: Vec<Entry>,
    /// Where inner frames start, by number of the port; `None` for ports that nothing must arrive at.
    inner_at: Vec<Option<u32>>,
    /// Number of the next trial's first frame.
    first: u32,
    cpu: Cpu,
}

impl RingTester {
    /// A tester of `workload` at `ports`, the uplink first, then endpoint ports in order.
    pub fn new(
        ports: Vec<TesterPort>,
        workload: &Workload,
        through_null_forward: bool,
        cpu: Cpu,
    ) -> Self {
        let mut inner_at = vec![None; ports.len()];
        for plan in &workload.sinks {
            if let Some(place) = inner_at.get_mut(usize::from(plan.number)) {
                *place = Some(if through_null_forward {
                    plan.untouched_inner_at
                } else {
                    plan.inner_at
                });
            }
        }
        let pool = (0..BUFFERS * ports.len()).map(|_| Buffer::new()).collect();
        Self {
            ports,
            pool,
            entries: workload.entries.clone(),
            inner_at,
            first: 0,
            cpu,
        }
    }
}

impl Tester for RingTester {
    fn offer(&mut self, offer: &Offer) -> Result<Report, Error> {
        let tester = &mut *self;
        // On a thread of its own, so that pinning it does not pin the program.
        let result = std::thread::scope(|scope| {
            scope
                .spawn(move || -> Result<Report, Error> {
                    pin_current_thread(tester.cpu)?;
                    // An ordinary user may not, and measures with what other work leaves.
                    let _ = Tid::current().prioritise(Urgency::Busy);
                    Trial::new(tester, offer).run()
                })
                .join()
        });
        result.map_err(|_| Error::Generator("the tester's thread panicked".to_owned()))?
    }
}

/// One trial under way.
struct Trial<'a> {
    tester: &'a mut RingTester,
    control: Control,
    pace: Pace,
    state: SinkState,
    seen: Vec<u32>,
    config: SinkConfig,
    /// As many histograms as are taken, one behind the other.
    latency: Vec<u64>,
    /// Frames on the direct path, by round.
    direct: Vec<u64>,
}

impl<'a> Trial<'a> {
    fn new(tester: &'a mut RingTester, offer: &Offer) -> Self {
        let entries = tester.entries.len() as u32;
        let nanoseconds = offer.duration.as_nanos() as u64;
        let control = Control::new(nanoseconds, offer.load.get(), entries, tester.first)
            .beginning_with(offer.first_entry);
        tester.first = control.next_first();
        let (direct_to, round) = offer.watch.direct_path();
        let config = SinkConfig {
            latency: offer.watch.histograms(),
            direct_to,
            round,
            ..SinkConfig::default()
        };
        let rounds = match offer.watch {
            Watch::DirectPath { .. } => ROUNDS as usize,
            _ => 0,
        };
        Self {
            tester,
            control,
            pace: Pace::new(&control),
            state: SinkState::default(),
            seen: vec![0; WINDOW as usize],
            config,
            latency: vec![0; config.latency as usize * histogram::BUCKETS],
            direct: vec![0; rounds],
        }
    }

    fn run(mut self) -> Result<Report, Error> {
        let before = Tid::current().cpu_time()?;
        loop {
            let over = self.pace.start + self.control.duration + DRAIN;
            if self.pace.start != 0 && now() >= over {
                break;
            }
            for _ in 0..BURST {
                if !self.pace.is_due(&self.control, now) || !self.send() {
                    break;
                }
            }
            self.receive();
        }
        let cpu = Tid::current().cpu_time()?.since(before);
        let mut arrived = SinkState::default();
        add(&mut arrived, &self.state);
        let [latency, odd_latency] = summarise_all(&self.latency);
        Ok(Report {
            intended: self.control.frames,
            offered: self.pace.next,
            arrived,
            latency,
            odd_latency,
            direct: self.direct,
            stalled: Some(cpu.waiting),
            cpu,
            effective: Duration::from_nanos(now() - self.pace.start),
        })
    }

    /// Sends the next frame; false if no buffer is free.
    #[inline(always)]
    fn send(&mut self) -> bool {
        let Some(mut buffer) = self.tester.pool.pop() else {
            return false;
        };
        let (number, index) = self.pace.advance(&self.control);
        let Some(entry) = self.tester.entries.get(index as usize) else {
            return false;
        };
        let stamp = Stamp::new(
            self.control.stamped(number),
            self.pace.due_at(&self.control, number),
        );
        if let Some(frame) = buffer.reset(usize::from(entry.len)) {
            write(frame, entry, &stamp);
        }
        let lost = match self.tester.ports.get_mut(usize::from(entry.port)) {
            // A full ring loses the frame, as a full receive queue does.
            Some(port) => port
                .tx
                .push(buffer)
                .err()
                .map(|rtrb::PushError::Full(buffer)| buffer),
            None => Some(buffer),
        };
        self.tester.pool.extend(lost);
        true
    }

    #[inline(always)]
    fn receive(&mut self) {
        for port in 0..self.tester.ports.len() {
            for _ in 0..BURST {
                let Ok(buffer) = self.tester.ports[port].rx.pop() else {
                    break;
                };
                if let Some(inner_at) = self.tester.inner_at[port] {
                    self.judge(buffer.frame(), inner_at);
                }
                self.tester.pool.push(buffer);
            }
            while let Ok(buffer) = self.tester.ports[port].freed.pop() {
                self.tester.pool.push(buffer);
            }
        }
    }

    #[inline(always)]
    fn judge(&mut self, frame: &[u8], inner_at: u32) {
        let Some((stamp, ip, ports)) = read(frame, inner_at as usize) else {
            self.state.foreign += 1;
            return;
        };
        let number = match self.control.frame_of(stamp.number.get()) {
            Origin::Trial(number) => number,
            Origin::EarlierTrial => return,
            Origin::Unknown => {
                self.state.foreign += 1;
                return;
            }
        };
        let entries = &self.tester.entries;
        let arrival = entries
            .get(self.control.entry_of(number) as usize)
            .and_then(|entry| {
                let head = entry.head.as_bytes();
                let (_, head_ip, head_ports) = read(head, usize::from(entry.inner_at))?;
                let (theirs, ours) = ((&ip, ports), (&head_ip, head_ports));
                Some(judge(entry, frame.len(), inner_at, theirs, ours))
            });
        match arrival {
            None | Some(Arrival::Foreign) => self.state.foreign += 1,
            Some(Arrival::Corrupted) => self.state.corrupted += 1,
            Some(Arrival::Intact) => self.count(number, frame, inner_at, &stamp),
        }
    }

    #[inline(always)]
    fn count(&mut self, number: u32, frame: &[u8], inner_at: u32, stamp: &Stamp) {
        let seen = &mut self.seen[(number % WINDOW) as usize];
        if !self.state.count(seen, number, frame.len()) {
            return;
        }
        if self.config.latency != 0 {
            let place = histogram::place(number, self.config.latency, stamp.age(now()));
            if let Some(count) = self.latency.get_mut(place as usize) {
                *count += 1;
            }
        }
        if self.config.direct_to != 0
            && inner_at != 0
            && let Some(behind_ethernet) = frame.get(ethernet::LEN..)
            && let Ok((outer, _)) = ipv4::Header::ref_from_prefix(behind_ethernet)
            && let Some(round) = self.config.direct_round(number, outer.dst.raw())
            && let Some(count) = self.direct.get_mut(round as usize)
        {
            *count += 1;
        }
    }
}

/// Writes headers and stamp anew; the payload behind is what was there before.
#[inline(always)]
fn write(frame: &mut [u8], entry: &Entry, stamp: &Stamp) {
    let head = entry.head.as_bytes();
    let wanted = if entry.inner_at == 0 {
        SMALL_WORDS * 8
    } else {
        head.len()
    };
    let len = wanted.min(frame.len());
    frame[..len].copy_from_slice(&head[..len]);
    let inner = usize::from(entry.inner_at);
    let at = inner + usize::from(entry.stamp_at);
    if let Some(place) = frame.get_mut(at..at + size_of::<Stamp>()) {
        place.copy_from_slice(stamp.as_bytes());
    }
    let at = inner + usize::from(entry.checksum_at);
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(stamp.checksum(entry).as_bytes());
    }
}

/// Stamp, inner IPv4 header and ports of a frame of the workload.
#[inline(always)]
fn read(frame: &[u8], inner_at: usize) -> Option<(Stamp, ipv4::Header, u32)> {
    let behind_ethernet = frame.get(inner_at + ethernet::LEN..)?;
    let (ip, transport) = ipv4::Header::read_from_prefix(behind_ethernet).ok()?;
    let (ports, _) = <[Be16; 2]>::read_from_prefix(transport).ok()?;
    let stamp_at = if ip.protocol == ipv4::UDP { 8 } else { 4 };
    let (stamp, _) = Stamp::read_from_prefix(transport.get(stamp_at..)?).ok()?;
    Some((
        stamp,
        ip,
        u32::from(ports[0].raw()) | u32::from(ports[1].raw()) << 16,
    ))
}
