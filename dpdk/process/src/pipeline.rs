//! The same with the runtime and pipelines of `capsule`: one pipeline for each port, all on one core.
//!
//! Its buffers do not let go of their headroom: to put headers in front, it moves the frame. That is part of what this
//! engine costs. What a full port does not take it drops without a word. Of a frame that is longer than a buffer it shows
//! the first part alone; none is that fits an underlay here.

use crate::device::{all_up, await_socket};
use crate::eal;
use crate::orders::{Inbox, Next};
use crate::work::{Forwarder, Place, Tally};
use anyhow::{Context, anyhow};
use capsule::batch::{Batch, Either, PacketRx, PacketTx, Poll};
use capsule::{Mbuf, PortQueue, Runtime};
use dpdk_protocol::{Device, Start};
use mizar_droplet::Buffer;
use serde_json::json;
use std::cell::RefCell;
use std::collections::HashMap;

/// What the pipelines of the one core share.
struct Shared {
    forwarder: Forwarder,
    /// In the order of devices.
    ports: Vec<PortQueue>,
    /// Where the frames of the batch under way go, in order.
    destinations: Vec<Place>,
    tally: Tally,
    /// Frames of the batch that came last, until it is known to be through.
    under_way: u64,
    /// Frames since all pipelines had their turn.
    in_round: u64,
    /// When that was.
    then: u64,
    inbox: Inbox,
    devices: Vec<Device>,
    is_started: bool,
}

impl Shared {
    /// What was under way is through: a pipeline does all about its batch before another runs.
    fn settle(&mut self) {
        let frames = std::mem::take(&mut self.under_way);
        self.tally.handled += frames;
        self.in_round += frames;
    }

    /// All pipelines had their turn; looking whether there are frames is part of what a frame costs by any of them.
    fn end_round(&mut self) {
        self.settle();
        let now = eal::cycles();
        let spent = now.saturating_sub(self.then);
        self.then = now;
        if std::mem::take(&mut self.in_round) > 0 {
            self.tally.cycles.busy += spent;
        } else {
            self.tally.cycles.idle += spent;
        }
    }
}

thread_local! {
    static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Lets `act` look at what is shared, if it is there.
fn with<R>(act: impl FnOnce(&mut Shared) -> R) -> Option<R> {
    SHARED.with(|shared| shared.borrow_mut().as_mut().map(act))
}

/// Forwards until the other side ends.
pub fn run(start: &Start, inbox: Inbox) -> anyhow::Result<()> {
    let forwarder = Forwarder::new(start)?;
    // The runtime opens all at once, so that the others have to be tried again.
    start.devices.iter().take(1).for_each(await_socket);
    let failed = |error: anyhow::Error| anyhow!("capsule's runtime: {error:#}");
    let mut runtime = Runtime::build(configuration(start)?).map_err(failed)?;
    // Pipelines of the core that the runtime starts on run on its first thread, this one.
    SHARED.set(Some(Shared {
        forwarder,
        ports: Vec::new(),
        destinations: Vec::new(),
        tally: Tally {
            unsent: None,
            ..Tally::default()
        },
        under_way: 0,
        in_round: 0,
        then: eal::cycles(),
        inbox,
        devices: start.devices.clone(),
        is_started: false,
    }));
    let count = start.devices.len();
    for place in 0..count {
        runtime
            .add_pipeline_to_core(start.cpu, move |queues: HashMap<String, PortQueue>| {
                let queue = queues.get(&name(place)).cloned();
                with(|shared| {
                    let queues = (0..count).filter_map(|place| queues.get(&name(place)));
                    shared.ports = queues.cloned().collect();
                });
                Poll::new(Source(queue))
                    .filter_map(move |frame| Ok(decide(place, frame)))
                    .send(Router)
            })
            .map_err(failed)?;
    }
    runtime
        .add_pipeline_to_core(start.cpu, |_| Poll::new(Orders).send(Router))
        .map_err(failed)?;
    let ended = runtime.execute().map_err(failed);
    SHARED.set(None);
    ended
}

fn name(place: Place) -> String {
    format!("port{place}")
}

fn configuration(start: &Start) -> anyhow::Result<capsule::config::RuntimeConfig> {
    let devices = start.devices.iter().enumerate();
    let ports: Vec<_> = devices
        .map(|(place, device)| {
            json!({
                "name": name(place),
                "device": device.name,
                "args": device.arguments,
                "cores": [start.cpu],
                "rxd": eal::QUEUE,
                "txd": eal::QUEUE,
                "promiscuous": true,
            })
        })
        .collect();
    let configuration = json!({
        "app_name": "dpdk-process",
        "master_core": start.cpu,
        "mempool": { "capacity": eal::FRAMES, "cache_size": eal::CACHE },
        "ports": ports,
        "dpdk_args": eal::options(start).join(" "),
    });
    serde_json::from_value(configuration).context("configuring capsule's runtime")
}

/// Where a pipeline gets its frames.
struct Source(Option<PortQueue>);

impl PacketRx for Source {
    fn receive(&mut self) -> Vec<Mbuf> {
        let frames = self.0.as_mut().map(PacketRx::receive).unwrap_or_default();
        with(|shared| {
            shared.settle();
            shared.under_way = frames.len() as u64;
            shared.destinations.clear();
        });
        frames
    }
}

/// Decides about a frame that came by a device, and notes where it goes.
fn decide(from: Place, mut frame: Mbuf) -> Either<Mbuf> {
    let to = with(|shared| {
        let to = shared.forwarder.decide(from, &mut Frame(&mut frame))?;
        shared.destinations.push(to);
        Some(to)
    });
    if to.flatten().is_some() {
        Either::Keep(frame)
    } else {
        Either::Drop(frame)
    }
}

/// Sends the frames of a batch where they go.
struct Router;

impl PacketTx for Router {
    fn transmit(&mut self, frames: Vec<Mbuf>) {
        let Some((destinations, mut ports)) = with(|shared| {
            let destinations = std::mem::take(&mut shared.destinations);
            (destinations, std::mem::take(&mut shared.ports))
        }) else {
            return;
        };
        let mut bursts: Vec<Vec<Mbuf>> = ports.iter().map(|_| Vec::new()).collect();
        for (to, frame) in destinations.iter().zip(frames) {
            if let Some(burst) = bursts.get_mut(*to) {
                burst.push(frame);
            }
        }
        for (port, burst) in ports.iter_mut().zip(bursts) {
            if !burst.is_empty() {
                PacketTx::transmit(port, burst);
            }
        }
        with(|shared| shared.ports = ports);
    }
}

/// A pipeline without frames that looks whether there are orders.
struct Orders;

impl PacketRx for Orders {
    fn receive(&mut self) -> Vec<Mbuf> {
        with(|shared| {
            shared.end_round();
            if !shared.is_started && all_up(&shared.devices) {
                shared.is_started = true;
                // If nobody is there to be told, the inbox ends.
                let _ = shared.inbox.started();
            }
            match shared.inbox.next() {
                Next::GoOn => {}
                // Who asked may be gone.
                Next::Answer(order) => {
                    let answer = shared.forwarder.answer(&order.request, shared.tally);
                    let _ = order.answer.send(answer);
                }
                // The runtime ends by a signal and by nothing else.
                // SAFETY: has no preconditions; the runtime has a handler.
                Next::End => unsafe {
                    libc::raise(libc::SIGTERM);
                },
            }
        });
        Vec::new()
    }
}

/// One of capsule's buffers as the core takes it.
struct Frame<'a>(&'a mut Mbuf);

impl Buffer for Frame<'_> {
    fn frame_mut(&mut self) -> &mut [u8] {
        match self.0.read_data_slice::<u8>(0, self.0.data_len()) {
            // SAFETY: the buffer's own bytes, and the buffer is borrowed.
            Ok(mut bytes) => unsafe { bytes.as_mut() },
            Err(_) => &mut [],
        }
    }

    fn grow(&mut self, len: usize) -> bool {
        self.0.extend(0, len).is_ok()
    }

    fn strip(&mut self, len: usize) -> bool {
        self.0.shrink(0, len).is_ok()
    }
}
