//! The ring tester: generator and sinks in one thread of this process.

use super::workload::Workload;
use super::{Error, Offer, Report, Tester};
use datapath_api::ring::{Buffer, TesterPort};
use netdev::{Cpu, Tid, Urgency, pin_current_thread};
use polling_tester::{PollingTester, Ports};

/// Buffers in circulation for each port: its rings and what is in hand.
const BUFFERS: usize = 2048;
/// Frames received at once.
const BURST: usize = 32;

/// A tester at the other ends of a droplet's rings.
pub struct RingTester {
    rings: Rings,
    tester: PollingTester,
    cpu: Cpu,
}

/// The tester's ends of rings, and buffers for them.
struct Rings {
    ports: Vec<TesterPort>,
    pool: Vec<Buffer>,
}

impl RingTester {
    /// A tester of `workload` at `ports`, the uplink first, then endpoint ports in order.
    pub fn new(
        ports: Vec<TesterPort>,
        workload: &Workload,
        through_null_forward: bool,
        cpu: Cpu,
    ) -> Self {
        let inner_at = workload.inner_at(ports.len(), through_null_forward);
        let pool = (0..BUFFERS * ports.len()).map(|_| Buffer::new()).collect();
        Self {
            rings: Rings { ports, pool },
            tester: PollingTester::new(workload.entries.clone(), inner_at),
            cpu,
        }
    }
}

impl Tester for RingTester {
    fn offer(&mut self, offer: &Offer) -> Result<Report, Error> {
        let (rings, tester, cpu) = (&mut self.rings, &mut self.tester, self.cpu);
        // On a thread of its own, so that pinning it does not pin the program.
        let result = std::thread::scope(|scope| {
            scope
                .spawn(move || -> Result<Report, Error> {
                    pin_current_thread(cpu)?;
                    // An ordinary user may not, and measures with what other work leaves.
                    let _ = Tid::current().prioritise(Urgency::Busy);
                    Ok(tester.run(rings, &offer.order())?.into())
                })
                .join()
        });
        result.map_err(|_| Error::Generator("the tester's thread panicked".to_owned()))?
    }
}

impl Ports for Rings {
    #[inline(always)]
    fn send(&mut self, port: usize, len: usize, write: impl FnOnce(&mut [u8])) -> bool {
        let Some(mut buffer) = self.pool.pop() else {
            return false;
        };
        if let Some(frame) = buffer.reset(len) {
            write(frame);
        }
        let lost = match self.ports.get_mut(port) {
            Some(port) => port
                .tx
                .push(buffer)
                .err()
                .map(|rtrb::PushError::Full(buffer)| buffer),
            None => Some(buffer),
        };
        self.pool.extend(lost);
        true
    }

    /// Nothing is held back.
    #[inline(always)]
    fn flush(&mut self) {}

    #[inline(always)]
    fn receive(&mut self, port: usize, mut take: impl FnMut(&[u8])) {
        let Some(port) = self.ports.get_mut(port) else {
            return;
        };
        for _ in 0..BURST {
            let Ok(buffer) = port.rx.pop() else {
                break;
            };
            take(buffer.frame());
            self.pool.push(buffer);
        }
        while let Ok(buffer) = port.freed.pop() {
            self.pool.push(buffer);
        }
    }
}
