//! A droplet on vhost-user ports, frame by frame, through a DPDK process at their other sides.

use crate::environment::Placement;
use crate::lab::VhostUserLab;
use datapath_api::{
    Counters, Datapath, DropletPorts, Error, Outcome, Running, TESTER_MEBIBYTES, Why, is_overlay,
    only_outcome,
};
use dpdk_client::{Client, devices};
use dpdk_protocol::{Device, Engine, Memory, Role, Start, Work};
use mizar_wire::ethernet;
use netdev::Tid;
use topologies::provision::{DirectPath, Port, Provision};

/// The shortest frame that is sent: an Ethernet header.
const SHORTEST: usize = ethernet::LEN;
/// Nothing comes out of the ports for what is refused, and for what goes to the host's stack.
pub(super) const NOTHING: Outcome = Outcome::Dropped {
    why: Why::Drop,
    reason: "nothing came out",
};

/// See the module's documentation.
pub(super) struct Attached {
    // Dropped in this order.
    running: Box<dyn Running>,
    outside: Client,
    devices: Vec<Device>,
    _lab: VhostUserLab,
}

impl Attached {
    /// Installs a datapath that polls vhost-user ports.
    pub fn install(
        datapath: &dyn Datapath,
        provision: &Provision,
    ) -> Result<Box<dyn Running>, Error> {
        let lab = VhostUserLab::new(provision.endpoint_ports())?;
        let devices = devices::of_tester(lab.ports());
        let cpus = Placement::choose()?;
        let start = Start {
            engine: Engine::Burst,
            cpu: cpus.tester.0,
            memory: Memory::Huge,
            mebibytes: TESTER_MEBIBYTES,
            devices: devices.clone(),
            work: Work::Inject,
        };
        let waiting = Client::launch(start, None)?;
        let ports = DropletPorts::VhostUser(lab.ports().clone());
        let running = datapath.install(ports, provision, cpus.datapath)?;
        Ok(Box::new(Self {
            running,
            outside: waiting.started()?,
            devices,
            _lab: lab,
        }))
    }
}

impl Running for Attached {
    fn counters(&mut self) -> Result<Counters, Error> {
        self.running.counters()
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.running.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let role = Role::Droplet(port);
        let place = self.devices.iter().position(|device| device.role == role);
        let Some(place) = place.filter(|_| frame.len() >= SHORTEST) else {
            return Ok(NOTHING);
        };
        self.outside.inject(place, frame)?;
        // It is where the droplet looks next.
        self.running.settle()?;
        let came = self.outside.collect()?.into_iter();
        let outcomes = came.filter_map(|(place, frame)| {
            let Role::Droplet(port) = self.devices.get(place)?.role else {
                return None;
            };
            // The host's stack may answer what it gets, at any time, and answers leave by the uplink.
            let is_ours = port != Port::Uplink || is_overlay(&frame);
            is_ours.then_some(Outcome::Forward { port, frame })
        });
        only_outcome(outcomes.collect(), NOTHING)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        self.running.update(provision)
    }

    fn threads(&self) -> Vec<Tid> {
        self.running.threads()
    }

    fn check(&self) -> Result<(), Error> {
        self.running.check()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.running.stop()
    }
}
