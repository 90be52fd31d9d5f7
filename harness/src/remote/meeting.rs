//! The tester's side: droplets that came, and how they are asked.

use super::Error;
use super::place::Place;
use super::protocol::{Answer, Hello, Request, SOCKET, VERSION, receive, send};
use crate::record::DropletHome;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long droplets may take to come.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long one that connected may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);
/// How long an answer may take: to install a switch on a busy machine may take a while.
const ANSWER: Duration = Duration::from_secs(120);
/// What is said of a droplet that answers no more.
const GONE: &str = "it is gone, and its container or process with it";
/// How often is looked whether one came.
const LOOK: Duration = Duration::from_millis(20);

/// The namespace of this process's ids, as the kernel calls it.
pub(super) fn process_ids() -> String {
    let path = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    path.to_string_lossy().into_owned()
}

/// A droplet that came.
#[derive(Debug)]
pub(super) struct Home {
    pub name: String,
    pub process: u32,
    container: Option<String>,
    /// The connection, or why it is of no use any more.
    socket: Mutex<Result<UnixStream, String>>,
}

impl Home {
    /// Asks it something. Where that fails it is asked nothing again, for what came later would be an answer to this.
    pub fn ask(&self, request: &Request) -> Result<Answer, Error> {
        let lost = |reason: String| Error::Lost {
            name: self.name.clone(),
            reason,
        };
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = socket.as_mut().map_err(|reason| lost(reason.clone()))?;
        let answer = send(connection, request).and_then(|()| receive(connection));
        let reason = match answer {
            Ok(Some(Answer::Failed(reason))) => return Err(lost(reason)),
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => GONE.to_owned(),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                ) =>
            {
                GONE.to_owned()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                format!("it did not answer within {} s", ANSWER.as_secs())
            }
            Err(error) => error.to_string(),
        };
        *socket = Err(reason.clone());
        Err(lost(reason))
    }

    pub fn unexpected(&self, answer: &Answer) -> Error {
        Error::Lost {
            name: self.name.clone(),
            reason: format!("it answered {answer:?}"),
        }
    }
}

/// The droplets of a run, all of which came.
#[derive(Debug)]
pub struct Meeting {
    homes: Vec<Arc<Home>>,
}

impl Meeting {
    /// Waits in `folder` until all these droplets came, or `is_interrupted`.
    ///
    /// # Errors
    /// [`Error::Missing`] with their names where some did not within `patience`.
    pub fn open(
        folder: &Path,
        names: &[String],
        patience: Duration,
        is_interrupted: &dyn Fn() -> bool,
    ) -> Result<Self, Error> {
        let (listener, _removed) = listen(folder).map_err(|reason| Error::Folder {
            folder: folder.to_owned(),
            reason,
        })?;
        let began = Instant::now();
        let mut homes: Vec<Arc<Home>> = Vec::new();
        loop {
            let has_come = |name: &String| homes.iter().any(|home| home.name == *name);
            let missing: Vec<String> = names.iter().filter(|it| !has_come(it)).cloned().collect();
            if missing.is_empty() {
                homes.sort_by_key(|home| names.iter().position(|name| *name == home.name));
                return Ok(Self { homes });
            }
            if is_interrupted() {
                return Err(Error::Interrupted(missing));
            }
            if began.elapsed() > patience {
                return Err(Error::Missing {
                    missing,
                    seconds: patience.as_secs(),
                    folder: folder.to_owned(),
                });
            }
            match listener.accept() {
                Ok((socket, _)) => match greet(socket, names, &missing) {
                    Ok(home) => homes.push(Arc::new(home)),
                    Err(reason) => tracing::warn!("somebody came who is no droplet here: {reason}"),
                },
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// A place for one datapath at the droplet of this name.
    ///
    /// # Errors
    /// Where it is not here, or gone.
    pub fn place(&self, name: &str) -> Result<Arc<Place>, Error> {
        let home = self.homes.iter().find(|home| home.name == name);
        let home = home.ok_or_else(|| Error::Unknown(name.to_owned()))?;
        Place::prepare(home).map(Arc::new)
    }

    /// Where its droplets run, for the record.
    pub fn described(&self) -> Vec<DropletHome> {
        let described = |home: &Arc<Home>| DropletHome {
            droplet: home.name.clone(),
            container: home.container.clone(),
        };
        self.homes.iter().map(described).collect()
    }
}

/// Removes the socket when all came, so that nobody comes later.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn listen(folder: &Path) -> io::Result<(UnixListener, Removed)> {
    let path = folder.join(SOCKET);
    // What a tester that was killed left.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    Ok((listener, Removed(path)))
}

/// Has a droplet say who it is, and says whether it is one of `names` and still `wanted`.
fn greet(mut socket: UnixStream, names: &[String], wanted: &[String]) -> Result<Home, String> {
    let said = |error: io::Error| error.to_string();
    socket.set_nonblocking(false).map_err(said)?;
    socket.set_read_timeout(Some(HELLO)).map_err(said)?;
    socket.set_write_timeout(Some(ANSWER)).map_err(said)?;
    let hello: Hello = receive(&mut socket)
        .map_err(said)?
        .ok_or("it said nothing")?;
    let refused = if hello.version != VERSION {
        let reason = "it is of another version of bench; use one image or build for the tester and all droplets";
        Some(reason.to_owned())
    } else if !names.contains(&hello.name) {
        Some(format!("expected one of: {}", wanted.join(", ")))
    } else if !wanted.contains(&hello.name) {
        Some("one of that name is here already".to_owned())
    } else if hello.process_ids != process_ids() {
        let reason = "it has process ids of its own, and the kernel's threads that receive have none there; share the \
                      host's (`pid: host`, `docker run --pid host`) here and there";
        Some(reason.to_owned())
    } else {
        None
    };
    if let Some(reason) = refused {
        send(&mut socket, &Answer::Failed(reason.clone())).map_err(said)?;
        return Err(format!("{}: {reason}", hello.name));
    }
    send(&mut socket, &Answer::Done).map_err(said)?;
    socket.set_read_timeout(Some(ANSWER)).map_err(said)?;
    Ok(Home {
        name: hello.name,
        process: hello.process,
        container: hello.container,
        socket: Mutex::new(Ok(socket)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: [&str; 2]) -> Vec<String> {
        names.map(str::to_owned).to_vec()
    }

    fn hello(name: &str, process_ids: String) -> Hello {
        Hello {
            version: VERSION,
            name: name.to_owned(),
            process: std::process::id(),
            process_ids,
            container: Some("box".to_owned()),
        }
    }

    /// Comes to a tester as `hello`, once it listens, and hands its answer on.
    fn come(folder: &Path, hello: &Hello) -> (UnixStream, Answer) {
        let mut socket = loop {
            match UnixStream::connect(folder.join(SOCKET)) {
                Ok(socket) => break socket,
                Err(_) => std::thread::sleep(LOOK),
            }
        };
        send(&mut socket, hello).unwrap();
        let answer = receive(&mut socket).unwrap().unwrap();
        (socket, answer)
    }

    #[test]
    fn who_does_not_come_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = names(["left", "right"]);
        let patience = Duration::from_secs(2);
        let error = std::thread::scope(|scope| {
            scope.spawn(|| come(folder.path(), &hello("left", process_ids())));
            Meeting::open(folder.path(), &wanted, patience, &|| false).unwrap_err()
        });
        let text = error.to_string();
        assert!(
            text.starts_with("right did not come within 2 s; start"),
            "{text}"
        );
        assert!(!folder.path().join(SOCKET).exists());
    }

    #[test]
    fn who_is_not_wanted_is_told_why_and_one_that_goes_away_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = names(["left", "right"]);
        let meeting = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (_, stranger) = come(folder.path(), &hello("middle", process_ids()));
                let (_, elsewhere) = come(folder.path(), &hello("left", "pid:[1]".to_owned()));
                let of_old = Hello {
                    version: 0,
                    ..hello("left", process_ids())
                };
                let (_, old) = come(folder.path(), &of_old);
                let refused = [
                    (stranger, "one of: left, right"),
                    (elsewhere, "pid: host"),
                    (old, "another version of bench"),
                ];
                for (answer, why) in refused {
                    let Answer::Failed(reason) = answer else {
                        panic!("it was taken");
                    };
                    assert!(reason.contains(why), "{reason}");
                }
                // The connection ends with it.
                let (_, answer) = come(folder.path(), &hello("left", process_ids()));
                assert_eq!(answer, Answer::Done);
                let (_, again) = come(folder.path(), &hello("left", process_ids()));
                let taken = "one of that name is here already".to_owned();
                assert_eq!(again, Answer::Failed(taken));
                let (_, answer) = come(folder.path(), &hello("right", process_ids()));
                assert_eq!(answer, Answer::Done);
            });
            Meeting::open(folder.path(), &wanted, PATIENCE, &|| false).unwrap()
        });
        assert_eq!(meeting.described()[0].container.as_deref(), Some("box"));
        for _ in 0..2 {
            let error = meeting.place("right").unwrap_err().to_string();
            assert!(
                error.starts_with("droplet \"right\": it is gone"),
                "{error}"
            );
        }
        let error = meeting.place("middle").unwrap_err();
        assert!(matches!(error, Error::Unknown(_)));
    }

    #[test]
    fn garbage_is_no_droplet() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        io::Write::write_all(&mut theirs, b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let names = names(["left", "right"]);
        assert!(greet(ours, &names, &names).is_err());
    }
}
