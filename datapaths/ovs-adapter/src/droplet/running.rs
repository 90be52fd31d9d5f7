//! The droplet itself.

use super::injection::{Devices, Injector};
use super::switch::Switch;
use super::{Io, counters};
use crate::Installation;
use crate::openflow::Filter;
use crate::program::{self, Program, table};
use datapath_api::{Counters, Error, Outcome, Running, VethPorts};
use netdev::{Cpu, Tid, Urgency};
use topologies::provision::{DirectPath, Port, Provision};

/// A droplet that an Open vSwitch forwards for.
pub struct Droplet {
    // Before the devices it has its ports on.
    switch: Switch,
    injector: Option<Injector>,
    threads: Vec<Tid>,
}

impl Droplet {
    /// A droplet without ports, on devices of its own.
    pub fn detached(
        installation: &Installation,
        io: Io,
        provision: &Provision,
        program: Program,
    ) -> Result<Self, Error> {
        let devices = Devices::new(provision)?;
        let switch = Switch::start(
            installation,
            io,
            &devices.ports,
            provision.host,
            &program,
            None,
            true,
        )?;
        Ok(Self {
            switch,
            injector: Some(Injector::new(devices)?),
            threads: Vec::new(),
        })
    }

    /// A droplet on veth ports, with all its work on `cpu`.
    pub fn attached(
        installation: &Installation,
        io: Io,
        ports: &VethPorts,
        provision: &Provision,
        program: Program,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let interfaces = || ports.endpoints.iter().chain([&ports.uplink]);
        if io != Io::Xdp {
            // What is sent to a veth by redirect needs a NAPI instance there, which no XDP program brings here.
            for interface in interfaces() {
                interface.enable_napi()?;
            }
        }
        let host = provision.host;
        let switch = Switch::start(installation, io, ports, host, &program, Some(cpu), false)?;
        let mut threads = Tid::of_process(switch.instance.pid())?;
        for thread in &threads {
            // Those that forward, among them.
            thread.prioritise(Urgency::Busy)?;
        }
        for interface in interfaces() {
            threads.extend(interface.thread_napi(cpu, io.receives())?);
        }
        Ok(Self {
            switch,
            injector: None,
            threads,
        })
    }
}

impl Running for Droplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        self.switch.keep_neighbours()?;
        Ok(counters::read(&mut self.switch)?)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        let rules = self.switch.overlay.rules(&Filter::table(table::DIRECT))?;
        Ok(rules
            .iter()
            .filter_map(|stats| program::direct_path(&stats.rule))
            .collect())
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let Some(injector) = &mut self.injector else {
            let reason = "the droplet is attached to ports";
            return Err(Error::failed("injecting a frame", reason));
        };
        let outcome = injector.inject(port, frame)?;
        // What the packet taught changes what becomes of flows that are cached; the switch sees to that in the
        // background, and a frame injected next must find it done.
        if injector.taught(port, frame) {
            self.switch.forget_flows()?;
        }
        Ok(outcome)
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        Ok(self.switch.instance.check()?)
    }
}
