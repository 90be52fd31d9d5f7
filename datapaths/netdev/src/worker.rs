//! A thread that does the same again and again until it is told to end.

use crate::{Error, Tid};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Dropping it ends the thread.
#[derive(Debug)]
pub struct Worker {
    ending: Arc<AtomicBool>,
    failure: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
    tid: Tid,
}

impl Worker {
    /// Does `work`, which must not take long, until it fails or the thread shall end.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub fn start<E: Display>(
        name: &str,
        mut work: impl FnMut() -> Result<(), E> + Send + 'static,
    ) -> Result<Self, Error> {
        let ending = Arc::new(AtomicBool::new(false));
        let failure = Arc::<Mutex<Option<String>>>::default();
        let (end, failed) = (Arc::clone(&ending), Arc::clone(&failure));
        let (started, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _ = started.send(Tid::current());
                while !end.load(Ordering::Relaxed) {
                    if let Err(error) = work() {
                        let mut failure = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        *failure = Some(error.to_string());
                        return;
                    }
                }
            })
            .map_err(|error| Error::io(format!("starting the thread {name}"), error))?;
        Ok(Self {
            ending,
            failure,
            thread: Some(thread),
            tid: ready.recv().map_err(|_| Error::Thread)?,
        })
    }

    /// The thread.
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// Why the thread ended, if it did by itself.
    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was its own; there is nothing to clean up after it.
            let _ = thread.join();
        }
    }
}
