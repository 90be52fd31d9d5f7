//! Workloads: which frames are offered, and where they must come back.

use super::Error;
use ::workload::{Entry, LARGE_WORDS};
use mizar_wire::checksum::Change;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use serde::{Deserialize, Serialize};
use topologies::frame::{FrameLen, payload_offset};
use topologies::provision::{EndpointPort, Port};
use topologies::topology::Transport;
use topologies::traffic::Direction;

/// The simple IMIX: 7 frames of 64, 4 of 570 and 1 of 1518 bytes, spread out.
const IMIX: [u16; 12] = [64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 570, 64];
/// Bytes of the frame check sequence, which the field counts and no program sees.
const FCS: u16 = 4;

/// Sizes of inner frames as the field counts them, with frame check sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FrameSize {
    /// One size: 64 to 1518 bytes.
    Bytes(u16),
    /// A mixture; see RFC 6985 for the notation of such mixtures.
    Imix,
}

impl FrameSize {
    /// The sizes that the field sweeps over (RFC 2544 section 9.1, less the ones above 1518).
    pub const ALL: [Self; 8] = [
        Self::Bytes(64),
        Self::Bytes(128),
        Self::Bytes(256),
        Self::Bytes(512),
        Self::Bytes(1024),
        Self::Bytes(1280),
        Self::Bytes(1518),
        Self::Imix,
    ];

    fn pattern(&self) -> Result<Vec<FrameLen>, Error> {
        let length = |bytes: &u16| {
            FrameLen::try_from(bytes.saturating_sub(FCS))
                .map_err(|e| Error::Workload(e.to_string()))
        };
        match self {
            Self::Bytes(bytes) => Ok(vec![length(bytes)?]),
            Self::Imix => IMIX.iter().map(length).collect(),
        }
    }
}

impl std::fmt::Display for FrameSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Imix => f.write_str("IMIX"),
        }
    }
}

impl std::str::FromStr for FrameSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("imix") {
            return Ok(Self::Imix);
        }
        match text.parse() {
            Ok(bytes @ 64..=1518) => Ok(Self::Bytes(bytes)),
            _ => Err(format!(
                "`{text}` is not a frame size: expected 64 to 1518 (bytes, with frame check \
                 sequence) or imix"
            )),
        }
    }
}

impl TryFrom<String> for FrameSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FrameSize> for String {
    fn from(size: FrameSize) -> Self {
        size.to_string()
    }
}

/// What arrives at a port of the tester.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortPlan {
    /// The port.
    pub port: Port,
    /// The port's number: 0 is the uplink.
    pub number: u16,
    /// Where inner frames start in what a datapath sends here.
    datapath: u32,
    /// The same if nothing changed on the way, as through a null forward.
    null_forward: u32,
}

impl PortPlan {
    /// Where frames of a direction leave.
    fn of_egress(direction: &Direction) -> Self {
        Self {
            port: direction.egress,
            number: number(direction.egress),
            datapath: inner_at(direction.encapsulated_out),
            null_forward: inner_at(direction.encapsulated_in),
        }
    }

    /// Where inner frames start in what comes from a datapath, or from a null forward.
    pub fn inner_at(&self, through_null_forward: bool) -> u32 {
        if through_null_forward {
            self.null_forward
        } else {
            self.datapath
        }
    }
}

/// Frames to offer, and where they must come back.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The frames.
    pub entries: Vec<Entry>,
    /// Ports that frames must come back by.
    pub sinks: Vec<PortPlan>,
    /// For a null forward: by which port a frame leaves that came by another.
    pub paths: Vec<(Port, Port)>,
    /// Bytes of the longest frame offered.
    pub longest: usize,
}

impl Workload {
    /// The workload of all of `directions` at once, their flows in an order that `seed` determines.
    ///
    /// # Errors
    /// Where the tester cannot offer it.
    pub fn new(directions: &[Direction], size: FrameSize, seed: u64) -> Result<Self, Error> {
        let pattern = size.pattern()?;
        let flows = directions
            .iter()
            .map(|d| d.flows.count() as usize)
            .max()
            .unwrap_or(0);
        let rounds = flows.next_multiple_of(pattern.len());
        let shuffled: Vec<Direction> = directions
            .iter()
            .map(|direction| Direction {
                flows: direction.flows.shuffled(seed),
                ..direction.clone()
            })
            .collect();
        let mut entries = Vec::with_capacity(rounds * directions.len());
        for round in 0..rounds {
            for direction in &shuffled {
                let length = pattern[round % pattern.len()];
                entries.push(entry(direction, round as u32, length)?);
            }
        }
        Ok(Self::of_entries(directions, entries))
    }

    /// Lets frames arrive where those of `directions` do as well.
    pub fn also_arrives(&mut self, directions: &[Direction]) {
        for plan in directions.iter().map(PortPlan::of_egress) {
            if self.sinks.iter().all(|known| known.port != plan.port) {
                self.sinks.push(plan);
            }
        }
    }

    /// A workload of one frame after the other: of which direction, by its place in `directions`, and of which of
    /// the direction's flows.
    ///
    /// # Errors
    /// Where the tester cannot offer it, or there is no such direction.
    pub fn of_flows(
        directions: &[Direction],
        size: FrameSize,
        frames: impl Iterator<Item = (usize, u32)>,
    ) -> Result<Self, Error> {
        let pattern = size.pattern()?;
        let entries = pattern
            .iter()
            .cycle()
            .zip(frames)
            .map(|(length, (direction, flow))| {
                let direction = directions.get(direction);
                let direction = direction
                    .ok_or_else(|| Error::Workload("there is no such direction".to_owned()))?;
                entry(direction, flow, *length)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::of_entries(directions, entries))
    }

    /// Where inner frames start in what arrives, by number of the port, of as many ports; `None` for ports that nothing
    /// must arrive at.
    pub fn inner_at(&self, ports: usize, through_null_forward: bool) -> Vec<Option<u32>> {
        let mut inner_at = vec![None; ports];
        for plan in &self.sinks {
            if let Some(place) = inner_at.get_mut(usize::from(plan.number)) {
                *place = Some(plan.inner_at(through_null_forward));
            }
        }
        inner_at
    }

    fn of_entries(directions: &[Direction], entries: Vec<Entry>) -> Self {
        let sinks = directions.iter().map(PortPlan::of_egress).collect();
        let longest = entries
            .iter()
            .map(|entry| usize::from(entry.len))
            .max()
            .unwrap_or(0);
        let paths = directions.iter().map(|d| (d.ingress, d.egress)).collect();
        Self {
            entries,
            sinks,
            paths,
            longest,
        }
    }
}

fn inner_at(encapsulated: bool) -> u32 {
    if encapsulated {
        ENCAPSULATION_LEN as u32
    } else {
        0
    }
}

/// The number of a port: 0 is the uplink, endpoint ports follow.
pub(super) fn number(port: Port) -> u16 {
    match port {
        Port::Uplink => 0,
        Port::Endpoint(EndpointPort(number)) => number + 1,
    }
}

fn entry(direction: &Direction, flow: u32, length: FrameLen) -> Result<Entry, Error> {
    let frame = direction.frame(flow, length);
    let inner_at = inner_at(direction.encapsulated_in) as usize;
    let payload_at = payload_offset(direction.flows.transport);
    let (stamp_at, checksum_at) = match direction.flows.transport {
        Transport::Udp => (payload_at, payload_at - 2),
        // TCP: sequence number at 4, checksum at 16 of 20 bytes.
        Transport::Tcp => (payload_at - 16, payload_at - 4),
    };
    let too_short = || Error::Workload("a frame is too short for the tester's stamp".to_owned());
    let word = |at: usize| -> Result<u32, Error> {
        let bytes = frame
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or_else(too_short)
    };
    let half = |at: usize| -> Result<u16, Error> {
        let bytes = frame
            .get(at..at + 2)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(u16::from_ne_bytes).ok_or_else(too_short)
    };
    let stamp = inner_at + stamp_at;
    let without_stamp = Change::new()
        .word(word(stamp)?, 0)
        .word(word(stamp + 4)?, 0);
    let mut head = [0; LARGE_WORDS];
    for (word, bytes) in head.iter_mut().zip(frame.chunks(8)) {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(padded);
    }
    Ok(Entry {
        head,
        len: frame.len() as u16,
        inner_at: inner_at as u16,
        stamp_at: stamp_at as u16,
        checksum_at: checksum_at as u16,
        checksum: without_stamp.apply(half(inner_at + checksum_at)?),
        port: number(direction.ingress),
        reserved: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use topologies::catalogue;
    use topologies::topology::Parameters;

    #[test]
    fn entries_alternate_between_directions_and_cover_all_flows() {
        let topology = catalogue::find("vtep", Parameters::new(10, 100).unwrap()).unwrap();
        let directions = topology.traffic();
        let workload = Workload::new(&directions, FrameSize::Bytes(64), 1).unwrap();
        assert_eq!(workload.entries.len(), 200);
        assert_ne!(workload.entries[0].port, workload.entries[1].port);
        let distinct: std::collections::HashSet<_> =
            workload.entries.iter().map(|entry| entry.head).collect();
        assert_eq!(distinct.len(), 200);
    }

    #[test]
    fn a_mixture_has_its_sizes_in_every_twelve_frames() {
        let topology = catalogue::find("encap", Parameters::default()).unwrap();
        let workload = Workload::new(&topology.traffic(), FrameSize::Imix, 1).unwrap();
        let mut sizes: Vec<u16> = workload
            .entries
            .iter()
            .map(|entry| entry.len + FCS)
            .collect();
        sizes.sort_unstable();
        assert_eq!(
            sizes,
            [64, 64, 64, 64, 64, 64, 64, 570, 570, 570, 570, 1518]
        );
    }

    #[test]
    fn frame_sizes_parse_and_wrong_ones_are_explained() {
        assert_eq!("imix".parse(), Ok(FrameSize::Imix));
        assert_eq!("1518".parse(), Ok(FrameSize::Bytes(1518)));
        for wrong in ["63", "1519", "big"] {
            assert!(
                wrong
                    .parse::<FrameSize>()
                    .unwrap_err()
                    .contains("64 to 1518")
            );
        }
    }
}
