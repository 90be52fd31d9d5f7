//! Ports of the datapath: which device each is, and the programs there.

use crate::mapped::Mapped;
use crate::object::{AT_TC, AT_XDP, FROM_SWITCH, Hook};
use aya::Ebpf;
use aya::maps::{DevMap, MapData, PerCpuArray, RingBuf};
use aya::programs::tc::qdisc_add_clsact;
use aya::programs::{TcAttachType, XdpMode};
use bpf_load::{chain, classifier, program};
use datapath_api::Error;
use megaflow::map::{Count, Port};
use netdev::{Interface, Namespace};
use std::sync::Arc;

/// The programs, and the ports that they know. Dropping it takes the programs away.
pub struct Devices {
    ebpf: Ebpf,
    hook: Hook,
    ports: Arc<Mapped<Port>>,
    real: Vec<(u32, Interface)>,
    /// Devices of a switch behind.
    behind: Vec<Interface>,
}

impl Devices {
    /// Without ports so far.
    pub fn new(ebpf: Ebpf, ports: Mapped<Port>, hook: Hook) -> Self {
        Self {
            ebpf,
            hook,
            ports: Arc::new(ports),
            real: Vec::new(),
            behind: Vec::new(),
        }
    }

    /// Makes a device the port with this number; what a switch sends out of a device of its own, `behind`, leaves there too.
    ///
    /// # Errors
    /// Where there are no such numbers.
    pub fn add(
        &mut self,
        number: u32,
        real: &Interface,
        behind: Option<&Interface>,
    ) -> Result<(), Error> {
        let doing = || format!("making {} port {number}", real.name());
        let place = self.ports.at(number);
        let place = place.ok_or_else(|| Error::failed(doing(), "there is no room for it"))?;
        // SAFETY: a word in the mapping.
        unsafe { (&raw mut (*place).device).write_volatile(real.index()) };
        // By number of the device: 0 is none.
        let devices = [Some(real), behind].into_iter().flatten();
        let numbers: Vec<_> = devices.map(|device| (device.index(), number + 1)).collect();
        bpf_load::fill(&self.ebpf, "PORT_OF", numbers.into_iter())
            .map_err(|error| Error::failed(doing(), error))?;
        self.real.push((number, real.clone()));
        self.behind.extend(behind.cloned());
        Ok(())
    }

    /// Attaches the programs to all ports, whose devices are in `namespace`.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn attach(&mut self, namespace: &Namespace) -> Result<(), Error> {
        // Devices are named by indices, which mean something in their namespace alone.
        namespace.run(|| self.attach_here())?
    }

    fn attach_here(&mut self) -> Result<(), Error> {
        // What is sent out must find its way before anything is handed over.
        for device in &self.behind {
            at_ingress(&mut self.ebpf, FROM_SWITCH, device)?;
        }
        if self.hook == Hook::Xdp {
            let doing = || "entering devices that frames are redirected to";
            let map = self.ebpf.map_mut("DEVICE");
            let map = map.ok_or_else(|| Error::failed(doing(), "there is no map"))?;
            let mut map = DevMap::try_from(map).map_err(|e| Error::failed(doing(), chain(&e)))?;
            for (number, device) in &self.real {
                map.set(*number, device.index(), None, 0)
                    .map_err(|e| Error::failed(doing(), chain(&e)))?;
            }
        }
        for (_, device) in &self.real {
            match self.hook {
                Hook::Tc => at_ingress(&mut self.ebpf, AT_TC, device)?,
                Hook::Xdp => {
                    let doing = || format!("attaching {AT_XDP} to {}", device.name());
                    let program = program(&mut self.ebpf, AT_XDP);
                    program
                        .map_err(|e| Error::failed(doing(), e))?
                        .attach_to_if_index(device.index(), XdpMode::Driver)
                        .map_err(|e| Error::failed(doing(), chain(&e)))?;
                }
            }
        }
        Ok(())
    }

    /// Where upcalls come from; once.
    ///
    /// # Errors
    /// Where that was taken already.
    pub fn ring(&mut self) -> Result<RingBuf<MapData>, Error> {
        let doing = || "opening the ring of upcalls";
        let map = self.ebpf.take_map("UPCALL");
        let map = map.ok_or_else(|| Error::failed(doing(), "it is open already"))?;
        RingBuf::try_from(map).map_err(|e| Error::failed(doing(), chain(&e)))
    }

    /// What is known of each port.
    pub fn ports(&self) -> Arc<Mapped<Port>> {
        Arc::clone(&self.ports)
    }

    /// What the programs counted, on all processors, by [`Count`].
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn counts(&self) -> Result<[u64; Count::COUNT as usize], Error> {
        let doing = || "reading what the programs counted";
        let map = bpf_load::map(&self.ebpf, "COUNTERS").map_err(|e| Error::failed(doing(), e))?;
        let map = PerCpuArray::<_, u64>::try_from(map);
        let map = map.map_err(|e| Error::failed(doing(), chain(&e)))?;
        let mut counts = [0; Count::COUNT as usize];
        for (number, count) in (0..).zip(&mut counts) {
            let values = map.get(&number, 0);
            let values = values.map_err(|e| Error::failed(doing(), chain(&e)))?;
            *count = values.iter().sum();
        }
        Ok(counts)
    }

    /// Upcalls that were answered.
    pub fn answered(&self) -> u64 {
        self.sum(|port| port.answered)
    }

    /// Packets without a flow that nobody could be asked about.
    pub fn lost(&self) -> u64 {
        self.sum(|port| port.lost)
    }

    fn sum(&self, of: fn(&Port) -> u64) -> u64 {
        let ports = self.real.iter();
        let ports = ports.filter_map(|(number, _)| self.ports.read(*number));
        ports.map(|port| of(&port)).sum()
    }
}

/// Attaches a program to the receiving side of a device's queueing layer.
///
/// From Linux 6.6 on that is a link of its own (tcx), before a filter of a queueing discipline for it (clsact).
///
/// # Errors
/// Where the kernel refuses.
pub fn at_ingress(ebpf: &mut Ebpf, name: &str, device: &Interface) -> Result<(), Error> {
    let doing = || format!("attaching {name} to {}", device.name());
    let program = classifier(ebpf, name).map_err(|e| Error::failed(doing(), e))?;
    let Err(first) = program.attach(device.name(), TcAttachType::Ingress) else {
        return Ok(());
    };
    let qdisc = qdisc_add_clsact(device.name());
    qdisc.map_err(|e| Error::failed(doing(), format!("{}, and {}", chain(&first), chain(&e))))?;
    program
        .attach(device.name(), TcAttachType::Ingress)
        .map_err(|e| Error::failed(doing(), chain(&e)))?;
    Ok(())
}
