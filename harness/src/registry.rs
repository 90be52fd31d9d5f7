//! All datapaths. Adding one adds a line here.

use datapath_api::Datapath;
use datapath_kernel_xdp::{KernelXdp, Mode};
use datapath_mizar_dpdk::{Devices, Engine, MizarDpdk};
use datapath_ovs_dpdk::{OVS_DPDK, OVS_DPDK_VETH};
use datapath_ovs_ebpf::{OVS_EBPF, OVS_EBPF_CORE, OVS_EBPF_XDP};
use datapath_ovs_xdp::OVS_XDP;
use datapath_reference::Reference;

/// A datapath, and whether it is measured when none is named.
pub struct Entry {
    /// The datapath.
    pub datapath: Box<dyn Datapath>,
    /// Whether it is measured when none is named.
    pub by_default: bool,
}

/// Every datapath this program knows, in the order in which they are listed.
pub fn all() -> Vec<Entry> {
    let entry = |datapath: Box<dyn Datapath>, by_default| Entry {
        datapath,
        by_default,
    };
    let dpdk = |engine, devices| entry(Box::new(MizarDpdk { engine, devices }), true);
    vec![
        entry(Box::<Reference>::default(), true),
        entry(Box::new(KernelXdp { mode: Mode::Native }), true),
        entry(
            Box::new(KernelXdp {
                mode: Mode::Generic,
            }),
            false,
        ),
        entry(Box::new(datapath_openflow::PROACTIVE), true),
        entry(Box::new(datapath_openflow::REACTIVE), true),
        entry(Box::new(OVS_XDP), true),
        entry(Box::new(OVS_EBPF), true),
        entry(Box::new(OVS_EBPF_CORE), true),
        entry(Box::new(OVS_EBPF_XDP), true),
        entry(Box::new(OVS_DPDK), true),
        entry(Box::new(OVS_DPDK_VETH), true),
        entry(Box::new(datapath_openflow::KERNEL), false),
        dpdk(Engine::Burst, Devices::VhostUser),
        dpdk(Engine::Capsule, Devices::VhostUser),
        dpdk(Engine::Burst, Devices::Veth),
        dpdk(Engine::Capsule, Devices::Veth),
    ]
}

/// A name that no datapath has.
#[derive(Debug, Clone, thiserror::Error)]
#[error("there is no datapath `{name}`; expected one of: {known}")]
pub struct UnknownDatapath {
    name: String,
    known: String,
}

/// The datapaths with these names, or those measured by default if there are none.
///
/// # Errors
/// [`UnknownDatapath`].
pub fn select(names: &[String]) -> Result<Vec<Box<dyn Datapath>>, UnknownDatapath> {
    if names.is_empty() {
        return Ok(all()
            .into_iter()
            .filter(|e| e.by_default)
            .map(|e| e.datapath)
            .collect());
    }
    names
        .iter()
        .map(|name| {
            all()
                .into_iter()
                .map(|entry| entry.datapath)
                .find(|d| d.name() == name)
                .ok_or_else(|| UnknownDatapath {
                    name: name.clone(),
                    known: all()
                        .iter()
                        .map(|entry| entry.datapath.name())
                        .collect::<Vec<_>>()
                        .join(", "),
                })
        })
        .collect()
}
