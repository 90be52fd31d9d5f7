//! A thread that does the same again and again until it is told to end.

use datapath_api::Error;
use netdev::Tid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Dropping it ends the thread.
pub struct Worker {
    name: &'static str,
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
    pub fn start(
        name: &'static str,
        mut work: impl FnMut() -> Result<(), Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let ending = Arc::new(AtomicBool::new(false));
        let failure = Arc::<Mutex<Option<String>>>::default();
        let (end, failed) = (Arc::clone(&ending), Arc::clone(&failure));
        let (started, ready) = std::sync::mpsc::channel();
        let doing = || format!("starting the thread {name}");
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
            .map_err(|error| Error::failed(doing(), error))?;
        Ok(Self {
            name,
            ending,
            failure,
            thread: Some(thread),
            tid: ready
                .recv()
                .map_err(|error| Error::failed(doing(), error))?,
        })
    }

    /// The thread.
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// An error if the thread ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.as_ref() {
            None => Ok(()),
            Some(reason) => Err(Error::failed(format!("the thread {}", self.name), reason)),
        }
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
