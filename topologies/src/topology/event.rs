//! Events: what changes in an overlay while packets flow.

use super::names::{Loaded, find};
use super::{Index, Problem, Topology, file};
use toml::Spanned;

/// Something that happens to an overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// The droplet whose uplink goes dead with it.
    pub fails: Option<usize>,
    change: Change,
}

/// What sort of event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Endpoints move to another droplet.
    Migration,
    /// Endpoints are no more.
    Deletion,
    /// A droplet dies, and its endpoints come to be on another.
    Failure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Move { endpoints: Index, to: Index },
    Delete { endpoints: Index },
    Replace { droplet: Index, by: Index },
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Migration => "migration",
            Self::Deletion => "deletion",
            Self::Failure => "host failure",
        })
    }
}

/// Reads all events.
pub(super) fn load(file: &file::File, under_test: bool) -> Loaded<Vec<Event>> {
    let endpoints =
        |name: &file::Name| find("endpoint", name, file.endpoints.iter().map(|it| &it.name));
    let droplet =
        |name: &file::Name| find("droplet", name, file.droplets.iter().map(|it| &it.name));
    let load = |written: &Spanned<file::Event>| {
        let meaningless = |key, context| (written.span(), Problem::Meaningless { key, context });
        let lacks = |what, key| (written.span(), Problem::Lacks { what, key });
        if under_test {
            return Err(meaningless("an event", "for a droplet alone"));
        }
        let file::Event {
            kind,
            endpoints: of,
            droplet: at,
            to,
        } = written.get_ref();
        let (fails, change) = match (kind, of, at, to) {
            (EventKind::Migration, Some(of), None, Some(to)) => {
                let (endpoints, to) = (endpoints(of)?, droplet(to)?);
                (None, Change::Move { endpoints, to })
            }
            (EventKind::Migration, _, None, _) => {
                return Err(lacks("a migration", "`endpoints` and `to`"));
            }
            (EventKind::Deletion, Some(of), None, None) => {
                let endpoints = endpoints(of)?;
                (None, Change::Delete { endpoints })
            }
            (EventKind::Deletion, None, None, _) => return Err(lacks("a deletion", "`endpoints`")),
            (EventKind::Deletion, Some(_), None, Some(_)) => {
                return Err(meaningless("to", "for endpoints that are deleted"));
            }
            (EventKind::Failure, None, Some(at), Some(to)) => {
                let (droplet, by) = (droplet(at)?, droplet(to)?);
                (Some(droplet), Change::Replace { droplet, by })
            }
            (EventKind::Failure, None, _, _) => {
                return Err(lacks("a failure", "`droplet` and `to`"));
            }
            (EventKind::Failure, Some(_), _, _) => {
                return Err(meaningless(
                    "endpoints",
                    "for a droplet that fails with all it hosts",
                ));
            }
            (_, _, Some(_), _) => return Err(meaningless("droplet", "for endpoints")),
        };
        Ok(Event {
            kind: *kind,
            fails,
            change,
        })
    };
    file.events.iter().map(load).collect()
}

impl Topology {
    /// What may happen to it.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The event in words.
    pub fn describe(&self, event: &Event) -> String {
        let droplet = |at: Index| self.droplets[at].name.as_str();
        let endpoints = |at: Index| self.groups[at].name.as_str();
        match event.change {
            Change::Move { endpoints: at, to } => {
                format!("migration of {} to {}", endpoints(at), droplet(to))
            }
            Change::Delete { endpoints: at } => format!("deletion of {}", endpoints(at)),
            Change::Replace { droplet: at, by } => {
                format!(
                    "failure of host {}, replaced by {}",
                    droplet(at),
                    droplet(by)
                )
            }
        }
    }

    /// The topology as the control plane has it after an event of its own, with the same numbers of ports.
    #[must_use]
    pub fn after(&self, event: &Event) -> Self {
        let mut after = self.clone();
        let replace = |list: &mut Vec<Index>, old: Index, by: Index| {
            if list.contains(&by) {
                list.retain(|it| *it != old);
            } else {
                list.iter_mut()
                    .filter(|it| **it == old)
                    .for_each(|it| *it = by);
            }
        };
        match event.change {
            Change::Move { endpoints, to } => after.groups[endpoints].droplets = vec![to],
            Change::Delete { endpoints } => {
                after.groups[endpoints].droplets.clear();
                after.groups[endpoints].is_gone = true;
            }
            Change::Replace { droplet, by } => {
                for group in &mut after.groups {
                    replace(&mut group.droplets, droplet, by);
                }
                for network in &mut after.networks {
                    replace(&mut network.bouncers, droplet, by);
                }
                for vpc in &mut after.vpcs {
                    replace(&mut vpc.dividers, droplet, by);
                }
                // Who can find out is not told.
                if self.extensions.health_check && self.health.is_none() {
                    after.dead.push(droplet);
                }
            }
        }
        after
    }

    /// How many endpoint ports each droplet has: room for what it hosts, before and after any event.
    pub(super) fn count_ports(&self) -> Vec<u16> {
        let afters: Vec<_> = self.events.iter().map(|event| self.after(event)).collect();
        let hosted = |topology: &Self, at: Index| {
            let groups = topology.groups.iter();
            groups
                .filter(|group| !topology.hosted_on(group, at).is_empty())
                .count()
        };
        let most = |at: Index| {
            let variants = std::iter::once(self).chain(&afters);
            variants
                .map(|topology| hosted(topology, at))
                .max()
                .unwrap_or(0)
        };
        (0..self.droplets.len())
            .map(|at| u16::try_from(most(at)).unwrap_or(u16::MAX))
            .collect()
    }

    /// The first event that gives endpoints which stay where they are another port.
    pub(super) fn renumbers(&self) -> Option<(usize, Index)> {
        let pairs = |after: &Self| {
            let places = (0..self.groups.len())
                .flat_map(|group| (0..self.droplets.len()).map(move |at| (group, at)));
            let mut moved = places.filter(|(group, at)| {
                let (old, new) = (self.port_of(*group, *at), after.port_of(*group, *at));
                old.is_some() && new.is_some() && old != new
            });
            moved.next()
        };
        let mut events = self.events.iter().enumerate();
        events.find_map(|(number, event)| Some((number, pairs(&self.after(event))?.0)))
    }
}
