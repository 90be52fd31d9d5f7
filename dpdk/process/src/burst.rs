//! Receive, decide, send: a burst at a time, each port in its turn, to completion.

use crate::eal::{self, Environment, cycles};
use crate::mbuf::{self, Mbuf};
use crate::orders::{Inbox, Next};
use crate::work::{Forwarder, Tally};
use anyhow::{Context, ensure};
use capsule_ffi as ffi;
use dpdk_protocol::Start;
use std::ffi::CString;
use std::ptr::{NonNull, null, null_mut};

/// Frames taken from a port before the next one has its turn.
const BURST: usize = 32;
/// Rounds between two looks at what is asked.
const ROUNDS: u32 = 256;

/// Forwards until the other side ends.
pub fn run(start: &Start, inbox: &Inbox) -> anyhow::Result<()> {
    let mut forwarder = Forwarder::new(start)?;
    let _environment = Environment::start(start)?;
    let pool = pool()?;
    let mut ports = start
        .devices
        .iter()
        .map(|device| Port::open(&device.name, pool))
        .collect::<anyhow::Result<Vec<_>>>()?;
    inbox.started()?;
    let mut tally = Tally::default();
    let mut unsent = 0;
    let mut then = cycles();
    loop {
        match inbox.next() {
            Next::GoOn => {}
            // Who asked may be gone.
            Next::Answer(order) => {
                let _ = order.answer.send(forwarder.answer(&order.request, tally));
            }
            Next::End => return Ok(()),
        }
        for _ in 0..ROUNDS {
            let handled = round(&mut ports, &mut forwarder, &mut unsent);
            let now = cycles();
            let counter = if handled > 0 {
                &mut tally.busy_cycles
            } else {
                &mut tally.idle_cycles
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
fn round(ports: &mut [Port], forwarder: &mut Forwarder, unsent: &mut u64) -> u64 {
    let mut handled = 0;
    for from in 0..ports.len() {
        let mut burst = Burst::EMPTY;
        ports[from].receive(&mut burst);
        if burst.count == 0 {
            continue;
        }
        handled += burst.count as u64;
        if let Some(to) = forwarder.passes_all_on(from) {
            *unsent += ports[to].send(&mut burst);
            continue;
        }
        burst.prefetch();
        while let Some(mut frame) = burst.pop() {
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

/// Memory for frames.
fn pool() -> anyhow::Result<NonNull<ffi::rte_mempool>> {
    // SAFETY: a valid name; the environment was started.
    let pool = unsafe {
        ffi::rte_pktmbuf_pool_create(
            c"frames".as_ptr(),
            eal::FRAMES,
            eal::CACHE,
            0,
            ffi::RTE_MBUF_DEFAULT_BUF_SIZE as u16,
            -1,
        )
    };
    NonNull::new(pool).with_context(|| format!("making memory for frames: {}", eal::last_error()))
}

/// Frames in a row, in the form in which a device takes and gives them; those before `next` were taken out.
struct Burst {
    frames: [*mut ffi::rte_mbuf; BURST],
    next: usize,
    count: usize,
}

impl Burst {
    const EMPTY: Self = Self {
        frames: [null_mut(); BURST],
        next: 0,
        count: 0,
    };

    /// Asks for the first bytes of all of them to be brought near.
    #[inline(always)]
    fn prefetch(&self) {
        for raw in &self.frames[..self.count] {
            // SAFETY: a device handed it over, and it is looked at alone.
            NonNull::new(*raw).inspect(|raw| mbuf::prefetch(unsafe { raw.as_ref() }));
        }
    }

    /// Takes the first one out.
    #[inline(always)]
    fn pop(&mut self) -> Option<Mbuf> {
        let raw = *self.frames[..self.count].get(self.next)?;
        self.next += 1;
        // SAFETY: a device handed it over, and it is taken out once.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::new(raw) })
    }

    /// Adds one; if there is no room it is given back to its pool, which does not happen as long as a burst is sent
    /// before the next one is received.
    #[inline(always)]
    fn push(&mut self, frame: Mbuf) {
        if let Some(place) = self.frames.get_mut(self.count) {
            *place = frame.into_raw();
            self.count += 1;
        }
    }
}

impl Drop for Burst {
    #[inline(always)]
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            drop(frame);
        }
    }
}

/// A device with one queue each way. Dropping it stops it.
struct Port {
    number: u16,
    outgoing: Burst,
}

impl Port {
    /// Sets a device up and starts it.
    fn open(name: &str, pool: NonNull<ffi::rte_mempool>) -> anyhow::Result<Self> {
        let doing = |what: &str| format!("{what} {name}");
        let check = |what: &str, result: i32| {
            ensure!(result >= 0, "{}: {}", doing(what), eal::described(result));
            Ok(())
        };
        let device = CString::new(name).context("a device's name has a zero byte")?;
        let mut number = 0;
        // SAFETY: pointers to what lives through the call.
        let found = unsafe { ffi::rte_eth_dev_get_port_by_name(device.as_ptr(), &raw mut number) };
        check("finding", found)?;
        let mut queue = (eal::QUEUE, eal::QUEUE);
        let configuration = ffi::rte_eth_conf::default();
        // SAFETY: a device that was found, with pointers to what lives through the calls; the pool lives as long as
        // the environment.
        unsafe {
            check(
                "configuring",
                ffi::rte_eth_dev_configure(number, 1, 1, &raw const configuration),
            )?;
            let (receive, send) = (&raw mut queue.0, &raw mut queue.1);
            check(
                "sizing the queues of",
                ffi::rte_eth_dev_adjust_nb_rx_tx_desc(number, receive, send),
            )?;
            check(
                "setting up reception by",
                ffi::rte_eth_rx_queue_setup(number, 0, queue.0, 0, null(), pool.as_ptr()),
            )?;
            check(
                "setting up sending by",
                ffi::rte_eth_tx_queue_setup(number, 0, queue.1, 0, null()),
            )?;
            check("starting", ffi::rte_eth_dev_start(number))?;
            // A device that takes every frame anyway may not know the request.
            ffi::rte_eth_promiscuous_enable(number);
        }
        Ok(Self {
            number,
            outgoing: Burst::EMPTY,
        })
    }

    /// Fills an empty burst with what came.
    #[inline(always)]
    fn receive(&self, burst: &mut Burst) {
        // SAFETY: a device that was started, and room for as many as are asked for.
        let count = unsafe {
            ffi::_rte_eth_rx_burst(self.number, 0, burst.frames.as_mut_ptr(), BURST as u16)
        };
        burst.count = usize::from(count);
    }

    /// Sends what is to go out; how many frames the device did not take.
    #[inline(always)]
    fn flush(&mut self) -> u64 {
        if self.outgoing.count == 0 {
            return 0;
        }
        let mut burst = std::mem::replace(&mut self.outgoing, Burst::EMPTY);
        self.send(&mut burst)
    }

    /// Sends a burst of which nothing was taken out; how many frames the device did not take. They are given back.
    #[inline(always)]
    fn send(&self, burst: &mut Burst) -> u64 {
        let count = burst.count as u16;
        // SAFETY: a device that was started, and as many frames as are told, which nobody else has.
        let sent =
            unsafe { ffi::_rte_eth_tx_burst(self.number, 0, burst.frames.as_mut_ptr(), count) };
        // The device has those.
        burst.next = usize::from(sent);
        u64::from(count - sent)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.outgoing = Burst::EMPTY;
        // SAFETY: a device that was started; it takes no frames any more.
        unsafe {
            ffi::rte_eth_dev_stop(self.number);
            ffi::rte_eth_dev_close(self.number);
        }
    }
}
