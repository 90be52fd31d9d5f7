//! What is done with a frame, and the answers to what is asked meanwhile.

use anyhow::{Context, bail};
use datapath_api::{Counters, Cycles, Polling};
use dpdk_protocol::{Answer, Counted, Device, Request, Role, Start, Work};
use mizar_droplet::{Action, Buffer, Droplet};
use mizar_tables::{Entries, Native};
use topologies::provision::{EndpointPort, Port};

/// A device by its place in the list of devices.
pub type Place = usize;

/// Decides about frames.
pub enum Forwarder {
    Mizar {
        droplet: Box<Droplet>,
        uplink: Place,
        /// By number.
        endpoints: Vec<Option<Place>>,
        stack: Option<Place>,
        /// What each device is for.
        roles: Vec<Role>,
    },
    /// Where what comes by each device leaves.
    Forward(Vec<Option<Place>>),
}

/// The rest of what is counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub handled: u64,
    /// None where the engine does not know.
    pub unsent: Option<u64>,
    pub cycles: Cycles,
}

impl Forwarder {
    /// For the work and devices of `start`.
    pub fn new(start: &Start) -> anyhow::Result<Self> {
        let place = |role: Role| start.devices.iter().position(|device| device.role == role);
        match &start.work {
            Work::Mizar(provision) => {
                let entries = Entries::encode(provision).context("the droplet's tables")?;
                Ok(Self::Mizar {
                    droplet: Box::new(Droplet::new(Native::new(&entries).with_established())),
                    uplink: place(Role::Droplet(Port::Uplink)).context("there is no uplink")?,
                    endpoints: endpoints(&start.devices),
                    stack: place(Role::Stack),
                    roles: start.devices.iter().map(|device| device.role).collect(),
                })
            }
            Work::Forward(paths) => Ok(Self::Forward(places(&start.devices, paths)?)),
            Work::Test(_) | Work::Simulate(_) | Work::Inject => {
                bail!("this is no work for a forwarder")
            }
        }
    }

    /// By which device everything leaves that comes by `from`, where that is so whatever it is.
    #[inline(always)]
    pub fn passes_all_on(&self, from: Place) -> Option<Place> {
        match self {
            Self::Mizar { .. } => None,
            Self::Forward(paths) => paths.get(from).copied().flatten(),
        }
    }

    /// Does what is to be done with a frame that came by a device; says by which it leaves.
    #[inline(always)]
    pub fn decide(&mut self, from: Place, frame: &mut impl Buffer) -> Option<Place> {
        match self {
            Self::Mizar {
                droplet,
                uplink,
                endpoints,
                stack,
                roles,
            } => {
                let action = match roles.get(from) {
                    Some(Role::Droplet(Port::Uplink)) => droplet.transit(frame),
                    Some(Role::Droplet(Port::Endpoint(EndpointPort(port)))) => {
                        droplet.agent(usize::from(*port), frame)
                    }
                    // What the stack sends on the underlay.
                    Some(Role::Stack) => Action::Uplink,
                    None => return None,
                };
                match action {
                    Action::Uplink => Some(*uplink),
                    Action::Endpoint(port) => endpoints.get(port as usize).copied().flatten(),
                    Action::Stack => *stack,
                    Action::Refused(_) => None,
                }
            }
            Self::Forward(paths) => paths.get(from).copied().flatten(),
        }
    }

    /// Answers what is asked while frames are forwarded.
    pub fn answer(&mut self, request: &Request, tally: Tally) -> Answer {
        match (request, &mut *self) {
            (Request::Offer(_) | Request::Inject(..) | Request::Collect, _) => {
                Answer::Failed("this is no tester".to_owned())
            }
            (Request::Start(_), _) => Answer::Failed("it was started already".to_owned()),
            (Request::Update(provision), Self::Mizar { droplet, .. }) => {
                match Entries::encode(provision) {
                    Ok(entries) => {
                        droplet.update(&entries);
                        Answer::Updated
                    }
                    Err(error) => Answer::Failed(error.to_string()),
                }
            }
            (Request::Update(_), Self::Forward(_)) => {
                Answer::Failed("this is no droplet".to_owned())
            }
            (Request::Count, forwarder) => Answer::Counted(Box::new(Counted {
                counters: Counters {
                    polling: Some(Box::new(Polling {
                        received: tally.handled,
                        cycles: tally.cycles,
                    })),
                    ..match forwarder {
                        Self::Mizar { droplet, .. } => droplet.counters(),
                        Self::Forward(_) => Counters::default(),
                    }
                },
                handled: tally.handled,
                unsent: tally.unsent,
            })),
            (Request::DirectPaths, Self::Mizar { droplet, .. }) => {
                Answer::DirectPaths(droplet.direct_paths())
            }
            (Request::DirectPaths, Self::Forward(_)) => Answer::DirectPaths(Vec::new()),
        }
    }
}

/// Where what comes by each device leaves.
pub fn places(devices: &[Device], paths: &[(Port, Port)]) -> anyhow::Result<Vec<Option<Place>>> {
    let place = |port: Port| {
        let found = devices
            .iter()
            .position(|device| device.role == Role::Droplet(port));
        found.with_context(|| format!("no device is {port}"))
    };
    let mut places = vec![None; devices.len()];
    for (from, to) in paths {
        places[place(*from)?] = Some(place(*to)?);
    }
    Ok(places)
}

/// The devices of endpoint ports, by number.
fn endpoints(devices: &[Device]) -> Vec<Option<Place>> {
    let mut endpoints = Vec::new();
    for (place, device) in devices.iter().enumerate() {
        if let Role::Droplet(Port::Endpoint(EndpointPort(number))) = device.role {
            let number = usize::from(number);
            if endpoints.len() <= number {
                endpoints.resize(number + 1, None);
            }
            endpoints[number] = Some(place);
        }
    }
    endpoints
}
