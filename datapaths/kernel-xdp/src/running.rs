//! A droplet whose programs are loaded.

use crate::object::{Loaded, from_load};
use crate::{Mode, maps, object};
use aya::Ebpf;
use aya::programs::{TestRun, TestRunOptions, XdpMode};
use bpf_load::{chain, program};
use datapath_api::{Counters, Error, Outcome, Running, VethPorts, Why};
use mizar_core::reason::Reason;
use mizar_core::tables::{Attachment, Extensions};
use mizar_tables::Entries;
use netdev::{Cpu, Interface, Tid, Urgency};
use topologies::provision::{DirectPath, EndpointPort, Port, Provision};

/// Index of the loopback device, which a test run takes for the device a frame came by.
const LOOPBACK: u32 = 1;
/// Room for what a program makes of a frame.
const OUTPUT: usize = 4096;
/// The shortest frame that a test run accepts: an Ethernet header.
const SHORTEST: usize = 14;

/// A droplet whose programs are loaded, and attached to its ports if it has any.
pub struct Droplet {
    loaded: Loaded,
    entries: Entries,
    half_of_members: u32,
    /// Extensions that its programs have code for.
    possible: Extensions,
    /// Of endpoint ports, by number; none where it has no ports.
    devices: Vec<u32>,
    threads: Vec<Tid>,
    attached: bool,
}

impl Droplet {
    /// A droplet without ports: every redirect leads to the loopback device, for test runs alone.
    pub fn detached(entries: &Entries) -> Result<Self, Error> {
        let loaded = object::load(entries)?;
        maps::load(&loaded.ebpf, entries)?;
        maps::set_port(&loaded.ebpf, 0, LOOPBACK)?;
        let hosted = entries
            .endpoints
            .iter()
            .filter_map(|(_, endpoint)| endpoint.port());
        let attached = entries.attachments.iter().map(|(port, _)| *port);
        for port in hosted.chain(attached) {
            maps::set_port(&loaded.ebpf, 1 + port, LOOPBACK)?;
        }
        Ok(Self {
            loaded,
            entries: entries.clone(),
            half_of_members: object::half_of_members(entries),
            possible: object::possible(entries),
            devices: Vec::new(),
            threads: Vec::new(),
            attached: false,
        })
    }

    /// A droplet on veth ports, with its receive threads on `cpu`.
    pub fn attached(
        entries: &Entries,
        ports: &VethPorts,
        mode: Mode,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        // Devices are named by indices, which mean something in their namespace alone.
        let loaded = ports.namespace.run(|| attach(entries, ports, mode))??;
        if mode == Mode::Generic {
            for interface in ports.endpoints.iter().chain([&ports.uplink]) {
                interface.enable_napi()?;
            }
        }
        let mut threads = Vec::new();
        for interface in ports.endpoints.iter().chain([&ports.uplink]) {
            threads.extend(interface.thread_napi(cpu, Urgency::Prompt)?);
        }
        Ok(Self {
            loaded,
            entries: entries.clone(),
            half_of_members: object::half_of_members(entries),
            possible: object::possible(entries),
            devices: ports.endpoints.iter().map(Interface::index).collect(),
            threads,
            attached: true,
        })
    }
}

fn attach(entries: &Entries, ports: &VethPorts, mode: Mode) -> Result<Loaded, Error> {
    let mut loaded = object::load(entries)?;
    let ebpf = &mut loaded.ebpf;
    maps::load(ebpf, entries)?;
    maps::set_port(ebpf, 0, ports.uplink.index())?;
    for (number, interface) in (0u32..).zip(&ports.endpoints) {
        maps::set_port(ebpf, 1 + number, interface.index())?;
    }
    for (port, attachment) in &entries.attachments {
        let interface = ports.endpoints.get(*port as usize).ok_or_else(|| {
            Error::failed(
                "attaching endpoints",
                format!("there is no endpoint port {port}"),
            )
        })?;
        maps::set_attachment(ebpf, interface.index(), *attachment)?;
    }
    attach_program(ebpf, "mizar_transit", &ports.uplink, mode)?;
    for interface in &ports.endpoints {
        attach_program(ebpf, "mizar_agent", interface, mode)?;
    }
    Ok(loaded)
}

fn attach_program(
    ebpf: &mut Ebpf,
    name: &str,
    interface: &Interface,
    mode: Mode,
) -> Result<(), Error> {
    let (flags, hint) = match mode {
        Mode::Native => (
            XdpMode::Driver,
            "; if the device cannot do native XDP, measure kernel-xdp-generic instead",
        ),
        Mode::Generic => (XdpMode::Skb, ""),
    };
    program(ebpf, name)
        .map_err(from_load)?
        .attach_to_if_index(interface.index(), flags)
        .map_err(|e| {
            let doing = format!("attaching {name} to {}", interface.name());
            Error::failed(doing, format!("{}{hint}", chain(&e)))
        })?;
    Ok(())
}

impl Running for Droplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        maps::counters(&self.loaded.ebpf)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        maps::direct_paths(&self.loaded.ebpf)
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let doing = || "running a program on a frame";
        if self.attached {
            return Err(Error::failed(doing(), "the droplet is attached to ports"));
        }
        if frame.len() < SHORTEST {
            // The kernel accepts no shorter frame for a test run, and no device delivers one.
            let (why, reason) = match port {
                Port::Endpoint(EndpointPort(port)) if !self.is_attached(port) => {
                    (Why::Drop, Reason::NotAttached)
                }
                _ => (Why::Abort, Reason::TruncatedEthernet),
            };
            let reason = reason.text();
            return Ok(Outcome::Dropped { why, reason });
        }
        let name = match port {
            Port::Uplink => "mizar_transit",
            Port::Endpoint(EndpointPort(port)) => {
                let attachment = self
                    .entries
                    .attachments
                    .iter()
                    .find(|(number, _)| *number == u32::from(port))
                    .map_or_else(Attachment::default, |(_, attachment)| *attachment);
                maps::set_attachment(&self.loaded.ebpf, LOOPBACK, attachment)?;
                "mizar_agent"
            }
        };
        let before = maps::counters(&self.loaded.ebpf)?;
        let mut output = vec![0; OUTPUT];
        let result = program(&mut self.loaded.ebpf, name)
            .map_err(from_load)?
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut output),
                ..TestRunOptions::default()
            })
            .map_err(|e| Error::failed(doing(), chain(&e)))?;
        output.truncate(result.data_size_out as usize);
        let after = maps::counters(&self.loaded.ebpf)?;
        self.outcome(result.return_value, output, &before, &after)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        let capacity = |reason: String| Error::Capacity(reason);
        let new = Entries::encode(provision).map_err(|error| capacity(error.to_string()))?;
        if new.members.len() > self.half_of_members as usize {
            let (members, room) = (new.members.len(), self.half_of_members);
            return Err(capacity(format!(
                "{members} members of groups, with room for {room}"
            )));
        }
        if new.extensions.within(self.possible) != new.extensions {
            return Err(capacity(
                "an extension that the droplet did not have when it was installed; install it anew"
                    .to_owned(),
            ));
        }
        // Where those in use are not.
        let first = match self.entries.first_member {
            0 => self.half_of_members,
            _ => 0,
        };
        let new = new.with_members_from(first).with_acls_beside(&self.entries);
        let ebpf = &self.loaded.ebpf;
        maps::update(ebpf, &self.entries, &new)?;
        for (port, device) in (0u32..).zip(&self.devices) {
            let attached = |entries: &Entries| {
                let found = entries
                    .attachments
                    .iter()
                    .find(|(number, _)| *number == port);
                found.map_or_else(Attachment::default, |(_, attachment)| *attachment)
            };
            if attached(&self.entries) != attached(&new) {
                maps::set_attachment(ebpf, *device, attached(&new))?;
            }
        }
        if self.devices.is_empty() {
            for (_, endpoint) in &new.endpoints {
                if let Some(port) = endpoint.port() {
                    maps::set_port(ebpf, 1 + port, LOOPBACK)?;
                }
            }
        }
        maps::begin_epoch(ebpf)?;
        let old = std::mem::replace(&mut self.entries, new);
        maps::clean_up(&self.loaded.ebpf, &old, &self.entries)
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

impl Droplet {
    /// Whether an endpoint is attached to the endpoint port with this number.
    fn is_attached(&self, port: u16) -> bool {
        let mut attachments = self.entries.attachments.iter();
        attachments.any(|(number, _)| *number == u32::from(port))
    }

    /// What a program's return value means. A test run does not tell where a redirect leads; the counters do.
    fn outcome(
        &self,
        action: u32,
        frame: Vec<u8>,
        before: &Counters,
        after: &Counters,
    ) -> Result<Outcome, Error> {
        let reason = after
            .refused
            .iter()
            .find(|(reason, count)| {
                !before
                    .refused
                    .iter()
                    .any(|(known, old)| known == reason && old == count)
            })
            .and_then(|(reason, _)| Reason::ALL.iter().find(|known| known.text() == reason))
            .map_or("no reason was counted", |reason| reason.text());
        Ok(match action {
            // `enum xdp_action` of include/uapi/linux/bpf.h.
            0 => Outcome::Dropped {
                why: Why::Abort,
                reason,
            },
            1 => Outcome::Dropped {
                why: Why::Drop,
                reason,
            },
            2 => Outcome::ToStack { frame },
            4 if after.delivered > before.delivered => Outcome::Forward {
                port: self.delivered_to(&frame)?,
                frame,
            },
            4 => Outcome::Forward {
                port: Port::Uplink,
                frame,
            },
            other => {
                let reason = format!("unexpected XDP action {other}");
                return Err(Error::failed("running a program on a frame", reason));
            }
        })
    }

    /// The endpoint port that hosts the owner of a delivered frame's destination address.
    fn delivered_to(&self, frame: &[u8]) -> Result<Port, Error> {
        let missing = || Error::failed("running a program on a frame", "delivered to no endpoint");
        let mac = frame.get(..6).ok_or_else(missing)?;
        let port = self
            .entries
            .endpoints
            .iter()
            .find(|(_, endpoint)| endpoint.port().is_some() && endpoint.mac().octets() == mac)
            .and_then(|(_, endpoint)| endpoint.port())
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(missing)?;
        Ok(Port::Endpoint(EndpointPort(port)))
    }
}
