//! What a run was made on, and by what program.

use serde::{Deserialize, Serialize};

/// The machine and the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of this program.
    pub bench_version: String,
    /// Commit that it was built from, as `git describe --always --dirty` has it; known where `cargo xtask` built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its build profile; anything but `release` or `optimised` makes figures worthless.
    pub build: String,
    /// Kernel release.
    pub kernel: String,
    /// Operating system, by os-release.
    pub system: String,
    /// Processor model.
    pub cpu_model: String,
    /// Processors this process may use.
    pub cpus: usize,
    /// Processor of the datapath.
    pub datapath_cpu: usize,
    /// Processor of the tester's generator.
    pub tester_cpu: usize,
    /// Processor of the tester's sinks.
    #[serde(default)]
    pub sinks_cpu: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Hypervisor, where there is one.
    pub hypervisor: Option<String>,
    /// Kernel clock source.
    pub clock_source: String,
    /// What reading the clock costs, median.
    pub clock_cost_ns: f64,
    /// The container that the tester ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The droplets of overlays that ran elsewhere than the tester, as in containers of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub droplets: Vec<DropletHome>,
    /// Other facts worth knowing: mitigations, governor, load.
    pub notes: Vec<String>,
}

impl Environment {
    /// Whether the program was built so that its figures mean something.
    #[must_use]
    pub fn is_optimised(&self) -> bool {
        matches!(self.build.as_str(), "release" | "optimised")
    }
}

/// Where a droplet ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropletHome {
    /// Its name.
    pub droplet: String,
    /// The container, if it was one.
    pub container: Option<String>,
}
