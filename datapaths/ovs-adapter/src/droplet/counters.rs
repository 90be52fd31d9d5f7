//! What rules counted.

use super::switch::Switch;
use crate::Error;
use crate::flow::Cookie;
use crate::openflow::{Connection, Filter};
use crate::program::cookie;
use datapath_api::Counters;
use std::time::Duration;

/// How long after its end a process may seem to run.
const NOTICE: Duration = Duration::from_millis(50);

/// Reads all counters.
pub fn read(switch: &mut Switch) -> Result<Counters, Error> {
    let counted = count(switch);
    if counted.is_err() {
        // That a program ended says more than what came of it.
        std::thread::sleep(NOTICE);
        switch.instance.check()?;
    }
    counted
}

fn count(switch: &mut Switch) -> Result<Counters, Error> {
    // Rules count what cached flows report, which they do now and then, and now.
    switch.settle()?;
    let inside = match &mut switch.tally {
        Some(tally) => tally.read(&switch.instance)?,
        None => None,
    };
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
        switch: inside.map(Box::new),
    })
}

fn packets(connection: &mut Connection, cookie: Cookie) -> Result<u64, Error> {
    let filter = Filter::all().with_cookie(cookie);
    Ok(connection.aggregate(&filter)?.packets)
}
