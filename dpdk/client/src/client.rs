//! A process that runs DPDK: started, asked, and ended.

use datapath_api::{Error, Missing};
use dpdk_protocol::{Answer, Counted, Memory, Request, Start, receive, send};
use netdev::process::{Place, Process, Program};
use netdev::{Hugepages, Namespace, Tid, Urgency, scratch_folder};
use polling_tester::{Order, Outcome};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use topologies::provision::{DirectPath, Provision};

/// Memory for frames of a process that forwards, in mebibytes.
pub const MEBIBYTES: u32 = 128;
/// What is being done where an error says no better.
const ASKING: &str = "asking the DPDK process";
const PROGRAM: &str = "dpdk-process";
/// How long the process may take to connect.
const CONNECT: Duration = Duration::from_secs(60);
/// How long it may take to answer: DPDK's environment may have to wait for memory.
const ANSWER: Duration = Duration::from_secs(120);
/// How long after its connection broke a process that ended may still seem to run.
const NOTICE: Duration = Duration::from_secs(5);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(30);

/// Where the program is: beside this one. A test is in a folder below, and a benchmark in one of another profile; the
/// only profile that the program is built with is optimised.
fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let other_profile = own.ancestors().nth(3).map(|target| target.join("debug"));
    own.ancestors()
        .skip(1)
        .take(2)
        .map(std::path::Path::to_owned)
        .chain(other_profile)
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file())
}

/// What is missing to start it.
pub fn missing() -> Option<Missing> {
    let missing = || {
        let what = format!("the program {PROGRAM}, which is built where DPDK is installed");
        Missing::new(what, "cargo xtask bench")
    };
    program().is_none().then(missing)
}

/// The version of the DPDK that the program is linked with, as it says itself.
pub fn version() -> Option<String> {
    let output = Command::new(program()?).arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

/// A DPDK process that was told to begin. Its ports may wait for their other sides.
#[derive(Debug)]
pub struct Launched(Client);

impl Launched {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.process.pid
    }

    /// Waits until it does its work.
    ///
    /// # Errors
    /// Where it cannot, with the reason.
    pub fn started(self) -> Result<Client, Error> {
        let Self(mut client) = self;
        match client.answer()? {
            Answer::Started => Ok(client),
            other => Err(unexpected(&other)),
        }
    }
}

/// A DPDK process. Dropping it ends the process.
#[derive(Debug)]
pub struct Client {
    // In the order of being dropped: memory is given back when nobody uses it.
    socket: Option<UnixStream>,
    process: Process,
    _memory: Option<Hugepages>,
    _folder: TempDir,
}

impl Client {
    /// Starts a process in `namespace`, and waits until it does its work.
    ///
    /// # Errors
    /// Where it does not start or refuses, with the reason.
    pub fn start(start: Start, namespace: Option<&Namespace>) -> Result<Self, Error> {
        Self::launch(start, namespace)?.started()
    }

    /// Starts a process in `namespace`, and has it begin.
    ///
    /// # Errors
    /// Where it does not start, with the reason.
    pub fn launch(start: Start, namespace: Option<&Namespace>) -> Result<Launched, Error> {
        let doing = "starting the DPDK process";
        let failed = |error: &dyn std::fmt::Display| Error::failed(doing, error);
        let program =
            program().ok_or_else(|| failed(&"it was not built; cargo xtask bench builds it"))?;
        let memory = match start.memory {
            Memory::Huge => Some(Hugepages::reserve(start.mebibytes)?),
            Memory::Ordinary => None,
        };
        let folder = scratch_folder("bench-dpdk-")?;
        let (path, log) = (folder.path().join("orders"), folder.path().join("log"));
        let listener = UnixListener::bind(&path).map_err(|e| failed(&e))?;
        listener.set_nonblocking(true).map_err(|e| failed(&e))?;
        let output = File::create(&log).map_err(|e| failed(&e))?;
        let mut command = Program::new(program);
        command
            .arg(&path)
            // Where DPDK makes a folder even if it puts nothing into it.
            .env("RUNTIME_DIRECTORY", folder.path())
            // With it capsule captures one for every frame that it cannot take.
            .env_remove("RUST_BACKTRACE")
            .stderr(output);
        let namespace = namespace
            .map(|namespace| namespace.as_fd().try_clone_to_owned())
            .transpose()
            .map_err(|e| failed(&e))?;
        let place = Place {
            namespace,
            cpu: None,
        };
        let process = Process::start(PROGRAM, command, place, &log).map_err(|e| failed(&e))?;
        let connected = RefCell::new(None);
        process
            .until(CONNECT, || {
                let socket = listener.accept().map(|(socket, _)| socket);
                connected.replace(socket.ok());
                connected.borrow().is_some()
            })
            .map_err(|e| failed(&e))?;
        let socket = connected
            .into_inner()
            .ok_or_else(|| failed(&"it did not connect"))?;
        socket.set_nonblocking(false).map_err(|e| failed(&e))?;
        socket
            .set_read_timeout(Some(ANSWER))
            .map_err(|e| failed(&e))?;
        let mut client = Self {
            socket: Some(socket),
            process,
            _memory: memory,
            _folder: folder,
        };
        client.tell(&Request::Start(Box::new(start)))?;
        Ok(Launched(client))
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, Error> {
        self.tell(request)?;
        self.answer()
    }

    fn tell(&mut self, request: &Request) -> Result<(), Error> {
        let told = self.socket().and_then(|socket| send(socket, request));
        told.map_err(|error| self.lost(error))
    }

    fn answer(&mut self) -> Result<Answer, Error> {
        match self.socket().and_then(receive) {
            Ok(Some(Answer::Failed(reason))) => {
                let reason = format!(
                    "{reason}; the last it logged:\n{}",
                    self.process.last_logged()
                );
                Err(Error::failed(ASKING, reason))
            }
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(self.lost("it closed the connection")),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Why the connection is of no use any more: that the process ended says more than what came of it, and is known a
    /// moment later.
    fn lost(&self, why: impl std::fmt::Display) -> Error {
        self.process.wait(NOTICE);
        self.check()
            .err()
            .unwrap_or_else(|| Error::failed(ASKING, why))
    }

    fn socket(&mut self) -> io::Result<&mut UnixStream> {
        let ended = || io::Error::other("it ended");
        self.socket.as_mut().ok_or_else(ended)
    }

    /// Has its tester carry out an order; see `polling_tester`.
    ///
    /// # Errors
    /// Where it is gone, or no tester.
    pub fn offer(&mut self, order: Order) -> Result<Outcome, Error> {
        match self.ask(&Request::Offer(order))? {
            Answer::Tested(outcome) => Ok(*outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Has its injector send a frame by the device at this place.
    ///
    /// # Errors
    /// Where it is gone, no injector, or cannot.
    pub fn inject(&mut self, place: usize, frame: &[u8]) -> Result<(), Error> {
        match self.ask(&Request::Inject(place, frame.to_vec()))? {
            Answer::Sent => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// What came to its injector since the last time, with the places of devices.
    ///
    /// # Errors
    /// Where it is gone, or no injector.
    pub fn collect(&mut self) -> Result<Vec<(usize, Vec<u8>)>, Error> {
        match self.ask(&Request::Collect)? {
            Answer::Collected(frames) => Ok(frames),
            other => Err(unexpected(&other)),
        }
    }

    /// What it counted.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn count(&mut self) -> Result<Counted, Error> {
        match self.ask(&Request::Count)? {
            Answer::Counted(counted) => Ok(*counted),
            other => Err(unexpected(&other)),
        }
    }

    /// The direct paths that it knows.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        match self.ask(&Request::DirectPaths)? {
            Answer::DirectPaths(paths) => Ok(paths),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives its droplet these tables.
    ///
    /// # Errors
    /// Where it is gone, no droplet, or has no room for them.
    pub fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        match self.ask(&Request::Update(Box::new(provision.clone())))? {
            Answer::Updated => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// An error if it ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        let alive = self.process.check();
        alive.map_err(|e| Error::failed(ASKING, e))
    }

    /// Its threads, the one that polls among them, which go before other work from now on.
    ///
    /// # Errors
    /// Where it is gone, or the kernel refuses.
    pub fn prioritised_threads(&self) -> Result<Vec<Tid>, Error> {
        let threads = Tid::of_process(self.process.pid)?;
        for thread in &threads {
            thread.prioritise(Urgency::Busy)?;
        }
        Ok(threads)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The end of the connection is its order to end; where it does not, it is killed.
        self.socket = None;
        if !self.process.wait(STOP) {
            tracing::warn!(program = PROGRAM, "does not end, and is killed");
        }
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::failed(ASKING, format!("it answered {answer:?}"))
}
