//! Direct paths that became stale, where droplets have the extension: see `mizar_core::invalidation`.
//!
//! ```text
//!   JUDGED ── came back ──► FORGET ──► ENDPOINT            ENDPOINT ── unknown ──► UNKNOWN
//!      │                                                                             │
//!      └── else ──► ENDPOINT      by a direct path, no network known ──► back ◄──────┤
//!                                 came back ──► AGAIN: by a bouncer     ◄────────────┤
//!                                 else ──► DIRECT, ROUTE                ◄────────────┘
//! ```
//!
//! A switch cannot compare two fields, so FORGET has a rule for each droplet that is a neighbour. And it cannot delete a
//! learned rule: it learns one in its place that says nothing. Who asks nothing of it for [`super::IDLE_TIMEOUT`] loses that one: a
//! path that was given from the start is in force again then, and forgotten again by the next packet that comes back.

use super::{
    Action, BLANK, Builder, Field, Match, RETURN, RETURN_IP, RETURNED, Value, in_network, in_vpc,
    learning, neighbours, priority, register, resubmit, return_to, table,
};
use crate::flow::{Learn, LearnSource, Priority, Slice};
use topologies::provision::Host;

/// The flag in return-to-sender that says that a packet goes by a direct path.
pub(super) const DIRECT_PATH: u16 = RETURN.bits() - 8;
/// What [`register::STATE`] says.
pub(super) const CAME_DIRECT: u8 = 1;
const CAME_BACK: u8 = 2;
/// It came back, and the path that it took was forgotten: a rule that a packet teaches is there for the next one only.
const FORGOTTEN: u8 = 3;
/// The bit that the last two have in common.
const IS_BACK: Slice = Slice {
    from: register::STATE.from + 1,
    bits: 1,
    ..register::STATE
};

impl Builder<'_> {
    /// Notes whether what arrives came by a direct path.
    pub(super) fn note_direct(&self) -> Option<Action> {
        self.provision.extensions.invalidation.then(|| {
            let flag = RETURN.slice(DIRECT_PATH, 1);
            let to = Slice {
                bits: 1,
                ..register::STATE
            };
            Action::Move { from: flag, to }
        })
    }

    /// Where packets for endpoints go that are not known here.
    pub(super) fn unknown(&self) -> Vec<Action> {
        if self.provision.extensions.invalidation {
            vec![resubmit(table::UNKNOWN)]
        } else {
            self.on()
        }
    }

    /// The way onwards of Mizar.
    fn on(&self) -> Vec<Action> {
        let mut actions = self.direct();
        actions.push(resubmit(table::ROUTE));
        actions
    }

    /// Looks for a direct path; one to a host that is dead is passed over.
    pub(super) fn direct(&self) -> Vec<Action> {
        let some_are_dead = !self.provision.unhealthy.is_empty();
        let pass_over = some_are_dead.then_some(resubmit(table::DEAD));
        std::iter::once(resubmit(table::DIRECT))
            .chain(pass_over)
            .collect()
    }
}

pub(super) fn add(builder: &mut Builder<'_>) {
    pass_over_the_dead(builder);
    if !builder.provision.extensions.invalidation {
        return;
    }
    say_direct(builder);
    came_back(builder);
    unknown(builder);
    again(builder);
}

/// Direct paths to hosts that a health check found dead are forgotten, and none is learned.
fn pass_over_the_dead(builder: &mut Builder<'_>) {
    for host in &builder.provision.unhealthy {
        let ip = host.to_bits();
        let leads_there = Match::all()
            .with(register::FOUND, 1u8)
            .with(Field::TunnelDst, ip);
        let actions = vec![Action::Learn(forget()), Action::set(register::FOUND, 0u8)];
        builder.add(table::DEAD, priority::GENERAL, leads_there, actions);
        let from_there = Match::all().with_slice(RETURN_IP, ip);
        builder.add(table::LEARN, priority::FIRST, from_there, Vec::new());
    }
}

/// Says whose direct path a packet takes, if the next host is known by now, or that it takes none.
fn say_direct(builder: &mut Builder<'_>) {
    let found = |is_found: u8| Match::all().with(register::FOUND, is_found);
    let named = return_to(builder.provision.host) | Value::from(1u8) << DIRECT_PATH;
    let name = Action::set(RETURN, named);
    let direct = vec![name.clone()];
    builder.add(table::SAY_DIRECT, priority::GENERAL, found(1), direct);
    // What stood in the place of the option.
    let blank = found(1).with_present(BLANK);
    let actions = vec![Action::Delete(BLANK), name];
    builder.add(table::SAY_DIRECT, priority::SPECIAL, blank, actions);
    for option in [RETURN, BLANK] {
        let clear = vec![Action::set_slice(option.slice(DIRECT_PATH, 1), 0u8)];
        let matches = found(0).with_present(option);
        builder.add(table::SAY_DIRECT, priority::SPECIAL, matches, clear);
    }
}

/// The path by which something came back is forgotten.
fn came_back(builder: &mut Builder<'_>) {
    let on = vec![resubmit(table::ENDPOINT)];
    builder.add(table::JUDGED, priority::MISS, Match::all(), on);
    let mut actions = vec![resubmit(table::DIRECT)];
    actions.extend(forget_if_stale());
    actions.push(resubmit(table::ENDPOINT));
    let came_back = Match::all().with_present(RETURNED);
    builder.add(table::JUDGED, priority::GENERAL, came_back, actions);
    for host in neighbours(builder.provision) {
        let ip = host.ip.to_bits();
        let leads_there = Match::all()
            .with(register::FOUND, 1u8)
            .with(Field::TunnelDst, ip)
            .with_slice(in_option(RETURNED), ip);
        let forget = vec![
            Action::Learn(forget()),
            Action::set_slice(register::STATE, FORGOTTEN),
        ];
        builder.add(table::FORGET, priority::GENERAL, leads_there, forget);
    }
}

/// Forgets the direct path that was looked up, if it leads to where the packet came back from.
fn forget_if_stale() -> [Action; 4] {
    [
        Action::set_slice(register::STATE, CAME_BACK),
        resubmit(table::FORGET),
        Action::set(register::FOUND, 0u8),
        Action::Delete(RETURNED),
    ]
}

/// The place of the underlay address in an option like return-to-sender.
fn in_option(field: Field) -> Slice {
    Slice { field, ..RETURN_IP }
}

/// A rule that says nothing in the place of what was learned about the destination: what was given goes behind it.
fn forget() -> Learn {
    let nothing = LearnSource::Constant(0u8.into());
    learning::path(register::DST, &[(register::FOUND.whole(), nothing)])
}

/// What is for an endpoint that is not known here.
fn unknown(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    // Return-to-sender does not name this droplet, so it sends by no direct path of its own.
    let on = vec![resubmit(table::ROUTE)];
    builder.add(table::UNKNOWN, priority::MISS, Match::all(), on);
    let came_back = || Match::all().with_slice(IS_BACK, 1u8);
    let again = vec![resubmit(table::AGAIN)];
    builder.add(table::UNKNOWN, priority::FIRST, came_back(), again.clone());
    // A divider goes on; what is for a network that is bounced for here is nowhere.
    for network in &provision.networks {
        let length = u16::from(network.cidr.length());
        let of_length = |more: u16| Priority(priority::prefix(0).0 + 2 * length + more);
        let inside = in_network(network);
        let is_nowhere = network.bouncers.is_empty();
        let on = if is_nowhere { Vec::new() } else { builder.on() };
        builder.add(table::UNKNOWN, of_length(0), inside.clone(), on);
        let inside = inside.with_slice(IS_BACK, 1u8);
        let again = if is_nowhere {
            Vec::new()
        } else {
            again.clone()
        };
        builder.add(table::UNKNOWN, of_length(1), inside, again);
    }
    let came_direct = || Match::all().with_slice(register::STATE, CAME_DIRECT);
    let own = provision.host.ip.to_bits();
    let sent_here = came_direct().with_slice(RETURN_IP, own);
    let set_out = Action::set_slice(in_option(RETURNED), own);
    let mut actions = vec![set_out, resubmit(table::DIRECT)];
    actions.extend(forget_if_stale());
    actions.push(resubmit(table::UNKNOWN));
    builder.add(table::UNKNOWN, priority::SPECIAL, sent_here, actions);
    let back = back(provision.host);
    builder.add(table::UNKNOWN, priority::GENERAL, came_direct(), back);
}

/// Back to the host that return-to-sender names.
pub(super) fn back(here: Host) -> Vec<Action> {
    vec![
        Action::Move {
            from: RETURN_IP,
            to: Field::TunnelDst.whole(),
        },
        Action::Delete(RETURN),
        Action::set(RETURNED, return_to(here)),
        Action::set(register::FOUND, 1u8),
        resubmit(table::SEND),
    ]
}

/// The way that a packet would have gone without the direct path: by a bouncer of the source's network, as its agent sends
/// it, or of the destination's, as a divider does.
fn again(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    let by = |builder: &Builder<'_>, group: u32| {
        let mut actions = vec![
            Action::set(RETURN, return_to(provision.host)),
            Action::set(register::GROUP, group),
        ];
        actions.extend(builder.direct());
        actions.push(resubmit(table::OWN_PATH));
        actions.extend(builder.say_direct());
        actions.extend([
            resubmit(table::PICK),
            resubmit(table::OWN_BOUNCER),
            resubmit(table::SEND),
        ]);
        actions
    };
    for endpoint in &provision.endpoints {
        let Some(port) = endpoint.port else { continue };
        let attached = provision.attachment(port);
        let bouncers = attached.map_or(&[][..], |attached| &attached.bouncers);
        let group = builder.group(bouncers);
        let from = in_vpc(endpoint.vni, register::SRC, endpoint.ip);
        let actions = by(builder, group);
        builder.add(table::AGAIN, priority::prefix(33), from, actions);
    }
    for network in &provision.networks {
        let group = builder.group(&network.bouncers);
        let inside = in_network(network);
        let actions = by(builder, group);
        let priority = priority::prefix(network.cidr.length());
        builder.add(table::AGAIN, priority, inside, actions);
    }
    // A direct path that leads here leads nowhere.
    let own = provision.host.ip.to_bits();
    let leads_here = Match::all()
        .with(register::FOUND, 1u8)
        .with(Field::TunnelDst, own);
    let pass_over = || vec![Action::set(register::FOUND, 0u8)];
    builder.add(table::OWN_PATH, priority::GENERAL, leads_here, pass_over());
    let forgotten = Match::all().with_slice(register::STATE, FORGOTTEN);
    builder.add(table::OWN_PATH, priority::SPECIAL, forgotten, pass_over());
    // A bouncer that is this very droplet knows neither endpoint nor network: it goes on to a divider.
    for vpc in &provision.vpcs {
        let group = builder.group(&vpc.dividers);
        let is_own = Match::all()
            .with(Field::TunnelId, vpc.vni.get())
            .with(register::FOUND, 1u8)
            .with(Field::TunnelDst, own);
        let actions = vec![
            Action::set(register::FOUND, 0u8),
            Action::set(register::GROUP, group),
            resubmit(table::PICK),
        ];
        builder.add(table::OWN_BOUNCER, priority::GENERAL, is_own, actions);
    }
}
