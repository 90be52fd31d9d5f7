//! What is done to an overlay while a trial lasts, step by step.

use super::super::deploy::Error;
use crate::health::{Finding, HealthChecks};
use crate::overlay::Overlay;
use crate::record::StepKind;
use datapath_api::Error as DatapathError;
use polling_tester::now;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use topologies::provision::Provision;
use topologies::topology::Topology;

/// How often hosts look whether something is due in their health checks.
const PACE: Duration = Duration::from_millis(2);

/// Something that was done; times are nanoseconds of CLOCK_MONOTONIC.
pub(super) struct Step {
    pub kind: StepKind,
    /// The droplet that it is about.
    pub about: String,
    pub what: String,
    pub began: u64,
    pub ended: u64,
}

/// An overlay to which things happen.
pub(super) struct Scene<'a> {
    topology: &'a Topology,
    overlay: &'a mut Overlay,
    /// What the control plane told each droplet.
    told: Vec<Provision>,
    health: Option<HealthChecks>,
    steps: Vec<Step>,
}

impl<'a> Scene<'a> {
    /// Where hosts check each other's health, if they do.
    pub fn new(
        topology: &'a Topology,
        overlay: &'a mut Overlay,
        health: Option<HealthChecks>,
    ) -> Self {
        let droplets = topology.droplets().iter();
        Self {
            topology,
            overlay,
            told: droplets
                .map(|droplet| topology.provision(droplet))
                .collect(),
            health,
            steps: Vec::new(),
        }
    }

    /// Packets that crossed the underlay so far, but for those of health checks.
    pub fn crossed(&self) -> Result<u64, Error> {
        let checks = self.health.as_ref().map_or(0, HealthChecks::sent);
        Ok(self.overlay.crossed()?.total().saturating_sub(checks))
    }

    /// A droplet's uplink goes dead.
    pub fn cut_off(&mut self, droplet: usize) -> Result<(), Error> {
        let began = now();
        self.overlay.cut_off(droplet)?;
        if let Some(health) = &mut self.health {
            health.stop(droplet);
        }
        let what = format!("{} goes dead", self.name(droplet));
        self.did(StepKind::Died, droplet, what, began);
        Ok(())
    }

    /// The control plane gives a droplet new tables.
    pub fn tell(&mut self, droplet: usize, provision: Provision) -> Result<(), Error> {
        let began = now();
        if let Some(told) = self.told.get_mut(droplet) {
            *told = provision;
        }
        self.update(droplet)?;
        let what = format!("{} has its new tables", self.name(droplet));
        self.did(StepKind::Told, droplet, what, began);
        Ok(())
    }

    /// Lets time pass until `due`.
    pub fn wait_until(&mut self, due: u64) -> Result<(), Error> {
        loop {
            let left = Duration::from_nanos(due.saturating_sub(now()));
            if left.is_zero() {
                return Ok(());
            }
            match self.health {
                Some(_) => {
                    self.check_health()?;
                    std::thread::sleep(PACE.min(left));
                }
                None => std::thread::sleep(left),
            }
        }
    }

    /// Lets time pass until the trial is over.
    pub fn wait_for(&mut self, over: &AtomicBool) -> Result<(), Error> {
        while !over.load(Ordering::Acquire) {
            self.check_health()?;
            std::thread::sleep(PACE);
        }
        Ok(())
    }

    /// What was done.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    fn check_health(&mut self) -> Result<(), Error> {
        let Some(health) = &mut self.health else {
            return Ok(());
        };
        let overlay = &mut *self.overlay;
        let findings = health.step(now, |droplet| overlay.hosts_by_direct_path(droplet))?;
        for Finding { by, host, is_dead } in findings {
            let began = now();
            self.update(by)?;
            let (kind, state) = match is_dead {
                true => (StepKind::FoundDead, "dead"),
                false => (StepKind::FoundAlive, "alive again"),
            };
            let what = format!("{} finds {} {state}", self.name(by), self.name(host));
            self.did(kind, host, what, began);
        }
        Ok(())
    }

    /// Gives a droplet what the control plane told it, and what its host found out.
    fn update(&mut self, droplet: usize) -> Result<(), DatapathError> {
        let there_is_none = || DatapathError::failed("updating tables", "there is no such droplet");
        let mut provision = self.told.get(droplet).cloned().ok_or_else(there_is_none)?;
        if let Some(health) = &self.health {
            provision.unhealthy = health.dead(droplet);
        }
        self.overlay.update_droplet(droplet, &provision)
    }

    fn name(&self, droplet: usize) -> &'a str {
        let droplets = self.topology.droplets();
        droplets
            .get(droplet)
            .map_or("?", |droplet| droplet.name.as_str())
    }

    fn did(&mut self, kind: StepKind, about: usize, what: String, began: u64) {
        self.steps.push(Step {
            kind,
            about: self.name(about).to_owned(),
            what,
            began,
            ended: now(),
        });
    }
}
