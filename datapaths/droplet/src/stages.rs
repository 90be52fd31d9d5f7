//! The work on a frame in user space, cut short: see [`datapath_api::Stages`].

use crate::{Buffer, dropped};
use datapath_api::{Decision, Error, Outcome, Stage, Stages, Why};
use mizar_core::frame::Slice;
use mizar_core::reason::Reason;
use mizar_core::tables::Attachment;
use mizar_core::verdict::{Agent, Changes, Transit};
use mizar_core::{Tables as _, agent, apply, established, stages, transit};
use mizar_tables::Native;
use std::hint::black_box;
use std::time::{Duration, Instant};
use topologies::provision::{EndpointPort, Port};

/// Room in front of a frame, and for the longest one.
const HEADROOM: usize = 128;
const CAPACITY: usize = 2_048;

/// A frame's memory, aligned like a cache line.
#[repr(align(64))]
struct Memory([u8; CAPACITY]);

/// A frame in it.
struct Place {
    memory: Box<Memory>,
    start: usize,
    end: usize,
}

impl Buffer for Place {
    #[inline(always)]
    fn frame_mut(&mut self) -> &mut [u8] {
        self.memory
            .0
            .get_mut(self.start..self.end)
            .unwrap_or_default()
    }

    #[inline(always)]
    fn grow(&mut self, len: usize) -> bool {
        let Some(start) = self.start.checked_sub(len) else {
            return false;
        };
        self.start = start;
        true
    }

    #[inline(always)]
    fn strip(&mut self, len: usize) -> bool {
        self.start += len;
        self.start <= self.end
    }
}

/// A droplet for one frame at a time.
pub struct NativeStages {
    /// With a cache of established flows, in which a full decision is entered as well.
    tables: Native,
    place: Place,
}

impl NativeStages {
    /// A droplet with these tables.
    pub fn new(tables: Native) -> Self {
        Self {
            tables: tables.with_established(),
            place: Place {
                memory: Box::new(Memory([0; CAPACITY])),
                start: HEADROOM,
                end: HEADROOM,
            },
        }
    }

    fn put(&mut self, frame: &[u8]) -> Result<(), Error> {
        let there_is_none = || Error::failed("running a stage", "the frame is too long");
        let room = self.place.memory.0.get_mut(HEADROOM..).unwrap_or_default();
        let room = room.get_mut(..frame.len()).ok_or_else(there_is_none)?;
        room.copy_from_slice(frame);
        (self.place.start, self.place.end) = (HEADROOM, HEADROOM + frame.len());
        Ok(())
    }
}

/// Takes a frame that leaves an endpoint as far as `STAGE`.
#[inline(always)]
fn leaving<const STAGE: usize>(
    tables: &mut Native,
    decision: Decision,
    attachment: &Attachment,
    place: &mut Place,
) -> Result<(), Reason> {
    let frame = Slice::new(place.frame_mut()).map_err(|_| Reason::NoRoom)?;
    if STAGE == Stage::Hook as usize {
        black_box(&frame);
        return Ok(());
    }
    if STAGE <= Stage::Policy as usize {
        let parsed = stages::parse_leaving(&frame, attachment)?;
        if STAGE == Stage::Policy as usize {
            parsed.judge(&frame, tables)?;
        }
        black_box(&parsed);
        return Ok(());
    }
    let verdict = match decision {
        Decision::Established => agent::agent(&frame, attachment, tables),
        Decision::Full => agent::decide(&frame, attachment, tables),
    };
    let plan = match verdict {
        Agent::Refuse(reason) => return Err(reason),
        Agent::Encapsulate(plan) => plan,
    };
    if STAGE == Stage::Lookup as usize {
        black_box(&plan);
        return Ok(());
    }
    if !place.grow(plan.outer_len()) {
        return Err(Reason::NoRoom);
    }
    let droplet = tables.droplet();
    let mut frame = Slice::new(place.frame_mut()).map_err(|_| Reason::NoRoom)?;
    apply::encapsulate(&mut frame, &droplet, &plan).ok_or(Reason::NoRoom)
}

/// Takes a frame that arrives at the uplink as far as `STAGE`.
#[inline(always)]
fn arriving<const STAGE: usize>(
    tables: &mut Native,
    decision: Decision,
    place: &mut Place,
) -> Result<(), Reason> {
    let mut frame = Slice::new(place.frame_mut()).map_err(|_| Reason::NoRoom)?;
    if STAGE == Stage::Hook as usize {
        black_box(&frame);
        return Ok(());
    }
    if STAGE <= Stage::Policy as usize {
        let parsed = stages::parse_arriving(&frame, tables)?;
        if STAGE == Stage::Policy as usize {
            parsed.judge(&frame, tables)?;
        }
        black_box(&parsed);
        return Ok(());
    }
    let mut changes = Changes::default();
    let verdict = match decision {
        Decision::Established => transit::transit(&frame, tables, &mut changes),
        Decision::Full => transit::decide(&frame, tables, &mut changes),
    };
    if STAGE == Stage::Lookup as usize {
        black_box((&verdict, &changes));
        return match verdict {
            Transit::Refuse(reason) => Err(reason),
            _ => Ok(()),
        };
    }
    match verdict {
        Transit::Refuse(reason) => Err(reason),
        Transit::Pass => Err(Reason::UnsupportedProtocol),
        Transit::Forward { next, .. } => {
            apply::forward(&mut frame, &next, &changes).ok_or(Reason::NoRoom)
        }
        Transit::Deliver { .. } => {
            apply::deliver(&mut frame, &changes).ok_or(Reason::NoRoom)?;
            place
                .strip(changes.inner_at)
                .then_some(())
                .ok_or(Reason::NoRoom)
        }
    }
}

/// The same frame again and again, in the same memory.
#[inline(always)]
fn repeat(
    place: &mut Place,
    times: u32,
    mut work: impl FnMut(&mut Place) -> Result<(), Reason>,
) -> Result<Duration, Reason> {
    let (start, end) = (place.start, place.end);
    let began = Instant::now();
    for _ in 0..times {
        let place = black_box(&mut *place);
        (place.start, place.end) = (start, end);
        work(place)?;
    }
    Ok(began.elapsed())
}

impl NativeStages {
    fn repeated<const STAGE: usize>(
        &mut self,
        port: Port,
        decision: Decision,
        times: u32,
    ) -> Result<Duration, Reason> {
        let Self { tables, place } = self;
        match port {
            Port::Uplink => repeat(place, times, |place| {
                arriving::<STAGE>(tables, decision, place)
            }),
            Port::Endpoint(EndpointPort(port)) => {
                let attachment = tables.attachment(port.into());
                repeat(place, times, |place| {
                    leaving::<STAGE>(tables, decision, black_box(&attachment), place)
                })
            }
        }
    }
}

fn refused(reason: Reason) -> Error {
    let why = match dropped(reason) {
        Outcome::Dropped {
            why: Why::Drop,
            reason,
        } => format!("dropped: {reason}"),
        Outcome::Dropped { reason, .. } => format!("aborted: {reason}"),
        _ => String::new(),
    };
    Error::failed("running a stage", why)
}

impl Stages for NativeStages {
    fn has(&self, decision: Decision, stage: Stage) -> bool {
        match stage {
            Stage::Policy => decision == Decision::Full,
            Stage::Redirect => false,
            _ => true,
        }
    }

    fn is_established(&mut self, port: Port, frame: &[u8]) -> Result<bool, Error> {
        self.put(frame)?;
        self.repeated::<{ Stage::Lookup as usize }>(port, Decision::Established, 2)
            .map_err(refused)?;
        let Self { tables, place } = self;
        let too_long = |_| Error::failed("running a stage", "the frame is too long");
        let frame = Slice::new(place.frame_mut()).map_err(too_long)?;
        Ok(match port {
            Port::Uplink => established::transit(&frame, tables, &mut Changes::default()).is_some(),
            Port::Endpoint(EndpointPort(port)) => {
                let attachment = tables.attachment(port.into());
                established::agent(&frame, &attachment, tables).is_some()
            }
        })
    }

    fn run(
        &mut self,
        port: Port,
        decision: Decision,
        stage: Stage,
        frame: &[u8],
        times: u32,
    ) -> Result<Duration, Error> {
        if !self.has(decision, stage) {
            return Err(Error::failed("running a stage", "there is no such stage"));
        }
        self.put(frame)?;
        // What was learned and entered before is there.
        self.repeated::<{ Stage::Lookup as usize }>(port, decision, 2)
            .map_err(refused)?;
        let took = match stage {
            Stage::Hook => self.repeated::<{ Stage::Hook as usize }>(port, decision, times),
            Stage::Parse => self.repeated::<{ Stage::Parse as usize }>(port, decision, times),
            Stage::Policy => self.repeated::<{ Stage::Policy as usize }>(port, decision, times),
            Stage::Lookup => self.repeated::<{ Stage::Lookup as usize }>(port, decision, times),
            _ => self.repeated::<{ Stage::Headers as usize }>(port, decision, times),
        };
        took.map_err(refused)
    }

    fn written(&mut self, port: Port, decision: Decision, frame: &[u8]) -> Result<Vec<u8>, Error> {
        self.put(frame)?;
        self.repeated::<{ Stage::Lookup as usize }>(port, decision, 2)
            .map_err(refused)?;
        self.repeated::<{ Stage::Headers as usize }>(port, decision, 1)
            .map_err(refused)?;
        Ok(self.place.frame_mut().to_vec())
    }
}
