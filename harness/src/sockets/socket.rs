//! Sockets that never wait for ever.

use super::Trouble;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often what waits looks whether it shall go on.
const TICK: Duration = Duration::from_millis(100);
/// How long nothing may come or go before a connection counts as dead: a machine may stall.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Set when those who wait for each other shall give up.
#[derive(Debug, Default)]
pub struct Abort(AtomicBool);

impl Abort {
    /// Has everybody give up.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to give up.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Repeats `attempt`, which waits for a moment, until it is done.
    fn patiently<T>(
        &self,
        doing: &'static str,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Result<T, Trouble> {
        let began = Instant::now();
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(source) if !is_a_wait(&source) => {
                    return Err(Trouble::Socket { doing, source });
                }
                Err(_) if self.is_set() => return Err(Trouble::GivenUp),
                Err(_) if began.elapsed() > PATIENCE => return Err(Trouble::Stalled { doing }),
                Err(_) => {}
            }
        }
    }
}

fn is_a_wait(error: &io::Error) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

/// What it means that the kernel refuses this address.
pub(super) fn refused(address: SocketAddrV4) -> impl Fn(io::Error) -> Trouble {
    move |source| match source.kind() {
        ErrorKind::PermissionDenied => Trouble::Port {
            port: address.port(),
        },
        _ => Trouble::Socket {
            doing: "listening",
            source,
        },
    }
}

/// A socket that listens at an address of the calling thread's namespace.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// At an address.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn at(address: SocketAddrV4) -> Result<Self, Trouble> {
        let doing = "listening";
        let failed = |source| Trouble::Socket { doing, source };
        let listener = TcpListener::bind(address).map_err(refused(address))?;
        let tick = libc::timeval {
            tv_sec: 0,
            tv_usec: TICK.as_micros() as libc::suseconds_t,
        };
        // SAFETY: a valid descriptor, and a value of the size that is given. It bounds accept(2); see socket(7).
        let set = unsafe {
            libc::setsockopt(
                listener.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const tick).cast(),
                size_of_val(&tick) as libc::socklen_t,
            )
        };
        match set {
            0 => Ok(Self(listener)),
            _ => Err(failed(io::Error::last_os_error())),
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn address(&self) -> Result<SocketAddr, Trouble> {
        let doing = "listening";
        let address = self.0.local_addr();
        address.map_err(|source| Trouble::Socket { doing, source })
    }

    /// The next connection; `None` once `is_over`.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn accept(&self, is_over: impl Fn() -> bool) -> Result<Option<Connection>, Trouble> {
        let doing = "accepting a connection";
        while !is_over() {
            match self.0.accept() {
                Ok((stream, _)) => return Connection::new(stream).map(Some),
                Err(error) if is_a_wait(&error) => {}
                Err(source) => return Err(Trouble::Socket { doing, source }),
            }
        }
        Ok(None)
    }
}

/// A connection that sends what it has at once.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    fn new(stream: TcpStream) -> Result<Self, Trouble> {
        let options = || -> io::Result<()> {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TICK))?;
            stream.set_write_timeout(Some(TICK))
        };
        let doing = "setting options of a socket";
        options().map_err(|source| Trouble::Socket { doing, source })?;
        Ok(Self(stream))
    }

    /// A connection to `address`.
    ///
    /// # Errors
    /// Where nobody answers.
    pub fn to(address: SocketAddr) -> Result<Self, Trouble> {
        let doing = "connecting";
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => Self::new(stream),
            Err(error) if is_a_wait(&error) => Err(Trouble::Stalled { doing }),
            Err(source) => Err(Trouble::Socket { doing, source }),
        }
    }

    /// What came, at least a byte; 0 at the end.
    ///
    /// # Errors
    /// Where nothing comes, or the connection broke.
    pub fn read(&mut self, buffer: &mut [u8], abort: &Abort) -> Result<usize, Trouble> {
        abort.patiently("waiting for data", || self.0.read(buffer))
    }

    /// Sends some of `bytes`; how many.
    ///
    /// # Errors
    /// Where nothing goes, or the connection broke.
    pub fn write(&mut self, bytes: &[u8], abort: &Abort) -> Result<usize, Trouble> {
        abort.patiently("sending data", || self.0.write(bytes))
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// Where the connection broke.
    pub fn finish(&self) -> Result<(), Trouble> {
        let doing = "ending a connection";
        let ended = self.0.shutdown(std::net::Shutdown::Write);
        ended.map_err(|source| Trouble::Socket { doing, source })
    }

    /// Segments that were sent again so far; `None` where the kernel does not tell.
    pub fn retransmitted(&self) -> Option<u64> {
        // SAFETY: all zeros are a valid value; the kernel writes as much of it as it knows and is given room for.
        unsafe {
            let mut info: libc::tcp_info = std::mem::zeroed();
            let mut length = size_of_val(&info) as libc::socklen_t;
            let asked = libc::getsockopt(
                self.0.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            );
            (asked == 0).then(|| u64::from(info.tcpi_total_retrans))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_not_allowed_is_said_with_what_it_needs() {
        let address = SocketAddrV4::new([10, 0, 0, 1].into(), 80);
        let said = refused(address)(ErrorKind::PermissionDenied.into()).to_string();
        assert!(said.contains("port 80") && said.contains("CAP_NET_BIND_SERVICE"));
        let other = refused(address)(ErrorKind::AddrInUse.into());
        assert!(matches!(other, Trouble::Socket { .. }));
    }
}
