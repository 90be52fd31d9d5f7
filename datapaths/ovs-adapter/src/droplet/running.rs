//! The droplet itself.

use super::injection::Injector;
use super::ports::Ports;
use super::switch::{Switch, send_back};
use super::{Before, Control, Io, counters};
use crate::Installation;
use crate::flow::Rule;
use crate::program::Program;
use crate::reactive::{self, controller::Controller};
use crate::statistics;
use datapath_api::{Counters, Enclosure, Error, Outcome, Running, VethPorts, VhostUserPorts};
use mizar_tables::{Entries, Native};
use netdev::{Cpu, Tid, Urgency};
use topologies::provision::{DirectPath, Port, Provision};

/// What a droplet shall be.
pub struct Plan<'a> {
    pub installation: Installation,
    pub control: Control,
    pub provision: &'a Provision,
    /// Rules of the overlay bridge instead of the program's.
    pub rules: Option<Vec<Rule>>,
    /// What is done to the overlay bridge before it is told anything.
    pub before: Option<Before<'a>>,
}

/// A droplet that an Open vSwitch forwards for.
pub struct Droplet {
    // In the order of being dropped: who talks to the switch, the switch, the devices it has its ports on.
    controller: Option<Controller>,
    switch: Switch,
    injector: Option<Injector>,
    threads: Vec<Tid>,
}

impl Droplet {
    /// A droplet without ports, on devices of its own.
    pub fn detached(plan: &Plan<'_>, io: Io) -> Result<Self, Error> {
        let enclosure = Enclosure::new(plan.provision, 1)?;
        let (switch, controller) = start(plan, &Ports::on_veth(io, &enclosure.ports), None)?;
        Ok(Self {
            controller,
            switch,
            injector: Some(Injector::new(enclosure, plan.provision)?),
            threads: Vec::new(),
        })
    }

    /// A droplet on veth ports, with all its work on `cpu`.
    pub fn on_veth(plan: &Plan<'_>, io: Io, ports: &VethPorts, cpu: Cpu) -> Result<Self, Error> {
        let interfaces = || ports.endpoints.iter().chain([&ports.uplink]);
        if !io.brings_programs() {
            // What is sent to a veth by redirect needs a NAPI instance there, which no XDP program brings here.
            for interface in interfaces() {
                interface.enable_napi()?;
            }
        }
        let mut droplet = Self::attached(plan, &Ports::on_veth(io, ports), cpu)?;
        for interface in interfaces() {
            let threads = interface.thread_napi(cpu, io.receives())?;
            droplet.threads.extend(threads);
        }
        Ok(droplet)
    }

    /// A droplet on vhost-user ports, with all its work on `cpu`. Returns when their other sides are there.
    pub fn on_vhost_user(plan: &Plan<'_>, ports: &VhostUserPorts, cpu: Cpu) -> Result<Self, Error> {
        Self::attached(plan, &Ports::on_vhost_user(ports), cpu)
    }

    fn attached(plan: &Plan<'_>, ports: &Ports, cpu: Cpu) -> Result<Self, Error> {
        let (switch, controller) = start(plan, ports, Some(cpu))?;
        let mut threads = Tid::of_process(switch.instance.pid())?;
        if let Some(tid) = controller.as_ref().map(Controller::tid) {
            tid.pin(cpu)?;
            threads.push(tid);
        }
        for thread in &threads {
            // Those that forward, among them.
            thread.prioritise(Urgency::Busy)?;
        }
        Ok(Self {
            controller,
            switch,
            injector: None,
            threads,
        })
    }
}

/// Starts a switch on `ports`, and its controller if it has one. Markers are answered if there is no `cpu`.
fn start(
    plan: &Plan<'_>,
    ports: &Ports,
    cpu: Option<Cpu>,
) -> Result<(Switch, Option<Controller>), Error> {
    let provision = plan.provision;
    let capacity = |text: String| Error::Capacity(text);
    let (program, marker) = match plan.control {
        Control::Proactive => (Program::proactive(provision), send_back()),
        Control::Reactive => (reactive::program(provision), reactive::marker()),
    };
    let mut program = program.map_err(|e| capacity(e.to_string()))?;
    if let Some(rules) = &plan.rules {
        program.overlay.clone_from(rules);
    }
    let marker = cpu.is_none().then_some(marker);
    let switch = Switch::start(plan, ports, &program, cpu, marker)?;
    let controller = match plan.control {
        Control::Proactive => None,
        Control::Reactive => {
            let entries = Entries::encode(provision).map_err(|e| capacity(e.to_string()))?;
            let tables = Native::new(&entries);
            Some(Controller::start(
                &switch.controller_socket(),
                provision,
                tables,
            )?)
        }
    };
    Ok((switch, controller))
}

impl Running for Droplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        self.switch.keep_neighbours()?;
        match &self.controller {
            None => Ok(counters::of_program(&mut self.switch)?),
            Some(controller) => Ok(counters::of_flows(&mut self.switch, controller)?),
        }
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        if let Some(controller) = &self.controller {
            return Ok(controller.direct_paths());
        }
        Ok(self.switch.direct_paths()?)
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let Some(injector) = &mut self.injector else {
            let reason = "the droplet is attached to ports";
            return Err(Error::failed("injecting a frame", reason));
        };
        let teaches = injector.teaches(port, frame);
        if teaches {
            // With what cached flows have counted until now the switch learns once more what their packets taught: that must not
            // come after what this frame teaches.
            self.switch.forget_flows()?;
        }
        let outcome = injector.inject(port, frame)?;
        // An earlier frame may have said the same and been refused.
        let has_learned = self.controller.is_none() && self.switch.has_learned()?;
        if teaches || has_learned {
            self.switch.forget_flows()?;
        }
        Ok(outcome)
    }

    fn flows(&mut self) -> Result<Option<Vec<String>>, Error> {
        let text = self.switch.instance.control("dpctl/dump-flows", &[])?;
        let is_flow = |line: &&str| line.contains("actions:");
        let mut flows: Vec<_> = text.lines().filter(is_flow).map(str::to_owned).collect();
        flows.sort_unstable();
        Ok(Some(flows))
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        let program = match self.controller {
            None => Program::proactive(provision),
            Some(_) => reactive::program(provision),
        };
        let program = program.map_err(|error| Error::Capacity(error.to_string()))?;
        self.switch.update(program)?;
        if let Some(controller) = &self.controller {
            let entries = Entries::encode(provision);
            let entries = entries.map_err(|error| Error::Capacity(error.to_string()))?;
            controller.update(entries)?;
        }
        if let Some(injector) = &mut self.injector {
            injector.update(provision);
            // Single frames come too soon for a switch that looks after its cache in the background.
            self.switch.forget_flows()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Error> {
        statistics::finish_rounds(&self.switch.instance)?;
        // What a packet taught changes what becomes of flows that are cached; the switch sees to that in the background.
        Ok(self.switch.forget_flows()?)
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn check(&self) -> Result<(), Error> {
        self.switch.instance.check()?;
        let controller = self.controller.as_ref().map(Controller::check);
        let checked = controller.unwrap_or(Ok(()));
        Ok(checked.map_err(|error| self.switch.instance.explain(error))?)
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.check()
    }
}
