//! The core as XDP programs: the agent on each endpoint's port, transit on the uplink.
//!
//! Programs are attached by BPF links and maps are pinned nowhere, so that the kernel takes everything
//! down with this process, however it ends.

mod change;
mod maps;
mod object;
mod running;
mod stages;

use datapath_api::{
    Datapath, DropletPorts, Error, KernelRelease, Missing, Needs, PortType, Running, Stages,
};
use mizar_tables::Entries;
use netdev::Cpu;
use topologies::provision::Provision;

/// How the programs hook into a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// In the driver, before a socket buffer is made.
    #[default]
    Native,
    /// In the network stack, on socket buffers; works on every device, and slowly.
    Generic,
}

/// See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct KernelXdp {
    /// How the programs hook into a device.
    pub mode: Mode,
}

impl Datapath for KernelXdp {
    fn name(&self) -> &'static str {
        match self.mode {
            Mode::Native => "kernel-xdp",
            Mode::Generic => "kernel-xdp-generic",
        }
    }

    fn summary(&self) -> &'static str {
        match self.mode {
            Mode::Native => "the Mizar core as XDP programs in the driver",
            Mode::Generic => "the Mizar core as XDP programs in the network stack (generic mode)",
        }
    }

    fn ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!(
            "core {}, Linux {}",
            env!("CARGO_PKG_VERSION"),
            release.trim()
        )
    }

    fn probe(&self) -> Vec<Missing> {
        let object = object::bytes().is_none().then(|| {
            Missing::new(
                "the BPF programs: built without a BPF toolchain",
                "cargo xtask bench",
            )
        });
        object.into_iter().chain(Missing::privileges()).collect()
    }

    fn needs(&self) -> Needs {
        Needs {
            // Threaded NAPI, by which its work is pinned: net/core/dev.c of 5.12.
            kernel: Some(KernelRelease::new(5, 12)),
            kernel_programs: true,
            ..Needs::NONE
        }
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        let entries = Entries::encode(provision).map_err(|e| Error::Capacity(e.to_string()))?;
        let droplet = match ports {
            DropletPorts::Detached => running::Droplet::detached(&entries)?,
            DropletPorts::Veth(ports) => {
                running::Droplet::attached(&entries, &ports, self.mode, cpu)?
            }
            other => {
                return Err(Error::Ports {
                    datapath: self.name(),
                    supported: PortType::Veth,
                    given: other.port_type(),
                });
            }
        };
        Ok(Box::new(droplet))
    }

    fn stages(
        &self,
        provision: &Provision,
        cpu: Cpu,
        sink: Cpu,
    ) -> Result<Option<Box<dyn Stages>>, Error> {
        // Generic mode is the same programs.
        if self.mode == Mode::Generic {
            return Ok(None);
        }
        let entries = Entries::encode(provision).map_err(|e| Error::Capacity(e.to_string()))?;
        Ok(Some(Box::new(stages::XdpStages::new(&entries, cpu, sink)?)))
    }
}
