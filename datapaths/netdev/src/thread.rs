//! Threads: where they run, and what they used.

use crate::Error;
use std::time::Duration;

/// A processor, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub usize);

/// A thread, of this process or of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid(libc::pid_t);

/// How urgent a thread's work is; the more urgent goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Urgency {
    /// Work that may take a whole processor.
    Busy = 1,
    /// Work that waits for no other.
    Prompt = 2,
    /// Hardly any work, but at its time.
    Idle = 3,
}

/// What a thread had of the processor since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Time it ran.
    pub running: Duration,
    /// Time it was ready to run and waited.
    pub waiting: Duration,
}

impl CpuTime {
    /// What passed since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }
}

impl std::ops::Add for CpuTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            running: self.running + other.running,
            waiting: self.waiting + other.waiting,
        }
    }
}

impl Tid {
    /// The calling thread.
    pub fn current() -> Self {
        // SAFETY: has no preconditions.
        Self(unsafe { libc::gettid() })
    }

    /// Kernel threads whose name begins with `prefix`.
    pub(crate) fn kernel_threads(prefix: &str) -> impl Iterator<Item = Self> {
        std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(move |entry| {
                let pid: libc::pid_t = entry.file_name().to_str()?.parse().ok()?;
                let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
                name.starts_with(prefix).then_some(Self(pid))
            })
    }

    /// Pins the thread to one processor.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn pin(self, cpu: Cpu) -> Result<(), Error> {
        // SAFETY: the set is initialised to zero and cpu is checked against its size.
        let result = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            if cpu.0 < libc::CPU_SETSIZE as usize {
                libc::CPU_SET(cpu.0, &mut set);
            }
            libc::sched_setaffinity(self.0, size_of::<libc::cpu_set_t>(), &set)
        };
        if result != 0 {
            return Err(Error::last(format!(
                "pinning thread {} to processor {}",
                self.0, cpu.0
            )));
        }
        Ok(())
    }

    /// Lets the thread go before every ordinary thread, so that other work of the machine does not disturb.
    ///
    /// Since Linux 6.12 ordinary threads keep their share only if there are any (the fair server); before,
    /// a real-time thread is stopped for a twentieth of every second, busy machine or not
    /// (`sched_rt_runtime_us`). There the thread is merely favoured (niceness -20), unless it is mostly idle.
    ///
    /// # Errors
    /// Where the kernel refuses (it needs `CAP_SYS_NICE`).
    pub fn prioritise(self, urgency: Urgency) -> Result<(), Error> {
        if urgency != Urgency::Idle && is_throttled() {
            // SAFETY: has no preconditions.
            if unsafe { libc::setpriority(libc::PRIO_PROCESS, self.0 as libc::id_t, -20) } != 0 {
                return Err(Error::last(format!("favouring thread {}", self.0)));
            }
            return Ok(());
        }
        let parameter = libc::sched_param {
            sched_priority: urgency as libc::c_int,
        };
        // SAFETY: a valid parameter block.
        let result = unsafe { libc::sched_setscheduler(self.0, libc::SCHED_FIFO, &parameter) };
        if result != 0 {
            return Err(Error::last(format!("prioritising thread {}", self.0)));
        }
        Ok(())
    }

    /// Interrupts a system call of a thread of this process with `SIGUSR1`, for which this process must have a
    /// handler. Does nothing if the thread is gone.
    pub fn interrupt(self) {
        // SAFETY: tgkill has no effect but the signal; the process has a handler by contract.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, libc::SIGUSR1) };
    }

    /// What the thread had of the processor so far; from /proc/PID/schedstat.
    ///
    /// # Errors
    /// Where the thread is gone.
    pub fn cpu_time(self) -> Result<CpuTime, Error> {
        let path = format!("/proc/{}/schedstat", self.0);
        let text = std::fs::read_to_string(&path)
            .or_else(|_| std::fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.0)))
            .map_err(|e| Error::io(format!("reading {path}"), e))?;
        let mut fields = text
            .split_ascii_whitespace()
            .map(|field| field.parse().unwrap_or(0));
        let mut next = || Duration::from_nanos(fields.next().unwrap_or(0));
        Ok(CpuTime {
            running: next(),
            waiting: next(),
        })
    }
}

/// Whether the kernel stops real-time threads for a share of every second.
fn is_throttled() -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    if read("/proc/sys/kernel/sched_rt_runtime_us").trim() == "-1" {
        return false;
    }
    let release = read("/proc/sys/kernel/osrelease");
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < (6, 12)
}

/// Pins the calling thread to one processor.
///
/// # Errors
/// Where the kernel refuses.
pub fn pin_current_thread(cpu: Cpu) -> Result<(), Error> {
    Tid::current().pin(cpu)
}

/// The processors this process may use, in ascending order.
///
/// # Errors
/// Where the kernel does not tell.
pub fn allowed_cpus() -> Result<Vec<Cpu>, Error> {
    // SAFETY: the set is written by the call before it is read.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Err(Error::last(
                "asking for the processors this process may use",
            ));
        }
        Ok((0..libc::CPU_SETSIZE as usize)
            .filter(|cpu| libc::CPU_ISSET(*cpu, &set))
            .map(Cpu)
            .collect())
    }
}
