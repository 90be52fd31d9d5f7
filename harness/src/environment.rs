//! The machine, as a report must name it.

use crate::record::Environment;
use crate::tester::TesterCpus;
use netdev::{Cpu, allowed_cpus, round_trip};
use std::fs::read_to_string;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Processors for the datapath and for the tester.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Of the datapath.
    pub datapath: Cpu,
    /// Of the tester's generator, and of all of a tester that is one thread.
    pub tester: Cpu,
    /// Of the tester's sinks: a processor of their own, if there are three.
    pub sinks: Cpu,
    /// What measures how far apart two are.
    round_trip: RoundTrip,
}

/// The round trip of a cache line between two processors, if it can be measured.
type RoundTrip = fn(Cpu, Cpu) -> Option<Duration>;

impl Placement {
    /// The last two or three processors that this process may use: the first usually has the machine's chores.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn choose() -> Result<Self, netdev::Error> {
        Ok(Self::of(&allowed_cpus()?))
    }

    fn of(cpus: &[Cpu]) -> Self {
        let from_last = |number: usize| cpus.iter().rev().nth(number).copied();
        let datapath = from_last(0).unwrap_or(Cpu(0));
        let tester = from_last(1).unwrap_or(datapath);
        Self {
            datapath,
            tester,
            sinks: from_last(2).unwrap_or(tester),
            round_trip,
        }
    }

    /// The same processors, with distances that somebody else tells.
    #[cfg(test)]
    pub(crate) fn with_round_trip(self, round_trip: RoundTrip) -> Self {
        Self { round_trip, ..self }
    }

    /// Each of them, some maybe twice.
    pub fn all(&self) -> [Cpu; 3] {
        [self.datapath, self.tester, self.sinks]
    }

    /// How far the datapath's processor is from those of the tester: the round trip of a cache line to the farther one. `None`
    /// where they are one, or it cannot be told.
    pub fn apart(&self) -> Option<Duration> {
        let generator = (self.round_trip)(self.datapath, self.tester);
        let sinks = self.sinks != self.tester;
        let sinks = sinks.then(|| (self.round_trip)(self.datapath, self.sinks));
        generator.max(sinks.flatten())
    }

    /// The tester's part.
    pub fn tester_cpus(&self) -> TesterCpus {
        TesterCpus {
            generator: self.tester,
            sinks: self.sinks,
        }
    }

    /// Whether the two share a processor, so that every figure is of both together.
    pub fn is_shared(&self) -> bool {
        self.datapath == self.tester
    }
}

/// Begins the note of how busy the machine was before a run: in percent of the time of all its processors.
pub const BUSY: &str = "processors busy before the run: ";
/// How long that is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Whether a note is of the moment, and no trait of the machine.
pub fn is_of_the_moment(note: &str) -> bool {
    note.starts_with(BUSY) || note.starts_with("load average")
}

/// The commit that this program was built from.
static COMMIT: OnceLock<&str> = OnceLock::new();

/// Says once what commit this program was built from, for all that describes its environment later.
pub fn built_from(commit: Option<&'static str>) {
    if let Some(commit) = commit.filter(|it| !it.is_empty()) {
        COMMIT.get_or_init(|| commit);
    }
}

/// Describes the machine, at which it looks for half a second.
pub fn describe(placement: Placement) -> Environment {
    // Unlike the load average it does not count what has ended by now, such as the run before.
    let before = processor_time();
    std::thread::sleep(LOOK);
    let busy = before.zip(processor_time()).and_then(|(before, after)| {
        let [busy, all] = [0, 1].map(|it: usize| after[it].saturating_sub(before[it]));
        (all > 0).then(|| busy * 100 / all)
    });
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu_field = |name: &str| {
        cpuinfo
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split(':').nth(1))
            .map(|value| value.trim().to_owned())
    };
    let memory_kib: u64 = read_to_string("/proc/meminfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemTotal:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let line = |path: &str| read_to_string(path).unwrap_or_default().trim().to_owned();
    let system = read_to_string("/etc/os-release")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("unknown")
        .trim_matches('"')
        .to_owned();
    let is_virtual = cpu_field("flags")
        .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"));
    let vendor = line("/sys/class/dmi/id/sys_vendor");
    let hypervisor = is_virtual.then(|| {
        if vendor.is_empty() {
            "of an unknown kind".to_owned()
        } else {
            vendor
        }
    });
    let mut notes = Vec::new();
    notes.extend(busy.map(|percent| format!("{BUSY}{percent} %")));
    let load = line("/proc/loadavg");
    if let Some(load) = load.split_whitespace().next() {
        notes.push(format!("load average at the start: {load}"));
    }
    let governor = line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    if !governor.is_empty() {
        notes.push(format!("frequency governor: {governor}"));
    }
    if line("/proc/sys/net/core/bpf_jit_enable") == "0" {
        notes.push("the BPF compiler is switched off (net.core.bpf_jit_enable)".to_owned());
    }
    Environment {
        bench_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: COMMIT.get().map(|it| (*it).to_owned()),
        build: if cfg!(debug_assertions) {
            "with runtime checks"
        } else {
            "optimised"
        }
        .to_owned(),
        kernel: line("/proc/sys/kernel/osrelease"),
        system,
        cpu_model: cpu_field("model name").unwrap_or_else(|| "unknown".to_owned()),
        cpus: allowed_cpus().map_or(1, |cpus| cpus.len()),
        datapath_cpu: placement.datapath.0,
        tester_cpu: placement.tester.0,
        sinks_cpu: placement.sinks.0,
        memory_mib: memory_kib / 1024,
        hypervisor,
        clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        clock_cost_ns: clock_cost(),
        container: container(),
        droplets: Vec::new(),
        notes,
    }
}

/// The container that this process runs in, if it is one: its host name, which is the beginning of its id if nobody chose
/// another. Podman, systemd and this project's images set the variable `container`, and a machine made of an image does not.
pub fn container() -> Option<String> {
    std::env::var_os("container")?;
    let name = read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim().to_owned())
}

/// Nanoseconds that reading the clock costs: the median of many short series.
fn clock_cost() -> f64 {
    const SERIES: usize = 101;
    const READS: u32 = 100;
    let mut costs: Vec<f64> = (0..SERIES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..READS {
                std::hint::black_box(Instant::now());
            }
            start.elapsed().as_nanos() as f64 / f64::from(READS)
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs[SERIES / 2]
}

/// What all processors were busy since boot, for the hypervisor's other guests too, and all their time, in ticks.
fn processor_time() -> Option<[u64; 2]> {
    let stat = read_to_string("/proc/stat").ok()?;
    let mut fields = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace();
    // See proc(5): user, nice, system, idle, iowait, irq, softirq, steal. Guests' time is in that of users.
    let mut ticks = [0_u64; 8];
    for field in &mut ticks {
        *field = fields.next()?.parse().ok()?;
    }
    let all: u64 = ticks.iter().sum();
    Some([all.saturating_sub(ticks[3] + ticks[4]), all])
}

/// Time that the hypervisor took from these processors since boot, as far as it says.
pub fn steal(cpus: &[Cpu]) -> Duration {
    // The 8th number of a processor's line in /proc/stat, in ticks; see proc(5).
    let ticks: u64 = read_to_string("/proc/stat")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let number: usize = fields.next()?.strip_prefix("cpu")?.parse().ok()?;
            if !cpus.contains(&Cpu(number)) {
                return None;
            }
            fields.nth(7)?.parse::<u64>().ok()
        })
        .sum();
    // SAFETY: has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Duration::from_millis(ticks * 1000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_a_processor_of_its_own_as_far_as_they_go() {
        let of = |count: usize| {
            let cpus: Vec<Cpu> = (0..count).map(Cpu).collect();
            let placement = Placement::of(&cpus);
            [placement.datapath.0, placement.tester.0, placement.sinks.0]
        };
        assert_eq!(of(1), [0, 0, 0]);
        assert_eq!(of(2), [1, 0, 0]);
        assert_eq!(of(3), [2, 1, 0]);
        assert_eq!(of(16), [15, 14, 13]);
    }
}
