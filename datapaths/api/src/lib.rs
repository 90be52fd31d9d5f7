//! What the harness knows of a datapath.
//!
//! A [`Datapath`] says what it is and what is missing to run it here, and installs a droplet on ports that
//! the lab made; what runs then is a [`Running`]. Per deployment this seam is dynamic; per packet, a
//! datapath that runs the core is generic over a frame and tables.

pub mod difference;
mod enclosure;
mod error;
mod missing;
mod needs;
mod outcome;
mod polling;
mod ports;
pub mod ring;
mod stages;
mod switch;

pub use difference::Difference;
pub use enclosure::{Enclosure, Outside, is_overlay};
pub use error::Error;
pub use missing::Missing;
pub use needs::{KernelRelease, Needs, NoRelease};
pub use outcome::only_outcome;
pub use polling::{Cycles, Polling};
pub use ports::{DropletPorts, PORT_MTU, PortType, TESTER_MEBIBYTES, VethPorts, VhostUserPorts};
pub use stages::{Decision, Stage, Stages};
pub use switch::SwitchCounters;

use netdev::{Cpu, Tid};
use serde::{Deserialize, Serialize};
use std::time::Duration;
pub use topologies::oracle::{Outcome, Why};
use topologies::provision::{DirectPath, Port, Provision};

/// A datapath that could be measured.
pub trait Datapath: Send + Sync {
    /// Its name on the command line and in reports.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn summary(&self) -> &'static str;

    /// The kind of port it is measured on.
    fn ports(&self) -> PortType;

    /// The datapath that this one is, on ports that it is not made for, to be compared with others on the same ports. A
    /// droplet without ports is the same for both.
    fn variant_of(&self) -> Option<&'static str> {
        None
    }

    /// What it is made of here: versions, modes.
    fn version(&self) -> String;

    /// What is missing to run it here; empty if it can run.
    fn probe(&self) -> Vec<Missing>;

    /// What it asks of a host that is to run it for good.
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    /// Where its packets lawfully differ from Mizar's; everything else must match byte for byte.
    fn declared_differences(&self) -> &'static [Difference] {
        &[]
    }

    /// Whether its thread spins while there is nothing to do, so that its processor time says nothing
    /// about a packet's cost below full load.
    fn polls_busily(&self) -> bool {
        false
    }

    /// How long after [`Running::update`] has returned it may still forward by the tables that it had before, where packets
    /// of a flow go on without a pause.
    fn forgets_within(&self) -> Duration {
        Duration::ZERO
    }

    /// Sets up a droplet on `ports`, which forwards from then on. Its work runs on `cpu`.
    ///
    /// # Errors
    /// An [`Error`] that says what to do about it. Nothing is left behind.
    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error>;

    /// A droplet without ports whose work on a frame can be cut short, on `cpu`; what it sends is taken on `sink`. `None` if the
    /// datapath does not carry the core, or carries it as another one does.
    ///
    /// # Errors
    /// As [`Self::install`].
    fn stages(
        &self,
        provision: &Provision,
        cpu: Cpu,
        sink: Cpu,
    ) -> Result<Option<Box<dyn Stages>>, Error> {
        let _ = (provision, cpu, sink);
        Ok(None)
    }
}

/// A droplet that forwards. Dropping it stops it, and leaves nothing behind.
pub trait Running: Send {
    /// What it counted since it was installed.
    ///
    /// # Errors
    /// Where the counters cannot be read.
    fn counters(&mut self) -> Result<Counters, Error>;

    /// The direct-path cache, in no order.
    ///
    /// # Errors
    /// Where the cache cannot be read.
    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error>;

    /// Passes one frame through, as if it had arrived at `port`, and says what became of it.
    ///
    /// # Errors
    /// Where the frame cannot be passed in.
    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error>;

    /// Gives it other tables, as a control plane does while packets flow. It stays the same host, with the ports that it has;
    /// what it learned stays as well, and the direct paths of `provision` are no matter.
    ///
    /// # Errors
    /// Where there is no room for them, or it is gone. Some may have been entered.
    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        let _ = provision;
        Err(Error::failed("updating tables", "it has none that change"))
    }

    /// Waits until all is done about the frames that lie in its ports, and what they taught holds for the next. Only those
    /// on vhost-user ports can tell.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn settle(&mut self) -> Result<(), Error> {
        Err(Error::failed("waiting for a droplet", "it cannot tell"))
    }

    /// The flows that it has, each in the notation of `ovs-dpctl dump-flows`; `None` if it has no such flows.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn flows(&mut self) -> Result<Option<Vec<String>>, Error> {
        Ok(None)
    }

    /// An error if it died, without asking it anything.
    ///
    /// # Errors
    /// See above.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// The threads that do its work.
    fn threads(&self) -> Vec<Tid>;

    /// Stops it and reports what went wrong on the way.
    ///
    /// # Errors
    /// Where it had died before, or could not be stopped cleanly.
    fn stop(self: Box<Self>) -> Result<(), Error>;
}

/// What a droplet counted, in frames.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Encapsulated by the agent.
    pub encapsulated: u64,
    /// Sent on by transit.
    pub forwarded: u64,
    /// Delivered to an endpoint.
    pub delivered: u64,
    /// Left to the network stack untouched.
    pub passed: u64,
    /// Handed to the network stack, encapsulated, to be shaped.
    pub shaped: u64,
    /// Refused, by reason; only reasons that occurred.
    pub refused: Vec<(String, u64)>,
    /// What the thread that forwards did with its time, if it polls without end and says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polling: Option<Box<Polling>>,
    /// What a switch counted inside, if one forwards and what it says can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<Box<SwitchCounters>>,
}

impl Counters {
    /// All refused frames together.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().map(|(_, count)| count).sum()
    }
}
