//! Being told that rules changed: OpenFlow 1.4 section 7.3.5.17, "Flow monitoring".

use super::oxm;
use super::session::Session;
use super::wire::Put;
use crate::Error;
use crate::flow::Match;
use std::path::Path;
use std::time::Duration;

/// `OFPMP_FLOW_MONITOR`.
const FLOW_MONITOR: u16 = 16;
/// `OFPFMF_ADD | OFPFMF_REMOVED | OFPFMF_MODIFY`: not what there is at first.
const CHANGES: u16 = 0b1110;
/// `OFPTT_ALL`.
const ALL_TABLES: u8 = 0xff;
/// `OFPP_ANY` and `OFPG_ANY`.
const ANY: [u8; 4] = [0xff; 4];
const DOING: &str = "watching rules";

/// A connection on which a bridge tells of every change of its rules.
#[derive(Debug)]
pub struct Monitor {
    session: Session,
}

impl Monitor {
    /// Watches all rules of the bridge at `path`.
    ///
    /// # Errors
    /// Where nobody listens, or the bridge refuses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut session = Session::open(path)?;
        let put = |out: &mut Vec<u8>| {
            // The number of this monitor.
            out.put(1u32.to_be_bytes());
            out.put(ANY);
            out.put(ANY);
            out.put(CHANGES.to_be_bytes());
            // `OFPFMC_ADD`.
            out.put([ALL_TABLES, 0]);
            oxm::put_match(out, &Match::all());
        };
        session.statistics(DOING, FLOW_MONITOR, put, |_| Some(()))?;
        Ok(Self { session })
    }

    /// Whether a rule changed since this was asked last, or does within `timeout`.
    ///
    /// # Errors
    /// Where the switch is gone.
    pub fn changed(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.session.news(DOING, timeout)
    }
}
