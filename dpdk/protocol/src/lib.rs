//! What the harness and a DPDK process say to each other over a Unix socket: the harness asks, the process answers.
//!
//! DPDK's environment starts once a process and takes it over, so it never runs in the harness. A message is its length
//! in four bytes, the most significant first, and that much JSON.

use datapath_api::Counters;
use polling_tester::{Order, Outcome};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use topologies::provision::{DirectPath, Port, Provision};

/// The longest message: tables of the most endpoints that the core holds are shorter.
const LONGEST: u32 = 256 << 20;

/// How frames come in and go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// `rx_burst` and `tx_burst` in a loop.
    Burst,
    /// The runtime and pipelines of the crate `capsule`.
    Capsule,
}

/// Where memory for frames comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Hugepages, which must be free.
    Huge,
    /// Ordinary pages: slower, and not for ports that share memory with another process.
    Ordinary,
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// One of the droplet's ports.
    Droplet(Port),
    /// Towards the host's network stack.
    Stack,
}

/// A port: a virtual device of DPDK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What it is for.
    pub role: Role,
    /// Driver and number, as `net_af_packet0`.
    pub name: String,
    /// What the driver is told, as `iface=eth0`.
    pub arguments: String,
}

impl Device {
    /// The socket that it connects to, if it is a vhost-user port.
    pub fn vhost_socket(&self) -> Option<&str> {
        let mut arguments = self.arguments.split(',');
        let socket = arguments.find_map(|argument| argument.strip_prefix("iface="));
        socket.filter(|_| self.name.starts_with(VHOST))
    }
}

/// DPDK's driver for the device side of a vhost-user port.
pub const VHOST: &str = "net_vhost";

/// What is done with frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// What the core says, with these tables.
    Mizar(Box<Provision>),
    /// What comes by one port leaves by another, unchanged.
    Forward(Vec<(Port, Port)>),
    /// What comes by one port leaves by another, less and later as a law says.
    Simulate(Simulated),
    /// A tester offers a workload, and judges what comes back.
    Test(Test),
    /// Single frames go out as they are told, and what comes is kept until it is asked for.
    Inject,
}

/// A device with a known law, to try testers on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// By which port a frame leaves that came by another.
    pub paths: Vec<(Port, Port)>,
    /// The last of as many frames is dropped, over all ports; zero to drop none.
    pub drop_last_of: u64,
    /// Nanoseconds that a frame is held, the even and the odd ones, counted from zero over all ports.
    pub hold: [u64; 2],
}

/// A workload for a tester, whose ports are the devices in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// A file of `workload::Entry`s, one behind the other as they lie in memory. It is read before the process says
    /// that it started.
    pub entries: PathBuf,
    /// See `polling_tester::PollingTester::new`.
    pub inner_at: Vec<Option<u32>>,
}

/// How to begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// How frames come in and go out.
    pub engine: Engine,
    /// The processor that forwards.
    pub cpu: usize,
    /// Where memory comes from.
    pub memory: Memory,
    /// Mebibytes of it.
    pub mebibytes: u32,
    /// The ports.
    pub devices: Vec<Device>,
    /// What is done with frames.
    pub work: Work,
}

/// What the harness asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Begin. Comes first, once.
    Start(Box<Start>),
    /// What was counted?
    Count,
    /// Which direct paths are known?
    DirectPaths,
    /// Take these tables.
    Update(Box<Provision>),
    /// Have the tester carry this out.
    Offer(Order),
    /// Send a frame by the device at this place.
    Inject(usize, Vec<u8>),
    /// What came since the last time, and by the devices at which places?
    Collect,
}

/// What was counted since the beginning.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// What the droplet counted, and what the thread did with its time.
    pub counters: Counters,
    /// Frames that were received and of which everything is done.
    pub handled: u64,
    /// Frames that a full port did not take, where the engine knows.
    pub unsent: Option<u64>,
}

/// What the process answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It does its work: the other sides of all ports are there.
    Started,
    /// What was counted.
    Counted(Box<Counted>),
    /// Direct paths, in no order.
    DirectPaths(Vec<DirectPath>),
    /// It has the tables.
    Updated,
    /// What the tester counted.
    Tested(Box<Outcome>),
    /// The frame was sent.
    Sent,
    /// Frames that came, with the places of their devices, of which each one's are in order.
    Collected(Vec<(usize, Vec<u8>)>),
    /// It could not, for this reason.
    Failed(String),
}

/// Sends a message.
///
/// # Errors
/// Where the other side is gone.
pub fn send(socket: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::Error::other("a message is too long"))?;
    socket.write_all(&length.to_be_bytes())?;
    socket.write_all(&text)?;
    socket.flush()
}

/// Receives a message; `None` where the other side ended.
///
/// # Errors
/// Where the connection fails, or what comes is no such message.
pub fn receive<M: DeserializeOwned>(socket: &mut impl Read) -> io::Result<Option<M>> {
    let mut length = [0; 4];
    match socket.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("a message is too long"));
    }
    let mut text = vec![0; length as usize];
    socket.read_exact(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received_and_an_end_is_noticed() {
        let mut wire = Vec::new();
        send(&mut wire, &Request::Count).unwrap();
        send(&mut wire, &Request::DirectPaths).unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(receive(&mut wire).unwrap(), Some(Request::Count));
        assert_eq!(receive(&mut wire).unwrap(), Some(Request::DirectPaths));
        assert_eq!(receive::<Request>(&mut wire).unwrap(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let long = [0xff; 8];
        assert!(receive::<Request>(&mut long.as_slice()).is_err());
        let garbage = [0, 0, 0, 2, b'x', b'y'];
        assert!(receive::<Request>(&mut garbage.as_slice()).is_err());
    }
}
