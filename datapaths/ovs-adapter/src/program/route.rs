//! The way of a packet whose destination is not known here: by the direct path, a bouncer of its network, or a
//! divider of the VPC; and how it leaves.

use super::{
    Action, BLANK, Builder, Field, Match, NAMESPACE, POD, RETURN, RETURN_IP, RETURN_MAC, RETURNED,
    SCALED, Tunnel, Value, cookie, look_at_options, name_host, priority, register, resubmit, table,
};
use crate::flow::{Multipath, Slice};
use mizar_wire::Ipv4;

pub(super) fn add(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    for network in &provision.networks {
        let group = builder.group(&network.bouncers);
        let inside = super::in_network(network);
        // Replies between networks cross the divider, so it names itself as the way back.
        let mut actions = vec![Action::set(register::GROUP, group), resubmit(table::LEARN)];
        actions.extend(name_host(provision.host));
        actions.extend(builder.say_direct());
        actions.extend([resubmit(table::PICK), resubmit(table::SEND)]);
        let is_nowhere = network.bouncers.is_empty() && provision.extensions.invalidation;
        if is_nowhere {
            actions.clear();
        }
        let priority = priority::prefix(network.cidr.length());
        builder.add(table::ROUTE, priority, inside, actions);
    }
    for vpc in &provision.vpcs {
        let group = builder.group(&vpc.dividers);
        let mut actions = vec![Action::set(register::GROUP, group)];
        actions.extend(builder.say_direct());
        actions.extend([resubmit(table::PICK), resubmit(table::SEND)]);
        let matches = Match::all().with(Field::TunnelId, vpc.vni.get());
        builder.add(table::ROUTE, priority::GENERAL, matches, actions);
    }
    // An unknown VPC may still have a direct path.
    let mut actions: Vec<Action> = builder.say_direct().into_iter().collect();
    actions.push(resubmit(table::SEND));
    builder.add(table::ROUTE, priority::MISS, Match::all(), actions);
    return_to(builder);
    send(builder);
}

/// Writes the host that registers name into return-to-sender, or into what stands in its place.
fn return_to(builder: &mut Builder<'_>) {
    let write = |option: Field| {
        let at = |slice: Slice| Slice {
            field: option,
            ..slice
        };
        vec![
            Action::Move {
                from: register::HOST_IP.whole(),
                to: at(RETURN_IP),
            },
            Action::Move {
                from: register::HOST_MAC,
                to: at(RETURN_MAC),
            },
        ]
    };
    for option in [RETURN, RETURNED] {
        let present = Match::all().with_present(option);
        builder.add(table::RETURN_TO, priority::GENERAL, present, write(option));
    }
    builder.add(table::RETURN_TO, priority::MISS, Match::all(), write(BLANK));
}

/// Rules to pick a member of a group, unless the next host is known already. A member whose Ethernet address is
/// not known cannot be sent to.
pub(super) fn add_group(builder: &mut Builder<'_>, number: u32, members: &[Ipv4]) {
    let wanted = Match::all()
        .with(register::FOUND, 0u8)
        .with(register::GROUP, number);
    let to = |member: Ipv4| {
        vec![
            Action::set(Field::TunnelDst, member.to_bits()),
            Action::set(register::FOUND, 1u8),
        ]
    };
    match members {
        [] => {}
        [only] => {
            if builder.is_resolved(*only) {
                builder.add(table::PICK, priority::GENERAL, wanted, to(*only));
            }
        }
        several => {
            let pick = Action::Multipath(Multipath {
                ports: false,
                links: several.len() as u16,
                to: register::MEMBER.slice(0, 16),
            });
            let actions = vec![pick, resubmit(table::MEMBER)];
            builder.add(table::PICK, priority::GENERAL, wanted, actions);
            for (index, member) in (0u32..).zip(several) {
                if builder.is_resolved(*member) {
                    let chosen = Match::all()
                        .with(register::GROUP, number)
                        .with(register::MEMBER, index);
                    builder.add(table::MEMBER, priority::GENERAL, chosen, to(*member));
                }
            }
        }
    }
}

/// Out of the tunnel port, if the next host is known: every option at its place, and each of them looked at, see
/// [`super`].
fn send(builder: &mut Builder<'_>) {
    builder.add_counted(
        table::SEND,
        priority::GENERAL,
        cookie::FORWARDED,
        Match::all().with(register::FOUND, 1u8),
        look_at_options()
            .into_iter()
            .chain([Action::Output(Tunnel::TRANSIT.number)])
            .collect(),
    );
    for (table, option, missing) in [
        (table::LOOK_RETURN, RETURN, Some(BLANK)),
        (table::LOOK_SCALED, SCALED, Some(SCALED)),
        (table::LOOK_POD, POD, None),
        (table::LOOK_NAMESPACE, NAMESPACE, None),
    ] {
        let present = Match::all().with_present(option);
        builder.add(table, priority::GENERAL, present, look_at(option));
        if let Some(blank) = missing {
            // Set to what it is: that makes it be there.
            let set = Action::set(blank, Value::ZERO);
            let there = Match::all().with_present(blank);
            builder.add(table, priority::MISS, Match::all(), vec![set]);
            if blank != option {
                builder.add(table, priority::MISS_OF_STATE, there, look_at(blank));
            }
        }
    }
    let came_back = Match::all().with_present(RETURNED);
    let look = look_at(RETURNED);
    builder.add(table::LOOK_RETURN, priority::GENERAL, came_back, look);
}

/// Copies an option to where nobody reads it.
pub(crate) fn look_at(option: Field) -> Vec<Action> {
    (0..option.bits())
        .step_by(64)
        .map(|from| {
            let bits = (option.bits() - from).min(64);
            Action::Move {
                from: option.slice(from, bits),
                to: register::SCRATCH.slice(0, bits),
            }
        })
        .collect()
}
