//! A child process that lives no longer than this process wants it to.

mod program;

pub use program::Program;

use crate::Cpu;
use crate::Error as SystemError;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the keeper looks whether its child ended.
const LOOK: Duration = Duration::from_millis(5);
/// Lines of a log that an error shows.
const LOG_LINES: usize = 12;

/// What can go wrong with a child.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error(transparent)]
    System(#[from] SystemError),
    /// It ended by itself.
    #[error("{program} ended ({status}); the last it logged:\n{log}")]
    Ended {
        /// The program.
        program: &'static str,
        /// How it ended.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// It was not ready in time.
    #[error("{program} was not ready within {seconds} s; the last it logged:\n{log}")]
    NotReady {
        /// The program.
        program: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
}

/// Where a child runs; anywhere by default.
#[derive(Debug, Default)]
pub struct Place {
    /// Its network namespace.
    pub namespace: Option<OwnedFd>,
    /// The processor that all its threads start on.
    pub cpu: Option<Cpu>,
}

/// A child, and the thread that keeps it. Dropping it kills the child.
///
/// The kernel kills a child with the *thread* that started it (`PR_SET_PDEATHSIG`, prctl(2)), however this
/// process ends; so each child has a thread of its own, which lives as long as it.
#[derive(Debug)]
pub struct Process {
    /// What it is called in messages.
    pub name: &'static str,
    /// Its process id.
    pub pid: u32,
    log: PathBuf,
    ended: Arc<Mutex<Option<ExitStatus>>>,
    /// Dropping it tells the keeper to kill.
    kill: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `program` at `place`. Errors show the last lines of `log`, if it logs into that file.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        name: &'static str,
        program: Program,
        place: Place,
        log: &Path,
    ) -> Result<Self, Error> {
        let ended = Arc::new(Mutex::new(None));
        let (kill, orders) = channel();
        let (started, pid) = channel();
        let outcome = Arc::clone(&ended);
        let keeper = std::thread::Builder::new()
            .name(format!("keeps {name}"))
            .spawn(move || {
                let pid = program.start(&place);
                let kept = pid.as_ref().ok().copied();
                let _ = started.send(pid);
                if let Some(pid) = kept {
                    keep(pid, &orders, &outcome);
                }
            })
            .map_err(|e| SystemError::io(format!("starting a thread for {name}"), e))?;
        let gone = || std::io::Error::other("its thread died");
        let pid = pid
            .recv()
            .unwrap_or_else(|_| Err(gone()))
            .map_err(|e| SystemError::io(format!("starting {name}"), e))?;
        Ok(Self {
            name,
            // A process id is positive.
            pid: pid as u32,
            log: log.to_owned(),
            ended,
            kill: Some(kill),
            keeper: Some(keeper),
        })
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it ends; whether it did in time.
    pub fn wait(&self, patience: Duration) -> bool {
        let began = Instant::now();
        while self.ended().is_none() {
            if began.elapsed() > patience {
                return false;
            }
            std::thread::sleep(LOOK);
        }
        true
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// Where it ends, or is not ready in time.
    pub fn until(&self, patience: Duration, ready: impl Fn() -> bool) -> Result<(), Error> {
        let began = Instant::now();
        while !ready() {
            self.check()?;
            if began.elapsed() > patience {
                return Err(Error::NotReady {
                    program: self.name,
                    seconds: patience.as_secs(),
                    log: self.last_logged(),
                });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// An error if it ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Error::Ended {
                program: self.name,
                status: status.to_string(),
                log: self.last_logged(),
            }),
        }
    }

    /// The last lines of its log.
    pub fn last_logged(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return "(nothing)".to_owned();
        }
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

/// Waits for a child of the calling thread, and kills it when it is told to.
fn keep(pid: libc::pid_t, orders: &Receiver<()>, ended: &Mutex<Option<ExitStatus>>) {
    let status = loop {
        match program::wait(pid, libc::WNOHANG) {
            Some(None) => {}
            Some(status) => break status,
            // Not a child any more: there is nothing to keep.
            None => break None,
        }
        match orders.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                // SAFETY: a child that nobody waited for, so that the number is its own.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                break program::wait(pid, 0).flatten();
            }
        }
    };
    *ended.lock().unwrap_or_else(PoisonError::into_inner) = status;
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.kill.take());
        if let Some(keeper) = self.keeper.take() {
            // A panic of the keeper was its own; there is nothing to clean up after it.
            let _ = keeper.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleep(seconds: &str) -> Process {
        let mut program = Program::new("sleep");
        program.arg(seconds);
        Process::start(
            "sleep",
            program,
            Place::default(),
            Path::new("/nonexistent"),
        )
        .unwrap()
    }

    fn is_alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn dropping_kills() {
        let process = sleep("1000");
        let pid = process.pid;
        assert!(process.check().is_ok() && is_alive(pid));
        drop(process);
        assert!(!is_alive(pid));
    }

    #[test]
    fn an_end_is_noticed_and_told() {
        let process = sleep("0");
        assert!(process.wait(Duration::from_secs(60)));
        let error = process
            .until(Duration::from_secs(60), || false)
            .unwrap_err();
        assert!(
            error.to_string().contains("sleep ended (exit status: 0)"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_start_is_told() {
        let program = Program::new("/nonexistent/program");
        let error =
            Process::start("program", program, Place::default(), Path::new("/x")).unwrap_err();
        assert!(error.to_string().starts_with("starting program"), "{error}");
    }
}
