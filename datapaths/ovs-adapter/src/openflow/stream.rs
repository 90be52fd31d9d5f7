//! A socket that is written in large pieces and never blocks while there is something to read: a switch stops
//! reading when what it has to say is not read.

use super::wire::{HEADER, Header, Reader};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How much is read by one system call at the most.
const READ: usize = 256 << 10;

/// How much may be there unread before nothing more is read ahead.
const READ_AHEAD: usize = 16 << 20;

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Nothing,
    Something,
}

/// A socket with buffers.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    /// What was read; of it the bytes in `unread` were not returned yet.
    input: Vec<u8>,
    unread: Range<usize>,
    /// What is to be written.
    pub output: Vec<u8>,
    /// How long the other side may do nothing.
    patience: Duration,
}

impl Stream {
    pub fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            input: Vec::new(),
            unread: 0..0,
            output: Vec::new(),
            patience,
        })
    }

    /// Whether the other side closed the socket. What it wrote before may still be unread.
    pub fn is_closed(&self) -> bool {
        // POLLHUP is told without being asked for; where that fails, so will what comes next.
        matches!(self.wait(0, Duration::ZERO), Ok(Ready::Something))
    }

    /// Writes all of the output. Reads what comes meanwhile.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.output.get(written..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.wait(libc::POLLIN | libc::POLLOUT, self.patience)? == Ready::Nothing {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    self.fill()?;
                }
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Reads what came, without waiting. A switch drops packets when more than a hundred wait to be read.
    pub fn read_ahead(&mut self) -> io::Result<()> {
        if self.unread.len() < READ_AHEAD {
            self.fill()?;
        }
        Ok(())
    }

    /// The next message: its header, and where it is, header and all. Waits until `deadline`.
    pub fn next(&mut self, deadline: Instant) -> io::Result<Option<(Header, Range<usize>)>> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if self.fill()? == Ready::Something {
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.wait(libc::POLLIN, left)? == Ready::Nothing {
                return Ok(None);
            }
        }
    }

    /// The next message if it was read already.
    pub fn buffered(&mut self) -> io::Result<Option<(Header, Range<usize>)>> {
        let Some(header) = Reader(self.bytes(self.unread.clone())).header() else {
            return Ok(None);
        };
        if header.length < HEADER {
            let reason = "a message is shorter than its header";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if self.unread.len() < header.length {
            return Ok(None);
        }
        let start = self.unread.start;
        self.unread.start += header.length;
        Ok(Some((header, start..self.unread.start)))
    }

    /// Bytes of a message, until the next one is asked for.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.input.get(range).unwrap_or_default()
    }

    /// Reads once, without waiting.
    fn fill(&mut self) -> io::Result<Ready> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start >= READ {
            self.input.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let end = self.unread.end;
        if self.input.len() < end + READ {
            self.input.resize(end + READ, 0);
        }
        let space = self.input.get_mut(end..).unwrap_or_default();
        match self.socket.read(space) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the switch closed the connection",
            )),
            Ok(len) => {
                self.unread.end += len;
                Ok(Ready::Something)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Ready::Nothing),
                _ => Err(error),
            },
        }
    }

    /// Waits until one of the events comes, or for this time.
    fn wait(&self, events: i16, time: Duration) -> io::Result<Ready> {
        let mut descriptor = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events,
            revents: 0,
        };
        let time = libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: one descriptor, which lives as long as the call, as do the time and no signal mask.
        let ready =
            unsafe { libc::ppoll(&raw mut descriptor, 1, &raw const time, std::ptr::null()) };
        if ready > 0 {
            return Ok(Ready::Something);
        }
        if ready == 0 {
            return Ok(Ready::Nothing);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(Ready::Something),
            error => Err(error),
        }
    }
}
