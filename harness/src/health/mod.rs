//! Hosts that find out which others are dead: Mizar's active health check, designed there and not built.
//!
//! What runs on a host beside its datapath. It asks the datapath four times a second where its direct paths lead, and asks the
//! hosts there, of which it heard nothing for `HEALTH_TIMEOUT`, whether they are alive ([`HealthCheck`]), by packets between
//! health endpoints ([`topologies::topology::HealthEndpoint`]), which the datapaths of both carry. Every host answers; only those whose
//! droplet has the extension ask.

mod check;
mod control_packet;

pub use check::{HealthCheck, Look};
pub use control_packet::Message;

use crate::lab::OverlayLab;
use datapath_api::Error;
use mizar_wire::Ipv4;
use netdev::PacketSocket;
use std::collections::HashSet;
use topologies::provision::Host;
use topologies::topology::{HealthTiming, Topology};

/// How often a datapath is asked for its direct paths, in nanoseconds.
const PATHS: u64 = 250_000_000;

/// What a host found out about another, both by their positions in the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// Who.
    pub by: usize,
    /// About whom.
    pub host: usize,
    /// Whether that is dead, or alive again.
    pub is_dead: bool,
}

/// The health checks of all hosts of an overlay.
#[derive(Debug)]
pub struct HealthChecks {
    hosts: Vec<Host>,
    agents: Vec<Agent>,
    sent: u64,
}

/// One host's.
#[derive(Debug)]
struct Agent {
    droplet: usize,
    own: Host,
    socket: PacketSocket,
    timing: HealthTiming,
    /// Of those that ask.
    check: Option<HealthCheck>,
    /// When the datapath is to be asked next.
    paths_due: u64,
}

impl HealthChecks {
    /// Of the hosts of `topology` that have health endpoints in `lab`, at the time `now`.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn begin(topology: &Topology, lab: &OverlayLab, now: u64) -> Result<Self, netdev::Error> {
        let timing = topology.health_timing();
        let droplets = topology.droplets().iter().enumerate();
        let agents = droplets.zip(lab.health_endpoints());
        let agents = agents.map(|((number, droplet), end)| {
            end.enable_napi()?;
            let asks = topology.provision(droplet).extensions.health_check;
            Ok(Agent {
                droplet: number,
                own: droplet.host,
                socket: PacketSocket::at(end)?,
                timing,
                check: asks.then(|| HealthCheck::new(timing, now)),
                paths_due: now,
            })
        });
        Ok(Self {
            hosts: topology.droplets().iter().map(|it| it.host).collect(),
            agents: agents.collect::<Result<_, netdev::Error>>()?,
            sent: 0,
        })
    }

    /// A host is dead, and neither asks nor answers any more.
    pub fn stop(&mut self, droplet: usize) {
        self.agents.retain(|agent| agent.droplet != droplet);
    }

    /// Frames that all hosts sent so far: each one crosses the underlay.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Hosts that this one takes for dead.
    pub fn dead(&self, droplet: usize) -> Vec<Ipv4> {
        let mut agents = self.agents.iter();
        let agent = agents.find(|agent| agent.droplet == droplet);
        let check = agent.and_then(|agent| agent.check.as_ref());
        check.map(HealthCheck::dead).unwrap_or_default()
    }

    /// Has all hosts do what is due by `clock`; `paths` says to which hosts a droplet's direct paths lead. To be called every few
    /// milliseconds.
    ///
    /// # Errors
    /// Where a datapath does not tell its paths, or a device is gone.
    pub fn step(
        &mut self,
        clock: impl Fn() -> u64,
        mut paths: impl FnMut(usize) -> Result<HashSet<Ipv4>, Error>,
    ) -> Result<Vec<Finding>, Error> {
        let failed = |error| Error::failed("checking the health of hosts", error);
        let mut findings = Vec::new();
        let position = |ip: Ipv4| self.hosts.iter().position(|host| host.ip == ip);
        // Some datapaths take long to tell their paths: one of them at a time, so that nobody waits for an answer through all.
        let asked = most_overdue(&self.agents, clock());
        for agent in &mut self.agents {
            while let Some(frame) = agent.socket.receive().map_err(failed)? {
                let Some((message, from)) = Message::read(&frame, agent.own) else {
                    continue;
                };
                let Some(host) = position(from) else { continue };
                match (message, &mut agent.check) {
                    (Message::Question { .. }, _) => {
                        let to = self.hosts[host];
                        self.sent += agent.say(Message::Answer, to).map_err(failed)?;
                    }
                    (Message::Answer, Some(check)) => {
                        if check.heard(from) {
                            findings.push(Finding {
                                by: agent.droplet,
                                host,
                                is_dead: false,
                            });
                        }
                    }
                    (Message::Answer, None) => {}
                }
            }
            let Some(check) = &mut agent.check else {
                continue;
            };
            if asked == Some(agent.droplet) {
                let mut hosts = paths(agent.droplet)?;
                hosts.remove(&agent.own.ip);
                check.watch(&hosts);
                agent.paths_due = clock() + PATHS;
            }
            let look = check.look(clock());
            let dead = check.dead();
            for host in look.ask {
                let is_up = !dead.contains(&host);
                if let Some(host) = position(host) {
                    let question = Message::Question { is_up };
                    self.sent += agent.say(question, self.hosts[host]).map_err(failed)?;
                }
            }
            let found = look.found_dead.into_iter().filter_map(position);
            findings.extend(found.map(|host| Finding {
                by: agent.droplet,
                host,
                is_dead: true,
            }));
        }
        Ok(findings)
    }
}

/// The droplet whose datapath has been due the longest to tell its paths, if any is.
fn most_overdue(agents: &[Agent], now: u64) -> Option<usize> {
    let due = agents
        .iter()
        .filter(|it| it.check.is_some() && it.paths_due <= now);
    Some(due.min_by_key(|it| it.paths_due)?.droplet)
}

impl Agent {
    /// Sends a message, if the device takes it; how many frames it took.
    fn say(&self, message: Message, to: Host) -> Result<u64, netdev::Error> {
        let frame = message.frame(self.own, to, self.timing);
        Ok(self.socket.offer(&frame)?.into())
    }
}
