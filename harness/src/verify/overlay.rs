//! A whole overlay on live packets: every droplet with its datapath, and frames from endpoint to endpoint.

mod access;

pub use access::{Found, check_access_changes};

use super::Report;
use super::corpus::variants;
use crate::environment::Placement;
use crate::lab::OverlayLab;
use crate::overlay::{Crossed, Overlay};
use crate::remote::Meeting;
use datapath_api::{Datapath, Difference, Outcome, Running};
use netdev::PacketSocket;
use std::time::{Duration, Instant};
use topologies::frame::{self, FrameLen};
use topologies::oracle::{End, Journey, OverlayOracle};
use topologies::provision::{EndpointPort, Port};
use topologies::topology::{Event, Topology};
use topologies::traffic::Direction;

/// How long a frame may take before it counts as lost: a machine may stall.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a switch may take until it forwards by new tables everywhere: it looks at its flows again every half second, and
/// programs that follow those after that.
const SETTLING: Duration = Duration::from_secs(2);
/// Lengths of inner frames: the shortest and the longest, among others.
const LENGTHS: [u16; 3] = [60, 594, 1514];
/// The order in which flows are taken, so that a few of them are spread over all endpoints.
const ORDER: u64 = 1;

/// Sends frames of up to `flows` flows of each direction through droplets that all run, in each state of the direct path:
/// every frame must be delivered where the oracles say, byte for byte, and the underlay must have carried as many packets
/// from each droplet to each other one as the oracles' ways have. The droplets are those of `meeting`, if there is one.
pub fn check(
    datapath: &dyn Datapath,
    topology: &Topology,
    flows: u32,
    meeting: Option<&Meeting>,
) -> Report {
    let mut report = Report::default();
    if !Overlay::takes(datapath) {
        let why = format!(
            "its ports are {}, and droplets are joined by veth",
            datapath.ports()
        );
        report.skipped.push((topology.name().to_owned(), why));
        return report;
    }
    for state in topology.direct_path_states() {
        let topology = topology.clone().in_state(*state);
        let name = format!("{} from endpoint to endpoint, {state:?}", topology.name());
        match Live::start(datapath, &topology, meeting) {
            Ok(live) => live.check(&mut report, &name, flows),
            Err(why) => {
                report.fail(name, None, vec![why.clone()]);
                report.broken = Some(why);
            }
        }
    }
    report
}

/// The same before and after an event of the topology, with nothing on its way meanwhile: no frame may be lost, and those
/// by a path that has become stale must take the way round that the oracles say. A switch may take it for longer: what it
/// learned holds for a flow that it knows when it looks at that one again.
pub fn check_event(
    datapath: &dyn Datapath,
    topology: &Topology,
    event: &Event,
    flows: u32,
) -> Report {
    let mut report = Report::default();
    let name = format!("{}, {}", topology.name(), topology.describe(event));
    match Live::start(datapath, topology, None) {
        Ok(mut live) => {
            let mut expected = live.no_packets();
            let after = topology.after(event);
            let mut all_flows = |live: &mut Live<'_>, of: &Topology| {
                live.all_flows(&mut report, &name, (of, flows), &mut expected)
            };
            let checked = all_flows(&mut live, topology)
                .and_then(|()| live.change(&after))
                .and_then(|()| all_flows(&mut live, &after));
            match checked {
                Ok(()) => {
                    let looks_again = live.overlay.declares(Difference::Neighbours);
                    live.end(&mut report, &name, &expected, looks_again);
                }
                Err(why) => report.fail(name, None, vec![why]),
            }
        }
        Err(why) => {
            report.fail(name, None, vec![why.clone()]);
            report.broken = Some(why);
        }
    }
    report
}

struct Live<'a> {
    topology: &'a Topology,
    oracle: OverlayOracle,
    sockets: Vec<PacketSocket>,
    overlay: Overlay,
    _lab: OverlayLab,
}

impl<'a> Live<'a> {
    fn start(
        datapath: &dyn Datapath,
        topology: &'a Topology,
        meeting: Option<&Meeting>,
    ) -> Result<Self, String> {
        let start = || -> anyhow::Result<Self> {
            let lab = OverlayLab::with(topology, meeting)?;
            let mut sockets = Vec::new();
            for (_, end) in &lab.tester().ends {
                // Otherwise it takes no redirected frames.
                end.enable_napi()?;
                sockets.push(PacketSocket::at(end)?);
            }
            let overlay = Overlay::install(datapath, topology, &lab, Placement::choose()?)?;
            Ok(Self {
                topology,
                oracle: OverlayOracle::new(topology),
                sockets,
                overlay,
                _lab: lab,
            })
        };
        start().map_err(|error| format!("{error:#}"))
    }

    fn check(mut self, report: &mut Report, name: &str, flows: u32) {
        let mut expected = self.no_packets();
        let flows = (self.topology, flows);
        if let Err(why) = self.all_flows(report, name, flows, &mut expected) {
            report.fail(name.to_owned(), None, vec![why]);
            return;
        }
        if let Err(why) = self.around_access_lists(report, &mut expected) {
            report.fail(format!("{name}: access lists"), None, vec![why]);
            return;
        }
        self.end(report, name, &expected, false);
    }

    /// None between any two droplets.
    fn no_packets(&self) -> Vec<Vec<u64>> {
        let droplets = self.topology.droplets().len();
        vec![vec![0; droplets]; droplets]
    }

    /// Gives droplets the tables of `after`, where they are others.
    fn change(&mut self, after: &Topology) -> Result<(), String> {
        self.oracle.update(after);
        for (number, droplet) in self.topology.droplets().iter().enumerate() {
            let provision = after.provision(droplet);
            if provision != self.topology.provision(droplet) {
                let updated = self.overlay.update_droplet(number, &provision);
                updated.map_err(|error| error.to_string())?;
            }
        }
        std::thread::sleep(SETTLING);
        Ok(())
    }

    /// Sends frames of up to `flows` flows of each direction of a topology.
    fn all_flows(
        &mut self,
        report: &mut Report,
        name: &str,
        (topology, flows): (&Topology, u32),
        expected: &mut [Vec<u64>],
    ) -> Result<(), String> {
        for direction in topology.traffic() {
            let space = direction.flows.shuffled(ORDER);
            for index in 0..flows.min(space.count()) {
                for length in LENGTHS {
                    let what =
                        format!("{name}: {}, flow {index} of {length} bytes", direction.name);
                    let Ok(length) = FrameLen::try_from(length) else {
                        continue;
                    };
                    let inner = frame::inner(&space.flow(index), length);
                    match self.pass(&direction, &inner) {
                        Ok(way) => {
                            report.passed += 1;
                            count(expected, &way);
                        }
                        Err(why) => {
                            return Err(format!(
                                "{what}: {why}\nframes after this one were not tried"
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// `may_be_more` if packets may have crossed the underlay that the oracles know nothing of.
    fn end(self, report: &mut Report, name: &str, expected: &[Vec<u64>], may_be_more: bool) {
        match self.ways(expected, may_be_more) {
            Ok(()) => report.passed += 1,
            Err(why) => report.fail(format!("{name}: packets between droplets"), None, vec![why]),
        }
        if let Err(error) = Box::new(self.overlay).stop() {
            report.fail(format!("{name}: stopping"), None, vec![error.to_string()]);
        }
    }

    /// Sends frames that access lists may deny. One that is let in comes before the next one is sent, and one that is denied
    /// must never come: what does is found in the place of another, or at the end.
    fn around_access_lists(
        &mut self,
        report: &mut Report,
        expected: &mut [Vec<u64>],
    ) -> Result<(), String> {
        for direction in self.topology.traffic() {
            for flow in variants(self.topology, &direction.flows.flow(0)) {
                let what = format!(
                    "{}, {:?} port {} from {}",
                    direction.name, flow.transport, flow.dst_port, flow.src_ip
                );
                let way = self.pass_if_let(&direction, &frame::inner(&flow, FrameLen::MIN));
                let way = way.map_err(|why| format!("{what}: {why}"))?;
                report.passed += 1;
                count(expected, &way);
            }
        }
        Ok(())
    }

    /// Sends a frame that may have to end on its way.
    fn pass_if_let(&mut self, direction: &Direction, inner: &[u8]) -> Result<Vec<usize>, String> {
        let Port::Endpoint(ingress) = direction.ingress else {
            return Err("frames do not enter by an endpoint port".to_owned());
        };
        let journey = self.oracle.clone().inject(ingress, inner);
        if !matches!(journey.end, End::At(Outcome::Dropped { .. })) {
            return self.pass(direction, inner);
        }
        let journey = self.oracle.inject(ingress, inner);
        let sent = self.socket(ingress)?.send(inner);
        sent.map_err(|error| error.to_string())?;
        Ok(journey.way)
    }

    /// Sends a frame by a direction's first port; the way that it must have gone.
    fn pass(&mut self, direction: &Direction, inner: &[u8]) -> Result<Vec<usize>, String> {
        let Port::Endpoint(ingress) = direction.ingress else {
            return Err("frames do not enter by an endpoint port".to_owned());
        };
        let Journey { way, end } = self.oracle.inject(ingress, inner);
        let End::Delivered { port, frame } = end else {
            return Err(format!(
                "the oracles deliver nothing: {end:?} after {way:?}"
            ));
        };
        self.socket(ingress)?
            .send(inner)
            .map_err(|error| error.to_string())?;
        let got = self.next(port)?;
        if got != frame {
            return Err(format!("expected {frame:02x?}\n         got {got:02x?}"));
        }
        Ok(way)
    }

    /// The next IPv4 frame at an endpoint port: what else the stacks of namespaces say is passed over.
    fn next(&self, port: EndpointPort) -> Result<Vec<u8>, String> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let got = self.socket(port)?.wait(PATIENCE);
            if let Some(frame) = got.map_err(|error| error.to_string())?
                && frame.get(12..14) == Some(&[0x08, 0x00])
            {
                return Ok(frame);
            }
        }
        let dead = self.overlay.check().err();
        Err(format!(
            "nothing came at endpoint port {} within {} s{}",
            port.0,
            PATIENCE.as_secs(),
            dead.map_or(String::new(), |error| format!("; {error}"))
        ))
    }

    fn socket(&self, port: EndpointPort) -> Result<&PacketSocket, String> {
        let socket = self.sockets.get(usize::from(port.0));
        socket.ok_or_else(|| format!("there is no endpoint port {}", port.0))
    }

    /// An error unless the underlay carried these numbers of packets, and nothing more came out.
    fn ways(&self, expected: &[Vec<u64>], may_be_more: bool) -> Result<(), String> {
        // Nobody says that a frame was denied, so the last ones may still be on their way.
        let began = Instant::now();
        let sum = |counts: &[Vec<u64>]| counts.iter().flatten().sum::<u64>();
        let Crossed {
            between, to_nobody, ..
        } = loop {
            let crossed = self.overlay.crossed().map_err(|error| error.to_string())?;
            if sum(&crossed.between) >= sum(expected) || began.elapsed() > PATIENCE {
                break crossed;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let (between, expected) = if self.overlay.declares(Difference::BouncerChoice) {
            // One droplet may have stood in for another.
            let stand_ins = self.topology.stand_ins();
            (merged(&between, &stand_ins), merged(expected, &stand_ins))
        } else {
            (between, expected.to_vec())
        };
        let mut all = between.iter().flatten().zip(expected.iter().flatten());
        let is_enough = may_be_more && all.all(|(got, expected)| got >= expected);
        if between != expected && !is_enough {
            let names: Vec<_> = self.topology.droplets().iter().map(|it| &it.name).collect();
            return Err(format!(
                "between {names:?}: expected {expected:?}, got {between:?}, and {to_nobody} to nobody"
            ));
        }
        for (number, socket) in self.sockets.iter().enumerate() {
            while let Some(frame) = socket.receive().map_err(|error| error.to_string())? {
                if frame.get(12..14) == Some(&[0x08, 0x00]) {
                    return Err(format!("endpoint port {number} got one more: {frame:02x?}"));
                }
            }
        }
        Ok(())
    }
}

/// Counts the packets from droplet to droplet of a way.
fn count(between: &mut [Vec<u64>], way: &[usize]) {
    for step in way.windows(2) {
        between[step[0]][step[1]] += 1;
    }
}

/// Numbers of packets between droplets, with those of droplets that stand in for one another added up.
pub(crate) fn merged(between: &[Vec<u64>], stand_ins: &[usize]) -> Vec<Vec<u64>> {
    let mut sums = vec![vec![0; stand_ins.len()]; stand_ins.len()];
    for (row, from) in between.iter().zip(stand_ins) {
        for (count, to) in row.iter().zip(stand_ins) {
            sums[*from][*to] += count;
        }
    }
    sums
}
