//! What a user asks of a datapath: `REQUIREMENTS.toml`.

use datapath_api::{KernelRelease, PortType};
use ranking::Tolerance;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Requirements for each of the groups of users that Mizar names, and for one between two of them, by the names of their files.
pub const BUILT_IN: [(&str, &str); 5] = [
    (
        "container-cluster",
        include_str!("../../requirements/container-cluster.toml"),
    ),
    (
        "container-openflow",
        include_str!("../../requirements/container-openflow.toml"),
    ),
    (
        "public-vpc",
        include_str!("../../requirements/public-vpc.toml"),
    ),
    (
        "private-iaas",
        include_str!("../../requirements/private-iaas.toml"),
    ),
    (
        "large-private-cloud",
        include_str!("../../requirements/large-private-cloud.toml"),
    ),
];

/// Requirements cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error(
        "there are no requirements {}, neither built in nor as a file ({source}); give a file, or one of: {}", path.display(), names()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something else.
    #[error("{name}: {source}")]
    Format {
        /// The file, or which of those built in.
        name: String,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A value makes no sense.
    #[error("{name}: {key} = {value}: {why}")]
    Value {
        /// The file, or which of those built in.
        name: String,
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        why: &'static str,
    },
}

fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// Who asks.
    pub name: String,
    /// In a sentence or two: for whom, and why so.
    #[serde(default)]
    pub summary: String,
    /// By how much two datapaths may differ in the weighted score and still be as good as each other.
    #[serde(default = "default_tolerance")]
    pub tolerance: Tolerance,
    /// The hosts.
    pub host: Host,
    /// What they carry.
    #[serde(default)]
    pub workload: Workload,
    /// What must be kept to.
    #[serde(default)]
    pub limits: Limits,
    /// What matters among those that keep to all of it.
    pub weights: Weights,
}

fn default_tolerance() -> Tolerance {
    Tolerance::DEFAULT
}

/// Hosts that the datapath is to run on. What is left out is no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// What is attached to the overlay.
    pub attaches: Attached,
    /// Their kernel: nothing that asks for a newer one.
    #[serde(default)]
    pub kernel: Option<KernelRelease>,
    /// Whether programs may be loaded into it.
    #[serde(default)]
    pub kernel_programs: Option<bool>,
    /// Whether a stock Open vSwitch must be in control.
    #[serde(default)]
    pub open_vswitch: Option<bool>,
    /// Memory in hugepages that a datapath may have, in mebibytes.
    #[serde(default)]
    pub hugepages_mib: Option<u32>,
    /// Whole processors that a datapath may have for itself to poll.
    #[serde(default)]
    pub polled_processors: Option<u32>,
}

/// What is attached to the overlay, which says by what ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attached {
    /// Containers, by veth.
    Containers,
    /// Virtual machines, by vhost-user.
    VirtualMachines,
}

impl Attached {
    /// The ports.
    pub const fn ports(self) -> PortType {
        match self {
            Self::Containers => PortType::Veth,
            Self::VirtualMachines => PortType::VhostUser,
        }
    }
}

/// Scenarios of a run that count; all, if nothing is named.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Topologies by name.
    #[serde(default)]
    pub topologies: Vec<String>,
    /// Sizes of inner frames, as the run names them: `64`, `IMIX`.
    #[serde(default)]
    pub frames: Vec<String>,
    /// The fewest flows.
    #[serde(default)]
    pub least_flows: Option<u32>,
    /// The most flows.
    #[serde(default)]
    pub most_flows: Option<u32>,
}

/// What must be kept to in every scenario that counts. What is left out is no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Frames a second that one processor must carry at least.
    #[serde(default)]
    pub rate: Option<f64>,
    /// Share of frames that may be lost at that rate; 0 if left out. Nothing without a rate.
    #[serde(default)]
    pub loss: Option<f64>,
    /// The 99th percentile of latency at half of PDR, in microseconds, at the most.
    #[serde(default)]
    pub p99_us: Option<f64>,
    /// Share of a processor that may be taken while there is nothing to forward.
    #[serde(default)]
    pub idle: Option<f64>,
    /// New flows a second, at least.
    #[serde(default)]
    pub new_flows: Option<f64>,
}

/// How much each figure counts. Only their ratios matter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Frames a second with little loss, on one processor.
    #[serde(default)]
    pub throughput: f64,
    /// Processor time of a frame.
    #[serde(default)]
    pub processor_time: f64,
    /// The 99th percentile of latency, at half the load.
    #[serde(default)]
    pub latency: f64,
}

impl Requirements {
    /// Those built in under this name, or of this file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn find(name: &Path) -> Result<Self, Error> {
        let built_in = BUILT_IN.iter().find(|(known, _)| name == Path::new(known));
        if let Some((name, text)) = built_in {
            return Self::parse(name, text);
        }
        let text = fs::read_to_string(name).map_err(|source| Error::File {
            path: name.to_owned(),
            source,
        })?;
        Self::parse(&name.display().to_string(), &text)
    }

    /// Reads and checks requirements.
    fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let read: Self = toml::from_str(text).map_err(|source| Error::Format {
            name: name.to_owned(),
            source,
        })?;
        read.check(name)?;
        Ok(read)
    }

    fn check(&self, name: &str) -> Result<(), Error> {
        let Weights {
            throughput,
            processor_time,
            latency,
        } = self.weights;
        let limits = &self.limits;
        let positive = "must be a finite number above zero";
        let weight = "must be a finite number, not below zero";
        let is_positive = |it: f64| it.is_finite() && it > 0.0;
        let is_weight = |it: f64| it.is_finite() && it >= 0.0;
        let or_fine = |it: Option<f64>| it.unwrap_or(1.0);
        let checks = [
            (
                "weights.throughput",
                throughput,
                is_weight(throughput),
                weight,
            ),
            (
                "weights.processor_time",
                processor_time,
                is_weight(processor_time),
                weight,
            ),
            ("weights.latency", latency, is_weight(latency), weight),
            (
                "the sum of weights",
                throughput + processor_time + latency,
                is_positive(throughput + processor_time + latency),
                "must be above zero, or nothing decides",
            ),
            (
                "limits.loss",
                limits.loss.unwrap_or_default(),
                (0.0..1.0).contains(&limits.loss.unwrap_or_default()),
                "must be a share, at least 0 and below 1",
            ),
            (
                "limits.loss",
                limits.loss.unwrap_or_default(),
                limits.loss.is_none() || limits.rate.is_some(),
                "is allowed at a rate, and limits.rate is missing",
            ),
            (
                "limits.rate",
                or_fine(limits.rate),
                is_positive(or_fine(limits.rate)),
                positive,
            ),
            (
                "limits.p99_us",
                or_fine(limits.p99_us),
                is_positive(or_fine(limits.p99_us)),
                positive,
            ),
            (
                "limits.idle",
                or_fine(limits.idle),
                (0.0..=1.0).contains(&or_fine(limits.idle)),
                "must be a share of a processor, from 0 to 1",
            ),
            (
                "limits.new_flows",
                or_fine(limits.new_flows),
                is_positive(or_fine(limits.new_flows)),
                positive,
            ),
        ];
        match checks.into_iter().find(|(_, _, is_right, _)| !is_right) {
            None => Ok(()),
            Some((key, value, _, why)) => Err(Error::Value {
                name: name.to_owned(),
                key,
                value,
                why,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "name = \"a\"\n[host]\nattaches = \"containers\"\n[weights]\nthroughput = 1\n";

    #[test]
    fn those_built_in_can_be_read() {
        for (name, _) in BUILT_IN {
            let read = Requirements::find(Path::new(name)).unwrap();
            assert!(!read.summary.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_least_is_a_name_an_attachment_and_a_weight() {
        let read = Requirements::parse("a.toml", LEAST).unwrap();
        assert_eq!(read.tolerance, Tolerance::DEFAULT);
        assert_eq!(read.limits, Limits::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| Requirements::parse("a.toml", text).unwrap_err().to_string();
        let typo = error(&LEAST.replace("throughput", "troughput"));
        assert!(
            typo.contains("a.toml") && typo.contains("troughput"),
            "{typo}"
        );
        let nothing = error(&LEAST.replace("= 1", "= 0"));
        assert!(nothing.contains("nothing decides"), "{nothing}");
        let negative = error(&format!("{LEAST}latency = -1\n"));
        assert!(negative.contains("weights.latency = -1"), "{negative}");
        let idle = error(&LEAST.replace("\n[weights]", "\n[limits]\nidle = 5\n[weights]"));
        assert!(
            idle.contains("a share of a processor, from 0 to 1"),
            "{idle}"
        );
        let kernel = error(&LEAST.replace("\n[weights]", "\nkernel = \"new\"\n[weights]"));
        assert!(kernel.contains("one like \"5.15\""), "{kernel}");
        let loss = error(&format!("{LEAST}[limits]\nloss = 5\n"));
        assert!(loss.contains("limits.loss = 5"), "{loss}");
        let alone = error(&format!("{LEAST}[limits]\nloss = 0\n"));
        assert!(alone.contains("limits.rate is missing"), "{alone}");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_that_names_those_built_in() {
        let error = Requirements::find(Path::new("/nowhere.toml")).unwrap_err();
        assert!(error.to_string().contains("container-cluster"), "{error}");
    }
}
