//! A program to start, and its start.
//!
//! What is to be done in a child before its program begins makes the standard library copy this process (fork(2)), with all
//! its page tables: of a process with gigabytes of maps and rings that takes longer than many a program takes to begin. Here
//! the child borrows this process's memory until then, and the thread that starts it waits: `CLONE_VM | CLONE_VFORK`,
//! clone(2), as in `posix_spawn(3)` of the GNU C library, which cannot be told of namespaces and of signals at a parent's end.

use super::Place;
use crate::Cpu;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::null;

/// Bytes of a child's stack, in words that are aligned as the architecture asks. The longest path that is looked for is there.
const STACK: usize = 128 << 10;
/// Numbers of signals: signal(7).
const SIGNALS: std::ops::RangeInclusive<c_int> = 1..=64;

/// A program, what it is told, and where it prints.
#[derive(Debug)]
pub struct Program {
    path: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    prints: Option<File>,
    complains: Option<File>,
}

impl Program {
    /// A program by its path, or by a name that is looked for in `PATH`. It has this process's environment, and prints
    /// nowhere.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            prints: None,
            complains: None,
        }
    }

    /// One more argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args(&mut self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// An entry of its environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let value = value.as_ref().to_owned();
        self.environment
            .push((name.as_ref().to_owned(), Some(value)));
        self
    }

    /// An entry that its environment shall not have.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// Into which file it prints.
    pub fn stdout(&mut self, file: File) -> &mut Self {
        self.prints = Some(file);
        self
    }

    /// Into which file it prints errors.
    pub fn stderr(&mut self, file: File) -> &mut Self {
        self.complains = Some(file);
        self
    }

    /// Starts it at `place`. It is killed when the calling thread ends, which has to wait for it: waitpid(2).
    ///
    /// # Errors
    /// Where it cannot be started; then there is no child.
    pub(super) fn start(self, place: &Place) -> io::Result<libc::pid_t> {
        let words = std::iter::once(self.path).chain(self.arguments);
        let words = words.map(text).collect::<io::Result<Vec<_>>>()?;
        let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        for (name, value) in self.environment {
            match value {
                Some(value) => variables.insert(name, value),
                None => variables.remove(&name),
            };
        }
        let variables = variables.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            text(name)
        });
        let variables = variables.collect::<io::Result<Vec<_>>>()?;
        let (words, variables) = (pointers(&words), pointers(&variables));
        let nowhere = File::options().read(true).write(true).open("/dev/null")?;
        let into = |file: &Option<File>| file.as_ref().unwrap_or(&nowhere).as_raw_fd();
        let mut child = Child {
            words: words.as_ptr(),
            variables: variables.as_ptr(),
            files: [
                nowhere.as_raw_fd(),
                into(&self.prints),
                into(&self.complains),
            ],
            namespace: place.namespace.as_ref().map(AsRawFd::as_raw_fd),
            cpu: place.cpu,
            parent: std::process::id(),
            failure: 0,
        };
        let pid = child.begin()?;
        // SAFETY: in the child's memory until it ended or began its program, which it has.
        match unsafe { (&raw const child.failure).read_volatile() } {
            0 => Ok(pid),
            failure => {
                wait(pid, 0);
                Err(io::Error::from_raw_os_error(failure))
            }
        }
    }
}

/// Waits for a child of the calling thread, with options of waitpid(2): whether it ended, and how. None where it is no child any
/// more.
pub(super) fn wait(pid: libc::pid_t, options: c_int) -> Option<Option<ExitStatus>> {
    loop {
        let mut status = 0;
        // SAFETY: a valid pointer.
        match unsafe { libc::waitpid(pid, &raw mut status, options) } {
            0 => return Some(None),
            waited if waited == pid => return Some(Some(ExitStatus::from_raw(status))),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
}

fn text(word: OsString) -> io::Result<CString> {
    CString::new(word.into_vec()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// A list as exec(3) wants it, which lives no longer than the words.
fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words.iter().map(|it| it.as_ptr()).chain([null()]).collect()
}

/// What a child works on until its program begins.
struct Child {
    words: *const *const c_char,
    variables: *const *const c_char,
    /// What it reads from, prints into, and prints errors into.
    files: [RawFd; 3],
    namespace: Option<RawFd>,
    cpu: Option<Cpu>,
    parent: u32,
    /// What went wrong, if something did: errno(3).
    failure: c_int,
}

impl Child {
    /// Its process id, once its program has begun or it has ended.
    fn begin(&mut self) -> io::Result<libc::pid_t> {
        const { assert!(STACK.is_multiple_of(size_of::<u128>())) };
        let mut stack = vec![0u128; STACK / size_of::<u128>()];
        // SAFETY: sets of signals are plain data. The child gets the end of a stack of its own and this value, both of which
        // outlive its use of them, since this thread goes on only after that; no handler of this process runs in it, since
        // it takes no signal while there are any.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let pid = libc::clone(
                run,
                stack.as_mut_ptr_range().end.cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                (&raw mut *self).cast(),
            );
            let failure = io::Error::last_os_error();
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            if pid < 0 { Err(failure) } else { Ok(pid) }
        }
    }

    /// Makes the child what it shall be. Returns only if that failed.
    ///
    /// # Safety
    /// In a child alone that shares memory with a thread that waits: makes system calls, and neither allocates nor takes locks.
    unsafe fn become_program(&self) -> Result<(), io::Error> {
        let asked = |result: c_int| match result {
            ..0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        };
        // SAFETY: see above; all pointers are to memory of the parent, which waits.
        unsafe {
            asked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            // The parent may have died before that.
            if libc::getppid() as u32 != self.parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            // In a session of its own, a signal that a terminal sends to this one's group does not end it behind our back.
            asked(libc::setsid())?;
            favour_session();
            if let Some(namespace) = self.namespace {
                asked(libc::setns(namespace, libc::CLONE_NEWNET))?;
            }
            if let Some(Cpu(cpu)) = self.cpu {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                if cpu < libc::CPU_SETSIZE as usize {
                    libc::CPU_SET(cpu, &mut set);
                }
                let size = size_of::<libc::cpu_set_t>();
                asked(libc::sched_setaffinity(0, size, &raw const set))?;
            }
            for (standard, file) in (0..).zip(self.files) {
                asked(libc::dup2(file, standard))?;
            }
            take_signals();
            libc::execvpe(*self.words, self.words, self.variables);
        }
        Err(io::Error::last_os_error())
    }
}

/// What the child does.
extern "C" fn run(child: *mut c_void) -> c_int {
    let child = child.cast::<Child>();
    // SAFETY: what `begin` hands over, whose thread waits.
    unsafe {
        if let Err(failure) = (*child).become_program() {
            let failure = failure.raw_os_error().unwrap_or(libc::EINVAL);
            (&raw mut (*child).failure).write_volatile(failure);
        }
        libc::_exit(127)
    }
}

/// Signals do again what they do by default, but for those that are ignored; SIGPIPE, which the standard library ignores,
/// with them. Then they are taken. One that came meanwhile, and for which the parent has a handler, was for the parent.
///
/// # Safety
/// In a child alone, whose handlers are its own, and which ignores what the system calls say: two signals are the C library's.
unsafe fn take_signals() {
    // SAFETY: plain data, and system calls.
    unsafe {
        let disposition = |of: libc::sighandler_t| {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = of;
            action
        };
        let (default, ignore) = (disposition(libc::SIG_DFL), disposition(libc::SIG_IGN));
        for signal in SIGNALS {
            let mut now = disposition(libc::SIG_DFL);
            libc::sigaction(signal, null(), &raw mut now);
            let is_default = now.sa_sigaction == libc::SIG_DFL;
            let stays_ignored = now.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE;
            if !is_default && !stays_ignored {
                // This discards it: sigaction(2).
                libc::sigaction(signal, &raw const ignore, std::ptr::null_mut());
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            }
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// What a program prints, and how it ends.
    fn printed(mut program: Program) -> (String, ExitStatus) {
        let mut file = tempfile::tempfile().unwrap();
        let errors = file.try_clone().unwrap();
        program.stdout(file.try_clone().unwrap()).stderr(errors);
        let pid = program.start(&Place::default()).unwrap();
        let status = wait(pid, 0).unwrap().unwrap();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        (text, status)
    }

    #[test]
    fn it_is_told_what_it_shall_be_told() {
        let mut program = Program::new("sh");
        program
            .args([
                "-c",
                "echo \"$1 $BENCH_GIVEN ${CARGO-none}\"; echo error >&2",
            ])
            .args(["sh", "argument"])
            .env("BENCH_GIVEN", "variable")
            .env_remove("CARGO");
        let (text, status) = printed(program);
        assert_eq!(text, "argument variable none\nerror\n");
        assert!(status.success());
    }

    #[test]
    fn it_takes_signals_and_leads_a_session() {
        let mut program = Program::new("sh");
        let words =
            "grep SigBlk /proc/$$/status; ps -o sid= -p $$ | tr -d ' '; echo $$; kill -PIPE $$";
        program.args(["-c", words]);
        let (text, status) = printed(program);
        let lines: Vec<_> = text.split_whitespace().collect();
        let none = "0000000000000000";
        assert_eq!(&lines[..2], ["SigBlk:", none], "{text}");
        assert_eq!(lines[2], lines[3], "{text}");
        assert_eq!(status.signal(), Some(libc::SIGPIPE));
    }

    #[test]
    fn what_is_no_text_for_the_system_is_refused() {
        let mut program = Program::new("true");
        program.arg("a\0b");
        let refused = program.start(&Place::default()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    /// Handlers of this process must not run in what shares its memory, and a signal that they are for ends no child.
    #[test]
    fn signals_meanwhile_are_this_process_s_own() {
        use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        static ELSEWHERE: AtomicU32 = AtomicU32::new(0);
        static OWN: AtomicU32 = AtomicU32::new(0);
        extern "C" fn handler(_: c_int) {
            // SAFETY: has no preconditions.
            let own = unsafe { libc::getpid() } as u32;
            let counter = match own == OWN.load(Ordering::Relaxed) {
                true => &TAKEN,
                false => &ELSEWHERE,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        OWN.store(std::process::id(), Ordering::Relaxed);
        // SAFETY: a group of this process's own, and of what it starts until that leads a session; the handler is safe to run
        // at any time.
        unsafe {
            libc::setpgid(0, 0);
            libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t);
        }
        let done = AtomicBool::new(false);
        let ended: Vec<_> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // SAFETY: signals the group, which has a handler.
                    unsafe { libc::kill(0, libc::SIGUSR2) };
                }
            });
            let ended = (0..100).map(|_| {
                let pid = Program::new("true").start(&Place::default()).ok()?;
                wait(pid, 0)?
            });
            let ended = ended.collect();
            done.store(true, Ordering::Relaxed);
            ended
        });
        for status in ended {
            assert!(status.is_some_and(|it| it.success()), "{status:?}");
        }
        assert!(TAKEN.load(Ordering::Relaxed) > 0);
        assert_eq!(ELSEWHERE.load(Ordering::Relaxed), 0);
    }
}
