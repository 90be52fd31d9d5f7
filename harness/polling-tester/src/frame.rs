//! A frame written, and recognised again.

use mizar_wire::{Be16, ethernet, ipv4};
use workload::{Entry, Stamp};
use zerocopy::{FromBytes, IntoBytes};

/// Writes an entry's first bytes and the stamp; the payload behind is what was there before.
#[inline(always)]
pub fn write(frame: &mut [u8], entry: &Entry, stamp: &Stamp) {
    let head = entry.head.as_bytes();
    let len = head.len().min(frame.len());
    frame[..len].copy_from_slice(&head[..len]);
    let inner = usize::from(entry.inner_at);
    let at = inner + usize::from(entry.stamp_at);
    if let Some(place) = frame.get_mut(at..at + size_of::<Stamp>()) {
        place.copy_from_slice(stamp.as_bytes());
    }
    let at = inner + usize::from(entry.checksum_at);
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(stamp.checksum(entry).as_bytes());
    }
}

/// Stamp, inner IPv4 header and ports of a frame of the workload.
#[inline(always)]
pub fn read(frame: &[u8], inner_at: usize) -> Option<(Stamp, ipv4::Header, u32)> {
    let behind_ethernet = frame.get(inner_at + ethernet::LEN..)?;
    let (ip, transport) = ipv4::Header::read_from_prefix(behind_ethernet).ok()?;
    let (ports, _) = <[Be16; 2]>::read_from_prefix(transport).ok()?;
    let stamp_at = if ip.protocol == ipv4::UDP { 8 } else { 4 };
    let (stamp, _) = Stamp::read_from_prefix(transport.get(stamp_at..)?).ok()?;
    let ports = u32::from(ports[0].raw()) | u32::from(ports[1].raw()) << 16;
    Some((stamp, ip, ports))
}
