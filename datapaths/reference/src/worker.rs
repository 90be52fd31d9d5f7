//! The thread that forwards: polls its ports in turn, a burst at a time.

use crate::injection::inject;
use datapath_api::ring::{Buffer, RingPort};
use datapath_api::{Counters, Error, Outcome, Running};
use mizar_droplet::{Action, Droplet};
use mizar_tables::Entries;
use netdev::{Cpu, Tid, Urgency};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use topologies::provision::{DirectPath, Port, Provision};

/// Frames taken from a port before the next port has its turn; 32 is what DPDK programs take.
const BURST: usize = 32;

/// What the thread is asked between two rounds.
enum Request {
    Counters(Sender<Counters>),
    DirectPaths(Sender<Vec<DirectPath>>),
    Inject(Port, Vec<u8>, Sender<Result<Outcome, Error>>),
    Update(Box<Entries>, Sender<()>),
}

/// A droplet on a thread of its own.
pub struct Worker {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    tid: Tid,
}

impl Worker {
    pub fn start(
        droplet: Droplet,
        uplink: RingPort,
        endpoints: Vec<RingPort>,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let (requests, inbox) = channel();
        let (started, ready) = channel();
        let thread = std::thread::Builder::new()
            .name("reference".to_owned())
            .spawn(move || {
                let pinned = netdev::pin_current_thread(cpu);
                let failed = pinned.is_err();
                // An ordinary user may not, and measures with what other work leaves.
                let _ = Tid::current().prioritise(Urgency::Busy);
                let _ = started.send(pinned.map(|()| Tid::current()));
                if !failed {
                    forward(droplet, uplink, endpoints, &inbox);
                }
            })
            .map_err(|e| Error::failed("starting the forwarding thread", e))?;
        let tid = ready.recv().map_err(|_| died())??;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
            tid,
        })
    }

    fn ask<R>(&self, request: impl FnOnce(Sender<R>) -> Request) -> Result<R, Error> {
        let (answer, inbox) = channel();
        let requests = self.requests.as_ref().ok_or_else(died)?;
        requests.send(request(answer)).map_err(|_| died())?;
        inbox.recv().map_err(|_| died())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.requests = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(died()),
            _ => Ok(()),
        }
    }
}

fn died() -> Error {
    Error::failed("asking the forwarding thread", "it has died")
}

impl Running for Worker {
    fn counters(&mut self) -> Result<Counters, Error> {
        self.ask(Request::Counters)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.ask(Request::DirectPaths)
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let frame = frame.to_vec();
        self.ask(|answer| Request::Inject(port, frame, answer))?
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        let entries = Box::new(crate::encode(provision)?);
        self.ask(|answer| Request::Update(entries, answer))
    }

    fn threads(&self) -> Vec<Tid> {
        vec![self.tid]
    }

    fn stop(mut self: Box<Self>) -> Result<(), Error> {
        self.finish()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A thread that died was reported by every question before; here there is nobody to tell.
        let _ = self.finish();
    }
}

fn forward(
    mut droplet: Droplet,
    mut uplink: RingPort,
    mut endpoints: Vec<RingPort>,
    inbox: &Receiver<Request>,
) {
    loop {
        match inbox.try_recv() {
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
            Ok(Request::Counters(answer)) => {
                let _ = answer.send(droplet.counters());
            }
            Ok(Request::DirectPaths(answer)) => {
                let _ = answer.send(droplet.direct_paths());
            }
            Ok(Request::Inject(port, frame, answer)) => {
                let _ = answer.send(inject(&mut droplet, port, &frame));
            }
            Ok(Request::Update(entries, answer)) => {
                droplet.update(&entries);
                let _ = answer.send(());
            }
        }
        for _ in 0..BURST {
            let Ok(mut buffer) = uplink.rx.pop() else {
                break;
            };
            match droplet.transit(&mut buffer) {
                Action::Uplink => send(&mut uplink, buffer),
                Action::Endpoint(port) => match endpoints.get_mut(port as usize) {
                    Some(endpoint) => send(endpoint, buffer),
                    None => recycle(&mut uplink, buffer),
                },
                Action::Stack | Action::Refused(_) => recycle(&mut uplink, buffer),
            }
        }
        for port in 0..endpoints.len() {
            for _ in 0..BURST {
                let Ok(mut buffer) = endpoints[port].rx.pop() else {
                    break;
                };
                match droplet.agent(port, &mut buffer) {
                    Action::Uplink => send(&mut uplink, buffer),
                    Action::Endpoint(to) => match endpoints.get_mut(to as usize) {
                        Some(endpoint) => send(endpoint, buffer),
                        None => recycle(&mut uplink, buffer),
                    },
                    Action::Stack | Action::Refused(_) => recycle(&mut uplink, buffer),
                }
            }
        }
    }
}

/// Puts a frame out; a full ring loses it, as a full transmit queue does.
#[inline(always)]
fn send(port: &mut RingPort, buffer: Buffer) {
    if let Err(rtrb::PushError::Full(buffer)) = port.tx.push(buffer) {
        recycle(port, buffer);
    }
}

/// Gives a buffer back; if nobody takes buffers back any more, it is simply freed.
#[inline(always)]
fn recycle(port: &mut RingPort, buffer: Buffer) {
    let _ = port.free.push(buffer);
}
