//! What rules counted.

use super::switch::Switch;
use crate::Error;
use crate::flow::Cookie;
use crate::openflow::{Connection, Filter};
use crate::program::cookie;
use crate::reactive::Kind;
use crate::reactive::controller::Controller;
use datapath_api::{Counters, SwitchCounters};

/// What the rules of the proactive program counted.
pub fn of_program(switch: &mut Switch) -> Result<Counters, Error> {
    count_program(switch).map_err(|error| switch.instance.explain(error))
}

/// What the controller and the rules of its flows counted. A rule that was deleted takes its count with it.
pub fn of_flows(switch: &mut Switch, controller: &Controller) -> Result<Counters, Error> {
    count_flows(switch, controller).map_err(|error| switch.instance.explain(error))
}

/// What the switch's own caches counted, where they can be read.
fn inside(switch: &mut Switch) -> Result<Option<Box<SwitchCounters>>, Error> {
    // Rules count what cached flows report, which they do now and then, and now.
    switch.settle()?;
    let inside = match &mut switch.tally {
        Some(tally) => tally.read(&switch.instance)?,
        None => None,
    };
    Ok(inside.map(Box::new))
}

fn count_program(switch: &mut Switch) -> Result<Counters, Error> {
    let inside = inside(switch)?;
    let overlay = &mut switch.overlay;
    let denied = packets(overlay, cookie::DENIED)?;
    Ok(Counters {
        encapsulated: packets(overlay, cookie::ENCAPSULATED)?,
        forwarded: packets(overlay, cookie::FORWARDED)?,
        delivered: packets(overlay, cookie::DELIVERED)?,
        passed: packets(&mut switch.underlay, cookie::PASSED)?,
        shaped: 0,
        refused: (denied > 0)
            .then(|| ("denied by policy".to_owned(), denied))
            .into_iter()
            .collect(),
        polling: inside.as_ref().and_then(|it| it.polling()).map(Box::new),
        switch: inside,
    })
}

fn count_flows(switch: &mut Switch, controller: &Controller) -> Result<Counters, Error> {
    controller.check()?;
    let inside = inside(switch)?;
    let overlay = &mut switch.overlay;
    let mut count = |kind: Kind| -> Result<u64, Error> {
        let filter = Filter {
            cookie_mask: Kind::MASK,
            ..Filter::all().with_cookie(kind.cookie())
        };
        Ok(overlay.aggregate(&filter)?.packets + controller.handled(kind))
    };
    let mut counters = Counters {
        encapsulated: count(Kind::Encapsulated)?,
        forwarded: count(Kind::Forwarded)?,
        delivered: count(Kind::Delivered)?,
        refused: controller.refused(),
        polling: inside.as_ref().and_then(|it| it.polling()).map(Box::new),
        switch: inside,
        ..Counters::default()
    };
    let denied = count(Kind::Denied)?;
    if denied > 0 {
        counters
            .refused
            .push(("denied by a rule".to_owned(), denied));
    }
    counters.passed = packets(&mut switch.underlay, cookie::PASSED)?;
    Ok(counters)
}

fn packets(connection: &mut Connection, cookie: Cookie) -> Result<u64, Error> {
    let filter = Filter::all().with_cookie(cookie);
    Ok(connection.aggregate(&filter)?.packets)
}
