//! The veth tester: a generator on live frames and sinks, all in the kernel.
//!
//! `BPF_PROG_TEST_RUN` with live frames calls the generator once a frame until a signal stops it; one call
//! lasts a whole trial, because setting one up would leave a gap. Where sinks share the generator's
//! processor they go first, since a frame that waits for the tester is the tester's loss.

use super::workload::Workload;
use super::{Error, Offer, Report, Tester, TesterCpus, Watch, add, summarise_all};
use crate::lab::{TesterEnds, VethLab};
use ::workload::underlay::Crossing;
use ::workload::{ANYWHERE, Control, Pace, ROUNDS, SinkConfig, SinkState, WINDOW, histogram};
use aya::maps::{Array, MapData};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, XdpMode};
use aya::{Ebpf, EbpfLoader};
use bpf_load::{fill, load_program, program};
use netdev::{CpuTime, Namespace, Tid, Urgency, pin_current_thread};
use polling_tester::{DRAIN, now, occupied};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Frames a test run handles between two flushes. The kernel keeps as many pages for reuse; with fewer it
/// spends more on pages than on frames, with more it overruns a veth device's 256 places.
const BATCH: u32 = 128;
/// The same where latency is taken and the load allows it: a batch delays a frame by as much as the batch takes.
const LATENCY_BATCH: u32 = 64;
/// Frames per second that small batches carry.
const LATENCY_BATCH_LOAD: f64 = 2e6;
/// How long a generator may take until it is first called.
const PATIENCE: Duration = Duration::from_secs(20);

/// A tester at the other ends of a droplet's veth ports.
pub struct VethTester {
    ebpf: Ebpf,
    pace: Array<MapData, Plain<Pace>>,
    namespace: Arc<Namespace>,
    entries: u32,
    /// Number of the next trial's first frame.
    first: u32,
    longest: usize,
    sinks: Vec<(u32, SinkConfig)>,
    threads: Vec<Tid>,
    cpus: TesterCpus,
    /// Who is told when a trial's first frame is due.
    start: Option<Sender<u64>>,
}

/// What an underlay counts, by [`Crossing::place`].
const COUNTS: [&str; 4] = ["CROSSED", "LAST", "AGES", "AGED"];

/// Loads the tester's object with room for `entries`, and for what an underlay counts of so many droplets. To make room for all
/// droplets that there may be takes the kernel most of a second, since it makes it by processor and place.
pub fn load(entries: usize, droplets: u32) -> Result<Ebpf, Error> {
    let entries = u32::try_from(entries.max(1))
        .map_err(|_| Error::Workload(format!("{entries} frames are too many")))?;
    let mut loader = EbpfLoader::new();
    loader.map_max_entries("ENTRIES", entries);
    for counts in COUNTS {
        loader.map_max_entries(counts, Crossing::places(droplets).max(1));
    }
    #[cfg(bpf)]
    {
        let object = aya::include_bytes_aligned!(env!("BPF_OBJECT"));
        let loaded = loader.load(object);
        Ok(loaded.map_err(|e| bpf_load::Error::failed("loading the object", &e))?)
    }
    #[cfg(not(bpf))]
    {
        drop(loader);
        Err(Error::NoPrograms)
    }
}

impl VethTester {
    /// A tester of `workload` at these ends of ports; `through_null_forward` if what stands between does not
    /// touch frames.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(
        ends: &TesterEnds,
        workload: &Workload,
        through_null_forward: bool,
        cpus: TesterCpus,
    ) -> Result<Self, Error> {
        let namespace = Arc::clone(&ends.namespace);
        let mut sinks = Vec::new();
        let mut ebpf = namespace.run(|| -> Result<Ebpf, Error> {
            let mut ebpf = load(workload.entries.len(), 0)?;
            load_program(&mut ebpf, "generate")?;
            load_program(&mut ebpf, "sink")?;
            let entries: Vec<_> = (0u32..).zip(workload.entries.iter().copied()).collect();
            fill(&ebpf, "ENTRIES", entries.into_iter())?;
            for (port, interface) in &ends.ends {
                let number = u32::from(super::workload::number(*port));
                fill(&ebpf, "OUT", [(number, [interface.index(), 0])].into_iter())?;
                program(&mut ebpf, "sink")?
                    .attach_to_if_index(interface.index(), XdpMode::Driver)
                    .map_err(|e| bpf_load::Error::failed("attaching the sink", &e))?;
                if let Some(plan) = workload.sinks.iter().find(|plan| plan.port == *port) {
                    let config = SinkConfig {
                        inner_at: plan.inner_at(through_null_forward),
                        latency: 0,
                        active: 1,
                        port: number,
                        ..SinkConfig::default()
                    };
                    sinks.push((interface.index(), config));
                }
            }
            Ok(ebpf)
        })??;
        let mut threads = Vec::new();
        for (_, interface) in &ends.ends {
            threads.extend(interface.thread_napi(cpus.sinks, Urgency::Sink)?);
        }
        let pace = ebpf.take_map("PACE");
        let pace = pace.ok_or_else(|| bpf_load::Error::Absent("map PACE".to_owned()))?;
        let pace =
            Array::try_from(pace).map_err(|e| bpf_load::Error::failed("reading PACE", &e))?;
        Ok(Self {
            ebpf,
            pace,
            namespace,
            entries: workload.entries.len() as u32,
            first: 0,
            longest: workload.longest,
            sinks,
            threads,
            cpus,
            start: None,
        })
    }

    /// Tells when the first frame of each trial from now on is due, in nanoseconds of CLOCK_MONOTONIC, once it is known.
    pub fn tell_start(&mut self, to: Sender<u64>) {
        self.start = Some(to);
    }

    fn reset(&mut self, control: Control, watch: Watch) -> Result<(), Error> {
        fill(&self.ebpf, "CONTROL", [(0u32, control)].into_iter())?;
        self.pace
            .set(0, Plain(Pace::new(&control)), 0)
            .map_err(|e| bpf_load::Error::failed("resetting PACE", &e))?;
        let (direct_to, round) = watch.direct_path();
        let histograms = watch.histograms();
        let sinks: Vec<_> = self
            .sinks
            .iter()
            .map(|(index, config)| {
                (
                    *index,
                    SinkConfig {
                        latency: histograms,
                        // Only frames that leave by the uplink have outer headers.
                        direct_to: if config.inner_at == 0 && direct_to != ANYWHERE {
                            0
                        } else {
                            direct_to
                        },
                        round,
                        ..*config
                    },
                )
            })
            .collect();
        for (_, config) in &sinks {
            fill(
                &self.ebpf,
                "STATES",
                [(config.port, SinkState::default())].into_iter(),
            )?;
        }
        fill(&self.ebpf, "SINKS", sinks.into_iter())?;
        fill(&self.ebpf, "SEEN", zeros::<u32>(WINDOW))?;
        if histograms > 0 {
            let buckets = histograms * histogram::BUCKETS as u32;
            fill(&self.ebpf, "LATENCY", zeros::<u64>(buckets))?;
        }
        if direct_to != 0 {
            fill(&self.ebpf, "DIRECT", zeros::<u64>(ROUNDS))?;
        }
        Ok(())
    }

    fn threads_time(&self) -> Result<CpuTime, Error> {
        let mut total = CpuTime::default();
        for thread in &self.threads {
            total = total + thread.cpu_time()?;
        }
        Ok(total)
    }

    /// Calls a program once a live frame, on a thread of its own, for as long as a trial of `duration` takes.
    /// Returns the processor time it took and where the generator is.
    fn generate(
        &mut self,
        name: &str,
        frame: &[u8],
        batch: u32,
        duration: Duration,
    ) -> Result<(CpuTime, Pace), Error> {
        install_signal_handler()?;
        let pace = &self.pace;
        let read = || {
            pace.get(&0, 0)
                .map(|Plain(pace)| pace)
                .map_err(|e| Error::from(bpf_load::Error::failed("reading PACE", &e)))
        };
        let (namespace, cpu) = (&self.namespace, self.cpus.generator);
        let generator = program(&mut self.ebpf, name)?;
        let stop = AtomicBool::new(false);
        let (started, ready) = std::sync::mpsc::channel();
        let result = std::thread::scope(|scope| {
            let stop = &stop;
            let thread = scope.spawn(move || -> Result<CpuTime, Error> {
                let _ = started.send(Tid::current());
                namespace.enter()?;
                pin_current_thread(cpu)?;
                Tid::current().prioritise(Urgency::Busy)?;
                while !stop.load(Ordering::Relaxed) {
                    let run = generator.test_run(TestRunOptions {
                        data_in: Some(frame),
                        repeat: u32::MAX,
                        attrs: TestRunAttrs::new().xdp_live_frames(batch),
                        ..TestRunOptions::default()
                    });
                    match run {
                        Ok(_) => {}
                        Err(error) if is_interrupted(&error) => {}
                        Err(error) => return Err(Error::Generator(bpf_load::chain(&error))),
                    }
                }
                Ok(Tid::current().cpu_time()?)
            });
            let tid = ready.recv();
            let asked = Instant::now();
            let mut started = read();
            while matches!(started, Ok(Pace { start: 0, .. }))
                && asked.elapsed() < PATIENCE
                && !thread.is_finished()
            {
                std::thread::sleep(Duration::from_micros(500));
                started = read();
            }
            if let (Some(tell), Ok(pace)) = (&self.start, &started) {
                // Who asked may be gone.
                let _ = tell.send(pace.start);
            }
            let start = started.as_ref().map_or(0, |pace| pace.start).max(now());
            let over = start + duration.as_nanos() as u64;
            std::thread::sleep(Duration::from_nanos(over.saturating_sub(now())));
            stop.store(true, Ordering::Relaxed);
            // The signal may come between two calls, where it interrupts nothing; so it is repeated.
            while !thread.is_finished() {
                if let Ok(tid) = tid {
                    tid.interrupt();
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            thread.join()
        });
        let time = result.map_err(|_| Error::Generator("it panicked".to_owned()))??;
        let pace = read()?;
        if pace.start == 0 {
            return Err(Error::Generator(format!(
                "it was not called once within {} s",
                PATIENCE.as_secs()
            )));
        }
        Ok((time, pace))
    }

    fn read<V: aya::Pod>(&self, map: &str, index: u32) -> Result<V, Error> {
        let failed = |e: aya::maps::MapError| bpf_load::Error::failed(format!("reading {map}"), &e);
        let array: Array<_, V> =
            Array::try_from(bpf_load::map(&self.ebpf, map)?).map_err(failed)?;
        Ok(array.get(&index, 0).map_err(failed)?)
    }
}

impl VethTester {
    /// The first `count` values of a map of counts.
    fn counts(&self, map: &str, count: u32) -> Result<Vec<u64>, Error> {
        (0..count).map(|index| self.read(map, index)).collect()
    }
}

fn zeros<V: Default + Clone>(count: u32) -> impl ExactSizeIterator<Item = (u32, V)> {
    (0..count as usize).map(|index| (index as u32, V::default()))
}

impl Tester for VethTester {
    fn offer(&mut self, offer: &Offer) -> Result<Report, Error> {
        // On a thread of its own that goes before all others: it sleeps through the trial and must end it.
        let result = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let own = Tid::current();
                    // A container may have no part in real time (CONFIG_RT_GROUP_SCHED).
                    own.prioritise(Urgency::Idle)
                        .or_else(|_| own.prioritise(Urgency::Busy))?;
                    self.conduct(offer)
                })
                .join()
        });
        result.map_err(|_| Error::Generator("the tester's thread panicked".to_owned()))?
    }
}

impl VethTester {
    fn conduct(&mut self, offer: &Offer) -> Result<Report, Error> {
        let (load, duration) = (offer.load.get(), offer.duration);
        let nanoseconds = duration.as_nanos() as u64;
        let control = Control::new(nanoseconds, load, self.entries, self.first)
            .beginning_with(offer.first_entry);
        self.first = control.next_first();
        self.reset(control, offer.watch)?;
        let before = self.threads_time()?;
        let frame = vec![0; self.longest];
        let small = offer.watch != Watch::Counts && load <= LATENCY_BATCH_LOAD;
        let batch = if small { LATENCY_BATCH } else { BATCH };
        let (generator, pace) = self.generate("generate", &frame, batch, duration)?;
        std::thread::sleep(DRAIN);
        let sinks = self.threads_time()?.since(before);
        let mut arrived = SinkState::default();
        for (_, config) in &self.sinks {
            let Plain(state) = self.read::<Plain<SinkState>>("STATES", config.port)?;
            add(&mut arrived, &state);
        }
        let buckets = offer.watch.histograms() * histogram::BUCKETS as u32;
        let counts = self.counts("LATENCY", buckets)?;
        let histograms = counts.chunks(histogram::BUCKETS).map(occupied);
        let [latency, odd_latency] = summarise_all(histograms);
        Ok(Report {
            intended: control.frames,
            offered: pace.next,
            arrived,
            latency,
            odd_latency,
            direct: self.counts("DIRECT", offer.watch.rounds())?,
            began: pace.start,
            cpu: sinks + generator,
            stalled: None,
            effective: Duration::from_nanos(now().saturating_sub(pace.start)),
        })
    }
}

/// What aya may copy out of maps.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

// SAFETY: `repr(C)` without padding, valid for any bytes.
unsafe impl aya::Pod for Plain<Pace> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<SinkState> {}

fn is_interrupted(error: &aya::programs::ProgramError) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.raw_os_error() == Some(libc::EINTR);
        }
        source = cause.source();
    }
    false
}

extern "C" fn ignore(_: libc::c_int) {}

/// A handler that does nothing, so that the signal interrupts a system call and ends no process.
fn install_signal_handler() -> Result<(), Error> {
    // SAFETY: the handler is async-signal-safe, since it does nothing.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut())
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Error::Generator(
            std::io::Error::last_os_error().to_string(),
        ))
    }
}

/// Frames per second that a loop which only counts and redirects puts out of the uplink's other end, and that
/// the generator puts out in the same time: how much of what live frames can do the generator reaches.
/// What is at the uplink should drop everything.
///
/// # Errors
/// Where the kernel refuses.
pub fn bare_and_generator(
    lab: &VethLab,
    workload: &Workload,
    duration: Duration,
    cpus: TesterCpus,
) -> Result<(f64, f64), Error> {
    let mut tester = VethTester::new(lab.tester(), workload, true, cpus)?;
    load_program(&mut tester.ebpf, "bare")?;
    let frame = vec![0; tester.longest];
    let mut rates = [0.0; 2];
    for (rate, name) in rates.iter_mut().zip(["bare", "generate"]) {
        // A load that no generator reaches, so that a frame is always due.
        let control = Control::new(duration.as_nanos() as u64, 1e9, tester.entries, 0);
        tester.reset(control, Watch::Counts)?;
        let (_, pace) = tester.generate(name, &frame, BATCH, duration)?;
        *rate = pace.next as f64 / duration.as_secs_f64();
    }
    Ok((rates[0], rates[1]))
}
