//! A place for a datapath at a droplet elsewhere, and what runs there.

use super::Error;
use super::meeting::Home;
use super::protocol::{Answer, Order, PlaceId, Request};
use datapath_api::{Counters, Datapath, Error as DatapathError, Outcome, Running, VethPorts};
use netdev::{Cpu, Namespace, Tid};
use std::sync::Arc;
use topologies::provision::{DirectPath, Port, Provision};

/// A network namespace of a droplet elsewhere. Dropping it has the droplet give it up, and what runs there.
#[derive(Debug)]
pub struct Place {
    home: Arc<Home>,
    id: PlaceId,
    namespace: Arc<Namespace>,
}

impl Place {
    pub(super) fn prepare(home: &Arc<Home>) -> Result<Self, Error> {
        let id = match home.ask(&Request::Prepare)? {
            Answer::Prepared(id) => id,
            other => return Err(home.unexpected(&other)),
        };
        let path = format!("/proc/{}/fd/{id}", home.process);
        let namespace = Namespace::open(path.as_ref()).map_err(|error| Error::Lost {
            name: home.name.clone(),
            reason: format!("{error}; the tester needs all capabilities that it has"),
        })?;
        Ok(Self {
            home: Arc::clone(home),
            id,
            namespace: Arc::new(namespace),
        })
    }

    /// The network namespace.
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Has the droplet install a datapath on ports here; see [`Datapath::install`].
    ///
    /// # Errors
    /// Where it cannot, with the reason, or is gone.
    pub fn install(
        self: &Arc<Self>,
        datapath: &dyn Datapath,
        ports: &VethPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, DatapathError> {
        let name = |interface: &netdev::Interface| interface.name().to_owned();
        let order = Order {
            datapath: datapath.name().to_owned(),
            uplink: name(&ports.uplink),
            endpoints: ports.endpoints.iter().map(name).collect(),
            provision: provision.clone(),
            cpu: cpu.0,
        };
        let request = Request::Install(self.id, Box::new(order));
        match self.ask("installing it elsewhere", &request)? {
            Answer::Installed(threads) => Ok(Box::new(Remote {
                threads: threads.into_iter().map(Tid::of_number).collect(),
                place: Arc::clone(self),
            })),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask(&self, doing: &str, request: &Request) -> Result<Answer, DatapathError> {
        let answer = self.home.ask(request);
        answer.map_err(|error| DatapathError::failed(doing, error))
    }

    fn unexpected(&self, answer: &Answer) -> DatapathError {
        DatapathError::failed(ASKING, self.home.unexpected(answer))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that is gone gave it up already.
        let _ = self.home.ask(&Request::Leave(self.id));
    }
}

/// What is being done where an error says no better.
const ASKING: &str = "asking a droplet elsewhere";

/// A datapath that runs at a droplet elsewhere.
struct Remote {
    /// As it said when it was installed: no datapath's change, and nothing is asked while a trial is timed.
    threads: Vec<Tid>,
    place: Arc<Place>,
}

impl Remote {
    fn done(&self, request: &Request) -> Result<(), DatapathError> {
        match self.place.ask(ASKING, request)? {
            Answer::Done => Ok(()),
            other => Err(self.place.unexpected(&other)),
        }
    }
}

impl Running for Remote {
    fn counters(&mut self) -> Result<Counters, DatapathError> {
        match self.place.ask(ASKING, &Request::Count(self.place.id))? {
            Answer::Counted(counters) => Ok(*counters),
            other => Err(self.place.unexpected(&other)),
        }
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, DatapathError> {
        let request = Request::DirectPaths(self.place.id);
        match self.place.ask(ASKING, &request)? {
            Answer::DirectPaths(paths) => Ok(paths),
            other => Err(self.place.unexpected(&other)),
        }
    }

    fn inject(&mut self, _: Port, _: &[u8]) -> Result<Outcome, DatapathError> {
        let reason = "a droplet elsewhere has ports";
        Err(DatapathError::failed("injecting a frame", reason))
    }

    fn update(&mut self, provision: &Provision) -> Result<(), DatapathError> {
        let provision = Box::new(provision.clone());
        self.done(&Request::Update(self.place.id, provision))
    }

    fn flows(&mut self) -> Result<Option<Vec<String>>, DatapathError> {
        match self.place.ask(ASKING, &Request::Flows(self.place.id))? {
            Answer::Flows(flows) => Ok(flows),
            other => Err(self.place.unexpected(&other)),
        }
    }

    fn check(&self) -> Result<(), DatapathError> {
        self.done(&Request::Check(self.place.id))
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn stop(self: Box<Self>) -> Result<(), DatapathError> {
        self.done(&Request::Stop(self.place.id))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Where it was stopped before, there is nothing left to stop.
        let _ = self.done(&Request::Stop(self.place.id));
    }
}
