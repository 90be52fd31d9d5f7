//! Comparing what a datapath did with what it should have done.

use super::dissect;
use crate::environment::Placement;
use datapath_api::{Datapath, DropletPorts, Error, Outcome, Running, Why};
use mizar_wire::{Ipv4, Vni};
use std::collections::BTreeMap;
use topologies::provision::{DirectPath, Host, Port, Provision};
use topologies::vectors::Expected;

/// A droplet without ports, or why there is none.
pub(super) enum Installed {
    Droplet(Box<dyn Running>),
    /// It cannot be verified here; this is no fault of its forwarding.
    Skipped(String),
    Failed(String),
}

impl From<Result<Box<dyn Running>, Error>> for Installed {
    fn from(result: Result<Box<dyn Running>, Error>) -> Self {
        match result {
            Ok(droplet) => Self::Droplet(droplet),
            Err(
                error @ (Error::Ports { .. }
                | Error::Capacity(_)
                | Error::Device(netdev::Error::Hugepages { .. })),
            ) => Self::Skipped(error.to_string()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

pub(super) fn install(datapath: &dyn Datapath, provision: &Provision) -> Installed {
    let placement = Placement::choose().map_err(Error::from);
    placement
        .and_then(|cpus| datapath.install(DropletPorts::Detached, provision, cpus.datapath))
        .into()
}

/// What is different; nothing if `got` is as expected. `because` is the reason why a frame should have
/// been dropped, where it is known.
pub(super) fn outcomes(expected: &Expected, because: Option<&str>, got: &Outcome) -> Vec<String> {
    match (expected, got) {
        (
            Expected::Forward { port, frame },
            Outcome::Forward {
                port: got_port,
                frame: got_frame,
            },
        ) => {
            let ports =
                (port != got_port).then(|| format!("port: expected {port}, got {got_port}"));
            ports
                .into_iter()
                .chain(dissect::difference(frame, got_frame))
                .collect()
        }
        (Expected::ToStack { frame }, Outcome::ToStack { frame: got_frame }) => {
            dissect::difference(frame, got_frame)
        }
        (Expected::Dropped(why), Outcome::Dropped { why: got_why, .. }) if why == got_why => {
            Vec::new()
        }
        _ => {
            let (wanted, because) = match expected {
                Expected::Forward { port, .. } => (forwarded(*port), None),
                Expected::ToStack { .. } => (TO_STACK.to_owned(), None),
                Expected::Dropped(why) => (dropped(*why).to_owned(), because),
            };
            let (found, reason) = match got {
                Outcome::Forward { port, .. } => (forwarded(*port), None),
                Outcome::ToStack { .. } => (TO_STACK.to_owned(), None),
                Outcome::Dropped { why, reason } => (dropped(*why).to_owned(), Some(*reason)),
            };
            let in_brackets =
                |text: Option<&str>| text.map_or(String::new(), |text| format!(" ({text})"));
            vec![format!(
                "verdict: expected {wanted}{}, got {found}{}",
                in_brackets(because),
                in_brackets(reason)
            )]
        }
    }
}

const TO_STACK: &str = "to the stack";

fn forwarded(port: Port) -> String {
    format!("forward to {port}")
}

fn dropped(why: Why) -> &'static str {
    match why {
        Why::Drop => "drop",
        Why::Abort => "abort",
    }
}

/// What is different between two direct-path caches, in whatever order their entries come.
pub(super) fn direct_paths(expected: &[DirectPath], got: &[DirectPath]) -> Vec<String> {
    let (expected_map, got_map) = (by_endpoint(expected), by_endpoint(got));
    let mut lines = Vec::new();
    for ((vni, ip), host) in &expected_map {
        let wanted = entry(host);
        match got_map.get(&(*vni, *ip)) {
            Some(found) if found == host => {}
            Some(found) => lines.push(format!(
                "direct path of vni {vni} {}: expected {wanted}, got {}",
                address(*ip),
                entry(found)
            )),
            None => lines.push(format!(
                "direct path of vni {vni} {}: expected {wanted}, got none",
                address(*ip)
            )),
        }
    }
    for ((vni, ip), host) in &got_map {
        if !expected_map.contains_key(&(*vni, *ip)) {
            lines.push(format!(
                "direct path of vni {vni} {}: expected none, got {}",
                address(*ip),
                entry(host)
            ));
        }
    }
    if got.len() != got_map.len() {
        let doubled = got.len() - got_map.len();
        lines.push(format!("{doubled} direct paths are there more than once"));
    }
    lines
}

fn by_endpoint(paths: &[DirectPath]) -> BTreeMap<(Vni, u32), Host> {
    paths
        .iter()
        .map(|path| ((path.vni, path.ip.to_bits()), path.host))
        .collect()
}

fn address(bits: u32) -> Ipv4 {
    Ipv4::from_octets(bits.to_be_bytes())
}

fn entry(host: &Host) -> String {
    format!("{} {}", host.ip, host.mac)
}
