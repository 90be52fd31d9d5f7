//! A datapath that only forwards: between the tester and itself stands nothing but the ports, so that
//! what gets through is the tester's own ceiling on them.

use super::Error as TesterError;
use super::workload::number;
use aya::Ebpf;
use aya::programs::XdpMode;
use bpf_load::{chain, program};
use datapath_api::ring::RingPort;
use datapath_api::{
    Counters, Datapath, DropletPorts, Error, Missing, Outcome, PortType, Running, VethPorts,
    VhostUserPorts,
};
use dpdk_client::{Client, MEBIBYTES, devices};
use dpdk_protocol::{Engine, Memory, Start, Work};
use netdev::{Cpu, Tid, Urgency};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use topologies::provision::{DirectPath, Port, Provision};

/// Sends what comes by one port out of another.
#[derive(Debug, Clone)]
pub struct NullForward {
    /// By which port a frame leaves that came by another.
    pub paths: Vec<(Port, Port)>,
}

impl Datapath for NullForward {
    fn name(&self) -> &'static str {
        "null-forward"
    }

    fn summary(&self) -> &'static str {
        "redirects and does nothing else: the tester's ceiling"
    }

    fn ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    fn probe(&self) -> Vec<Missing> {
        Vec::new()
    }

    fn install(
        &self,
        ports: DropletPorts,
        _: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        match ports {
            DropletPorts::Veth(ports) => self.install_veth(&ports, cpu),
            DropletPorts::Rings { uplink, endpoints } => self.install_rings(uplink, endpoints, cpu),
            DropletPorts::VhostUser(ports) => self.install_vhost_user(&ports, cpu),
            DropletPorts::Detached => Err(Error::Ports {
                datapath: self.name(),
                supported: PortType::Veth,
                given: PortType::Detached,
            }),
        }
    }
}

impl NullForward {
    fn install_veth(&self, ports: &VethPorts, cpu: Cpu) -> Result<Box<dyn Running>, Error> {
        let doing = "installing the null forward";
        let interface = |port: Port| match port {
            Port::Uplink => Ok(&ports.uplink),
            Port::Endpoint(port) => ports
                .endpoints
                .get(usize::from(port.0))
                .ok_or_else(|| Error::failed(doing, format!("no endpoint port {}", port.0))),
        };
        let ebpf = ports.namespace.run(|| -> Result<Ebpf, Error> {
            let mut ebpf = super::veth::load(1, 0).map_err(|e| Error::failed(doing, e))?;
            let failed = |e: bpf_load::Error| Error::failed(doing, e);
            bpf_load::load_program(&mut ebpf, "null_forward").map_err(failed)?;
            for (from, to) in &self.paths {
                let target = [interface(*to)?.index(), 0];
                let entry = [(interface(*from)?.index(), target)];
                bpf_load::fill(&ebpf, "FORWARD", entry.into_iter()).map_err(failed)?;
            }
            for port in ports.endpoints.iter().chain([&ports.uplink]) {
                program(&mut ebpf, "null_forward")
                    .map_err(failed)?
                    .attach_to_if_index(port.index(), XdpMode::Driver)
                    .map_err(|e| Error::failed(doing, chain(&e)))?;
            }
            Ok(ebpf)
        })??;
        let mut threads = Vec::new();
        for port in ports.endpoints.iter().chain([&ports.uplink]) {
            threads.extend(port.thread_napi(cpu, Urgency::Prompt)?);
        }
        Ok(Box::new(Forwarder {
            threads,
            keeps: Keeps::Programs(ebpf),
        }))
    }

    fn install_vhost_user(
        &self,
        ports: &VhostUserPorts,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        let start = Start {
            engine: Engine::Burst,
            cpu: cpu.0,
            memory: Memory::Huge,
            mebibytes: MEBIBYTES,
            devices: devices::of_vhost_user(ports),
            work: Work::Forward(self.paths.clone()),
        };
        let client = Client::start(start, Some(&ports.namespace))?;
        Ok(Box::new(Forwarder {
            threads: client.prioritised_threads()?,
            keeps: Keeps::Process(client),
        }))
    }

    fn install_rings(
        &self,
        uplink: RingPort,
        endpoints: Vec<RingPort>,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        let mut ports: Vec<RingPort> = std::iter::once(uplink).chain(endpoints).collect();
        let paths: Vec<(usize, usize)> = self
            .paths
            .iter()
            .map(|(from, to)| (usize::from(number(*from)), usize::from(number(*to))))
            .collect();
        if paths
            .iter()
            .any(|(from, to)| *from >= ports.len() || *to >= ports.len())
        {
            return Err(Error::failed(
                "installing the null forward",
                "there is no such port",
            ));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (started, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let pinned = netdev::pin_current_thread(cpu);
            // An ordinary user may not, and measures with what other work leaves.
            let _ = Tid::current().prioritise(Urgency::Busy);
            let _ = started.send(pinned.map(|()| Tid::current()));
            while !stopped.load(Ordering::Relaxed) {
                for (from, to) in &paths {
                    for _ in 0..32 {
                        let Ok(buffer) = ports[*from].rx.pop() else {
                            break;
                        };
                        if let Err(rtrb::PushError::Full(buffer)) = ports[*to].tx.push(buffer) {
                            let _ = ports[*to].free.push(buffer);
                        }
                    }
                }
            }
        });
        let died = |_| Error::failed("installing the null forward", "its thread died");
        let tid = ready.recv().map_err(died)??;
        Ok(Box::new(Forwarder {
            threads: vec![tid],
            keeps: Keeps::Thread(stop, Some(thread)),
        }))
    }
}

struct Forwarder {
    threads: Vec<Tid>,
    keeps: Keeps,
}

/// What forwards as long as it is kept.
enum Keeps {
    Programs(#[expect(dead_code, reason = "kept until it is dropped")] Ebpf),
    Process(Client),
    Thread(Arc<AtomicBool>, Option<JoinHandle<()>>),
}

impl Running for Forwarder {
    fn counters(&mut self) -> Result<Counters, Error> {
        match &mut self.keeps {
            Keeps::Process(client) => Ok(client.count()?.counters),
            Keeps::Programs(_) | Keeps::Thread(..) => Ok(Counters::default()),
        }
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        Ok(Vec::new())
    }

    fn inject(&mut self, _: Port, _: &[u8]) -> Result<Outcome, Error> {
        let reason = TesterError::Workload("a null forward takes no injected frames".to_owned());
        Err(Error::failed("passing a frame in", reason))
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if let Keeps::Thread(stop, thread) = &mut self.keeps {
            stop.store(true, Ordering::Relaxed);
            // A panic of the thread was its own; there is nothing to clean up after it.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}
