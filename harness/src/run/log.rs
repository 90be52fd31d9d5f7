//! The folder of a run, written as the run goes.

use crate::lines::{self, Lines, LogError};
use crate::record::{Record, Run};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Appends to a run's folder.
#[derive(Debug)]
pub struct RunLog {
    trials: Lines,
    began: Instant,
    next_trial: u64,
}

impl RunLog {
    /// Makes `folder` and writes `run` into it. A folder that holds a run already is refused.
    ///
    /// # Errors
    /// Where the folder cannot be made or written.
    pub fn create(folder: &Path, run: &Run) -> Result<Self, LogError> {
        lines::make_folder(folder)?;
        let path = folder.join("run.json");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| LogError::new("making", &path, e))?;
        let json = serde_json::to_vec_pretty(run)
            .map_err(|e| LogError::new("writing", &path, io::Error::other(e)))?;
        file.write_all(&json)
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_data())
            .map_err(|e| LogError::new("writing", &path, e))?;
        Ok(Self {
            trials: Lines::create(folder.join("trials.jsonl"), false)?,
            began: Instant::now(),
            next_trial: 0,
        })
    }

    /// When the run began.
    pub fn clock(&self) -> Instant {
        self.began
    }

    /// The number of the next trial.
    pub fn next_trial(&mut self) -> u64 {
        let number = self.next_trial;
        self.next_trial += 1;
        number
    }

    /// Appends one line, in one write, so that a line is there as a whole or is the last one.
    ///
    /// # Errors
    /// Where it cannot be written, as on a full disk.
    pub fn append(&mut self, record: &Record) -> Result<(), LogError> {
        self.trials.append(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Environment, Failure, SCHEMA};

    fn run() -> Run {
        Run {
            schema: SCHEMA,
            started: String::new(),
            command: Vec::new(),
            seed: 1,
            profile: "smoke".to_owned(),
            environment: Environment {
                bench_version: String::new(),
                commit: None,
                build: String::new(),
                kernel: String::new(),
                system: String::new(),
                cpu_model: String::new(),
                cpus: 2,
                datapath_cpu: 1,
                tester_cpu: 0,
                sinks_cpu: 0,
                memory_mib: 1,
                hypervisor: None,
                clock_source: String::new(),
                clock_cost_ns: 1.0,
                container: None,
                droplets: Vec::new(),
                notes: Vec::new(),
            },
            datapaths: Vec::new(),
            scenarios: Vec::new(),
            comparison: None,
        }
    }

    fn failure() -> Record {
        Record::Failure(Failure {
            datapath: "d".to_owned(),
            scenario: "s".to_owned(),
            reason: "r".repeat(1000),
        })
    }

    #[test]
    fn a_folder_with_a_run_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = RunLog::create(folder.path(), &run()).unwrap();
        log.append(&failure()).unwrap();
        let error = RunLog::create(folder.path(), &run())
            .unwrap_err()
            .to_string();
        assert!(error.contains("--out"), "{error}");
        let lines = std::fs::read_to_string(folder.path().join("trials.jsonl")).unwrap();
        assert_eq!(
            serde_json::from_str::<Record>(lines.trim()).unwrap(),
            failure()
        );
    }

    #[test]
    fn a_full_disk_is_an_error_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = RunLog::create(folder.path(), &run()).unwrap();
        log.append(&failure()).unwrap();
        // A device that is always full.
        log.trials = Lines::create("/dev/full".into(), false).unwrap();
        let error = log.append(&failure()).unwrap_err().to_string();
        assert!(error.contains("Free some space"), "{error}");
        let kept = std::fs::read_to_string(folder.path().join("trials.jsonl")).unwrap();
        assert_eq!(kept.lines().count(), 1);
    }
}
