//! The work of the programs on a frame, cut short: see [`datapath_api::Stages`].
//!
//! Frames are made by the kernel and go through a program in batches, as in a driver's receive loop (`bpf_test_run_xdp_live` of
//! net/bpf/test_run.c). What is sent leaves by a veth device whose other end drops it on another processor.

use crate::maps;
use crate::object::{self, Loaded, from_load};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, XdpMode};
use bpf_load::{chain, program};
use datapath_api::{Decision, Error, PORT_MTU, Stage, Stages};
use mizar_tables::Entries;
use netdev::{Cpu, Interface, Namespace, Urgency, create_veth, pin_current_thread};
use std::sync::Arc;
use std::time::{Duration, Instant};
use topologies::provision::{EndpointPort, Port};

/// Index of the loopback device, which a test run takes for the device a frame came by.
const LOOPBACK: u32 = 1;
/// Frames that go through a program together: `NAPI_POLL_WEIGHT`.
const BATCH: u32 = 64;
/// `XDP_DROP`: a frame got as far as it should.
const DROP: u32 = 1;
/// `XDP_REDIRECT`: it was sent.
const REDIRECT: u32 = 4;
/// Room for what a program makes of a frame.
const OUTPUT: usize = 4_096;

/// All programs, by how far they get.
const PROGRAMS: [&str; 17] = [
    "hook",
    "leaving_parse",
    "leaving_policy",
    "leaving_lookup",
    "leaving_headers",
    "leaving_redirect",
    "leaving_established_lookup",
    "leaving_established_headers",
    "leaving_established_redirect",
    "arriving_parse",
    "arriving_policy",
    "arriving_lookup",
    "arriving_headers",
    "arriving_redirect",
    "arriving_established_lookup",
    "arriving_established_headers",
    "arriving_established_redirect",
];

/// The program that takes a frame from `port` as far as `stage`; `None` if there is none.
fn name(port: Port, decision: Decision, stage: Stage) -> Option<String> {
    let from = match port {
        Port::Endpoint(_) => "leaving",
        Port::Uplink => "arriving",
    };
    let way = match (decision, stage) {
        (_, Stage::Hook) => return Some("hook".to_owned()),
        (_, Stage::Parse) | (Decision::Full, _) => "",
        (Decision::Established, Stage::Policy) => return None,
        (Decision::Established, _) => "established_",
    };
    Some(format!("{from}_{way}{stage}"))
}

/// A droplet whose programs are loaded.
pub struct XdpStages {
    loaded: Loaded,
    entries: Entries,
    /// Where test runs are made.
    namespace: Arc<Namespace>,
    cpu: Cpu,
    /// Where what is sent goes, and where programs are kept.
    _devices: Vec<Interface>,
}

impl XdpStages {
    /// A droplet with these tables whose programs run on `cpu`, and what they send ends on `sink`.
    pub fn new(entries: &Entries, cpu: Cpu, sink: Cpu) -> Result<Self, Error> {
        let [namespace, beyond] = [Arc::new(Namespace::new()?), Arc::new(Namespace::new()?)];
        let ends = [(&namespace, "stages"), (&beyond, "sink")];
        let [port, far] = create_veth(ends, PORT_MTU.into())?;
        let next = [(1, "arriving_lookup"), (2, "leaving_lookup")];
        let mut loaded = namespace.run(|| -> Result<Loaded, Error> {
            let loaded = object::load_object(object::stages(), &PROGRAMS, &next, entries)?;
            maps::load(&loaded.ebpf, entries)?;
            let hosted = entries.endpoints.iter();
            let hosted = hosted.filter_map(|(_, endpoint)| endpoint.port());
            let attached = entries.attachments.iter().map(|(port, _)| *port);
            maps::set_port(&loaded.ebpf, 0, port.index())?;
            for number in hosted.chain(attached) {
                maps::set_port(&loaded.ebpf, 1 + number, port.index())?;
            }
            Ok(loaded)
        })??;
        let mut attach = |name: &str, at: &Interface| -> Result<(), Error> {
            let program = program(&mut loaded.ebpf, name).map_err(from_load)?;
            let index = at.index();
            let attached = at
                .namespace()
                .run(|| program.attach_to_if_index(index, XdpMode::Driver))?;
            attached.map_err(|e| Error::failed(format!("attaching {name}"), chain(&e)))?;
            Ok(())
        };
        attach("hook", &far)?;
        far.thread_napi(sink, Urgency::Prompt)?;
        // A program that is attached nowhere is entered among those that the kernel calls directly at the beginning of each test
        // run and taken out at its end (`bpf_prog_change_xdp`), for which it waits for all processors.
        let keepers = Arc::new(Namespace::new()?);
        let mut devices = vec![far];
        for (number, names) in PROGRAMS[1..].chunks(2).enumerate() {
            let ends = [format!("k{number}a"), format!("k{number}b")];
            let ends = [(&keepers, ends[0].as_str()), (&keepers, ends[1].as_str())];
            let ends = create_veth(ends, PORT_MTU.into())?;
            for (name, end) in names.iter().zip(&ends) {
                attach(name, end)?;
            }
            devices.extend(ends);
        }
        Ok(Self {
            loaded,
            entries: entries.clone(),
            namespace,
            cpu,
            _devices: devices,
        })
    }

    /// Attaches what is at `port` to where test runs come from.
    fn attach(&self, port: Port) -> Result<(), Error> {
        let Port::Endpoint(EndpointPort(port)) = port else {
            return Ok(());
        };
        let mut attachments = self.entries.attachments.iter();
        let attached = attachments.find(|(number, _)| *number == u32::from(port));
        let nothing = || Error::failed("running a stage", "nothing is attached to the port");
        let (_, attachment) = attached.ok_or_else(nothing)?;
        maps::set_attachment(&self.loaded.ebpf, LOOPBACK, *attachment)
    }

    /// Has one frame go through a program, and returns what that said and made of it.
    fn once(&mut self, name: &str, frame: &[u8]) -> Result<(u32, Vec<u8>), Error> {
        let mut output = vec![0; OUTPUT];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut output),
            ..TestRunOptions::default()
        };
        let ran = self.test_run(name, options)?;
        output.truncate(ran.len);
        Ok((ran.action, output))
    }

    fn test_run(&mut self, name: &str, options: TestRunOptions<'_>) -> Result<Ran, Error> {
        let cpu = self.cpu;
        let program = program(&mut self.loaded.ebpf, name).map_err(from_load)?;
        self.namespace.run(|| {
            pin_current_thread(cpu)?;
            let began = Instant::now();
            let result = program.test_run(options);
            let took = began.elapsed();
            let result = result.map_err(|e| Error::failed(format!("running {name}"), chain(&e)))?;
            Ok(Ran {
                action: result.return_value,
                len: result.data_size_out as usize,
                took,
            })
        })?
    }

    /// Has a frame remembered as one of an established flow, and sees that it gets as far as `name`.
    fn prepare(&mut self, port: Port, name: &str, frame: &[u8]) -> Result<Vec<u8>, Error> {
        self.attach(port)?;
        let decide = match port {
            Port::Endpoint(_) => "leaving_lookup",
            Port::Uplink => "arriving_lookup",
        };
        for name in [decide, name] {
            let (action, made) = self.once(name, frame)?;
            let is_sent = name.ends_with("redirect");
            let expected = if is_sent { REDIRECT } else { DROP };
            if action != expected {
                let reason = format!("the frame got no further than action {action}");
                return Err(Error::failed(format!("running {name}"), reason));
            }
            if name.ends_with("headers") {
                return Ok(made);
            }
        }
        Ok(Vec::new())
    }
}

/// What came of a test run.
struct Ran {
    /// What the program said of the last frame: `enum xdp_action`.
    action: u32,
    /// Bytes of what it made of it.
    len: usize,
    /// How long all frames took.
    took: Duration,
}

fn no_such_stage() -> Error {
    Error::failed("running a stage", "there is no such stage")
}

impl Stages for XdpStages {
    fn has(&self, decision: Decision, stage: Stage) -> bool {
        name(Port::Uplink, decision, stage).is_some()
    }

    fn is_established(&mut self, port: Port, frame: &[u8]) -> Result<bool, Error> {
        self.prepare(port, "hook", frame)?;
        let name = name(port, Decision::Established, Stage::Redirect).ok_or_else(no_such_stage)?;
        // What is no established flow gets no further than to a decision, and is dropped there.
        Ok(self.once(&name, frame)?.0 == REDIRECT)
    }

    fn run(
        &mut self,
        port: Port,
        decision: Decision,
        stage: Stage,
        frame: &[u8],
        times: u32,
    ) -> Result<Duration, Error> {
        let name = name(port, decision, stage).ok_or_else(no_such_stage)?;
        self.prepare(port, &name, frame)?;
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat: times,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        };
        let before = maps::counters(&self.loaded.ebpf)?;
        let took = self.test_run(&name, options)?.took;
        let after = maps::counters(&self.loaded.ebpf)?;
        if after.refused != before.refused {
            let reason = format!("frames were refused on the way: {:?}", after.refused);
            return Err(Error::failed(format!("running {name}"), reason));
        }
        Ok(took)
    }

    fn written(&mut self, port: Port, decision: Decision, frame: &[u8]) -> Result<Vec<u8>, Error> {
        let name = name(port, decision, Stage::Headers).ok_or_else(no_such_stage)?;
        self.prepare(port, &name, frame)
    }
}
