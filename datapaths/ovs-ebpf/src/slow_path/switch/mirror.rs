//! The switch's own flows, as flows of the BPF programs.
//!
//! Open vSwitch is not asked what it would do with a packet: `ofproto/trace` translates without side effects, so that no
//! `learn` action takes place, and makes a flow that nobody keeps right. A packet without a flow is given to the switch
//! instead, which forwards it as any other, and enters a flow into its own datapath. Those are what `dpctl/dump-flows`
//! shows, and what is mirrored here. The switch looks after them by itself: when rules, neighbours or ports change it
//! changes or deletes them, and the mirror follows.
//!
//! A flow that does what the programs cannot do, such as asking for connection tracking, is left to the switch, with all its
//! packets.

use crate::notation::{self, Action, Match};
use crate::slow_path::renewal;
use crate::table::{CAPACITY, Error, FlowTable};
use megaflow::Key;
use megaflow::map::MASKS;
use mizar_wire::Be16;
use ovs_adapter::Appctl;
use ovs_adapter::droplet::MARKER;
use ovs_adapter::settings::FLOWS;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

// There is room for all of its flows.
const _: () = assert!(FLOWS <= CAPACITY);

/// A flow of the switch.
struct Known {
    asks: String,
    does: String,
    entered: Entered,
}

/// What became of a flow of the switch here.
enum Entered {
    /// It is one of the programs' flows.
    As(Box<Match>),
    /// It was left to the switch, since the programs cannot do it.
    Not,
    /// It was left to the switch, since there are too many masks now.
    NotNow,
}

/// What the last look found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Flows of the switch.
    pub flows: usize,
    /// Those of them that are left to it.
    pub left: usize,
}

/// See the module's documentation.
pub struct Mirror {
    appctl: Appctl,
    flows: Arc<Mutex<FlowTable>>,
    /// Numbers of ports that packets can be sent out of.
    ports: HashSet<u32>,
    /// By the switch's name for each.
    known: HashMap<String, Known>,
    /// How many flows had to go when this was last looked at.
    evicted: u64,
}

impl Mirror {
    /// A mirror that is empty so far.
    pub fn new(appctl: Appctl, flows: Arc<Mutex<FlowTable>>, ports: HashSet<u32>) -> Self {
        Self {
            appctl,
            flows,
            ports,
            known: HashMap::new(),
            evicted: 0,
        }
    }

    /// Makes the flows those that the switch has now.
    ///
    /// # Errors
    /// Where the switch is gone, or the kernel refuses a flow.
    pub fn look(&mut self) -> Result<Found, datapath_api::Error> {
        let text = self.appctl.call("dpctl/dump-flows", &["-m", "--no-names"]);
        let text = text.map_err(datapath_api::Error::from)?;
        let flows = Arc::clone(&self.flows);
        let mut flows = flows.lock().unwrap_or_else(PoisonError::into_inner);
        let has_evicted = std::mem::replace(&mut self.evicted, flows.evicted()) != flows.evicted();
        let is_there = |known: &Known, flows: &FlowTable| match &known.entered {
            Entered::As(asks) => !has_evicted || flows.age(asks).is_some(),
            Entered::Not => true,
            Entered::NotNow => flows.masks() >= MASKS as usize,
        };
        let mut gone = std::mem::take(&mut self.known);
        let mut found = Found::default();
        let mut changed = Vec::new();
        for flow in text.lines().filter_map(notation::dumped) {
            found.flows += 1;
            match gone.remove_entry(flow.ufid) {
                Some((ufid, known))
                    if known.asks == flow.asks
                        && known.does == flow.does
                        && is_there(&known, &flows) =>
                {
                    self.known.insert(ufid, known);
                }
                // What it asked for may be another's now, and is deleted before anything is entered.
                Some((ufid, known)) => {
                    gone.insert(ufid, known);
                    changed.push(flow);
                }
                None => changed.push(flow),
            }
        }
        let failed = |error| datapath_api::Error::failed("mirroring a flow of the switch", error);
        let again: HashSet<_> = changed.iter().map(|flow| flow.asks).collect();
        for known in gone.into_values() {
            // One that asks for the same takes its place, and no packet misses.
            if let Entered::As(asks) = known.entered
                && !again.contains(known.asks.as_str())
            {
                tracing::debug!(flow = known.asks, "gone from the switch");
                flows.delete(&asks).map_err(failed)?;
            }
        }
        for flow in changed {
            tracing::debug!(asks = flow.asks, does = flow.does, "new, or changed");
            let entered = self.enter(&mut flows, flow.asks, flow.does);
            let known = Known {
                asks: flow.asks.to_owned(),
                does: flow.does.to_owned(),
                entered: entered.map_err(failed)?,
            };
            self.known.insert(flow.ufid.to_owned(), known);
        }
        found.left = self
            .known
            .values()
            .filter(|it| !matches!(it.entered, Entered::As(_)))
            .count();
        Ok(found)
    }

    /// Enters a flow; what was entered.
    fn enter(&self, flows: &mut FlowTable, asks: &str, does: &str) -> Result<Entered, Error> {
        let read = notation::matches(asks).and_then(|asks| Ok((asks, notation::actions(does)?)));
        let (asks, does) = match read {
            Ok(read) => read,
            Err(refusal) => {
                tracing::debug!(%refusal, asks, does, "a flow is left to the switch");
                return self.leave(flows, asks);
            }
        };
        let is_known = |action: &Action| match action {
            Action::Output(port) => self.ports.contains(port),
            _ => true,
        };
        if !does.iter().all(is_known) || is_marker(&asks.key) {
            flows.delete(&asks)?;
            return Ok(Entered::Not);
        }
        match flows.enter(&asks, &does, Some(renewal(&asks))) {
            Ok(_) => Ok(Entered::As(Box::new(asks))),
            Err(Error::Kernel(error)) => Err(Error::Kernel(error)),
            Err(error) => {
                tracing::debug!(%error, "a flow is left to the switch");
                flows.delete(&asks)?;
                Ok(match error {
                    Error::Masks => Entered::NotNow,
                    _ => Entered::Not,
                })
            }
        }
    }

    /// Nothing is entered, and what may have been there that asked for the same is not followed any more.
    fn leave(&self, flows: &mut FlowTable, asks: &str) -> Result<Entered, Error> {
        if let Ok(asks) = notation::matches(asks) {
            flows.delete(&asks)?;
        }
        Ok(Entered::Not)
    }
}

/// Markers say where other frames end, which only the switch knows.
fn is_marker(key: &Key) -> bool {
    key.eth_type == Be16::new(MARKER)
}

/// Numbers of the ports in the switch's datapath, by name: what `dpctl/show` prints.
///
/// # Errors
/// Where the switch is gone.
pub fn port_numbers(appctl: &Appctl) -> Result<HashMap<String, u32>, ovs_adapter::Error> {
    let text = appctl.call("dpctl/show", &[])?;
    Ok(text.lines().filter_map(port).collect())
}

/// A line like `  port 2: behind0 (internal)`.
fn port(line: &str) -> Option<(String, u32)> {
    let (number, rest) = line.trim().strip_prefix("port ")?.split_once(": ")?;
    let name = rest.split_whitespace().next()?;
    Some((name.to_owned(), number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_what_dpctl_shows() {
        let text = include_str!("../../../../ovs-adapter/testdata/ovs-3.1.0/dpctl-show.txt");
        let ports: HashMap<_, _> = text.lines().filter_map(port).collect();
        assert!(ports.len() > 2, "{ports:?}");
        assert_eq!(
            port("  port 2: behind0 (internal)"),
            Some(("behind0".into(), 2))
        );
        assert_eq!(port("  flows: 5"), None);
        assert_eq!(port("  port two: x"), None);
    }
}
