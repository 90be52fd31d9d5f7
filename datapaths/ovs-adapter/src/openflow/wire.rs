//! Numbers in network order, and the header that every message begins with.

/// OpenFlow 1.4 (`OFP14_VERSION` of `include/openflow/openflow-common.h`).
pub const VERSION: u8 = 5;
/// Bytes of `struct ofp_header`.
pub const HEADER: usize = 8;
/// The experimenter that Open vSwitch's extensions are under (`NX_VENDOR_ID`).
pub const NICIRA: u32 = 0x2320;

/// Appends to a message.
pub trait Put {
    /// Appends bytes in network order.
    fn put<const N: usize>(&mut self, bytes: [u8; N]);
    /// Pads with zeros so that there is a multiple of eight bytes from `start` on.
    fn align(&mut self, start: usize);
    /// Writes a length, that of everything from `start` on, at `at`. Whoever sends the message checks that it is
    /// not longer than such a number can say.
    fn put_length(&mut self, start: usize, at: usize);
}

impl Put for Vec<u8> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }

    fn align(&mut self, start: usize) {
        let len = self.len().saturating_sub(start).next_multiple_of(8);
        self.resize(start + len, 0);
    }

    fn put_length(&mut self, start: usize, at: usize) {
        let len = self.len().saturating_sub(start) as u16;
        if let Some(place) = self.get_mut(at..at + 2) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

/// Appends a message, and gives it its length. Nothing is appended where it is longer than OpenFlow allows.
///
/// Returns whether it is not.
pub fn message(out: &mut Vec<u8>, kind: u8, xid: u32, body: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.put([VERSION, kind, 0, 0]);
    out.put(xid.to_be_bytes());
    body(out);
    let fits = out.len() - start <= usize::from(u16::MAX);
    if fits {
        out.put_length(start, start + 2);
    } else {
        out.truncate(start);
    }
    fits
}

/// What a message begins with (`struct ofp_header`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of OpenFlow.
    pub version: u8,
    /// One of `OFPT_*`.
    pub kind: u8,
    /// Bytes of the message with this header.
    pub length: usize,
    /// What relates a reply to a request.
    pub xid: u32,
}

/// Reads what a switch sent; `None` where it is shorter than it should be.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A number of 8 bits.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Passes over bytes.
    pub fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }

    /// The header of a message.
    pub fn header(&mut self) -> Option<Header> {
        Some(Header {
            version: self.u8()?,
            kind: self.u8()?,
            length: self.u16()?.into(),
            xid: self.u32()?,
        })
    }

    /// The next part of a list of parts that each begin with a type and their length, as actions, instructions
    /// and properties do. Returns the type and what follows the length; passes over what pads it to `align` bytes.
    pub fn part(&mut self, align: usize) -> Option<(u16, Reader<'a>)> {
        let (kind, len) = (self.u16()?, self.u16()?);
        let len = usize::from(len);
        let content = self.take(len.checked_sub(4)?)?;
        // The last part of a list may go without what pads it.
        let padding = len.next_multiple_of(align) - len;
        self.skip(padding.min(self.0.len()))?;
        Some((kind, Self(content)))
    }
}
