//! What rules counted.

use super::switch::Switch;
use crate::Error;
use crate::flow::Cookie;
use crate::openflow::{Connection, Filter};
use crate::program::cookie;
use datapath_api::Counters;

/// Reads all counters.
pub fn read(switch: &mut Switch) -> Result<Counters, Error> {
    // Rules count what cached flows report, which they do now and then, and now.
    switch.settle()?;
    let inside = switch.tally.read(&switch.instance)?;
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
        switch: inside,
    })
}

fn packets(connection: &mut Connection, cookie: Cookie) -> Result<u64, Error> {
    let filter = Filter::all().with_cookie(cookie);
    Ok(connection.aggregate(&filter)?.packets)
}
