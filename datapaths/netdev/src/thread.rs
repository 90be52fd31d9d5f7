//! Threads: where they run, and what they used.

use crate::Error;
use std::marker::PhantomData;
use std::time::Duration;

/// A processor, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub usize);

/// A thread, of this process or of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid(libc::pid_t);

/// How urgent a thread's work is; the more urgent goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Work that may take a whole processor.
    Busy,
    /// Work that lets all other here go first.
    Ordinary,
    /// Work that comes and goes, and waits for no other.
    Prompt,
    /// The same that frees the place another such thread needs, so that the other waits for it.
    Sink,
    /// Hardly any work, but at its time.
    Idle,
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
    /// What those of these threads had that are still there.
    pub fn of(threads: &[Tid]) -> Self {
        let times = threads.iter().filter_map(|thread| thread.cpu_time().ok());
        times.fold(Self::default(), |sum, time| sum + time)
    }

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

    /// The thread that the kernel calls by this number, as another process said it.
    pub fn of_number(number: i32) -> Self {
        Self(number)
    }

    /// The kernel's number of it.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Stops the process it belongs to, with all its threads, or has it go on.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn pause_process(self, pause: bool) -> Result<(), Error> {
        let signal = if pause { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: has no preconditions. A thread's number stands for its process.
        match unsafe { libc::kill(self.0, signal) } {
            0 => Ok(()),
            _ => Err(Error::last(format!("pausing process {}", self.0))),
        }
    }

    /// The threads of a process.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn of_process(pid: u32) -> Result<Vec<Self>, Error> {
        let path = format!("/proc/{pid}/task");
        let tasks =
            std::fs::read_dir(&path).map_err(|e| Error::io(format!("reading {path}"), e))?;
        let number = |task: std::fs::DirEntry| task.file_name().to_str()?.parse().ok();
        Ok(tasks.flatten().filter_map(number).map(Self).collect())
    }

    /// The thread's name; empty where it is gone.
    pub fn name(self) -> String {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.0)).unwrap_or_default();
        name.trim_end().to_owned()
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

    /// Lets the thread go before ordinary ones, so that other work of the machine disturbs less.
    ///
    /// A thread that may take a whole processor is only favoured (niceness -20): as a real-time thread it
    /// would be stopped for a twentieth of every second as soon as anything else wants that processor,
    /// by throttling before Linux 6.12 (`sched_rt_runtime_us`) and by the fair server since.
    ///
    /// # Errors
    /// Where the kernel refuses (it needs `CAP_SYS_NICE`).
    pub fn prioritise(self, urgency: Urgency) -> Result<(), Error> {
        // A new thread inherits the policy of the one that made it, so the policy is set in any case.
        let (policy, priority) = match urgency {
            Urgency::Ordinary | Urgency::Busy => (libc::SCHED_OTHER, 0),
            Urgency::Prompt => (libc::SCHED_FIFO, 1),
            Urgency::Sink => (libc::SCHED_FIFO, 2),
            Urgency::Idle => (libc::SCHED_FIFO, 3),
        };
        let parameter = libc::sched_param {
            sched_priority: priority,
        };
        // SAFETY: a valid parameter block.
        let mut result = unsafe { libc::sched_setscheduler(self.0, policy, &parameter) };
        if result == 0 && urgency == Urgency::Busy {
            // SAFETY: has no preconditions.
            result = unsafe { libc::setpriority(libc::PRIO_PROCESS, self.0 as libc::id_t, -20) };
        }
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

/// Lets the calling thread go before ordinary ones until this is dropped by the same thread; threads that it starts meanwhile
/// begin so. Does nothing where the kernel refuses.
pub(crate) struct Prompt {
    /// As it was before.
    before: Option<(libc::c_int, libc::sched_param)>,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Prompt {
    pub(crate) fn now() -> Self {
        let mut parameter = libc::sched_param { sched_priority: 0 };
        // SAFETY: zero is the calling thread, and the parameter block is valid and written alone.
        let (policy, known) = unsafe {
            let known = libc::sched_getparam(0, &raw mut parameter);
            (libc::sched_getscheduler(0), known)
        };
        let is_known = policy >= 0 && known == 0;
        let is_prompt = is_known && Tid::current().prioritise(Urgency::Prompt).is_ok();
        Self {
            before: is_prompt.then_some((policy, parameter)),
            _stays_on_its_thread: PhantomData,
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Some((policy, parameter)) = self.before {
            // SAFETY: a valid parameter block. To give up a privilege needs none.
            unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
        }
    }
}

/// Pins the calling thread to one processor.
///
/// # Errors
/// Where the kernel refuses.
pub fn pin_current_thread(cpu: Cpu) -> Result<(), Error> {
    Tid::current().pin(cpu)
}

/// Keeps the calling thread on the processor it is on, until this is dropped by the same thread.
pub struct Stay {
    /// Where it may run otherwise.
    before: libc::cpu_set_t,
    /// It is about the thread that made it.
    thread: PhantomData<*const ()>,
}

impl Stay {
    /// See above.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn here() -> Result<Self, Error> {
        let before = affinity()?;
        // SAFETY: has no preconditions.
        let cpu = unsafe { libc::sched_getcpu() };
        let cpu = usize::try_from(cpu).map_err(|_| Error::last("asking for the processor"))?;
        pin_current_thread(Cpu(cpu))?;
        Ok(Self {
            before,
            thread: PhantomData,
        })
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // SAFETY: a valid set. It was the thread's before, so there is nothing to refuse.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.before) };
    }
}

/// Where the calling thread may run.
fn affinity() -> Result<libc::cpu_set_t, Error> {
    // SAFETY: all zeros are a set, which the call writes.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        match libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) {
            0 => Ok(set),
            _ => Err(Error::last(
                "asking for the processors this process may use",
            )),
        }
    }
}

/// The processors this process may use, in ascending order.
///
/// # Errors
/// Where the kernel does not tell.
pub fn allowed_cpus() -> Result<Vec<Cpu>, Error> {
    let set = affinity()?;
    Ok((0..libc::CPU_SETSIZE as usize)
        // SAFETY: below the size of the set.
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .map(Cpu)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_and_may_leave_again() {
        let before = allowed_cpus().unwrap();
        let stay = Stay::here().unwrap();
        assert_eq!(allowed_cpus().unwrap().len(), 1);
        drop(stay);
        assert_eq!(allowed_cpus().unwrap(), before);
    }
}
