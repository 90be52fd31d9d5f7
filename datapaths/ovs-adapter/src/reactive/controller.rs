//! The thread that answers packet-ins.

use super::core::Core;
use super::{CONTROLLER, Kind};
use crate::Error;
use crate::openflow::Connection;
use mizar_tables::Native;
use netdev::Tid;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use topologies::provision::{DirectPath, Provision};

/// How long the thread waits for a packet before it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// A thread that answers packet-ins. Dropping it ends the thread.
#[derive(Debug)]
pub struct Controller {
    core: Arc<Mutex<Core>>,
    ending: Arc<AtomicBool>,
    failure: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
    tid: Option<Tid>,
}

impl Controller {
    /// Answers packet-ins of the bridge whose management socket is at `socket`, by these tables.
    ///
    /// # Errors
    /// Where the switch cannot be reached.
    pub fn start(socket: &Path, provision: &Provision, tables: Native) -> Result<Self, Error> {
        let mut connection = Connection::open(socket)?;
        connection.want_packet_ins()?;
        let core = Arc::new(Mutex::new(Core::new(tables, provision.host)));
        let ending = Arc::new(AtomicBool::new(false));
        let failure = Arc::<Mutex<Option<String>>>::default();
        let (shared, end, failed) = (Arc::clone(&core), Arc::clone(&ending), Arc::clone(&failure));
        let (started, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("controller".to_owned())
            .spawn(move || {
                let _ = started.send(Tid::current());
                while !end.load(Ordering::Relaxed) {
                    if let Err(error) = answer(&mut connection, &shared) {
                        *lock(&failed) = Some(error.to_string());
                        return;
                    }
                }
            })
            .map_err(Error::io("starting the controller"))?;
        Ok(Self {
            core,
            ending,
            failure,
            thread: Some(thread),
            tid: ready.recv().ok(),
        })
    }

    /// The thread.
    pub fn tid(&self) -> Option<Tid> {
        self.tid
    }

    /// The core's direct paths, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        lock(&self.core).direct_paths()
    }

    /// Packets that went through here and became this.
    pub fn handled(&self, kind: Kind) -> u64 {
        lock(&self.core).handled(kind)
    }

    /// Packets that the core refused, by reason; only reasons that occurred.
    pub fn refused(&self) -> Vec<(String, u64)> {
        lock(&self.core).refused()
    }

    /// An error if the thread ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        match lock(&self.failure).as_ref() {
            None => Ok(()),
            Some(reason) => Err(Error::OpenFlow {
                doing: "answering packet-ins".to_owned(),
                reason: reason.clone(),
            }),
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was its own; there is nothing to clean up after it.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(connection: &mut Connection, core: &Mutex<Core>) -> Result<(), Error> {
    let Some(packet) = connection.packet_in(LOOK)? else {
        return refused(connection);
    };
    refused(connection)?;
    let answer = lock(core).answer(&packet);
    for change in &answer.changes {
        connection.change(change)?;
    }
    if let Some((frame, actions)) = answer.packet_out {
        connection.packet_out(CONTROLLER, &frame, &actions)?;
    }
    Ok(())
}

/// An error if the switch refused what it was told before, as with a full table: it would go on asking about every
/// packet, and what is measured would be something else.
fn refused(connection: &mut Connection) -> Result<(), Error> {
    connection.refused().map_or(Ok(()), Err)
}
