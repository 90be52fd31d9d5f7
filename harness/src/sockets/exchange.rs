//! What client and server do: each job has a client, and a server in another namespace, as threads of this process.

use super::record::Job;
use super::socket::{Abort, Connection, Listener, PATIENCE};
use super::{Setting, Trouble, endpoint::Endpoint};
use crate::record::{Hop, Latency};
use crate::tester::summarise;
use ::workload::histogram::{BUCKETS, bucket};
use netdev::{CpuTime, Tid, pin_current_thread};
use polling_tester::occupied;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// Bytes that a stream is given, or asked for, at once.
const CHUNK: usize = 128 * 1024;
/// How often the measuring thread looks whether all is well.
const TICK: Duration = Duration::from_millis(20);

/// How long a job is left to itself, and measured then.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Until it runs evenly.
    pub ramp: Duration,
    /// What is measured.
    pub window: Duration,
}

/// What a job came to.
#[derive(Debug)]
pub struct Done {
    /// How long it was measured.
    pub time: Duration,
    /// Bytes that arrived, requests that were answered, or connections that came to their end.
    pub count: u64,
    /// From a request to its response, or from connecting to the end.
    pub latency: Option<Latency>,
    /// Segments that streams sent again, from their beginning to their end.
    pub retransmitted: Option<u64>,
    /// Processor time of client and server, with what the kernel does on their behalf and to receive for them.
    pub endpoints: Duration,
    /// What each droplet did.
    pub hops: Vec<Hop>,
}

/// What those who work on a job share.
#[derive(Default)]
struct Shared {
    abort: Abort,
    /// Clients shall come to an end.
    ending: AtomicBool,
    /// Clients are at an end, so that nobody connects any more.
    over: AtomicBool,
    measuring: AtomicBool,
    /// Clients that are connected.
    connected: AtomicU32,
    count: AtomicU64,
    retransmitted: AtomicU64,
    threads: Mutex<Vec<Tid>>,
    /// The first thing that went wrong.
    trouble: Mutex<Option<Trouble>>,
}

impl Shared {
    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }

    fn set(flag: &AtomicBool, to: bool) {
        flag.store(to, Ordering::Relaxed);
    }

    fn count(&self, count: usize) {
        self.count.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What went wrong first is what is told: the rest follows from it.
    fn fail(&self, trouble: Trouble) {
        self.abort.set();
        let mut first = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(trouble);
    }

    /// Processor time of threads that are there.
    fn time(&self) -> Duration {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        CpuTime::of(&threads).running
    }

    /// Has a thread at `endpoint` do `work`, and notes what goes wrong. The thread stays until all is over, so that its
    /// time is not forgotten.
    fn employ<'scope, T: Send + 'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        endpoint: &'scope Endpoint,
        work: impl FnOnce() -> Result<T, Trouble> + Send + 'scope,
    ) -> std::thread::ScopedJoinHandle<'scope, Option<T>> {
        scope.spawn(move || {
            let done = self.settle(endpoint).and_then(|()| work());
            done.map_err(|trouble| self.fail(trouble)).ok()
        })
    }

    /// Moves the calling thread to the endpoint for good.
    fn settle(&self, endpoint: &Endpoint) -> Result<(), Trouble> {
        endpoint.namespace().enter()?;
        pin_current_thread(endpoint.cpu())?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.push(Tid::current());
        Ok(())
    }
}

/// Has client and server of `setting` do `job`, and measures it. Gives up early if `is_interrupted`.
///
/// # Errors
/// Where packets do not get through, a droplet dies, or the kernel refuses.
pub fn measure(
    setting: &Setting,
    job: Job,
    span: Span,
    is_interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Done, Trouble> {
    let shared = Shared::default();
    let (told, address) = mpsc::channel();
    let done = std::thread::scope(|scope| -> Result<Done, Trouble> {
        let shared = &shared;
        let server = setting.server();
        shared.employ(scope, server, move || {
            serve(scope, server, job, shared, &told)
        });
        // Nobody tells if the server could not listen; what it met with is told below.
        let address = address.recv().map_err(|_| Trouble::GivenUp)?;
        let clients: Vec<_> = (0..job.clients())
            .map(|_| {
                let work = move || ask(address, job, shared);
                shared.employ(scope, setting.client(), work)
            })
            .collect();
        let measured = watch(setting, job, span, shared, is_interrupted);
        if measured.is_err() {
            shared.abort.set();
        }
        Shared::set(&shared.ending, true);
        let mut counts = vec![0; BUCKETS];
        for client in clients {
            if let Ok(Some(of_client)) = client.join() {
                for (sum, count) in counts.iter_mut().zip(of_client) {
                    *sum += count;
                }
            }
        }
        Shared::set(&shared.over, true);
        let mut done = measured?;
        let histogram = occupied(&counts);
        done.latency = (!histogram.is_empty()).then(|| summarise(histogram));
        Ok(done)
    });
    // All threads have ended.
    setting.check()?;
    let trouble = shared
        .trouble
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let mut done = done?;
    let streams = matches!(job, Job::Streams { .. });
    done.retransmitted = streams.then(|| shared.retransmitted.load(Ordering::Relaxed));
    Ok(done)
}

/// Waits until all clients are connected and the ramp is over, and then measures.
fn watch(
    setting: &Setting,
    job: Job,
    span: Span,
    shared: &Shared,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<Done, Trouble> {
    let wait = |is_over: &dyn Fn(Duration) -> bool| -> Result<(), Trouble> {
        let began = Instant::now();
        while !is_over(began.elapsed()) {
            if shared.abort.is_set() {
                return Err(Trouble::GivenUp);
            }
            if is_interrupted() {
                return Err(Trouble::Interrupted);
            }
            setting.check()?;
            std::thread::sleep(TICK);
        }
        Ok(())
    };
    let wait_for = |time: Duration| {
        let until = Instant::now() + time;
        wait(&|_| Instant::now() + TICK >= until)?;
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok::<(), Trouble>(())
    };
    let all = job.clients();
    wait(&|waited| shared.connected.load(Ordering::Relaxed) >= all || waited > PATIENCE)?;
    if shared.connected.load(Ordering::Relaxed) < all {
        return Err(Trouble::Stalled {
            doing: "connecting",
        });
    }
    wait_for(span.ramp)?;
    let times = || shared.time() + setting.receiving_time();
    let (hops, endpoints) = (setting.hops()?, times());
    let (began, before) = (Instant::now(), shared.count.load(Ordering::Relaxed));
    Shared::set(&shared.measuring, true);
    wait_for(span.window)?;
    // A window in which nothing comes goes on until something does: that is its rate.
    let count = || shared.count.load(Ordering::Relaxed).saturating_sub(before);
    wait(&|_| count() > 0 || began.elapsed() > span.window + PATIENCE)?;
    Shared::set(&shared.measuring, false);
    let (time, count) = (began.elapsed(), count());
    let endpoints = times().saturating_sub(endpoints);
    let hops = setting.hops()?.into_iter().zip(&hops);
    if count == 0 {
        return Err(Trouble::Stalled { doing: job.doing() });
    }
    Ok(Done {
        time,
        count,
        latency: None,
        retransmitted: None,
        endpoints,
        hops: hops.map(|(now, before)| now.since(before)).collect(),
    })
}

/// The server: tells where it listens, and serves each client of a job on a thread of its own, but for connections, which
/// are served one after the other.
fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    endpoint: &'scope Endpoint,
    job: Job,
    shared: &'scope Shared,
    told: &mpsc::Sender<SocketAddr>,
) -> Result<(), Trouble> {
    let listener = Listener::at(endpoint.address())?;
    // If nobody wants to know, nobody will connect.
    let _ = told.send(listener.address()?);
    let is_over = || Shared::is(&shared.over) || shared.abort.is_set();
    while let Some(mut connection) = listener.accept(is_over)? {
        match job {
            Job::Streams { .. } => {
                shared.employ(scope, endpoint, move || swallow(&mut connection, shared));
            }
            Job::RequestResponse => {
                shared.employ(scope, endpoint, move || echo(&mut connection, shared));
            }
            // Ends the connection first, so that it is this side which remembers it for a while, and the client does not
            // run out of ports.
            Job::Connections => {
                answer(&mut connection, shared)?;
            }
        }
    }
    Ok(())
}

/// Takes all that comes.
fn swallow(connection: &mut Connection, shared: &Shared) -> Result<(), Trouble> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match connection.read(&mut buffer, &shared.abort)? {
            0 => return Ok(()),
            count => shared.count(count),
        }
    }
}

fn echo(connection: &mut Connection, shared: &Shared) -> Result<(), Trouble> {
    while answer(connection, shared)? {}
    Ok(())
}

/// Answers one request; false if there is none any more.
fn answer(connection: &mut Connection, shared: &Shared) -> Result<bool, Trouble> {
    let mut request = [0];
    if connection.read(&mut request, &shared.abort)? == 0 {
        return Ok(false);
    }
    connection.write(&request, &shared.abort)?;
    Ok(true)
}

/// A client; how many of its exchanges took how long, by bucket.
fn ask(address: SocketAddr, job: Job, shared: &Shared) -> Result<Vec<u64>, Trouble> {
    let mut counts = vec![0; BUCKETS];
    let mut record = |began: Instant| {
        if Shared::is(&shared.measuring) {
            let nanoseconds = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
            counts[bucket(nanoseconds) as usize] += 1;
        }
        shared.count(1);
    };
    let go_on = || !Shared::is(&shared.ending);
    let connected = || shared.connected.fetch_add(1, Ordering::Relaxed);
    match job {
        Job::Streams { .. } => {
            let mut connection = Connection::to(address)?;
            connected();
            let chunk = vec![0; CHUNK];
            while go_on() {
                connection.write(&chunk, &shared.abort)?;
            }
            if let Some(segments) = connection.retransmitted() {
                shared.retransmitted.fetch_add(segments, Ordering::Relaxed);
            }
            connection.finish()?;
            // What is on its way must be there before this side goes.
            connection.read(&mut [0], &shared.abort)?;
        }
        Job::RequestResponse => {
            let mut connection = Connection::to(address)?;
            connected();
            while go_on() {
                let began = Instant::now();
                request(&mut connection, shared)?;
                record(began);
            }
        }
        Job::Connections => {
            connected();
            while go_on() {
                let began = Instant::now();
                let mut connection = Connection::to(address)?;
                request(&mut connection, shared)?;
                // The server ends it.
                connection.read(&mut [0], &shared.abort)?;
                drop(connection);
                record(began);
            }
        }
    }
    Ok(counts)
}

/// Sends a request of a byte and waits for the response.
fn request(connection: &mut Connection, shared: &Shared) -> Result<(), Trouble> {
    connection.write(&[1], &shared.abort)?;
    match connection.read(&mut [0], &shared.abort)? {
        0 => Err(Trouble::Ended),
        _ => Ok(()),
    }
}
