//! Access lists that change while packets flow: nothing that is denied comes in once the droplets have them.

use super::{Live, PATIENCE, Report};
use crate::verify::corpus::variants;
use datapath_api::{Datapath, Running};
use netdev::PacketSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use topologies::frame::{self, FrameLen};
use topologies::oracle::{End, Outcome};
use topologies::provision::{EndpointPort, Port};
use topologies::topology::Topology;
use topologies::traffic::Direction;

/// How often each flow is tried, so that all caches have it.
const ROUNDS: usize = 3;
/// Between two frames while tables change: no queue runs full.
const PACE: Duration = Duration::from_micros(200);
/// Without a frame for so long, none is under way any more.
const QUIET: Duration = Duration::from_millis(100);

/// What was found.
pub struct Found {
    /// Each frame is a check.
    pub report: Report,
    /// How long after the last droplet had its new tables the last frame came that they deny; `None` if none did.
    pub last: Option<Duration>,
}

/// Sends frames without access lists, with those of `topology`, while they say the opposite, while they say what they did, and
/// without them, in each state of the direct path. Frames go on meanwhile, so that every cache knows their flows. As soon as the
/// datapath says that it goes by the new tables, what these deny must not come, and what they allow must.
pub fn check_access_changes(datapath: &dyn Datapath, topology: &Topology) -> Found {
    let mut found = Found {
        report: Report::default(),
        last: None,
    };
    for state in topology.direct_path_states() {
        let lists = topology.clone().in_state(*state);
        let name = format!("{}, access lists that change, {state:?}", topology.name());
        if let Err(why) = check_state(datapath, &lists, &mut found) {
            found.report.fail(name, None, vec![why]);
        }
    }
    found
}

fn check_state(datapath: &dyn Datapath, lists: &Topology, found: &mut Found) -> Result<(), String> {
    let without = lists.clone().without_access_lists();
    let turned = lists.clone().with_access_turned();
    let probes: Vec<Probe> = lists
        .traffic()
        .iter()
        .flat_map(|direction| {
            let flows = variants(lists, &direction.flows.flow(0));
            let probe = |flow| Probe {
                direction: direction.clone(),
                frame: frame::inner(&flow, FrameLen::MIN),
            };
            flows.map(probe).collect::<Vec<_>>()
        })
        .collect();
    let mut live = Live::start(datapath, &without, None)?;
    live.all(&probes, found)
        .map_err(|why| format!("before there are any: {why}"))?;
    let steps = [
        ("they come", &without, lists),
        ("they say the opposite", lists, &turned),
        ("they say what they did", &turned, lists),
        ("they go", lists, &without),
    ];
    for (what, before, after) in steps {
        let changed = live.change_meanwhile(&probes, before, after);
        let last = changed.map_err(|why| format!("{what}: {why}"))?;
        found.last = found.last.max(last);
        live.all(&probes, found)
            .map_err(|why| format!("after {what}: {why}"))?;
    }
    Box::new(live.overlay)
        .stop()
        .map_err(|error| error.to_string())
}

/// A frame that is sent again and again.
struct Probe {
    direction: Direction,
    frame: Vec<u8>,
}

impl Probe {
    fn ingress(&self) -> Result<EndpointPort, String> {
        match self.direction.ingress {
            Port::Endpoint(port) => Ok(port),
            Port::Uplink => Err("frames do not enter by an endpoint port".to_owned()),
        }
    }
}

impl Live<'_> {
    /// Sends each frame some times. One that is let in comes before the next is sent; one that is denied must never come.
    fn all(&mut self, probes: &[Probe], found: &mut Found) -> Result<(), String> {
        for _ in 0..ROUNDS {
            for probe in probes {
                self.pass_if_let(&probe.direction, &probe.frame)?;
                found.report.passed += 1;
            }
        }
        match self.until_quiet()?.first() {
            None => Ok(()),
            Some(frame) => Err(format!("one more came: {frame:02x?}")),
        }
    }

    /// Gives droplets the tables of `after` while all frames are sent, and waits for as long as the datapath says that it takes
    /// to go by them; how long that was until the last frame that they deny.
    fn change_meanwhile(
        &mut self,
        probes: &[Probe],
        before: &Topology,
        after: &Topology,
    ) -> Result<Option<Duration>, String> {
        let is_over = AtomicBool::new(false);
        let changed = {
            let sockets = &self.sockets;
            let overlay = &mut self.overlay;
            std::thread::scope(|scope| {
                let sender = scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        send_all(sockets, probes)?;
                    }
                    Ok(())
                });
                let told =
                    before
                        .droplets()
                        .iter()
                        .enumerate()
                        .try_for_each(|(number, droplet)| {
                            let provision = after.provision(droplet);
                            if provision == before.provision(droplet) {
                                return Ok(());
                            }
                            overlay.update_droplet(number, &provision)
                        });
                is_over.store(true, Ordering::Relaxed);
                let sent = sender
                    .join()
                    .map_err(|_| "the sender panicked".to_owned())?;
                sent.and(told.map_err(|error| error.to_string()))
            })
        };
        changed?;
        let since = Instant::now();
        self.oracle.update(after);
        let denied: Vec<Probe> = probes
            .iter()
            .filter(|probe| self.is_denied(probe))
            .map(|probe| Probe {
                direction: probe.direction.clone(),
                frame: probe.frame.clone(),
            })
            .collect();
        let mut last = None;
        while since.elapsed() < self.overlay.forgets_within() {
            send_all(&self.sockets, &denied)?;
            for frame in self.received()? {
                if denied.iter().any(|probe| probe.frame == frame) {
                    last = Some(since.elapsed());
                }
            }
        }
        // What was judged before the change may still be in a queue.
        self.until_quiet()?;
        Ok(last)
    }

    fn is_denied(&self, probe: &Probe) -> bool {
        let journey = probe
            .ingress()
            .map(|port| self.oracle.clone().inject(port, &probe.frame));
        journey.is_ok_and(|it| matches!(it.end, End::At(Outcome::Dropped { .. })))
    }

    /// All IPv4 frames that come until none does any more.
    fn until_quiet(&self) -> Result<Vec<Vec<u8>>, String> {
        let (began, mut all) = (Instant::now(), Vec::new());
        let mut heard = began;
        while heard.elapsed() < QUIET && began.elapsed() < PATIENCE {
            let came = self.received()?;
            if came.is_empty() {
                std::thread::sleep(QUIET / 20);
            } else {
                heard = Instant::now();
                all.extend(came);
            }
        }
        Ok(all)
    }

    /// The IPv4 frames that lie at endpoint ports.
    fn received(&self) -> Result<Vec<Vec<u8>>, String> {
        let mut all = Vec::new();
        for socket in &self.sockets {
            while let Some(frame) = socket.receive().map_err(|error| error.to_string())? {
                if frame.get(12..14) == Some(&[0x08, 0x00]) {
                    all.push(frame);
                }
            }
        }
        Ok(all)
    }
}

fn send_all(sockets: &[PacketSocket], probes: &[Probe]) -> Result<(), String> {
    for probe in probes {
        let EndpointPort(port) = probe.ingress()?;
        let socket = sockets
            .get(usize::from(port))
            .ok_or("there is no such port")?;
        // One that a full queue does not take is sent the next time.
        socket
            .offer(&probe.frame)
            .map_err(|error| error.to_string())?;
        std::thread::sleep(PACE);
    }
    Ok(())
}
