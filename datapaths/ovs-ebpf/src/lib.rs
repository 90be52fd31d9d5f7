//! An eBPF datapath behind stock Open vSwitch: BPF programs at tc or XDP forward what they have a flow for; flows are those
//! that the switch's own datapath would have, or what the Mizar core decides.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`object`] | the BPF object and its loading |
//! | [`devices`] | ports, and the programs there |
//! | [`table`] | flows in the maps: entering, deleting, reading |
//! | [`notation`] | flows as the switch writes them |
//! | [`slow_path`] | who answers for packets without a flow: the switch, or the core |
//! | [`kernel`] | what the programs need of the kernel |
//! | [`running`] | the droplet |
//!
//! Programs are attached by BPF links and maps are pinned nowhere, so that the kernel takes everything down with this
//! process, however it ends. Before Linux 6.6 there are no links for programs at tc: filters go with the device, which goes
//! with the droplet's namespace.

pub mod devices;
mod encode;
pub mod kernel;
pub mod kind;
pub mod mapped;
pub mod notation;
pub mod object;
pub mod running;
pub mod slow_path;
pub mod table;

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, Needs, PortType, Running};
use netdev::Cpu;
use object::Hook;
use ovs_adapter::Flavour;
use ovs_adapter::droplet::{FORGETS_WITHIN, not_installed};
use std::time::Duration;
use topologies::provision::Provision;

/// Who is asked about packets without a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A stock Open vSwitch with the rules of `openflow`.
    Switch,
    /// The Mizar core.
    Core,
}

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub struct OvsEbpf {
    /// See [`Datapath::name`].
    pub name: &'static str,
    /// See [`Datapath::summary`].
    pub summary: &'static str,
    /// Where the programs are hooked in.
    pub hook: Hook,
    /// Who is asked about packets without a flow.
    pub asked: Asked,
}

/// At tc, behind a switch.
pub const OVS_EBPF: OvsEbpf = OvsEbpf {
    name: "ovs-ebpf",
    summary: "eBPF programs at tc with the flows of a stock Open vSwitch behind them",
    hook: Hook::Tc,
    asked: Asked::Switch,
};

/// The same programs, with flows that the core decides about.
pub const OVS_EBPF_CORE: OvsEbpf = OvsEbpf {
    name: "ovs-ebpf-core",
    summary: "the same eBPF programs at tc; the core decides about first packets",
    hook: Hook::Tc,
    asked: Asked::Core,
};

/// The same programs at XDP.
pub const OVS_EBPF_XDP: OvsEbpf = OvsEbpf {
    name: "ovs-ebpf-xdp",
    summary: "the same eBPF programs at XDP, in the driver, behind a stock Open vSwitch",
    hook: Hook::Xdp,
    asked: Asked::Switch,
};

/// Where packets differ from Mizar's that follow flows which the core decided about: in what flows do not say.
const CORE_DIFFERENCES: &[Difference] = &[
    Difference::OuterSourcePort,
    Difference::OuterHeadersAnew,
    Difference::NoShaping,
    Difference::RefusalKind,
    Difference::InnerChecksums,
    Difference::Runts,
];

impl Datapath for OvsEbpf {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        let asked = match self.asked {
            Asked::Core => format!("core {}", env!("CARGO_PKG_VERSION")),
            Asked::Switch => ovs_adapter::droplet::version(Flavour::Stock),
        };
        format!("{asked}, {}", kernel::release())
    }

    fn probe(&self) -> Vec<Missing> {
        let switch = match self.asked {
            Asked::Switch => not_installed(Flavour::Stock),
            Asked::Core => None,
        };
        let object = object::bytes().is_none().then(|| {
            Missing::new(
                "the BPF programs: built without a BPF toolchain",
                "cargo xtask bench",
            )
        });
        let missing = switch
            .into_iter()
            .chain(object)
            .chain(Missing::privileges());
        missing.chain(kernel::lacks(self.hook)).collect()
    }

    fn needs(&self) -> Needs {
        Needs {
            kernel: Some(kernel::oldest(self.hook)),
            kernel_programs: true,
            open_vswitch: self.asked == Asked::Switch,
            ..Needs::NONE
        }
    }

    fn declared_differences(&self) -> &'static [Difference] {
        match self.asked {
            Asked::Switch => ovs_adapter::DIFFERENCES,
            Asked::Core => CORE_DIFFERENCES,
        }
    }

    fn forgets_within(&self) -> Duration {
        match self.asked {
            // What the switch changed is seen with the look after that.
            Asked::Switch => 2 * FORGETS_WITHIN,
            Asked::Core => Duration::ZERO,
        }
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        let droplet = match ports {
            DropletPorts::Detached => running::Droplet::detached(self.asked, self.hook, provision)?,
            DropletPorts::Veth(ports) => {
                running::Droplet::attached(self.asked, self.hook, &ports, provision, cpu)?
            }
            other => {
                return Err(Error::Ports {
                    datapath: self.name,
                    supported: PortType::Veth,
                    given: other.port_type(),
                });
            }
        };
        Ok(Box::new(droplet))
    }
}
