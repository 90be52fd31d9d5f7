//! A child process that lives no longer than this process wants it to.

use crate::Cpu;
use crate::Error as SystemError;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
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

/// Lets the calling process's session go before others. Where the kernel groups tasks by session (sched(7), "The
/// autogroup feature"), a thread's niceness counts within its session alone; where it does not, or does not let us,
/// nothing happens.
fn favour_session() {
    let nice = b"-20";
    // SAFETY: system calls that only concern this process; none of them allocates.
    unsafe {
        let file = libc::open(
            c"/proc/self/autogroup".as_ptr(),
            libc::O_WRONLY | libc::O_CLOEXEC,
        );
        if file >= 0 {
            libc::write(file, nice.as_ptr().cast(), nice.len());
            libc::close(file);
        }
    }
}

impl Process {
    /// Starts `command` at `place`. Errors show the last lines of `log`, if it logs into that file; what it prints goes
    /// nowhere unless `command` says so.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        name: &'static str,
        mut command: Command,
        place: Place,
        log: &Path,
    ) -> Result<Self, Error> {
        let Place { namespace, cpu } = place;
        command.stdin(Stdio::null());
        let parent = std::process::id();
        let prepare = move || {
            // SAFETY: system calls that only concern the child; none of them allocates.
            unsafe {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                // The parent may have died before that.
                if libc::getppid() as u32 != parent {
                    return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
                }
                // In a session of its own, a signal that a terminal sends to this one's group does not end it behind our
                // back.
                if libc::setsid() < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                favour_session();
                if let Some(namespace) = &namespace
                    && libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) != 0
                {
                    return Err(std::io::Error::last_os_error());
                }
                if let Some(Cpu(cpu)) = cpu {
                    let mut set: libc::cpu_set_t = std::mem::zeroed();
                    if cpu < libc::CPU_SETSIZE as usize {
                        libc::CPU_SET(cpu, &mut set);
                    }
                    if libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
            }
            Ok(())
        };
        // SAFETY: between fork and exec it makes system calls alone.
        unsafe { command.pre_exec(prepare) };
        let ended = Arc::new(Mutex::new(None));
        let (kill, orders) = channel();
        let (started, pid) = channel();
        let outcome = Arc::clone(&ended);
        let keeper = std::thread::Builder::new()
            .name(format!("keeps {name}"))
            .spawn(move || match command.spawn() {
                Ok(child) => {
                    let _ = started.send(Ok(child.id()));
                    keep(child, &orders, &outcome);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
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
            pid,
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

fn keep(mut child: Child, orders: &Receiver<()>, ended: &Mutex<Option<ExitStatus>>) {
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) => {}
            // Not a child any more: there is nothing to keep.
            Err(_) => break None,
        }
        match orders.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                let _ = child.kill();
                break child.wait().ok();
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
        let mut command = Command::new("sleep");
        command.arg(seconds);
        Process::start(
            "sleep",
            command,
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
        let command = Command::new("/nonexistent/program");
        let error =
            Process::start("program", command, Place::default(), Path::new("/x")).unwrap_err();
        assert!(error.to_string().starts_with("starting program"), "{error}");
    }
}
