//! A tester that polls, over DPDK's devices.

use crate::device::{Burst, Pool, Port, await_all, open_all};
use crate::eal::Environment;
use crate::orders::Inbox;
use anyhow::{Context, anyhow};
use dpdk_protocol::{Answer, Request, Start, Test};
use mizar_droplet::Buffer;
use polling_tester::{PollingTester, Ports};
use workload::Entry;
use zerocopy::FromBytes;

/// Carries out orders until the other side ends.
pub fn run(start: &Start, test: &Test, inbox: &Inbox) -> anyhow::Result<()> {
    let entries = entries(test)?;
    let _environment = Environment::start(start)?;
    let mut devices = Devices {
        ports: open_all(&start.devices, Pool::new(c"received")?)?,
        incoming: Burst::EMPTY,
        // What a tester has sent comes back unchanged to this pool, so that payloads stay zero, as checksums say.
        pool: Pool::new(c"sent")?,
        spare: Burst::EMPTY,
    };
    await_all(&start.devices);
    let mut tester = PollingTester::new(entries, test.inner_at.clone());
    inbox.started()?;
    while let Some(order) = inbox.wait() {
        let answer = match &order.request {
            Request::Offer(offer) => match tester.run(&mut devices, offer) {
                Ok(outcome) => Answer::Tested(Box::new(outcome)),
                Err(error) => Answer::Failed(error.to_string()),
            },
            other => Answer::Failed(format!("a tester cannot answer {other:?}")),
        };
        // Who asked may be gone.
        let _ = order.answer.send(answer);
    }
    Ok(())
}

fn entries(test: &Test) -> anyhow::Result<Vec<Entry>> {
    let path = test.entries.display();
    let bytes = std::fs::read(&test.entries).with_context(|| format!("reading {path}"))?;
    bytes
        .chunks(size_of::<Entry>())
        .map(|bytes| {
            Entry::read_from_bytes(bytes).map_err(|_| anyhow!("{path} ends within an entry"))
        })
        .collect()
}

/// The tester's devices.
struct Devices {
    // Frames go back to their pools before those end with the environment.
    spare: Burst,
    /// What came last: here, so that it is not made anew for every look.
    incoming: Burst,
    ports: Vec<Port>,
    pool: Pool,
}

impl Ports for Devices {
    #[inline(always)]
    fn send(&mut self, port: usize, len: usize, write: impl FnOnce(&mut [u8])) -> bool {
        if self.spare.len() == 0 && !self.pool.fill(&mut self.spare) {
            return false;
        }
        let (Some(mut frame), Some(port)) = (self.spare.pop(), self.ports.get_mut(port)) else {
            return false;
        };
        let Some(bytes) = frame.reset(len) else {
            return false;
        };
        write(bytes);
        if let Some(frame) = port.outgoing.offer(frame) {
            port.flush();
            port.outgoing.push(frame);
        }
        true
    }

    #[inline(always)]
    fn flush(&mut self) {
        for port in &mut self.ports {
            port.flush();
        }
    }

    #[inline(always)]
    fn receive(&mut self, port: usize, mut take: impl FnMut(&[u8])) {
        let Some(port) = self.ports.get_mut(port) else {
            return;
        };
        port.receive(&mut self.incoming);
        self.incoming.prefetch();
        while let Some(mut frame) = self.incoming.pop() {
            if frame.is_whole() {
                take(frame.frame_mut());
            }
        }
    }
}
