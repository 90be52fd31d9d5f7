//! Receive, decide, send: a burst at a time, each port in its turn, to completion.

use crate::device::{Burst, Pool, Port, all_up, open_all};
use crate::eal::{Environment, cycles};
use crate::orders::{Inbox, Next};
use crate::work::{Forwarder, Tally};
use dpdk_protocol::Start;

/// Rounds between two looks at what is asked.
const ROUNDS: u32 = 256;

/// Forwards until the other side ends.
pub fn run(start: &Start, inbox: &Inbox) -> anyhow::Result<()> {
    let mut forwarder = Forwarder::new(start)?;
    let _environment = Environment::start(start)?;
    let mut ports = open_all(&start.devices, Pool::new(c"frames")?)?;
    let mut burst = Burst::EMPTY;
    let mut is_started = false;
    let mut tally = Tally::default();
    let mut unsent = 0;
    let mut then = cycles();
    loop {
        if !is_started && all_up(&start.devices) {
            inbox.started()?;
            is_started = true;
            ports.iter_mut().for_each(Port::look_ahead);
        }
        match inbox.next() {
            Next::GoOn => {}
            // Who asked may be gone.
            Next::Answer(order) => {
                let _ = order.answer.send(forwarder.answer(&order.request, tally));
            }
            Next::End => return Ok(()),
        }
        for _ in 0..ROUNDS {
            let handled = round(&mut ports, &mut burst, &mut forwarder, &mut unsent);
            let now = cycles();
            let counter = if handled > 0 {
                &mut tally.cycles.busy
            } else {
                &mut tally.cycles.idle
            };
            *counter += now.saturating_sub(then);
            then = now;
            tally.handled += handled;
            tally.unsent = Some(unsent);
        }
    }
}

/// Each port once; how many frames there were.
#[inline(always)]
fn round(
    ports: &mut [Port],
    burst: &mut Burst,
    forwarder: &mut Forwarder,
    unsent: &mut u64,
) -> u64 {
    let mut handled = 0;
    for from in 0..ports.len() {
        ports[from].receive(burst);
        if burst.len() == 0 {
            continue;
        }
        handled += burst.len() as u64;
        if let Some(to) = forwarder.passes_all_on(from) {
            *unsent += ports[to].send(burst);
            continue;
        }
        burst.prefetch();
        while let Some(mut frame) = burst.pop() {
            // Longer than a buffer, which no frame is that fits an underlay here; whoever sent it sees that it is lost.
            if !frame.is_whole() {
                continue;
            }
            if let Some(port) = forwarder
                .decide(from, &mut frame)
                .and_then(|to| ports.get_mut(to))
            {
                port.outgoing.push(frame);
            }
        }
        for port in &mut *ports {
            *unsent += port.flush();
        }
    }
    handled
}
