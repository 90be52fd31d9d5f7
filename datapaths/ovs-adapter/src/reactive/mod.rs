//! The *reactive* pipeline: the first packet of a flow goes to the adapter, the core decides, and a rule is made of
//! what it did.
//!
//! ```text
//!   packet ──► CLASSIFY ──► SENT, or a table by the options that are there ──► the flow's rule: change, send
//!                 │                            │ no rule
//!                 │ modify message             ▼
//!                 └───────────────────► packet-in ──► the core, with its own tables
//!                                                          │ the frame as it must leave
//!                                        rule, packet-out ◄┘
//! ```
//!
//! The core works on whole frames, so a packet that came by the tunnel gets its outer headers back first
//! (`frame.rs`). What it makes of the frame is compared with what came in: the differences are the rule's actions
//! (`rules.rs`). A rule matches all that the core may have looked at, so that no packet of another kind meets it.
//!
//! Rules follow from what the core's tables say. When a direct path is learned or a flow rewritten, the rules of
//! packets to that address are deleted, and their next packets come here again (`tables.rs`). A rule matches the
//! whole return-to-sender option, so that a packet that says something new about its sender comes here as well.
//!
//! A packet without a rule has all its options looked at before it goes to the controller: a switch that caches "to the
//! controller" for a flow would otherwise tell the controller the options of the flow's first packet, whatever those of
//! this one are, and policy would be asked about the wrong labels.
//!
//! A switch queues 100 packets for a controller and loses what comes beyond (`do_send_packet_ins` of
//! `ofproto/connmgr.c`); another 1,024 may wait before that queue (`ofproto_dpif_send_async_msg` of
//! `ofproto/ofproto-dpif.c`). Both losses are events of its `coverage/read-counter`, `rconn_overflow` and
//! `packet_in_overflow`, which [`crate::statistics`] reads: of packets sent to the controller faster than it takes them,
//! those that came and those that were counted as lost are all that were sent (tests/openflow/load.rs). Upcalls do not
//! count as failed for them.

pub mod controller;
pub mod core;
mod frame;
pub mod judge;
mod rules;
mod tables;

use crate::flow::{Action, Cookie, Field, Match, PortNumber, Priority, Rule, Table};
use crate::program::{
    self, Program, RETURN, RETURNED, SCALED, SHORT, Tunnel, Unsupported, endpoint_port, priority,
};
use mizar_core::reason::Reason;
use topologies::provision::Provision;

/// Flows of endpoints.
const SENT: Table = Table(1);

/// Flows of packets that arrive, by whether they have a return-to-sender and a scaled-endpoint option: a rule cannot
/// ask for the absence of one.
const fn arrived(has_return: bool, has_scaled: bool) -> Table {
    Table(2 + has_return as u8 + 2 * has_scaled as u8)
}

/// Those with the short header, which have neither.
const ARRIVED_SHORT: Table = Table(6);

/// Seconds without a packet after which a flow's rule goes.
const IDLE_TIMEOUT: u16 = 60;
/// Seconds after which it goes, so that the core sees the flow alive.
const HARD_TIMEOUT: u16 = 600;

/// With and without return-to-sender, and a scaled-endpoint option.
const COMBINATIONS: [(bool, bool); 4] =
    [(false, false), (true, false), (false, true), (true, true)];

/// Userdata of packet-ins.
mod reason {
    /// Left an endpoint.
    pub const SENT: u8 = b's';
    /// Arrived by the tunnel.
    pub const ARRIVED: u8 = b'a';
    /// Asks whether all before it was handled.
    pub const MARKER: u8 = b'm';
}

/// What a flow's rule does, in the highest byte of its cookie; below are VNI and address of the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Encapsulates what an endpoint sent.
    Encapsulated = 1,
    /// Sends on.
    Forwarded = 2,
    /// Delivers to an endpoint.
    Delivered = 3,
    /// Drops what policy denies.
    Denied = 4,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Encapsulated,
        Self::Forwarded,
        Self::Delivered,
        Self::Denied,
    ];
    /// The bits of a cookie that say it.
    pub const MASK: u64 = 0xff << 56;

    /// The cookie without a destination.
    pub const fn cookie(self) -> Cookie {
        Cookie((self as u64) << 56)
    }
}

/// The rules that are there before any flow.
///
/// # Errors
/// [`Unsupported`], where the tables hold what the switch has no numbers for.
pub fn program(provision: &Provision) -> Result<Program, Unsupported> {
    let proactive = Program::proactive(provision)?;
    let tunnel = || Match::all().with(Field::InPort, Tunnel::TRANSIT.number.0);
    let to_controller = |why: u8| Action::Controller {
        userdata: vec![why],
    };
    let modify = SCALED.slice(216, 8);
    // Packets that each say something to this droplet.
    let messages = [
        tunnel().with_slice(modify, mizar_wire::geneve::MODIFY),
        tunnel().with_present(RETURNED),
    ];
    let message = |matches| {
        let actions = program::look_at_all().into_iter();
        let actions = actions.chain([to_controller(reason::ARRIVED)]).collect();
        rule(Table(0), priority::prefix(0), matches, actions)
    };
    let mut overlay: Vec<Rule> = messages.into_iter().map(message).collect();
    for ethertype in [program::IPV4, program::ARP] {
        let of_type = |matches: Match| matches.with(Field::EthType, ethertype);
        // A switch sends no packet out of the port by which it came; transit does.
        let go_on = |table| vec![Action::set(Field::InPort, 0u8), Action::Resubmit(table)];
        for (has_return, has_scaled) in COMBINATIONS {
            let mut matches = of_type(tunnel());
            for option in [has_return.then_some(RETURN), has_scaled.then_some(SCALED)] {
                matches = option.into_iter().fold(matches, Match::with_present);
            }
            // More options go first.
            let before = 10 * (u16::from(has_return) + u16::from(has_scaled));
            overlay.push(rule(
                Table(0),
                Priority(priority::GENERAL.0 + before),
                matches,
                go_on(arrived(has_return, has_scaled)),
            ));
        }
        overlay.push(rule(
            Table(0),
            Priority(priority::GENERAL.0 + 30),
            of_type(tunnel().with_present(SHORT)),
            go_on(ARRIVED_SHORT),
        ));
        for attachment in &provision.attachments {
            let port = endpoint_port(attachment.port);
            let sent = Match::all().with(Field::InPort, port.0);
            overlay.push(rule(
                Table(0),
                priority::GENERAL,
                of_type(sent),
                vec![Action::Resubmit(SENT)],
            ));
        }
    }
    overlay.push(program::malformed());
    let with_all = COMBINATIONS.map(|(has_return, has_scaled)| arrived(has_return, has_scaled));
    for table in with_all.into_iter().chain([ARRIVED_SHORT]) {
        let actions = program::look_at_all().into_iter();
        let actions = actions.chain([to_controller(reason::ARRIVED)]).collect();
        overlay.push(rule(table, priority::MISS, Match::all(), actions));
    }
    let actions = vec![to_controller(reason::SENT)];
    overlay.push(rule(SENT, priority::MISS, Match::all(), actions));
    Ok(Program {
        overlay,
        ..proactive
    })
}

/// Sends a marker to the controller, which sends it back; see [`crate::droplet`].
pub(crate) fn marker() -> Action {
    Action::Controller {
        userdata: vec![reason::MARKER],
    }
}

fn rule(table: Table, priority: Priority, matches: Match, actions: Vec<Action>) -> Rule {
    Rule {
        table,
        priority,
        cookie: Cookie::default(),
        idle_timeout: 0,
        hard_timeout: 0,
        matches,
        actions,
    }
}

/// Packets that the controller sends come from here (`OFPP_CONTROLLER`).
const CONTROLLER: PortNumber = PortNumber(0xffff_fffd);

/// Whether policy refuses a packet, and so all of its flow.
pub fn is_denial(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::IngressDenied
            | Reason::EgressDenied
            | Reason::IngressReplyDenied
            | Reason::EgressReplyDenied
            | Reason::AclDenied
            | Reason::ForeignSource
    )
}
