//! The droplet's side: installs datapaths for a tester, and answers for them.

use super::Error;
use super::meeting::process_ids;
use super::protocol::{Answer, Hello, Order, PlaceId, Request, SOCKET, VERSION, receive, send};
use crate::environment::container;
use crate::registry;
use datapath_api::{DropletPorts, Error as DatapathError, Running, VethPorts};
use netdev::{Cpu, Namespace, device};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often is looked whether a tester is there.
const LOOK: Duration = Duration::from_millis(100);

/// Serves one tester after the other, as the droplet of this name, without end.
///
/// # Errors
/// Where `folder` is none, or a tester does not want it.
pub fn serve(folder: &Path, name: &str) -> Result<std::convert::Infallible, Error> {
    let is_there = std::fs::metadata(folder);
    is_there.map_err(|reason| Error::Folder {
        folder: folder.to_owned(),
        reason,
    })?;
    let path = folder.join(SOCKET);
    loop {
        match UnixStream::connect(&path) {
            Ok(tester) => serve_tester(tester, name)?,
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

/// Serves a tester until it goes. What was installed goes with it.
///
/// # Errors
/// Where it does not want this droplet.
pub fn serve_tester(mut tester: UnixStream, name: &str) -> Result<(), Error> {
    let hello = Hello {
        version: VERSION,
        name: name.to_owned(),
        process: std::process::id(),
        process_ids: process_ids(),
        container: container(),
    };
    let welcome = send(&mut tester, &hello).and_then(|()| receive(&mut tester));
    match welcome {
        Ok(Some(Answer::Done)) => {}
        Ok(Some(Answer::Failed(reason))) => {
            return Err(Error::Refused {
                name: name.to_owned(),
                reason,
            });
        }
        _ => return Ok(()),
    }
    let mut droplet = Droplet::default();
    while let Ok(Some(request)) = receive(&mut tester) {
        let answer = droplet.answer(request);
        let answer = answer.unwrap_or_else(|error| Answer::Failed(error.to_string()));
        if send(&mut tester, &answer).is_err() {
            break;
        }
    }
    Ok(())
}

/// A network namespace, and what runs there.
struct Place {
    // Dropped first.
    running: Option<Box<dyn Running>>,
    namespace: Arc<Namespace>,
}

#[derive(Default)]
struct Droplet {
    places: HashMap<PlaceId, Place>,
}

impl Droplet {
    fn answer(&mut self, request: Request) -> Result<Answer, DatapathError> {
        Ok(match request {
            Request::Prepare => {
                let namespace = Arc::new(Namespace::new()?);
                let id = namespace.as_fd().as_raw_fd();
                let place = Place {
                    running: None,
                    namespace,
                };
                self.places.insert(id, place);
                Answer::Prepared(id)
            }
            Request::Install(id, order) => {
                let place = self.place(id)?;
                // Two would share ports.
                place.running = None;
                let running = install(&place.namespace, &order)?;
                let threads = running.threads().into_iter().map(|it| it.number());
                let answer = Answer::Installed(threads.collect());
                place.running = Some(running);
                answer
            }
            Request::Count(id) => Answer::Counted(Box::new(self.running(id)?.counters()?)),
            Request::DirectPaths(id) => Answer::DirectPaths(self.running(id)?.direct_paths()?),
            Request::Flows(id) => Answer::Flows(self.running(id)?.flows()?),
            Request::Update(id, provision) => {
                self.running(id)?.update(&provision)?;
                Answer::Done
            }
            Request::Check(id) => {
                self.running(id)?.check()?;
                Answer::Done
            }
            Request::Stop(id) => {
                if let Some(running) = self.place(id)?.running.take() {
                    running.stop()?;
                }
                Answer::Done
            }
            Request::Leave(id) => {
                self.places.remove(&id);
                Answer::Done
            }
        })
    }

    fn place(&mut self, id: PlaceId) -> Result<&mut Place, DatapathError> {
        let place = self.places.get_mut(&id);
        place.ok_or_else(|| DatapathError::failed("looking for a place", "it was given up"))
    }

    fn running(&mut self, id: PlaceId) -> Result<&mut Box<dyn Running>, DatapathError> {
        let running = self.place(id)?.running.as_mut();
        running.ok_or_else(|| DatapathError::failed("asking a datapath", "none is installed"))
    }
}

fn install(namespace: &Arc<Namespace>, order: &Order) -> Result<Box<dyn Running>, DatapathError> {
    let failed = |error: &dyn std::fmt::Display| {
        DatapathError::failed(format!("installing {}", order.datapath), error)
    };
    let mut found =
        registry::select(std::slice::from_ref(&order.datapath)).map_err(|e| failed(&e))?;
    let datapath = found.pop().ok_or_else(|| failed(&"it is gone"))?;
    let endpoints = order.endpoints.iter().map(|name| device(namespace, name));
    let ports = VethPorts {
        namespace: Arc::clone(namespace),
        uplink: device(namespace, &order.uplink)?,
        endpoints: endpoints.collect::<Result<_, _>>()?,
    };
    let ports = DropletPorts::Veth(ports);
    datapath.install(ports, &order.provision, Cpu(order.cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told() {
        let mut droplet = Droplet::default();
        for request in [Request::Count(3), Request::Check(3), Request::Stop(3)] {
            let error = droplet.answer(request).unwrap_err().to_string();
            assert!(error.contains("it was given up"), "{error}");
        }
        assert_eq!(droplet.answer(Request::Leave(3)).unwrap(), Answer::Done);
    }

    #[test]
    fn a_droplet_ends_with_its_tester_and_says_why_it_is_not_wanted() {
        let (mut tester, droplet) = UnixStream::pair().unwrap();
        let served = std::thread::spawn(move || serve_tester(droplet, "left"));
        let hello: Hello = receive(&mut tester).unwrap().unwrap();
        assert_eq!(
            (hello.name.as_str(), hello.process),
            ("left", std::process::id())
        );
        send(&mut tester, &Answer::Done).unwrap();
        send(&mut tester, &Request::Count(3)).unwrap();
        let answer: Answer = receive(&mut tester).unwrap().unwrap();
        assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
        drop(tester);
        assert!(served.join().unwrap().is_ok());

        let (mut tester, droplet) = UnixStream::pair().unwrap();
        let served = std::thread::spawn(move || serve_tester(droplet, "left"));
        let _: Hello = receive(&mut tester).unwrap().unwrap();
        send(&mut tester, &Answer::Failed("it is full".to_owned())).unwrap();
        let error = served.join().unwrap().unwrap_err().to_string();
        assert!(error.ends_with("\"left\": it is full"), "{error}");
    }
}
