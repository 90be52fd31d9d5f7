//! What can be asked of a bridge.

use super::packet::{self, PacketIn};
use super::port::{self, PortStats};
use super::rule::{self, Aggregate, Change, Filter, RuleStats};
use super::session::{BUNDLE_ADD, Late, Session, malformed};
use super::tlv::{self, TlvMapping};
use super::wire::{Put, message};
use crate::Error;
use crate::flow::{Action, PortNumber};
use std::path::Path;
use std::time::{Duration, Instant};

const SET_CONFIG: u8 = 9;
/// `OFPC_FRAG_NX_MATCH` of Open vSwitch: rules see the ports of a first fragment, and zero in later ones
/// (`include/openflow/openflow-common.h`). By default they see zero in all.
const FIRST_FRAGMENTS_HAVE_PORTS: [u8; 2] = 3_u16.to_be_bytes();
const SET_ASYNC: u8 = 28;
const BUNDLE_CONTROL: u8 = 33;

/// `OFPMP_FLOW`, `OFPMP_AGGREGATE` and `OFPMP_PORT_STATS`.
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const PORT_STATS: u16 = 4;

/// `OFPBCT_OPEN_REQUEST`, `OFPBCT_COMMIT_REQUEST` and `OFPBCT_DISCARD_REQUEST`.
const OPEN: u16 = 0;
const COMMIT: u16 = 4;
const DISCARD: u16 = 6;
/// `OFPBF_ATOMIC | OFPBF_ORDERED`.
const ATOMIC_AND_ORDERED: u16 = 3;

/// Kinds of packet-in that there are in OpenFlow 1.4 (`OFPR_*`), but that for an invalid TTL.
const PACKET_INS: u32 = 0b11_1011;

/// How long rules that were deleted may still be in use.
const GRACE: Duration = Duration::from_secs(2);

/// A connection to the management socket of a bridge. It may be left idle: where the switch closed it meanwhile,
/// it is opened again, unless packets were asked for ([`Self::want_packet_ins`]).
///
/// What [`Self::change`] and [`Self::packet_out`] ask for is gathered. It goes out when enough is together, when
/// something is waited for, or by [`Self::flush`].
#[derive(Debug)]
pub struct Connection {
    session: Session,
}

impl Connection {
    /// Connects to the bridge at `path`, and agrees on OpenFlow 1.4.
    ///
    /// # Errors
    /// Where nobody listens, or the bridge does not offer that version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let session = Session::open(path)?;
        Ok(Self { session })
    }

    /// Replaces the TLV table. Where the new one is refused it is empty.
    ///
    /// # Errors
    /// Where the switch refuses a mapping, or rules still use one that is there.
    pub fn set_tlv_table(&mut self, mappings: &[TlvMapping]) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            match self.modify_tlv_table(tlv::CLEAR, &[]) {
                // Rules that were just deleted are in use for a moment, until no thread looks at them.
                Err(Error::Refused { refusal, .. })
                    if refusal.is_option_in_use() && began.elapsed() < GRACE =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                cleared => break cleared?,
            }
        }
        self.modify_tlv_table(tlv::ADD, mappings)
    }

    fn modify_tlv_table(&mut self, command: u16, mappings: &[TlvMapping]) -> Result<(), Error> {
        let doing = "mapping options";
        let put = |out: &mut Vec<u8>| tlv::put(out, command, mappings);
        let xid = self.session.watch();
        self.session.send_extension(doing, tlv::MOD, put)?;
        self.session.barrier(doing)?;
        match self.session.take_late(xid, 1) {
            Some(Late { refusal, .. }) => Err(Error::Refused {
                what: "the TLV table".to_owned(),
                refusal,
            }),
            None => Ok(()),
        }
    }

    /// The TLV table.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn tlv_table(&mut self) -> Result<Vec<TlvMapping>, Error> {
        let doing = "reading the TLV table";
        let reply = self
            .session
            .request_extension(doing, tlv::REQUEST, tlv::REPLY)?;
        tlv::read(reply).ok_or_else(|| malformed(doing))
    }

    /// Carries out changes in their order as one bundle: all of them or, where there is an error, none; a packet
    /// sees all or none of them (OpenFlow 1.4 section 7.3.9).
    ///
    /// # Errors
    /// Where the switch refuses one, with that one and why.
    pub fn change_atomically(&mut self, changes: &[Change]) -> Result<(), Error> {
        let doing = "carrying out a bundle";
        let id = self.session.next_xid();
        self.control_bundle(id, OPEN)?;
        let first = self.session.watch();
        let added = self.add_to_bundle(id, changes);
        // A bundle without what was refused could still be committed: that has to be known first.
        self.session.barrier(doing)?;
        if let Some(error) = added.err().or_else(|| self.refused_change(first, changes)) {
            if let Err(error) = self.control_bundle(id, DISCARD) {
                tracing::debug!(%error, "a bundle is not discarded");
            }
            return Err(error);
        }
        let committed = self.control_bundle(id, COMMIT);
        committed.map_err(|error| self.refused_change(first, changes).unwrap_or(error))
    }

    fn add_to_bundle(&mut self, id: u32, changes: &[Change]) -> Result<(), Error> {
        for change in changes {
            let xid = self.session.next_xid();
            let mut fits = true;
            let doing = "adding a rule to a bundle";
            self.session.send(doing, BUNDLE_ADD, |out| {
                out.put(id.to_be_bytes());
                out.put([0; 2]);
                out.put(ATOMIC_AND_ORDERED.to_be_bytes());
                let put = |out: &mut Vec<u8>| rule::put_change(out, change);
                fits = message(out, rule::FLOW_MOD, xid, put);
            })?;
            if !fits {
                return Err(Error::OpenFlow {
                    doing: doing.to_owned(),
                    reason: format!("it does not fit into a message: {change}"),
                });
            }
        }
        Ok(())
    }

    fn control_bundle(&mut self, id: u32, control: u16) -> Result<(), Error> {
        let doing = "carrying out a bundle";
        self.session.request(doing, BUNDLE_CONTROL, |out| {
            out.put(id.to_be_bytes());
            out.put(control.to_be_bytes());
            out.put(ATOMIC_AND_ORDERED.to_be_bytes());
        })
    }

    /// The error for the first of these changes that was refused; the first of all has the number `first`.
    fn refused_change(&mut self, first: u32, changes: &[Change]) -> Option<Error> {
        let count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
        let late = self.session.take_late(first, count)?;
        let change = changes.get(late.xid.wrapping_sub(first) as usize);
        Some(Error::Refused {
            what: change.map_or(late.what, Change::to_string),
            refusal: late.refusal,
        })
    }

    /// Asks for a change without waiting. [`Self::barrier`] tells whether it was refused.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn change(&mut self, change: &Change) -> Result<(), Error> {
        let put = |out: &mut Vec<u8>| rule::put_change(out, change);
        self.session.send("changing a rule", rule::FLOW_MOD, put)
    }

    /// Waits until everything that was asked for is done.
    ///
    /// # Errors
    /// The first refusal of what was asked for since the last time.
    pub fn barrier(&mut self) -> Result<(), Error> {
        self.session.barrier("waiting for changes")?;
        let mut refused = self.session.take_all_late().into_iter();
        let first = refused.next();
        for Late { what, refusal, .. } in refused {
            tracing::debug!(what, %refusal, "refused as well");
        }
        first.map_or(Ok(()), |late| Err(late.into()))
    }

    /// Rules and their counters.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn rules(&mut self, filter: &Filter) -> Result<Vec<RuleStats>, Error> {
        let mut rules = Vec::new();
        let put = |out: &mut Vec<u8>| rule::put_filter(out, filter);
        self.session
            .statistics("reading rules", FLOW, put, |part| {
                rule::read_rules(part, &mut rules)
            })?;
        Ok(rules)
    }

    /// What rules counted together.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn aggregate(&mut self, filter: &Filter) -> Result<Aggregate, Error> {
        let mut aggregate = Aggregate::default();
        let put = |out: &mut Vec<u8>| rule::put_filter(out, filter);
        self.session
            .statistics("counting rules", AGGREGATE, put, |part| {
                aggregate = rule::read_aggregate(part)?;
                Some(())
            })?;
        Ok(aggregate)
    }

    /// The counters of all ports.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn port_stats(&mut self) -> Result<Vec<PortStats>, Error> {
        let mut ports = Vec::new();
        // OFPP_ANY.
        let put = |out: &mut Vec<u8>| out.put([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        self.session
            .statistics("reading the counters of ports", PORT_STATS, put, |part| {
                port::read(part, &mut ports)
            })?;
        Ok(ports)
    }

    /// Has rules see the ports of first fragments, as everything else does that has the packet before it.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn match_first_fragments(&mut self) -> Result<(), Error> {
        self.set_config("having ports of fragments matched", 0)
    }

    /// Sends packets to the controller with so many bytes at the most.
    fn set_config(&mut self, doing: &str, bytes: u16) -> Result<(), Error> {
        self.session.send(doing, SET_CONFIG, |out| {
            out.put(FIRST_FRAGMENTS_HAVE_PORTS);
            out.put(bytes.to_be_bytes());
        })
    }

    /// Asks for packets that rules send to the controller, whole and with all that is known about them.
    ///
    /// # Errors
    /// Where the switch refuses.
    pub fn want_packet_ins(&mut self) -> Result<(), Error> {
        let doing = "asking for packets";
        self.session.bind();
        // In this order, so that no packet comes in another format and nothing but packets comes.
        self.session
            .send_extension(doing, packet::SET_PACKET_IN_FORMAT, |out| {
                out.put(packet::FORMAT.to_be_bytes());
            })?;
        self.session.send(doing, SET_ASYNC, put_packets_only)?;
        // A management socket gets nothing as long as the length of packets that it wants is zero, which it is at
        // first (`ofconn_receives_async_msg` of `ofproto/connmgr.c`).
        self.set_config(doing, u16::MAX)?;
        self.barrier()
    }

    /// The next packet that a rule sent to the controller; `None` if none comes within `timeout`.
    ///
    /// While packets are there that came earlier, what [`Self::change`] gathered is not written.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn packet_in(&mut self, timeout: Duration) -> Result<Option<PacketIn>, Error> {
        self.session.packet_in("waiting for packets", timeout)
    }

    /// The first refusal that came without being waited for, of what was asked for since the last time.
    pub fn refused(&mut self) -> Option<Error> {
        self.session
            .take_all_late()
            .into_iter()
            .next()
            .map(Error::from)
    }

    /// Sends a packet through actions, as if it had arrived by `in_port`, which may be
    /// [`PortNumber::LOCAL`]. [`Self::barrier`] tells whether it was refused.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn packet_out(
        &mut self,
        in_port: PortNumber,
        frame: &[u8],
        actions: &[Action],
    ) -> Result<(), Error> {
        let put = |out: &mut Vec<u8>| packet::put(out, in_port, frame, actions);
        self.session
            .send("sending a packet", packet::PACKET_OUT, put)
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// Where the connection fails.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.session.flush("writing")
    }
}

/// Appends the body of `OFPT_SET_ASYNC` (OpenFlow 1.4 section 7.3.10): of the properties for masters, which here
/// are for any connection, packet-ins are on, and states of ports, removed rules, roles, tables and requests off.
fn put_packets_only(out: &mut Vec<u8>) {
    for (property, mask) in [(1, PACKET_INS), (3, 0), (5, 0), (7, 0), (9, 0), (11, 0u32)] {
        out.put(u16::to_be_bytes(property));
        out.put(8u16.to_be_bytes());
        out.put(mask.to_be_bytes());
    }
}
