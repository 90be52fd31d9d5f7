//! What the fuzz targets share: worlds, and a frame's way through the core and through the oracle.
//!
//! An input is one byte that picks a world and a frame. Every input starts from the same state of its
//! world, so that a find can be repeated.

mod droplet;
mod rich;
pub mod seeds;

use droplet::Droplet;
use mizar_tables::Entries;
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::{DirectPath, EndpointPort, Port, Provision, Rules};
use topologies::vectors::{self, Expected};

/// A port that no world attaches an endpoint to.
const UNATTACHED: EndpointPort = EndpointPort(999);

/// A droplet as the core has it and as the oracle has it, with the same tables and the same past.
pub struct World {
    name: String,
    ports: Vec<EndpointPort>,
    droplet: Droplet,
    oracle: Oracle,
}

/// Whether core and oracle agree.
#[must_use]
pub enum Verdict {
    /// They do.
    Agree,
    /// They do not; says how.
    Differ(String),
}

/// The world that an input picks, and its frame; nothing if the input is empty.
pub fn split<'a>(worlds: &'a [World], input: &'a [u8]) -> Option<(&'a World, &'a [u8])> {
    let (&choice, frame) = input.split_first()?;
    let world = worlds.get(usize::from(choice) % worlds.len().max(1))?;
    Some((world, frame))
}

impl World {
    /// Every world: one rich in everything first, then those of the golden vectors, and at last the first one without
    /// policies, so that flows are cached.
    ///
    /// # Panics
    /// If core and oracle differ about what happened before, or a world exceeds the core's capacity.
    pub fn all() -> Vec<Self> {
        let vectors = vectors::parse(vectors::BUILT_IN).unwrap_or_default();
        let rich = Self::new("rich", &rich::provision(), &rich::past());
        let golden = vectors
            .iter()
            .map(|vector| Self::new(&vector.name, &vector.provision, &[]));
        let open = Provision {
            ingress: Rules::default(),
            egress: Rules::default(),
            ..rich::provision()
        };
        let open = Self::new("open", &open, &rich::past());
        std::iter::once(rich).chain(golden).chain([open]).collect()
    }

    fn new(name: &str, provision: &Provision, past: &[(Port, Vec<u8>)]) -> Self {
        let entries = match Entries::encode(provision) {
            Ok(entries) => entries,
            Err(error) => panic!("world {name}: {error}"),
        };
        let mut droplet = Droplet::new(&entries);
        let mut oracle = Oracle::new(provision);
        for (port, frame) in past {
            if let Verdict::Differ(difference) = compare(&mut droplet, &mut oracle, *port, frame) {
                panic!("world {name}: {difference}");
            }
        }
        let mut ports: Vec<_> = provision
            .attachments
            .iter()
            .map(|attachment| attachment.port)
            .collect();
        ports.push(UNATTACHED);
        Self {
            name: name.to_owned(),
            ports,
            droplet,
            oracle,
        }
    }

    /// The frame leaves each endpoint in turn, and then once more, which may find what the first one left.
    pub fn agent(&self, frame: &[u8]) -> Verdict {
        let twice = self.ports.iter().chain(&self.ports);
        self.run(twice.map(|port| Port::Endpoint(*port)), frame)
    }

    /// The frame arrives at the uplink, and then once more, which may find what the first one left.
    pub fn transit(&self, frame: &[u8]) -> Verdict {
        self.run([Port::Uplink; 2], frame)
    }

    fn run(&self, ports: impl IntoIterator<Item = Port>, frame: &[u8]) -> Verdict {
        let (mut droplet, mut oracle) = (self.droplet.clone(), self.oracle.clone());
        for port in ports {
            if let Verdict::Differ(difference) = compare(&mut droplet, &mut oracle, port, frame) {
                return Verdict::Differ(format!("world {}: {difference}", self.name));
            }
        }
        let (expected, got) = (
            sorted(oracle.direct_paths()),
            sorted(droplet.direct_paths()),
        );
        if expected == got {
            Verdict::Agree
        } else {
            Verdict::Differ(format!(
                "world {}: direct paths\noracle: {expected:?}\n  core: {got:?}",
                self.name
            ))
        }
    }
}

fn compare(droplet: &mut Droplet, oracle: &mut Oracle, port: Port, frame: &[u8]) -> Verdict {
    let expected = oracle.inject(port, frame);
    let got = droplet.inject(port, frame);
    if Expected::from(expected.clone()).matches(&got) {
        return Verdict::Agree;
    }
    Verdict::Differ(format!(
        "at {port}: {}\noracle: {}\n  core: {}",
        hex(frame),
        describe(&expected),
        describe(&got)
    ))
}

fn sorted(mut paths: Vec<DirectPath>) -> Vec<DirectPath> {
    paths.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    paths
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Forward { port, frame } => format!("forward to {port}: {}", hex(frame)),
        Outcome::ToStack { frame } => format!("to the stack: {}", hex(frame)),
        Outcome::Dropped { why, reason } => format!("{why:?}: {reason}"),
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_and_oracle_agree_on_every_seed() {
        let worlds = World::all();
        for (seeds, is_agent) in [(seeds::agent(), true), (seeds::transit(), false)] {
            assert!(seeds.len() > 50);
            for seed in seeds {
                let (world, frame) = split(&worlds, &seed).unwrap();
                let verdict = if is_agent {
                    world.agent(frame)
                } else {
                    world.transit(frame)
                };
                if let Verdict::Differ(difference) = verdict {
                    panic!("{difference}");
                }
            }
        }
    }
}
