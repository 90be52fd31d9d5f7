//! The lab: namespaces and ports around the droplet under test.
//!
//! No device in it has a name outside this process, so that the kernel takes it down however the process
//! ends. Sockets lie in a folder that the next process removes if this one could not.

use crate::remote::{self, Meeting, Place};
use datapath_api::{
    Datapath, DropletPorts, Error as DatapathError, PORT_MTU, Running, VethPorts, VhostUserPorts,
};
use netdev::{Cpu, Interface, Namespace, create_veth, scratch_folder};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use topologies::provision::{EndpointPort, Port, Provision};
use topologies::topology::Topology;

/// The tester's ends of veth ports.
#[derive(Debug)]
pub struct TesterEnds {
    /// Where they are.
    pub namespace: Arc<Namespace>,
    /// By the port that each is the other end of.
    pub ends: Vec<(Port, Interface)>,
}

impl TesterEnds {
    fn new() -> Result<Self, netdev::Error> {
        Ok(Self {
            namespace: Arc::new(Namespace::new()?),
            ends: Vec::new(),
        })
    }

    /// A pair whose one end is here, at `port`, and whose other one in `droplet`, which is returned.
    fn pair(&mut self, port: Port, droplet: &Arc<Namespace>) -> Result<Interface, netdev::Error> {
        let [theirs, ours] = pair([droplet, &self.namespace])?;
        self.ends.push((port, ours));
        Ok(theirs)
    }
}

/// The ends of a veth pair, each in a namespace of its own, with nothing between.
///
/// # Errors
/// Where the kernel refuses.
pub fn joined() -> Result<[Interface; 2], netdev::Error> {
    pair([&Arc::new(Namespace::new()?), &Arc::new(Namespace::new()?)])
}

/// A pair between two namespaces.
fn pair(namespaces: [&Arc<Namespace>; 2]) -> Result<[Interface; 2], netdev::Error> {
    let id = unique();
    let names = [format!("d{id}"), format!("t{id}")];
    let [one, other] = namespaces;
    let ends = [(one, names[0].as_str()), (other, names[1].as_str())];
    create_veth(ends, PORT_MTU.into())
}

/// A droplet with veth ports whose other ends are the tester's.
#[derive(Debug)]
pub struct VethLab {
    droplet: VethPorts,
    tester: TesterEnds,
}

impl VethLab {
    /// A droplet with an uplink and `endpoint_ports` endpoint ports.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(endpoint_ports: u16) -> Result<Self, netdev::Error> {
        let namespace = Arc::new(Namespace::new()?);
        let mut tester = TesterEnds::new()?;
        let uplink = tester.pair(Port::Uplink, &namespace)?;
        let endpoints = (0..endpoint_ports)
            .map(|number| tester.pair(Port::Endpoint(EndpointPort(number)), &namespace))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            droplet: VethPorts {
                namespace,
                uplink,
                endpoints,
            },
            tester,
        })
    }

    /// The droplet's ends.
    pub fn ports(&self) -> DropletPorts {
        DropletPorts::Veth(self.droplet.clone())
    }

    /// The tester's ends, the uplink first, then endpoint ports in order.
    pub fn tester(&self) -> &TesterEnds {
        &self.tester
    }
}

/// Droplets with veth ports: their uplinks end in one namespace, which is the wire between them, and their endpoint ports
/// at the tester.
#[derive(Debug)]
pub struct OverlayLab {
    droplets: Vec<VethPorts>,
    /// Where the droplets are elsewhere, as many.
    places: Vec<Arc<Place>>,
    wire: Vec<Interface>,
    health_endpoints: Vec<Interface>,
    tester: TesterEnds,
}

/// Why there is no such lab.
#[derive(Debug, thiserror::Error)]
pub enum OverlayLabError {
    /// The kernel refuses.
    #[error(transparent)]
    Device(#[from] netdev::Error),
    /// A droplet that shall be elsewhere is not.
    #[error(transparent)]
    Remote(#[from] remote::Error),
}

impl OverlayLab {
    /// For the droplets of `topology`, here.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn of(topology: &Topology) -> Result<Self, OverlayLabError> {
        Self::with(topology, None)
    }

    /// For the droplets of `topology`, which are those of `meeting`, if there is one.
    ///
    /// # Errors
    /// Where the kernel refuses, or a droplet is gone.
    pub fn with(topology: &Topology, meeting: Option<&Meeting>) -> Result<Self, OverlayLabError> {
        let mut endpoint_ports = vec![0_u16; topology.droplets().len()];
        for (droplet, _) in topology.endpoint_ports() {
            endpoint_ports[droplet] += 1;
        }
        let middle = Arc::new(Namespace::new()?);
        let mut lab = Self {
            droplets: Vec::new(),
            places: Vec::new(),
            wire: Vec::new(),
            health_endpoints: Vec::new(),
            tester: TesterEnds::new()?,
        };
        let mut numbers = 0..;
        let droplets = topology.droplets().iter().enumerate();
        for ((at, droplet), ports) in droplets.zip(endpoint_ports) {
            let namespace = match meeting {
                Some(meeting) => {
                    let place = meeting.place(&droplet.name)?;
                    let namespace = Arc::clone(place.namespace());
                    lab.places.push(place);
                    namespace
                }
                None => Arc::new(Namespace::new()?),
            };
            let [uplink, far] = pair([&namespace, &middle])?;
            lab.wire.push(far);
            let ports = numbers.by_ref().take(ports.into()).map(|number| {
                let port = Port::Endpoint(EndpointPort(number));
                lab.tester.pair(port, &namespace)
            });
            let mut endpoints: Vec<_> = ports.collect::<Result<_, _>>()?;
            if topology.health_endpoint(at).is_some() {
                let [port, end] = pair([&namespace, &lab.tester.namespace])?;
                endpoints.push(port);
                lab.health_endpoints.push(end);
            }
            lab.droplets.push(VethPorts {
                namespace,
                uplink,
                endpoints,
            });
        }
        Ok(lab)
    }

    /// Installs a datapath at the droplet of this number, on its ports, wherever it is.
    ///
    /// # Errors
    /// See [`Datapath::install`].
    pub fn install(
        &self,
        number: usize,
        datapath: &dyn Datapath,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, DatapathError> {
        let Some(ports) = self.droplets.get(number) else {
            let reason = format!("there is no droplet {number}");
            return Err(DatapathError::failed("installing a droplet", reason));
        };
        match self.places.get(number) {
            Some(place) => place.install(datapath, ports, provision, cpu),
            None => datapath.install(DropletPorts::Veth(ports.clone()), provision, cpu),
        }
    }

    /// Each droplet's ports.
    pub fn droplets(&self) -> &[VethPorts] {
        &self.droplets
    }

    /// The other ends of the droplets' uplinks, in the same order.
    pub fn wire(&self) -> &[Interface] {
        &self.wire
    }

    /// The other ends of the droplets' health endpoints, in the same order; none where the topology has none.
    pub fn health_endpoints(&self) -> &[Interface] {
        &self.health_endpoints
    }

    /// The tester's ends, which are numbered through all droplets.
    pub fn tester(&self) -> &TesterEnds {
        &self.tester
    }
}

/// A droplet with vhost-user ports, whose other sides are the tester's.
#[derive(Debug)]
pub struct VhostUserLab {
    ports: VhostUserPorts,
    folder: TempDir,
}

impl VhostUserLab {
    /// Places for an uplink and `endpoint_ports` endpoint ports.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(endpoint_ports: u16) -> Result<Self, netdev::Error> {
        let folder = scratch_folder("bench-vhost-")?;
        let socket = |name: String| folder.path().join(name);
        Ok(Self {
            ports: VhostUserPorts {
                namespace: Arc::new(Namespace::new()?),
                uplink: socket("uplink".to_owned()),
                endpoints: (0..endpoint_ports)
                    .map(|number| socket(format!("e{number}")))
                    .collect(),
            },
            folder,
        })
    }

    /// The droplet's ports.
    pub fn ports(&self) -> &VhostUserPorts {
        &self.ports
    }

    /// A folder for the tester's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Short enough for a device name, and not used by another lab of this machine: kernel threads of devices
/// are told apart by these names across namespaces.
fn unique() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:x}x{counter:x}", std::process::id())
}
