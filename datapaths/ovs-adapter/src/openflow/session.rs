//! Requests and what comes back: replies, refusals, packets, in any order.

use super::packet::{self, PacketIn};
use super::refusal::{self, Refusal};
use super::rule;
use super::stream::Stream;
use super::wire::{HEADER, Header, NICIRA, Put, Reader, VERSION, message};
use crate::Error;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HELLO: u8 = 0;
const ERROR: u8 = 1;
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
const EXPERIMENTER: u8 = 4;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
const BARRIER_REQUEST: u8 = 20;
/// `OFPT_BUNDLE_ADD_MESSAGE`.
pub const BUNDLE_ADD: u8 = 34;
/// `OFPHET_VERSIONBITMAP`.
const VERSION_BITMAP: u16 = 1;
/// `OFPMPF_REPLY_MORE`.
const MORE: u16 = 1;

/// How long a switch may take to answer, or to read what was written.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much output is gathered before it is written.
const OUTPUT: usize = 64 << 10;
/// How many packets are handled before more are read.
const READ_AHEAD: u32 = 32;
/// How many refusals of earlier messages are kept: only the first is ever told.
const REFUSALS: usize = 64;

/// A refusal of something that is not waited for.
#[derive(Debug)]
pub struct Late {
    /// The number of the message.
    pub xid: u32,
    /// What was refused.
    pub what: String,
    /// Why.
    pub refusal: Refusal,
}

impl From<Late> for Error {
    fn from(Late { what, refusal, .. }: Late) -> Self {
        Self::Refused { what, refusal }
    }
}

/// A connection on which OpenFlow 1.4 is agreed on.
///
/// A switch closes one on which nobody answers its echo requests, after two minutes (`probe_interval` of
/// `vswitchd/bridge.c`), and nobody does while nothing is asked. It is opened again when something is, as long as
/// nothing can be lost by that: everything that was sent was answered, and nothing was asked for that ends with the
/// connection.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    stream: Stream,
    /// Whether everything that was sent was answered.
    is_idle: bool,
    /// Whether something was asked for that ends with the connection.
    is_bound: bool,
    last_xid: u32,
    /// The first of the messages whose refusal [`Self::take_late`] will be asked for.
    watched: u32,
    /// Messages that were handled since something was read ahead.
    handled: u32,
    packet_ins: VecDeque<PacketIn>,
    late: VecDeque<Late>,
}

impl Session {
    /// Connects and agrees on OpenFlow 1.4 (section 6.3.1).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let doing = format!("connecting to the bridge at {}", path.display());
        let stream = Stream::open(path, PATIENCE).map_err(failed(&doing))?;
        let mut session = Self {
            path: path.to_owned(),
            stream,
            is_idle: false,
            is_bound: false,
            last_xid: 0,
            watched: 0,
            handled: 0,
            packet_ins: VecDeque::new(),
            late: VecDeque::new(),
        };
        session.send(&doing, HELLO, |out| {
            out.put(VERSION_BITMAP.to_be_bytes());
            out.put(8u16.to_be_bytes());
            out.put((1u32 << VERSION).to_be_bytes());
        })?;
        session.flush(&doing)?;
        let (header, range) = session.next(&doing)?;
        if header.kind != HELLO || !offers_version(header.version, session.content(range)) {
            let reason =
                "it does not offer OpenFlow 1.4: allow it in the bridge's column `protocols`";
            return Err(openflow(&doing, reason));
        }
        // Only the answer to a message says that the switch agreed as well.
        session.barrier(&doing)?;
        Ok(session)
    }

    /// Has the connection end when the switch closes it: what is asked for from now on ends with it.
    pub fn bind(&mut self) {
        self.is_bound = true;
    }

    /// Opens the connection again if the switch closed it while nothing was asked.
    fn renew(&mut self) -> Result<(), Error> {
        if self.is_bound || !self.is_idle || !self.stream.is_closed() {
            return Ok(());
        }
        tracing::debug!(bridge = %self.path.display(), "the switch closed a connection that was idle");
        // Numbers of messages go on: who watches for refusals asked for the next one.
        self.stream = Self::open(&self.path)?.stream;
        Ok(())
    }

    /// The number of the next message to be sent. The first refusal from it on is kept, however many there are.
    pub fn watch(&mut self) -> u32 {
        self.watched = self.next_xid();
        self.watched
    }

    /// The number of the next message to be sent.
    pub fn next_xid(&self) -> u32 {
        self.last_xid.wrapping_add(1)
    }

    /// Sends a message: later, if not enough is together.
    pub fn send(
        &mut self,
        doing: &str,
        kind: u8,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.renew()?;
        let xid = self.next_xid();
        if !message(&mut self.stream.output, kind, xid, body) {
            return Err(openflow(doing, "it does not fit into a message"));
        }
        self.last_xid = xid;
        self.is_idle = false;
        if self.stream.output.len() >= OUTPUT {
            self.flush(doing)?;
            self.stream.read_ahead().map_err(failed(doing))?;
        }
        Ok(())
    }

    /// Sends a message of Open vSwitch (`struct nicira_header`).
    pub fn send_extension(
        &mut self,
        doing: &str,
        subtype: u32,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.send(doing, EXPERIMENTER, |out| {
            out.put(NICIRA.to_be_bytes());
            out.put(subtype.to_be_bytes());
            body(out);
        })
    }

    /// Sends a message, and waits for the reply.
    pub fn request(
        &mut self,
        doing: &str,
        kind: u8,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.send(doing, kind, body)?;
        self.reply(doing).map(|_| ())
    }

    /// Waits until everything that was sent is done.
    pub fn barrier(&mut self, doing: &str) -> Result<(), Error> {
        self.request(doing, BARRIER_REQUEST, |_| ())
    }

    /// Sends a message of Open vSwitch, and returns the reply.
    pub fn request_extension(
        &mut self,
        doing: &str,
        subtype: u32,
        reply: u32,
    ) -> Result<Reader<'_>, Error> {
        self.send_extension(doing, subtype, |_| ())?;
        let mut reader = self.reply(doing)?;
        match (reader.u32(), reader.u32()) {
            (Some(NICIRA), Some(subtype)) if subtype == reply => Ok(reader),
            _ => Err(malformed(doing)),
        }
    }

    /// Asks for statistics, and has `read` read each part of them (OpenFlow 1.4 section 7.3.5).
    pub fn statistics(
        &mut self,
        doing: &str,
        statistics: u16,
        body: impl FnOnce(&mut Vec<u8>),
        mut read: impl FnMut(Reader<'_>) -> Option<()>,
    ) -> Result<(), Error> {
        self.send(doing, MULTIPART_REQUEST, |out| {
            out.put(statistics.to_be_bytes());
            out.put([0; 6]);
            body(out);
        })?;
        loop {
            let mut reader = self.reply(doing)?;
            let kind = reader.u16();
            let flags = reader.u16().ok_or_else(|| malformed(doing))?;
            if kind != Some(statistics) {
                return Err(malformed(doing));
            }
            let read = reader.skip(4).and_then(|()| read(reader));
            read.ok_or_else(|| malformed(doing))?;
            if flags & MORE == 0 {
                return Ok(());
            }
        }
    }

    /// The next packet that came, if one comes within `timeout`.
    pub fn packet_in(&mut self, doing: &str, timeout: Duration) -> Result<Option<PacketIn>, Error> {
        let began = Instant::now();
        loop {
            if let Some(packet) = self.packet_ins.pop_front() {
                return Ok(Some(packet));
            }
            self.handled += 1;
            if self.handled >= READ_AHEAD {
                self.handled = 0;
                self.stream.read_ahead().map_err(failed(doing))?;
            }
            let mut message = self.stream.buffered().map_err(failed(doing))?;
            if message.is_none() {
                self.flush(doing)?;
                let next = self.stream.next(began + timeout);
                message = next.map_err(failed(doing))?;
            }
            let Some((header, range)) = message else {
                return Ok(None);
            };
            self.handle(doing, header, range)?;
        }
    }

    /// Whether anything came that nobody waits for but who asked for news, within `timeout`.
    pub fn news(&mut self, doing: &str, timeout: Duration) -> Result<bool, Error> {
        let (mut deadline, mut is_news) = (Instant::now() + timeout, false);
        self.flush(doing)?;
        while let Some((header, range)) = self.stream.next(deadline).map_err(failed(doing))? {
            is_news |= header.kind == MULTIPART_REPLY;
            self.handle(doing, header, range)?;
            if is_news {
                deadline = Instant::now();
            }
        }
        self.flush(doing)?;
        Ok(is_news)
    }

    /// Takes the first refusal of a message that is one of `count` with numbers from `first` on.
    pub fn take_late(&mut self, first: u32, count: u32) -> Option<Late> {
        let is_one = |late: &Late| late.xid.wrapping_sub(first) < count;
        let index = self.late.iter().position(is_one)?;
        let late = self.late.remove(index);
        self.late.retain(|late| !is_one(late));
        late
    }

    /// Takes all refusals.
    pub fn take_all_late(&mut self) -> VecDeque<Late> {
        std::mem::take(&mut self.late)
    }

    /// Writes what was gathered.
    pub fn flush(&mut self, doing: &str) -> Result<(), Error> {
        self.stream.flush().map_err(failed(doing))
    }

    /// The reply to the last message.
    fn reply(&mut self, doing: &str) -> Result<Reader<'_>, Error> {
        self.flush(doing)?;
        let awaited = self.last_xid;
        loop {
            let (header, range) = self.next(doing)?;
            if header.xid != awaited || is_unasked(header.kind) {
                self.handle(doing, header, range)?;
            } else if header.kind == ERROR {
                let refused = refusal::read(self.content(range));
                let (refusal, _) = refused.ok_or_else(|| malformed(doing))?;
                let what = doing.to_owned();
                self.is_idle = true;
                return Err(Error::Refused { what, refusal });
            } else if header.kind != EXPERIMENTER
                || self.subtype(range.clone()) != Some(packet::PACKET_IN2)
            {
                self.is_idle = true;
                return Ok(self.content(range));
            } else {
                self.handle(doing, header, range)?;
            }
        }
    }

    /// The next message.
    fn next(&mut self, doing: &str) -> Result<(Header, Range<usize>), Error> {
        let message = self.stream.next(Instant::now() + PATIENCE);
        let message = message.map_err(failed(doing))?;
        message.ok_or_else(|| failed(doing)(io::ErrorKind::TimedOut.into()))
    }

    /// What follows the header of a message.
    fn content(&self, range: Range<usize>) -> Reader<'_> {
        let message = self.stream.bytes(range);
        Reader(message.get(HEADER..).unwrap_or_default())
    }

    /// The number of a message of Open vSwitch.
    fn subtype(&self, range: Range<usize>) -> Option<u32> {
        let mut reader = self.content(range);
        (reader.u32()? == NICIRA).then(|| reader.u32())?
    }

    /// Keeps a refusal: the first ones, and the first of those that are watched for.
    fn keep(&mut self, late: Late) {
        let is_watched = |late: &Late| late.xid.wrapping_sub(self.watched) <= u32::MAX / 2;
        if self.late.len() < REFUSALS || is_watched(&late) && !self.late.iter().any(is_watched) {
            self.late.push_back(late);
        }
    }

    /// Does what a message wants that is not waited for.
    fn handle(&mut self, doing: &str, header: Header, range: Range<usize>) -> Result<(), Error> {
        match header.kind {
            ECHO_REQUEST => {
                let xid = header.xid;
                let payload = self.content(range).0.to_vec();
                message(&mut self.stream.output, ECHO_REPLY, xid, |out| {
                    out.extend(payload);
                });
            }
            ERROR => {
                let refused = refusal::read(self.content(range));
                let (refusal, request) = refused.ok_or_else(|| malformed(doing))?;
                let what = describe(request).unwrap_or_else(|| "a message".to_owned());
                let xid = header.xid;
                self.keep(Late { xid, what, refusal });
            }
            EXPERIMENTER if self.subtype(range.clone()) == Some(packet::PACKET_IN2) => {
                let mut reader = self.content(range);
                let packet = reader.skip(8).and_then(|()| packet::read(reader));
                self.packet_ins
                    .push_back(packet.ok_or_else(|| malformed("reading a packet"))?);
            }
            kind => tracing::debug!(kind, length = header.length, "a message is passed over"),
        }
        Ok(())
    }
}

/// Whether messages of this type are never replies, so that their numbers say nothing.
fn is_unasked(kind: u8) -> bool {
    // OFPT_PACKET_IN, OFPT_FLOW_REMOVED, OFPT_PORT_STATUS.
    matches!(kind, HELLO | ECHO_REQUEST | 10..=12)
}

/// Whether who sent this hello speaks OpenFlow 1.4 (section 7.5.1).
fn offers_version(highest: u8, mut elements: Reader<'_>) -> bool {
    while let Some((kind, mut content)) = elements.part(8) {
        if kind == VERSION_BITMAP {
            return content.u32().is_some_and(|bits| bits >> VERSION & 1 == 1);
        }
    }
    highest >= VERSION
}

/// What a refused message, or as much of it as there is, asked for.
fn describe(mut reader: Reader<'_>) -> Option<String> {
    let mut kind = reader.header()?.kind;
    if kind == BUNDLE_ADD {
        reader.skip(8)?;
        kind = reader.header()?.kind;
    }
    Some(match kind {
        rule::FLOW_MOD => rule::read_change(reader)?.to_string(),
        packet::PACKET_OUT => "a packet that was to be sent".to_owned(),
        kind => format!("a message of type {kind}"),
    })
}

fn openflow(doing: &str, reason: impl ToString) -> Error {
    Error::OpenFlow {
        doing: doing.to_owned(),
        reason: reason.to_string(),
    }
}

fn failed(doing: &str) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        io::ErrorKind::TimedOut => {
            let seconds = PATIENCE.as_secs();
            openflow(doing, format!("the switch does nothing for {seconds} s"))
        }
        _ => openflow(doing, error),
    }
}

/// The switch sent something that is not well-formed.
pub fn malformed(doing: &str) -> Error {
    openflow(doing, "the switch sent a malformed message")
}
