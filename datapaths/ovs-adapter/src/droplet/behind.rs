//! A switch that another datapath asks.
//!
//! It has the same bridges, rules and tunnels as one that forwards, but a device of its own for every port of the droplet.
//! What is sent to such a device is forwarded by the switch, and what it sends out of the port comes from the device.

use super::ports::Ports;
use super::running::Plan;
use super::switch::{Switch, send_back};
use super::{Control, counters};
use crate::openflow::Monitor;
use crate::program::Program;
use crate::{Appctl, Error, Flavour, Installation};
use datapath_api::Counters;
use netdev::{Cpu, Namespace, Tid};
use std::path::PathBuf;
use std::sync::Arc;
use topologies::provision::{DirectPath, Provision};

/// See the module's documentation.
pub struct Behind {
    switch: Switch,
    uplink: String,
    endpoints: Vec<String>,
}

impl Behind {
    /// Starts a switch for a droplet with so many endpoint ports, on `cpu` if one is given. Where there is none, it sends
    /// markers back.
    ///
    /// # Errors
    /// Where it does not start, or refuses something, with its reason.
    pub fn start(
        provision: &Provision,
        namespace: &Arc<Namespace>,
        endpoints: u16,
        cpu: Option<Cpu>,
    ) -> Result<Self, datapath_api::Error> {
        let plan = Plan {
            installation: Installation::find(Flavour::Stock)?,
            control: Control::Proactive,
            provision,
            rules: None,
            before: None,
        };
        let program = Program::proactive(provision)
            .map_err(|error| datapath_api::Error::Capacity(error.to_string()))?;
        let ports = Ports::internal(namespace, endpoints);
        let marker = cpu.is_none().then(send_back);
        let switch = Switch::start(&plan, &ports, &program, cpu, marker)?;
        Ok(Self {
            switch,
            uplink: ports.uplink.name,
            endpoints: ports.endpoints.into_iter().map(|port| port.name).collect(),
        })
    }

    /// The device for the uplink.
    pub fn uplink(&self) -> &str {
        &self.uplink
    }

    /// Devices for endpoint ports, by number.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Who runs its appctl commands.
    pub fn appctl(&self) -> Appctl {
        self.switch.instance.appctl()
    }

    /// Where the overlay bridge takes OpenFlow connections.
    pub fn bridge(&self) -> PathBuf {
        self.switch.controller_socket()
    }

    /// Told of every change of a rule, of either bridge.
    ///
    /// # Errors
    /// Where the switch is gone.
    pub fn monitors(&self) -> Result<[Monitor; 2], Error> {
        self.switch.monitors()
    }

    /// Its threads.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn threads(&self) -> Result<Vec<Tid>, Error> {
        Ok(Tid::of_process(self.switch.instance.pid())?)
    }

    /// What packets that it forwarded itself became. Neighbours are told again meanwhile, if it is time.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn counters(&mut self) -> Result<Counters, Error> {
        self.switch.keep_neighbours()?;
        counters::of_program(&mut self.switch)
    }

    /// The direct paths that its rules have, in no order.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.switch.direct_paths()
    }

    /// Takes these tables in place of those that it has. What was learned stays.
    ///
    /// # Errors
    /// Where it is gone, or refuses something, with its reason.
    pub fn update(&mut self, provision: &Provision) -> Result<(), datapath_api::Error> {
        let program = Program::proactive(provision)
            .map_err(|error| datapath_api::Error::Capacity(error.to_string()))?;
        Ok(self.switch.update(program)?)
    }

    /// Whether what packets taught it is other than when this was asked last.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn has_learned(&mut self) -> Result<bool, Error> {
        self.switch.has_learned()
    }

    /// Empties its cache of flows.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn forget_flows(&self) -> Result<(), Error> {
        self.switch.forget_flows()
    }

    /// An error that says how, if it ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        self.switch.instance.check()
    }
}
