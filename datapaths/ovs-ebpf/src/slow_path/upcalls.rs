//! The thread that takes upcalls from the programs, in their order.

use crate::mapped::Mapped;
use aya::maps::{MapData, RingBuf};
use datapath_api::Error;
use megaflow::map::{Port, Upcall};
use netdev::{Tid, Worker};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zerocopy::FromBytes;

/// How long the thread waits for an upcall before it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(20);
/// How many upcalls are answered before something else is done.
const BATCH: usize = 64;

/// Who answers upcalls.
pub trait Answer: Send {
    /// Answers one.
    ///
    /// # Errors
    /// Where nothing can be answered any more.
    fn answer(&mut self, upcall: &Upcall, frame: &[u8]) -> Result<(), Error>;

    /// Does what is to be done now and then.
    ///
    /// # Errors
    /// As above.
    fn tidy(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A thread that answers upcalls. Dropping it ends the thread.
pub struct Upcalls(Worker);

impl Upcalls {
    /// Answers upcalls that come by `ring`, and notes in `ports` how many were.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start<A: Answer + 'static>(
        mut ring: RingBuf<MapData>,
        ports: Arc<Mapped<Port>>,
        answer: Arc<Mutex<A>>,
    ) -> Result<Self, Error> {
        let worker = Worker::start("upcalls", move || {
            wait(&ring);
            take(&mut ring, &ports, &answer)
        })?;
        Ok(Self(worker))
    }

    /// The thread.
    pub fn tid(&self) -> Tid {
        self.0.tid()
    }

    /// An error if the thread ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        check(&self.0, "answering upcalls")
    }
}

/// Answers what there is.
fn take<A: Answer>(
    ring: &mut RingBuf<MapData>,
    ports: &Mapped<Port>,
    answer: &Mutex<A>,
) -> Result<(), Error> {
    let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..BATCH {
        let Some(record) = ring.next() else {
            break;
        };
        let Ok((upcall, rest)) = Upcall::ref_from_prefix(&record) else {
            continue;
        };
        let answered = match rest.get(..upcall.len as usize) {
            Some(frame) => answer.answer(upcall, frame),
            None => Ok(()),
        };
        let port = upcall.port;
        // Its place in the ring is free before more may come.
        drop(record);
        note(ports, port);
        answered?;
    }
    answer.tidy()
}

/// One more upcall of a port is answered.
fn note(ports: &Mapped<Port>, port: u32) {
    if let Some(port) = ports.at(port) {
        // SAFETY: a word in the mapping that nobody else writes.
        unsafe {
            let answered = &raw mut (*port).answered;
            answered.write_volatile(answered.read_volatile().wrapping_add(1));
        }
    }
}

fn wait(ring: &RingBuf<MapData>) {
    let mut wanted = libc::pollfd {
        fd: ring.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid entry. What goes wrong shows in the next call.
    unsafe { libc::poll(&raw mut wanted, 1, LOOK.as_millis() as i32) };
}

/// An error if a worker ended by itself in `doing` something.
pub fn check(worker: &Worker, doing: &str) -> Result<(), Error> {
    let failure = worker.failure();
    failure.map_or(Ok(()), |reason| Err(Error::failed(doing, reason)))
}
