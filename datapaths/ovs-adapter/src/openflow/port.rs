//! Counters of ports: `OFPMP_PORT_STATS` (OpenFlow 1.4 section 7.3.5.6).

use super::rule::read_duration;
use super::wire::Reader;
use crate::flow::PortNumber;
use std::time::Duration;

/// What a port counted. `None` is for what its type does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortStats {
    /// The port.
    pub port: PortNumber,
    /// How long it has been there.
    pub age: Duration,
    /// Packets that arrived.
    pub rx_packets: Option<u64>,
    /// Packets that left.
    pub tx_packets: Option<u64>,
    /// Bytes that arrived.
    pub rx_bytes: Option<u64>,
    /// Bytes that left.
    pub tx_bytes: Option<u64>,
    /// Packets that arrived and were dropped.
    pub rx_dropped: Option<u64>,
    /// Packets that were to leave and were dropped.
    pub tx_dropped: Option<u64>,
    /// Packets that arrived damaged.
    pub rx_errors: Option<u64>,
    /// Packets that could not be sent.
    pub tx_errors: Option<u64>,
}

/// Reads the counters of ports to the end (`struct ofp14_port_stats`).
pub fn read(mut reader: Reader<'_>, ports: &mut Vec<PortStats>) -> Option<()> {
    while !reader.0.is_empty() {
        let len = usize::from(reader.u16()?);
        let port = reader.take(len.checked_sub(2)?)?;
        ports.push(read_port(Reader(port))?);
    }
    Some(())
}

fn read_port(mut reader: Reader<'_>) -> Option<PortStats> {
    reader.skip(2)?;
    let port = PortNumber(reader.u32()?);
    let age = read_duration(&mut reader)?;
    let mut count = || match reader.u64()? {
        u64::MAX => Some(None),
        count => Some(Some(count)),
    };
    Some(PortStats {
        port,
        age,
        rx_packets: count()?,
        tx_packets: count()?,
        rx_bytes: count()?,
        tx_bytes: count()?,
        rx_dropped: count()?,
        tx_dropped: count()?,
        rx_errors: count()?,
        tx_errors: count()?,
    })
}
