//! Who answers for packets that no flow is there for.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`upcalls`] | the thread that takes upcalls from the programs |
//! | [`switch`] | a stock Open vSwitch behind the programs |
//! | [`core`] | the Mizar core |

pub mod core;
pub mod switch;
pub mod upcalls;

use crate::notation::Match;
use datapath_api::{Counters, Error};
use netdev::Tid;
use ovs_adapter::settings::IDLE;
use std::path::PathBuf;
use std::time::Duration;
use topologies::provision::{DirectPath, Provision};

/// After how long a packet of a flow comes here again, at the earliest: well before the flow is taken for idle, and rules
/// that were learned expire.
const RENEW: Duration = Duration::from_secs(IDLE.as_secs() / 3);
/// Over how long renewals are spread: flows that began together would come together again.
const SPREAD: Duration = RENEW;

/// After how long a packet of this flow comes here again.
pub fn renewal(asks: &Match) -> Duration {
    RENEW + Duration::from_millis(asks.key.hash() % SPREAD.as_millis() as u64)
}

/// A slow path, while the programs are attached.
pub trait SlowPath: Send {
    /// What packets became that it sent on itself.
    ///
    /// # Errors
    /// Where it is gone.
    fn counters(&mut self) -> Result<Counters, Error>;

    /// The direct paths that it knows, in no order.
    ///
    /// # Errors
    /// Where it is gone.
    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error>;

    /// Takes these tables; see [`datapath_api::Running::update`].
    ///
    /// # Errors
    /// Where there is no room for them, or it is gone.
    fn update(&mut self, provision: &Provision) -> Result<(), Error>;

    /// Sees to it that flows are those that there should be by now; where packets may have taught something, that it holds
    /// for the next one.
    ///
    /// # Errors
    /// Where it is gone.
    fn settle(&mut self, is_taught: bool) -> Result<(), Error>;

    /// Where `ovs-ofctl` reaches the overlay bridge, if there is a switch: `unix:` and this path.
    fn bridge(&self) -> Option<PathBuf> {
        None
    }

    /// Its threads.
    ///
    /// # Errors
    /// Where it is gone.
    fn threads(&self) -> Result<Vec<Tid>, Error>;

    /// An error that says how, if it ended.
    ///
    /// # Errors
    /// See above.
    fn check(&self) -> Result<(), Error>;
}
