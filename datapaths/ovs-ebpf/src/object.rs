//! The BPF object and its loading.

use crate::mapped::Mapped;
use aya::maps::{HashMap, Map, MapData};
use aya::{Ebpf, EbpfLoader};
use bpf_load::Error;
use megaflow::Flow;
use megaflow::map::{At, Config, FLOWS, MASKS, Mask, Masked, PORTS, Port};
use zerocopy::IntoBytes;

/// Bytes of a key and of a value of the table, which is how aya takes them.
pub type KeyBytes = [u8; size_of::<Masked>()];
/// See [`KeyBytes`].
pub type AtBytes = [u8; size_of::<At>()];

/// The object, if it could be built.
pub fn bytes() -> Option<&'static [u8]> {
    #[cfg(bpf)]
    {
        Some(aya::include_bytes_aligned!(env!("BPF_OBJECT")))
    }
    #[cfg(not(bpf))]
    {
        None
    }
}

/// The datapath at tc, and at XDP.
pub const AT_TC: &str = "ovs_tc";
/// See [`AT_TC`].
pub const AT_XDP: &str = "ovs_xdp";
/// For devices of the switch behind.
pub const FROM_SWITCH: &str = "ovs_out";

/// The hooks that the datapath has programs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The queueing layer's ingress.
    Tc,
    /// The driver's receive path.
    Xdp,
}

/// The object in the kernel, with the maps that are written here.
pub struct Loaded {
    /// Where the program hooks in.
    pub hook: Hook,
    /// Programs, and the other maps.
    pub ebpf: Ebpf,
    /// Flows by their place.
    pub flows: Mapped<Flow>,
    /// Masks by their number.
    pub masks: Mapped<Mask>,
    /// Which masks are in use.
    pub config: Mapped<Config>,
    /// Ports by their number.
    pub ports: Mapped<Port>,
    /// Where flows are, by mask and what it leaves of a key.
    pub table: HashMap<MapData, KeyBytes, AtBytes>,
}

/// Loads the object, with the program for a hook.
///
/// # Errors
/// Where there is none, or the kernel refuses it; then with the verifier's log.
pub fn load(hook: Hook) -> Result<Loaded, Error> {
    let object = bytes().ok_or_else(|| Error::Failed {
        doing: "loading the BPF programs".to_owned(),
        reason: "this program was built without a BPF toolchain; cargo xtask bench".to_owned(),
    })?;
    let mut ebpf = EbpfLoader::new()
        .load(object)
        .map_err(|e| Error::failed("loading the BPF programs", &e))?;
    bpf_load::load_classifier(&mut ebpf, FROM_SWITCH)?;
    match hook {
        Hook::Tc => bpf_load::load_classifier(&mut ebpf, AT_TC)?,
        Hook::Xdp => bpf_load::load_program(&mut ebpf, AT_XDP)?,
    }
    let table = take(&mut ebpf, "TABLE")?;
    Ok(Loaded {
        hook,
        flows: mapped(&mut ebpf, "FLOW", FLOWS)?,
        masks: mapped(&mut ebpf, "MASK", MASKS)?,
        config: mapped(&mut ebpf, "CONFIG", 1)?,
        ports: mapped(&mut ebpf, "PORT", PORTS)?,
        table: HashMap::try_from(table).map_err(|e| Error::failed("opening TABLE", &e))?,
        ebpf,
    })
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, Error> {
    ebpf.take_map(name)
        .ok_or_else(|| Error::Absent(format!("map {name}")))
}

fn mapped<T>(ebpf: &mut Ebpf, name: &str, count: u32) -> Result<Mapped<T>, Error> {
    match take(ebpf, name)? {
        Map::Array(data) => Mapped::new(data, count)
            .map_err(|e| Error::failed(format!("mapping the map {name}"), &e)),
        _ => Err(Error::Absent(format!("map {name}"))),
    }
}

/// A key of the table as aya takes it.
pub fn key_bytes(key: &Masked) -> KeyBytes {
    let mut bytes = [0; size_of::<Masked>()];
    bytes.copy_from_slice(key.as_bytes());
    bytes
}

/// A value of the table as aya takes it.
pub fn at_bytes(at: &At) -> AtBytes {
    let mut bytes = [0; size_of::<At>()];
    bytes.copy_from_slice(at.as_bytes());
    bytes
}

/// The error as the harness knows it.
pub fn from_load(error: Error) -> datapath_api::Error {
    match error {
        Error::Verifier {
            program,
            reason,
            log,
        } => datapath_api::Error::Verifier {
            program,
            reason,
            log,
        },
        other => datapath_api::Error::failed("loading the BPF programs", other),
    }
}
