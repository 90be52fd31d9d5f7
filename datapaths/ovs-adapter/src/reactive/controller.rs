//! The thread that answers packet-ins.

use super::core::Core;
use super::{CONTROLLER, Kind};
use crate::Error;
use crate::openflow::Connection;
use mizar_tables::{Entries, Native};
use netdev::{Tid, Worker};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use topologies::provision::{DirectPath, Provision};

/// How long the thread waits for a packet before it looks whether it shall end, or there are new tables.
const LOOK: Duration = Duration::from_millis(10);

/// A thread that answers packet-ins. Dropping it ends the thread.
#[derive(Debug)]
pub struct Controller {
    core: Arc<Mutex<Core>>,
    updates: SyncSender<Update>,
    worker: Worker,
}

/// New tables, and who is told when the rules of the old ones are gone.
type Update = (Entries, SyncSender<()>);

impl Controller {
    /// Answers packet-ins of the bridge whose management socket is at `socket`, by these tables.
    ///
    /// # Errors
    /// Where the switch cannot be reached.
    pub fn start(socket: &Path, provision: &Provision, tables: Native) -> Result<Self, Error> {
        let mut connection = Connection::open(socket)?;
        connection.want_packet_ins()?;
        let core = Arc::new(Mutex::new(Core::new(tables, provision)));
        let shared = Arc::clone(&core);
        let (updates, news) = sync_channel(1);
        let worker = Worker::start("controller", move || {
            answer(&mut connection, &shared, &news)
        })?;
        Ok(Self {
            core,
            updates,
            worker,
        })
    }

    /// Takes these tables in place of those that it has, and deletes the rules that follow from those.
    ///
    /// # Errors
    /// Where the thread ended.
    pub fn update(&self, entries: Entries) -> Result<(), Error> {
        let (done, is_done) = sync_channel(1);
        let told = self.updates.send((entries, done)).is_ok();
        if told && is_done.recv().is_ok() {
            return Ok(());
        }
        self.check()?;
        Err(Error::OpenFlow {
            doing: "updating tables".to_owned(),
            reason: "the controller ended".to_owned(),
        })
    }

    /// The thread.
    pub fn tid(&self) -> Tid {
        self.worker.tid()
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
        match self.worker.failure() {
            None => Ok(()),
            Some(reason) => Err(Error::OpenFlow {
                doing: "answering packet-ins".to_owned(),
                reason,
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(
    connection: &mut Connection,
    core: &Mutex<Core>,
    updates: &Receiver<Update>,
) -> Result<(), Error> {
    if let Ok((entries, done)) = updates.try_recv() {
        // On the connection by which the old ones were added, so that none comes behind this.
        for change in lock(core).update(&entries) {
            connection.change(&change)?;
        }
        connection.barrier()?;
        // Who asked may be gone.
        let _ = done.send(());
    }
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
