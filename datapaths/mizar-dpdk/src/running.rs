//! A droplet that a DPDK process forwards for.

use datapath_api::{
    Counters, Enclosure, Error, Outcome, Outside, Running, VethPorts, VhostUserPorts, Why,
    only_outcome,
};
use dpdk_client::{Client, MEBIBYTES, devices};
use dpdk_protocol::{Device, Engine, Memory, Start, Work};
use mizar_droplet::{Reason, dropped};
use netdev::{Cpu, Namespace, Tid, Urgency};
use std::time::{Duration, Instant};
use topologies::provision::{DirectPath, Port, Provision};

/// How long a frame may take until the process is through with it before the process counts as dead.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked whether it is.
const LOOK: Duration = Duration::from_micros(50);

/// A droplet that a DPDK process forwards for.
pub struct Droplet {
    // Dropped first: its ports are devices of the others.
    client: Client,
    outside: Option<Outside>,
    threads: Vec<Tid>,
}

impl Droplet {
    /// A droplet without ports, on devices of its own, with a spare one for what goes to the stack.
    pub fn detached(engine: Engine, provision: &Provision, cpu: Cpu) -> Result<Self, Error> {
        let enclosure = Enclosure::new(provision, 1)?;
        let devices = devices::of_veth(&enclosure.ports, true);
        let start = start(engine, provision, cpu, Memory::Ordinary, devices);
        let client = Client::start(start, Some(&enclosure.ports.namespace))?;
        Ok(Self {
            client,
            outside: Some(enclosure.listen()?),
            threads: Vec::new(),
        })
    }

    /// A droplet on vhost-user ports, with all its work on `cpu`. Returns when their other sides are there.
    pub fn on_vhost_user(
        engine: Engine,
        provision: &Provision,
        ports: &VhostUserPorts,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let devices = devices::of_vhost_user(ports);
        let start = start(engine, provision, cpu, Memory::Huge, devices);
        Self::attached(start, &ports.namespace)
    }

    /// A droplet on veth ports, with all its work on `cpu`.
    pub fn on_veth(
        engine: Engine,
        provision: &Provision,
        ports: &VethPorts,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let devices = devices::of_veth(ports, false);
        let start = start(engine, provision, cpu, Memory::Ordinary, devices);
        let mut droplet = Self::attached(start, &ports.namespace)?;
        for interface in ports.endpoints.iter().chain([&ports.uplink]) {
            let threads = interface.thread_napi(cpu, Urgency::Prompt)?;
            droplet.threads.extend(threads);
        }
        Ok(droplet)
    }

    fn attached(start: Start, namespace: &Namespace) -> Result<Self, Error> {
        let client = Client::start(start, Some(namespace))?;
        Ok(Self {
            threads: client.prioritised_threads()?,
            client,
            outside: None,
        })
    }
}

/// What a process is told at its start.
fn start(
    engine: Engine,
    provision: &Provision,
    cpu: Cpu,
    memory: Memory,
    devices: Vec<Device>,
) -> Start {
    Start {
        engine,
        cpu: cpu.0,
        memory,
        mebibytes: MEBIBYTES,
        devices,
        work: Work::Mizar(Box::new(provision.clone())),
    }
}

impl Running for Droplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        Ok(self.client.count()?.counters)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.client.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let doing = "injecting a frame";
        let Some(outside) = &self.outside else {
            return Err(Error::failed(doing, "the droplet is attached to ports"));
        };
        let stack = outside.last();
        let nothing = |reason| Outcome::Dropped {
            why: Why::Drop,
            reason,
        };
        if port == stack || !outside.carries(port, frame) {
            return Ok(nothing("no device carries the frame"));
        }
        let before = self.client.count()?;
        outside.socket(port)?.send(frame)?;
        let began = Instant::now();
        let after = loop {
            let now = self.client.count()?;
            if now.handled > before.handled {
                break now;
            }
            if began.elapsed() > PATIENCE {
                let reason = format!("it did not arrive within {} s", PATIENCE.as_secs());
                return Err(Error::failed(doing, reason));
            }
            std::thread::sleep(LOOK);
        };
        // What it sent went through the kernel when it handed the burst over, and is in the sockets.
        let outcomes = outside.receive()?.into_iter().map(|(port, frame)| {
            if port == stack {
                Outcome::ToStack { frame }
            } else {
                Outcome::Forward { port, frame }
            }
        });
        let refused =
            refusal(&before.counters, &after.counters).map_or(nothing("it goes nowhere"), dropped);
        only_outcome(outcomes.collect(), refused)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        self.client.update(provision)
    }

    fn settle(&mut self) -> Result<(), Error> {
        // It answers between two rounds, so that a whole one lies between two answers.
        self.client.count()?;
        self.client.count()?;
        Ok(())
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn check(&self) -> Result<(), Error> {
        self.client.check()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.client.check()
    }
}

/// For which reason a frame was refused in between.
fn refusal(before: &Counters, after: &Counters) -> Option<Reason> {
    let count = |counters: &Counters, text: &str| {
        let found = counters.refused.iter().find(|(known, _)| known == text);
        found.map_or(0, |(_, count)| *count)
    };
    Reason::ALL
        .iter()
        .find(|reason| count(after, reason.text()) > count(before, reason.text()))
        .copied()
}
