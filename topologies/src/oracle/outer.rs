//! The outer headers: Ethernet, IPv4, UDP, Geneve and its four options.
//!
//! Offsets are fixed: the outer IPv4 header has no options, and Mizar's options lie at fixed places.

use super::bytes::{
    checksum, ip_at, mac_at, put, put_ip, put_mac, put_u16, reaches, u8_at, u16_at,
};
use super::inner::Target;
use super::{Outcome, Step, abort, drop_frame};
use crate::provision::Host;
use mizar_wire::{Ipv4, Mac, Vni};

const IPV4: usize = 14;
const UDP: usize = IPV4 + 20;
const GENEVE: usize = UDP + 8;
const OPTIONS: usize = GENEVE + 8;
const SCALED: usize = OPTIONS + 16;
const POD: usize = OPTIONS + 48;
const NAMESPACE: usize = OPTIONS + 56;

const TOS: usize = IPV4 + 1;
const TTL: usize = IPV4 + 8;
const CHECKSUM: usize = IPV4 + 10;
const SRC: usize = IPV4 + 12;
const DST: usize = IPV4 + 16;

const CLASS: u16 = 0x1101;
const PORT: u16 = 6081;
const ETHERNET: u16 = 0x6558;
/// Flag of return-to-sender.
const DIRECT_PATH: u8 = 0x01;
/// Flag of the Geneve header: it has a critical option.
const CRITICAL: u8 = 0x40;
/// `IPTOS_MINCOST`: low priority.
const LOW_PRIORITY: u8 = 0x02;

/// A frame with Mizar's outer headers.
#[derive(Debug)]
pub struct Outer {
    pub frame: Vec<u8>,
    pub vni: Vni,
    /// Where the inner Ethernet header lies.
    pub inner: usize,
    /// The frame as it came.
    pub as_it_came: Vec<u8>,
    /// The host by whose direct path the packet came.
    pub direct_from: Option<Host>,
    /// The host from which the packet came back.
    pub back_from: Option<Host>,
    /// Whether the packet came back.
    pub came_back: bool,
    /// Whether it came with the short header. Return-to-sender is in its place all the same: it names who sent it.
    pub came_short: bool,
}

impl Outer {
    /// Checks the outer headers of what arrived at `droplet`, which may read the short header.
    pub fn parse(mut frame: Vec<u8>, droplet: Ipv4, reads_short: bool) -> Step<Self> {
        if !reaches(&frame, 0, 14) {
            return Err(abort("Ethernet header truncated"));
        }
        if u16_at(&frame, 12) != 0x0800 {
            return Err(Outcome::ToStack { frame });
        }
        if !reaches(&frame, IPV4, 20) {
            return Err(abort("IPv4 header truncated"));
        }
        if u8_at(&frame, IPV4 + 9) != 17 {
            return Err(Outcome::ToStack { frame });
        }
        let is_fragment = u16_at(&frame, IPV4 + 6) & 0x3fff != 0;
        if u8_at(&frame, IPV4) != 0x45 || is_fragment {
            return Err(Outcome::ToStack { frame });
        }
        if u8_at(&frame, TTL) == 0 {
            return Err(drop_frame("TTL is zero"));
        }
        if ip_at(&frame, DST) != droplet {
            return Err(drop_frame("addressed to another droplet"));
        }
        if !reaches(&frame, UDP, 8) {
            return Err(abort("UDP header truncated"));
        }
        if u16_at(&frame, UDP + 2) != PORT {
            return Err(Outcome::ToStack { frame });
        }
        if !reaches(&frame, GENEVE, 8) {
            return Err(abort("Geneve header truncated"));
        }
        if u16_at(&frame, GENEVE + 2) != ETHERNET {
            return Err(Outcome::ToStack { frame });
        }
        let option_words = usize::from(u8_at(&frame, GENEVE) & 0x3f);
        if !reaches(&frame, OPTIONS, 48) || option_words < 12 {
            return Err(abort("Geneve options truncated"));
        }
        let came_short = reads_short && is_short(&frame);
        if came_short {
            lengthen(&mut frame, droplet)?;
        }
        let option_words = usize::from(u8_at(&frame, GENEVE) & 0x3f);
        if u16_at(&frame, OPTIONS) != CLASS || u16_at(&frame, SCALED) != CLASS {
            return Err(abort("Geneve option of another class"));
        }
        let identifier =
            u32::from(u16_at(&frame, GENEVE + 4)) << 8 | u32::from(u8_at(&frame, GENEVE + 6));
        let vni = Vni::new(identifier).unwrap_or_default();
        let named = Host {
            ip: ip_at(&frame, OPTIONS + 5),
            mac: mac_at(&frame, OPTIONS + 9),
        };
        let (kind, flags) = (u8_at(&frame, OPTIONS + 2), u8_at(&frame, OPTIONS + 4));
        Ok(Self {
            as_it_came: frame.clone(),
            frame,
            vni,
            inner: OPTIONS + option_words * 4,
            direct_from: (kind == 0x48 && flags & DIRECT_PATH != 0).then_some(named),
            back_from: (kind == 0xc8).then_some(named),
            came_back: false,
            came_short,
        })
    }

    pub fn src(&self) -> Ipv4 {
        ip_at(&self.frame, SRC)
    }

    pub fn dst(&self) -> Ipv4 {
        ip_at(&self.frame, DST)
    }

    /// The Ethernet address to which the frame came.
    pub fn dst_mac(&self) -> Mac {
        mac_at(&self.frame, 0)
    }

    /// The droplet that the frame came to, by the address it came to.
    pub fn here(&self) -> Host {
        Host {
            ip: self.dst(),
            mac: self.dst_mac(),
        }
    }

    pub fn is_low_priority(&self) -> bool {
        u8_at(&self.frame, TOS) & LOW_PRIORITY != 0
    }

    /// The host in the return-to-sender option, where the option is set.
    pub fn return_to_sender(&self) -> Option<Host> {
        (u8_at(&self.frame, OPTIONS + 2) == 0x48).then(|| Host {
            ip: ip_at(&self.frame, OPTIONS + 5),
            mac: mac_at(&self.frame, OPTIONS + 9),
        })
    }

    /// Overwrites the host in the return-to-sender option, whether or not the option is set.
    pub fn set_return_host(&mut self, host: Host) {
        put_ip(&mut self.frame, OPTIONS + 5, host.ip);
        put_mac(&mut self.frame, OPTIONS + 9, host.mac);
    }

    /// Says in return-to-sender that the packet goes by a direct path of `host`.
    pub fn set_direct(&mut self, host: Host) {
        self.write_return_to_sender(0x48, host);
        put(&mut self.frame, OPTIONS + 4, &[DIRECT_PATH]);
    }

    /// Says there that it does not.
    pub fn clear_direct(&mut self) {
        let flags = u8_at(&self.frame, OPTIONS + 4);
        put(&mut self.frame, OPTIONS + 4, &[flags & !DIRECT_PATH]);
    }

    /// Makes the packet one that comes back from `host`, as it came.
    pub fn mark_returned(&mut self, host: Host) {
        self.frame = self.as_it_came.clone();
        self.write_return_to_sender(0xc8, host);
        let flags = u8_at(&self.frame, GENEVE + 1);
        put(&mut self.frame, GENEVE + 1, &[flags | CRITICAL]);
    }

    /// Makes the packet that came back one that says nothing about where it came from.
    pub fn clear_returned(&mut self) {
        self.clear_return_to_sender();
        let flags = u8_at(&self.frame, GENEVE + 1);
        put(&mut self.frame, GENEVE + 1, &[flags & !CRITICAL]);
    }

    /// Makes return-to-sender say that the packet comes from `host`, as if it had never come back.
    pub fn resume(&mut self, host: Host) {
        self.clear_returned();
        self.write_return_to_sender(0x48, host);
    }

    fn write_return_to_sender(&mut self, kind: u8, host: Host) {
        put(&mut self.frame, OPTIONS + 2, &[kind, 3, 0]);
        self.set_return_host(host);
        put(&mut self.frame, OPTIONS + 15, &[0]);
    }

    /// Clears type, length and data of the return-to-sender option; its class stays.
    pub fn clear_return_to_sender(&mut self) {
        put(&mut self.frame, OPTIONS + 2, &[0; 14]);
    }

    /// The target in the scaled-endpoint option, where that is a modify message.
    pub fn modify_message(&self) -> Option<Target> {
        let kind = u8_at(&self.frame, SCALED + 2);
        let message = u8_at(&self.frame, SCALED + 4);
        (kind == 0x49 && message == 0x4d).then(|| Target {
            src: ip_at(&self.frame, SCALED + 5),
            dst: ip_at(&self.frame, SCALED + 9),
            src_port: u16_at(&self.frame, SCALED + 13),
            dst_port: u16_at(&self.frame, SCALED + 15),
            src_mac: mac_at(&self.frame, SCALED + 17),
            dst_mac: mac_at(&self.frame, SCALED + 23),
        })
    }

    /// Writes a modify message into the scaled-endpoint option.
    pub fn set_modify_message(&mut self, target: &Target) {
        put(&mut self.frame, SCALED, &[0x11, 0x01, 0x49, 7, 0x4d]);
        put_ip(&mut self.frame, SCALED + 5, target.src);
        put_ip(&mut self.frame, SCALED + 9, target.dst);
        put_u16(&mut self.frame, SCALED + 13, target.src_port);
        put_u16(&mut self.frame, SCALED + 15, target.dst_port);
        put_mac(&mut self.frame, SCALED + 17, target.src_mac);
        put_mac(&mut self.frame, SCALED + 23, target.dst_mac);
        put(&mut self.frame, SCALED + 29, &[0; 3]);
    }

    /// Clears type, length and data of the scaled-endpoint option; its class stays.
    pub fn clear_scaled_endpoint(&mut self) {
        put(&mut self.frame, SCALED + 2, &[0; 30]);
    }

    /// Labels of the source's pod and namespace, which the options' length must cover.
    pub fn labels(&self) -> Step<(u32, u32)> {
        if self.inner < NAMESPACE + 8 {
            return Err(abort("label options missing"));
        }
        let label = |at: usize, kind: u8| {
            let option: [u8; 8] = super::bytes::octets(&self.frame, at)?;
            let [class0, class1, found, _, a, b, c, d] = option;
            let is_ours = u16::from_be_bytes([class0, class1]) == CLASS && found == kind;
            is_ours.then(|| u32::from_le_bytes([a, b, c, d]))
        };
        match (label(POD, 0x50), label(NAMESPACE, 0x51)) {
            (Some(pod), Some(namespace)) => Ok((pod, namespace)),
            _ => Err(abort("label options missing")),
        }
    }

    /// Sends the frame on: this droplet is the source now, and one hop is used up.
    pub fn send_to(&mut self, droplet: Ipv4, dst: Ipv4, src_mac: Mac, dst_mac: Mac) -> Step<()> {
        let ttl = u8_at(&self.frame, TTL).saturating_sub(1);
        if ttl == 0 {
            return Err(drop_frame("TTL reached zero"));
        }
        put(&mut self.frame, TTL, &[ttl]);
        put_ip(&mut self.frame, SRC, droplet);
        put_ip(&mut self.frame, DST, dst);
        put_mac(&mut self.frame, 0, dst_mac);
        put_mac(&mut self.frame, 6, src_mac);
        write_checksum(&mut self.frame);
        Ok(())
    }

    /// Takes the outer headers off.
    pub fn strip(self) -> Vec<u8> {
        self.frame.get(self.inner..).unwrap_or_default().to_vec()
    }
}

/// Fields of the outer headers that an agent chooses.
#[derive(Debug)]
pub struct Encapsulate {
    pub src: Host,
    pub dst: Host,
    pub vni: Vni,
    pub src_port: u16,
    pub ttl: u8,
    pub dscp: u8,
    pub pod_label: u32,
    pub namespace_label: u32,
    /// What they say about the way.
    pub way: Way,
}

/// What outer headers say about the way of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing.
    Untold,
    /// A direct path, by a flag.
    Flagged,
    /// A direct path, by the short header.
    Short,
}

/// Puts outer headers in front of an inner frame.
pub fn encapsulate(inner: &[u8], fields: &Encapsulate) -> Step<Vec<u8>> {
    // A packet that is given back has all options.
    if u16::try_from(20 + 8 + 8 + 64 + inner.len()).is_err() {
        return Err(drop_frame("too long to encapsulate"));
    }
    let options = if fields.way == Way::Short { 48 } else { 64 };
    let total_length = u16::try_from(20 + 8 + 8 + options + inner.len()).unwrap_or_default();
    let mut frame = Vec::new();
    // Ethernet
    frame.extend(fields.dst.mac.octets());
    frame.extend(fields.src.mac.octets());
    frame.extend([0x08, 0x00]);
    // IPv4: no identification, no don't-fragment bit
    frame.extend([0x45, fields.dscp << 2]);
    frame.extend(total_length.to_be_bytes());
    frame.extend([0, 0, 0, 0, fields.ttl, 17, 0, 0]);
    frame.extend(fields.src.ip.octets());
    frame.extend(fields.dst.ip.octets());
    write_checksum(&mut frame);
    // UDP without checksum
    frame.extend(fields.src_port.to_be_bytes());
    frame.extend(PORT.to_be_bytes());
    frame.extend((total_length - 20).to_be_bytes());
    frame.extend([0, 0]);
    // Geneve with 16 or 12 words of options
    frame.extend([if fields.way == Way::Short { 12 } else { 16 }, 0]);
    frame.extend(ETHERNET.to_be_bytes());
    frame.extend((fields.vni.get() << 8).to_be_bytes());
    let flags = match fields.way {
        Way::Untold => Some(0),
        Way::Flagged => Some(DIRECT_PATH),
        Way::Short => None,
    };
    if let Some(flags) = flags {
        frame.extend(return_to_sender(flags, fields.src));
    }
    // Scaled endpoint, unused, or that the header is short
    frame.extend(match fields.way {
        Way::Short => [0x11, 0x01, 0x4a, 7],
        _ => [0x11, 0x01, 0, 0],
    });
    frame.extend([0; 28]);
    // Labels
    frame.extend([0x11, 0x01, 0x50, 1]);
    frame.extend(fields.pod_label.to_le_bytes());
    frame.extend([0x11, 0x01, 0x51, 1]);
    frame.extend(fields.namespace_label.to_le_bytes());
    frame.extend(inner);
    Ok(frame)
}

fn return_to_sender(flags: u8, host: Host) -> Vec<u8> {
    let mut option = vec![0x11, 0x01, 0x48, 3, flags];
    option.extend(host.ip.octets());
    option.extend(host.mac.octets());
    option.push(0);
    option
}

/// Whether a frame, whose options are all there, has the short header: 48 bytes of options, of which the first says so.
fn is_short(frame: &[u8]) -> bool {
    u8_at(frame, GENEVE) & 0x3f == 12
        && super::bytes::octets(frame, OPTIONS) == Some([0x11, 0x01, 0x4a, 7])
}

/// Makes a frame with the short header one with all options, as its sender would have sent it to somebody else.
fn lengthen(frame: &mut Vec<u8>, droplet: Ipv4) -> Step<()> {
    if ip_at(frame, SRC) == droplet {
        return Err(drop_frame("a short header from this very droplet"));
    }
    let sender = Host {
        ip: ip_at(frame, SRC),
        mac: mac_at(frame, 6),
    };
    put(frame, OPTIONS + 2, &[0; 30]);
    let option = return_to_sender(DIRECT_PATH, sender);
    frame.splice(OPTIONS..OPTIONS, option);
    let words = u8_at(frame, GENEVE) + 4;
    put(frame, GENEVE, &[words]);
    for at in [IPV4 + 2, UDP + 4] {
        let length = u16_at(frame, at).wrapping_add(16);
        put_u16(frame, at, length);
    }
    Ok(())
}

fn write_checksum(frame: &mut [u8]) {
    put_u16(frame, CHECKSUM, 0);
    let sum = checksum(frame.get(IPV4..UDP).unwrap_or_default());
    put_u16(frame, CHECKSUM, sum);
}
