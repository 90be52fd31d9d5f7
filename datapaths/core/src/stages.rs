//! A decision cut short after its first stages, so that what each one costs can be measured: programs that go one stage
//! further than others, on the same frames.
//!
//! In the order in which [`crate::agent::decide`] and [`crate::transit::decide`] take them: reading headers, then policy, which is
//! connection tracking and rules, then looking up where the packet goes. The stages behind a decision are the datapath's:
//! writing headers, and sending.

use crate::acl;
use crate::frame::Frame;
use crate::inner::{self, Ip, Packet};
use crate::policy::{self, Labels};
use crate::reason::Reason;
use crate::tables::{Attachment, Direction, Tables};
use crate::transit::{Outer, RETURN_TO_SENDER_AT, read_labels, read_outer};
use mizar_wire::Vni;

/// Headers of a packet, once they are read.
pub struct Parsed {
    /// Of what arrives at the uplink.
    outer: Option<Outer>,
    ip: Ip,
}

/// Reads the headers of a frame that leaves the endpoint of `attachment`.
///
/// # Errors
/// The reason of a refusal; [`Reason::UnsupportedProtocol`] for ARP, too.
#[inline(always)]
pub fn parse_leaving<F: Frame>(frame: &F, attachment: &Attachment) -> Result<Parsed, Reason> {
    if attachment.attached == 0 {
        return Err(Reason::NotAttached);
    }
    let vni = Vni::new(attachment.vni).ok_or(Reason::NotAttached)?;
    parse_inner(frame, 0, vni, Reason::TruncatedEthernet, None)
}

/// Reads the headers of a frame that arrives at the uplink.
///
/// # Errors
/// As [`parse_leaving`], and for what is no overlay packet.
#[inline(always)]
pub fn parse_arriving<F: Frame, T: Tables>(frame: &F, tables: &T) -> Result<Parsed, Reason> {
    let outer = read_outer(frame, tables)?.ok_or(Reason::UnsupportedProtocol)?;
    let at = RETURN_TO_SENDER_AT + outer.options_len;
    let truncated = Reason::TruncatedInnerEthernet;
    parse_inner(frame, at, outer.vni, truncated, Some(outer))
}

#[inline(always)]
fn parse_inner<F: Frame>(
    frame: &F,
    at: usize,
    vni: Vni,
    truncated: Reason,
    outer: Option<Outer>,
) -> Result<Parsed, Reason> {
    match inner::read(frame, at, vni, truncated)? {
        Packet::Ip(ip) => Ok(Parsed { outer, ip }),
        Packet::Arp(_) => Err(Reason::UnsupportedProtocol),
    }
}

impl Parsed {
    /// Judges the packet by policy and, if it arrived, by access lists.
    ///
    /// # Errors
    /// The reason of a denial.
    #[inline(always)]
    pub fn judge<F: Frame, T: Tables>(&self, frame: &F, tables: &mut T) -> Result<(), Reason> {
        let flow = &self.ip.flow;
        match &self.outer {
            Some(outer) => {
                if flow.is_tracked() {
                    let labels = || read_labels(frame, outer);
                    policy::judge(tables, Direction::Ingress, flow, labels)?;
                }
                acl::judge(tables, flow)
            }
            None if flow.is_tracked() => {
                policy::judge(tables, Direction::Egress, flow, || Ok(Labels::default()))
            }
            None => Ok(()),
        }
    }
}
