//! The lab: namespaces and ports around the droplet under test.
//!
//! No device in it has a name outside this process, so that the kernel takes it down however the process
//! ends. Sockets lie in a folder that the next process removes if this one could not.

use datapath_api::{DropletPorts, PORT_MTU, VethPorts, VhostUserPorts};
use netdev::{Interface, Namespace, create_veth, scratch_folder};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use topologies::provision::{EndpointPort, Port};

/// A droplet with veth ports whose other ends are the tester's.
#[derive(Debug)]
pub struct VethLab {
    droplet: VethPorts,
    tester: Vec<(Port, Interface)>,
    tester_namespace: Arc<Namespace>,
}

impl VethLab {
    /// A droplet with an uplink and `endpoint_ports` endpoint ports.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(endpoint_ports: u16) -> Result<Self, netdev::Error> {
        let droplet = Arc::new(Namespace::new()?);
        let tester = Arc::new(Namespace::new()?);
        let mut tester_ends = Vec::new();
        let mut pair = |port: Port| -> Result<Interface, netdev::Error> {
            let id = unique();
            let (ours, theirs) = (format!("d{id}"), format!("t{id}"));
            let ends = [(&droplet, ours.as_str()), (&tester, theirs.as_str())];
            let [ours, theirs] = create_veth(ends, PORT_MTU.into())?;
            tester_ends.push((port, theirs));
            Ok(ours)
        };
        let uplink = pair(Port::Uplink)?;
        let endpoints = (0..endpoint_ports)
            .map(|number| pair(Port::Endpoint(EndpointPort(number))))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            droplet: VethPorts {
                namespace: droplet,
                uplink,
                endpoints,
            },
            tester: tester_ends,
            tester_namespace: tester,
        })
    }

    /// The droplet's ends.
    pub fn ports(&self) -> DropletPorts {
        DropletPorts::Veth(self.droplet.clone())
    }

    /// The tester's ends, the uplink first, then endpoint ports in order.
    pub fn tester_ends(&self) -> &[(Port, Interface)] {
        &self.tester
    }

    /// The tester's namespace.
    pub fn tester_namespace(&self) -> &Arc<Namespace> {
        &self.tester_namespace
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
