//! Whole frames in and out of a device: packet(7).

use crate::{Error, Interface, Namespace, ethtool};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// `PACKET_OUTGOING` of include/uapi/linux/if_packet.h: a frame that this machine sends.
const OUTGOING: u8 = 4;
/// Offset of a VLAN tag.
const TAG_AT: usize = 12;

/// The VLAN tag that the kernel took off a frame, in transmission order: `struct tpacket_auxdata` of packet(7).
fn tag(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: the kernel filled in the message's control buffer.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
        return None;
    }
    // SAFETY: what has this level and type is such a structure.
    let data = unsafe {
        libc::CMSG_DATA(header)
            .cast::<libc::tpacket_auxdata>()
            .read_unaligned()
    };
    if data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let protocol = if data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
        data.tp_vlan_tpid
    } else {
        libc::ETH_P_8021Q as u16
    };
    let ([a, b], [c, d]) = (protocol.to_be_bytes(), data.tp_vlan_tci.to_be_bytes());
    Some([a, b, c, d])
}

/// Room for the longest frame.
const LONGEST: usize = 65_536;

/// A socket that sends frames out of one device, and receives those that come in by it.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    device: String,
}

impl PacketSocket {
    /// A socket at `interface`.
    ///
    /// # Errors
    /// Where the kernel refuses (it needs `CAP_NET_RAW`).
    pub fn at(interface: &Interface) -> Result<Self, Error> {
        Self::at_device(interface.namespace(), interface.name())
    }

    /// A socket at a device of `namespace`.
    ///
    /// # Errors
    /// Where there is no such device, or the kernel refuses.
    pub fn at_device(namespace: &Namespace, device: &str) -> Result<Self, Error> {
        let socket = Self::open(namespace, device, libc::ETH_P_ALL as u16)?;
        socket.want_tags()?;
        Ok(socket)
    }

    /// A socket at a device of `namespace` that receives nothing.
    ///
    /// # Errors
    /// Where there is no such device, or the kernel refuses.
    pub fn for_sending(namespace: &Namespace, device: &str) -> Result<Self, Error> {
        Self::open(namespace, device, 0)
    }

    fn open(namespace: &Namespace, device: &str, protocol: u16) -> Result<Self, Error> {
        let doing = || format!("opening a packet socket at {device}");
        let name =
            std::ffi::CString::new(device).map_err(|_| Error::NoInterface(device.to_owned()))?;
        let fd = namespace.run(|| {
            let protocol = protocol.to_be();
            let flags = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: has no preconditions.
            let fd = unsafe { libc::socket(libc::AF_PACKET, flags, protocol.into()) };
            if fd < 0 {
                return Err(Error::last(doing()));
            }
            // SAFETY: a descriptor that was just made.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // SAFETY: a name that ends with a zero byte.
            let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
            if index == 0 {
                return Err(Error::NoInterface(device.to_owned()));
            }
            // SAFETY: all fields may be zero.
            let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = index as i32;
            // SAFETY: an address of the length that is given.
            let bound = unsafe {
                libc::bind(
                    fd.as_raw_fd(),
                    (&raw const address).cast(),
                    size_of::<libc::sockaddr_ll>() as libc::socklen_t,
                )
            };
            if bound == 0 {
                Ok(fd)
            } else {
                Err(Error::last(doing()))
            }
        })??;
        let device = device.to_owned();
        Ok(Self { fd, device })
    }

    /// Has the kernel say which VLAN tag it took off: it does so before a socket gets the frame.
    fn want_tags(&self) -> Result<(), Error> {
        let on: libc::c_int = 1;
        // SAFETY: a value of the length that is given.
        let set = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(Error::last(format!("asking {} for tags", self.device)));
        }
        Ok(())
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// Where the kernel refuses, as with one longer than the device carries.
    pub fn send(&self, frame: &[u8]) -> Result<(), Error> {
        let sent = self.try_send(frame);
        sent.map_err(|e| Error::io(format!("sending a frame by {}", self.device), e))
    }

    /// Sends one frame, if the device takes it; whether it did. It does not take one that there is no room for or that is
    /// longer than it carries, and none while it is down or gone.
    ///
    /// # Errors
    /// Where anything else is wrong.
    pub fn offer(&self, frame: &[u8]) -> Result<bool, Error> {
        const NOT_TAKEN: [i32; 5] = [
            libc::ENOBUFS,
            // As many as may wait are on their way.
            libc::EAGAIN,
            libc::EMSGSIZE,
            libc::ENETDOWN,
            libc::ENXIO,
        ];
        match self.try_send(frame) {
            Ok(()) => Ok(true),
            Err(error)
                if error
                    .raw_os_error()
                    .is_some_and(|it| NOT_TAKEN.contains(&it)) =>
            {
                Ok(false)
            }
            Err(e) => Err(Error::io(format!("sending a frame by {}", self.device), e)),
        }
    }

    /// Whether somebody is at the other end of the device. One where nobody is loses what is sent to it, and does not say
    /// so.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn has_link(&self) -> Result<bool, Error> {
        ethtool::has_link(self.fd.as_fd(), &self.device)
    }

    fn try_send(&self, frame: &[u8]) -> std::io::Result<()> {
        // SAFETY: a buffer of the length that is given.
        let sent =
            unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(())
    }

    /// The next frame that came in, if there is one.
    ///
    /// # Errors
    /// Where the device is gone.
    pub fn receive(&self) -> Result<Option<Vec<u8>>, Error> {
        let mut frame = vec![0; LONGEST];
        loop {
            // SAFETY: all fields may be zero.
            let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            // Words, since the headers of what is said there are aligned like one.
            let mut beside = [0u64; 8];
            let mut place = libc::iovec {
                iov_base: frame.as_mut_ptr().cast(),
                iov_len: frame.len(),
            };
            // SAFETY: all fields may be zero.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_name = (&raw mut from).cast();
            message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            message.msg_iov = &raw mut place;
            message.msg_iovlen = 1;
            message.msg_control = beside.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&beside);
            // SAFETY: buffers of the lengths that are given.
            let received = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, 0) };
            if received < 0 {
                let error = std::io::Error::last_os_error();
                return match error.kind() {
                    std::io::ErrorKind::WouldBlock => Ok(None),
                    std::io::ErrorKind::Interrupted => continue,
                    _ => Err(Error::io(format!("receiving from {}", self.device), error)),
                };
            }
            if from.sll_pkttype == OUTGOING {
                continue;
            }
            frame.truncate(received as usize);
            if let Some(tag) = tag(&message)
                && frame.len() >= TAG_AT
            {
                frame.splice(TAG_AT..TAG_AT, tag);
            }
            return Ok(Some(frame));
        }
    }

    /// The next frame that comes in; `None` if there is none within `patience`.
    ///
    /// # Errors
    /// Where the device is gone.
    pub fn wait(&self, patience: Duration) -> Result<Option<Vec<u8>>, Error> {
        if let Some(frame) = self.receive()? {
            return Ok(Some(frame));
        }
        let mut wanted = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let timeout = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one valid entry. What goes wrong shows in the next call.
        unsafe { libc::poll(&raw mut wanted, 1, timeout) };
        self.receive()
    }
}
