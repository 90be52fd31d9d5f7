//! Network policy with connection tracking.
//!
//! A packet whose reverse flow was judged before is a reply and shares that judgement; any other is
//! judged by policy, and the judgement remembered. The table is written only when something changed:
//! Mizar itself writes it for every TCP and UDP packet, which is much of what a packet costs there.

use crate::flow::{ConnectionKey, FlowKey, FlowState};
use crate::reason::Reason;
use crate::tables::{CidrKey, CidrSet, Direction, EndpointKey, LabelKey, PortKey, Tables};

/// Labels of the sender; zero means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Of the pod.
    pub pod: u32,
    /// Of its namespace.
    pub namespace: u32,
}

/// Judges a TCP or UDP packet of `flow`. `labels` is asked only for a packet that is not a reply.
///
/// # Errors
/// The [`Reason`] of a denial, or the error of `labels`.
#[inline(always)]
pub fn judge<T: Tables>(
    tables: &mut T,
    direction: Direction,
    flow: &FlowKey,
    labels: impl FnOnce() -> Result<Labels, Reason>,
) -> Result<(), Reason> {
    let (key, side) = ConnectionKey::of(flow);
    let connection = tables.connection(&key).unwrap_or_default();

    let originator = connection.originator(&key, side);
    if originator.is_tracked() {
        let denied = if originator.re_evaluates() {
            // What was allowed in one direction is what the other end's policy says of it now.
            let opposite = match direction {
                Direction::Ingress => Direction::Egress,
                Direction::Egress => Direction::Ingress,
            };
            !allows(tables, opposite, &flow.reversed(), Labels::default())
        } else {
            originator.is_denied()
        };
        return if !denied {
            Ok(())
        } else {
            Err(match direction {
                Direction::Ingress => Reason::IngressReplyDenied,
                Direction::Egress => Reason::EgressReplyDenied,
            })
        };
    }

    let labels = labels()?;
    let denied = !allows(tables, direction, flow, labels);
    let state = FlowState::judged(flow, denied);
    if connection.side(side) != state {
        tables.set_connection(&key, &connection.with(side, state));
    }
    if denied {
        Err(match direction {
            Direction::Ingress => Reason::IngressDenied,
            Direction::Egress => Reason::EgressDenied,
        })
    } else {
        Ok(())
    }
}

/// Whether policy of one direction allows `flow`.
#[inline(always)]
fn allows<T: Tables>(tables: &T, direction: Direction, flow: &FlowKey, labels: Labels) -> bool {
    let vni = flow.vni();
    let (local, remote) = match direction {
        Direction::Ingress => (flow.dst(), flow.src()),
        Direction::Egress => (flow.src(), flow.dst()),
    };
    if !tables
        .enforced(&EndpointKey::new(vni, local))
        .applies(direction)
    {
        return true;
    }

    let any = PortKey {
        vni: vni.get(),
        local: local.raw(),
        port: 0,
        protocol: 0,
        direction: direction as u8,
    };
    let exact = PortKey {
        port: flow.dst_port().raw(),
        protocol: flow.protocol(),
        ..any
    };
    let candidates = tables.port_policies(&any) | tables.port_policies(&exact);
    if candidates == 0 {
        return false;
    }

    if direction == Direction::Ingress && allows_labels(tables, vni.get(), labels, candidates) {
        return true;
    }
    let cidr = |set| tables.cidr_policies(&CidrKey::new(vni, local, direction, set, remote));
    if candidates & cidr(CidrSet::Primary) != 0 {
        return true;
    }
    let supplementary = candidates & cidr(CidrSet::Supplementary);
    supplementary != 0 && supplementary & !cidr(CidrSet::Except) != 0
}

#[inline(always)]
fn allows_labels<T: Tables>(tables: &T, vni: u32, labels: Labels, candidates: u64) -> bool {
    let Labels { pod, namespace } = labels;
    let matches = |pod, namespace| {
        candidates
            & tables.label_policies(&LabelKey {
                vni,
                pod,
                namespace,
            })
            != 0
    };
    (pod > 0 && matches(pod, 0))
        || (namespace > 0 && matches(0, namespace))
        || (pod > 0 && namespace > 0 && matches(pod, namespace))
}
