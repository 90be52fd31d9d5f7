//! Devices, and bursts of frames from and to them.

use crate::eal;
use crate::mbuf::{self, Mbuf};
use crate::vhost::Ahead;
use anyhow::{Context, ensure};
use capsule_ffi as ffi;
use dpdk_protocol::Device;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::time::{Duration, Instant};

/// Frames that a burst holds.
pub const BURST: usize = 32;

/// How often is looked whether the other sides of ports are there.
const LOOK: Duration = Duration::from_millis(2);
/// How long it is waited for a socket; behind it the driver tries again by itself.
const SOCKET: Duration = Duration::from_secs(1);

/// Memory for frames.
#[derive(Clone, Copy)]
pub struct Pool(NonNull<ffi::rte_mempool>);

impl Pool {
    /// Makes one; it lives as long as the environment.
    pub fn new(name: &CStr) -> anyhow::Result<Self> {
        // SAFETY: a valid name; the environment was started.
        let pool = unsafe {
            ffi::rte_pktmbuf_pool_create(
                name.as_ptr(),
                eal::FRAMES,
                eal::CACHE,
                0,
                ffi::RTE_MBUF_DEFAULT_BUF_SIZE as u16,
                -1,
            )
        };
        NonNull::new(pool)
            .map(Self)
            .with_context(|| format!("making memory for frames: {}", eal::last_error()))
    }

    /// Fills an empty burst with empty frames; false if there are not as many.
    #[inline(always)]
    pub fn fill(self, burst: &mut Burst) -> bool {
        // SAFETY: a pool, and room for as many as are asked for.
        let result = unsafe {
            ffi::_rte_pktmbuf_alloc_bulk(self.0.as_ptr(), burst.frames.as_mut_ptr(), BURST as u32)
        };
        // It hands out all or none.
        (burst.next, burst.count) = (0, if result == 0 { BURST } else { 0 });
        result == 0
    }
}

/// Frames in a row, in the form in which a device takes and gives them; those before `next` were taken out.
pub struct Burst {
    frames: [*mut ffi::rte_mbuf; BURST],
    next: usize,
    count: usize,
}

impl Burst {
    pub const EMPTY: Self = Self {
        frames: [null_mut(); BURST],
        next: 0,
        count: 0,
    };

    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.count - self.next
    }

    /// Gives back what is in it.
    #[inline(always)]
    pub fn clear(&mut self) {
        while let Some(frame) = self.pop() {
            drop(frame);
        }
        (self.next, self.count) = (0, 0);
    }

    /// Asks for the first bytes of all of them to be brought near.
    #[inline(always)]
    pub fn prefetch(&self) {
        for raw in &self.frames[self.next..self.count] {
            // SAFETY: a device handed it over, and it is looked at alone.
            NonNull::new(*raw).inspect(|raw| mbuf::prefetch(unsafe { raw.as_ref() }));
        }
    }

    /// Takes the first one out.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Mbuf> {
        let raw = *self.frames[..self.count].get(self.next)?;
        self.next += 1;
        // SAFETY: a device handed it over, and it is taken out once.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::new(raw) })
    }

    /// Adds one, or hands it back if there is no room.
    #[inline(always)]
    pub fn offer(&mut self, frame: Mbuf) -> Option<Mbuf> {
        match self.frames.get_mut(self.count) {
            Some(place) => {
                *place = frame.into_raw();
                self.count += 1;
                None
            }
            None => Some(frame),
        }
    }

    /// Adds one; if there is no room it is given back to its pool, which does not happen as long as a burst is sent
    /// before the next one is received.
    #[inline(always)]
    pub fn push(&mut self, frame: Mbuf) {
        drop(self.offer(frame));
    }
}

impl Drop for Burst {
    #[inline(always)]
    fn drop(&mut self) {
        self.clear();
    }
}

/// A device with one queue each way. Dropping it stops it.
pub struct Port {
    number: u16,
    pub outgoing: Burst,
    /// The socket of a vhost-user port.
    socket: Option<String>,
    ahead: Option<Ahead>,
}

impl Port {
    /// Sets a device up and starts it.
    fn open(device: &Device, pool: Pool) -> anyhow::Result<Self> {
        await_socket(device);
        let name = &device.name;
        let doing = |what: &str| format!("{what} {name}");
        let check = |what: &str, result: i32| {
            ensure!(result >= 0, "{}: {}", doing(what), eal::described(result));
            Ok(())
        };
        let number = number(name)?;
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
                ffi::rte_eth_rx_queue_setup(number, 0, queue.0, 0, null(), pool.0.as_ptr()),
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
            socket: device.vhost_socket().map(str::to_owned),
            ahead: None,
        })
    }

    /// To be called when its other side is there.
    pub fn look_ahead(&mut self) {
        self.ahead = self.socket.as_deref().and_then(Ahead::of);
    }

    /// Fills a burst with what came, instead of what was in it.
    #[inline(always)]
    pub fn receive(&mut self, burst: &mut Burst) {
        burst.clear();
        if let Some(ahead) = &mut self.ahead {
            ahead.receive();
        }
        // SAFETY: a device that was started, and room for as many as are asked for.
        let count = unsafe {
            ffi::_rte_eth_rx_burst(self.number, 0, burst.frames.as_mut_ptr(), BURST as u16)
        };
        burst.count = usize::from(count);
        if let Some(ahead) = &mut self.ahead {
            ahead.received(burst.count);
        }
    }

    /// Sends what is to go out; how many frames the device did not take.
    #[inline(always)]
    pub fn flush(&mut self) -> u64 {
        if self.outgoing.count == 0 {
            return 0;
        }
        send(self.number, self.ahead.as_mut(), &mut self.outgoing)
    }

    /// Sends what is left in a burst, and empties it; how many frames the device did not take. They are given back.
    #[inline(always)]
    pub fn send(&mut self, burst: &mut Burst) -> u64 {
        send(self.number, self.ahead.as_mut(), burst)
    }
}

#[inline(always)]
fn send(number: u16, mut ahead: Option<&mut Ahead>, burst: &mut Burst) -> u64 {
    let frames = &mut burst.frames[burst.next..burst.count];
    let count = frames.len();
    if let Some(ahead) = &mut ahead {
        ahead.send(count);
    }
    // SAFETY: a device that was started, and as many frames as are told, which nobody else has.
    let sent = unsafe { ffi::_rte_eth_tx_burst(number, 0, frames.as_mut_ptr(), count as u16) };
    let sent = usize::from(sent);
    if let Some(ahead) = ahead {
        ahead.sent(sent);
    }
    // The device has those.
    burst.next += sent;
    burst.clear();
    (count - sent) as u64
}

/// DPDK's number of a device.
fn number(name: &str) -> anyhow::Result<u16> {
    let device = CString::new(name).context("a device's name has a zero byte")?;
    let mut number = 0;
    // SAFETY: pointers to what lives through the call.
    let found = unsafe { ffi::rte_eth_dev_get_port_by_name(device.as_ptr(), &raw mut number) };
    ensure!(found >= 0, "finding {name}: {}", eal::described(found));
    Ok(number)
}

/// Whether the other side of a device is there, as far as its driver knows.
fn is_up(number: u16) -> bool {
    let mut link = ffi::rte_eth_link::default();
    // SAFETY: a place for the result.
    let result = unsafe { ffi::rte_eth_link_get_nowait(number, &raw mut link) };
    result >= 0 && u32::from(link.link_status()) == ffi::RTE_ETH_LINK_UP
}

/// Waits a while for the socket of a vhost-user port. A driver that connects before its other side listens tries again only after
/// a second (`vhost_user_client_reconnect` of lib/vhost/socket.c), which what comes and goes with each measurement would
/// lose each time. The other side makes one socket after the other, each when the one before is connected.
pub fn await_socket(device: &Device) {
    let Some(socket) = device.vhost_socket().map(Path::new) else {
        return;
    };
    let began = Instant::now();
    while !socket.exists() && began.elapsed() < SOCKET {
        std::thread::sleep(LOOK);
    }
}

/// Sets all of these devices up and starts them, in their order.
pub fn open_all(devices: &[Device], pool: Pool) -> anyhow::Result<Vec<Port>> {
    devices
        .iter()
        .map(|device| Port::open(device, pool))
        .collect()
}

/// Whether the other sides of all of these devices are there.
pub fn all_up(devices: &[Device]) -> bool {
    devices
        .iter()
        .all(|device| number(&device.name).is_ok_and(is_up))
}

/// Waits until they are.
pub fn await_all(devices: &[Device]) {
    while !all_up(devices) {
        std::thread::sleep(LOOK);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.outgoing.clear();
        // SAFETY: a device that was started; it takes no frames any more.
        unsafe {
            ffi::rte_eth_dev_stop(self.number);
            ffi::rte_eth_dev_close(self.number);
        }
    }
}
