//! The loop of a trial.

use crate::frame::{read, write};
use crate::{DRAIN, Outcome, PollingTester, Ports, Watch, now, occupied};
use mizar_wire::{ethernet, ipv4};
use netdev::Tid;
use workload::{
    Arrival, Control, Entry, GENEVE_AT, Origin, Pace, SinkConfig, SinkState, Stamp, WINDOW,
    histogram, inner_behind, judge,
};
use zerocopy::{FromBytes, IntoBytes};

/// Frames sent between two looks at what came.
const BURST: usize = 32;

/// One trial under way.
pub struct Trial<'a> {
    entries: &'a [Entry],
    inner_at: &'a [Option<u32>],
    control: Control,
    pace: Pace,
    sink: Sink,
}

/// What came back so far.
struct Sink {
    state: SinkState,
    seen: Vec<u32>,
    config: SinkConfig,
    /// As many histograms as are taken, one behind the other.
    latency: Vec<u64>,
    /// Frames on the direct path, by round.
    direct: Vec<u64>,
}

impl<'a> Trial<'a> {
    pub fn new(tester: &'a PollingTester, control: Control, watch: Watch) -> Self {
        let (direct_to, round) = watch.direct_path();
        let config = SinkConfig {
            latency: watch.histograms(),
            direct_to,
            round,
            ..SinkConfig::default()
        };
        Self {
            entries: &tester.entries,
            inner_at: &tester.inner_at,
            control,
            pace: Pace::new(&control),
            sink: Sink {
                state: SinkState::default(),
                seen: vec![0; WINDOW as usize],
                config,
                latency: vec![0; config.latency as usize * histogram::BUCKETS],
                direct: vec![0; watch.rounds() as usize],
            },
        }
    }

    pub fn run(mut self, ports: &mut impl Ports) -> Result<Outcome, netdev::Error> {
        let before = Tid::current().cpu_time()?;
        loop {
            let over = self.pace.start + self.control.duration + DRAIN.as_nanos() as u64;
            if self.pace.start != 0 && now() >= over {
                break;
            }
            for _ in 0..BURST {
                if !self.pace.is_due(&self.control, now) || !self.send(ports) {
                    break;
                }
            }
            ports.flush();
            self.receive(ports);
        }
        let cpu = Tid::current().cpu_time()?.since(before);
        let histograms = self.sink.latency.chunks(histogram::BUCKETS);
        Ok(Outcome {
            intended: self.control.frames,
            offered: self.pace.next,
            arrived: self.sink.state,
            latency: histograms.map(occupied).collect(),
            direct: self.sink.direct,
            running: cpu.running.as_nanos() as u64,
            waiting: cpu.waiting.as_nanos() as u64,
            effective: now() - self.pace.start,
        })
    }

    /// Sends the next frame; false if no buffer is free.
    #[inline(always)]
    fn send(&mut self, ports: &mut impl Ports) -> bool {
        let Some(entry) = self.entries.get(self.pace.entry as usize) else {
            return false;
        };
        let number = self.pace.next;
        let stamp = Stamp::new(
            self.control.stamped(number),
            self.pace.due_at(&self.control, number),
        );
        let port = usize::from(entry.port);
        let is_sent = ports.send(port, usize::from(entry.len), |frame| {
            write(frame, entry, &stamp);
        });
        if is_sent {
            self.pace.advance(&self.control);
        }
        is_sent
    }

    #[inline(always)]
    fn receive(&mut self, ports: &mut impl Ports) {
        let (control, entries, sink) = (&self.control, self.entries, &mut self.sink);
        for (port, inner_at) in self.inner_at.iter().enumerate() {
            match *inner_at {
                Some(inner_at) => ports.receive(port, |frame| {
                    let inner_at = arrived_at(frame, inner_at);
                    sink.judge(control, entries, frame, inner_at);
                }),
                None => ports.receive(port, |_| {}),
            }
        }
    }
}

/// Where the inner frame starts in one that arrived where it should be at `inner_at`: earlier behind the short header.
#[inline(always)]
fn arrived_at(frame: &[u8], inner_at: u32) -> u32 {
    match frame.get(GENEVE_AT) {
        Some(first) if inner_at != 0 => inner_behind(*first) as u32,
        _ => inner_at,
    }
}

impl Sink {
    #[inline(always)]
    fn judge(&mut self, control: &Control, entries: &[Entry], frame: &[u8], inner_at: u32) {
        let Some((stamp, ip, ports)) = read(frame, inner_at as usize) else {
            self.state.foreign += 1;
            return;
        };
        let number = match control.frame_of(stamp.number.get()) {
            Origin::Trial(number) => number,
            Origin::EarlierTrial => return,
            Origin::Unknown => {
                self.state.foreign += 1;
                return;
            }
        };
        let arrival = entries
            .get(control.entry_of(number) as usize)
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
        // Only frames that leave by the uplink have outer headers.
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
