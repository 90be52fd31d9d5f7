//! A device with a known law, to try testers on.

use crate::device::{Burst, Pool, all_up, open_all};
use crate::eal::Environment;
use crate::mbuf::Mbuf;
use crate::orders::{Inbox, Next};
use crate::work::{Place, places};
use dpdk_protocol::{Answer, Counted, Request, Simulated, Start};
use polling_tester::now;
use std::collections::VecDeque;

/// A frame that is held: until when, and by which device it leaves.
type Held = (u64, Place, Mbuf);

/// Follows the law until the other side ends.
pub fn run(start: &Start, law: &Simulated, inbox: &Inbox) -> anyhow::Result<()> {
    let to = places(&start.devices, &law.paths)?;
    let _environment = Environment::start(start)?;
    let mut ports = open_all(&start.devices, Pool::new(c"frames")?)?;
    let mut is_started = false;
    let mut handled = 0;
    // Each is in the order of time.
    let mut held: [VecDeque<Held>; 2] = Default::default();
    let mut burst = Burst::EMPTY;
    loop {
        if !is_started && all_up(&start.devices) {
            inbox.started()?;
            is_started = true;
        }
        match inbox.next() {
            Next::GoOn => {}
            // Who asked may be gone.
            Next::Answer(order) => {
                let _ = order.answer.send(answer(&order.request, handled));
            }
            Next::End => return Ok(()),
        }
        for (port, to) in ports.iter_mut().zip(&to) {
            port.receive(&mut burst);
            while let Some(frame) = burst.pop() {
                let number = handled;
                handled += 1;
                let is_dropped =
                    law.drop_last_of > 0 && number % law.drop_last_of == law.drop_last_of - 1;
                if let (false, Some(to)) = (is_dropped, to) {
                    let parity = (number % 2) as usize;
                    held[parity].push_back((now() + law.hold[parity], *to, frame));
                }
            }
        }
        for held in &mut held {
            while let Some((_, to, frame)) = held.pop_front_if(|(until, ..)| now() >= *until) {
                ports[to].outgoing.push(frame);
                ports[to].flush();
            }
        }
    }
}

fn answer(request: &Request, handled: u64) -> Answer {
    match request {
        Request::Count => Answer::Counted(Box::new(Counted {
            handled,
            ..Counted::default()
        })),
        other => Answer::Failed(format!("a simulated device cannot answer {other:?}")),
    }
}
